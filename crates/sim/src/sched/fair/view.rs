// SPDX-License-Identifier: GPL-2.0-or-later
//! What decisions about CPUs read, and the little that they change: of a simulated machine, or of a
//! kernel as it was recorded.

use super::super::{TICK_NS, TaskId};
use super::Cache;
use super::balance::Puller;
use super::domains::Domains;
use super::select::Company;
use super::stats::Sums;
use crate::machine::Machine;
use crate::run::Stop;
use std::rc::Rc;

/// CPUs and tasks as a decision sees them.
pub(super) trait View: Sized {
    /// How the CPUs are grouped.
    fn domains(&self) -> Rc<Domains>;
    /// What is known of a domain that shares a cache.
    fn cache(&mut self, domain: usize) -> &mut Cache;
    /// Whether affinity keeps a group of a domain from being balanced.
    fn is_imbalanced(&self, domain: usize, group: usize) -> bool;
    /// A CPU was seen that has more than one task, or none.
    fn set_overloaded(&mut self, overloaded: bool);
    /// How often balancing has failed in a row.
    fn failures(&self, puller: &Puller) -> u32;

    /// Whether a CPU has nothing to do (kernel: `available_idle_cpu`).
    fn has_nothing(&self, cpu: u32) -> bool;
    /// How many tasks a CPU has of any class, delayed ones included (kernel: `nr_running`).
    fn count_on(&self, cpu: u32) -> u32;
    /// How many it has of this class (kernel: `h_nr_queued`).
    fn queued_on(&self, cpu: u32) -> u32;
    /// How many of them want to run (kernel: `h_nr_runnable`).
    fn runnable_on(&self, cpu: u32) -> u32;
    /// The load that wanted to run on it.
    fn load_of(&mut self, cpu: u32) -> u64;
    /// How many wanted to run on it, of [`super::averages::FULL`] each.
    fn wanted_of(&mut self, cpu: u32) -> u64;
    /// How much of it is used, or is expected to be.
    fn used_of(&mut self, cpu: u32) -> u64;
    /// The sums of a group of a domain.
    fn sums(&mut self, domain: usize, group: usize) -> Sums;
    /// The same of one CPU.
    fn sums_on(&mut self, cpu: u32) -> Sums {
        Sums::of(self, [&cpu])
    }
    /// Since when it is idle.
    fn idle_since_ns(&self, cpu: u32) -> u64;
    /// What runs on it.
    fn current(&self, cpu: u32) -> Option<TaskId>;
    /// Whom wakes up who runs on it, or who interrupts it if nobody does.
    fn company_on(&mut self, cpu: u32) -> &mut Company;
    /// Which task of it has not run, or been looked at in vain, for longest.
    fn oldest(&self, cpu: u32) -> Option<TaskId>;
    /// The present time as a number of ticks.
    fn tick(&self) -> u64;

    /// Whether a task may run on a CPU.
    fn may_use(&self, task: TaskId, cpu: u32) -> bool;
    /// Whether a task may run on each of some CPUs.
    fn may_use_all(&self, task: TaskId, cpus: &[u32]) -> bool {
        cpus.iter().all(|cpu| self.may_use(task, *cpu))
    }
    /// The load that a task is.
    fn task_load(&mut self, task: TaskId) -> u64;
    /// How much a task uses, or is expected to.
    fn task_use(&mut self, task: TaskId) -> u64;
    /// Whom a task wakes up.
    fn company_of(&self, task: TaskId) -> &Company;
    /// A CPU that a task was on before the one where it was last.
    fn recent_cpu(&mut self, task: TaskId) -> &mut u32;
    /// Where a task is.
    fn place_of(&self, task: TaskId) -> u32;
    /// Whether a task sleeps that is still in a queue.
    fn is_delayed(&self, task: TaskId) -> bool;
    /// Whether a task has had no more than its share.
    fn is_eligible(&mut self, task: TaskId) -> bool;
    /// How long ago a task last ran, in ns.
    fn ran_ago_ns(&self, task: TaskId) -> u64;
    /// A task can't be moved: it is looked at after the others of its CPU.
    fn look_later(&mut self, cpu: u32, task: TaskId);
    /// Moves a task that waits to another CPU.
    ///
    /// # Errors
    /// The run stops.
    fn move_fair(&mut self, task: TaskId, to: u32) -> Result<(), Stop>;
}

impl View for Machine {
    fn domains(&self) -> Rc<Domains> {
        Rc::clone(&self.sched.fair.domains)
    }

    fn cache(&mut self, domain: usize) -> &mut Cache {
        &mut self.sched.fair.caches[domain]
    }

    fn is_imbalanced(&self, domain: usize, group: usize) -> bool {
        self.sched.fair.is_imbalanced(domain, group)
    }

    fn set_overloaded(&mut self, overloaded: bool) {
        self.sched.fair.overloaded = overloaded;
    }

    fn failures(&self, puller: &Puller) -> u32 {
        self.sched.rqs[puller.cpu as usize].balance.levels[puller.level].failed
    }

    fn has_nothing(&self, cpu: u32) -> bool {
        Machine::has_nothing(self, cpu)
    }

    fn count_on(&self, cpu: u32) -> u32 {
        Machine::count_on(self, cpu)
    }

    fn queued_on(&self, cpu: u32) -> u32 {
        self.sched.rqs[cpu as usize].fair.queued
    }

    fn runnable_on(&self, cpu: u32) -> u32 {
        self.sched.rqs[cpu as usize].fair.runnable()
    }

    fn load_of(&mut self, cpu: u32) -> u64 {
        Machine::load_of(self, cpu)
    }

    fn wanted_of(&mut self, cpu: u32) -> u64 {
        Machine::wanted_of(self, cpu)
    }

    fn used_of(&mut self, cpu: u32) -> u64 {
        Machine::used_of(self, cpu)
    }

    fn sums(&mut self, domain: usize, group: usize) -> Sums {
        self.kept_sums(domain, group)
    }

    fn sums_on(&mut self, cpu: u32) -> Sums {
        self.kept_sums_on(cpu)
    }

    fn idle_since_ns(&self, cpu: u32) -> u64 {
        self.sched.rqs[cpu as usize].balance.idle_since_ns
    }

    fn current(&self, cpu: u32) -> Option<TaskId> {
        self.sched.rqs[cpu as usize].current
    }

    fn company_on(&mut self, cpu: u32) -> &mut Company {
        match self.sched.rqs[cpu as usize].current {
            Some(task) => &mut self.sched.entities[task.0 as usize].company,
            None => &mut self.sched.rqs[cpu as usize].idle_company,
        }
    }

    fn oldest(&self, cpu: u32) -> Option<TaskId> {
        self.oldest_first(cpu, 1).first().copied()
    }

    fn tick(&self) -> u64 {
        self.now_ns / TICK_NS
    }

    fn may_use(&self, task: TaskId, cpu: u32) -> bool {
        self.sched.tasks[task.0 as usize].allowed.contains(rota_topology::CpuId(cpu))
    }

    fn may_use_all(&self, task: TaskId, cpus: &[u32]) -> bool {
        let allowed = &self.sched.tasks[task.0 as usize].allowed;
        let has = |cpu: &u32| allowed.contains(rota_topology::CpuId(*cpu));
        allowed.count() == self.shape.cpus || cpus.iter().all(has)
    }

    fn task_load(&mut self, task: TaskId) -> u64 {
        Machine::task_load(self, task)
    }

    fn task_use(&mut self, task: TaskId) -> u64 {
        Machine::task_use(self, task)
    }

    fn company_of(&self, task: TaskId) -> &Company {
        &self.sched.entities[task.0 as usize].company
    }

    fn recent_cpu(&mut self, task: TaskId) -> &mut u32 {
        &mut self.sched.entities[task.0 as usize].recent_cpu
    }

    fn place_of(&self, task: TaskId) -> u32 {
        self.sched.tasks[task.0 as usize].cpu
    }

    fn is_delayed(&self, task: TaskId) -> bool {
        Machine::is_delayed(self, task)
    }

    fn is_eligible(&mut self, task: TaskId) -> bool {
        let cpu = self.sched.tasks[task.0 as usize].cpu;
        let (queue, all) = self.fair(cpu);
        queue.is_eligible(all, task)
    }

    fn ran_ago_ns(&self, task: TaskId) -> u64 {
        self.now_ns.saturating_sub(self.sched.entities[task.0 as usize].ran_ns)
    }

    fn look_later(&mut self, cpu: u32, task: TaskId) {
        Machine::look_later(self, cpu, task);
    }

    fn move_fair(&mut self, task: TaskId, to: u32) -> Result<(), Stop> {
        Machine::move_fair(self, task, to)
    }
}
