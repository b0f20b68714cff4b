// SPDX-License-Identifier: GPL-2.0-or-later
//! The recorder of this machine, as commands start it and wait for it.

use crate::run::signals::Signals;
use anyhow::{Result, bail};
use rota_kernel::{Attach, Host, Recorder, RecorderObjects, RecorderOptions, Wanted};
use rota_object::EngineError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long what was recorded waits in the rings.
const POLL_NS: i64 = 5_000_000;

/// Ways to be called by the kernel, by name.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum AttachChoice {
    /// The first that works
    Auto,
    /// Tracepoints with types; needed for sched_ext
    TpBtf,
    /// Raw tracepoints
    RawTp,
}

impl AttachChoice {
    pub(crate) fn attach(self) -> Attach {
        match self {
            Self::Auto => Attach::Any,
            Self::TpBtf => Attach::Typed,
            Self::RawTp => Attach::Raw,
        }
    }
}

/// Starts it, in the first way that the kernel takes.
pub(crate) fn start(
    host: &Host,
    ring_bytes: u32,
    cpus: u32,
    wanted: Wanted,
) -> Result<Recorder, EngineError> {
    start_as(host, &RecorderOptions { wanted, attach: Attach::Any, ring_bytes, cpus })
}

/// Starts it.
pub(crate) fn start_as(host: &Host, options: &RecorderOptions) -> Result<Recorder, EngineError> {
    use rota_programs::trace::{RECORD, RECORD_RAW};
    Recorder::start(RecorderObjects { typed: RECORD, raw: RECORD_RAW }, host, options)
}

/// Lets this thread have a CPU before most others (nice -20), if it may: where hundreds of tasks want to
/// run, the rings would be full before it is its turn. What it starts afterwards inherits that.
pub(crate) fn hurry() {
    // Without the right to it, it records all the same.
    let _ = rustix::process::setpriority_process(None, -20);
}

/// Waits for a signal, or until it is time to poll.
pub(crate) fn wait(signals: &Signals) -> Result<()> {
    let mut fds: Vec<_> =
        signals.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: POLL_NS })) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => bail!("waiting: {error}"),
    }
}
