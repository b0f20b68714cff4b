// SPDX-License-Identifier: GPL-2.0-or-later
//! What a run measured, as values of the comparison.

use crate::sim::drive::Outcome;
use rota_compare::measure::{
    CPUS, IDLE_WAITING, JOULES, LATE, MIGRATIONS_CORE, MIGRATIONS_LLC, MIGRATIONS_NODE,
    MIGRATIONS_REMOTE, PREEMPTIONS, SWITCHES, UNFAIRNESS, UTILISATION, WORK, WORK_JOULES,
};
use rota_compare::{ALL, Latency, RunId, RunResult};
use rota_events::TaskUse;
use rota_sim::NOISE;

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
    result.add(ALL, SWITCHES, all.switches as f64 / seconds);
    result.add(ALL, PREEMPTIONS, all.preemptions as f64 / seconds);
    let migrations = [MIGRATIONS_CORE, MIGRATIONS_LLC, MIGRATIONS_NODE, MIGRATIONS_REMOTE];
    for (measure, count) in migrations.into_iter().zip(all.migrations) {
        result.add(ALL, measure, count as f64 / seconds);
    }
    result.add(ALL, JOULES, outcome.joules);
    if !several && done > 0 {
        result.add(ALL, WORK_JOULES, outcome.joules / done as f64);
    }
    result.ended = outcome.exit.as_ref().map(|info| {
        let words = if info.msg.is_empty() { &info.reason } else { &info.msg };
        words.clone()
    });
    result
}
