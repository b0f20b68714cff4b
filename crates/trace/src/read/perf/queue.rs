// SPDX-License-Identifier: GPL-2.0-or-later
//! Records in the order of time. perf writes what it finds in the buffers of all CPUs, one after the
//! other, round after round: what comes in a round is not older than the end of the round before the
//! last.

use crate::read::kernel::{Named, Point};
use rota_events::Leaves;

/// Room for a name (kernel: `TASK_COMM_LEN`).
const NAME_BYTES: usize = 16;
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

/// A task, with its name in place.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) struct Task {
    pid: i32,
    name: [u8; NAME_BYTES],
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) enum Kept {
    Switch(Task, Leaves, Task),
    Waking(Task),
    Wakeup(Task, u32),
    WakeupNew(Task, u32),
    Migrate(Task, u32, u32),
    Fork(Task, Task),
    Rename(Task),
    Exit(Task),
    Frequency(u32, u64),
    Lost(u64),
    /// The thread belongs to the process from now on, or will once it is born.
    Thread,
    Forked,
}

impl Task {
    pub(in crate::read) fn of(named: Named<'_>) -> Self {
        let mut name = [0; NAME_BYTES];
        let length = named.name.len().min(NAME_BYTES - 1);
        name[..length].copy_from_slice(&named.name[..length]);
        Self { pid: named.pid, name }
    }

    fn named(&self) -> Named<'_> {
        let length = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        Named { pid: self.pid, name: &self.name[..length] }
    }
}

impl Kept {
    pub(in crate::read) fn of(point: &Point<'_>) -> Self {
        match *point {
            Point::Switch { from, leaves, to } => {
                Self::Switch(Task::of(from), leaves, Task::of(to))
            }
            Point::Waking { task } => Self::Waking(Task::of(task)),
            Point::Wakeup { task, on } => Self::Wakeup(Task::of(task), on),
            Point::WakeupNew { task, on } => Self::WakeupNew(Task::of(task), on),
            Point::Migrate { task, from, to } => Self::Migrate(Task::of(task), from, to),
            Point::Fork { parent, child } => Self::Fork(Task::of(parent), Task::of(child)),
            Point::Rename { task } => Self::Rename(Task::of(task)),
            Point::Exit { task } => Self::Exit(Task::of(task)),
            Point::Frequency { cpu, khz } => Self::Frequency(cpu, khz),
            Point::Lost { events } => Self::Lost(events),
        }
    }

    /// What it says; nothing if it only says to which process a thread belongs.
    pub(in crate::read) fn point(&self) -> Option<Point<'_>> {
        Some(match self {
            Self::Switch(from, leaves, to) => {
                Point::Switch { from: from.named(), leaves: *leaves, to: to.named() }
            }
            Self::Waking(task) => Point::Waking { task: task.named() },
            Self::Wakeup(task, on) => Point::Wakeup { task: task.named(), on: *on },
            Self::WakeupNew(task, on) => Point::WakeupNew { task: task.named(), on: *on },
            Self::Migrate(task, from, to) => {
                Point::Migrate { task: task.named(), from: *from, to: *to }
            }
            Self::Fork(parent, child) => {
                Point::Fork { parent: parent.named(), child: child.named() }
            }
            Self::Rename(task) => Point::Rename { task: task.named() },
            Self::Exit(task) => Point::Exit { task: task.named() },
            Self::Frequency(cpu, khz) => Point::Frequency { cpu: *cpu, khz: *khz },
            Self::Lost(events) => Point::Lost { events: *events },
            Self::Thread | Self::Forked => return None,
        })
    }
}

/// Records that wait for their turn.
#[derive(Debug, Default)]
pub(in crate::read) struct Queue {
    waiting: Vec<Waiting>,
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

    /// What has its turn because too much waits, if it does: the older half.
    pub(in crate::read) fn overflow(&mut self) -> Vec<Waiting> {
        if self.waiting.len() < KEPT_MAX {
            return Vec::new();
        }
        self.waiting.sort_by_key(|waiting| waiting.time_ns);
        let half = self.waiting[KEPT_MAX / 2].time_ns;
        self.until(half)
    }

    /// All that waits.
    pub(in crate::read) fn finish(&mut self) -> Vec<Waiting> {
        self.until(u64::MAX)
    }

    fn until(&mut self, time_ns: u64) -> Vec<Waiting> {
        // Stable: what one CPU did at one time stays in its order.
        self.waiting.sort_by_key(|waiting| waiting.time_ns);
        let ready = self.waiting.partition_point(|waiting| waiting.time_ns <= time_ns);
        let rest = self.waiting.split_off(ready);
        std::mem::replace(&mut self.waiting, rest)
    }
}
