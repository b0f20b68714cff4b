// SPDX-License-Identifier: GPL-2.0-or-later
//! What is done to cgroups, as in a cgroup file system of the second version.

/// A change of a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupChange {
    /// It is made.
    Make,
    /// It is removed; nothing may be in it.
    Remove,
    /// `cpu.weight`, from 1 to 10,000.
    Weight(u64),
    /// `cpu.max`: how much of each period may be used.
    Max {
        /// In µs; `None` is all of it.
        quota_us: Option<u64>,
        /// In µs.
        period_us: u64,
    },
    /// `cpu.max.burst`, in µs.
    Burst(u64),
    /// `cpu.idle`.
    Idle(bool),
}

impl CgroupChange {
    /// Reads a change, as `weight 200`.
    pub(crate) fn from_words(words: &[&str]) -> Option<Self> {
        let number = |word: &str| word.parse().ok();
        Some(match *words {
            ["make"] => Self::Make,
            ["remove"] => Self::Remove,
            ["weight", weight] => Self::Weight(number(weight)?),
            ["max", "max", period] => Self::Max { quota_us: None, period_us: number(period)? },
            ["max", quota, period] => {
                Self::Max { quota_us: Some(number(quota)?), period_us: number(period)? }
            }
            ["burst", burst] => Self::Burst(number(burst)?),
            ["idle", "0"] => Self::Idle(false),
            ["idle", "1"] => Self::Idle(true),
            _ => return None,
        })
    }
}
