// SPDX-License-Identifier: GPL-2.0-or-later
//! The tasks that wait in a queue, in the order of their deadlines, so that the first one whose
//! virtual time is low enough is found fast.
//!
//! A treap: a search tree by deadline, and a heap by numbers that only look random, which makes it
//! about balanced. Each node knows the least virtual time below it. The links are in the entities
//! themselves.

use super::super::TaskId;
use super::entity::Entity;

/// A tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Option<TaskId>,
    /// How many insertions there were.
    insertions: u64,
}

/// The number by which a node is above others.
fn height(number: u64) -> u64 {
    // A mixer of bits (splitmix64).
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn at(all: &[Entity], task: TaskId) -> &Entity {
    &all[task.0 as usize]
}

fn at_mut(all: &mut [Entity], task: TaskId) -> &mut Entity {
    &mut all[task.0 as usize]
}

/// Computes anew what a node knows of those below it.
fn sum_up(all: &mut [Entity], task: TaskId) {
    let node = at(all, task);
    let mut vruntime = node.vruntime;
    for below in [node.links.left, node.links.right].into_iter().flatten() {
        vruntime = vruntime.min(at(all, below).links.vruntime_min);
    }
    at_mut(all, task).links.vruntime_min = vruntime;
}

/// Cuts a tree in two: what is before a key, and what is behind it.
fn split(
    all: &mut [Entity],
    root: Option<TaskId>,
    key: (i64, u64),
) -> (Option<TaskId>, Option<TaskId>) {
    let Some(task) = root else { return (None, None) };
    let links = at(all, task).links;
    let parts = if at(all, task).key() < key {
        let (before, behind) = split(all, links.right, key);
        at_mut(all, task).links.right = before;
        (Some(task), behind)
    } else {
        let (before, behind) = split(all, links.left, key);
        at_mut(all, task).links.left = behind;
        (before, Some(task))
    };
    sum_up(all, task);
    parts
}

/// Joins two trees, of which all of one is before all of the other.
fn join(all: &mut [Entity], before: Option<TaskId>, behind: Option<TaskId>) -> Option<TaskId> {
    let (Some(left), Some(right)) = (before, behind) else { return before.or(behind) };
    let (one, other) = (at(all, left).links, at(all, right).links);
    let root = if height(one.number) > height(other.number) {
        at_mut(all, left).links.right = join(all, one.right, behind);
        left
    } else {
        at_mut(all, right).links.left = join(all, before, other.left);
        right
    };
    sum_up(all, root);
    Some(root)
}

fn insert(all: &mut [Entity], root: Option<TaskId>, new: TaskId) -> TaskId {
    let key = at(all, new).key();
    let higher = root.filter(|task| height(at(all, *task).links.number) >= height(key.1));
    let Some(task) = higher else {
        let (before, behind) = split(all, root, key);
        let links = &mut at_mut(all, new).links;
        (links.left, links.right) = (before, behind);
        sum_up(all, new);
        return new;
    };
    let links = at(all, task).links;
    if key < at(all, task).key() {
        let below = insert(all, links.left, new);
        at_mut(all, task).links.left = Some(below);
    } else {
        let below = insert(all, links.right, new);
        at_mut(all, task).links.right = Some(below);
    }
    sum_up(all, task);
    task
}

fn remove(all: &mut [Entity], root: Option<TaskId>, old: TaskId) -> Option<TaskId> {
    let task = root?;
    let links = at(all, task).links;
    if task == old {
        return join(all, links.left, links.right);
    }
    if at(all, old).key() < at(all, task).key() {
        let below = remove(all, links.left, old);
        at_mut(all, task).links.left = below;
    } else {
        let below = remove(all, links.right, old);
        at_mut(all, task).links.right = below;
    }
    sum_up(all, task);
    root
}

impl Tree {
    /// Puts a task in, behind all with the same deadline.
    pub(super) fn insert(&mut self, all: &mut [Entity], task: TaskId) {
        self.insertions += 1;
        at_mut(all, task).links.number = self.insertions;
        self.root = Some(insert(all, self.root, task));
    }

    /// Takes a task out, whose deadline is what it was when it was put in.
    pub(super) fn remove(&mut self, all: &mut [Entity], task: TaskId) {
        self.root = remove(all, self.root, task);
    }

    /// The task with the earliest deadline of those whose virtual time is not above a limit.
    pub(super) fn first_up_to(&self, all: &[Entity], vruntime: i64) -> Option<TaskId> {
        let low = |task: &TaskId| at(all, *task).links.vruntime_min <= vruntime;
        let mut next = self.root.filter(low);
        while let Some(task) = next {
            let node = at(all, task);
            let left = node.links.left.filter(low);
            if left.is_none() && node.vruntime <= vruntime {
                return Some(task);
            }
            next = left.or_else(|| node.links.right.filter(low));
        }
        None
    }

    /// All tasks, the earliest deadline first.
    #[cfg(test)]
    pub(super) fn tasks(&self, all: &[Entity]) -> Vec<TaskId> {
        let (mut tasks, mut above, mut next) = (Vec::new(), Vec::new(), self.root);
        while let Some(task) = next.or_else(|| above.last().copied()) {
            if next.is_some() {
                above.push(task);
                next = at(all, task).links.left;
            } else {
                above.pop();
                tasks.push(task);
                next = at(all, task).links.right;
            }
        }
        tasks
    }
}
