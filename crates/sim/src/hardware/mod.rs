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
pub use platform::{CorePower, IdleState, Noise, Platform, Power};
pub use text::ModelError;

use crate::machine::Machine;
use crate::sched::{Orders, TICK_NS, TaskId};
use rota_topology::{CAPACITY_FULL, CoreType, CpuId, Topology};
use rota_workload::Random;

/// A CPU at full speed: parts of work in a time of as many parts.
pub(crate) const FULL: u64 = 1024;

/// A CPU.
#[derive(Debug, Clone, Copy)]
struct Cpu {
    core: u32,
    llc: u32,
    node: u32,
    /// Of the strongest, in parts of [`FULL`].
    capacity: u64,
    /// The frequency that the scheduler asks for, likewise.
    frequency: u64,
    busy: bool,
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
#[derive(Debug, Clone)]
pub(crate) struct Hardware {
    cpus: Vec<Cpu>,
    cores: Vec<Core>,
    since_ns: u64,
    /// Of the noise that no task makes.
    random: Random,
}

/// The stream of random numbers that noise has.
const NOISE: u64 = u64::MAX;

impl Hardware {
    /// CPUs in their places, all of them idle since that moment. Those whose place is not known
    /// are cores of their own.
    pub(crate) fn new(topology: &Topology, cpus: u32, seed: u64, now_ns: u64) -> Self {
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
                core,
                llc: place.map_or(id, |place| place.llc.0),
                node: place.map_or(0, |place| place.node.0),
                capacity: u64::from(known.map_or(CAPACITY_FULL, |cpu| cpu.capacity)).clamp(1, FULL),
                frequency: FULL,
                busy: false,
            });
        }
        Self { cpus: all, cores, since_ns: now_ns, random: Random::stream(seed, NOISE) }
    }

    /// Hardware of which nothing is known: all CPUs run at full speed, and draw nothing.
    pub(crate) fn unknown() -> Self {
        Self { cpus: Vec::new(), cores: Vec::new(), since_ns: 0, random: Random::new(NOISE) }
    }

    fn core_of(&self, cpu: u32) -> Option<&Core> {
        self.cores.get(self.cpus.get(cpu as usize)?.core as usize)
    }

    /// The threads of a CPU's core.
    fn threads(&self, cpu: u32) -> &[u32] {
        self.core_of(cpu).map_or(&[], |core| &core.threads)
    }

    /// Which of the costs of a migration it is from one CPU to another.
    fn distance(&self, from: u32, to: u32) -> Option<usize> {
        let (from, to) = (self.cpus.get(from as usize)?, self.cpus.get(to as usize)?);
        Some(match () {
            () if from.core == to.core => 0,
            () if from.llc == to.llc => 1,
            () if from.node == to.node => 2,
            () => 3,
        })
    }

    /// How fast a CPU is, of [`FULL`].
    fn speed(&self, cpu: u32, costs: &Costs, platform: &Platform) -> u64 {
        let Some(this) = self.cpus.get(cpu as usize) else { return FULL };
        let others = self.cores[this.core as usize].busy - u32::from(this.busy);
        let shared = if others > 0 { u64::from(costs.smt_percent) } else { 100 };
        let frequency = self.frequency(this, platform);
        (this.capacity * frequency / FULL * shared / 100).max(1)
    }

    /// The frequency of a CPU, of [`FULL`].
    fn frequency(&self, cpu: &Cpu, platform: &Platform) -> u64 {
        let least = platform.power.of(self.cores[cpu.core as usize].kind);
        cpu.frequency.max(least.map_or(FULL, |power| u64::from(power.least)))
    }

    /// What a core draws as it is, in mW, given how long it has been so.
    fn power_mw(&self, core: &Core, ns: u64, platform: &Platform) -> u64 {
        if core.busy == 0 {
            return platform.idle_state(ns).map_or(0, |state| state.power_mw);
        }
        let Some(power) = platform.power.of(core.kind) else { return 0 };
        // The threads of a core have one frequency, the highest that is asked for.
        let busy = core.threads.iter().map(|cpu| &self.cpus[*cpu as usize]).filter(|cpu| cpu.busy);
        let frequency = busy.map(|cpu| self.frequency(cpu, platform)).max().unwrap_or(FULL);
        let dynamic = power.dynamic_mw * frequency.pow(3) / FULL.pow(3);
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
        let Some(number) = self.cpus.get(cpu as usize).map(|cpu| cpu.core as usize) else { return };
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
        self.hardware.speed(cpu, &self.shape.costs, &self.shape.platform)
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
        let Some(this) = self.hardware.cpus.get(cpu as usize).copied() else { return };
        if this.busy == busy {
            return;
        }
        self.hardware.settle(cpu, self.now_ns, &self.shape.platform);
        let slows = self.shape.costs.smt_percent != 100;
        let others = if slows { self.hardware.threads(cpu).len() - 1 } else { 0 };
        // What the other threads did until now, they did at the speed of until now.
        self.each_other_thread(cpu, others, Self::settle_work);
        self.hardware.cpus[cpu as usize].busy = busy;
        let core = &mut self.hardware.cores[this.core as usize];
        core.busy = if busy { core.busy + 1 } else { core.busy - 1 };
        self.each_other_thread(cpu, others, Self::time_anew);
    }

    fn each_other_thread(&mut self, cpu: u32, others: usize, act: fn(&mut Self, TaskId)) {
        for at in 0..if others > 0 { others + 1 } else { 0 } {
            let thread = self.hardware.threads(cpu)[at];
            if let Some(task) = self.sched.rq(thread).current.filter(|_| thread != cpu) {
                act(self, task);
            }
        }
    }

    /// A scheduler asks for a frequency, of [`FULL`].
    pub(crate) fn set_frequency(&mut self, cpu: u32, frequency: u64) {
        let Some(this) = self.hardware.cpus.get(cpu as usize).copied() else { return };
        if this.frequency == frequency {
            return;
        }
        self.hardware.settle(cpu, self.now_ns, &self.shape.platform);
        let current = self.sched.rq(cpu).current;
        current.into_iter().for_each(|task| self.settle_work(task));
        self.hardware.cpus[cpu as usize].frequency = frequency;
        current.into_iter().for_each(|task| self.time_anew(task));
    }

    /// The frequency of a CPU, of [`FULL`].
    pub(crate) fn frequency(&self, cpu: u32) -> u64 {
        let Some(this) = self.hardware.cpus.get(cpu as usize) else { return FULL };
        self.hardware.frequency(this, &self.shape.platform)
    }

    /// Counts what a task has done since that was last done, at the speed that its CPU has.
    pub(crate) fn settle_work(&mut self, task: TaskId) {
        let cpu = self.sched.task(task).cpu;
        let (now, speed) = (self.now_ns, self.speed(cpu));
        let state = self.sched.task(task);
        let ns = now.saturating_sub(std::mem::replace(&mut state.settled_at_ns, now));
        state.worked += ns * speed;
    }

    /// A task that runs is faster or slower from now on: its work will be done at another time.
    fn time_anew(&mut self, task: TaskId) {
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
            return self.hardware.distance(last, cpu).map_or(0, |far| costs.migration_ns[far]);
        }
        let others_ns = busy_ns.saturating_sub(busy_then_ns).min(costs.refill_after_ns);
        costs.refill_ns * others_ns / costs.refill_after_ns.max(1)
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
    /// What interrupts take between two ticks, in ns.
    pub(crate) fn interrupts_ns(&mut self) -> u64 {
        let mean = TICK_NS * self.shape.platform.noise.interrupt_ppm / 1_000_000;
        if mean > 0 { self.hardware.random.exponential(mean) } else { 0 }
    }

    /// By how much a timer is late, in ns.
    pub(crate) fn timer_late_ns(&mut self) -> u64 {
        let most = self.shape.platform.noise.timer_late_ns;
        if most > 0 { self.hardware.random.below(most + 1) } else { 0 }
    }
}
