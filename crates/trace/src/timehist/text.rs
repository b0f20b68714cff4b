// SPDX-License-Identifier: GPL-2.0-or-later
//! Rows for people, as perf lays them out.

use super::{Ran, Row, RowKind};
use rota_events::{Leaves, Paged, Tables, TaskRef};
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

/// Makes lines of rows, and remembers names.
#[derive(Debug, Default)]
pub struct Lines {
    columns: Columns,
    names: Paged<String>,
    /// How much of what tables have told is in the names.
    told: usize,
    line: String,
}

impl Lines {
    /// Lines with these columns.
    pub fn new(columns: Columns) -> Self {
        Self { columns, ..Self::default() }
    }

    /// A row, as a line.
    pub fn row(&mut self, row: &Row, tables: &Tables) -> &str {
        let news = tables.told().get(self.told..).unwrap_or_default();
        self.told = tables.told().len();
        news.iter().for_each(|task| self.names.entry(task.0).clear());
        let (letter, task) = match row.what {
            RowKind::Ran(Ran { task, .. }) => (if task.is_some() { 's' } else { 'i' }, Some(task)),
            RowKind::Awakened { waker, .. } => (' ', Some(waker).filter(|waker| waker.is_some())),
            RowKind::Migrated { by, .. } => ('m', by),
            RowKind::Lost(_) => (' ', None),
        };
        self.line.clear();
        decimal(&mut self.line, row.time_ns / 1000, 6, 15);
        self.line.push_str(" [");
        padded(&mut self.line, row.cpu.0.into(), 4, '0');
        self.line.push_str("]  ");
        if self.columns.cpus > 0 {
            let place = |at| if at == row.cpu.0 as usize { letter } else { ' ' };
            self.line.extend((0..self.columns.cpus).map(place));
            self.line.push_str("  ");
        }
        let start = self.line.len();
        match task {
            Some(task) => self.push_name(task, tables),
            None => self.line.push('-'),
        }
        // Letters count, not bytes.
        let letters = self.line[start..].chars().count();
        self.line.extend(std::iter::repeat_n(' ', NAME.saturating_sub(letters)));
        match row.what {
            RowKind::Ran(ran) => self.ran(&ran, tables),
            what => {
                let gap = if self.columns.dsq { 54 } else { 33 };
                let gap = gap + 2 + if self.columns.state { 7 } else { 0 };
                self.line.extend(std::iter::repeat_n(' ', gap));
                self.said(what, tables);
            }
        }
        let length = self.line.trim_end().len();
        self.line.truncate(length);
        self.line.push('\n');
        &self.line
    }

    fn push_name(&mut self, task: TaskRef, tables: &Tables) {
        let known = self.names.entry(task.0);
        if known.is_empty() {
            *known = name(task, tables);
        }
        self.line.push_str(known);
    }

    fn push_ms(&mut self, ns: Option<u64>) {
        match ns {
            Some(ns) => {
                self.line.push_str("  ");
                decimal(&mut self.line, ns / 1000, 3, 9);
            }
            None => self.line.push_str("          -"),
        }
    }

    fn ran(&mut self, ran: &Ran, tables: &Tables) {
        for ns in [ran.wait.map(|(_, ns)| ns), ran.delay_ns, ran.run_ns] {
            self.push_ms(ns);
        }
        if self.columns.dsq {
            // One word.
            let dsq = ran.dsq.map(|(dsq, _)| dsq.to_string().replace(' ', ":"));
            let _ = write!(self.line, "  {:>10}", dsq.as_deref().unwrap_or("-"));
            self.push_ms(ran.dsq.map(|(_, ns)| ns));
        }
        if self.columns.state {
            let _ = write!(self.line, "  {:>5}", state(ran));
        }
        if self.columns.next {
            self.line.push_str("  next: ");
            self.push_name(ran.next, tables);
        }
    }

    fn said(&mut self, what: RowKind, tables: &Tables) {
        match what {
            RowKind::Awakened { task, .. } => {
                self.line.push_str("awakened: ");
                self.push_name(task, tables);
            }
            RowKind::Migrated { task, from, to, .. } => {
                self.line.push_str("migrated: ");
                self.push_name(task, tables);
                let _ = write!(self.line, " cpu {} => {}", from.0, to.0);
            }
            RowKind::Lost(events) => {
                let _ = write!(self.line, "LOST {events} events");
            }
            RowKind::Ran(_) => {}
        }
    }
}

/// A number with so many digits behind the point, at the right of so many columns.
fn decimal(line: &mut String, value: u64, digits: u32, width: usize) {
    let scale = 10_u64.pow(digits);
    padded(line, value / scale, width - digits as usize - 1, ' ');
    line.push('.');
    padded(line, value % scale, digits as usize, '0');
}

/// A whole number at the right of so many columns. Most of what is printed are these, so they do
/// without the machinery of `format!`.
fn padded(line: &mut String, mut value: u64, width: usize, fill: char) {
    const MOST: usize = 32;
    let mut text = [fill as u8; MOST];
    let mut at = MOST;
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    let from = at.min(MOST.saturating_sub(width));
    line.push_str(std::str::from_utf8(&text[from..]).unwrap_or_default());
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
