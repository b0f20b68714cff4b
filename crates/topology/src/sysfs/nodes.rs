// SPDX-License-Identifier: GPL-2.0-or-later
//! NUMA nodes and their distances.

use std::collections::BTreeMap;

use super::CPU_DIR;
use super::reader::Reader;
use crate::assemble::DISTANCE_MAX;
use crate::files::numbered;
use crate::{CpuId, CpuMask, NODES_MAX, Node, NodeId};

const NODE_DIR: &str = "devices/system/node";
const LOCAL: u32 = 10;
const REMOTE: u32 = 20;

/// The nodes by ascending number, every online CPU in one; nodes without CPUs are kept.
pub(super) fn nodes(reader: &mut Reader<'_>, online: &CpuMask) -> Vec<Node> {
    let numbers = numbers(reader);
    let mut of: BTreeMap<CpuId, u32> = BTreeMap::new();
    for &number in &numbers {
        let path = format!("{NODE_DIR}/node{number}/cpulist");
        let Some(cpus) = reader.global_list(&path) else { continue };
        let cpus = &cpus & online;
        let taken: CpuMask = cpus.iter().filter(|cpu| of.contains_key(cpu)).collect();
        if !taken.is_empty() {
            reader.inconsistent(&path, &taken, "in a node of a lower number too, and kept there");
        }
        of.extend((&cpus - &taken).iter().map(|cpu| (cpu, number)));
    }
    place_strays(reader, online, &numbers, &mut of);

    let mut members: BTreeMap<u32, CpuMask> =
        numbers.iter().map(|&number| (number, CpuMask::new())).collect();
    for (cpu, number) in of {
        members.entry(number).or_default().insert(cpu);
    }
    let count = members.len();
    let mut nodes = Vec::new();
    for (position, (number, cpus)) in members.into_iter().enumerate() {
        let distances = distances(reader, number, position, count);
        nodes.push(Node { id: NodeId(number), cpus, distances });
    }
    nodes
}

fn numbers(reader: &mut Reader<'_>) -> Vec<u32> {
    let path = format!("{NODE_DIR}/online");
    let folders: CpuMask = reader
        .names(NODE_DIR)
        .iter()
        .filter_map(|name| numbered(name, "node"))
        .filter(|&number| (number as usize) < NODES_MAX)
        .map(CpuId)
        .collect();
    // The list of nodes has the form of a list of CPUs.
    let listed = reader.global_list(&path).map(|listed| &listed & &folders);
    if listed.is_none() && !folders.is_empty() {
        reader.missing(&path, &CpuMask::new(), "the nodeN folders are taken instead");
    }
    listed.unwrap_or(folders).iter().map(|number| number.0).collect()
}

/// CPUs that no node lists: their own `nodeN` link tells, else they go to the first node. A
/// machine without any node is the normal sight of a kernel without NUMA, and no warning.
fn place_strays(
    reader: &mut Reader<'_>,
    online: &CpuMask,
    numbers: &[u32],
    of: &mut BTreeMap<CpuId, u32>,
) {
    let mut lost = CpuMask::new();
    for cpu in online {
        if of.contains_key(&cpu) {
            continue;
        }
        let links = reader.names(&format!("{CPU_DIR}/cpu{cpu}"));
        let mut links = links.iter().filter_map(|name| numbered(name, "node"));
        let link = links.find(|&number| (number as usize) < NODES_MAX);
        if link.is_none() {
            lost.insert(cpu);
        }
        of.insert(cpu, link.or(numbers.first().copied()).unwrap_or(0));
    }
    if !lost.is_empty() && !numbers.is_empty() {
        let path = format!("{NODE_DIR}/node*/cpulist");
        reader.missing(&path, &lost, "in no node, so taken to the first one");
    }
}

fn distances(reader: &mut Reader<'_>, number: u32, position: usize, count: usize) -> Vec<u32> {
    let path = format!("{NODE_DIR}/node{number}/distance");
    let usual = (0..count).map(|at| if at == position { LOCAL } else { REMOTE }).collect();
    let Some(text) = reader.text(&path) else {
        if count > 1 {
            reader.missing(&path, &CpuMask::new(), "10 is taken for local and 20 for remote");
        }
        return usual;
    };
    let valid = |d: &u32| (1..=DISTANCE_MAX).contains(&u64::from(*d));
    let words = text.split_ascii_whitespace();
    let parsed: Option<Vec<u32>> = words.map(|word| word.parse().ok().filter(valid)).collect();
    match parsed {
        Some(distances) if distances.len() == count => distances,
        _ => {
            let text = format!(
                "expected {count} numbers from 1 to {DISTANCE_MAX}; 10 is taken for local and 20 for remote"
            );
            reader.unreadable(&path, &CpuMask::new(), &text);
            usual
        }
    }
}
