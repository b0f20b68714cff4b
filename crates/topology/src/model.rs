// SPDX-License-Identifier: GPL-2.0-or-later
//! The machine: CPUs and the groups they form.
//!
//! Each kind of group (cores, LLCs, ...) is a list of masks; each CPU has a [`Place`] with the
//! numbers of its groups. Both directions are kept, because schedulers ask both, and
//! `assemble.rs` is the only place that fills them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ClusterId, CoreId, CpuId, CpuMask, LlcId, NodeId, PackageId};

/// The most CPUs that a topology takes.
pub const CPUS_MAX: usize = 1 << 16;

/// The most NUMA nodes that a topology takes, and the bound of their numbers; the kernel's own
/// bound is the same on its largest configurations.
pub const NODES_MAX: usize = 1 << 10;

/// The capacity of the strongest CPU of a machine, the kernel's `SCHED_CAPACITY_SCALE`.
pub const CAPACITY_FULL: u32 = 1024;

/// A machine's CPUs and how they are grouped. Immutable: after a hotplug, read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    pub(crate) possible: CpuMask,
    pub(crate) present: CpuMask,
    pub(crate) online: CpuMask,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) cores: Vec<Core>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) llcs: Vec<Llc>,
    pub(crate) packages: Vec<Package>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) capacity_source: Source,
    pub(crate) core_type_source: Source,
}

/// A CPU that is present, online or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The kernel's number.
    pub id: CpuId,
    /// Whether it can run anything now.
    pub online: bool,
    /// Where it sits. An online CPU always has a place. The kernel doesn't tell the place of an
    /// offline one, so there it is `None`, unless a snapshot or a generated machine states it.
    pub place: Option<Place>,
    /// Computing power; the strongest CPU of the machine has [`CAPACITY_FULL`]. That is also the
    /// value where nothing is known.
    pub capacity: u32,
    /// Which kind of core it belongs to.
    pub core_type: CoreType,
    /// The lowest frequency.
    pub freq_min_khz: Option<u64>,
    /// The highest frequency, boost included.
    pub freq_max_khz: Option<u64>,
    /// The highest frequency that is guaranteed, where the driver tells it.
    pub freq_base_khz: Option<u64>,
}

/// Where a CPU sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its core.
    pub core: CoreId,
    /// Which thread of the core it is: 0 is the lowest CPU.
    pub thread: u32,
    /// Its cluster, if the machine has clusters.
    pub cluster: Option<ClusterId>,
    /// Its last-level cache.
    pub llc: LlcId,
    /// Its package.
    pub package: PackageId,
    /// Its NUMA node.
    pub node: NodeId,
}

/// Which kind of core a CPU belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreType {
    /// The machine has one kind only.
    Uniform,
    /// The strong kind of a hybrid machine.
    Performance,
    /// The weak kind of a hybrid machine.
    Efficiency,
    /// The machine is hybrid, but for this CPU (offline, usually) the kind is not told.
    Unknown,
}

/// Where capacities or core types come from, surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Stated by whoever made the machine up (short form, machine file).
    Stated,
    /// `cpuN/cpu_capacity`.
    CpuCapacity,
    /// The CPU lists of the performance-monitoring units of Intel's hybrid machines,
    /// `devices/cpu_core/cpus` and `devices/cpu_atom/cpus`.
    IntelPmu,
    /// `cpuN/acpi_cppc/highest_perf`.
    HighestPerf,
    /// `cpuN/cpufreq/cpuinfo_max_freq`: a guess, as it ignores work per clock cycle.
    FreqMax,
    /// Nothing tells, so all CPUs are taken as equal.
    Assumed,
}

/// A core: the hardware threads that share its execution units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// Dense number.
    pub id: CoreId,
    /// Its threads.
    pub cpus: CpuMask,
    /// `core_id` in sysfs; unique within a package at most.
    pub kernel_id: Option<u32>,
}

/// A cluster: cores that share something closer than the LLC, usually an L2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Dense number.
    pub id: ClusterId,
    /// Its CPUs.
    pub cpus: CpuMask,
    /// `cluster_id` in sysfs.
    pub kernel_id: Option<u32>,
}

/// The CPUs that share a last-level cache, or what stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Llc {
    /// Dense number.
    pub id: LlcId,
    /// Its CPUs.
    pub cpus: CpuMask,
    /// What the group was made from.
    pub origin: LlcOrigin,
    /// The cache's level, 3 usually; `None` if no cache is known.
    pub level: Option<u32>,
    /// The cache's size.
    pub size_bytes: Option<u64>,
    /// `id` of the cache in sysfs.
    pub kernel_id: Option<u32>,
}

/// What an LLC was made from, where the kernel tells no shared cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LlcOrigin {
    /// A cache; the normal case.
    Cache,
    /// The CPUs of a die.
    Die,
    /// The CPUs of a package.
    Package,
    /// The CPUs of a cluster.
    Cluster,
}

/// A package: what sits in one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Dense number.
    pub id: PackageId,
    /// Its CPUs.
    pub cpus: CpuMask,
    /// `physical_package_id` in sysfs.
    pub kernel_id: Option<u32>,
}

/// A NUMA node. A node without CPUs has memory only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The kernel's number.
    pub id: NodeId,
    /// Its CPUs.
    pub cpus: CpuMask,
    /// Distance to each node, in the order of [`Topology::nodes`]; 10 is local.
    pub distances: Vec<u32>,
}

/// A kind of group, for [`Topology::groups`] and for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Hardware threads of a core.
    Core,
    /// Cores of a cluster.
    Cluster,
    /// CPUs of a last-level cache.
    Llc,
    /// CPUs of a package.
    Package,
    /// CPUs of a NUMA node.
    Node,
}

impl Topology {
    /// CPUs that could ever come; sizes per-CPU arrays of the kernel.
    pub fn possible(&self) -> &CpuMask {
        &self.possible
    }

    /// CPUs that are there, online or not.
    pub fn present(&self) -> &CpuMask {
        &self.present
    }

    /// CPUs that can run something now.
    pub fn online(&self) -> &CpuMask {
        &self.online
    }

    /// CPUs that are there and switched off.
    pub fn offline(&self) -> CpuMask {
        &self.present - &self.online
    }

    /// The CPUs that are present, in ascending order.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The CPU of that number, if it is present.
    pub fn cpu(&self, id: CpuId) -> Option<&Cpu> {
        self.cpus.binary_search_by_key(&id, |cpu| cpu.id).ok().map(|at| &self.cpus[at])
    }

    /// Where a CPU sits, if it is present and that is known.
    pub fn place(&self, id: CpuId) -> Option<Place> {
        self.cpu(id)?.place
    }

    /// The cores; `CoreId::index` is the position.
    pub fn cores(&self) -> &[Core] {
        &self.cores
    }

    /// The clusters; `ClusterId::index` is the position. Empty if the kernel tells none,
    /// or if each would be one core.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// The last-level caches; `LlcId::index` is the position.
    pub fn llcs(&self) -> &[Llc] {
        &self.llcs
    }

    /// The packages; `PackageId::index` is the position.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The NUMA nodes by ascending number, which may have holes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of that number.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(self.node_position(id)?)
    }

    /// The distance from one node to another, 10 for local.
    pub fn distance(&self, from: NodeId, to: NodeId) -> Option<u32> {
        self.node(from)?.distances.get(self.node_position(to)?).copied()
    }

    /// The threads of a CPU's core, itself included.
    pub fn siblings(&self, id: CpuId) -> Option<&CpuMask> {
        Some(&self.cores[self.place(id)?.core.index()].cpus)
    }

    /// The groups of a kind, restricted to online CPUs and without empty ones, in the order of
    /// their lowest CPU. This is the partition that `lscpu` prints.
    pub fn groups(&self, level: Level) -> Vec<CpuMask> {
        let all: Vec<&CpuMask> = match level {
            Level::Core => self.cores.iter().map(|g| &g.cpus).collect(),
            Level::Cluster => self.clusters.iter().map(|g| &g.cpus).collect(),
            Level::Llc => self.llcs.iter().map(|g| &g.cpus).collect(),
            Level::Package => self.packages.iter().map(|g| &g.cpus).collect(),
            Level::Node => self.nodes.iter().map(|g| &g.cpus).collect(),
        };
        let mut groups: Vec<_> = all.iter().map(|mask| *mask & &self.online).collect();
        groups.retain(|mask| !mask.is_empty());
        groups.sort_by_key(CpuMask::first);
        groups
    }

    /// The most threads that a core has.
    pub fn threads_max(&self) -> usize {
        self.cores.iter().map(|core| core.cpus.count()).max().unwrap_or(1)
    }

    /// Whether the machine has more than one kind of core.
    pub fn is_hybrid(&self) -> bool {
        self.cpus.iter().any(|cpu| cpu.core_type == CoreType::Efficiency)
    }

    /// Where the capacities come from.
    pub fn capacity_source(&self) -> Source {
        self.capacity_source
    }

    /// Where the core types come from.
    pub fn core_type_source(&self) -> Source {
        self.core_type_source
    }

    fn node_position(&self, id: NodeId) -> Option<usize> {
        self.nodes.binary_search_by_key(&id, |node| node.id).ok()
    }
}

impl Cpu {
    /// A CPU of which nothing is known but its number.
    pub(crate) fn unknown(id: CpuId, online: bool) -> Self {
        Self {
            id,
            online,
            place: None,
            capacity: CAPACITY_FULL,
            core_type: CoreType::Uniform,
            freq_min_khz: None,
            freq_max_khz: None,
            freq_base_khz: None,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Core => "core",
            Self::Cluster => "cluster",
            Self::Llc => "LLC",
            Self::Package => "package",
            Self::Node => "node",
        })
    }
}

impl fmt::Display for CoreType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Uniform => "uniform",
            Self::Performance => "performance",
            Self::Efficiency => "efficiency",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stated => "stated",
            Self::CpuCapacity => "cpu_capacity",
            Self::IntelPmu => "cpu_core and cpu_atom",
            Self::HighestPerf => "acpi_cppc/highest_perf",
            Self::FreqMax => "cpufreq/cpuinfo_max_freq",
            Self::Assumed => "assumed",
        })
    }
}
