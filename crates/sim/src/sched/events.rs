// SPDX-License-Identifier: GPL-2.0-or-later
//! The core's counters (kernel: `struct scx_event_stats`). A kernel has those that its types name.

use crate::machine::Machine;

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Event {
    /// A task came to another CPU than the one that was selected for it.
    SelectCpuFallback,
    /// A task was to come to a CPU that is offline.
    LocalOffline,
    /// A task went on because there was no other.
    KeepLast,
    /// A task that ends was not given to the scheduler.
    SkipExiting,
    /// A task that must not move was not given to the scheduler.
    SkipPinned,
    /// A task's slice was filled up.
    RefillSlice,
    /// How long the scheduler was bypassed, in ns.
    BypassDuration,
    /// A task was put into a queue, or its CPU selected, past the scheduler.
    BypassDispatch,
    /// The scheduler was bypassed.
    BypassActivate,
    /// A task that was to run at once went back to the scheduler.
    ReenqueueImmediate,
    /// A task went back again, without having run.
    ReenqueueRepeat,
}

const NAMES: [&str; 11] = [
    "SCX_EV_SELECT_CPU_FALLBACK",
    "SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE",
    "SCX_EV_DISPATCH_KEEP_LAST",
    "SCX_EV_ENQ_SKIP_EXITING",
    "SCX_EV_ENQ_SKIP_MIGRATION_DISABLED",
    "SCX_EV_REFILL_SLICE_DFL",
    "SCX_EV_BYPASS_DURATION",
    "SCX_EV_BYPASS_DISPATCH",
    "SCX_EV_BYPASS_ACTIVATE",
    "SCX_EV_REENQ_IMMED",
    "SCX_EV_REENQ_REPEAT",
];

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Events([u64; NAMES.len()]);

impl Events {
    /// The counter with a name; 0 for one that counts what can't happen here.
    pub(crate) fn named(&self, name: &str) -> u64 {
        NAMES.iter().position(|n| *n == name).map_or(0, |at| self.0[at])
    }
}

impl Machine {
    /// Counts something that has happened.
    pub(crate) fn count(&mut self, event: Event) {
        self.count_up(event, 1);
    }

    /// Adds to a counter.
    pub(crate) fn count_up(&mut self, event: Event, more: u64) {
        self.sched.events.0[event as usize] += more;
    }

    /// The counters that the kernel has, by their names, in its order.
    pub(crate) fn counters(&self) -> Vec<(String, u64)> {
        let names = self.layout.counters.iter().map(|(name, _)| name);
        names.map(|name| (name.clone(), self.sched.events.named(name))).collect()
    }
}
