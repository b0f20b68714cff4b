// SPDX-License-Identifier: GPL-2.0-or-later
//! Recordings as workloads, for `rota sim --replay` and `rota compare --replay`.

use crate::exit::Exit;
use crate::output;
use crate::sim::input::RESERVED;
use crate::view::{open_recording, tell_problems};
use anyhow::{Context, Result, bail};
use rota_events::{Activity, CpuPlace, Summary};
use rota_sim::{Costs, Model, Noise};
use rota_topology::{CpuId, CpuMask};
use rota_trace::{Replay, ReplayCosts, ReplayCounts, ReplayOptions, short_ns};
use rota_workload::{TASKS_MAX, Workload};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Options by which a recording is the workload.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReplayArgs {
    /// A recording as the workload: its tasks run, sleep and wait for each other as they did. Its
    /// machine is the machine and its length the time, unless they are given, and its kernel that
    /// which is nearest
    #[arg(id = "replay", long, value_name = "FILE", conflicts_with = "workload", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// The nice value that tasks of this name have in the replay; without it, that of the recording
    #[arg(long, value_name = "NAME=N", requires = "replay", value_parser = name_nice, allow_hyphen_values = true)]
    pub(crate) nice: Vec<(String, i32)>,
}

impl ReplayArgs {
    /// Reads the recording, if one is given.
    pub(crate) fn load(&self) -> Result<Option<Replayed>> {
        self.file.as_deref().map(|path| load(path, &self.nice)).transpose()
    }
}

/// What a switch takes of the time that a task is on a CPU, in ns: as machines say, and not more than
/// the shortest that recordings show.
const SWITCH_NS: u64 = 1000;

/// A recording that is to be replayed.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// What its tasks did.
    workload: Workload,
    /// Its machine, in the short form.
    pub(crate) machine: String,
    /// Where its CPUs are, as many as were seen at least.
    cpus: Vec<CpuPlace>,
    /// Its kernel, as the recording names it.
    pub(crate) kernel: String,
    /// How long it is, in ns.
    pub(crate) length_ns: u64,
    /// Whether all of it could be read.
    pub(crate) whole: bool,
    /// What was measured when it was recorded.
    summary: Summary,
    counts: ReplayCounts,
    costs: ReplayCosts,
    /// How long an idle CPU took to run who woke up, as a median in ns.
    idle_wake_ns: u64,
    preempts_at_once: bool,
}

/// A `name=nice` argument.
fn name_nice(text: &str) -> Result<(String, i32), String> {
    let (name, nice) = crate::args::name_value(text)?;
    let value = nice.parse().ok().filter(|nice| (-20..=19).contains(nice));
    Ok((name, value.ok_or_else(|| format!("'{nice}' is no nice value, which is -20 to 19"))?))
}

/// The machine of a recording in the short form: as many nodes, caches, cores and threads as it
/// has. One that is not even gets as many CPUs.
fn short_form(cpus: &[CpuPlace]) -> String {
    let count =
        |of: &dyn Fn(&CpuPlace) -> u32| cpus.iter().map(of).collect::<BTreeSet<_>>().len().max(1);
    let (cores, llcs, nodes) = (count(&|c| c.core), count(&|c| c.llc), count(&|c| c.node));
    let (all, even) = (cpus.len().max(1), |part: usize, of: usize| part.is_multiple_of(of));
    match even(all, cores) && even(cores, llcs) && even(llcs, nodes) {
        true => format!("{nodes}n:{}l:{}c:{}t", llcs / nodes, cores / llcs, all / cores),
        false => format!("{all}c"),
    }
}

/// CPUs with those next to each other that have a core, a cache or a node in common.
fn in_order(cpus: &[CpuPlace]) -> Vec<CpuId> {
    let mut order: Vec<(&CpuPlace, u32)> = cpus.iter().zip(0..).collect();
    order.sort_by_key(|(place, cpu)| (place.node, place.llc, place.core, *cpu));
    order.into_iter().map(|(_, cpu)| CpuId(cpu)).collect()
}

/// Which CPU of a machine stands for each of a recording: the one in the same place of the order.
fn stand_ins(recorded: &[CpuPlace], machine: &[CpuPlace]) -> BTreeMap<CpuId, CpuId> {
    in_order(recorded).into_iter().zip(in_order(machine)).collect()
}

/// Reads a recording.
fn load(path: &Path, nice: &[(String, i32)]) -> Result<Replayed> {
    let name = path.display().to_string();
    let mut reader = open_recording(path)?;
    let mut activity = Activity::new(&reader.machine().cpus);
    let (mut replay, mut last) = (Replay::with_switches_of(SWITCH_NS), 0);
    while let Some(events) = reader.next_events()? {
        for event in &events {
            activity.add(event);
            replay.add(event);
            last = last.max(event.cpu.0.saturating_add(1));
        }
    }
    replay.finish();
    let whole = tell_problems(&name, reader.problems()) == Exit::Done;
    let mut cpus = reader.machine().cpus.clone();
    let machine = if cpus.is_empty() { format!("{}c", last.max(1)) } else { short_form(&cpus) };
    while cpus.len() < last as usize {
        let core = cpus.len() as u32;
        cpus.push(CpuPlace { core, ..CpuPlace::default() });
    }
    let kernel = reader.machine().kernel.clone();
    let (counts, length_ns) = (replay.counts(), replay.length_ns());
    let idle_wake_ns = replay.idle_wakes().quantile(1, 2);
    let preempts_at_once = replay.preempts_at_once();
    let reserved = RESERVED.map(str::to_owned).to_vec();
    let options = ReplayOptions { nice: nice.to_vec(), reserved };
    let costs = replay.costs();
    let workload = replay.workload(reader.tables(), &options).with_context(|| name.clone())?;
    let tasks = workload.templates.len();
    if tasks as u64 > TASKS_MAX {
        bail!("{name}: {tasks} tasks; a machine can have {TASKS_MAX}");
    }
    if counts.lost > 0 {
        output::note(&format!(
            "rota: {name}: {} events are lost; what tasks did meanwhile is left out",
            counts.lost
        ));
    }
    let summary = activity.summary(0);
    Ok(Replayed {
        workload,
        machine,
        cpus,
        kernel,
        length_ns,
        whole,
        summary,
        counts,
        costs,
        idle_wake_ns,
        preempts_at_once,
    })
}

impl Replayed {
    /// Times of a recording have in them what ticks and cold caches took, and its tasks are its noise:
    /// none of it comes twice. What switches and interrupts between CPUs took is not in them any more. What a
    /// scheduler of sched_ext takes comes on top.
    ///
    /// What is returned is the workload for that machine: tasks that may not use all CPUs of the recording
    /// use those of theirs that it has, or all if it has none of them.
    pub(crate) fn prepare(&self, model: &mut Model) -> Workload {
        model.costs = Costs {
            switch_ns: SWITCH_NS,
            interrupt_ns: self.idle_wake_ns,
            kick_ns: self.costs.kick_ns,
            kicked_ns: self.costs.kicked_ns,
            tick_ns: 0,
            migration_ns: Costs::NONE.migration_ns,
            refill_ns: 0,
            smt_percent: Costs::NONE.smt_percent,
            ..model.costs
        };
        model.platform.idle.clear();
        model.platform.noise = Noise::default();
        model.platform.preempts_at_once = self.preempts_at_once;
        let all = model.topology.possible();
        let stand_ins = stand_ins(&self.cpus, &rota_sim::cpu_places(&model.topology));
        let recorded: CpuMask = (0..self.cpus.len() as u32).map(CpuId).collect();
        self.workload.clone().with_cpus(|cpus| {
            let there: CpuMask =
                cpus.iter().filter_map(|cpu| stand_ins.get(&cpu).copied()).collect();
            if there.is_empty() || recorded.is_subset(cpus) { all.clone() } else { there }
        })
    }

    /// What the recording and its replay have in common, line by line: names, and both numbers.
    fn rows(&self, replay: &Summary) -> [(&'static str, f64, f64); 5] {
        let (a, b) = (self.summary.total(), replay.total());
        let (at, bt) = (self.summary.machine(), replay.machine());
        let quantile =
            |part| (a.latency.quantile(part, 1000) as f64, b.latency.quantile(part, 1000) as f64);
        let (p50, p99) = (quantile(500), quantile(990));
        [
            ("switches", at.switches as f64, bt.switches as f64),
            ("latency p50", p50.0, p50.1),
            ("latency p99", p99.0, p99.1),
            ("utilisation", at.utilisation(), bt.utilisation()),
            ("run time", a.run_ns as f64, b.run_ns as f64),
        ]
    }

    /// How well the replay reproduces the recording, as a table.
    pub(crate) fn text(&self, replay: &Summary) -> String {
        let counts = &self.counts;
        let mut text = format!(
            "\nreplay      {:.1} % of {} wake-ups by tasks became dependencies, and {} answers and {} \
             messages; {} sleeps ended by interrupts, {} for no known reason\n{:<12}{:>14}{:>14}{:>10}\n",
            100.0 * counts.share(),
            counts.by_tasks,
            counts.answers,
            counts.messages,
            counts.by_interrupts,
            counts.unexplained,
            "",
            "recorded",
            "replayed",
            "change",
        );
        for (name, before, after) in self.rows(replay) {
            let form = |value: f64| match name {
                "switches" => format!("{value:.0}"),
                "utilisation" => format!("{:.1} %", 100.0 * value),
                _ => short_ns(value as u64),
            };
            let change = 100.0 * (after - before) / before.max(f64::MIN_POSITIVE);
            let change = if before > 0.0 { format!("{change:+.1} %") } else { "-".to_owned() };
            // Writing to a string can't fail.
            let _ = writeln!(text, "{name:<12}{:>14}{:>14}{change:>10}", form(before), form(after));
        }
        text
    }

    /// The same as JSON, times in ns.
    pub(crate) fn json(&self, replay: &Summary) -> Value {
        let rows = self.rows(replay);
        let side = |which: fn(&(&'static str, f64, f64)) -> f64| {
            let pairs = rows.iter().map(|row| (row.0.replace(' ', "_"), json!(which(row))));
            Value::Object(pairs.collect())
        };
        json!({
            "recorded": side(|row| row.1),
            "replayed": side(|row| row.2),
            "wakeups_by_tasks": self.counts.by_tasks,
            "dependencies": self.counts.dependencies,
            "share": self.counts.share(),
            "answers": self.counts.answers,
            "messages": self.counts.messages,
            "by_interrupts": self.counts.by_interrupts,
            "unexplained": self.counts.unexplained,
            "forks": self.counts.forks,
            "lost": self.counts.lost,
            "idle_wake_ns": self.idle_wake_ns,
            "wake_ns": self.costs.wake_ns,
            "free_ns": self.costs.free_ns,
            "sleep_ns": self.costs.sleep_ns,
            "kick_ns": self.costs.kick_ns,
            "kicked_ns": self.costs.kicked_ns,
            "preempts_at_once": self.preempts_at_once,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_in_the_short_form() {
        let place = |core, llc, node| CpuPlace { core, llc, node };
        let smt = [place(0, 0, 0), place(0, 0, 0), place(1, 1, 1), place(1, 1, 1)];
        assert_eq!(short_form(&smt), "2n:1l:1c:2t");
        assert_eq!(short_form(&smt[..3]), "3c", "not even");
        // As x86 often has them: the first threads of all cores, then the second ones.
        let apart = [place(0, 0, 0), place(1, 0, 0), place(0, 0, 0), place(1, 0, 0)];
        let near = [place(0, 0, 0), place(0, 0, 0), place(1, 0, 0), place(1, 0, 0)];
        let numbers = |machine| stand_ins(&apart, machine).into_values().map(|cpu| cpu.0);
        assert!(numbers(&near).eq([0, 2, 1, 3]), "the short form has siblings as neighbours");
        assert!(numbers(&apart).eq(0..4), "the same machine");
        assert!(numbers(&near[..1]).eq([0]), "a smaller one");
        assert!(name_nice("a=20").is_err() && name_nice("a=-20").is_ok());
    }
}
