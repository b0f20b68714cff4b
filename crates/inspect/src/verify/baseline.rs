// SPDX-License-Identifier: GPL-2.0-or-later
//! A saved result: ours in JSON or CSV, or veristat's.

use crate::verify::figures::Figures;
use crate::verify::{Row, Verdict, csv, json, kernel_series};
use thiserror::Error;

/// Why a saved result can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BaselineError {
    /// There is nothing in it.
    #[error("empty; a result has at least a line with the names of its columns")]
    Empty,
    /// It has no such column.
    #[error("no column {0} in the first line; it takes a CSV of rota verify or of veristat")]
    Head(&'static str),
    /// A line of a CSV is damaged.
    #[error("line {line}: {problem}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// It is damaged JSON.
    #[error("{0}")]
    Json(String),
    /// It has two results for one program.
    #[error("line {line}: a second result for {object} {program}")]
    Twice {
        /// The line of the second one; in JSON, its number from 1.
        line: usize,
        /// The object.
        object: String,
        /// The program.
        program: String,
    },
}

/// A saved result for one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineRow {
    /// Where it stands: the line, or the number of the entry.
    pub(crate) line: usize,
    /// Its kernel, if the file tells.
    pub kernel: Option<String>,
    /// The object.
    pub object: String,
    /// The program.
    pub program: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The figures that the file has.
    pub figures: Figures,
}

/// A saved result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    rows: Vec<BaselineRow>,
}

impl Baseline {
    /// Reads a file, whatever of the formats it has.
    ///
    /// # Errors
    /// [`BaselineError`] says where it is damaged.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let rows = if text.trim_start().starts_with('{') {
            let rows = json::from_json(text).map_err(BaselineError::Json)?;
            rows.into_iter().enumerate().map(|(i, row)| saved(i + 1, row)).collect()
        } else {
            csv::read(text)?
        };
        for (i, row) in rows.iter().enumerate() {
            let key = |r: &BaselineRow| (r.kernel.clone(), r.object.clone(), r.program.clone());
            if rows[..i].iter().any(|earlier| key(earlier) == key(row)) {
                let (object, program) = (row.object.clone(), row.program.clone());
                return Err(BaselineError::Twice { line: row.line, object, program });
            }
        }
        Ok(Self { rows })
    }

    /// The results of several files together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self
    }

    /// The same, all of one kernel's.
    #[must_use]
    pub fn of_kernel(mut self, kernel: &str) -> Self {
        self.rows.iter_mut().for_each(|row| row.kernel = Some(kernel.to_owned()));
        self
    }

    /// All results.
    pub fn rows(&self) -> &[BaselineRow] {
        &self.rows
    }

    /// The saved result for the same program, on a kernel of the same series if the file tells.
    pub fn of(&self, row: &Row) -> Option<&BaselineRow> {
        self.rows.iter().find(|saved| {
            saved.object == row.object
                && saved.program == row.program
                && saved.may_be_of(&row.kernel)
        })
    }
}

impl BaselineRow {
    /// Whether it is of a kernel of this series, or of one that isn't told.
    pub(crate) fn may_be_of(&self, kernel: &str) -> bool {
        let known = self.kernel.as_deref();
        known.is_none_or(|known| kernel_series(known) == kernel_series(kernel))
    }
}

fn saved(line: usize, row: Row) -> BaselineRow {
    BaselineRow {
        line,
        kernel: Some(row.kernel).filter(|kernel| !kernel.is_empty()),
        object: row.object,
        program: row.program,
        verdict: row.verdict,
        figures: row.figures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::row;
    use crate::verify::{to_csv, to_json};

    #[test]
    fn both_formats_say_the_same() {
        let rows = [row("simple", "f", 66, 4), row("simple", "g", 4, 0)];
        for text in [to_csv(&rows, false), to_csv(&rows, true), to_json(&rows, None)] {
            let baseline = Baseline::parse(&text).unwrap();
            assert_eq!(baseline.of(&rows[1]).unwrap().program, "g");
        }
    }

    #[test]
    fn another_kernel_is_another_result() {
        let ours = row("simple", "f", 66, 4);
        let mut other = ours.clone();
        other.kernel = "6.16.12".into();
        let both = Baseline::parse(&to_csv(&[ours.clone(), other.clone()], true)).unwrap();
        assert_eq!(both.of(&ours).unwrap().line, 2);
        assert_eq!(both.of(&other).unwrap().line, 3);
        let any = Baseline::parse(&to_csv(&[ours], false)).unwrap();
        assert!(any.of(&other).is_some());
        assert!(any.of_kernel("7.0").of(&other).is_none());
    }

    #[test]
    fn two_results_for_one_program_are_a_mistake() {
        let twice = [row("simple", "f", 1, 1), row("simple", "f", 2, 2)];
        let error = Baseline::parse(&to_csv(&twice, false)).unwrap_err().to_string();
        assert_eq!(error, "line 3: a second result for simple f");
    }
}
