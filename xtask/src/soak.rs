// SPDX-License-Identifier: GPL-2.0-or-later
//! `soak`: what takes too long for the test. It prints what `docs/testing.md` states.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::Outcome;
use crate::fuzz::{Corpus, Fuzzers, number, targets};
use crate::mutate;
use crate::output::{complain, say};
use crate::process::{cargo, succeeds};
use crate::workspace::Workspace;

/// Random cases of a test program, of which each is decided by its seed.
struct Cases {
    /// What a case is called, in the plural.
    name: &'static str,
    package: &'static str,
    /// The test program.
    test: &'static str,
    /// Which of its tests.
    args: &'static [&'static str],
    /// The variable that says how many.
    count: &'static str,
    /// Cases of one process: few enough that progress shows, enough that starting costs nothing.
    chunk: u64,
    /// What it means that none fails.
    good: &'static str,
}

const PROGRAMS: Cases = Cases {
    name: "random programs",
    package: "rota-bytecode",
    test: "bytecode",
    args: &["--exact", "random::both_modes_do_the_same", "--nocapture"],
    count: "ROTA_PROGRAMS",
    chunk: 20_000,
    good: "both engines did the same with each",
};
const BALANCE: Cases = Cases {
    name: "cases of each test of balance",
    package: "rota-balance",
    test: "balance",
    args: &["--test-threads=1"],
    count: "ROTA_CASES",
    chunk: 10_000,
    good: "all shares and plans are as they have to be",
};
/// How that test starts the line that says how its programs ended.
const ENDS: &str = "ends: ";

/// What is to be done.
struct Plan {
    programs: u64,
    seed: u64,
    jobs: u64,
    seconds: u64,
    /// 0 leaves mutations out.
    mutations: u64,
    /// Cases of each test of `balance`.
    balance: u64,
    /// 0 leaves out the comparisons of whole size.
    cells: u64,
}

impl Plan {
    fn parse(args: &[String]) -> Result<Self> {
        let jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let (programs, balance) = (1_000_000, 1_000_000);
        let (seed, seconds, mutations, cells) = (1, 600, 1, 1);
        let mut plan = Self { programs, seed, jobs, seconds, mutations, balance, cells };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let place = match arg.as_str() {
                "--programs" => &mut plan.programs,
                "--seed" => &mut plan.seed,
                "--jobs" => &mut plan.jobs,
                "--seconds" => &mut plan.seconds,
                "--mutations" => &mut plan.mutations,
                "--balance" => &mut plan.balance,
                "--cells" => &mut plan.cells,
                other => bail!(
                    "`{other}` is no option of soak; there are --programs, --seed, --jobs, \
                     --seconds, --mutations, --balance, --cells"
                ),
            };
            *place = number(arg, args.next())?;
        }
        Ok(plan)
    }
}

/// `cargo xtask soak [--programs N] [--seed N] [--jobs N] [--seconds N] [--mutations 0]
/// [--balance N] [--cells 0]`.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<Outcome> {
    let plan = Plan::parse(args)?;
    let _lock = workspace.lock_target()?;
    let mut all_good = true;
    for (cases, count) in [(&PROGRAMS, plan.programs), (&BALANCE, plan.balance)] {
        all_good &= count == 0 || random_cases(workspace, &plan, cases, count)?;
    }
    all_good &= plan.cells == 0 || cells(workspace)?;
    if plan.mutations > 0 && !matches!(mutate::run(workspace, &[])?, Outcome::Done) {
        return Ok(Outcome::Failed);
    }
    if plan.seconds > 0 {
        let Some(fuzzers) = Fuzzers::build(workspace)? else { return Ok(Outcome::Failed) };
        let fuzzed = fuzzers.run(&targets(workspace)?, plan.seconds, Corpus::Left)?;
        if !matches!(fuzzed, Outcome::Done) {
            return Ok(Outcome::Failed);
        }
    }
    Ok(if all_good { Outcome::Done } else { Outcome::Failed })
}

/// The comparisons of whole size, in a build that checks itself.
fn cells(workspace: &Workspace) -> Result<bool> {
    say("== tests/cells/whole");
    let started = Instant::now();
    let mut test = cargo(workspace);
    test.args(["test", "--profile", "soak", "--package", "rota", "--test", "cells"]);
    let good = succeeds(test.env("ROTA_CELLS", "whole"))?;
    let seconds = started.elapsed().as_secs();
    let what = if good { "everything is as it was" } else { "something is NOT as it was" };
    say(&format!("{what}; {seconds} s with building"));
    Ok(good)
}

/// How far the random cases are.
#[derive(Default)]
struct Done {
    cases: u64,
    /// How many ended in each way.
    ends: BTreeMap<String, u64>,
    failed: bool,
}

impl Done {
    /// Takes the line from what a process printed.
    fn read(&mut self, output: &str) {
        for line in output.lines() {
            let Some((_, ends)) = line.split_once(ENDS) else { continue };
            for (end, count) in ends.split(", ").filter_map(|pair| pair.split_once(' ')) {
                *self.ends.entry(end.to_owned()).or_default() += count.parse().unwrap_or(0);
            }
        }
    }

    fn ends(&self) -> String {
        let ends = self.ends.iter().map(|(end, count)| format!("{end} {count}"));
        ends.collect::<Vec<_>>().join(", ")
    }
}

/// So many random cases, in as many processes at once as there are jobs.
fn random_cases(workspace: &Workspace, plan: &Plan, cases: &Cases, count: u64) -> Result<bool> {
    let mut build = cargo(workspace);
    build.args(["test", "--profile", "soak", "--package", cases.package, "--test", cases.test]);
    build.args(["--no-run", "--message-format=json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let Some(program) = executable(&messages).filter(|_| output.status.success()) else {
        return Ok(false);
    };
    say(&format!("== {count} {} from seed {} on", cases.name, plan.seed));
    let started = Instant::now();
    let (next, done) = (AtomicU64::new(0), Mutex::new(Done::default()));
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(cases.chunk, Ordering::Relaxed);
                    if first >= count {
                        break;
                    }
                    let some = cases.chunk.min(count - first);
                    chunk(&program, cases, plan.seed + first, some, &done);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = started.elapsed().as_secs();
    say(&format!("{} {} in {seconds} s; {}", done.cases, cases.name, done.ends()));
    say(if done.failed { "some FAILED" } else { cases.good });
    Ok(!done.failed)
}

/// The program that cargo's messages name last.
fn executable(messages: &str) -> Option<PathBuf> {
    let (_, rest) = messages.rsplit_once("\"executable\":\"")?;
    rest.split('"').next().map(PathBuf::from)
}

/// Runs one process, and adds what came of it.
fn chunk(program: &Path, cases: &Cases, seed: u64, count: u64, done: &Mutex<Done>) {
    let mut command = Command::new(program);
    command.args(cases.args).stdin(Stdio::null());
    command.env("ROTA_SEED", seed.to_string()).env(cases.count, count.to_string());
    let output = command.output();
    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match output {
        Ok(output) if output.status.success() => {
            done.cases += count;
            done.read(&String::from_utf8_lossy(&output.stdout));
        }
        Ok(output) => {
            done.failed = true;
            complain(&String::from_utf8_lossy(&output.stdout));
            complain(&String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => {
            done.failed = true;
            complain(&format!("cannot start {}: {error}", program.display()));
        }
    }
    say(&format!("{} done: {}", done.cases, done.ends()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_added_up() {
        let mut done = Done::default();
        done.read("running 1 test\n20 programs from seed 1, ends: load 3, return 17\nok\n");
        done.read("20 programs from seed 21, ends: return 20\n");
        assert_eq!(done.ends(), "load 3, return 37");
    }

    #[test]
    fn the_program_is_named_by_cargo() {
        let messages = "{\"executable\":null}\n{\"executable\":\"/t/x-1\",\"fresh\":true}\n{}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/x-1")));
        assert_eq!(executable("{\"executable\":null}"), None);
    }

    #[test]
    fn options() {
        let parse =
            |args: &[&str]| Plan::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>());
        let plan = parse(&["--programs", "7", "--seconds", "0"]).unwrap();
        assert_eq!((plan.programs, plan.seed, plan.seconds, plan.balance), (7, 1, 0, 1_000_000));
        assert_eq!((plan.cells, parse(&["--cells", "0"]).unwrap().cells), (1, 0));
        assert!(parse(&["--programs"]).is_err());
        assert!(parse(&["fast"]).is_err());
    }
}
