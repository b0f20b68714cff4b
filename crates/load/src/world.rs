// SPDX-License-Identifier: GPL-2.0-or-later
//! What all threads of a run have in common.

use crate::cgroups::Cgroups;
use crate::compute::{Calibration, Cpus};
use crate::events::SharedEvent;
use crate::job::Job;
use crate::report::GroupUse;
use crate::sleeper::Sleeper;
use rota_events::TaskUse;
use rota_kernel::now_ns;
use rota_topology::CpuMask;
use rota_workload::{EventId, Pieces, Timer, Workload};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What could not be done while the threads ran: how often, and the last answer of the kernel.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    count: u64,
    last: String,
}

impl Trouble {
    pub(crate) fn add(&mut self, error: &dyn ToString) {
        self.count += 1;
        self.last = error.to_string();
    }

    /// In words, if there was any.
    pub(crate) fn told(&self, what: &str) -> Option<String> {
        (self.count > 0).then(|| format!("{what}: {} times ({})", self.count, self.last))
    }
}

/// What all threads have in common.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) workload: Workload,
    pub(crate) events: Vec<SharedEvent>,
    /// When timers that tasks have in common fired last, once they are in use.
    pub(crate) timers: Vec<Mutex<Option<u64>>>,
    pub(crate) cpus: Cpus,
    pub(crate) allowed: CpuMask,
    pub(crate) calibration: Calibration,
    pub(crate) seed: u64,
    pub(crate) cgroups: Option<Cgroups>,
    start_ns: AtomicU64,
    end_ns: AtomicU64,
    /// The number of the next task that is made by another one.
    next: AtomicU64,
    tasks: Mutex<BTreeMap<u64, Arc<Sleeper>>>,
    sources: Mutex<BTreeMap<u64, Arc<Sleeper>>>,
    changed: Condvar,
    pub(crate) groups: Vec<Mutex<GroupUse>>,
    pub(crate) outside: Mutex<(u64, TaskUse)>,
    /// Whether switches and waits could be read of every thread.
    pub(crate) counted: AtomicBool,
    pub(crate) forks_failed: Mutex<Trouble>,
    pub(crate) changes_failed: Mutex<Trouble>,
}

/// A lock that a thread which panicked may have held: what it guards is whole at any time.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Nothing runs yet. Tasks that others make have numbers from `forks_from` on.
    pub(crate) fn new(
        job: &Job<'_>,
        calibration: Calibration,
        cgroups: Option<Cgroups>,
        forks_from: u64,
    ) -> Self {
        let workload = job.workload.clone();
        let group = |group| {
            Mutex::new(GroupUse { tasks: 0, used: TaskUse::default(), pieces: Pieces::new(group) })
        };
        Self {
            events: workload.events.iter().map(|event| SharedEvent::new(*event)).collect(),
            timers: (0..workload.timers).map(|_| Mutex::default()).collect(),
            groups: workload.groups.iter().map(group).collect(),
            workload,
            cpus: job.machine(),
            allowed: job.cpus.clone(),
            calibration,
            seed: job.seed,
            cgroups,
            start_ns: AtomicU64::new(0),
            end_ns: AtomicU64::new(u64::MAX),
            next: AtomicU64::new(forks_from),
            tasks: Mutex::default(),
            sources: Mutex::default(),
            changed: Condvar::new(),
            outside: Mutex::default(),
            counted: AtomicBool::new(true),
            forks_failed: Mutex::default(),
            changes_failed: Mutex::default(),
        }
    }

    pub(crate) fn event(&self, id: EventId) -> &SharedEvent {
        &self.events[id.0 as usize]
    }

    /// When it began, in ns; 0 before.
    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns.load(Ordering::Acquire)
    }

    /// When it ends, in ns.
    pub(crate) fn end_ns(&self) -> u64 {
        self.end_ns.load(Ordering::Acquire)
    }

    /// It begins at that time, which is now or has just been: everybody who is there begins, one after
    /// the other.
    pub(crate) fn start(&self, start_ns: u64, run_ns: u64) {
        self.start_ns.store(start_ns, Ordering::Release);
        // It may have been told to end before it began.
        self.end_ns.fetch_min(start_ns.saturating_add(run_ns), Ordering::AcqRel);
        let all = |all: &Mutex<BTreeMap<u64, Arc<Sleeper>>>| -> Vec<_> {
            lock(all).values().cloned().collect()
        };
        for sleeper in all(&self.tasks).into_iter().chain(all(&self.sources)) {
            sleeper.wake(now_ns(), start_ns);
        }
    }

    /// It ends now, if it has not.
    pub(crate) fn stop(&self) {
        self.end_ns.fetch_min(now_ns(), Ordering::AcqRel);
        for all in [&self.tasks, &self.sources] {
            lock(all).values().for_each(|sleeper| sleeper.nudge());
        }
    }

    /// The number of a task that another one makes.
    pub(crate) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A task of this number is to be: how it sleeps.
    pub(crate) fn new_task(&self, number: u64) -> Arc<Sleeper> {
        let sleeper = Arc::new(Sleeper::default());
        lock(&self.tasks).insert(number, Arc::clone(&sleeper));
        sleeper
    }

    /// It is no more.
    pub(crate) fn task_gone(&self, number: u64) {
        lock(&self.tasks).remove(&number);
        self.changed.notify_all();
    }

    /// The same of what comes from outside.
    pub(crate) fn new_source(&self, place: u64) -> Arc<Sleeper> {
        let sleeper = Arc::new(Sleeper::default());
        lock(&self.sources).insert(place, Arc::clone(&sleeper));
        sleeper
    }

    pub(crate) fn source_gone(&self, place: u64) {
        lock(&self.sources).remove(&place);
        self.changed.notify_all();
    }

    /// Waits until no task is there any more, but no longer than that; how many there are.
    pub(crate) fn wait_for_tasks(&self, most: Duration) -> usize {
        let tasks = lock(&self.tasks);
        let waited = self.changed.wait_timeout_while(tasks, most, |tasks| !tasks.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// The same for what comes from outside.
    pub(crate) fn wait_for_sources(&self, most: Duration) -> usize {
        let sources = lock(&self.sources);
        let waited = self.changed.wait_timeout_while(sources, most, |all| !all.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// When a timer that tasks have in common fired last.
    pub(crate) fn shared_timer(&self, timer: Timer) -> Option<MutexGuard<'_, Option<u64>>> {
        match timer {
            Timer::Own(_) => None,
            Timer::Shared(place) => self.timers.get(place as usize).map(lock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_topology::{CpuId, Spec};

    #[test]
    fn who_is_told_to_end_before_the_start_does_not_begin() {
        let workload = Workload::parse("cpu:tasks=1", 1).unwrap();
        let (topology, cpus) = ("1c".parse::<Spec>().unwrap().topology(), CpuMask::of(CpuId(0)));
        let calibration = Calibration { loops_per_ms: 1, cpu_clock_ns: 1, turn_ns: 1 };
        let job = Job {
            workload: &workload,
            seed: 1,
            run_ns: 0,
            cpus: &cpus,
            topology: &topology,
            places: &[],
            calibration: Some(calibration),
        };
        let world = World::new(&job, calibration, None, 1);
        world.stop();
        world.start(now_ns(), 1_000_000_000);
        assert!(world.end_ns() <= now_ns());
        let world = World::new(&job, calibration, None, 1);
        world.start(now_ns(), 1_000_000_000);
        assert!(world.end_ns() > world.start_ns());
    }
}
