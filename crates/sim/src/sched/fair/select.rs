// SPDX-License-Identifier: GPL-2.0-or-later
//! The CPU for a task that wakes up (kernel: `select_task_rq_fair`): near who wakes it or where it
//! was, and there the first idle one that is found soon.

use super::super::{TICK_NS, TaskId};
use super::fork::Fork;
use super::view::View;
use super::{Kind, SYNC, WAKE};
use crate::machine::Machine;
use std::collections::BTreeSet;

/// After so many ticks, a second, a waker's changes of partner count half.
const COMPANY_TICKS: u64 = 1_000_000_000 / TICK_NS;

/// Whom a task wakes up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Company {
    /// How often it woke another one than the last time.
    pub(super) flips: u32,
    pub(super) last: Option<TaskId>,
    pub(super) halved_tick: u64,
}

/// Where a task wakes up, or begins.
pub(super) trait Select: View {
    /// The CPU for a task of this class that wakes up, or is new, by who executes on a CPU.
    fn select(&mut self, task: TaskId, here: u32, previous: u32, wake_flags: u64) -> u32 {
        let wakes = wake_flags & WAKE != 0;
        let mut near = false;
        if wakes {
            self.note_company(task, here);
            near = !self.has_many_partners(task, here) && self.may_use(task, here);
        }
        let domains = self.domains();
        let mut widest = None;
        let mut target = previous;
        for &domain in domains.of.get(here as usize).into_iter().flatten() {
            let known = &domains.all[domain];
            let (is_near, has) = (known.is_near(), known.has(previous));
            if near && is_near && has {
                if here != previous {
                    let sync = wake_flags & SYNC != 0;
                    let percent = known.imbalance_percent();
                    target = self.wake_near(task, (here, previous), sync, percent);
                }
                widest = None;
                break;
            }
            if !wakes && is_near {
                widest = Some(domain);
            } else if !near {
                break;
            }
        }
        match widest {
            Some(domain) => self.idlest_cpu(domain, task, here, previous),
            None if wakes => self.idle_near(task, previous, target),
            None => target,
        }
    }

    /// Who executes wakes a task.
    fn note_company(&mut self, task: TaskId, here: u32) {
        let tick = self.tick();
        let company = self.company_on(here);
        if tick > company.halved_tick + COMPANY_TICKS {
            company.flips /= 2;
            company.halved_tick = tick;
        }
        if company.last != Some(task) {
            company.last = Some(task);
            company.flips += 1;
        }
    }

    /// Whether waker and task belong to so many others that they need not be near each other
    /// (kernel: `wake_wide`).
    fn has_many_partners(&mut self, task: TaskId, here: u32) -> bool {
        let factor = self.domains().cache_cpus(here);
        let (one, other) = (self.company_on(here).flips, self.company_of(task).flips);
        let (more, less) = (one.max(other), one.min(other));
        less >= factor && u64::from(more) >= u64::from(less) * u64::from(factor)
    }

    /// Whether a task is to run near who wakes it, or near where it was; such a CPU (kernel:
    /// `wake_affine`).
    fn wake_near(
        &mut self,
        task: TaskId,
        (here, previous): (u32, u32),
        sync: bool,
        percent: u64,
    ) -> u32 {
        if self.has_nothing(here) && self.domains().share_cache(here, previous) {
            return if self.has_nothing(previous) { previous } else { here };
        }
        let delayed = self.queued_on(here) - self.runnable_on(here);
        if sync && self.count_on(here) - delayed == 1 {
            return here;
        }
        if self.has_nothing(previous) {
            return previous;
        }
        let own = self.task_load(task);
        let mut load_here = self.load_of(here);
        if sync && let Some(current) = self.current(here) {
            let current = self.task_load(current);
            if current > load_here {
                return here;
            }
            load_here -= current;
        }
        // The CPU where it was has to have half of what is no imbalance more.
        let percent = i128::from(100 + (percent - 100) / 2);
        let one = i128::from(load_here + own) * 100;
        let other = (i128::from(self.load_of(previous)) - i128::from(own)) * percent;
        if one < other + i128::from(sync) { here } else { previous }
    }

    /// An idle CPU that shares a cache with a CPU, if one is found; else that CPU (kernel:
    /// `select_idle_sibling`).
    fn idle_near(&mut self, task: TaskId, previous: u32, target: u32) -> u32 {
        if self.has_nothing(target) {
            return target;
        }
        let domains = self.domains();
        let shares = |cpu| domains.share_cache(cpu, target);
        if previous != target && shares(previous) && self.has_nothing(previous) {
            return previous;
        }
        let recent = std::mem::replace(self.recent_cpu(task), previous);
        if recent != previous
            && recent != target
            && shares(recent)
            && self.has_nothing(recent)
            && self.may_use(task, recent)
        {
            return recent;
        }
        let Some(domain) = domains.cache(target) else { return target };
        let mut idle_cores = false;
        if domains.smt {
            idle_cores = self.cache(domain).idle_cores;
            if !idle_cores
                && shares(previous)
                && let Some(cpu) = self.idle_thread(task, domain, previous)
            {
                return cpu;
            }
        }
        self.idle_in(task, domain, idle_cores, target).unwrap_or(target)
    }

    /// An idle thread of a CPU's core.
    fn idle_thread(&self, task: TaskId, domain: usize, cpu: u32) -> Option<u32> {
        let domains = self.domains();
        let others = domains.siblings[cpu as usize].iter().copied().filter(|other| *other != cpu);
        let in_it = others.filter(|other| domains.all[domain].has(*other));
        in_it.into_iter().find(|other| self.may_use(task, *other) && self.has_nothing(*other))
    }

    /// An idle CPU in a domain, round from another one; of an idle core if there are such (kernel:
    /// `select_idle_cpu`).
    fn idle_in(
        &mut self,
        task: TaskId,
        domain: usize,
        idle_cores: bool,
        target: u32,
    ) -> Option<u32> {
        let mut tries = self.cache(domain).scans;
        if tries == 0 {
            return None;
        }
        let (mut found, mut looked_at) = (None, BTreeSet::new());
        let domains = self.domains();
        let members = &domains.all[domain].cpus;
        let start = members.partition_point(|cpu| *cpu <= target);
        for &cpu in members[start..].iter().chain(&members[..start]) {
            if !self.may_use(task, cpu) {
                continue;
            }
            if !idle_cores {
                tries -= 1;
                if self.has_nothing(cpu) {
                    return Some(cpu);
                }
                if tries == 0 {
                    return None;
                }
                continue;
            }
            let core = &domains.siblings[cpu as usize];
            if !core.first().is_some_and(|first| looked_at.insert(*first)) {
                continue;
            }
            if core.iter().all(|thread| self.has_nothing(*thread)) {
                return Some(cpu);
            }
            found = found.or_else(|| {
                core.iter().copied().find(|t| self.may_use(task, *t) && self.has_nothing(*t))
            });
        }
        if idle_cores {
            self.cache(domain).idle_cores = false;
        }
        found
    }
}

impl<V: View> Select for V {}

impl Machine {
    /// The CPU for a task of this class that wakes up, or is new.
    pub(crate) fn select_fair(&mut self, task: TaskId, previous: u32, wake_flags: u64) -> u32 {
        self.select(task, self.cpu, previous, wake_flags)
    }

    /// A task that begins has had so many changes of partner, by who made it: as of now, since who
    /// makes it here may never have woken anybody up.
    pub(crate) fn know_partners(&mut self, task: TaskId, flips: u32) {
        let halved_tick = self.tick();
        let company = &mut self.sched.entities[task.0 as usize].company;
        (company.flips, company.halved_tick) = (flips, halved_tick);
    }

    /// A CPU goes idle: there may be an idle core now.
    pub(crate) fn note_idle_core(&mut self, cpu: u32) {
        let domains = &self.sched.fair.domains;
        if !domains.smt {
            return;
        }
        let Some(domain) = domains.cache(cpu) else { return };
        let others = domains.siblings[cpu as usize].iter().filter(|other| **other != cpu);
        let all = others.copied().all(|other| self.has_nothing(other));
        self.sched.fair.caches[domain].idle_cores |= all;
    }
}

/// Whether a domain is one that shares a cache.
pub(super) fn is_cache(kind: Kind) -> bool {
    kind <= Kind::Cache
}
