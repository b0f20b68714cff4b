// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks at work: they execute the programs of a workload.

mod done;
mod events;

use crate::cgroups::ROOT;
use crate::hardware::FULL;
use crate::machine::Machine;
use crate::run::Stop;
use crate::sched::{Class, Due, Orders, TaskId, Waker};
use rota_topology::{CpuId, CpuMask};
use rota_workload::{
    AWAY, EventId, Group, Period, Pieces, Program, Random, STEPS_MAX, Signals, Step, Template,
    TemplateId, Timer, Workload, away,
};
use std::collections::VecDeque;
use std::sync::Arc;

use events::Outside;

/// What a task uses of the CPU after too many steps that take no time, in ns.
const MOMENT_NS: u64 = 1_000;

/// How far a task is in its program.
#[derive(Debug)]
struct Progress {
    program: Arc<Program>,
    group: u32,
    random: Random,
    /// By how much its timers are late.
    late: Random,
    /// The next step.
    step: u32,
    /// How often it has gone back, by the counters of its loops.
    counters: Box<[u32]>,
    /// The work that it will have done when its present step ends, in parts as the task counts it.
    until: u64,
    /// When it is no longer busy, in the midst of a step of that kind.
    busy_until_ns: Option<u64>,
    /// When its period began.
    period_ns: u64,
    /// When its own timers fired last, once they are in use.
    timers: Box<[Option<u64>]>,
    /// The event that it has joined those who wait for, and not waited for since.
    joined: Option<EventId>,
    /// Counts its sleeps, so that the end of an earlier one is known for what it is.
    sleep: u64,
    /// Since when what it was woken for last is waited for.
    asked_ns: u64,
    /// When the piece of work that it has begun was asked for.
    begun_ns: Option<u64>,
    /// When it went to sleep to wait for somebody.
    waits_ns: u64,
    /// What it is woken up for and receives when it runs.
    receives: Option<EventId>,
    /// What it is woken up for takes it, if it has not run since.
    slept: Option<Slept>,
    /// Whom it is waking up, one after the other, the last first.
    wakes: Option<VecDeque<TaskId>>,
}

/// What having slept takes a task, by how long it was away from the CPU.
#[derive(Debug, Clone, Copy)]
struct Slept {
    takes_ns: [u32; AWAY],
    since_ns: u64,
}

/// What tasks have to do.
#[derive(Debug, Default)]
pub(crate) struct Work {
    workload: Arc<Workload>,
    progress: Vec<Option<Box<Progress>>>,
    events: Vec<Signals<TaskId>>,
    outside: Vec<Outside>,
    /// When timers that tasks have in common fired last, once they are in use.
    timers: Vec<Option<u64>>,
    /// The numbers of the workload's cgroups; none of one that the scheduler refused.
    cgroups: Vec<Option<u64>>,
    /// Tasks made so far.
    made: u64,
    /// Pieces of work done, by group.
    pub(crate) done: Vec<Pieces>,
    /// The end of the scheduler makes the machine stand still.
    pub(crate) stops_at_exit: bool,
    /// When this task has done a piece of work, the machine stands still.
    watched: Option<TaskId>,
    /// It has, and the machine stands still.
    pub(crate) paused: bool,
}

/// What a task does next.
enum Next {
    /// It uses the CPU for so long.
    Run(u64),
    /// It sleeps until then.
    Sleep(u64),
    /// It waits until somebody wakes it up.
    Wait,
    Yield,
    /// It comes back from the kernel, and was told to give way there.
    GiveWay,
    Exit,
    /// It runs no more on its CPU.
    Gone,
}

/// The stream of random numbers of the timers of the first task; those of others follow.
const LATE: u64 = 1 << 62;

/// The class that tasks of a kind ask for.
fn policy(kind: &Template) -> Class {
    if kind.realtime { Class::Realtime } else { Class::Ext }
}

/// What a task is called.
fn worker_name(kind: &Template, number: u64) -> String {
    format!("{}/{number}", kind.name)
}

impl Work {
    /// The number of a cgroup of the workload.
    fn cgroup(&self, place: u32) -> Option<u64> {
        self.cgroups.get(place as usize).copied().flatten()
    }

    fn of(&mut self, task: TaskId) -> Option<&mut Progress> {
        self.progress.get_mut(task.0 as usize)?.as_deref_mut()
    }

    /// What a task is woken for, or finds, has been waited for since then.
    fn asked(&mut self, task: TaskId, since_ns: u64) {
        if let Some(progress) = self.of(task) {
            progress.asked_ns = since_ns;
        }
    }

    /// A task begins to run: what having slept takes comes first.
    pub(crate) fn begin_turn(&mut self, task: TaskId, now_ns: u64) {
        let Some(progress) = self.of(task) else { return };
        let Some(Slept { takes_ns, since_ns }) = progress.slept.take() else { return };
        let ns = takes_ns[away(now_ns.saturating_sub(since_ns))];
        progress.until = progress.until.saturating_add(u64::from(ns).saturating_mul(FULL));
    }

    /// A task has done a piece of work.
    fn piece_done(&mut self, task: TaskId, now_ns: u64) {
        let Some(progress) = self.of(task) else { return };
        let since = progress.begun_ns.take();
        progress.asked_ns = now_ns;
        let group = progress.group as usize;
        self.done[group].add(since.map(|since| now_ns.saturating_sub(since)));
        self.paused |= self.watched == Some(task);
    }

    /// What a task has joined, and has so far.
    fn joined(&mut self, task: TaskId, event: Option<EventId>) -> Option<EventId> {
        std::mem::replace(&mut self.of(task)?.joined, event)
    }

    /// A task that goes to sleep repeats its step when it is woken.
    fn look_again(&mut self, task: TaskId) {
        if let Some(progress) = self.of(task) {
            progress.step -= 1;
        }
    }

    /// When a timer fires next; `None` if that time has come.
    fn timer(&mut self, task: TaskId, timer: Timer, period: Period, now_ns: u64) -> Option<u64> {
        let progress = self.progress.get_mut(task.0 as usize)?.as_deref_mut()?;
        let last_ns = match timer {
            Timer::Own(place) => progress.timers.get_mut(place as usize)?,
            Timer::Shared(place) => self.timers.get_mut(place as usize)?,
        };
        let next_ns = last_ns.unwrap_or(progress.period_ns).saturating_add(period.ns);
        let late = next_ns <= now_ns;
        *last_ns = Some(if late && !period.absolute { now_ns } else { next_ns });
        progress.asked_ns = next_ns.min(now_ns);
        (!late).then_some(next_ns)
    }
}

impl Machine {
    /// Adds a workload to what there is: makes its tasks, and wakes them up.
    pub(crate) fn add_work(&mut self, workload: Workload) -> Result<(), Stop> {
        let before = Arc::clone(&self.work.workload);
        let first = before.starts.len();
        let all = Arc::new(Workload::clone(&before).joined(workload));
        let events = all.events.iter().skip(before.events.len());
        self.work.events.extend(events.map(|event| Signals::new(*event)));
        self.work.timers.resize(all.timers as usize, None);
        self.work.done.extend(all.groups.iter().skip(before.groups.len()).map(Pieces::new));
        self.work.workload = Arc::clone(&all);
        for cgroup in all.cgroups.iter().skip(before.cgroups.len()) {
            let around = cgroup.around.and_then(|place| self.work.cgroup(place));
            let made = self.create_cgroup(around.unwrap_or(ROOT))?.ok();
            if let Some(id) = made {
                // It is there, and the weight is one.
                let _ = self.set_cgroup_weight(id, cgroup.weight)?;
            }
            self.work.cgroups.push(made);
        }
        // Round and round on the CPUs that each kind of task may use.
        let mut usable: (Option<TemplateId>, Vec<u32>) = (None, Vec::new());
        let mut made = Vec::new();
        for (turn, template) in all.starts.iter().skip(first).enumerate() {
            if usable.0 != Some(*template) {
                let kind = &all.templates[template.0 as usize];
                let online = &self.sched.online;
                let allowed = kind.cpus.as_ref().map_or(online.clone(), |cpus| cpus & online);
                usable = (Some(*template), allowed.iter().map(|cpu| cpu.0).collect());
            }
            let cpu = usable.1.get(turn % usable.1.len().max(1));
            made.extend(self.make_worker(*template, cpu.copied())?);
        }
        for task in made {
            let cpu = self.sched.task(task).cpu;
            self.on_cpu(cpu, move |machine| machine.wake_up(task))?;
        }
        self.add_sources(&all.sources[before.sources.len()..]);
        Ok(())
    }

    /// Adds one task, which is then watched, with the event that it waits for; `None` if the
    /// scheduler refuses.
    pub(crate) fn add_watched(
        &mut self,
        workload: Workload,
    ) -> Result<Option<(TaskId, EventId)>, Stop> {
        let task = TaskId(self.sched.tasks.len() as u32);
        let event = EventId(self.work.events.len() as u32);
        self.work.watched = Some(task);
        self.add_work(workload)?;
        Ok((!self.is_dead(task)).then_some((task, event)))
    }

    /// Whether nothing is to happen for now.
    pub(crate) fn stands_still(&self) -> bool {
        self.work.paused || self.work.stops_at_exit && self.ended().is_some()
    }

    /// How long tasks have run on a CPU, in ns.
    pub(crate) fn busy_ns(&self, cpu: u32) -> u64 {
        let rq = &self.sched.rqs[cpu as usize];
        let runs = rq.current.is_some();
        rq.busy_ns + if runs { self.now_ns.saturating_sub(rq.busy_until_ns) } else { 0 }
    }

    /// Makes a task with a program, which sleeps on a CPU, or on the first that it may use; `None`
    /// if the scheduler refuses.
    fn make_worker(
        &mut self,
        template: TemplateId,
        cpu: Option<u32>,
    ) -> Result<Option<TaskId>, Stop> {
        let workload = Arc::clone(&self.work.workload);
        let kind = &workload.templates[template.0 as usize];
        let all = CpuMask::range(CpuId(0), CpuId(self.shape.cpus - 1));
        let allowed = kind.cpus.clone().unwrap_or(all);
        let cpu = cpu.filter(|cpu| allowed.contains(CpuId(*cpu)));
        let number = self.work.made;
        let spawned = self.spawn(&worker_name(kind, number), &allowed, policy(kind))?;
        let Some(task) = spawned else { return Ok(None) };
        self.work.made += 1;
        if let Some(cpu) = cpu {
            self.set_cpu(task, cpu);
        }
        self.begin_work(task, kind, &workload.groups, number)?;
        Ok(Some(task))
    }

    /// A task makes another one, of a kind that may be different from its own. Nothing happens if
    /// the scheduler refuses.
    fn fork_worker(&mut self, parent: TaskId, template: TemplateId) -> Result<(), Stop> {
        let workload = Arc::clone(&self.work.workload);
        let kind = &workload.templates[template.0 as usize];
        let number = self.work.made;
        let Some(task) = self.fork(parent, Orders::Work)? else { return Ok(()) };
        self.work.made += 1;
        self.rename(task, &worker_name(kind, number));
        let all = CpuMask::range(CpuId(0), CpuId(self.shape.cpus - 1));
        let allowed = kind.cpus.as_ref().unwrap_or(&all);
        if !self.sched.task(task).allowed.iter().eq(allowed.iter()) {
            self.set_allowed(task, allowed)?;
        }
        if self.sched.task(task).policy != policy(kind) {
            self.sched.task(task).policy = policy(kind);
            self.adopt(task)?;
        }
        self.begin_work(task, kind, &workload.groups, number)
    }

    /// From now on a new task executes the program of its kind.
    fn begin_work(
        &mut self,
        task: TaskId,
        kind: &Template,
        groups: &[Group],
        number: u64,
    ) -> Result<(), Stop> {
        self.record_group(task, groups.get(kind.group as usize).map_or("", |group| &group.name));
        let progress = Progress {
            program: Arc::clone(&kind.program),
            group: kind.group,
            random: Random::stream(self.shape.seed, number),
            late: Random::stream(self.shape.seed, LATE | number),
            step: 0,
            counters: vec![0; kind.program.counters() as usize].into(),
            until: 0,
            busy_until_ns: None,
            period_ns: self.now_ns,
            timers: vec![None; kind.program.timers() as usize].into(),
            joined: None,
            sleep: 0,
            asked_ns: self.now_ns,
            begun_ns: None,
            waits_ns: 0,
            receives: None,
            slept: None,
            wakes: None,
        };
        let index = task.0 as usize;
        if self.work.progress.len() <= index {
            self.work.progress.resize_with(index + 1, || None);
        }
        self.work.progress[index] = Some(Box::new(progress));
        self.sched.task(task).orders = Orders::Work;
        if self.sched.task(task).nice != kind.nice {
            self.set_nice(task, kind.nice)?;
        }
        if kind.realtime {
            self.tell_realtime(task);
        }
        if kind.partners > 0 {
            self.know_partners(task, kind.partners);
        }
        if let Some(cgroup) = kind.cgroup.and_then(|place| self.work.cgroup(place)) {
            // A scheduler that refuses leaves it where it is.
            let _ = self.move_to_cgroup(&[task], cgroup)?;
        }
        Ok(())
    }

    /// How long a task that runs still needs the CPU for its present step, in ns.
    pub(crate) fn work_left(&mut self, task: TaskId) -> u64 {
        let cpu = self.sched.task(task).cpu;
        let spent = std::mem::take(&mut self.sched.rq(cpu).spent_ns);
        self.settle_work(task);
        let (now, speed, worked) = (self.now_ns, self.speed(cpu), self.sched.task(task).worked);
        let Some(progress) = self.work.of(task) else { return 0 };
        let start = now + spent;
        progress.stay_busy(start, worked, speed);
        if progress.until <= worked {
            // Otherwise it would have to be looked at just to be told how long it runs on.
            let more = progress.runs(start).unwrap_or(0);
            progress.until = worked.saturating_add(more.saturating_mul(FULL));
            progress.stay_busy(start, worked, speed);
        }
        progress.until = progress.until.saturating_add(spent.saturating_mul(FULL));
        (progress.until - worked).div_ceil(speed)
    }

    /// A task that runs may have come to the end of its present step.
    pub(crate) fn work_on(&mut self, task: TaskId) -> Result<(), Stop> {
        let cpu = self.sched.task(task).cpu;
        // Where no timer ends slices they end where the kernel looks: not here.
        if self.sched.fair.hrtick || self.is_ext(task) {
            self.charge(cpu);
        }
        let left = self.work_left(task);
        if left > 0 {
            self.look_after(task, left);
            return Ok(());
        }
        match self.next_step(task)? {
            Next::Run(ns) => {
                if let Some(progress) = self.work.of(task) {
                    progress.until = progress.until.saturating_add(ns.saturating_mul(FULL));
                }
                // What the steps before have cost.
                let left = self.work_left(task);
                self.look_after(task, left);
                Ok(())
            }
            Next::Sleep(until_ns) => {
                let most_ns = self.shape.platform.noise.timer_late_ns;
                if let Some(progress) = self.work.of(task) {
                    progress.sleep += 1;
                    progress.asked_ns = until_ns;
                    let due = Due::Wake(task, progress.sleep);
                    let late_ns = if most_ns > 0 { progress.late.between(0, most_ns) } else { 0 };
                    self.sched.agenda.add(until_ns.saturating_add(late_ns), due);
                }
                self.go_to_sleep(cpu, task)
            }
            Next::Wait => {
                let now_ns = self.now_ns;
                if let Some(progress) = self.work.of(task) {
                    progress.waits_ns = now_ns;
                }
                self.go_to_sleep(cpu, task)
            }
            Next::Yield => {
                self.look_after(task, 0);
                self.yield_task(cpu, task)
            }
            Next::GiveWay => {
                self.look_after(task, 0);
                self.schedule(cpu, None)
            }
            Next::Gone => Ok(()),
            Next::Exit => {
                self.work.progress[task.0 as usize] = None;
                self.exit_task(cpu, task)
            }
        }
    }

    /// A task that sleeps has slept for long enough.
    pub(crate) fn sleep_over(&mut self, task: TaskId, sleep: u64) -> Result<(), Stop> {
        if self.work.of(task).is_none_or(|progress| progress.sleep != sleep) {
            return Ok(());
        }
        // The timer is where the task went to sleep.
        let cpu = self.sched.task(task).cpu;
        self.on_cpu(cpu, move |machine| {
            machine.wake_up_by(task, Waker::Interrupt)?;
            machine.leave_kernel(cpu);
            Ok(())
        })
    }

    /// A task begins a system call of so many ns. The one before is over: if the task was told to give
    /// way there, it does so first.
    fn enter_kernel(&mut self, task: TaskId, ns: u64) -> Option<Next> {
        let now_ns = self.now_ns;
        let cpu = self.sched.task(task).cpu;
        let rq = self.sched.rq(cpu);
        if rq.resched || rq.lazy {
            self.work.look_again(task);
            return Some(Next::GiveWay);
        }
        rq.kernel_until_ns = now_ns.saturating_add(ns);
        None
    }

    /// Executes steps until one takes time.
    fn next_step(&mut self, task: TaskId) -> Result<Next, Stop> {
        let cpu = self.sched.task(task).cpu;
        let now = self.now_ns;
        for _ in 0..STEPS_MAX {
            let Some(progress) = self.work.of(task) else { return Ok(Next::Exit) };
            if let Some(event) = progress.receives.take() {
                self.record_message(task, event, false);
                continue;
            }
            if let Some(ns) = progress.runs(now) {
                return Ok(Next::Run(ns));
            }
            let step = progress.program.steps().get(progress.step as usize).copied();
            progress.step += 1;
            match step {
                None => return Ok(Next::Exit),
                Some(Step::Sleep(span)) => {
                    return Ok(Next::Sleep(now.saturating_add(span.draw(&mut progress.random))));
                }
                Some(Step::Period(period)) => {
                    progress.period_ns = progress.period_ns.saturating_add(period).max(now);
                    progress.asked_ns = now;
                    if progress.period_ns > now {
                        return Ok(Next::Sleep(progress.period_ns));
                    }
                }
                Some(Step::Timer(timer, period)) => {
                    if let Some(until_ns) = self.work.timer(task, timer, period, now) {
                        return Ok(Next::Sleep(until_ns));
                    }
                }
                Some(
                    step @ (Step::Wait(_)
                    | Step::Signal(..)
                    | Step::Broadcast(_)
                    | Step::Join(_)
                    | Step::Meet(..)),
                ) => {
                    let since = progress.begun_ns.unwrap_or(now);
                    if let Some(next) = self.meet_others(task, step, since)? {
                        return Ok(next);
                    }
                }
                Some(Step::Call(ns)) => {
                    if let Some(first) = self.enter_kernel(task, ns) {
                        return Ok(first);
                    }
                }
                Some(Step::Fork(template)) => {
                    self.fork_worker(task, template)?;
                }
                Some(Step::Nice(nice)) => self.set_nice(task, nice)?,
                Some(Step::Cpus(place)) => {
                    let program = Arc::clone(&progress.program);
                    program.mask(place).map_or(Ok(()), |cpus| self.set_allowed(task, cpus))?;
                }
                Some(Step::Yield) => return Ok(Next::Yield),
                Some(Step::Done) => self.work.piece_done(task, now),
                // There are too many of its own in a row.
                Some(
                    Step::Run(_) | Step::Busy(_) | Step::Phase | Step::Begin | Step::Repeat { .. },
                ) => {
                    progress.step -= 1;
                    break;
                }
            }
            // Who woke others up may have been told to make room; then goes on when it runs again.
            self.cpu = cpu;
            if self.sched.rq(cpu).current != Some(task) {
                return Ok(Next::Gone);
            }
        }
        Ok(Next::Run(MOMENT_NS))
    }
}

impl Progress {
    /// Who is busy computes until a point in time, whatever that comes to.
    fn stay_busy(&mut self, now_ns: u64, worked: u64, speed: u64) {
        if let Some(until_ns) = self.busy_until_ns {
            let left_ns = until_ns.saturating_sub(now_ns);
            self.until = worked.saturating_add(left_ns.saturating_mul(speed));
        }
    }

    /// Executes steps that concern nobody else until one runs; how long, if it gets that far.
    fn runs(&mut self, now_ns: u64) -> Option<u64> {
        for _ in 0..STEPS_MAX {
            match *self.program.steps().get(self.step as usize)? {
                Step::Run(span) => {
                    self.step += 1;
                    return Some(span.draw(&mut self.random));
                }
                Step::Busy(span) => {
                    let until_ns = self
                        .busy_until_ns
                        .unwrap_or_else(|| now_ns.saturating_add(span.draw(&mut self.random)));
                    if until_ns > now_ns {
                        self.busy_until_ns = Some(until_ns);
                        return Some(until_ns - now_ns);
                    }
                    self.busy_until_ns = None;
                    self.step += 1;
                }
                Step::Phase => {
                    self.step += 1;
                    self.period_ns = now_ns;
                }
                Step::Begin => {
                    self.step += 1;
                    self.begun_ns = Some(self.asked_ns);
                }
                Step::Repeat { to, times, counter } => {
                    self.step += 1;
                    self.repeat(to, times, counter);
                }
                _ => return None,
            }
        }
        None
    }

    fn repeat(&mut self, to: u32, times: Option<u32>, counter: u32) {
        let Some(times) = times else {
            self.step = to;
            return;
        };
        let Some(count) = self.counters.get_mut(counter as usize) else { return };
        *count += 1;
        if *count < times {
            self.step = to;
        } else {
            *count = 0;
        }
    }
}
