// SPDX-License-Identifier: GPL-2.0-or-later
//! Dispatch queues (DSQs).
//!
//! A queue is in the order of arrival or in that of virtual time; which of them, who comes first
//! decides. Those of one virtual time are in the order of arrival.

use super::TaskId;
use super::line::Line;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The virtual time, counted on past the end of 64 bits, so that it can go round; 0 for who is
    /// not queued by it.
    vtime: i128,
    /// Which arrival in the queue it was, below 0 if at the head.
    number: i64,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        // Queues spend much of their time here, and hardly ever is a virtual time there twice.
        if self.vtime == other.vtime {
            return self.number.cmp(&other.number);
        }
        if self.vtime < other.vtime { Ordering::Less } else { Ordering::Greater }
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Place {
    /// Which arrival in the queue it was (kernel: `dsq_seq`).
    fn arrival(self) -> u64 {
        self.number.unsigned_abs()
    }
}

/// The tasks in a queue, by their places.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// If it is in the order of arrival, its tasks; otherwise this is empty.
    by_arrival: VecDeque<(i64, TaskId)>,
    /// If it is in the order of virtual time, its tasks; otherwise this is empty.
    by_vtime: BTreeMap<Place, TaskId>,
    /// How many tasks have arrived (kernel: `seq`).
    arrivals: u64,
    /// Its lock.
    pub(super) line: Line,
}

impl Queue {
    /// Adds a task; its place. With a virtual time, behind all of the same.
    pub(crate) fn add(&mut self, task: TaskId, vtime: Option<u64>, at_head: bool) -> Place {
        self.arrivals += 1;
        let arrival = self.arrivals.cast_signed();
        let number = if at_head { -arrival } else { arrival };
        if vtime.is_none() && self.by_vtime.is_empty() {
            let end = if at_head { VecDeque::push_front } else { VecDeque::push_back };
            end(&mut self.by_arrival, (number, task));
            return Place { vtime: 0, number };
        }
        if !self.by_arrival.is_empty() {
            // It breaks the order, which is an error of the scheduler: it is behind all others.
            self.by_arrival.push_back((arrival, task));
            return Place { vtime: 0, number: arrival };
        }
        let place = Place { vtime: self.counted_on(vtime.unwrap_or(0)), number };
        self.by_vtime.insert(place, task);
        place
    }

    /// A virtual time, as it is before or after that of the first task.
    fn counted_on(&self, vtime: u64) -> i128 {
        let first = self.by_vtime.first_key_value().map_or(0, |(place, _)| place.vtime);
        first + i128::from(vtime.wrapping_sub(first as u64).cast_signed())
    }

    /// Takes a task out of its place.
    pub(crate) fn remove(&mut self, place: Place) {
        if self.by_arrival.front().is_some_and(|(number, _)| *number == place.number) {
            self.by_arrival.pop_front();
        } else if let Ok(at) = self.by_arrival.binary_search_by_key(&place.number, |t| t.0) {
            self.by_arrival.remove(at);
        } else {
            self.by_vtime.remove(&place);
        }
    }

    /// Number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.by_arrival.len() + self.by_vtime.len()
    }

    /// Which kind of order a task would break that comes with or without a virtual time.
    pub(crate) fn other_order(&self, vtime: bool) -> Option<&'static str> {
        match vtime {
            true => (!self.by_arrival.is_empty()).then_some("FIFO"),
            false => (!self.by_vtime.is_empty()).then_some("PRIQ"),
        }
    }

    /// The tasks, the first of them first.
    fn tasks(&self) -> impl Iterator<Item = TaskId> {
        let by_arrival = self.by_arrival.iter().map(|(_, task)| *task);
        by_arrival.chain(self.by_vtime.values().copied())
    }

    /// The first task of which something holds.
    fn find(&self, mut holds: impl FnMut(TaskId) -> bool) -> Option<TaskId> {
        let by_arrival = self.by_arrival.iter().map(|(_, task)| *task).find(|task| holds(*task));
        by_arrival.or_else(|| self.by_vtime.values().copied().find(|task| holds(*task)))
    }

    /// The tasks behind one place and before another, with theirs, the first of them first.
    fn between(
        &self,
        behind: Option<Place>,
        before: Option<Place>,
    ) -> impl DoubleEndedIterator<Item = (Place, TaskId)> {
        let bound = |place: Option<Place>| place.map_or(Bound::Unbounded, Bound::Excluded);
        let by_vtime = self.by_vtime.range((bound(behind), bound(before)));
        let from = behind.map_or(0, |p| self.by_arrival.partition_point(|t| t.0 <= p.number));
        let end = before
            .map_or(self.by_arrival.len(), |p| self.by_arrival.partition_point(|t| t.0 < p.number));
        let by_arrival = self.by_arrival.range(from..end);
        let by_arrival = by_arrival.map(|(number, t)| (Place { vtime: 0, number: *number }, *t));
        by_arrival.chain(by_vtime.map(|(place, task)| (*place, *task)))
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
        queue == self.queue && place.arrival() <= self.newest
    }
}

/// All queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    /// The local queues of CPUs, and those for tasks that come past the scheduler.
    local: Vec<Queue>,
    bypass: Vec<Queue>,
    global: Queue,
    user: BTreeMap<u64, Queue>,
}

impl Queues {
    /// The queues of a machine with so many CPUs, before its scheduler makes any.
    pub(crate) fn new(cpus: u32) -> Self {
        let queues = || (0..cpus).map(|_| Queue::default()).collect();
        Self { local: queues(), bypass: queues(), ..Self::default() }
    }

    /// A queue, if it is there.
    pub(crate) fn get(&mut self, id: QueueId) -> Option<&mut Queue> {
        match id {
            QueueId::Local(cpu) => self.local.get_mut(cpu as usize),
            QueueId::Global => Some(&mut self.global),
            QueueId::Bypass(cpu) => self.bypass.get_mut(cpu as usize),
            QueueId::User(id) => self.user.get_mut(&id),
        }
    }

    fn find(&self, id: QueueId) -> Option<&Queue> {
        match id {
            QueueId::Local(cpu) => self.local.get(cpu as usize),
            QueueId::Global => Some(&self.global),
            QueueId::Bypass(cpu) => self.bypass.get(cpu as usize),
            QueueId::User(id) => self.user.get(&id),
        }
    }

    /// Makes a queue; whether it is new.
    pub(crate) fn create(&mut self, id: u64) -> bool {
        let new = !self.user.contains_key(&id);
        self.user.entry(id).or_default();
        new
    }

    /// Removes a queue that is empty; whether it was there and empty.
    pub(crate) fn destroy(&mut self, id: u64) -> bool {
        let empty = self.len(QueueId::User(id)) == 0;
        empty && self.user.remove(&id).is_some()
    }

    /// Whether a queue has tasks in the order of virtual time.
    pub(crate) fn is_by_vtime(&self, id: QueueId) -> bool {
        self.find(id).is_some_and(|queue| !queue.by_vtime.is_empty())
    }

    /// Whether a queue is there.
    pub(crate) fn contains(&self, id: QueueId) -> bool {
        self.find(id).is_some()
    }

    /// Number of tasks in a queue.
    pub(crate) fn len(&self, id: QueueId) -> usize {
        self.find(id).map_or(0, Queue::len)
    }

    /// A way through a queue, if it is there.
    pub(crate) fn cursor(&self, queue: QueueId, backwards: bool) -> Option<Cursor> {
        let newest = self.find(queue)?.arrivals;
        let (slice_ns, vtime) = (None, None);
        Some(Cursor { queue, backwards, newest, at: None, ended: false, slice_ns, vtime })
    }

    /// The next task on somebody's way.
    pub(crate) fn next(&self, cursor: &mut Cursor) -> Option<TaskId> {
        let queue = self.find(cursor.queue).filter(|_| !cursor.ended)?;
        let seen = |(place, _): &(Place, TaskId)| place.arrival() <= cursor.newest;
        let found = if cursor.backwards {
            queue.between(None, cursor.at).rfind(seen)
        } else {
            queue.between(cursor.at, None).find(seen)
        };
        cursor.at = found.map(|(place, _)| place);
        cursor.ended = found.is_none();
        found.map(|(_, task)| task)
    }

    /// The tasks of a queue, the first of them first.
    pub(crate) fn tasks(&self, id: QueueId) -> impl Iterator<Item = TaskId> {
        self.find(id).into_iter().flat_map(Queue::tasks)
    }

    /// The first task of a queue of which something holds.
    pub(crate) fn first(&self, id: QueueId, holds: impl FnMut(TaskId) -> bool) -> Option<TaskId> {
        self.find(id)?.find(holds)
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
    fn by_arrival_at_the_tail_and_at_the_head() {
        let mut queues = Queues::new(2);
        let queue = queues.get(QueueId::Local(1)).unwrap();
        let at_head = [false, true, false, true, false];
        let add = |(i, at_head)| queue.add(TaskId(i), None, at_head);
        let places: Vec<Place> = (0..).zip(at_head).map(add).collect();
        let order = |queues: &Queues| -> Vec<u32> {
            queues.tasks(QueueId::Local(1)).map(|task| task.0).collect()
        };
        assert_eq!(order(&queues), [3, 1, 0, 2, 4]);
        let mut backwards = queues.cursor(QueueId::Local(1), true).unwrap();
        let way: Vec<u32> =
            std::iter::from_fn(|| queues.next(&mut backwards)).map(|task| task.0).collect();
        assert_eq!(way, [4, 2, 0, 1, 3]);
        for (taken, left) in [(2, &[3, 1, 0, 4][..]), (3, &[1, 0, 4]), (4, &[1, 0])] {
            queues.get(QueueId::Local(1)).unwrap().remove(places[taken]);
            assert_eq!(order(&queues), left);
        }
        assert_eq!(queues.len(QueueId::Local(0)), 0);
        assert!(!queues.contains(QueueId::Local(2)));
    }

    #[test]
    fn who_breaks_the_order_is_told_and_kept() {
        let mut queue = Queue::default();
        assert_eq!(queue.other_order(true), None);
        let first = queue.add(TaskId(0), None, false);
        assert_eq!((queue.other_order(true), queue.other_order(false)), (Some("FIFO"), None));
        let second = queue.add(TaskId(1), Some(7), false);
        assert_eq!(queue.len(), 2);
        queue.remove(first);
        queue.remove(second);
        queue.add(TaskId(0), Some(7), false);
        assert_eq!((queue.other_order(true), queue.other_order(false)), (None, Some("PRIQ")));
        let second = queue.add(TaskId(1), None, true);
        assert_eq!(queue.len(), 2);
        queue.remove(second);
        assert_eq!(queue.tasks().collect::<Vec<_>>(), [TaskId(0)]);
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
