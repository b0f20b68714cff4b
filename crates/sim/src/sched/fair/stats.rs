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

/// Sums over CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) load: u64,
    pub(super) used: u64,
    pub(super) wanted: u64,
    /// How many tasks want to run, of all classes, and delayed ones.
    pub(super) tasks: u32,
    /// How many of this class want to run.
    pub(super) fair: u32,
    pub(super) idle_cpus: u32,
    /// How many CPUs have more than one task.
    pub(super) crowded_cpus: u32,
}

impl Sums {
    /// Adds some CPUs up.
    pub(super) fn of<'a, V: View>(view: &mut V, cpus: impl IntoIterator<Item = &'a u32>) -> Self {
        let mut sums = Self::default();
        for &cpu in cpus {
            let one = Self {
                load: view.load_of(cpu),
                used: view.used_of(cpu),
                wanted: view.wanted_of(cpu),
                fair: view.runnable_on(cpu),
                ..Self::default()
            };
            let one = one.counting(view.count_on(cpu), view.has_nothing(cpu));
            sums.replace(&Self::default(), &one);
        }
        sums
    }

    /// Of one CPU, with so many tasks, or nothing to do.
    pub(super) fn counting(self, tasks: u32, has_nothing: bool) -> Self {
        let idle_cpus = u32::from(tasks == 0 && has_nothing);
        Self { tasks, idle_cpus, crowded_cpus: u32::from(tasks > 1), ..self }
    }

    /// One of the CPUs had something else before.
    pub(super) fn replace(&mut self, before: &Self, now: &Self) {
        self.load = self.load + now.load - before.load;
        self.used = self.used + now.used - before.used;
        self.wanted = self.wanted + now.wanted - before.wanted;
        self.tasks = self.tasks + now.tasks - before.tasks;
        self.fair = self.fair + now.fair - before.fair;
        self.idle_cpus = self.idle_cpus + now.idle_cpus - before.idle_cpus;
        self.crowded_cpus = self.crowded_cpus + now.crowded_cpus - before.crowded_cpus;
    }
}

/// What is known of a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stats {
    pub(super) sums: Sums,
    /// Load for the capacity, of [`FULL`]: only if it is overloaded, or was asked for.
    pub(super) density: u64,
    pub(super) cpus: u32,
    pub(super) state: State,
}

impl Stats {
    /// Of so many CPUs.
    pub(super) fn new(cpus: usize, sums: Sums) -> Self {
        Self { sums, cpus: cpus as u32, ..Self::default() }
    }

    /// The capacity: [`FULL`] for each CPU.
    pub(super) fn capacity(&self) -> u64 {
        u64::from(self.cpus) * FULL
    }

    /// Whether tasks could use more of it.
    fn has_capacity(&self, percent: u64) -> bool {
        self.sums.tasks < self.cpus
            || self.capacity() * percent >= self.sums.wanted * 100
                && self.capacity() * 100 > self.sums.used * percent
    }

    /// Whether it has more tasks than it can handle.
    fn is_overloaded(&self, percent: u64) -> bool {
        self.sums.tasks > self.cpus
            && (self.capacity() * 100 < self.sums.used * percent
                || self.capacity() * percent < self.sums.wanted * 100)
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
        self.density = self.sums.load * FULL / self.capacity().max(1);
    }
}
