// SPDX-License-Identifier: GPL-2.0-or-later
//! How values are distributed, in little memory and with a known error.
//!
//! Values below 64 have a bucket each. Above, every doubling has 32 buckets of equal width: 64 and
//! 65 share one, and so do the 32 values from 1024 on. What is reported of a bucket is its largest
//! value, so it is never too small and at most 1/32 (3.2 %) too large. Least, greatest, sum and
//! number of values are exact.

/// Buckets of each doubling, as a power of two.
const FINE_BITS: u32 = 5;
const FINE: u64 = 1 << FINE_BITS;

/// A distribution of values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many values each bucket has, from the first that has any to the last.
    counts: Vec<u64>,
    first: usize,
    count: u64,
    sum: u128,
    least: u64,
    greatest: u64,
}

/// The bucket of a value.
fn bucket(value: u64) -> usize {
    if value < 2 * FINE {
        return value as usize;
    }
    // The highest 6 bits of a value tell its bucket within the doubling.
    let shift = 63 - value.leading_zeros() - FINE_BITS;
    (u64::from(shift) * FINE + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn largest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * FINE {
        return bucket;
    }
    let shift = bucket / FINE - 1;
    let top = bucket - shift * FINE;
    (top << shift) + ((1 << shift) - 1)
}

impl Histogram {
    /// Puts one together of what it told: its buckets as [`buckets`](Self::buckets) has them, and
    /// sum, least and greatest value. None if no histogram tells so.
    pub fn from_buckets(
        buckets: &[(u64, u64)],
        sum: u128,
        least: u64,
        greatest: u64,
    ) -> Option<Self> {
        let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
            return ([sum, least.into(), greatest.into()] == [0; 3]).then(Self::default);
        };
        let (first, last) = (bucket(first.0), bucket(last.0));
        let mut found = Self { first, sum, least, greatest, ..Self::default() };
        found.make_room(first, last.max(first));
        let mut next = first;
        for (value, count) in buckets {
            let place = bucket(*value);
            if place < next || place > last || largest(place) != *value || *count == 0 {
                return None;
            }
            found.counts[place - first] = *count;
            found.count = found.count.checked_add(*count)?;
            next = place + 1;
        }
        let ends = bucket(least) == first && bucket(greatest) == last && least <= greatest;
        (ends && found.can_sum_to(sum)).then_some(found)
    }

    /// Whether values in these buckets, of which these are the least and the greatest, can have a
    /// sum.
    fn can_sum_to(&self, sum: u128) -> bool {
        let ends = u128::from(self.least) + u128::from(self.greatest);
        if self.count == 1 {
            return self.least == self.greatest && sum == self.least.into();
        }
        // The others are anywhere in their buckets, but not beyond the ends.
        let mut others: Vec<u64> = self.counts.clone();
        if let Some(first) = others.first_mut() {
            *first -= 1;
        }
        match others.last_mut() {
            Some(last) if *last > 0 => *last -= 1,
            _ => return false,
        }
        let all = |value: &dyn Fn(usize) -> u64| -> u128 {
            let each = others.iter().enumerate();
            each.map(|(at, n)| u128::from(*n) * u128::from(value(self.first + at))).sum()
        };
        let smallest = |bucket: usize| bucket.checked_sub(1).map_or(0, |below| largest(below) + 1);
        let least = ends + all(&|bucket| smallest(bucket).max(self.least));
        let most = ends + all(&|bucket| largest(bucket).min(self.greatest));
        (least..=most).contains(&sum)
    }

    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        let bucket = bucket(value);
        self.make_room(bucket, bucket);
        self.counts[bucket - self.first] += 1;
        self.least = if self.count == 0 { value } else { self.least.min(value) };
        self.greatest = self.greatest.max(value);
        self.count += 1;
        self.sum += u128::from(value);
    }

    /// Adds all values of another one.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.make_room(other.first, other.first + other.counts.len() - 1);
        let places = &mut self.counts[other.first - self.first..];
        places.iter_mut().zip(&other.counts).for_each(|(place, more)| *place += more);
        self.least = if self.count == 0 { other.least } else { self.least.min(other.least) };
        self.greatest = self.greatest.max(other.greatest);
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Makes places for these buckets and all between.
    fn make_room(&mut self, from: usize, to: usize) {
        if self.counts.is_empty() {
            self.first = from;
        }
        if from < self.first {
            self.counts.splice(..0, std::iter::repeat_n(0, self.first - from));
            self.first = from;
        }
        let places = to - self.first + 1;
        if places > self.counts.len() {
            self.counts.resize(places, 0);
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of all values.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The mean, rounded down; 0 without values.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count.into()).unwrap_or(0) as u64
    }

    /// The least value; 0 without values.
    pub fn least(&self) -> u64 {
        self.least
    }

    /// The greatest value; 0 without values.
    pub fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The value that so many in `of` do not exceed: `quantile(99, 100)` is the 99th percentile,
    /// the value at place ⌈0.99 × count⌉ of the sorted values. 0 without values.
    pub fn quantile(&self, part: u64, of: u64) -> u64 {
        let place = (u128::from(self.count) * u128::from(part)).div_ceil(u128::from(of.max(1)));
        let place = place.clamp(1, u128::from(self.count.max(1))) as u64;
        let mut below = 0;
        for (i, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= place {
                return largest(self.first + i).min(self.greatest);
            }
        }
        self.greatest
    }

    /// The buckets that have values: the largest value of each, and how many it has.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(i, count)| (largest(self.first + i), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_one_another() {
        for value in (0..10_000).chain([u64::MAX - 1, u64::MAX, 1 << 40, (1 << 40) - 1]) {
            let (bucket, after) = (bucket(value), bucket(value.saturating_add(1)));
            assert!(largest(bucket) >= value && after - bucket <= 1, "{value}");
            assert!(bucket == 0 || largest(bucket - 1) < value, "{value}");
        }
        assert_eq!([bucket(63), bucket(64), bucket(65), bucket(66)], [63, 64, 64, 65]);
        assert_eq!(bucket(1024), bucket(1055));
        assert_ne!(bucket(1024), bucket(1056));
    }

    #[test]
    fn without_values_everything_is_zero() {
        let empty = Histogram::default();
        assert_eq!([empty.quantile(1, 2), empty.mean(), empty.least(), empty.greatest()], [0; 4]);
    }

    /// Values of every size.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift);
        prop::collection::vec(value, 1..300)
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_sorted_values(values in values(), part in 0_u64..=1000) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.add(*value));
            let place = (sorted.len() * part as usize).div_ceil(1000).max(1);
            let (exact, found) = (sorted[place - 1], histogram.quantile(part, 1000));
            prop_assert!(found >= exact, "{found} < {exact}");
            prop_assert!(found - exact <= exact / 32, "{found} for {exact}");
            prop_assert_eq!(histogram.least(), sorted[0]);
            prop_assert_eq!(histogram.greatest(), sorted[sorted.len() - 1]);
            let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
            prop_assert_eq!((histogram.sum(), histogram.count()), (sum, values.len() as u64));
            prop_assert_eq!(histogram.buckets().map(|(_, n)| n).sum::<u64>(), values.len() as u64);
        }

        /// The least and the most that values in the same buckets can be together, between the same
        /// ends, and what is beyond.
        #[test]
        fn a_sum_is_one_that_the_buckets_can_have(values in values()) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.add(*value));
            let buckets: Vec<_> = histogram.buckets().collect();
            let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
            // Where a bucket begins or ends, by halving.
            let edge = |mut inside: u64, mut end: u64| {
                let own = bucket(inside);
                if bucket(end) == own {
                    return end;
                }
                while inside.abs_diff(end) > 1 {
                    let middle = inside.midpoint(end);
                    if bucket(middle) == own { inside = middle } else { end = middle }
                }
                inside
            };
            let middle = &sorted[1.min(sorted.len() - 1)..sorted.len() - 1];
            let ends = if sorted.len() == 1 { low.into() } else { u128::from(low) + u128::from(high) };
            let all = |end| ends + middle.iter().map(|v| u128::from(edge(*v, end))).sum::<u128>();
            let (least, most) = (all(low), all(high));
            let made = |sum| Histogram::from_buckets(&buckets, sum, low, high).is_some();
            prop_assert!(made(least) && made(most) && made(histogram.sum()));
            prop_assert!(!made(most + 1) && (least == 0 || !made(least - 1)));
        }

        #[test]
        fn buckets_make_it_again(values in values(), at: prop::sample::Index, spoil in 0..5_u8) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.add(*value));
            let mut buckets: Vec<_> = histogram.buckets().collect();
            let of = |buckets: &[(u64, u64)], least, greatest| {
                Histogram::from_buckets(buckets, histogram.sum(), least, greatest)
            };
            let (least, greatest) = (histogram.least(), histogram.greatest());
            prop_assert_eq!(of(&buckets, least, greatest), Some(histogram.clone()));
            let at = at.index(buckets.len());
            let spoilt = match spoil {
                0 => { buckets[at].1 = 0; of(&buckets, least, greatest) }
                1 => { buckets.insert(at, buckets[at]); of(&buckets, least, greatest) }
                2 => { buckets.push((buckets[0].0, 1)); of(&buckets, least, greatest) }
                3 => { buckets[at].1 = u64::MAX; buckets.push((u64::MAX, 1)); of(&buckets, least, u64::MAX) }
                _ => of(&[], least, greatest.max(1)),
            };
            prop_assert_eq!(spoilt, None);
        }

        #[test]
        fn merging_is_adding(a in values(), b in values()) {
            let of = |values: &[u64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|value| histogram.add(*value));
                histogram
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            merged.merge(&Histogram::default());
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }
}
