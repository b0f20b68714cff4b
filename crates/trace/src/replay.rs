// SPDX-License-Identifier: GPL-2.0-or-later
//! A recording as a workload: each task does again what it did, and waits for whom it waited for.
//!
//! A task becomes a program of its own, made of what it did between two sleeps:
//!
//! * the CPU time that it used, whatever interrupted it: under another scheduler it is interrupted
//!   elsewhere;
//! * for each wake-up that a task caused, a signal at the waker's moment, counted in its own CPU time,
//!   and a wait of the wakee: who is woken late sleeps longer, who is woken early does not sleep;
//! * for each other wake-up, by interrupts of timers and devices, a sleep as long as it was;
//! * births, at the parent's moment.
//!
//! All signals for a task are alike: who waits is woken by the first that comes, as with a pipe or a
//! socket. Since the order of what depends on each other is that of recorded time, no replay can
//! wait for ever for what was woken in the recording.

use rota_events::{CpuNumber, Event, Paged, Tables, TaskRef, What};
use rota_workload::{
    Event as Signalled, EventId, Group, Program, Span, Step, Template, TemplateId, Workload,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is signalled to nobody: who is still there at the end of the recording waits for it.
const NEVER: EventId = EventId(0);

/// How a recording became a workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayFacts {
    /// How long it is, in ns.
    pub long_ns: u64,
    /// Tasks.
    pub tasks: u64,
    /// Wake-ups that a task caused, and how many of them became dependencies.
    pub by_tasks: u64,
    /// Of these, dependencies.
    pub dependencies: u64,
    /// Wake-ups that nobody of the machine caused: sleeps keep their length.
    pub outside: u64,
    /// Ends of sleeps whose wake-up is missing; they are taken for such ones.
    pub unseen: u64,
    /// Events that are missing.
    pub lost: u64,
}

impl ReplayFacts {
    /// Which share of the wake-ups that tasks caused became dependencies; all, if there are none.
    pub fn share(&self) -> f64 {
        if self.by_tasks == 0 { 1.0 } else { self.dependencies as f64 / self.by_tasks as f64 }
    }
}

/// What a task is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Doing {
    /// It was not seen yet.
    #[default]
    Unseen,
    /// It runs since then, if that is known.
    Runs(Option<u64>),
    /// It waits for a CPU.
    Ready,
    /// It sleeps since then.
    Sleeps(u64),
}

/// What is known of a task.
#[derive(Debug, Clone, Default)]
struct Script {
    doing: Doing,
    /// CPU time since the last step.
    ran_ns: u64,
    steps: Vec<Step>,
    /// By what it is woken up.
    event: Option<EventId>,
    nice: i32,
    born: bool,
    ended: bool,
}

/// Collects a recording.
#[derive(Debug)]
pub struct Replay {
    /// What a switch takes where it is to be replayed, in ns. It is part of what was recorded.
    switch_ns: u64,
    scripts: BTreeMap<TaskRef, Script>,
    /// Tasks in the order in which they were seen.
    order: Vec<TaskRef>,
    places: BTreeMap<TaskRef, TemplateId>,
    running: Paged<Option<TaskRef>>,
    times_ns: Option<(u64, u64)>,
    events: u32,
    facts: ReplayFacts,
}

impl Replay {
    /// For a machine on which a switch takes so long, in ns: it was part of the recorded run times,
    /// and is taken off.
    pub fn new(switch_ns: u64) -> Self {
        Self {
            switch_ns,
            scripts: BTreeMap::new(),
            order: Vec::new(),
            places: BTreeMap::new(),
            running: Paged::default(),
            times_ns: None,
            events: 1,
            facts: ReplayFacts::default(),
        }
    }

    /// Takes the next event.
    pub fn add(&mut self, event: &Event) {
        let (first, last) = self.times_ns.unwrap_or((event.time_ns, event.time_ns));
        let now = last.max(event.time_ns);
        self.times_ns = Some((first, now));
        let task = event.task;
        match event.what() {
            What::Switch { from, leaves } => {
                self.leave(event.cpu, from, leaves.is_runnable(), now);
                self.come(event.cpu, task, now);
            }
            What::Waking { waker } if task.is_some() => self.wake(task, waker, now),
            What::Wakeup { waker, .. } if task.is_some() => {
                // After a waking, or of a task that was just born, it says nothing new.
                if matches!(self.script(task).doing, Doing::Unseen | Doing::Sleeps(_)) {
                    self.wake(task, waker, now);
                }
            }
            What::Fork { parent } if task.is_some() => self.fork(task, parent, now),
            What::Exit if task.is_some() => self.script(task).ended = true,
            What::Weight { nice, .. } if task.is_some() => {
                let script = self.script(task);
                if script.steps.is_empty() && script.ran_ns == 0 {
                    script.nice = nice;
                } else {
                    self.flush(task, now);
                    self.script(task).steps.push(Step::Nice(nice));
                }
            }
            What::Lost { events } => {
                self.facts.lost = self.facts.lost.saturating_add(events);
                if let Some(task) = self.running.entry(event.cpu.0).take() {
                    self.flush(task, now);
                    self.script(task).doing = Doing::Runs(None);
                }
            }
            _ => {}
        }
    }

    fn script(&mut self, task: TaskRef) -> &mut Script {
        self.scripts.entry(task).or_insert_with(|| {
            self.places.insert(task, TemplateId(self.order.len() as u32));
            self.order.push(task);
            Script::default()
        })
    }

    fn first_ns(&self) -> u64 {
        self.times_ns.map_or(0, |(first, _)| first)
    }

    /// Puts the CPU time until now into the steps.
    fn flush(&mut self, task: TaskRef, now: u64) {
        let script = self.script(task);
        if let Doing::Runs(Some(since)) = script.doing {
            script.ran_ns += now - since;
            script.doing = Doing::Runs(Some(now));
        }
        if script.ran_ns > 0 {
            script.steps.push(Step::Run(Span::Fixed(script.ran_ns)));
            script.ran_ns = 0;
        }
    }

    fn leave(&mut self, cpu: CpuNumber, task: TaskRef, runnable: bool, now: u64) {
        let on = self.running.entry(cpu.0).take();
        if !task.is_some() {
            return;
        }
        let (first, switch) = (self.first_ns(), self.switch_ns);
        let script = self.script(task);
        match script.doing {
            Doing::Unseen => script.ran_ns += now - first,
            Doing::Runs(Some(since)) if on == Some(task) => {
                // What is left of a piece that was cut by steps may be less than a switch.
                let ran = now - since;
                script.ran_ns += ran.saturating_sub(switch).max(ran.min(1));
            }
            _ => {}
        }
        script.doing = Doing::Ready;
        if !runnable {
            self.flush(task, now);
            self.script(task).doing = Doing::Sleeps(now);
        }
    }

    fn come(&mut self, cpu: CpuNumber, task: TaskRef, now: u64) {
        *self.running.entry(cpu.0) = Some(task).filter(|task| task.is_some());
        if !task.is_some() {
            return;
        }
        let script = self.script(task);
        if let Doing::Sleeps(since) = script.doing {
            script.steps.push(Step::Sleep(Span::Fixed(now - since)));
            self.facts.unseen += 1;
        }
        self.script(task).doing = Doing::Runs(Some(now));
    }

    fn wake(&mut self, task: TaskRef, waker: TaskRef, now: u64) {
        let first = self.first_ns();
        let doing = self.script(task).doing;
        let since = match doing {
            Doing::Sleeps(since) => Some(since),
            Doing::Unseen => Some(first),
            // It was about to sleep, and does not now.
            Doing::Runs(_) if waker.is_some() && waker != task => None,
            Doing::Runs(_) | Doing::Ready => return,
        };
        if since.is_some() {
            self.script(task).doing = Doing::Ready;
        }
        if waker.is_some() {
            self.facts.by_tasks += 1;
            if matches!(self.script(waker).doing, Doing::Runs(_)) {
                self.facts.dependencies += 1;
                let event = self.event(task);
                self.flush(task, now);
                self.script(task).steps.push(Step::Wait(event));
                self.flush(waker, now);
                self.script(waker).steps.push(Step::Signal(event, 1));
                return;
            }
        } else {
            self.facts.outside += 1;
        }
        if let Some(since) = since {
            self.script(task).steps.push(Step::Sleep(Span::Fixed(now - since)));
        }
    }

    fn event(&mut self, task: TaskRef) -> EventId {
        let next = EventId(self.events);
        let event = *self.script(task).event.get_or_insert(next);
        self.events += u32::from(event == next);
        event
    }

    fn fork(&mut self, child: TaskRef, parent: TaskRef, now: u64) {
        let first = self.first_ns();
        let script = self.script(child);
        if script.doing != Doing::Unseen {
            return;
        }
        script.doing = Doing::Ready;
        if !parent.is_some() || parent == child {
            script.steps.push(Step::Sleep(Span::Fixed(now - first)));
            return;
        }
        script.born = true;
        self.flush(parent, now);
        let template = self.places[&child];
        self.script(parent).steps.push(Step::Fork(template));
    }

    /// The workload, and how it was made. Groups are the names of tasks; tasks whose name is in
    /// `nice` get that nice value.
    pub fn finish(mut self, tables: &Tables, nice: &[(String, i32)]) -> (Workload, ReplayFacts) {
        let (first, last) = self.times_ns.unwrap_or_default();
        self.facts.long_ns = last - first;
        self.facts.tasks = self.order.len() as u64;
        let mut workload = Workload::default();
        workload.events = vec![Signalled::COUNTER; self.events as usize];
        let mut groups = BTreeMap::new();
        for task in std::mem::take(&mut self.order) {
            self.flush(task, last);
            let script = self.scripts.remove(&task).unwrap_or_default();
            let info = tables.task_of(task);
            let name = info.map_or("", |info| tables.text_of(info.name));
            let name = if name.is_empty() { "unknown" } else { name };
            let group = *groups.entry(name.to_owned()).or_insert_with(|| {
                workload.groups.push(Group { name: name.to_owned(), deadline_ns: None });
                workload.groups.len() as u32 - 1
            });
            let wanted = nice.iter().find(|(of, _)| of == name).map(|(_, nice)| *nice);
            let mut steps = script.steps;
            if !script.ended {
                steps.push(Step::Wait(NEVER));
            }
            let program = steps.into_iter().fold(Program::default(), Program::then);
            if !script.born {
                workload.starts.push(TemplateId(workload.templates.len() as u32));
            }
            workload.templates.push(Template {
                name: name.to_owned(),
                group,
                nice: wanted.unwrap_or(script.nice),
                cpus: None,
                cgroup: None,
                realtime: false,
                program: Arc::new(program),
            });
        }
        (workload, self.facts)
    }
}
