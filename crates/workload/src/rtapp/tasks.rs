// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks for a simulated machine: the actions of a file as steps.
//!
//! Each task of a file is a group. A piece of its work is one time through a phase: it begins with
//! the first action that computes, and is done with the last that does not wait.

use super::{Action, Loops, Phase, Policy, Position, Remark, RtApp, RtAppError, Settings, Task};
use crate::program::{
    Cgroup, Event, EventId, Group, Period, Program, Step, Template, TemplateId, Timer, Workload,
};
use crate::span::Span;
use rota_topology::{CpuId, CpuMask};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names of tasks get a number behind them, and have 15 bytes in all.
const NAME_MAX: usize = 10;
const NS_IN_US: u64 = 1000;

impl RtApp {
    /// The tasks for a machine with so many CPUs, and what of the file is not modelled.
    ///
    /// # Errors
    /// A CPU that the machine has not, with its place.
    pub fn workload(&self, cpus: u32) -> Result<(Workload, Vec<Remark>), RtAppError> {
        let mut making = Making::new(self, cpus);
        making.warnings.extend_from_slice(&self.warnings);
        if self.global.inherits_priority {
            let at = Position { line: 1, column: 1 };
            making.not_modelled(at, "pi_enabled", "locks do not inherit priority");
        }
        for task in &self.tasks {
            making.task(task);
        }
        making.warnings.sort();
        if making.mistakes.is_empty() {
            return Ok((making.workload, making.warnings));
        }
        Err(RtAppError(making.mistakes))
    }
}

/// What events and timers are known by: what kind, and the name.
type Key = (&'static str, String);

struct Making<'a> {
    file: &'a RtApp,
    cpus: u32,
    workload: Workload,
    events: BTreeMap<Key, EventId>,
    shared: BTreeMap<String, u32>,
    /// Cgroups by their paths.
    cgroups: BTreeMap<String, u32>,
    /// How many meet at each barrier.
    meeting: BTreeMap<&'a str, u32>,
    mistakes: Vec<Remark>,
    warnings: Vec<Remark>,
    /// What has been said not to be modelled.
    said: BTreeSet<&'static str>,
}

/// Whether an action only waits.
fn waits(action: &Action) -> bool {
    match action {
        Action::Sleep(_)
        | Action::Timer { .. }
        | Action::Wait(..)
        | Action::Sync(..)
        | Action::Barrier(_)
        | Action::Suspend(_)
        | Action::Yield
        | Action::Take(_) => true,
        Action::Run(_)
        | Action::Runtime(_)
        | Action::Lock(_)
        | Action::Unlock(_)
        | Action::Signal(_)
        | Action::Broadcast(_)
        | Action::Resume(_)
        | Action::Fork(_)
        | Action::Post(_)
        | Action::Memory(_)
        | Action::Io(_)
        | Action::MemoryRun(..) => false,
    }
}

fn fixed(us: u64) -> Span {
    Span::Fixed(us.saturating_mul(NS_IN_US))
}

fn times(loops: Loops) -> Option<u32> {
    match loops {
        Loops::Times(times) => Some(times),
        Loops::Forever => None,
    }
}

impl<'a> Making<'a> {
    fn new(file: &'a RtApp, cpus: u32) -> Self {
        let (mut meeting, mut warnings) = (BTreeMap::new(), Vec::new());
        for task in &file.tasks {
            let mut own = BTreeSet::new();
            for (at, action) in task.phases.iter().flat_map(|phase| &phase.actions) {
                if let Action::Barrier(name) = action {
                    *meeting.entry(name.as_str()).or_insert(0) += task.instances;
                    if !own.insert(name) {
                        let text = format!(
                            "barrier: {} names {name} once more, and counts as another one that \
                             has to be there",
                            task.name
                        );
                        warnings.push(Remark { at: *at, text });
                    }
                }
            }
        }
        Self {
            file,
            cpus,
            workload: Workload::default(),
            events: BTreeMap::new(),
            shared: BTreeMap::new(),
            cgroups: BTreeMap::new(),
            meeting,
            mistakes: Vec::new(),
            warnings,
            said: BTreeSet::new(),
        }
    }

    /// Says, once for the file, that something is not modelled, and what happens instead.
    fn not_modelled(&mut self, at: Position, what: &'static str, instead: &str) {
        if self.said.insert(what) {
            let text = format!("{what} is not modelled: {instead}");
            self.warnings.push(Remark { at, text });
        }
    }

    /// The event of a name.
    fn event(&mut self, kind: &'static str, name: &str, event: Event) -> EventId {
        let events = &mut self.workload.events;
        *self.events.entry((kind, name.to_owned())).or_insert_with(|| {
            events.push(event);
            EventId(events.len() as u32 - 1)
        })
    }

    fn lock(&mut self, name: &str) -> EventId {
        self.event("lock", name, Event::LOCK)
    }

    fn condition(&mut self, name: &str) -> EventId {
        self.event("condition", name, Event::CONDITION)
    }

    fn task(&mut self, task: &'a Task) {
        let id = TemplateId(self.workload.templates.len() as u32);
        let policy = task.settings.policy.unwrap_or(self.file.global.policy);
        let realtime = self.realtime(policy, task.at);
        self.check(&task.settings, task.at);
        let group = self.workload.groups.len() as u32;
        self.workload.groups.push(Group { name: task.name.clone(), deadline_ns: None });
        let cgroup = task.settings.group.as_deref().and_then(|path| self.cgroup(path));
        let program = self.program(task);
        let name = task.name.chars().filter(char::is_ascii).take(NAME_MAX).collect();
        self.workload.templates.push(Template {
            name,
            group,
            nice: nice(policy, &task.settings),
            partners: 0,
            cpus: task.settings.cpus.clone(),
            cgroup,
            realtime,
            program: Arc::new(program),
        });
        self.workload.starts.extend(std::iter::repeat_n(id, task.instances as usize));
    }

    /// The cgroup with a path, in those that its path names; `None` for the outermost.
    fn cgroup(&mut self, path: &str) -> Option<u32> {
        let mut around = None;
        let mut name = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            name = format!("{name}/{part}");
            let known = self.cgroups.get(&name).copied();
            around = Some(known.unwrap_or_else(|| {
                self.workload.cgroups.push(Cgroup { around, weight: 100 });
                let place = self.workload.cgroups.len() as u32 - 1;
                self.cgroups.insert(name.clone(), place);
                place
            }));
        }
        around
    }

    /// Whether a policy is one of real time, and what is not modelled of it.
    fn realtime(&mut self, policy: Policy, at: Position) -> bool {
        match policy {
            Policy::Other => false,
            Policy::Batch => {
                self.not_modelled(at, "SCHED_BATCH", "it counts as SCHED_OTHER");
                false
            }
            Policy::Idle => {
                self.not_modelled(at, "SCHED_IDLE", "it counts as SCHED_OTHER with a nice of 19");
                false
            }
            Policy::Fifo | Policy::RoundRobin => {
                let instead = "all real-time tasks are equal, in order of arrival";
                self.not_modelled(at, "the priority of real-time tasks", instead);
                true
            }
            Policy::Deadline => {
                self.not_modelled(at, "SCHED_DEADLINE", "it counts as a real-time task");
                true
            }
        }
    }

    /// What of some settings is not modelled, or not there.
    fn check(&mut self, settings: &Settings, at: Position) {
        let place = |key: &str| settings.places.get(key).copied().unwrap_or(at);
        let last = settings.cpus.as_ref().and_then(CpuMask::last);
        if let Some(last) = last.filter(|last| last.0 >= self.cpus) {
            let text = format!("cpus: there is no CPU {}; the machine has {}", last.0, self.cpus);
            self.mistakes.push(Remark { at: place("cpus"), text });
        }
        if settings.clamp != [None; 2] {
            let at = place(if settings.clamp[0].is_some() { "util_min" } else { "util_max" });
            self.not_modelled(at, "util_min and util_max", "utilisation is not clamped");
        }
        if settings.memory_nodes.is_some() {
            self.not_modelled(place("nodes_membind"), "nodes_membind", "memory has no place");
        }
        let other = settings.policy != Some(Policy::Deadline);
        if settings.deadline_us != [None; 3] && other {
            self.not_modelled(
                place("dl-runtime"),
                "dl-runtime of other tasks",
                "slices are the scheduler's",
            );
        }
    }

    fn program(&mut self, task: &'a Task) -> Program {
        let mut program = Program::default();
        if task.delay_us > 0 {
            program = program.then(Step::Sleep(fixed(task.delay_us)));
        }
        // From here on, timers count.
        program = program.then(Step::Phase);
        let mut doing = Doing { task, program, timers: BTreeMap::new(), held: BTreeSet::new() };
        let start = doing.program.place();
        for phase in &task.phases {
            self.phase(phase, &mut doing);
        }
        match task.loops {
            Loops::Times(0) => Program::default(),
            loops => doing.program.back(start, times(loops)),
        }
    }

    fn phase(&mut self, phase: &'a Phase, doing: &mut Doing<'a>) {
        self.change(phase, doing);
        if phase.loops == Loops::Times(0) {
            return;
        }
        let computes = |action: &Action| matches!(action, Action::Run(_) | Action::Runtime(_));
        let first = phase.actions.iter().position(|(_, action)| computes(action));
        let last = phase.actions.iter().rposition(|(_, action)| !waits(action));
        let last = last.unwrap_or(phase.actions.len().saturating_sub(1));
        let start = doing.program.place();
        for (i, (at, action)) in phase.actions.iter().enumerate() {
            if first == Some(i) {
                doing.then(Step::Begin);
            }
            self.action(*at, action, doing);
            if last == i {
                doing.then(Step::Done);
            }
        }
        let program = std::mem::take(&mut doing.program);
        doing.program = program.back(start, times(phase.loops));
    }

    /// What changes before a phase.
    fn change(&mut self, phase: &'a Phase, doing: &mut Doing<'a>) {
        let (at, settings) = (phase.at, &phase.settings);
        self.check(settings, at);
        if settings.group.is_some() {
            let at = settings.places.get("taskgroup").copied().unwrap_or(at);
            self.not_modelled(at, "taskgroup of a phase", "the task stays in its own");
        }
        let task = doing.task;
        if task.phases.iter().any(|phase| phase.settings.cpus.is_some()) {
            // Where a phase says nothing, the task's own CPUs hold again.
            let own = settings.cpus.as_ref().or(task.settings.cpus.as_ref()).cloned();
            let all = CpuMask::range(CpuId(0), CpuId(self.cpus.saturating_sub(1)));
            let program = std::mem::take(&mut doing.program);
            doing.program = program.then_cpus(&own.unwrap_or(all));
        }
        let own = task.settings.policy.unwrap_or(self.file.global.policy);
        let policy = settings.policy.unwrap_or(own);
        let realtime = [own, policy].map(|policy| self.realtime(policy, at));
        if realtime[0] != realtime[1] {
            self.not_modelled(at, "a policy that changes", "the task keeps that of its start");
        } else if settings.priority.is_some() || settings.policy.is_some() {
            doing.then(Step::Nice(nice(policy, settings)));
        }
    }

    fn action(&mut self, at: Position, action: &'a Action, doing: &mut Doing<'a>) {
        match action {
            Action::Run(us) => doing.then(Step::Run(fixed(*us))),
            Action::Runtime(us) => doing.then(Step::Busy(fixed(*us))),
            Action::Sleep(us) => doing.then(Step::Sleep(fixed(*us))),
            Action::Timer { name, period_us, unique, absolute } => {
                let period = Period { ns: period_us.saturating_mul(NS_IN_US), absolute: *absolute };
                let timer = if *unique { doing.timer(name) } else { self.timer(name) };
                doing.then(Step::Timer(timer, period));
            }
            Action::Yield => doing.then(Step::Yield),
            Action::Fork(name) => {
                let found = self.file.tasks.iter().position(|task| task.name == *name);
                if let Some(place) = found {
                    doing.then(Step::Fork(TemplateId(place as u32)));
                }
            }
            Action::Memory(_) => self.not_modelled(at, "mem", "it takes no time"),
            Action::MemoryRun(..) => self.not_modelled(at, "memrun", "it takes no time"),
            Action::Io(_) => self.not_modelled(at, "iorun", "it takes no time"),
            other => self.together(at, other, doing),
        }
    }

    /// What concerns other tasks.
    fn together(&mut self, at: Position, action: &'a Action, doing: &mut Doing<'a>) {
        match action {
            Action::Lock(name) => {
                doing.held.insert(name);
                let lock = self.lock(name);
                doing.then(Step::Wait(lock));
            }
            Action::Unlock(name) => {
                if !doing.held.remove(name.as_str()) {
                    let text = format!("unlock: {name} is not locked here");
                    self.warnings.push(Remark { at, text });
                }
                let lock = self.lock(name);
                doing.then(Step::Signal(lock, 1));
            }
            Action::Signal(name) => {
                let condition = self.condition(name);
                doing.then(Step::Signal(condition, 1));
            }
            Action::Broadcast(name) => {
                let condition = self.condition(name);
                doing.then(Step::Broadcast(condition));
            }
            Action::Wait(name, mutex) => self.wait(at, (name, mutex), false, doing),
            Action::Sync(name, mutex) => self.wait(at, (name, mutex), true, doing),
            Action::Barrier(name) => {
                let barrier = self.event("barrier", name, Event::CONDITION);
                let count = self.meeting.get(name.as_str()).copied().unwrap_or(0);
                doing.then(Step::Meet(barrier, count));
            }
            Action::Suspend(name) => {
                let own = doing.task.name.as_str();
                let name = name.as_deref().unwrap_or(own);
                if name != own {
                    let text = format!("suspend: rt-app itself takes the task's own name, {own}");
                    self.warnings.push(Remark { at, text });
                }
                let resumed = self.event("task", name, Event::CONDITION);
                doing.then(Step::Wait(resumed));
            }
            Action::Resume(name) => {
                let other = self.event("task", name, Event::CONDITION);
                doing.then(Step::Broadcast(other));
            }
            Action::Post(name) => {
                let semaphore = self.event("semaphore", name, Event::COUNTER);
                doing.then(Step::Signal(semaphore, 1));
            }
            Action::Take(name) => {
                let semaphore = self.event("semaphore", name, Event::COUNTER);
                doing.then(Step::Wait(semaphore));
            }
            _ => {}
        }
    }

    /// A timer that tasks have in common.
    fn timer(&mut self, name: &str) -> Timer {
        let next = &mut self.workload.timers;
        Timer::Shared(*self.shared.entry(name.to_owned()).or_insert_with(|| {
            *next += 1;
            *next - 1
        }))
    }

    /// Waits for a condition, which it may signal before; the mutex is unlocked meanwhile.
    fn wait(
        &mut self,
        at: Position,
        (name, mutex): (&str, &'a str),
        signals: bool,
        doing: &mut Doing<'a>,
    ) {
        let (condition, lock) = (self.condition(name), self.lock(mutex));
        // Who syncs locks the mutex for that, if it has not.
        let locks = signals && !doing.held.contains(mutex);
        if locks {
            doing.then(Step::Wait(lock));
        }
        if signals {
            doing.then(Step::Signal(condition, 1));
        }
        for step in [Step::Join(condition), Step::Signal(lock, 1), Step::Wait(condition)] {
            doing.then(step);
        }
        if locks {
            doing.then(Step::Wait(lock));
            doing.then(Step::Signal(lock, 1));
        } else if doing.held.contains(mutex) {
            doing.then(Step::Wait(lock));
        } else {
            let text = format!("wait: {mutex} is not locked here");
            self.warnings.push(Remark { at, text });
        }
    }
}

/// The nice value of a task, or of a phase.
fn nice(policy: Policy, settings: &Settings) -> i32 {
    match policy {
        Policy::Idle => 19,
        Policy::Other | Policy::Batch => settings.priority.unwrap_or(0).clamp(-20, 19),
        Policy::Fifo | Policy::RoundRobin | Policy::Deadline => 0,
    }
}

/// A program that is being made.
struct Doing<'a> {
    task: &'a Task,
    program: Program,
    /// Timers of its own.
    timers: BTreeMap<&'a str, u32>,
    /// The locks that it has here.
    held: BTreeSet<&'a str>,
}

impl<'a> Doing<'a> {
    fn then(&mut self, step: Step) {
        let program = std::mem::take(&mut self.program);
        self.program = program.then(step);
    }

    fn timer(&mut self, name: &'a str) -> Timer {
        let next = self.program.timers();
        if !self.timers.contains_key(name) {
            let program = std::mem::take(&mut self.program);
            self.program = program.with_timer();
        }
        Timer::Own(*self.timers.entry(name).or_insert(next))
    }
}
