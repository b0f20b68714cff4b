// SPDX-License-Identifier: GPL-2.0-or-later
//! Groups of tasks, as a table and as JSON: those of a simulation and those of a load look alike.

use crate::output;
use rota_events::TaskUse;
use rota_trace::{QUANTILES, histogram_json, short_ns, task_use_json};
use rota_workload::Pieces;
use serde_json::{Value, json};
use std::fmt::Write;

/// Tasks that are shown together.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    /// How many there were.
    pub(crate) tasks: Option<u64>,
    pub(crate) work_per_s: Option<f64>,
    /// CPU time as a number of CPUs.
    pub(crate) cpus: f64,
    pub(crate) used: &'a TaskUse,
    /// Whether switches, migrations and preemptions are known.
    pub(crate) switches_known: bool,
}

/// The columns of [`of_groups`] behind the name, with the blanks before them.
const ALL_COLUMNS: usize = 8 + 10 + 8 + 5 * 9 + 11 + 9 + 10;

/// A line for each group; `latency` says what that is.
pub(crate) fn of_groups(rows: &[Row<'_>], seconds: f64, latency: &str) -> String {
    let width = rows.iter().map(|g| g.name.len()).max().unwrap_or(0).max(5);
    let mut text = format!("{:<width$} {:>7} {:>9} {:>7}", "group", "tasks", "work/s", "CPUs");
    let columns = QUANTILES.map(|q| q.0);
    for column in columns.iter().chain(&["max"]) {
        // Writing to a string can't fail.
        let _ = write!(text, " {column:>8}");
    }
    // Who looks at a terminal of 80 columns sees as many of them, rather than broken lines.
    let whole = width + ALL_COLUMNS;
    let all = output::width(whole) == whole;
    let rates = |a: &str, b: &str, c: &str| match all {
        true => format!(" {a:>10} {b:>8} {c:>9}\n"),
        false => "\n".to_owned(),
    };
    text += &rates("switches/s", "migr/s", "preempt/s");
    for Row { name, tasks, work_per_s, cpus, used, switches_known } in rows {
        let tasks = tasks.map_or("-".to_owned(), |tasks| tasks.to_string());
        let work = work_per_s.map_or("-".to_owned(), |work| format!("{work:.1}"));
        let _ = write!(text, "{name:<width$} {tasks:>7} {work:>9} {cpus:>7.2}");
        let none = used.latency.count() == 0;
        for (_, part) in QUANTILES {
            let shown = short_ns(used.latency.quantile(part, 1000));
            let _ = write!(text, " {:>8}", if none { "-" } else { &shown });
        }
        let longest = used.longest_ns();
        let shown = short_ns(longest);
        let _ = write!(text, " {:>8}", if none && longest == 0 { "-" } else { &shown });
        let rate = |count: u64| match switches_known {
            true => format!("{:.1}", count as f64 / seconds),
            false => "-".to_owned(),
        };
        text += &rates(&rate(used.switches), &rate(used.migrations_all()), &rate(used.preemptions));
    }
    let _ = writeln!(text, "  p50 to max: {latency}");
    if !all {
        text += "  switches, migrations and preemptions of groups: in a wider terminal\n";
    }
    text
}

/// How long requests took, and how many were late, of the groups that have any.
pub(crate) fn of_requests(pieces: &[&Pieces], seconds: f64) -> String {
    let timed = pieces.iter().filter(|pieces| pieces.latency.count() > 0);
    let timed: Vec<&&Pieces> = timed.collect();
    let width = timed.iter().map(|pieces| pieces.group.len()).max().unwrap_or(0).max(8);
    if timed.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{:<width$} {:>9}", "requests", "each/s");
    for (name, _) in QUANTILES {
        let _ = write!(text, " {name:>8}");
    }
    let _ = writeln!(text, " {:>8} {:>8}", "max", "late/s");
    for pieces in timed {
        let latency = &pieces.latency;
        let rate = latency.count() as f64 / seconds;
        let _ = write!(text, "{:<width$} {rate:>9.1}", pieces.group);
        for (_, part) in QUANTILES {
            let _ = write!(text, " {:>8}", short_ns(latency.quantile(part, 1000)));
        }
        let late = match pieces.deadline_ns {
            Some(_) => format!("{:.1}", pieces.late as f64 / seconds),
            None => "-".to_owned(),
        };
        let _ = writeln!(text, " {:>8} {late:>8}", short_ns(latency.greatest()));
    }
    text + "  from being asked for to being done\n"
}

/// A group as a JSON object.
pub(crate) fn group_json(
    name: &str,
    tasks: u64,
    work: Option<u64>,
    pieces: Option<&Pieces>,
    used: &TaskUse,
) -> Value {
    let mut found = task_use_json(used);
    if let Value::Object(members) = &mut found {
        members.insert("group".to_owned(), json!(name));
        members.insert("tasks".to_owned(), json!(tasks));
        members.insert("work".to_owned(), json!(work));
        if let Some(pieces) = pieces.filter(|pieces| pieces.latency.count() > 0) {
            members.insert("requests".to_owned(), histogram_json(&pieces.latency));
            let late = pieces.deadline_ns.map(|_| pieces.late);
            members.insert("late".to_owned(), json!(late));
        }
    }
    found
}
