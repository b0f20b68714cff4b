// SPDX-License-Identifier: GPL-2.0-or-later
//! `demo` and `vm`: a comparison on a simulated machine, and real kernels in virtual ones.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

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
    let [rota, page, trace] =
        ["rota", "demo.html", "demo.pftrace"].map(|name| workspace.programs().join(name));
    say("== demo: which scheduler serves this work better on a desktop of 16 cores?\n");
    let command = |words: &str, file: &Path| {
        say(&format!("$ rota {words} {}", file.display()));
        let mut command = Command::new(&rota);
        command.args(words.split(' ')).arg(file);
        command
    };
    let compared = command("compare simple simple:fifo eevdf --html", &page).status();
    let mut traced = command("sim simple --workload mixed --for 200ms --trace", &trace);
    let traced = traced.stdout(Stdio::null()).status();
    if !compared.context("cannot start rota")?.success() || !traced?.success() {
        return Ok(Outcome::Failed);
    }
    say(&format!(
        "\nthe same with distributions and timelines, in a browser: {}\n\
         what simple did, event by event, in ui.perfetto.dev:     {}\n\n\
         rota is {}; try other work: rota compare simple eevdf --workload game\n\
         next: cargo xtask demo --vm (a real kernel), docs/first-scheduler.md (your own scheduler)",
        page.display(),
        trace.display(),
        rota.display()
    ));
    Ok(Outcome::Done)
}

/// A scheduler in charge of a real kernel.
fn on_a_real_kernel(workspace: &Workspace) -> Result<Outcome> {
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
