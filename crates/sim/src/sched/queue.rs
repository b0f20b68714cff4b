// SPDX-License-Identifier: GPL-2.0-or-later
//! Dispatch queues (DSQs).
//!
//! A queue is in the order of arrival or in that of virtual time. Both are one order here: by
//! virtual time, which is 0 for who is not queued by it, then by a number that grows with each
//! arrival at the tail and falls with each at the head.

use super::TaskId;
use std::collections::BTreeMap;

/// The built-in queues (kernel: `enum scx_dsq_id_flags`).
pub(crate) const BUILTIN: u64 = 1 << 63;
pub(crate) const GLOBAL: u64 = BUILTIN | 1;
pub(crate) const LOCAL: u64 = BUILTIN | 2;
pub(crate) const BYPASS: u64 = BUILTIN | 3;
pub(crate) const LOCAL_ON: u64 = BUILTIN | 1 << 62;

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueueId {
    /// The local queue of a CPU.
    Local(u32),
    /// The global queue.
    Global,
    /// That of a CPU for tasks that come past the scheduler.
    Bypass(u32),
    /// One that the scheduler made.
    User(u64),
}

/// The tasks in a queue, by virtual time and number of arrival.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) tasks: BTreeMap<(i64, i64), TaskId>,
    /// Whether it is in the order of virtual time; meaningless while it is empty.
    pub(crate) by_vtime: bool,
    tail: i64,
    head: i64,
}

impl Queue {
    /// Adds a task; its place. With a virtual time, behind all of the same.
    pub(crate) fn add(&mut self, task: TaskId, vtime: Option<u64>, at_head: bool) -> (i64, i64) {
        self.by_vtime = vtime.is_some();
        let number = if at_head {
            self.head -= 1;
            self.head
        } else {
            self.tail += 1;
            self.tail
        };
        let place = (vtime.unwrap_or(0).cast_signed(), number);
        self.tasks.insert(place, task);
        place
    }
}

/// All queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    all: BTreeMap<QueueId, Queue>,
}

impl Queues {
    /// The queues of a machine with so many CPUs, before its scheduler makes any.
    pub(crate) fn new(cpus: u32) -> Self {
        let own = (0..cpus).flat_map(|cpu| [QueueId::Local(cpu), QueueId::Bypass(cpu)]);
        let all = own.chain([QueueId::Global]).map(|id| (id, Queue::default()));
        Self { all: all.collect() }
    }

    /// A queue, if it is there.
    pub(crate) fn get(&mut self, id: QueueId) -> Option<&mut Queue> {
        self.all.get_mut(&id)
    }

    /// Makes a queue; whether it is new.
    pub(crate) fn create(&mut self, id: u64) -> bool {
        let new = !self.all.contains_key(&QueueId::User(id));
        self.all.entry(QueueId::User(id)).or_default();
        new
    }

    /// Removes a queue that is empty; whether it was there and empty.
    pub(crate) fn destroy(&mut self, id: u64) -> bool {
        let empty = self.all.get(&QueueId::User(id)).is_some_and(|q| q.tasks.is_empty());
        empty && self.all.remove(&QueueId::User(id)).is_some()
    }

    /// Whether a queue has tasks in the order of virtual time.
    pub(crate) fn is_by_vtime(&self, id: QueueId) -> bool {
        self.all.get(&id).is_some_and(|queue| queue.by_vtime && !queue.tasks.is_empty())
    }

    /// Number of tasks in a queue.
    pub(crate) fn len(&self, id: QueueId) -> usize {
        self.all.get(&id).map_or(0, |queue| queue.tasks.len())
    }

    /// The tasks of a queue, the first of them first.
    pub(crate) fn tasks(&self, id: QueueId) -> impl Iterator<Item = TaskId> {
        self.all.get(&id).into_iter().flat_map(|queue| queue.tasks.values().copied())
    }
}
