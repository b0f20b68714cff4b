// SPDX-License-Identifier: GPL-2.0-or-later
//! What libbpf prints, kept so that a refusal can be explained.

use libbpf_rs::{PrintLevel, set_print};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much of libbpf's own log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// None of it.
    Quiet,
    /// All of it, on standard error.
    Verbose,
}

static VERBOSE: AtomicBool = AtomicBool::new(false);
static KEPT: Mutex<String> = Mutex::new(String::new());

/// Chooses how much of libbpf's log is shown.
pub fn set_verbosity(verbosity: Verbosity) {
    VERBOSE.store(verbosity == Verbosity::Verbose, Ordering::Relaxed);
}

/// Runs a call into libbpf and returns what it printed as warnings meanwhile.
///
/// libbpf has one log for a process, so calls take turns.
pub(crate) fn capture<T>(call: impl FnOnce() -> T) -> (T, String) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    kept().clear();
    let level = if VERBOSE.load(Ordering::Relaxed) { PrintLevel::Debug } else { PrintLevel::Warn };
    let before = set_print(Some((level, keep)));
    let result = call();
    set_print(before);
    (result, std::mem::take(&mut *kept()))
}

fn kept() -> std::sync::MutexGuard<'static, String> {
    KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn keep(level: PrintLevel, text: String) {
    if VERBOSE.load(Ordering::Relaxed) {
        // Losing a line of the log because standard error is closed is no reason to stop.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    if matches!(level, PrintLevel::Warn) {
        kept().extend([text]);
    }
}
