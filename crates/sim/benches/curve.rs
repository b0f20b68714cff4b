// SPDX-License-Identifier: GPL-2.0-or-later
//! What an event costs on machines of 1 to 4,096 CPUs, which all have costs, noise and the workload
//! `web` in proportion to their CPUs: under `simple`, and under the kernel's own scheduler.
//!
//! Machines are there from the start and take turns, times are CPU time of the thread; medians of
//! all turns, with the least and the most.
#![expect(clippy::print_stdout, reason = "it measures and tells")]

use rota_object::{Engine, KernelTypes, Object};
use rota_sim::{Model, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Workload;
use std::sync::Arc;
use std::time::Duration;

const TURNS: usize = 7;
/// About how many events a machine has in one turn.
const EVENTS: u64 = 100_000;
const MS: u64 = 1_000_000;
const MACHINES: [(u32, &str); 7] = [
    (1, "1c"),
    (4, "4c"),
    (16, "2l:8c"),
    (64, "4l:16c"),
    (256, "2s:8l:16c"),
    (1024, "8s:8l:16c"),
    (4096, "16s:16l:16c"),
];

/// A machine at work.
struct Case {
    cpus: u32,
    scheduler: &'static str,
    world: Simulation,
    turn_ns: u64,
    ns_an_event: Vec<f64>,
}

/// CPU time of this thread.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Lets the time go on; how many switches to a task there were, which are what counts as events.
fn run(world: &mut Simulation, ns: u64) -> u64 {
    let before = world.switches();
    world.run_until(world.now_ns() + ns).unwrap();
    world.switches() - before
}

fn started(cpus: u32, spec: &str, object: Option<&Object>, types: &KernelTypes) -> Case {
    let topology = spec.parse::<Spec>().unwrap().topology();
    let model = Model::of(topology).unwrap();
    let platform = Arc::new(model.platform);
    let shape = Shape { costs: model.costs, platform, seed: 1, ..Shape::default() };
    let mut world = match object {
        Some(object) => {
            let mut world = Simulation::new(object, types, &model.topology, &shape).unwrap();
            world.load().unwrap();
            world.attach().unwrap();
            world
        }
        None => Simulation::fair(types, &model.topology, &shape).unwrap(),
    };
    world.add(&Workload::parse("web", cpus).unwrap()).unwrap();
    world.add_noise().unwrap();
    run(&mut world, 100 * MS);
    let some = run(&mut world, 20 * MS).max(1);
    let scheduler = if object.is_some() { "simple" } else { "eevdf" };
    Case { cpus, scheduler, world, turn_ns: 20 * MS * EVENTS / some, ns_an_event: Vec::new() }
}

impl Case {
    fn turn(&mut self) {
        let start = now();
        let events = run(&mut self.world, self.turn_ns);
        self.ns_an_event.push((now() - start).as_nanos() as f64 / events as f64);
    }

    fn tell(&mut self) {
        self.ns_an_event.sort_by(f64::total_cmp);
        let [least, median, most] = [0, TURNS / 2, TURNS - 1].map(|i| self.ns_an_event[i]);
        println!(
            "{:5} CPUs, {:7} {median:6.0} ns an event ({least:.0} to {most:.0})",
            self.cpus, self.scheduler
        );
    }
}

fn main() {
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let mut cases = Vec::new();
    for (cpus, spec) in MACHINES {
        cases.push(started(cpus, spec, Some(&object), &types));
        cases.push(started(cpus, spec, None, &types));
    }
    for _ in 0..TURNS {
        cases.iter_mut().for_each(Case::turn);
    }
    cases.iter_mut().for_each(Case::tell);
}
