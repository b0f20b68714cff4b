// SPDX-License-Identifier: GPL-2.0-or-later
//! Times between what happens, one by one: for histograms.
//!
//! Each begins and ends with events, and is told when it ends:
//!
//! * [`SpanKind::RunQueue`]: the scheduling latency, as [`Activity`](crate::Activity) defines it: from a
//!   wake-up, or a switch away from a task that still wants to run, to the switch to it.
//! * [`SpanKind::Wake`]: those of them that begin with a wake-up.
//! * [`SpanKind::OnCpu`]: from the switch to a task to the switch away from it.
//! * [`SpanKind::OffCpu`]: from the switch away from a task to the next switch to it, whatever it does
//!   meanwhile.
//! * [`SpanKind::Dsq`]: from being put into a queue to being taken out of it.
//! * [`SpanKind::Slice`]: what is left of a task's slice when it begins to run.
//!
//! The last two need the events of sched_ext. Where events are lost, no time that has begun ends.

use crate::event::{Event, What};
use crate::ids::{CpuNumber, DsqId, TaskRef};
use std::collections::BTreeMap;

/// What a time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanKind {
    /// From wanting to run to running.
    RunQueue,
    /// From waking up to running.
    Wake,
    /// On a CPU.
    OnCpu,
    /// Not on a CPU.
    OffCpu,
    /// In a queue.
    Dsq,
    /// The slice.
    Slice,
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub kind: SpanKind,
    /// How long, in ns.
    pub ns: u64,
    /// Whose.
    pub task: TaskRef,
    /// Where it ends.
    pub cpu: CpuNumber,
    /// The queue, of [`SpanKind::Dsq`].
    pub dsq: Option<DsqId>,
}

/// What is known of a task.
#[derive(Debug, Default)]
struct Now {
    running: bool,
    /// Since when it wants to run and doesn't, and whether it woke up then.
    waits: Option<(u64, bool)>,
    /// Since when it is on no CPU.
    off_ns: Option<u64>,
    /// The queue that it is in, and since when.
    queued: Option<(DsqId, u64)>,
}

/// Finds the times in a stream of events, in memory for its tasks and CPUs.
#[derive(Debug, Default)]
pub struct Spans {
    now_ns: u64,
    tasks: BTreeMap<TaskRef, Now>,
    /// Who runs, and since when, where that is known.
    cpus: BTreeMap<CpuNumber, (TaskRef, u64)>,
}

impl Spans {
    /// Takes the next event, and tells every time that ends with it. What is earlier than what was
    /// before it is taken to happen at the same time.
    pub fn add(&mut self, event: &Event, tell: &mut impl FnMut(Span)) {
        self.now_ns = self.now_ns.max(event.time_ns);
        let (now, cpu, task) = (self.now_ns, event.cpu, event.task);
        let mut end = |kind, since: Option<u64>, task, dsq| {
            if let Some(since) = since {
                tell(Span { kind, ns: now - since, task, cpu, dsq });
            }
        };
        match event.what() {
            What::Switch { from, leaves } => {
                let ran = self.cpus.remove(&cpu).filter(|(task, _)| *task == from);
                if from.is_some() {
                    end(SpanKind::OnCpu, ran.map(|(_, since)| since), from, None);
                    let state = self.tasks.entry(from).or_default();
                    let waits = leaves.is_runnable().then_some((now, false));
                    let queued = state.queued.take();
                    *state = Now { running: false, waits, off_ns: Some(now), queued };
                }
                if task.is_some() {
                    let state = self.tasks.entry(task).or_default();
                    let (waits, off_ns) = (state.waits.take(), state.off_ns.take());
                    state.running = true;
                    end(SpanKind::RunQueue, waits.map(|(since, _)| since), task, None);
                    let woke = waits.filter(|(_, woke)| *woke);
                    end(SpanKind::Wake, woke.map(|(since, _)| since), task, None);
                    end(SpanKind::OffCpu, off_ns, task, None);
                    self.cpus.insert(cpu, (task, now));
                }
            }
            What::Waking { .. } | What::Wakeup { .. } if task.is_some() => {
                let state = self.tasks.entry(task).or_default();
                if !state.running && state.waits.is_none() {
                    state.waits = Some((now, true));
                }
            }
            What::Exit => {
                if let Some(state) = self.tasks.get_mut(&task) {
                    state.waits = None;
                }
            }
            What::Insert { dsq, .. } if task.is_some() => {
                self.tasks.entry(task).or_default().queued = Some((dsq, now));
            }
            What::Remove { dsq, .. } => {
                let queued = self.tasks.get_mut(&task).and_then(|state| state.queued.take());
                let same = queued.filter(|(queue, _)| *queue == dsq);
                end(SpanKind::Dsq, same.map(|(_, since)| since), task, Some(dsq));
            }
            What::Running { slice_ns } => {
                tell(Span { kind: SpanKind::Slice, ns: slice_ns, task, cpu, dsq: None });
            }
            What::Lost { .. } => {
                if let Some((task, _)) = self.cpus.remove(&cpu) {
                    self.tasks.entry(task).or_default().running = false;
                }
                for state in self.tasks.values_mut() {
                    *state = Now { running: state.running, ..Now::default() };
                }
            }
            What::Hidden => {
                let was = self.cpus.remove(&cpu).is_some_and(|(on, _)| on == task);
                // By now it may have another one.
                if was && !self.cpus.values().any(|(on, _)| *on == task) {
                    self.tasks.remove(&task);
                }
            }
            _ => {}
        }
    }
}
