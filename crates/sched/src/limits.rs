// SPDX-License-Identifier: GPL-2.0-or-later
//! What settings may be, where that is less than their variables can hold.

use crate::half::HalfError;
use rota_events::Duration;
use rota_object::{SettingError, Setup};

/// The least and the most that a variable of BPF's may be set to; durations in ns.
pub(crate) struct Limit {
    pub(crate) variable: &'static str,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Limit {
    pub(crate) const fn new(variable: &'static str, least: u64, most: u64) -> Self {
        Self { variable, least, most }
    }

    fn check(&self, value: u64) -> Result<(), HalfError> {
        if (self.least..=self.most).contains(&value) {
            return Ok(());
        }
        let stem = self.variable.strip_suffix("_ns");
        let shown = |number: u64| match stem {
            Some(_) => Duration(number).to_string(),
            None => number.to_string(),
        };
        Err(HalfError::Setting(SettingError::Value {
            flag: stem.unwrap_or(self.variable).replace('_', "-"),
            problem: format!(
                "'{}' is not from {} to {}",
                shown(value),
                shown(self.least),
                shown(self.most)
            ),
        }))
    }
}

/// Refuses settings that are beyond their limits, once they are written.
pub(crate) fn check(setup: &dyn Setup, limits: &[Limit]) -> Result<(), HalfError> {
    limits.iter().try_for_each(|limit| limit.check(number(&setup.read_global(limit.variable)?)))
}

/// The number that a variable of BPF's is.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_a_limit_is_told() {
        let slice = Limit::new("slice_min_ns", 100_000, 1_000_000_000);
        assert!(slice.check(100_000).is_ok() && slice.check(1_000_000_000).is_ok());
        let told = |limit: &Limit, value| limit.check(value).unwrap_err().to_string();
        assert!(
            told(&slice, 0).contains("slice-min: '0s' is not from 100us to 1s"),
            "{}",
            told(&slice, 0)
        );
        let stay = Limit::new("stay", 0, 2);
        assert!(told(&stay, 7).contains("stay: '7' is not from 0 to 2"));
    }
}
