// SPDX-License-Identifier: GPL-2.0-or-later
//! Who wakes whom: the shape of it, whatever tasks are called and however fast the machine is.

use rota_events::{CpuNumber, Event, TaskRef, What};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Wake-ups of one task by another are by the way (at the start, or for a lock inside the kernel)
/// if they are one, or fewer than this part of what such pairs have on average.
const BY_THE_WAY: u64 = 20;

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
    /// Those who wake it now and then count less: of shares s, they are as many as 1 / sum of s^2.
    pub(crate) wakers: f64,
    /// The share of wake-ups that the other of both tasks answers with one.
    pub(crate) mutual: f64,
    /// The share of wake-ups by whom the CPU's wake-up before was by, too: one task wakes many.
    pub(crate) in_a_row: f64,
    /// Wake-ups of the larger side of each group, together, and of the other; of two that are as
    /// large, the one that is woken more often comes first.
    pub(crate) woken: [u64; 2],
    /// Wake-ups of these tasks by timers and devices.
    pub(crate) interrupts: u64,
}

impl Shape {
    /// The median of each figure of some shapes; of groups, those that most have.
    pub(crate) fn median(shapes: &[Self]) -> Self {
        fn middle<T: Copy>(
            shapes: &[Shape],
            of: fn(&Shape) -> T,
            less: fn(&T, &T) -> Ordering,
        ) -> T {
            let mut all: Vec<T> = shapes.iter().map(of).collect();
            all.sort_unstable_by(less);
            all[all.len() / 2]
        }
        let share = |of| middle(shapes, of, f64::total_cmp);
        let number = |of| middle(shapes, of, u64::cmp);
        let often = |groups: &[usize]| shapes.iter().filter(|s| s.groups == groups).count();
        let groups = shapes.iter().map(|s| &s.groups).max_by_key(|groups| often(groups)).unwrap();
        Self {
            groups: groups.clone(),
            across: share(|s| s.across),
            hub: share(|s| s.hub),
            wakers: share(|s| s.wakers),
            mutual: share(|s| s.mutual),
            in_a_row: share(|s| s.in_a_row),
            woken: [number(|s| s.woken[0]), number(|s| s.woken[1])],
            interrupts: number(|s| s.interrupts),
        }
    }

    /// In one line, for so many pieces of work.
    pub(crate) fn line(&self, pieces: u64) -> String {
        let each = |number: u64| number as f64 / pieces as f64;
        format!(
            "groups {:?}, across {:.2}, hub {:.3}, wakers {:.3}, mutual {:.3}, in a row {:.3}, \
             a piece: {:.4} and {:.4}, {:.2} by interrupts",
            self.groups,
            self.across,
            self.hub,
            self.wakers,
            self.mutual,
            self.in_a_row,
            each(self.woken[0]),
            each(self.woken[1]),
            each(self.interrupts),
        )
    }
}

type Edges = BTreeMap<(TaskRef, TaskRef), u64>;

/// Wake-ups of tasks, in order.
#[derive(Default)]
struct WakeUps {
    edges: Edges,
    in_a_row: u64,
    interrupts: u64,
}

/// Wake-ups of tasks, by them or by interrupts.
fn wake_ups(events: &[Event], tasks: impl Fn(TaskRef) -> bool) -> WakeUps {
    let mut found = WakeUps::default();
    let mut last: BTreeMap<CpuNumber, TaskRef> = BTreeMap::new();
    for event in events.iter().filter(|event| tasks(event.task)) {
        match event.what() {
            What::Waking { waker } if !waker.is_some() => found.interrupts += 1,
            What::Waking { waker } if tasks(waker) => {
                *found.edges.entry((waker, event.task)).or_insert(0) += 1;
                let before = last.insert(event.cpu, waker);
                found.in_a_row += u64::from(before == Some(waker));
            }
            _ => {}
        }
    }
    found
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

/// What is known of one group.
#[derive(Default)]
struct Group {
    /// Its tasks, with the wake-ups that each has to do with.
    involved: BTreeMap<TaskRef, u64>,
    /// Tasks of each side, and wake-ups of them.
    sides: [(usize, u64); 2],
}

/// The shape of wake-ups of tasks.
pub(crate) fn shape(events: &[Event], tasks: impl Fn(TaskRef) -> bool) -> Shape {
    let found = wake_ups(events, tasks);
    let mean = found.edges.values().sum::<u64>() / found.edges.len().max(1) as u64;
    let least = (mean / BY_THE_WAY).max(2);
    let edges: Edges =
        found.edges.iter().filter(|(_, n)| **n >= least).map(|(e, n)| (*e, *n)).collect();
    let sides = sides(&edges);
    let mut across = 0;
    let mut wakers: BTreeMap<TaskRef, Vec<f64>> = BTreeMap::new();
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for ((waker, woken), count) in &edges {
        let (group, side) = sides[woken];
        across += if sides[waker].1 == side { 0 } else { *count };
        wakers.entry(*woken).or_default().push(*count as f64);
        let group = groups.entry(group).or_default();
        group.sides[usize::from(side)].1 += count;
        for task in [waker, woken] {
            *group.involved.entry(*task).or_insert(0) += count;
        }
    }
    let mut woken = [0; 2];
    for (number, group) in &mut groups {
        for (_, side) in sides.values().filter(|side| side.0 == *number) {
            group.sides[usize::from(*side)].0 += 1;
        }
        group.sides.sort_unstable();
        woken[0] += group.sides[1].1;
        woken[1] += group.sides[0].1;
    }
    let other_side = |task: &TaskRef| {
        let own = sides[task];
        sides.values().filter(|side| side.0 == own.0 && side.1 != own.1).count().max(1)
    };
    let as_many = |counts: &[f64]| {
        counts.iter().sum::<f64>().powi(2) / counts.iter().map(|count| count * count).sum::<f64>()
    };
    let parts = wakers.iter().map(|(task, counts)| as_many(counts) / other_side(task) as f64);
    let back = |edge: &(TaskRef, TaskRef)| edges.get(&(edge.1, edge.0)).copied().unwrap_or(0);
    let mutual: u64 = edges.iter().map(|(edge, count)| back(edge).min(*count)).sum();
    let all = edges.values().sum::<u64>().max(1) as f64;
    let mut sizes: Vec<usize> = groups.values().map(|group| group.involved.len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let busiest = |group: &Group| group.involved.values().copied().max().unwrap_or(0);
    Shape {
        groups: sizes,
        across: across as f64 / all,
        hub: groups.values().map(busiest).sum::<u64>() as f64 / all,
        wakers: parts.sum::<f64>() / wakers.len().max(1) as f64,
        mutual: mutual as f64 / all,
        in_a_row: found.in_a_row as f64 / found.edges.values().sum::<u64>().max(1) as f64,
        woken,
        interrupts: found.interrupts,
    }
}
