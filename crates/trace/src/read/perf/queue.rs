// SPDX-License-Identifier: GPL-2.0-or-later
//! Records in the order of time. perf writes what it finds in the buffers of all CPUs, one after the
//! other, round after round: what comes in a round is not older than the end of the round before the
//! last.

use crate::read::kernel::{Known, Point};

/// So many records are kept of a file that knows no rounds.
const KEPT_MAX: usize = 1 << 20;

/// A record that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) struct Waiting {
    pub(in crate::read) time_ns: u64,
    pub(in crate::read) cpu: u32,
    /// Thread and process that ran there.
    pub(in crate::read) tid: i32,
    pub(in crate::read) pid: i32,
    pub(in crate::read) interrupt: bool,
    pub(in crate::read) kept: Kept,
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) enum Kept {
    Point(Point<Known>),
    /// The thread belongs to the process from now on, or will once it is born.
    Thread,
    Forked,
}

impl Kept {
    /// So many events are missing.
    pub(in crate::read) fn lost(events: u64) -> Self {
        Self::Point(Point::Lost { events })
    }
}

/// Records that wait for their turn.
#[derive(Debug, Default)]
pub(in crate::read) struct Queue {
    waiting: Vec<Waiting>,
    /// Room that is used again.
    spare: Vec<Waiting>,
    /// The youngest time that came, and what it was at the end of the round before.
    youngest_ns: u64,
    round_ns: u64,
}

impl Queue {
    /// The youngest time that came.
    pub(in crate::read) fn youngest_ns(&self) -> u64 {
        self.youngest_ns
    }

    pub(in crate::read) fn add(&mut self, waiting: Waiting) {
        self.youngest_ns = self.youngest_ns.max(waiting.time_ns);
        self.waiting.push(waiting);
    }

    /// What has its turn at the end of a round.
    pub(in crate::read) fn round(&mut self) -> Vec<Waiting> {
        let until_ns = std::mem::replace(&mut self.round_ns, self.youngest_ns);
        self.until(until_ns)
    }

    /// Whether too much waits.
    pub(in crate::read) fn is_full(&self) -> bool {
        self.waiting.len() >= KEPT_MAX
    }

    /// The older half of what waits.
    pub(in crate::read) fn half(&mut self) -> Vec<Waiting> {
        self.sort();
        let half = self.waiting.get(KEPT_MAX / 2);
        self.until(half.map_or(u64::MAX, |waiting| waiting.time_ns))
    }

    /// All that waits.
    pub(in crate::read) fn finish(&mut self) -> Vec<Waiting> {
        self.until(u64::MAX)
    }

    /// Takes back the room of what had its turn.
    pub(in crate::read) fn recycle(&mut self, mut room: Vec<Waiting>) {
        room.clear();
        self.spare = room;
    }

    fn sort(&mut self) {
        // Stable: what one CPU did at one time stays in its order.
        self.waiting.sort_by_key(|waiting| waiting.time_ns);
    }

    fn until(&mut self, time_ns: u64) -> Vec<Waiting> {
        self.sort();
        let ready = self.waiting.partition_point(|waiting| waiting.time_ns <= time_ns);
        let mut rest = std::mem::take(&mut self.spare);
        rest.extend_from_slice(&self.waiting[ready..]);
        self.waiting.truncate(ready);
        std::mem::replace(&mut self.waiting, rest)
    }
}
