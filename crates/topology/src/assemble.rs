// SPDX-License-Identifier: GPL-2.0-or-later
//! The only way to a [`Topology`]: parts in, every invariant checked, places filled in.
//!
//! sysfs, snapshots and the short form all end here, so the rest of Rota may rely on what is
//! checked, wherever a machine came from.

use std::collections::BTreeMap;

use crate::model::{Cluster, Core, Cpu, Level, Llc, Node, Package, Place, Source, Topology};
use crate::{
    CAPACITY_FULL, CPUS_MAX, ClusterId, CoreId, CpuId, CpuMask, LlcId, NODES_MAX, NodeId, PackageId,
};

const CACHE_LEVEL_MAX: u64 = 9;
const CACHE_BYTES_MAX: u64 = 1 << 40;
/// 100 GHz.
pub(crate) const FREQ_KHZ_MAX: u64 = 100_000_000;
pub(crate) const DISTANCE_MAX: u64 = 255;

/// Why parts don't make a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// No CPU at all, or none online.
    #[error("no CPU is online")]
    NoneOnline,
    /// More CPUs than [`CPUS_MAX`].
    #[error("{count} CPUs, at most {CPUS_MAX} are taken")]
    TooManyCpus {
        /// How many there are.
        count: usize,
    },
    /// More nodes than [`NODES_MAX`].
    #[error("{count} nodes, at most {NODES_MAX} are taken")]
    TooManyNodes {
        /// How many there are.
        count: usize,
    },
    /// CPUs or nodes do not come in ascending order, or one comes twice.
    #[error("{what} {id} comes twice or out of order")]
    Order {
        /// `CPU` or `node`.
        what: &'static str,
        /// The number that should be higher.
        id: u32,
    },
    /// A CPU that is present is not possible.
    #[error("CPU {cpu} is present but not in the mask of possible CPUs")]
    NotPossible {
        /// The CPU.
        cpu: CpuId,
    },
    /// A group has a number that is not its position.
    #[error(
        "{level} {found} stands where {level} {expected} belongs: numbers are dense, in the order of the lowest CPU"
    )]
    Number {
        /// The kind of group.
        level: Level,
        /// Its number.
        found: u32,
        /// Its position in the order of the lowest CPU.
        expected: u32,
    },
    /// A group without CPUs; only nodes may be empty.
    #[error("{level} {id} has no CPU")]
    Empty {
        /// The kind of group.
        level: Level,
        /// Its number.
        id: u32,
    },
    /// A group has a CPU that is not present.
    #[error("{level} {id} has CPU {cpu}, which is not present")]
    UnknownCpu {
        /// The kind of group.
        level: Level,
        /// Its number.
        id: u32,
        /// The CPU.
        cpu: CpuId,
    },
    /// Two groups of a kind have the same CPU.
    #[error("CPU {cpu} is in {level} {first} and in {level} {second}")]
    TwoGroups {
        /// The kind of group.
        level: Level,
        /// The CPU.
        cpu: CpuId,
        /// One group.
        first: u32,
        /// The other.
        second: u32,
    },
    /// A CPU that needs a place is missing in one kind of group.
    #[error("CPU {cpu} is in no {level}")]
    NotPlaced {
        /// The kind of group.
        level: Level,
        /// The CPU.
        cpu: CpuId,
    },
    /// The threads of a core are in different groups.
    #[error("core {core} is split: its CPUs are not all in the same {level}")]
    SplitCore {
        /// The core.
        core: CoreId,
        /// The kind of group.
        level: Level,
    },
    /// A node has not one distance for each node.
    #[error("node {node} has {found} distances, but there are {expected} nodes")]
    Distances {
        /// The node.
        node: NodeId,
        /// How many distances it has.
        found: usize,
        /// How many nodes there are.
        expected: usize,
    },
    /// A value that no machine has.
    #[error("{what} is {value}, expected {least} to {most}")]
    Range {
        /// What it belongs to.
        what: String,
        /// The value.
        value: u64,
        /// The least that is taken.
        least: u64,
        /// The most that is taken.
        most: u64,
    },
}

/// What a topology is made of. The places of `cpus` are filled in here.
pub(crate) struct Parts {
    pub(crate) possible: CpuMask,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) cores: Vec<Core>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) llcs: Vec<Llc>,
    pub(crate) packages: Vec<Package>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) capacity_source: Source,
    pub(crate) core_type_source: Source,
}

impl Parts {
    pub(crate) fn build(mut self) -> Result<Topology, ModelError> {
        let present = self.check_cpus()?;
        self.check_nodes()?;
        self.check_values()?;

        let present_only = Members { present: &present };
        let mut places = Places::default();
        let cores = self.cores.iter().map(|g| (g.id.0, &g.cpus));
        places.core = present_only.index(Level::Core, cores)?;
        let clusters = self.clusters.iter().map(|g| (g.id.0, &g.cpus));
        places.cluster = present_only.index(Level::Cluster, clusters)?;
        let llcs = self.llcs.iter().map(|g| (g.id.0, &g.cpus));
        places.llc = present_only.index(Level::Llc, llcs)?;
        let packages = self.packages.iter().map(|g| (g.id.0, &g.cpus));
        places.package = present_only.index(Level::Package, packages)?;
        let nodes = self.nodes.iter().map(|g| (g.id.0, &g.cpus));
        places.node = present_only.index(Level::Node, nodes)?;

        for cpu in &mut self.cpus {
            cpu.place = places.of(cpu.id, cpu.online)?;
        }
        self.number_threads()?;
        let online = self.cpus.iter().filter(|cpu| cpu.online).map(|cpu| cpu.id).collect();
        Ok(Topology {
            possible: self.possible,
            present,
            online,
            cpus: self.cpus,
            cores: self.cores,
            clusters: self.clusters,
            llcs: self.llcs,
            packages: self.packages,
            nodes: self.nodes,
            capacity_source: self.capacity_source,
            core_type_source: self.core_type_source,
        })
    }

    fn check_cpus(&self) -> Result<CpuMask, ModelError> {
        if self.cpus.len() > CPUS_MAX {
            return Err(ModelError::TooManyCpus { count: self.cpus.len() });
        }
        if !self.cpus.iter().any(|cpu| cpu.online) {
            return Err(ModelError::NoneOnline);
        }
        for pair in self.cpus.windows(2) {
            if pair[0].id >= pair[1].id {
                return Err(ModelError::Order { what: "CPU", id: pair[1].id.0 });
            }
        }
        for cpu in &self.cpus {
            if !self.possible.contains(cpu.id) {
                return Err(ModelError::NotPossible { cpu: cpu.id });
            }
        }
        Ok(self.cpus.iter().map(|cpu| cpu.id).collect())
    }

    fn check_nodes(&self) -> Result<(), ModelError> {
        if self.nodes.len() > NODES_MAX {
            return Err(ModelError::TooManyNodes { count: self.nodes.len() });
        }
        for pair in self.nodes.windows(2) {
            if pair[0].id >= pair[1].id {
                return Err(ModelError::Order { what: "node", id: pair[1].id.0 });
            }
        }
        for node in &self.nodes {
            let what = || format!("number of node {}", node.id);
            within(what, node.id.0.into(), 0, NODES_MAX as u64 - 1)?;
            let (found, expected) = (node.distances.len(), self.nodes.len());
            if found != expected {
                return Err(ModelError::Distances { node: node.id, found, expected });
            }
            for &distance in &node.distances {
                let what = || format!("a distance of node {}", node.id);
                within(what, distance.into(), 1, DISTANCE_MAX)?;
            }
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), ModelError> {
        for cpu in &self.cpus {
            let what = || format!("capacity of CPU {}", cpu.id);
            within(what, cpu.capacity.into(), 1, CAPACITY_FULL.into())?;
            for freq in [cpu.freq_min_khz, cpu.freq_max_khz, cpu.freq_base_khz] {
                let what = || format!("a frequency in kHz of CPU {}", cpu.id);
                within(what, freq.unwrap_or(1), 1, FREQ_KHZ_MAX)?;
            }
        }
        for llc in &self.llcs {
            let level = || format!("level of LLC {}", llc.id);
            within(level, llc.level.unwrap_or(1).into(), 1, CACHE_LEVEL_MAX)?;
            let size = || format!("size in bytes of LLC {}", llc.id);
            within(size, llc.size_bytes.unwrap_or(1), 1, CACHE_BYTES_MAX)?;
        }
        Ok(())
    }

    /// Numbers the threads of each core, and checks that they sit at the same place.
    fn number_threads(&mut self) -> Result<(), ModelError> {
        for core in &self.cores {
            let mut first: Option<Place> = None;
            for (thread, id) in core.cpus.iter().enumerate() {
                let Ok(at) = self.cpus.binary_search_by_key(&id, |cpu| cpu.id) else { continue };
                let Some(place) = &mut self.cpus[at].place else { continue };
                place.thread = thread as u32;
                let first = first.get_or_insert(*place);
                let split = |level| ModelError::SplitCore { core: core.id, level };
                if place.cluster != first.cluster {
                    return Err(split(Level::Cluster));
                }
                if place.llc != first.llc {
                    return Err(split(Level::Llc));
                }
                if place.package != first.package {
                    return Err(split(Level::Package));
                }
                if place.node != first.node {
                    return Err(split(Level::Node));
                }
            }
        }
        Ok(())
    }
}

fn within(what: impl Fn() -> String, value: u64, least: u64, most: u64) -> Result<(), ModelError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(ModelError::Range { what: what(), value, least, most }),
    }
}

struct Members<'a> {
    present: &'a CpuMask,
}

impl Members<'_> {
    /// Which group each CPU is in. Nodes keep the kernel's numbers and may be empty.
    fn index<'a>(
        &self,
        level: Level,
        groups: impl Iterator<Item = (u32, &'a CpuMask)>,
    ) -> Result<BTreeMap<CpuId, u32>, ModelError> {
        let mut of = BTreeMap::new();
        let mut lowest = None;
        for (position, (id, cpus)) in groups.enumerate() {
            if level != Level::Node {
                let Some(first) = cpus.first() else { return Err(ModelError::Empty { level, id }) };
                let expected = position as u32;
                if id != expected {
                    return Err(ModelError::Number { level, found: id, expected });
                }
                if lowest > Some(first) {
                    return Err(ModelError::Number { level, found: id, expected: expected - 1 });
                }
                lowest = Some(first);
            }
            for cpu in cpus {
                if !self.present.contains(cpu) {
                    return Err(ModelError::UnknownCpu { level, id, cpu });
                }
                if let Some(first) = of.insert(cpu, id) {
                    return Err(ModelError::TwoGroups { level, cpu, first, second: id });
                }
            }
        }
        Ok(of)
    }
}

#[derive(Default)]
struct Places {
    core: BTreeMap<CpuId, u32>,
    cluster: BTreeMap<CpuId, u32>,
    llc: BTreeMap<CpuId, u32>,
    package: BTreeMap<CpuId, u32>,
    node: BTreeMap<CpuId, u32>,
}

impl Places {
    /// All or nothing: a CPU that is in a core has an LLC, a package and a node.
    fn of(&self, cpu: CpuId, online: bool) -> Result<Option<Place>, ModelError> {
        let of = [&self.core, &self.llc, &self.package, &self.node, &self.cluster];
        if !online && of.iter().all(|of| !of.contains_key(&cpu)) {
            return Ok(None);
        }
        let find = |of: &BTreeMap<CpuId, u32>, level| {
            of.get(&cpu).copied().ok_or(ModelError::NotPlaced { level, cpu })
        };
        Ok(Some(Place {
            core: CoreId(find(&self.core, Level::Core)?),
            thread: 0,
            cluster: self.cluster.get(&cpu).copied().map(ClusterId),
            llc: LlcId(find(&self.llc, Level::Llc)?),
            package: PackageId(find(&self.package, Level::Package)?),
            node: NodeId(find(&self.node, Level::Node)?),
        }))
    }
}
