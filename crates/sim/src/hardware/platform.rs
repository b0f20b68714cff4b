// SPDX-License-Identifier: GPL-2.0-or-later
//! What a machine has beside CPUs in their places: idle states, power, and what disturbs it.

use rota_topology::{CoreType, CpuId, CpuMask};
use rota_workload::{Group, Program, Span, Step, Template, TemplateId, Workload};
use std::sync::Arc;

/// A state that a core is in while none of its threads has anything to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleState {
    /// Its name, such as C6.
    pub name: String,
    /// How long it takes to leave it, in ns.
    pub exit_ns: u64,
    /// A core that is idle for so long is in this state or a deeper one, in ns.
    pub residency_ns: u64,
    /// What the core draws meanwhile, in mW.
    pub power_mw: u64,
}

/// What a kind of core draws while it is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorePower {
    /// The kind.
    pub kind: CoreType,
    /// Whatever its frequency, in mW.
    pub static_mw: u64,
    /// At its highest frequency on top of that, in mW. It goes with the cube of the frequency,
    /// since the voltage follows it.
    pub dynamic_mw: u64,
    /// Its lowest frequency, of 1,024.
    pub least: u32,
}

/// Power of a machine. What comes of it is a model's word, and called so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Power {
    /// All that is not cores, in mW: caches, memory, links. It is drawn always.
    pub base_mw: u64,
    /// Cores by their kind. For a kind that is not there, the first stands.
    pub cores: Vec<CorePower>,
    /// What each more busy thread of a core draws, in percent of the first.
    pub thread_percent: u64,
}

/// What a machine does beside its work: interrupts, timers that are late, the kernel's workers, and
/// tasks of the real-time class. All of it comes from the seed; nothing is in it that is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Noise {
    /// CPU time that interrupts take on a busy CPU, in millionths. It falls on ticks, in
    /// exponential parts.
    pub interrupt_ppm: u64,
    /// A timer is late by up to so much, in ns, each time equally likely.
    pub timer_late_ns: u64,
    /// Each CPU has a worker of the kernel, bound to it, that wakes up so often on average, in ns.
    pub worker_every_ns: u64,
    /// Its mean CPU time then, in ns.
    pub worker_run_ns: u64,
    /// For every eight CPUs there is a task of the real-time class that wakes up so often, in ns.
    pub realtime_every_ns: u64,
    /// Its mean CPU time then, in ns.
    pub realtime_run_ns: u64,
}

/// What a machine has beside CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// States of idle cores, the shallowest first.
    pub idle: Vec<IdleState>,
    /// What it draws.
    pub power: Power,
    /// What disturbs it.
    pub noise: Noise,
    /// Who is to make way on another CPU is interrupted for that (kernel: preemption that is not lazy),
    /// and does not run on until its next interrupt or system call.
    pub preempts_at_once: bool,
}

/// The group of the tasks that disturb a machine. No workload should have one of that name.
pub const NOISE: &str = "noise";

/// CPUs for each task of the real-time class.
const CPUS_PER_REALTIME: u32 = 8;

impl Platform {
    /// The deepest state that a core is in after so long.
    pub(super) fn idle_state(&self, idle_ns: u64) -> Option<&IdleState> {
        self.idle.iter().rev().find(|state| state.residency_ns <= idle_ns).or(self.idle.first())
    }

    /// The tasks that disturb a machine with these CPUs, in a group of their own, [`NOISE`].
    pub fn noise_tasks(&self, cpus: &CpuMask) -> Workload {
        let noise = &self.noise;
        let group = Group { name: NOISE.to_owned(), deadline_ns: None };
        let mut workload = Workload { groups: vec![group], ..Workload::default() };
        let mut add = |name: String, every_ns: u64, run_ns: u64, cpu: Option<u32>| {
            if every_ns == 0 || run_ns == 0 {
                return;
            }
            let steps = [
                Step::Sleep(Span::Exponential(every_ns)),
                Step::Run(Span::Exponential(run_ns)),
                Step::Done,
            ];
            let id = TemplateId(workload.templates.len() as u32);
            let only = |cpu: u32| CpuMask::range(CpuId(cpu), CpuId(cpu));
            workload.templates.push(Template {
                name,
                group: 0,
                nice: 0,
                partners: 0,
                cpus: cpu.map(only),
                cgroup: None,
                realtime: cpu.is_none(),
                program: Arc::new(Program::default().repeated(None, steps)),
            });
            workload.starts.push(id);
        };
        for CpuId(cpu) in cpus.iter() {
            let name = format!("kworker/{cpu}");
            add(name, noise.worker_every_ns, noise.worker_run_ns, Some(cpu));
        }
        for number in 0..(cpus.count() as u32).div_ceil(CPUS_PER_REALTIME) {
            let name = format!("rt/{number}");
            add(name, noise.realtime_every_ns, noise.realtime_run_ns, None);
        }
        workload
    }
}
