// SPDX-License-Identifier: GPL-2.0-or-later
//! The trace of a run in a file, in the form that the file's name asks for.

use super::Args;
use super::contestant::Contestant;
use anyhow::{Context, Result};
use rota_events::{Event, MachineFacts, Tables};
use rota_trace::{Form, Output};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// What the simulation begins with: the seed, the machine, what runs on it, the scheduler and its
/// settings.
pub(super) fn began_with(args: &Args, contestant: &Contestant) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("seed".to_owned(), args.seed.to_string()),
        ("machine".to_owned(), args.machine().to_owned()),
        ("workload".to_owned(), args.workload.join("+")),
        ("scheduler".to_owned(), contestant.name().to_owned()),
    ]);
    let settings = contestant.choice().into_iter().flat_map(|choice| &choice.settings);
    all.extend(settings.map(|(name, value)| (format!("scheduler.{name}"), value.clone())));
    all
}

/// A trace that is being written.
pub(super) struct Trace {
    path: PathBuf,
    output: Output<BufWriter<File>>,
}

impl Trace {
    /// Starts the file, before anything runs.
    pub(super) fn create(path: &Path, facts: &MachineFacts) -> Result<Self> {
        let place = || path.display().to_string();
        let file = BufWriter::new(File::create(path).with_context(place)?);
        let form = Form::of_name(&path.to_string_lossy());
        let output = Output::new(form, file, facts).with_context(place)?;
        Ok(Self { path: path.to_owned(), output })
    }

    /// Adds events.
    pub(super) fn write(&mut self, tables: &Tables, events: &[Event]) -> Result<()> {
        self.output.write(tables, events).with_context(|| self.path.display().to_string())
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<()> {
        self.output.finish().map(drop).with_context(|| self.path.display().to_string())
    }
}
