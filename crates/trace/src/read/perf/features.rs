// SPDX-License-Identifier: GPL-2.0-or-later
//! What a perf.data file says about the machine (its format: `tools/perf/Documentation`).

use crate::read::order::Order;
use crate::read::tracing::Cursor;
use rota_events::{CpuPlace, MachineFacts};

/// Features by their numbers.
pub(super) const TRACING_DATA: u32 = 1;
const OSRELEASE: u32 = 4;
const NRCPUS: u32 = 7;
const CMDLINE: u32 = 11;
const CPU_TOPOLOGY: u32 = 13;
const NUMA_TOPOLOGY: u32 = 14;
const CACHE: u32 = 20;

/// The features that are wanted.
pub(super) const WANTED: [u32; 7] =
    [TRACING_DATA, OSRELEASE, NRCPUS, CMDLINE, CPU_TOPOLOGY, NUMA_TOPOLOGY, CACHE];

/// More CPUs than a kernel can have.
const CPUS_MAX: u32 = 1 << 16;

/// Takes what a feature says. What can't be read says nothing.
pub(super) fn take(feature: u32, bytes: &[u8], order: Order, machine: &mut MachineFacts) {
    let mut cursor = Cursor::new(bytes, order);
    // Nothing else hangs on what could not be read.
    let _ = match feature {
        OSRELEASE => text(&mut cursor).map(|text| machine.kernel = text),
        CMDLINE => words(&mut cursor).map(|words| machine.command = words),
        NRCPUS => cpus(&mut cursor, machine),
        CPU_TOPOLOGY => cores(&mut cursor, machine),
        NUMA_TOPOLOGY => nodes(&mut cursor, machine),
        CACHE => caches(&mut cursor, machine),
        _ => None,
    };
}

/// A text with its length before it.
fn text(cursor: &mut Cursor<'_>) -> Option<String> {
    let length = cursor.u32()?;
    let bytes = cursor.take(length as usize)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

/// Texts with their number before them.
fn words(cursor: &mut Cursor<'_>) -> Option<Vec<String>> {
    let count = cursor.u32()?;
    // Each takes four bytes at least.
    (0..count.min(cursor.left() as u32 / 4)).map(|_| text(cursor)).collect()
}

/// How many CPUs there may be, and are.
fn cpus(cursor: &mut Cursor<'_>, machine: &mut MachineFacts) -> Option<()> {
    let (available, online) = (cursor.u32()?, cursor.u32()?);
    let count = available.max(online);
    if count <= CPUS_MAX {
        // Numbers of their own, until more is known.
        let alone = |cpu| CpuPlace { core: cpu, ..CpuPlace::default() };
        machine.cpus = (0..count).map(alone).collect();
    }
    Some(())
}

/// The CPUs of a list such as `0-3,8`.
fn list(text: &str) -> impl Iterator<Item = usize> + '_ {
    let range = |part: &str| {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let range = first.parse().ok()?..=last.parse::<usize>().ok()?.min(CPUS_MAX as usize);
        Some(range)
    };
    text.split(',').filter_map(range).flatten()
}

/// Gives all CPUs of each list a number of their own.
fn number(lists: &[String], machine: &mut MachineFacts, set: impl Fn(&mut CpuPlace, u32)) {
    for (i, cpus) in (0..).zip(lists) {
        for cpu in list(cpus) {
            if let Some(place) = machine.cpus.get_mut(cpu) {
                set(place, i);
            }
        }
    }
}

/// Lists of CPUs of each package, then of each core.
fn cores(cursor: &mut Cursor<'_>, machine: &mut MachineFacts) -> Option<()> {
    words(cursor)?;
    let threads = words(cursor)?;
    number(&threads, machine, |place, i| place.core = i);
    Some(())
}

fn nodes(cursor: &mut Cursor<'_>, machine: &mut MachineFacts) -> Option<()> {
    for _ in 0..cursor.u32()? {
        let node = cursor.u32()?;
        cursor.take(16)?;
        let cpus = text(cursor)?;
        number(&[cpus], machine, |place, _| place.node = node);
    }
    Some(())
}

fn caches(cursor: &mut Cursor<'_>, machine: &mut MachineFacts) -> Option<()> {
    cursor.u32()?;
    let (mut last, mut lists) = (0, Vec::new());
    for _ in 0..cursor.u32()? {
        let level = cursor.u32()?;
        cursor.take(12)?;
        let (_kind, _size, cpus) = (text(cursor)?, text(cursor)?, text(cursor)?);
        if level > last {
            (last, lists) = (level, Vec::new());
        }
        if level == last {
            lists.push(cpus);
        }
    }
    number(&lists, machine, |place, i| place.llc = i);
    Some(())
}
