// SPDX-License-Identifier: GPL-2.0-or-later
//! A topology from a sysfs tree.
//!
//! Real trees are full of holes: offline CPUs have neither `topology` nor `cache`, many Arm
//! machines have no cache `id`, virtual machines have no caches, small kernels no NUMA, and a
//! saved tree may be damaged. Only a tree without a single CPU is refused. Everything else has a
//! fallback, and whatever was assumed is returned as a [`Warning`], so that a wrong picture can be
//! explained. A tree that is complete gives no warning.
//!
//! | wanted | first choice | else |
//! | --- | --- | --- |
//! | packages | `package_cpus_list` | `core_siblings_list`, `physical_package_id`, one package |
//! | cores | `core_cpus_list` | `thread_siblings_list`, ids, each CPU a core |
//! | clusters | `cluster_cpus_list`, unless each is one core | no clusters |
//! | LLCs | `shared_cpu_list` of the highest data cache | cache `id`, die, package, cluster |
//! | nodes | `nodeN/cpulist` | `cpuN/nodeM`, one node 0 |
//! | capacity | `cpu_capacity` | on hybrid machines `highest_perf`, maximum frequency; else equal |
//! | core types | `cpu_capacity` | Intel's PMU lists, `highest_perf`, maximum frequency, equal |
//!
//! The lists win over the ids, as the kernel's scheduler uses the lists and as ids are unique
//! within varying scopes. A cache of level 1 or 2 that no two cores share is no LLC anyone could
//! balance over; where no cache is shared at all, the package stands for the LLC.

mod caches;
mod claims;
mod groups;
mod nodes;
mod power;
mod reader;

use crate::assemble::{ModelError, Parts};
use crate::files::numbered;
use crate::{CPUS_MAX, Cpu, CpuId, CpuMask, Topology, Tree};
use reader::Reader;

pub use reader::{Warning, WarningKind};

/// The files that [`Topology::from_sysfs`] reads or whose names it lists, relative to `/sys`. A
/// `*` stands for a decimal number.
pub const SYSFS_PATHS: &[&str] = &[
    "devices/system/cpu/possible",
    "devices/system/cpu/present",
    "devices/system/cpu/online",
    "devices/system/cpu/cpu*/online",
    "devices/system/cpu/cpu*/cpu_capacity",
    "devices/system/cpu/cpu*/acpi_cppc/highest_perf",
    "devices/system/cpu/cpu*/cpufreq/cpuinfo_min_freq",
    "devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq",
    "devices/system/cpu/cpu*/cpufreq/base_frequency",
    "devices/system/cpu/cpu*/node*",
    "devices/system/cpu/cpu*/topology/physical_package_id",
    "devices/system/cpu/cpu*/topology/die_id",
    "devices/system/cpu/cpu*/topology/cluster_id",
    "devices/system/cpu/cpu*/topology/core_id",
    "devices/system/cpu/cpu*/topology/package_cpus_list",
    "devices/system/cpu/cpu*/topology/core_siblings_list",
    "devices/system/cpu/cpu*/topology/die_cpus_list",
    "devices/system/cpu/cpu*/topology/cluster_cpus_list",
    "devices/system/cpu/cpu*/topology/core_cpus_list",
    "devices/system/cpu/cpu*/topology/thread_siblings_list",
    "devices/system/cpu/cpu*/cache/index*/level",
    "devices/system/cpu/cpu*/cache/index*/type",
    "devices/system/cpu/cpu*/cache/index*/id",
    "devices/system/cpu/cpu*/cache/index*/size",
    "devices/system/cpu/cpu*/cache/index*/shared_cpu_list",
    "devices/system/cpu/cpu*/cache/index*/shared_cpu_map",
    "devices/system/node/online",
    "devices/system/node/node*/cpulist",
    "devices/system/node/node*/distance",
    "devices/cpu_core/cpus",
    "devices/cpu_atom/cpus",
    "devices/cpu_lowpower/cpus",
];

const CPU_DIR: &str = "devices/system/cpu";

/// What a sysfs tree gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The machine.
    pub topology: Topology,
    /// What was missing or damaged, and what was assumed instead.
    pub warnings: Vec<Warning>,
}

/// Why a sysfs tree gives no machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysfsError {
    /// No CPU is online, or the tree is none.
    #[error("no CPU found under {CPU_DIR}: this is no sysfs tree, or an empty one")]
    NoCpus,
    /// More CPUs than [`CPUS_MAX`].
    #[error("{count} CPUs, at most {CPUS_MAX} are taken")]
    TooManyCpus {
        /// How many there are.
        count: usize,
    },
    /// The groups contradict each other in a way that no fallback cures.
    #[error("sysfs contradicts itself: {0}")]
    Contradiction(#[from] ModelError),
}

impl Topology {
    /// Reads a machine from a sysfs tree, the root of which is what is mounted at `/sys`.
    pub fn from_sysfs(tree: &dyn Tree) -> Result<Reading, SysfsError> {
        let mut reader = Reader::new(tree);
        let sets = CpuSets::read(&mut reader)?;
        let online = &sets.online;

        let packages = groups::packages(&mut reader, online);
        let cores = groups::cores(&mut reader, online);
        let clusters = groups::clusters(&mut reader, online, &cores);
        let llcs = caches::llcs(&mut reader, online, &packages, &clusters, &cores);
        let nodes = nodes::nodes(&mut reader, online);
        let power = power::power(&mut reader, online);

        let mut cpus: Vec<Cpu> =
            sets.present.iter().map(|id| Cpu::unknown(id, online.contains(id))).collect();
        power.fill(&mut cpus);
        let mut parts = Parts {
            possible: sets.possible,
            cpus,
            cores,
            clusters,
            llcs,
            packages,
            nodes,
            capacity_source: power.capacity_source,
            core_type_source: power.core_type_source,
        };
        groups::split_cores(&mut reader, &mut parts);
        Ok(Reading { topology: parts.build()?, warnings: reader.into_warnings() })
    }
}

struct CpuSets {
    possible: CpuMask,
    present: CpuMask,
    online: CpuMask,
}

impl CpuSets {
    fn read(reader: &mut Reader<'_>) -> Result<Self, SysfsError> {
        let mut folders = CpuMask::new();
        for name in reader.names(CPU_DIR) {
            let number = numbered(&name, "cpu").filter(|&n| n < CpuMask::LIMIT);
            folders.extend(number.map(CpuId));
        }
        let present_path = format!("{CPU_DIR}/present");
        let mut present = reader.global_list(&present_path).unwrap_or_else(|| {
            reader.missing(&present_path, &CpuMask::new(), "the cpuN folders are taken instead");
            folders.clone()
        });
        let online_path = format!("{CPU_DIR}/online");
        let online = reader.global_list(&online_path).unwrap_or_else(|| {
            reader.missing(&online_path, &CpuMask::new(), "cpuN/online is taken instead");
            folders.iter().filter(|&cpu| reader.number(cpu, "online", 0..=1) != Some(0)).collect()
        });
        let stray = &(&present | &online) - &folders;
        if !stray.is_empty() {
            let text = "in the list of present or online CPUs, but left out";
            reader.missing(&format!("{CPU_DIR}/cpu*"), &stray, text);
        }
        let online = &online & &folders;
        present = &(&present & &folders) | &online;
        if online.is_empty() {
            return Err(SysfsError::NoCpus);
        }
        if present.count() > CPUS_MAX {
            return Err(SysfsError::TooManyCpus { count: present.count() });
        }
        let possible_path = format!("{CPU_DIR}/possible");
        let possible = reader.global_list(&possible_path).unwrap_or_else(|| {
            reader.missing(&possible_path, &CpuMask::new(), "the present CPUs are taken instead");
            present.clone()
        });
        let extra = &present - &possible;
        if !extra.is_empty() {
            reader.inconsistent(&possible_path, &extra, "present, so taken as possible");
        }
        Ok(Self { possible: &possible | &present, present, online })
    }
}
