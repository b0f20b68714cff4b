// SPDX-License-Identifier: GPL-2.0-or-later
//! Dispatch queues (DSQs).
//!
//! A queue is in the order of arrival or in that of virtual time. Both are one order here: by
//! virtual time, which is 0 for who is not queued by it, then by a number that grows with each
//! arrival at the tail and falls with each at the head.

use super::TaskId;
use std::collections::BTreeMap;
use std::ops::Bound;

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

/// Where a task is in a queue: the order of these is that of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The virtual time, counted on past the end of 64 bits, so that it can go round.
    vtime: i128,
    /// Grows with each arrival at the tail and falls with each at the head.
    number: i64,
    /// Which arrival in the queue it was (kernel: `dsq_seq`). It does not matter for the order.
    arrival: u64,
}

/// The tasks in a queue, by their places.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    tasks: BTreeMap<Place, TaskId>,
    /// Whether it is in the order of virtual time; meaningless while it is empty.
    by_vtime: bool,
    tail: i64,
    head: i64,
    /// How many tasks have arrived (kernel: `seq`).
    arrivals: u64,
}

impl Queue {
    /// Adds a task; its place. With a virtual time, behind all of the same.
    pub(crate) fn add(&mut self, task: TaskId, vtime: Option<u64>, at_head: bool) -> Place {
        self.by_vtime = vtime.is_some();
        let number = if at_head {
            self.head -= 1;
            self.head
        } else {
            self.tail += 1;
            self.tail
        };
        self.arrivals += 1;
        let vtime = self.counted_on(vtime.unwrap_or(0));
        let place = Place { vtime, number, arrival: self.arrivals };
        self.tasks.insert(place, task);
        place
    }

    /// A virtual time, as it is before or after that of the first task.
    fn counted_on(&self, vtime: u64) -> i128 {
        let first = self.tasks.first_key_value().map_or(0, |(place, _)| place.vtime);
        first + i128::from(vtime.wrapping_sub(first as u64).cast_signed())
    }

    /// Takes a task out of its place.
    pub(crate) fn remove(&mut self, place: Place) {
        self.tasks.remove(&place);
    }

    /// Number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Which kind of order a task would break that comes with or without a virtual time.
    pub(crate) fn other_order(&self, vtime: bool) -> Option<&'static str> {
        let other = !self.tasks.is_empty() && self.by_vtime != vtime;
        other.then_some(if self.by_vtime { "PRIQ" } else { "FIFO" })
    }
}

/// Somebody's way through a queue (kernel: `struct bpf_iter_scx_dsq_kern`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) queue: QueueId,
    /// From the last to the first.
    backwards: bool,
    /// Who arrived later than this one is not seen.
    newest: u64,
    /// The place of the last task that was seen.
    at: Option<Place>,
    ended: bool,
    /// What the next task that is moved out of the queue is given.
    pub(crate) slice_ns: Option<u64>,
    pub(crate) vtime: Option<u64>,
}

impl Cursor {
    /// Whether it may still move a task that is at a place.
    pub(crate) fn may_move(&self, queue: QueueId, place: Place) -> bool {
        queue == self.queue && place.arrival <= self.newest
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
        let empty = self.len(QueueId::User(id)) == 0;
        empty && self.all.remove(&QueueId::User(id)).is_some()
    }

    /// Whether a queue has tasks in the order of virtual time.
    pub(crate) fn is_by_vtime(&self, id: QueueId) -> bool {
        self.all.get(&id).is_some_and(|queue| queue.by_vtime && !queue.tasks.is_empty())
    }

    /// Whether a queue is there.
    pub(crate) fn contains(&self, id: QueueId) -> bool {
        self.all.contains_key(&id)
    }

    /// Number of tasks in a queue.
    pub(crate) fn len(&self, id: QueueId) -> usize {
        self.all.get(&id).map_or(0, Queue::len)
    }

    /// A way through a queue, if it is there.
    pub(crate) fn cursor(&self, queue: QueueId, backwards: bool) -> Option<Cursor> {
        let newest = self.all.get(&queue)?.arrivals;
        let (slice_ns, vtime) = (None, None);
        Some(Cursor { queue, backwards, newest, at: None, ended: false, slice_ns, vtime })
    }

    /// The next task on somebody's way.
    pub(crate) fn next(&self, cursor: &mut Cursor) -> Option<TaskId> {
        let queue = self.all.get(&cursor.queue).filter(|_| !cursor.ended)?;
        let seen = |(place, _): &(&Place, &TaskId)| place.arrival <= cursor.newest;
        let found = match (cursor.at, cursor.backwards) {
            (None, false) => queue.tasks.iter().find(seen),
            (None, true) => queue.tasks.iter().rfind(seen),
            (Some(at), false) => {
                queue.tasks.range((Bound::Excluded(at), Bound::Unbounded)).find(seen)
            }
            (Some(at), true) => queue.tasks.range(..at).rfind(seen),
        };
        let found = found.map(|(place, task)| (*place, *task));
        cursor.at = found.map(|(place, _)| place);
        cursor.ended = found.is_none();
        found.map(|(_, task)| task)
    }

    /// The tasks of a queue, the first of them first.
    pub(crate) fn tasks(&self, id: QueueId) -> impl Iterator<Item = TaskId> {
        self.all.get(&id).into_iter().flat_map(|queue| queue.tasks.values().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(vtimes: &[u64]) -> (Queues, Vec<Place>) {
        let mut queues = Queues::new(1);
        queues.create(7);
        let queue = queues.get(QueueId::User(7)).unwrap();
        let add = |(i, vtime): (usize, &u64)| queue.add(TaskId(i as u32), Some(*vtime), false);
        let places = vtimes.iter().enumerate().map(add).collect();
        (queues, places)
    }

    fn tasks(queues: &Queues) -> Vec<u32> {
        queues.tasks(QueueId::User(7)).map(|task| task.0).collect()
    }

    #[test]
    fn virtual_time_goes_round() {
        let (mut queues, places) = queue(&[u64::MAX - 1, 1, u64::MAX, 0]);
        assert_eq!(tasks(&queues), [0, 2, 3, 1]);
        let queue = queues.get(QueueId::User(7)).unwrap();
        queue.remove(places[0]);
        queue.add(TaskId(4), Some(u64::MAX), false);
        queue.add(TaskId(5), Some(1 << 62), false);
        assert_eq!(tasks(&queues), [2, 4, 3, 1, 5]);
    }

    #[test]
    fn who_comes_later_is_not_seen() {
        let (mut queues, places) = queue(&[10, 20, 30]);
        let mut forwards = queues.cursor(QueueId::User(7), false).unwrap();
        let mut backwards = queues.cursor(QueueId::User(7), true).unwrap();
        assert_eq!(queues.next(&mut forwards), Some(TaskId(0)));
        assert_eq!(queues.next(&mut backwards), Some(TaskId(2)));
        let queue = queues.get(QueueId::User(7)).unwrap();
        let late = queue.add(TaskId(3), Some(15), false);
        queue.remove(places[0]);
        assert_eq!(queues.next(&mut forwards), Some(TaskId(1)));
        assert_eq!(queues.next(&mut backwards), Some(TaskId(1)));
        assert_eq!(queues.next(&mut backwards), None);
        assert_eq!(queues.next(&mut backwards), None);
        assert_eq!(queues.next(&mut forwards), Some(TaskId(2)));
        assert!(forwards.may_move(QueueId::User(7), places[1]));
        assert!(!forwards.may_move(QueueId::User(7), late));
        assert!(!forwards.may_move(QueueId::Global, places[1]));
    }
}
