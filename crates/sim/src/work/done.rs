// SPDX-License-Identifier: GPL-2.0-or-later
//! Pieces of work that were done, and how long who asked for them had to wait.

use rota_events::Histogram;
use rota_workload::Group;

/// The pieces of work of a group of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// The group's name.
    pub group: String,
    /// Pieces done.
    pub done: u64,
    /// Of pieces that were begun: the time from being asked for to being done, in ns.
    pub latency: Histogram,
    /// How long that may be, in ns.
    pub deadline_ns: Option<u64>,
    /// How many took longer.
    pub late: u64,
}

impl Pieces {
    pub(super) fn new(group: &Group) -> Self {
        Self {
            group: group.name.clone(),
            done: 0,
            latency: Histogram::default(),
            deadline_ns: group.deadline_ns,
            late: 0,
        }
    }

    /// A piece is done, after so long if it had been begun.
    pub(super) fn add(&mut self, latency_ns: Option<u64>) {
        self.done += 1;
        if let Some(ns) = latency_ns {
            self.latency.add(ns);
            self.late += u64::from(self.deadline_ns.is_some_and(|most| ns > most));
        }
    }
}
