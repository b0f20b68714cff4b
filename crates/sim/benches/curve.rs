// SPDX-License-Identifier: GPL-2.0-or-later
//! What an event costs on machines of 1 to 4,096 CPUs, which all have costs, noise and the workload
//! `web` in proportion to their CPUs: under `simple`, and under the kernel's own scheduler.
//!
//! Machines are there from the start and take turns, times are CPU time of the thread; medians of
//! all turns, with the least and the most.
#![expect(clippy::print_stdout, reason = "it measures and tells")]

mod turns;

use rota_object::{KernelTypes, Object};
use rota_sim::{Model, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Workload;
use std::sync::Arc;
use turns::Case;

const TURNS: usize = 7;
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

fn started(cpus: u32, spec: &str, object: Option<&Object>, types: &KernelTypes) -> Case {
    let topology = spec.parse::<Spec>().unwrap().topology();
    let model = Model::of(topology).unwrap();
    let platform = Arc::new(model.platform);
    let shape = Shape { costs: model.costs, platform, seed: 1, ..Shape::default() };
    let mut world = match object {
        Some(object) => turns::machine(object, types, &model.topology, &shape, &[]),
        None => Simulation::fair(types, &model.topology, &shape).unwrap(),
    };
    world.add(&Workload::parse("web", cpus).unwrap()).unwrap();
    world.add_noise().unwrap();
    let scheduler = if object.is_some() { "simple" } else { "eevdf" };
    let name = format!("{cpus:5} CPUs, {scheduler:7}");
    // What counts as events are switches to a task.
    Case::new(name, world, Simulation::switches, (100 * MS, 20 * MS))
}

fn main() {
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let mut cases = Vec::new();
    for (cpus, spec) in MACHINES {
        cases.push(started(cpus, spec, Some(&object), &types));
        cases.push(started(cpus, spec, None, &types));
    }
    turns::take(TURNS, &mut cases);
    cases.iter().for_each(|case| println!("{} {}", case.name, case.spread()));
}
