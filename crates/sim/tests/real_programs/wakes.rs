// SPDX-License-Identifier: GPL-2.0-or-later
//! Who wakes whom: the shape of it, whatever tasks are called and however fast the machine is.

use rota_events::{Event, TaskRef, What};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer wake-ups of one task by another are by the way: at the start, or inside the kernel.
const EDGE_LEAST: u64 = 3;
/// So are fewer than one in so many of the mean.
const EDGE_PART: u64 = 20;

/// The shape of who wakes whom. Shares are parts of 1, of wake-ups by tasks among themselves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// Sizes of the groups of tasks that wake each other, largest first.
    pub(crate) groups: Vec<usize>,
    /// Tasks can be put on two sides so that this share of wake-ups is from one to the other.
    pub(crate) across: f64,
    /// The share of wake-ups to or from the task of each group that has most of them.
    pub(crate) hub: f64,
    /// How many of its group's other side wake a task, as a part of that side: the mean over tasks.
    pub(crate) wakers: f64,
    /// The share of wake-ups between tasks of which each wakes the other.
    pub(crate) mutual: f64,
    /// Wake-ups of tasks on that side of each group that is woken more often, together.
    pub(crate) most_woken: u64,
}

type Edges = BTreeMap<(TaskRef, TaskRef), u64>;

/// Wake-ups by tasks among themselves: who, and whom.
pub(crate) fn wake_ups(events: &[Event], tasks: impl Fn(TaskRef) -> bool) -> Edges {
    let mut edges = Edges::new();
    for event in events {
        if let What::Waking { waker } = event.what()
            && waker.is_some()
            && tasks(waker)
            && tasks(event.task)
        {
            *edges.entry((waker, event.task)).or_insert(0) += 1;
        }
    }
    edges
}

/// The group and the side of each task: along the edges with most wake-ups first.
fn sides(edges: &Edges) -> BTreeMap<TaskRef, (usize, bool)> {
    let mut both = Edges::new();
    for ((waker, woken), count) in edges {
        *both.entry(((*waker).min(*woken), (*waker).max(*woken))).or_insert(0) += count;
    }
    let mut order: Vec<_> = both.into_iter().map(|(pair, count)| (count, pair)).collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let mut found: BTreeMap<TaskRef, (usize, bool)> = BTreeMap::new();
    for (number, (_, (one, other))) in order.into_iter().enumerate() {
        let one_side = *found.entry(one).or_insert((2 * number, false));
        let other_side = *found.entry(other).or_insert((2 * number + 1, true));
        if one_side.0 != other_side.0 {
            // The two groups become one, in which these two are on different sides.
            let turn = one_side.1 == other_side.1;
            for (group, side) in found.values_mut().filter(|(group, _)| *group == other_side.0) {
                *group = one_side.0;
                *side ^= turn;
            }
        }
    }
    found
}

/// The shape of some wake-ups.
pub(crate) fn shape(all: &Edges) -> Shape {
    let mean = all.values().sum::<u64>() / all.len().max(1) as u64;
    let least = EDGE_LEAST.max(mean / EDGE_PART);
    let edges: Edges = all.iter().filter(|(_, n)| **n >= least).map(|(e, n)| (*e, *n)).collect();
    let sides = sides(&edges);
    let (mut across, mut mutual) = (0, 0);
    let mut wakers: BTreeMap<TaskRef, BTreeSet<TaskRef>> = BTreeMap::new();
    let mut involved: BTreeMap<(usize, TaskRef), u64> = BTreeMap::new();
    let mut woken_sides: BTreeMap<(usize, bool), u64> = BTreeMap::new();
    for ((waker, woken), count) in &edges {
        let (group, side) = sides[woken];
        across += if sides[waker].1 == side { 0 } else { *count };
        mutual += if edges.contains_key(&(*woken, *waker)) { *count } else { 0 };
        wakers.entry(*woken).or_default().insert(*waker);
        *woken_sides.entry((group, side)).or_insert(0) += count;
        for task in [waker, woken] {
            *involved.entry((group, *task)).or_insert(0) += count;
        }
    }
    // Of each group, its size, the task with most wake-ups, and the side with most.
    let mut groups: BTreeMap<usize, [u64; 3]> = BTreeMap::new();
    for ((group, _), count) in &involved {
        let found = groups.entry(*group).or_default();
        found[0] += 1;
        found[1] = found[1].max(*count);
    }
    for ((group, _), count) in &woken_sides {
        let found = groups.entry(*group).or_default();
        found[2] = found[2].max(*count);
    }
    let other_side = |task: &TaskRef| {
        let own = sides[task];
        sides.values().filter(|side| side.0 == own.0 && side.1 != own.1).count().max(1)
    };
    let parts = wakers.iter().map(|(task, wakers)| wakers.len() as f64 / other_side(task) as f64);
    let all = edges.values().sum::<u64>().max(1) as f64;
    let mut sizes: Vec<usize> = groups.values().map(|found| found[0] as usize).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    Shape {
        groups: sizes,
        across: across as f64 / all,
        hub: groups.values().map(|found| found[1]).sum::<u64>() as f64 / all,
        wakers: parts.sum::<f64>() / wakers.len().max(1) as f64,
        mutual: mutual as f64 / all,
        most_woken: groups.values().map(|found| found[2]).sum(),
    }
}
