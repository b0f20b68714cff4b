// SPDX-License-Identifier: GPL-2.0-or-later
//! When a move is worth it.

use serde::{Deserialize, Serialize};

/// What a plan goes by. Times are in ns. Files have the same names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The most moves of one plan.
    pub moves_max: usize,
    /// Domains are evened out if one is busier than another by this: a part of capacity.
    pub start: f64,
    /// Then, until the difference is less than this. It is less than `start`, so loads that change
    /// a little set off nothing.
    pub stop: f64,
    /// The least that a move has to bring beyond its cost, in CPUs.
    pub gain_min: f64,
    /// How long a task stays at least where it came to.
    pub rest_ns: u64,
    /// The time in which a move has to pay.
    pub horizon_ns: f64,
    /// What each move takes, however near and small.
    pub move_ns: f64,
    /// What it takes to fill a byte of cache again from the memory of the same node. It takes more
    /// in proportion to the distance.
    pub refill_ns_per_byte: f64,
}

impl Default for Policy {
    /// | setting | default | reason |
    /// | --- | --- | --- |
    /// | `moves_max` | 256 | A plan is carried out by a kernel, a message for each move. |
    /// | `start` | 0.05 | Less is noise where duties are averages over a second. |
    /// | `stop` | 0.025 | Half of it. |
    /// | `gain_min` | 1e-4 CPUs | 0.2 ms in two seconds. |
    /// | `rest_ns` | 1 s | A running average knows little of a task that just came. |
    /// | `horizon_ns` | 2 s | Loads are others after that. |
    /// | `move_ns` | 20,000 | A wake-up on another CPU, and cold private caches. |
    /// | `refill_ns_per_byte` | 0.1 | 10 GB a second, for one CPU. |
    fn default() -> Self {
        Self {
            moves_max: 256,
            start: 0.05,
            stop: 0.025,
            gain_min: 1e-4,
            rest_ns: 1_000_000_000,
            horizon_ns: 2e9,
            move_ns: 20_000.0,
            refill_ns_per_byte: 0.1,
        }
    }
}

/// A setting that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, expected {expected}")]
pub struct PolicyError {
    /// Which one.
    pub name: &'static str,
    /// What it is.
    pub value: f64,
    /// What it may be.
    pub expected: &'static str,
}

impl Policy {
    /// Whether plans can be made by it.
    ///
    /// # Errors
    ///
    /// A number is negative or no number, `stop` is not between 0 and `start`, or nothing has to be
    /// gained, so that tasks could move forever.
    pub fn check(&self) -> Result<(), PolicyError> {
        let positive = "a number above 0";
        let not_negative = "a number that is not below 0";
        let error = |name, value, expected| Err(PolicyError { name, value, expected });
        for (name, value) in [("gain_min", self.gain_min), ("horizon_ns", self.horizon_ns)] {
            if !(value > 0.0 && value.is_finite()) {
                return error(name, value, positive);
            }
        }
        let costs = [("move_ns", self.move_ns), ("refill_ns_per_byte", self.refill_ns_per_byte)];
        for (name, value) in costs.into_iter().chain([("start", self.start)]) {
            if !(value >= 0.0 && value.is_finite()) {
                return error(name, value, not_negative);
            }
        }
        if !(0.0..=self.start).contains(&self.stop) {
            return error("stop", self.stop, "a number from 0 to start");
        }
        Ok(())
    }
}
