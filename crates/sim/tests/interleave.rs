// SPDX-License-Identifier: GPL-2.0-or-later
//! CPUs interleaved within callbacks: no task is lost, both engines do the same, a seed gives one
//! run, and races and deadlocks show that do not show otherwise.
#![expect(clippy::disallowed_methods, reason = "a test may be told to run for longer")]

use rota_bytecode::Mode;
use rota_events::{CpuNumber, Event, TaskRef, What};
use rota_object::{Engine, KernelTypes, Object, Setup};
use rota_sim::{Costs, Pause, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Workload;
use std::collections::{BTreeMap, BTreeSet};

const MS: u64 = 1_000_000;
/// Everything at once: tasks that sleep, that always run, that wait for each other, that come and
/// go, and that are woken all together.
const MIX: &str = "periodic:tasks=12,period=1ms,run=100us+cpu:tasks=4,run=1ms\
                   +pingpong:pairs=4,run=10us+forkstorm:children=6,every=5ms,run=100us\
                   +burst:tasks=12,every=2ms,run=50us+schbench:workers=4,run=50us,think=20us\
                   +messaging:groups=1,fds=3,room=4,free=3,loops=20";

/// How many seeds are tried.
fn seeds(usual: u64) -> u64 {
    std::env::var("ROTA_SEEDS").map_or(usual, |text| text.parse().unwrap())
}

fn simulation(object: &[u8], machine: &str, shape: &Shape) -> Simulation {
    let object = Object::parse(object).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    Simulation::new(&object, &types, &topology, shape).unwrap()
}

fn start(world: &mut Simulation, workload: &str) {
    world.load().unwrap();
    world.start_recording();
    world.attach().unwrap();
    world.add(&Workload::parse(workload, 8).unwrap()).unwrap();
}

fn shape(interleave: Option<u64>, mode: Mode) -> Shape {
    Shape { interleave, mode, costs: Costs::NONE, ..Shape::default() }
}

/// What happened, and how much work each group has done.
fn run(interleave: Option<u64>, mode: Mode, time_ns: u64) -> (Vec<Event>, Vec<u64>) {
    let shape = shape(interleave, mode);
    let mut world = simulation(rota_programs::simple::OBJECT, "2l:4c", &shape);
    start(&mut world, MIX);
    let ended = world.run_until(time_ns).unwrap_or_else(|e| panic!("{interleave:?}: {e}"));
    assert_eq!(ended, Pause::Time, "seed {interleave:?}");
    let done = world.work_done().into_iter().map(|(_, done)| done).collect();
    (world.take_events(), done)
}

/// Tasks that ran before a time, did not end, and have not run since.
fn lost(events: &[Event], time_ns: u64) -> BTreeSet<TaskRef> {
    let (mut before, mut since) = (BTreeSet::new(), BTreeSet::new());
    let mut running: BTreeMap<CpuNumber, TaskRef> = BTreeMap::new();
    for event in events {
        match event.what() {
            What::Switch { .. } => {
                let of = if event.time_ns < time_ns { &mut before } else { &mut since };
                of.insert(event.task);
                running.insert(event.cpu, event.task);
            }
            What::Exit => {
                since.insert(event.task);
            }
            _ => {}
        }
    }
    since.extend(running.into_values());
    since.insert(TaskRef::NONE);
    &before - &since
}

#[test]
fn no_task_is_lost_and_both_engines_do_the_same() {
    let (_, calm) = run(None, Mode::Jit, 100 * MS);
    for seed in 0..seeds(12) {
        let (events, done) = run(Some(seed), Mode::Jit, 100 * MS);
        assert_eq!(lost(&events, 50 * MS), BTreeSet::new(), "seed {seed}");
        for (done, calm) in done.iter().zip(&calm) {
            assert!(done * 2 > *calm, "seed {seed}: {done} pieces of work, not {calm}");
        }
        let (other, _) = run(Some(seed), Mode::Interpreter, 100 * MS);
        assert!(events == other, "seed {seed}: the engines differ");
    }
}

#[test]
fn a_seed_gives_one_run_and_another_gives_another() {
    let (first, _) = run(Some(1), Mode::Jit, 20 * MS);
    assert!(first == run(Some(1), Mode::Jit, 20 * MS).0);
    assert!(first != run(Some(2), Mode::Jit, 20 * MS).0);
}

/// A machine under the scheduler with the race, and how far it comes.
fn race(interleave: Option<u64>, locks: bool) -> (Simulation, Result<Pause, String>) {
    let shape = shape(interleave, Mode::Jit);
    let mut world = simulation(rota_programs::test::RACE, "8c", &shape);
    world.write_global("locks", &[u8::from(locks)]).unwrap();
    start(&mut world, "burst:tasks=16,every=1ms,run=20us");
    let ended = world.run_until(20 * MS).map_err(|stop| stop.to_string());
    (world, ended)
}

/// How many starts of tasks were not noted.
fn lost_updates(interleave: Option<u64>) -> u64 {
    let (world, ended) = race(interleave, false);
    assert_eq!(ended, Ok(Pause::Time));
    let [started, noted] = ["started", "noted"].map(|name| {
        let bytes = world.read_global(name).unwrap();
        u64::from_le_bytes(bytes.try_into().unwrap())
    });
    assert!(started > 200, "{started}");
    started - noted
}

#[test]
fn a_race_shows_only_when_cpus_are_interleaved() {
    assert_eq!(lost_updates(None), 0);
    let found = (0..4).filter(|seed| lost_updates(Some(*seed)) > 0).count();
    assert!(found > 0, "by none of 4 seeds");
}

#[test]
fn a_deadlock_between_two_locks_is_reported() {
    assert_eq!(race(None, true).1, Ok(Pause::Time));
    let found = (0..8).find_map(|seed| race(Some(seed), true).1.err());
    let words = found.expect("by none of 8 seeds");
    assert!(words.contains("a deadlock: CPU "), "{words}");
    assert!(words.contains("waits for the program's lock at"), "{words}");
}
