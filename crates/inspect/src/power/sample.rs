// SPDX-License-Identifier: GPL-2.0-or-later
//! All counters as they are at one time.

use super::idle::State;
use super::{degrees, number, text};
use rota_topology::{CpuMask, Tree};
use std::collections::{BTreeMap, BTreeSet};

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
    /// In degrees Celsius, of cores, packages, and what belongs to none of these.
    pub(super) warmth: BTreeMap<Option<Place>, f64>,
}

/// The CPUs that are there.
pub(super) fn online(sys: &dyn Tree) -> CpuMask {
    let list = text(sys, "devices/system/cpu/online");
    list.and_then(|list| CpuMask::from_list(&list).ok()).unwrap_or_default()
}

/// Where all CPUs are that are there. Cores have the kernel's numbers, or those of their first CPUs in
/// packages of which several cores have the same (clusters of Arm, several dies); a CPU
/// without a topology is a core of its own.
pub(super) fn places(sys: &dyn Tree) -> BTreeMap<u32, Place> {
    let mut found: Vec<(u32, u32, u32, u32)> = Vec::new();
    for cpu in &online(sys) {
        let cpu = cpu.0;
        let file = |name: &str| format!("devices/system/cpu/cpu{cpu}/topology/{name}");
        let small = |value: u64| u32::try_from(value).ok();
        // Arm says -1 where it does not know: that is no number here.
        let package = number(sys, &file("physical_package_id")).and_then(small).unwrap_or(0);
        let core = number(sys, &file("core_id")).and_then(small).unwrap_or(cpu);
        let siblings = text(sys, &file("core_cpus_list"));
        let siblings = siblings.or_else(|| text(sys, &file("thread_siblings_list")));
        let siblings = siblings.and_then(|list| CpuMask::from_list(&list).ok());
        let first = siblings.and_then(|mask| mask.first()).map_or(u32::MAX, |first| first.0);
        found.push((cpu, package, core, first));
    }
    // The first CPU of each core by its number, and packages in which that is not one.
    let mut firsts = BTreeMap::new();
    let mut repeat = BTreeSet::new();
    for (_, package, core, first) in &found {
        if *firsts.entry((*package, *core)).or_insert(*first) != *first {
            repeat.insert(*package);
        }
    }
    let place = |(cpu, package, core, first)| {
        let core = if repeat.contains(&package) && first != u32::MAX { first } else { core };
        (cpu, Place { package, core: Some(core), cpu: Some(cpu) })
    };
    found.into_iter().map(place).collect()
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

/// By cores and packages; `None` for what is not known to belong to one of them.
type Warmth = BTreeMap<Option<Place>, f64>;

/// Temperatures in degrees, and where they are from: sensors of CPUs, or else zones of the kernel.
pub(super) fn warmth(sys: &dyn Tree) -> (&'static str, Warmth) {
    let sensors = sensors(sys);
    if sensors.is_empty() { ("thermal", zones(sys)) } else { ("hwmon", sensors) }
}

/// At least as warm.
fn warm(found: &mut Warmth, place: Option<Place>, degrees: f64) {
    let warmest = found.entry(place).or_insert(degrees);
    *warmest = warmest.max(degrees);
}

fn sensors(sys: &dyn Tree) -> Warmth {
    let mut found = BTreeMap::new();
    let chips = sys.list("class/hwmon");
    let name = |chip: &String| text(sys, &format!("class/hwmon/{chip}/name")).unwrap_or_default();
    let amd = |name: &str| name == "k10temp" || name == "zenpower";
    // Which is of which package is not told: one alone is of the only one.
    let alone = chips.iter().filter(|chip| amd(&name(chip))).count() == 1;
    for chip in &chips {
        let folder = format!("class/hwmon/{chip}");
        let of_amd = amd(&name(chip));
        if !of_amd && name(chip) != "coretemp" {
            continue;
        }
        let labelled = |file: String| {
            let sensor = file.strip_suffix("_input").filter(|it| it.starts_with("temp"))?;
            let label = text(sys, &format!("{folder}/{sensor}_label"))?;
            Some((label, degrees(sys, &format!("{folder}/{file}"))?))
        };
        let labels: BTreeMap<_, _> = sys.list(&folder).into_iter().filter_map(labelled).collect();
        if of_amd {
            // Tctl may have an offset on it, Tdie has none.
            let place = alone.then(Place::default);
            if let Some(degrees) = labels.get("Tdie").or_else(|| labels.get("Tctl")) {
                warm(&mut found, place, *degrees);
            }
            continue;
        }
        let numbered = |label: &str, head: &str| label.strip_prefix(head)?.parse().ok();
        let package = labels.keys().find_map(|label| numbered(label, "Package id ")).unwrap_or(0);
        for (label, degrees) in &labels {
            let core = numbered(label, "Core ");
            if core.is_some() || label.starts_with("Package id ") {
                warm(&mut found, Some(Place { package, core, cpu: None }), *degrees);
            }
        }
    }
    found
}

fn zones(sys: &dyn Tree) -> Warmth {
    let mut found = BTreeMap::new();
    for zone in sys.list("class/thermal") {
        let folder = format!("class/thermal/{zone}");
        let kind = text(sys, &format!("{folder}/type")).unwrap_or_default().to_lowercase();
        let of_cpus = kind == "x86_pkg_temp" || kind.contains("cpu") || kind.contains("soc");
        if let Some(degrees) = degrees(sys, &format!("{folder}/temp")).filter(|_| of_cpus) {
            warm(&mut found, None, degrees);
        }
    }
    found
}
