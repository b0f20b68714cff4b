// SPDX-License-Identifier: GPL-2.0-or-later
//! What people do at their desks.

use crate::named::{Named, Parameter, ParameterKind, Values};
use crate::plain::{add, empty, event};
use crate::program::{Event, Group, Program, Step, Workload};
use ParameterKind::{Count, CountOrNone, Time};

pub(crate) const COMPILE: Named = Named {
    name: "compile",
    alias: None,
    about: "make -j: a task that always keeps so many compilers going, each of which is a new \
            task that reads files, computes, and ends",
    parameters: &[
        Parameter::new("jobs", Count, "cpus", "compilers at a time"),
        Parameter::new("fork", ParameterKind::Span, "100us", "CPU time that starting one takes"),
        Parameter::new("files", CountOrNone, "10", "files that each reads"),
        Parameter::new("io", ParameterKind::Span, "exponential/300us", "wait for each file"),
        Parameter::new("parse", ParameterKind::Span, "exponential/1ms", "CPU time for each file"),
        Parameter::new("run", ParameterKind::Span, "lognormal/150ms/0.8", "CPU time after that"),
    ],
    tasks: |_| 1,
    make: compile,
};

pub(crate) const GAME: Named = Named {
    name: "game",
    alias: None,
    about: "a frame at every period, which passes through stages, each a task of its own; the \
            first has helpers; and tasks in the background",
    parameters: &[
        Parameter::new("frame", Time, "16667us", "from one frame to the next"),
        Parameter::new("stages", Count, "3", "stages that each frame passes through"),
        Parameter::new("run", ParameterKind::Span, "normal/3ms/500us", "CPU time of each stage"),
        Parameter::new("helpers", CountOrNone, "4", "tasks that help with the first stage"),
        Parameter::new("help", ParameterKind::Span, "normal/1ms/200us", "CPU time of each of them"),
        Parameter::new("deadline", Time, "16667us", "a frame that takes longer is late"),
        Parameter::new("noise", CountOrNone, "2*cpus", "tasks in the background"),
        Parameter::new("pause", ParameterKind::Span, "exponential/10ms", "sleep of each of them"),
        Parameter::new("load", ParameterKind::Span, "exponential/2ms", "CPU time after a sleep"),
    ],
    tasks: |values| {
        let parts = ["stages", "helpers", "noise"];
        parts.iter().map(|part| values.product(&[part])).sum()
    },
    make: game,
};

fn compile(values: &Values<'_>) -> Workload {
    let mut workload = empty(values);
    let jobs = values.count("jobs");
    // A place is free at first, and again when a compiler has ended.
    let place = event(&mut workload, Event { initial: jobs, ..Event::COUNTER });
    let mut compiler = Program::default().then(Step::Begin);
    let files = values.count("files");
    if files > 0 {
        let file = [Step::Sleep(values.span("io")), Step::Run(values.span("parse"))];
        compiler = compiler.repeated(Some(files), file);
    }
    let compiler =
        compiler.then(Step::Run(values.span("run"))).then(Step::Done).then(Step::Signal(place, 1));
    let compiler = add(&mut workload, values, "cc", 0, compiler);
    let make = [Step::Wait(place), Step::Run(values.span("fork")), Step::Fork(compiler)];
    add(&mut workload, values, "make", 1, Program::default().repeated(None, make));
    workload
}

fn game(values: &Values<'_>) -> Workload {
    let mut workload = empty(values);
    let name = values.name();
    if let Some(group) = workload.groups.first_mut() {
        group.deadline_ns = Some(values.time("deadline"));
    }
    let (stages, helpers) = (values.count("stages"), values.count("helpers"));
    let run = Step::Run(values.span("run"));
    let job = event(&mut workload, Event::COUNTER);
    let back = event(&mut workload, Event::COUNTER);
    let gates: Vec<_> = (1..stages).map(|_| event(&mut workload, Event::COUNTER)).collect();
    for stage in 0..stages as usize {
        let first = stage == 0;
        let mut steps = Vec::new();
        steps.extend((!first).then(|| Step::Wait(gates[stage - 1])));
        steps.push(Step::Begin);
        steps.extend((first && helpers > 0).then_some(Step::Signal(job, helpers)));
        steps.push(run);
        if first {
            steps.extend(std::iter::repeat_n(Step::Wait(back), helpers as usize));
        }
        steps.push(gates.get(stage).map_or(Step::Done, |next| Step::Signal(*next, 1)));
        steps.extend(first.then(|| Step::Period(values.time("frame"))));
        add(
            &mut workload,
            values,
            &format!("stage{}", stage + 1),
            1,
            Program::default().repeated(None, steps),
        );
    }
    if helpers > 0 {
        let help = [Step::Wait(job), Step::Run(values.span("help")), Step::Signal(back, 1)];
        add(&mut workload, values, "helper", helpers, Program::default().repeated(None, help));
    }
    let noise = values.count("noise");
    if noise > 0 {
        workload.groups.push(Group { name: format!("{name}-noise"), deadline_ns: None });
        let steps = [Step::Sleep(values.span("pause")), Step::Run(values.span("load")), Step::Done];
        add(&mut workload, values, "noise", noise, Program::default().repeated(None, steps));
    }
    workload
}
