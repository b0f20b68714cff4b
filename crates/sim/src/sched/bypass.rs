// SPDX-License-Identifier: GPL-2.0-or-later
//! Bypassing a scheduler while it comes into charge or ends, so that tasks run whatever it does
//! (kernel: `scx_bypass`).

use super::ext::flags;
use super::{Event, QueueId, SLICE_DEFAULT_NS, TaskId};
use crate::machine::Machine;
use crate::run::Stop;

/// What slices are filled up to meanwhile, where there are queues of CPUs for it (kernel:
/// `SCX_SLICE_BYPASS`).
const BYPASS_SLICE_NS: u64 = 5_000_000;

impl Machine {
    /// Whether the scheduler is bypassed.
    pub(crate) fn bypassing(&self) -> bool {
        self.sched.bypass_depth != 0
    }

    /// The queue for tasks that come past the scheduler.
    pub(super) fn bypass_queue(&self, cpu: u32) -> QueueId {
        if self.sched.version.bypass_queues { QueueId::Bypass(cpu) } else { QueueId::Global }
    }

    /// What a slice is filled up to.
    pub(super) fn default_slice(&self) -> u64 {
        let shorter = self.bypassing() && self.sched.version.bypass_queues;
        if shorter { BYPASS_SLICE_NS } else { SLICE_DEFAULT_NS }
    }

    /// Begins to bypass the scheduler, or ends it: tasks that wait are queued anew. Both nest.
    pub(super) fn bypass(&mut self, bypass: bool) -> Result<(), Stop> {
        if bypass {
            self.sched.bypass_depth += 1;
            if self.sched.bypass_depth > 1 {
                return Ok(());
            }
            self.sched.bypass_since_ns = self.now_ns;
            self.count(Event::BypassActivate);
        } else {
            self.sched.bypass_depth -= 1;
            if self.bypassing() {
                return Ok(());
            }
            let duration = self.now_ns - self.sched.bypass_since_ns;
            self.count_up(Event::BypassDuration, duration);
        }
        for cpu in 0..self.shape.cpus {
            for task in self.waiting(cpu).into_iter().rev() {
                self.change(task, |_| Ok(()), flags::MOVE)?;
            }
            self.sched.rq(cpu).tell_idle = !bypass && self.sched.version.bypass_tells_idle;
            if self.sched.rq(cpu).online {
                self.resched(cpu);
            }
        }
        Ok(())
    }

    /// The tasks that wait for a CPU to run them, who has waited longest first (kernel:
    /// `runnable_list`).
    pub(super) fn waiting(&self, cpu: u32) -> Vec<TaskId> {
        let current = self.sched.rqs[cpu as usize].current;
        let ids = (0..self.sched.tasks.len() as u32).map(TaskId);
        let mut waiting: Vec<TaskId> = ids
            .filter(|task| {
                let state = &self.sched.tasks[task.0 as usize];
                state.cpu == cpu && state.queued && self.is_ext(*task) && current != Some(*task)
            })
            .collect();
        waiting.sort_by_key(|task| self.sched.tasks[task.0 as usize].runnable_number);
        waiting
    }
}
