// SPDX-License-Identifier: GPL-2.0-or-later
//! How loaded each domain is, and what a move would change.

use crate::exact::{cpus, units};
use crate::{Policy, Shares, Snapshot, SnapshotError, SolveError, Task, solve};

/// The loads of all domains, while a plan is made.
#[derive(Clone, Debug)]
pub(crate) struct Balance<'a> {
    pub(crate) snapshot: &'a Snapshot,
    policy: &'a Policy,
    /// λ of the machine.
    pub(crate) shares: Option<Shares>,
    /// For each task its share of the machine, in CPUs.
    pub(crate) share: Vec<f64>,
    /// For each domain, in units of exact sums.
    load: Vec<i128>,
    /// For each domain, its load by its capacity; infinite if it has none.
    busy: Vec<f64>,
    /// What each domain would have if all were equally busy, in CPUs.
    pub(crate) target: Vec<f64>,
}

/// What a move would bring and cost, in CPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worth {
    pub(crate) gain: f64,
    pub(crate) cost: f64,
}

impl Worth {
    pub(crate) fn net(self) -> f64 {
        self.gain - self.cost
    }
}

impl<'a> Balance<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Result<Self, SnapshotError> {
        let entities: Vec<_> = snapshot.tasks.iter().map(|task| task.entity).collect();
        let domains = &snapshot.domains;
        let capacity: f64 = domains.iter().map(|domain| domain.capacity).sum();
        let free: f64 = domains.iter().map(|d| (d.capacity - d.other).max(0.0)).sum();
        let shares = match solve(&entities, free) {
            Ok(shares) => Some(shares),
            Err(SolveError::TooMuch) => return Err(SnapshotError::TooMuch),
            // Nobody gets anything.
            Err(_) => None,
        };
        let share = |entity| shares.map_or(0.0, |shares| shares.share(entity));
        let share: Vec<_> = entities.into_iter().map(share).collect();
        let mut load: Vec<_> = domains.iter().map(|domain| units(domain.other)).collect();
        for (task, share) in snapshot.tasks.iter().zip(&share) {
            load[task.domain] += units(*share);
        }
        let mean = if capacity > 0.0 { cpus(load.iter().sum()) / capacity } else { 0.0 };
        let target = domains.iter().map(|domain| mean * domain.capacity).collect();
        let mut balance =
            Self { snapshot, policy, shares, share, load, busy: vec![0.0; domains.len()], target };
        (0..domains.len()).for_each(|domain| balance.see(domain));
        Ok(balance)
    }

    /// Works out how busy a domain is.
    fn see(&mut self, domain: usize) {
        self.busy[domain] = match self.snapshot.domains[domain].capacity {
            0.0 => f64::INFINITY,
            capacity => self.load(domain) / capacity,
        };
    }

    /// The load of a domain, in CPUs.
    pub(crate) fn load(&self, domain: usize) -> f64 {
        cpus(self.load[domain])
    }

    /// How busy a domain is: its load by its capacity. Infinite if it has none.
    pub(crate) fn busy(&self, domain: usize) -> f64 {
        self.busy[domain]
    }

    /// The sum of what domains have above or below their targets, in CPUs.
    pub(crate) fn imbalance(&self) -> f64 {
        let off = |domain| (self.load(domain) - self.target[domain]).abs();
        // A sum of none would be -0.
        (0..self.target.len()).map(off).fold(0.0, |sum, off| sum + off)
    }

    /// Whether the domain has no capacity, so that whoever may leave it has to.
    pub(crate) fn is_closed(&self, domain: usize) -> bool {
        self.snapshot.domains[domain].capacity == 0.0
    }

    /// The least that a move from the domain has to bring beyond its cost, in CPUs.
    pub(crate) fn bar(&self, from: usize) -> f64 {
        if self.is_closed(from) { f64::NEG_INFINITY } else { self.policy.gain_min }
    }

    /// The load that would make both domains equally busy, with which the gain is largest.
    pub(crate) fn ideal(&self, from: usize, to: usize) -> f64 {
        if self.is_closed(from) {
            return f64::MAX;
        }
        (self.busy(from) - self.busy(to)) / self.slope(from, to)
    }

    /// By how much less the domains differ for each CPU of load that is moved.
    fn slope(&self, from: usize, to: usize) -> f64 {
        let domains = &self.snapshot.domains;
        1.0 / domains[from].capacity + 1.0 / domains[to].capacity
    }

    /// What moving so much load brings: the load times how much less busy the other place is, on
    /// average over the move. A domain without capacity gives nothing, so all of the load is gained.
    pub(crate) fn gain(&self, load: f64, from: usize, to: usize) -> f64 {
        if self.is_closed(from) {
            return load;
        }
        load * (self.busy(from) - self.busy(to) - load * self.slope(from, to) / 2.0)
    }

    /// What a move of a task would bring and cost.
    pub(crate) fn worth(&self, place: usize, to: usize) -> Worth {
        let task = &self.snapshot.tasks[place];
        let gain = self.gain(self.share[place], task.domain, to);
        Worth { gain, cost: self.cost(task, to) }
    }

    fn cost(&self, task: &Task, to: usize) -> f64 {
        let distance = f64::from(self.snapshot.distance(task.domain, to)) / 10.0;
        let refill_ns = task.footprint_bytes as f64 * self.policy.refill_ns_per_byte * distance;
        (refill_ns + self.policy.move_ns) / self.policy.horizon_ns
    }

    /// Whether some CPU of the domain is strong enough for the task, or none is stronger where it is.
    pub(crate) fn fits(&self, place: usize, to: usize) -> bool {
        let from = self.snapshot.tasks[place].domain;
        let strongest = |domain: usize| self.snapshot.domains[domain].strongest;
        self.share[place] <= strongest(to) || strongest(to) >= strongest(from)
    }

    /// Whether the move leaves the sum of imbalances as it is or makes it smaller.
    pub(crate) fn keeps(&self, load: f64, from: usize, to: usize) -> bool {
        let off = |domain: usize, change: f64| {
            let now = self.load(domain) - self.target[domain];
            (now + change).abs() - now.abs()
        };
        off(from, -load) + off(to, load) <= 1e-12 * load
    }

    /// Whether a plan may move the task there. Affinity and rest are not looked at here.
    pub(crate) fn accepts(&self, place: usize, to: usize) -> bool {
        let from = self.snapshot.tasks[place].domain;
        self.is_closed(from)
            || self.worth(place, to).net() >= self.policy.gain_min
                && self.fits(place, to)
                && self.keeps(self.share[place], from, to)
    }

    /// Moves a task's load.
    pub(crate) fn apply(&mut self, place: usize, to: usize) {
        let load = units(self.share[place]);
        self.load[self.snapshot.tasks[place].domain] -= load;
        self.load[to] += load;
        self.see(self.snapshot.tasks[place].domain);
        self.see(to);
    }
}
