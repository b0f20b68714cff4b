// SPDX-License-Identifier: GPL-2.0-or-later
//! What is wrong with a file that is read as far as it can be.

use std::fmt;

/// Something that is wrong with a file, at a byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes from the start of the file.
    pub at: u64,
    /// What, in words.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.what)
    }
}

/// What is wrong with a file: the first of it in words, all of it as a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    count: u64,
}

impl Problems {
    /// So many are kept. A file that is damaged all over says nothing new after them.
    const MOST: usize = 100;

    /// Adds one.
    pub fn add(&mut self, at: u64, what: impl Into<String>) {
        self.count += 1;
        if self.list.len() < Self::MOST {
            self.list.push(Problem { at, what: what.into() });
        }
    }

    /// The first of them.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The last one that is kept, to say more of it.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Problem> {
        self.list.last_mut()
    }
}
