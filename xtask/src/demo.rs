// SPDX-License-Identifier: GPL-2.0-or-later
//! `demo` and `vm`: both build the two programs and start a virtual machine.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::install::{self, Purpose};
use crate::output::say;
use crate::process::{build, cargo};
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
    let machine = ["--kernel", "7.3", "--smp", "4", "--timeout", "180", "--", "sh", "-c", DEMO];
    run_in_machine(workspace, &machine)
}

/// `vm update` and such go to `rota-vm` as they are; anything else is a run.
pub(crate) fn vm(workspace: &Workspace, args: &[String]) -> Result<Outcome> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => rota_vm(workspace, &["rota-vmtest"], &["--help"]),
        ["-h" | "--help"] => rota_vm(workspace, &["rota-vmtest"], &["run", args[0]]),
        ["run", rest @ ..] => run_in_machine(workspace, rest),
        [word, ..] if !word.starts_with('-') => rota_vm(workspace, &["rota-vmtest"], &args),
        rest => run_in_machine(workspace, rest),
    }
}

/// Runs a command in a machine that has our programs on its path.
fn run_in_machine(workspace: &Workspace, args: &[&str]) -> Result<Outcome> {
    let programs = workspace.programs();
    let programs = programs.to_str().context("the target folder's name is not UTF-8")?;
    let mut all = vec!["run", "--bin-dir", programs];
    all.extend(args);
    rota_vm(workspace, &["rota", "rota-vmtest"], &all)
}

/// Builds the programs of `packages`, and runs `rota-vm`.
pub(crate) fn rota_vm(workspace: &Workspace, packages: &[&str], args: &[&str]) -> Result<Outcome> {
    install::ensure(Purpose::Demo)?;
    let _lock = workspace.lock_target()?;
    let mut cargo = cargo(workspace);
    cargo.args(["build", "--bins"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    if !build(&mut cargo)?.ok {
        return Ok(Outcome::Failed);
    }
    let mut command = Command::new(workspace.programs().join("rota-vm"));
    let status = command.args(args).status().context("cannot start rota-vm")?;
    match status.code() {
        Some(0) => Ok(Outcome::Done),
        Some(code) => Ok(Outcome::Code(u8::try_from(code).unwrap_or(1))),
        None => bail!("rota-vm was killed: {status}"),
    }
}
