// SPDX-License-Identifier: GPL-2.0-or-later
//! TOML whose mistakes are told with their line and column, and with the key that was meant.

use rota_events::hint;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a machine file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct ModelError {
    /// Its line, from 1 on.
    pub line: usize,
    /// Its column in that line, in characters from 1 on.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

impl ModelError {
    pub(super) fn at(text: &str, place: usize, problem: impl Into<String>) -> Self {
        let before = text.get(..place).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: problem.into(),
        }
    }
}

/// A table of the file, of which each key is taken once.
pub(super) struct Section<'a> {
    text: &'a str,
    name: String,
    place: usize,
    entries: Vec<(&'a str, Range<usize>, &'a Spanned<DeValue<'a>>)>,
    asked: Vec<&'static str>,
    /// The numbers that were read.
    numbers: Vec<(&'static str, u64)>,
}

/// Reads the text as a whole.
pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, ModelError> {
    DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or(0, |span| span.start);
        ModelError::at(text, place, error.message().lines().collect::<Vec<_>>().join(", "))
    })
}

impl<'a> Section<'a> {
    pub(super) fn new(text: &'a str, name: &str, place: usize, table: &'a DeTable<'a>) -> Self {
        let entries = table.iter().map(|(key, value)| (&**key.get_ref(), key.span(), value));
        let (name, entries) = (name.to_owned(), entries.collect());
        Self { text, name, place, entries, asked: Vec::new(), numbers: Vec::new() }
    }

    /// An error at the place of this table.
    pub(super) fn wrong(&self, problem: impl Into<String>) -> ModelError {
        ModelError::at(self.text, self.place, problem)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        let at = self.entries.iter().position(|entry| entry.0 == key)?;
        Some(self.entries.swap_remove(at).2)
    }

    fn expected(&self, value: &Spanned<DeValue<'_>>, key: &str, what: &str) -> ModelError {
        let found = match value.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            other => other.type_str().to_owned(),
        };
        let problem = format!("{}: expected {what}, found {found}", self.path(key));
        ModelError::at(self.text, value.span().start, problem)
    }

    /// A text, with its place.
    pub(super) fn text(
        &mut self,
        key: &'static str,
    ) -> Result<Option<(&'a str, usize)>, ModelError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some((text, value.span().start))),
            _ => Err(self.expected(value, key, "a text in quotes")),
        }
    }

    /// A text that must be there.
    pub(super) fn needed_text(&mut self, key: &'static str) -> Result<&'a str, ModelError> {
        let found = self.text(key)?;
        Ok(found.ok_or_else(|| self.wrong(format!("{} is missing", self.path(key))))?.0)
    }

    /// A whole number that is not above `most`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        most: u64,
    ) -> Result<Option<u64>, ModelError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = match value.get_ref() {
            DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok(),
            _ => None,
        };
        let what = || format!("a whole number from 0 to {most}");
        let number = number.filter(|n| *n <= most);
        let number = number.ok_or_else(|| self.expected(value, key, &what()))?;
        self.numbers.push((key, number));
        Ok(Some(number))
    }

    /// The numbers that were read of it.
    pub(super) fn shown(&self) -> String {
        let shown = |(key, number): &(&str, u64)| match self.numbers.len() {
            1 => format!("{number} {key}"),
            _ => format!("{key} {number}"),
        };
        self.numbers.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    /// A whole number that must be there.
    pub(super) fn needed(&mut self, key: &'static str, most: u64) -> Result<u64, ModelError> {
        let found = self.number(key, most)?;
        found.ok_or_else(|| {
            // What stands there in its place.
            let others: Vec<_> =
                self.entries.iter().map(|entry| entry.0).filter(|key| *key != "source").collect();
            let instead = if others.is_empty() {
                String::new()
            } else {
                format!("; there is {}", others.join(", "))
            };
            self.wrong(format!("{} is missing{instead}", self.path(key)))
        })
    }

    /// A table.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Option<Section<'a>>, ModelError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(table) => {
                Ok(Some(Section::new(self.text, &self.path(key), value.span().start, table)))
            }
            _ => {
                Err(self.expected(value, key, "a table, such as { ns = 5, source = \"measured\" }"))
            }
        }
    }

    /// A list of tables.
    pub(super) fn sections(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Vec<Section<'a>>>, ModelError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let what = format!("tables, each as [[{key}]]");
        let DeValue::Array(list) = value.get_ref() else {
            return Err(self.expected(value, key, &what));
        };
        let tables = list.iter().map(|entry| match entry.get_ref() {
            DeValue::Table(table) => {
                Ok(Section::new(self.text, &self.path(key), entry.span().start, table))
            }
            _ => Err(self.expected(entry, key, &what)),
        });
        tables.collect::<Result<_, _>>().map(Some)
    }

    /// The end: what nobody asked for is a mistake.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        let Some((key, span, _)) = self.entries.iter().min_by_key(|entry| entry.1.start) else {
            return Ok(());
        };
        let problem = format!("no key '{}'{}", self.path(key), hint(key, &self.asked));
        Err(ModelError::at(self.text, span.start, problem))
    }
}
