// SPDX-License-Identifier: GPL-2.0-or-later
//! Plain workloads: each shows one thing that schedulers have to do well.

use crate::Span;
use crate::named::{Named, Parameter, ParameterKind, Values};
use crate::program::{Event, EventId, Group, Program, Step, Template, TemplateId, Workload};
use ParameterKind::{Count, Percent, Time, TimeOrNone};
use rota_topology::{CpuId, CpuMask};
use std::sync::Arc;

pub(crate) const PERIODIC: Named = Named {
    name: "periodic",
    alias: None,
    about: "tasks that wake up by a timer, run for a while, and sleep until the next period",
    parameters: &[
        Parameter::new("tasks", Count, "2*cpus", "how many"),
        Parameter::new("period", Time, "10ms", "from one wake-up to the next"),
        Parameter::new("run", Time, "2ms", "CPU time of each period"),
        Parameter::new("jitter", Percent, "0", "how much more or less that is, in percent"),
    ],
    tasks: |values| values.product(&["tasks"]),
    make: periodic,
};

pub(crate) const CPU: Named = Named {
    name: "cpu",
    alias: Some("hog"),
    about: "tasks that always want to run",
    parameters: &[
        Parameter::new("tasks", Count, "cpus", "how many"),
        Parameter::new("run", Time, "10ms", "CPU time of one piece of work"),
    ],
    tasks: |values| values.product(&["tasks"]),
    make: cpu,
};

pub(crate) const PINGPONG: Named = Named {
    name: "pingpong",
    alias: None,
    about: "pairs of tasks, of which each wakes the other and waits for it",
    parameters: &[
        Parameter::new("pairs", Count, "1", "how many pairs"),
        Parameter::new("run", Time, "5us", "CPU time between waking and waiting"),
    ],
    tasks: |values| 2 * values.product(&["pairs"]),
    make: pingpong,
};

pub(crate) const FORKSTORM: Named = Named {
    name: "forkstorm",
    alias: None,
    about: "tasks that make many short-lived tasks at once, again and again",
    parameters: &[
        Parameter::new("parents", Count, "1", "how many make tasks"),
        Parameter::new("children", Count, "4*cpus", "tasks made at once"),
        Parameter::new("every", Time, "50ms", "time between two storms"),
        Parameter::new("run", Time, "1ms", "mean CPU time of a child, exponential"),
        Parameter::new("fork", Time, "30us", "CPU time that making a task takes its parent"),
    ],
    tasks: |values| values.product(&["parents"]),
    make: forkstorm,
};

pub(crate) const BURST: Named = Named {
    name: "burst",
    alias: None,
    about: "a task that wakes many others at once, which then run and sleep again",
    parameters: &[
        Parameter::new("tasks", Count, "8*cpus", "how many are woken"),
        Parameter::new("every", Time, "20ms", "time between two bursts"),
        Parameter::new("run", Time, "500us", "CPU time of each in a burst"),
        Parameter::new("pause", TimeOrNone, "0s", "sleep between waking up and running"),
    ],
    tasks: |values| 1 + values.product(&["tasks"]),
    make: burst,
};

pub(crate) const SKEWED: Named = Named {
    name: "skewed",
    alias: None,
    about: "tasks that always want to run, and that are all woken up at once where they were so far: \
            on a few CPUs next to each other",
    parameters: &[
        Parameter::new("tasks", Count, "2*cpus", "how many"),
        Parameter::new(
            "on",
            Count,
            "cpus/16",
            "on how many CPUs, from the first, they are at first",
        ),
        Parameter::new("after", Time, "10ms", "until they are woken up, and may run anywhere"),
        Parameter::new(
            "run",
            ParameterKind::Span,
            "exponential/10ms",
            "CPU time of one piece of work",
        ),
    ],
    tasks: |values| 1 + values.product(&["tasks"]),
    make: skewed,
};

/// A workload of one group, so far without tasks.
pub(crate) fn empty(values: &Values<'_>) -> Workload {
    let group = Group { name: values.name().to_owned(), deadline_ns: None };
    Workload { groups: vec![group], ..Workload::default() }
}

/// Adds so many tasks with a program, to the group that was added last.
pub(crate) fn add(
    workload: &mut Workload,
    values: &Values<'_>,
    name: &str,
    count: u32,
    program: Program,
) -> TemplateId {
    let id = TemplateId(workload.templates.len() as u32);
    workload.templates.push(Template {
        name: name.to_owned(),
        group: workload.groups.len().saturating_sub(1) as u32,
        nice: values.nice(),
        partners: 0,
        cpus: values.cpus(),
        cgroup: None,
        realtime: false,
        program: Arc::new(program),
    });
    workload.starts.extend(std::iter::repeat_n(id, count as usize));
    id
}

/// Adds an event.
pub(crate) fn event(workload: &mut Workload, event: Event) -> EventId {
    workload.events.push(event);
    EventId(workload.events.len() as u32 - 1)
}

fn periodic(values: &Values<'_>) -> Workload {
    let period = values.time("period");
    let run = Span::around(values.time("run"), values.percent("jitter"));
    // Not all at once: each begins somewhere in its first period.
    let program = Program::default()
        .then(Step::Sleep(Span::Uniform(0, period)))
        .then(Step::Phase)
        .repeated(None, [Step::Run(run), Step::Done, Step::Period(period)]);
    let mut workload = empty(values);
    add(&mut workload, values, values.name(), values.count("tasks"), program);
    workload
}

fn cpu(values: &Values<'_>) -> Workload {
    let run = Span::Fixed(values.time("run"));
    let program = Program::default().repeated(None, [Step::Run(run), Step::Done]);
    let mut workload = empty(values);
    add(&mut workload, values, values.name(), values.count("tasks"), program);
    workload
}

fn pingpong(values: &Values<'_>) -> Workload {
    let run = Step::Run(Span::Fixed(values.time("run")));
    let mut workload = empty(values);
    for _ in 0..values.count("pairs") {
        let [ping, pong] = [0; 2].map(|_| event(&mut workload, Event::COUNTER));
        let first = [run, Step::Signal(pong, 1), Step::Wait(ping), Step::Done];
        let second = [Step::Wait(pong), run, Step::Signal(ping, 1)];
        add(&mut workload, values, "ping", 1, Program::default().repeated(None, first));
        add(&mut workload, values, "pong", 1, Program::default().repeated(None, second));
    }
    workload
}

fn forkstorm(values: &Values<'_>) -> Workload {
    let every = values.time("every");
    let mut workload = empty(values);
    let child =
        Program::default().then(Step::Run(Span::Exponential(values.time("run")))).then(Step::Done);
    add(&mut workload, values, "child", 0, child);
    // A loop in a loop: the children of one storm, and storm after storm.
    let storm = Program::default().repeated(
        Some(values.count("children")),
        [Step::Run(Span::Fixed(values.time("fork"))), Step::Fork(TemplateId(0))],
    );
    let parent = storm.then(Step::Period(every)).back(0, None);
    add(&mut workload, values, "parent", values.count("parents"), parent);
    workload
}

fn burst(values: &Values<'_>) -> Workload {
    let tasks = values.count("tasks");
    let mut workload = empty(values);
    let go = event(&mut workload, Event::COUNTER);
    let mut steps = vec![Step::Wait(go)];
    match values.time("pause") {
        0 => {}
        pause => steps.push(Step::Sleep(Span::Fixed(pause))),
    }
    steps.extend([Step::Run(Span::Fixed(values.time("run"))), Step::Done]);
    add(&mut workload, values, values.name(), tasks, Program::default().repeated(None, steps));
    let waker = [Step::Period(values.time("every")), Step::Signal(go, tasks)];
    add(&mut workload, values, "waker", 1, Program::default().repeated(None, waker));
    workload
}

fn skewed(values: &Values<'_>) -> Workload {
    let tasks = values.count("tasks");
    let all = values
        .cpus()
        .unwrap_or_else(|| CpuMask::range(CpuId(0), CpuId(values.machine().saturating_sub(1))));
    let few: CpuMask = all.iter().take(values.count("on") as usize).collect();
    let mut workload = empty(values);
    let go = event(&mut workload, Event::COUNTER);
    // Just long enough to have been there.
    let program = Program::default()
        .then(Step::Run(Span::Fixed(1_000)))
        .then_cpus(&all)
        .then(Step::Wait(go))
        .repeated(None, [Step::Run(values.span("run")), Step::Done]);
    add(&mut workload, values, values.name(), tasks, program);
    if let Some(template) = workload.templates.last_mut() {
        template.cpus = Some(few);
    }
    let waker = Program::default()
        .then(Step::Sleep(Span::Fixed(values.time("after"))))
        .then(Step::Signal(go, tasks));
    add(&mut workload, values, "waker", 1, waker);
    workload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_a_loop_in_a_loop() {
        let storm = Workload::parse("forkstorm:children=3,parents=2", 8).unwrap();
        assert_eq!(storm.starts, [TemplateId(1), TemplateId(1)]);
        let steps = storm.templates[1].program.steps();
        assert_eq!(steps[1], Step::Fork(TemplateId(0)));
        assert_eq!(steps[2], Step::Repeat { to: 0, times: Some(3), counter: 0 });
        assert_eq!(steps[4], Step::Repeat { to: 0, times: None, counter: 0 });
    }

    #[test]
    fn a_skewed_start_is_on_few_cpus() {
        let list = |text: &str| Some(CpuMask::from_list(text).unwrap());
        let skewed = Workload::parse("skewed:tasks=3", 64).unwrap();
        let template = &skewed.templates[0];
        assert_eq!((skewed.starts.len(), &template.cpus), (4, &list("0-3")));
        assert_eq!(template.program.steps()[1], Step::Cpus(0));
        let some = Workload::parse("skewed:on=2,cpus=5/7-9", 64).unwrap();
        assert_eq!(some.templates[0].cpus, list("5,7"));
    }

    #[test]
    fn pairs_have_events_of_their_own() {
        let pairs = Workload::parse("pingpong:pairs=3", 8).unwrap();
        assert_eq!((pairs.events.len(), pairs.starts.len()), (6, 6));
        assert_eq!(pairs.templates[5].program.steps()[0], Step::Wait(EventId(5)));
    }
}
