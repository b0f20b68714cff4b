// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace for Perfetto (<https://ui.perfetto.dev>).
//!
//! Switches, wake-ups and the like are written as what the kernel's own tracing would have given, from
//! which Perfetto makes a track for each CPU, with what runs on it, and one for the states of each
//! thread: running, runnable, preempted, asleep. Beside them there are counters: of the tasks in
//! each queue, of the tasks that wait, of how busy CPUs are, and those that the recording has. Each queue
//! has a track with who is in it. One track has what happens to the scheduler. Arrows from who wakes to
//! who then runs can be had as well, and calls of callbacks.

mod callbacks;
mod calls;
pub(crate) mod field;
mod load;
mod packets;
mod sched;
mod stays;
mod tracks;

use crate::FREQUENCY;
use callbacks::{Costs, is_call};
pub use calls::{CallTrace, Caller};
use load::Load;
use rota_events::{Event, MachineFacts, Tables, TaskRef, What};
use sched::Sched;
use stays::Stays;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use tracks::{Arrow, Track, Tracks, Value};

/// Writes a trace.
#[derive(Debug)]
pub(crate) struct Perfetto {
    machine: MachineFacts,
    started: bool,
    /// How many of what is told of tasks the trace has.
    told: usize,
    sched: Sched,
    load: Load,
    stays: Stays,
    costs: Costs,
    tracks: Tracks,
    arrows: Option<Arrows>,
    /// Calls of callbacks are shown too.
    calls: bool,
}

/// Arrows from who wakes to who then runs.
#[derive(Debug, Default)]
struct Arrows {
    last: u64,
    /// By whom tasks were woken that have not run yet.
    open: BTreeMap<TaskRef, (u64, TaskRef)>,
}

impl Perfetto {
    pub(crate) fn new(machine: &MachineFacts) -> Self {
        Self {
            machine: machine.clone(),
            started: false,
            told: 0,
            sched: Sched::default(),
            load: Load::default(),
            stays: Stays::default(),
            costs: Costs::default(),
            tracks: Tracks::default(),
            arrows: None,
            calls: false,
        }
    }

    /// Draws arrows from who wakes to who then runs.
    pub(crate) fn draw_arrows(&mut self) {
        self.arrows = Some(Arrows::default());
    }

    /// Shows each call of a callback.
    pub(crate) fn show_calls(&mut self) {
        self.calls = true;
    }

    /// Writes events.
    pub(crate) fn write(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        events: &[Event],
    ) -> io::Result<()> {
        let Some(first) = events.first() else { return Ok(()) };
        if !std::mem::replace(&mut self.started, true) {
            packets::start(out, &self.machine, first.time_ns)?;
        }
        // Who is born among these events is named by that: Perfetto takes who has the id before for
        // another one. What else there is to tell comes after.
        let news = tables.told().get(self.told..).unwrap_or_default();
        self.told = tables.told().len();
        let born = events.iter().filter(|event| matches!(event.what(), What::Fork { .. }));
        let born: BTreeSet<TaskRef> = born.map(|event| event.task).collect();
        let (later, now): (Vec<_>, Vec<_>) = news.iter().partition(|task| born.contains(task));
        packets::tasks(out, tables, now.into_iter())?;
        let mut shown = Vec::new();
        for event in events {
            self.sched.add(out, tables, event)?;
            self.load.add(event, &mut shown);
            for counter in shown.drain(..) {
                self.tracks.counter(out, tables, counter)?;
            }
            self.stays(out, tables, event)?;
            if self.calls && is_call(event.kind) {
                self.tracks.call(out, tables, event)?;
            }
            self.own(out, tables, event)?;
            self.arrow(out, tables, event)?;
        }
        packets::tasks(out, tables, later.into_iter())
    }

    /// Writes what is left.
    pub(crate) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.started {
            packets::start(out, &self.machine, 0)?;
        }
        let mut shown = Vec::new();
        self.load.finish(&mut shown);
        // These counters have no names of the recording.
        for counter in shown {
            self.tracks.counter(out, &Tables::default(), counter)?;
        }
        self.sched.flush(out)
    }

    /// Who comes into a queue, and who leaves one, and how many are in it then.
    fn stays(&mut self, out: &mut dyn Write, tables: &Tables, event: &Event) -> io::Result<()> {
        let depth = match event.what() {
            What::Insert { dsq, depth, .. } | What::Remove { dsq, depth } => {
                Some((Track::Queue(dsq), depth.into()))
            }
            _ => None,
        };
        let mut shown = Vec::new();
        self.stays.add(event, &mut shown);
        let Some(last) = shown.pop() else {
            let Some((queue, depth)) = depth else { return Ok(()) };
            let counter = (event.time_ns, queue, Value::Whole(depth));
            return self.tracks.counter(out, tables, counter);
        };
        for (track, slice) in shown {
            self.tracks.slice(out, tables, (event.time_ns, track, slice), None)?;
        }
        self.tracks.slice(out, tables, (event.time_ns, last.0, last.1), depth)
    }

    /// What is on tracks of our own: queues, counters, and what happens to the scheduler.
    fn own(&mut self, out: &mut dyn Write, tables: &Tables, event: &Event) -> io::Result<()> {
        let name = match event.what() {
            // These have a track of Perfetto's own.
            What::Counter { name, .. } if tables.text_of(name) == FREQUENCY => return Ok(()),
            What::Counter { name, value } => {
                if let Some(mean_ns) = self.costs.mean_ns(tables.text_of(name), value) {
                    let counter = (event.time_ns, Track::CallTime(name), Value::Part(mean_ns));
                    self.tracks.counter(out, tables, counter)?;
                }
                let counter = (event.time_ns, Track::Counter(name), Value::Whole(value));
                return self.tracks.counter(out, tables, counter);
            }
            What::Clock { clock, now_ns } => {
                let shows = (event.time_ns, tables.text_of(clock), now_ns);
                return packets::clocks(out, &self.machine, shows);
            }
            What::Attach { scheduler } => format!("{} attached", tables.text_of(scheduler)),
            What::Detach { message, kind, .. } => {
                format!("ended (kind {kind}): {}", tables.text_of(message))
            }
            What::Hotplug { online } => {
                format!("CPU {} {}", event.cpu.0, if online { "online" } else { "offline" })
            }
            What::Lost { events } => format!("{events} events lost on CPU {}", event.cpu.0),
            What::Hidden => format!("it is not told who came onto CPU {}", event.cpu.0),
            _ => return Ok(()),
        };
        self.tracks.instant(out, tables, (event.time_ns, Track::Scheduler, &name), None)
    }

    fn arrow(&mut self, out: &mut dyn Write, tables: &Tables, event: &Event) -> io::Result<()> {
        let Some(arrows) = &mut self.arrows else { return Ok(()) };
        let (time_ns, task) = (event.time_ns, event.task);
        match event.what() {
            What::Waking { waker } if waker.is_some() => {
                arrows.last += 1;
                arrows.open.insert(task, (arrows.last, waker));
                let name = format!("wakes {}", tables.task_name(task));
                let from = Some(Arrow::From(arrows.last));
                self.tracks.instant(out, tables, (time_ns, Track::Thread(waker), &name), from)
            }
            What::Switch { .. } => {
                let Some((flow, waker)) = arrows.open.remove(&task) else { return Ok(()) };
                let name = format!("runs, woken by {}", tables.task_name(waker));
                let to = Some(Arrow::To(flow));
                self.tracks.instant(out, tables, (time_ns, Track::Thread(task), &name), to)
            }
            _ => Ok(()),
        }
    }
}
