// SPDX-License-Identifier: GPL-2.0-or-later
//! Medians with intervals that hold whatever the distribution is.
//!
//! Of `n` values that were drawn independently, each is below the true median or above it like the
//! sides of a coin. So the median is between the `k`-th least and the `k`-th greatest of them
//! unless fewer than `k` coins of `n` fell on one side: with probability
//! `1 − 2·P(Bin(n, ½) ≤ k−1)`, whatever distribution the values have; if values are equal, at least
//! that. The interval takes the greatest `k` with which that is 95 % or more. Six values are
//! the fewest: between the least and the greatest of 5, the median is with 93.75 % only.
//!
//! An example: with 10 values `k` is 2, since `1 − 2·(1 + 10)/1024` is 97.9 %, and 89.1 % with
//! `k = 3`. So the interval goes from the second least to the second greatest.

/// How often an interval has to have the true median in it.
pub const COVERAGE: f64 = 0.95;

/// Where the true median is, with at least 95 % probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Not below this.
    pub low: f64,
    /// Not above this.
    pub high: f64,
}

/// What values say about the median of what they were drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The median of the values: the one in the middle, or the mean of the two.
    pub median: f64,
    /// Where the true one is; none if there are fewer than 6 values.
    pub interval: Option<Interval>,
    /// How many values there are.
    pub n: usize,
}

impl Estimate {
    /// Of these values, which are all numbers; none of no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let (low, high) = (sorted.get(n.checked_sub(1)? / 2)?, sorted.get(n / 2)?);
        let median = if low == high { *low } else { low / 2.0 + high / 2.0 };
        let interval = rank(n).map(|(k, _)| Interval { low: sorted[k - 1], high: sorted[n - k] });
        Some(Self { median, interval, n })
    }
}

/// Which of `n` sorted values are the ends of the interval, counted from 1 from both sides, and the
/// probability that the median is between them. None if there are too few.
///
/// Sums of binomial coefficients are taken relative to the one in the middle, in floating point:
/// the error is at most 4·n·2⁻⁵³, below 10⁻⁹ for a million values. So much more than 95 % is asked
/// for, and no interval promises too much.
pub fn rank(n: usize) -> Option<(usize, f64)> {
    let half = n / 2;
    // From the middle down: C(n, i−1) = C(n, i)·i/(n−i+1).
    let mut coefficients = vec![1.0_f64];
    for i in (1..=half).rev() {
        let last = coefficients[coefficients.len() - 1];
        coefficients.push(last * i as f64 / (n - i + 1) as f64);
    }
    let below: f64 = coefficients.iter().rev().sum();
    // With an even n, the middle is there once.
    let total = if n.is_multiple_of(2) { below * 2.0 - 1.0 } else { below * 2.0 };
    let (mut tail, mut found) = (0.0, None);
    for (i, coefficient) in coefficients.iter().rev().enumerate() {
        tail += coefficient;
        let outside = 2.0 * tail / total;
        if i >= half || outside > (1.0 - COVERAGE) * (1.0 - 1e-9) {
            break;
        }
        found = Some((i + 1, 1.0 - outside));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The probability that fewer than `k` of `n` coins fall on a side, times 2^n, by counting.
    fn counted(n: usize, k: usize) -> u128 {
        let mut coefficients = vec![1_u128];
        for _ in 0..n {
            let mut next = vec![1];
            next.extend(coefficients.windows(2).map(|pair| pair[0] + pair[1]));
            next.push(1);
            coefficients = next;
        }
        coefficients[..k].iter().sum()
    }

    #[test]
    fn ranks_are_those_of_whole_numbers() {
        for n in 0..=120 {
            // 1 − 2·tail/2^n ≥ 95 %, in whole numbers.
            let holds = |k: usize| 40 * counted(n, k) <= 1 << n;
            let exact = (1..=n / 2).take_while(|k| holds(*k)).last();
            let found = rank(n);
            assert_eq!(found.map(|found| found.0), exact, "{n} values");
            if let Some((k, coverage)) = found {
                let exact = 1.0 - 2.0 * counted(n, k) as f64 / (1_u128 << n) as f64;
                assert!((coverage - exact).abs() < 1e-12, "{n}: {coverage}, not {exact}");
            }
        }
    }

    #[test]
    fn ranks_of_textbooks() {
        // Tables of the sign test at 95 % on both sides.
        let known = [(5, None), (6, Some(1)), (8, Some(1)), (9, Some(2)), (10, Some(2))];
        let more = [(12, Some(3)), (15, Some(4)), (20, Some(6)), (25, Some(8)), (100, Some(40))];
        for (n, k) in known.into_iter().chain(more) {
            assert_eq!(rank(n).map(|found| found.0), k, "{n} values");
        }
        let (_, coverage) = rank(10).unwrap();
        assert_eq!(coverage, 1.0 - 22.0 / 1024.0);
    }

    #[test]
    fn many_values_keep_the_promise() {
        // Pascal's triangle of halves: exact up to 53 rows, and nearly so after.
        let mut row = vec![1.0_f64];
        for n in 1..=1500_usize {
            let mut next = vec![row[0] / 2.0];
            next.extend(row.windows(2).map(|pair| pair[0] / 2.0 + pair[1] / 2.0));
            next.push(row[n - 1] / 2.0);
            row = next;
            if n % 97 != 0 {
                continue;
            }
            let (k, coverage) = rank(n).unwrap();
            let outside = |k: usize| 2.0 * row[..k].iter().sum::<f64>();
            assert!((coverage - (1.0 - outside(k))).abs() < 1e-9, "{n}");
            assert!(outside(k) <= 0.05 && outside(k + 1) > 0.05, "{n} values: {k}");
        }
        let (k, coverage) = rank(1_000_000).unwrap();
        // The normal distribution's 1.96 half roots of n from the middle.
        assert!((499_019..=499_021).contains(&k) && coverage >= 0.95, "{k} {coverage}");
    }

    /// Random numbers that are the same everywhere.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }
    }

    /// How often of so many tries the interval of `n` values has the median of 0.5 in it; values
    /// are from 0 to 1 and then changed by something that keeps their order.
    fn covered(n: usize, tries: u32, seed: u64, change: fn(f64) -> f64) -> f64 {
        let mut random = Random(seed);
        let truth = change(0.5);
        let mut hits = 0;
        for _ in 0..tries {
            let draw = |_| change((random.next() >> 11) as f64 / (1_u64 << 53) as f64);
            let values: Vec<f64> = (0..n).map(draw).collect();
            let interval = Estimate::of(&values).unwrap().interval.unwrap();
            hits += u32::from(interval.low <= truth && truth <= interval.high);
        }
        f64::from(hits) / f64::from(tries)
    }

    #[test]
    fn intervals_have_the_median_as_often_as_promised() {
        let tries = 20_000;
        for n in [6, 7, 10, 11, 25, 60] {
            let (_, promised) = rank(n).unwrap();
            // Even, with a long tail, and in steps: in the last, more often than promised.
            let same: [fn(f64) -> f64; 2] = [|x| x, |x| 1.0 / (1.0 - x * 0.999_999)];
            // Five standard deviations of what so many tries find.
            let wide = 5.0 * (promised * (1.0 - promised) / f64::from(tries)).sqrt();
            for change in same {
                let found = covered(n, tries, n as u64, change);
                assert!((found - promised).abs() < wide, "{n}: {found}, not {promised}");
            }
            let found = covered(n, tries, n as u64, |x| (x * 5.0).floor());
            assert!(found > promised - wide, "{n} in steps: {found}, not {promised}");
        }
    }

    #[test]
    fn few_values_have_a_median_only() {
        assert_eq!(Estimate::of(&[]), None);
        let estimate = |values: &[f64]| Estimate::of(values).unwrap();
        assert_eq!(estimate(&[3.0, 1.0]), Estimate { median: 2.0, interval: None, n: 2 });
        assert_eq!(estimate(&[3.0, 1.0, 7.0, 5.0, 9.0]).interval, None);
        let all = Some(Interval { low: 1.0, high: 9.0 });
        assert_eq!(estimate(&[3.0, 1.0, 7.0, 5.0, 9.0, 4.0]).interval, all);
        assert_eq!(estimate(&[f64::MAX, f64::MAX]).median, f64::MAX);
    }

    proptest! {
        #[test]
        fn estimates_follow_order_and_nothing_else(
            mut values in prop::collection::vec(-1e9..1e9_f64, 1..60), shift in 0..59_usize,
        ) {
            let before = Estimate::of(&values).unwrap();
            let turn = shift % values.len();
            values.rotate_left(turn);
            prop_assert_eq!(Estimate::of(&values), Some(before));
            // Mirrored values have the mirrored estimate.
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            let after = Estimate::of(&mirrored).unwrap();
            prop_assert_eq!(after.median, -before.median);
            let ends = |estimate: Estimate| estimate.interval.map(|i| (i.low, i.high));
            prop_assert_eq!(ends(after), ends(before).map(|(low, high)| (-high, -low)));
            if let Some(Interval { low, high }) = before.interval {
                prop_assert!(low <= before.median && before.median <= high);
                let outside = values.iter().filter(|v| **v < low || **v > high).count();
                prop_assert_eq!(outside, 2 * (rank(values.len()).unwrap().0 - 1));
            } else {
                prop_assert!(values.len() < 6);
            }
        }
    }
}
