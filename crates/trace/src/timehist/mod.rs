// SPDX-License-Identifier: GPL-2.0-or-later
//! What each CPU did, a row for each time that a task leaves it: the columns of `perf sched timehist`.
//!
//! A task comes onto a CPU at `in` and leaves it at `out`; before, it left a CPU at `last`. It became
//! ready at the first wake-up after `last`, or at `last` if it still wanted to run then.
//!
//! * **run**: `out - in`.
//! * **wait**: `in - last`, time on no CPU: `preempt` if it still wanted to run at `last`, `iowait` if
//!   no signal could wake it up (`D`), else `sleep`.
//! * **delay**: `in - ready`, the scheduling latency. A task that lost its CPU has both, wait and delay.
//!
//! What can not be known is not told: the run of the first row of a CPU, the wait of a task that was
//! not seen before. Where events are lost, what runs on that CPU is unknown until the next switch,
//! and no wait that had begun anywhere is told, since its end or another one may be among them.

mod data;
mod summary;
mod text;

pub use data::{TIMEHIST_SCHEMA, csv_header, csv_row, json_row};
pub use summary::{CpuSums, Sums, TimehistSummary};
pub use text::{Columns as TimehistColumns, Lines as TimehistLines, header as timehist_header};

use rota_events::{CpuNumber, DsqId, Event, Leaves, Paged, TaskRef, What};

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// When, in ns; at most the end of the time that is looked at.
    pub time_ns: u64,
    /// The CPU that it happens on.
    pub cpu: CpuNumber,
    /// What happens.
    pub what: RowKind,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A task leaves the CPU.
    Ran(Ran),
    /// A task is woken up.
    Awakened {
        /// Who wakes it; none if it is an interrupt.
        waker: TaskRef,
        /// The task.
        task: TaskRef,
    },
    /// A task changes its CPU.
    Migrated {
        /// Who runs where that is decided, if it is known.
        by: Option<TaskRef>,
        /// The task.
        task: TaskRef,
        /// Where it was.
        from: CpuNumber,
        /// Where it goes.
        to: CpuNumber,
    },
    /// So many events are missing.
    Lost(u64),
}

/// A time on a CPU, and what was before it. Times are in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Who ran; none is the idle task.
    pub task: TaskRef,
    /// Who runs next.
    pub next: TaskRef,
    /// Who ran on the CPU before, if it is known.
    pub before: Option<TaskRef>,
    /// How it leaves the CPU.
    pub leaves: Leaves,
    /// How long it ran.
    pub run_ns: Option<u64>,
    /// How long it was on no CPU before, and how it had left the last one.
    pub wait: Option<(Leaves, u64)>,
    /// How long it had been ready when it began to run.
    pub delay_ns: Option<u64>,
    /// The queue that it was taken from, and how long it was there. A local queue only if it came
    /// from no other.
    pub dsq: Option<(DsqId, u64)>,
}

impl Ran {
    /// Whether it still wanted to run, in ns.
    pub fn preempt_ns(&self) -> Option<u64> {
        self.wait.filter(|(leaves, _)| leaves.is_runnable()).map(|(_, ns)| ns)
    }

    /// The wait of a task that no signal can wake up, in ns.
    pub fn iowait_ns(&self) -> Option<u64> {
        self.wait.filter(|(leaves, _)| *leaves == Leaves::Uninterruptible).map(|(_, ns)| ns)
    }

    /// All other waits, in ns.
    pub fn sleep_ns(&self) -> Option<u64> {
        let other = |leaves: Leaves| !leaves.is_runnable() && leaves != Leaves::Uninterruptible;
        self.wait.filter(|(leaves, _)| other(*leaves)).map(|(_, ns)| ns)
    }
}

/// What is known of a task, most of it while it is on no CPU.
#[derive(Debug, Default, Clone, Copy)]
struct Off {
    /// Unless it is on this one.
    running: Option<CpuNumber>,
    /// When it left its CPU, and how.
    last: Option<(u64, Leaves)>,
    ready_ns: Option<u64>,
    /// Its wake-up was asked for.
    asked: bool,
    queued: Option<(DsqId, u64)>,
    taken: Option<(DsqId, u64)>,
}

/// What is known of a CPU.
#[derive(Debug, Clone, Copy)]
struct On {
    task: TaskRef,
    since_ns: u64,
    before: Option<TaskRef>,
    wait: Option<(Leaves, u64)>,
    delay_ns: Option<u64>,
    dsq: Option<(DsqId, u64)>,
}

/// Makes rows of a stream of events, in memory for its tasks and CPUs.
///
/// Of a window of time, it tells the runs that reach into it, cut at its ends, and the waits and
/// delays that end in it: what windows side by side tell adds up.
#[derive(Debug)]
pub struct Timehist {
    from_ns: u64,
    to_ns: u64,
    now_ns: u64,
    tasks: Paged<Off>,
    cpus: Paged<Option<On>>,
    /// When each CPU was idle last.
    idle_ns: Paged<Option<u64>>,
}

impl Default for Timehist {
    fn default() -> Self {
        Self::new(0, u64::MAX)
    }
}

impl Timehist {
    /// Of what happens from one time until before another, in ns.
    pub fn new(from_ns: u64, to_ns: u64) -> Self {
        let (tasks, cpus, idle_ns) = (Paged::default(), Paged::default(), Paged::default());
        Self { from_ns, to_ns, now_ns: 0, tasks, cpus, idle_ns }
    }

    /// Takes the next event. What is earlier than what was before it is taken to happen at the same
    /// time.
    pub fn add(&mut self, event: &Event) -> Option<Row> {
        self.now_ns = self.now_ns.max(event.time_ns);
        let (now, cpu, task) = (self.now_ns, event.cpu, event.task);
        let what = match event.what() {
            What::Switch { from, leaves } => return self.switch(cpu, task, from, leaves),
            What::Waking { waker } if task.is_some() => {
                let state = self.tasks.entry(task.0);
                state.wake(now);
                state.asked = true;
                RowKind::Awakened { waker, task }
            }
            What::Wakeup { waker, .. } if task.is_some() => {
                let state = self.tasks.entry(task.0);
                state.wake(now);
                if std::mem::take(&mut state.asked) {
                    return None;
                }
                RowKind::Awakened { waker, task }
            }
            What::Migrate { from, to } if task.is_some() => {
                let by = self.cpus.entry(cpu.0).map(|on| on.task);
                RowKind::Migrated { by, task, from, to }
            }
            What::Enqueue { .. } if task.is_some() => {
                self.tasks.entry(task.0).taken = None;
                return None;
            }
            What::Insert { dsq, .. } if task.is_some() => {
                self.tasks.entry(task.0).queued = Some((dsq, now));
                return None;
            }
            What::Remove { dsq, .. } => {
                self.tasks.get_mut(task.0)?.take_from(dsq, now);
                return None;
            }
            What::Lost { events } => {
                self.lose(cpu);
                RowKind::Lost(events)
            }
            What::Hidden => {
                *self.cpus.entry(cpu.0) = None;
                *self.idle_ns.entry(cpu.0) = None;
                let state = self.tasks.get_mut(task.0)?;
                // By now it may have another one.
                if state.running == Some(cpu) {
                    *state = Off::default();
                }
                return None;
            }
            _ => return None,
        };
        let is_inside = (self.from_ns..self.to_ns).contains(&now);
        is_inside.then_some(Row { time_ns: now, cpu, what })
    }

    /// Who runs on each CPU, and since when, where it is known.
    pub fn running(&self) -> impl Iterator<Item = (CpuNumber, TaskRef, u64)> {
        let cpus = self.cpus.iter().filter_map(|(cpu, on)| Some((cpu, (*on)?)));
        cpus.map(|(cpu, on)| (CpuNumber(cpu), on.task, on.since_ns))
    }

    fn switch(
        &mut self,
        cpu: CpuNumber,
        task: TaskRef,
        from: TaskRef,
        leaves: Leaves,
    ) -> Option<Row> {
        let now = self.now_ns;
        // If another one ran, something is missing.
        let on = self.cpus.entry(cpu.0).take().filter(|on| on.task == from);
        if from.is_some() {
            let state = self.tasks.entry(from.0);
            let ready_ns = leaves.is_runnable().then_some(now);
            let last = Some((now, leaves));
            *state = Off { last, ready_ns, queued: state.queued, ..Off::default() };
        } else {
            *self.idle_ns.entry(cpu.0) = Some(now);
        }
        let mut next =
            On { task, since_ns: now, before: Some(from), wait: None, delay_ns: None, dsq: None };
        if task.is_some() {
            let state = self.tasks.entry(task.0);
            next.wait = state.last.map(|(last, leaves)| (leaves, now - last));
            next.delay_ns = state.ready_ns.map(|ready| now - ready);
            next.dsq = state.taken;
            *state = Off { running: Some(cpu), queued: state.queued, ..Off::default() };
        } else {
            next.wait = self.idle_ns.entry(cpu.0).map(|last| (Leaves::Sleeping, now - last));
        }
        *self.cpus.entry(cpu.0) = Some(next);
        self.ran(cpu, on, from, task, leaves)
    }

    /// The row of a task that leaves the CPU, if it is of the window.
    fn ran(
        &self,
        cpu: CpuNumber,
        on: Option<On>,
        task: TaskRef,
        next: TaskRef,
        leaves: Leaves,
    ) -> Option<Row> {
        let since = on.map_or(self.now_ns, |on| on.since_ns);
        if self.now_ns < self.from_ns || since >= self.to_ns {
            return None;
        }
        let out = self.now_ns.min(self.to_ns);
        let began = on.filter(|on| on.since_ns >= self.from_ns);
        let ran = Ran {
            task,
            next,
            before: on.and_then(|on| on.before),
            leaves,
            run_ns: on.map(|on| out - on.since_ns.max(self.from_ns)),
            wait: began.and_then(|on| on.wait),
            delay_ns: began.and_then(|on| on.delay_ns),
            dsq: began.and_then(|on| on.dsq),
        };
        Some(Row { time_ns: out, cpu, what: RowKind::Ran(ran) })
    }

    fn lose(&mut self, cpu: CpuNumber) {
        *self.cpus.entry(cpu.0) = None;
        *self.idle_ns.entry(cpu.0) = None;
        for state in self.tasks.values_mut() {
            let running = state.running.filter(|on| *on != cpu);
            *state = Off { running, ..Off::default() };
        }
    }
}

impl Off {
    fn wake(&mut self, now: u64) {
        if self.running.is_none() && self.ready_ns.is_none() {
            self.ready_ns = Some(now);
        }
    }

    fn take_from(&mut self, dsq: DsqId, now: u64) {
        let Some((_, since)) = self.queued.take().filter(|(queue, _)| *queue == dsq) else {
            return;
        };
        let is_local = dsq.cpu().is_some();
        if !is_local || self.taken.is_none_or(|(queue, _)| queue.cpu().is_some()) {
            self.taken = Some((dsq, now - since));
        }
    }
}
