// SPDX-License-Identifier: GPL-2.0-or-later
//! A line an event, for people.

use crate::fields::fields;
use rota_events::{Event, MachineFacts, Tables};
use std::io::{self, Write};

/// The lines over the events: the machine, and the columns.
pub(crate) fn header(machine: &MachineFacts) -> String {
    let MachineFacts { kernel, clock, cpus, .. } = machine;
    let cpus = cpus.len();
    let columns = columns("time_s", "cpu", "event", "task", "");
    format!("# kernel {kernel}, {clock} clock, {cpus} CPUs\n#{}\n", columns.get(1..).unwrap_or(""))
}

fn columns(time: &str, cpu: &str, kind: &str, task: &str, rest: &str) -> String {
    format!("{time:>16} {cpu:>4}  {kind:<13} {task:<22} {rest}").trim_end().to_owned()
}

/// Writes events, a line each.
pub(crate) fn write(out: &mut dyn Write, tables: &Tables, events: &[Event]) -> io::Result<()> {
    for event in events {
        let (seconds, rest) = (event.time_ns / 1_000_000_000, event.time_ns % 1_000_000_000);
        let time = format!("{seconds}.{rest:09}");
        let task = if event.task.is_some() { tables.task_name(event.task) } else { "-".to_owned() };
        let fields = fields(event).into_iter();
        let fields = fields.map(|(name, field)| format!("{name}={}", field.text(tables)));
        let fields = fields.collect::<Vec<_>>().join(" ");
        let cpu = event.cpu.0.to_string();
        writeln!(out, "{}", columns(&time, &cpu, event.kind.name(), &task, &fields))?;
    }
    Ok(())
}
