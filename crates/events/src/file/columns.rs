// SPDX-License-Identifier: GPL-2.0-or-later
//! Events in columns: what belongs together in each stands together, as differences from what was to
//! be expected, and compressed.
//!
//! A column is as many numbers as there are events that have it, each in groups of seven bits, the
//! lowest first, with the highest bit set if more follow. A difference has its sign in the lowest bit.
//!
//! | column | of | as |
//! | --- | --- | --- |
//! | time | all | difference from the event before |
//! | CPU | all | number |
//! | kind | all | number |
//! | task | all | difference from the task that runs on that CPU, by the switches before |
//! | flags, a, b, c | each kind that there is, by their numbers | flags as number; a, and b of wakeups, as difference from the task that runs if they are tasks, else a as number, b and c as difference from the event of that kind before |
//!
//! All columns follow each other, compressed as a whole by Deflate (RFC 1951). Events stay in their
//! order, also those of one time on several CPUs.

use crate::event::{EVENT_BYTES, Event, Kind};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::collections::BTreeMap;

/// How hard it tries to compress, of 10.
const LEVEL: u8 = 5;
/// The most bytes that an event can take in all columns.
const MOST: usize = 64;

/// An event as five words, see [`Event::to_words`].
pub(super) type Words = [u64; EVENT_BYTES / 8];

/// The numbers of an event by their columns.
#[derive(Clone, Copy, Default)]
struct Row {
    time: u64,
    cpu: u32,
    task: u32,
    kind: u16,
    flags: u16,
    a: u32,
    b: u64,
    c: u64,
}

impl Row {
    fn of([time, place, kind, b, c]: Words) -> Self {
        Self {
            time,
            cpu: place as u32,
            task: (place >> 32) as u32,
            kind: kind as u16,
            flags: (kind >> 16) as u16,
            a: (kind >> 32) as u32,
            b,
            c,
        }
    }

    fn words(&self) -> Words {
        let pair = |low: u64, high: u32| low | u64::from(high) << 32;
        let kind = u64::from(self.kind) | u64::from(self.flags) << 16;
        [self.time, pair(self.cpu.into(), self.task), pair(kind, self.a), self.b, self.c]
    }
}

/// Whether `a` of a kind is a task, which often runs where that happens.
fn a_is_task(kind: u16) -> bool {
    [Kind::Switch, Kind::Waking, Kind::Fork].iter().any(|task| *task as u16 == kind)
}

/// Whether `b` of a kind is one.
fn b_is_task(kind: u16) -> bool {
    kind == Kind::Wakeup as u16
}

/// Who runs on each CPU, as far as switches have told.
#[derive(Default)]
struct Running(BTreeMap<u32, u32>);

impl Running {
    fn on(&self, cpu: u32) -> u32 {
        self.0.get(&cpu).copied().unwrap_or(0)
    }

    /// Sees whether an event is a switch.
    fn see(&mut self, row: &Row) {
        if row.kind == Kind::Switch as u16 {
            self.0.insert(row.cpu, row.task);
        }
    }
}

/// Columns to write.
#[derive(Default)]
struct Columns(Vec<u8>);

impl Columns {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number as the difference from another one; both go round at the end of 64 bits.
    fn difference(&mut self, number: u64, from: u64) {
        let difference = number.wrapping_sub(from).cast_signed();
        self.number((difference << 1 ^ difference >> 63).cast_unsigned());
    }

    /// The same of 32 bits.
    fn short_difference(&mut self, number: u32, from: u32) {
        let difference = number.wrapping_sub(from).cast_signed();
        self.number((difference << 1 ^ difference >> 31).cast_unsigned().into());
    }
}

/// Columns to read; `None` where they are damaged.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn short<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number().and_then(|number| T::try_from(number).ok())
    }

    fn difference(&mut self, from: u64) -> Option<u64> {
        let coded = self.number()?;
        Some(from.wrapping_add(coded >> 1 ^ (coded & 1).wrapping_neg()))
    }

    fn short_difference(&mut self, from: u32) -> Option<u32> {
        let coded: u32 = self.short()?;
        Some(from.wrapping_add(coded >> 1 ^ (coded & 1).wrapping_neg()))
    }
}

/// Packs events.
pub(super) fn pack(events: &[Event]) -> Vec<u8> {
    let rows: Vec<Row> = events.iter().map(|event| Row::of(event.to_words())).collect();
    let mut columns = Columns::default();
    let mut before = 0;
    for row in &rows {
        columns.difference(row.time, before);
        before = row.time;
    }
    rows.iter().for_each(|row| columns.number(row.cpu.into()));
    rows.iter().for_each(|row| columns.number(row.kind.into()));
    let mut running = Running::default();
    let mut kinds: BTreeMap<u16, Vec<(&Row, u32)>> = BTreeMap::new();
    for row in &rows {
        let runs = running.on(row.cpu);
        columns.short_difference(row.task, runs);
        running.see(row);
        kinds.entry(row.kind).or_default().push((row, runs));
    }
    for (kind, rows) in kinds {
        rows.iter().for_each(|(row, _)| columns.number(row.flags.into()));
        for (row, runs) in &rows {
            columns.short_difference(row.a, if a_is_task(kind) { *runs } else { 0 });
        }
        let mut before = 0;
        for (row, runs) in &rows {
            columns.difference(row.b, if b_is_task(kind) { u64::from(*runs) } else { before });
            before = row.b;
        }
        let mut before = 0;
        for (row, _) in &rows {
            columns.difference(row.c, before);
            before = row.c;
        }
    }
    compress_to_vec(&columns.0, LEVEL)
}

/// Unpacks so many events, as words; `None` if they are not what [`pack`] makes.
pub(super) fn unpack(packed: &[u8], count: usize) -> Option<Vec<Words>> {
    let bytes = decompress_to_vec_with_limit(packed, count.checked_mul(MOST)?).ok()?;
    // Each event takes more than a byte, so there is no more to allocate than was unpacked.
    if count > bytes.len() {
        return None;
    }
    let mut rest = Rest(&bytes);
    let mut rows = vec![Row::default(); count];
    let mut before = 0;
    for row in &mut rows {
        row.time = rest.difference(before)?;
        before = row.time;
    }
    for row in &mut rows {
        row.cpu = rest.short()?;
    }
    for row in &mut rows {
        row.kind = rest.short()?;
    }
    let mut running = Running::default();
    let mut kinds: BTreeMap<u16, Vec<(usize, u32)>> = BTreeMap::new();
    for (place, row) in rows.iter_mut().enumerate() {
        let runs = running.on(row.cpu);
        row.task = rest.short_difference(runs)?;
        running.see(row);
        kinds.entry(row.kind).or_default().push((place, runs));
    }
    for (kind, places) in kinds {
        for (place, _) in &places {
            rows[*place].flags = rest.short()?;
        }
        for (place, runs) in &places {
            rows[*place].a = rest.short_difference(if a_is_task(kind) { *runs } else { 0 })?;
        }
        let mut before = 0;
        for (place, runs) in &places {
            before = rest.difference(if b_is_task(kind) { u64::from(*runs) } else { before })?;
            rows[*place].b = before;
        }
        let mut before = 0;
        for (place, _) in &places {
            before = rest.difference(before)?;
            rows[*place].c = before;
        }
    }
    rest.0.is_empty().then(|| rows.iter().map(Row::words).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::KINDS;
    use proptest::prelude::*;

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let word = || prop_oneof![0..4_u64, any::<u64>()];
        let one = (word(), word(), 1..=KINDS.len() as u64, word(), word(), word());
        let event = one.prop_map(|(time, place, kind, rest, b, c)| {
            Event::from_words([time, place, kind | rest << 16, b, c]).unwrap()
        });
        prop::collection::vec(event, 0..200)
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(events in events()) {
            let words: Vec<Words> = events.iter().map(Event::to_words).collect();
            prop_assert_eq!(unpack(&pack(&events), events.len()), Some(words));
        }

        #[test]
        fn another_number_of_events_is_damage(events in events(), more in 1..10_usize) {
            let packed = pack(&events);
            prop_assert_eq!(unpack(&packed, events.len() + more), None);
            if let Some(fewer) = events.len().checked_sub(more) {
                prop_assert_eq!(unpack(&packed, fewer), None);
            }
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>, count in 0..1000_usize) {
            unpack(&bytes, count);
            unpack(&compress_to_vec(&bytes, 1), count);
        }
    }

    #[test]
    fn a_number_that_is_too_long_is_damage() {
        let number = |bytes: &[u8]| Rest(bytes).number();
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(number(&most), Some(u64::MAX));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!(number(&[0x80; 11]), None);
        assert_eq!(number(&[0x80]), None);
    }
}
