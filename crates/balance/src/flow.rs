// SPDX-License-Identifier: GPL-2.0-or-later
//! Maximum flow in whole numbers, by shortest paths in layers (Dinic 1970).

use std::collections::VecDeque;

/// More than any flow.
pub(crate) const ENDLESS: i128 = i128::MAX / 4;

/// A network. Arc `2·i` is the `i`-th that was added, and `2·i + 1` its way back.
pub(crate) struct Network {
    /// For each node the arcs that leave it.
    leaving: Vec<Vec<u32>>,
    to: Vec<u32>,
    capacity: Vec<i128>,
    /// What is left of the capacities.
    room: Vec<i128>,
}

impl Network {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            leaving: vec![Vec::new(); nodes],
            to: Vec::new(),
            capacity: Vec::new(),
            room: Vec::new(),
        }
    }

    /// Adds an arc, and says its number.
    pub(crate) fn arc(&mut self, from: usize, to: usize, capacity: i128) -> usize {
        let arc = self.to.len();
        for (from, to, capacity) in [(from, to, capacity), (to, from, 0)] {
            self.leaving[from].push(self.to.len() as u32);
            self.to.push(to as u32);
            self.capacity.push(capacity);
        }
        arc
    }

    pub(crate) fn set_capacity(&mut self, arc: usize, capacity: i128) {
        self.capacity[arc] = capacity;
    }

    /// Finds the largest flow, and of the smallest cuts the one with the fewest nodes on the side
    /// of the source: whether each node is there.
    pub(crate) fn cut(&mut self, source: usize, sink: usize) -> Vec<bool> {
        self.room.clone_from(&self.capacity);
        loop {
            let depth = self.depths(source);
            if depth[sink].is_none() {
                return depth.iter().map(Option::is_some).collect();
            }
            self.fill(&depth, source, sink);
        }
    }

    /// The capacity of all arcs from that side to the other, but for those that leave the source.
    pub(crate) fn across(&self, side: &[bool], source: usize) -> i128 {
        let mut sum = 0;
        for (node, arcs) in self.leaving.iter().enumerate() {
            if side[node] && node != source {
                let arcs = arcs.iter().filter(|arc| !side[self.to[**arc as usize] as usize]);
                sum += arcs.map(|arc| self.capacity[*arc as usize]).sum::<i128>();
            }
        }
        sum
    }

    /// How many arcs with room each node is away from the source.
    fn depths(&self, source: usize) -> Vec<Option<u32>> {
        let mut depth = vec![None; self.leaving.len()];
        depth[source] = Some(0);
        let mut next = VecDeque::from([source]);
        while let Some(node) = next.pop_front() {
            let deeper = depth[node].map(|depth| depth + 1);
            for arc in &self.leaving[node] {
                let to = self.to[*arc as usize] as usize;
                if depth[to].is_none() && self.room[*arc as usize] > 0 {
                    depth[to] = deeper;
                    next.push_back(to);
                }
            }
        }
        depth
    }

    /// Fills all shortest paths, until each has an arc without room.
    fn fill(&mut self, depth: &[Option<u32>], source: usize, sink: usize) {
        // The arc of each node that is tried next.
        let mut tried = vec![0; self.leaving.len()];
        let mut path: Vec<usize> = Vec::new();
        let mut node = source;
        loop {
            if node == sink {
                let flow = path.iter().map(|arc| self.room[*arc]).min().unwrap_or(0);
                for arc in &path {
                    self.room[*arc] -= flow;
                    self.room[*arc ^ 1] += flow;
                }
                // Back to where the first arc without room leaves.
                let full = path.iter().position(|arc| self.room[*arc] == 0).unwrap_or(0);
                node = self.to[path[full] ^ 1] as usize;
                path.truncate(full);
                continue;
            }
            let deeper = depth[node].map(|depth| depth + 1);
            let arcs = &self.leaving[node];
            let good = (tried[node]..arcs.len()).find(|at| {
                let arc = arcs[*at] as usize;
                self.room[arc] > 0 && depth[self.to[arc] as usize] == deeper
            });
            tried[node] = good.unwrap_or(arcs.len());
            if let Some(at) = good {
                path.push(arcs[at] as usize);
                node = self.to[arcs[at] as usize] as usize;
            } else if let Some(arc) = path.pop() {
                node = self.to[arc ^ 1] as usize;
                tried[node] += 1;
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detour_is_taken_back() {
        // The shortest path uses the middle arc, the largest flow does not.
        let mut network = Network::new(6);
        for (from, to, capacity) in
            [(0, 1, 1), (0, 2, 1), (1, 4, 1), (2, 3, 1), (3, 5, 1), (1, 3, 1), (4, 5, 1)]
        {
            network.arc(from, to, capacity);
        }
        let side = network.cut(0, 5);
        assert_eq!(side, [true, false, false, false, false, false]);
        network.set_capacity(12, 0);
        let side = network.cut(0, 5);
        assert_eq!((side[0], side[5], network.across(&side, 9)), (true, false, 1));
    }
}
