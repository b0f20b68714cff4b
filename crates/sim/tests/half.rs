// SPDX-License-Identifier: GPL-2.0-or-later
//! User halves on a simulated machine, as they are: driven by the very session that drives them
//! on a real one.

use rota_events::{Metric, Sample};
use rota_object::{KernelTypes, Object, Setup, World};
use rota_programs::simple::OBJECT;
use rota_sched::{HalfError, Plain, Session, UserHalf, Wake};
use rota_sim::{Costs, Pause, Shape, Simulation};
use rota_topology::Spec;
use rota_workload::Workload;
use std::cell::RefCell;
use std::rc::Rc;

const MS: u64 = 1_000_000;

/// What a half saw in one step: the time, and what CPU 0 had spent.
type Seen = Rc<RefCell<Vec<(u64, u64)>>>;

/// A half that is called every 10 ms, looks at the CPUs, and sets the present in virtual time.
struct Steps {
    plain: Plain,
    seen: Seen,
}

impl UserHalf for Steps {
    fn configure(&mut self, setup: &mut dyn Setup) -> Result<(), HalfError> {
        assert_eq!(setup.topology().online().count(), 2);
        setup.set_ops_member("timeout_ms", 1000)?;
        self.plain.configure(setup)
    }

    fn start(&mut self, now_ns: u64, _: &mut dyn World) -> Result<Wake, HalfError> {
        Ok(Wake::At(now_ns + 10 * MS))
    }

    fn step(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Wake, HalfError> {
        let cpu = world.cpu_times()?[0];
        assert_eq!(cpu.busy_ns + cpu.idle_ns, now_ns);
        self.seen.borrow_mut().push((now_ns, cpu.busy_ns));
        world.write_global("vtime_now", &now_ns.to_le_bytes())?;
        Ok(Wake::At(now_ns + 10 * MS))
    }

    fn metrics(&self) -> &[Metric] {
        self.plain.metrics()
    }

    fn sample(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Sample, HalfError> {
        self.plain.sample(now_ns, world)
    }
}

/// Runs `simple` with this half for 100 ms; when its steps were, and what it counted.
fn run(cost_ns: Option<u64>, workload: &str) -> (Vec<u64>, Sample) {
    let object = Object::parse(OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = "2c".parse::<Spec>().unwrap().topology();
    let shape = Shape { costs: Costs::NONE, ..Shape::default() };
    let mut world = Simulation::new(&object, &types, &topology, &shape).unwrap();
    let seen = Seen::default();
    let settings = [("slice".to_owned(), "1ms".to_owned())];
    let plain = Plain::new(&object, &settings).unwrap();
    let half = Box::new(Steps { plain, seen: Rc::clone(&seen) });
    let mut session = Session::start(half, 0, &mut world).unwrap();
    if let Some(cost_ns) = cost_ns {
        world.add_half(cost_ns).unwrap();
    }
    world.add(&Workload::parse(workload, 2).unwrap()).unwrap();
    let mut waits = false;
    while world.now_ns() < 100 * MS {
        let Wake::At(wake_ns) = session.wake() else { panic!() };
        let until = if waits { 100 * MS } else { wake_ns.min(100 * MS) };
        let pause = world.run_until(until).unwrap();
        if pause == Pause::Half {
            waits = false;
        } else if !waits && world.now_ns() >= wake_ns {
            waits = world.wake_half().unwrap();
        }
        if !waits {
            session.step(world.now_ns(), &mut world).unwrap();
        }
    }
    let sample = session.sample(world.now_ns(), &mut world).unwrap();
    let times = seen.borrow().iter().map(|(now, _)| *now).collect();
    (times, sample)
}

#[test]
fn a_half_that_costs_nothing_steps_on_time() {
    let (times, sample) = run(None, "cpu:tasks=4");
    let expected: Vec<u64> = (1..=10).map(|n| 10 * MS * n).collect();
    assert_eq!(times, expected);
    let ran = sample.values[4];
    // Each CPU has one task that still runs, for at most a slice with its tick.
    assert!((190 * MS..=200 * MS).contains(&ran), "{sample:?}");
}

#[test]
fn a_half_that_costs_time_steps_when_it_has_had_it() {
    let (times, _) = run(Some(200_000), "pingpong");
    let expected: Vec<u64> = (1..).map(|n| (10 * MS + 200_000) * n).take(times.len()).collect();
    assert_eq!(times, expected, "it meets an idle CPU each time");
    let (late, _) = run(Some(200_000), "cpu:tasks=6");
    assert!(late.len() < times.len(), "with all CPUs busy it has to wait: {late:?}");
}
