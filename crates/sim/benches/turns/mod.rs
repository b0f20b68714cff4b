// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines that are measured in turns, so that whatever else the host does concerns all of them.

use rota_object::{Engine, KernelTypes, Object, Setup};
use rota_sim::{Shape, Simulation};
use rota_topology::Topology;
use std::fmt;
use std::time::Duration;

/// About how many events a machine has in one turn.
const EVENTS: u64 = 100_000;

/// CPU time of this thread.
pub(crate) fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A machine with a scheduler, without work, and some of the scheduler's settings in ns.
pub(crate) fn machine(
    object: &Object,
    types: &KernelTypes,
    topology: &Topology,
    shape: &Shape,
    settings: &[(&str, u64)],
) -> Simulation {
    let mut world = Simulation::new(object, types, topology, shape).unwrap();
    for (name, ns) in settings {
        world.write_global(name, &ns.to_le_bytes()).unwrap();
    }
    world.load().unwrap();
    world.attach().unwrap();
    world
}

/// A machine at work.
pub(crate) struct Case {
    pub(crate) name: String,
    world: Simulation,
    /// How many events there were.
    events: fn(&Simulation) -> u64,
    /// How far its clock goes on in a turn.
    turn_ns: u64,
    ns_an_event: Vec<f64>,
}

impl Case {
    /// The machine has work. It runs for some time first, and then for some that says how many events
    /// there are in a turn, in ns of its own.
    pub(crate) fn new(
        name: String,
        world: Simulation,
        events: fn(&Simulation) -> u64,
        (first_ns, then_ns): (u64, u64),
    ) -> Self {
        let mut case = Self { name, world, events, turn_ns: 0, ns_an_event: Vec::new() };
        case.run(first_ns);
        let some = case.run(then_ns).max(1);
        case.turn_ns = then_ns * EVENTS / some;
        case
    }

    /// Lets the time go on; how many events there were.
    fn run(&mut self, ns: u64) -> u64 {
        let before = (self.events)(&self.world);
        self.world.run_until(self.world.now_ns() + ns).unwrap();
        (self.events)(&self.world) - before
    }

    fn turn(&mut self) {
        let start = now();
        let events = self.run(self.turn_ns);
        self.ns_an_event.push((now() - start).as_nanos() as f64 / events as f64);
    }

    /// What an event took, in ns.
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(self.ns_an_event.clone())
    }
}

/// All machines take so many turns.
pub(crate) fn take(turns: usize, cases: &mut [Case]) {
    for _ in 0..turns {
        cases.iter_mut().for_each(Case::turn);
    }
}

/// What was measured several times.
pub(crate) struct Spread {
    least: f64,
    pub(crate) median: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let [least, median, most] = [0, values.len() / 2, values.len() - 1].map(|at| values[at]);
        Self { least, median, most }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, median, most } = self;
        write!(f, "{median:6.0} ns an event ({least:.0} to {most:.0})")
    }
}
