// SPDX-License-Identifier: GPL-2.0-or-later
//! Workloads by name have the properties that their parameters state, within statistical error and
//! with fixed seeds: when requests come, how long they take, how much of the machine is used, who
//! wakes whom, how many there are at a time. Nothing costs time here but the work itself.

use rota_events::{Event, TaskRef, What};
use rota_object::{KernelTypes, World};
use rota_sim::{Costs, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::{Pieces, Workload};
use std::collections::BTreeMap;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// A machine after so long.
fn run(machine: &str, workload: &str, time_ns: u64, records: bool) -> Simulation {
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let shape = Shape { costs: Costs::NONE, seed: 17, ..Shape::default() };
    let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
    if records {
        world.start_recording();
    }
    let cpus = topology.possible().count() as u32;
    world.add(&Workload::parse(workload, cpus).unwrap()).unwrap();
    world.run_until(world.now_ns() + time_ns).unwrap();
    world
}

fn pieces(machine: &str, workload: &str, time_ns: u64) -> Pieces {
    run(machine, workload, time_ns, false).pieces().swap_remove(0)
}

fn busy_ns(world: &Simulation) -> u64 {
    world.cpu_times().unwrap().iter().map(|cpu| cpu.busy_ns).sum()
}

/// Whether a number is another one, but for a part of it.
fn near(found: f64, expected: f64, part: f64) -> bool {
    (found - expected).abs() <= expected * part
}

/// Wake-ups: the names, without numbers, of who woke and who was woken, and how often. Nobody is
/// called so where no task woke.
fn wake_ups(world: &mut Simulation) -> BTreeMap<(String, String), u64> {
    let events = world.take_events();
    let tables = world.tables().unwrap();
    let name = |task: TaskRef| {
        let name = tables.task_of(task).map_or("nobody", |info| tables.text_of(info.name));
        name.split('/').next().unwrap_or_default().to_owned()
    };
    let mut found = BTreeMap::new();
    for event in &events {
        if let What::Waking { waker } = event.what() {
            *found.entry((name(waker), name(event.task))).or_insert(0) += 1;
        }
    }
    found
}

fn count(wake_ups: &BTreeMap<(String, String), u64>, waker: &str, woken: &str) -> u64 {
    wake_ups.get(&(waker.to_owned(), woken.to_owned())).copied().unwrap_or(0)
}

/// The greatest distance between samples and an exponential distribution, times √n; what Kolmogorov
/// and Smirnov say exceeds 1.95 once in a thousand times.
fn exponential_statistic(mut samples: Vec<f64>, mean: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let n = samples.len() as f64;
    let distance = samples.iter().enumerate().map(|(i, x)| {
        let expected = 1.0 - (-x / mean).exp();
        (expected - i as f64 / n).abs().max(((i + 1) as f64 / n - expected).abs())
    });
    distance.fold(0.0, f64::max) * n.sqrt()
}

#[test]
fn requests_come_at_random() {
    // Somebody always waits, so each request wakes one task.
    let mut world = run("8c", "web:rate=4000,service=20us,threads=64", 20 * SECOND, true);
    let events = world.take_events();
    let waking = |event: &&Event| matches!(event.what(), What::Waking { .. });
    let times: Vec<u64> = events.iter().filter(waking).skip(64).map(|e| e.time_ns).collect();
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    // Within four standard deviations, for a Poisson number.
    assert!((gaps.len() as f64 - 80_000.0).abs() < 4.0 * 80_000_f64.sqrt(), "{}", gaps.len());
    let found = exponential_statistic(gaps.clone(), 250_000.0);
    assert!(found < 1.95, "{found}");
    assert!(exponential_statistic(gaps.clone(), 257_000.0) > 1.95, "3 % would be noticed");
    // One has nothing to do with the next.
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let spread: f64 = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum();
    let both: f64 = gaps.windows(2).map(|two| (two[0] - mean) * (two[1] - mean)).sum();
    assert!((both / spread).abs() < 4.0 / (gaps.len() as f64).sqrt(), "{}", both / spread);
}

/// A single server, requests at random: Pollaczek and Khinchine's formula says how long they take.
#[test]
fn requests_take_as_long_as_theory_says() {
    // The mean of the squares, in ms².
    let cases = [
        ("fixed/1ms", 1.0),
        ("exponential/1ms", 2.0),
        ("uniform/500us/1500us", 1.0 + 1.0 / 12.0),
        ("lognormal/1ms/0.8", 0.64_f64.exp()),
        ("bimodal/500us/5500us/10", 0.9 * 0.25 + 0.1 * 5.5 * 5.5),
    ];
    for (service, squares) in cases {
        for rate in [300, 500, 700] {
            let load = f64::from(rate) / 1000.0;
            let expected = 1.0 + load * squares / (2.0 * (1.0 - load));
            let text = format!("web:rate={rate},service={service},threads=1");
            let found = pieces("1c", &text, 400 * SECOND);
            assert_eq!(found.latency.count(), found.done);
            let mean = found.latency.sum() as f64 / found.done as f64 / MS as f64;
            assert!(near(mean, expected, 0.06), "{text}: {mean} ms and not {expected} ms");
        }
    }
}

#[test]
fn requests_do_not_wait_for_those_before() {
    // Twice as many as can be served: half of them wait, at the end for half of the time.
    let found = pieces("2c", "web:rate=4000,service=1ms,threads=2", 10 * SECOND);
    assert!(near(found.done as f64, 20_000.0, 0.01), "{}", found.done);
    assert!(near(found.latency.greatest() as f64, 5e9, 0.05), "{}", found.latency.greatest());
}

#[test]
fn a_request_with_a_wait_takes_longer_by_that() {
    let text = "web:rate=100,service=1ms,threads=64,io=2ms,parse=500us";
    let found = pieces("16c", text, 20 * SECOND).latency;
    assert_eq!((found.least(), found.quantile(1, 2)), (3_500_000, found.quantile(1, 100)));
}

/// Parameters of what is to be used of a machine, in CPUs.
#[test]
fn as_much_is_used_as_parameters_say() {
    let cases = [
        // 9600 requests a second of 1 ms.
        ("16c", "web", 9.6, 0.02),
        ("16c", "web:rate=200*cpus,service=lognormal/2ms/1", 6.4, 0.03),
        // 32 tasks, 2 ms in 10.
        ("16c", "periodic", 6.4, 0.01),
        ("16c", "periodic:run=1ms,jitter=50", 3.2, 0.01),
        ("16c", "batch", 16.0, 0.001),
        // As long for the wait as for the work.
        ("16c", "batch:tasks=8,run=exponential/5ms,io=exponential/5ms", 4.0, 0.03),
        // Each job waits 10 times 300 us, and computes 10 ms and 150 ms; on free CPUs.
        ("32c", "compile:jobs=16", 16.0 * 160.0 / 163.0, 0.01),
        // A frame takes three times 3 ms and four times 1 ms; the rest is 32 times 2 ms in 12.
        ("64c", "game:noise=32", 13.0 / 16.667 + 32.0 / 6.0, 0.02),
        // 5 ms of 5.1.
        ("32c", "schbench:messages=2,workers=8", 16.0 * 5.0 / 5.1, 0.01),
        // One of the two runs at any time.
        ("2c", "pipe", 1.0, 0.001),
        // Now and then all of a group wait for each other's turn.
        ("4c", "messaging", 4.0, 0.06),
        // 0.3 for requests of each CPU, a twentieth for every second; the rest for the batch.
        ("16c", "mixed", 16.0, 0.005),
        // 64 children of 1 ms every 50 ms, and 30 us for making each.
        ("16c", "forkstorm", 64.0 * 1.03 / 50.0, 0.05),
        ("16c", "burst", 128.0 * 0.5 / 20.0, 0.01),
    ];
    for (machine, workload, cpus, part) in cases {
        let time_ns = if workload.starts_with("pipe") { SECOND / 5 } else { 10 * SECOND };
        let world = run(machine, workload, time_ns, false);
        let found = busy_ns(&world) as f64 / time_ns as f64;
        assert!(near(found, cpus, part), "{machine}, {workload}: {found} CPUs and not {cpus}");
    }
}

#[test]
fn rates_are_what_parameters_say() {
    let cases = [
        // A round trip is twice 500 ns; a message 1.6 us in all.
        ("2c", "pipe", SECOND / 5, 200_000.0, 0.001),
        ("4c", "messaging", SECOND, 2.5e6, 0.06),
        ("32c", "schbench:messages=2,workers=8", 10 * SECOND, 16e4 / 5.1, 0.01),
        ("32c", "compile:jobs=16", 20 * SECOND, 16.0 * 20.0 / 0.163, 0.05),
        ("64c", "game", 10 * SECOND, 600.0, 0.002),
        ("16c", "web", 10 * SECOND, 96_000.0, 0.015),
        ("16c", "batch", 60 * SECOND, 9600.0, 0.04),
    ];
    for (machine, workload, time_ns, expected, part) in cases {
        let found = pieces(machine, workload, time_ns).done as f64;
        assert!(near(found, expected, part), "{workload}: {found} and not {expected}");
    }
}

#[test]
fn as_many_compilers_at_a_time_as_jobs() {
    let mut world = run("4c", "compile:jobs=7,run=exponential/20ms", 10 * SECOND, true);
    let (mut live, mut most, mut all_ns) = (0_u64, 0, 0);
    let (mut first_ns, mut last_ns) = (None, 0);
    for event in world.take_events() {
        let change: i64 = match event.what() {
            What::Fork { parent, .. } if parent.is_some() => 1,
            What::Exit => -1,
            _ => continue,
        };
        first_ns.get_or_insert(event.time_ns);
        all_ns += live * (event.time_ns - last_ns);
        last_ns = event.time_ns;
        live = live.saturating_add_signed(change);
        most = most.max(live);
    }
    let mean = all_ns as f64 / (last_ns - first_ns.unwrap()) as f64;
    assert_eq!(most, 7);
    assert!(mean > 6.9, "{mean}");
}

#[test]
fn a_frame_goes_from_stage_to_stage() {
    let text = "game:run=2ms,help=1ms,noise=0,stages=4,helpers=3";
    let mut world = run("8c", text, 10 * SECOND, true);
    let frames = world.pieces()[0].done;
    let latency = world.pieces()[0].latency.clone();
    assert_eq!((latency.least(), latency.greatest()), (8_000_000, 8_000_000));
    let found = wake_ups(&mut world);
    for (waker, woken, times) in [
        ("stage1", "stage2", 1),
        ("stage2", "stage3", 1),
        ("stage3", "stage4", 1),
        ("stage1", "helper", 3),
        // The helpers are done first.
        ("helper", "stage1", 0),
        ("stage4", "stage1", 0),
        ("nobody", "stage1", 1),
    ] {
        let found = count(&found, waker, woken);
        assert!(found.abs_diff(times * frames) <= 3, "{waker} wakes {woken} {found} times");
    }
}

#[test]
fn late_frames_are_counted() {
    let game = |run: &str, more: &str| {
        let text = format!("game:run={run},helpers=0,noise=0{more}");
        let found = pieces("8c", &text, 10 * SECOND);
        (found.done, found.late, found.deadline_ns)
    };
    let (done, late, deadline_ns) = game("5ms", "");
    assert_eq!((late, deadline_ns), (0, Some(16_667 * US)));
    assert!((598..=600).contains(&done));
    let (done, late, _) = game("6ms", "");
    assert!(late == done && done >= 598, "three stages of 6 ms are more than 16.667 ms");
    let (done, late, _) = game("bimodal/1ms/6ms/50", ",stages=1,deadline=3ms");
    assert!(near(late as f64, done as f64 / 2.0, 0.15), "{late} of {done}");
}

#[test]
fn messages_wake_workers_and_workers_messages() {
    let text = "schbench:messages=2,workers=4,run=exponential/1ms";
    let mut world = run("16c", text, 10 * SECOND, true);
    let requests = world.pieces()[0].done;
    let found = wake_ups(&mut world);
    // Each request is asked for once; who is awake is not woken again.
    let told = count(&found, "message", "worker");
    assert!(told <= requests + 8 && told > requests * 9 / 10, "{told} of {requests}");
    let asked = count(&found, "worker", "message");
    assert!(asked <= requests && asked > requests * 9 / 10, "{asked} of {requests}");
    assert!(count(&found, "nobody", "worker").abs_diff(requests) <= 16, "sleeps");
    assert_eq!(count(&found, "worker", "worker") + count(&found, "message", "message"), 0);
}

#[test]
fn pairs_and_bursts_wake_whom_they_should() {
    let mut world = run("4c", "pipe:pairs=2,run=10us", SECOND, true);
    let round_trips = world.pieces()[0].done;
    let found = wake_ups(&mut world);
    assert!(count(&found, "pipe", "echo").abs_diff(round_trips) <= 2);
    assert!(count(&found, "echo", "pipe").abs_diff(round_trips) <= 2);
    assert_eq!(found.keys().filter(|(waker, _)| waker != "nobody").count(), 2);
    let mut world = run("4c", "burst:tasks=10,every=20ms,run=100us", SECOND, true);
    let found = wake_ups(&mut world);
    let bursts = count(&found, "nobody", "waker");
    assert!((49..=51).contains(&bursts), "{bursts}");
    assert!(count(&found, "waker", "burst").abs_diff(10 * bursts) <= 10);
}

#[test]
fn senders_wait_while_there_is_no_room() {
    // Senders are ten times as fast as receivers, of which there is one for each CPU.
    let text = "messaging:groups=1,fds=4,send=1us,receive=40us,room=32,free=24";
    let mut world = run("4c", text, SECOND, true);
    let messages = world.pieces()[0].done;
    let latency = world.pieces()[0].latency.clone();
    // A message waits for at most those that have room before it, and for its reader's turn.
    assert!(latency.greatest() < 32 * 41 * US + 30 * MS, "{}", latency.greatest());
    // A receiver that has read 24 wakes all who wait for it: with as many of both, one on average.
    let found = wake_ups(&mut world);
    let woken = count(&found, "receiver", "sender");
    assert!(near(woken as f64, messages as f64 / 24.0, 0.2), "{woken}, {messages}");
}
