// SPDX-License-Identifier: GPL-2.0-or-later
//! Random cases, each decided by its seed.

use std::ops::RangeInclusive;

use rota_balance::Entity;

pub(crate) use crate::numbers::Random;

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// One in so many.
    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// Between two numbers, each magnitude as likely as another.
    pub(crate) fn magnitude(&mut self, from: f64, to: f64) -> f64 {
        (from.ln() + (to.ln() - from.ln()) * self.unit()).exp().clamp(from, to)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

/// The largest number below `high` of which this holds, if it holds of all that are smaller.
pub(crate) fn bisect(mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let mut low = 0.0;
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return low;
        }
        if holds(middle) { low = middle } else { high = middle }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Tries a property with so many seeds, unless the environment says how many.
pub(crate) fn cases(default: u64, property: impl Fn(&mut Random)) {
    let (first, count) = (number("ROTA_SEED", 1), number("ROTA_CASES", default));
    for seed in first..first + count {
        let _told = Told(seed);
        property(&mut Random::new(seed));
    }
}

/// Names the seed if the case panics.
struct Told(u64);

impl Drop for Told {
    #[expect(clippy::print_stderr, reason = "who repeats the case needs its seed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case of ROTA_SEED={} ROTA_CASES=1", self.0);
        }
    }
}

/// Weights of many kinds: whole ones, few different ones, neighbours, extreme ones.
fn weight(random: &mut Random, kind: u64) -> f64 {
    match kind {
        0 => random.within(1..=10_000) as f64,
        1 => [1.0, 100.0, 10_000.0][random.below(3) as usize],
        2 => 1.0 + random.below(3) as f64 * f64::EPSILON,
        3 => random.magnitude(1.0, 10_000.0),
        4 => random.magnitude(1e-6, 5e11),
        _ => 1024.0,
    }
}

fn duty(random: &mut Random, kind: u64) -> f64 {
    match kind {
        0 => 1.0,
        1 => random.unit().max(1e-9),
        2 => random.magnitude(1e-9, 1e6),
        3 => [0.0, 1e-9, 1.0, 1e6][random.below(4) as usize],
        _ => random.within(1..=64) as f64 / 64.0,
    }
}

/// Entities of one kind or of several, few or rarely many.
pub(crate) fn entities(random: &mut Random) -> Vec<Entity> {
    let len = if random.one_in(200) { random.within(1000..=2500) } else { random.within(1..=20) };
    let (w, d, mixed) = (random.below(6), random.below(5), random.one_in(4));
    let mut entity = || {
        let (w, d) = if mixed { (random.below(6), random.below(5)) } else { (w, d) };
        Entity { weight: weight(random, w), duty: duty(random, d) }
    };
    (0..len).map(|_| entity()).collect()
}

/// A capacity that is interesting for so much duty.
pub(crate) fn capacity(random: &mut Random, duty: f64) -> f64 {
    let capacity = match random.below(6) {
        0 => duty,
        1 => duty * (1.0 - random.magnitude(1e-15, 1e-3)),
        2 => random.within(1..=1024) as f64,
        3 => duty * random.magnitude(1e-6, 1.0),
        _ => duty * random.unit() * 1.2,
    };
    capacity.clamp(1e-9, 1.6e7)
}
