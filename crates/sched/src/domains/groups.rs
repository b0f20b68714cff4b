// SPDX-License-Identifier: GPL-2.0-or-later
//! By how much weights count in each cgroup.
//!
//! BPF knows one weight of a task, that by which its virtual time goes. What a task should get within
//! its cgroup, and that within others, is what [`solve_groups`] says: of all that are not
//! satisfied, those of one cgroup get `κ·w·d` each, with weight w and duty d. So if weights in a cgroup
//! are multiplied by its κ, all can be served as if there were no cgroups. Those who are satisfied need
//! a weight of 1 or more then, in units in which all others have less.
//!
//! What everybody could use is taken for a little more than there is, so that there is somebody who
//! is not satisfied, and κ does not jump as the machine fills up.

use super::reports::{Told, WEIGHT};
use crate::half::HalfError;
use rota_balance::{Group, Node, solve_groups};
use rota_object::World;
use rota_programs::domains::DomainsGroup;
use std::collections::BTreeMap;
use zerocopy::FromBytes;

/// A factor that leaves weights as they are (BPF: `FACTOR_ONE`).
const ONE: f64 = 65_536.0;
/// The least factor, and the largest.
const FACTORS: (f64, f64) = (1.0 / 1024.0, 1024.0);
/// The part of what everybody could use that is given at most.
const SCARCE: f64 = 0.98;

/// A cgroup, and its place with BPF.
pub(super) struct Cgroup {
    place: u32,
    told: DomainsGroup,
}

/// All cgroups that there are.
pub(super) fn read(world: &dyn World) -> Result<Vec<Cgroup>, HalfError> {
    let used = super::number(&world.read_global("groups_used")?) as u32;
    let mut groups = Vec::new();
    for place in 0..used {
        let Some(bytes) = world.map_lookup("groups", &place.to_le_bytes())? else { break };
        let Ok((told, _)) = DomainsGroup::read_from_prefix(&bytes) else { break };
        if told.cgroup != 0 {
            groups.push(Cgroup { place, told });
        }
    }
    Ok(groups)
}

/// Tells BPF the factors.
pub(super) fn tell(factors: &BTreeMap<u32, f64>, world: &mut dyn World) -> Result<(), HalfError> {
    for (place, factor) in factors {
        let factor = libm::round(factor * ONE) as u32;
        world.map_update("factors", &place.to_le_bytes(), &factor.to_le_bytes())?;
    }
    Ok(())
}

/// The factor of each cgroup that has tasks with a duty, by its place, on a machine of this
/// capacity, in CPUs. None if all are in one.
pub(super) fn factors(groups: &[Cgroup], told: &[Told], capacity: f64) -> BTreeMap<u32, f64> {
    let busy = || told.iter().filter(|task| task.entity.duty > 0.0);
    let first = busy().next().map(|task| task.group);
    if busy().all(|task| Some(task.group) == first) {
        return groups.iter().map(|group| (group.place, 1.0)).collect();
    }
    let (tree, at) = tree(groups);
    let mut tree = tree;
    for task in busy() {
        let parent = at.get(&task.group).copied();
        let node = Node::Task(task.entity.duty);
        tree.push(Group { parent, weight: task.entity.weight, node });
    }
    let wanted: f64 = busy().map(|task| task.entity.duty).sum();
    let given = (wanted * SCARCE).min(capacity);
    let Ok(shares) = solve_groups(&tree, given) else { return BTreeMap::new() };
    let mut levels = levels(busy().zip(&shares[groups.len()..]));
    // Weights in a cgroup that has no place count as they are.
    levels.retain(|place, _| at.contains_key(place));
    levels
}

/// The tree of cgroups, without tasks, and where in it each place is.
fn tree(groups: &[Cgroup]) -> (Vec<Group>, BTreeMap<u32, usize>) {
    let by_number: BTreeMap<u64, usize> =
        groups.iter().enumerate().map(|(at, group)| (group.told.cgroup, at)).collect();
    let tree = groups.iter().map(|group| Group {
        parent: by_number.get(&group.told.parent).copied(),
        weight: f64::from(group.told.weight.max(1)) / WEIGHT,
        node: Node::Group,
    });
    (tree.collect(), groups.iter().enumerate().map(|(at, group)| (group.place, at)).collect())
}

/// κ of each cgroup, in units in which weights are what they were on average.
fn levels<'a>(shares: impl Iterator<Item = (&'a Told, &'a f64)> + Clone) -> BTreeMap<u32, f64> {
    let mut satisfied: BTreeMap<u32, f64> = BTreeMap::new();
    let mut levels: BTreeMap<u32, f64> = BTreeMap::new();
    let (mut load, mut given) = (0.0, 0.0);
    for (task, share) in shares {
        let (weight, duty) = (task.entity.weight, task.entity.duty);
        if *share < duty * (1.0 - 1e-9) {
            levels.insert(task.group, share / (weight * duty));
            load += weight * duty;
            given += share;
        } else {
            let least = satisfied.entry(task.group).or_insert(0.0);
            *least = least.max(1.0 / weight);
        }
    }
    for (group, least) in satisfied {
        levels.entry(group).or_insert(least);
    }
    let unit = if given > 0.0 { load / given } else { 1.0 };
    levels.values_mut().for_each(|level| *level = (*level * unit).clamp(FACTORS.0, FACTORS.1));
    levels
}
