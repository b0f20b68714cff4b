// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace for Perfetto (<https://ui.perfetto.dev>).
//!
//! Switches and wake-ups are written as what the kernel's own tracing would have given, from which
//! Perfetto makes a track for each CPU, with what runs on it, and one for the states of each
//! thread: running, runnable, preempted, asleep. Beside them, every queue has a counter of the
//! tasks in it, and one track has what happens to the scheduler.
//!
//! Numbers of fields are those of Perfetto's `trace_packet.proto` and what it includes.

use crate::protobuf::Message;
use rota_events::{CpuNumber, DsqId, Event, Leaves, Tables, TaskRef, What};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Fields, by the messages that have them.
mod field {
    /// Of `Trace`.
    pub(super) const PACKET: u32 = 1;
    /// Of `TracePacket`.
    pub(super) const FTRACE_EVENTS: u32 = 1;
    pub(super) const PROCESS_TREE: u32 = 2;
    pub(super) const TIMESTAMP: u32 = 8;
    pub(super) const SEQUENCE: u32 = 10;
    pub(super) const TRACK_EVENT: u32 = 11;
    pub(super) const SEQUENCE_FLAGS: u32 = 13;
    pub(super) const TRACK_DESCRIPTOR: u32 = 60;
    /// Of `ProcessTree`, its `Process` and its `Thread`.
    pub(super) const PROCESSES: u32 = 1;
    pub(super) const THREADS: u32 = 2;
    pub(super) const PROCESS_PID: u32 = 1;
    pub(super) const PROCESS_CMDLINE: u32 = 3;
    pub(super) const THREAD_TID: u32 = 1;
    pub(super) const THREAD_NAME: u32 = 2;
    pub(super) const THREAD_TGID: u32 = 3;
    /// Of `FtraceEventBundle` and `FtraceEvent`.
    pub(super) const BUNDLE_CPU: u32 = 1;
    pub(super) const BUNDLE_EVENT: u32 = 2;
    pub(super) const BUNDLE_LOST: u32 = 3;
    pub(super) const EVENT_TIMESTAMP: u32 = 1;
    pub(super) const EVENT_PID: u32 = 2;
    pub(super) const EVENT_SWITCH: u32 = 4;
    pub(super) const EVENT_WAKEUP: u32 = 17;
    pub(super) const EVENT_WAKING: u32 = 20;
    /// Of `SchedSwitchFtraceEvent`.
    pub(super) const PREVIOUS_COMM: u32 = 1;
    pub(super) const PREVIOUS_PID: u32 = 2;
    pub(super) const PREVIOUS_PRIO: u32 = 3;
    pub(super) const PREVIOUS_STATE: u32 = 4;
    pub(super) const NEXT_COMM: u32 = 5;
    pub(super) const NEXT_PID: u32 = 6;
    pub(super) const NEXT_PRIO: u32 = 7;
    /// Of `SchedWakingFtraceEvent` and `SchedWakeupFtraceEvent`.
    pub(super) const WAKE_COMM: u32 = 1;
    pub(super) const WAKE_PID: u32 = 2;
    pub(super) const WAKE_PRIO: u32 = 3;
    pub(super) const WAKE_SUCCESS: u32 = 4;
    pub(super) const WAKE_CPU: u32 = 5;
    /// Of `TrackDescriptor`.
    pub(super) const TRACK_UUID: u32 = 1;
    pub(super) const TRACK_NAME: u32 = 2;
    pub(super) const TRACK_PARENT: u32 = 5;
    pub(super) const TRACK_COUNTER: u32 = 8;
    /// Of `TrackEvent`.
    pub(super) const TYPE: u32 = 9;
    pub(super) const ON_TRACK: u32 = 11;
    pub(super) const NAME: u32 = 23;
    pub(super) const COUNTER_VALUE: u32 = 30;
}

/// Types of a `TrackEvent`.
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;
/// `SEQ_INCREMENTAL_STATE_CLEARED`: nothing before this packet is needed.
const STATE_CLEARED: u64 = 1;
/// All packets are written by one.
const WRITER: u64 = 1;
/// A nice value of 0.
const PRIORITY: i64 = 120;
/// The kernel's states of what is switched away from: it wants to run, or sleeps.
const RUNNABLE: i64 = 0;

/// Tracks of our own: one for the scheduler, one over all queues, then one for each queue.
const SCHEDULER_TRACK: u64 = 1;
const QUEUES_TRACK: u64 = 2;
const FIRST_QUEUE_TRACK: u64 = 3;

/// Writes a trace.
#[derive(Debug, Default)]
pub(crate) struct Perfetto {
    started: bool,
    /// How many of what is told of tasks the trace has.
    told: usize,
    tracks: BTreeMap<DsqId, u64>,
}

impl Perfetto {
    /// Writes events.
    pub(crate) fn write(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        events: &[Event],
    ) -> io::Result<()> {
        if !self.started {
            self.started = true;
            let first = own_packet().number(field::SEQUENCE_FLAGS, STATE_CLEARED);
            packet(
                out,
                &first.message(field::TRACK_DESCRIPTOR, &track(SCHEDULER_TRACK, "scheduler")),
            )?;
            let queues = track(QUEUES_TRACK, "dispatch queues");
            packet(out, &own_packet().message(field::TRACK_DESCRIPTOR, &queues))?;
        }
        self.tell_tasks(out, tables)?;
        let mut bundles = BTreeMap::<CpuNumber, Message>::new();
        for event in events {
            if let Some(traced) = traced(event, tables) {
                let bundle = bundles.remove(&event.cpu).unwrap_or_else(|| bundle(event.cpu));
                bundles.insert(event.cpu, bundle.message(field::BUNDLE_EVENT, &traced));
            }
            self.own(out, tables, event)?;
            if let What::Lost { .. } = event.what() {
                let lost = bundle(event.cpu).number(field::BUNDLE_LOST, 1);
                let before = bundles.insert(event.cpu, lost);
                bundle_packet(out, before.iter())?;
            }
        }
        bundle_packet(out, bundles.values())
    }

    /// Says the names of threads that are new, or have another name.
    fn tell_tasks(&mut self, out: &mut dyn Write, tables: &Tables) -> io::Result<()> {
        let news = tables.told().get(self.told..).unwrap_or_default();
        self.told = tables.told().len();
        let mut tree = Message::default();
        for info in news.iter().filter_map(|task| tables.task_of(*task)) {
            let name = tables.text_of(info.name);
            if info.pid == info.tgid {
                let process = Message::default()
                    .signed(field::PROCESS_PID, info.pid.into())
                    .text(field::PROCESS_CMDLINE, name);
                tree = tree.message(field::PROCESSES, &process);
            }
            let thread = Message::default()
                .signed(field::THREAD_TID, info.pid.into())
                .text(field::THREAD_NAME, name)
                .signed(field::THREAD_TGID, info.tgid.into());
            tree = tree.message(field::THREADS, &thread);
        }
        if news.is_empty() {
            return Ok(());
        }
        packet(out, &own_packet().message(field::PROCESS_TREE, &tree))
    }

    /// What is on tracks of our own: queues, and what happens to the scheduler.
    fn own(&mut self, out: &mut dyn Write, tables: &Tables, event: &Event) -> io::Result<()> {
        let name = match event.what() {
            What::Insert { dsq, depth, .. } | What::Remove { dsq, depth } => {
                return self.depth(out, event.time_ns, dsq, depth);
            }
            What::Attach { scheduler } => format!("{} attached", tables.text_of(scheduler)),
            What::Detach { message, kind, .. } => {
                format!("ended (kind {kind}): {}", tables.text_of(message))
            }
            What::Hotplug { online } => {
                format!("CPU {} {}", event.cpu.0, if online { "online" } else { "offline" })
            }
            What::Lost { events } => format!("{events} events lost on CPU {}", event.cpu.0),
            _ => return Ok(()),
        };
        let instant = Message::default()
            .number(field::TYPE, INSTANT)
            .number(field::ON_TRACK, SCHEDULER_TRACK)
            .text(field::NAME, &name);
        let at = own_packet().number(field::TIMESTAMP, event.time_ns);
        packet(out, &at.message(field::TRACK_EVENT, &instant))
    }

    fn depth(
        &mut self,
        out: &mut dyn Write,
        now_ns: u64,
        dsq: DsqId,
        depth: u32,
    ) -> io::Result<()> {
        let next = FIRST_QUEUE_TRACK + self.tracks.len() as u64;
        let uuid = *self.tracks.entry(dsq).or_insert(next);
        if uuid == next {
            let queue = track(uuid, &format!("DSQ {dsq}"))
                .number(field::TRACK_PARENT, QUEUES_TRACK)
                .message(field::TRACK_COUNTER, &Message::default());
            packet(out, &own_packet().message(field::TRACK_DESCRIPTOR, &queue))?;
        }
        let counter = Message::default()
            .number(field::TYPE, COUNTER)
            .number(field::ON_TRACK, uuid)
            .number(field::COUNTER_VALUE, depth.into());
        let at = own_packet().number(field::TIMESTAMP, now_ns);
        packet(out, &at.message(field::TRACK_EVENT, &counter))
    }
}

/// A packet of the one who writes all.
fn own_packet() -> Message {
    Message::default().number(field::SEQUENCE, WRITER)
}

fn track(uuid: u64, name: &str) -> Message {
    Message::default().number(field::TRACK_UUID, uuid).text(field::TRACK_NAME, name)
}

fn bundle(cpu: CpuNumber) -> Message {
    Message::default().number(field::BUNDLE_CPU, cpu.0.into())
}

fn packet(out: &mut dyn Write, packet: &Message) -> io::Result<()> {
    out.write_all(Message::default().message(field::PACKET, packet).as_bytes())
}

fn bundle_packet<'a>(
    out: &mut dyn Write,
    bundles: impl Iterator<Item = &'a Message>,
) -> io::Result<()> {
    for bundle in bundles {
        packet(out, &own_packet().message(field::FTRACE_EVENTS, bundle))?;
    }
    Ok(())
}

/// Name and thread id; of nobody, those of a CPU's idle task.
fn comm_and_pid(task: TaskRef, cpu: CpuNumber, tables: &Tables) -> (String, i64) {
    match tables.task_of(task) {
        Some(info) => (tables.text_of(info.name).to_owned(), info.pid.into()),
        None if task.is_some() => (tables.task_name(task), i64::from(task.0)),
        None => (format!("swapper/{}", cpu.0), 0),
    }
}

/// The number that the kernel's tracing has for how a task leaves its CPU (kernel:
/// `include/linux/sched.h`, the states that are reported).
fn state(leaves: Leaves) -> i64 {
    match leaves {
        Leaves::Runnable => RUNNABLE,
        Leaves::Sleeping | Leaves::Other => 1,
        Leaves::Uninterruptible => 2,
        Leaves::Stopped => 4,
        Leaves::Traced => 8,
        Leaves::Dead => 16,
        Leaves::Zombie => 32,
        Leaves::Parked => 64,
        Leaves::Idle => 128,
        Leaves::Preempted => 256,
    }
}

/// What the kernel's own tracing would have written.
fn traced(event: &Event, tables: &Tables) -> Option<Message> {
    let at = Message::default().number(field::EVENT_TIMESTAMP, event.time_ns);
    let by = |task: TaskRef| comm_and_pid(task, event.cpu, tables);
    let wake = |cpu: CpuNumber| {
        let (comm, pid) = by(event.task);
        Message::default()
            .text(field::WAKE_COMM, &comm)
            .signed(field::WAKE_PID, pid)
            .signed(field::WAKE_PRIO, PRIORITY)
            .signed(field::WAKE_SUCCESS, 1)
            .signed(field::WAKE_CPU, cpu.0.into())
    };
    Some(match event.what() {
        What::Switch { from, leaves } => {
            let ((previous, previous_pid), (next, next_pid)) = (by(from), by(event.task));
            let state = if from.is_some() { state(leaves) } else { RUNNABLE };
            let switch = Message::default()
                .text(field::PREVIOUS_COMM, &previous)
                .signed(field::PREVIOUS_PID, previous_pid)
                .signed(field::PREVIOUS_PRIO, PRIORITY)
                .signed(field::PREVIOUS_STATE, state)
                .text(field::NEXT_COMM, &next)
                .signed(field::NEXT_PID, next_pid)
                .signed(field::NEXT_PRIO, PRIORITY);
            at.signed(field::EVENT_PID, previous_pid).message(field::EVENT_SWITCH, &switch)
        }
        What::Waking { waker } => {
            at.signed(field::EVENT_PID, by(waker).1).message(field::EVENT_WAKING, &wake(event.cpu))
        }
        What::Wakeup { on, waker } => {
            at.signed(field::EVENT_PID, by(waker).1).message(field::EVENT_WAKEUP, &wake(on))
        }
        _ => return None,
    })
}
