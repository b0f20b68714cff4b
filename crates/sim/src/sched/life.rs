// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks come and go.

use super::ext::flags;
use super::task::{Class, Owner};
use super::{CpuSet, Op, Orders, SLICE_DEFAULT_NS, TaskId, TaskState};
use crate::machine::Machine;
use crate::run::Stop;
use crate::tasks::NewTask;
use crate::tracing::Tracepoint;
use rota_events::What;
use rota_topology::CpuMask;

impl Machine {
    /// Makes a task that sleeps on the first CPU that it may run on.
    pub(crate) fn spawn(
        &mut self,
        comm: &str,
        allowed: &CpuMask,
        class: Class,
    ) -> Result<TaskId, Stop> {
        let pid = self.tasks.by_pid.last_key_value().map_or(1, |(last, _)| last + 1);
        let new = NewTask { pid, tgid: pid, comm, kthread: false, cgroup: 1 };
        let id = TaskId(self.sched.tasks.len() as u32);
        let address = self.add_task(&new, Some(id)).map_err(|e| Stop::memory(&e))?;
        let cpu = allowed.first().map_or(0, |cpu| cpu.0);
        self.sched.tasks.push(TaskState {
            address,
            class,
            cpu,
            allowed: CpuSet::new(allowed, self.shape.cpus),
            queued: false,
            owner: Owner::Core,
            round: 0,
            in_custody: false,
            queue: None,
            direct: None,
            holding: None,
            tired: false,
            moving: false,
            charged_at_ns: 0,
            runnable_at_ns: 0,
            ran_ns: 0,
            orders: Orders::Sleep,
            run: 0,
        });
        self.record_new(id, None);
        self.set_cpu(id, cpu);
        self.show_allowed(id);
        self.show_weight(id, super::change::weight(0));
        self.show_policy(id);
        self.set_slice(id, SLICE_DEFAULT_NS);
        if class == Class::Ext {
            self.task_op(Op::InitTask, id, 0)?;
            self.task_op(Op::Enable, id, 0)?;
            self.task_op(Op::SetWeight, id, super::change::weight(0))?;
        }
        Ok(id)
    }

    /// A running task ends.
    pub(crate) fn exit_task(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        // It leaves its group of tasks first.
        self.change(task, |_| Ok(()), flags::MOVE)?;
        let dead = self.sched.version.dead;
        self.schedule(cpu, Some(flags::SLEEP | flags::NO_CLOCK | dead))?;
        self.record(Some(task), What::Exit);
        self.trace_task(Tracepoint::ProcessExit, task)?;
        let cpu = self.lock_task(task)?;
        self.task_op(Op::Disable, task, 0)?;
        self.unlock_task(task, cpu);
        self.task_op(Op::ExitTask, task, 0)
    }
}
