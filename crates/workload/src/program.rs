// SPDX-License-Identifier: GPL-2.0-or-later
//! What tasks do, as data: a small program for each kind of task.
//!
//! A [`Workload`] has templates of tasks, how many of each exist at the start, and events by which
//! they wait for each other. Time that a step takes is a [`Span`], which each task draws from
//! random numbers of its own.

use crate::Random;
use rota_topology::CpuMask;
use std::sync::Arc;

/// Steps that may follow one another without taking time. After so many, a task uses a moment of
/// CPU time, so that a program whose steps all take none does not stop the world.
pub const STEPS_MAX: u32 = 1000;

/// A length of time, in ns, or the distribution that it is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Always the same.
    Fixed(u64),
    /// From one to another, each equally likely.
    Uniform(u64, u64),
    /// Exponential, with this mean.
    Exponential(u64),
}

impl Span {
    /// Draws a time. A step never takes no time at all: it is at least 1 ns.
    pub fn draw(self, random: &mut Random) -> u64 {
        let ns = match self {
            Self::Fixed(ns) => ns,
            Self::Uniform(least, most) => random.between(least, most),
            Self::Exponential(mean) => random.exponential(mean),
        };
        ns.max(1)
    }

    /// A time and so many percent more or less.
    pub fn around(ns: u64, percent: u64) -> Self {
        let part = (u128::from(ns) * u128::from(percent.min(100)) / 100) as u64;
        match part {
            0 => Self::Fixed(ns),
            _ => Self::Uniform(ns - part, ns.saturating_add(part)),
        }
    }
}

/// An event that tasks signal and wait for, by its place: it counts signals nobody waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId(pub u32);

/// A template, by its place in [`Workload::templates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateId(pub u32);

/// One step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Uses CPU time.
    Run(Span),
    /// Sleeps.
    Sleep(Span),
    /// Periods count from here; without this step, from the start of the task.
    Phase,
    /// Sleeps until the next period begins. Who is late goes on at once, and the next period
    /// counts from then.
    Period(u64),
    /// Waits until the event is signalled, if it has not been.
    Wait(EventId),
    /// Signals an event so many times: each wakes one task that waits, or is kept for one that
    /// will.
    Signal(EventId, u32),
    /// Makes a task.
    Fork(TemplateId),
    /// Gives way.
    Yield,
    /// A piece of work is done, and counted.
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

    /// The same with one step more.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same with steps in a loop: so many times, or without end.
    #[must_use]
    pub fn repeated(mut self, times: Option<u32>, body: impl IntoIterator<Item = Step>) -> Self {
        let to = self.steps.len() as u32;
        self.steps.extend(body);
        let counter = self.counters;
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
    /// The CPUs that it may run on; all if not said.
    pub cpus: Option<CpuMask>,
    /// Whether its tasks are of the real-time class.
    pub realtime: bool,
    /// What it does.
    pub program: Arc<Program>,
}

/// What runs on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// Names of the groups that are told apart in results.
    pub groups: Vec<String>,
    /// The kinds of tasks.
    pub templates: Vec<Template>,
    /// Which tasks there are at the start, in order.
    pub starts: Vec<TemplateId>,
    /// Number of events.
    pub events: u32,
}

impl Workload {
    /// Both of two workloads at once.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        let (groups, templates) = (self.groups.len() as u32, self.templates.len() as u32);
        let events = self.events;
        let moved = |step: &Step| match *step {
            Step::Wait(event) => Step::Wait(EventId(event.0 + events)),
            Step::Signal(event, n) => Step::Signal(EventId(event.0 + events), n),
            Step::Fork(template) => Step::Fork(TemplateId(template.0 + templates)),
            same => same,
        };
        let unlike = |name: String, known: &[String]| {
            let mut numbers = (2..).map(|n| format!("{name}#{n}"));
            let taken = known.contains(&name);
            if taken { numbers.find(|n| !known.contains(n)).unwrap_or(name) } else { name }
        };
        for group in other.groups {
            let group = unlike(group, &self.groups);
            self.groups.push(group);
        }
        self.templates.extend(other.templates.into_iter().map(|template| {
            let steps = template.program.steps.iter().map(moved).collect();
            let program = Program { steps, counters: template.program.counters };
            Template { group: template.group + groups, program: Arc::new(program), ..template }
        }));
        self.starts.extend(other.starts.iter().map(|start| TemplateId(start.0 + templates)));
        self.events += other.events;
        self
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
            cpus: None,
            realtime: false,
            program: Arc::new(program),
        };
        Workload {
            groups: vec!["small".into()],
            templates: vec![template],
            starts: vec![TemplateId(0)],
            events: 1,
        }
    }

    #[test]
    fn joining_keeps_both_apart() {
        let both = small().joined(small());
        assert_eq!(both.groups, ["small", "small#2"]);
        assert_eq!((both.events, both.starts.as_slice()), (2, &[TemplateId(0), TemplateId(1)][..]));
        let second = &both.templates[1];
        assert_eq!(second.group, 1);
        assert_eq!(second.program.steps()[0], Step::Wait(EventId(1)));
        assert_eq!(second.program.steps()[1], Step::Fork(TemplateId(1)));
        assert_eq!(second.program.steps()[2], Step::Repeat { to: 1, times: Some(3), counter: 0 });
        assert_eq!(second.program.counters(), 1);
        assert_eq!(both.templates[0], small().templates[0]);
    }

    #[test]
    fn spans() {
        let mut random = Random::new(1);
        assert_eq!(Span::around(100, 0), Span::Fixed(100));
        assert_eq!(Span::around(1000, 20), Span::Uniform(800, 1200));
        assert_eq!(Span::Fixed(0).draw(&mut random), 1);
        assert!((0..100).all(|_| (800..=1200).contains(&Span::around(1000, 20).draw(&mut random))));
    }
}
