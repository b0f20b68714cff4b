// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines of several domains, whose CPUs may differ in strength.

use rota_topology::{CAPACITY_FULL, Topology};

use crate::NumberError;
use crate::entity::capacity_units;

/// CPUs in domains. The strength of a CPU is relative to one whose time duties are measured in: 1
/// for it, 0.5 for one that takes twice as long for the same work.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// For each domain the strengths of its CPUs, the strongest first.
    domains: Vec<Vec<f64>>,
}

impl Machine {
    /// The strengths of the CPUs of each domain. A CPU of strength 0 is as good as none.
    ///
    /// # Errors
    ///
    /// A strength, or all together, can't be used as a capacity.
    pub fn new(mut domains: Vec<Vec<f64>>) -> Result<Self, NumberError> {
        for strength in domains.iter().flatten() {
            capacity_units(*strength)?;
        }
        for domain in &mut domains {
            domain.retain(|strength| *strength > 0.0);
            domain.sort_by(|a, b| b.total_cmp(a));
        }
        let machine = Self { domains };
        capacity_units(machine.capacity())?;
        Ok(machine)
    }

    /// Domains of so many CPUs of strength 1.
    ///
    /// # Errors
    ///
    /// There are too many CPUs.
    pub fn equal(counts: &[usize]) -> Result<Self, NumberError> {
        let total = counts.iter().fold(0, |sum: usize, count| sum.saturating_add(*count));
        capacity_units(total as f64)?;
        Self::new(counts.iter().map(|count| vec![1.0; *count]).collect())
    }

    /// A domain for each last-level cache, in their order, of those of its CPUs that are online.
    pub fn of(topology: &Topology) -> Self {
        let strength = |cpu| {
            let cpu = topology.cpu(cpu).filter(|cpu| cpu.online)?;
            Some(f64::from(cpu.capacity) / f64::from(CAPACITY_FULL))
        };
        let strengths = |cpus: &rota_topology::CpuMask| {
            let mut strengths: Vec<_> = cpus.iter().filter_map(strength).collect();
            strengths.sort_by(|a, b| b.total_cmp(a));
            strengths
        };
        Self { domains: topology.llcs().iter().map(|llc| strengths(&llc.cpus)).collect() }
    }

    /// For each domain the strengths of its CPUs, the strongest first.
    pub fn domains(&self) -> &[Vec<f64>] {
        &self.domains
    }

    /// The capacity of all domains, in CPUs.
    pub fn capacity(&self) -> f64 {
        self.domains.iter().flatten().sum()
    }

    /// All different strengths, the largest first.
    pub(crate) fn strengths(&self) -> Vec<f64> {
        let mut all: Vec<_> = self.domains.iter().flatten().copied().collect();
        all.sort_by(|a, b| b.total_cmp(a));
        all.dedup();
        all
    }
}
