// SPDX-License-Identifier: GPL-2.0-or-later
//! How far something long is, on a terminal.

use crate::output;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often it is shown.
const EVERY: Duration = Duration::from_millis(200);

/// Shows how far something is, in one line that it writes over again and again. Nothing is shown
/// of what is short, nor where nobody looks.
pub(crate) struct Progress {
    started: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { started: Instant::now(), shown: None, terminal }
    }

    /// Shows the text, unless it has been shown not long ago.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let since = self.shown.unwrap_or(self.started);
        if self.terminal && since.elapsed() >= EVERY {
            self.shown = Some(Instant::now());
            output::over(&text());
        }
    }

    /// How much of the time is left if it goes on like this, for the text; empty at first.
    pub(crate) fn left(&self, done: u64, all: u64) -> String {
        let spent = self.started.elapsed();
        if done == 0 || done >= all || spent < Duration::from_secs(3) {
            return String::new();
        }
        let left = spent.as_secs_f64() * (all - done) as f64 / done as f64;
        format!(", about {left:.0} s left")
    }

    /// Clears the line.
    pub(crate) fn clear(&self) {
        if self.shown.is_some() {
            output::over("");
        }
    }
}
