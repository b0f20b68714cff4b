// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's fair class, EEVDF (kernel: `kernel/sched/fair.c`): what a user has without any
//! scheduler of sched_ext. It is above that of sched_ext, as in the kernel.
//!
//! * [`queue`]: the order in which the tasks of one CPU run; [`entity`]: what is known of each;
//!   [`tree`]: those that wait; [`groups`]: what a task of a group weighs there.
//! * [`class`]: how the machine uses it: tasks come and go, run, wake up, give way.
//!
//! * [`averages`]: load and use, averaged; [`load`]: those of tasks and CPUs.
//! * [`domains`]: CPUs that tasks are spread over; [`kept`]: sums over them; [`select`]: where a task wakes up; [`fork`]: where
//!   a new one comes to; [`stats`], [`balance`]: what is to be moved; [`pull`]: moving it;
//!   [`when`]: when that is looked at; [`view`]: what all these read.
//!
//! `docs/eevdf.md` has what is modelled and what is left out, and how it compares with kernels.

mod averages;
mod balance;
mod class;
mod decisions;
mod domains;
mod entity;
mod fork;
mod groups;
mod kept;
mod load;
mod pull;
mod queue;
#[cfg(test)]
mod reference;
mod replay;
mod rules;
mod select;
mod stats;
mod tree;
mod view;
mod when;

pub use decisions::{Decisions, DecisionsAgreement, DecisionsError};
pub(crate) use entity::{Entity, NICE_0};
use groups::Groups;
pub(crate) use groups::{GroupId, TOP};
pub(crate) use load::CpuLoad;
pub(crate) use queue::Queue;
pub use replay::{Agreement, Disagreement, FairTrace, TraceError};
pub(crate) use rules::Rules;
pub(crate) use select::Company;
pub(crate) use when::Balance;

use super::cpu::{SYNC, WAKE};
use crate::machine::Machine;
use domains::{Domains, Kind};
use kept::Kept;

use rota_object::KernelTypes;
use rota_topology::Topology;
use rota_workload::Random;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What the model does not have of the kernel's fair class, a few words each, for whoever shows its
/// results. `docs/eevdf.md` says more.
pub const EEVDF_LEAVES_OUT: &[&str] = &[
    "sessions (autogroup) and idle cgroups",
    "bandwidth limits",
    "slices that tasks ask for, SCHED_BATCH and SCHED_IDLE",
    "CPUs of different strength (they count as equal)",
    "moving memory or tasks between nodes for locality",
    "tasks of one process drawn to one cache",
    "clusters within a cache in the search for an idle CPU",
    "cpuidle states and frequencies in decisions",
];

/// What the fair class has of a whole machine.
#[derive(Debug, Clone)]
pub(crate) struct Fair {
    /// What a task that does not ask for another slice gets, in ns.
    pub(crate) slice_ns: i64,
    pub(crate) rules: Rules,
    /// Whether a timer ends each slice to the nanosecond, not the tick. Since Linux 7.0 it does.
    pub(crate) hrtick: bool,
    domains: Rc<Domains>,
    kept: Kept,
    /// What is known of each domain that shares a cache.
    caches: Vec<Cache>,
    /// Groups of domains that affinity keeps from being balanced.
    imbalanced: BTreeSet<(usize, usize)>,
    /// Whether a CPU has more than one task.
    overloaded: bool,
    /// When a CPU that sleeps is next called to balance, as a number of ticks.
    next_call_tick: u64,
    /// When averages of groups on CPUs that sleep are next brought up to date.
    next_aging_tick: u64,
    random: Random,
    pub(crate) groups: Groups,
}

/// What is known of CPUs that share a cache.
#[derive(Debug, Clone, Copy, Default)]
struct Cache {
    /// Whether there may be a core with all threads idle.
    idle_cores: bool,
    /// How many CPUs are looked at to find an idle one.
    scans: u32,
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
        let version = types.configuration().version;
        let (hrtick, rules) = (version >= [7, 0, 0], Rules::of(version));
        Self { slice_ns: slice_ns(cpus), hrtick, rules, groups: Groups::new(cpus), ..Self::none() }
    }

    /// Of no machine.
    pub(crate) fn none() -> Self {
        Self {
            slice_ns: SLICE_NS,
            hrtick: false,
            rules: Rules::NEWEST,
            domains: Rc::default(),
            kept: Kept::default(),
            caches: Vec::new(),
            imbalanced: BTreeSet::new(),
            overloaded: false,
            next_call_tick: 0,
            next_aging_tick: 0,
            random: Random::new(0),
            groups: Groups::new(0),
        }
    }

    /// What the sums over many CPUs have of one is about to change.
    pub(crate) fn touch(&mut self, cpu: u32) {
        self.kept.touch(cpu);
    }

    fn is_imbalanced(&self, domain: usize, group: usize) -> bool {
        self.imbalanced.contains(&(domain, group))
    }

    fn set_imbalanced(&mut self, domain: usize, group: usize, imbalanced: bool) {
        if imbalanced {
            self.imbalanced.insert((domain, group));
        } else {
            self.imbalanced.remove(&(domain, group));
        }
    }
}

/// The stream of random numbers that the fair class has.
const DICE: u64 = u64::MAX - 1;

impl Machine {
    /// Tells the fair class how its CPUs are grouped.
    pub(crate) fn set_domains(&mut self, topology: &Topology) {
        let domains = Domains::new(topology, self.shape.cpus);
        let cache = |cpus: usize| Cache { idle_cores: true, scans: cpus as u32 };
        let fair = &mut self.sched.fair;
        fair.caches = domains.all.iter().map(|domain| cache(domain.cpus.len())).collect();
        fair.random = Random::stream(self.shape.seed, DICE);
        fair.kept = Kept::new(&domains);
        for (cpu, chain) in (0..).zip(&domains.of) {
            let sizes = chain.iter().map(|domain| domains.all[*domain].cpus.len());
            self.sched.rq(cpu).balance = Balance::new(sizes);
        }
        self.sched.fair.domains = Rc::new(domains);
    }
}
