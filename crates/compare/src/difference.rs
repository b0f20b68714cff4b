// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether one contestant differs from another, seed by seed.
//!
//! With the same seed, two contestants get the same work and the same noise. So they are compared
//! within each seed, and what seeds have in common falls out of the difference. It is *beyond
//! noise* if the interval of the median difference does not have 0 in it. That is the sign test, at
//! 95 % or more.
//!
//! Quantiles of a histogram are up to 1/32 too large. Of them each difference is taken as near to
//! 0 as that error allows, so it is never what makes a difference. What is too small to matter to
//! anybody ([`Measure::trifle`]) makes none either.

use crate::interval::Estimate;
use crate::measure::{Better, Measure};

/// What can be said of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Beyond noise, and better.
    Better,
    /// Beyond noise, and worse.
    Worse,
    /// Beyond noise, of a measure that is neither good nor bad.
    More,
    /// The same the other way.
    Less,
    /// The same value with every seed.
    Equal,
    /// Not beyond noise.
    Noise,
    /// Fewer than 6 seeds: nobody can say.
    TooFew,
}

impl Verdict {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::More => "more",
            Self::Less => "less",
            Self::Equal => "equal",
            Self::Noise => "noise",
            Self::TooFew => "too_few",
        }
    }
}

/// How a contestant differs from another in one measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Of the differences within each seed, this one less the other, in the measure's unit.
    pub estimate: Estimate,
    /// The median difference as a part of the other's median: 0.1 is 10 % more. None if that is 0.
    pub relative: Option<f64>,
    /// What it means.
    pub verdict: Verdict,
}

impl Difference {
    /// Of pairs with the same seed, of which the second is this one's. None of no pairs.
    pub fn of(measure: Measure, pairs: &[(f64, f64)]) -> Option<Self> {
        let differences = |f: &dyn Fn(f64, f64) -> f64| {
            let found: Vec<f64> = pairs.iter().map(|(other, this)| f(*other, *this)).collect();
            Estimate::of(&found)
        };
        let estimate = differences(&|other, this| this - other)?;
        let others: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        let other = Estimate::of(&others)?.median;
        let relative = (other != 0.0).then(|| estimate.median / other.abs());
        // A value that is up to `error` too large is at least this part of what is told.
        let least = 1.0 / (1.0 + measure.error());
        let trifle = |other: f64| measure.trifle(other);
        let more = differences(&|other, this| this * least - other - trifle(other))?.interval;
        let less = differences(&|other, this| this - other * least + trifle(other))?.interval;
        let verdict = match (more, less) {
            _ if pairs.iter().all(|(other, this)| other == this) => Verdict::Equal,
            (Some(more), _) if more.low > 0.0 => beyond(measure, true),
            (_, Some(less)) if less.high < 0.0 => beyond(measure, false),
            (None, _) => Verdict::TooFew,
            _ => Verdict::Noise,
        };
        Some(Self { estimate, relative, verdict })
    }
}

fn beyond(measure: Measure, more: bool) -> Verdict {
    match (measure.better, more) {
        (Better::Higher, true) | (Better::Lower, false) => Verdict::Better,
        (Better::Higher, false) | (Better::Lower, true) => Verdict::Worse,
        (Better::Neither, true) => Verdict::More,
        (Better::Neither, false) => Verdict::Less,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{CPUS, LATENCY_MAX, LATENCY_P99, UNFAIRNESS, WORK};
    use proptest::prelude::*;

    fn verdict(measure: Measure, pairs: &[(f64, f64)]) -> Verdict {
        Difference::of(measure, pairs).unwrap().verdict
    }

    #[test]
    fn what_seeds_have_in_common_falls_out() {
        // Seeds differ by far more than contestants, which are 4 apart in each.
        let pairs: Vec<_> = (0..6).map(|i| (f64::from(i * 100), f64::from(i * 100 + 4))).collect();
        assert_eq!(verdict(WORK, &pairs), Verdict::Better);
        assert_eq!(verdict(LATENCY_MAX, &pairs), Verdict::Worse);
        assert_eq!(verdict(CPUS, &pairs), Verdict::More);
        assert_eq!(verdict(WORK, &pairs[..5]), Verdict::TooFew);
        let back: Vec<_> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
        assert_eq!(verdict(WORK, &back), Verdict::Worse);
        assert_eq!(verdict(CPUS, &back), Verdict::Less);
        // One seed that says otherwise is too many of six.
        let mut mixed = pairs;
        mixed[3].1 = 0.0;
        assert_eq!(verdict(WORK, &mixed), Verdict::Noise);
        assert_eq!(Difference::of(WORK, &[]), None);
    }

    #[test]
    fn neither_the_error_of_a_histogram_nor_half_a_percent_makes_a_difference() {
        let pairs = |this| vec![(64.0, this); 10];
        assert_eq!(verdict(LATENCY_P99, &pairs(66.3)), Verdict::Noise);
        assert_eq!(verdict(LATENCY_P99, &pairs(66.4)), Verdict::Worse);
        assert_eq!(verdict(LATENCY_P99, &pairs(61.8)), Verdict::Noise);
        assert_eq!(verdict(LATENCY_P99, &pairs(61.7)), Verdict::Better);
        assert_eq!(verdict(LATENCY_P99, &pairs(64.0)), Verdict::Equal);
        // The greatest value is exact.
        assert_eq!(verdict(LATENCY_MAX, &pairs(64.3)), Verdict::Noise);
        assert_eq!(verdict(LATENCY_MAX, &pairs(64.4)), Verdict::Worse);
        // A ten-thousandth of all CPU time is nothing, whatever it is a part of.
        let percents = |this| vec![(0.001, this); 10];
        assert_eq!(verdict(UNFAIRNESS, &percents(0.01)), Verdict::Noise);
        assert_eq!(verdict(UNFAIRNESS, &percents(0.02)), Verdict::Worse);
    }

    /// The sign test, by counting: whether a side has so few seeds that a coin has them, or fewer,
    /// in at most 5 % of cases on both sides together.
    fn sign_test(pairs: &[(f64, f64)]) -> Verdict {
        let count = |f: fn(&(f64, f64)) -> bool| pairs.iter().filter(|pair| f(pair)).count();
        let (more, less) = (count(|p| p.1 > p.0), count(|p| p.1 < p.0));
        let n = pairs.len() as u32;
        // How many of the 2^n ways to fall have so many on a side, or fewer.
        let ways =
            |most: usize| (0..1_u32 << n).filter(|w| w.count_ones() as usize <= most).count();
        let rare = |others: usize| 40 * ways(others) <= 1 << n;
        // Seeds without a difference count against one.
        match () {
            () if more + less == 0 => Verdict::Equal,
            () if n < 6 => Verdict::TooFew,
            () if more > less && rare(pairs.len() - more) => Verdict::More,
            () if less > more && rare(pairs.len() - less) => Verdict::Less,
            () => Verdict::Noise,
        }
    }

    proptest! {
        #[test]
        fn a_verdict_is_the_sign_test(
            pairs in prop::collection::vec((0..4_u8, 0..5_u8), 1..14),
        ) {
            let pairs: Vec<_> = pairs.into_iter().map(|(a, b)| (a.into(), b.into())).collect();
            prop_assert_eq!(verdict(CPUS, &pairs), sign_test(&pairs));
        }
    }
}
