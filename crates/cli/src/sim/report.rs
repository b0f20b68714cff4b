// SPDX-License-Identifier: GPL-2.0-or-later
//! What came of a run, as a table or as JSON.

use super::Args;
use super::contestant::{self, Contestant};
use super::drive::{Job, Outcome};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::replay::Replayed;
use crate::run::report as ejection;
use crate::table::{self, Row};
use anyhow::Result;
use rota_events::{Distance, TaskUse, format_ns, table_with_meanings};
use rota_sched::Choice;
use rota_workload::Pieces;
use serde_json::{Value, json};
use std::fmt::Write;

/// Version of the JSON form.
const SCHEMA: &str = "rota-sim/1";

/// What was run, and on what.
pub(super) struct About<'a> {
    pub(super) args: &'a Args,
    pub(super) job: &'a Job<'a>,
    /// The recording that is replayed.
    pub(super) replayed: Option<&'a Replayed>,
}

/// Tasks that are shown together.
struct Group<'a> {
    name: &'a str,
    tasks: u64,
    work: Option<u64>,
    pieces: Option<&'a Pieces>,
    used: TaskUse,
}

impl Group<'_> {
    fn json(&self) -> Value {
        table::group_json(self.name, self.tasks, self.work, self.pieces, &self.used)
    }
}

/// Prints the outcome.
pub(super) fn print(about: &About<'_>, outcome: &Outcome) -> Result<()> {
    match about.args.format {
        Format::Table => output::text(&text(about, outcome))?,
        Format::Json => output::line(&json(about, outcome).to_string())?,
    }
    Ok(())
}

/// The workload's groups in their order, then what else ran, then all together.
fn groups(outcome: &Outcome) -> Vec<Group<'_>> {
    let mut found = outcome.summary.groups(&outcome.tables);
    let mut groups = Vec::new();
    for pieces in &outcome.pieces {
        let name = pieces.group.as_str();
        let (tasks, used) = found.remove(name).unwrap_or_default();
        groups.push(Group { name, tasks, work: Some(pieces.done), pieces: Some(pieces), used });
    }
    for (tasks, used) in found.into_values() {
        groups.push(Group { name: "others", tasks, work: None, pieces: None, used });
    }
    let tasks = groups.iter().map(|group| group.tasks).sum();
    let work = Some(outcome.pieces.iter().map(|pieces| pieces.done).sum());
    let used = outcome.summary.total();
    groups.push(Group { name: "all", tasks, work, pieces: None, used });
    groups
}

fn text(about: &About<'_>, outcome: &Outcome) -> String {
    let summary = &outcome.summary;
    let seconds = (summary.end_ns - summary.start_ns).max(1) as f64 / 1e9;
    let mut text = heading(about, seconds);
    text += &tasks_table(about, outcome, seconds);
    text += &table::of_requests(&outcome.pieces.iter().collect::<Vec<_>>(), seconds);
    let machine = summary.machine();
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "\nutilisation {:.1} %, {:.0} switches/s, {} events",
        100.0 * machine.utilisation(),
        machine.switches as f64 / seconds,
        summary.kinds.total(),
    );
    let total = summary.total();
    let all_ns = (machine.busy_ns + machine.idle_ns).max(1) as f64;
    let _ = writeln!(
        text,
        "idle while tasks waited {:.2} %, unfairness {:.2} %, {:.2} J (modelled)",
        100.0 * summary.lost_idle_ns as f64 / all_ns,
        100.0 * summary.unfairness(),
        outcome.joules,
    );
    let migrations = Distance::ALL.iter().zip(total.migrations);
    let migrations = migrations.filter(|(distance, _)| **distance != Distance::Unknown);
    let migrations = migrations
        .map(|(distance, count)| format!("{:.1} {}", count as f64 / seconds, distance.name()));
    let _ = writeln!(text, "migrations/s: {}", migrations.collect::<Vec<_>>().join(", "));
    if !outcome.callbacks.is_empty() {
        let _ = writeln!(text, "\n{:<20} {:>12} {:>12}", "callback", "calls/s", "insns/call");
    }
    for (name, called) in outcome.callbacks.iter().filter(|(_, called)| called.calls > 0) {
        let (rate, each) =
            (called.calls as f64 / seconds, called.insns as f64 / called.calls as f64);
        let _ = writeln!(text, "{name:<20} {rate:>12.1} {each:>12.1}");
    }
    let (metrics, first, last) = &outcome.statistics;
    if !metrics.is_empty() {
        let name = about.job.contestant.name();
        let _ = writeln!(text, "\nwhat {name} counted itself, means of all {seconds:.1} s");
        text += &table_with_meanings(metrics, first, last);
    }
    if let Some(replayed) = about.replayed {
        text += &replayed.text(summary);
    }
    if matches!(about.job.contestant, Contestant::Eevdf) {
        let _ = writeln!(text, "\nnote: {}", contestant::eevdf_note());
    }
    if let Some(info) = &outcome.exit {
        let lines = ejection::lines(about.job.contestant.name(), info, Exit::Ejected(info.cause()));
        let _ = writeln!(text, "\n{}", lines.join("\n"));
    }
    text
}

fn heading(about: &About<'_>, seconds: f64) -> String {
    let About { args, job, .. } = about;
    let name = match job.contestant {
        Contestant::Eevdf => format!("eevdf ({})", contestant::EEVDF_IS),
        Contestant::Scheduler(choice, _) => choice.name.clone(),
    };
    let cpus = job.model.topology.online().count();
    // What is over at once is not called nothing.
    let took = match seconds {
        0.05.. => format!("{seconds:.1} s"),
        _ => format_ns((seconds * 1e9).round() as u64),
    };
    let interleaved =
        args.interleaving().map_or_else(String::new, |seed| format!(" (interleaved by {seed})"));
    format!(
        "{name} on a simulated machine: {}, {}{interleaved}, {}, seed {}, {took} of {}\n\n",
        args.machine(),
        if cpus == 1 { "1 CPU".to_owned() } else { format!("{cpus} CPUs") },
        job.kernel.shown_name(),
        args.seed,
        args.workload.join(" + "),
    )
}

/// The rows of the table; a recording says what tasks ran, not what they got done, and it is its own
/// noise.
fn tasks_table(about: &About<'_>, outcome: &Outcome, seconds: f64) -> String {
    let replayed = about.replayed.is_some();
    let mut groups = groups(outcome);
    groups.retain(|group| !replayed || group.tasks > 0 || group.used.switches > 0);
    let rows = groups.iter().map(|group| Row {
        name: group.name,
        tasks: Some(group.tasks),
        work_per_s: group.work.filter(|_| !replayed).map(|work| work as f64 / seconds),
        cpus: group.used.run_ns as f64 / 1e9 / seconds,
        used: &group.used,
        switches_known: true,
    });
    table::of_groups(
        &rows.collect::<Vec<_>>(),
        seconds,
        "scheduling latency, from becoming runnable to running",
    )
}

fn json(about: &About<'_>, outcome: &Outcome) -> Value {
    let About { args, job, .. } = about;
    let choice = job.contestant.choice();
    let summary = &outcome.summary;
    let machine = summary.machine();
    let groups: Vec<_> = groups(outcome).iter().map(Group::json).collect();
    let callbacks: Vec<_> = outcome
        .callbacks
        .iter()
        .map(|(name, called)| json!({ "name": name, "calls": called.calls, "insns": called.insns }))
        .collect();
    let kfuncs: Vec<_> = outcome
        .kfuncs
        .iter()
        .map(|(name, calls)| json!({ "name": name, "calls": calls }))
        .collect();
    let (metrics, _, last) = &outcome.statistics;
    let statistics: serde_json::Map<_, _> =
        metrics.iter().zip(&last.values).map(|(m, v)| (m.name.clone(), json!(v))).collect();
    let exit = outcome
        .exit
        .as_ref()
        .map(|info| ejection::json(job.contestant.name(), info, Exit::Ejected(info.cause())));
    let settings: serde_json::Map<_, _> = choice
        .iter()
        .flat_map(|choice| &choice.settings)
        .map(|(n, v)| (n.clone(), json!(v)))
        .collect();
    json!({
        "schema": SCHEMA,
        "scheduler": job.contestant.name(),
        "settings": settings,
        "verified": choice.is_none_or(Choice::is_built_in),
        "machine": args.machine(),
        "cpus": job.model.topology.online().count(),
        "kernel": job.kernel.name(),
        "workload": args.workload,
        "seed": args.seed,
        "interleave": args.interleaving(),
        "simulated_ns": summary.end_ns - summary.start_ns,
        "groups": groups,
        "busy_ns": machine.busy_ns,
        "idle_ns": machine.idle_ns,
        "switches": machine.switches,
        "lost_idle_ns": summary.lost_idle_ns,
        "unfairness_percent": 100.0 * summary.unfairness(),
        "modelled_joules": outcome.joules,
        "callbacks": callbacks,
        "kfuncs": kfuncs,
        "statistics": statistics,
        "events": summary.kinds.total(),
        "events_hash": format!("{:016x}", outcome.hash),
        "replay": about.replayed.map(|replayed| replayed.json(summary)),
        "exit": exit,
    })
}
