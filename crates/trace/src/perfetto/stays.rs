// SPDX-License-Identifier: GPL-2.0-or-later
//! Who is in which queue of sched_ext, from when until when, as slices.
//!
//! Stays in one queue overlap, and slices on one track must not. So a queue has lanes: as many as tasks
//! were in it at once. Perfetto shows lanes of the same name under one roof as one track.

use super::tracks::{Slice, Track};
use rota_events::{DsqId, Event, TaskRef, What};
use std::collections::{BTreeMap, BTreeSet};

/// The lanes of a queue.
#[derive(Debug, Default)]
struct Lanes {
    free: BTreeSet<u32>,
    count: u32,
}

impl Lanes {
    fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

/// The stays that did not end yet.
#[derive(Debug, Default)]
pub(super) struct Stays {
    lanes: BTreeMap<DsqId, Lanes>,
    tasks: BTreeMap<TaskRef, (DsqId, u32)>,
}

impl Stays {
    /// Takes an event, and adds what begins and ends with it. Where events are lost, every stay ends:
    /// when it would have is not known.
    pub(super) fn add(&mut self, event: &Event, shown: &mut Vec<(Track, Slice)>) {
        let task = event.task;
        match event.what() {
            What::Insert { dsq, .. } if task.is_some() => {
                self.end(task, shown);
                let lane = self.lanes.entry(dsq).or_default().take();
                self.tasks.insert(task, (dsq, lane));
                shown.push((Track::Stay(dsq, lane), Slice::Begins(task)));
            }
            What::Remove { .. } | What::Exit => self.end(task, shown),
            What::Lost { .. } => {
                let all: Vec<TaskRef> = self.tasks.keys().copied().collect();
                all.into_iter().for_each(|task| self.end(task, shown));
            }
            _ => {}
        }
    }

    fn end(&mut self, task: TaskRef, shown: &mut Vec<(Track, Slice)>) {
        let Some((dsq, lane)) = self.tasks.remove(&task) else { return };
        self.lanes.entry(dsq).or_default().free.insert(lane);
        shown.push((Track::Stay(dsq, lane), Slice::Ends));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::CpuNumber;

    #[test]
    fn stays_that_overlap_have_lanes_of_their_own() {
        let (mut stays, mut shown) = (Stays::default(), Vec::new());
        let mut at = |task, what| {
            stays.add(&Event::new(5, CpuNumber(0), TaskRef(task), what), &mut shown);
        };
        let into = |dsq| What::Insert { dsq: DsqId(dsq), depth: 1, vtime: None, at_head: false };
        let out = What::Remove { dsq: DsqId(7), depth: 0 };
        at(1, into(7));
        at(2, into(7));
        at(3, into(8));
        at(1, out);
        at(4, into(7));
        // Nobody saw it leave.
        at(2, into(8));
        at(9, out);
        at(0, What::Lost { events: 1 });
        let begins =
            |dsq, lane, task| (Track::Stay(DsqId(dsq), lane), Slice::Begins(TaskRef(task)));
        let ends = |dsq, lane| (Track::Stay(DsqId(dsq), lane), Slice::Ends);
        let expected = [
            begins(7, 0, 1),
            begins(7, 1, 2),
            begins(8, 0, 3),
            ends(7, 0),
            begins(7, 0, 4),
            ends(7, 1),
            begins(8, 1, 2),
            ends(8, 1),
            ends(8, 0),
            ends(7, 0),
        ];
        assert_eq!(shown, expected);
    }
}
