// SPDX-License-Identifier: GPL-2.0-or-later
//! What it costs that CPUs have a queue in common, under `simple`, which has one for all.

use rota_events::{DsqId, Event, What};
use rota_object::{Engine, KernelTypes, Object};
use rota_sim::{Costs, Model, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Workload;

const SECOND: u64 = 1_000_000_000;

/// A machine of four caches on two nodes, with two CPUs each.
const NODES: &str = "2s:2l:2c";

/// A second of tasks that always run, two for each CPU, in pieces of 1 ms; the work that is not done
/// for what queues cost, in ns, and the events.
fn lost(machine: &str, costs: Costs) -> (u64, Vec<Event>) {
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let cpus = topology.possible().count() as u32;
    let shape = Shape { costs, ..Shape::default() };
    let mut world = Simulation::new(&object, &types, &topology, &shape).unwrap();
    world.load().unwrap();
    world.attach().unwrap();
    world.start_recording();
    world.add(&Workload::parse("cpu:tasks=2*cpus,run=1us", cpus).unwrap()).unwrap();
    world.run_until(world.now_ns() + SECOND).unwrap();
    let done = world.work_done()[0].1 * 1_000;
    (u64::from(cpus) * SECOND - done, world.take_events())
}

/// The CPUs that put a task into the one queue, or took one from it.
fn takers(events: &[Event]) -> Vec<u32> {
    let shared = |event: &&Event| match event.what() {
        What::Insert { dsq, .. } | What::Remove { dsq, .. } => dsq == DsqId(0),
        _ => false,
    };
    events.iter().filter(shared).map(|event| event.cpu.0).collect()
}

#[test]
fn without_costs_a_queue_costs_nothing() {
    for machine in ["1c", NODES] {
        let (lost_ns, events) = lost(machine, Costs::NONE);
        assert!(takers(&events).len() > 20);
        assert!(lost_ns < 20_000, "{lost_ns} ns");
    }
}

#[test]
fn a_cpu_alone_pays_for_the_time_that_it_has_the_lock() {
    let costs = Costs { dsq_ns: 50_000, dsq_lines: 3, line_ns: [1 << 30; 4], ..Costs::NONE };
    let (lost_ns, events) = lost("1c", costs);
    let expected_ns = takers(&events).len() as u64 * 50_000;
    assert!(expected_ns > 2_000_000 && lost_ns.abs_diff(expected_ns) <= 150_000, "{lost_ns} ns");
}

/// By how far the line comes. Beyond that, as ticks come at once, each waits for those before it.
#[test]
fn cpus_pay_for_lines_and_for_each_other() {
    let line_ns = [0, 1_000, 2_000, 4_000];
    let (lost_ns, events) = lost(NODES, Costs { dsq_lines: 3, line_ns, ..Costs::NONE });
    let takers = takers(&events);
    let fetched_ns: u64 = takers
        .windows(2)
        // CPUs of a cache are 0 and 1, of a node 0 to 3.
        .map(|two| match (two[0], two[1]) {
            (from, to) if from == to => 0,
            (from, to) if from / 2 == to / 2 => 3 * 1_000,
            (from, to) if from / 4 == to / 4 => 3 * 2_000,
            _ => 3 * 4_000,
        })
        .sum();
    assert!(takers.len() > 500 && fetched_ns > 1_000_000, "{fetched_ns} ns");
    assert!(lost_ns > fetched_ns, "{lost_ns} ns, lines {fetched_ns} ns");
    assert!(lost_ns < 16 * fetched_ns, "{lost_ns} ns, lines {fetched_ns} ns");
}

/// As `rota compare` does, to tell whether rankings hold.
#[test]
fn what_queues_cost_is_scaled_with_all_else() {
    let model = Model::named("server256").unwrap().unwrap();
    let (once, twice) = (model.costs, model.scaled(2, 1).costs);
    assert!(once.dsq_ns > 0 && once.line_ns.iter().all(|ns| *ns > 0));
    assert_eq!(twice.dsq_ns, 2 * once.dsq_ns);
    assert_eq!((twice.line_ns, twice.dsq_lines), (once.line_ns.map(|ns| 2 * ns), once.dsq_lines));
}
