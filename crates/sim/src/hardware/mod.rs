// SPDX-License-Identifier: GPL-2.0-or-later
//! The hardware of a machine, as far as it decides how fast work gets done and what it draws.
//!
//! * **Speed.** A CPU does 1,024 parts of its work in a given time if it is as strong as the
//!   machine's strongest, runs at its highest frequency, and no other thread of its core is busy.
//!   Each of the three makes it slower, and they multiply. It changes while tasks run: what they
//!   still need is worked out anew whenever it does.
//! * **Idle.** A core without a busy thread falls into deeper states as time goes by. Which one it
//!   is in is told by how long it has been idle, as if it had been known from the beginning.
//! * **Energy.** A core draws what its state says; the base is drawn always.
//!
//! What things cost is [`Costs`], what else a machine has is [`Platform`].

mod costs;
mod model;
mod platform;
mod text;

pub use costs::Costs;
pub use model::{FindTopology, Model, Stated};
pub use platform::{CorePower, IdleState, NOISE, Noise, Platform, Power};
pub use text::ModelError;

use crate::machine::Machine;
use crate::sched::{Orders, TICK_NS, TaskId};
use rota_events::{CpuPlace, Distance};
use rota_topology::{CAPACITY_FULL, CoreType, CpuId, Topology};
use rota_workload::Random;

/// A CPU at full speed: parts of work in a time of as many parts.
pub(crate) const FULL: u64 = 1024;

/// A CPU.
#[derive(Debug, Clone, Copy)]
struct Cpu {
    place: CpuPlace,
    /// Of the strongest, in parts of [`FULL`].
    capacity: u64,
    /// The frequency that the scheduler asks for, likewise.
    frequency: u64,
    busy: bool,
    online: bool,
    /// How fast it is at the moment, likewise; worked out when something changes.
    speed: u64,
}

/// A core.
#[derive(Debug, Clone)]
struct Core {
    threads: Vec<u32>,
    kind: CoreType,
    busy: u32,
    /// Since when it is as busy as it is, and at this power.
    since_ns: u64,
    /// What it has drawn until then, in pJ.
    drawn_pj: u64,
}

/// The hardware of a machine, at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hardware {
    cpus: Vec<Cpu>,
    cores: Vec<Core>,
    since_ns: u64,
}

/// The stream of random numbers of the first interrupt.
const INTERRUPTS: u64 = 1 << 63;

impl Hardware {
    /// CPUs in their places, all of them idle since that moment. Those whose place is not known
    /// are cores of their own.
    pub(crate) fn new(topology: &Topology, cpus: u32, now_ns: u64) -> Self {
        let mut cores: Vec<Core> = Vec::new();
        let mut number = vec![None; topology.cores().len()];
        let mut all = Vec::new();
        for id in 0..cpus {
            let (known, place) = (topology.cpu(CpuId(id)), topology.place(CpuId(id)));
            let new = cores.len() as u32;
            let core = match place {
                Some(place) => *number[place.core.index()].get_or_insert(new),
                None => new,
            };
            if core == new {
                let kind = known.map_or(CoreType::Uniform, |cpu| cpu.core_type);
                let since_ns = now_ns;
                cores.push(Core { threads: Vec::new(), kind, busy: 0, since_ns, drawn_pj: 0 });
            }
            cores[core as usize].threads.push(id);
            all.push(Cpu {
                place: CpuPlace {
                    core,
                    llc: place.map_or(id, |place| place.llc.0),
                    node: place.map_or(0, |place| place.node.0),
                },
                online: true,
                speed: u64::from(known.map_or(CAPACITY_FULL, |cpu| cpu.capacity)).clamp(1, FULL),
                capacity: u64::from(known.map_or(CAPACITY_FULL, |cpu| cpu.capacity)).clamp(1, FULL),
                frequency: FULL,
                busy: false,
            });
        }
        Self { cpus: all, cores, since_ns: now_ns }
    }

    fn core_of(&self, cpu: u32) -> Option<&Core> {
        self.cores.get(self.cpus.get(cpu as usize)?.place.core as usize)
    }

    /// The threads of a CPU's core.
    fn threads(&self, cpu: u32) -> &[u32] {
        self.core_of(cpu).map_or(&[], |core| &core.threads)
    }

    /// How far it is from one CPU to another: which of the costs that depend on that.
    pub(crate) fn distance(&self, from: u32, to: u32) -> Distance {
        let place = |cpu: u32| self.cpus.get(cpu as usize).map(|cpu| cpu.place);
        Distance::of(place(from), place(to))
    }

    /// Works out how fast the threads of a core are.
    fn find_speeds(&mut self, core: u32, costs: &Costs, platform: &Platform) {
        let core = &self.cores[core as usize];
        let frequency = self.frequency(core, platform);
        for cpu in &core.threads {
            let this = &mut self.cpus[*cpu as usize];
            let others = core.busy - u32::from(this.busy);
            let shared = if others > 0 { u64::from(costs.smt_percent) } else { 100 };
            this.speed = (this.capacity * frequency / FULL * shared / 100).max(1);
        }
    }

    /// The frequency of a core, of [`FULL`]: the highest that is asked for by a thread that is busy,
    /// or by any if none is.
    fn frequency(&self, core: &Core, platform: &Platform) -> u64 {
        let threads = core.threads.iter().map(|cpu| &self.cpus[*cpu as usize]);
        let asks = threads.filter(|cpu| cpu.busy || core.busy == 0).map(|cpu| cpu.frequency);
        let least = platform.power.of(core.kind).map_or(FULL, |power| u64::from(power.least));
        asks.max().unwrap_or(FULL).max(least)
    }

    /// What a core draws as it is, in mW, given how long it has been so.
    fn power_mw(&self, core: &Core, ns: u64, platform: &Platform) -> u64 {
        if !core.threads.iter().any(|cpu| self.cpus[*cpu as usize].online) {
            return 0;
        }
        if core.busy == 0 {
            return platform.idle_state(ns).map_or(0, |state| state.power_mw);
        }
        let Some(power) = platform.power.of(core.kind) else { return 0 };
        let dynamic = power.dynamic_mw * self.frequency(core, platform).pow(3) / FULL.pow(3);
        let more = u64::from(core.busy - 1) * platform.power.thread_percent;
        power.static_mw + dynamic + dynamic * more / 100
    }

    /// What a core has drawn until now, in pJ.
    fn drawn_pj(&self, core: &Core, now_ns: u64, platform: &Platform) -> u64 {
        let ns = now_ns.saturating_sub(core.since_ns);
        core.drawn_pj.saturating_add(ns.saturating_mul(self.power_mw(core, ns, platform)))
    }

    /// Settles what a CPU's core has drawn, before it draws something else.
    fn settle(&mut self, cpu: u32, now_ns: u64, platform: &Platform) {
        let Some(number) = self.cpus.get(cpu as usize).map(|cpu| cpu.place.core as usize) else {
            return;
        };
        let drawn_pj = self.drawn_pj(&self.cores[number], now_ns, platform);
        let core = &mut self.cores[number];
        (core.drawn_pj, core.since_ns) = (drawn_pj, now_ns);
    }
}

impl Power {
    /// The power of a kind of core.
    fn of(&self, kind: CoreType) -> Option<&CorePower> {
        self.cores.iter().find(|power| power.kind == kind).or(self.cores.first())
    }
}

impl Machine {
    /// How fast a CPU is at the moment, of [`FULL`].
    pub(crate) fn speed(&self, cpu: u32) -> u64 {
        self.hardware.cpus.get(cpu as usize).map_or(FULL, |cpu| cpu.speed)
    }

    fn find_speeds(&mut self, cpu: u32) {
        let core = self.hardware.cpus[cpu as usize].place.core;
        self.hardware.find_speeds(core, &self.shape.costs, &self.shape.platform);
    }

    /// What an idle CPU needs to leave the state that its core is in, in ns.
    pub(crate) fn idle_exit_ns(&self, cpu: u32) -> u64 {
        let Some(core) = self.hardware.core_of(cpu) else { return 0 };
        // While another thread is busy, only the thread sleeps.
        let idle_ns = if core.busy > 0 { 0 } else { self.now_ns.saturating_sub(core.since_ns) };
        self.shape.platform.idle_state(idle_ns).map_or(0, |state| state.exit_ns)
    }

    /// A CPU becomes busy or idle, which changes what its core draws and how fast its other
    /// threads are.
    pub(crate) fn set_busy(&mut self, cpu: u32, busy: bool) {
        let Some(this) = self.hardware.cpus.get(cpu as usize).filter(|this| this.busy != busy)
        else {
            return;
        };
        let this = *this;
        self.hardware.settle(cpu, self.now_ns, &self.shape.platform);
        // What the other threads did until now, they did at the speed of until now.
        self.each_thread(cpu, false, Self::settle_work);
        self.hardware.cpus[cpu as usize].busy = busy;
        let core = &mut self.hardware.cores[this.place.core as usize];
        core.busy = if busy { core.busy + 1 } else { core.busy - 1 };
        if core.threads.len() > 1 {
            self.find_speeds(cpu);
            self.each_thread(cpu, false, Self::time_anew);
        }
    }

    /// Does something with what runs on the other threads of a CPU's core, and on its own.
    fn each_thread(&mut self, cpu: u32, own: bool, act: fn(&mut Self, TaskId)) {
        for at in 0..self.hardware.threads(cpu).len() {
            let thread = self.hardware.threads(cpu)[at];
            if let Some(task) = self.sched.rq(thread).current.filter(|_| own || thread != cpu) {
                act(self, task);
            }
        }
    }

    /// A CPU comes or goes, with what its core draws.
    pub(crate) fn set_powered(&mut self, cpu: u32, online: bool) {
        self.hardware.settle(cpu, self.now_ns, &self.shape.platform);
        if let Some(this) = self.hardware.cpus.get_mut(cpu as usize) {
            this.online = online;
        }
    }

    /// A scheduler asks for a frequency, of [`FULL`].
    pub(crate) fn set_frequency(&mut self, cpu: u32, frequency: u64) {
        let Some(core) = self.hardware.core_of(cpu) else { return };
        // Who sleeps sleeps on.
        if core.busy > 0 {
            self.hardware.settle(cpu, self.now_ns, &self.shape.platform);
        }
        self.each_thread(cpu, true, Self::settle_work);
        self.hardware.cpus[cpu as usize].frequency = frequency;
        self.find_speeds(cpu);
        self.each_thread(cpu, true, Self::time_anew);
    }

    /// The frequency of a CPU, of [`FULL`].
    pub(crate) fn frequency(&self, cpu: u32) -> u64 {
        let core = self.hardware.core_of(cpu);
        core.map_or(FULL, |core| self.hardware.frequency(core, &self.shape.platform))
    }

    /// Counts what a task has done since that was last done, at the speed that its CPU has.
    pub(crate) fn settle_work(&mut self, task: TaskId) {
        let cpu = self.sched.task(task).cpu;
        let (now, speed) = (self.now_ns, self.speed(cpu));
        self.sched.task(task).settle(now, speed);
    }

    /// A task that runs is faster or slower from now on, or its CPU has cost time that it has to spend:
    /// its work will be done at another time.
    pub(crate) fn time_anew(&mut self, task: TaskId) {
        if self.sched.task(task).orders == Orders::Work {
            self.prod(task);
        }
    }

    /// What a task has to fetch anew that a CPU switches to, in ns: everything, as it comes from
    /// another CPU, or what others have taken from the caches that ran here since.
    pub(crate) fn refill_ns(&mut self, cpu: u32, task: TaskId) -> u64 {
        let costs = self.shape.costs;
        let busy_ns = self.sched.rq(cpu).busy_ns;
        let Some((last, busy_then_ns)) = self.sched.task(task).left else { return 0 };
        if last != cpu {
            let far = self.hardware.distance(last, cpu) as usize;
            return costs.migration_ns.get(far).copied().unwrap_or(0);
        }
        let others_ns = busy_ns.saturating_sub(busy_then_ns).min(costs.refill_after_ns);
        let ns = u128::from(costs.refill_ns) * u128::from(others_ns);
        (ns / u128::from(costs.refill_after_ns.max(1))) as u64
    }

    /// What the machine has drawn since it was switched on, in pJ: cores and base, as modelled.
    pub(crate) fn drawn_pj(&self) -> u64 {
        let (hardware, platform) = (&self.hardware, &self.shape.platform);
        let on_ns = self.now_ns.saturating_sub(hardware.since_ns);
        let base = platform.power.base_mw.saturating_mul(on_ns);
        let cores = hardware.cores.iter().map(|c| hardware.drawn_pj(c, self.now_ns, platform));
        cores.fold(base, u64::saturating_add)
    }
}

/// Noise that no task makes.
impl Machine {
    /// What interrupts take on a CPU until its present tick, in ns: the same at each tick whatever
    /// runs.
    pub(crate) fn interrupts_ns(&self, cpu: u32) -> u64 {
        let mean = TICK_NS * self.shape.platform.noise.interrupt_ppm / 1_000_000;
        let tick = self.now_ns / TICK_NS;
        let number = INTERRUPTS | u64::from(cpu) << 44 | tick & ((1 << 44) - 1);
        if mean > 0 { Random::stream(self.shape.seed, number).exponential(mean) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Shape;
    use crate::simulation::Simulation;
    use rota_object::KernelTypes;
    use rota_topology::Spec;
    use rota_workload::Workload;
    use std::sync::Arc;

    const SECOND: u64 = 1_000_000_000;

    fn world(spec: &str, workload: &str) -> Simulation {
        let topology = spec.parse::<Spec>().unwrap().topology();
        let kind = CoreType::Uniform;
        let cores = vec![CorePower { kind, static_mw: 1_000, dynamic_mw: 8_000, least: 256 }];
        let state = |exit_ns, residency_ns, power_mw| IdleState {
            name: String::new(),
            exit_ns,
            residency_ns,
            power_mw,
        };
        let idle = vec![state(1_000, 0, 500), state(90_000, 600_000, 100)];
        let power = Power { base_mw: 0, cores, thread_percent: 50 };
        let platform = Arc::new(Platform { idle, power, ..Platform::default() });
        let types = KernelTypes::builtin("7.3").unwrap();
        let shape = Shape { platform, ..Shape::default() };
        let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
        world.add(&Workload::parse(workload, world.shape.cpus).unwrap()).unwrap();
        world
    }

    fn machine(world: &mut Simulation) -> &mut Machine {
        world.machine.as_mut().unwrap().get_mut()
    }

    /// Runs for a second; the pieces of work done in it, and the energy in J.
    fn second(world: &mut Simulation) -> (u64, f64) {
        let before = (world.work_done()[0].1, world.energy_pj());
        world.run_until(world.now_ns() + SECOND).unwrap();
        let joules = (world.energy_pj() - before.1) as f64 / 1e12;
        (world.work_done()[0].1 - before.0, joules)
    }

    #[test]
    fn half_the_frequency_is_half_the_work_and_an_eighth_of_the_dynamic_power() {
        let mut world = world("1c", "cpu:tasks=1,run=1ms");
        // It takes a microsecond to begin.
        assert_eq!(second(&mut world).0, 999);
        machine(&mut world).set_frequency(0, 512);
        let (done, joules) = second(&mut world);
        assert_eq!(done, 500);
        assert!((joules - 2.0).abs() < 1e-6, "{joules}");
        // No core is slower than it can be.
        machine(&mut world).set_frequency(0, 0);
        assert_eq!((second(&mut world).0, machine(&mut world).frequency(0)), (250, 256));
    }

    #[test]
    fn threads_of_a_core_have_the_highest_frequency_that_a_busy_one_asks_for() {
        let mut world = world("1c:2t", "cpu:tasks=1,run=1ms,cpus=0");
        machine(&mut world).set_frequency(0, 512);
        // The other thread asks for all, and sleeps.
        assert_eq!(second(&mut world).0, 499);
        let more = Workload::parse("cpu:tasks=1,run=1ms,cpus=1", 2).unwrap();
        world.add(&more).unwrap();
        let (done, joules) = second(&mut world);
        assert!((998..=1000).contains(&done), "{done}");
        assert!((joules - 13.0).abs() < 0.02, "1 + 8 + 4 W: {joules}");
    }

    #[test]
    fn a_frequency_wakes_nobody_and_who_is_switched_off_draws_nothing() {
        let mut world = world("2c", "cpu:tasks=1,run=1ms,cpus=0");
        world.run_until(world.now_ns() + SECOND).unwrap();
        assert_eq!(machine(&mut world).idle_exit_ns(1), 90_000);
        machine(&mut world).set_frequency(1, 512);
        assert_eq!(machine(&mut world).idle_exit_ns(1), 90_000);
        assert!((second(&mut world).1 - 9.1).abs() < 1e-3);
        machine(&mut world).set_online(1, false).unwrap();
        assert!((second(&mut world).1 - 9.0).abs() < 1e-3);
    }

    /// What an idle CPU does on the side costs nobody anything who comes much later.
    #[test]
    fn an_idle_cpu_saves_up_nothing() {
        let mut world = world("1c", "periodic:tasks=1,period=100ms,run=1ms");
        world.run_until(world.now_ns() + SECOND).unwrap();
        let ran_ns = |world: &mut Simulation| machine(world).busy_ns(0);
        let before = ran_ns(&mut world);
        machine(&mut world).spend(0, 2_000_000);
        world.run_until(world.now_ns() + 4_000_000).unwrap();
        machine(&mut world).spend(0, 3_000_000);
        world.run_until(world.now_ns() + SECOND).unwrap();
        assert_eq!(ran_ns(&mut world) - before, 10_000_000);
    }
}
