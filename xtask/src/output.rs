// SPDX-License-Identifier: GPL-2.0-or-later
//! Printing. A closed pipe (`cargo xtask test | head`) is no reason to panic, so errors are
//! dropped: there is nobody left to tell.

use std::io::Write;

/// Writes a line to standard output.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Writes a line to standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
