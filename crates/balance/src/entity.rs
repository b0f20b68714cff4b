// SPDX-License-Identifier: GPL-2.0-or-later
//! What wants CPU time, and which numbers are let in.

use std::ops::RangeInclusive;

use crate::exact::{Sums, TOO_MANY, units};

/// Weights that are let in: 2⁻²⁰ to 2⁴⁰. Those of cgroups and tasks, 1 to 10,000, are well inside.
pub const WEIGHTS: RangeInclusive<f64> = 1.0 / 1_048_576.0..=1_099_511_627_776.0;
/// The largest duty of one entity, and the largest capacity of one machine, in CPUs: 2²⁴.
pub const CPUS_MAX: f64 = 16_777_216.0;

/// A task, or many with one weight, that wants CPU time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entity {
    /// Its claim relative to others, of whatever unit; see [`WEIGHTS`].
    pub weight: f64,
    /// The CPU time that it could use each second if nobody was in its way, in CPUs: 0.25 for a
    /// task that works for a quarter of the time, 3 for three that never sleep. From 0 to
    /// [`CPUS_MAX`]; what is below 1e-9 is rounded to a multiple of 2⁻⁸².
    pub duty: f64,
}

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NumberError {
    /// A weight is no number, infinite, or outside of [`WEIGHTS`].
    #[error("weight {0} is not between 2^-20 and 2^40")]
    Weight(f64),
    /// A duty is no number, negative, infinite or larger than [`CPUS_MAX`].
    #[error("duty {0} is not between 0 and 16777216 CPUs")]
    Duty(f64),
    /// A capacity is no number, negative, infinite or larger than [`CPUS_MAX`].
    #[error("capacity {0} is not between 0 and 16777216 CPUs")]
    Capacity(f64),
}

/// Why there are no shares.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SolveError {
    /// A number of an entity can't be used.
    #[error("entity {entity}: {error}")]
    Entity {
        /// Its place among those that were given, from 0, or its key.
        entity: u64,
        /// What is wrong.
        error: NumberError,
    },
    /// The capacity can't be used.
    #[error("{0}")]
    Capacity(NumberError),
    /// There is work, and nothing that could do it: no λ says who gets what of nothing.
    #[error("there is work but no capacity")]
    NoCapacity,
    /// All duties together are 2⁴⁴ CPUs or more.
    #[error("all duties together are 2^44 CPUs or more")]
    TooMuch,
}

impl Entity {
    /// An entity of these numbers, if they can be used.
    ///
    /// # Errors
    ///
    /// The weight or the duty is not in its range.
    pub fn new(weight: f64, duty: f64) -> Result<Self, NumberError> {
        let entity = Self { weight, duty };
        entity.check().map(|()| entity)
    }

    /// Whether these numbers can be used. `contains` is false for what is no number.
    #[inline]
    pub(crate) fn check(self) -> Result<(), NumberError> {
        if !WEIGHTS.contains(&self.weight) {
            return Err(NumberError::Weight(self.weight));
        }
        if !(0.0..=CPUS_MAX).contains(&self.duty) {
            return Err(NumberError::Duty(self.duty));
        }
        Ok(())
    }
}

/// The units of a capacity in CPUs.
pub(crate) fn capacity_units(capacity: f64) -> Result<i128, NumberError> {
    if (0.0..=CPUS_MAX).contains(&capacity) {
        Ok(units(capacity))
    } else {
        Err(NumberError::Capacity(capacity))
    }
}

/// The sum, if it is within limits.
pub(crate) fn bounded(sums: Sums) -> Result<Sums, SolveError> {
    if sums.duty < TOO_MANY { Ok(sums) } else { Err(SolveError::TooMuch) }
}
