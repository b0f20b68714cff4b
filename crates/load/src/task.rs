// SPDX-License-Identifier: GPL-2.0-or-later
//! A thread that executes a program: what each step means is what it means in the simulator.

use crate::compute::Worker;
use crate::sleeper::{Sleeper, Woken};
use crate::usage::Usage;
use crate::world::{World, lock};
use crate::{job, run};
use rota_events::TaskUse;
use rota_kernel::{now_ns, thread_switches};
use rota_workload::{
    EventId, Period, Pieces, Program, Random, STEPS_MAX, Step, Template, TemplateId, Timer,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a task uses of the CPU after too many steps that take no time, in ns.
const MOMENT_NS: u64 = 1_000;

/// How it goes on behind a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    /// At once.
    On,
    /// After some time.
    Later,
    /// Not at all: the run is over.
    Over,
}

impl From<bool> for Go {
    fn from(goes_on: bool) -> Self {
        if goes_on { Self::Later } else { Self::Over }
    }
}

/// A thread with a program.
pub(crate) struct Task<'a> {
    world: &'a Arc<World>,
    kind: &'a Template,
    sleeper: Arc<Sleeper>,
    random: Random,
    worker: Worker<'a>,
    /// The next step.
    step: usize,
    counters: Vec<u32>,
    /// When its period began.
    period_ns: u64,
    /// When its own timers fired last, once they are in use.
    timers: Vec<Option<u64>>,
    /// The event that it has joined those who wait for, and whether it waits.
    joined: Option<(EventId, bool)>,
    /// Since when what it was woken for last is waited for.
    asked_ns: u64,
    /// When the piece of work that it has begun was asked for.
    begun_ns: Option<u64>,
    used: TaskUse,
    /// Switches that came of yielding.
    yielded: u64,
    pieces: Pieces,
}

impl<'a> Task<'a> {
    /// A task that begins now, by the calling thread.
    pub(crate) fn new(
        world: &'a Arc<World>,
        template: TemplateId,
        number: u64,
        sleeper: Arc<Sleeper>,
    ) -> Self {
        let kind = &world.workload.templates[template.0 as usize];
        Self {
            world,
            kind,
            sleeper,
            random: Random::stream(world.seed, number),
            worker: Worker::new(world.calibration, &world.cpus),
            step: 0,
            counters: vec![0; kind.program.counters() as usize],
            period_ns: 0,
            timers: vec![None; kind.program.timers() as usize],
            joined: None,
            asked_ns: 0,
            begun_ns: None,
            used: TaskUse::default(),
            yielded: 0,
            pieces: Pieces::new(&world.workload.groups[kind.group as usize]),
        }
    }

    /// Executes the program, which began at that time; who woke the thread for it did so then.
    pub(crate) fn execute(&mut self, began_ns: u64, woken_ns: u64) {
        (self.period_ns, self.asked_ns) = (began_ns, began_ns);
        self.awake(woken_ns, now_ns());
        let program = Arc::clone(&self.kind.program);
        let mut in_a_row = 0;
        while let Some(step) = program.steps().get(self.step).copied() {
            self.step += 1;
            in_a_row += 1;
            match self.one(&program, step) {
                Go::On => {}
                Go::Later => in_a_row = 0,
                Go::Over => return,
            }
            if in_a_row >= STEPS_MAX {
                in_a_row = 0;
                if !self.work(MOMENT_NS) {
                    return;
                }
            }
        }
    }

    /// Tells what it has used and done since then.
    pub(crate) fn finish(mut self, before: Usage) {
        let used = Usage::now().since(before);
        let end_ns = self.world.end_ns();
        if let Some(since_ns) = self.begun_ns {
            self.pieces.add_open(end_ns.min(now_ns()).saturating_sub(since_ns), 1);
        }
        self.used.run_ns = used.run_ns;
        if let Some((wait_ns, switches)) = used.waited {
            (self.used.wait_ns, self.used.switches) = (wait_ns, switches);
        } else {
            self.world.counted.store(false, Ordering::Relaxed);
        }
        self.used.preemptions = used.involuntary.saturating_sub(self.yielded);
        self.used.migrations = self.worker.migrations;
        let mut group = lock(&self.world.groups[self.kind.group as usize]);
        group.tasks += 1;
        group.used.merge(&self.used);
        group.pieces.merge(&self.pieces);
    }

    fn one(&mut self, program: &Program, step: Step) -> Go {
        match step {
            Step::Run(span) => {
                let ns = span.draw(&mut self.random);
                self.work(ns).into()
            }
            Step::Busy(span) => {
                let until_ns = now_ns().saturating_add(span.draw(&mut self.random));
                let world = self.world;
                self.worker.busy(until_ns, |now| now >= world.end_ns()).into()
            }
            Step::Sleep(span) => {
                let until_ns = now_ns().saturating_add(span.draw(&mut self.random));
                self.sleep(until_ns)
            }
            Step::Phase => {
                self.period_ns = now_ns();
                Go::On
            }
            Step::Period(ns) => {
                let now = now_ns();
                self.period_ns = self.period_ns.saturating_add(ns).max(now);
                self.asked_ns = now;
                if self.period_ns > now { self.sleep(self.period_ns) } else { Go::On }
            }
            Step::Timer(timer, period) => self.timer(timer, period),
            Step::Begin => {
                self.begun_ns = Some(self.asked_ns);
                Go::On
            }
            Step::Done => self.done(),
            Step::Repeat { to, times, counter } => {
                self.repeat(to, times, counter);
                Go::On
            }
            Step::Fork(template) => {
                run::fork(self.world, template);
                Go::On
            }
            Step::Nice(_) | Step::Cpus(_) => {
                self.change(program, step);
                Go::On
            }
            Step::Yield => {
                let before = thread_switches().involuntary;
                rustix::thread::sched_yield();
                self.yielded += thread_switches().involuntary - before;
                self.used.yields += 1;
                self.worker.look();
                Go::On
            }
            // System calls are those that threads do.
            Step::Call(_) => Go::On,
            Step::Wait(_)
            | Step::Signal(..)
            | Step::Broadcast(_)
            | Step::Join(_)
            | Step::Meet(..) => self.meet(step),
        }
    }

    fn work(&mut self, ns: u64) -> bool {
        let world = self.world;
        self.worker.work(ns, |now| now >= world.end_ns())
    }

    /// It was woken at that time, or its sleep was to end then, and it runs.
    fn awake(&mut self, due_ns: u64, now_ns: u64) {
        self.used.wakeups += 1;
        self.used.latency.add(now_ns.saturating_sub(due_ns));
        self.worker.look();
    }

    fn sleep(&mut self, until_ns: u64) -> Go {
        self.asked_ns = until_ns;
        let world = self.world;
        match Sleeper::sleep(until_ns, || world.end_ns()) {
            Some(now) => {
                self.awake(until_ns, now);
                Go::Later
            }
            None => Go::Over,
        }
    }

    fn timer(&mut self, timer: Timer, period: Period) -> Go {
        let now = now_ns();
        let mut shared = self.world.shared_timer(timer);
        let last_ns = match (timer, &mut shared) {
            (Timer::Own(place), _) => self.timers.get_mut(place as usize),
            (Timer::Shared(_), Some(last_ns)) => Some(&mut **last_ns),
            (Timer::Shared(_), None) => None,
        };
        let Some(last_ns) = last_ns else { return Go::On };
        let next_ns = last_ns.unwrap_or(self.period_ns).saturating_add(period.ns);
        let late = next_ns <= now;
        *last_ns = Some(if late && !period.absolute { now } else { next_ns });
        drop(shared);
        self.asked_ns = next_ns;
        if late { Go::On } else { self.sleep(next_ns) }
    }

    /// A piece of work is done, unless the run was over before.
    fn done(&mut self) -> Go {
        let now = now_ns();
        if now >= self.world.end_ns() {
            return Go::Over;
        }
        let since = self.begun_ns.take();
        self.pieces.add(since.map(|since| now.saturating_sub(since)));
        self.asked_ns = now;
        Go::On
    }

    fn repeat(&mut self, to: u32, times: Option<u32>, counter: u32) {
        let Some(times) = times else {
            self.step = to as usize;
            return;
        };
        let Some(count) = self.counters.get_mut(counter as usize) else { return };
        *count += 1;
        if *count < times {
            self.step = to as usize;
        } else {
            *count = 0;
        }
    }

    /// Changes how it is scheduled.
    fn change(&mut self, program: &Program, step: Step) {
        let changed = match step {
            Step::Nice(nice) => rustix::process::setpriority_process(None, nice),
            Step::Cpus(place) => program.mask(place).map_or(Ok(()), |cpus| {
                let changed = job::run_on(&cpus.intersection(&self.world.allowed));
                self.worker.look();
                changed
            }),
            _ => Ok(()),
        };
        if let Err(error) = changed {
            lock(&self.world.changes_failed).add(&error);
        }
    }

    /// A step by which tasks meet.
    fn meet(&mut self, step: Step) -> Go {
        let world = self.world;
        match step {
            Step::Wait(id) => return self.wait_for(id),
            Step::Signal(id, times) => {
                world.event(id).signal(times, self.begun_ns.unwrap_or_else(now_ns));
            }
            Step::Broadcast(id) => {
                world.event(id).broadcast(self.begun_ns.unwrap_or_else(now_ns));
            }
            Step::Join(id) => {
                let taken = world.event(id).wait_for(&self.sleeper);
                self.asked_ns = taken.unwrap_or(self.asked_ns);
                self.joined = Some((id, taken.is_none()));
            }
            Step::Meet(id, count) if world.event(id).gather(&self.sleeper, count) => {
                return self.until_woken().map_or(Go::Over, |()| Go::Later);
            }
            _ => {}
        }
        Go::On
    }

    fn wait_for(&mut self, id: EventId) -> Go {
        let event = self.world.event(id);
        let joined = self.joined.take().filter(|(joined, _)| *joined == id);
        let mut waits = joined.map(|(_, waits)| waits);
        loop {
            // Who has not joined before does so now.
            let waits = waits.take().unwrap_or_else(|| {
                let taken = event.wait_for(&self.sleeper);
                self.asked_ns = taken.unwrap_or(self.asked_ns);
                taken.is_none()
            });
            if !waits {
                return Go::On;
            }
            if self.until_woken().is_none() {
                return Go::Over;
            }
            if !event.looks_again() {
                return Go::Later;
            }
        }
    }

    /// Sleeps until somebody wakes it; `None` if the end comes before.
    fn until_woken(&mut self) -> Option<()> {
        let world = self.world;
        let Woken { at_ns, asked_ns, slept } = self.sleeper.wait(|| world.end_ns())?;
        let now = now_ns();
        self.asked_ns = asked_ns;
        if slept {
            self.awake(at_ns, now);
        }
        Some(())
    }
}
