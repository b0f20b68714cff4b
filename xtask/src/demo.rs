// SPDX-License-Identifier: GPL-2.0-or-later
//! `demo` and `vm`: a comparison on a simulated machine, and real kernels in virtual ones.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::install::{self, Purpose};
use crate::output::say;
use crate::process::{build, cargo, find_program, rota_vm as rota_vm_program};
use crate::workspace::Workspace;

/// What the demo runs inside the machine: load, a scheduler for ten seconds, no load. The loop is
/// for hosts without stress-ng: pairs of processes that wake each other and spin.
const DEMO: &str = "\
cd /tmp
load=
if command -v stress-ng >/dev/null; then
    stress-ng --cpu 4 --switch 2 --pipe 2 --timeout 60 >/dev/null 2>&1 &
    load=$!
else
    for i in 1 2 3 4 5 6; do
        (while echo; do :; done) | cat >/dev/null &
        load=\"$load $!\"
    done
fi
echo \"kernel $(uname -r), $(nproc) CPUs, load running; rota run simple --for 10s\"
rota run simple --for 10s
code=$?
kill $load 2>/dev/null
exit $code
";

/// The main job of the project, on a machine that may have nothing installed yet.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<Outcome> {
    match args {
        [] => compare(workspace),
        [vm] if vm == "--vm" => on_a_real_kernel(workspace),
        _ => bail!("`cargo xtask demo` takes --vm or nothing, but got `{}`", args.join(" ")),
    }
}

/// Three schedulers on a simulated desktop: the table, a page, and a trace.
fn compare(workspace: &Workspace) -> Result<Outcome> {
    install::ensure(Purpose::Demo)?;
    let _lock = workspace.lock_target()?;
    let mut cargo = cargo(workspace);
    if !build(cargo.args(["build", "--package", "rota"]))?.ok {
        return Ok(Outcome::Failed);
    }
    let [program, page, trace] =
        ["rota", "demo.html", "demo.pftrace"].map(|name| workspace.programs().join(name));
    let rota = as_typed(&program);
    say("== demo: which scheduler serves this work better on a desktop of 16 cores?\n");
    let command = |words: &str, file: &Path| {
        say(&format!("$ {rota} {words} {}", shown(file)));
        let mut command = Command::new(&program);
        // It names itself in what it says, as we do.
        command.arg0(&rota).args(words.split(' ')).arg(file);
        command
    };
    let compared = command("compare simple domains eevdf --html", &page).status();
    say("");
    let mut traced = command("sim domains --workload mixed --for 200ms --trace", &trace);
    let traced = traced.stdout(Stdio::null()).status();
    if !compared.context("cannot start rota")?.success() || !traced?.success() {
        return Ok(Outcome::Failed);
    }
    say(&format!(
        "trace, event by event, for https://ui.perfetto.dev: {}\n\n\
         what every number means: docs/compare.md; who the schedulers are: {rota} list\n\
         other work: {rota} compare simple eevdf --workload game\n\
         a real kernel, in a virtual machine: cargo xtask demo --vm\n\
         a scheduler of your own: docs/first-scheduler.md",
        shown(&trace)
    ));
    Ok(Outcome::Done)
}

/// The program as people can type it where they are: its name if their shell finds it by that.
fn as_typed(program: &Path) -> String {
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned());
    let found = name.as_deref().and_then(find_program).and_then(|path| path.canonicalize().ok());
    match name {
        Some(name) if found.is_some() && found == program.canonicalize().ok() => name,
        _ => shown(program),
    }
}

/// A path as people can type it where they are.
fn shown(path: &Path) -> String {
    in_short(path, std::env::current_dir().ok().as_deref(), std::env::home_dir().as_deref())
}

/// A path in short: from the folder where people are, or from their home.
fn in_short(path: &Path, here: Option<&Path>, home: Option<&Path>) -> String {
    let below = |folder: Option<&Path>| {
        let folder = folder.filter(|folder| folder.parent().is_some())?;
        path.strip_prefix(folder).ok().map(|below| below.display().to_string())
    };
    match (below(here), below(home)) {
        // A shell looks for a bare name elsewhere.
        (Some(below), _) if !below.contains('/') => format!("./{below}"),
        (Some(below), _) => below,
        // Where words have to be quoted, `~` is no home any more.
        (_, Some(below)) if !below.contains(' ') => format!("~/{below}"),
        _ => path.display().to_string(),
    }
}

/// A scheduler in charge of a real kernel.
fn on_a_real_kernel(workspace: &Workspace) -> Result<Outcome> {
    say("== demo: a scheduler on a real kernel");
    let machine = ["--smp", "4", "--timeout", "180", "--", "sh", "-c", DEMO];
    let outcome = run_in_machine(workspace, &machine)?;
    let rota = as_typed(&workspace.programs().join("rota"));
    say(&format!("\nwithout a virtual machine: {rota} sim simple; next: docs/first-scheduler.md"));
    Ok(outcome)
}

/// `vm update` and such go to `rota-vm` as they are; anything else is a run.
pub(crate) fn vm(workspace: &Workspace, args: &[String]) -> Result<Outcome> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => rota_vm(workspace, &["--help"]),
        ["-h" | "--help"] => rota_vm(workspace, &["run", args[0]]),
        ["run", rest @ ..] => run_in_machine(workspace, rest),
        ["rota", ..] => bail!("put `--` before the command: cargo xtask vm -- {}", args.join(" ")),
        [word, ..] if !word.starts_with('-') => rota_vm(workspace, &args),
        rest => run_in_machine(workspace, rest),
    }
}

/// Runs a command in a machine that has our programs on its path.
fn run_in_machine(workspace: &Workspace, args: &[&str]) -> Result<Outcome> {
    let programs = workspace.programs();
    let programs = programs.to_str().context("the target folder's name is not UTF-8")?;
    let mut all = vec!["run", "--bin-dir", programs];
    all.extend(args);
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        bail!(
            "a virtual machine needs root, since it shares the files of its host; try\n  \
             sudo -E env \"PATH=$PATH\" cargo xtask …"
        );
    }
    rota_vm(workspace, &all)
}

/// Builds both programs, and runs `rota-vm`.
pub(crate) fn rota_vm(workspace: &Workspace, args: &[&str]) -> Result<Outcome> {
    install::ensure(Purpose::Machine)?;
    let _lock = workspace.lock_target()?;
    let mut cargo = cargo(workspace);
    cargo.args(["build", "--bins", "--package", "rota", "--package", "rota-vmtest"]);
    if !build(&mut cargo)?.ok {
        return Ok(Outcome::Failed);
    }
    let mut command = rota_vm_program(workspace);
    let status = command.args(args).status().context("cannot start rota-vm")?;
    match status.code() {
        Some(0) => Ok(Outcome::Done),
        Some(code) => Ok(Outcome::Code(u8::try_from(code).unwrap_or(1))),
        None => bail!("rota-vm was killed: {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::in_short;
    use std::path::Path;

    #[test]
    fn paths_lead_there_from_where_people_are() {
        let path = Path::new("/people/ann/rota/target/debug/rota");
        for (here, home, expected) in [
            ("/people/ann/rota", "/people/ann", "target/debug/rota"),
            ("/tmp", "/people/ann", "~/rota/target/debug/rota"),
            ("/people/ann/rota/target/debug", "/people/ann", "./rota"),
            ("/", "/", "/people/ann/rota/target/debug/rota"),
            ("/people/ann/ro", "/root", "/people/ann/rota/target/debug/rota"),
        ] {
            assert_eq!(in_short(path, Some(Path::new(here)), Some(Path::new(home))), expected);
        }
        let (blank, home) = (Path::new("/people/ann/my folder/rota"), Path::new("/people/ann"));
        assert_eq!(in_short(blank, None, Some(home)), "/people/ann/my folder/rota");
        assert_eq!(in_short(path, None, None), path.to_str().unwrap());
    }
}
