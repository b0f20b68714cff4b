// SPDX-License-Identifier: GPL-2.0-or-later
//! Recordings of several tools, read as one stream of events.
//!
//! What a file is, its first bytes tell. Each reader is a [`Source`]; those that read what the
//! kernel's tracepoints say hand it to `Kernel`, which makes events of it.

mod format;
mod ftrace;
mod input;
mod kernel;
mod order;
mod perf;
mod perfetto;
mod points;
mod tracedat;
mod tracing;

pub use input::{Input, Seekable, Spool};

use rota_events::{Event, MachineFacts, Problems, Reader, Tables};
use std::io::{self, Read};

/// Why a recording can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is nothing that is known here.
    #[error("not a recording that Rota reads: {KNOWN}")]
    Unknown,
    /// It is an event file of another version, say.
    #[error(transparent)]
    Events(rota_events::OpenError),
    /// It is what it seems to be, but has no part without which it can't be read.
    #[error("{0}")]
    Unusable(String),
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What can be read.
const KNOWN: &str = "its own event files, perf.data, trace.dat, traces of Perfetto, and the text of ftrace, trace-cmd report and perf script";

/// A reader of one kind of file.
trait Source {
    /// The machine, as far as the file says.
    fn machine(&self) -> &MachineFacts;
    /// What numbers of the events read so far stand for.
    fn tables(&self) -> &Tables;
    /// What was wrong so far.
    fn problems(&self) -> &Problems;
    /// The next events, in the order of their times; `None` at the end. Damage is no error.
    fn next_events(&mut self) -> io::Result<Option<Vec<Event>>>;
}

impl<R: Read> Source for Reader<R> {
    fn machine(&self) -> &MachineFacts {
        self.machine()
    }

    fn tables(&self) -> &Tables {
        self.tables()
    }

    fn problems(&self) -> &Problems {
        self.problems()
    }

    fn next_events(&mut self) -> io::Result<Option<Vec<Event>>> {
        self.next_events()
    }
}

/// A recording of any kind, read piece by piece, in memory that does not grow with its length.
pub struct Recording {
    source: Box<dyn Source>,
}

impl Recording {
    /// Starts to read.
    ///
    /// # Errors
    /// [`ReadError`], if nothing of it can be read.
    pub fn open(mut input: Input) -> Result<Self, ReadError> {
        let head = input.peek(HEAD_BYTES)?;
        let source: Box<dyn Source> = if head.starts_with(&rota_events::FILE_MAGIC) {
            Box::new(Reader::open(input.into_stream()).map_err(ReadError::Events)?)
        } else if perf::is_perf(head) {
            Box::new(perf::PerfData::open(input)?)
        } else if tracedat::is_trace_dat(head) {
            Box::new(tracedat::TraceDat::open(input)?)
        } else if perfetto::is_perfetto(head) {
            Box::new(perfetto::Trace::open(input)?)
        } else if ftrace::is_ftrace(head) {
            Box::new(ftrace::FtraceText::new(input.into_stream()))
        } else {
            return Err(ReadError::Unknown);
        };
        Ok(Self { source })
    }

    /// The machine, as far as the recording says.
    pub fn machine(&self) -> &MachineFacts {
        self.source.machine()
    }

    /// What numbers of the events read so far stand for.
    pub fn tables(&self) -> &Tables {
        self.source.tables()
    }

    /// What was wrong so far.
    pub fn problems(&self) -> &Problems {
        self.source.problems()
    }

    /// The next events, in the order of their times; `None` at the end.
    ///
    /// # Errors
    /// What reading the input says. Damage is no error, but a problem.
    pub fn next_events(&mut self) -> io::Result<Option<Vec<Event>>> {
        self.source.next_events()
    }
}

/// So many bytes tell what a file is.
const HEAD_BYTES: usize = 1 << 16;
