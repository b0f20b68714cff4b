// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks, sorted.

use clap::ValueEnum;
use rota_events::{Tables, TaskRef};
use rota_trace::{Look, TaskLook, short_ns};
use std::cmp::Reverse;

/// What tasks are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Who ran most
    Run,
    /// Who waited longest for a CPU, at the 99th percentile
    Latency,
    /// Who was woken up most often
    Wakeups,
}

impl Sort {
    /// The one after it.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Run => Self::Latency,
            Self::Latency => Self::Wakeups,
            Self::Wakeups => Self::Run,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Latency => "latency",
            Self::Wakeups => "wakeups",
        }
    }

    fn key(self, task: &TaskLook) -> u64 {
        match self {
            Self::Run => task.run_ns,
            Self::Latency => task.waits.quantile(99, 100),
            Self::Wakeups => task.wakeups,
        }
    }
}

/// The heads of the columns.
pub(super) const HEADS: [&str; 8] =
    ["task", "group", "run %", "runs/s", "wakeups/s", "wait p50", "p99", "max"];

/// A row for each task, the greatest first.
pub(super) fn rows(look: &Look, tables: &Tables, sort: Sort) -> Vec<[String; HEADS.len()]> {
    let mut tasks: Vec<(TaskRef, &TaskLook)> =
        look.tasks.iter().map(|(task, found)| (*task, found)).collect();
    tasks.sort_by_key(|(task, found)| (Reverse(sort.key(found)), *task));
    let seconds = look.long_ns() as f64 / 1e9;
    let row = |(task, found): (TaskRef, &TaskLook)| {
        let group = tables.task_of(task).map_or("", |info| tables.text_of(info.group));
        let rate = |count: u64| format!("{:.0}", count as f64 / seconds);
        let wait = |part, of| match found.waits.count() {
            0 => "-".to_owned(),
            _ => short_ns(found.waits.quantile(part, of)),
        };
        [
            tables.task_name(task),
            if group.is_empty() { "-".to_owned() } else { group.to_owned() },
            format!("{:.1}", found.run_ns as f64 * 100.0 / look.long_ns() as f64),
            rate(found.runs),
            rate(found.wakeups),
            wait(50, 100),
            wait(99, 100),
            wait(1, 1),
        ]
    };
    tasks.into_iter().map(row).collect()
}
