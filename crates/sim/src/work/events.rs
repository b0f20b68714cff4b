// SPDX-License-Identifier: GPL-2.0-or-later
//! Events that tasks signal and wait for, and what signals them from outside.
//!
//! A signal carries since when somebody waits for what comes of it: the present, or, if who
//! signals is in the midst of a piece of work, when that was asked for.

use super::Next;
use crate::machine::Machine;
use crate::run::Stop;
use crate::sched::{Due, TaskId, Waker};
use rota_events::What;
use rota_workload::{Event, EventId, Random, Source, Step};

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
            Step::Signal(event, times) => {
                let cpu = self.cpu;
                self.signal(event, times, since_ns, Waker::Task)?;
                self.cpu = cpu;
                for _ in 0..times {
                    self.record_message(task, event, true);
                }
                // What that took comes before whatever it does next.
                let wake_ns = self.work.events[event.0 as usize].event().wake_ns;
                let pays = self.shape.costs.kick_ns > 0 || wake_ns != [0; 2];
                let rq = self.sched.rq(cpu);
                if pays && rq.spent_ns > 0 && rq.current == Some(task) {
                    return Ok(Some(Next::Run(0)));
                }
            }
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
        let signals = &mut self.work.events[event.0 as usize];
        signals.keep(since_ns, times);
        if signals.kept() < signals.event().wakes_at {
            return Ok(());
        }
        let (event, waiting) = (signals.event(), std::mem::take(&mut signals.waiting));
        for task in waiting.into_iter().rev() {
            self.wake_for(task, since_ns, by, event)?;
        }
        Ok(())
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
        self.work.owe(task, event.sleep_ns[elsewhere].into());
        if by == Waker::Task && event.wake_ns[elsewhere] > 0 {
            self.spend(here, event.wake_ns[elsewhere].into());
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
