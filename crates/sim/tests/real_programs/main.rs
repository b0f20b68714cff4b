// SPDX-License-Identifier: GPL-2.0-or-later
//! `messaging`, `pipe` and `schbench` wake each other up as the real programs do on this machine.
//! perf records those; what it says and what a simulated machine says go through one analysis.
//!
//! Each is compared twice. With real-time priority on one CPU, a program goes on until it waits, and
//! nothing else of the machine comes in between: so it alone decides who wakes whom and how often,
//! and every recording shows the same. On two CPUs and under the fair class it depends on who
//! comes first and on what else runs here: so bounds are as wide as recordings differ.
//!
//! These tests need perf and root, so they are a phase of their own, `cargo xtask test host`.
#![expect(clippy::disallowed_methods, reason = "a test runs real programs")]

mod perf;
mod schbench;
mod wakes;

use perf::Task;
use rota_object::KernelTypes;
use rota_sim::Simulation;
use rota_topology::Spec;
use rota_workload::Workload;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use wakes::{Shape, shape};

/// How programs are compared.
struct Way {
    /// What runs the real one.
    prefix: &'static [&'static str],
    /// How often it is recorded; the median of each figure counts.
    recordings: usize,
    machine: &'static str,
    realtime: bool,
    bounds: Bounds,
}

/// How far figures may be apart: shares and parts by their difference, numbers by their quotient.
struct Bounds {
    hub: f64,
    wakers: f64,
    mutual: f64,
    in_a_row: f64,
    times: f64,
}

const ALONE: Way = Way {
    prefix: &["taskset", "-c", "0", "chrt", "--fifo", "10"],
    recordings: 1,
    machine: "1c",
    realtime: true,
    bounds: Bounds { hub: 0.02, wakers: 0.02, mutual: 0.02, in_a_row: 0.02, times: 1.01 },
};

/// Shares are those of 40 recordings with none to ten other tasks that wanted to run.
const TOGETHER: Way = Way {
    prefix: &["taskset", "-c", "0,1"],
    recordings: 5,
    machine: "2c",
    realtime: false,
    bounds: Bounds { hub: 0.25, wakers: 0.35, mutual: 0.4, in_a_row: 1.0, times: 4.0 },
};

/// A timer that is late, or early enough that its task does not sleep yet, wakes nobody.
const INTERRUPTS: f64 = 0.3;

/// A shape, and how many pieces of work it stands for.
type Found = (Shape, u64);

/// What a workload does on a simulated machine in so many ns.
fn simulated(way: &Way, workload: &str, time_ns: u64) -> Found {
    let types = KernelTypes::builtin("6.18").unwrap();
    let topology = way.machine.parse::<Spec>().unwrap().topology();
    let mut world = Simulation::fair(&types, &topology, &rota_sim::Shape::default()).unwrap();
    let mut workload = Workload::parse(workload, 2).unwrap();
    for template in &mut workload.templates {
        template.realtime = way.realtime;
    }
    world.add(&workload).unwrap();
    // Tasks start by being woken.
    world.start_recording();
    world.run_until(world.now_ns() + time_ns).unwrap();
    let done = world.work_done().iter().map(|(_, done)| done).sum();
    (shape(&world.take_events(), |_| true), done)
}

/// A real program: what to run, the names of its tasks, and how many pieces of work it does.
struct Real<'a> {
    command: &'a [&'a str],
    names: &'a [&'a str],
    pieces: u64,
    /// Its first thread only makes the others.
    threads: bool,
}

impl Real<'_> {
    /// The shapes of its wake-ups. One program at a time has the CPUs.
    fn shapes(&self, way: &Way) -> Vec<Shape> {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let shapes = (0..way.recordings).map(|_| {
            let recorded = perf::record(way.prefix, self.command, self.names);
            let works = |task: &Task| !(self.threads && task.is_first);
            let tasks: Vec<_> =
                recorded.named.iter().filter(|task| works(task)).map(|task| task.task).collect();
            shape(&recorded.events, |task| tasks.contains(&task))
        });
        shapes.collect()
    }

    /// Whether a workload has its shape, and another one has not.
    fn compare(&self, way: &Way, model: &Found, other: &Found) {
        let shapes = self.shapes(way);
        let real = (Shape::median(&shapes), self.pieces);
        println!("{:?}\n  {}\n  {}", self.command, real.0.line(real.1), model.0.line(model.1));
        let differs = differences(&way.bounds, &real, model);
        assert!(differs.is_empty(), "{differs:#?}\nreal {shapes:#?}\nsimulated {model:#?}");
        let alike = differences(&way.bounds, &real, other).is_empty();
        assert!(!alike, "real {shapes:#?}\nunlike {other:#?}");
    }
}

/// What two shapes have not in common.
fn differences(bounds: &Bounds, real: &Found, simulated: &Found) -> Vec<String> {
    let ((one, one_pieces), (other, other_pieces)) = (real, simulated);
    let mut found = Vec::new();
    if one.groups != other.groups {
        found.push(format!("groups: {:?}, {:?}", one.groups, other.groups));
    }
    let each = |number: u64, pieces: u64| number as f64 / pieces as f64;
    let interrupts = [(one, one_pieces), (other, other_pieces)]
        .map(|(shape, pieces)| each(shape.interrupts, *pieces));
    let shares = [
        ("across", one.across, other.across, 0.02),
        ("hub", one.hub, other.hub, bounds.hub),
        ("wakers", one.wakers, other.wakers, bounds.wakers),
        ("mutual", one.mutual, other.mutual, bounds.mutual),
        ("in a row", one.in_a_row, other.in_a_row, bounds.in_a_row),
        ("interrupts for each piece of work", interrupts[0], interrupts[1], INTERRUPTS),
    ];
    for (name, one, other, most) in shares {
        if (one - other).abs() > most {
            found.push(format!("{name}: {one:.2}, {other:.2}"));
        }
    }
    for (one, other) in one.woken.into_iter().zip(other.woken) {
        let (one, other) = (each(one, *one_pieces), each(other, *other_pieces));
        if one > bounds.times * other || other > bounds.times * one {
            found.push(format!("wake-ups for each piece of work: {one:.4}, {other:.4}"));
        }
    }
    found
}

const SECOND: u64 = 1_000_000_000;

/// How many messages this kernel lets be on their way through a socket.
fn room() -> usize {
    let (mut sender, _receiver) = UnixStream::pair().unwrap();
    sender.set_nonblocking(true).unwrap();
    (0..100_000).take_while(|_| sender.write(&[0; 100]).is_ok()).count()
}

fn messaging(way: &Way) {
    const LOOPS: u64 = 500;
    let loops = LOOPS.to_string();
    let real = Real {
        command: &["perf", "bench", "sched", "messaging", "-t", "-g", "2", "-l", &loops],
        names: &["sched-messaging"],
        // From each of 20 senders to each of 20 receivers, in each group.
        pieces: 2 * 20 * 20 * LOOPS,
        threads: true,
    };
    // A sender learns of room when a quarter of it is used.
    let room = room();
    let workload = format!("messaging:groups=2,loops={LOOPS},room={room},free={}", room - room / 4);
    let model = simulated(way, &workload, 10 * SECOND);
    assert_eq!(model.1, real.pieces);
    // As many tasks that are woken by one of them have another shape.
    real.compare(way, &model, &simulated(way, "burst:tasks=39+burst:tasks=39", SECOND));
}

fn pipe(way: &Way) {
    const LOOPS: u64 = 5000;
    let real = Real {
        command: &["perf", "bench", "sched", "pipe", "-l", &LOOPS.to_string()],
        names: &["sched-pipe"],
        pieces: LOOPS,
        threads: false,
    };
    let model = simulated(way, &format!("pipe:loops={LOOPS}"), 10 * SECOND);
    assert_eq!(model.1, LOOPS);
    real.compare(way, &model, &simulated(way, "messaging:groups=1,fds=2,loops=5000", 10 * SECOND));
}

fn schbench(way: &Way) {
    use schbench::{MESSAGES, REQUESTS, WORKERS};
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    let real = Real {
        command: &["env", "ROTA_SCHBENCH=1", own, "--exact", "schbench_itself"],
        names: &["message", "worker"],
        pieces: (MESSAGES * WORKERS * REQUESTS) as u64,
        threads: true,
    };
    let workload = format!("schbench:messages={MESSAGES},workers={WORKERS},run=200us,think=100us");
    let model = simulated(way, &workload, SECOND);
    // As many tasks of which nobody asks for more.
    let tasks = format!("burst:tasks={WORKERS}");
    real.compare(way, &model, &simulated(way, &format!("{tasks}+{tasks}"), SECOND));
}

#[test]
fn messaging_is_as_perf_shows_it() {
    messaging(&ALONE);
    messaging(&TOGETHER);
}

#[test]
fn pipe_is_as_perf_shows_it() {
    pipe(&ALONE);
    pipe(&TOGETHER);
}

#[test]
fn schbench_is_as_perf_shows_it() {
    schbench(&ALONE);
    schbench(&TOGETHER);
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
        a b 16/17 [001] 12.000000345:       sched:sched_waking: comm=c d pid=18 prio=120 target_cpu=0\n\
        swapper 0/0 [000] 12.000000400: timer:hrtimer_expire_entry: hrtimer=0x0 function=f now=1\n\
        a b 16/17 [000] 12.000000500: sched:sched_waking: comm=a b pid=17 prio=120 target_cpu=0\n\
        :-1 -1/-1 [000] 12.000000600: timer:hrtimer_expire_exit: hrtimer=0x0\n\
        a b 16/16 [000] 12.000000700: sched:sched_waking: comm=c d pid=19 prio=120 target_cpu=001\n";
    let found = perf::parse(text, &["a"]);
    let named: Vec<_> = found.named.iter().map(|task| (task.task.0, task.is_first)).collect();
    assert_eq!(named, [(16, true), (17, false)]);
    let wakers: Vec<_> = found.events.iter().map(|event| (event.time_ns, event.what())).collect();
    let waking = |waker| rota_events::What::Waking { waker: rota_events::TaskRef(waker) };
    assert_eq!(
        wakers,
        [(12_000_000_345, waking(17)), (12_000_000_500, waking(0)), (12_000_000_700, waking(16))]
    );
    assert!(Command::new("perf").arg("--version").output().is_ok(), "perf is needed here");
}
