// SPDX-License-Identifier: GPL-2.0-or-later
//! Groups of CPUs that the choice of an idle one looks at: cores, last-level caches, nodes.
//!
//! They have online CPUs only, as the kernel's scheduling domains do, and are made anew when a CPU
//! comes or goes.

use super::super::cpus;
use rota_topology::{CAPACITY_FULL, CpuId, CpuMask, NodeId, Topology};

/// A CPU without a group.
const NONE: u32 = u32::MAX;

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its words, from this one of the machine's on.
    first: usize,
    words: Box<[u64]>,
    count: u32,
}

impl Group {
    fn new(mask: &CpuMask) -> Self {
        let word = |cpu: Option<CpuId>| cpu.map_or(0, |cpu| cpu.0 as usize / 64);
        let (first, last) = (word(mask.first()), word(mask.last()));
        let mut words = vec![0; last - first + 1].into_boxed_slice();
        for cpu in mask.iter() {
            let (word, bit) = cpus::place(cpu.0);
            words[word - first] |= bit;
        }
        Self { first, words, count: mask.count() as u32 }
    }

    /// The words that it has CPUs in.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.words.len()
    }

    /// One of these.
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.words[at - self.first]
    }

    /// Whether it has a CPU in common with a set.
    pub(crate) fn meets(&self, set: &[u64]) -> bool {
        self.range().any(|at| self.word(at) & set[at] != 0)
    }

    /// Whether a set has all of it.
    pub(crate) fn is_within(&self, set: &[u64]) -> bool {
        self.range().all(|at| self.word(at) & !set[at] == 0)
    }
}

/// The groups of one kind.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The group of each CPU.
    of: Vec<u32>,
    groups: Vec<Group>,
}

impl Groups {
    /// Of masks, with at least so many online CPUs each.
    fn new(masks: &[CpuMask], online: &CpuMask, cpus: u32, least: usize) -> Self {
        let mut made = Self { of: vec![NONE; cpus as usize], groups: Vec::new() };
        for mask in masks.iter().map(|mask| mask & online).filter(|mask| mask.count() >= least) {
            for cpu in mask.iter() {
                made.of[cpu.0 as usize] = made.groups.len() as u32;
            }
            made.groups.push(Group::new(&mask));
        }
        made
    }

    /// A CPU's group.
    pub(crate) fn of(&self, cpu: u32) -> Option<&Group> {
        self.groups.get(*self.of.get(cpu as usize)? as usize)
    }

    /// Whether two CPUs are in one group.
    fn joins(&self, one: u32, two: u32) -> bool {
        let number = |cpu: u32| self.of.get(cpu as usize).filter(|number| **number != NONE);
        one == two || number(one).is_some_and(|group| number(two) == Some(group))
    }

    fn count(&self, cpu: u32) -> u32 {
        self.of(cpu).map_or(0, |group| group.count)
    }
}

/// What a choice knows of the machine.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// As the topology has them: cores, caches, nodes.
    masks: [Vec<CpuMask>; 3],
    cpus: u32,
    pub(crate) cores: Groups,
    pub(crate) llcs: Groups,
    pub(crate) nodes: Groups,
    /// Whether some core has several CPUs online (kernel: `sched_smt_active`).
    pub(crate) smt: bool,
    /// Whether a choice looks at caches, and at nodes.
    pub(crate) looks_at_llcs: bool,
    pub(crate) looks_at_nodes: bool,
    /// The node of each CPU, and its capacity.
    node_of: Vec<u32>,
    capacities: Vec<u32>,
    /// The nodes, those behind each that are nearer to it first.
    order: Vec<(u32, Vec<u32>)>,
}

impl Places {
    /// Of a machine.
    pub(crate) fn new(topology: &Topology, cpus: u32) -> Self {
        let node = |cpu| topology.place(CpuId(cpu)).map_or(0, |place| place.node.0);
        let capacity = |cpu| topology.cpu(CpuId(cpu)).map_or(CAPACITY_FULL, |cpu| cpu.capacity);
        let near = |from: NodeId| {
            let others = topology.nodes().iter().map(|node| node.id).filter(|to| *to != from);
            let mut others: Vec<_> =
                others.map(|to| (topology.distance(from, to).unwrap_or(u32::MAX), to.0)).collect();
            others.sort_unstable();
            (from.0, others.into_iter().map(|(_, to)| to).collect())
        };
        let mut made = Self {
            masks: [
                topology.cores().iter().map(|core| core.cpus.clone()).collect(),
                topology.llcs().iter().map(|llc| llc.cpus.clone()).collect(),
                topology.nodes().iter().map(|node| node.cpus.clone()).collect(),
            ],
            cpus,
            node_of: (0..cpus).map(node).collect(),
            capacities: (0..cpus).map(capacity).collect(),
            order: topology.nodes().iter().map(|node| near(node.id)).collect(),
            ..Self::default()
        };
        made.set_online(topology.online());
        made
    }

    /// Makes the groups of the CPUs that are online now (kernel:
    /// `scx_idle_update_selcpu_topology`).
    pub(crate) fn set_online(&mut self, online: &CpuMask) {
        let [cores, llcs, nodes] = &self.masks;
        self.cores = Groups::new(cores, online, self.cpus, 1);
        // A cache of one CPU alone makes no scheduling domain.
        self.llcs = Groups::new(llcs, online, self.cpus, 2);
        self.nodes = Groups::new(nodes, online, self.cpus, 1);
        self.smt = self.cores.groups.iter().any(|core| core.count > 1);
        let all = online.count() as u32;
        let first = online.first().map_or(0, |cpu| cpu.0);
        let tells = |count| count > 0 && count < all;
        let differ = |cpu: CpuId| self.llcs.count(cpu.0) != self.nodes.count(cpu.0);
        self.looks_at_llcs = tells(self.llcs.count(first));
        self.looks_at_nodes = tells(self.nodes.count(first)) && online.iter().any(differ);
    }

    /// Whether two CPUs share a cache (kernel: `cpus_share_cache`).
    pub(crate) fn share_cache(&self, one: u32, two: u32) -> bool {
        self.llcs.joins(one, two)
    }

    /// The node of a CPU.
    pub(crate) fn node(&self, cpu: u32) -> u32 {
        self.node_of.get(cpu as usize).copied().unwrap_or(0)
    }

    /// The other CPUs of a CPU's core, online or not.
    pub(crate) fn core_mates(&self, cpu: u32) -> Vec<u32> {
        let core = self.masks[0].iter().find(|core| core.contains(CpuId(cpu)));
        let all = core.into_iter().flat_map(CpuMask::iter).map(|mate| mate.0);
        all.filter(|mate| *mate != cpu).collect()
    }

    /// The capacity of a CPU, of 1,024 (kernel: `arch_scale_cpu_capacity`).
    pub(crate) fn capacity(&self, cpu: u32) -> u32 {
        self.capacities.get(cpu as usize).copied().unwrap_or(CAPACITY_FULL)
    }

    /// One above the highest number of a node.
    pub(crate) fn node_ids(&self) -> u32 {
        self.order.iter().map(|(node, _)| node + 1).max().unwrap_or(1)
    }

    /// The other nodes, the nearest first; `None` for what is no node.
    pub(crate) fn nodes_after(&self, node: u32) -> Option<&[u32]> {
        if self.order.is_empty() && node == 0 {
            return Some(&[]);
        }
        self.order.iter().find(|(from, _)| *from == node).map(|(_, others)| others.as_slice())
    }

    /// Limits a set to the online CPUs of a node.
    pub(crate) fn limit_to(&self, node: u32, set: &mut [u64]) {
        for (at, word) in set.iter_mut().enumerate() {
            let mut left = *word;
            while left != 0 {
                let cpu = at as u32 * 64 + left.trailing_zeros();
                if self.node(cpu) != node || self.nodes.of(cpu).is_none() {
                    *word &= !(left & left.wrapping_neg());
                }
                left &= left - 1;
            }
        }
    }
}
