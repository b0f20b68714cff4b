// SPDX-License-Identifier: GPL-2.0-or-later
//! The CPU for a new task: from the largest domain down, the idlest group, and in it the idlest CPU
//! (kernel: `sched_balance_find_dst_cpu`).

use super::super::TaskId;
use super::averages::FULL;
use super::domains::Kind;
use super::stats::{State, Stats, Sums};
use super::view::View;

/// Where a new task begins.
pub(super) trait Fork: View {
    /// The idlest CPU of a domain for a task that is made on another one.
    fn idlest_cpu(&mut self, domain: usize, task: TaskId, here: u32, previous: u32) -> u32 {
        *self.recent_cpu(task) = previous;
        let domains = self.domains();
        if !domains.all[domain].cpus.iter().any(|cpu| self.may_use(task, *cpu)) {
            return previous;
        }
        let (mut cpu, mut best) = (here, here);
        let mut next = Some(domain);
        while let Some(domain) = next {
            let chosen = self.idlest_group(domain, task, cpu);
            let found = chosen.map(|group| self.idlest_in(domain, group, task, cpu));
            if let Some(found) = found.filter(|found| *found != cpu) {
                (cpu, best) = (found, found);
            } else {
                best = found.unwrap_or(best);
            }
            // Below, the domain of the CPU that was found.
            let size = domains.all[domain].cpus.len();
            let (chain, all) = (&domains.of[cpu as usize], &domains.all);
            next = chain.iter().rev().copied().find(|domain| all[*domain].cpus.len() < size);
        }
        best
    }

    /// The sums of a group as if a task was not there.
    fn stats_without(&mut self, domain: usize, group: usize, task: TaskId) -> Stats {
        let domains = self.domains();
        let percent = domains.all[domain].imbalance_percent();
        let imbalanced = self.is_imbalanced(domain, group);
        let cpus = &domains.all[domain].groups[group].cpus;
        let sums = if self.may_use_all(task, cpus) {
            self.sums(domain, group)
        } else {
            let allowed: Vec<&u32> = cpus.iter().filter(|cpu| self.may_use(task, **cpu)).collect();
            Sums::of(self, allowed)
        };
        let mut stats = Stats::new(cpus.len(), sums);
        stats.classify(percent, imbalanced, false);
        if matches!(stats.state, State::FullyBusy | State::Overloaded) {
            stats.weigh();
        }
        stats
    }

    /// The idlest group of a domain, unless that is where the task is made.
    fn idlest_group(&mut self, domain: usize, task: TaskId, here: u32) -> Option<usize> {
        let domains = self.domains();
        let groups = domains.all[domain].groups.len();
        let own = domains.all[domain].group_of(here);
        let (mut local, mut idlest) = (None, None);
        // From the own group on, round and round.
        for group in (own..groups).chain(0..own) {
            let cpus = &domains.all[domain].groups[group].cpus;
            if !cpus.iter().any(|cpu| self.may_use(task, *cpu)) {
                continue;
            }
            let stats = self.stats_without(domain, group, task);
            if group == own {
                local = Some(stats);
            } else if idlest.is_none_or(|(_, best)| is_idler(&stats, &best)) {
                idlest = Some((group, stats));
            }
        }
        let (group, idlest) = idlest?;
        let Some(local) = local else { return Some(group) };
        (!self.stays(domain, task, here, (&local, &idlest))).then_some(group)
    }

    /// Whether a task rather stays in the group where it is made than goes to the idlest other.
    fn stays(
        &self,
        domain: usize,
        task: TaskId,
        here: u32,
        (local, idlest): (&Stats, &Stats),
    ) -> bool {
        if local.state != idlest.state {
            return local.state < idlest.state;
        }
        let domains = self.domains();
        let domain = &domains.all[domain];
        let across = matches!(domain.kind, Kind::Nodes(_));
        let percent = domain.imbalance_percent();
        match local.state {
            State::Overloaded | State::FullyBusy => {
                let imbalance = FULL * (percent - 100) / 100;
                across && idlest.density + imbalance >= local.density
                    || idlest.density >= local.density + imbalance
                    || 100 * local.density <= percent * idlest.density
            }
            State::Threads | State::Imbalanced => true,
            State::HasSpare => {
                let own = &domain.groups[domain.group_of(here)].cpus;
                let usable = own.iter().filter(|cpu| self.may_use(task, **cpu)).count();
                let spared = domain.spared.min(usable as i64);
                let more = i64::from(local.sums.idle_cpus.abs_diff(idlest.sums.idle_cpus));
                across && spare(more, i64::from(local.sums.tasks) + 1, spared) == 0
                    || local.sums.idle_cpus >= idlest.sums.idle_cpus
            }
        }
    }

    /// The idlest CPU of a group (kernel: `sched_balance_find_dst_group_cpu`): the one that went
    /// idle last, or else the least loaded.
    fn idlest_in(&mut self, domain: usize, group: usize, task: TaskId, here: u32) -> u32 {
        let domains = self.domains();
        let cpus = &domains.all[domain].groups[group].cpus;
        if let [only] = cpus[..] {
            return only;
        }
        let (mut idle, mut least): (Option<(u64, u32)>, _) = (None, (u64::MAX, here));
        for &cpu in cpus.iter() {
            if !self.may_use(task, cpu) {
                continue;
            }
            if self.has_nothing(cpu) {
                let since = self.idle_since_ns(cpu);
                if idle.is_none_or(|(latest, _)| since > latest) {
                    idle = Some((since, cpu));
                }
            } else if idle.is_none() {
                let load = self.load_of(cpu);
                if load < least.0 {
                    least = (load, cpu);
                }
            }
        }
        idle.map_or(least.1, |(_, cpu)| cpu)
    }
}

impl<V: View> Fork for V {}

/// How much of an imbalance between nodes is one, if so many tasks run where more would come
/// (kernel: `adjust_numa_imbalance`).
pub(super) fn spare(imbalance: i64, running: i64, spared: i64) -> i64 {
    /// What a pair of tasks that talk to each other makes.
    const PAIR: i64 = 2;
    if running <= spared && imbalance <= PAIR { 0 } else { imbalance }
}

/// Whether a group is idler than the idlest so far.
fn is_idler(stats: &Stats, best: &Stats) -> bool {
    if stats.state != best.state {
        return stats.state < best.state;
    }
    match stats.state {
        State::Overloaded | State::FullyBusy => stats.density < best.density,
        State::Threads | State::Imbalanced => false,
        State::HasSpare => {
            stats.sums.idle_cpus > best.sums.idle_cpus
                || stats.sums.idle_cpus == best.sums.idle_cpus && stats.sums.used < best.sums.used
        }
    }
}
