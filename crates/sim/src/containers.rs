// SPDX-License-Identifier: GPL-2.0-or-later
//! Lists and trees of objects: which nodes are in which, in which order. Programs have the
//! addresses of heads and nodes; the order is kept here, where no program can spoil it.
//!
//! A tree is its nodes in order too. Its shape is that of halving: the root is the middle, and
//! what lies on either side of it is a tree likewise. The kernel's trees are balanced by colours,
//! and may differ in shape, never in order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// All lists and trees.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    nodes: BTreeMap<u64, VecDeque<u64>>,
    /// The head that each node hangs on.
    heads: BTreeMap<u64, u64>,
}

impl Containers {
    /// Number of nodes.
    pub(crate) fn len(&self, head: u64) -> usize {
        self.nodes.get(&head).map_or(0, VecDeque::len)
    }

    /// The node at a place.
    pub(crate) fn at(&self, head: u64, place: usize) -> Option<u64> {
        self.nodes.get(&head)?.get(place).copied()
    }

    /// The last node.
    pub(crate) fn last(&self, head: u64) -> Option<u64> {
        self.nodes.get(&head)?.back().copied()
    }

    /// Whether a node hangs on anything.
    pub(crate) fn hangs(&self, node: u64) -> bool {
        self.heads.contains_key(&node)
    }

    /// Which place a node has.
    pub(crate) fn place(&self, head: u64, node: u64) -> Option<usize> {
        if self.heads.get(&node) != Some(&head) {
            return None;
        }
        self.nodes.get(&head)?.iter().position(|known| *known == node)
    }

    /// Puts a node, which hangs on nothing, at a place.
    pub(crate) fn insert(&mut self, head: u64, place: usize, node: u64) {
        self.nodes.entry(head).or_default().insert(place, node);
        self.heads.insert(node, head);
    }

    /// Takes a node off; whether it was there.
    pub(crate) fn remove(&mut self, head: u64, node: u64) -> bool {
        let Some(place) = self.place(head, node) else { return false };
        if let Some(nodes) = self.nodes.get_mut(&head) {
            nodes.remove(place);
        }
        self.heads.remove(&node);
        true
    }

    /// Takes all nodes off.
    pub(crate) fn empty(&mut self, head: u64) -> Vec<u64> {
        let nodes = self.nodes.remove(&head).unwrap_or_default();
        self.heads.retain(|_, of| *of != head);
        nodes.into()
    }

    /// The root of a tree.
    pub(crate) fn root(&self, head: u64) -> Option<u64> {
        self.at(head, middle(&(0..self.len(head)))?)
    }

    /// What hangs below a node of a tree: on its left side, and on its right.
    pub(crate) fn below(&self, head: u64, node: u64) -> [Option<u64>; 2] {
        let Some(place) = self.place(head, node) else { return [None, None] };
        let mut within = 0..self.len(head);
        while let Some(root) = middle(&within) {
            let (left, right) = (within.start..root, root + 1..within.end);
            within = match place.cmp(&root) {
                std::cmp::Ordering::Less => left,
                std::cmp::Ordering::Greater => right,
                std::cmp::Ordering::Equal => {
                    return [left, right].map(|side| self.at(head, middle(&side)?));
                }
            };
        }
        [None, None]
    }
}

/// The root of the tree that a range of places is.
pub(crate) fn middle(range: &Range<usize>) -> Option<usize> {
    (!range.is_empty()).then(|| range.start.midpoint(range.end))
}

#[cfg(test)]
mod tests {
    use super::Containers;

    const HEAD: u64 = 1 << 32;

    /// Every tree of up to 33 nodes: going down from the root meets each node, in order.
    #[test]
    fn a_tree_is_in_order() {
        fn walk(containers: &Containers, node: Option<u64>, met: &mut Vec<u64>, depth: u32) {
            let Some(node) = node else { return };
            assert!(depth < 7, "the tree is too deep");
            let [left, right] = containers.below(HEAD, node);
            walk(containers, left, met, depth + 1);
            met.push(node);
            walk(containers, right, met, depth + 1);
        }
        let mut containers = Containers::default();
        for count in 0..=33 {
            let mut met = Vec::new();
            walk(&containers, containers.root(HEAD), &mut met, 0);
            assert_eq!(met, (0..count).collect::<Vec<u64>>());
            containers.insert(HEAD, count as usize, count);
        }
    }

    #[test]
    fn a_node_hangs_on_one_head() {
        let mut containers = Containers::default();
        containers.insert(HEAD, 0, 7);
        assert!(containers.hangs(7));
        assert!(!containers.remove(HEAD + 8, 7));
        assert!(containers.remove(HEAD, 7));
        assert!(!containers.hangs(7));
        containers.insert(HEAD, 0, 8);
        containers.insert(HEAD, 0, 7);
        assert_eq!(containers.empty(HEAD), [7, 8]);
        assert!(!containers.hangs(8));
        assert_eq!(containers.len(HEAD), 0);
    }
}
