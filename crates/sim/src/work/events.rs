// SPDX-License-Identifier: GPL-2.0-or-later
//! Events that tasks signal and wait for, and what signals them from outside.
//!
//! A signal carries since when somebody waits for what comes of it: the present, or, if who
//! signals is in the midst of a piece of work, when that was asked for.

use super::{Next, Slept};
use crate::machine::Machine;
use crate::run::Stop;
use crate::sched::{Due, TaskId, Waker};
use rota_events::What;
use rota_workload::{Event, EventId, Random, Source, Step};
use std::collections::VecDeque;

/// What signals an event from outside.
#[derive(Debug)]
pub(super) struct Outside {
    source: Source,
    random: Random,
}

impl Outside {
    /// The one with this number, of a seed.
    pub(super) fn new(source: Source, seed: u64, number: usize) -> Self {
        Self { source, random: Random::of_source(seed, number as u64) }
    }
}

impl Machine {
    /// A step by which tasks meet; what comes of it, if not the next step at once. What it signals is
    /// waited for since then.
    pub(super) fn meet_others(
        &mut self,
        task: TaskId,
        step: Step,
        since_ns: u64,
    ) -> Result<Option<Next>, Stop> {
        match step {
            Step::Wait(event) => {
                let waits = if self.work.joined(task, None) == Some(event) {
                    // Somebody may have signalled it since.
                    let waiting = &self.work.events[event.0 as usize].waiting;
                    waiting.iter().rev().any(|other| *other == task)
                } else {
                    self.wait_for(task, event)
                };
                if !waits {
                    self.record_message(task, event, false);
                } else if let Some(progress) = self.work.of(task) {
                    progress.receives = Some(event);
                }
                if waits && self.work.events[event.0 as usize].event().wakes_at > 0 {
                    self.work.look_again(task);
                }
                return Ok(waits.then_some(Next::Wait));
            }
            Step::Signal(event, times) => return self.signal_by(task, event, times, since_ns),
            Step::Broadcast(event) => self.broadcast(event, since_ns)?,
            Step::Join(event) => {
                self.wait_for(task, event);
                self.work.joined(task, Some(event));
            }
            Step::Meet(event, count) => {
                let waits = self.gather(task, event, count)?;
                return Ok(waits.then_some(Next::Wait));
            }
            _ => {}
        }
        Ok(None)
    }

    /// A task signals an event so many times; what comes of it, if not the next step at once.
    fn signal_by(
        &mut self,
        task: TaskId,
        event: EventId,
        times: u32,
        since_ns: u64,
    ) -> Result<Option<Next>, Stop> {
        let cpu = self.cpu;
        let Event { wakes_at, wake_ns, .. } = self.work.events[event.0 as usize].event();
        let takes_time = wake_ns != [0; 2];
        let goes_on = self.work.of(task).and_then(|progress| progress.wakes.take());
        let begins = goes_on.is_none();
        if wakes_at > 0 && takes_time {
            let wakes = goes_on.unwrap_or_else(|| self.keep_signals(event, times, since_ns));
            self.wake_one_of(task, event, wakes, since_ns)?;
        } else {
            self.signal(event, times, since_ns, Waker::Task)?;
        }
        self.cpu = cpu;
        for _ in 0..if begins { times } else { 0 } {
            self.record_message(task, event, true);
        }
        // What that took comes before whatever it does next.
        let pays = self.shape.costs.kick_ns > 0 || takes_time;
        let rq = self.sched.rq(cpu);
        let spends = pays && rq.spent_ns > 0 && rq.current == Some(task);
        if spends && self.work.of(task).is_some_and(|progress| progress.wakes.is_some()) {
            // Nobody takes its CPU before it is done: the kernel holds a lock.
            let end_ns = self.now_ns + self.work_left(task) + 1;
            let rq = self.sched.rq(cpu);
            rq.kernel_until_ns = rq.kernel_until_ns.max(end_ns);
        }
        Ok(spends.then_some(Next::Run(0)))
    }

    /// A task wakes up the last of some who wait for an event. If there are others, it does so with
    /// these later.
    fn wake_one_of(
        &mut self,
        task: TaskId,
        event: EventId,
        mut wakes: VecDeque<TaskId>,
        since_ns: u64,
    ) -> Result<(), Stop> {
        let Some(woken) = wakes.pop_back() else { return Ok(()) };
        if !wakes.is_empty()
            && let Some(progress) = self.work.of(task)
        {
            progress.wakes = Some(wakes);
            self.work.look_again(task);
        }
        let event = self.work.events[event.0 as usize].event();
        self.wake_for(woken, since_ns, Waker::Task, event)
    }

    /// Records that a task has sent a message, or received one, if the event is such.
    pub(super) fn record_message(&mut self, task: TaskId, event: EventId, sends: bool) {
        let kind = self.work.events[event.0 as usize].event();
        if self.shape.messages && kind.initial == 0 && kind.most == u32::MAX {
            let (channel, bytes) = (event.0.into(), 1);
            let what = match sends {
                true => What::Send { channel, bytes },
                false => What::Receive { channel, bytes },
            };
            self.record(Some(task), what);
        }
    }

    /// Takes a signal of an event, or joins those who wait; whether it waits.
    fn wait_for(&mut self, task: TaskId, event: EventId) -> bool {
        let signals = &mut self.work.events[event.0 as usize];
        match signals.take() {
            None => {
                signals.waiting.push_back(task);
                true
            }
            Some(since) => {
                let asked_ns = if signals.event().initial > 0 { self.now_ns } else { since };
                self.work.asked(task, asked_ns);
                false
            }
        }
    }

    /// Joins those who wait for an event until there are so many; whether it waits. The last one
    /// wakes the others.
    fn gather(&mut self, task: TaskId, event: EventId, count: u32) -> Result<bool, Stop> {
        let waiting = &mut self.work.events[event.0 as usize].waiting;
        if waiting.len() + 1 < count as usize {
            waiting.push_back(task);
            return Ok(true);
        }
        self.broadcast(event, self.now_ns)?;
        Ok(false)
    }

    /// Signals an event so many times, from the CPU that executes.
    pub(crate) fn signal(
        &mut self,
        event: EventId,
        times: u32,
        since_ns: u64,
        by: Waker,
    ) -> Result<(), Stop> {
        if self.work.events[event.0 as usize].event().wakes_at > 0 {
            return self.signal_all(event, times, since_ns, by);
        }
        for n in 0..times {
            let signals = &mut self.work.events[event.0 as usize];
            let event = signals.event();
            let Some(task) = signals.waiting.pop_front() else {
                signals.keep(since_ns, times - n);
                break;
            };
            self.wake_for(task, since_ns, by, event)?;
        }
        Ok(())
    }

    /// Keeps signals of an event, and wakes all who wait for it if there are enough.
    fn signal_all(
        &mut self,
        event: EventId,
        times: u32,
        since_ns: u64,
        by: Waker,
    ) -> Result<(), Stop> {
        let woken = self.keep_signals(event, times, since_ns);
        let event = self.work.events[event.0 as usize].event();
        for task in woken.into_iter().rev() {
            self.wake_for(task, since_ns, by, event)?;
        }
        Ok(())
    }

    /// Keeps signals of an event; who is to be woken up for that, the last first.
    fn keep_signals(&mut self, event: EventId, times: u32, since_ns: u64) -> VecDeque<TaskId> {
        let signals = &mut self.work.events[event.0 as usize];
        signals.keep(since_ns, times);
        let enough = signals.kept() >= signals.event().wakes_at;
        if enough { std::mem::take(&mut signals.waiting) } else { VecDeque::new() }
    }

    /// Wakes all who wait for an event now, from the CPU that executes.
    fn broadcast(&mut self, event: EventId, since_ns: u64) -> Result<(), Stop> {
        let signals = &mut self.work.events[event.0 as usize];
        let (event, waiting) = (signals.event(), std::mem::take(&mut signals.waiting));
        for task in waiting {
            self.wake_for(task, since_ns, Waker::Task, event)?;
        }
        Ok(())
    }

    fn wake_for(
        &mut self,
        task: TaskId,
        since_ns: u64,
        by: Waker,
        event: Event,
    ) -> Result<(), Stop> {
        let here = self.cpu;
        self.work.asked(task, if event.initial > 0 { self.now_ns } else { since_ns });
        self.wake_up_by(task, if by == Waker::Task && event.sync { Waker::Leaving } else { by })?;
        self.cpu = here;
        let elsewhere = usize::from(self.sched.task(task).cpu != here);
        if let Some(progress) = self.work.of(task) {
            let since_ns = progress.waits_ns;
            progress.slept = Some(Slept { takes_ns: event.sleep_ns[elsewhere], since_ns });
        }
        let wake_ns = event.wake_ns[elsewhere];
        if by == Waker::Task && wake_ns > 0 {
            self.spend(here, wake_ns.into());
        }
        Ok(())
    }

    /// Lets new sources signal from now on.
    pub(super) fn add_sources(&mut self, sources: &[Source]) {
        let seed = self.shape.seed;
        for source in sources {
            let number = self.work.outside.len();
            self.work.outside.push(Outside::new(*source, seed, number));
            self.next_from_outside(number);
        }
    }

    /// Puts a source's next signal on the agenda.
    fn next_from_outside(&mut self, number: usize) {
        let Some(outside) = self.work.outside.get_mut(number) else { return };
        let after_ns = outside.source.every.draw(&mut outside.random);
        let time_ns = self.now_ns.saturating_add(after_ns);
        self.sched.agenda.add(time_ns, Due::Outside(number as u32));
    }

    /// A source signals.
    pub(crate) fn signal_from_outside(&mut self, number: u32) -> Result<(), Stop> {
        let Some(outside) = self.work.outside.get(number as usize) else { return Ok(()) };
        let Source { event, cpu, .. } = outside.source;
        self.next_from_outside(number as usize);
        let here = |rq: &crate::sched::Rq| rq.online;
        let rqs = &self.sched.rqs;
        let cpu = match rqs.get(cpu as usize) {
            Some(rq) if here(rq) => cpu,
            _ => rqs.iter().position(here).unwrap_or(0) as u32,
        };
        let now = self.now_ns;
        self.on_cpu(cpu, move |machine| {
            machine.signal(event, 1, now, Waker::Interrupt)?;
            machine.leave_kernel(cpu);
            Ok(())
        })
    }
}
