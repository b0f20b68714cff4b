// SPDX-License-Identifier: GPL-2.0-or-later
//! `test` and `bless`: phases, run in order, with a table of times at the end.
//!
//! A failed phase does not stop the next ones, so that one run shows everything that is wrong; but
//! what can't build is not tried.

use std::fmt::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::Outcome;
use crate::failures::Failure;
use crate::format;
use crate::install::{self, Purpose};
use crate::output::{complain, say};
use crate::process::{Built, build, cargo, rota_vm, succeeds, test};
use crate::python;
use crate::tidy;
use crate::workspace::Workspace;

/// Whether expectations are compared or rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Check,
    Bless,
}

/// One step of `cargo xtask test`.
struct Phase {
    name: &'static str,
    what: &'static str,
    needs_build: bool,
    run: fn(&Workspace, Mode) -> Result<Built>,
}

const PHASES: &[Phase] = &[
    Phase {
        name: "install",
        what: "programs that are missing, by the system's package manager, and Python packages",
        needs_build: false,
        run: |workspace, _| {
            install::ensure(Purpose::Test)?;
            python::ensure(workspace).map(|()| passed(true))
        },
    },
    Phase {
        name: "tidy",
        what: "the textual rules: licences, markers, sizes, links, unsafe",
        needs_build: false,
        run: |workspace, _| tidy::check(workspace).map(passed),
    },
    Phase {
        name: "rustfmt",
        what: "format of the Rust code",
        needs_build: false,
        run: |workspace, _| format::check_rust(workspace).map(passed),
    },
    Phase {
        name: "cformat",
        what: "format of the C code",
        needs_build: false,
        run: |workspace, _| format::check_c(workspace).map(passed),
    },
    Phase {
        name: "build",
        what: "everything, tests included",
        needs_build: false,
        run: |workspace, _| build(cargo(workspace).args(BUILD_ALL)),
    },
    Phase {
        name: "clippy",
        what: "lints, each an error",
        needs_build: true,
        run: |workspace, _| clippy(workspace),
    },
    Phase {
        name: "doc",
        what: "the documentation of the code, warnings being errors",
        needs_build: true,
        run: |workspace, _| doc(workspace),
    },
    Phase {
        name: "unit",
        what: "tests that need no kernel",
        needs_build: true,
        run: |workspace, mode| tests(workspace, mode, &["--workspace", "--exclude", VM_PACKAGE]),
    },
    Phase {
        name: "host",
        what: "tests that look at real programs on this machine, as root, with perf, trace-cmd, tmux and Python",
        needs_build: true,
        run: host_tests,
    },
    Phase {
        name: "kernels",
        what: "the kernels of the virtual machines, into the cache",
        needs_build: true,
        run: |workspace, _| kernels(workspace),
    },
    Phase {
        name: "vm",
        what: "tests in virtual machines, on every supported kernel",
        needs_build: true,
        run: vm_tests,
    },
    Phase {
        name: "rebuild",
        what: "that building once more builds nothing",
        needs_build: true,
        run: |workspace, _| nothing_to_build(workspace),
    },
];

const VM_PACKAGE: &str = "rota-vmtest";
/// They stand aside of the others: plain `cargo test` needs no root.
const HOST_TESTS: &[&str] = &[
    "--package=rota-sim",
    "--test=real_programs",
    "--package=rota",
    "--test=record",
    "--test=load",
    "--test=live",
    "--test=bpf",
    "--test=perf",
    "--test=perfetto",
    "--test=processes",
    "--test=power",
    "--test=queries",
    "--test=top",
    "--test=trace_cmd",
];
const BUILD_ALL: &[&str] = &["build", "--workspace", "--all-targets"];

/// The phases with their meanings, for the help text.
pub(crate) fn list() -> String {
    let lines = PHASES.iter().map(|phase| format!("  {:<9} {}\n", phase.name, phase.what));
    lines.collect::<String>().trim_end().to_owned()
}

/// Runs the phases named by `names`, or all of them.
pub(crate) fn run(workspace: &Workspace, names: &[String], mode: Mode) -> Result<Outcome> {
    let chosen = choose(names, mode)?;
    let _lock = workspace.lock_target()?;
    let started = Instant::now();
    let mut report = Report::default();
    for phase in chosen {
        if phase.needs_build && report.build_failed() {
            report.rows.push(Row { name: phase.name, end: End::Skipped, took: Duration::ZERO });
            continue;
        }
        say(&format!("\n== {}: {}", phase.name, phase.what));
        let phase_started = Instant::now();
        let end = match (phase.run)(workspace, mode) {
            // Without its tools no phase means anything, and the message must be the last one.
            Err(error) if phase.name == "install" => return Err(error),
            Err(error) => {
                complain(&format!("{}: {error:#}", phase.name));
                End::Failed(0)
            }
            Ok(Built { ok, crates, failures }) => {
                report.failures.extend(failures);
                if ok { End::Passed(crates) } else { End::Failed(crates) }
            }
        };
        report.rows.push(Row { name: phase.name, end, took: phase_started.elapsed() });
    }
    say(&report.table(started.elapsed()));
    Ok(if report.failed().is_empty() { Outcome::Done } else { Outcome::Failed })
}

fn choose(names: &[String], mode: Mode) -> Result<Vec<&'static Phase>> {
    let known = |name: &String| PHASES.iter().any(|phase| phase.name == name);
    if let Some(stranger) = names.iter().find(|name| !known(name)) {
        bail!("there is no phase `{stranger}`; there are:\n{}", list());
    }
    let wanted = |phase: &&Phase| match mode {
        _ if !names.is_empty() => names.iter().any(|name| name == phase.name),
        Mode::Check => true,
        Mode::Bless => ["install", "unit", "kernels", "vm"].contains(&phase.name),
    };
    Ok(PHASES.iter().filter(wanted).collect())
}

fn passed(ok: bool) -> Built {
    Built { ok, crates: 0, failures: Vec::new() }
}

fn clippy(workspace: &Workspace) -> Result<Built> {
    install::ensure_components()?;
    build(cargo(workspace).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn doc(workspace: &Workspace) -> Result<Built> {
    let mut command = cargo(workspace);
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    // Private modules are where the ideas are explained, so their links count as well.
    command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
    build(&mut command)
}

fn tests(workspace: &Workspace, mode: Mode, packages: &[&str]) -> Result<Built> {
    let mut command = cargo(workspace);
    command.args(["test", "--no-fail-fast"]).args(packages).stdin(Stdio::null());
    if mode == Mode::Bless {
        command.env("BLESS", "1");
    }
    command.env(python::PYTHON, python::python(workspace));
    test(&mut command)
}

/// They count events and time, which what else this machine does can spoil: if one fails, all run
/// once more, one after the other, and the end names who failed first.
fn host_tests(workspace: &Workspace, mode: Mode) -> Result<Built> {
    let first = tests(workspace, mode, HOST_TESTS)?;
    if first.ok {
        return Ok(first);
    }
    say("\nonce more, one after the other, since one failed beside others");
    let one_by_one: Vec<&str> =
        HOST_TESTS.iter().copied().chain(["--", "--test-threads=1"]).collect();
    let second = tests(workspace, mode, &one_by_one)?;
    let failures = first.failures.into_iter().chain(second.failures).collect();
    Ok(Built { ok: second.ok, crates: first.crates, failures })
}

fn kernels(workspace: &Workspace) -> Result<Built> {
    let programs = build(cargo(workspace).args(BUILD_ALL))?;
    if !programs.ok {
        return Ok(programs);
    }
    let mut fetch = rota_vm(workspace);
    let ok = succeeds(fetch.arg("fetch").stdin(Stdio::null()))?;
    Ok(Built { ok, ..programs })
}

/// The programs that run in the machines are not built by testing the package that starts them.
fn vm_tests(workspace: &Workspace, mode: Mode) -> Result<Built> {
    let programs = build(cargo(workspace).args(BUILD_ALL))?;
    if !programs.ok {
        return Ok(programs);
    }
    let tests = tests(workspace, mode, &["--package", VM_PACKAGE])?;
    Ok(Built { crates: programs.crates + tests.crates, ..tests })
}

/// Fails when cargo finds something out of date right after everything was built. What breaks this
/// first is a build script that names its inputs wrongly.
fn nothing_to_build(workspace: &Workspace) -> Result<Built> {
    let first = build(cargo(workspace).args(BUILD_ALL))?;
    let second = build(cargo(workspace).args(BUILD_ALL))?;
    if second.crates > 0 {
        complain("building twice built the crates above twice; look at what their build.rs reads");
    }
    Ok(Built { ok: first.ok && second.ok && second.crates == 0, ..first })
}

#[derive(Default)]
struct Report {
    rows: Vec<Row>,
    failures: Vec<Failure>,
}

struct Row {
    name: &'static str,
    end: End,
    took: Duration,
}

/// How a phase ended; the number is how many crates cargo had to build.
enum End {
    Passed(usize),
    Failed(usize),
    Skipped,
}

impl Report {
    fn build_failed(&self) -> bool {
        self.failed().contains(&"build")
    }

    fn failed(&self) -> Vec<&'static str> {
        let failed = self.rows.iter().filter(|row| matches!(row.end, End::Failed(_)));
        failed.map(|row| row.name).collect()
    }

    fn table(&self, took: Duration) -> String {
        let mut text = String::new();
        for failure in &self.failures {
            let _ = writeln!(text, "\nfailed, at least once: {}", failure.text());
        }
        let _ =
            writeln!(text, "\n{:<9} {:<7} {:>8} {:>8}", "phase", "result", "seconds", "rebuilt");
        let mut total = 0;
        for row in &self.rows {
            let (result, crates) = match row.end {
                End::Passed(crates) => ("ok", crates),
                End::Failed(crates) => ("FAILED", crates),
                End::Skipped => ("skipped", 0),
            };
            total += crates;
            let seconds = row.took.as_secs_f64();
            let _ = writeln!(text, "{:<9} {result:<7} {seconds:>8.1} {crates:>8}", row.name);
        }
        let _ = writeln!(text, "total {:>20.1}", took.as_secs_f64());
        let _ = writeln!(text, "rebuilt: {total} crates");
        match self.failed().as_slice() {
            [] => text.push_str("passed"),
            names => {
                let _ = write!(text, "failed: {}", names.join(", "));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str], mode: Mode) -> Vec<&'static str> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        choose(&arguments, mode).unwrap().iter().map(|phase| phase.name).collect()
    }

    #[test]
    fn phases_run_in_their_order() {
        assert_eq!(names(&[], Mode::Check).len(), PHASES.len());
        assert_eq!(names(&["unit", "tidy"], Mode::Check), ["tidy", "unit"]);
        assert_eq!(names(&[], Mode::Bless), ["install", "unit", "kernels", "vm"]);
        assert!(choose(&["units".to_owned()], Mode::Check).is_err());
    }

    #[test]
    fn the_table_names_what_failed() {
        let row = |name, end| Row { name, end, took: Duration::from_millis(1500) };
        let mut report = Report {
            rows: vec![row("tidy", End::Passed(0)), row("unit", End::Passed(3))],
            failures: Vec::new(),
        };
        let text = report.table(Duration::from_secs(3));
        assert!(text.contains("unit      ok           1.5        3"), "{text}");
        assert!(text.ends_with("rebuilt: 3 crates\npassed"), "{text}");
        report.rows.push(row("build", End::Failed(1)));
        report.rows.push(row("vm", End::Skipped));
        assert!(report.build_failed());
        assert!(report.table(Duration::ZERO).ends_with("failed: build"));
    }
}
