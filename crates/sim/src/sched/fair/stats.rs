// SPDX-License-Identifier: GPL-2.0-or-later
//! How busy the groups of a domain are (kernel: `struct sg_lb_stats`).

use super::averages::FULL;
use super::view::View;

/// How busy a group is, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum State {
    #[default]
    HasSpare,
    FullyBusy,
    /// Several threads of a core are busy.
    Threads,
    /// Affinity kept it from being balanced.
    Imbalanced,
    Overloaded,
}

/// The sums over a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stats {
    /// Load for the capacity, of [`FULL`]: only if it is overloaded, or was asked for.
    pub(super) density: u64,
    pub(super) load: u64,
    pub(super) used: u64,
    pub(super) wanted: u64,
    pub(super) cpus: u32,
    pub(super) idle_cpus: u32,
    /// How many tasks want to run, of all classes, and delayed ones.
    pub(super) tasks: u32,
    /// How many of this class want to run.
    pub(super) fair: u32,
    pub(super) state: State,
}

impl Stats {
    /// Adds a CPU to the sums of its group; how many tasks want to run on it.
    pub(super) fn add<V: View>(&mut self, view: &mut V, cpu: u32) -> u32 {
        self.load += view.load_of(cpu);
        self.used += view.used_of(cpu);
        self.wanted += view.wanted_of(cpu);
        self.fair += view.runnable_on(cpu);
        let tasks = view.count_on(cpu);
        self.tasks += tasks;
        self.idle_cpus += u32::from(tasks == 0 && view.has_nothing(cpu));
        tasks
    }

    /// The capacity: [`FULL`] for each CPU.
    pub(super) fn capacity(&self) -> u64 {
        u64::from(self.cpus) * FULL
    }

    /// Whether tasks could use more of it.
    fn has_capacity(&self, percent: u64) -> bool {
        self.tasks < self.cpus
            || self.capacity() * percent >= self.wanted * 100
                && self.capacity() * 100 > self.used * percent
    }

    /// Whether it has more tasks than it can handle.
    fn is_overloaded(&self, percent: u64) -> bool {
        self.tasks > self.cpus
            && (self.capacity() * 100 < self.used * percent
                || self.capacity() * percent < self.wanted * 100)
    }

    /// Finds its state out, with what else is known of it.
    pub(super) fn classify(&mut self, percent: u64, imbalanced: bool, threads: bool) {
        self.state = if self.is_overloaded(percent) {
            State::Overloaded
        } else if imbalanced {
            State::Imbalanced
        } else if threads {
            State::Threads
        } else if !self.has_capacity(percent) {
            State::FullyBusy
        } else {
            State::HasSpare
        };
    }

    pub(super) fn weigh(&mut self) {
        self.density = self.load * FULL / self.capacity().max(1);
    }
}
