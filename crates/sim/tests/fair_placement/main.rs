// SPDX-License-Identifier: GPL-2.0-or-later
//! Placement and balancing of the fair class' model against what was measured on a real kernel, in
//! `tests/placement/numbers.txt`: each number of the model lies between the least and the most of the
//! kernel's recordings, give or take what `measure::slack` says, or is their median where that says 0.

mod measure;

use measure::{Moment, SCENARIOS, What, measure, slack};
use rota_events::What as Seen;
use rota_object::KernelTypes;
use rota_sim::{Costs, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::{EventId, Program, Span, Step, Workload};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the guest's programs do, as workloads.
fn workload(name: &str, count: usize) -> Workload {
    let text = match name {
        "pair" => "pipe:pairs=1,run=20us".to_owned(),
        "burst" => "burst:tasks=8,every=12ms,run=4ms".to_owned(),
        _ => format!("forkstorm:parents=1,children={count},every=10s,fork=2ms"),
    };
    let mut workload = Workload::parse(&text, 8).unwrap();
    // Who writes to a pipe says that it is about to sleep.
    if matches!(name, "pair" | "burst") {
        workload.events.iter_mut().for_each(|event| event.sync = true);
    }
    if name == "burst" {
        let mut waker = vec![Step::Period(12_000_000)];
        for _ in 0..count {
            waker.extend([Step::Run(Span::Fixed(20_000)), Step::Signal(EventId(0), 1)]);
        }
        workload.templates[1].program = Arc::new(Program::default().repeated(None, waker));
    }
    if !matches!(name, "pair" | "burst") {
        let forever = Program::default().then(Step::Run(Span::Fixed(10_000_000_000)));
        workload.templates[0].program = Arc::new(forever);
    }
    workload
}

fn moments((name, machine, count): (&str, &str, usize), seed: u64) -> Vec<Moment> {
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let shape = Shape { seed, costs: Costs::NONE, ..Shape::default() };
    let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
    world.start_recording();
    world.add(&workload(name, count)).unwrap();
    world.run_until(1_000_000_000).unwrap();
    let mut first = BTreeMap::new();
    let mut moments = Vec::new();
    for event in world.take_events() {
        let mut add =
            |what| moments.push(Moment { us: event.time_ns / 1000, cpu: event.cpu.0, what });
        let task = event.task.0;
        match event.what() {
            // The parent was made by nobody.
            Seen::Fork { parent, .. } => {
                first.insert(task, parent.is_some() || name == "burst");
            }
            Seen::Wakeup { on, .. } => {
                if first.insert(task, false) == Some(true) {
                    add(What::New { task, on: on.0 });
                } else {
                    add(What::Woken { task, on: on.0 });
                }
            }
            Seen::Switch { .. } => add(What::Runs { task: event.task.is_some().then_some(task) }),
            Seen::Migrate { .. } => add(What::Moves { task }),
            _ => {}
        }
    }
    moments
}

#[test]
fn tasks_are_put_and_balanced_as_a_kernel_does() {
    let known = include_str!("../../../../tests/placement/numbers.txt");
    let lines = known.lines().filter(|line| !line.starts_with('#'));
    let mut kernel: BTreeMap<(String, String, String), Vec<i64>> = BTreeMap::new();
    for line in lines {
        let (what, numbers) = line.split_once(": ").unwrap();
        let mut words = what.splitn(3, ' ').map(str::to_owned);
        let key = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        kernel.insert(key, numbers.split(' ').map(|number| number.parse().unwrap()).collect());
    }
    let mut wrong = Vec::new();
    for &scenario in SCENARIOS {
        for seed in 0..3 {
            for (what, model) in measure(scenario, &moments(scenario, seed)) {
                let key = (scenario.0.to_owned(), scenario.1.to_owned(), what.to_owned());
                let seen = &kernel[&key];
                let mut sorted = seen.clone();
                sorted.sort_unstable();
                // What needs no slack is what most recordings have.
                let (least, most) = match slack(what) {
                    0 => (sorted[sorted.len() / 2], sorted[sorted.len() / 2]),
                    slack => (sorted[0] - slack, sorted[sorted.len() - 1] + slack),
                };
                if !(least..=most).contains(&model) {
                    wrong.push(format!("{key:?}: {seen:?} in the kernel, {model} in the model"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
