// SPDX-License-Identifier: GPL-2.0-or-later
//! All counters as they are at one time.

use super::idle::State;
use super::{number, text};
use rota_topology::{CpuMask, Tree};
use std::collections::BTreeMap;

/// A package, a core or a CPU. What is `None` is all of the larger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The package.
    pub package: u32,
    /// The core in it.
    pub core: Option<u32>,
    /// The CPU.
    pub cpu: Option<u32>,
}

impl Place {
    pub(super) fn package(self) -> Self {
        Self { core: None, cpu: None, ..self }
    }

    pub(super) fn core(self) -> Self {
        Self { cpu: None, ..self }
    }

    /// Whether another place is in this one.
    pub(super) fn has(self, other: Self) -> bool {
        self.package == other.package
            && self.core.is_none_or(|core| other.core == Some(core))
            && self.cpu.is_none_or(|cpu| other.cpu == Some(cpu))
    }
}

/// Cycles of a CPU: those of its clock while it was busy, those of its nominal clock while it was
/// busy, and those of its nominal clock in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cycles {
    pub(super) aperf: u64,
    pub(super) mperf: u64,
    pub(super) tsc: u64,
}

/// What one CPU has counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cpu {
    pub(super) place: Place,
    pub(super) cycles: Option<Cycles>,
    pub(super) instructions: Option<u64>,
    /// Of `/proc/stat`: ticks in which it was busy, and all.
    pub(super) ticks: Option<(u64, u64)>,
    pub(super) khz: Option<u64>,
    pub(super) states: Vec<State>,
    /// By their columns, of its core and its package.
    pub(super) residencies: BTreeMap<&'static str, u64>,
}

/// All counters as they are at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    pub(super) time_ns: u64,
    /// By their numbers.
    pub(super) cpus: BTreeMap<u32, Cpu>,
    /// As many as the meter has counters of energy.
    pub(super) energy: Vec<Option<u64>>,
    /// In degrees Celsius, of cores and packages.
    pub(super) warmth: BTreeMap<Place, f64>,
}

/// The CPUs that are there.
pub(super) fn online(sys: &dyn Tree) -> CpuMask {
    let list = text(sys, "devices/system/cpu/online");
    list.and_then(|list| CpuMask::from_list(&list).ok()).unwrap_or_default()
}

/// The last of them.
pub(super) fn last_cpu(sys: &dyn Tree) -> u32 {
    online(sys).iter().last().map_or(0, |cpu| cpu.0)
}

/// Where a CPU is; one without a topology is a core of its own.
pub(super) fn place_of(sys: &dyn Tree, cpu: u32) -> Option<Place> {
    if !online(sys).contains(rota_topology::CpuId(cpu)) {
        return None;
    }
    let file = |name| number(sys, &format!("devices/system/cpu/cpu{cpu}/topology/{name}"));
    let small = |value: u64| u32::try_from(value).ok();
    // Arm says -1 where it does not know: that is no number here.
    let package = file("physical_package_id").and_then(small).unwrap_or(0);
    let core = file("core_id").and_then(small).unwrap_or(cpu);
    Some(Place { package, core: Some(core), cpu: Some(cpu) })
}

/// The ticks of each CPU in `/proc/stat`: busy, and all. Waiting for a disk is idle.
pub(super) fn ticks(stat: &str) -> BTreeMap<u32, (u64, u64)> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let cpu = words.next()?.strip_prefix("cpu")?.parse().ok()?;
        // What guests take is in the first two already.
        let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
        let sum = |ticks: &[u64]| ticks.iter().fold(0, |sum: u64, each| sum.saturating_add(*each));
        let (all, idle) = (sum(&ticks), sum(ticks.get(3..).unwrap_or_default().get(..2)?));
        Some((cpu, (all - idle, all)))
    };
    stat.lines().filter_map(line).collect()
}

/// Temperatures of packages and cores, in degrees, and where they are from: sensors of CPUs, or else
/// zones of the kernel.
pub(super) fn warmth(sys: &dyn Tree) -> (&'static str, BTreeMap<Place, f64>) {
    let sensors = sensors(sys);
    if sensors.is_empty() { ("thermal", zones(sys)) } else { ("hwmon", sensors) }
}

fn sensors(sys: &dyn Tree) -> BTreeMap<Place, f64> {
    let mut found = BTreeMap::new();
    let package = |package| Place { package, ..Place::default() };
    let mut packages = 0;
    for chip in sys.list("class/hwmon") {
        let folder = format!("class/hwmon/{chip}");
        let name = text(sys, &format!("{folder}/name")).unwrap_or_default();
        if !["coretemp", "k10temp", "zenpower"].contains(&name.as_str()) {
            continue;
        }
        // Chips of AMD have one each, without its number.
        let mut own = packages;
        packages += 1;
        let mut cores = Vec::new();
        for file in sys.list(&folder) {
            let Some(sensor) = file.strip_suffix("_input").filter(|it| it.starts_with("temp"))
            else {
                continue;
            };
            let label = text(sys, &format!("{folder}/{sensor}_label")).unwrap_or_default();
            let Some(degrees) = number(sys, &format!("{folder}/{file}")) else { continue };
            let degrees = degrees as f64 / 1000.0;
            if let Some(id) = label.strip_prefix("Package id ").and_then(|it| it.parse().ok()) {
                own = id;
                found.insert(package(id), degrees);
            } else if let Some(core) = label.strip_prefix("Core ").and_then(|it| it.parse().ok()) {
                cores.push((core, degrees));
            } else if label == "Tdie" || label == "Tctl" {
                // Tctl may have an offset on it, Tdie has none.
                let known = found.contains_key(&package(own));
                if label == "Tdie" || !known {
                    found.insert(package(own), degrees);
                }
            }
        }
        for (core, degrees) in cores {
            found.insert(Place { package: own, core: Some(core), cpu: None }, degrees);
        }
    }
    found
}

fn zones(sys: &dyn Tree) -> BTreeMap<Place, f64> {
    let mut found = BTreeMap::new();
    for zone in sys.list("class/thermal") {
        let folder = format!("class/thermal/{zone}");
        let kind = text(sys, &format!("{folder}/type")).unwrap_or_default().to_lowercase();
        if let Some(degrees) = number(sys, &format!("{folder}/temp"))
            && (kind == "x86_pkg_temp" || kind.contains("cpu") || kind.contains("soc"))
        {
            let warmest = found.entry(Place::default()).or_insert(0.0_f64);
            *warmest = warmest.max(degrees as f64 / 1000.0);
        }
    }
    found
}
