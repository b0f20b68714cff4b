// SPDX-License-Identifier: GPL-2.0-or-later
//! From "each CPU says with whom it shares" to a partition.
//!
//! In sysfs every CPU has a list of its own, so the lists of one group could differ, and any of
//! them may be missing or damaged. A CPU that says nothing joins a group that lists it. Where
//! lists differ, the one of the lowest CPU decides, and the CPUs it names but that disagree stay
//! out.

use std::collections::BTreeMap;

use crate::{CpuId, CpuMask};

/// With whom each CPU says to share.
#[derive(Default)]
pub(super) struct Claims {
    of: BTreeMap<CpuId, usize>,
    /// Different claims once each, as thousands of CPUs claim the same few masks.
    sets: Vec<CpuMask>,
    known: BTreeMap<CpuMask, usize>,
}

/// A partition, and the CPUs whose claims contradict others.
pub(super) struct Partition {
    pub(super) groups: Vec<CpuMask>,
    pub(super) disagreeing: CpuMask,
    /// CPUs that are alone because neither they nor others say anything.
    pub(super) silent: CpuMask,
}

impl Claims {
    pub(super) fn insert(&mut self, cpu: CpuId, mask: CpuMask) {
        let index = match self.known.get(&mask) {
            Some(&index) => index,
            None => {
                self.sets.push(mask.clone());
                self.known.insert(mask, self.sets.len() - 1);
                self.sets.len() - 1
            }
        };
        self.of.insert(cpu, index);
    }

    /// CPUs with equal keys claim each other.
    pub(super) fn insert_keyed<K: Ord>(&mut self, keys: &BTreeMap<CpuId, K>) {
        let mut members: BTreeMap<&K, CpuMask> = BTreeMap::new();
        for (&cpu, key) in keys {
            members.entry(key).or_default().insert(cpu);
        }
        for mask in members.into_values() {
            for cpu in &mask {
                self.insert(cpu, mask.clone());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Whether every one of `cpus` is named.
    pub(super) fn names_all(&self, cpus: &CpuMask) -> bool {
        cpus.iter().all(|cpu| self.names(cpu))
    }

    /// Whether any claim names `cpu`.
    pub(super) fn names(&self, cpu: CpuId) -> bool {
        self.of.contains_key(&cpu) || self.sets.iter().any(|set| set.contains(cpu))
    }

    /// Groups of `cpus`, in the order of their lowest CPU.
    pub(super) fn partition(&self, cpus: &CpuMask) -> Partition {
        let mut rest = cpus.clone();
        let mut groups = Vec::new();
        let mut disagreeing = CpuMask::new();
        let mut silent = CpuMask::new();
        while let Some(first) = rest.first() {
            let own = self.of.get(&first).copied();
            let claim = own.or_else(|| self.sets.iter().position(|set| set.contains(first)));
            let Some(claim) = claim else {
                silent.insert(first);
                rest.remove(first);
                groups.push(CpuMask::of(first));
                continue;
            };
            let mut group = CpuMask::of(first);
            for cpu in &(&self.sets[claim] & cpus) {
                let agrees = self.of.get(&cpu).is_none_or(|&other| other == claim);
                if agrees && rest.contains(cpu) {
                    group.insert(cpu);
                } else if !agrees {
                    disagreeing.insert(cpu);
                }
            }
            rest = &rest - &group;
            groups.push(group);
        }
        groups.sort_by_key(CpuMask::first);
        Partition { groups, disagreeing, silent }
    }
}
