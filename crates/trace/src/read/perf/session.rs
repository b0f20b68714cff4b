// SPDX-License-Identifier: GPL-2.0-or-later
//! What the records of perf say, one after the other.

use super::attribute::{ATTRIBUTE_BYTES_MIN, Attribute, Trailer};
use super::features;
use super::queue::{Kept, Queue, Waiting};
use crate::read::kernel::{Kernel, Named, Point, Traced};
use crate::read::order::Order;
use crate::read::points::Points;
use crate::read::tracing::{Cursor, Tracing};
use rota_events::{Event, MachineFacts, Problems};
use std::collections::BTreeMap;

/// Kinds of records.
mod kind {
    pub(super) const LOST: u32 = 2;
    pub(super) const COMM: u32 = 3;
    pub(super) const EXIT: u32 = 4;
    pub(super) const FORK: u32 = 7;
    pub(super) const SAMPLE: u32 = 9;
    pub(super) const LOST_SAMPLES: u32 = 13;
    pub(super) const ATTRIBUTE: u32 = 64;
    pub(super) const TRACING_DATA: u32 = 66;
    pub(super) const AUXTRACE: u32 = 71;
    pub(super) const FEATURE: u32 = 80;
    pub(super) const COMPRESSED: u32 = 81;
    pub(super) const COMPRESSED2: u32 = 83;
}

/// The kind of the record that says that a round is over.
pub(super) const FINISHED_ROUND: u32 = 68;

/// More events than perf can record at once: kernels have some 2,000 tracepoints.
const ATTRIBUTES_MAX: usize = 1 << 14;
/// So many numbers of events are found at once: the kernel gives them one after the other.
const RECENT_IDS: usize = 1 << 8;

/// What comes after a record, or is in it.
pub(super) enum Next {
    /// The next record.
    Record,
    /// So many bytes: a description of tracepoints.
    Tracing(usize),
    /// So many bytes that are not wanted.
    Skip(u64),
    /// From here on in the record, records that are compressed.
    Compressed(usize, usize),
}

/// What is known so far.
pub(super) struct Session {
    pub(super) order: Order,
    pub(super) machine: MachineFacts,
    pub(super) kernel: Kernel,
    pub(super) problems: Problems,
    pub(super) events: Vec<Event>,
    points: Points,
    attributes: Vec<Attribute>,
    /// The first of them that samples without a number can be read by.
    nameless: Option<usize>,
    /// Which attribute the numbers in samples stand for.
    ids: BTreeMap<u64, usize>,
    /// The same of numbers that were met lately.
    recent_ids: [Option<(u64, usize)>; RECENT_IDS],
    queue: Queue,
    last_ns: u64,
    late: u64,
    /// What was told to be lost where it was, and all together.
    lost: u64,
    lost_samples: u64,
}

impl Session {
    pub(super) fn new(order: Order) -> Self {
        let machine = MachineFacts { clock: "perf".to_owned(), ..MachineFacts::default() };
        Self {
            order,
            machine,
            kernel: Kernel::default(),
            problems: Problems::default(),
            events: Vec::new(),
            points: Points::default(),
            attributes: Vec::new(),
            nameless: None,
            ids: BTreeMap::new(),
            recent_ids: [None; RECENT_IDS],
            queue: Queue::default(),
            last_ns: 0,
            late: 0,
            lost: 0,
            lost_samples: 0,
        }
    }

    /// Takes an attribute with the numbers that stand for it, unless there are too many.
    pub(super) fn attribute(&mut self, bytes: &[u8], ids: &[u8]) -> Option<()> {
        if self.attributes.len() >= ATTRIBUTES_MAX {
            return None;
        }
        let attribute = Attribute::parse(bytes, self.order)?;
        if let Some(clock) = attribute.clock {
            self.machine.clock = clock_name(clock);
        }
        let number = self.attributes.len();
        if attribute.is_tracepoint && attribute.lacks().is_none() {
            self.nameless.get_or_insert(number);
        }
        self.attributes.push(attribute);
        for id in ids.chunks_exact(8) {
            self.ids.insert(self.order.u64(id, 0)?, number);
        }
        self.recent_ids = [None; RECENT_IDS];
        Some(())
    }

    /// Takes a description of tracepoints.
    pub(super) fn tracing(&mut self, bytes: &[u8]) {
        let tracing = Tracing::parse(&mut Cursor::new(bytes, self.order));
        tracing
            .iter()
            .flat_map(|tracing| &tracing.formats)
            .for_each(|format| self.points.add(format));
    }

    /// Why nothing of it can be read, if that is so.
    pub(super) fn unusable(&self) -> Option<String> {
        let is_wanted = |a: &&Attribute| {
            a.is_tracepoint && (self.points.is_empty() || self.points.wants(a.config))
        };
        let tracepoints: Vec<_> = self.attributes.iter().filter(is_wanted).collect();
        if tracepoints.is_empty() {
            return Some("no tracepoints are recorded here: perf sched record does".to_owned());
        }
        if let Some(lacks) = tracepoints.iter().find_map(|attribute| attribute.lacks()) {
            return Some(format!("its samples have no {lacks}: perf sched record records it"));
        }
        self.points.is_empty().then(|| {
            "it has no description of the tracepoints of scheduling; it may not have been ended, or \
             records others"
                .to_owned()
        })
    }

    /// Takes a record without its head.
    pub(super) fn record(&mut self, kind: u32, bytes: &[u8], at: u64) -> Next {
        let order = self.order;
        let number = |at| order.u32(bytes, at).map(u32::cast_signed);
        match kind {
            kind::SAMPLE => self.sample(bytes, at),
            kind::COMM => {
                if let (Some(pid), Some(tid)) = (number(0), number(4)) {
                    let name = bytes.get(8..).unwrap_or_default();
                    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                    let task = Named { pid: tid, name: &name[..end] };
                    let kept = Kept::Point(self.kernel.keep(&Point::Rename { task }));
                    self.other(bytes, None, pid, tid, kept);
                    self.other(bytes, None, pid, tid, Kept::Thread);
                }
            }
            kind::FORK | kind::EXIT => {
                let numbers = (number(0), number(4), number(8), number(12), order.u64(bytes, 16));
                if let (Some(pid), Some(_), Some(tid), Some(parent), Some(time)) = numbers {
                    let task = |pid| Named { pid, name: &[] };
                    let (wanted, point) = match kind {
                        kind::FORK => {
                            ("fork", Point::Fork { parent: task(parent), child: task(tid) })
                        }
                        _ => ("exit", Point::Exit { task: task(tid) }),
                    };
                    if kind == kind::FORK {
                        self.other(bytes, Some(time), pid, tid, Kept::Forked);
                    }
                    // What is there at the start was not born then.
                    if !self.points.has(|name| name == wanted) && time != 0 {
                        let kept = Kept::Point(self.kernel.keep(&point));
                        self.other(bytes, Some(time), pid, tid, kept);
                    }
                }
            }
            kind::LOST => {
                if let Some(lost) = order.u64(bytes, 8) {
                    self.lost = self.lost.saturating_add(lost);
                    self.other(bytes, None, 0, 0, Kept::lost(lost));
                }
            }
            kind::LOST_SAMPLES => {
                let lost = order.u64(bytes, 0).unwrap_or(0);
                self.lost_samples = self.lost_samples.saturating_add(lost);
            }
            FINISHED_ROUND => {
                let ready = self.queue.round();
                self.emit(ready);
            }
            kind::ATTRIBUTE => self.piped_attribute(bytes, at),
            kind::FEATURE => {
                if let (Some(feature), Some(rest)) = (order.u64(bytes, 0), bytes.get(8..)) {
                    let feature = u32::try_from(feature).unwrap_or(u32::MAX);
                    features::take(feature, rest, order, &mut self.machine);
                }
            }
            kind::TRACING_DATA => {
                return Next::Tracing(order.u32(bytes, 0).unwrap_or(0) as usize);
            }
            kind::AUXTRACE => return Next::Skip(order.u64(bytes, 0).unwrap_or(0)),
            kind::COMPRESSED => return Next::Compressed(0, bytes.len()),
            kind::COMPRESSED2 => {
                let size = order.u64(bytes, 0).map_or(0, |size| size as usize);
                let from = bytes.len().min(8);
                return Next::Compressed(from, size.saturating_add(8).clamp(from, bytes.len()));
            }
            _ => {}
        }
        self.make_room();
        Next::Record
    }

    /// What a file without rounds says is not kept for ever.
    fn make_room(&mut self) {
        if self.queue.is_full() {
            let ready = self.queue.half();
            self.emit(ready);
        }
    }

    /// In a pipe, attributes are records.
    fn piped_attribute(&mut self, bytes: &[u8], at: u64) {
        let size = self.order.u32(bytes, 4).map_or(0, |size| size as usize);
        let size = size.max(ATTRIBUTE_BYTES_MIN);
        let parts = bytes.split_at_checked(size);
        if parts.and_then(|(attribute, ids)| self.attribute(attribute, ids)).is_none() {
            self.problems.add(at, "an attribute that is cut off");
        }
    }

    /// How a sample is to be read; nothing, if its event is not wanted.
    fn attribute_of(&mut self, bytes: &[u8]) -> Option<Attribute> {
        let first = self.attributes.first()?;
        let id = first.id_at().and_then(|at| self.order.u64(bytes, at));
        let known = id.and_then(|id| self.place_of(id)).and_then(|i| self.attributes.get(i));
        match known {
            Some(known) => {
                (known.is_tracepoint && self.points.wants(known.config)).then_some(*known)
            }
            // Old files, and those with one event only, have no numbers: the raw record tells.
            None => self.attributes.get(self.nameless?).copied(),
        }
    }

    /// Which attribute a number stands for.
    fn place_of(&mut self, id: u64) -> Option<usize> {
        let recent = &mut self.recent_ids[id as usize % RECENT_IDS];
        match *recent {
            Some((known, place)) if known == id => Some(place),
            _ => {
                let place = *self.ids.get(&id)?;
                *recent = Some((id, place));
                Some(place)
            }
        }
    }

    fn sample(&mut self, bytes: &[u8], at: u64) {
        let Some(attribute) = self.attribute_of(bytes) else { return };
        let Some(sample) = attribute.sample(bytes, self.order) else {
            return self.problems.add(at, "a sample that is cut off");
        };
        match self.points.read(sample.raw, self.order) {
            Ok(Some(found)) => {
                let tid = found.current.unwrap_or(sample.tid);
                let pid = if tid == sample.tid { sample.pid } else { 0 };
                let (time_ns, cpu, interrupt) = (sample.time_ns, sample.cpu, found.interrupt);
                let kept = Kept::Point(self.kernel.keep(&found.point));
                self.queue.add(Waiting { time_ns, cpu, tid, pid, interrupt, kept });
            }
            Ok(None) => {}
            Err(()) => self.problems.add(at, "a sample whose raw record is cut off"),
        }
    }

    /// Something else that waits for its turn.
    fn other(&mut self, bytes: &[u8], time_ns: Option<u64>, pid: i32, tid: i32, kept: Kept) {
        let trailer = match self.attributes.first() {
            Some(attribute) => attribute.trailer(bytes, self.order),
            None => Trailer::default(),
        };
        let mut time_ns = time_ns.unwrap_or(trailer.time_ns);
        if time_ns == 0 && matches!(kept, Kept::Point(Point::Lost { .. })) {
            time_ns = self.queue.youngest_ns();
        }
        self.queue.add(Waiting { time_ns, cpu: trailer.cpu, tid, pid, interrupt: false, kept });
    }

    /// Makes events of what has its turn.
    fn emit(&mut self, ready: Vec<Waiting>) {
        for &Waiting { time_ns, cpu, tid: current, pid, interrupt, kept } in &ready {
            match kept {
                Kept::Forked => self.kernel.forked(current, pid),
                _ if pid > 0 && current > 0 => self.kernel.thread(current, Some(pid), b""),
                _ => {}
            }
            let Kept::Point(point) = kept else { continue };
            if !matches!(point, Point::Rename { .. }) {
                self.late += u64::from(time_ns < self.last_ns);
                self.last_ns = self.last_ns.max(time_ns);
            }
            let traced = Traced { time_ns, cpu, current, interrupt, point };
            self.kernel.add_kept(&traced, &mut self.events);
        }
        self.queue.recycle(ready);
    }

    /// Something could not be read: what was under way before is not to be believed after it.
    pub(super) fn hole(&mut self) {
        let (time_ns, kept) = (self.queue.youngest_ns(), Kept::lost(1));
        self.queue.add(Waiting { time_ns, cpu: 0, tid: 0, pid: 0, interrupt: false, kept });
    }

    /// At the end of the file.
    pub(super) fn finish(&mut self, at: u64) {
        // What was lost is counted twice: where it was, and at the end for each event.
        let untold = self.lost_samples.saturating_sub(self.lost);
        if untold > 0 {
            let time_ns = self.queue.youngest_ns();
            let kept = Kept::lost(untold);
            self.queue.add(Waiting { time_ns, cpu: 0, tid: 0, pid: 0, interrupt: false, kept });
        }
        let ready = self.queue.finish();
        self.emit(ready);
        if self.late > 0 {
            self.problems.add(at, format!("{} events stand after younger ones", self.late));
        }
    }
}

/// A clock's name by its number (kernel: `include/uapi/linux/time.h`).
fn clock_name(clock: i32) -> String {
    match clock {
        0 => "realtime".to_owned(),
        1 => "monotonic".to_owned(),
        4 => "monotonic_raw".to_owned(),
        7 => "boottime".to_owned(),
        11 => "tai".to_owned(),
        other => format!("clock {other}"),
    }
}
