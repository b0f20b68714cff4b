// SPDX-License-Identifier: GPL-2.0-or-later
//! What it costs that CPUs share queues.
//!
//! A queue has a lock, and lies in a cache line with it. A CPU that takes the lock waits until those who
//! came earlier are done, as a queued spin lock has it, fetches the line from the CPU that had it last,
//! with those of the task and its neighbour, and keeps the lock for a time. A CPU that only looks
//! fetches the line if somebody has changed it since it last had it. A local queue has the lock of its run queue, which its own CPU has had
//! last, since it takes that all the time.
//!
//! All of it is time of the CPU that executes. What CPUs do at one moment of the machine's time they
//! do in the order in which the machine lets them, each at its own pace:
//!
//! ```text
//! 2 lines of 10 ns, held 30 ns, three CPUs at 0   ->   done after 50, 100, 150 ns
//! ```
//!
//! The lock is taken to be free as soon as everybody so far could have been done with it. That a CPU
//! came late, since it waited elsewhere, makes nobody else wait: otherwise the delays of one moment
//! would feed on each other.

use super::QueueId;
use crate::hardware::{Costs, FULL, Hardware};
use crate::machine::Machine;

/// A lock with what lies in its cache line.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The CPU that wrote last.
    writer: Option<u32>,
    /// Who has read what that one wrote, a bit for each CPU.
    readers: Vec<u64>,
    /// When everybody will be done with the lock who has come for it.
    free_ns: u64,
}

impl Line {
    /// A CPU comes for the lock at a moment, when its own time is `here_ns`; how long it takes until
    /// it has given the lock back, in ns.
    fn take(&mut self, cpu: u32, now_ns: u64, here_ns: u64, took: Took) -> u64 {
        let waits_ns = self.free_ns.saturating_sub(here_ns);
        let has_ns = took.fetch_ns + took.hold_ns;
        self.free_ns = self.free_ns.max(now_ns) + has_ns;
        self.writer = Some(cpu);
        self.readers.clear();
        waits_ns + has_ns
    }

    /// A CPU looks; whether it has to fetch the line for that.
    fn read(&mut self, cpu: u32) -> bool {
        if self.writer == Some(cpu) {
            return false;
        }
        let (word, bit) = (cpu as usize / 64, 1 << (cpu % 64));
        if self.readers.len() <= word {
            self.readers.resize(word + 1, 0);
        }
        let fetches = self.readers[word] & bit == 0;
        self.readers[word] |= bit;
        fetches
    }
}

/// What taking a lock takes that is free, in ns.
#[derive(Debug, Clone, Copy)]
struct Took {
    fetch_ns: u64,
    hold_ns: u64,
}

impl Costs {
    /// What fetching a line takes from one CPU to another, in ns.
    fn fetch_ns(&self, hardware: &Hardware, from: u32, to: u32) -> u64 {
        self.line_ns.get(hardware.distance(from, to) as usize).copied().unwrap_or(0)
    }
}

impl Machine {
    /// What fetching a line takes here that another CPU has, in ns.
    fn fetch_ns(&self, from: u32) -> u64 {
        if from == self.cpu {
            return 0;
        }
        self.shape.costs.fetch_ns(&self.hardware, from, self.cpu)
    }

    /// The CPU that executes takes the lock of a queue, and gives it back. That of a local queue is
    /// its run queue's, see [`Machine::take_rq`].
    pub(crate) fn take_queue(&mut self, id: QueueId) {
        if !self.queues_cost || matches!(id, QueueId::Local(_)) {
            return;
        }
        let (here, now_ns, here_ns) = (self.cpu, self.now_ns, self.here_ns());
        let Some(queue) = self.sched.queues.get(id) else { return };
        let costs = &self.shape.costs;
        let fetch_ns = match queue.line.writer {
            Some(writer) if writer != here => {
                costs.fetch_ns(&self.hardware, writer, here) * costs.dsq_lines
            }
            _ => 0,
        };
        let ns = queue.line.take(here, now_ns, here_ns, Took { fetch_ns, hold_ns: costs.dsq_ns });
        self.stand(ns);
    }

    /// The CPU that executes takes the lock of a run queue, to move a task there or away.
    pub(crate) fn take_rq(&mut self, cpu: u32) {
        if !self.queues_cost {
            return;
        }
        let fetch_ns = self.fetch_ns(cpu) * self.shape.costs.dsq_lines;
        // Its own it has whenever it executes, but for the time in which it moves tasks.
        let hold_ns = if cpu == self.cpu { 0 } else { self.shape.costs.dsq_ns };
        let (here, now_ns, here_ns) = (self.cpu, self.now_ns, self.here_ns());
        if let Some(queue) = self.sched.queues.get(QueueId::Local(cpu)) {
            let ns = queue.line.take(here, now_ns, here_ns, Took { fetch_ns, hold_ns });
            self.stand(ns);
            // The other CPU fetches it back.
            self.spend(cpu, fetch_ns);
        }
    }

    /// The CPU that executes looks at a queue without taking its lock.
    pub(crate) fn look_at_queue(&mut self, id: QueueId) {
        if !self.queues_cost {
            return;
        }
        let here = self.cpu;
        let Some(queue) = self.sched.queues.get(id) else { return };
        let fetches = match id {
            QueueId::Local(cpu) => (cpu != here).then_some(cpu),
            _ => queue.line.writer.filter(|_| queue.line.read(here)),
        };
        if let Some(from) = fetches {
            self.stand(self.fetch_ns(from));
        }
    }

    /// The time of the CPU that executes: what it has done at this moment of the machine's time it
    /// has behind it.
    fn here_ns(&self) -> u64 {
        let rq = self.sched.rqs.get(self.cpu as usize);
        rq.map_or(self.now_ns, |rq| rq.done_ns.max(self.now_ns))
    }

    /// The CPU that executes stands still for so long. That is no work, and takes no longer where work
    /// does.
    fn stand(&mut self, ns: u64) {
        if ns > 0 {
            self.stood_ns += ns;
            self.spend(self.cpu, ns * self.speed(self.cpu) / FULL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_comes_first_is_served_first() {
        let mut line = Line::default();
        let took = Took { fetch_ns: 20, hold_ns: 30 };
        assert_eq!(line.take(0, 0, 0, took), 50);
        assert_eq!(line.take(1, 0, 0, took), 100);
        // It has been somewhere else for 70 ns, of which it would have waited.
        assert_eq!(line.take(2, 0, 70, took), 80);
        // It is free from 150 on.
        assert_eq!(line.take(3, 140, 140, took), 60);
        assert_eq!(line.take(4, 1000, 1000, took), 50);
        // That somebody comes late makes nobody else wait.
        assert_eq!(line.take(5, 2000, 9000, took), 50);
        assert_eq!(line.take(6, 2000, 2000, took), 100);
    }

    /// Nanosecond by nanosecond: when each of those who come is done, in the order of their coming.
    fn watched(coming: &[(u64, u64)]) -> Vec<u64> {
        let (mut done, mut has) = (Vec::new(), None);
        let mut now_ns = 0;
        while done.len() < coming.len() {
            let next = coming[done.len()];
            let left_ns = has.get_or_insert(next.1);
            if now_ns >= next.0 && *left_ns > 0 {
                *left_ns -= 1;
                now_ns += 1;
            } else if now_ns >= next.0 {
                done.push(now_ns);
                has = None;
            } else {
                now_ns += 1;
            }
        }
        done
    }

    proptest! {
        #[test]
        fn as_somebody_who_watches_sees_it(
            coming in prop::collection::vec((0..40_u64, 0..30_u64), 1..60),
        ) {
            let mut now_ns = 0;
            let coming: Vec<_> = coming
                .into_iter()
                .map(|(after_ns, has_ns)| {
                    now_ns += after_ns;
                    (now_ns, has_ns)
                })
                .collect();
            let mut line = Line::default();
            let done = coming.iter().enumerate().map(|(cpu, &(at_ns, has_ns))| {
                let took = Took { fetch_ns: has_ns / 3, hold_ns: has_ns - has_ns / 3 };
                at_ns + line.take(cpu as u32, at_ns, at_ns, took)
            });
            prop_assert_eq!(done.collect::<Vec<_>>(), watched(&coming));
        }
    }

    #[test]
    fn a_line_is_fetched_once_after_each_change() {
        let mut line = Line::default();
        let took = Took { fetch_ns: 0, hold_ns: 0 };
        line.take(70, 0, 0, took);
        assert!(!line.read(70));
        assert!(line.read(3) && !line.read(3));
        assert!(line.read(200) && !line.read(200) && !line.read(3));
        line.take(3, 0, 0, took);
        assert!(!line.read(3) && line.read(70) && line.read(200));
    }
}
