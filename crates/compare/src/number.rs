// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers with units, short enough for a table.

use crate::difference::{Difference, Verdict};
use crate::interval::Estimate;
use crate::measure::Unit;

/// How numbers of about one size are written.
pub(crate) struct Shape {
    divide: f64,
    suffix: &'static str,
    decimals: usize,
}

impl Shape {
    /// For a number of this size: three digits, or four of a whole number.
    pub(crate) fn of(unit: Unit, size: f64) -> Self {
        let size = size.abs();
        // From which size on, divided by what, with which unit.
        let steps: &[(f64, f64, &str)] = match unit {
            Unit::Ns => &[(1e9, 1e9, "s"), (1e6, 1e6, "ms"), (1e3, 1e3, "us"), (0.0, 1.0, "ns")],
            Unit::Joules => {
                &[(1e4, 1e3, "kJ"), (1.0, 1.0, "J"), (1e-3, 1e-3, "mJ"), (0.0, 1e-6, "uJ")]
            }
            Unit::Percent => &[(0.0, 1.0, "%")],
            // Four digits stand as they are.
            Unit::PerSecond | Unit::Cpus => {
                &[(1e10, 1e9, "G"), (1e7, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, "")]
            }
        };
        let step = steps.iter().find(|(from, ..)| size >= *from);
        let (_, divide, suffix) = step.copied().unwrap_or((0.0, 1.0, ""));
        let decimals = match size / divide {
            0.0 => 0,
            scaled if scaled < 9.995 => small_decimals(scaled),
            scaled if scaled < 99.95 => 1,
            _ => 0,
        };
        Self { divide, suffix, decimals }
    }

    /// For numbers up to this size that are so far apart.
    pub(crate) fn of_steps(unit: Unit, greatest: f64, step: f64) -> Self {
        let shape = Self::of(unit, greatest);
        let decimals = libm::ceil(-libm::log10(step / shape.divide) - 1e-9).clamp(0.0, 9.0);
        Self { decimals: decimals as usize, ..shape }
    }

    /// The number with its unit.
    pub(crate) fn show(&self, value: f64) -> String {
        format!("{}{}", self.bare(value), self.suffix)
    }

    /// The number alone.
    pub(crate) fn bare(&self, value: f64) -> String {
        let text = format!("{:.*}", self.decimals, value / self.divide);
        // What rounds to zero has no sign.
        match text.trim_start_matches(['-', '0', '.']).is_empty() {
            true => text.trim_start_matches('-').to_owned(),
            false => text,
        }
    }
}

/// Two decimals of a number below 10, or as many as show two digits of it; six are the most.
fn small_decimals(value: f64) -> usize {
    let steps = [0.095, 0.0095, 0.000_95, 0.000_095];
    2 + steps.iter().filter(|step| value < **step).count()
}

/// A number with its unit.
pub(crate) fn show(unit: Unit, value: f64) -> String {
    Shape::of(unit, value).show(value)
}

/// A median with its unit, and the ends of its interval without it, which has the same. There are no
/// ends if both have the digits of the median.
pub(crate) fn parts(unit: Unit, estimate: &Estimate) -> (String, Option<(String, String)>) {
    let mut shape = Shape::of(unit, estimate.median);
    if unit == Unit::Percent {
        // What is less than a hundredth matters to nobody.
        shape.decimals = shape.decimals.min(2);
    }
    let ends = estimate.interval.map(|ends| (shape.bare(ends.low), shape.bare(ends.high)));
    let bare = shape.bare(estimate.median);
    (shape.show(estimate.median), ends.filter(|(low, high)| *low != bare || *high != bare))
}

/// The same as one text: `20.4ms 20.3..20.6`.
pub(crate) fn estimate(unit: Unit, estimate: &Estimate) -> String {
    match parts(unit, estimate) {
        (median, Some((low, high))) => format!("{median} {low}..{high}"),
        (median, None) => median,
    }
}

/// A difference in words: `4.2% better`, `3.1x more`, `~` within noise, `=` if there is none.
pub(crate) fn difference(unit: Unit, difference: &Difference) -> String {
    let word = match difference.verdict {
        Verdict::Noise => return "~".to_owned(),
        Verdict::Equal => return "=".to_owned(),
        Verdict::TooFew => return "?".to_owned(),
        verdict => verdict.name(),
    };
    let median = difference.estimate.median;
    // A part of next to nothing says nothing, and of nothing there is none.
    let points =
        unit == Unit::Percent && difference.relative.is_none_or(|part| part >= 4.0 || part <= -0.9);
    let size = match difference.relative {
        _ if points => {
            let shape = Shape::of(unit, median);
            // Less than a hundredth is no difference, whose second digit would be noise.
            format!("{}pt", Shape { decimals: shape.decimals.min(2), ..shape }.bare(median.abs()))
        }
        // Three times as much is easier to read than 200 %.
        Some(part) if part >= 1.0 => format!("{}x", short(1.0 + part)),
        Some(part) => percent(part.abs()),
        None => show(unit, median.abs()),
    };
    format!("{size} {word}")
}

/// A part of something, as a percentage.
pub(crate) fn percent(part: f64) -> String {
    format!("{}%", short(100.0 * part))
}

/// Two digits, or one behind the point.
fn short(value: f64) -> String {
    match value {
        value if value < 0.05 => "<0.1".to_owned(),
        value if value < 9.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_that_was_nothing_differs_by_points() {
        use crate::measure::{IDLE_WAITING, LATENCY_MAX, Measure, UNFAIRNESS};
        let words = |measure: Measure, from: f64, to: f64| {
            difference(measure.unit, &Difference::of(measure, &[(from, to); 6]).unwrap())
        };
        assert_eq!(words(UNFAIRNESS, 0.0, 14.0), "14.0pt worse");
        assert_eq!(words(UNFAIRNESS, 14.0, 0.0), "14.0pt better");
        assert_eq!(words(IDLE_WAITING, 2.0, 14.0), "12.0pt worse");
        assert_eq!(words(UNFAIRNESS, 0.031, 0.001), "0.03pt better");
        assert_eq!(words(UNFAIRNESS, 10.0, 14.0), "40% worse");
        assert_eq!(words(UNFAIRNESS, 10.0, 25.0), "2.5x worse");
        assert_eq!(words(LATENCY_MAX, 0.0, 2e6), "2.00ms worse", "of nothing else is there a part");
    }

    #[test]
    fn numbers_are_short_and_keep_their_unit() {
        let cases = [
            (Unit::Ns, 0.0, "0ns"),
            (Unit::Ns, 999.0, "999ns"),
            (Unit::Ns, 20_440_000.0, "20.4ms"),
            (Unit::Ns, 7.5e9, "7.50s"),
            (Unit::PerSecond, 1968.04, "1968"),
            (Unit::PerSecond, 31_684.0, "31.7k"),
            (Unit::PerSecond, 12_345_678.0, "12.3M"),
            (Unit::PerSecond, 3.2159, "3.22"),
            (Unit::Cpus, 15.987, "16.0"),
            (Unit::Percent, 0.031, "0.031%"),
            (Unit::Percent, 0.000_012, "0.000012%"),
            (Unit::Joules, 12.34, "12.3J"),
            (Unit::Joules, 0.0023, "2.30mJ"),
            (Unit::Joules, 0.0, "0uJ"),
            (Unit::PerSecond, -1e-9, "0.000000"),
        ];
        for (unit, value, expected) in cases {
            assert_eq!(show(unit, value), expected, "{value}");
        }
    }
}
