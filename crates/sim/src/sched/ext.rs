// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks on their way into queues and out of them.

use super::ops::ops_flags;
use super::queue::{BUILTIN, GLOBAL, LOCAL, LOCAL_ON};
use super::task::{Class, Owner};
use super::{Direct, Due, Event, Insert, Op, QueueId, SLICE_INFINITE, TaskId};
use crate::interleave::Lock;
use crate::machine::Machine;
use crate::recorder::dsq;
use crate::run::Stop;
use rota_events::What;

/// Flags of the core's own, the same in every supported kernel (kernel: `kernel/sched/sched.h`).
pub(crate) mod flags {
    /// Going to sleep, or waking up.
    pub(crate) const SLEEP: u64 = 1;
    /// Taken out for a change, or put back after it.
    pub(crate) const SAVE: u64 = 2;
    pub(crate) const MOVE: u64 = 4;
    pub(crate) const NO_CLOCK: u64 = 8;
}

/// The flags of a task that goes to sleep.
pub(super) fn sleeping() -> u64 {
    flags::SLEEP | flags::NO_CLOCK
}

/// How often `dispatch` is called for one choice (kernel: `SCX_DSP_MAX_LOOPS`).
const DISPATCH_LOOPS: u32 = 32;

/// What a CPU goes on with after `dispatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Nothing,
    Local,
    Previous,
}

impl Machine {
    pub(crate) fn slice(&self, task: TaskId) -> u64 {
        let field = self.layout.task.slice;
        // A task's structure is the machine's own memory.
        field.get(&self.memory, self.sched.tasks[task.0 as usize].address).unwrap_or(0)
    }

    pub(crate) fn set_slice(&mut self, task: TaskId, slice_ns: u64) {
        let field = self.layout.task.slice;
        let _ = field.set(&self.memory, self.sched.task(task).address, slice_ns);
    }

    /// Charges what runs on a CPU for the time since it was last charged.
    pub(crate) fn charge(&mut self, cpu: u32) {
        let Some(task) = self.sched.rq(cpu).current else { return };
        let (now, clock, speed) = (self.now_ns, self.read_clock(cpu), self.speed(cpu));
        let rq = self.sched.rq(cpu);
        rq.busy_ns += now - std::mem::replace(&mut rq.busy_until_ns, now);
        let state = self.sched.task(task);
        state.settle(now, speed);
        let ran = clock - std::mem::replace(&mut state.charged_at_ns, clock);
        if ran == 0 {
            return;
        }
        state.ran_ns += ran;
        let (address, class) = (state.address, state.class);
        // A task's structure is the machine's own memory.
        let (sum, slice) = (self.layout.task.sum_exec_runtime, self.layout.task.slice);
        let _ = sum.update(&self.memory, address, |total| total.wrapping_add(ran));
        match class {
            Class::Fair => self.fair_ran(cpu, ran),
            Class::Ext => {
                let _ = slice.update(&self.memory, address, |left| {
                    if left == SLICE_INFINITE { left } else { left.saturating_sub(ran) }
                });
            }
            Class::Realtime => {}
        }
    }

    /// A task wants to run on a CPU. `migrates` says that it only changes the CPU.
    pub(crate) fn enqueue_task(
        &mut self,
        cpu: u32,
        task: TaskId,
        flags: u64,
        migrates: bool,
    ) -> Result<(), Stop> {
        let running = self.sched.rq(cpu).current == Some(task);
        let restores = flags & flags::SAVE != 0 && running;
        let flags = if restores { flags | self.sched.version.restore_running } else { flags };
        let state = self.sched.task(task);
        let moves = std::mem::take(&mut state.moving);
        state.queued = true;
        self.sched.fair.touch(cpu);
        self.begin_to_wait(task);
        self.show_queued(task, true);
        self.show_count(cpu, true, true);
        if !migrates {
            self.task_op(Op::Runnable, task, flags)?;
        }
        if moves || restores {
            let keep = Insert { queue: LOCAL, slice_ns: 0, vtime: None, flags };
            self.insert(cpu, QueueId::Local(cpu), task, keep, false)?;
        } else {
            self.give(cpu, task, flags)?;
        }
        let selected = flags & self.sched.version.selected != 0;
        if selected && self.sched.task(task).selected_cpu != cpu {
            self.count(Event::SelectCpuFallback);
        }
        Ok(())
    }

    /// Gives a task to the scheduler.
    pub(crate) fn give(&mut self, cpu: u32, task: TaskId, flags: u64) -> Result<(), Stop> {
        if self.note_given(task, flags) {
            return Ok(());
        }
        if !self.sched.rq(cpu).online {
            return self.insert_filled(cpu, QueueId::Local(cpu), task, flags);
        }
        if self.bypassing() {
            self.count(Event::BypassDispatch);
            return self.insert_filled(cpu, self.bypass_queue(cpu), task, flags);
        }
        if self.sched.task(task).direct.is_none() {
            if self.sched.ops.flags & ops_flags::ENQ_EXITING == 0 && self.is_exiting(task) {
                self.count(Event::SkipExiting);
                return self.insert_filled(cpu, QueueId::Local(cpu), task, flags);
            }
            let pinned = self.sched.ops.flags & ops_flags::ENQ_MIGRATION_DISABLED == 0;
            if pinned && self.runs_callback(task) {
                self.count(Event::SkipPinned);
                return self.insert_filled(cpu, QueueId::Local(cpu), task, flags);
            }
            if !self.sched.ops.has(Op::Enqueue) {
                return self.insert_filled(cpu, QueueId::Global, task, flags);
            }
            self.lock(Lock::Enqueue(task))?;
            let state = self.sched.task(task);
            state.round += 1;
            state.owner = Owner::Queueing;
            let here = self.cpu;
            self.sched.rq(here).direct = Direct::Task(task);
            let called = self.task_op(Op::Enqueue, task, flags);
            self.sched.rq(here).direct = Direct::No;
            called?;
        }
        match self.sched.task(task).direct.take() {
            Some(insert) => self.insert_directly(cpu, task, insert, flags)?,
            None => {
                let state = self.sched.task(task);
                state.in_custody = true;
                state.owner = Owner::Scheduler;
            }
        }
        self.unlock(Lock::Enqueue(task));
        Ok(())
    }

    /// Fills a task's slice up.
    pub(super) fn refill_slice(&mut self, task: TaskId) {
        let slice = self.default_slice();
        self.set_slice(task, slice);
        self.count(Event::RefillSlice);
    }

    /// Inserts a task with the default slice.
    fn insert_filled(
        &mut self,
        cpu: u32,
        queue: QueueId,
        task: TaskId,
        flags: u64,
    ) -> Result<(), Stop> {
        self.refill_slice(task);
        self.sched.task(task).direct = None;
        let keep = Insert { queue: 0, slice_ns: 0, vtime: None, flags };
        self.insert(cpu, queue, task, keep, false)
    }

    /// Inserts a task where `select_cpu` or `enqueue` said.
    fn insert_directly(
        &mut self,
        cpu: u32,
        task: TaskId,
        insert: Insert,
        flags: u64,
    ) -> Result<(), Stop> {
        let insert = Insert { flags: insert.flags | flags, ..insert };
        self.sched.task(task).owner = Owner::Core;
        match self.resolve(insert.queue, cpu, task) {
            // The other's run queue can't be had while this one is held.
            QueueId::Local(other) if other != cpu => {
                self.sched.task(task).direct = Some(insert);
                self.sched.rq(cpu).deferred.push_back(task);
                Ok(())
            }
            queue => self.insert(cpu, queue, task, insert, true),
        }
    }

    /// Makes the insertions that had to wait.
    pub(crate) fn run_deferred(&mut self, cpu: u32) -> Result<(), Stop> {
        while let Some(task) = self.sched.rq(cpu).deferred.pop_front() {
            let Some(insert) = self.sched.task(task).direct.take() else { continue };
            match self.resolve(insert.queue, cpu, task) {
                QueueId::Local(other) => self.insert_elsewhere(cpu, task, other, insert)?,
                queue => self.insert(cpu, queue, task, insert, true)?,
            }
        }
        self.go_back(cpu)
    }

    /// Inserts a task into the local queue of a CPU, whichever CPU it is on, while the run queue of
    /// a third is locked (kernel: `dispatch_to_local_dsq`).
    fn insert_elsewhere(
        &mut self,
        locked: u32,
        task: TaskId,
        cpu: u32,
        insert: Insert,
    ) -> Result<(), Stop> {
        let from = self.sched.task(task).cpu;
        if from == cpu && locked == cpu {
            return self.insert(cpu, QueueId::Local(cpu), task, insert, true);
        }
        let here = self.cpu;
        self.sched.task(task).holding = Some(here);
        self.unlock(Lock::Dispatch(task));
        self.switch_rq(locked, from)?;
        let mut now_locked = from;
        if self.is_still_held(task) {
            if from == cpu {
                self.insert(cpu, QueueId::Local(cpu), task, insert, true)?;
            } else if self.may_move(task, cpu) {
                if !self.sched.version.applies_at_call {
                    self.apply(task, &insert);
                }
                self.move_task(task, cpu, insert.flags)?;
                now_locked = cpu;
                if self.sched.rq(cpu).current.is_none() {
                    self.resched(cpu);
                }
            } else {
                self.note_refused(task, cpu);
                self.insert(from, QueueId::Global, task, insert, true)?;
            }
        }
        self.switch_rq(now_locked, locked)
    }

    /// Whether this CPU still holds a task that it wants to move; it does not any more.
    fn is_still_held(&mut self, task: TaskId) -> bool {
        let here = self.cpu;
        let holding = &mut self.sched.task(task).holding;
        if *holding == Some(here) {
            *holding = None;
            return true;
        }
        false
    }

    /// Notes that a task can't come to a CPU: an error, or that the CPU has gone.
    pub(super) fn note_refused(&mut self, task: TaskId, cpu: u32) {
        if self.sched.task(task).allowed.contains(rota_topology::CpuId(cpu)) {
            self.count(Event::LocalOffline);
        } else {
            let (comm, pid) = self.comm_and_pid(task);
            let what = "SCX_DSQ_LOCAL[_ON] target CPU";
            self.error(format!("{what} {cpu} not allowed for {comm}[{pid}]"));
        }
    }

    /// Commits the slice and the virtual time of an insertion.
    pub(crate) fn apply(&mut self, task: TaskId, insert: &Insert) {
        if insert.slice_ns != 0 {
            self.set_slice(task, insert.slice_ns);
        } else if self.slice(task) == 0 {
            self.set_slice(task, 1);
        }
        if let Some(vtime) = insert.vtime {
            let field = self.layout.task.dsq_vtime;
            let _ = field.set(&self.memory, self.sched.task(task).address, vtime);
        }
    }

    /// Puts a task into a queue.
    pub(crate) fn insert(
        &mut self,
        cpu: u32,
        queue: QueueId,
        task: TaskId,
        insert: Insert,
        apply: bool,
    ) -> Result<(), Stop> {
        let mut vtime = insert.vtime;
        if !matches!(queue, QueueId::User(_)) && vtime.take().is_some() {
            self.error("cannot use vtime ordering for built-in DSQs".to_owned());
        }
        if apply && !self.sched.version.applies_at_call {
            self.apply(task, &Insert { vtime, ..insert });
        }
        self.take_queue(queue);
        let version = self.sched.version;
        let at_head = insert.flags & (version.head | version.preempt) != 0 && vtime.is_none();
        let Some(found) = self.sched.queues.get(queue) else { return Ok(()) };
        let other = found.other_order(vtime.is_some());
        let place = found.add(task, vtime, at_head);
        let depth = found.len() as u32;
        self.record(Some(task), What::Insert { dsq: dsq(queue), depth, vtime, at_head });
        if let (Some(kind), QueueId::User(id)) = (other, queue) {
            self.error(format!("DSQ ID {id:#018x} already had {kind}-enqueued tasks"));
        }
        self.sched.task(task).queue = Some((queue, place));
        if let QueueId::Local(_) = queue {
            self.note_immediate(cpu, task, insert.flags);
        }
        match queue {
            QueueId::Local(_) => self.after_local(cpu, task, insert.flags)?,
            QueueId::Global | QueueId::Bypass(_) => self.leave_custody(task, 0)?,
            QueueId::User(_) => self.sched.task(task).in_custody = true,
        }
        self.sched.task(task).owner = Owner::Core;
        Ok(())
    }

    /// What follows when a task has come into a CPU's local queue.
    fn after_local(&mut self, cpu: u32, task: TaskId, flags: u64) -> Result<(), Stop> {
        self.leave_custody(task, 0)?;
        let preempt = flags & self.sched.version.preempt != 0;
        if self.sched.rq(cpu).in_dispatch {
            return Ok(());
        }
        let current = self.sched.rq(cpu).current;
        match current {
            None => self.resched(cpu),
            Some(current) if preempt && current != task && self.is_ext(current) => {
                self.set_slice(current, 0);
                self.resched(cpu);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The scheduler does not answer for a task any more.
    fn leave_custody(&mut self, task: TaskId, flags: u64) -> Result<(), Stop> {
        let state = self.sched.task(task);
        if !state.in_custody || state.moving {
            return Ok(());
        }
        state.in_custody = false;
        if self.sched.version.custody {
            self.task_op(Op::Dequeue, task, flags)?;
        }
        Ok(())
    }

    /// A task does not want to run on a CPU any more, or is taken away for a moment. `migrates`
    /// says that it only changes the CPU.
    pub(crate) fn dequeue_task(
        &mut self,
        cpu: u32,
        task: TaskId,
        flags: u64,
        migrates: bool,
    ) -> Result<(), Stop> {
        let sleeps = flags & flags::SLEEP != 0;
        let flags = if sleeps { flags } else { flags | self.sched.version.change };
        if !self.sched.task(task).queued {
            return Ok(());
        }
        self.take_back(task, flags)?;
        if self.sched.rq(cpu).current == Some(task) {
            self.charge(cpu);
            self.task_op(Op::Stopping, task, 0)?;
        }
        if !migrates {
            self.task_op(Op::Quiescent, task, flags)?;
        }
        self.sched.task(task).queued = false;
        self.sched.fair.touch(cpu);
        self.show_queued(task, false);
        self.show_count(cpu, true, false);
        self.unlink(task);
        self.sched.task(task).holding = None;
        if self.sched.task(task).direct.take().is_some() {
            self.sched.rq(cpu).deferred.retain(|waiting| *waiting != task);
        }
        Ok(())
    }

    /// Takes a task back from the scheduler.
    pub(crate) fn take_back(&mut self, task: TaskId, flags: u64) -> Result<(), Stop> {
        self.pass(Lock::Dispatch(task))?;
        let state = self.sched.task(task);
        let kept = std::mem::replace(&mut state.owner, Owner::Core) == Owner::Scheduler;
        if kept && !self.sched.version.custody {
            self.sched.task(task).in_custody = false;
            return self.task_op(Op::Dequeue, task, flags);
        }
        self.leave_custody(task, flags)
    }

    /// Takes a task out of the queue that it is in.
    pub(crate) fn unlink(&mut self, task: TaskId) {
        if let Some((id, place)) = self.sched.task(task).queue.take()
            && let Some(queue) = self.sched.queues.get(id)
        {
            queue.remove(place);
            let depth = queue.len() as u32;
            self.take_queue(id);
            self.note_left(id, task);
            self.record(Some(task), What::Remove { dsq: dsq(id), depth });
        }
    }

    /// Moves a task that wants to run into another CPU's local queue. The lock of the run queue that
    /// it is on is given up for that of the other.
    pub(super) fn move_task(&mut self, task: TaskId, to: u32, flags: u64) -> Result<(), Stop> {
        let lost = if self.sched.version.move_keeps_flags { 0 } else { u64::MAX << 32 };
        let from = self.sched.task(task).cpu;
        self.sched.task(task).moving = true;
        self.lock(Lock::Move(task))?;
        self.dequeue_task(from, task, 0, true)?;
        self.set_cpu(task, to);
        self.switch_rq(from, to)?;
        self.enqueue_task(to, task, flags & !lost, true)?;
        self.unlock(Lock::Move(task));
        Ok(())
    }

    /// Whether the scheduler may move a task to a CPU.
    pub(super) fn may_move(&self, task: TaskId, cpu: u32) -> bool {
        let id = rota_topology::CpuId(cpu);
        let allowed = self.sched.tasks[task.0 as usize].allowed.contains(id);
        allowed && self.sched.rqs[cpu as usize].online
    }

    /// Moves the first task of a queue that may run on a CPU into its local queue; whether there
    /// was one.
    pub(crate) fn consume(&mut self, cpu: u32, queue: QueueId, flags: u64) -> Result<bool, Stop> {
        let ends = self.sched.exit.is_some() && self.sched.version.bypass_queues;
        if ends && !matches!(queue, QueueId::Bypass(_)) {
            return Ok(false);
        }
        loop {
            let is_here = |task: TaskId| self.sched.tasks[task.0 as usize].cpu == cpu;
            let fits = |task| is_here(task) || self.may_move(task, cpu);
            let found = self.sched.queues.first(queue, fits);
            let Some((task, is_here)) = found.map(|task| (task, is_here(task))) else {
                self.note_nothing_for_us(queue);
                return Ok(false);
            };
            self.unlink(task);
            self.record(Some(task), What::MoveToLocal { from: dsq(queue) });
            if is_here {
                let keep = Insert { queue: LOCAL, slice_ns: 0, vtime: None, flags };
                self.insert(cpu, QueueId::Local(cpu), task, keep, false)?;
                return Ok(true);
            }
            let here = self.cpu;
            let state = self.sched.task(task);
            state.holding = Some(here);
            let from = state.cpu;
            self.switch_rq(cpu, from)?;
            if self.is_still_held(task) {
                self.pass(Lock::Dispatch(task))?;
                self.move_task(task, cpu, flags)?;
                return Ok(true);
            }
            self.switch_rq(from, cpu)?;
        }
    }

    /// A CPU finds no task in a queue that may run there, which takes the lock only if there are any.
    fn note_nothing_for_us(&mut self, queue: QueueId) {
        if self.sched.queues.len(queue) == 0 {
            self.look_at_queue(queue);
        } else {
            self.take_queue(queue);
        }
    }

    /// Makes the insertions that `dispatch` has asked for.
    pub(crate) fn flush(&mut self, cpu: u32) -> Result<(), Stop> {
        let buffer = std::mem::take(&mut self.sched.rq(cpu).buffer);
        self.sched.rq(cpu).moved += buffer.len() as u32;
        for entry in buffer {
            self.pass(Lock::Enqueue(entry.task))?;
            let state = self.sched.task(entry.task);
            if state.owner != Owner::Scheduler || state.round != entry.round {
                continue;
            }
            state.owner = Owner::Core;
            self.lock(Lock::Dispatch(entry.task))?;
            match self.resolve(entry.insert.queue, cpu, entry.task) {
                QueueId::Local(to) => self.insert_elsewhere(cpu, entry.task, to, entry.insert)?,
                queue => {
                    let on = self.sched.task(entry.task).cpu;
                    self.insert(on, queue, entry.task, entry.insert, true)?;
                }
            }
            self.unlock(Lock::Dispatch(entry.task));
        }
        Ok(())
    }

    /// Looks for something to run on a CPU.
    pub(crate) fn look_for_work(&mut self, cpu: u32) -> Result<Verdict, Stop> {
        self.sched.rq(cpu).in_dispatch = true;
        let verdict = self.dispatch(cpu);
        let local = self.sched.queues.len(QueueId::Local(cpu));
        let found = matches!(verdict, Ok(Verdict::Local | Verdict::Previous));
        if found && local > 1 && self.sched.rq(cpu).immediate > 0 {
            self.ask_back(QueueId::Local(cpu), false);
        }
        self.sched.rq(cpu).in_dispatch = false;
        verdict
    }

    fn dispatch(&mut self, cpu: u32) -> Result<Verdict, Stop> {
        let previous = self.sched.rq(cpu).current.filter(|task| self.is_ext(*task));
        let goes_on = |machine: &mut Self| {
            previous.is_some_and(|p| machine.sched.task(p).queued && machine.slice(p) != 0)
        };
        self.acquire(cpu)?;
        self.charge(cpu);
        let bypassing = self.bypassing();
        if goes_on(self) && !bypassing {
            return Ok(Verdict::Previous);
        }
        let local = QueueId::Local(cpu);
        if self.sched.queues.len(local) > 0 || self.consume(cpu, QueueId::Global, 0)? {
            return Ok(Verdict::Local);
        }
        if bypassing && self.consume(cpu, QueueId::Bypass(cpu), 0)? {
            return Ok(Verdict::Local);
        }
        if self.sched.ops.has(Op::Dispatch) && self.sched.rq(cpu).online && !bypassing {
            let address = previous.map_or(0, |task| self.sched.task(task).address);
            for round in 0..DISPATCH_LOOPS {
                self.sched.rq(cpu).moved = 0;
                self.record(previous, What::Dispatch);
                self.op(Op::Dispatch, &[u64::from(cpu), address])?;
                self.flush(cpu)?;
                if goes_on(self) {
                    return Ok(Verdict::Previous);
                }
                if self.sched.queues.len(local) > 0 || self.consume(cpu, QueueId::Global, 0)? {
                    return Ok(Verdict::Local);
                }
                if self.sched.rq(cpu).moved == 0 {
                    break;
                }
                if round + 1 == DISPATCH_LOOPS {
                    let kick = super::Kick { cpu, only_if_idle: false, preempt: false };
                    self.sched.agenda.add(self.now_ns, Due::Kick(kick));
                }
            }
        }
        let last = self.sched.ops.flags & ops_flags::ENQ_LAST != 0;
        let goes_on = previous.is_some_and(|task| self.sched.task(task).queued);
        if !goes_on || last && !bypassing {
            return Ok(Verdict::Nothing);
        }
        self.count(Event::KeepLast);
        Ok(Verdict::Previous)
    }

    /// The scheduler is told that it has a CPU again that a higher class took.
    fn acquire(&mut self, cpu: u32) -> Result<(), Stop> {
        if std::mem::take(&mut self.sched.rq(cpu).released) {
            self.op(Op::CpuAcquire, &[u64::from(cpu), 0])?;
        }
        Ok(())
    }

    /// The queue with a number, as a CPU means it. One that is not there is an error of the
    /// scheduler, and the global one takes its place.
    pub(super) fn resolve(&mut self, queue: u64, cpu: u32, task: TaskId) -> QueueId {
        if queue == LOCAL {
            return QueueId::Local(cpu);
        }
        if queue & LOCAL_ON == LOCAL_ON {
            let named = queue as u32;
            if named < self.shape.cpus {
                return QueueId::Local(named);
            }
            self.error(format!("invalid CPU {named} in SCX_DSQ_LOCAL_ON dispatch verdict"));
            return QueueId::Global;
        }
        if queue == GLOBAL {
            return QueueId::Global;
        }
        let found = queue & BUILTIN == 0 && self.sched.queues.contains(QueueId::User(queue));
        if found {
            return QueueId::User(queue);
        }
        let whose = if self.sched.version.names_task {
            let (comm, pid) = self.comm_and_pid(task);
            format!(" for {comm}[{pid}]")
        } else {
            String::new()
        };
        self.error(format!("non-existent DSQ {queue:#x}{whose}"));
        QueueId::Global
    }
}
