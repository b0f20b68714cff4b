// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether times in one recording are longer than in another, and how sure that is.
//!
//! The effect size is the chance that a time of the second recording is longer than one of the first,
//! half the chance that they are equal included: 0.5 is no difference (Vargha and Delaney 2000; the
//! U of Mann and Whitney divided by the number of pairs). It does not depend on units, and a few very
//! long times don't rule it.
//!
//! Times that follow one another are not independent: who waits is often in one queue with the next. So
//! a recording is cut into blocks of equal length, and the interval is that of the jackknife: the
//! effect without each block in turn, of the one recording and of the other. It is exact if blocks are
//! independent and many; 32 to 64 are what there is.

use rota_events::Histogram;

/// So many blocks there are at most. When there are more, each two become one.
const BLOCKS_MAX: usize = 64;
/// How long a block is at first, in ns.
const FIRST_BLOCK_NS: u64 = 1 << 16;
/// Fewer blocks than this say nothing of how sure an effect is.
const BLOCKS_MIN: usize = 8;
/// How far an interval of 95 % reaches, in standard errors, with at least 31 others (Student).
const REACH: f64 = 2.04;

/// The times of one recording, in blocks.
#[derive(Debug, Clone, Default)]
pub struct Blocks {
    start_ns: Option<u64>,
    /// The length of a block is [`FIRST_BLOCK_NS`] times two to the power of this.
    doublings: u32,
    blocks: Vec<Histogram>,
}

impl Blocks {
    /// Adds a time that ended then.
    pub fn add(&mut self, end_ns: u64, ns: u64) {
        let start_ns = *self.start_ns.get_or_insert(end_ns);
        let place = |doublings| {
            let since = end_ns.saturating_sub(start_ns) / FIRST_BLOCK_NS;
            since.checked_shr(doublings).unwrap_or(0)
        };
        while place(self.doublings) >= BLOCKS_MAX as u64 {
            self.doublings += 1;
            let pairs = self.blocks.chunks(2).map(|pair| sum(pair.iter()));
            self.blocks = pairs.collect();
        }
        let place = place(self.doublings) as usize;
        if self.blocks.len() <= place {
            self.blocks.resize_with(place + 1, Histogram::default);
        }
        if let Some(block) = self.blocks.get_mut(place) {
            block.add(ns);
        }
    }

    /// All times.
    pub fn all(&self) -> Histogram {
        sum(self.blocks.iter())
    }

    /// All times but those of one block, for each block that has any.
    fn without_each(&self) -> Vec<Histogram> {
        let all = 0..self.blocks.len();
        let with_any = all.clone().filter(|place| self.blocks[*place].count() > 0);
        let without = |left_out: usize| {
            let others = all.clone().filter(|place| *place != left_out);
            sum(others.map(|place| &self.blocks[place]))
        };
        with_any.map(without).collect()
    }
}

fn sum<'a>(some: impl Iterator<Item = &'a Histogram>) -> Histogram {
    some.fold(Histogram::default(), |mut sum, one| {
        sum.merge(one);
        sum
    })
}

/// How times of a second recording compare with those of a first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The chance that one of the second is longer, from 0 to 1.
    pub longer: f64,
    /// The interval of 95 % around it; none if there are too few blocks.
    pub interval: Option<(f64, f64)>,
}

impl Effect {
    /// Of two recordings; none if one of them has no times.
    pub fn of(first: &Blocks, second: &Blocks) -> Option<Self> {
        let (a, b) = (first.all(), second.all());
        let longer = longer(&a, &b)?;
        let left: Vec<f64> =
            first.without_each().iter().filter_map(|a| self::longer(a, &b)).collect();
        let right: Vec<f64> =
            second.without_each().iter().filter_map(|b| self::longer(&a, b)).collect();
        let interval = (left.len().min(right.len()) >= BLOCKS_MIN).then(|| {
            let reach = REACH * (spread(&left) + spread(&right)).sqrt();
            ((longer - reach).max(0.0), (longer + reach).min(1.0))
        });
        Some(Self { longer, interval })
    }

    /// Whether the difference is beyond noise.
    pub fn is_sure(&self) -> bool {
        self.interval.is_some_and(|(low, high)| low > 0.5 || high < 0.5)
    }
}

/// The jackknife's variance, of values without one block each.
fn spread(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    squares * (count - 1.0) / count
}

/// The chance that a value of the second is larger than one of the first, equal ones counted half.
/// Values of one bucket are equal.
fn longer(first: &Histogram, second: &Histogram) -> Option<f64> {
    let pairs = first.count() as f64 * second.count() as f64;
    let (mut less, mut rest, mut won) = (0.0, first.buckets().peekable(), 0.0);
    for (value, count) in second.buckets() {
        while let Some((_, count)) = rest.next_if(|(smaller, _)| *smaller < value) {
            less += count as f64;
        }
        let equal = rest.peek().filter(|(same, _)| *same == value).map_or(0, |(_, count)| *count);
        won += count as f64 * (less + equal as f64 / 2.0);
    }
    (pairs > 0.0).then(|| won / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(times: &[(u64, u64)]) -> Blocks {
        let mut blocks = Blocks::default();
        times.iter().for_each(|(end, ns)| blocks.add(*end, *ns));
        blocks
    }

    /// Pair by pair. Values below 64 have buckets of their own.
    fn slowly(first: &[u64], second: &[u64]) -> f64 {
        let won = |a: &u64, b: &u64| f64::from(u8::from(b > a)) + f64::from(u8::from(b == a)) / 2.0;
        let all: f64 = first.iter().flat_map(|a| second.iter().map(move |b| won(a, b))).sum();
        all / (first.len() * second.len()) as f64
    }

    proptest! {
        #[test]
        fn effects_are_those_of_all_pairs(
            first in prop::collection::vec(0_u64..64, 1..60),
            second in prop::collection::vec(0_u64..64, 1..60),
        ) {
            let spread = |values: &[u64]| -> Vec<(u64, u64)> {
                values.iter().enumerate().map(|(i, ns)| (i as u64 * FIRST_BLOCK_NS, *ns)).collect()
            };
            let (a, b) = (blocks(&spread(&first)), blocks(&spread(&second)));
            let found = Effect::of(&a, &b).unwrap();
            prop_assert!((found.longer - slowly(&first, &second)).abs() < 1e-12);
            let back = Effect::of(&b, &a).unwrap();
            prop_assert!((found.longer + back.longer - 1.0).abs() < 1e-12);
            prop_assert_eq!(found.interval.is_some(), first.len().min(second.len()) >= BLOCKS_MIN);
            // A block has one value here, so leaving it out is leaving out that.
            if let Some((low, high)) = found.interval {
                let without = |all: &[u64], at: usize| [&all[..at], &all[at + 1..]].concat();
                let left = (0..first.len()).map(|at| slowly(&without(&first, at), &second));
                let right = (0..second.len()).map(|at| slowly(&first, &without(&second, at)));
                let variance = super::spread(&left.collect::<Vec<_>>()) + super::spread(&right.collect::<Vec<_>>());
                let reach = REACH * variance.sqrt();
                prop_assert!((low - (found.longer - reach).max(0.0)).abs() < 1e-9);
                prop_assert!((high - (found.longer + reach).min(1.0)).abs() < 1e-9);
            }
        }

        #[test]
        fn blocks_keep_all_times(times in prop::collection::vec((0_u64..1 << 40, 0_u64..1000), 1..300)) {
            let mut times = times;
            times.sort_unstable();
            let (found, mut all) = (blocks(&times), Histogram::default());
            times.iter().for_each(|(_, ns)| all.add(*ns));
            prop_assert_eq!(found.all(), all);
            prop_assert!(found.blocks.len() <= BLOCKS_MAX);
            let span = (times[times.len() - 1].0 - times[0].0) / FIRST_BLOCK_NS;
            prop_assert!(found.doublings == 0 || span >> found.doublings >= BLOCKS_MAX as u64 / 2);
        }
    }

    /// Times that hang together: each is often like the one before. Of pairs of equal recordings, 5 %
    /// should seem different.
    #[test]
    fn noise_is_told_from_differences() {
        let mut state = 7_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        let mut recording = |more: u64| {
            let (mut blocks, mut like) = (Blocks::default(), 0);
            for at in 0..4000_u64 {
                if at == 0 || random().is_multiple_of(20) {
                    like = random() % 1000;
                }
                blocks.add(at * 50_000, 1000 + like + random() % 100 + more);
            }
            blocks
        };
        let (mut seemed, mut found) = (0, 0);
        for _ in 0..200 {
            let (first, same, longer) = (recording(0), recording(0), recording(250));
            seemed += u32::from(Effect::of(&first, &same).unwrap().is_sure());
            found += u32::from(Effect::of(&first, &longer).unwrap().is_sure());
        }
        assert!((2..=22).contains(&seemed), "{seemed} of 200 equal ones seemed different");
        assert!(found >= 195, "{found} of 200 different ones were found");
    }
}
