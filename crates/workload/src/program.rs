// SPDX-License-Identifier: GPL-2.0-or-later
//! What tasks do, as data: a small program for each kind of task.
//!
//! A [`Workload`] has templates of tasks, how many of each exist at the start, and events by which
//! they wait for each other. Time that a step takes is a [`Span`], which each task draws from
//! random numbers of its own.

use crate::Span;
use rota_topology::CpuMask;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Steps that may follow one another without taking time. After so many, a task uses a moment of
/// CPU time, so that a program whose steps all take none does not stop the world.
pub const STEPS_MAX: u32 = 1000;

/// An event that tasks signal and wait for, by its place in [`Workload::events`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId(pub u32);

/// An event: a semaphore, a lock, a flag or a condition, by how many signals it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Signals that there are from the start. An event that has any is leave to do something, and
    /// nothing that is asked for.
    pub initial: u32,
    /// The most signals that are kept for those who will wait. None is kept of a condition, one
    /// of a lock or a flag; others are lost.
    pub most: u32,
    /// Who signals it says that it is about to sleep, as the kernel does for pipes and sockets.
    pub sync: bool,
    /// If not 0, nobody is woken before so many signals are kept: then all who wait are, the last
    /// to come first, and each looks again whether there is a signal left. So a kernel wakes those
    /// who wait for room in a socket.
    pub wakes_at: u32,
    /// What it takes who signals to wake somebody up on the same CPU, and on another one, in ns of CPU
    /// time.
    pub wake_ns: [u32; 2],
    /// What having slept takes who is woken up so, in ns of CPU time: from the same CPU, from another
    /// one, and by [`away`] from the CPU.
    pub sleep_ns: [[u32; AWAY]; 2],
}

/// Into so many kinds falls how long a task was away from the CPU.
pub const AWAY: usize = 9;

/// The kind of so many ns: less than 16 us, four times as much, and so on; from 0.27 s on is the last.
pub fn away(ns: u64) -> usize {
    let fours = (ns >> 14).checked_ilog2().map_or(0, |twos| 1 + twos as usize / 2);
    fours.min(AWAY - 1)
}

impl Event {
    /// It keeps every signal.
    pub const COUNTER: Self = Self {
        initial: 0,
        most: u32::MAX,
        sync: false,
        wakes_at: 0,
        wake_ns: [0; 2],
        sleep_ns: [[0; AWAY]; 2],
    };
    /// It keeps one signal.
    pub const FLAG: Self = Self { most: 1, ..Self::COUNTER };
    /// It keeps no signal.
    pub const CONDITION: Self = Self { most: 0, ..Self::COUNTER };
    /// Waiting for it locks it, and a signal unlocks it.
    pub const LOCK: Self = Self { initial: 1, most: 1, ..Self::COUNTER };
}

/// A template, by its place in [`Workload::templates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateId(pub u32);

/// A timer that tasks sleep by, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// One that each task has for itself.
    Own(u32),
    /// One of the workload, which tasks have in common.
    Shared(u32),
}

/// How a timer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From one time that it fires to the next, in ns.
    pub ns: u64,
    /// Whether periods go on as if nobody had been late; else the next period counts from when
    /// somebody was.
    pub absolute: bool,
}

/// One step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Computes: so much CPU time of the fastest CPU.
    Run(Span),
    /// Is busy until so much time has passed, on whatever CPU, and even if it waits for one.
    Busy(Span),
    /// Sleeps.
    Sleep(Span),
    /// Periods count from here; without this step, from the start of the task.
    Phase,
    /// Sleeps until the next period begins. Who is late goes on at once, and the next period
    /// counts from then.
    Period(u64),
    /// Sleeps until a timer fires, which it does once every period. The first period begins with
    /// the [`Step::Phase`] of who uses the timer first.
    Timer(Timer, Period),
    /// Waits until the event is signalled, if it has not been.
    Wait(EventId),
    /// Signals an event so many times: each wakes one task that waits, or is kept for one that
    /// will.
    Signal(EventId, u32),
    /// Wakes all who wait for an event.
    Broadcast(EventId),
    /// Is among those who wait for an event from now on, and goes on; the [`Step::Wait`] for it
    /// that follows sleeps if the event has not been signalled by then.
    Join(EventId),
    /// Waits for an event until so many wait for it, all but the last; the last wakes them.
    Meet(EventId, u32),
    /// Makes a task.
    Fork(TemplateId),
    /// Changes its nice value.
    Nice(i32),
    /// Changes the CPUs that it may run on, to a mask of its program by its place.
    Cpus(u32),
    /// A system call begins that takes so many ns, with the steps that follow. Until its end the task
    /// does not give way, as in kernels that are not preempted in system calls.
    Call(u64),
    /// Gives way.
    Yield,
    /// A piece of work begins. It was asked for when the task was woken for the last time: when
    /// its sleep or period ended, or when the event was signalled that it waited for; or when it
    /// had done a piece since then. Who signals in the midst of a piece of work hands it on: what
    /// comes of the signal was asked for when that piece was.
    Begin,
    /// A piece of work is done, and counted, with the time since it was asked for if there was a
    /// [`Step::Begin`].
    Done,
    /// Goes back to an earlier step; so many times in all, or always. `counter` is of this step
    /// only.
    Repeat {
        /// The step to go back to.
        to: u32,
        /// How often; `None` without end.
        times: Option<u32>,
        /// Where the task counts.
        counter: u32,
    },
}

/// What a task does. After the last step it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    steps: Vec<Step>,
    counters: u32,
    timers: u32,
    masks: Vec<CpuMask>,
}

impl Program {
    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many counters its loops need.
    pub fn counters(&self) -> u32 {
        self.counters
    }

    /// How many timers of their own its tasks have.
    pub fn timers(&self) -> u32 {
        self.timers
    }

    /// A mask that a step changes to.
    pub fn mask(&self, place: u32) -> Option<&CpuMask> {
        self.masks.get(place as usize)
    }

    /// The same with one timer more that each task has for itself, [`Timer::Own`] with the number
    /// that there were.
    #[must_use]
    pub fn with_timer(mut self) -> Self {
        self.timers += 1;
        self
    }

    /// The same with a step that changes the CPUs.
    #[must_use]
    pub fn then_cpus(mut self, cpus: &CpuMask) -> Self {
        let known = self.masks.iter().position(|mask| mask == cpus);
        let place = known.unwrap_or_else(|| {
            self.masks.push(cpus.clone());
            self.masks.len() - 1
        });
        self.then(Step::Cpus(place as u32))
    }

    /// The same with one step more.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same with steps in a loop: so many times, or without end.
    #[must_use]
    pub fn repeated(mut self, times: Option<u32>, body: impl IntoIterator<Item = Step>) -> Self {
        let to = self.place();
        self.steps.extend(body);
        self.back(to, times)
    }

    /// Where the next step will be, for [`Program::back`].
    pub fn place(&self) -> u32 {
        self.steps.len() as u32
    }

    /// The same with a way back to an earlier place: what is between happens so many times, or
    /// without end.
    #[must_use]
    pub fn back(mut self, to: u32, times: Option<u32>) -> Self {
        let counter = times.map_or(0, |_| self.counters);
        self.counters += u32::from(times.is_some());
        self.steps.push(Step::Repeat { to, times, counter });
        self
    }
}

/// A kind of task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name, which tasks get with a number.
    pub name: String,
    /// The group that its tasks are counted in, by its place in [`Workload::groups`].
    pub group: u32,
    /// Nice value.
    pub nice: i32,
    /// How often who makes it had woken up another task than the time before (kernel:
    /// `wakee_flips`): many wake-ups by a task, or of one, that has many partners leave who wakes up
    /// where it was. 0: as often as in the run.
    pub partners: u32,
    /// The CPUs that it may run on; all if not said.
    pub cpus: Option<CpuMask>,
    /// The cgroup that its tasks are in, by its place in [`Workload::cgroups`]; the machine's
    /// outermost, or that of who makes them, if not said.
    pub cgroup: Option<u32>,
    /// Whether its tasks are of the real-time class.
    pub realtime: bool,
    /// What it does.
    pub program: Arc<Program>,
}

/// Tasks that are told apart in results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How long a piece of work may take, in ns; what takes longer is counted as late.
    pub deadline_ns: Option<u64>,
}

/// A cgroup, which shares CPU time with the tasks and cgroups beside it by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cgroup {
    /// The one that it is in, by its place, which is before its own; the outermost if not said.
    pub around: Option<u32>,
    /// Its `cpu.weight`, 1 to 10,000; a task of nice 0 beside it has 100.
    pub weight: u64,
}

/// Something outside of the machine that signals an event again and again, such as a network: it
/// uses no CPU time, and does not wait for anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The event.
    pub event: EventId,
    /// From one signal to the next.
    pub every: Span,
    /// The CPU that its interrupts come to; any other while that one is offline.
    pub cpu: u32,
}

/// What runs on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// The groups that are told apart in results.
    pub groups: Vec<Group>,
    /// The kinds of tasks.
    pub templates: Vec<Template>,
    /// The cgroups.
    pub cgroups: Vec<Cgroup>,
    /// Which tasks there are at the start, in order.
    pub starts: Vec<TemplateId>,
    /// The events.
    pub events: Vec<Event>,
    /// What comes from outside.
    pub sources: Vec<Source>,
    /// Number of timers that tasks have in common.
    pub timers: u32,
}

impl Workload {
    /// Its groups with the number of their tasks: `web (64 tasks) + batch (16 tasks)`. Of those to
    /// which others come later it is the number at the start.
    pub fn in_words(&self) -> String {
        let group_of = |id: &TemplateId| self.templates.get(id.0 as usize).map(|t| t.group);
        let steps = self.templates.iter().flat_map(|template| template.program.steps());
        let later: BTreeSet<u32> = steps
            .filter_map(|step| match step {
                Step::Fork(id) => group_of(id),
                _ => None,
            })
            .collect();
        let groups = self.groups.iter().zip(0..).map(|(group, place)| {
            let tasks = self.starts.iter().filter(|id| group_of(id) == Some(place)).count();
            let s = if tasks == 1 { "" } else { "s" };
            let at = if later.contains(&place) { " at the start" } else { "" };
            format!("{} ({tasks} task{s}{at})", group.name)
        });
        groups.collect::<Vec<_>>().join(" + ")
    }

    /// The group of the tasks that wait for an event: the first, of several.
    pub fn group_that_takes(&self, event: EventId) -> Option<u32> {
        let takes = |step: &Step| matches!(step, Step::Wait(other) if *other == event);
        let kind = self.templates.iter().find(|kind| kind.program.steps().iter().any(takes))?;
        Some(kind.group)
    }

    /// The same with other CPUs in the place of those that tasks may use.
    #[must_use]
    pub fn with_cpus(mut self, other: impl Fn(&CpuMask) -> CpuMask) -> Self {
        for template in &mut self.templates {
            template.cpus = template.cpus.as_ref().map(&other);
            if !template.program.masks.is_empty() {
                let program = Arc::make_mut(&mut template.program);
                program.masks = program.masks.iter().map(&other).collect();
            }
        }
        self
    }

    /// Both of two workloads at once.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        let (groups, templates) = (self.groups.len() as u32, self.templates.len() as u32);
        let (events, timers) = (self.events.len() as u32, self.timers);
        let cgroups = self.cgroups.len() as u32;
        let cgroup = |place: Option<u32>| place.map(|place| place + cgroups);
        let event = |event: EventId| EventId(event.0 + events);
        let moved = |step: &Step| match *step {
            Step::Wait(id) => Step::Wait(event(id)),
            Step::Signal(id, n) => Step::Signal(event(id), n),
            Step::Broadcast(id) => Step::Broadcast(event(id)),
            Step::Join(id) => Step::Join(event(id)),
            Step::Meet(id, n) => Step::Meet(event(id), n),
            Step::Fork(template) => Step::Fork(TemplateId(template.0 + templates)),
            Step::Timer(Timer::Shared(timer), period) => {
                Step::Timer(Timer::Shared(timer + timers), period)
            }
            same => same,
        };
        for group in other.groups {
            let known = |name: &str| self.groups.iter().any(|group| group.name == name);
            let mut numbers = (2..).map(|n| format!("{}#{n}", group.name));
            let taken = known(&group.name).then(|| numbers.find(|name| !known(name))).flatten();
            self.groups.push(Group { name: taken.unwrap_or(group.name), ..group });
        }
        self.templates.extend(other.templates.into_iter().map(|template| {
            let steps = template.program.steps.iter().map(moved).collect();
            let program = Program { steps, ..Program::clone(&template.program) };
            let (group, cgroup) = (template.group + groups, cgroup(template.cgroup));
            Template { group, cgroup, program: Arc::new(program), ..template }
        }));
        let moved = other.cgroups.iter().map(|c| Cgroup { around: cgroup(c.around), ..*c });
        self.cgroups.extend(moved);
        self.starts.extend(other.starts.iter().map(|start| TemplateId(start.0 + templates)));
        self.events.extend(other.events);
        let sources = other.sources.iter().map(|s| Source { event: event(s.event), ..*s });
        self.sources.extend(sources);
        self.timers += other.timers;
        self
    }

    /// The same with a cgroup of a weight around all of it.
    #[must_use]
    pub(crate) fn within(self, weight: u64) -> Self {
        let outer = Self { cgroups: vec![Cgroup { around: None, weight }], ..Self::default() };
        let mut all = outer.joined(self);
        for cgroup in all.cgroups.iter_mut().skip(1) {
            cgroup.around = cgroup.around.or(Some(0));
        }
        for template in &mut all.templates {
            template.cgroup = template.cgroup.or(Some(0));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Workload {
        let program = Program::default()
            .then(Step::Wait(EventId(0)))
            .repeated(Some(3), [Step::Fork(TemplateId(0))])
            .repeated(None, [Step::Run(Span::Fixed(5)), Step::Done]);
        let template = Template {
            name: "small".into(),
            group: 0,
            nice: 0,
            partners: 0,
            cpus: None,
            cgroup: None,
            realtime: false,
            program: Arc::new(program),
        };
        let source = Source { event: EventId(0), every: Span::Fixed(9), cpu: 0 };
        Workload {
            groups: vec![Group { name: "small".into(), deadline_ns: None }],
            templates: vec![template],
            cgroups: Vec::new(),
            starts: vec![TemplateId(0)],
            events: vec![Event::COUNTER],
            sources: vec![source],
            timers: 1,
        }
    }

    #[test]
    fn joining_keeps_both_apart() {
        let both = small().joined(small());
        let names: Vec<&str> = both.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["small", "small#2"]);
        assert_eq!(both.starts, [TemplateId(0), TemplateId(1)]);
        assert_eq!((both.events.len(), both.sources[1].event), (2, EventId(1)));
        let second = &both.templates[1];
        assert_eq!(second.group, 1);
        assert_eq!(second.program.steps()[0], Step::Wait(EventId(1)));
        assert_eq!(second.program.steps()[1], Step::Fork(TemplateId(1)));
        assert_eq!(second.program.steps()[2], Step::Repeat { to: 1, times: Some(3), counter: 0 });
        assert_eq!(second.program.counters(), 1);
        assert_eq!(both.templates[0], small().templates[0]);
    }

    #[test]
    fn cgroups_are_in_one_another() {
        let inner = small().within(300).within(50);
        let cgroup = |around, weight| Cgroup { around, weight };
        assert_eq!(inner.cgroups, [cgroup(None, 50), cgroup(Some(0), 300)]);
        assert_eq!(inner.templates[0].cgroup, Some(1));
        let both = small().within(7).joined(inner).joined(small());
        assert_eq!(both.cgroups[1..], [cgroup(None, 50), cgroup(Some(1), 300)]);
        let of = both.templates.iter().map(|template| template.cgroup).collect::<Vec<_>>();
        assert_eq!(of, [Some(0), Some(2), None]);
    }
}
