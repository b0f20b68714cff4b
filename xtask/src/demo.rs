// SPDX-License-Identifier: GPL-2.0-or-later
//! `demo` and `vm`: both build the two programs and start a virtual machine.

use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::install::{self, Purpose};
use crate::output::say;
use crate::process::{build, cargo, rota_vm as rota_vm_program};
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
    if let Some(extra) = args.first() {
        bail!("`cargo xtask demo` takes no argument, but got `{extra}`");
    }
    say("== demo: a scheduler on a real kernel");
    let machine = ["--smp", "4", "--timeout", "180", "--", "sh", "-c", DEMO];
    let outcome = run_in_machine(workspace, &machine)?;
    let rota = workspace.programs().join("rota");
    say(&format!("\nrota is {}; next: docs/first-scheduler.md", rota.display()));
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
    install::ensure(Purpose::Demo)?;
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
