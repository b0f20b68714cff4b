// SPDX-License-Identifier: GPL-2.0-or-later
//! Workloads under a scheduler: tasks get the CPU time that their programs say, when they say.

use rota_bytecode::Mode;
use rota_events::What;
use rota_object::{Engine, KernelTypes, Object, Setup, World};
use rota_sim::{Costs, Model, Pause, Platform, Shape, Simulation};
use rota_topology::{CpuId, Spec};
use rota_workload::{
    AWAY, Event, EventId, Group, Program, Span, Step, Template, TemplateId, Workload, away,
};
use std::sync::Arc;

/// A machine on which `simple` schedules a workload, after so many ns.
fn run(machine: &str, workload: &str, shape: &Shape, time_ns: u64) -> Simulation {
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = machine.parse::<Spec>().unwrap().topology();
    let mut world = Simulation::new(&object, &types, &topology, shape).unwrap();
    world.load().unwrap();
    world.attach().unwrap();
    let cpus = topology.possible().count() as u32;
    world.add(&Workload::parse(workload, cpus).unwrap()).unwrap();
    assert_eq!(world.run_until(time_ns).unwrap(), Pause::Time);
    world
}

const SECOND: u64 = 1_000_000_000;

fn free() -> Shape {
    Shape { costs: Costs::NONE, ..Shape::default() }
}

fn server() -> Costs {
    Model::named("server256").unwrap().unwrap().costs
}

fn done(world: &Simulation) -> Vec<u64> {
    world.work_done().into_iter().map(|(_, done)| done).collect()
}

fn busy_ns(world: &Simulation) -> u64 {
    world.cpu_times().unwrap().iter().map(|cpu| cpu.busy_ns).sum()
}

#[test]
fn periodic_tasks_run_once_a_period() {
    let world = run("4c", "periodic:tasks=8,period=10ms,run=1ms", &free(), 10 * SECOND);
    let done = done(&world)[0];
    // The first period begins anywhere in it.
    assert!((8 * 999..=8 * 1000).contains(&done), "{done}");
    let busy = busy_ns(&world);
    assert!(busy.abs_diff(done * 1_000_000) < 8_000_000, "{busy}");
}

#[test]
fn a_task_that_always_runs_leaves_no_cpu_idle() {
    let world = run("4c", "cpu:tasks=6,run=10ms", &free(), 6 * SECOND);
    assert_eq!(busy_ns(&world), 4 * (6 * SECOND - 1));
    let done = done(&world)[0];
    assert!((2394..=2400).contains(&done), "{done}");
}

#[test]
fn pairs_alternate() {
    let world = run("2c", "pingpong:pairs=1,run=1ms", &free(), SECOND);
    // Each of the two runs for 1 ms of every round.
    assert_eq!(done(&world), [499]);
}

#[test]
fn storms_end_and_bursts_wake_everybody() {
    let text = "forkstorm:children=20,every=50ms,run=1ms+burst:tasks=16,every=20ms,run=500us";
    let world = run("4c", text, &free(), SECOND);
    let [children, woken] = done(&world)[..] else { panic!() };
    assert!((380..=400).contains(&children), "{children}");
    assert!((16 * 48..=16 * 50).contains(&woken), "{woken}");
}

#[test]
fn what_things_cost_is_time_that_no_work_is_done_in() {
    let costs = Costs { switch_ns: 100_000, ..Costs::NONE };
    let shape = Shape { costs, ..Shape::default() };
    let world = run("1c", "pingpong:pairs=1,run=900us", &shape, SECOND);
    assert_eq!(done(&world), [499], "a round takes two switches and two runs: 2 ms");
}

#[test]
fn both_engines_do_the_same() {
    let text = "periodic+forkstorm+pingpong:pairs=3";
    let all = [Mode::Jit, Mode::Interpreter].map(|mode| {
        let world = run("2l:2c", text, &Shape { mode, costs: server(), ..free() }, SECOND / 5);
        (done(&world), world.callbacks(), world.cpu_times().unwrap())
    });
    assert_eq!(all[0], all[1]);
    let other = run("2l:2c", text, &Shape { seed: 1, costs: server(), ..free() }, SECOND / 5);
    assert_ne!(all[0].1, other.callbacks(), "another seed is another run");
}

#[test]
fn a_user_half_takes_its_time() {
    let mut world = run("1c", "cpu:tasks=1", &free(), SECOND / 10);
    world.add_half(500_000).unwrap();
    assert!(world.wake_half().unwrap());
    let before = world.now_ns();
    assert_eq!(world.run_until(SECOND).unwrap(), Pause::Half);
    // It has to wait for its turn, and then for its own time.
    let took = world.now_ns() - before;
    assert!((500_000..60_000_000).contains(&took), "{took}");
    assert_eq!(world.run_until(SECOND).unwrap(), Pause::Time);
}

#[test]
fn offline_cpus_run_nothing() {
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = "4c".parse::<Spec>().unwrap().topology();
    let (on, off) = (r#""cpu":3,"online":true"#, r#""cpu":3,"online":false"#);
    let text = topology.to_json().replace(on, off);
    let topology = rota_topology::Topology::from_json(&text).unwrap();
    assert_eq!(topology.online().count(), 3);
    let mut world = Simulation::new(&object, &types, &topology, &free()).unwrap();
    world.load().unwrap();
    world.attach().unwrap();
    assert!(world.hotplug_generation() > 0);
    world.add(&Workload::parse("cpu:tasks=8", 4).unwrap()).unwrap();
    assert_eq!(world.run_until(SECOND).unwrap(), Pause::Time);
    let times = world.cpu_times().unwrap();
    assert_eq!(times.iter().map(|cpu| cpu.cpu).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(busy_ns(&world), 3 * (SECOND - 1));
}

#[test]
fn a_scheduler_that_is_taken_off_says_so() {
    let mut world = run("2c", "cpu:tasks=4", &free(), SECOND);
    assert_eq!(world.exit_info().unwrap(), None);
    world.detach().unwrap();
    let info = world.exit_info().unwrap().unwrap();
    assert_eq!(info.cause(), rota_object::ExitCause::Detached);
    assert_eq!(world.run_until(2 * SECOND).unwrap(), Pause::Exit);
}

/// A task for each of these bodies, which it repeats for ever.
fn endless(events: Vec<Event>, bodies: &[&[Step]]) -> Workload {
    let template = |body: &&[Step]| Template {
        name: "task".to_owned(),
        group: 0,
        nice: 0,
        partners: 0,
        cpus: None,
        cgroup: None,
        realtime: false,
        program: Arc::new(Program::default().repeated(None, body.iter().copied())),
    };
    Workload {
        events,
        groups: vec![Group { name: "all".to_owned(), deadline_ns: None }],
        templates: bodies.iter().map(template).collect(),
        starts: (0..bodies.len() as u32).map(TemplateId).collect(),
        ..Workload::default()
    }
}

/// One who wakes another one up every 200 us, and goes on; with a system call of so long, if any.
fn waker_and_woken(call_ns: Option<u64>) -> Workload {
    let run = |ns| Step::Run(Span::Fixed(ns));
    let call = call_ns.map(Step::Call);
    let waker = [Some(run(100_000)), call, Some(Step::Signal(EventId(0), 1)), Some(run(100_000))];
    let woken = [Step::Wait(EventId(0)), run(5_000)];
    let waker: Vec<Step> = waker.into_iter().flatten().collect();
    endless(vec![Event::COUNTER], &[&woken, &waker])
}

#[test]
fn who_wakes_somebody_up_gives_way_at_the_end_of_its_call() {
    let types = KernelTypes::builtin("6.18").unwrap();
    let topology = "1c".parse::<Spec>().unwrap().topology();
    for call_ns in [None, Some(7_000)] {
        let mut world = Simulation::fair(&types, &topology, &free()).unwrap();
        world.start_recording();
        world.add(&waker_and_woken(call_ns)).unwrap();
        world.run_until(SECOND).unwrap();
        let (mut waking, mut at_once, mut late) = (None, 0, 0);
        for event in world.take_events() {
            match event.what() {
                What::Waking { .. } => waking = Some(event.time_ns),
                What::Switch { leaves, .. } if leaves.is_runnable() => {
                    let Some(since) = waking.take() else { continue };
                    let preempted = event.time_ns - since == call_ns.unwrap_or(0);
                    (at_once, late) =
                        (at_once + i32::from(preempted), late + i32::from(!preempted));
                }
                _ => {}
            }
        }
        assert!(at_once > 4_000 && late < 100, "{call_ns:?}: {at_once}, {late} later");
    }
}

#[test]
fn who_is_in_a_call_does_not_give_way_whoever_else_was() {
    let run = |ns| Step::Run(Span::Fixed(ns));
    // Each wakes up the next one, and some go to sleep while their call lasts.
    let body = |own: u32, other: u32, rest_ns: u64| {
        let steps = [Step::Wait(EventId(own)), run(2_000), Step::Call(7_000)];
        steps.into_iter().chain([Step::Signal(EventId(other), 1), run(rest_ns)])
    };
    let rests_ns = [1_000, 9_000, 3_000];
    let bodies: Vec<Vec<Step>> =
        (0..).zip(rests_ns).map(|(own, ns)| body(own, (own + 1) % 3, ns).collect()).collect();
    let bodies: Vec<&[Step]> = bodies.iter().map(Vec::as_slice).collect();
    let started = Event { initial: 1, ..Event::COUNTER };
    let workload = endless(vec![started, started, Event::COUNTER], &bodies);
    let types = KernelTypes::builtin("6.18").unwrap();
    let topology = "1c".parse::<Spec>().unwrap().topology();
    let mut world = Simulation::fair(&types, &topology, &free()).unwrap();
    world.start_recording();
    world.add(&workload).unwrap();
    world.run_until(SECOND / 10).unwrap();
    let (mut last, mut preempted) = (None, 0);
    for event in world.take_events() {
        match event.what() {
            What::Waking { waker } => last = Some((waker, event.time_ns)),
            What::Switch { from, leaves } if leaves.is_runnable() => {
                if let Some((waker, since_ns)) = last
                    && waker == from
                {
                    assert!(event.time_ns - since_ns >= 7_000, "{event:?}");
                    preempted += 1;
                }
            }
            _ => {}
        }
    }
    assert!(preempted > 100, "{preempted}");
    let done: u64 = world.cpu_times().unwrap().iter().map(|cpu| cpu.busy_ns).sum();
    assert!(done >= SECOND / 10 - 10_000, "{done}");
}

/// What two tasks used that send 1,000 messages from one to the other on CPUs of their own, the sender
/// each 100 us; and what another CPU being interrupted costs.
fn used_ns(message: Event, costs: Costs) -> Vec<u64> {
    let run = |ns| Step::Run(Span::Fixed(ns));
    let sender = [Step::Sleep(Span::Fixed(100_000)), run(1_000), Step::Signal(EventId(0), 1)];
    let receiver = [Step::Wait(EventId(0)), run(1_000)];
    let mut workload = endless(vec![message], &[&sender, &receiver]);
    for (template, cpu) in workload.templates.iter_mut().zip([0, 1]) {
        template.cpus = Some([CpuId(cpu)].into_iter().collect());
    }
    let types = KernelTypes::builtin("6.18").unwrap();
    let topology = "2c".parse::<Spec>().unwrap().topology();
    let shape = Shape { costs, ..free() };
    let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
    world.add(&workload).unwrap();
    world.run_until(SECOND / 10).unwrap();
    world.cpu_times().unwrap().iter().map(|cpu| cpu.busy_ns).collect()
}

#[test]
fn waking_up_and_having_slept_take_what_the_event_says() {
    let free = used_ns(Event::COUNTER, Costs::NONE);
    // Each sleep is of some 97 us.
    let mut there = [50_000; AWAY];
    there[away(97_000)] = 2_000;
    let sleep_ns = [[50_000; AWAY], there];
    let costly = Event { wake_ns: [7, 3_000], sleep_ns, ..Event::COUNTER };
    let used = used_ns(costly, Costs::NONE);
    let more = |used: &[u64], at: usize| used[at] as f64 / free[at] as f64;
    // A message takes 1 us on each side, and who waits for it is on another CPU.
    assert!((3.8..=4.1).contains(&more(&used, 0)), "{free:?} {used:?}");
    assert!((2.9..=3.1).contains(&more(&used, 1)), "{free:?} {used:?}");
    let kicked = used_ns(Event::COUNTER, Costs { kick_ns: 10_000, ..Costs::NONE });
    assert!((10.0..=11.1).contains(&more(&kicked, 0)), "{free:?} {kicked:?}");
    assert_eq!(kicked[1].abs_diff(free[1]) / 100_000, 0, "an idle CPU loses nothing");
}

#[test]
fn who_makes_room_wakes_up_one_after_the_other() {
    let run = |ns| Step::Run(Span::Fixed(ns));
    // Three wait for room that somebody makes for all of them each 100 us, which takes 4 us each. They
    // are on another CPU, or on the same one, and do not run before all are awake.
    let wake_ns = [4_000; 2];
    let room = Event { initial: 1, wakes_at: 3, wake_ns, ..Event::COUNTER };
    let (waits, makes) = ([Step::Wait(EventId(0)), run(1_000)], Step::Signal(EventId(0), 3));
    let maker = [Step::Sleep(Span::Fixed(100_000)), makes, run(1_000)];
    let mut workload = endless(vec![room], &[&maker, &waits, &waits, &waits]);
    for there in [1, 0] {
        for (template, cpu) in workload.templates.iter_mut().zip([0, there, there, there]) {
            template.cpus = Some([CpuId(cpu)].into_iter().collect());
        }
        makes_room_in_turn(&workload);
    }
}

fn makes_room_in_turn(workload: &Workload) {
    let types = KernelTypes::builtin("6.18").unwrap();
    let topology = "2c".parse::<Spec>().unwrap().topology();
    let mut world = Simulation::fair(&types, &topology, &free()).unwrap();
    world.start_recording();
    world.add(workload).unwrap();
    world.run_until(SECOND / 10).unwrap();
    let woken = |event: &rota_events::Event| match event.what() {
        What::Waking { waker } if waker.is_some() => Some((event.time_ns, event.task)),
        _ => None,
    };
    let woken: Vec<_> = world.take_events().iter().filter_map(woken).collect();
    assert!(woken.len() > 2_000, "{}", woken.len());
    let rounds: Vec<_> = woken.chunk_by(|a, b| b.0 - a.0 < 50_000).collect();
    for round in rounds.iter().skip(2).take(rounds.len() - 3) {
        let [(a, first), (b, second), (c, third)] = **round else { panic!("{round:?}") };
        assert_eq!((b - a, c - b), (4_000, 4_000), "{round:?}");
        assert!(first != second && second != third && first != third, "{round:?}");
    }
}

#[test]
fn who_is_interrupted_for_another_does_nothing_until_then() {
    let run = |ns| Step::Run(Span::Fixed(ns));
    // Each 5 ms somebody on CPU 0 wakes up who takes CPU 1 from a hog.
    let waker = [Step::Sleep(Span::Fixed(5_000_000)), Step::Signal(EventId(0), 1)];
    let woken = [Step::Wait(EventId(0)), run(10_000)];
    let mut workload = endless(vec![Event::COUNTER], &[&waker, &woken, &[run(50_000), Step::Done]]);
    for (template, cpu) in workload.templates.iter_mut().zip([0, 1, 1]) {
        template.cpus = Some([CpuId(cpu)].into_iter().collect());
    }
    let mut times = Vec::new();
    for kicked_ns in [0, 25_000] {
        let types = KernelTypes::builtin("6.18").unwrap();
        let topology = "2c".parse::<Spec>().unwrap().topology();
        let platform = Platform { preempts_at_once: true, ..Platform::clone(&free().platform) };
        let costs = Costs { kicked_ns, ..Costs::NONE };
        let shape = Shape { costs, platform: Arc::new(platform), ..free() };
        let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
        world.start_recording();
        world.add(&workload).unwrap();
        world.run_until(SECOND).unwrap();
        let (mut waking, mut late, mut came_ns) = (None, Vec::new(), None);
        for event in world.take_events() {
            if let (What::Switch { .. }, Some(since_ns), 1) = (event.what(), came_ns, event.cpu.0) {
                assert_eq!(event.time_ns - since_ns, 10_000, "who was woken up does not pay");
                came_ns = None;
            }
            match event.what() {
                What::Waking { waker } if waker.is_some() => waking = Some(event.time_ns),
                What::Switch { leaves, .. } if leaves.is_runnable() && event.cpu.0 == 1 => {
                    late.extend(waking.take().map(|since_ns| event.time_ns - since_ns));
                    came_ns = Some(event.time_ns).filter(|_| late.last() == Some(&kicked_ns));
                }
                _ => {}
            }
        }
        assert!(late.iter().filter(|ns| **ns == kicked_ns).count() > 100, "{kicked_ns}: {late:?}");
        times.push((done(&world)[0], late.len() as u64));
    }
    let [(before, _), (after, kicks)] = times[..] else { unreachable!() };
    let lost = (before - after) * 50_000;
    assert!(lost.abs_diff(kicks * 25_000) <= 500_000, "{lost} ns of {kicks} interrupts");
}
