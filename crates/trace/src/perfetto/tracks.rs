// SPDX-License-Identifier: GPL-2.0-or-later
//! Tracks of our own: counters, what happens to the scheduler, and who wakes whom.

use super::field::{annotation, interned, packet, track, track_event};
use super::packets;
use super::sched::pid;
use crate::protobuf::Message;
use rota_events::{CpuNumber, DsqId, Event, Tables, TaskRef, TextRef};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Types of a `TrackEvent`.
pub(super) const BEGIN: u64 = 1;
pub(super) const END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;

/// A track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Track {
    /// What happens to the scheduler and to CPUs.
    Scheduler,
    /// Over all queues, and how many tasks are in each.
    Queues,
    Queue(DsqId),
    /// Who is in a queue: one of its lanes.
    Stay(DsqId, u32),
    /// Over all CPUs, and how much of the time each is busy, in percent.
    Busy,
    BusyCpu(CpuNumber),
    /// How many tasks wait for a CPU, and how many want one or have it.
    Waiting,
    Runnable,
    /// Counters of the recorder or the scheduler.
    Counter(TextRef),
    /// Over all that is told of callbacks: calls on each CPU, and how long a call takes, for each counter
    /// of their time.
    Callbacks,
    Calls(CpuNumber),
    CallTime(TextRef),
    /// A task's own.
    Thread(TaskRef),
}

/// What happens on a track of slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slice {
    /// The task is there from now on.
    Begins(TaskRef),
    /// Who was there is not any more.
    Ends,
}

/// What a counter shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Part(f64),
}

/// The tracks that are described, and the names that are told once.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    uuids: BTreeMap<Track, u64>,
    /// Numbers of tasks under their names.
    names: BTreeMap<(TaskRef, TextRef), u64>,
}

impl Tracks {
    /// The number of a track, which is described when it is needed first.
    fn uuid(&mut self, out: &mut dyn Write, tables: &Tables, wanted: Track) -> io::Result<u64> {
        if let Some(known) = self.uuids.get(&wanted) {
            return Ok(*known);
        }
        let parent = match wanted {
            Track::Queue(_) | Track::Stay(..) => Some(self.uuid(out, tables, Track::Queues)?),
            Track::BusyCpu(_) => Some(self.uuid(out, tables, Track::Busy)?),
            Track::Calls(_) | Track::CallTime(_) => {
                Some(self.uuid(out, tables, Track::Callbacks)?)
            }
            _ => None,
        };
        let uuid = self.uuids.len() as u64 + 1;
        self.uuids.insert(wanted, uuid);
        let mut description = Message::default().number(track::UUID, uuid);
        if let Track::Thread(task) = wanted {
            let tgid = tables.task_of(task).map_or(pid(task, tables), |info| info.tgid.into());
            let thread = Message::default()
                .signed(track::THREAD_PID, tgid)
                .signed(track::THREAD_TID, pid(task, tables))
                .text(track::THREAD_NAME, &name(task, tables));
            description = description.message(track::THREAD, &thread);
        } else {
            description = description.text(track::NAME, &wanted.name(tables));
        }
        if let Some(parent) = parent {
            description = description.number(track::PARENT, parent);
        }
        if let Some(unit) = wanted.unit() {
            let unit = Message::default().text(track::UNIT_NAME, unit);
            description = description.message(track::COUNTER, &unit);
        }
        packets::write(out, &packets::own().message(packet::TRACK_DESCRIPTOR, &description))?;
        Ok(uuid)
    }

    /// Writes what a counter shows from now on.
    pub(super) fn counter(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        (time_ns, on, value): (u64, Track, Value),
    ) -> io::Result<()> {
        let uuid = self.uuid(out, tables, on)?;
        let shows =
            Message::default().number(track_event::TYPE, COUNTER).number(track_event::TRACK, uuid);
        let shows = match value {
            Value::Whole(value) => shows.number(track_event::COUNTER_VALUE, value),
            Value::Part(value) => shows.double(track_event::COUNTER_DOUBLE, value),
        };
        let at = packets::own().number(packet::TIMESTAMP, time_ns);
        packets::write(out, &at.message(packet::TRACK_EVENT, &shows))
    }

    /// Writes where a slice begins or ends, and what a counter shows from then on.
    pub(super) fn slice(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        (time_ns, on, slice): (u64, Track, Slice),
        beside: Option<(Track, u64)>,
    ) -> io::Result<()> {
        let uuid = self.uuid(out, tables, on)?;
        let mut at = packets::own();
        let kind = if slice == Slice::Ends { END } else { BEGIN };
        let mut shows =
            Message::default().number(track_event::TYPE, kind).number(track_event::TRACK, uuid);
        if let Slice::Begins(task) = slice {
            let (number, told) = self.name(task, tables);
            at = at.number(packet::SEQUENCE_FLAGS, packets::NEEDS_STATE);
            if let Some(told) = told {
                at = at.message(packet::INTERNED_DATA, &told);
            }
            shows = shows.number(track_event::NAME_NUMBER, number);
        }
        if let Some((counter, value)) = beside {
            let counter = self.uuid(out, tables, counter)?;
            shows = shows
                .number(track_event::BESIDE_VALUE, value)
                .number(track_event::BESIDE_TRACK, counter);
        }
        let at = at.number(packet::TIMESTAMP, time_ns);
        packets::write(out, &at.message(packet::TRACK_EVENT, &shows))
    }

    /// The number of a task's name, and what has to be told of it, if it is new.
    fn name(&mut self, task: TaskRef, tables: &Tables) -> (u64, Option<Message>) {
        let text = tables.task_of(task).map_or(TextRef::EMPTY, |info| info.name);
        let next = self.names.len() as u64 + 1;
        let number = *self.names.entry((task, text)).or_insert(next);
        let told = (number == next).then(|| {
            let name = Message::default()
                .number(interned::NUMBER, number)
                .text(interned::NAME, &tables.task_name(task));
            Message::default().message(interned::EVENT_NAMES, &name)
        });
        (number, told)
    }

    /// Writes that a callback is called, and for whom.
    pub(super) fn call(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        event: &Event,
    ) -> io::Result<()> {
        let uuid = self.uuid(out, tables, Track::Calls(event.cpu))?;
        let mut call = Message::default()
            .number(track_event::TYPE, INSTANT)
            .number(track_event::TRACK, uuid)
            .text(track_event::NAME, event.kind.name());
        if event.task.is_some() {
            let task = Message::default()
                .text(annotation::NAME, "task")
                .text(annotation::TEXT, &tables.task_name(event.task));
            call = call.message(track_event::ANNOTATION, &task);
        }
        let at = packets::own().number(packet::TIMESTAMP, event.time_ns);
        packets::write(out, &at.message(packet::TRACK_EVENT, &call))
    }

    /// Writes something that happens at a time, from or to which an arrow may go.
    pub(super) fn instant(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        (time_ns, on, name): (u64, Track, &str),
        arrow: Option<Arrow>,
    ) -> io::Result<()> {
        let uuid = self.uuid(out, tables, on)?;
        let instant = Message::default()
            .number(track_event::TYPE, INSTANT)
            .number(track_event::TRACK, uuid)
            .text(track_event::NAME, name);
        let instant = match arrow {
            Some(Arrow::From(flow)) => instant.fixed(track_event::FLOW, flow),
            Some(Arrow::To(flow)) => instant.fixed(track_event::FLOW_ENDS, flow),
            None => instant,
        };
        let at = packets::own().number(packet::TIMESTAMP, time_ns);
        packets::write(out, &at.message(packet::TRACK_EVENT, &instant))
    }
}

/// An end of an arrow, by its number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrow {
    From(u64),
    To(u64),
}

impl Track {
    fn name(self, tables: &Tables) -> String {
        match self {
            Self::Scheduler => "scheduler".to_owned(),
            Self::Queues => "dispatch queues".to_owned(),
            Self::Queue(dsq) => format!("DSQ {dsq}"),
            Self::Stay(dsq, _) => format!("in DSQ {dsq}"),
            Self::Busy => "CPUs busy".to_owned(),
            Self::BusyCpu(cpu) => format!("CPU {} busy", cpu.0),
            Self::Waiting => "tasks that wait for a CPU".to_owned(),
            Self::Runnable => "runnable tasks".to_owned(),
            Self::Counter(name) => tables.text_of(name).to_owned(),
            Self::Callbacks => "callbacks".to_owned(),
            Self::Calls(cpu) => format!("CPU {} calls", cpu.0),
            Self::CallTime(name) => format!("{} a call", tables.text_of(name)),
            Self::Thread(task) => name(task, tables),
        }
    }

    /// What it counts, if it is a counter.
    fn unit(self) -> Option<&'static str> {
        match self {
            Self::Queue(_) | Self::Waiting | Self::Runnable => Some("tasks"),
            Self::BusyCpu(_) => Some("%"),
            Self::CallTime(_) => Some("ns"),
            Self::Counter(_) => Some(""),
            _ => None,
        }
    }
}

/// A task's name alone.
pub(super) fn name(task: TaskRef, tables: &Tables) -> String {
    match tables.task_of(task) {
        Some(info) => tables.text_of(info.name).to_owned(),
        None => tables.task_name(task),
    }
}
