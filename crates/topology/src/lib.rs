// SPDX-License-Identifier: GPL-2.0-or-later
//! CPUs, caches, nodes, capacities and CPU masks.
//!
//! A [`Topology`] says where each CPU of a machine sits: which hardware threads make a core, which
//! cores share the last-level cache (LLC), which belong to one package and to one NUMA node, and
//! how strong each is. It comes from one of three places and is the same thing afterwards:
//!
//! * a sysfs tree, live or saved ([`Topology::from_sysfs`]); what is missing or damaged is replaced
//!   by a sane assumption, and each assumption is returned as a [`Warning`];
//! * a snapshot, versioned JSON ([`Topology::to_json`], [`Topology::from_json`]);
//! * a short form such as `2s:4l:8c:2t` ([`Spec`]).
//!
//! Numbers of CPUs ([`CpuId`]) and NUMA nodes ([`NodeId`]) are the kernel's own, and may have
//! holes. Cores, clusters, LLCs and packages are numbered densely in the order of their lowest CPU,
//! so they can index arrays; the kernel's own number, which may be sparse, repeated or absent,
//! stays in a `kernel_id` field.
//!
//! The core is the atom: the threads of a core always have the same LLC, cluster, package and
//! node. Nothing else is promised to nest. With Intel's sub-NUMA clustering an LLC spans nodes, and
//! without NUMA one node spans packages.
//!
//! Absent on purpose: files, environment, clocks and threads. Whoever has a file system implements
//! [`Tree`] on it.

mod assemble;
mod files;
mod ids;
mod mask;
mod mask_text;
mod model;
mod render;
mod snapshot;
mod spec;
mod sysfs;

pub use assemble::ModelError;
pub use files::{MemoryTree, Tree, TreeTextError};
pub use ids::{ClusterId, CoreId, CpuId, LlcId, NodeId, PackageId};
pub use mask::{CpuMask, Cpus};
pub use mask_text::{MaskError, MaskErrorKind};
pub use model::{
    CAPACITY_FULL, CPUS_MAX, Cluster, Core, CoreType, Cpu, Level, Llc, LlcOrigin, NODES_MAX, Node,
    Package, Place, Source, Topology,
};
pub use snapshot::{SCHEMA, SnapshotError};
pub use spec::{Spec, SpecError, SpecErrorKind};
pub use sysfs::{Reading, SYSFS_PATHS, SysfsError, Warning, WarningKind};
