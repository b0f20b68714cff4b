// SPDX-License-Identifier: GPL-2.0-or-later
//! Shares of groups within groups, such as cgroups with `cpu.weight`.
//!
//! A group competes as one entity with its siblings, and its members share what it gets. Its duty is
//! the sum of its members' duties. Its weight is for all of it, however many tasks are in it:
//! if on average D > 1 of them want to run at a time, each CPU's worth of it has W/D. So it is an
//! entity of weight `W/max(1, D)` and duty `D`, and its load is W, or W·D if it is not always
//! busy. What a group can't use flows to its siblings, at each level.
//!
//! An example: a group of weight 100 has ten tasks that never sleep, another of weight 300 has one.
//! As entities they are (10, 10) and (300, 1). On one CPU λ is 400, and they get 1/4 and 3/4, as by
//! their weights. On 4 CPUs the second can't use the 3 that its weight promises: λ is 100/3, it
//! gets its one CPU, and the ten tasks share the other 3.

use crate::entity::{bounded, capacity_units};
use crate::exact::{Sums, TOO_MANY, cpus, power, units};
use crate::level::{self, Item};
use crate::shares::share;
use crate::{Entity, NumberError, SolveError, WEIGHTS};

/// A group, or a task in one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// The place of the group that it is in, among those that are given; none at the top.
    pub parent: Option<usize>,
    /// Its weight among its siblings; see [`WEIGHTS`].
    pub weight: f64,
    /// What it is.
    pub node: Node,
}

/// What is in a tree of groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// It has members, or none.
    Group,
    /// It has a duty, in CPUs, and no members.
    Task(f64),
}

/// Why there are no shares.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GroupError {
    /// A number can't be used.
    #[error("{0}")]
    Number(SolveError),
    /// A parent is no group, or there is none at that place.
    #[error("the parent of {place} is no group")]
    Parent {
        /// The place of what has that parent.
        place: usize,
    },
    /// A group is inside itself.
    #[error("group {place} is inside itself")]
    Circle {
        /// The place of a group of the circle, or of one inside of it.
        place: usize,
    },
}

impl From<SolveError> for GroupError {
    fn from(error: SolveError) -> Self {
        Self::Number(error)
    }
}

/// Shares a machine of this capacity, in CPUs, among groups and their tasks. For each of them, what
/// it gets in CPUs. The result does not depend on the order; siblings share as in
/// [`solve`](crate::solve).
///
/// # Errors
///
/// A number can't be used, there is nothing to share, or this is no tree.
pub fn solve_groups(groups: &[Group], capacity: f64) -> Result<Vec<f64>, GroupError> {
    let capacity = capacity_units(capacity).map_err(SolveError::Capacity)?;
    check(groups)?;
    let order = order(groups)?;
    // From the leaves up: duties. The last in this list is the top.
    let mut duties = vec![0; groups.len() + 1];
    for place in order.iter().rev() {
        if let Node::Task(duty) = groups[*place].node {
            duties[*place] = units(duty);
        }
        let sum = duties[parent(groups, *place)] + duties[*place];
        bounded(Sums { duty: sum, ..Sums::default() })?;
        duties[parent(groups, *place)] = sum;
    }
    // From the top down: what is given, in units of its own for each group.
    let mut shares = vec![0.0; groups.len()];
    let mut left = vec![0; groups.len() + 1];
    let all = duties[groups.len()];
    left[groups.len()] = capacity.min(all) << spare(all);
    for siblings in order.chunk_by(|a, b| groups[*a].parent == groups[*b].parent) {
        let items: Vec<_> = siblings.iter().map(|place| item(groups, &duties, *place)).collect();
        let group = parent(groups, siblings[0]);
        let (amount, bits) = (left[group], spare(duties[group]));
        // A group that gets nothing has nothing to give.
        let lambda = if amount == 0 && groups[siblings[0]].parent.is_some() {
            Some(f64::INFINITY)
        } else {
            let fine = items.iter().map(|item| Item { duty: item.duty << bits, ..*item });
            level::search(fine, amount)?.1.map(|search| search.lambda())
        };
        for (place, item) in siblings.iter().zip(items) {
            shares[*place] = share(lambda, item.entity());
            // Who gets all of it gets it without rounding.
            let all = lambda.is_none_or(|lambda| item.weight >= lambda);
            let bits = spare(item.duty);
            left[*place] =
                if all { item.duty << bits } else { units(shares[*place] * power(bits as i32)) };
        }
    }
    Ok(shares)
}

/// What a task or a group is among its siblings.
fn item(groups: &[Group], duties: &[i128], place: usize) -> Item {
    let weight = groups[place].weight;
    let (duty, many) = (duties[place], cpus(duties[place]).max(1.0));
    match groups[place].node {
        Node::Task(_) => Item { weight, duty },
        Node::Group => Item { weight: (weight / many).max(*WEIGHTS.start()), duty },
    }
}

/// How many bits duties that come to this have to spare. λ is a ratio of loads and CPUs, so a level
/// can be solved in units that are this much finer: what a group gets may be very little beside the
/// duties in it.
fn spare(duty: i128) -> u32 {
    duty.leading_zeros() - TOO_MANY.leading_zeros() - 1
}

/// The place of the parent; that of the top comes after all others.
fn parent(groups: &[Group], place: usize) -> usize {
    groups[place].parent.unwrap_or(groups.len())
}

fn check(groups: &[Group]) -> Result<(), GroupError> {
    for (place, group) in groups.iter().enumerate() {
        let duty = if let Node::Task(duty) = group.node { duty } else { 0.0 };
        let checked = Entity { weight: group.weight, duty }.check();
        let wrong = |error: NumberError| SolveError::Entity { entity: place as u64, error };
        checked.map_err(wrong)?;
        let is_group = |parent: usize| groups.get(parent).is_some_and(|p| p.node == Node::Group);
        if group.parent.is_some_and(|parent| !is_group(parent)) {
            return Err(GroupError::Parent { place });
        }
    }
    Ok(())
}

/// All places, parents first, siblings together.
fn order(groups: &[Group]) -> Result<Vec<usize>, GroupError> {
    let mut members: Vec<_> = (0..groups.len()).collect();
    members.sort_by_key(|place| parent(groups, *place));
    let of = |parent_place: usize| {
        let first = members.partition_point(|place| parent(groups, *place) < parent_place);
        let end = members.partition_point(|place| parent(groups, *place) <= parent_place);
        &members[first..end]
    };
    let mut order = of(groups.len()).to_vec();
    let mut next = 0;
    while next < order.len() {
        order.extend_from_slice(of(order[next]));
        next += 1;
    }
    if order.len() == groups.len() {
        return Ok(order);
    }
    let mut reached = vec![false; groups.len()];
    order.iter().for_each(|place| reached[*place] = true);
    let place = reached.iter().position(|reached| !reached).unwrap_or(0);
    Err(GroupError::Circle { place })
}
