// SPDX-License-Identifier: GPL-2.0-or-later
//! How far something long is, on a terminal.

use crate::output;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often it is shown.
pub(crate) const EVERY: Duration = Duration::from_millis(200);

/// Shows how far something is, in one line that it writes over again and again. Nothing is shown
/// of what is short, nor where nobody looks.
pub(crate) struct Progress {
    started: Instant,
    shown: Option<Instant>,
    terminal: bool,
    /// What becomes of the time.
    verb: &'static str,
}

impl Progress {
    /// Of a simulation.
    pub(crate) fn new() -> Self {
        Self::of("simulated")
    }

    /// Of something else that goes on for a known time.
    pub(crate) fn of(verb: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { started: Instant::now(), shown: None, terminal, verb }
    }

    /// Shows how much of the machine's time, or that of several, has gone by, in ns, behind a text;
    /// unless it has been shown not long ago.
    pub(crate) fn show(&mut self, before: &str, done_ns: u64, all_ns: u64) {
        let since = self.shown.unwrap_or(self.started);
        if self.terminal && since.elapsed() >= EVERY {
            self.shown = Some(Instant::now());
            let text = text(self.verb, done_ns, all_ns, self.started.elapsed());
            output::over(&format!("{before}{text}"));
        }
    }

    /// Clears the line.
    pub(crate) fn clear(&self) {
        if self.shown.is_some() {
            output::over("");
        }
    }
}

/// How far it is after such a time, and how long it still takes if it goes on like this.
fn text(verb: &str, done_ns: u64, all_ns: u64, spent: Duration) -> String {
    let percent = u128::from(done_ns) * 100 / u128::from(all_ns.max(1));
    let (done, all) = (done_ns as f64 / 1e9, all_ns as f64 / 1e9);
    let text = format!("{done:.1} of {all:.1} s {verb} ({percent} %)");
    // At first nobody can tell.
    if done_ns == 0 || done_ns >= all_ns || spent < Duration::from_secs(3) {
        return text;
    }
    let left = spent.as_secs_f64() * (all - done) / done;
    format!("{text}, about {left:.0} s left")
}

#[cfg(test)]
mod tests {
    use super::text;
    use std::time::Duration;

    #[test]
    fn what_is_left_is_told_once_it_can_be_told() {
        let second = Duration::from_secs(1);
        for (done_ns, all_ns, spent, expected) in [
            (0, 2_000_000_000, 9, "0.0 of 2.0 s simulated (0 %)"),
            (500_000_000, 2_000_000_000, 2, "0.5 of 2.0 s simulated (25 %)"),
            (500_000_000, 2_000_000_000, 6, "0.5 of 2.0 s simulated (25 %), about 18 s left"),
            (2_000_000_000, 2_000_000_000, 6, "2.0 of 2.0 s simulated (100 %)"),
            (0, 0, 6, "0.0 of 0.0 s simulated (0 %)"),
        ] {
            assert_eq!(text("simulated", done_ns, all_ns, second * spent), expected);
        }
        let longest = text("simulated", u64::MAX / 2, u64::MAX, second * 4);
        assert_eq!(longest, "9223372036.9 of 18446744073.7 s simulated (49 %), about 4 s left");
    }
}
