// SPDX-License-Identifier: GPL-2.0-or-later
//! The workload files in `data/workloads` do on a simulated machine what their numbers say.
#![expect(clippy::disallowed_methods, reason = "a test reads the files")]

use rota_events::{CpuNumber, What};
use rota_object::{Engine, KernelTypes, Object};
use rota_sim::{Costs, Pause, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Pieces;
use rota_workload::rtapp::RtApp;
use std::fs;
use std::path::{Path, PathBuf};

const SECOND: u64 = 1_000_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/workloads")
}

/// The pieces of work of a file's tasks after two seconds on four CPUs on which nothing costs time,
/// and what is said not to be modelled.
fn run(name: &str) -> (Vec<Pieces>, Vec<String>) {
    let (mut world, remarks) = start(name);
    assert_eq!(world.run_until(2 * SECOND).unwrap(), Pause::Time, "{name}");
    (world.pieces(), remarks)
}

fn start(name: &str) -> (Simulation, Vec<String>) {
    start_interleaved(name, None)
}

fn start_interleaved(name: &str, interleave: Option<u64>) -> (Simulation, Vec<String>) {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let file = RtApp::parse(&text).unwrap_or_else(|error| panic!("{name}:{error}"));
    let (workload, remarks) = file.workload(4).unwrap();
    let mut world = machine(interleave);
    world.add(&workload).unwrap();
    (world, remarks.iter().map(ToString::to_string).collect())
}

fn machine(interleave: Option<u64>) -> Simulation {
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = "4c".parse::<Spec>().unwrap().topology();
    let shape = Shape { costs: Costs::NONE, interleave, ..Shape::default() };
    let mut world = Simulation::new(&object, &types, &topology, &shape).unwrap();
    world.load().unwrap();
    world.attach().unwrap();
    world.start_recording();
    world
}

/// A group, and how many pieces of work it does at least and at most.
type Counts = (&'static str, u64, u64);

/// How many pieces of work each task of a file does in two seconds.
const EXPECTED: [(&str, &[Counts]); 10] = [
    // A frame every 16.667 ms, the first at once; sound every 5 ms from each of two.
    ("video.json", &[("decoder", 120, 120), ("renderer", 119, 120), ("audio", 800, 800)]),
    // A step takes 2 ms.
    ("barrier.json", &[("worker", 3 * 999, 3 * 1000), ("leader", 999, 1000)]),
    // The lock is held for 1 ms each time, and never free.
    ("locks.json", &[("holder", 1997, 2000)]),
    // In turn, busy for 1 ms of 2. The long ones take 60 ms in all: 20 ms alone, 20 ms while the
    // other one runs, and 10 ms and its rest asleep. Of CPU time, each would have 40 ms.
    ("busy.json", &[("poller", 1998, 2000), ("long", 64, 67)]),
    // A job every ms, which takes a consumer 1.5 ms; there are two.
    ("queue.json", &[("producer", 2000, 2000), ("consumer", 1998, 2000)]),
    // A call every 5.1 ms.
    ("condition.json", &[("caller", 392, 392), ("waiter", 3 * 391, 3 * 392)]),
    // Fifteen pieces in 150 ms, after 1 ms.
    ("phases.json", &[("player", 200, 200)]),
    // All have ended.
    ("fork.json", &[("launcher", 10, 10), ("job", 10, 10)]),
    // A turn takes 1.5 ms in all, after the first two.
    ("sync.json", &[("ping", 1326, 1329), ("pong", 1325, 1328)]),
    // 15 % of a CPU that the four do not get.
    ("control.json", &[("control", 1000, 1000), ("load", 763, 770)]),
];

#[test]
fn files_do_what_their_numbers_say() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut known: Vec<&str> = EXPECTED.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names, known, "each file has its numbers here");
    for (name, groups) in EXPECTED {
        let (pieces, remarks) = run(name);
        assert_eq!(pieces.len(), groups.len(), "{name}");
        for (found, (group, least, most)) in pieces.iter().zip(groups) {
            assert_eq!(found.group, *group, "{name}");
            assert!((*least..=*most).contains(&found.done), "{name}: {group}: {}", found.done);
        }
        assert_eq!(remarks.len(), usize::from(name == "control.json"), "{remarks:?}");
    }
}

#[test]
fn pieces_of_files_are_timed() {
    let (pieces, _) = run("video.json");
    let latency = |group: usize| {
        let latency = &pieces[group].latency;
        (latency.least(), latency.greatest())
    };
    // Four CPUs for four tasks: nobody waits. The renderer goes on with what the decoder began.
    assert_eq!(latency(0), (4_000_000, 4_000_000));
    assert_eq!(latency(1), (7_000_000, 7_000_000));
    assert_eq!(latency(2), (500_000, 500_000));
}

#[test]
fn phases_change_priority_and_cpus() {
    let (mut world, _) = start("phases.json");
    world.run_until(SECOND / 2).unwrap();
    let (mut phases, mut heavy, mut switches) = (Vec::new(), false, [0; 2]);
    for event in world.take_events() {
        match event.what() {
            What::Weight { nice, .. } => {
                heavy = nice == 5;
                phases.push(nice);
            }
            What::Affinity { cpus, first } if heavy => assert_eq!((cpus, first), (4, 15)),
            What::Affinity { cpus, first } => assert!([(1, 2), (4, 15)].contains(&(cpus, first))),
            What::Running { .. } => {
                switches[usize::from(heavy)] += 1;
                assert!(!heavy || event.cpu == CpuNumber(1), "{event:?}");
            }
            _ => {}
        }
    }
    // Three times 150 ms, and the fourth begins with the light phase.
    assert_eq!(phases, [0, 5, 0, 5, 0, 5, 0]);
    assert!(switches[0] >= 30 && switches[1] >= 15, "{switches:?}");
}

/// A task that another one forks has the policy that its own lines say, whoever forks it.
#[test]
fn a_forked_task_has_its_own_policy() {
    let file = |parent: &str, child: &str| {
        format!(
            r#"{{"tasks": {{
                "parent": {{{parent} "loop": 1, "run": 1000, "fork": "child"}},
                "child": {{"instance": 0, {child} "loop": -1, "run": 1000}},
                "hog": {{"loop": -1, "run": 1000}} }} }}"#
        )
    };
    let fifo = r#""policy": "SCHED_FIFO", "priority": 5,"#;
    for (parent, child, expected) in [("", fifo, 990..=1000), (fifo, "", 450..=550)] {
        let text = file(parent, child);
        let file = RtApp::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let (workload, _) = file.workload(1).unwrap();
        let topology = "1c".parse::<Spec>().unwrap().topology();
        let types = KernelTypes::builtin("7.3").unwrap();
        let mut world = Simulation::fair(&types, &topology, &Shape::default()).unwrap();
        world.add(&workload).unwrap();
        world.run_until(SECOND).unwrap();
        let pieces = world.pieces();
        let done = pieces.iter().find(|pieces| pieces.group == "child").unwrap().done;
        assert!(expected.contains(&done), "{done} pieces, {text}");
    }
}

/// Signals come while others are about to wait for them. None is lost that must not be: everybody
/// goes on, and at no less than half of the pace.
#[test]
fn nobody_is_left_behind_when_cpus_are_interleaved() {
    for (name, groups) in EXPECTED.iter().filter(|(name, _)| *name != "fork.json") {
        for seed in 1..=8 {
            let (mut world, _) = start_interleaved(name, Some(seed));
            world.run_until(SECOND).unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
            let before = world.work_done();
            world.run_until(2 * SECOND).unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
            let after = world.work_done();
            for ((before, after), (group, least, _)) in before.iter().zip(&after).zip(*groups) {
                let more = after.1 - before.1;
                assert!(more > least / 4, "{name}, seed {seed}: {group}: {more} of {least}");
            }
        }
    }
}
