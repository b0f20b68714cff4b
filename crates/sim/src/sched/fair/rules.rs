// SPDX-License-Identifier: GPL-2.0-or-later
//! In what the queues of kernels differ (kernel: `kernel/sched/fair.c`): seen on 6.18 and 7.3 by what
//! their queues did (`tests/fair`), unless it is said otherwise.

use super::super::TICK_NS;

/// What a kernel's queue does, where kernels differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Where a delayed task would be picked, it leaves, and who wakes up may come next. Before, who
    /// wakes up waits. 7.0.10 and 6.18.33 have it by their lists of changes (recordings of 7.0.13 do
    /// not come to it), and what is later counts as having it.
    pub(super) wakes_past_delayed: bool,
    /// Who is preempted is protected no more. Until 7.0 that stays as it was.
    pub(super) preemption_unprotects: bool,
    /// Who is delayed does not get deeper into debt. Until 7.0 it does.
    pub(super) debt_is_kept: bool,
    /// The limit of lag is a slice and a tick. Before (read in 6.18) it is the
    /// larger one of two slices and a tick; recordings of 7.0 have lags of 4.4 ms on one CPU. It
    /// needs the largest slice of a queue (`max_slice`): the types of 6.18.44 have that, those of 6.18.15
    /// do not. It is taken to have come with 6.18.33, too.
    slice_and_tick: bool,
    /// Protection that is shortened begins at the average, if that is earlier. Until 7.0 it begins at
    /// the virtual time of who runs.
    pub(super) protects_from_average: bool,
    /// The sums behind a CPU's averages are cut to 32 bits when a task goes to another CPU or ends.
    /// Before 7.0 they are (seen on 6.16 and 6.18; not on 7.0 and 7.3).
    pub(super) cuts_sums: bool,
}

impl Rules {
    /// Those of Linux 7.3.
    pub(crate) const NEWEST: Self = Self {
        wakes_past_delayed: true,
        preemption_unprotects: true,
        debt_is_kept: true,
        slice_and_tick: true,
        protects_from_average: true,
        cuts_sums: false,
    };

    /// Those of a kernel, by its version. What is between 7.0 and 7.3 counts as 7.3, and what is before
    /// 6.18 as 6.18.0.
    pub(crate) fn of(version: [u32; 3]) -> Self {
        if version >= [7, 1, 0] {
            return Self::NEWEST;
        }
        let repaired = match version {
            [6, 18, patch] => patch >= 33,
            [7, 0, patch] => patch >= 10,
            _ => false,
        };
        Self {
            wakes_past_delayed: repaired,
            preemption_unprotects: false,
            debt_is_kept: false,
            slice_and_tick: version >= [7, 0, 0] || repaired,
            protects_from_average: false,
            cuts_sums: version < [7, 0, 0],
        }
    }

    /// Those of a series of kernels, such as `7.3`; what is none counts as the newest.
    pub(crate) fn of_series(series: &str) -> Self {
        rota_object::series(series).map_or(Self::NEWEST, |(a, b)| Self::of([a, b, 0]))
    }

    /// The same with one of them as the newest kernel has it, for each that recordings show: no lag
    /// comes to its limit in those of 6.18.
    #[cfg(test)]
    pub(super) fn with_each_as_newest(self) -> [Self; 4] {
        let newest = Self::NEWEST;
        [
            Self { wakes_past_delayed: newest.wakes_past_delayed, ..self },
            Self { preemption_unprotects: newest.preemption_unprotects, ..self },
            Self { debt_is_kept: newest.debt_is_kept, ..self },
            Self { protects_from_average: newest.protects_from_average, ..self },
        ]
    }

    /// By how much a task's lag is limited, in ns (kernel: `entity_lag`).
    pub(super) fn lag_limit_ns(self, slice_ns: i64) -> i64 {
        let tick_ns = TICK_NS.cast_signed();
        if self.slice_and_tick { slice_ns + tick_ns } else { tick_ns.max(2 * slice_ns) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repaired_releases_have_the_newer_rules() {
        let wakes = |version| Rules::of(version).wakes_past_delayed;
        assert_eq!(
            [[6, 16, 99], [6, 18, 15], [6, 18, 44], [7, 0, 9], [7, 0, 13], [7, 3, 0]].map(wakes),
            [false, false, true, false, true, true]
        );
        let limit = |version| Rules::of(version).lag_limit_ns(3_000_000);
        assert_eq!([[6, 18, 15], [6, 18, 44]].map(limit), [6_000_000, 7_000_000]);
    }
}
