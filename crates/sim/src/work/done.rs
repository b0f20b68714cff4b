// SPDX-License-Identifier: GPL-2.0-or-later
//! Pieces of work that were done, and how long who asked for them had to wait.

use crate::machine::Machine;
use rota_events::Histogram;
use rota_workload::{Group, Step, Template};

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
    pub(super) fn new(group: &Group) -> Self {
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
    pub(super) fn add(&mut self, latency_ns: Option<u64>) {
        self.done += 1;
        if let Some(ns) = latency_ns {
            self.latency.add(ns);
            self.late += u64::from(self.deadline_ns.is_some_and(|most| ns > most));
        }
    }
}

impl Machine {
    /// The pieces of work of each group, those among them that are not done.
    pub(crate) fn pieces(&self) -> Vec<Pieces> {
        let mut all = self.work.done.clone();
        let now = self.now_ns;
        let mut open = |group: u32, since_ns: u64, count: u32| {
            let Some(pieces) = all.get_mut(group as usize) else { return };
            let ns = now.saturating_sub(since_ns);
            (0..count).for_each(|_| pieces.open.add(ns));
            let late = pieces.deadline_ns.is_some_and(|most| ns > most);
            pieces.late += u64::from(late) * u64::from(count);
        };
        for progress in self.work.progress.iter().flatten() {
            if let Some(since_ns) = progress.begun_ns {
                open(progress.group, since_ns, 1);
            }
        }
        // What comes from outside waits for those who take it.
        for source in &self.work.workload.sources {
            let takes = |kind: &&Template| {
                kind.program
                    .steps()
                    .iter()
                    .any(|step| matches!(step, Step::Wait(e) if *e == source.event))
            };
            let Some(kind) = self.work.workload.templates.iter().find(takes) else { continue };
            let signals = &self.work.events[source.event.0 as usize];
            signals.kept_since().for_each(|(since_ns, count)| open(kind.group, since_ns, count));
        }
        all
    }
}
