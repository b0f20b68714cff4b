// SPDX-License-Identifier: GPL-2.0-or-later
//! Last-level caches.
//!
//! Each CPU's LLC is the data or unified cache of the highest level that it has: on some hybrid
//! machines the weakest cores have an L2 and no way to the L3, and there the L2 is their LLC.

use std::collections::BTreeMap;

use super::CPU_DIR;
use super::claims::Claims;
use super::groups::{dies, partition};
use super::reader::{Reader, of_cpus};
use crate::files::numbered;
use crate::{Cluster, Core, CpuId, CpuMask, Llc, LlcId, LlcOrigin, Package};

const SHARED: &str = "cache/index*/shared_cpu_list";
/// More than any machine has; bounds the work on a damaged tree.
const INDEX_MAX: u32 = 32;

/// The LLCs, every online CPU in one.
pub(super) fn llcs(
    reader: &mut Reader<'_>,
    online: &CpuMask,
    packages: &[Package],
    clusters: &[Cluster],
    cores: &[Core],
) -> Vec<Llc> {
    let mut caches = BTreeMap::new();
    for cpu in online {
        if let Some(cache) = last_cache(reader, cpu) {
            caches.insert(cpu, cache);
        }
    }
    let mut llcs = by_level(reader, online, &caches);
    if !worth_it(&llcs, packages, cores) {
        if !llcs.is_empty() {
            let text = "no cache is shared by several cores, so none is taken as an LLC";
            reader.missing(&of_cpus(SHARED), online, text);
            llcs.clear();
        }
        fall_back(reader, online, packages, clusters, &mut llcs);
    } else {
        let with_cache = llcs.iter().fold(CpuMask::new(), |all, llc| &all | &llc.cpus);
        let without = online - &with_cache;
        fall_back(reader, &without, packages, clusters, &mut llcs);
    }
    llcs.sort_by_key(|llc| llc.cpus.first());
    for (n, llc) in llcs.iter_mut().enumerate() {
        llc.id = LlcId(n as u32);
    }
    llcs
}

#[derive(Clone)]
struct Cache {
    level: u32,
    id: Option<u32>,
    size_bytes: Option<u64>,
    shared: Option<CpuMask>,
}

/// The data or unified cache of the highest level of a CPU.
fn last_cache(reader: &mut Reader<'_>, cpu: CpuId) -> Option<Cache> {
    let names = reader.names(&format!("{CPU_DIR}/cpu{cpu}/cache"));
    let mut best: Option<(u32, u32)> = None;
    for name in names {
        let Some(index) = numbered(&name, "index").filter(|&index| index < INDEX_MAX) else {
            continue;
        };
        let kind = reader.cpu_text(cpu, &format!("cache/index{index}/type"));
        if kind.as_deref() == Some("Instruction") {
            continue;
        }
        let level = reader.number(cpu, &format!("cache/index{index}/level"), 1..=9);
        let Some(level) = level.and_then(|level| u32::try_from(level).ok()) else { continue };
        if best.is_none_or(|best| (level, index) > best) {
            best = Some((level, index));
        }
    }
    let (level, index) = best?;
    let file = |name: &str| format!("cache/index{index}/{name}");
    let shared = reader
        .list(cpu, &file("shared_cpu_list"))
        .or_else(|| reader.hex(cpu, &file("shared_cpu_map")));
    let size_file = file("size");
    let size_text = reader.cpu_text(cpu, &size_file);
    let size_bytes = size_text.as_deref().and_then(parse_size);
    if size_text.is_some() && size_bytes.is_none() {
        let text = "ignored, expected a number and K, M or G";
        reader.unreadable(&of_cpus(&size_file), &CpuMask::of(cpu), text);
    }
    Some(Cache { level, id: reader.id(cpu, &file("id")), size_bytes, shared })
}

/// `512K`, `16M`; at most a tebibyte.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|&size| (1..=1 << 40).contains(&size))
}

/// Groups CPUs whose last cache is of the same level, the highest level first. A CPU without a
/// cache folder joins the group whose list has it.
fn by_level(
    reader: &mut Reader<'_>,
    online: &CpuMask,
    caches: &BTreeMap<CpuId, Cache>,
) -> Vec<Llc> {
    let mut levels: Vec<u32> = caches.values().map(|cache| cache.level).collect();
    levels.sort_unstable();
    levels.dedup();
    let mut rest = online.clone();
    let mut llcs = Vec::new();
    for level in levels.into_iter().rev() {
        let (claims, mut cpus) = level_claims(level, caches);
        cpus.extend(rest.iter().filter(|cpu| !caches.contains_key(cpu) && claims.names(*cpu)));
        cpus = &cpus & &rest;
        rest = &rest - &cpus;
        for group in partition(reader, &claims, &cpus, SHARED, "taken as an LLC of its own") {
            let known: Vec<&Cache> = group.iter().filter_map(|cpu| caches.get(&cpu)).collect();
            llcs.push(Llc {
                id: LlcId(0),
                origin: LlcOrigin::Cache,
                level: Some(level),
                size_bytes: known.iter().find_map(|cache| cache.size_bytes),
                kernel_id: known.iter().find_map(|cache| cache.id),
                cpus: group,
            });
        }
    }
    llcs
}

/// What the CPUs with a last cache of this level say, and which they are. Lists decide; CPUs that
/// no list names are grouped by the cache's id, where it has one.
fn level_claims(level: u32, caches: &BTreeMap<CpuId, Cache>) -> (Claims, CpuMask) {
    let same = caches.iter().filter(|(_, cache)| cache.level == level);
    let cpus: CpuMask = same.clone().map(|(&cpu, _)| cpu).collect();
    let mut claims = Claims::default();
    for (&cpu, cache) in same.clone() {
        if let Some(shared) = &cache.shared {
            claims.insert(cpu, shared.clone());
        }
    }
    let ids: BTreeMap<CpuId, u32> = same
        .filter(|(cpu, _)| !claims.names(**cpu))
        .filter_map(|(&cpu, cache)| Some((cpu, cache.id?)))
        .collect();
    claims.insert_keyed(&ids);
    (claims, cpus)
}

/// Whether the caches are of use as LLCs: an L3 always is; an L1 or L2 is if two cores share one
/// somewhere, or if no package has two cores that could share.
fn worth_it(llcs: &[Llc], packages: &[Package], cores: &[Core]) -> bool {
    let core_of: BTreeMap<CpuId, u32> =
        cores.iter().flat_map(|core| core.cpus.iter().map(|cpu| (cpu, core.id.0))).collect();
    let several_cores = |cpus: &CpuMask| {
        let mut inside = cpus.iter().filter_map(|cpu| core_of.get(&cpu));
        let first = inside.next();
        inside.any(|core| Some(core) != first)
    };
    llcs.iter().any(|llc| llc.level >= Some(3))
        || llcs.iter().any(|llc| several_cores(&llc.cpus))
        || (!llcs.is_empty() && !packages.iter().any(|package| several_cores(&package.cpus)))
}

/// Dies, else packages, else clusters, for CPUs of which no cache is known.
fn fall_back(
    reader: &mut Reader<'_>,
    cpus: &CpuMask,
    packages: &[Package],
    clusters: &[Cluster],
    llcs: &mut Vec<Llc>,
) {
    if cpus.is_empty() {
        return;
    }
    let dies = dies(reader, cpus);
    let package_known = packages.len() > 1 || packages.iter().any(|p| p.kernel_id.is_some());
    let (origin, groups, text) = if dies.names_all(cpus) {
        let groups = partition(reader, &dies, cpus, "topology/die_cpus_list", "");
        (LlcOrigin::Die, groups, "no shared cache, so dies are taken as LLCs")
    } else if package_known || clusters.is_empty() {
        let groups = packages.iter().map(|package| &package.cpus & cpus).collect();
        (LlcOrigin::Package, groups, "no shared cache, so packages are taken as LLCs")
    } else {
        let groups = clusters.iter().map(|cluster| &cluster.cpus & cpus).collect();
        (LlcOrigin::Cluster, groups, "no shared cache, so clusters are taken as LLCs")
    };
    reader.missing(&of_cpus("cache"), cpus, text);
    llcs.extend(groups.into_iter().filter(|group: &CpuMask| !group.is_empty()).map(|cpus| Llc {
        id: LlcId(0),
        cpus,
        origin,
        level: None,
        size_bytes: None,
        kernel_id: None,
    }));
}
