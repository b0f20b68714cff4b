// SPDX-License-Identifier: GPL-2.0-or-later
//! The class of tasks that no scheduler of sched_ext has: each CPU runs them in turn. It stands for
//! the kernel's fair class, which is above that of sched_ext, and is no model of it.

use super::{TaskId, task::Class};
use crate::machine::Machine;
use rota_topology::CpuId;

/// How long a task runs while others of its class wait, in ns.
pub(super) const SLICE_NS: u64 = 4_000_000;

impl Machine {
    /// A task of this class wants to run.
    pub(super) fn enqueue_fair(&mut self, cpu: u32, task: TaskId) {
        self.sched.task(task).queued = true;
        if self.sched.rq(cpu).current != Some(task) {
            self.sched.rq(cpu).fair.push_back(task);
        }
    }

    /// A task of this class does not want to run any more, or goes elsewhere.
    pub(super) fn dequeue_fair(&mut self, cpu: u32, task: TaskId) {
        self.sched.task(task).queued = false;
        self.sched.rq(cpu).fair.retain(|t| *t != task);
    }

    /// Where a task of this class wakes up: where it was, or on a CPU that is idle.
    pub(super) fn select_fair(&mut self, task: TaskId, previous: u32) -> u32 {
        let previous = self.first_allowed(task, previous);
        let takes_it = |machine: &Self, cpu: u32| {
            let rq = &machine.sched.rqs[cpu as usize];
            rq.online && rq.fair.is_empty() && rq.current.is_none_or(|t| machine.is_ext(t))
        };
        if takes_it(self, previous) {
            return previous;
        }
        let allowed = &self.sched.tasks[task.0 as usize].allowed;
        let mut others = allowed.iter().map(|CpuId(cpu)| cpu);
        others.find(|cpu| takes_it(self, *cpu)).unwrap_or(previous)
    }

    /// What a CPU runs of this class: who runs goes on while it has a slice, or is alone.
    pub(super) fn pick_fair(&mut self, cpu: u32) -> Option<TaskId> {
        let current = self.sched.rq(cpu).current.filter(|task| {
            let state = &self.sched.tasks[task.0 as usize];
            state.class == Class::Fair && state.queued
        });
        let over = self.now_ns >= self.sched.rq(cpu).fair_until_ns;
        let rq = self.sched.rq(cpu);
        match (current, rq.fair.front().copied()) {
            (Some(task), None) => Some(task),
            (Some(task), Some(_)) if !over => Some(task),
            (_, next) => {
                rq.fair.pop_front();
                next
            }
        }
    }
}
