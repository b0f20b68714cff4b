// SPDX-License-Identifier: GPL-2.0-or-later
//! Writing a stream of events in one of several forms.

use crate::event_table::EventTable;
use crate::ftrace::{self, Ftrace};
use crate::perfetto::Perfetto;
use crate::{json, text};
use rota_events::{Event, MachineFacts, Tables, Writer};
use std::io::{self, Write};

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The event file, which can be read again.
    Events,
    /// A line an event, for people.
    Text,
    /// A JSON object an event, one a line.
    Json,
    /// A trace for Perfetto.
    Perfetto,
    /// The text of the kernel's own tracing.
    Ftrace,
    /// A table in a Parquet file.
    Parquet,
}

impl Form {
    /// The form that the end of a file's name asks for: `.txt`, `.json` or `.jsonl`,
    /// `.perfetto-trace` or `.pftrace`, `.ftrace`, `.parquet`; with any other it is an event file.
    pub fn of_name(name: &str) -> Self {
        match name.rsplit_once('.').map_or("", |(_, end)| end) {
            "txt" => Self::Text,
            "json" | "jsonl" => Self::Json,
            "perfetto-trace" | "pftrace" => Self::Perfetto,
            "ftrace" => Self::Ftrace,
            "parquet" => Self::Parquet,
            _ => Self::Events,
        }
    }
}

/// A file or the like that events are written to.
pub struct Output<W: Write>(To<W>);

enum To<W: Write> {
    Events(Writer<W>),
    Text(W),
    Json(W),
    Perfetto(W, Box<Perfetto>),
    Ftrace(W, Ftrace),
    Parquet(W, Box<EventTable>),
}

impl<W: Write> Output<W> {
    /// Starts to write.
    ///
    /// # Errors
    /// What the writer `out` says, here and below.
    pub fn new(form: Form, mut out: W, machine: &MachineFacts) -> io::Result<Self> {
        Ok(Self(match form {
            Form::Events => To::Events(Writer::new(out, machine)?),
            Form::Text => {
                out.write_all(text::header(machine).as_bytes())?;
                To::Text(out)
            }
            Form::Json => {
                out.write_all(json::header(machine).as_bytes())?;
                To::Json(out)
            }
            Form::Perfetto => To::Perfetto(out, Box::new(Perfetto::new(machine))),
            Form::Ftrace => {
                out.write_all(ftrace::HEADER.as_bytes())?;
                To::Ftrace(out, Ftrace::default())
            }
            Form::Parquet => To::Parquet(out, Box::new(EventTable::new(machine)?)),
        }))
    }

    /// Has a trace for Perfetto draw arrows from who wakes to who then runs; other forms stay as
    /// they are.
    #[must_use]
    pub fn with_arrows(mut self) -> Self {
        if let To::Perfetto(_, perfetto) = &mut self.0 {
            perfetto.draw_arrows();
        }
        self
    }

    /// Has a trace for Perfetto show each call of a callback; other forms stay as they are.
    #[must_use]
    pub fn with_callbacks(mut self) -> Self {
        if let To::Perfetto(_, perfetto) = &mut self.0 {
            perfetto.show_calls();
        }
        self
    }

    /// Writes events. `tables` has what their numbers stand for, and grows from call to call.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&mut self, tables: &Tables, events: &[Event]) -> io::Result<()> {
        match &mut self.0 {
            To::Events(writer) => writer.write(tables, events),
            To::Text(out) => text::write(out, tables, events),
            To::Json(out) => json::write(out, tables, events),
            To::Perfetto(out, perfetto) => perfetto.write(out, tables, events),
            To::Parquet(out, table) => table.write(out, tables, events),
            To::Ftrace(out, ftrace) => ftrace.write(out, tables, events),
        }
    }

    /// Ends what was written, and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(self) -> io::Result<W> {
        let mut out = match self.0 {
            To::Events(writer) => writer.finish()?,
            To::Text(out) | To::Json(out) => out,
            To::Ftrace(out, _) => out,
            To::Perfetto(mut out, mut perfetto) => {
                perfetto.finish(&mut out)?;
                out
            }
            To::Parquet(mut out, table) => {
                table.finish(&mut out)?;
                out
            }
        };
        out.flush()?;
        Ok(out)
    }
}
