// SPDX-License-Identifier: GPL-2.0-or-later
//! What came of a load, as a table or as JSON.

use super::{Args, Outcome, cpus_in_words};
use crate::output::{self, Format};
use crate::table::{self, Row};
use anyhow::Result;
use rota_events::{TaskUse, format_ns};
use rota_load::Report;
use rota_load::stress_ng::Stressor;
use serde_json::{Value, json};
use std::fmt::Write;

/// Version of the JSON form.
const SCHEMA: &str = "rota-load/1";

/// Prints the outcome.
pub(super) fn print(args: &Args, outcome: &Outcome) -> Result<()> {
    match args.format {
        Format::Table => output::text(&text(args, outcome))?,
        Format::Json => output::line(&json(args, outcome).to_string())?,
    }
    Ok(())
}

fn text(args: &Args, outcome: &Outcome) -> String {
    let seconds = outcome.elapsed_ns.max(1) as f64 / 1e9;
    let mut text = heading(args, outcome, seconds);
    text += &groups(outcome, seconds);
    if let Some(report) = &outcome.report {
        let pieces = report.groups.iter().map(|group| &group.pieces);
        text += &table::of_requests(&pieces.collect::<Vec<_>>(), seconds);
        text += &utilisation(outcome, report, seconds);
        for warning in &report.warnings {
            // Writing to a string can't fail.
            let _ = writeln!(text, "note: {warning}");
        }
    }
    text
}

fn heading(args: &Args, outcome: &Outcome, seconds: f64) -> String {
    let took = match seconds {
        0.05.. => format!("{seconds:.1} s"),
        _ => format_ns(outcome.elapsed_ns),
    };
    let stress = args.stress_ng.as_ref().map(|words| format!("stress-ng {words}"));
    let what = args.workload.iter().cloned().chain(stress).collect::<Vec<_>>().join(" + ");
    let kind = if args.processes { " as processes" } else { "" };
    let (cpus, kernel, seed) = (cpus_in_words(&outcome.cpus), &outcome.kernel, args.seed);
    format!("load on this machine: {cpus}, Linux {kernel}, seed {seed}, {took} of {what}{kind}\n\n")
}

/// A line for each group, for what comes from outside, for all together, and for each kind of
/// stressor.
fn groups(outcome: &Outcome, seconds: f64) -> String {
    let total = outcome.report.as_ref().map(Report::total).unwrap_or_default();
    let none = TaskUse::default();
    let mut rows = Vec::new();
    if let Some(report) = &outcome.report {
        let row = |name, tasks, work: Option<u64>, used| Row {
            name,
            tasks: Some(tasks),
            work_per_s: work.map(|work| work as f64 / seconds),
            cpus: TaskUse::clone(used).run_ns as f64 / 1e9 / seconds,
            used,
            switches_known: report.known.switches,
        };
        for (name, group) in outcome.names.iter().zip(&report.groups) {
            rows.push(row(name, group.tasks, Some(group.pieces.done), &group.used));
        }
        let (sources, used) = &report.sources;
        if *sources > 0 {
            rows.push(row(OTHERS, *sources, None, used));
        }
        rows.push(row("all", tasks(report), Some(work(report)), &total));
    }
    let names: Vec<String> = outcome.stressors.iter().map(name).collect();
    for (stressor, name) in outcome.stressors.iter().zip(&names) {
        let per_s = |number: f64| number / stressor.wall_s.max(1e-9);
        rows.push(Row {
            name,
            tasks: None,
            work_per_s: Some(per_s(stressor.bogo_ops as f64)),
            cpus: per_s(stressor.cpu_s),
            used: &none,
            switches_known: false,
        });
    }
    let latency = "wake-up latency, from being woken, or the time of a timer, to running";
    table::of_groups(&rows, seconds, latency)
}

/// What comes from outside, among the groups.
const OTHERS: &str = "others";

fn name(stressor: &Stressor) -> String {
    format!("stress-ng {}", stressor.name)
}

/// How many threads there were.
fn tasks(report: &Report) -> u64 {
    report.groups.iter().map(|group| group.tasks).sum::<u64>() + report.sources.0
}

/// Pieces of work.
fn work(report: &Report) -> u64 {
    report.groups.iter().map(|group| group.pieces.done).sum()
}

/// How busy the CPUs were, with this and in all.
fn utilisation(outcome: &Outcome, report: &Report, seconds: f64) -> String {
    let own = report.total().run_ns as f64 / 1e9 / seconds / outcome.cpus.count().max(1) as f64;
    let mut text = format!("\nutilisation {:.1} % by this load", 100.0 * own);
    if let Some(machine) = report.machine {
        let all = (machine.busy_ns + machine.idle_ns).max(1) as f64;
        let percent = |ns: u64| 100.0 * ns as f64 / all;
        let _ = write!(text, ", {:.1} % of the machine in all", percent(machine.busy_ns));
        if machine.stolen_ns > 0 {
            let stolen = percent(machine.stolen_ns);
            let _ = write!(text, ", of it {stolen:.1} % taken by the hypervisor");
        }
    }
    text + "\n"
}

fn json(args: &Args, outcome: &Outcome) -> Value {
    let report = outcome.report.as_ref();
    let machine = report.and_then(|report| report.machine);
    let calibration = report.map(|report| report.calibration);
    let stressors = outcome.stressors.iter().map(|stressor| {
        json!({
            "stressor": stressor.name,
            "bogo_ops": stressor.bogo_ops,
            "bogo_ops_per_s": stressor.bogo_ops as f64 / stressor.wall_s.max(1e-9),
            "elapsed_ns": ns(stressor.wall_s),
            "run_ns": ns(stressor.cpu_s),
        })
    });
    json!({
        "schema": SCHEMA,
        "kernel": outcome.kernel,
        "cpus": outcome.cpus.count(),
        "cpu_list": outcome.cpus.to_string(),
        "workload": args.workload,
        "processes": args.processes,
        "seed": args.seed,
        "elapsed_ns": outcome.elapsed_ns,
        "groups": report.map_or_else(Vec::new, |report| groups_json(outcome, report)),
        "busy_ns": machine.map(|machine| machine.busy_ns),
        "idle_ns": machine.map(|machine| machine.idle_ns),
        "stolen_ns": machine.map(|machine| machine.stolen_ns),
        "loops_per_ms": calibration.map(|it| it.loops_per_ms),
        "cpu_clock_ns": calibration.map(|it| it.cpu_clock_ns),
        "stress_ng": stressors.collect::<Vec<_>>(),
        "notes": report.map(|report| report.warnings.as_slice()).unwrap_or_default(),
    })
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

fn groups_json(outcome: &Outcome, report: &Report) -> Vec<Value> {
    let group = |name: &str, tasks, work, pieces, used: &TaskUse| {
        let mut found = table::group_json(name, tasks, work, pieces, used);
        // Nobody knows these of threads.
        let unknown: &[&str] = match report.known.switches {
            true => &["ideal_ns", "waiting_ns"],
            false => &["ideal_ns", "waiting_ns", "wait_ns", "switches"],
        };
        unknown.iter().for_each(|member| found[*member] = Value::Null);
        found
    };
    let each =
        outcome.names.iter().zip(&report.groups).map(|(name, it)| {
            group(name, it.tasks, Some(it.pieces.done), Some(&it.pieces), &it.used)
        });
    let (sources, used) = &report.sources;
    let others = (*sources > 0).then(|| group(OTHERS, *sources, None, None, used));
    let all = group("all", tasks(report), Some(work(report)), None, &report.total());
    each.chain(others).chain([all]).collect()
}
