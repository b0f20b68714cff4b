// SPDX-License-Identifier: GPL-2.0-or-later
//! One entry for development: `cargo xtask`.
//!
//! It needs nothing but cargo and git to start. Everything else that a command wants, it installs
//! first (`install`), builds into a cache that outlives the clone (`workspace`), and runs in
//! phases whose times it prints (`phases`). `tidy` holds the textual rules of the project.

mod btf;
mod demo;
mod failures;
mod format;
mod fuzz;
mod fuzz_status;
mod install;
mod mutate;
mod output;
mod phases;
mod process;
mod python;
mod soak;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::install::Purpose;
use crate::output::say;
use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask COMMAND: everything that one does while developing Rota.

  demo [--vm]         installs what is missing, builds, and compares three schedulers on a simulated
                      desktop; with --vm boots a real sched_ext kernel in a virtual machine instead
                      and runs `rota run simple` there for ten seconds under load
  test [PHASE...]     runs everything (or the named phases) and prints what took how long
  ci                  what .ci/run calls: the same as test
  bless [PHASE...]    runs the tests (phases unit and vm) and rewrites the expectation files;
                      look at `git diff` afterwards
  fuzz [TARGET...] [--seconds N]
                      lets libFuzzer look for inputs that break something, a minute for each target,
                      and rewrites fuzz/corpus; `fuzz TARGET FILE` repeats an input
  soak [--programs N] [--balance N] [--seed N] [--jobs N] [--cells 0] [--mutations 0] [--seconds N]
                      the long runs: a million random programs through both engines, as many shares
                      and plans, comparisons of schedulers of whole size, every mutation, then every
                      fuzzer for ten minutes
  mutate [WORD...]    spoils the model of the kernel, in one place at a time, and looks whether a
                      scenario notices; all of tests/mutations.txt, or what has one of the words
  btf                 rewrites data/btf, the types of the supported kernels, from the pinned kernels
  fmt                 formats all Rust and C
  tidy                the textual rules alone; takes less than a second
  vm [--kernel VERSION] [--smp SPEC] -- COMMAND
                      builds, then runs COMMAND in a virtual machine, with `rota` on its path
  vm update|kernels|fetch|...
                      anything else that `rota-vm` knows; `vm -- sh -c 'ls /sys/kernel/sched_ext'`
                      is a good start
  install             installs what `test` needs, and nothing more

Builds go to ${CARGO_TARGET_DIR}, else to ${ROTA_CACHE:-~/.cache/rota}/target.
Exit codes: 0 done, 1 a check failed, 2 usage, or something that has to be there is not.
";

/// What a command comes to: done, or a check that said no.
enum Outcome {
    Done,
    Failed,
    /// The exit code of a program that was run on the user's behalf.
    Code(u8),
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::Code(code)) => ExitCode::from(code),
        Err(error) => {
            output::complain(&format!("xtask: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(args: &[String]) -> Result<Outcome> {
    let (command, rest) = match args.split_first() {
        None => ("help", args),
        Some((command, rest)) => (command.as_str(), rest),
    };
    // What follows `vm` is for the program that it starts.
    if !matches!(command, "vm" | "help")
        && matches!(rest, [word] if word == "--help" || word == "-h")
    {
        let Some(help) = help_of(command) else { bail!("{}", unknown(command)) };
        say(&help);
        return Ok(Outcome::Done);
    }
    match command {
        "help" | "-h" | "--help" => {
            say(&format!("{HELP}\nPhases of test, in order:\n{}", phases::list()));
            Ok(Outcome::Done)
        }
        "test" | "ci" => phases::run(&Workspace::find()?, rest, phases::Mode::Check),
        "bless" => phases::run(&Workspace::find()?, rest, phases::Mode::Bless),
        "demo" => demo::run(&Workspace::find()?, rest),
        "vm" => demo::vm(&Workspace::find()?, rest),
        "fuzz" => fuzz::run(&Workspace::find()?, rest),
        "soak" => soak::run(&Workspace::find()?, rest),
        "mutate" => mutate::run(&Workspace::find()?, rest),
        "btf" => no_more(rest, command).and_then(|()| btf::run(&Workspace::find()?)),
        "fmt" => no_more(rest, command).and_then(|()| format::apply(&Workspace::find()?)),
        "tidy" => no_more(rest, command).and_then(|()| tidy::run(&Workspace::find()?)),
        "install" => no_more(rest, command).and_then(|()| {
            install::ensure(Purpose::Test)?;
            Ok(Outcome::Done)
        }),
        other => bail!("{}", unknown(other)),
    }
}

fn unknown(command: &str) -> String {
    format!("there is no command `{command}`; `cargo xtask --help` lists them")
}

/// What the help says of a command.
fn help_of(command: &str) -> Option<String> {
    let names = |line: &str| line.strip_prefix("  ").is_some_and(|line| !line.starts_with(' '));
    let is = |line: &str| names(line) && line[2..].split(' ').next() == Some(command);
    let mut lines = HELP.lines().skip_while(|line| !is(line));
    let mut text = vec![format!("cargo xtask{}", &lines.next()?[1..])];
    text.extend(lines.take_while(|line| line.starts_with("  ") && !names(line)).map(str::to_owned));
    Some(text.join("\n"))
}

fn no_more(rest: &[String], command: &str) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(extra) => bail!("`cargo xtask {command}` takes no argument, but got `{extra}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::help_of;

    #[test]
    fn each_command_has_its_part_of_the_help() {
        let demo = help_of("demo").unwrap();
        assert!(demo.starts_with("cargo xtask demo [--vm]") && demo.ends_with("under load"));
        assert!(help_of("tidy").is_some_and(|help| help.lines().count() == 1));
        assert_eq!((help_of("dem"), help_of("")), (None, None));
    }
}
