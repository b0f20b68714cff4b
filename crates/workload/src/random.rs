// SPDX-License-Identifier: GPL-2.0-or-later
//! Random numbers: `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number
//! generators, 2014).
//!
//! All numbers that decide what a simulation does come from here, in whole numbers only, so that
//! a seed means the same everywhere.

/// A generator, which its seed determines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

/// The stream of the first source.
const SOURCES: u64 = 1 << 63;
/// One, in the fixed-point numbers of [`log2_fixed`].
const ONE: u64 = 1 << 32;
/// The natural logarithm of 2, likewise.
const LN_2: u64 = 2_977_044_472;

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of the many generators of a seed. Each gives numbers of its own, however many the
    /// others have given.
    pub fn stream(seed: u64, number: u64) -> Self {
        // Two steps of mixing, so that neighbouring numbers and seeds have nothing in common.
        let start = Self(seed).next() ^ Self(number.wrapping_mul(0xd134_2543_de82_ef95)).next();
        Self(Self(start).next())
    }

    /// The generator of a workload's source, by its place. Those of tasks are streams that count
    /// from 0.
    pub fn of_source(seed: u64, place: u64) -> Self {
        Self::stream(seed, SOURCES + place)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound, which is not 0; of each as many, to within one in 2^64 / `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from one to another, both of them included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        match most.saturating_sub(least).checked_add(1) {
            Some(count) => least + self.below(count),
            None => self.next(),
        }
    }

    /// A number of an exponential distribution, rounded down: the time until the next of things
    /// that happen independently of each other, every `mean` on average. At most some 44 times
    /// the mean.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        // -ln(u) for u in (0, 1], as (64 - log2(draw)) * ln 2.
        let bits = 64 * ONE - log2_fixed(self.next().max(1));
        let nats = (u128::from(bits) * u128::from(LN_2)) >> 32;
        ((u128::from(mean) * nats) >> 32) as u64
    }
}

/// The binary logarithm of a number that is not 0, in units of 2^-32, rounded down.
fn log2_fixed(number: u64) -> u64 {
    let whole = 63 - number.leading_zeros();
    // The number as 1.x, with 63 bits after the point; each squaring yields one bit.
    let mut mantissa = number << (63 - whole);
    let mut bits = u64::from(whole);
    for _ in 0..32 {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carry = (square >> 127) as u64;
        mantissa = (square >> (63 + carry)) as u64;
        bits = bits << 1 | carry;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn logarithms_are_exact_to_the_last_bit() {
        assert_eq!([1, 2, 1 << 63].map(log2_fixed), [0, ONE, 63 * ONE]);
        for number in [3, 10, 1_000_003, u64::MAX / 7, u64::MAX] {
            let exact = (number as f64).log2() * ONE as f64;
            let found = log2_fixed(number) as f64;
            assert!((exact - found).abs() < 4.0 + exact * 1e-12, "{number}: {exact} {found}");
        }
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut random = Random::stream(7, 3);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[random.below(10) as usize] += 1;
        }
        // Five standard deviations.
        assert!(counts.iter().all(|n| n.abs_diff(10_000) < 475), "{counts:?}");
        assert_eq!(random.between(5, 5), 5);
        assert!((0..1000).all(|_| (10..=12).contains(&random.between(10, 12))));
    }

    #[test]
    fn exponential_numbers_have_their_mean_and_tail() {
        let mut random = Random::stream(1, 1);
        let numbers: Vec<u64> = (0..100_000).map(|_| random.exponential(1_000_000)).collect();
        let mean = numbers.iter().sum::<u64>() / 100_000;
        assert!(mean.abs_diff(1_000_000) < 16_000, "{mean}");
        // One in e^3 is beyond three times the mean.
        let beyond = numbers.iter().filter(|n| **n > 3_000_000).count();
        assert!(beyond.abs_diff(4979) < 350, "{beyond}");
        assert!(numbers.iter().all(|n| *n < 45_000_000));
    }

    #[test]
    fn streams_differ() {
        let first = |seed, number| Random::stream(seed, number).next();
        let all = [first(0, 0), first(0, 1), first(1, 0), first(1, 1), Random::new(0).next()];
        let mut distinct = all.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), all.len());
    }
}
