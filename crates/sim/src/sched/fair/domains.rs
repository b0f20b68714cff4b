// SPDX-License-Identifier: GPL-2.0-or-later
//! Sched domains: for each CPU, ever larger groups of CPUs that tasks are spread over (kernel:
//! `struct sched_domain`, `kernel/sched/topology.c`).
//!
//! ```text
//! SMT: threads of a core ─► cluster ─► LLC ─► node ─► nodes up to a distance, ...
//! ```
//!
//! A domain consists of groups, which are the domains one level below. One that is no larger than
//! the one below it is left out.

use rota_topology::{CpuId, Place, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The farthest distance of nodes that tasks wake up and are made across (kernel:
/// `RECLAIM_DISTANCE`).
const NEAR: u32 = 30;

/// What the CPUs of a domain have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Core,
    Cache,
    Node,
    /// Nodes up to a distance; whether that is a near one.
    Nodes(bool),
}

/// A group of CPUs in a domain.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// In ascending order.
    pub(super) cpus: Rc<[u32]>,
    pub(super) cores: u32,
    /// The kind of domain that it is; `None` for a CPU by itself.
    pub(super) kind: Option<Kind>,
}

/// A domain.
#[derive(Debug, Clone)]
pub(super) struct Domain {
    pub(super) cpus: Vec<u32>,
    /// The group of each of them.
    group_at: Vec<usize>,
    pub(super) groups: Vec<Group>,
    pub(super) kind: Kind,
    /// How many more tasks than idle CPUs a node may have before they are spread (kernel:
    /// `imb_numa_nr`).
    pub(super) spared: i64,
}

impl Domain {
    /// How much more load is no imbalance, in percent.
    pub(super) fn imbalance_percent(&self) -> u64 {
        if self.kind == Kind::Core { 110 } else { 117 }
    }

    /// After how many failures tasks move that have just run.
    pub(super) fn tries(&self) -> u32 {
        match self.kind {
            Kind::Core => 0,
            Kind::Cache | Kind::Node => 1,
            Kind::Nodes(_) => 2,
        }
    }

    /// Whether tasks wake up and are made across it.
    pub(super) fn is_near(&self) -> bool {
        self.kind != Kind::Nodes(false)
    }

    pub(super) fn has(&self, cpu: u32) -> bool {
        self.cpus.binary_search(&cpu).is_ok()
    }

    /// The number of a CPU's group.
    pub(super) fn group_of(&self, cpu: u32) -> usize {
        self.group_with(cpu).unwrap_or(0)
    }

    /// The same, if the CPU is in the domain.
    pub(super) fn group_with(&self, cpu: u32) -> Option<usize> {
        self.cpus.binary_search(&cpu).ok().map(|at| self.group_at[at])
    }
}

impl Group {
    /// Whether it is a core with several threads.
    pub(super) fn is_core(&self) -> bool {
        self.kind == Some(Kind::Core)
    }

    /// Whether tasks are rather spread over such groups (kernel: `SD_PREFER_SIBLING`).
    pub(super) fn spreads(&self) -> bool {
        self.kind.is_some_and(|kind| !matches!(kind, Kind::Nodes(_)))
    }
}

/// All domains of a machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Domains {
    pub(super) all: Vec<Domain>,
    /// Those of each CPU by their numbers, the smallest first.
    pub(super) of: Vec<Vec<usize>>,
    /// The threads of each CPU's core, itself included.
    pub(super) siblings: Vec<Vec<u32>>,
    /// The number of each CPU's last-level cache.
    pub(super) caches: Vec<u32>,
    /// Whether cores have several threads.
    pub(super) smt: bool,
}

/// The CPUs that each group of a topology has, by its level and its number.
type Spans = BTreeMap<(usize, u32), Vec<u32>>;
/// The levels below those of several nodes.
const CORE: usize = 0;
const CLUSTER: usize = 1;
const CACHE: usize = 2;
const NODE: usize = 3;

/// The spans of a topology, and the kind of each level.
fn spans(topology: &Topology, places: &[Option<Place>]) -> (Spans, Vec<Kind>) {
    let mut spans = Spans::new();
    for (cpu, place) in (0..).zip(places) {
        let Some(place) = place else { continue };
        let mut add = |level, number| spans.entry((level, number)).or_default().push(cpu);
        add(CORE, place.core.0);
        if let Some(cluster) = place.cluster {
            add(CLUSTER, cluster.0);
        }
        add(CACHE, place.llc.0);
        add(NODE, place.node.0);
    }
    let mut kinds = vec![Kind::Core, Kind::Cache, Kind::Cache, Kind::Node];
    let nodes = topology.nodes();
    let pairs = nodes.iter().flat_map(|one| nodes.iter().map(move |other| (one.id, other.id)));
    let distances: BTreeSet<u32> =
        pairs.filter_map(|(one, other)| topology.distance(one, other)).collect();
    for far in distances.into_iter().skip(1) {
        for one in nodes {
            let near = nodes
                .iter()
                .filter(|other| topology.distance(one.id, other.id).is_some_and(|d| d <= far));
            let cpus = near.filter_map(|other| spans.get(&(NODE, other.id.0))).flatten();
            let mut cpus: Vec<u32> = cpus.copied().collect();
            cpus.sort_unstable();
            spans.insert((kinds.len(), one.id.0), cpus);
        }
        kinds.push(Kind::Nodes(far <= NEAR));
    }
    (spans, kinds)
}

impl Domains {
    /// Those of the online CPUs of a topology, on a machine with so many.
    pub(super) fn new(topology: &Topology, cpus: u32) -> Self {
        let place = |cpu: u32| {
            let online = topology.online().contains(CpuId(cpu));
            topology.place(CpuId(cpu)).filter(|_| online)
        };
        let places: Vec<Option<Place>> = (0..cpus).map(place).collect();
        let (spans, kinds) = spans(topology, &places);
        let mut domains = Self {
            of: vec![Vec::new(); cpus as usize],
            siblings: (0..cpus).map(|cpu| vec![cpu]).collect(),
            caches: places.iter().map(|p| p.map_or(u32::MAX, |p| p.llc.0)).collect(),
            ..Self::default()
        };
        let mut numbers: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        for (cpu, place) in places.iter().enumerate() {
            let Some(place) = place else { continue };
            domains.siblings[cpu].clone_from(&spans[&(CORE, place.core.0)]);
            for (level, kind) in kinds.iter().enumerate() {
                let key = match level {
                    CORE => Some(place.core.0),
                    CLUSTER => place.cluster.map(|cluster| cluster.0),
                    CACHE => Some(place.llc.0),
                    _ => Some(place.node.0),
                };
                let Some(key) = key.map(|key| (level, key)) else { continue };
                let span = &spans[&key];
                let below = domains.of[cpu].last().map_or(1, |d| domains.all[*d].cpus.len());
                if span.len() <= below {
                    continue;
                }
                let all = &mut domains.all;
                let number = *numbers.entry(key).or_insert_with(|| {
                    let known = all.iter().position(|d| d.kind == *kind && d.cpus == *span);
                    known.filter(|_| level > NODE).unwrap_or_else(|| {
                        let (cpus, group_at, groups) = (span.clone(), Vec::new(), Vec::new());
                        all.push(Domain { cpus, group_at, groups, kind: *kind, spared: 0 });
                        all.len() - 1
                    })
                });
                domains.of[cpu].push(number);
            }
        }
        domains.smt = domains.siblings.iter().any(|core| core.len() > 1);
        domains.make_groups();
        domains.spare_nodes();
        domains
    }

    /// The groups of each domain: what its CPUs have one level below.
    fn make_groups(&mut self) {
        for number in 0..self.all.len() {
            let mut groups: Vec<Group> = Vec::new();
            let cpus = self.all[number].cpus.clone();
            let mut group_at = vec![usize::MAX; cpus.len()];
            for (at, cpu) in cpus.iter().enumerate() {
                if group_at[at] != usize::MAX {
                    continue;
                }
                let chain = &self.of[*cpu as usize];
                let level = chain.iter().position(|domain| *domain == number);
                let below = level.and_then(|level| level.checked_sub(1)).map(|level| chain[level]);
                let own = below.map_or(vec![*cpu], |domain| self.all[domain].cpus.clone());
                let mut members = Vec::new();
                for member in own {
                    if let Ok(at) = cpus.binary_search(&member)
                        && group_at[at] == usize::MAX
                    {
                        group_at[at] = groups.len();
                        members.push(member);
                    }
                }
                let first = |cpu: &&u32| self.siblings[**cpu as usize].first() == Some(*cpu);
                let cores = members.iter().filter(first).count().max(1) as u32;
                let kind = below.map(|domain| self.all[domain].kind);
                groups.push(Group { cpus: members.into(), cores, kind });
            }
            (self.all[number].group_at, self.all[number].groups) = (group_at, groups);
        }
    }

    /// How far nodes may differ (kernel: `init_numa_imbalance`, about).
    fn spare_nodes(&mut self) {
        let of = self.of.clone();
        for chain in &of {
            let cache = chain.iter().rev().find(|d| self.all[**d].kind <= Kind::Cache);
            let cache = cache.map_or(1, |domain| self.all[*domain].cpus.len());
            let node = chain.iter().rev().find(|d| self.all[**d].kind <= Kind::Node);
            let node = node.map_or(cache, |domain| self.all[*domain].cpus.len());
            let caches = node / cache.max(1);
            let spared = if caches <= 1 { node >> 3 } else { caches }.max(1);
            let nodes = chain.iter().filter(|d| matches!(self.all[**d].kind, Kind::Nodes(_)));
            let nodes: Vec<usize> = nodes.copied().collect();
            let first = nodes.first().map_or(1, |domain| self.all[*domain].cpus.len());
            for domain in nodes {
                let domain = &mut self.all[domain];
                domain.spared = (spared * (domain.cpus.len() / first).max(1)) as i64;
            }
        }
    }

    /// The largest domain of a CPU that shares a cache.
    pub(super) fn cache(&self, cpu: u32) -> Option<usize> {
        let chain = self.of.get(cpu as usize)?;
        chain.iter().rev().copied().find(|domain| self.all[*domain].kind <= Kind::Cache)
    }

    /// How many CPUs share a CPU's last-level cache.
    pub(super) fn cache_cpus(&self, cpu: u32) -> u32 {
        self.cache(cpu).map_or(1, |domain| self.all[domain].cpus.len() as u32)
    }

    /// Whether two CPUs share their last-level cache.
    pub(super) fn share_cache(&self, one: u32, other: u32) -> bool {
        let cache = |cpu: u32| self.caches.get(cpu as usize).filter(|cache| **cache != u32::MAX);
        one == other || cache(one).is_some() && cache(one) == cache(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_topology::Spec;

    fn shown(machine: &str, cpu: usize) -> Vec<String> {
        let topology = machine.parse::<Spec>().unwrap().topology();
        let domains = Domains::new(&topology, topology.possible().count() as u32);
        let chain = domains.of[cpu].iter().map(|domain| {
            let domain = &domains.all[*domain];
            let groups: Vec<usize> = domain.groups.iter().map(|g| g.cpus.len()).collect();
            format!("{:?} {} {groups:?}", domain.kind, domain.cpus.len())
        });
        chain.collect()
    }

    #[test]
    fn levels_that_add_nothing_are_left_out() {
        assert_eq!(shown("4c", 1), ["Cache 4 [1, 1, 1, 1]"]);
        assert_eq!(shown("1c", 0), [""; 0]);
        assert_eq!(shown("2l:2c:2t", 5), ["Core 2 [1, 1]", "Cache 4 [2, 2]", "Node 8 [4, 4]"]);
        assert_eq!(
            shown("2s:2l:2c", 7),
            ["Cache 2 [1, 1]", "Node 4 [2, 2]", "Nodes(true) 8 [4, 4]"]
        );
        assert_eq!(shown("4l:1c", 3), ["Node 4 [1, 1, 1, 1]"]);
    }
}
