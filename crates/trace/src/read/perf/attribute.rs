// SPDX-License-Identifier: GPL-2.0-or-later
//! What an event of perf was asked to record, and so where things are in its samples (kernel:
//! `include/uapi/linux/perf_event.h`).

use crate::read::order::Order;

/// Bits of `sample_type` that tell where the raw record of a tracepoint is.
mod sample {
    pub(super) const IP: u64 = 1;
    pub(super) const TID: u64 = 1 << 1;
    pub(super) const TIME: u64 = 1 << 2;
    pub(super) const ADDR: u64 = 1 << 3;
    pub(super) const READ: u64 = 1 << 4;
    pub(super) const CALLCHAIN: u64 = 1 << 5;
    pub(super) const ID: u64 = 1 << 6;
    pub(super) const CPU: u64 = 1 << 7;
    pub(super) const PERIOD: u64 = 1 << 8;
    pub(super) const STREAM_ID: u64 = 1 << 9;
    pub(super) const RAW: u64 = 1 << 10;
    pub(super) const IDENTIFIER: u64 = 1 << 16;
}

/// Bits of `read_format`.
mod read {
    pub(super) const TIMES: u64 = 0b11;
    pub(super) const ID: u64 = 1 << 2;
    pub(super) const GROUP: u64 = 1 << 3;
    pub(super) const LOST: u64 = 1 << 4;
}

/// Bits of the flags, by their number.
const SAMPLE_ID_ALL: u32 = 18;
const USE_CLOCKID: u32 = 25;

/// The least bytes of an attribute: the first version of the structure.
pub(super) const ATTRIBUTE_BYTES_MIN: usize = 64;
/// Tracepoints have this type.
const TYPE_TRACEPOINT: u32 = 2;

/// Where things are in a sample, in bytes from the end of its head. What is not there has a place too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Places {
    tid: usize,
    time: usize,
    cpu: usize,
    /// The values that were read, if any were, then call chain and raw record.
    rest: usize,
}

impl Places {
    fn of(sample_type: u64) -> Self {
        let (mut places, mut at) = (Self::default(), 0);
        let order = [
            sample::IDENTIFIER,
            sample::IP,
            sample::TID,
            sample::TIME,
            sample::ADDR,
            sample::ID,
            sample::STREAM_ID,
            sample::CPU,
            sample::PERIOD,
        ];
        for bit in order {
            match bit {
                sample::TID => places.tid = at,
                sample::TIME => places.time = at,
                sample::CPU => places.cpu = at,
                _ => {}
            }
            at += if sample_type & bit == 0 { 0 } else { 8 };
        }
        places.rest = at;
        places
    }
}

/// What an event was asked to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) is_tracepoint: bool,
    /// The number of the tracepoint.
    pub(super) config: u64,
    sample_type: u64,
    places: Places,
    read_format: u64,
    sample_id_all: bool,
    /// The clock of its times, if one was asked for.
    pub(super) clock: Option<i32>,
}

/// What a sample says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) time_ns: u64,
    pub(super) cpu: u32,
    pub(super) pid: i32,
    pub(super) tid: i32,
    pub(super) raw: &'a [u8],
}

/// What a record that is no sample says at its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trailer {
    pub(super) time_ns: u64,
    pub(super) cpu: u32,
}

impl Attribute {
    /// Reads a `struct perf_event_attr`.
    pub(super) fn parse(bytes: &[u8], order: Order) -> Option<Self> {
        let flags = order.u64(bytes, 40)?;
        // Bit fields begin at the other end where the highest byte comes first.
        let flag = |bit: u32| match order {
            Order::Little => flags >> bit & 1 != 0,
            Order::Big => flags >> (63 - bit) & 1 != 0,
        };
        let clock = order.u32(bytes, 92).map(u32::cast_signed).filter(|_| flag(USE_CLOCKID));
        let sample_type = order.u64(bytes, 24)?;
        Some(Self {
            is_tracepoint: order.u32(bytes, 0)? == TYPE_TRACEPOINT,
            config: order.u64(bytes, 8)?,
            sample_type,
            places: Places::of(sample_type),
            read_format: order.u64(bytes, 32)?,
            sample_id_all: flag(SAMPLE_ID_ALL),
            clock,
        })
    }

    fn has(&self, bit: u64) -> bool {
        self.sample_type & bit != 0
    }

    /// What is missing in its samples, without which they are of no use.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        [(sample::TIME, "time"), (sample::CPU, "CPU"), (sample::RAW, "raw record")]
            .into_iter()
            .find(|(bit, _)| !self.has(*bit))
            .map(|(_, name)| name)
    }

    /// Where in a sample the number is by which its event is known, in bytes from the end of the
    /// head.
    pub(super) fn id_at(&self) -> Option<usize> {
        if self.has(sample::IDENTIFIER) {
            return Some(0);
        }
        let before = [sample::IP, sample::TID, sample::TIME, sample::ADDR];
        let before = before.iter().filter(|bit| self.has(**bit)).count();
        self.has(sample::ID).then_some(8 * before)
    }

    /// Reads a sample, without its head; `None` if it is too short.
    pub(super) fn sample<'a>(&self, bytes: &'a [u8], order: Order) -> Option<Sample<'a>> {
        let Places { tid, time, cpu, rest: mut at } = self.places;
        if self.has(sample::READ) {
            at = at.checked_add(self.read_bytes(bytes.get(at..)?, order)?)?;
        }
        if self.has(sample::CALLCHAIN) {
            let frames = usize::try_from(order.u64(bytes, at)?).ok()?;
            at = at.checked_add(8)?.checked_add(frames.checked_mul(8)?)?;
        }
        let size = order.u32(bytes, at)? as usize;
        let raw = bytes.get(at + 4..)?.get(..size)?;
        let has_tid = self.has(sample::TID);
        let number = |at| Some(if has_tid { order.u32(bytes, at)?.cast_signed() } else { 0 });
        Some(Sample {
            time_ns: order.u64(bytes, time)?,
            cpu: order.u32(bytes, cpu)?,
            pid: number(tid)?,
            tid: number(tid + 4)?,
            raw,
        })
    }

    /// How many bytes a read value has.
    fn read_bytes(&self, bytes: &[u8], order: Order) -> Option<usize> {
        let times = (self.read_format & read::TIMES).count_ones() as usize;
        let one = 1 + (self.read_format & (read::ID | read::LOST)).count_ones() as usize;
        if self.read_format & read::GROUP == 0 {
            return Some(8 * (times + one));
        }
        let count = usize::try_from(order.u64(bytes, 0)?).ok()?;
        count.checked_mul(one)?.checked_add(1 + times)?.checked_mul(8)
    }

    /// Reads the end of a record that is no sample.
    pub(super) fn trailer(&self, bytes: &[u8], order: Order) -> Trailer {
        let mut trailer = Trailer::default();
        if !self.sample_id_all {
            return trailer;
        }
        // From the end on.
        let mut end = bytes.len();
        let last_first =
            [sample::IDENTIFIER, sample::CPU, sample::STREAM_ID, sample::ID, sample::TIME];
        for bit in last_first.into_iter().filter(|bit| self.has(*bit)) {
            let Some(at) = end.checked_sub(8) else { return trailer };
            end = at;
            match bit {
                sample::CPU => trailer.cpu = order.u32(bytes, at).unwrap_or(0),
                sample::TIME => trailer.time_ns = order.u64(bytes, at).unwrap_or(0),
                _ => {}
            }
        }
        trailer
    }
}
