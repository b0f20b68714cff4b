// SPDX-License-Identifier: GPL-2.0-or-later
//! How fast the simulator is: scheduling events a second under `simple`, on small and large
//! machines; how long it takes to the first event; what a task that sleeps takes of memory.
//!
//! A scheduling event is one stay of a task on a CPU: it is enqueued, or gets an idle CPU at once;
//! a CPU dispatches it; it runs; it stops. All machines are there from the start and take turns, so
//! whatever else the host does concerns all of them; times are CPU time of the thread, medians of
//! all turns.
#![expect(clippy::print_stdout, reason = "it measures and tells")]
#![expect(clippy::disallowed_methods, reason = "it asks how much memory the process has")]

mod turns;

use rota_object::{KernelTypes, Object};
use rota_sim::{Costs, Model, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::{Event, EventId, Group, Program, Span, Step, Template, TemplateId, Workload};
use std::sync::Arc;
use turns::{Case, Spread, now};

const TURNS: usize = 9;
const US: u64 = 1_000;
/// So long a slice is over at the next tick: an event has one tick then, and not five.
const SHORT: &[(&str, u64)] = &[("slice_ns", 1_000 * US)];
/// The machine that shows what a task takes that sleeps.
const LARGE: &str = "4096 CPUs, 256 of 100,000 tasks active";
const ALL: &str = "4096 CPUs, all of 100,000 tasks active";
const INTERLEAVED: &str = "the first machine, its CPUs interleaved";

/// Memory of this process in bytes, as far as it is in use.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap() * 4096
}

/// A machine with a scheduler, without work.
fn machine(
    object: &Object,
    types: &KernelTypes,
    machine: &str,
    interleave: Option<u64>,
    costs: bool,
    settings: &[(&str, u64)],
) -> Simulation {
    let model = Model::of(machine.parse::<Spec>().unwrap().topology()).unwrap();
    let costs = if costs { model.costs } else { Costs::NONE };
    let shape = Shape { costs, interleave, ..Shape::default() };
    turns::machine(object, types, &model.topology, &shape, settings)
}

/// Some tasks that do something, again and again, and others that sleep for ever.
fn tasks(active: usize, body: &[Step], idle: usize) -> Workload {
    let template = |name: &str, program| Template {
        name: name.to_owned(),
        group: 0,
        nice: 0,
        partners: 0,
        cpus: None,
        cgroup: None,
        realtime: false,
        program: Arc::new(program),
    };
    let works = Program::default().repeated(None, body.iter().copied());
    let sleeps = Program::default().then(Step::Wait(EventId(0)));
    let starts = [(active, TemplateId(0)), (idle, TemplateId(1))];
    Workload {
        groups: vec![Group { name: "tasks".to_owned(), deadline_ns: None }],
        templates: vec![template("works", works), template("sleeps", sleeps)],
        starts: starts.iter().flat_map(|(n, id)| std::iter::repeat_n(*id, *n)).collect(),
        events: vec![Event::COUNTER],
        ..Workload::default()
    }
}

/// How many tasks have started to run.
fn events(world: &Simulation) -> u64 {
    world.callbacks().iter().find(|(name, _)| *name == "running").map_or(0, |(_, c)| c.calls)
}

fn started(name: &str, mut world: Simulation, work: &Workload) -> Case {
    world.add(work).unwrap();
    // Long enough for everybody to have slept and run.
    Case::new(name.to_owned(), world, events, (20_000 * US, 2_000 * US))
}

fn tell(case: &Case, first: f64) {
    let spread = case.spread();
    let ns = spread.median;
    println!("{:44} {spread}  {:.2} million a second  {:.2}", case.name, 1e3 / ns, ns / first);
}

/// From the bytes of the object to the first task that runs.
fn start_up() {
    let took = (0..TURNS).map(|_| {
        let start = now();
        let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
        let types = KernelTypes::builtin("7.3").unwrap();
        let mut world = machine(&object, &types, "16c", None, false, &[]);
        world.add(&tasks(256, &[Step::Run(Span::Fixed(US))], 0)).unwrap();
        while events(&world) == 0 {
            world.run_until(world.now_ns() + US).unwrap();
        }
        (now() - start).as_secs_f64() * 1e3
    });
    let ms = Spread::of(took.collect()).median;
    println!("{ms:.1} ms from the object's bytes to the first event, with 16 CPUs and 256 tasks");
}

fn main() {
    // Words limit the benchmark to the machines with one of them in the name.
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    if words.is_empty() {
        start_up();
    }
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let structure = types.structure("task_struct").and_then(|id| types.btf().size_of(id)).unwrap();
    let mix = [
        Step::Run(Span::Uniform(50 * US, 150 * US)),
        Step::Sleep(Span::Uniform(500 * US, 2_000 * US)),
    ];
    let hog = [Step::Run(Span::Fixed(1_000_000 * US))];
    let mut cases = Vec::new();
    for (name, shape, interleave, costs, settings, work) in [
        ("16 CPUs, 256 tasks that run and sleep", "16c", None, false, &[][..], tasks(256, &mix, 0)),
        ("16 CPUs, 256 tasks that always run", "16c", None, false, &[], tasks(256, &hog, 0)),
        ("the same, slices of 1 ms", "16c", None, false, SHORT, tasks(256, &hog, 0)),
        ("the first machine, with costs", "16c", None, true, &[], tasks(256, &mix, 0)),
        (LARGE, "16s:256c", None, false, &[], tasks(256, &mix, 99_744)),
        (ALL, "16s:256c", None, false, &[], tasks(100_000, &mix, 0)),
        (INTERLEAVED, "16c", Some(1), false, &[], tasks(256, &mix, 0)),
    ] {
        if !wanted(name) {
            continue;
        }
        let world = machine(&object, &types, shape, interleave, costs, settings);
        let before = resident();
        cases.push(started(name, world, &work));
        if name == LARGE {
            let each = ((resident() - before) / 100_000).saturating_sub(structure);
            println!("{each} bytes a task that sleeps, beside the {structure} of its structure");
        }
    }
    turns::take(TURNS, &mut cases);
    let first = cases.first().map_or(1.0, |case| case.spread().median);
    cases.iter().for_each(|case| tell(case, first));
}
