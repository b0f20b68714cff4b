// SPDX-License-Identifier: GPL-2.0-or-later
//! Keeps calls in a file, as a trace for Perfetto.

use crate::output;
use anyhow::{Context, Result};
use rota_events::MachineFacts;
use rota_inspect::calls::{Call, Session, Shown};
use rota_kernel::{Host, now_ns};
use rota_trace::{CallTrace, Caller};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

type Trace = CallTrace<BufWriter<File>>;

/// The file, until it can't be written any more, of which nothing else depends.
pub(super) struct Kept {
    trace: Option<Trace>,
    place: String,
    /// Whether anything is missing in it.
    pub(super) failed: bool,
}

impl Kept {
    /// Begins a file; none without a path.
    pub(super) fn begin(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self { trace: None, place: String::new(), failed: false });
        };
        let place = path.display().to_string();
        let kernel = Host::default().proc_text("sys/kernel/osrelease").unwrap_or_default();
        let clock = "monotonic".to_owned();
        let machine = MachineFacts { kernel, clock, ..MachineFacts::default() };
        let out = BufWriter::new(File::create(path).with_context(|| place.clone())?);
        let trace = CallTrace::new(out, &machine, now_ns()).with_context(|| place.clone())?;
        Ok(Self { trace: Some(trace), place, failed: false })
    }

    /// Adds a session.
    pub(super) fn session(&mut self, session: &Session, shown: &Shown<'_>) {
        let Some(trace) = &mut self.trace else { return };
        let (pid, tgid, comm, cpu) = (session.pid, session.tgid, &*session.comm, session.cpu);
        if let Err(error) = keep(trace, Caller { pid, tgid, comm, cpu }, &session.root, shown) {
            self.ends(&error);
        }
    }

    /// Writes what is left.
    pub(super) fn finish(&mut self) {
        if let Some(Err(error)) = self.trace.take().map(Trace::finish) {
            self.ends(&error);
        }
    }

    /// Nothing more is written.
    fn ends(&mut self, error: &io::Error) {
        output::error(&format!("{}: {error}; no more calls are kept there", self.place));
        (self.trace, self.failed) = (None, true);
    }
}

/// Writes a call and those within it.
fn keep(trace: &mut Trace, caller: Caller<'_>, call: &Call, shown: &Shown<'_>) -> io::Result<()> {
    trace.begins(caller, call.began_ns, shown.name(call), &shown.known(call))?;
    for inner in &call.calls {
        keep(trace, caller, inner, shown)?;
    }
    trace.ends(caller, shown.end_ns(call))
}
