// SPDX-License-Identifier: GPL-2.0-or-later
//! Which tests failed, and what they said, read from the output of `cargo test` as it passes by.
//!
//! A whole run prints thousands of lines, and where only its last hundred are kept, a failure in
//! the midst would leave its phase's name and nothing else.

use std::fmt::Write as _;
use std::io::{BufRead, Write};

use anyhow::Result;

/// As much of what a failed test said is repeated at the end.
const LINES: usize = 20;
const LETTERS: usize = 300;

/// A test that failed, and the beginning of what it said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) test: String,
    said: Vec<String>,
}

impl Failure {
    /// The test's name with what it said below, indented.
    pub(crate) fn text(&self) -> String {
        let mut text = self.test.clone();
        for line in &self.said {
            let _ = write!(text, "\n    {line}");
        }
        text
    }
}

/// Copies the output of tests, and gathers those that failed.
///
/// Both libtest and what imitates it print `test NAME ... FAILED` (docs and machines may stand
/// before the name), and after all tests of a program `---- NAME` with what each of them said.
pub(crate) fn gather(mut input: impl BufRead, output: &mut impl Write) -> Result<Vec<Failure>> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut speaker: Option<usize> = None;
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        // Nobody reads any more: nothing to do about it.
        let _ = output.write_all(&line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if let Some(test) = failed(text) {
            failures.push(Failure { test: test.to_owned(), said: Vec::new() });
        } else if let Some(test) = heading(text) {
            // The newest, since two programs may have a test of one name.
            speaker = failures.iter().rposition(|failure| failure.test == test);
        } else if text == "failures:" || text.starts_with("test result:") {
            speaker = None;
        } else if let Some(failure) = speaker.and_then(|at| failures.get_mut(at))
            && failure.said.len() < LINES
            && !text.is_empty()
        {
            failure.said.push(text.chars().take(LETTERS).collect());
        }
        line.clear();
    }
    Ok(failures)
}

fn failed(line: &str) -> Option<&str> {
    let test = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    Some(test.trim_end_matches(" - should panic"))
}

fn heading(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?;
    Some(name.strip_suffix(" ----").unwrap_or(name).trim_end_matches(" stdout"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_and_what_it_said() {
        let text = "running 3 tests\ntest a::b ... ok\ntest a::c - should panic ... FAILED\n\nfailures:\n\n\
                    ---- a::c stdout ----\nthread 'a::c' panicked at x.rs:1:\nleft: 1\n\n\n\
                    failures:\n    a::c\n\ntest result: FAILED. 1 passed\nafter\n\
                    test a::c ... FAILED\nfailures:\n\n---- a::c ----\nthe second\n";
        let mut copy = Vec::new();
        let failures = gather(text.as_bytes(), &mut copy).unwrap();
        assert_eq!(copy, text.as_bytes());
        let texts: Vec<String> = failures.iter().map(Failure::text).collect();
        let first = "a::c\n    thread 'a::c' panicked at x.rs:1:\n    left: 1";
        assert_eq!(texts, [first, "a::c\n    the second"]);
    }

    #[test]
    fn much_is_cut() {
        let text = format!("test a ... FAILED\n---- a stdout ----\n{}", "é\n".repeat(2 * LINES));
        let failures = gather(text.as_bytes(), &mut Vec::new()).unwrap();
        assert_eq!(failures[0].said.len(), LINES);
        let wide = format!("test a ... FAILED\n---- a stdout ----\n{}\n", "é".repeat(1000));
        let failures = gather(wide.as_bytes(), &mut Vec::new()).unwrap();
        assert_eq!(failures[0].said[0].chars().count(), LETTERS);
    }
}
