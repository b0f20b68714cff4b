// SPDX-License-Identifier: GPL-2.0-or-later
//! Events as a table in a Parquet file, for data tools: a row an event, and a column for all that
//! any kind of event says, by the names that JSON has for it. What a kind does not say is null.

use crate::fields::{Field, fields};
use crate::nullable::{Cell, Column, Kind, Table};
use rota_events::{Event, MachineFacts, Tables, Target, TaskRef};
use std::io::{self, Write};

/// Version of the columns.
pub const EVENT_TABLE_SCHEMA: &str = "rota-event-table/1";

/// What every event has.
const COMMON: [Column; 10] = [
    ("number", Kind::Time),
    ("time_ns", Kind::Time),
    ("cpu", Kind::Number),
    ("event", Kind::Word),
    ("scheduler", Kind::Number),
    ("task", Kind::Number),
    ("pid", Kind::Signed),
    ("tgid", Kind::Signed),
    ("comm", Kind::Word),
    ("task_group", Kind::Word),
];

/// What some kinds have. A task has three columns: its number, thread id and name.
const FIELDS: [Column; 49] = [
    ("from_task", Kind::Number),
    ("from_pid", Kind::Signed),
    ("from_comm", Kind::Word),
    ("state", Kind::Word),
    ("runnable", Kind::Bool),
    ("waker_task", Kind::Number),
    ("waker_pid", Kind::Signed),
    ("waker_comm", Kind::Word),
    ("parent_task", Kind::Number),
    ("parent_pid", Kind::Signed),
    ("parent_comm", Kind::Word),
    ("partners", Kind::Number),
    ("to_task", Kind::Number),
    ("to_pid", Kind::Signed),
    ("to_comm", Kind::Word),
    ("on_cpu", Kind::Number),
    ("chosen_cpu", Kind::Number),
    ("previous_cpu", Kind::Number),
    ("from_cpu", Kind::Number),
    ("to_cpu", Kind::Number),
    ("target_cpu", Kind::Number),
    ("target_cid", Kind::Number),
    ("flags", Kind::Number),
    ("sleeps", Kind::Bool),
    ("dsq", Kind::Word),
    ("from_dsq", Kind::Word),
    ("depth", Kind::Number),
    ("vtime", Kind::Number),
    ("at_head", Kind::Bool),
    ("slice_ns", Kind::Number),
    ("ran_ns", Kind::Number),
    ("nice", Kind::Signed),
    ("weight", Kind::Number),
    ("cpus", Kind::Number),
    ("first_cpus", Kind::Number),
    ("group", Kind::Word),
    ("id", Kind::Number),
    ("online", Kind::Bool),
    ("scheduler_name", Kind::Word),
    ("exit_kind", Kind::Number),
    ("exit_code", Kind::Signed),
    ("message", Kind::Word),
    ("name", Kind::Word),
    ("value", Kind::Number),
    ("events", Kind::Number),
    ("clock", Kind::Word),
    ("now_ns", Kind::Number),
    ("channel", Kind::Number),
    ("bytes", Kind::Number),
];

/// Writes events as a table.
pub(crate) struct EventTable {
    table: Table,
    /// Of events so far: those of one time are in the order of their numbers.
    number: u64,
}

impl EventTable {
    pub(crate) fn new(machine: &MachineFacts) -> io::Result<Self> {
        let columns: Vec<Column> = COMMON.into_iter().chain(FIELDS).collect();
        let about = [
            ("rota.schema", EVENT_TABLE_SCHEMA.to_owned()),
            ("rota.kernel", machine.kernel.clone()),
            ("rota.clock", machine.clock.clone()),
            ("rota.command", machine.command.join(" ")),
        ];
        Ok(Self { table: Table::new(&columns, &about)?, number: 0 })
    }

    /// Adds rows.
    pub(crate) fn write(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        events: &[Event],
    ) -> io::Result<()> {
        for event in events {
            self.row(tables, event);
            self.table.end_row(out)?;
        }
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        self.table.finish(out)
    }

    fn row(&mut self, tables: &Tables, event: &Event) {
        let table = &mut self.table;
        table.set(0, Cell::Number(self.number));
        self.number += 1;
        table.set(1, Cell::Number(event.time_ns));
        table.set(2, Cell::Number(event.cpu.0.into()));
        table.set(3, Cell::Word(event.kind.name()));
        table.set(4, Cell::Number(event.scheduler().0.into()));
        if event.task.is_some() {
            table.set(5, Cell::Number(event.task.0.into()));
        }
        if let Some(info) = tables.task_of(event.task) {
            table.set(6, Cell::Signed(info.pid.into()));
            table.set(7, Cell::Signed(info.tgid.into()));
            table.set(8, Cell::Word(tables.text_of(info.name)));
            table.set(9, Cell::Word(tables.text_of(info.group)));
        }
        for (name, field) in fields(event) {
            self.field(tables, name, &field);
        }
    }

    fn field(&mut self, tables: &Tables, name: &str, field: &Field) {
        let text;
        let (name, cell) = match *field {
            Field::Task(task) => return self.task(tables, name, task),
            Field::Text(of) if name == "scheduler" => {
                ("scheduler_name", Cell::Word(tables.text_of(of)))
            }
            Field::Target(Target::Cid(cid)) => ("target_cid", Cell::Number(cid.0.into())),
            Field::Target(Target::Cpu(cpu)) => (name, Cell::Number(cpu.0.into())),
            Field::Number(value) | Field::Flags(value) => (name, Cell::Number(value)),
            Field::Signed(value) => (name, Cell::Signed(value)),
            Field::Yes(yes) => (name, Cell::Bool(yes)),
            Field::Word(word) => (name, Cell::Word(word)),
            Field::Text(of) => (name, Cell::Word(tables.text_of(of))),
            Field::Dsq(_) => {
                text = field.text(tables);
                (name, Cell::Word(&text))
            }
        };
        if let Some(column) = column(name, "") {
            self.table.set(column, cell);
        }
    }

    /// The three columns of a task; nobody is null.
    fn task(&mut self, tables: &Tables, name: &str, task: TaskRef) {
        let Some(first) = column(name, "_task").filter(|_| task.is_some()) else { return };
        self.table.set(first, Cell::Number(task.0.into()));
        if let Some(info) = tables.task_of(task) {
            self.table.set(first + 1, Cell::Signed(info.pid.into()));
            self.table.set(first + 2, Cell::Word(tables.text_of(info.name)));
        }
    }
}

/// The column of a field.
fn column(name: &str, end: &str) -> Option<usize> {
    let is_it = |column: &Column| column.0.strip_prefix(name) == Some(end);
    FIELDS.iter().position(is_it).map(|at| COMMON.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::{CpuNumber, KINDS};

    /// A kind whose field had no column would lose it.
    #[test]
    fn each_field_of_each_kind_has_a_column() {
        for (kind, name, _) in KINDS {
            // All bits but those of tasks and texts, so that nothing is left out.
            for flags in [0, 0xff_u64] {
                let words = [1, 0, kind as u64 | flags << 16 | 1 << 32, 1, 1];
                let event = Event::from_words(words).unwrap();
                assert_eq!(event.cpu, CpuNumber(0));
                for (field, value) in fields(&event) {
                    let has = match value {
                        Field::Task(_) => column(field, "_task").map(|at| {
                            ["_task", "_pid", "_comm"]
                                .iter()
                                .enumerate()
                                .all(|(i, end)| column(field, end) == Some(at + i))
                        }),
                        Field::Text(_) if field == "scheduler" => {
                            Some(column("scheduler_name", "").is_some())
                        }
                        Field::Target(_) => {
                            let both = [column(field, ""), column("target_cid", "")];
                            Some(both.iter().all(Option::is_some))
                        }
                        _ => Some(column(field, "").is_some()),
                    };
                    assert_eq!(has, Some(true), "{name}: {field}");
                }
            }
        }
    }
}
