// SPDX-License-Identifier: GPL-2.0-or-later
//! `messaging`, `pipe` and `schbench` wake each other up as the real programs do on this machine.
//! perf records those; what it says and what a simulated machine says go through one analysis.
//!
//! These tests need perf and root, so they are a phase of their own, `cargo xtask test host`.
//!
//! Compared is what a program's structure decides: who wakes whom. How often it comes to that
//! depends on what else runs and on who comes first, so numbers of wake-ups are compared by their
//! size only.
#![expect(clippy::disallowed_methods, reason = "a test runs real programs")]

mod perf;
mod schbench;
mod wakes;

use rota_object::KernelTypes;
use rota_sim::Simulation;
use rota_topology::Spec;
use rota_workload::Workload;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use wakes::{Shape, shape, wake_ups};

/// The shape of a workload after so many ns on a simulated machine of two CPUs, under its kernel's
/// fair class, and the pieces of work that it has done.
fn simulated(workload: &str, time_ns: u64) -> (Shape, u64) {
    let types = KernelTypes::builtin("6.18").unwrap();
    let topology = "2c".parse::<Spec>().unwrap().topology();
    let mut world = Simulation::fair(&types, &topology, &rota_sim::Shape::default()).unwrap();
    world.start_recording();
    world.add(&Workload::parse(workload, 2).unwrap()).unwrap();
    world.run_until(world.now_ns() + time_ns).unwrap();
    let done = world.work_done().iter().map(|(_, done)| done).sum();
    (shape(&wake_ups(&world.take_events(), |_| true)), done)
}

/// A real program: what to run, the names of its tasks, and how many pieces of work it does.
struct Real<'a> {
    command: &'a [&'a str],
    names: &'a [&'a str],
    pieces: u64,
    /// Whether who is woken answers while the waker sleeps.
    answers: bool,
}

impl Real<'_> {
    /// The shape of its wake-ups. One program at a time has the CPUs.
    fn shape(&self) -> Shape {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = perf::record(self.command, self.names);
        shape(&wake_ups(&recorded.events, |task| recorded.named.contains(&task)))
    }

    /// Whether a workload has its shape, and another one has not. What else runs on this machine
    /// can spoil a recording, so it is tried three times.
    fn compare(&self, model: &(Shape, u64), other: &(Shape, u64)) {
        let mut problems = Vec::new();
        for _ in 0..3 {
            let mut real = self.shape();
            if !self.answers {
                real.mutual = model.0.mutual;
            }
            let differs = differences((&real, self.pieces), (&model.0, model.1));
            let alike = differences((&real, self.pieces), (&other.0, other.1)).is_empty();
            if differs.is_empty() && !alike {
                return;
            }
            problems.push((differs, alike, real));
        }
        panic!("real {problems:#?}\nsimulated {model:#?}\nunlike {other:#?}");
    }
}

/// Numbers of wake-ups of the same size are within this factor.
const SIZE: f64 = 8.0;

/// What two shapes have not in common. `pieces` are the pieces of work that each stands for.
fn differences(real: (&Shape, u64), simulated: (&Shape, u64)) -> Vec<String> {
    let ((one, one_pieces), (other, other_pieces)) = (real, simulated);
    let mut found = Vec::new();
    if one.groups != other.groups {
        found.push(format!("groups: {:?}, {:?}", one.groups, other.groups));
    }
    let shares = [
        ("across", one.across, other.across, 0.02),
        ("hub", one.hub, other.hub, 0.3),
        ("wakers", one.wakers, other.wakers, 0.25),
        ("mutual", one.mutual, other.mutual, 0.3),
    ];
    for (name, one, other, most) in shares {
        if (one - other).abs() > most {
            found.push(format!("{name}: {one:.2}, {other:.2}"));
        }
    }
    let each = |shape: &Shape, pieces: u64| shape.most_woken as f64 / pieces as f64;
    let (one, other) = (each(one, one_pieces), each(other, other_pieces));
    if one > SIZE * other || other > SIZE * one {
        found.push(format!("wake-ups for each piece of work: {one:.3}, {other:.3}"));
    }
    found
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn messaging_is_as_perf_shows_it() {
    const LOOPS: u64 = 500;
    let loops = LOOPS.to_string();
    let real = Real {
        command: &["perf", "bench", "sched", "messaging", "-t", "-g", "2", "-l", &loops],
        names: &["sched-messaging"],
        // From each of 20 senders to each of 20 receivers, in each group.
        pieces: 2 * 20 * 20 * LOOPS,
        answers: true,
    };
    let model = simulated(&format!("messaging:groups=2,loops={LOOPS}"), 10 * SECOND);
    assert_eq!(model.1, real.pieces);
    // As many tasks that are woken by one of them have another shape.
    real.compare(&model, &simulated("burst:tasks=39+burst:tasks=39", SECOND));
}

#[test]
fn pipe_is_as_perf_shows_it() {
    const LOOPS: u64 = 5000;
    let real = Real {
        command: &["perf", "bench", "sched", "pipe", "-l", &LOOPS.to_string()],
        names: &["sched-pipe"],
        pieces: LOOPS,
        // Whether the first task sleeps already when the answer comes depends on who preempts whom.
        answers: false,
    };
    let model = simulated(&format!("pipe:loops={LOOPS}"), 10 * SECOND);
    assert_eq!(model.1, LOOPS);
    real.compare(&model, &simulated("messaging:groups=1,fds=2,loops=5000", 10 * SECOND));
}

#[test]
fn schbench_is_as_perf_shows_it() {
    use schbench::{MESSAGES, REQUESTS, WORKERS};
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    let real = Real {
        command: &["env", "ROTA_SCHBENCH=1", own, "--exact", "schbench_itself"],
        names: &["message", "worker"],
        pieces: (MESSAGES * WORKERS * REQUESTS) as u64,
        answers: true,
    };
    let workload = format!("schbench:messages={MESSAGES},workers={WORKERS},run=200us,think=100us");
    let model = simulated(&workload, SECOND);
    // As many tasks of which nobody asks for more.
    let tasks = format!("burst:tasks={WORKERS}");
    real.compare(&model, &simulated(&format!("{tasks}+{tasks}"), SECOND));
}

/// Not a test: the program that one of them records.
#[test]
fn schbench_itself() {
    if std::env::var_os("ROTA_SCHBENCH").is_some() {
        schbench::main();
    }
}

#[test]
fn lines_of_perf_are_understood() {
    let text = "\
        a b 17 [001] 12.000000345:       sched:sched_waking: comm=c d pid=18 prio=120 target_cpu=0\n\
        swapper 0 [000] 12.000000400: timer:hrtimer_expire_entry: hrtimer=0x0 function=f now=1\n\
        a b 17 [000] 12.000000500: sched:sched_waking: comm=a b pid=17 prio=120 target_cpu=0\n\
        swapper 0 [000] 12.000000600: timer:hrtimer_expire_exit: hrtimer=0x0\n";
    let found = perf::parse(text, &["a"]);
    assert_eq!(found.named.iter().map(|task| task.0).collect::<Vec<_>>(), [17]);
    let wakers: Vec<_> = found.events.iter().map(|event| (event.time_ns, event.what())).collect();
    let waking = |waker| rota_events::What::Waking { waker: rota_events::TaskRef(waker) };
    assert_eq!(wakers, [(12_000_000_345, waking(17)), (12_000_000_500, waking(0))]);
    assert!(Command::new("perf").arg("--version").output().is_ok(), "perf is needed here");
}
