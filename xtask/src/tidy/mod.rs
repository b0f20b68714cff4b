// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules of the project that a program can check by looking at text.
//!
//! What rustfmt, clippy or the compiler can check is theirs; this is the rest. A rule is a function
//! from a file to problems. Rules must not find themselves here: patterns are written in two parts.

mod links;
mod machine;
mod rules;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Outcome;
use crate::output::say;
use crate::workspace::Workspace;

/// One file of the work tree. Bytes that are not text are replaced.
pub(crate) struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

/// A broken rule: where, what, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl Source<'_> {
    fn problem(&self, line: usize, what: impl Into<String>) -> Problem {
        Problem { path: self.path.to_owned(), line, what: what.into() }
    }

    /// Lines with their numbers, from one.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.split_terminator('\n'))
    }

    fn has_extension(&self, any_of: &[&str]) -> bool {
        let extension = Path::new(self.path).extension().and_then(|e| e.to_str());
        extension.is_some_and(|extension| any_of.contains(&extension))
    }

    fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    fn is_script(&self) -> bool {
        self.has_extension(&["sh"]) || self.text.starts_with("#!/")
    }

    fn is_code(&self) -> bool {
        self.has_extension(&["rs", "c", "h"]) || self.is_script()
    }

    /// Files that people write: code, prose and settings; not recordings or expected outputs.
    fn is_written(&self) -> bool {
        self.is_code() || self.has_extension(&["md", "toml"])
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    Ok(if check(workspace)? { Outcome::Done } else { Outcome::Failed })
}

/// Checks every file, prints the problems, and says whether there were none.
pub(crate) fn check(workspace: &Workspace) -> Result<bool> {
    let files = workspace.files()?;
    let machine = machine::Machine::of(&workspace.root);
    let mut problems = Vec::new();
    for path in &files {
        let bytes = std::fs::read(workspace.root.join(path)).with_context(|| path.clone())?;
        let text = String::from_utf8_lossy(&bytes);
        let source = Source { path, text: &text };
        rules::check(&source, &mut problems);
        machine.check(&source, &mut problems);
        links::check(&source, |file| workspace.root.join(file).exists(), &mut problems);
    }
    for problem in &problems {
        say(&problem.to_string());
    }
    match problems.len() {
        0 => say(&format!("{} files, tidy", files.len())),
        count => say(&format!("{} files, {count} problems", files.len())),
    }
    Ok(problems.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_can_be_clicked_on() {
        let source = Source { path: "a/b.rs", text: "one\ntwo\n" };
        assert_eq!(source.problem(2, "no, do yes").to_string(), "a/b.rs:2: no, do yes");
        assert_eq!(source.lines().last(), Some((2, "two")));
    }

    #[test]
    fn kinds_of_files() {
        let source = |path, text| Source { path, text };
        assert!(source("x/run", "#!/bin/sh\n").is_code());
        assert!(!source("x/run", "a\n").is_written());
        assert!(source("README.md", "").is_written() && !source("README.md", "").is_code());
        assert!(source("bpf/a.bpf.c", "").is_code());
        assert_eq!(source("x/Cargo.toml", "").file_name(), "Cargo.toml");
    }
}
