// SPDX-License-Identifier: GPL-2.0-or-later
//! λ by bisection in whole numbers, which round nothing.

use num_bigint::BigInt;
use rota_balance::Entity;

/// Fractional bits of duties and capacities, of weights, and of λ.
const DUTY: i64 = 160;
const WEIGHT: i64 = 160;

/// A number with so many fractional bits; all of its bits fit there.
pub(crate) fn exact(value: f64, fraction: i64) -> BigInt {
    if value == 0.0 {
        return BigInt::ZERO;
    }
    let exponent = (value.to_bits() >> 52) as i64 - 1075;
    let mantissa = BigInt::from(value.to_bits() & ((1 << 52) - 1) | 1 << 52);
    assert!(exponent + fraction >= 0, "{value} has too many bits");
    mantissa << (exponent + fraction)
}

/// The number that has so many fractional bits.
pub(crate) fn float(value: &BigInt, fraction: i64) -> f64 {
    let cut = (value.bits() as i64 - 100).max(0);
    let first: i128 = (value >> cut).try_into().expect("100 bits");
    first as f64 * ((cut - fraction) as f64).exp2()
}

/// An instance in whole numbers.
pub(crate) struct Exact {
    /// Weights and duties.
    entities: Vec<(BigInt, BigInt)>,
    capacity: BigInt,
}

impl Exact {
    pub(crate) fn new(entities: &[Entity], capacity: f64) -> Self {
        let pair = |e: &Entity| (exact(e.weight, WEIGHT), exact(e.duty, DUTY));
        let entities = entities.iter().map(pair).collect();
        Self { entities, capacity: exact(capacity, DUTY) }
    }

    /// Σ min(w, λ)·d − λ·P, in units of 2^-320.
    fn residual(&self, lambda: &BigInt) -> BigInt {
        let sum: BigInt = self.entities.iter().map(|(w, d)| w.min(lambda) * d).sum();
        sum - lambda * &self.capacity
    }

    /// How far λ is from the fixed point, relative to λ·P.
    pub(crate) fn error(&self, lambda: f64) -> f64 {
        let lambda = exact(lambda, WEIGHT);
        let residual = self.residual(&lambda);
        let size = BigInt::from(residual.magnitude().clone());
        float(&size, WEIGHT + DUTY) / float(&(lambda * &self.capacity), WEIGHT + DUTY)
    }

    /// Whether someone does not get their duty.
    pub(crate) fn is_full(&self) -> bool {
        self.entities.iter().map(|(_, d)| d).sum::<BigInt>() > self.capacity
    }

    /// How many entities have a weight above the root.
    pub(crate) fn infeasible(&self) -> u64 {
        let mut weights: Vec<_> = self.entities.iter().map(|(w, _)| w).collect();
        weights.sort();
        let first = weights.partition_point(|w| self.residual(w) >= BigInt::ZERO);
        (weights.len() - first) as u64
    }

    /// The root, by bisection down to 2^-100 of it.
    pub(crate) fn lambda(&self) -> f64 {
        let heaviest = self.entities.iter().map(|(w, _)| w).max().expect("an entity");
        let (mut low, mut high) = (BigInt::ZERO, heaviest.clone());
        // At the heaviest weight the sum is the whole load; λ may be above it.
        while self.residual(&high) > BigInt::ZERO {
            high <<= 1;
        }
        for _ in 0..400 {
            let width = &high - &low;
            if width.bits() + 64 < high.bits() || width <= BigInt::from(1) {
                break;
            }
            let middle = (&low + &high) >> 1;
            if self.residual(&middle) >= BigInt::ZERO { low = middle } else { high = middle }
        }
        float(&high, WEIGHT)
    }
}
