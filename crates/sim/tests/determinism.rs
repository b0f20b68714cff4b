// SPDX-License-Identifier: GPL-2.0-or-later
//! The same scheduler, machine, workload and seed give the same events: in another process, with
//! another environment, with other addresses, on another number of threads, by the other engine.
//!
//! The test starts itself again in other processes, which print a hash of the events of each of
//! the runs.
#![expect(clippy::disallowed_methods, reason = "what must not matter is changed here")]
#![expect(clippy::print_stdout, reason = "how a process tells the test what it found")]

use rota_bytecode::Mode;
use rota_events::StreamHash;
use rota_object::{KernelTypes, Object, Setup};
use rota_programs::{simple, test};
use rota_sched::{Plain, Session};
use rota_sim::{Costs, Model, Platform, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::{Random, Workload};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

const RUNS: u64 = 200;
/// Set in the processes that run, with how: the engine and the number of threads.
const HOW: &str = "ROTA_DETERMINISM";
const MS: u64 = 1_000_000;

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

/// A run, all of which follows from its number; a hash of its events and how many there were.
fn run(number: u64, mode: Mode) -> (u64, usize) {
    let random = &mut Random::stream(0x5eed, number);
    let objects = [simple::OBJECT, test::MUTE, test::TRACED, test::GIVE_UP, test::WORSE_SIMPLE];
    let object = Object::parse(pick(random, &objects)).unwrap();
    let types = KernelTypes::builtin(pick(random, &["6.16", "6.18", "7.0", "7.3"])).unwrap();
    let machine = pick(random, &["1c", "3c", "2l:2c", "2s:2c:2t", "2s:2l:4c:2t"]);
    let topology = machine.parse::<Spec>().unwrap().topology();
    let Model { costs, platform, .. } = Model::of(topology.clone()).unwrap();
    let (costs, platform) = match random.below(2) {
        0 => (Costs::NONE, Platform::default()),
        _ => (costs, platform),
    };
    let shape = Shape {
        seed: random.next(),
        mode,
        costs,
        platform: Arc::new(platform),
        interleave: (random.below(2) == 0).then(|| random.next()),
        ..Shape::default()
    };
    let mut world = Simulation::new(&object, &types, &topology, &shape).unwrap();
    world.start_recording();
    if object.global("fifo").is_some() {
        world.write_global("fifo", &[random.below(2) as u8]).unwrap();
    }
    let half = Box::new(Plain::new(&object, &[]).unwrap());
    let session = Session::start(half, 0, &mut world).unwrap();
    let cpus = topology.possible().count() as u32;
    let workloads = [
        "periodic",
        "cpu:run=1ms",
        "pingpong:pairs=3",
        "forkstorm",
        "burst",
        "messaging:groups=1,fds=3,room=4,free=3",
        "schbench:workers=4,run=lognormal/500us/1",
        "web:service=pareto/500us/1.5",
        "compile:run=normal/5ms/1ms",
        "game:frame=5ms",
    ];
    for _ in 0..=random.below(2) {
        world.add(&Workload::parse(pick(random, &workloads), cpus).unwrap()).unwrap();
    }
    world.add_noise().unwrap();
    world.run_until(random.between(20, 60) * MS).unwrap();
    drop(session);
    let mut hash = StreamHash::default();
    let events = world.take_events();
    events.iter().for_each(|event| hash.add(event));
    (hash.value(), events.len())
}

/// All runs, on so many threads.
fn run_all(mode: Mode, threads: u64) -> Vec<(u64, usize)> {
    let share = |first: u64| -> Vec<(u64, (u64, usize))> {
        (first..RUNS).step_by(threads as usize).map(|number| (number, run(number, mode))).collect()
    };
    let mut all = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(move || share(first))).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    all.sort_unstable();
    all.into_iter().map(|(_, found)| found).collect()
}

/// What another process finds.
fn elsewhere(how: &str, variable: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_same_words_are_the_same_events", "--nocapture"]);
    command.env(HOW, how).env("A_VARIABLE", variable).stdout(Stdio::piped());
    command
}

#[test]
fn the_same_words_are_the_same_events() {
    if let Ok(how) = std::env::var(HOW) {
        let (mode, threads) = how.split_once(' ').unwrap();
        let mode = if mode == "jit" { Mode::Jit } else { Mode::Interpreter };
        for (hash, events) in run_all(mode, threads.parse().unwrap()) {
            println!("run {hash:016x} {events}");
        }
        return;
    }
    let long = "x".repeat(100_000);
    let started = [("jit 1", ""), ("jit 3", long.as_str()), ("interp 2", "y")]
        .map(|(how, variable)| elsewhere(how, variable).spawn().unwrap());
    let [first, second, third] = started.map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("run "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(first.len() as u64, RUNS);
    let differ = |other: &[String]| first.iter().zip(other).position(|(a, b)| a != b);
    assert_eq!(differ(&second), None, "in another process");
    assert_eq!(differ(&third), None, "by the interpreter");
    assert_eq!([second.len(), third.len()], [first.len(); 2]);
    let events: u64 =
        first.iter().map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert!(events > RUNS * 500, "only {events} events");
    let mut different = first.clone();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() as u64 > RUNS * 9 / 10, "only {} runs differ", different.len());
}
