// SPDX-License-Identifier: GPL-2.0-or-later
//! Packages, dies, clusters and cores.

use std::collections::BTreeMap;

use super::claims::Claims;
use super::reader::{Reader, of_cpus};
use crate::assemble::Parts;
use crate::{Cluster, ClusterId, Core, CoreId, CpuId, CpuMask, Package, PackageId};

const PACKAGE_ID: &str = "topology/physical_package_id";
const PACKAGE_LIST: &str = "topology/package_cpus_list";
const CLUSTER_LIST: &str = "topology/cluster_cpus_list";
const CORE_LIST: &str = "topology/core_cpus_list";

pub(super) fn packages(reader: &mut Reader<'_>, online: &CpuMask) -> Vec<Package> {
    let mut claims = lists(reader, online, &[PACKAGE_LIST, "topology/core_siblings_list"]);
    let ids = ids(reader, online, PACKAGE_ID);
    fill_by_id(&mut claims, &ids);
    if claims.is_empty() {
        reader.missing(&of_cpus(PACKAGE_ID), online, "all CPUs are taken as one package");
        return vec![Package { id: PackageId(0), cpus: online.clone(), kernel_id: None }];
    }
    let groups = partition(reader, &claims, online, PACKAGE_LIST, "taken as a package of its own");
    let package = |(n, cpus): (usize, CpuMask)| Package {
        id: PackageId(n as u32),
        kernel_id: cpus.first().and_then(|cpu| ids.get(&cpu).copied()),
        cpus,
    };
    groups.into_iter().enumerate().map(package).collect()
}

/// Clusters, if the kernel tells any. No warning if not: most machines have none, and there the
/// kernel's list is often the core over again.
pub(super) fn clusters(reader: &mut Reader<'_>, online: &CpuMask, cores: &[Core]) -> Vec<Cluster> {
    let claims = lists(reader, online, &[CLUSTER_LIST]);
    if claims.is_empty() {
        return Vec::new();
    }
    let ids = ids(reader, online, "topology/cluster_id");
    let groups = partition(reader, &claims, online, CLUSTER_LIST, "taken as a cluster of its own");
    if groups.iter().eq(cores.iter().map(|core| &core.cpus)) {
        return Vec::new();
    }
    let cluster = |(n, cpus): (usize, CpuMask)| Cluster {
        id: ClusterId(n as u32),
        kernel_id: cpus.first().and_then(|cpu| ids.get(&cpu).copied()),
        cpus,
    };
    groups.into_iter().enumerate().map(cluster).collect()
}

pub(super) fn cores(reader: &mut Reader<'_>, online: &CpuMask) -> Vec<Core> {
    let mut claims = lists(reader, online, &[CORE_LIST, "topology/thread_siblings_list"]);
    let ids = ids(reader, online, "topology/core_id");
    let silent: CpuMask = online.iter().filter(|&cpu| !claims.names(cpu)).collect();
    // A core id is unique within a package, die and cluster at best (device trees restart it in
    // each cluster), so all of them make the key.
    let mut keys = BTreeMap::new();
    for cpu in &silent {
        if let Some(&core) = ids.get(&cpu) {
            let outer = [PACKAGE_ID, "topology/die_id", "topology/cluster_id"];
            keys.insert(cpu, (outer.map(|file| reader.id(cpu, file)), core));
        }
    }
    claims.insert_keyed(&keys);
    let groups = partition(reader, &claims, online, CORE_LIST, "taken as a core of its own");
    groups
        .into_iter()
        .enumerate()
        .map(|(n, cpus)| Core {
            id: CoreId(n as u32),
            kernel_id: cpus.first().and_then(|cpu| ids.get(&cpu).copied()),
            cpus,
        })
        .collect()
}

/// The dies, where they are smaller than packages can be told by; empty if the kernel tells none.
pub(super) fn dies(reader: &mut Reader<'_>, online: &CpuMask) -> Claims {
    let mut claims = lists(reader, online, &["topology/die_cpus_list"]);
    if claims.is_empty() {
        let mut keys = BTreeMap::new();
        for cpu in online {
            if let Some(die) = reader.id(cpu, "topology/die_id") {
                keys.insert(cpu, (reader.id(cpu, PACKAGE_ID), die));
            }
        }
        claims.insert_keyed(&keys);
    }
    claims
}

/// Splits cores whose threads sit in different groups, so that a core stays the atom.
pub(super) fn split_cores(reader: &mut Reader<'_>, parts: &mut Parts) {
    let mut keys: BTreeMap<CpuId, [Option<u32>; 4]> = BTreeMap::new();
    let mut put = |slot: usize, group: u32, cpus: &CpuMask| {
        for cpu in cpus {
            keys.entry(cpu).or_default()[slot] = Some(group);
        }
    };
    parts.llcs.iter().for_each(|g| put(0, g.id.0, &g.cpus));
    parts.packages.iter().for_each(|g| put(1, g.id.0, &g.cpus));
    parts.nodes.iter().for_each(|g| put(2, g.id.0, &g.cpus));
    parts.clusters.iter().for_each(|g| put(3, g.id.0, &g.cpus));

    let mut whole = Vec::new();
    for core in parts.cores.drain(..) {
        let mut pieces: BTreeMap<Option<&[Option<u32>; 4]>, CpuMask> = BTreeMap::new();
        for cpu in &core.cpus {
            pieces.entry(keys.get(&cpu)).or_default().insert(cpu);
        }
        if pieces.len() > 1 {
            let text = "split, as the threads differ in LLC, package, node or cluster";
            reader.inconsistent(&of_cpus(CORE_LIST), &core.cpus, text);
        }
        whole.extend(pieces.into_values().map(|cpus| Core { cpus, ..core.clone() }));
    }
    whole.sort_by_key(|core| core.cpus.first());
    for (n, core) in whole.iter_mut().enumerate() {
        core.id = CoreId(n as u32);
    }
    parts.cores = whole;
}

/// The first of some files that holds a list, for each CPU.
pub(super) fn lists(reader: &mut Reader<'_>, cpus: &CpuMask, files: &[&str]) -> Claims {
    let mut claims = Claims::default();
    for cpu in cpus {
        if let Some(mask) = files.iter().find_map(|file| reader.list(cpu, file)) {
            claims.insert(cpu, &mask & cpus);
        }
    }
    claims
}

/// Groups by claims, with a warning where they contradict each other or are silent.
pub(super) fn partition(
    reader: &mut Reader<'_>,
    claims: &Claims,
    cpus: &CpuMask,
    file: &str,
    alone: &str,
) -> Vec<CpuMask> {
    let partition = claims.partition(cpus);
    if !partition.disagreeing.is_empty() {
        let text = "differs from the lists of other CPUs in it";
        reader.inconsistent(&of_cpus(file), &partition.disagreeing, text);
    }
    if !partition.silent.is_empty() {
        reader.missing(&of_cpus(file), &partition.silent, alone);
    }
    partition.groups
}

/// An id of each CPU that has one.
fn ids(reader: &mut Reader<'_>, cpus: &CpuMask, file: &str) -> BTreeMap<CpuId, u32> {
    cpus.iter().filter_map(|cpu| Some((cpu, reader.id(cpu, file)?))).collect()
}

/// CPUs that no list names are grouped by an id.
fn fill_by_id(claims: &mut Claims, ids: &BTreeMap<CpuId, u32>) {
    let mut silent = ids.clone();
    silent.retain(|&cpu, _| !claims.names(cpu));
    claims.insert_keyed(&silent);
}
