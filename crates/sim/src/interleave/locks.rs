// SPDX-License-Identifier: GPL-2.0-or-later
//! Locks, for CPUs that are interleaved. A lane that waits for one stands still; whoever has
//! waited longest is next. One that would wait for ever is a deadlock, which stops the run.

use super::Interleaving;
use crate::machine::Machine;
use crate::run::{Stop, StopKind};
use crate::sched::{Due, TaskId};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// A lock, or what is waited for as if it were one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lock {
    /// Of a task (kernel: `pi_lock`).
    Task(TaskId),
    /// Of a CPU's run queue.
    Rq(u32),
    /// Held by a CPU while it switches away from a task that goes to sleep (kernel: `on_cpu`).
    Switch(u32),
    /// Held while a task is on its way to another run queue (kernel: `TASK_ON_RQ_MIGRATING`).
    Move(TaskId),
    /// Held while the scheduler is being given a task (kernel: `SCX_OPSS_QUEUEING`).
    Enqueue(TaskId),
    /// Held while a task goes from the scheduler into a queue (kernel: `SCX_OPSS_DISPATCHING`).
    Dispatch(TaskId),
    /// Held while a timer's function is called.
    Timer(u64),
    /// A program's, at this address.
    Program(u64),
}

/// Who has a lock, and who waits for it.
struct Held {
    by: u32,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    cpu: u32,
    /// Whether it wants the lock itself, or only that nobody has it.
    takes: bool,
}

/// The locks that are held.
#[derive(Default)]
pub(super) struct Locks(BTreeMap<Lock, Held>);

impl Interleaving {
    /// Who waits for whom, if the CPU waits for itself in the end.
    fn circle(&self, machine: &Machine, cpu: u32) -> Option<String> {
        let mut words = Vec::new();
        let mut at = cpu;
        loop {
            let lock = self.cpus[at as usize].waits_for?;
            let by = self.locks.0.get(&lock)?.by;
            words.push(format!("CPU {at} waits for {}, held by CPU {by}", machine.words(lock)));
            if by == cpu {
                return Some(words.join("; "));
            }
            at = by;
            if words.len() > self.cpus.len() {
                // Others wait in a circle, which was reported when it closed.
                return None;
            }
        }
    }
}

impl Machine {
    fn words(&self, lock: Lock) -> Words<'_> {
        Words { machine: self, lock }
    }

    /// Takes a lock, as soon as it is free.
    #[inline]
    pub(crate) fn lock(&mut self, lock: Lock) -> Result<(), Stop> {
        if self.interleaving.is_none() { Ok(()) } else { self.wait(lock, true) }
    }

    /// Waits until a lock is free, without taking it.
    #[inline]
    pub(crate) fn pass(&mut self, lock: Lock) -> Result<(), Stop> {
        if self.interleaving.is_none() { Ok(()) } else { self.wait(lock, false) }
    }

    /// Gives a lock to whoever has waited for it longest. One that is not held here stays as it
    /// is.
    #[inline]
    pub(crate) fn unlock(&mut self, lock: Lock) {
        if self.interleaving.is_some() {
            self.release(lock);
        }
    }

    /// Gives up the lock of a run queue for that of another.
    pub(crate) fn switch_rq(&mut self, from: u32, to: u32) -> Result<(), Stop> {
        if from == to {
            return Ok(());
        }
        self.unlock(Lock::Rq(from));
        self.take_rq(to);
        self.lock(Lock::Rq(to))
    }

    /// Takes the lock of a task and that of the run queue that it is on; the CPU of the latter
    /// (kernel: `task_rq_lock`).
    pub(crate) fn lock_task(&mut self, task: TaskId) -> Result<u32, Stop> {
        self.lock(Lock::Task(task))?;
        self.lock_rq_of(task)
    }

    /// Takes the lock of the run queue that a task is on; its CPU.
    pub(crate) fn lock_rq_of(&mut self, task: TaskId) -> Result<u32, Stop> {
        loop {
            self.pass(Lock::Move(task))?;
            let cpu = self.sched.task(task).cpu;
            self.lock(Lock::Rq(cpu))?;
            if self.sched.task(task).cpu == cpu && !self.is_held(Lock::Move(task)) {
                return Ok(cpu);
            }
            self.unlock(Lock::Rq(cpu));
        }
    }

    /// Gives both back.
    pub(crate) fn unlock_task(&mut self, task: TaskId, cpu: u32) {
        self.unlock(Lock::Rq(cpu));
        self.unlock(Lock::Task(task));
    }

    /// Whether somebody has a lock.
    pub(crate) fn is_held(&self, lock: Lock) -> bool {
        self.interleaving.as_ref().is_some_and(|lanes| lanes.locks.0.contains_key(&lock))
    }

    /// Whether waiting for a lock would never end.
    pub(crate) fn would_deadlock(&mut self, lock: Lock) -> bool {
        let Some(mut lanes) = self.interleaving.take() else { return false };
        let circle = lanes.here().and_then(|cpu| {
            lanes.cpu(cpu).waits_for = Some(lock);
            let circle = lanes.circle(self, cpu);
            lanes.cpu(cpu).waits_for = None;
            circle
        });
        self.interleaving = Some(lanes);
        circle.is_some()
    }

    fn wait(&mut self, lock: Lock, takes: bool) -> Result<(), Stop> {
        let Some(lanes) = &mut self.interleaving else { return Ok(()) };
        // What is done to the machine from outside is done when no CPU is in the middle of anything.
        let Some(cpu) = lanes.here() else { return Ok(()) };
        let Some(held) = lanes.locks.0.get_mut(&lock) else {
            if takes {
                lanes.locks.0.insert(lock, Held { by: cpu, waiting: VecDeque::new() });
            }
            return Ok(());
        };
        held.waiting.push_back(Waiting { cpu, takes });
        lanes.cpu(cpu).waits_for = Some(lock);
        if let Some(lanes) = &self.interleaving
            && let Some(circle) = lanes.circle(self, cpu)
        {
            return Err(Stop::new(StopKind::Deadlock(circle), None));
        }
        self.stand_still();
        Ok(())
    }

    fn release(&mut self, lock: Lock) {
        let now_ns = self.now_ns;
        let Some(lanes) = &mut self.interleaving else { return };
        let here = lanes.here();
        let Some(mut held) = lanes.locks.0.remove(&lock) else { return };
        if Some(held.by) != here {
            lanes.locks.0.insert(lock, held);
            return;
        }
        while let Some(next) = held.waiting.pop_front() {
            lanes.cpu(next.cpu).waits_for = None;
            self.sched.agenda.add(now_ns, Due::GoOn(next.cpu));
            if next.takes {
                held.by = next.cpu;
                lanes.locks.0.insert(lock, held);
                return;
            }
        }
    }
}

/// A lock, in words.
struct Words<'a> {
    machine: &'a Machine,
    lock: Lock,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = |task| {
            let (comm, pid) = self.machine.comm_and_pid(task);
            format!("{comm}[{pid}]")
        };
        match self.lock {
            Lock::Task(id) => write!(f, "the lock of {}", task(id)),
            Lock::Rq(cpu) => write!(f, "the run queue of CPU {cpu}"),
            Lock::Switch(cpu) => write!(f, "the switch of CPU {cpu}"),
            Lock::Move(id) => write!(f, "the migration of {}", task(id)),
            Lock::Enqueue(id) => write!(f, "the enqueueing of {}", task(id)),
            Lock::Dispatch(id) => write!(f, "the dispatching of {}", task(id)),
            Lock::Timer(address) => write!(f, "the timer at {address:#x}"),
            Lock::Program(address) => write!(f, "the program's lock at {address:#x}"),
        }
    }
}
