// SPDX-License-Identifier: GPL-2.0-or-later
//! The sources of counters, chosen once.

use super::energy::{self, Counter};
use super::idle::{self, Residency};
use super::sample::{Cpu, Cycles, Sample, online, place_of, ticks, warmth};
use super::{Hardware, Pmu, number};
use serde::Serialize;

/// Where some columns are from, or why they can't be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// What is measured.
    pub what: &'static str,
    /// Where it is from: `perf`, `MSR`, `powercap`, `hwmon`, `cpufreq`, `cpuidle`, `/proc/stat`.
    pub from: Option<&'static str>,
    /// Why better sources, or any, can't be had.
    pub why: Option<String>,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = self.why.as_deref().map_or(String::new(), |why| format!(" ({why})"));
        write!(f, "{}: {}{why}", self.what, self.from.unwrap_or("not available"))
    }
}

/// Where cycles are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CycleSource {
    Events { kind: u32, aperf: u64, mperf: u64, tsc: u64 },
    Registers,
}

/// Registers of x86: `IA32_APERF`, `IA32_MPERF`, the time stamp counter.
const APERF: u32 = 0xe8;
const MPERF: u32 = 0xe7;
const TSC: u32 = 0x10;

/// The type of events of the hardware that all machines name alike, and the one of instructions
/// (kernel: `include/uapi/linux/perf_event.h`).
const HARDWARE: u32 = 0;
const INSTRUCTIONS: u64 = 1;

impl CycleSource {
    fn read(self, hardware: &mut dyn Hardware, cpu: u32) -> Result<Cycles, String> {
        Ok(match self {
            Self::Events { kind, aperf, mperf, tsc } => Cycles {
                aperf: hardware.event(cpu, kind, aperf)?,
                mperf: hardware.event(cpu, kind, mperf)?,
                tsc: hardware.event(cpu, kind, tsc)?,
            },
            Self::Registers => Cycles {
                aperf: hardware.register(cpu, APERF)?,
                mperf: hardware.register(cpu, MPERF)?,
                tsc: hardware.register(cpu, TSC)?,
            },
        })
    }

    fn find(hardware: &mut dyn Hardware, cpu: u32) -> Result<Self, String> {
        let mut why = "perf: no events of msr".to_owned();
        let pmu = Pmu { sys: hardware.sys(), name: "msr" };
        let events = || {
            let (aperf, mperf) = (pmu.config("aperf")?, pmu.config("mperf")?);
            Some(Self::Events { kind: pmu.kind()?, aperf, mperf, tsc: pmu.config("tsc")? })
        };
        if let Some(events) = events() {
            match events.read(hardware, cpu) {
                Ok(_) => return Ok(events),
                Err(error) => why = format!("perf: {error}"),
            }
        }
        match Self::Registers.read(hardware, cpu) {
            Ok(_) => Ok(Self::Registers),
            Err(error) => Err(format!("{why}; MSR: {error}")),
        }
    }
}

/// What a machine's counters are, and how they are read.
pub struct Meter<H> {
    hardware: H,
    cycles: Option<CycleSource>,
    instructions: bool,
    residencies: Vec<Residency>,
    pub(super) energy: Vec<Counter>,
    sources: Vec<Source>,
}

impl<H: Hardware> Meter<H> {
    /// Asks a machine what it has.
    pub fn new(mut hardware: H) -> Self {
        let first = online(hardware.sys()).first().map_or(0, |cpu| cpu.0);
        let mut sources = Vec::new();
        let cycles = CycleSource::find(&mut hardware, first);
        let perf = |events: bool| if events { "perf" } else { "MSR" };
        let from = cycles.as_ref().map(|it| perf(matches!(it, CycleSource::Events { .. })));
        let frequency = |cpu: u32| format!("devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
        let has_frequency = number(hardware.sys(), &frequency(first)).is_some();
        let why = cycles.as_ref().err().cloned();
        let no_frequency = why.as_ref().map(|why| format!("{why}; no cpufreq"));
        sources.push(Source::new("busy", from.ok().or(Some("/proc/stat")), why.clone()));
        sources.push(match (from, has_frequency) {
            (Ok(from), _) => Source::new("frequency", Some(from), None),
            (Err(_), true) => Source::new("frequency", Some("cpufreq"), why),
            (Err(_), false) => Source::new("frequency", None, no_frequency),
        });
        let instructions = match (&cycles, hardware.event(first, HARDWARE, INSTRUCTIONS)) {
            (Ok(_), Ok(_)) => Ok("perf"),
            (Err(_), _) => Err("cycles are not counted".to_owned()),
            (_, Err(error)) => Err(format!("perf: {error}")),
        };
        sources.push(Source::of("instructions", &instructions));
        let states = idle::states(hardware.sys(), first);
        let asked = if states.is_empty() { Err("no cpuidle".to_owned()) } else { Ok("cpuidle") };
        sources.push(Source::of("idle states asked for", &asked));
        let mut residencies = idle::residencies(&mut hardware, first);
        if cycles.is_err() && residencies.is_ok() {
            residencies = Err("the time stamp counter is not read".to_owned());
        }
        let from = residencies.as_ref().map(|it| it.0).map_err(Clone::clone);
        sources.push(Source::of("idle states reached", &from));
        let (name, warm) = warmth(hardware.sys());
        let sensors = if warm.is_empty() { Err("no sensor of a CPU".to_owned()) } else { Ok(name) };
        sources.push(Source::of("temperature", &sensors));
        let places = Places::of(&hardware);
        let energy = energy::find(&mut hardware, &|cpu| places.0.get(&cpu).copied());
        let from = energy.as_ref().map(|it| it.0).map_err(Clone::clone);
        sources.push(Source::of("energy", &from));
        Self {
            cycles: cycles.ok(),
            instructions: instructions.is_ok(),
            residencies: residencies.map(|it| it.1).unwrap_or_default(),
            energy: energy.map(|it| it.1).unwrap_or_default(),
            hardware,
            sources,
        }
    }

    /// Where each column is from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// All counters as they are now.
    pub fn sample(&mut self) -> Sample {
        let hardware = &mut self.hardware;
        let ticks = ticks(&hardware.stat().unwrap_or_default());
        let mut sample = Sample { time_ns: hardware.now_ns(), ..Sample::default() };
        for cpu in &online(hardware.sys()) {
            let cpu = cpu.0;
            let Some(place) = place_of(hardware.sys(), cpu) else { continue };
            let folder = format!("devices/system/cpu/cpu{cpu}");
            let mut now = Cpu {
                place,
                cycles: self.cycles.and_then(|cycles| cycles.read(hardware, cpu).ok()),
                ticks: ticks.get(&cpu).copied(),
                khz: number(hardware.sys(), &format!("{folder}/cpufreq/scaling_cur_freq")),
                states: idle::states(hardware.sys(), cpu),
                ..Cpu::default()
            };
            if self.instructions {
                now.instructions = hardware.event(cpu, HARDWARE, INSTRUCTIONS).ok();
            }
            for residency in &self.residencies {
                let value = residency.read(hardware, cpu);
                now.residencies.extend(value.map(|value| (residency.column, value)));
            }
            sample.cpus.insert(cpu, now);
        }
        sample.energy = self.energy.iter().map(|counter| counter.read(hardware)).collect();
        sample.warmth = warmth(hardware.sys()).1;
        sample
    }

    /// Whether a column of the hardware's idle states is one of cores.
    pub(super) fn is_of_cores(&self, column: &str) -> bool {
        self.residencies.iter().any(|it| it.column == column && it.of_cores)
    }
}

/// Where all CPUs are.
struct Places(std::collections::BTreeMap<u32, super::sample::Place>);

impl Places {
    fn of(hardware: &dyn Hardware) -> Self {
        let sys = hardware.sys();
        Self(online(sys).iter().filter_map(|cpu| Some((cpu.0, place_of(sys, cpu.0)?))).collect())
    }
}

impl Source {
    fn new(what: &'static str, from: Option<&'static str>, why: Option<String>) -> Self {
        Self { what, from, why }
    }

    fn of(what: &'static str, from: &Result<&'static str, String>) -> Self {
        Self::new(what, from.as_ref().ok().copied(), from.as_ref().err().cloned())
    }
}
