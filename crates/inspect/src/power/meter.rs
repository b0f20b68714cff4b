// SPDX-License-Identifier: GPL-2.0-or-later
//! The sources of counters, chosen once.

use super::energy::{self, Counter};
use super::idle::{self, Residency};
use super::sample::{Cpu, Cycles, Sample, online, places, ticks, warmth};
use super::{Hardware, Pmu, number};
use serde::Serialize;
use std::collections::BTreeSet;

/// Where some columns are from, or why they can't be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// What is measured.
    pub what: &'static str,
    /// Where it is from: `perf`, `MSR`, `powercap`, `hwmon`, `thermal`, `cpufreq`, `cpuidle`, `/proc/stat`, or
    /// several of these.
    pub from: Option<String>,
    /// Why better sources, or any, can't be had.
    pub why: Option<String>,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = self.why.as_deref().map_or(String::new(), |why| format!(" ({why})"));
        write!(f, "{}: {}{why}", self.what, self.from.as_deref().unwrap_or("not available"))
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

    /// The first that can be read, its name, and why others can't be.
    fn find(
        hardware: &mut dyn Hardware,
        cpu: u32,
    ) -> (Option<Self>, Option<&'static str>, Vec<String>) {
        let mut why = "perf: no events of msr".to_owned();
        let pmu = Pmu { sys: hardware.sys(), name: "msr" };
        let events = || {
            let (aperf, mperf) = (pmu.config("aperf")?, pmu.config("mperf")?);
            Some(Self::Events { kind: pmu.kind()?, aperf, mperf, tsc: pmu.config("tsc")? })
        };
        if let Some(events) = events() {
            match events.read(hardware, cpu) {
                Ok(_) => return (Some(events), Some("perf"), Vec::new()),
                Err(error) => why = format!("perf: {error}"),
            }
        }
        match Self::Registers.read(hardware, cpu) {
            Ok(_) => (Some(Self::Registers), Some("MSR"), vec![why]),
            Err(error) => (None, None, vec![why, format!("MSR: {error}")]),
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
        let (cycles, from, mut whys) = CycleSource::find(&mut hardware, first);
        let busy = Source::new("busy", from.or(Some("/proc/stat")), &whys);
        let has_frequency = number(hardware.sys(), &frequency(first)).is_some();
        if cycles.is_none() && !has_frequency {
            whys.push("no cpufreq".to_owned());
        }
        let from = from.or(has_frequency.then_some("cpufreq"));
        let frequency = Source::new("frequency", from, &whys);
        let counted = match (cycles, hardware.event(first, HARDWARE, INSTRUCTIONS)) {
            (Some(_), Ok(_)) => Ok("perf"),
            (None, _) => Err("cycles are not counted".to_owned()),
            (_, Err(error)) => Err(format!("perf: {error}")),
        };
        let states = idle::states(hardware.sys(), first);
        let asked = if states.is_empty() { Err("no cpuidle".to_owned()) } else { Ok("cpuidle") };
        let (mut residencies, mut from, mut whys) = idle::residencies(&mut hardware, first);
        if cycles.is_none() && from.is_some() {
            (residencies, from) = (Vec::new(), None);
            whys.push("the time stamp counter is not read".to_owned());
        }
        let reached = Source::new("idle states reached", from, &whys);
        let (name, warm) = warmth(hardware.sys());
        let sensors = if warm.is_empty() { Err("no sensor of a CPU".to_owned()) } else { Ok(name) };
        let places = places(hardware.sys());
        let (energy, from, whys) = energy::find(&mut hardware, &|cpu| places.get(&cpu).copied());
        let from = (!from.is_empty()).then(|| from.join(", "));
        let sources = vec![
            busy,
            frequency,
            Source::of("instructions", &counted),
            Source::of("idle states asked for", &asked),
            reached,
            Source::of("temperature", &sensors),
            Source { from, ..Source::new("energy", None, &whys) },
        ];
        let instructions = counted.is_ok();
        let mut meter = Self { cycles, instructions, residencies, energy, hardware, sources };
        // Opens what has to be opened, so that the first interval does not have that in it.
        meter.sample();
        meter
    }

    /// Where each column is from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// All counters as they are now.
    pub fn sample(&mut self) -> Sample {
        let hardware = &mut self.hardware;
        let ticks = ticks(&hardware.proc("stat").unwrap_or_default());
        let mut sample = Sample { time_ns: hardware.now_ns(), ..Sample::default() };
        sample.energy = self.energy.iter().map(|counter| counter.read(hardware)).collect();
        let mut packages = BTreeSet::new();
        for (cpu, place) in places(hardware.sys()) {
            let mut now = Cpu {
                place,
                cycles: self.cycles.and_then(|cycles| cycles.read(hardware, cpu).ok()),
                ticks: ticks.get(&cpu).copied(),
                states: idle::states(hardware.sys(), cpu),
                ..Cpu::default()
            };
            if self.cycles.is_none() {
                now.khz = number(hardware.sys(), &frequency(cpu));
            }
            if self.instructions {
                now.instructions = hardware.event(cpu, HARDWARE, INSTRUCTIONS).ok();
            }
            let is_first = packages.insert(place.package);
            for residency in self.residencies.iter().filter(|it| it.of_cores || is_first) {
                let value = residency.at.read(hardware, cpu);
                now.residencies.extend(value.map(|value| (residency.column, value)));
            }
            sample.cpus.insert(cpu, now);
        }
        sample.warmth = warmth(hardware.sys()).1;
        sample
    }

    /// Whether a column of the hardware's idle states is one of cores.
    pub(super) fn is_of_cores(&self, column: &str) -> bool {
        self.residencies.iter().any(|it| it.column == column && it.of_cores)
    }
}

/// Where cpufreq tells the frequency of a CPU, in kHz.
fn frequency(cpu: u32) -> String {
    format!("devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq")
}

impl Source {
    fn new(what: &'static str, from: Option<&'static str>, whys: &[String]) -> Self {
        let why = (!whys.is_empty()).then(|| whys.join("; "));
        Self { what, from: from.map(str::to_owned), why }
    }

    fn of(what: &'static str, from: &Result<&'static str, String>) -> Self {
        Self::new(
            what,
            from.as_ref().ok().copied(),
            from.as_ref().err().map_or(&[], std::slice::from_ref),
        )
    }
}
