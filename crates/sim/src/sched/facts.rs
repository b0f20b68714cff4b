// SPDX-License-Identifier: GPL-2.0-or-later
//! What programs can read of a task beside what belongs to sched_ext: its policy and priorities,
//! where it is, how often it was switched (kernel: `struct task_struct`).

use rota_events::What;

use super::TaskId;
use super::task::Class;
use crate::machine::Machine;

/// Priority of nice 0, and of the real-time class with its lowest (kernel: `DEFAULT_PRIO`).
const DEFAULT: i32 = 120;
const REALTIME: i32 = 98;

/// Whether a task is on a run queue (kernel: `TASK_ON_RQ_QUEUED`, `TASK_ON_RQ_MIGRATING`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnRq {
    No = 0,
    Queued = 1,
    Migrating = 2,
}

impl Machine {
    /// Shows a task's policy (kernel: `SCHED_EXT` and so on), and its priorities.
    pub(crate) fn show_policy(&self, task: TaskId) {
        let state = &self.sched.tasks[task.0 as usize];
        let own = DEFAULT + state.nice;
        let (policy, effective) = match state.policy {
            Class::Realtime => (1, REALTIME),
            Class::Fair => (0, own),
            Class::Ext => (7, own),
        };
        let layout = &self.layout.task;
        self.show(task, layout.policy, policy);
        self.show(task, layout.static_prio, own as u64);
        self.show(task, layout.normal_prio, effective as u64);
        self.show(task, layout.prio, effective as u64);
    }

    /// Tells of a task that comes before all who have a nice value.
    pub(crate) fn tell_realtime(&mut self, task: TaskId) {
        self.record(Some(task), What::Weight { nice: REALTIME - DEFAULT, weight: 0 });
    }

    /// Shows whether a task is on a run queue.
    pub(super) fn show_on_rq(&self, task: TaskId, on: OnRq) {
        self.show(task, self.layout.task.on_rq, on as u64);
    }

    /// Shows that a CPU has switched from one task to another.
    pub(super) fn show_switch(&self, previous: Option<TaskId>, next: Option<TaskId>) {
        let layout = &self.layout.task;
        if let Some(task) = previous {
            let gave_way = self.sched.tasks[task.0 as usize].queued;
            let count = if gave_way { layout.involuntary } else { layout.voluntary };
            // A task's structure is the machine's own memory.
            let _ = count.update(&self.memory, self.task_address(task), |old| old.wrapping_add(1));
            self.show(task, layout.on_cpu, 0);
        }
        if let Some(task) = next {
            self.show(task, layout.on_cpu, 1);
        }
    }
}
