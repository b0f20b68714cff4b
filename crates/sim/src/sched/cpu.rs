// SPDX-License-Identifier: GPL-2.0-or-later
//! A CPU: what makes it choose, what it chooses, and how it switches.

use super::ext::{Verdict, flags, sleeping};
use super::ops::ops_flags;
use super::reenqueue::Reason;
use super::task::Class;
use super::{Due, Event, Insert, Op, Orders, Phase, QueueId, TICK_NS, TaskId};
use crate::hardware::Costs;
use crate::interleave::Lock;
use crate::machine::Machine;
use crate::run::Stop;
use crate::tracing::Tracepoint;
use rota_events::{CpuNumber, Leaves, TaskRef, What};
use rota_topology::CpuId;

/// How long a task that does nothing much runs, in ns.
const MOMENT_NS: u64 = 2_000;
/// Why the scheduler loses a CPU (kernel: `enum scx_cpu_preempt_reason`).
mod preempt {
    pub(super) const REALTIME: u64 = 0;
    pub(super) const UNKNOWN: u64 = 3;
}
/// A wake-up (kernel: `WF_TTWU`).
pub(super) const WAKE: u64 = 8;
/// By somebody who is about to sleep (kernel: `WF_SYNC`).
pub(super) const SYNC: u64 = 16;

/// Who wakes a task up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waker {
    /// The task that runs on the CPU that executes.
    Task,
    /// The same, which is about to sleep.
    Leaving,
    /// None: an interrupt, whoever runs there.
    Interrupt,
}

impl Machine {
    /// Lets time go on to a point and does everything that becomes due until then, unless the
    /// machine stands still before.
    pub(crate) fn schedule_until(&mut self, time_ns: u64) -> Result<(), Stop> {
        loop {
            let next = match (self.sched.agenda.next_time(), self.next_due_ns()) {
                (Some(one), Some(other)) => one.min(other),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => break,
            };
            if next > time_ns {
                break;
            }
            self.advance_to(next)?;
            while let Some((_, due)) = self.sched.agenda.take_due(next) {
                self.happen(due)?;
                if self.stands_still() {
                    return Ok(());
                }
            }
        }
        self.advance_to(time_ns)
    }

    fn happen(&mut self, due: Due) -> Result<(), Stop> {
        match due {
            Due::Schedule(cpu) => self.on_cpu(cpu, move |machine| machine.choose_again(cpu)),
            Due::Tick(cpu) => self.on_cpu(cpu, move |machine| machine.tick(cpu)),
            Due::Slice(cpu) => self.on_cpu(cpu, move |machine| machine.slice_over(cpu)),
            Due::Balance(cpu) => self.on_cpu(cpu, move |machine| machine.balance_sleepers(cpu)),
            Due::Push(from, to) => self.on_cpu(from, move |machine| machine.push(from, to)),
            Due::GoBack(cpu) => self.on_cpu(cpu, move |machine| {
                machine.lock(Lock::Rq(cpu))?;
                machine.run_deferred(cpu)?;
                machine.unlock(Lock::Rq(cpu));
                Ok(())
            }),
            Due::Kick(kick) => self.on_cpu(kick.cpu, move |machine| machine.kick(kick)),
            Due::Ran(task, run) => {
                let cpu = self.sched.task(task).cpu;
                self.on_cpu(cpu, move |machine| {
                    let still = machine.sched.task(task).run == run;
                    if still && machine.sched.rq(cpu).current == Some(task) {
                        machine.obey(task)?;
                        machine.leave_kernel(cpu);
                    }
                    Ok(())
                })
            }
            Due::Wake(task, sleep) => self.sleep_over(task, sleep),
            Due::Outside(number) => self.signal_from_outside(number),
            Due::GoOn(cpu) => self.go_on(cpu),
            Due::Begin(cpu) => self.begin(cpu),
            Due::Watchdog => self.watch(),
            Due::Disable(cpu) => self.on_cpu(cpu, Machine::disable),
        }
    }

    /// A CPU that was told to choose again does, unless what runs is in a call that is not over.
    fn choose_again(&mut self, cpu: u32) -> Result<(), Stop> {
        let now_ns = self.now_ns;
        let rq = self.sched.rq(cpu);
        if !rq.resched {
            return Ok(());
        }
        if rq.kernel_until_ns > now_ns {
            let time_ns = rq.kernel_until_ns;
            self.sched.agenda.add(time_ns, Due::Schedule(cpu));
            return Ok(());
        }
        self.schedule(cpu, None)
    }

    /// Tells a CPU to choose again.
    pub(crate) fn resched(&mut self, cpu: u32) {
        let here = self.cpu == cpu;
        let rq = self.sched.rq(cpu);
        if !std::mem::replace(&mut rq.resched, true) {
            let idle = rq.current.is_none();
            let interrupt_ns = if here { 0 } else { self.interrupt_other(cpu, idle) };
            let interrupt_ns = interrupt_ns + if idle { self.idle_exit_ns(cpu) } else { 0 };
            self.sched.agenda.add(self.now_ns + interrupt_ns, Due::Schedule(cpu));
        }
    }

    /// The CPU that executes interrupts another one; how long it takes until that notices, in ns.
    fn interrupt_other(&mut self, cpu: u32, idle: bool) -> u64 {
        let Costs { interrupt_ns, kick_ns, kicked_ns, .. } = self.shape.costs;
        if kick_ns > 0 {
            self.spend(self.cpu, kick_ns);
        }
        if idle || kicked_ns == 0 {
            return interrupt_ns;
        }
        self.spend(cpu, kicked_ns);
        // It is who runs there that spends it, not who comes next.
        if let Some(task) = self.sched.rq(cpu).current {
            self.time_anew(task);
        }
        kicked_ns
    }

    fn kick(&mut self, kick: super::Kick) -> Result<(), Stop> {
        self.lock(Lock::Rq(kick.cpu))?;
        let current = self.sched.rq(kick.cpu).current;
        match current {
            _ if self.bypassing() => {}
            Some(_) if kick.only_if_idle => {}
            // A higher class can't be moved.
            Some(task) if !self.is_ext(task) => {}
            _ => {
                if let Some(task) = current.filter(|_| kick.preempt) {
                    self.set_slice(task, 0);
                }
                self.resched(kick.cpu);
            }
        }
        self.unlock(Lock::Rq(kick.cpu));
        Ok(())
    }

    /// The tick of a CPU.
    fn tick(&mut self, cpu: u32) -> Result<(), Stop> {
        self.lock(Lock::Rq(cpu))?;
        let rq = self.sched.rq(cpu);
        rq.ticks = false;
        // Ticks stop on a CPU that is idle.
        if let Some(task) = rq.current {
            self.tick_of(cpu, task)?;
        }
        self.unlock(Lock::Rq(cpu));
        self.balance_at_tick(cpu)
    }

    fn tick_of(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        let just_started = self.sched.rq(cpu).started_ns == self.now_ns;
        self.tick_later(cpu);
        self.look_before_next_tick(cpu);
        if just_started {
            return Ok(());
        }
        // Who was asked to give way when it would do no harm is made to.
        if self.sched.rq(cpu).lazy {
            self.resched(cpu);
        }
        self.charge(cpu);
        let interrupts_ns = self.interrupts_ns(cpu);
        self.spend(cpu, self.shape.costs.tick_ns + interrupts_ns);
        if !self.is_ext(task) {
            self.tick_fair(cpu);
            return Ok(());
        }
        if self.bypassing() {
            self.set_slice(task, 0);
        } else {
            self.task_op(Op::Tick, task, 0)?;
        }
        if self.slice(task) == 0 {
            self.resched(cpu);
        }
        Ok(())
    }

    /// The next tick of a CPU will come, if it does not already.
    fn tick_later(&mut self, cpu: u32) {
        if !std::mem::replace(&mut self.sched.rq(cpu).ticks, true) {
            self.sched.agenda.add(self.next_tick_ns(), Due::Tick(cpu));
        }
    }

    /// Something on a CPU has cost time, which who runs there next, or goes on, has to spend. Where
    /// nobody runs, it is spent as time goes by.
    pub(crate) fn spend(&mut self, cpu: u32, ns: u64) {
        if self.sched.rq(cpu).current.is_none() {
            self.spend_idly(cpu);
        }
        let now = self.now_ns;
        let rq = self.sched.rq(cpu);
        rq.spent_ns += ns;
        rq.done_ns = rq.done_ns.max(now) + ns;
        if rq.kernel_until_ns > now {
            rq.kernel_until_ns = rq.kernel_until_ns.saturating_add(ns);
        }
    }

    /// What an idle CPU had to spend is spent, as far as there was time for it.
    pub(super) fn spend_idly(&mut self, cpu: u32) {
        let now = self.now_ns;
        let rq = self.sched.rq(cpu);
        let since_ns = std::mem::replace(&mut rq.spent_at_ns, now);
        if rq.current.is_none() {
            rq.spent_ns = rq.spent_ns.saturating_sub(now.saturating_sub(since_ns));
        }
    }

    /// A task that runs does what it wants to.
    fn obey(&mut self, task: TaskId) -> Result<(), Stop> {
        let cpu = self.sched.task(task).cpu;
        match self.sched.task(task).orders {
            Orders::Spin => Ok(()),
            Orders::Sleep => self.go_to_sleep(cpu, task),
            Orders::Yield => {
                self.sched.task(task).orders = Orders::Spin;
                self.yield_task(cpu, task)
            }
            Orders::Fork(count) => self.fork_storm(cpu, task, count),
            Orders::Exit => self.exit_task(cpu, task),
            Orders::Work => self.work_on(task),
        }
    }

    /// A task that runs goes to sleep, unless somebody wakes it first.
    pub(crate) fn go_to_sleep(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        self.sched.task(task).tired = true;
        self.lock(Lock::Rq(cpu))?;
        if std::mem::take(&mut self.sched.task(task).tired) {
            self.schedule_locked(cpu, Some(sleeping()))?;
        } else {
            self.prod(task);
            self.schedule_locked(cpu, None)?;
        }
        self.unlock(Lock::Rq(cpu));
        Ok(())
    }

    /// Tells a running task that it has something to do now.
    pub(crate) fn prod(&mut self, task: TaskId) {
        let state = self.sched.task(task);
        let cpu = state.cpu;
        state.run += 1;
        let orders = state.orders;
        if orders == Orders::Spin || self.sched.rq(cpu).current != Some(task) {
            return;
        }
        let after_ns = if orders == Orders::Work { self.work_left(task) } else { MOMENT_NS };
        self.look_after(task, after_ns);
    }

    /// Sees to it that a task that runs is looked at when it has run for so long. What is after the
    /// next tick waits for that: most tasks are taken off the CPU before.
    pub(crate) fn look_after(&mut self, task: TaskId, ns: u64) {
        let state = self.sched.task(task);
        let (cpu, run) = (state.cpu, state.run);
        let end_ns = self.now_ns.saturating_add(ns);
        let waits = self.sched.rq(cpu).ticks && end_ns > self.next_tick_ns();
        self.sched.rq(cpu).ran = waits.then_some((end_ns, task, run));
        if !waits {
            self.sched.agenda.add(end_ns, Due::Ran(task, run));
        }
    }

    /// A task that runs is done before the tick after this one, unless it was taken off the CPU.
    fn look_before_next_tick(&mut self, cpu: u32) {
        let (now, next_tick) = (self.now_ns, self.next_tick_ns());
        let rq = self.sched.rq(cpu);
        if let Some((end_ns, task, run)) = rq.ran.take_if(|(end_ns, ..)| *end_ns <= next_tick) {
            // A tick that waits for a lock is late.
            self.sched.agenda.add(end_ns.max(now), Due::Ran(task, run));
        }
    }

    fn next_tick_ns(&self) -> u64 {
        (self.now_ns / TICK_NS + 1) * TICK_NS
    }

    /// A task wakes up, woken by the CPU that executes.
    pub(crate) fn wake_up(&mut self, task: TaskId) -> Result<(), Stop> {
        self.wake_up_by(task, Waker::Task)
    }

    /// The same, and says by whom.
    pub(crate) fn wake_up_by(&mut self, task: TaskId, by: Waker) -> Result<(), Stop> {
        self.lock(Lock::Task(task))?;
        if !self.is_dead(task) && !self.stays_awake(task)? {
            let previous = self.sched.task(task).cpu;
            if self.sched.rq(previous).current == Some(task) {
                self.pass(Lock::Switch(previous))?;
            }
            let waker = self.running_here().filter(|_| by != Waker::Interrupt);
            let waker = self.recorded(waker);
            self.record(Some(task), What::Waking { waker });
            self.trace_task(Tracepoint::Waking, task)?;
            let wake_flags = if by == Waker::Leaving { WAKE | SYNC } else { WAKE };
            self.wake_locked(task, previous, wake_flags, waker)?;
        }
        self.unlock(Lock::Task(task));
        Ok(())
    }

    /// Whether a task that is woken does not sleep; then it does not go to sleep either.
    fn stays_awake(&mut self, task: TaskId) -> Result<bool, Stop> {
        if !self.sched.task(task).queued && !self.is_held(Lock::Move(task)) {
            return Ok(false);
        }
        // It may be about to.
        let cpu = self.lock_rq_of(task)?;
        let state = self.sched.task(task);
        state.tired = false;
        let queued = state.queued;
        self.unlock(Lock::Rq(cpu));
        Ok(queued)
    }

    /// Wakes a task that sleeps, and whose lock is held.
    fn wake_locked(
        &mut self,
        task: TaskId,
        previous: u32,
        wake_flags: u64,
        waker: TaskRef,
    ) -> Result<(), Stop> {
        let mut flags = flags::SLEEP | flags::NO_CLOCK;
        let delayed = self.is_delayed(task);
        let cpu = if delayed { previous } else { self.select(task, previous, wake_flags)? };
        if self.sched.task(task).allowed.count() > 1 {
            flags |= self.sched.version.selected;
        }
        if cpu != previous {
            flags |= self.sched.version.migrated;
            self.set_cpu(task, cpu);
        }
        self.lock(Lock::Rq(cpu))?;
        self.activate(cpu, task, flags, false)?;
        self.record(Some(task), What::Wakeup { on: CpuNumber(cpu), waker });
        self.trace_task(Tracepoint::Wakeup, task)?;
        self.preempt(cpu, task);
        self.run_deferred(cpu)?;
        self.unlock(Lock::Rq(cpu));
        Ok(())
    }

    /// The task that runs on the CPU that executes.
    fn running_here(&self) -> Option<TaskId> {
        self.sched.rqs[self.cpu as usize].current
    }

    /// A new task wakes up for the first time.
    pub(super) fn wake_up_new(&mut self, task: TaskId, wake_flags: u64) -> Result<(), Stop> {
        let previous = self.sched.task(task).cpu;
        let cpu = self.select(task, previous, wake_flags)?;
        self.set_cpu(task, cpu);
        let waker = self.running_here();
        let waker = self.recorded(waker);
        self.record(Some(task), What::Waking { waker });
        let flags = flags::NO_CLOCK | self.sched.version.initial;
        self.lock(Lock::Rq(cpu))?;
        if self.sched.task(task).class == Class::Fair {
            self.expect_use(cpu, task);
        }
        self.activate(cpu, task, flags, false)?;
        self.record(Some(task), What::Wakeup { on: CpuNumber(cpu), waker });
        self.preempt_as(cpu, task, true);
        self.run_deferred(cpu)?;
        self.unlock(Lock::Rq(cpu));
        Ok(())
    }

    /// The CPU for a task that wakes up (kernel: `select_task_rq`).
    fn select(&mut self, task: TaskId, previous: u32, wake_flags: u64) -> Result<u32, Stop> {
        let state = self.sched.task(task);
        let several = state.allowed.count() > 1;
        let cpu = match state.class {
            Class::Ext if several => {
                let chosen = self.select_cpu(task, previous, wake_flags)?;
                let (chosen_cpu, previous) = (CpuNumber(chosen), CpuNumber(previous));
                let flags = wake_flags;
                self.record(Some(task), What::SelectCpu { chosen: chosen_cpu, previous, flags });
                chosen
            }
            Class::Fair if several => self.select_fair(task, previous, wake_flags),
            _ => self.first_allowed(task, previous),
        };
        let allowed = self.sched.task(task).allowed.contains(CpuId(cpu));
        if allowed && self.sched.rq(cpu).online {
            return Ok(cpu);
        }
        Ok(self.first_allowed(task, previous))
    }

    /// A task that has come to a CPU makes it choose again, if the task's class is above that of
    /// what runs there.
    pub(super) fn preempt(&mut self, cpu: u32, task: TaskId) {
        self.preempt_as(cpu, task, false);
    }

    /// The same for one that may be new.
    fn preempt_as(&mut self, cpu: u32, task: TaskId, new: bool) {
        let rank = |class| match class {
            Class::Realtime => 3,
            Class::Fair => 2,
            Class::Ext => 1,
        };
        let current = self.sched.rq(cpu).current;
        let running = current.map_or(0, |current| rank(self.sched.task(current).class));
        let class = rank(self.sched.task(task).class);
        if class > rank(Class::Ext) && self.sched.rq(cpu).immediate > 0 {
            self.ask_back(QueueId::Local(cpu), false);
        }
        if class > running {
            self.resched(cpu);
        } else if class == rank(Class::Fair) && class == running {
            self.preempt_fair(cpu, task, new);
        }
        self.read_clock(cpu);
        // Who comes pays from now on, not from the switch (kernel: `rq_clock_skip_update`).
        let lazily = class == running && !self.shape.platform.preempts_at_once;
        let rq = self.sched.rq(cpu);
        rq.keeps_clock |= rq.resched && !lazily;
    }

    /// The CPU that a task was on if it may still run there, else the first that it may.
    pub(super) fn first_allowed(&mut self, task: TaskId, previous: u32) -> u32 {
        let allowed = &self.sched.tasks[task.0 as usize].allowed;
        let fits = |cpu: CpuId| allowed.contains(cpu) && self.sched.rqs[cpu.0 as usize].online;
        if fits(CpuId(previous)) {
            return previous;
        }
        allowed.iter().find(|cpu| fits(*cpu)).map_or(previous, |cpu| cpu.0)
    }

    fn select_cpu(&mut self, task: TaskId, previous: u32, wake_flags: u64) -> Result<u32, Stop> {
        let bypassing = self.bypassing();
        if bypassing {
            self.count(Event::BypassDispatch);
            if self.sched.version.bypass_stays {
                self.set_selected_cpu(task, previous);
                return Ok(previous);
            }
        }
        if bypassing || !self.sched.ops.has(Op::SelectCpu) {
            let wake = super::Wake { previous, wake: wake_flags, flags: 0 };
            let idle = self.select_idle(task, wake, None);
            self.set_selected_cpu(task, idle.unwrap_or(previous));
            if idle.is_some() {
                self.count(Event::RefillSlice);
                let slice_ns = self.default_slice();
                let queue = super::queue::LOCAL;
                let insert = Insert { queue, slice_ns, vtime: None, flags: 0 };
                self.sched.task(task).direct = Some(insert);
                if self.sched.version.applies_at_call {
                    self.apply(task, &insert);
                }
            }
            return Ok(idle.unwrap_or(previous));
        }
        let here = self.cpu;
        let address = self.sched.task(task).address;
        self.sched.rq(here).direct = super::Direct::Task(task);
        let chosen = self.op(Op::SelectCpu, &[address, u64::from(previous), wake_flags]);
        self.sched.rq(here).direct = super::Direct::No;
        let chosen = chosen?.map_or(previous, |cpu| cpu as u32);
        self.set_selected_cpu(task, chosen);
        if chosen >= self.shape.cpus {
            self.error(format!("invalid CPU {} from ops.select_cpu()", chosen.cast_signed()));
            return Ok(previous);
        }
        Ok(chosen)
    }

    /// A CPU chooses what to run and switches to it. With flags, what runs goes to sleep.
    pub(crate) fn schedule(&mut self, cpu: u32, sleeps: Option<u64>) -> Result<(), Stop> {
        self.lock(Lock::Rq(cpu))?;
        self.schedule_locked(cpu, sleeps)?;
        self.unlock(Lock::Rq(cpu));
        Ok(())
    }

    /// The same, with the run queue's lock held.
    fn schedule_locked(&mut self, cpu: u32, sleeps: Option<u64>) -> Result<(), Stop> {
        let rq = self.sched.rq(cpu);
        rq.kept_clock_ns = std::mem::take(&mut rq.keeps_clock).then_some(rq.clock_ns);
        let result = self.choose_and_switch(cpu, sleeps);
        // Who came in the midst of it, by balancing, asks for nothing later.
        let rq = self.sched.rq(cpu);
        (rq.keeps_clock, rq.kept_clock_ns) = (false, None);
        result
    }

    /// The time by which what runs on a CPU is charged (kernel: `update_rq_clock`).
    pub(super) fn read_clock(&mut self, cpu: u32) -> u64 {
        let now = self.now_ns;
        let rq = self.sched.rq(cpu);
        rq.clock_ns = rq.kept_clock_ns.unwrap_or(now);
        rq.clock_ns
    }

    fn choose_and_switch(&mut self, cpu: u32, sleeps: Option<u64>) -> Result<(), Stop> {
        self.sched.rq(cpu).resched = false;
        self.sched.rq(cpu).lazy = false;
        let previous = self.sched.rq(cpu).current;
        if let (Some(task), Some(flags)) = (previous, sleeps) {
            self.lock(Lock::Switch(cpu))?;
            self.deactivate(cpu, task, flags, false)?;
        }
        let next = self.choose(cpu)?;
        self.sched.rq(cpu).resched = false;
        self.sched.rq(cpu).lazy = false;
        if next == previous {
            if next.is_none() {
                self.refresh_idle(cpu, true);
                if std::mem::take(&mut self.sched.rq(cpu).tell_idle) && !self.bypassing() {
                    self.op(Op::UpdateIdle, &[u64::from(cpu), 1])?;
                }
            }
            self.unlock(Lock::Switch(cpu));
            return self.run_deferred(cpu);
        }
        self.put_aside(cpu, previous, next)?;
        // Until the switch itself, what ran is what runs, also for `running`.
        self.announce(cpu, next)?;
        let from = self.recorded(previous);
        let runnable = previous.is_some_and(|task| self.sched.task(task).queued);
        self.record(next, What::Switch { from, leaves: Leaves::plain(runnable) });
        self.trace_switch(cpu, previous, next)?;
        self.spend_idly(cpu);
        self.sched.set_current(cpu, next);
        self.unlock(Lock::Switch(cpu));
        self.show_current(cpu);
        self.show_switch(previous, next);
        if let Some(task) = next {
            self.work.begin_turn(task, self.now_ns);
        }
        self.start(cpu, next);
        self.run_deferred(cpu)
    }

    /// What a CPU is to run next.
    fn choose(&mut self, cpu: u32) -> Result<Option<TaskId>, Stop> {
        let current = self.sched.rq(cpu).current;
        let realtime = current.filter(|task| {
            let state = self.sched.task(*task);
            state.class == Class::Realtime && state.queued
        });
        if realtime.is_some() {
            return Ok(realtime);
        }
        let on = !matches!(self.sched.phase, Phase::Off | Phase::Enabling);
        let mut verdict = None;
        if on && self.sched.version.looks_first && current.is_none_or(|task| self.is_ext(task)) {
            verdict = Some(self.look_for_work(cpu)?);
        }
        if let Some(task) = self.sched.realtime(cpu).pop_front() {
            return Ok(Some(task));
        }
        if let Some(task) = self.pick_fair(cpu)? {
            return Ok(Some(task));
        }
        if !on {
            return Ok(None);
        }
        let verdict = verdict.map_or_else(|| self.look_for_work(cpu), Ok)?;
        // One may have come while the lock was not held.
        if let Some(task) = self.sched.realtime(cpu).pop_front() {
            return Ok(Some(task));
        }
        let chosen = match verdict {
            Verdict::Previous => current,
            Verdict::Nothing | Verdict::Local => {
                self.sched.queues.first(QueueId::Local(cpu), |_| true)
            }
        };
        if let Some(task) = chosen
            && self.slice(task) == 0
        {
            self.refill_slice(task);
        }
        Ok(chosen)
    }

    /// What ran on a CPU is put aside for what comes next.
    fn put_aside(
        &mut self,
        cpu: u32,
        previous: Option<TaskId>,
        next: Option<TaskId>,
    ) -> Result<(), Stop> {
        let Some(task) = previous else {
            self.idle_is_over(cpu);
            return self.update_idle(cpu, false);
        };
        let (class, queued) = (self.sched.task(task).class, self.sched.task(task).queued);
        self.charge(cpu);
        let busy_ns = self.sched.rq(cpu).busy_ns;
        self.sched.task(task).left = Some((cpu, busy_ns));
        match class {
            Class::Ext => {
                self.put_ext_aside(cpu, task, next)?;
                return self.release_cpu(cpu, next);
            }
            Class::Realtime if queued => self.sched.realtime(cpu).push_front(task),
            Class::Fair => self.put_fair(cpu),
            Class::Realtime => {}
        }
        Ok(())
    }

    /// The same for a task of the scheduler.
    fn put_ext_aside(&mut self, cpu: u32, task: TaskId, next: Option<TaskId>) -> Result<(), Stop> {
        if !self.sched.task(task).queued {
            return Ok(());
        }
        self.task_op(Op::Stopping, task, 1)?;
        self.begin_to_wait(task);
        if self.slice(task) != 0 && !self.bypassing() {
            if self.sched.task(task).immediate {
                return self.give_back(cpu, task, Reason::Preempted);
            }
            let flags = self.sched.version.head;
            let keep = Insert { queue: super::queue::LOCAL, slice_ns: 0, vtime: None, flags };
            return self.insert(cpu, QueueId::Local(cpu), task, keep, false);
        }
        if next.is_some() || self.sched.ops.flags & ops_flags::ENQ_LAST == 0 {
            return self.give(cpu, task, 0);
        }
        self.give(cpu, task, self.sched.version.last)?;
        if self.sched.version.last_runs && self.sched.queues.len(QueueId::Local(cpu)) > 0 {
            // It is told so after it has gone idle, which is what it has just decided to do.
            self.sched.rq(cpu).resched = false;
            self.resched(cpu);
        }
        Ok(())
    }

    /// The scheduler is told that a higher class takes a CPU (kernel: `switch_class`).
    pub(super) fn release_cpu(&mut self, cpu: u32, next: Option<TaskId>) -> Result<(), Stop> {
        let Some(next) = next.filter(|task| !self.is_ext(*task)) else { return Ok(()) };
        let told = self.sched.ops.has(Op::CpuAcquire) || self.sched.ops.has(Op::CpuRelease);
        if !told || std::mem::replace(&mut self.sched.rq(cpu).released, true) {
            return Ok(());
        }
        let layout = &self.layout.cpu_release;
        let reason = match self.sched.tasks[next.0 as usize].class {
            Class::Realtime => preempt::REALTIME,
            Class::Fair | Class::Ext => preempt::UNKNOWN,
        };
        let address = self.sched.tasks[next.0 as usize].address;
        let (size, members) = (layout.size, [(layout.reason, reason), (layout.task, address)]);
        self.op_with(Op::CpuRelease, &[u64::from(cpu)], size, &members).map(drop)
    }

    /// The scheduler is told what a CPU switches to.
    fn announce(&mut self, cpu: u32, next: Option<TaskId>) -> Result<(), Stop> {
        let Some(task) = next else { return self.update_idle(cpu, true) };
        if self.is_ext(task) {
            self.unlink(task);
            self.sched.task(task).repeats = 0;
            self.task_op(Op::Running, task, 0)?;
        }
        Ok(())
    }

    /// What a CPU has switched to starts to run.
    fn start(&mut self, cpu: u32, next: Option<TaskId>) {
        let Some(task) = next else {
            self.set_busy(cpu, false);
            self.stop_slice_timer(cpu);
            self.note_idle_core(cpu);
            return;
        };
        self.set_busy(cpu, true);
        self.sched.switches += 1;
        let refill_ns = self.refill_ns(cpu, task);
        self.spend(cpu, self.shape.costs.switch_ns);
        // The task fetches it, when the CPU is done with all else.
        self.sched.rq(cpu).spent_ns += refill_ns;
        self.tick_later(cpu);
        let now = self.now_ns;
        let rq = self.sched.rq(cpu);
        (rq.started_ns, rq.busy_until_ns) = (now, now);
        let clock = self.read_clock(cpu);
        let state = self.sched.task(task);
        (state.charged_at_ns, state.settled_at_ns) = (clock, now);
        state.waits_anew = true;
        if state.class == Class::Fair {
            self.start_fair(cpu, task);
        }
        self.prod(task);
    }

    /// Ends the scheduler if a task has waited for longer than it may.
    fn watch(&mut self) -> Result<(), Stop> {
        let limit = self.sched.ops.timeout_ns;
        if limit == 0 || self.sched.phase == Phase::Disabling {
            return Ok(());
        }
        self.sched.agenda.add(self.now_ns + limit / 2, Due::Watchdog);
        let now = self.now_ns;
        let late = |task: &TaskId| {
            let state = &self.sched.tasks[task.0 as usize];
            let waits = state.queued && self.sched.rqs[state.cpu as usize].current != Some(*task);
            waits && self.is_ext(*task) && now - state.runnable_at_ns.min(now) > limit
        };
        let late = (0..self.sched.tasks.len() as u32).map(TaskId).filter(late);
        let place = |task: &TaskId| {
            let state = &self.sched.tasks[task.0 as usize];
            (state.cpu, state.runnable_number)
        };
        let Some(task) = late.min_by_key(place) else { return Ok(()) };
        let state = self.sched.task(task);
        let (cpu, ms) = (state.cpu, (now - state.runnable_at_ns) / 1_000_000);
        let (comm, pid) = self.comm_and_pid(task);
        self.cpu = cpu;
        let text = format!("{comm}[{pid}] failed to run for {}.{:03}s", ms / 1000, ms % 1000);
        self.end(super::exit::STALL, 0, text);
        Ok(())
    }

    pub(crate) fn is_ext(&self, task: TaskId) -> bool {
        self.sched.tasks[task.0 as usize].class == Class::Ext
    }
}
