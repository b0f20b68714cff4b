// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's fair class, EEVDF (kernel: `kernel/sched/fair.c`): what a user has without any
//! scheduler of sched_ext. It is above that of sched_ext, as in the kernel.
//!
//! * [`queue`]: the order in which the tasks of one CPU run; [`entity`]: what is known of each;
//!   [`tree`]: those that wait.
//! * [`class`]: how the machine uses it: tasks come and go, run, wake up, give way.
//!
//! `docs/eevdf.md` has what is modelled and what is left out, and how it compares with kernels.

mod class;
mod entity;
mod queue;
#[cfg(test)]
mod reference;
mod tree;

pub(crate) use entity::{Entity, NICE_0};
pub(crate) use queue::Queue;

use rota_object::KernelTypes;

/// What the fair class has of a whole machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fair {
    /// What a task that does not ask for another slice gets, in ns.
    pub(crate) slice_ns: i64,
    /// Whether a timer ends each slice to the nanosecond, not the tick. Since Linux 7.0 it does.
    pub(crate) hrtick: bool,
}

/// A slice on one CPU, in ns (kernel: `normalized_sysctl_sched_base_slice`).
const SLICE_NS: i64 = 700_000;

/// The slice on a machine with so many CPUs, in ns: longer on more, up to eight.
fn slice_ns(cpus: u32) -> i64 {
    SLICE_NS * i64::from(1 + cpus.clamp(1, 8).ilog2())
}

impl Fair {
    /// What it is like with a kernel.
    pub(crate) fn of(types: &KernelTypes, cpus: u32) -> Self {
        let hrtick = types.configuration().version >= [7, 0, 0];
        Self { slice_ns: slice_ns(cpus), hrtick }
    }
}
