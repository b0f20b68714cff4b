// SPDX-License-Identifier: GPL-2.0-or-later
//! Ring buffers (kernel: `kernel/bpf/ringbuf.c`), from one half of a scheduler to the other.
//!
//! Each record lies in memory of its own, so it never wraps; how much room it takes is counted as
//! the kernel does.

use std::collections::VecDeque;

const HEADER_BYTES: u64 = 8;

/// What has become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reserved,
    Submitted,
    Discarded,
}

/// A record that the reader has not come by yet.
#[derive(Debug)]
struct Record {
    at: u64,
    len: u64,
    state: State,
}

/// A ring buffer that programs fill and user space reads.
pub(crate) struct Ring {
    room: Room,
    records: VecDeque<Record>,
}

/// How much of a ring is in use.
#[derive(Debug)]
struct Room {
    size: u64,
    producer: u64,
    consumer: u64,
}

impl Room {
    fn new(size: u32) -> Self {
        Self { size: u64::from(size), producer: 0, consumer: 0 }
    }

    /// What a record takes.
    fn of(len: u64) -> u64 {
        len.saturating_add(HEADER_BYTES).next_multiple_of(8)
    }

    fn free(&self) -> u64 {
        self.size - (self.producer - self.consumer)
    }
}

impl Ring {
    pub(super) fn new(size: u32) -> Self {
        Self { room: Room::new(size), records: VecDeque::new() }
    }

    /// Whether there is room for a record. The kernel never fills a ring to the last byte.
    pub(crate) fn has_room(&self, len: u64) -> bool {
        len <= self.room.size && Room::of(len) < self.room.free()
    }

    /// Reserves room for a record, which lies at an address.
    pub(crate) fn reserve(&mut self, at: u64, len: u64) {
        self.room.producer += Room::of(len);
        self.records.push_back(Record { at, len, state: State::Reserved });
    }

    /// Ends a reservation. Whether there was one at this address.
    pub(crate) fn finish(&mut self, at: u64, keep: bool) -> bool {
        let reserved = |record: &&mut Record| record.at == at && record.state == State::Reserved;
        let found = self.records.iter_mut().find(reserved);
        let state = if keep { State::Submitted } else { State::Discarded };
        found.map(|record| record.state = state).is_some()
    }

    /// Takes the oldest record out, unless it is reserved still: where it lies, how long it is,
    /// and whether the reader gets it.
    pub(crate) fn take(&mut self) -> Option<(u64, u64, bool)> {
        self.records.front().filter(|record| record.state != State::Reserved)?;
        let Record { at, len, state } = self.records.pop_front()?;
        self.room.consumer += Room::of(len);
        Some((at, len, state == State::Submitted))
    }

    /// What a program asks for: bytes available, the size, the reader's and the writer's position.
    pub(crate) fn query(&self, what: u64) -> u64 {
        match what {
            0 => self.room.producer - self.room.consumer,
            1 => self.room.size,
            2 => self.room.consumer,
            3 => self.room.producer,
            _ => 0,
        }
    }
}

/// A ring buffer that user space fills and programs read.
pub(crate) struct UserRing {
    room: Room,
    records: VecDeque<Vec<u8>>,
}

impl UserRing {
    pub(super) fn new(size: u32) -> Self {
        Self { room: Room::new(size), records: VecDeque::new() }
    }

    /// Puts a record in; whether there was room.
    pub(crate) fn push(&mut self, record: &[u8]) -> bool {
        let room = Room::of(record.len() as u64);
        if room > self.room.free() {
            return false;
        }
        self.room.producer += room;
        self.records.push_back(record.to_vec());
        true
    }

    /// Takes the oldest record out.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        let record = self.records.pop_front()?;
        self.room.consumer += Room::of(record.len() as u64);
        Some(record)
    }
}
