// SPDX-License-Identifier: GPL-2.0-or-later
//! Pieces of work that were done, and how long who asked for them had to wait.

use crate::program::Group;
use rota_events::Histogram;

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
    /// How many took longer, or have been open for longer.
    pub late: u64,
    /// Of pieces that were asked for and are not done: how long ago, in ns.
    pub open: Histogram,
}

impl Pieces {
    /// Those of a group that has done none yet.
    pub fn new(group: &Group) -> Self {
        Self {
            group: group.name.clone(),
            done: 0,
            latency: Histogram::default(),
            deadline_ns: group.deadline_ns,
            late: 0,
            open: Histogram::default(),
        }
    }

    /// A piece is done, after so long if it had been begun.
    pub fn add(&mut self, latency_ns: Option<u64>) {
        self.done += 1;
        if let Some(ns) = latency_ns {
            self.latency.add(ns);
            self.late += u64::from(self.deadline_ns.is_some_and(|most| ns > most));
        }
    }

    /// So many pieces were asked for so long ago, and are not done.
    pub fn add_open(&mut self, ns: u64, count: u32) {
        (0..count).for_each(|_| self.open.add(ns));
        let late = self.deadline_ns.is_some_and(|most| ns > most);
        self.late += u64::from(late) * u64::from(count);
    }

    /// Adds what others of the group did.
    pub fn merge(&mut self, other: &Self) {
        self.done += other.done;
        self.late += other.late;
        self.latency.merge(&other.latency);
        self.open.merge(&other.open);
    }
}
