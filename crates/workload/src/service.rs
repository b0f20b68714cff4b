// SPDX-License-Identifier: GPL-2.0-or-later
//! What servers do.

use crate::Span;
use crate::named::{Named, Parameter, ParameterKind, Values};
use crate::plain::{add, empty, event};
use crate::program::{Event, Program, Source, Step, Workload};
use ParameterKind::{Count, Percent, Rate, RateOrNone};

const SECOND_NS: u64 = 1_000_000_000;

pub(crate) const WEB: Named = Named {
    name: "web",
    alias: None,
    about: "requests that come in at random, whether or not those before are done (an open loop, \
            Poisson), for the threads of a pool",
    parameters: &[
        Parameter::new("load", Percent, "60", "how much of what its CPUs can do requests take"),
        Parameter::new("rate", RateOrNone, "0", "requests a second; 0: by the load"),
        Parameter::new("service", ParameterKind::Span, "exponential/1ms", "CPU time of a request"),
        Parameter::new("threads", Count, "4*cpus", "threads of the pool"),
        Parameter::new("io", ParameterKind::Span, "0s", "a wait for something else before that"),
        Parameter::new("parse", ParameterKind::Span, "20us", "CPU time before such a wait"),
        Parameter::new(
            "deadline",
            ParameterKind::TimeOrNone,
            "0s",
            "a request that takes longer is late",
        ),
    ],
    tasks: |values| values.product(&["threads"]),
    make: web,
};

pub(crate) const BATCH: Named = Named {
    name: "batch",
    alias: None,
    about: "long computations, one after the other, some of which wait for data in between",
    parameters: &[
        Parameter::new("tasks", Count, "2*cpus", "how many"),
        Parameter::new(
            "run",
            ParameterKind::Span,
            "exponential/100ms",
            "CPU time of a computation",
        ),
        Parameter::new("io", ParameterKind::Span, "0s", "wait between two of them"),
    ],
    tasks: |values| values.product(&["tasks"]),
    make: batch,
};

pub(crate) const MIXED: Named = Named {
    name: "mixed",
    alias: None,
    about: "a server with other work: web, batch behind it with a nice value of its own, and \
            periodic; each is a group",
    parameters: &[
        Parameter::new("rate", Rate, "300*cpus", "requests a second"),
        Parameter::new("service", ParameterKind::Span, "exponential/1ms", "CPU time of a request"),
        Parameter::new("batch", Count, "cpus", "computations"),
        Parameter::new("run", ParameterKind::Span, "exponential/100ms", "CPU time of each"),
        Parameter::new("behind", ParameterKind::Nice, "10", "their nice value"),
        Parameter::new("periodic", Count, "cpus/2", "tasks that wake up every 10 ms for 500 us"),
    ],
    tasks: |values| {
        let web = 4 * u64::from(values.machine());
        web + values.product(&["batch"]) + values.product(&["periodic"])
    },
    make: mixed,
};

/// A distribution that is more than nothing.
fn some(span: Span) -> Option<Span> {
    (span != Span::Fixed(0)).then_some(span)
}

fn web(values: &Values<'_>) -> Workload {
    let mut workload = empty(values);
    let deadline_ns = Some(values.time("deadline")).filter(|ns| *ns > 0);
    if let Some(group) = workload.groups.first_mut() {
        group.deadline_ns = deadline_ns;
    }
    let request = event(&mut workload, Event::COUNTER);
    // As a network card with a queue for each CPU: many Poisson streams together are one.
    let cpus: Vec<u32> = match values.cpus() {
        Some(cpus) => cpus.iter().map(|cpu| cpu.0).collect(),
        None => (0..values.machine()).collect(),
    };
    let io = some(values.span("io"));
    let parse_ns = io.map_or(0, |_| values.span("parse").mean_ns());
    let rate = match values.rate("rate") {
        0 => {
            let each_ns = values.span("service").mean_ns().saturating_add(parse_ns);
            values.rate_of_load(values.percent("load"), each_ns)
        }
        rate => rate,
    };
    let every_ns = cpus.len() as u64 * SECOND_NS / rate;
    let every = Span::Exponential(every_ns);
    workload.sources.extend(cpus.into_iter().map(|cpu| Source { event: request, every, cpu }));
    let mut steps = vec![Step::Wait(request), Step::Begin];
    if let Some(io) = io {
        steps.extend([Step::Run(values.span("parse")), Step::Sleep(io)]);
    }
    steps.extend([Step::Run(values.span("service")), Step::Done]);
    let threads = values.count("threads");
    add(&mut workload, values, values.name(), threads, Program::default().repeated(None, steps));
    workload
}

fn batch(values: &Values<'_>) -> Workload {
    let mut workload = empty(values);
    let mut steps = vec![Step::Begin, Step::Run(values.span("run")), Step::Done];
    steps.extend(some(values.span("io")).map(Step::Sleep));
    let program = Program::default().repeated(None, steps);
    add(&mut workload, values, values.name(), values.count("tasks"), program);
    workload
}

fn mixed(values: &Values<'_>) -> Workload {
    let text = |name: &str| values.text(name);
    let (cpus, nice) = (text("cpus"), text("nice"));
    let web = format!("web:rate={},service={}", text("rate"), text("service"));
    let batch = format!("batch:tasks={},run={}", text("batch"), text("run"));
    let periodic = format!("periodic:tasks={},run=500us", text("periodic"));
    let parts = [(web, nice), (batch, text("behind")), (periodic, nice)];
    let mut all = Workload::default();
    for (part, nice) in parts {
        all = all.joined(values.part(&format!("{part},nice={nice},cpus={cpus}")));
    }
    // With a name, groups of two mixtures are told apart by it.
    let name = text("name");
    if !name.is_empty() {
        all.groups.iter_mut().for_each(|group| group.name = format!("{name}-{}", group.name));
    }
    all
}
