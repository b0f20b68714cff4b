// SPDX-License-Identifier: GPL-2.0-or-later
//! What is done to tasks from outside.

use super::ext::flags;
use super::facts::OnRq;
use super::{Class, CpuSet, Direct, Insert, Op, QueueId, TaskId, queue::LOCAL};
use crate::interleave::Lock;
use crate::machine::Machine;
use crate::run::Stop;
use rota_events::{Leaves, TaskRef, What};
use rota_topology::{CpuId, CpuMask};

/// The weight of a nice value for the fair class.
pub(super) fn load_weight(nice: i32) -> i64 {
    i64::from(rota_events::nice_load(nice)) * (super::NICE_0 / 1024)
}

/// The weight of a nice value, as a cgroup's is counted: 100 for nice 0.
pub(super) fn weight(nice: i32) -> u64 {
    rota_events::load_weight(rota_events::nice_load(nice)).into()
}

impl Machine {
    /// Changes a task: it is taken out, changed and put back, whatever it does.
    pub(super) fn change(
        &mut self,
        task: TaskId,
        change: impl FnOnce(&mut Self) -> Result<(), Stop>,
        more: u64,
    ) -> Result<(), Stop> {
        let cpu = self.lock_task(task)?;
        let flags = flags::SAVE | flags::NO_CLOCK | more;
        let queued = self.sched.task(task).queued;
        if queued {
            self.deactivate(cpu, task, flags, false)?;
        }
        change(self)?;
        if queued {
            self.activate(cpu, task, flags, false)?;
        }
        if queued && self.is_ext(task) && self.sched.rq(cpu).current == Some(task) {
            self.unlink(task);
            self.task_op(Op::Running, task, 0)?;
            let state = self.sched.task(task);
            state.waits_anew = true;
        }
        self.unlock_task(task, cpu);
        Ok(())
    }

    /// A task wants to run on a CPU, whatever its class.
    pub(super) fn activate(
        &mut self,
        cpu: u32,
        task: TaskId,
        flags: u64,
        migrates: bool,
    ) -> Result<(), Stop> {
        match self.sched.task(task).class {
            Class::Ext => self.enqueue_task(cpu, task, flags, migrates)?,
            Class::Fair => {
                let initial = flags & self.sched.version.initial != 0;
                self.enqueue_fair(cpu, task, initial);
            }
            Class::Realtime => {
                self.sched.task(task).queued = true;
                self.show_count(cpu, false, true);
                // It counts there, whether it runs or waits.
                self.sched.fair.touch(cpu);
                if self.sched.rq(cpu).current != Some(task) {
                    self.sched.realtime(cpu).push_back(task);
                }
            }
        }
        self.show_on_rq(task, OnRq::Queued);
        Ok(())
    }

    /// A task does not want to run on a CPU any more, whatever its class.
    pub(super) fn deactivate(
        &mut self,
        cpu: u32,
        task: TaskId,
        flags: u64,
        migrates: bool,
    ) -> Result<(), Stop> {
        if migrates {
            self.show_on_rq(task, OnRq::Migrating);
        }
        match self.sched.task(task).class {
            Class::Ext => self.dequeue_task(cpu, task, flags, migrates)?,
            Class::Fair => {
                let must = flags & self.sched.version.dead != 0;
                self.dequeue_fair(cpu, task, flags & flags::SLEEP != 0, must);
            }
            Class::Realtime => {
                self.sched.task(task).queued = false;
                self.sched.realtime(cpu).retain(|t| *t != task);
                self.show_count(cpu, false, false);
            }
        }
        if flags & flags::SLEEP != 0 {
            self.show_on_rq(task, OnRq::No);
        }
        Ok(())
    }

    /// Changes a task's nice value.
    pub(crate) fn set_nice(&mut self, task: TaskId, nice: i32) -> Result<(), Stop> {
        let weight = weight(nice);
        if self.sched.task(task).policy != Class::Realtime {
            self.record(Some(task), What::Weight { nice, weight: weight as u32 });
        }
        let change = |machine: &mut Self| {
            machine.sched.task(task).nice = nice;
            machine.reweight_fair(task);
            machine.show_policy(task);
            if !machine.is_ext(task) {
                return Ok(());
            }
            machine.show_weight(task, weight);
            machine.task_op(Op::SetWeight, task, weight)
        };
        self.change(task, change, 0)
    }

    /// Changes the CPUs that a task may run on, and takes it off one that it may not.
    pub(crate) fn set_allowed(&mut self, task: TaskId, cpus: &CpuMask) -> Result<(), Stop> {
        self.record(Some(task), crate::recorder::affinity(cpus));
        let change = |machine: &mut Self| {
            let allowed = machine.sched.cpu_sets.make(cpus, machine.shape.cpus);
            machine.sched.task(task).allowed = allowed;
            machine.leave_forbidden(task);
            let mask = machine.show_allowed(task);
            if !machine.is_ext(task) {
                return Ok(());
            }
            machine.task_op(Op::SetCpumask, task, mask)
        };
        self.change(task, change, 0)?;
        let state = self.sched.task(task);
        let (cpu, queued) = (state.cpu, state.queued);
        if !queued || cpus.contains(CpuId(cpu)) {
            return Ok(());
        }
        let online = CpuSet::new(&(cpus & &self.sched.online), self.shape.cpus);
        let Some(to) = self.distribute(online.words()) else { return Ok(()) };
        if self.sched.rq(cpu).current != Some(task) {
            return self.migrate(task, to);
        }
        self.on_cpu(cpu, move |machine| {
            if machine.sched.rq(cpu).current == Some(task) {
                machine.interrupt(cpu)?;
            }
            machine.migrate(task, to)
        })
    }

    /// A task of a higher class takes a CPU for a moment: what runs there is put aside.
    pub(super) fn interrupt(&mut self, cpu: u32) -> Result<(), Stop> {
        self.lock(Lock::Rq(cpu))?;
        if let Some(task) = self.sched.rq(cpu).current {
            self.charge(cpu);
            self.interrupt_task(cpu, task)?;
            self.show_switch(Some(task), None);
        }
        self.unlock(Lock::Rq(cpu));
        Ok(())
    }

    fn interrupt_task(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        let from = self.recorded(Some(task));
        self.record(None, What::Switch { from, leaves: Leaves::Runnable });
        self.spend_idly(cpu);
        let now_ns = self.now_ns;
        let rq = self.sched.rq(cpu);
        if rq.kernel_until_ns > now_ns {
            // Nobody is in a call any more whose end would have to be waited for.
            rq.resched = false;
        }
        self.sched.set_current(cpu, None);
        self.set_busy(cpu, false);
        let busy_ns = self.sched.rq(cpu).busy_ns;
        self.sched.task(task).left = Some((cpu, busy_ns));
        self.resched(cpu);
        match self.sched.task(task).class {
            Class::Fair => {
                self.put_fair(cpu);
                return Ok(());
            }
            Class::Realtime => {
                self.sched.realtime(cpu).push_front(task);
                return Ok(());
            }
            Class::Ext => {}
        }
        self.task_op(Op::Stopping, task, 1)?;
        self.begin_to_wait(task);
        self.sched.rq(cpu).in_dispatch = true;
        let flags = self.sched.version.head;
        let keep = Insert { queue: LOCAL, slice_ns: 0, vtime: None, flags };
        let inserted = self.insert(cpu, QueueId::Local(cpu), task, keep, false);
        self.sched.rq(cpu).in_dispatch = false;
        inserted
    }

    /// The core moves a task that wants to run to another CPU.
    pub(super) fn migrate(&mut self, task: TaskId, to: u32) -> Result<(), Stop> {
        let from = self.lock_task(task)?;
        // It may have come to where it may run, or gone to sleep, before its lock was free.
        let state = self.sched.task(task);
        let leaves = state.queued && from != to && self.sched.rq(from).current != Some(task);
        if !leaves {
            self.unlock_task(task, from);
            return Ok(());
        }
        self.lock(Lock::Move(task))?;
        self.deactivate(from, task, flags::NO_CLOCK, true)?;
        self.set_cpu(task, to);
        self.switch_rq(from, to)?;
        self.activate(to, task, self.sched.version.migrated, true)?;
        self.unlock(Lock::Move(task));
        self.preempt(to, task);
        self.run_deferred(to)?;
        self.unlock_task(task, to);
        Ok(())
    }

    /// A running task gives way.
    pub(crate) fn yield_task(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        self.lock(Lock::Rq(cpu))?;
        self.charge(cpu);
        self.record(Some(task), What::Yield { to: TaskRef::NONE });
        let address = self.sched.task(task).address;
        if !self.is_ext(task) {
            self.yield_fair(cpu);
        } else if self.sched.ops.has(Op::Yield) {
            self.op(Op::Yield, &[address, 0])?;
        } else {
            self.set_slice(task, 0);
        }
        self.unlock(Lock::Rq(cpu));
        self.schedule(cpu, None)
    }

    /// Whether a callback may dispatch a task directly, for those that insert.
    pub(crate) fn direct(&mut self) -> Direct {
        let here = self.cpu;
        self.sched.rq(here).direct
    }
}
