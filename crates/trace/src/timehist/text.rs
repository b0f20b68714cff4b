// SPDX-License-Identifier: GPL-2.0-or-later
//! Rows for people, as perf lays them out.

use super::{Ran, Row, RowKind};
use rota_events::{Leaves, Tables, TaskRef};
use std::fmt::Write;

/// Which columns there are beside time, CPU, task and the three times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Columns {
    /// A picture of so many CPUs, with a letter where it happens; none if 0.
    pub cpus: usize,
    /// How the task leaves.
    pub state: bool,
    /// Who runs next.
    pub next: bool,
    /// Which queue the task was taken from, and how long it was there.
    pub dsq: bool,
}

/// Width of a name.
const NAME: usize = 30;

/// The lines over the rows.
pub fn header(columns: &Columns) -> String {
    let names =
        ["time", "cpu", "task name", "wait time", "sch delay", "run time", "dsq", "dsq wait"];
    let units = ["(s)", "", "[tid/pid]", "(msec)", "(msec)", "(msec)", "", "(msec)"];
    let under = [15, 6, NAME, 9, 9, 9, 10, 9].map(|width| "-".repeat(width));
    let digits: String = (0..columns.cpus).map(|cpu| (b'0' + (cpu % 10) as u8) as char).collect();
    let empty = " ".repeat(columns.cpus);
    let lines = [
        (names, digits, "state", "next"),
        (units, empty, "", "[tid/pid]"),
        (under.each_ref().map(String::as_str), "-".repeat(columns.cpus), "-----", "----"),
    ];
    let line = |(cells, visual, state, next): ([&str; 8], String, &str, &str)| {
        let [time, cpu, task, times @ ..] = cells;
        let mut line = start(time, cpu, &visual, task);
        for (width, cell) in [9, 9, 9, 10, 9].into_iter().zip(times).take(times_of(columns)) {
            let _ = write!(line, "  {cell:>width$}");
        }
        if columns.state {
            let _ = write!(line, "  {state:>5}");
        }
        if columns.next {
            let _ = write!(line, "  {next}");
        }
        line.trim_end().to_owned() + "\n"
    };
    lines.map(line).concat()
}

fn times_of(columns: &Columns) -> usize {
    if columns.dsq { 5 } else { 3 }
}

fn start(time: &str, cpu: &str, visual: &str, task: &str) -> String {
    let visual = if visual.is_empty() { String::new() } else { format!("  {visual}") };
    format!("{time:>15} {cpu:<6}{visual}  {task:<NAME$}")
}

/// A row, as a line.
pub fn row(row: &Row, tables: &Tables, columns: &Columns) -> String {
    let (seconds, rest) = (row.time_ns / 1_000_000_000, row.time_ns % 1_000_000_000 / 1000);
    let (time, cpu) = (format!("{seconds}.{rest:06}"), format!("[{:04}]", row.cpu.0));
    let (letter, task) = match row.what {
        RowKind::Ran(Ran { task, .. }) if task.is_some() => ('s', name(task, tables)),
        RowKind::Ran(_) => ('i', name(TaskRef::NONE, tables)),
        RowKind::Awakened { waker: TaskRef::NONE, .. } => (' ', "-".to_owned()),
        RowKind::Awakened { waker, .. } => (' ', name(waker, tables)),
        RowKind::Migrated { by, .. } => {
            ('m', by.map_or_else(|| "-".to_owned(), |by| name(by, tables)))
        }
        RowKind::Lost(_) => (' ', "-".to_owned()),
    };
    let place = |at| if at == row.cpu.0 as usize { letter } else { ' ' };
    let visual: String = (0..columns.cpus).map(place).collect();
    let mut line = start(&time, &cpu, &visual, &task);
    match row.what {
        RowKind::Ran(ran) => line += &ran_cells(&ran, tables, columns),
        what => {
            let gap = if columns.dsq { 54 } else { 33 } + if columns.state { 7 } else { 0 };
            let _ = write!(line, "{:gap$}  {}", "", said(what, tables));
        }
    }
    line.trim_end().to_owned() + "\n"
}

fn ran_cells(ran: &Ran, tables: &Tables, columns: &Columns) -> String {
    let mut cells = String::new();
    for ns in [ran.wait.map(|(_, ns)| ns), ran.delay_ns, ran.run_ns] {
        let _ = write!(cells, "  {:>9}", ms(ns));
    }
    if columns.dsq {
        // One word.
        let dsq = ran.dsq.map_or_else(|| "-".into(), |(dsq, _)| dsq.to_string().replace(' ', ":"));
        let _ = write!(cells, "  {dsq:>10}  {:>9}", ms(ran.dsq.map(|(_, ns)| ns)));
    }
    if columns.state {
        let _ = write!(cells, "  {:>5}", state(ran));
    }
    if columns.next {
        let _ = write!(cells, "  next: {}", name(ran.next, tables));
    }
    cells
}

fn said(what: RowKind, tables: &Tables) -> String {
    match what {
        RowKind::Awakened { task, .. } => format!("awakened: {}", name(task, tables)),
        RowKind::Migrated { task, from, to, .. } => {
            format!("migrated: {} cpu {} => {}", name(task, tables), from.0, to.0)
        }
        RowKind::Lost(events) => format!("LOST {events} events"),
        RowKind::Ran(_) => String::new(),
    }
}

/// How it leaves: the idle task does so in its own way.
pub(super) fn state(ran: &Ran) -> &'static str {
    if ran.task.is_some() { ran.leaves.letter() } else { Leaves::Idle.letter() }
}

/// Milliseconds, cut after the third digit; `-` if they are not known.
pub(super) fn ms(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), |ns| format!("{}.{:03}", ns / 1_000_000, ns / 1000 % 1000))
}

/// Name and thread id of a task, and its process if that is another number.
pub(super) fn name(task: TaskRef, tables: &Tables) -> String {
    match tables.task_of(task) {
        Some(info) if info.pid != info.tgid => {
            format!("{}[{}/{}]", tables.text_of(info.name), info.pid, info.tgid)
        }
        None if !task.is_some() => "<idle>".to_owned(),
        _ => tables.task_name(task),
    }
}
