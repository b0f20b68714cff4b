// SPDX-License-Identifier: GPL-2.0-or-later
//! What a run measured, as values of the comparison.

use crate::sim::drive::Outcome;
use rota_compare::measure::{
    CPUS, IDLE_WAITING, JOULES, LATE, MEASURED_JOULES, MEASURED_WORK_JOULES, MIGRATIONS_CORE,
    MIGRATIONS_LLC, MIGRATIONS_NODE, MIGRATIONS_REMOTE, OTHERS, PREEMPTIONS, SWITCHES, UNFAIRNESS,
    UTILISATION, WORK, WORK_JOULES,
};
use rota_compare::{ALL, Latency, RunId, RunResult};
use rota_events::TaskUse;
use rota_load::Report;
use rota_object::ExitInfo;
use rota_sim::NOISE;
use rota_workload::Pieces;

/// The values of a run. Noise is in what is of the machine, and in nothing that is of tasks.
pub(super) fn result(id: RunId, outcome: &Outcome) -> RunResult {
    let mut result = RunResult::new(id);
    let summary = &outcome.summary;
    let seconds = (summary.end_ns - summary.start_ns).max(1) as f64 / 1e9;
    let mut used = summary.groups(&outcome.tables);
    let mut all = TaskUse::default();
    let mut done = 0;
    let groups = outcome.pieces.iter().filter(|pieces| pieces.group != NOISE);
    let several = groups.clone().count() > 1;
    for pieces in groups {
        let (_, tasks) = used.remove(&pieces.group).unwrap_or_default();
        let group = if several { pieces.group.as_str() } else { ALL };
        of_group(&mut result, group, pieces, &tasks, seconds);
        done += pieces.done;
        all.merge(&tasks);
    }
    if several {
        result.add_latencies(ALL, Latency::Scheduling, all.latency.clone(), all.waiting_ns);
    }
    let machine = summary.machine();
    let cpu_ns = (machine.busy_ns + machine.idle_ns).max(1) as f64;
    result.add(ALL, UTILISATION, 100.0 * machine.utilisation());
    result.add(ALL, UNFAIRNESS, 100.0 * all.short_ns as f64 / all.run_ns.max(1) as f64);
    result.add(ALL, IDLE_WAITING, 100.0 * summary.lost_idle_ns as f64 / cpu_ns);
    switches(&mut result, &all, seconds);
    result.add(ALL, JOULES, outcome.joules);
    if !several && done > 0 {
        result.add(ALL, WORK_JOULES, outcome.joules / done as f64);
    }
    result.ended = outcome.exit.as_ref().map(why);
    result
}

/// A run of a scheduler that the kernel ended.
pub(super) fn ejected(id: RunId, info: &ExitInfo) -> RunResult {
    RunResult { ended: Some(why(info)), ..RunResult::new(id) }
}

fn why(info: &ExitInfo) -> String {
    let words = if info.msg.is_empty() { &info.reason } else { &info.msg };
    words.clone()
}

/// The values of a run of real threads, during which packages used so many joules, where that is
/// known.
pub(super) fn of_load(id: RunId, report: &Report, joules: Option<f64>) -> RunResult {
    let mut result = RunResult::new(id);
    let seconds = report.elapsed_ns.max(1) as f64 / 1e9;
    let several = report.groups.len() > 1;
    let mut all = TaskUse::default();
    for group in &report.groups {
        let name = if several { group.pieces.group.as_str() } else { ALL };
        of_group(&mut result, name, &group.pieces, &group.used, seconds);
        all.merge(&group.used);
    }
    if several {
        result.add_latencies(ALL, Latency::Scheduling, all.latency.clone(), all.waiting_ns);
    }
    if let Some(machine) = report.machine {
        let all_ns = (machine.busy_ns + machine.idle_ns).max(1) as f64;
        result.add(ALL, UTILISATION, 100.0 * machine.busy_ns as f64 / all_ns);
        // Both are rounded, so it may be a little below nothing; more digits would be made up.
        let others = machine.busy_ns as f64 - report.total().run_ns as f64;
        result.add(ALL, OTHERS, (others.max(0.0) / 1e6 / seconds).round() / 1000.0);
    }
    if report.known.switches {
        switches(&mut result, &all, seconds);
    }
    if let Some(joules) = joules {
        result.add(ALL, MEASURED_JOULES, joules);
        let done: u64 = report.groups.iter().map(|group| group.pieces.done).sum();
        if !several && done > 0 {
            result.add(ALL, MEASURED_WORK_JOULES, joules / done as f64);
        }
    }
    result
}

/// What a group of tasks did.
fn of_group(result: &mut RunResult, group: &str, pieces: &Pieces, tasks: &TaskUse, seconds: f64) {
    result.add(group, WORK, pieces.done as f64 / seconds);
    result.add(group, CPUS, tasks.run_ns as f64 / 1e9 / seconds);
    result.add_latencies(group, Latency::Scheduling, tasks.latency.clone(), tasks.waiting_ns);
    // Who has no answer yet has waited for as long as until now.
    let mut requests = pieces.latency.clone();
    requests.merge(&pieces.open);
    result.add_latencies(group, Latency::Request, requests, 0);
    if pieces.deadline_ns.is_some() {
        result.add(group, LATE, pieces.late as f64 / seconds);
    }
}

/// How often tasks were switched to, preempted and moved.
fn switches(result: &mut RunResult, all: &TaskUse, seconds: f64) {
    result.add(ALL, SWITCHES, all.switches as f64 / seconds);
    result.add(ALL, PREEMPTIONS, all.preemptions as f64 / seconds);
    let migrations = [MIGRATIONS_CORE, MIGRATIONS_LLC, MIGRATIONS_NODE, MIGRATIONS_REMOTE];
    for (measure, count) in migrations.into_iter().zip(all.migrations) {
        result.add(ALL, measure, count as f64 / seconds);
    }
}
