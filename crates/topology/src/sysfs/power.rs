// SPDX-License-Identifier: GPL-2.0-or-later
//! Frequencies, capacities and core types.
//!
//! Where no file states the core types, they are guessed from a number (capacity, highest
//! performance or highest frequency). Cores of one kind differ in it too: favoured cores of an
//! AMD desktop step from 166 to 236 in units of five, those of Intel by a few per cent. So a machine
//! counts as hybrid only where the sorted numbers have a *gap*, a step of a fifth or more from one
//! value to the next; the cores below the widest gap are the efficient ones. With capacities
//! 250, 760 and 1024 the widest gap is above 250, so only the smallest cores are efficient.

use std::collections::BTreeMap;

use super::reader::{Reader, of_cpus};
use crate::assemble::FREQ_KHZ_MAX;
use crate::{CAPACITY_FULL, CoreType, Cpu, CpuId, CpuMask, Source};

const CAPACITY: &str = "cpu_capacity";
const HIGHEST_PERF: &str = "acpi_cppc/highest_perf";
const FREQ_MAX: &str = "cpufreq/cpuinfo_max_freq";

pub(super) struct Power {
    freq_min_khz: BTreeMap<CpuId, u64>,
    freq_max_khz: BTreeMap<CpuId, u64>,
    freq_base_khz: BTreeMap<CpuId, u64>,
    capacity: BTreeMap<CpuId, u64>,
    core_type: BTreeMap<CpuId, CoreType>,
    pub(super) capacity_source: Source,
    pub(super) core_type_source: Source,
}

pub(super) fn power(reader: &mut Reader<'_>, online: &CpuMask) -> Power {
    let freq_max_khz = values(reader, online, FREQ_MAX, FREQ_KHZ_MAX);
    let capacity = values(reader, online, CAPACITY, CAPACITY_FULL.into());
    let highest_perf = values(reader, online, HIGHEST_PERF, u32::MAX.into());
    let mut power = Power {
        freq_min_khz: values(reader, online, "cpufreq/cpuinfo_min_freq", FREQ_KHZ_MAX),
        freq_base_khz: values(reader, online, "cpufreq/base_frequency", FREQ_KHZ_MAX),
        freq_max_khz,
        capacity,
        core_type: BTreeMap::new(),
        capacity_source: Source::Assumed,
        core_type_source: Source::Assumed,
    };
    power.find_types(reader, online, &highest_perf);
    power.find_capacities(reader, online, &highest_perf);
    power
}

impl Power {
    /// Puts what was found into the CPUs.
    pub(super) fn fill(&self, cpus: &mut [Cpu]) {
        let hybrid = !self.core_type.is_empty();
        let other = if hybrid { CoreType::Unknown } else { CoreType::Uniform };
        for cpu in cpus {
            cpu.freq_min_khz = self.freq_min_khz.get(&cpu.id).copied();
            cpu.freq_max_khz = self.freq_max_khz.get(&cpu.id).copied();
            cpu.freq_base_khz = self.freq_base_khz.get(&cpu.id).copied();
            let capacity = self.capacity.get(&cpu.id).and_then(|&c| u32::try_from(c).ok());
            cpu.capacity = capacity.unwrap_or(CAPACITY_FULL);
            cpu.core_type = self.core_type.get(&cpu.id).copied().unwrap_or(other);
        }
    }

    fn find_types(
        &mut self,
        reader: &mut Reader<'_>,
        online: &CpuMask,
        highest_perf: &BTreeMap<CpuId, u64>,
    ) {
        if !self.capacity.is_empty() {
            self.core_type_source = Source::CpuCapacity;
            self.core_type = by_gap(&self.capacity);
            return;
        }
        if let Some(types) = intel_types(reader, online) {
            self.core_type_source = Source::IntelPmu;
            self.core_type = types;
            return;
        }
        // A guess needs the number of every CPU: half of them would look like one kind.
        let all = |values: &BTreeMap<CpuId, u64>| values.len() == online.count();
        let guesses = [(highest_perf, Source::HighestPerf), (&self.freq_max_khz, Source::FreqMax)];
        if let Some((values, source)) = guesses.into_iter().find(|(values, _)| all(values)) {
            self.core_type_source = source;
            self.core_type = by_gap(values);
        }
    }

    /// Capacities from `cpu_capacity`; else, on a hybrid machine only, in proportion to the
    /// highest performance (which is how the kernel does it on x86) or frequency.
    fn find_capacities(
        &mut self,
        reader: &mut Reader<'_>,
        online: &CpuMask,
        highest_perf: &BTreeMap<CpuId, u64>,
    ) {
        if !self.capacity.is_empty() {
            self.capacity_source = Source::CpuCapacity;
            let silent: CpuMask =
                online.iter().filter(|cpu| !self.capacity.contains_key(cpu)).collect();
            if !silent.is_empty() {
                reader.missing(&of_cpus(CAPACITY), &silent, "taken as full capacity");
            }
            return;
        }
        if self.core_type.is_empty() {
            return;
        }
        let all = |values: &BTreeMap<CpuId, u64>| values.len() == online.count();
        let (values, source) = if all(highest_perf) {
            (highest_perf, Source::HighestPerf)
        } else if all(&self.freq_max_khz) {
            let text = "capacities of a hybrid machine guessed from frequencies alone";
            reader.missing(&of_cpus(HIGHEST_PERF), online, text);
            (&self.freq_max_khz, Source::FreqMax)
        } else {
            let text = "nothing tells the capacities of a hybrid machine, so all are taken as full";
            reader.missing(&of_cpus(HIGHEST_PERF), online, text);
            return;
        };
        let most = values.values().copied().max().unwrap_or(1);
        let scale = |value: u64| (value * u64::from(CAPACITY_FULL) / most).max(1);
        self.capacity = values.iter().map(|(&cpu, &value)| (cpu, scale(value))).collect();
        self.capacity_source = source;
    }
}

/// A positive number of each CPU that has the file.
fn values(reader: &mut Reader<'_>, cpus: &CpuMask, file: &str, most: u64) -> BTreeMap<CpuId, u64> {
    cpus.iter().filter_map(|cpu| Some((cpu, reader.number(cpu, file, 1..=most)?))).collect()
}

/// Core types by the lists of Intel's hybrid performance-monitoring units.
fn intel_types(reader: &mut Reader<'_>, online: &CpuMask) -> Option<BTreeMap<CpuId, CoreType>> {
    let strong = reader.global_list("devices/cpu_core/cpus")?;
    let weak = ["devices/cpu_atom/cpus", "devices/cpu_lowpower/cpus"]
        .into_iter()
        .filter_map(|path| reader.global_list(path))
        .reduce(|a, b| &a | &b)?;
    let mut types = BTreeMap::new();
    for cpu in online {
        match (strong.contains(cpu), weak.contains(cpu)) {
            (true, false) => types.insert(cpu, CoreType::Performance),
            (false, true) => types.insert(cpu, CoreType::Efficiency),
            _ => None,
        };
    }
    let silent: CpuMask = online.iter().filter(|cpu| !types.contains_key(cpu)).collect();
    if !silent.is_empty() {
        let text = "in none or both of cpu_core and cpu_atom, so of unknown type";
        reader.inconsistent("devices/cpu_core/cpus", &silent, text);
    }
    let kinds = |kind| types.values().any(|&t| t == kind);
    (kinds(CoreType::Performance) && kinds(CoreType::Efficiency)).then_some(types)
}

/// Performance above and efficiency below the widest gap; empty if there is no gap.
fn by_gap(values: &BTreeMap<CpuId, u64>) -> BTreeMap<CpuId, CoreType> {
    let mut sorted: Vec<u64> = values.values().copied().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut widest: Option<(u64, u64)> = None;
    for pair in sorted.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        let gap = high * 5 >= low * 6;
        // high / low > widest.1 / widest.0, without division; values are below 2^32.
        let wider = widest.is_none_or(|(l, h)| high * l > h * low);
        if gap && wider {
            widest = Some((low, high));
        }
    }
    let Some((_, threshold)) = widest else { return BTreeMap::new() };
    let kind = |value| match value >= threshold {
        true => CoreType::Performance,
        false => CoreType::Efficiency,
    };
    values.iter().map(|(&cpu, &value)| (cpu, kind(value))).collect()
}
