// SPDX-License-Identifier: GPL-2.0-or-later
//! What a file says beside what the CPUs wrote (`trace-cmd.dat.v6(5)`, `trace-cmd.dat.v7(5)`).
//!
//! Version 6 has all of it in one piece, before the rest. In version 7 it is in sections, which may be
//! compressed, and which options point to.

use super::ring::Places;
use super::unpack::Packing;
use crate::read::input::{SECTION_MAX, section};
use crate::read::order::Order;
use crate::read::points::Points;
use crate::read::tracing::{Cursor, Tracing};
use crate::read::{ReadError, Seekable};
use rota_events::{CpuPlace, MachineFacts, Problems};
use std::collections::BTreeMap;
use std::io;

/// How much of a file of version 6 is looked at, at first.
const HEAD_BYTES: u64 = 4 << 20;
/// More CPUs than a kernel can have, and more sections of options than a file.
const CPUS_MAX: u32 = 1 << 14;
const OPTIONS_MAX: usize = 1000;
/// Sizes of pages, in bytes: those of the kernel's buffers may be larger than those of memory.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 256..=1 << 20;

/// Kinds of options.
mod option {
    pub(super) const DONE: u16 = 0;
    pub(super) const BUFFER: u16 = 3;
    pub(super) const TRACECLOCK: u16 = 4;
    pub(super) const UNAME: u16 = 5;
    pub(super) const OFFSET: u16 = 7;
    pub(super) const CPUCOUNT: u16 = 8;
    pub(super) const TSC2NSEC: u16 = 14;
    pub(super) const HEADER_INFO: u16 = 16;
    pub(super) const FTRACE_EVENTS: u16 = 17;
    pub(super) const EVENT_FORMATS: u16 = 18;
    pub(super) const CMDLINES: u16 = 21;
    /// Of trace-cmd as it is changed for gpuvis.
    pub(super) const SAVED_TGIDS: u16 = 32;
}

/// Where a CPU's pages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) cpu: u32,
    pub(super) at: u64,
    pub(super) size: u64,
}

/// One of the kernel's buffers: the main one, whose name is empty, or that of an instance.
#[derive(Debug, Clone, Default)]
struct Buffer {
    name: String,
    clock: String,
    page_size: Option<u32>,
    extents: Vec<Extent>,
    packed: bool,
}

impl Buffer {
    fn bytes(&self) -> u64 {
        self.extents.iter().fold(0, |sum, extent| sum.saturating_add(extent.size))
    }
}

/// How times of the recording become ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// Multiplier, how far to the right then, and what is taken off before.
    cycles: Option<(u32, u32, u64)>,
    /// What is added.
    shift_ns: i64,
}

impl Clock {
    /// The time in ns.
    pub(super) fn ns(&self, time: u64) -> u64 {
        let ns = match self.cycles {
            Some((times, right, base)) => {
                let scaled = u128::from(time.wrapping_sub(base)) * u128::from(times);
                scaled.checked_shr(right).unwrap_or(0) as u64
            }
            None => time,
        };
        ns.wrapping_add_signed(self.shift_ns)
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) order: Order,
    pub(super) page_size: usize,
    pub(super) places: Places,
    /// How the pages are compressed.
    pub(super) packing: Option<Packing>,
    pub(super) clock: Clock,
    pub(super) points: Points,
    pub(super) names: BTreeMap<i32, Vec<u8>>,
    /// Threads with their processes, if it is told.
    pub(super) tgids: BTreeMap<i32, i32>,
    pub(super) extents: Vec<Extent>,
    pub(super) machine: MachineFacts,
}

impl Head {
    pub(super) fn read(
        file: &mut Box<dyn Seekable>,
        problems: &mut Problems,
    ) -> Result<Self, ReadError> {
        let start = section(file, 0, 1 << 12)?;
        let mut parts = Parts::new();
        let is_seven = start.get(10..12) == Some(b"7\0");
        if is_seven {
            seven(file, &start, &mut parts, problems)?;
        } else if start.get(10..12) == Some(b"6\0") {
            let mut size = HEAD_BYTES;
            loop {
                let bytes = section(file, 0, size)?;
                parts = Parts::new();
                if six(&bytes, &mut parts).is_some() {
                    break;
                }
                if size >= SECTION_MAX || (bytes.len() as u64) < size {
                    return Err(unusable("it ends before what CPUs wrote, or is damaged there"));
                }
                size *= 4;
            }
            parts.instances(file)?;
        } else {
            return Err(unusable("its version is neither 6 nor 7"));
        }
        let head = parts.head(problems)?;
        if !head.points.is_empty() {
            return Ok(head);
        }
        Err(match problems.list().first() {
            Some(problem) => unusable(&problem.to_string()),
            None => unusable("it has no events of scheduling: record them with -e sched"),
        })
    }
}

fn unusable(why: &str) -> ReadError {
    ReadError::Unusable(format!("trace.dat can't be read: {why}"))
}

/// What was found so far.
struct Parts {
    tracing: Option<Tracing>,
    packing: Option<Packing>,
    buffers: Vec<Buffer>,
    /// Places of the buffers of instances, in version 6, by their names.
    places: Vec<(u64, String)>,
    names: BTreeMap<i32, Vec<u8>>,
    tgids: BTreeMap<i32, i32>,
    clock: Clock,
    clock_name: String,
    kernel: String,
    cpus: u32,
}

impl Parts {
    fn new() -> Self {
        Self {
            tracing: None,
            packing: None,
            buffers: Vec::new(),
            places: Vec::new(),
            names: BTreeMap::new(),
            tgids: BTreeMap::new(),
            clock: Clock::default(),
            clock_name: String::new(),
            kernel: String::new(),
            cpus: 0,
        }
    }

    /// Takes an option that both versions have.
    fn option(&mut self, kind: u16, bytes: &[u8], order: Order) {
        let text = || {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        match kind {
            option::TRACECLOCK => {
                let list = text();
                let name = list.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
                self.clock_name = name.map_or("", |(name, _)| name).to_owned();
            }
            option::UNAME => {
                self.kernel = text().split(' ').nth(2).unwrap_or_default().to_owned();
            }
            option::OFFSET => self.clock.shift_ns = text().trim().parse().unwrap_or(0),
            // Older ones of those give it the number that then became that of CPUs.
            option::CPUCOUNT if bytes.len() > 8 => self.processes(bytes),
            option::SAVED_TGIDS => self.processes(bytes),
            option::CPUCOUNT => self.cpus = order.u32(bytes, 0).unwrap_or(0),
            option::TSC2NSEC => {
                let numbers = (order.u32(bytes, 0), order.u32(bytes, 4), order.u64(bytes, 8));
                if let (Some(times), Some(right), Some(base)) = numbers {
                    self.clock.cycles = Some((times, right, base));
                }
            }
            _ => {}
        }
    }

    /// Takes lines of thread ids and those of their processes.
    fn processes(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for line in text.lines() {
            let numbers = line.trim_end_matches('\0').split_once(' ');
            let numbers = numbers.map(|(pid, tgid)| (pid.trim().parse(), tgid.trim().parse()));
            if let Some((Ok(pid), Ok(tgid))) = numbers {
                self.tgids.insert(pid, tgid);
            }
        }
    }

    /// Takes lines of thread ids and names.
    fn names(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let Some(space) = line.iter().position(|byte| *byte == b' ') else { continue };
            let pid = std::str::from_utf8(&line[..space]).ok().and_then(|pid| pid.parse().ok());
            if let Some(pid) = pid {
                self.names.insert(pid, line[space + 1..].to_vec());
            }
        }
    }

    /// Reads where pages of instances are, in version 6.
    fn instances(&mut self, file: &mut Box<dyn Seekable>) -> io::Result<()> {
        let Some(order) = self.tracing.as_ref().map(|tracing| tracing.order) else {
            return Ok(());
        };
        let cpus = self.cpus.min(CPUS_MAX);
        for (at, name) in std::mem::take(&mut self.places) {
            let bytes = section(file, at, 10 + 16 * u64::from(cpus))?;
            let mut cursor = Cursor::new(&bytes, order);
            if cursor.text() == Some(b"flyrecord") {
                let extents = (0..cpus).map_while(|cpu| extent(cpu, &mut cursor)).collect();
                self.buffers.push(Buffer { name, extents, ..Buffer::default() });
            }
        }
        Ok(())
    }

    fn head(self, problems: &mut Problems) -> Result<Head, ReadError> {
        let tracing = self.tracing.ok_or_else(|| unusable("no events are described"))?;
        let page = tracing.page.as_ref().and_then(Places::of);
        let places = page.ok_or_else(|| unusable("the pages of its buffers are not described"))?;
        // Who records into an instance leaves the main buffer empty.
        let chosen = self.buffers.iter().position(|buffer| buffer.bytes() > 0).unwrap_or(0);
        for (i, other) in self.buffers.iter().enumerate() {
            if i != chosen && other.bytes() > 0 {
                problems.add(0, format!("the buffer {:?} is not read", other.name));
            }
        }
        let buffer = self.buffers.into_iter().nth(chosen).unwrap_or_default();
        let page_size = buffer.page_size.unwrap_or(tracing.page_size);
        if !PAGE_BYTES.contains(&page_size) {
            return Err(unusable("the size of its pages makes no sense"));
        }
        let clock = if buffer.clock.is_empty() { self.clock_name } else { buffer.clock };
        if ["counter", "uptime", "x86-tsc"].contains(&clock.as_str()) && self.clock.cycles.is_none()
        {
            problems.add(0, format!("times of the clock {clock} are not in ns"));
        }
        let mut points = Points::default();
        tracing.formats.iter().for_each(|format| points.add(format));
        let alone = |cpu| CpuPlace { core: cpu, ..CpuPlace::default() };
        Ok(Head {
            order: tracing.order,
            page_size: page_size as usize,
            places,
            packing: self.packing.filter(|_| buffer.packed),
            clock: self.clock,
            points,
            names: self.names,
            tgids: self.tgids,
            extents: buffer.extents,
            machine: MachineFacts {
                kernel: self.kernel,
                clock,
                cpus: (0..self.cpus.min(CPUS_MAX)).map(alone).collect(),
                ..MachineFacts::default()
            },
        })
    }
}

fn extent(cpu: u32, cursor: &mut Cursor<'_>) -> Option<Extent> {
    Some(Extent { cpu, at: cursor.u64()?, size: cursor.u64()? })
}

/// Reads the head of a file of version 6; `None` if it is cut off.
fn six(bytes: &[u8], parts: &mut Parts) -> Option<()> {
    let mut cursor = Cursor::new(bytes, Order::Little);
    parts.tracing = Some(Tracing::parse(&mut cursor)?);
    for _symbols_and_messages in 0..2 {
        let size = cursor.u32()?;
        cursor.take(size as usize)?;
    }
    parts.names(cursor.sized()?);
    parts.cpus = cursor.u32()?;
    let mut kind = cursor.text()?;
    if kind == b"options  " {
        loop {
            let option = cursor.u16()?;
            if option == option::DONE {
                break;
            }
            let size = cursor.u32()?;
            let held = cursor.take(size as usize)?;
            if option == option::BUFFER {
                let mut held = Cursor::new(held, cursor.order);
                let (at, name) = (held.u64()?, held.text().unwrap_or_default());
                parts.places.push((at, String::from_utf8_lossy(name).into_owned()));
            } else {
                parts.option(option, held, cursor.order);
            }
        }
        kind = cursor.text()?;
    }
    if kind != b"flyrecord" {
        return None;
    }
    let cpus = parts.cpus.min(CPUS_MAX);
    let extents: Option<_> = (0..cpus).map(|cpu| extent(cpu, &mut cursor)).collect();
    parts.buffers.push(Buffer { extents: extents?, ..Buffer::default() });
    Some(())
}

/// Reads all sections of a file of version 7 but the pages.
fn seven(
    file: &mut Box<dyn Seekable>,
    start: &[u8],
    parts: &mut Parts,
    problems: &mut Problems,
) -> Result<(), ReadError> {
    let cut = || unusable("it ends in its first bytes");
    let mut cursor = Cursor::new(start, Order::Little);
    let tracing = parts.tracing.insert(Tracing::start(&mut cursor).ok_or_else(cut)?);
    let order = tracing.order;
    let packing = cursor.text().ok_or_else(cut)?;
    cursor.text().ok_or_else(cut)?;
    parts.packing = Packing::named(packing);
    if parts.packing.is_none() && packing != b"none" {
        let name = String::from_utf8_lossy(packing);
        return Err(unusable(&format!("{name} is not known here; trace-cmd convert unpacks it")));
    }
    let first = cursor.u64().ok_or_else(cut)?;
    if section(file, first, SECTION_HEAD)?.len() < SECTION_HEAD as usize {
        return Err(unusable("it ends before its options, which say where everything is"));
    }
    let mut next = first;
    for _ in 0..OPTIONS_MAX {
        if next == 0 {
            return Ok(());
        }
        let at = std::mem::take(&mut next);
        let Some(options) = part(file, at, order, parts.packing, problems)? else { return Ok(()) };
        let mut cursor = Cursor::new(&options, order);
        while let (Some(kind), Some(size)) = (cursor.u16(), cursor.u32()) {
            let Some(held) = cursor.take(size as usize) else {
                problems.add(at, "an option that is cut off");
                break;
            };
            let place = order.u64(held, 0);
            match (kind, place) {
                (option::DONE, place) => {
                    next = place.unwrap_or(0);
                    break;
                }
                (option::BUFFER, Some(place)) => {
                    let packed = packed(file, place, order)?;
                    let buffer = buffer(&mut Cursor::new(&held[8..], order), packed);
                    parts.buffers.extend(buffer);
                }
                (
                    option::HEADER_INFO
                    | option::FTRACE_EVENTS
                    | option::EVENT_FORMATS
                    | option::CMDLINES,
                    Some(place),
                ) => {
                    if let Some(bytes) = part(file, place, order, parts.packing, problems)? {
                        described(kind, &bytes, order, parts);
                    }
                }
                _ => parts.option(kind, held, order),
            }
        }
    }
    problems.add(next, "there are more sections of options than there can be");
    Ok(())
}

/// Takes a section that describes something.
fn described(kind: u16, bytes: &[u8], order: Order, parts: &mut Parts) {
    let mut cursor = Cursor::new(bytes, order);
    let Some(tracing) = &mut parts.tracing else { return };
    match kind {
        // What can't be read of it is missed later.
        option::HEADER_INFO => {
            let _ = tracing.header(&mut cursor);
        }
        option::FTRACE_EVENTS => {
            let _ = tracing.tracers(&mut cursor);
        }
        option::EVENT_FORMATS => tracing.systems(&mut cursor),
        _ => {
            if let Some(lines) = cursor.sized() {
                parts.names(lines);
            }
        }
    }
}

/// Reads where the pages of a buffer are.
fn buffer(cursor: &mut Cursor<'_>, packed: bool) -> Option<Buffer> {
    let name = String::from_utf8_lossy(cursor.text()?).into_owned();
    let clock = String::from_utf8_lossy(cursor.text()?).into_owned();
    // The manual page does not know of the size of pages.
    let page_size = if cursor.left() % 20 == 8 { Some(cursor.u32()?) } else { None };
    let cpus = cursor.u32()?.min(CPUS_MAX);
    let extents = (0..cpus).map_while(|_| {
        let cpu = cursor.u32()?;
        extent(cpu, cursor)
    });
    Some(Buffer { name, clock, page_size, extents: extents.collect(), packed })
}

/// Bytes of the head of a section: kind, flags, description, size.
const SECTION_HEAD: u64 = 16;

/// Whether a section is compressed.
fn packed(file: &mut Box<dyn Seekable>, at: u64, order: Order) -> io::Result<bool> {
    let head = section(file, at, SECTION_HEAD)?;
    Ok(order.u16(&head, 2).is_some_and(|flags| flags & 1 != 0))
}

/// What is in a section.
fn part(
    file: &mut Box<dyn Seekable>,
    at: u64,
    order: Order,
    packing: Option<Packing>,
    problems: &mut Problems,
) -> io::Result<Option<Vec<u8>>> {
    let head = section(file, at, SECTION_HEAD)?;
    let (Some(flags), Some(size)) = (order.u16(&head, 2), order.u64(&head, 8)) else {
        problems.add(at, "cut off: a section is missing");
        return Ok(None);
    };
    let bytes = section(file, at.saturating_add(SECTION_HEAD), size)?;
    if (bytes.len() as u64) < size {
        problems.add(at, "a section that is cut off, or too large");
    }
    let (1, Some(packing)) = (flags & 1, packing) else { return Ok(Some(bytes)) };
    let mut cursor = Cursor::new(&bytes, order);
    let held = (|| {
        let (packed, whole) = (cursor.u32()?, cursor.u32()?);
        Some((cursor.take(packed as usize)?, whole))
    })();
    let Some((held, whole)) = held else {
        problems.add(at, "a compressed section that is cut off");
        return Ok(None);
    };
    let unpacked = packing.unpack(held, u64::from(whole).min(SECTION_MAX) as usize);
    Ok(unpacked.map_err(|why| problems.add(at, format!("a compressed section: {why}"))).ok())
}
