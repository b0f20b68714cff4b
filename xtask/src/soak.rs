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
use crate::process::cargo;
use crate::workspace::Workspace;

/// Programs of one process: few enough that progress shows, enough that starting costs nothing.
const CHUNK: u64 = 20_000;
/// How to build the program that has the test of random programs, and the test's name there.
const BUILD: [&str; 9] = [
    "test",
    "--profile",
    "soak",
    "--package",
    "rota-bytecode",
    "--test",
    "bytecode",
    "--no-run",
    "--message-format=json-render-diagnostics",
];
const TEST: [&str; 3] = ["--exact", "random::both_modes_do_the_same", "--nocapture"];
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
}

impl Plan {
    fn parse(args: &[String]) -> Result<Self> {
        let jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let mut plan = Self { programs: 1_000_000, seed: 1, jobs, seconds: 600, mutations: 1 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let place = match arg.as_str() {
                "--programs" => &mut plan.programs,
                "--seed" => &mut plan.seed,
                "--jobs" => &mut plan.jobs,
                "--seconds" => &mut plan.seconds,
                "--mutations" => &mut plan.mutations,
                other => bail!(
                    "`{other}` is no option of soak; there are --programs, --seed, --jobs, \
                     --seconds, --mutations"
                ),
            };
            *place = number(arg, args.next())?;
        }
        Ok(plan)
    }
}

/// `cargo xtask soak [--programs N] [--seed N] [--jobs N] [--seconds N] [--mutations 0]`.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<Outcome> {
    let plan = Plan::parse(args)?;
    let _lock = workspace.lock_target()?;
    let programs_ok = plan.programs == 0 || random_programs(workspace, &plan)?;
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
    Ok(if programs_ok { Outcome::Done } else { Outcome::Failed })
}

/// How far the random programs are.
#[derive(Default)]
struct Done {
    programs: u64,
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

/// Random programs through both engines, in as many processes at once as there are jobs.
fn random_programs(workspace: &Workspace, plan: &Plan) -> Result<bool> {
    let output = cargo(workspace).args(BUILD).stderr(Stdio::inherit()).output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let Some(program) = executable(&messages).filter(|_| output.status.success()) else {
        return Ok(false);
    };
    say(&format!("== {} random programs from seed {} on", plan.programs, plan.seed));
    let started = Instant::now();
    let (next, done) = (AtomicU64::new(0), Mutex::new(Done::default()));
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(CHUNK, Ordering::Relaxed);
                    if first >= plan.programs {
                        break;
                    }
                    let count = CHUNK.min(plan.programs - first);
                    chunk(&program, plan.seed + first, count, &done);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = started.elapsed().as_secs();
    say(&format!("{} random programs in {seconds} s; {}", done.programs, done.ends()));
    say(if done.failed { "they DIFFERED" } else { "both engines did the same with each" });
    Ok(!done.failed)
}

/// The program that cargo's messages name last.
fn executable(messages: &str) -> Option<PathBuf> {
    let (_, rest) = messages.rsplit_once("\"executable\":\"")?;
    rest.split('"').next().map(PathBuf::from)
}

/// Runs one process, and adds what came of it.
fn chunk(program: &Path, seed: u64, count: u64, done: &Mutex<Done>) {
    let mut command = Command::new(program);
    command.args(TEST).stdin(Stdio::null());
    command.env("ROTA_SEED", seed.to_string()).env("ROTA_PROGRAMS", count.to_string());
    let output = command.output();
    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match output {
        Ok(output) if output.status.success() => {
            done.programs += count;
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
    say(&format!("{} done: {}", done.programs, done.ends()));
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
        assert_eq!((plan.programs, plan.seed, plan.seconds), (7, 1, 0));
        assert!(parse(&["--programs"]).is_err());
        assert!(parse(&["fast"]).is_err());
    }
}
