// SPDX-License-Identifier: GPL-2.0-or-later
//! Metrics of a stream, as tables and as JSON.

use rota_events::{Distance, Histogram, KINDS, MachineFacts, Summary, Tables, TaskUse};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::fmt::Write;

/// Version of the JSON form.
pub const SUMMARY_SCHEMA: &str = "rota-summary/1";

/// So many tasks and CPUs are shown to people.
const ROWS_MAX: usize = 40;

/// The quantiles of latencies that are shown: the name of the column, and how many in 1000.
pub const QUANTILES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

/// A time in ns with four digits and a unit, such as `12.34us`.
pub fn short_ns(ns: u64) -> String {
    let (unit, size) = match ns {
        0..1_000 => return format!("{ns}ns"),
        1_000..1_000_000 => ("us", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (whole, thousandths) = (ns / size, ns % size / (size / 1000));
    match whole {
        0..10 => format!("{whole}.{thousandths:03}{unit}"),
        10..100 => format!("{whole}.{:02}{unit}", thousandths / 10),
        100..1000 => format!("{whole}.{}{unit}", thousandths / 100),
        _ => format!("{whole}{unit}"),
    }
}

/// The metrics as tables for people.
pub fn summary_text(summary: &Summary, tables: &Tables, machine: &MachineFacts) -> String {
    let MachineFacts { kernel, clock, .. } = machine;
    let events: u64 = summary.kinds.total();
    let time = short_ns(summary.end_ns - summary.start_ns);
    let cpus = summary.cpus.len();
    let busy = percent(summary.machine().utilisation());
    let mut text =
        format!("kernel {kernel}, {clock} clock, {cpus} CPUs {busy} busy; {time}, {events} events");
    if summary.lost > 0 {
        let _ = write!(text, ", {} LOST", summary.lost);
    }
    text += "\n\n";
    let mut rows = vec![header("group", "tasks")];
    for (name, (tasks, used)) in summary.groups(tables) {
        let name = if name.is_empty() { "-".to_owned() } else { name };
        rows.push(row(name, tasks.to_string(), &used));
    }
    rows.push(row("all".to_owned(), summary.tasks.len().to_string(), &summary.total()));
    text += &aligned(&rows);
    text += "\n";
    let mut tasks: Vec<_> = summary.tasks.iter().collect();
    tasks.sort_by_key(|(task, used)| (Reverse(used.run_ns), **task));
    let mut rows = vec![header("task", "")];
    rows.extend(
        tasks
            .iter()
            .take(ROWS_MAX)
            .map(|(task, used)| row(tables.task_name(**task), String::new(), used)),
    );
    text += &aligned(&rows);
    text += &more(tasks.len().saturating_sub(ROWS_MAX), "tasks");
    text += "\n";
    let cells = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![cells(["cpu", "busy", "idle", "used", "switches"])];
    for (cpu, used) in summary.cpus.iter().take(ROWS_MAX) {
        let (busy, idle) = (short_ns(used.busy_ns), short_ns(used.idle_ns));
        let (part, switches) = (percent(used.utilisation()), used.switches.to_string());
        rows.push(cells([&cpu.0.to_string(), &busy, &idle, &part, &switches]));
    }
    text += &aligned(&rows);
    text + &more(summary.cpus.len().saturating_sub(ROWS_MAX), "CPUs")
}

fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}

/// How many more there are than what is shown.
pub(crate) fn more(more: usize, what: &str) -> String {
    if more > 0 { format!("and {more} more {what}\n") } else { String::new() }
}

fn header(first: &str, second: &str) -> Vec<String> {
    let latencies = QUANTILES.iter().map(|(name, ..)| *name);
    let before = [first, second, "run", "wait"].into_iter().chain(latencies);
    let after = ["max", "wakeups", "switches", "preempted", "migrated"];
    before.chain(after).map(str::to_owned).collect()
}

fn row(first: String, second: String, used: &TaskUse) -> Vec<String> {
    let mut cells = vec![first, second, short_ns(used.run_ns), short_ns(used.wait_ns)];
    let latency = &used.latency;
    let shown = |ns| if latency.count() == 0 { "-".to_owned() } else { short_ns(ns) };
    cells.extend(QUANTILES.map(|(_, part)| shown(latency.quantile(part, 1000))));
    let longest = used.longest_ns();
    cells.push(if longest == 0 { shown(0) } else { short_ns(longest) });
    let counts = [used.wakeups, used.switches, used.preemptions, used.migrations_all()];
    cells.extend(counts.map(|count| count.to_string()));
    cells
}

/// Columns of the same width: the first to the left, all others to the right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1).filter(|(_, width)| **width > 0) {
            let _ = write!(line, "  {cell:>width$}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The metrics as one JSON object.
pub fn summary_json(summary: &Summary, tables: &Tables, machine: &MachineFacts) -> Value {
    let groups = summary.groups(tables).into_iter().map(|(name, (tasks, used))| {
        with(task_use_json(&used), [("group", name.into()), ("tasks", tasks.into())])
    });
    let tasks = summary.tasks.iter().map(|(task, used)| {
        let info = tables.task_of(*task);
        let comm = info.map_or("", |info| tables.text_of(info.name));
        let group = info.map_or("", |info| tables.text_of(info.group));
        let pid = info.map_or(Value::Null, |info| info.pid.into());
        let named = [("comm", comm.into()), ("pid", pid), ("group", group.into())];
        with(task_use_json(used), named)
    });
    let cpus = summary.cpus.iter().map(|(cpu, used)| {
        json!({
            "cpu": cpu.0,
            "busy_ns": used.busy_ns,
            "idle_ns": used.idle_ns,
            "unknown_ns": used.unknown_ns,
            "switches": used.switches,
        })
    });
    let kinds = KINDS.iter().zip(summary.kinds.each()).filter(|(_, count)| *count > 0);
    let kinds: Map<_, _> =
        kinds.map(|((_, name, _), count)| ((*name).to_owned(), count.into())).collect();
    json!({
        "schema": SUMMARY_SCHEMA,
        "kernel": machine.kernel,
        "clock": machine.clock,
        "start_ns": summary.start_ns,
        "end_ns": summary.end_ns,
        "lost_events": summary.lost,
        "all": task_use_json(&summary.total()),
        "groups": groups.collect::<Vec<_>>(),
        "tasks": tasks.collect::<Vec<_>>(),
        "cpus": cpus.collect::<Vec<_>>(),
        "events": kinds,
    })
}

fn with<const N: usize>(mut value: Value, members: [(&str, Value); N]) -> Value {
    if let Value::Object(object) = &mut value {
        object.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

/// What a task, or several together, did and had to bear, as a JSON object.
pub fn task_use_json(used: &TaskUse) -> Value {
    let migrations = Distance::ALL.iter().zip(used.migrations);
    let migrations: Map<_, _> =
        migrations.map(|(distance, count)| (distance.name().to_owned(), count.into())).collect();
    json!({
        "run_ns": used.run_ns,
        "wait_ns": used.wait_ns,
        "waiting_ns": used.waiting_ns,
        "ideal_ns": used.ideal_ns,
        "latency": histogram_json(&used.latency),
        "wakeups": used.wakeups,
        "switches": used.switches,
        "preemptions": used.preemptions,
        "yields": used.yields,
        "migrations": migrations,
    })
}

/// A distribution of times as JSON: number, mean, quantiles and greatest, in ns.
pub fn histogram_json(latency: &Histogram) -> Value {
    let mut object = Map::new();
    object.insert("count".to_owned(), latency.count().into());
    object.insert("mean_ns".to_owned(), latency.mean().into());
    for (name, part) in QUANTILES {
        let name = format!("{}_ns", name.replace('.', "_"));
        object.insert(name, latency.quantile(part, 1000).into());
    }
    object.insert("max_ns".to_owned(), latency.greatest().into());
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::short_ns;

    #[test]
    fn times_have_four_digits() {
        let cases = [
            (0, "0ns"),
            (999, "999ns"),
            (1_234, "1.234us"),
            (12_345, "12.34us"),
            (999_999, "999.9us"),
            (5_000_000, "5.000ms"),
            (1_500_000_000, "1.500s"),
            (98_765_000_000_000, "98765s"),
        ];
        for (ns, expected) in cases {
            assert_eq!(short_ns(ns), expected);
        }
    }
}
