// SPDX-License-Identifier: GPL-2.0-or-later
//! The machine and what runs on it: by their names, or as a recording has them.

use crate::sim::input;
use crate::view::{open_recording, tell_problems};
use crate::{args, machine};
use anyhow::{Context, Result, bail};
use rota_events::{Activity, CpuPlace, Summary};
use rota_sim::{Model, Noise};
use rota_topology::Spec;
use rota_trace::{Replay, ReplayFacts};
use rota_workload::Workload;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The machine where none is asked for.
const MACHINE: &str = "desktop16";
/// CPU numbers above which a recording can't be a machine.
const CPUS_MAX: usize = 4096;

/// Options by which a recording is the workload.
#[derive(clap::Args)]
pub(crate) struct ReplayOptions {
    /// Replay a recording: tasks run, sleep and wake each other as they did in it. It may be any
    /// that rota view reads, such as of rota record or perf sched record; the machine is the
    /// recorded one, unless --machine says another
    #[arg(long, value_name = "FILE", conflicts_with = "workload", value_hint = clap::ValueHint::FilePath)]
    replay: Option<PathBuf>,
    /// In a replay, give all tasks of this name another nice value
    #[arg(long, value_name = "NAME=N", value_parser = nice, requires = "replay")]
    nice: Vec<(String, i32)>,
}

fn nice(text: &str) -> Result<(String, i32), String> {
    let (name, nice) = args::name_value(text)?;
    let nice = nice.parse().ok().filter(|nice| (-20..=19).contains(nice));
    Ok((name, nice.ok_or("a nice value is from -20 to 19")?))
}

/// The machine and what runs on it.
pub(crate) struct Stage {
    /// The machine by the name that it was given.
    pub(crate) machine: String,
    pub(crate) model: Model,
    /// The workloads by the names that they were given.
    pub(crate) words: Vec<String>,
    pub(crate) workload: Workload,
    pub(crate) run_ns: u64,
    pub(crate) replayed: Option<Replayed>,
}

/// A recording that is replayed.
pub(crate) struct Replayed {
    pub(crate) file: String,
    pub(crate) facts: ReplayFacts,
    /// What happened in it.
    pub(crate) recorded: Summary,
}

impl Stage {
    /// Sets up what is asked for. Without a time, the machine runs for `run_ns`, or as long as the
    /// recording is.
    pub(crate) fn set(
        machine: Option<&str>,
        words: &[String],
        replay: &ReplayOptions,
        asked_ns: Option<u64>,
        run_ns: u64,
    ) -> Result<Self> {
        if asked_ns == Some(0) {
            bail!("--for 0s: there is nothing to see in no time");
        }
        if let Some(path) = &replay.replay {
            return Self::replay(path, machine, &replay.nice, asked_ns);
        }
        let machine = machine.unwrap_or(MACHINE).to_owned();
        let model = machine::read(&machine)?;
        let workload = input::workload(words, &model)?;
        let (words, run_ns) = (words.to_vec(), asked_ns.unwrap_or(run_ns));
        Ok(Self { machine, model, words, workload, run_ns, replayed: None })
    }

    fn replay(
        path: &Path,
        machine: Option<&str>,
        nice: &[(String, i32)],
        asked_ns: Option<u64>,
    ) -> Result<Self> {
        let file = path.display().to_string();
        let mut recording = open_recording(path)?;
        let places = recording.machine().cpus.clone();
        let machine = match machine {
            Some(machine) => machine.to_owned(),
            None => spec(&places).with_context(|| format!("{file}: give a machine: --machine"))?,
        };
        let mut model = machine::read(&machine)?;
        // What disturbed the machine is in the recording.
        model.platform.noise = Noise::default();
        let mut replay = Replay::new(model.costs.switch_ns);
        let mut activity = Activity::new(&places);
        while let Some(events) = recording.next_events().with_context(|| file.clone())? {
            for event in &events {
                replay.add(event);
                activity.add(event);
            }
        }
        // What can be read of it is replayed, and the rest is told.
        tell_problems(&file, recording.problems());
        let (workload, facts) = replay.finish(recording.tables(), nice);
        if facts.tasks == 0 {
            bail!("{file}: nothing is switched in it, so there is nothing to replay");
        }
        if let Some((name, _)) =
            nice.iter().find(|(name, _)| workload.groups.iter().all(|g| g.name != *name))
        {
            bail!("--nice {name}: the recording has no task of that name");
        }
        let words = vec![format!("replay of {file}")];
        let run_ns = asked_ns.unwrap_or(facts.long_ns).max(1);
        let replayed = Some(Replayed { file, facts, recorded: activity.summary(0) });
        Ok(Self { machine, model, words, workload, run_ns, replayed })
    }
}

/// A machine in short form with these CPUs, if it is the same everywhere.
fn spec(places: &[CpuPlace]) -> Result<String> {
    if places.is_empty() || places.len() > CPUS_MAX {
        bail!("it does not say which CPUs it was recorded on");
    }
    let count = |keys: BTreeSet<(u32, u32, u32)>| keys.len() as u32;
    let nodes = count(places.iter().map(|p| (p.node, 0, 0)).collect());
    let llcs = count(places.iter().map(|p| (p.node, p.llc, 0)).collect());
    let cores = count(places.iter().map(|p| (p.node, p.llc, p.core)).collect());
    let cpus = places.len() as u32;
    let even =
        llcs.is_multiple_of(nodes) && cores.is_multiple_of(llcs) && cpus.is_multiple_of(cores);
    let spec = Spec::new(nodes, 1, llcs / nodes, cores / llcs, cpus / cores).filter(|_| even);
    match spec {
        Some(spec) => Ok(spec.to_string()),
        None => bail!("its nodes, caches or cores are not all alike"),
    }
}

/// What a recording and its replay have in common, as rows: what, recorded, replayed.
pub(crate) fn side_by_side(
    recorded: &Summary,
    replayed: &Summary,
) -> Vec<(&'static str, f64, f64)> {
    let numbers = |summary: &Summary| {
        let (total, machine) = (summary.total(), summary.machine());
        let seconds = summary.end_ns.saturating_sub(summary.start_ns).max(1) as f64 / 1e9;
        let latency = |part, of| total.latency.quantile(part, of) as f64 / 1000.0;
        [
            ("switches/s", machine.switches as f64 / seconds),
            ("utilisation %", 100.0 * machine.utilisation()),
            ("preemptions/s", total.preemptions as f64 / seconds),
            ("latency p50 us", latency(50, 100)),
            ("latency p90 us", latency(90, 100)),
            ("latency p99 us", latency(99, 100)),
        ]
    };
    let both = numbers(recorded).into_iter().zip(numbers(replayed));
    both.map(|((name, recorded), (_, replayed))| (name, recorded, replayed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_machine_has_a_short_form_if_it_is_even() {
        let place = |core, llc, node| CpuPlace { core, llc, node };
        let two: Vec<_> = (0..2).map(|core| place(core, 0, 0)).collect();
        assert_eq!(spec(&two).unwrap(), Spec::new(1, 1, 1, 2, 1).unwrap().to_string());
        // Two nodes with two caches each, of two cores with two threads; numbers as the kernel has
        // them: of cores within a package.
        let large: Vec<_> = (0..16).map(|cpu| place(cpu / 2 % 4, cpu / 4 % 2, cpu / 8)).collect();
        assert_eq!(spec(&large).unwrap(), Spec::new(2, 1, 2, 2, 2).unwrap().to_string());
        assert!(spec(&[place(0, 0, 0), place(1, 0, 0), place(2, 1, 0)]).is_err());
        assert!(spec(&[]).is_err());
    }
}
