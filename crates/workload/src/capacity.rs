// SPDX-License-Identifier: GPL-2.0-or-later
//! What the CPUs of a machine can do together, for workloads that want a share of it.

use rota_topology::{CAPACITY_FULL, CpuId, CpuMask};

/// How fast each CPU is while all of them are busy, of [`CAPACITY_FULL`]: a weak core and a thread that
/// shares its core are slower than one by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity(Vec<u32>);

impl Capacity {
    /// Of so many CPUs that are all alike, and cores of their own.
    pub fn alike(cpus: u32) -> Self {
        Self(vec![CAPACITY_FULL; cpus as usize])
    }

    /// Of CPUs with these speeds, in the order of their numbers; 0 for one that is not there.
    pub fn new(speeds: Vec<u32>) -> Self {
        Self(speeds)
    }

    /// The same with these CPUs only. CPUs are counted up to the last of them.
    #[must_use]
    pub fn only(mut self, cpus: &CpuMask) -> Self {
        self.0.truncate(cpus.last().map_or(0, |last| last.0 as usize + 1));
        for (cpu, speed) in (0..).map(CpuId).zip(&mut self.0) {
            if !cpus.contains(cpu) {
                *speed = 0;
            }
        }
        self
    }

    /// How many CPUs there are.
    pub(crate) fn cpus(&self) -> u32 {
        self.0.len() as u32
    }

    /// All speeds together, or those of some CPUs.
    pub(crate) fn of(&self, cpus: Option<&CpuMask>) -> u64 {
        match cpus {
            None => self.0.iter().copied().map(u64::from).sum(),
            Some(cpus) => cpus
                .iter()
                .filter_map(|cpu| self.0.get(cpu.0 as usize))
                .copied()
                .map(u64::from)
                .sum(),
        }
    }
}
