// SPDX-License-Identifier: GPL-2.0-or-later
//! A JSON object an event, one a line.

use crate::fields::{fields, task_json};
use rota_events::{Event, MachineFacts, Tables};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Version of the form: of its first line, and of all that follow.
pub const EVENTS_SCHEMA: &str = "rota-events/1";

/// The first line: the machine.
pub(crate) fn header(machine: &MachineFacts) -> String {
    let MachineFacts { kernel, clock, cpus, command, settings } = machine;
    let first = json!({
        "schema": EVENTS_SCHEMA, "kernel": kernel, "clock": clock, "cpus": cpus.len(),
        "command": command, "settings": settings,
    });
    format!("{first}\n")
}

/// Writes events, a line each.
pub(crate) fn write(out: &mut dyn Write, tables: &Tables, events: &[Event]) -> io::Result<()> {
    for event in events {
        let mut object = Map::new();
        object.insert("time_ns".to_owned(), event.time_ns.into());
        object.insert("cpu".to_owned(), event.cpu.0.into());
        object.insert("event".to_owned(), event.kind.name().into());
        object.insert("task".to_owned(), task_json(event.task, tables));
        if event.scheduler().0 != 0 {
            object.insert("scheduler".to_owned(), event.scheduler().0.into());
        }
        for (name, field) in fields(event) {
            object.insert(name.to_owned(), field.json(tables));
        }
        writeln!(out, "{}", Value::Object(object))?;
    }
    Ok(())
}
