// SPDX-License-Identifier: GPL-2.0-or-later
//! What is done to tasks, CPUs and the scheduler from outside.

use super::ext::flags;
use super::ops::{AttachError, Op, Ops};
use super::task::{Class, Owner};
use super::{
    Direct, Due, Insert, Orders, QueueId, Rq, SLICE_DEFAULT_NS, Sched, TaskId, TaskState, Version,
    idle::Idle, queue::LOCAL, queue::Queues,
};
use crate::agenda::Agenda;
use crate::machine::Machine;
use crate::run::Stop;
use crate::tasks::NewTask;
use rota_object::{ExitInfo, Image, KernelTypes};
use rota_topology::{CpuId, CpuMask, Topology};

/// Kinds of exit (kernel: `enum scx_exit_kind`).
pub(crate) const BPF: u64 = 65;
pub(crate) const ERROR: u64 = 1024;
pub(crate) const BPF_ERROR: u64 = 1025;
pub(crate) const STALL: u64 = 1026;

/// Weights by nice value, from -20 on: each is about 1.25 of the next (kernel:
/// `sched_prio_to_weight`).
const WEIGHTS: [u64; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87,
    70, 56, 45, 36, 29, 23, 18, 15,
];

/// The weight of a nice value, as a cgroup's is counted: 100 for nice 0.
fn weight(nice: i32) -> u64 {
    let at = (nice.clamp(-20, 19) + 20) as usize;
    ((WEIGHTS[at] * 100 + 512) / 1024).clamp(1, 10_000)
}

impl Sched {
    /// A machine without a scheduler.
    pub(crate) fn none(cpus: u32, types: &KernelTypes) -> Self {
        let rq = |_| Rq { online: true, ..Rq::default() };
        Self {
            ops: Ops::default(),
            version: Version::of(types),
            rqs: (0..cpus).map(rq).collect(),
            tasks: Vec::new(),
            queues: Queues::new(cpus),
            idle: Idle::default(),
            agenda: Agenda::default(),
            online: CpuMask::range(CpuId(0), CpuId(cpus.saturating_sub(1))),
            exit: None,
        }
    }
}

impl Machine {
    /// Puts the object's scheduler in charge.
    pub(crate) fn attach(
        &mut self,
        image: &Image,
        types: &KernelTypes,
        topology: &Topology,
    ) -> Result<(), AttachStop> {
        self.sched.idle = Idle::new(topology, self.shape.cpus);
        let table = image.tables.iter().find(|table| table.kernel_type == "sched_ext_ops");
        self.sched.ops = Ops::new(table.ok_or(AttachError::NoTable)?, types)?;
        for cpu in 0..self.shape.cpus {
            self.refresh_idle(cpu, true);
        }
        self.op(Op::Init, &[])?;
        let half = self.sched.ops.timeout_ns / 2;
        self.sched.agenda.add(self.now_ns + half, Due::Watchdog);
        Ok(())
    }

    /// Ends the scheduler.
    pub(crate) fn end(&mut self, kind: u64, code: i64, msg: String) {
        let reason = match kind {
            BPF => "unregistered from BPF",
            ERROR => "runtime error",
            BPF_ERROR => "scx_bpf_error",
            _ => "runnable task stall",
        };
        let cpu = Some(self.cpu);
        let (reason, dump) = (reason.to_owned(), String::new());
        self.sched.exit.get_or_insert(ExitInfo { kind, code, cpu, reason, msg, dump });
    }

    /// Ends the scheduler, which has broken a rule.
    pub(crate) fn error(&mut self, msg: String) {
        self.end(ERROR, 0, msg);
    }

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
            allowed: allowed.clone(),
            queued: false,
            owner: Owner::Core,
            round: 0,
            in_custody: false,
            queue: None,
            direct: None,
            moving: false,
            charged_at_ns: 0,
            runnable_at_ns: 0,
            orders: Orders::Sleep,
            run: 0,
        });
        self.set_cpu(id, cpu);
        self.show_allowed(id);
        self.show_weight(id, weight(0));
        self.set_slice(id, SLICE_DEFAULT_NS);
        if class == Class::Ext {
            self.task_op(Op::InitTask, id, 0)?;
            self.task_op(Op::Enable, id, 0)?;
            self.task_op(Op::SetWeight, id, weight(0))?;
        }
        Ok(id)
    }

    /// Changes a task: it is taken out, changed and put back, whatever it does.
    fn change(
        &mut self,
        task: TaskId,
        change: impl FnOnce(&mut Self) -> Result<(), Stop>,
        more: u64,
    ) -> Result<(), Stop> {
        let cpu = self.sched.task(task).cpu;
        let flags = flags::SAVE | flags::NO_CLOCK | more;
        let queued = self.sched.task(task).queued;
        if queued {
            self.dequeue_task(cpu, task, flags, false)?;
        }
        change(self)?;
        if queued {
            self.enqueue_task(cpu, task, flags, false)?;
        }
        if queued && self.sched.rq(cpu).current == Some(task) {
            self.unlink(task);
            self.task_op(Op::Running, task, 0)?;
        }
        Ok(())
    }

    /// Changes a task's nice value.
    pub(crate) fn set_nice(&mut self, task: TaskId, nice: i32) -> Result<(), Stop> {
        let weight = weight(nice);
        let change = |machine: &mut Self| {
            machine.show_weight(task, weight);
            machine.task_op(Op::SetWeight, task, weight)
        };
        self.change(task, change, 0)
    }

    /// Changes the CPUs that a task may run on, and takes it off one that it may not.
    pub(crate) fn set_allowed(&mut self, task: TaskId, cpus: &CpuMask) -> Result<(), Stop> {
        let change = |machine: &mut Self| {
            machine.sched.task(task).allowed = cpus.clone();
            let mask = machine.show_allowed(task);
            machine.task_op(Op::SetCpumask, task, mask)
        };
        self.change(task, change, 0)?;
        let state = self.sched.task(task);
        let (cpu, queued) = (state.cpu, state.queued);
        if !queued || cpus.contains(CpuId(cpu)) {
            return Ok(());
        }
        let to = super::idle::distribute(self, &(cpus & &self.sched.online.clone()));
        let Some(to) = to else { return Ok(()) };
        if self.sched.rq(cpu).current == Some(task) {
            self.cpu = cpu;
            self.interrupt(cpu)?;
        }
        self.migrate(task, to)
    }

    /// A task of a higher class takes a CPU for a moment: what runs there is put aside.
    fn interrupt(&mut self, cpu: u32) -> Result<(), Stop> {
        let Some(task) = self.sched.rq(cpu).current.take() else { return Ok(()) };
        let now = self.now_ns;
        let state = self.sched.task(task);
        let ran = now - std::mem::replace(&mut state.charged_at_ns, now);
        let slice = self.slice(task).saturating_sub(ran);
        self.set_slice(task, slice);
        self.task_op(Op::Stopping, task, 1)?;
        self.sched.rq(cpu).in_dispatch = true;
        let flags = self.sched.version.head;
        let keep = Insert { queue: LOCAL, slice_ns: 0, vtime: None, flags };
        let inserted = self.insert(cpu, QueueId::Local(cpu), task, keep, false);
        self.sched.rq(cpu).in_dispatch = false;
        self.resched(cpu);
        inserted
    }

    /// The core moves a task that wants to run to another CPU.
    fn migrate(&mut self, task: TaskId, to: u32) -> Result<(), Stop> {
        let from = self.sched.task(task).cpu;
        self.dequeue_task(from, task, flags::NO_CLOCK, true)?;
        self.set_cpu(task, to);
        self.enqueue_task(to, task, self.sched.version.migrated, true)?;
        if self.sched.rq(to).current.is_none() {
            self.resched(to);
        }
        self.run_deferred(to)
    }

    /// A running task gives way.
    pub(crate) fn yield_task(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        self.charge(cpu);
        let address = self.sched.task(task).address;
        if self.sched.ops.has(Op::Yield) {
            self.op(Op::Yield, &[address, 0])?;
        } else {
            self.set_slice(task, 0);
        }
        self.schedule(cpu, None)
    }

    /// A running task ends.
    pub(crate) fn exit_task(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        // It leaves its group of tasks first.
        self.change(task, |_| Ok(()), flags::MOVE)?;
        let dead = self.sched.version.dead;
        self.schedule(cpu, Some(flags::SLEEP | flags::NO_CLOCK | dead))?;
        self.task_op(Op::Disable, task, 0)?;
        self.task_op(Op::ExitTask, task, 0)
    }

    /// A CPU goes, or comes.
    pub(crate) fn set_online(&mut self, cpu: u32, online: bool) -> Result<(), Stop> {
        self.cpu = cpu;
        if online {
            self.sched.online.insert(CpuId(cpu));
            self.sched.rq(cpu).online = true;
            self.refresh_idle(cpu, true);
            return self.op(Op::CpuOnline, &[u64::from(cpu)]).map(drop);
        }
        self.interrupt(cpu)?;
        self.op(Op::CpuOffline, &[u64::from(cpu)])?;
        self.sched.online.remove(CpuId(cpu));
        self.sched.rq(cpu).online = false;
        self.refresh_idle(cpu, false);
        for id in 0..self.sched.tasks.len() as u32 {
            let task = TaskId(id);
            let state = &self.sched.tasks[id as usize];
            let allowed = &state.allowed & &self.sched.online;
            let on_it = state.cpu == cpu && state.queued;
            if on_it && let Some(to) = allowed.first() {
                self.migrate(task, to.0)?;
            }
        }
        Ok(())
    }

    /// Whether a callback may dispatch a task directly, for those that insert.
    pub(crate) fn direct(&mut self) -> Direct {
        let here = self.cpu;
        self.sched.rq(here).direct
    }
}

/// Why no scheduler was put in charge.
#[derive(Debug, thiserror::Error)]
pub enum AttachStop {
    /// Its table can't be used.
    #[error(transparent)]
    Table(#[from] AttachError),
    /// It was stopped.
    #[error(transparent)]
    Stop(#[from] Stop),
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn weights_are_the_kernels() {
        // Seen on real kernels.
        assert_eq!([weight(0), weight(5), weight(-5)], [100, 33, 305]);
        assert_eq!([weight(19), weight(-20)], [1, 8668]);
    }
}
