// SPDX-License-Identifier: GPL-2.0-or-later
//! Pages of the kernel's ring buffers, as they are in memory (kernel: `include/linux/ring_buffer.h`,
//! `kernel/trace/ring_buffer.c`).

use crate::read::format::Format;
use crate::read::order::Order;
use std::ops::Range;

/// Kinds of entries; less than these are records, by their size in words.
const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;
/// Bits of a time in the head of an entry, and in one that has only a time.
const DELTA_BITS: u32 = 27;
const STAMP_BITS: u32 = 59;
/// Flags of how much of a page is used: events are missing before it; how many stands at its end.
const MISSED: u64 = 1 << 31;
const MISSED_STORED: u64 = 1 << 30;
const USED: u64 = (1 << 27) - 1;

/// Where things are in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    time: usize,
    used: (usize, usize),
    data: usize,
}

impl Places {
    /// From the kernel's own description.
    pub(super) fn of(format: &Format) -> Option<Self> {
        Some(Self {
            time: format.field("timestamp")?.place().0,
            used: format.field("commit")?.place(),
            data: format.field("data")?.place().0,
        })
    }
}

/// A page that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// The time of the last entry; at first, that of the page.
    pub(super) time: u64,
    /// So many events are missing before it, or one if it is not known how many.
    pub(super) missed: u64,
    at: usize,
    end: usize,
}

impl Page {
    /// Starts to read a page; `None` if it is damaged.
    pub(super) fn open(page: &[u8], places: Places, order: Order) -> Option<Self> {
        let time = order.u64(page, places.time)?;
        let (at, size) = places.used;
        let used = order.number(page, at, size)?;
        let end = places.data.checked_add((used & USED) as usize)?;
        if end > page.len() {
            return None;
        }
        let stored = if used & MISSED_STORED == 0 { None } else { order.number(page, end, size) };
        let missed = if used & MISSED == 0 { 0 } else { stored.unwrap_or(0).max(1) };
        Some(Self { time, missed, at: places.data, end })
    }

    /// Where the next record is in the page, whose time is then [`Page::time`]; nothing at the end
    /// of the page.
    pub(super) fn next(&mut self, page: &[u8], order: Order) -> Result<Option<Range<usize>>, ()> {
        let page = page.get(..self.end).ok_or(())?;
        while self.at < self.end {
            let at = self.at;
            let head = order.u32(page, at).ok_or(())?;
            let (kind, delta) = match order {
                Order::Little => (head & 31, head >> 5),
                Order::Big => (head >> DELTA_BITS, head & ((1 << DELTA_BITS) - 1)),
            };
            let delta = u64::from(delta);
            let word = || order.u32(page, at.saturating_add(4)).ok_or(());
            match kind {
                PADDING if delta == 0 => {
                    self.at = self.end;
                    break;
                }
                PADDING => {
                    // An entry that was given up. Its time counts, unless it had none.
                    self.time = self.time.wrapping_add(if delta == 1 { 0 } else { delta });
                    self.at = at.saturating_add(4).saturating_add(word()? as usize);
                }
                TIME_EXTEND => {
                    let high = u64::from(word()?) << DELTA_BITS;
                    self.time = self.time.wrapping_add(high | delta);
                    self.at += 8;
                }
                TIME_STAMP => {
                    self.time = whole(u64::from(word()?) << DELTA_BITS | delta, self.time);
                    self.at += 8;
                }
                words => {
                    self.time = self.time.wrapping_add(delta);
                    let (start, size) = match words {
                        // What is larger says its size, with that number in it.
                        0 => (at + 8, (word()? as usize).checked_sub(4).ok_or(())?),
                        words => (at + 4, words as usize * 4),
                    };
                    let end = start.checked_add(size).filter(|end| *end <= self.end).ok_or(())?;
                    self.at = end;
                    return Ok(Some(start..end));
                }
            }
        }
        Ok(None)
    }
}

/// A time of which only the lower bits are known, near another.
fn whole(stamp: u64, near: u64) -> u64 {
    let high = near >> STAMP_BITS << STAMP_BITS;
    let stamp = stamp & ((1 << STAMP_BITS) - 1) | high;
    if high != 0 && stamp < near { stamp.wrapping_add(1 << STAMP_BITS) } else { stamp }
}
