// SPDX-License-Identifier: GPL-2.0-or-later
//! How fast work gets done on a machine, what things cost there, and what it draws.

use rota_events::{Activity, Event, What};
use rota_object::KernelTypes;
use rota_sim::{CorePower, Costs, IdleState, Model, Noise, Platform, Power, Shape, Simulation};
use rota_topology::{CoreType, Spec, Topology};
use rota_workload::Workload;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: u64 = 1_000_000_000;

fn topology(spec: &str) -> Topology {
    spec.parse::<Spec>().unwrap().topology()
}

/// A machine without a scheduler of sched_ext, after so long under a workload.
fn run(
    topology: &Topology,
    workload: &str,
    costs: Costs,
    platform: &Platform,
    time_ns: u64,
) -> Simulation {
    let shape = Shape { costs, platform: Arc::new(platform.clone()), ..Shape::default() };
    let types = KernelTypes::builtin("7.3").unwrap();
    let mut world = Simulation::fair(&types, topology, &shape).unwrap();
    world.start_recording();
    let cpus = topology.possible().count() as u32;
    world.add(&Workload::parse(workload, cpus).unwrap()).unwrap();
    world.add_noise().unwrap();
    world.run_until(world.now_ns() + time_ns).unwrap();
    world
}

/// The pieces of work that each group has done.
fn done(world: &Simulation) -> Vec<u64> {
    world.work_done().into_iter().map(|(_, done)| done).collect()
}

fn quiet() -> Platform {
    Platform::default()
}

#[test]
fn threads_of_a_core_slow_each_other_down() {
    let costs = Costs { smt_percent: 62, ..Costs::NONE };
    let one = "cpu:tasks=1,run=1ms,cpus=0";
    let alone = run(&topology("2c:2t"), one, costs, &quiet(), SECOND);
    assert_eq!(done(&alone)[0], 1000);
    let apart = format!("{one}+cpu:tasks=1,run=1ms,cpus=2");
    assert_eq!(done(&run(&topology("2c:2t"), &apart, costs, &quiet(), SECOND))[..2], [1000, 1000]);
    let both = format!("{one}+cpu:tasks=1,run=1ms,cpus=1");
    assert_eq!(done(&run(&topology("2c:2t"), &both, costs, &quiet(), SECOND))[..2], [619, 619]);
    // The sibling is busy for half of the time: (1 + 0.619) / 2.
    let half = format!("{one}+periodic:tasks=1,period=10ms,run=3085us,cpus=1");
    let half = done(&run(&topology("2c:2t"), &half, costs, &quiet(), 2 * SECOND))[0] / 2;
    assert!((803..=814).contains(&half), "{half}");
}

#[test]
fn a_weak_cpu_takes_longer() {
    let laptop = Model::named("laptop").unwrap().unwrap().topology;
    let text = "cpu:tasks=1,run=1ms,cpus=0+cpu:tasks=1,run=1ms,cpus=8";
    let world = run(&laptop, text, Costs::NONE, &quiet(), SECOND);
    assert_eq!(done(&world)[..2], [1000, 625]);
}

/// Two tasks on one CPU in turn: at each switch the other one's caches are gone.
#[test]
fn a_task_pays_for_what_others_took_from_its_caches() {
    // The other one has run for a slice, which is 700 us on a machine of one CPU.
    let costs = Costs { refill_ns: 400_000, refill_after_ns: 700_000, ..Costs::NONE };
    let alone = run(&topology("1c"), "cpu:tasks=1,run=1ms", costs, &quiet(), SECOND);
    assert_eq!(done(&alone)[0], 1000);
    let mut two = run(&topology("1c"), "cpu:tasks=2,run=1ms", costs, &quiet(), SECOND);
    let switches = two.take_events().iter().filter(|event| between_tasks(event)).count() as u64;
    let (lost_ms, expected_ms) = (1000 - done(&two)[0], switches * 400 / 1000);
    assert!(
        switches > 50 && lost_ms.abs_diff(expected_ms) <= 3,
        "{lost_ms} ms, {switches} switches"
    );
}

fn between_tasks(event: &Event) -> bool {
    matches!(event.what(), What::Switch { from, .. } if from.is_some() && event.task.is_some())
}

/// What tasks ran for without their work getting done is what their migrations cost.
#[test]
fn a_task_pays_for_coming_from_far_away() {
    let costs = Costs { migration_ns: [10_000, 20_000, 40_000, 80_000], ..Costs::NONE };
    let topology = topology("2s:2l:2c:2t");
    let text = "burst:tasks=40,every=10ms,run=1ms";
    let mut world = run(&topology, text, costs, &quiet(), 4 * SECOND);
    let mut last = BTreeMap::new();
    let mut running = BTreeMap::new();
    let (mut ran_ns, mut expected_ns, mut kinds) = (0, 0, [0; 4]);
    for event in world.take_events() {
        if !matches!(event.what(), What::Switch { .. }) {
            continue;
        }
        if let Some(since) = running.remove(&event.cpu.0) {
            ran_ns += event.time_ns - since;
        }
        if !event.task.is_some() {
            continue;
        }
        running.insert(event.cpu.0, event.time_ns);
        // Threads of a core are 0 and 1, cores of a cache 0-3, of a node 0-7.
        if let Some(from) = last.insert(event.task, event.cpu.0).filter(|from| *from != event.cpu.0)
        {
            let kind = [1, 2, 3].into_iter().rfind(|bits| from >> bits != event.cpu.0 >> bits);
            kinds[kind.unwrap_or(0)] += 1;
            expected_ns += costs.migration_ns[kind.unwrap_or(0)];
        }
    }
    // Who wakes them up takes a moment, which is no work.
    let lost_ns = ran_ns - done(&world)[0] * 1_000_000;
    // Those that run at the end are in the middle of something.
    assert!(kinds.iter().all(|kind| *kind > 0), "{kinds:?}");
    assert!(
        lost_ns.abs_diff(expected_ns) <= 24_000_000 / 4,
        "{lost_ns} ns, {expected_ns} expected"
    );
}

/// A periodic task that finds its CPU in a deep sleep waits until that has woken up.
#[test]
fn leaving_an_idle_state_takes_its_time() {
    let state = |exit_ns, residency_ns| IdleState {
        name: String::new(),
        exit_ns,
        residency_ns,
        power_mw: 0,
    };
    let idle = vec![state(3_000, 0), state(70_000, 5_000_000)];
    let platform = Platform { idle, ..quiet() };
    for (period_ms, exit_ns) in [(2_u64, 3_000), (50, 70_000)] {
        let text = format!("periodic:tasks=1,period={period_ms}ms,run=100us");
        let mut world = run(&topology("1c"), &text, Costs::NONE, &platform, SECOND);
        let mut waking_ns = None;
        let mut waits = Vec::new();
        for event in world.take_events() {
            match event.what() {
                What::Waking { .. } => waking_ns = Some(event.time_ns),
                What::Switch { .. } if event.task.is_some() => {
                    waits.extend(waking_ns.take().map(|since| event.time_ns - since));
                }
                _ => {}
            }
        }
        // The first periods begin in the idle state of the start.
        assert!(waits.len() > 10 && waits[2..].iter().all(|wait| *wait == exit_ns), "{waits:?}");
    }
}

/// Energy from the events alone: who was busy when, core by core.
fn joules(world: &mut Simulation, topology: &Topology, platform: &Platform, end_ns: u64) -> f64 {
    let start_ns = 1;
    let mut joules = platform.power.base_mw as f64 / 1e3 * (end_ns - start_ns) as f64 / 1e9;
    let events = world.take_events();
    for core in topology.cores() {
        let mut busy = vec![false; topology.cpus().len()];
        let (mut since, mut kept) = (start_ns, 0);
        let mut settle = |until: u64, busy: usize, since: u64| {
            let ns = until - since;
            let power = platform.power.cores[0];
            let mw = match busy {
                0 => {
                    platform
                        .idle
                        .iter()
                        .rfind(|s| s.residency_ns <= ns)
                        .unwrap_or(&platform.idle[0])
                        .power_mw as f64
                }
                n => {
                    let more = (n - 1) as f64 * platform.power.thread_percent as f64 / 100.0;
                    power.static_mw as f64 + power.dynamic_mw as f64 * (1.0 + more)
                }
            };
            joules += mw / 1e3 * ns as f64 / 1e9;
        };
        for event in &events {
            let cpu = rota_topology::CpuId(event.cpu.0);
            if !core.cpus.contains(cpu) || !matches!(event.what(), What::Switch { .. }) {
                continue;
            }
            if busy[cpu.index()] != event.task.is_some() {
                settle(event.time_ns, kept, since);
                busy[cpu.index()] = event.task.is_some();
                kept = busy.iter().filter(|busy| **busy).count();
                since = event.time_ns;
            }
        }
        settle(end_ns, kept, since);
    }
    joules
}

#[test]
fn energy_is_what_the_events_say() {
    let cores = vec![CorePower {
        kind: CoreType::Uniform,
        static_mw: 1_100,
        dynamic_mw: 6_500,
        least: 1024,
    }];
    let model = Model::named("server256").unwrap().unwrap();
    let power = Power { base_mw: 20_000, cores, thread_percent: 15 };
    let platform = Platform { power, ..model.platform };
    let topology = topology("2l:2c:2t");
    let text = "periodic:tasks=6,period=7ms,run=2ms,jitter=50+burst:tasks=5";
    let mut world = run(&topology, text, model.costs, &platform, SECOND);
    let (modelled, end_ns) = (world.energy_pj() as f64 / 1e12, world.now_ns());
    let expected = joules(&mut world, &topology, &platform, end_ns);
    assert!((modelled / expected - 1.0).abs() < 1e-6, "{modelled} J, {expected} J");
    assert!(modelled > 22.0 && modelled < 60.0, "{modelled} J");
}

/// CPUs that are offline from the start are not idle, run no noise, and are in no ideal share.
#[test]
fn offline_cpus_are_not_there() {
    let all = topology("4c").to_json();
    let offline = |json: &str, cpu: u32| {
        let (on, off) =
            (format!("\"cpu\":{cpu},\"online\":true"), format!("\"cpu\":{cpu},\"online\":false"));
        json.replace(&on, &off)
    };
    let some = Topology::from_json(&offline(&offline(&all, 1), 3)).unwrap();
    let model = Model::named("desktop16").unwrap().unwrap();
    let mut world = run(&some, "cpu:tasks=4", Costs::NONE, &model.platform, SECOND);
    let mut activity = Activity::new(&world.machine_facts().cpus);
    for event in world.take_events() {
        let there = [0, 2].contains(&event.cpu.0);
        assert!(there || matches!(event.what(), What::Hotplug { online: false }), "{event:?}");
        activity.add(&event);
    }
    let found = activity.summary(world.now_ns());
    // Two CPUs need 2 us each to leave C1.
    assert_eq!(found.lost_idle_ns, 4_000);
    assert!(found.machine().utilisation() > 0.99, "{}", found.machine().utilisation());
    assert!(found.unfairness() < 0.05, "{}", found.unfairness());
}

#[test]
fn noise_is_as_much_as_the_machine_says() {
    let noise = Noise {
        worker_every_ns: 10_000_000,
        worker_run_ns: 200_000,
        realtime_every_ns: 20_000_000,
        realtime_run_ns: 500_000,
        ..Noise::default()
    };
    let platform = Platform { noise, ..quiet() };
    let world = run(&topology("8c"), "cpu:tasks=1", Costs::NONE, &platform, 10 * SECOND);
    // 8 workers, each once in 10.2 ms; one real-time task, once in 20.5 ms. Poisson, 4 deviations.
    let expected = 8.0 * 10e3 / 10.2 + 10e3 / 20.5;
    let found = done(&world)[1] as f64;
    assert!((found - expected).abs() < 4.0 * expected.sqrt(), "{found}, expected {expected}");
    let interrupts = Noise { interrupt_ppm: 20_000, ..Noise::default() };
    let platform = Platform { noise: interrupts, ..quiet() };
    let world = run(&topology("1c"), "cpu:tasks=1,run=1ms", Costs::NONE, &platform, 10 * SECOND);
    // 2 %: the mean of 2,500 exponential parts of 80 us, within 4 deviations.
    let lost = 10_000 - done(&world)[0];
    assert!((184..=216).contains(&lost), "{lost} ms of 10 s");
}

#[test]
fn every_machine_that_has_a_name_can_be_had() {
    for name in Model::names() {
        let model = Model::named(name).unwrap().unwrap();
        assert!(model.sources.iter().all(|source| source.text.len() > 20), "{name}");
        assert!(model.sources.len() >= 20 && !model.platform.idle.is_empty(), "{name}");
    }
    let cpus = |name: &str| Model::named(name).unwrap().unwrap().topology.online().count();
    assert_eq!(["laptop", "desktop16", "server256", "server1024"].map(cpus), [16, 16, 256, 1024]);
    assert!(Model::named("desk").is_none());
}
