// SPDX-License-Identifier: GPL-2.0-or-later
//! What can go wrong, sorted by who can do something about it.

use std::path::Path;
use std::time::Duration;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a machine could not be prepared, booted or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that does not exist or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// This computer lacks something; the text says what to do about it.
    #[error("{0}")]
    Environment(String),
    /// A file operation failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, with the path.
        context: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A helper program (apt-get, dpkg-deb, …) failed.
    #[error("`{program}` failed ({status}): {stderr}")]
    Program {
        /// The command line.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of what it said.
        stderr: String,
    },
    /// The machine did not boot, or was lost while in use.
    #[error(transparent)]
    Machine(#[from] Box<Failure>),
}

impl Error {
    /// The exit status that `rota-vm` ends with: 2 for usage and environment, 124 for a time-out
    /// and 125 for a machine that was lost without a status.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Machine(failure) => match failure.cause {
                Cause::Timeout { .. } => 124,
                Cause::Panic { .. } | Cause::Ended { .. } | Cause::Setup { .. } => 125,
            },
            _ => 2,
        }
    }

    /// Why the machine was lost, if that is what this error says.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Error::Machine(failure) => Some(&failure.cause),
            _ => None,
        }
    }

    pub(crate) fn io(context: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let context = format!("{context} {}", path.display());
        move |source| Error::Io { context, source }
    }
}

/// A machine that was lost: why, and the end of its console.
#[derive(Debug, thiserror::Error)]
#[error("{cause}{}", tail_text(.console_tail))]
pub struct Failure {
    /// Why it was lost.
    pub cause: Cause,
    /// The last lines of the kernel's console.
    pub console_tail: String,
    /// The whole console.
    pub console: String,
}

/// Why a machine was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The time limit passed; the machine has been killed.
    #[error("no end of {what} after {} s; the machine was killed", limit.as_secs_f32())]
    Timeout {
        /// What was waited for.
        what: String,
        /// The limit that passed.
        limit: Duration,
    },
    /// The guest's kernel panicked.
    #[error("the guest's kernel panicked: {line}")]
    Panic {
        /// The line of the console that says so.
        line: String,
    },
    /// QEMU ended by itself, or the guest powered itself off, before the command's status came.
    #[error("the machine ended without the command's status ({detail})")]
    Ended {
        /// QEMU's exit status and what it and virtiofsd printed.
        detail: String,
    },
    /// The guest's first process could not set the guest up.
    #[error("the guest could not be set up: {detail}")]
    Setup {
        /// What it said.
        detail: String,
    },
}

fn tail_text(tail: &str) -> String {
    if tail.is_empty() {
        "\n(the console is empty)".to_string()
    } else {
        format!("\nThe end of the console:\n{tail}")
    }
}
