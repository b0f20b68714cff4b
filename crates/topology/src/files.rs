// SPDX-License-Identifier: GPL-2.0-or-later
//! Files as data: the trait through which sysfs is read, and a tree in memory.
//!
//! A tree in memory has a text form, one file a line, so that a machine fits in a bug report or a
//! test:
//!
//! ```text
//! # Two cores with two threads each.
//! devices/system/cpu/online = 0-3
//! devices/system/cpu/cpu{0-3}/topology/physical_package_id = 0
//! devices/system/cpu/cpu{0-1}/topology/core_id = {}
//! devices/system/cpu/cpu{0-1}/topology/core_cpus_list = {},{+2}
//! ```
//!
//! A cpulist in braces in the path stands for one file for each number; in the value `{}` is that
//! number, `{+2}` and `{-2}` are two more and two less.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{CpuMask, SYSFS_PATHS};

/// A tree of files that can be read. Paths are relative to the root (`/sys`), without a leading
/// slash.
pub trait Tree {
    /// The bytes of a file; `None` if it is missing or cannot be read.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// The names in a folder, in any order; empty if it is missing.
    fn list(&self, dir: &str) -> Vec<String>;
}

/// A tree in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTree {
    files: BTreeMap<String, Vec<u8>>,
}

/// How many bytes of lines a text can stand for when its braces are written out: twice as much as
/// the largest machine has.
const WRITTEN_OUT_MAX: usize = 64 << 20;

/// A line of a tree's text form that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TreeTextError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl MemoryTree {
    /// The empty tree.
    pub const fn new() -> Self {
        Self { files: BTreeMap::new() }
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// Removes a file, or a folder with all that is in it.
    pub fn remove(&mut self, path: &str) {
        let inside = format!("{path}/");
        self.files.retain(|name, _| name != path && !name.starts_with(&inside));
    }

    /// The files by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// Copies the files that [`crate::Topology::from_sysfs`] reads (those of [`SYSFS_PATHS`]),
    /// so that a machine can be taken along.
    pub fn collect(tree: &dyn Tree) -> Self {
        let mut copy = Self::new();
        for pattern in SYSFS_PATHS {
            copy.collect_pattern(tree, "", pattern);
        }
        copy
    }

    /// Parses the text form. Empty lines and lines that begin with `#` are skipped; every value
    /// gets a newline at its end, as in sysfs.
    pub fn from_text(text: &str) -> Result<Self, TreeTextError> {
        let mut tree = Self::new();
        let mut room = WRITTEN_OUT_MAX;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            tree.insert_line(line, &mut room)
                .map_err(|problem| TreeTextError { line: number + 1, problem })?;
        }
        Ok(tree)
    }

    /// The text form, without braces. One newline at the end of a file is not told apart from
    /// none.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (path, bytes) in &self.files {
            let value = escape(bytes.strip_suffix(b"\n").unwrap_or(bytes));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{path} = {value}");
        }
        text
    }

    fn collect_pattern(&mut self, tree: &dyn Tree, prefix: &str, pattern: &str) {
        let (part, rest) = match pattern.split_once('/') {
            Some((part, rest)) => (part, Some(rest)),
            None => (pattern, None),
        };
        let names = match part.strip_suffix('*') {
            None => vec![part.to_owned()],
            Some(stem) => {
                let mut names = tree.list(prefix);
                names.retain(|name| numbered(name, stem).is_some());
                names
            }
        };
        for name in names {
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            match rest {
                Some(rest) => self.collect_pattern(tree, &path, rest),
                // A folder that is listed for its names only (`cpuN/nodeM`) reads as nothing,
                // and is kept as an empty file.
                None => match tree.read(&path) {
                    Some(bytes) => self.insert(path, bytes),
                    None if part.ends_with('*') => self.insert(path, Vec::new()),
                    None => {}
                },
            }
        }
    }

    fn insert_line(&mut self, line: &str, room: &mut usize) -> Result<(), String> {
        let (path, value) = line.split_once('=').ok_or("expected `path = value`, found no '='")?;
        let (path, value) = (path.trim_end(), unescape(value.trim_start())?);
        let Some((before, rest)) = path.split_once('{') else {
            self.insert(path, [value.as_slice(), b"\n"].concat());
            return Ok(());
        };
        let (list, after) = rest.split_once('}').ok_or("a '{' in the path has no '}'")?;
        let numbers = CpuMask::from_list(list).map_err(|error| error.to_string())?;
        let value = String::from_utf8(value).map_err(|_| "braces need a value in UTF-8")?;
        let left = numbers.count().checked_mul(line.len()).and_then(|all| room.checked_sub(all));
        *room = left.ok_or("the braces stand for more files than any machine has")?;
        for number in &numbers {
            let mut value = expand(&value, number.0)?;
            value.push('\n');
            self.insert(format!("{before}{number}{after}"), value);
        }
        Ok(())
    }
}

impl Tree for MemoryTree {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(path).cloned()
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let inside = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let mut names: Vec<String> = Vec::new();
        let files = self.files.range(inside.clone()..).map(|(path, _)| path);
        for path in files.take_while(|path| path.starts_with(&inside)) {
            let name = path[inside.len()..].split('/').next().unwrap_or_default();
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        // `a.b` sorts between `a` and `a/c`, so equal names need not be neighbours.
        names.sort();
        names.dedup();
        names
    }
}

/// The number in `cpu12`, given `cpu`; nothing for `cpufreq`, `cpu01` or a number beyond 32 bits.
pub(crate) fn numbered(name: &str, stem: &str) -> Option<u32> {
    let digits = name.strip_prefix(stem)?;
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

fn expand(value: &str, number: u32) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('{') {
        let (shift, after) = after.split_once('}').ok_or("a '{' in the value has no '}'")?;
        let shift: i64 = match shift {
            "" => 0,
            _ => shift.parse().map_err(|_| format!("`{{{shift}}}` is no shift like {{+2}}"))?,
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{before}{}", i64::from(number).saturating_add(shift));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, &byte) in bytes.iter().enumerate() {
        // Spaces at the ends would be trimmed with the line.
        let end = at == 0 || at + 1 == bytes.len();
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' ' if !end => text.push(' '),
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = after;
            continue;
        }
        let digits = after.strip_prefix('x').and_then(|hex| hex.get(..2));
        let byte = digits.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.ok_or("after '\\' expected '\\' or 'x' and two hexadecimal digits")?);
        rest = &after[3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}
