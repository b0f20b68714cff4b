// SPDX-License-Identifier: GPL-2.0-or-later
//! Rows for people, as perf lays them out.

use super::{Ran, Row, RowKind};
use rota_events::{Leaves, Paged, Tables, TaskRef};
use std::fmt::Write as _;
use std::io::Write as _;

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
    names: Paged<Name>,
    /// How much of what tables have told is in the names.
    told: usize,
    line: Vec<u8>,
}

/// A name, filled up to the width of its column.
#[derive(Debug, Clone, Default)]
struct Name {
    filled: Vec<u8>,
    length: usize,
}

impl Name {
    fn of(name: String) -> Self {
        // Letters count, not bytes.
        let (length, letters) = (name.len(), name.chars().count());
        let mut filled = name.into_bytes();
        filled.resize(length + NAME.saturating_sub(letters), b' ');
        Self { filled, length }
    }
}

impl Lines {
    /// Lines with these columns.
    pub fn new(columns: Columns) -> Self {
        Self { columns, ..Self::default() }
    }

    /// A row, as a line.
    pub fn row(&mut self, row: &Row, tables: &Tables) -> &[u8] {
        let news = tables.told().get(self.told..).unwrap_or_default();
        self.told = tables.told().len();
        news.iter().for_each(|task| self.names.entry(task.0).filled.clear());
        let (letter, task) = match row.what {
            RowKind::Ran(Ran { task, .. }) => {
                (if task.is_some() { b's' } else { b'i' }, Some(task))
            }
            RowKind::Awakened { waker, .. } => (b' ', Some(waker).filter(|waker| waker.is_some())),
            RowKind::Migrated { by, .. } => (b'm', by),
            RowKind::Lost(_) => (b' ', None),
        };
        self.line.clear();
        decimal::<6, 15>(&mut self.line, row.time_ns / 1000);
        self.line.extend(b" [");
        zeroed::<4>(&mut self.line, row.cpu.0.into());
        self.line.extend(b"]  ");
        if self.columns.cpus > 0 {
            let place = |at| if at == row.cpu.0 as usize { letter } else { b' ' };
            self.line.extend((0..self.columns.cpus).map(place));
            self.line.extend(b"  ");
        }
        match task {
            Some(task) => {
                let name = known(&mut self.names, task, tables);
                self.line.extend_from_slice(&name.filled);
            }
            None => {
                self.line.push(b'-');
                self.line.extend([b' '; NAME - 1]);
            }
        }
        match row.what {
            RowKind::Ran(ran) => self.ran(&ran, tables),
            what => {
                let gap = if self.columns.dsq { 54 } else { 33 };
                let gap = gap + 2 + if self.columns.state { 7 } else { 0 };
                self.line.extend(std::iter::repeat_n(b' ', gap));
                self.said(what, tables);
            }
        }
        let length = self.line.trim_ascii_end().len();
        self.line.truncate(length);
        self.line.push(b'\n');
        &self.line
    }

    fn push_name(&mut self, task: TaskRef, tables: &Tables) {
        let name = known(&mut self.names, task, tables);
        self.line.extend_from_slice(&name.filled[..name.length]);
    }

    fn push_ms(&mut self, ns: Option<u64>) {
        match ns {
            Some(ns) => {
                self.line.extend(b"  ");
                decimal::<3, 9>(&mut self.line, ns / 1000);
            }
            None => self.line.extend(b"          -"),
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
            self.line.extend(b"  next: ");
            self.push_name(ran.next, tables);
        }
    }

    fn said(&mut self, what: RowKind, tables: &Tables) {
        match what {
            RowKind::Awakened { task, .. } => {
                self.line.extend(b"awakened: ");
                self.push_name(task, tables);
            }
            RowKind::Migrated { task, from, to, .. } => {
                self.line.extend(b"migrated: ");
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

/// The name of a task, made when it is needed first.
fn known<'a>(names: &'a mut Paged<Name>, task: TaskRef, tables: &Tables) -> &'a Name {
    let known = names.entry(task.0);
    if known.filled.is_empty() {
        *known = Name::of(name(task, tables));
    }
    known
}

/// Room for a number and its point. Most of what is printed are numbers, so they do without the
/// machinery of `format!`.
const ROOM: usize = 32;

/// Adds a number with so many digits behind the point, at the right of so many columns.
fn decimal<const DIGITS: usize, const WIDTH: usize>(line: &mut Vec<u8>, value: u64) {
    let (scale, point) = (const { 10_u64.pow(DIGITS as u32) }, ROOM - DIGITS - 1);
    let mut text = [b' '; ROOM];
    let mut behind = value % scale;
    for place in text[point + 1..].iter_mut().rev() {
        *place = b'0' + (behind % 10) as u8;
        behind /= 10;
    }
    text[point] = b'.';
    let from = whole(&mut text[..point], value / scale);
    line.extend_from_slice(if from < ROOM - WIDTH { &text[from..] } else { &text[ROOM - WIDTH..] });
}

/// Adds a whole number with so many digits or more.
fn zeroed<const WIDTH: usize>(line: &mut Vec<u8>, value: u64) {
    let mut text = [b'0'; ROOM];
    let from = whole(&mut text, value);
    line.extend_from_slice(if from < ROOM - WIDTH { &text[from..] } else { &text[ROOM - WIDTH..] });
}

/// Writes a number at the end of a text; where it begins.
fn whole(text: &mut [u8], mut value: u64) -> usize {
    let mut from = text.len();
    for place in text.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        (value, from) = (value / 10, from - 1);
        if value == 0 {
            break;
        }
    }
    from
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
