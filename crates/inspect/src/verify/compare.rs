// SPDX-License-Identifier: GPL-2.0-or-later
//! Results against a saved result, with limits for what may grow.
//!
//! Differences keep their sign: fewer instructions are a negative difference and never a
//! regression. What a saved result does not tell can't be compared, and isn't.

use crate::verify::baseline::{Baseline, BaselineRow};
use crate::verify::figures::{FIGURES, Figure};
use crate::verify::{Row, Verdict};
use std::fmt;
use std::str::FromStr;

/// By how much a figure may grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// By this share of what it was, in percent.
    Percent(f64),
    /// By this much.
    Absolute(u64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no limit; write +5% for a share, or +200 for a number");
        let number = text.strip_prefix('+').unwrap_or(text);
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'%');
        if !plain {
            return Err(wrong());
        }
        match number.strip_suffix('%') {
            Some(share) => {
                let share = share.parse::<f64>().map_err(|_| wrong())?;
                if share.is_finite() { Ok(Self::Percent(share)) } else { Err(wrong()) }
            }
            None => number.parse().map(Self::Absolute).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(share) => write!(f, "+{share}%"),
            Self::Absolute(number) => write!(f, "+{number}"),
        }
    }
}

/// Limits by figure.
pub type Limits = Vec<(Figure, Limit)>;

/// A figure, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What was saved.
    pub before: u64,
    /// What it is.
    pub after: u64,
}

impl Change {
    /// The difference, negative if the figure shrank.
    pub fn diff(self) -> i64 {
        let size = i64::try_from(self.before.abs_diff(self.after)).unwrap_or(i64::MAX);
        if self.after < self.before { -size } else { size }
    }

    /// The difference in percent of what was; `None` if nothing was and something is.
    pub fn percent(self) -> Option<f64> {
        match (self.before, self.after) {
            (0, 0) => Some(0.0),
            (0, _) => None,
            // Figures are far below 2^53, where this loses nothing.
            (before, _) => Some(self.diff() as f64 * 100.0 / before as f64),
        }
    }

    /// Whether it grew beyond the limit. From nothing, any growth is beyond any share.
    pub fn exceeds(self, limit: Limit) -> bool {
        match limit {
            Limit::Absolute(most) => self.after > self.before.saturating_add(most),
            Limit::Percent(most) => {
                self.after > self.before && self.percent().is_none_or(|share| share > most)
            }
        }
    }
}

/// One result with the saved one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The result.
    pub row: Row,
    /// The saved one; `None` for a new program.
    pub saved: Option<BaselineRow>,
    /// What got worse, in words; empty if nothing did.
    pub regressions: Vec<String>,
}

impl Compared {
    /// How a figure changed, if both results have it.
    pub fn change(&self, figure: Figure) -> Option<Change> {
        let before = self.saved.as_ref()?.figures.get(figure)?;
        Some(Change { before, after: self.row.figures.get(figure)? })
    }
}

/// All results with the saved ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// The results, in their order.
    pub rows: Vec<Compared>,
    /// Saved results of the same objects whose programs are gone.
    pub removed: Vec<BaselineRow>,
}

impl Comparison {
    /// How many programs got worse.
    pub fn regressions(&self) -> usize {
        self.rows.iter().filter(|compared| !compared.regressions.is_empty()).count()
    }
}

/// Compares results with a saved result. A program that is new, or gone, is no regression; one
/// that is rejected is, unless it was before.
pub fn compare(rows: &[Row], baseline: &Baseline, limits: &Limits) -> Comparison {
    let compared = |row: &Row| {
        let saved = baseline.of(row).cloned();
        let mut compared = Compared { row: row.clone(), saved, regressions: Vec::new() };
        compared.regressions = regressions(&compared, limits);
        compared
    };
    let gone = |saved: &&BaselineRow| {
        let mut of_object =
            rows.iter().filter(|row| row.object == saved.object && saved.may_be_of(&row.kernel));
        let mut any = false;
        let there = of_object.any(|row| {
            any = true;
            row.program == saved.program
        });
        any && !there
    };
    Comparison {
        rows: rows.iter().map(compared).collect(),
        removed: baseline.rows().iter().filter(gone).cloned().collect(),
    }
}

fn regressions(compared: &Compared, limits: &Limits) -> Vec<String> {
    let failed_before = compared.saved.as_ref().is_some_and(|s| s.verdict == Verdict::Failure);
    if compared.row.verdict == Verdict::Failure {
        let text = if compared.saved.is_some() { "now rejected" } else { "new and rejected" };
        return if failed_before { Vec::new() } else { vec![text.to_owned()] };
    }
    // The figures of a rejected program end where it was rejected: they say nothing.
    let changes = limits.iter().filter(|_| !failed_before);
    let exceeded = changes.filter(|(figure, limit)| {
        compared.change(*figure).is_some_and(|change| change.exceeds(*limit))
    });
    exceeded
        .map(|(figure, limit)| format!("{} over {limit}", FIGURES[*figure as usize].header))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::row;
    use crate::verify::to_csv;

    fn limit(text: &str) -> Limit {
        text.parse().unwrap()
    }

    #[test]
    fn limits() {
        assert_eq!(limit("+5%"), Limit::Percent(5.0));
        assert_eq!(limit("2.5%"), Limit::Percent(2.5));
        assert_eq!(limit("+200"), Limit::Absolute(200));
        assert_eq!((limit("0%").to_string(), limit("7").to_string()), ("+0%".into(), "+7".into()));
        for bad in ["", "+", "%", "-5%", "5 %", "five", "+5%%", "1e3%", "inf%", "1.5", "+-5"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn differences_have_signs() {
        let check = |before, after, diff, percent| {
            let change = Change { before, after };
            assert_eq!((change.diff(), change.percent()), (diff, percent), "{before} {after}");
        };
        check(100, 105, 5, Some(5.0));
        check(100, 50, -50, Some(-50.0));
        check(0, 0, 0, Some(0.0));
        check(0, 9, 9, None);
        check(9, 0, -9, Some(-100.0));
        check(3, 4, 1, Some(100.0 / 3.0));
        check(0, u64::MAX, i64::MAX, None);
    }

    #[test]
    fn what_exceeds() {
        let check = |before, after, text: &str, expected| {
            let change = Change { before, after };
            assert_eq!(change.exceeds(limit(text)), expected, "{before} {after} {text}");
        };
        check(100, 105, "+5%", false);
        check(100, 106, "+5%", true);
        check(100, 10, "+0%", false);
        check(100, 100, "+0%", false);
        check(100, 101, "+0%", true);
        check(0, 0, "+5%", false);
        check(0, 1, "+500%", true);
        check(0, 1, "+1", false);
        check(10, 12, "+1", true);
        check(u64::MAX, u64::MAX, "+1", false);
    }

    #[test]
    fn a_comparison() {
        let saved = [row("a", "same", 10, 1), row("a", "grown", 100, 1), row("a", "gone", 5, 1)];
        let mut other = row("other", "f", 5, 1);
        other.verdict = Verdict::Failure;
        let baseline = [&saved[..], &[other.clone()]].concat();
        let baseline = Baseline::parse(&to_csv(&baseline, false)).unwrap();
        let mut rejected = row("a", "fresh", 1, 1);
        rejected.verdict = Verdict::Failure;
        let now =
            [row("a", "same", 10, 9), row("a", "grown", 106, 1), row("a", "new", 9, 9), rejected];
        let found = compare(&now, &baseline, &vec![(Figure::Insns, limit("+5%"))]);
        let regressions: Vec<_> = found.rows.iter().map(|r| r.regressions.join("; ")).collect();
        assert_eq!(regressions, ["", "insns over +5%", "", "new and rejected"]);
        assert_eq!(found.regressions(), 2);
        // Objects that were not verified now are not gone.
        assert_eq!(found.removed.iter().map(|r| &r.program).collect::<Vec<_>>(), ["gone"]);
        assert!(found.rows[2].saved.is_none());

        // Known to be rejected: no news. Rejected now: a regression. Cured: none.
        assert_eq!(compare(&[other.clone()], &baseline, &Vec::new()).regressions(), 0);
        let mut worse = saved[0].clone();
        worse.verdict = Verdict::Failure;
        let found = compare(&[worse], &baseline, &Vec::new());
        assert_eq!(found.rows[0].regressions, ["now rejected"]);
        other.verdict = Verdict::Success;
        other.figures.set(Figure::Insns, 5000);
        let limits = vec![(Figure::Insns, limit("+5%"))];
        assert_eq!(compare(&[other], &baseline, &limits).regressions(), 0);
    }
}
