// SPDX-License-Identifier: GPL-2.0-or-later
//! Workloads on a machine that has the kernel's fair class alone.

use rota_object::{KernelTypes, World};
use rota_sim::{Pause, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Workload;

const SECOND: u64 = 1_000_000_000;

/// A machine that has run a workload for so many ns.
fn run(machine: &str, workload: &str, time_ns: u64) -> Simulation {
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let mut world = Simulation::fair(&types, &topology, &Shape::default()).unwrap();
    world.start_recording();
    let cpus = topology.possible().count() as u32;
    world.add(&Workload::parse(workload, cpus).unwrap()).unwrap();
    assert_eq!(world.run_until(time_ns).unwrap(), Pause::Time);
    world
}

#[test]
fn work_is_done_without_any_scheduler_of_sched_ext() {
    let mut world = run("4c", "cpu:tasks=6,run=10ms", 6 * SECOND);
    let busy: u64 = world.cpu_times().unwrap().iter().map(|cpu| cpu.busy_ns).sum();
    assert_eq!(busy, 4 * (6 * SECOND - 1));
    let done = world.work_done();
    assert!((2394..=2400).contains(&done[0].1), "{done:?}");
    assert!(world.take_events().len() > 1000);
    assert!(world.callbacks().is_empty());
}
