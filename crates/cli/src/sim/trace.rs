// SPDX-License-Identifier: GPL-2.0-or-later
//! The trace of a run in a file, in the form that the file's name asks for.

use anyhow::{Context, Result};
use rota_events::{Event, MachineFacts, Tables, Writer};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// A trace that is being written.
pub(super) struct Trace {
    path: PathBuf,
    writer: Writer<BufWriter<File>>,
}

impl Trace {
    /// Starts the file, before anything runs.
    pub(super) fn create(path: &Path, facts: &MachineFacts) -> Result<Self> {
        let place = || path.display().to_string();
        let file = BufWriter::new(File::create(path).with_context(place)?);
        let writer = Writer::new(file, facts).with_context(place)?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Adds events.
    pub(super) fn write(&mut self, tables: &Tables, events: &[Event]) -> Result<()> {
        self.writer.write(tables, events).with_context(|| self.path.display().to_string())
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<()> {
        self.writer.finish().map(drop).with_context(|| self.path.display().to_string())
    }
}
