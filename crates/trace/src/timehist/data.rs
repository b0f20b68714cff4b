// SPDX-License-Identifier: GPL-2.0-or-later
//! Rows for programs: JSON objects, and CSV.

use super::text::state;
use super::{Ran, Row, RowKind};
use rota_events::{Tables, TaskRef};
use serde_json::{Value, json};

/// Version of the JSON form: of its first line, and of all that follow.
pub const TIMEHIST_SCHEMA: &str = "rota-timehist/1";

/// The columns of CSV: in JSON they have the same names.
const COLUMNS: [&str; 19] = [
    "row",
    "time_ns",
    "cpu",
    "comm",
    "tid",
    "pid",
    "wait_ns",
    "sleep_ns",
    "iowait_ns",
    "preempt_ns",
    "delay_ns",
    "run_ns",
    "state",
    "dsq",
    "dsq_wait_ns",
    "other_comm",
    "other_tid",
    "from_cpu",
    "to_cpu",
];

/// What a row has in each column.
fn cells(row: &Row, tables: &Tables) -> [Value; COLUMNS.len()] {
    let task = |task: Option<TaskRef>| match task.map(|task| (task, tables.task_of(task))) {
        Some((_, Some(info))) => {
            [tables.text_of(info.name).into(), info.pid.into(), info.tgid.into()]
        }
        Some((TaskRef::NONE, None)) => ["<idle>".into(), 0.into(), 0.into()],
        _ => [Value::Null, Value::Null, Value::Null],
    };
    let waker = |waker: TaskRef| waker.is_some().then_some(waker);
    let (kind, who, other) = match row.what {
        RowKind::Ran(ran) => ("ran", Some(ran.task), Some(ran.next)),
        RowKind::Awakened { waker: by, task } => ("awakened", waker(by), Some(task)),
        RowKind::Migrated { by, task, .. } => ("migrated", by, Some(task)),
        RowKind::Lost(_) => ("lost", None, None),
    };
    let mut cells = [const { Value::Null }; COLUMNS.len()];
    let [first, time, cpu, comm, tid, pid, rest @ ..] = &mut cells;
    let [times @ .., other_comm, other_tid, from_cpu, to_cpu] = rest;
    *first = kind.into();
    (*time, *cpu) = (row.time_ns.into(), row.cpu.0.into());
    [*comm, *tid, *pid] = task(who);
    [*other_comm, *other_tid, _] = task(other);
    match row.what {
        RowKind::Ran(ran) => *times = ran_cells(&ran),
        RowKind::Migrated { from, to, .. } => {
            (*from_cpu, *to_cpu) = (from.0.into(), to.0.into());
        }
        _ => {}
    }
    cells
}

fn ran_cells(ran: &Ran) -> [Value; 9] {
    [
        ran.wait.map(|(_, ns)| ns).into(),
        ran.sleep_ns().into(),
        ran.iowait_ns().into(),
        ran.preempt_ns().into(),
        ran.delay_ns.into(),
        ran.run_ns.into(),
        state(ran).into(),
        ran.dsq.map(|(dsq, _)| dsq.to_string().replace(' ', ":")).into(),
        ran.dsq.map(|(_, ns)| ns).into(),
    ]
}

/// A row as a JSON object: what it has, by the names of the columns of CSV.
pub fn json_row(row: &Row, tables: &Tables) -> Value {
    let cells = COLUMNS.into_iter().zip(cells(row, tables));
    let cells = cells.filter(|(_, cell)| !cell.is_null());
    let mut object: serde_json::Map<_, _> =
        cells.map(|(name, cell)| (name.to_owned(), cell)).collect();
    if let RowKind::Lost(events) = row.what {
        object.insert("events".to_owned(), json!(events));
    }
    Value::Object(object)
}

/// The first line of CSV.
pub fn csv_header() -> String {
    COLUMNS.join(",") + ",events\n"
}

/// A row as a line of CSV. What is not known is empty.
pub fn csv_row(row: &Row, tables: &Tables) -> String {
    let lost = if let RowKind::Lost(events) = row.what { json!(events) } else { Value::Null };
    csv_line(cells(row, tables).into_iter().chain([lost]))
}

/// Values as a line of CSV.
pub(super) fn csv_line(cells: impl Iterator<Item = Value>) -> String {
    let cell = |cell: Value| match cell {
        Value::Null => String::new(),
        Value::String(text) if text.contains(['"', ',', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::String(text) => text,
        other => other.to_string(),
    };
    cells.map(cell).collect::<Vec<_>>().join(",") + "\n"
}
