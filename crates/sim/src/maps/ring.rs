// SPDX-License-Identifier: GPL-2.0-or-later
//! Ring buffers (kernel: `kernel/bpf/ringbuf.c`), from the side that fills them.

use rota_bytecode::{Memory, Protection};
use std::collections::BTreeSet;

const HEADER_BYTES: u64 = 8;

/// A ring buffer. Each record lies in memory of its own, so it never wraps; how much room it takes
/// is counted as the kernel does.
pub(crate) struct Ring {
    size: u64,
    producer: u64,
    consumer: u64,
    /// Records that are reserved and not yet submitted.
    open: BTreeSet<u64>,
}

impl Ring {
    pub(super) fn new(size: u32) -> Self {
        Self { size: u64::from(size), producer: 0, consumer: 0, open: BTreeSet::new() }
    }

    /// Reserves room for a record; its address.
    pub(crate) fn reserve(&mut self, memory: &Memory, len: u64) -> Option<u64> {
        if len > self.size {
            return None;
        }
        let room = (len + HEADER_BYTES).next_multiple_of(8);
        if self.producer + room - self.consumer >= self.size {
            return None;
        }
        let at = memory.alloc(len.max(1), 8, Protection::ReadWrite).ok()?;
        self.producer += room;
        self.open.insert(at);
        Some(at)
    }

    /// Ends a reservation. Whether there was one at this address.
    pub(crate) fn finish(&mut self, at: u64) -> bool {
        self.open.remove(&at)
    }

    /// What a program asks for: bytes available, the size, the reader's and the writer's position.
    pub(crate) fn query(&self, what: u64) -> u64 {
        match what {
            0 => self.producer - self.consumer,
            1 => self.size,
            2 => self.consumer,
            3 => self.producer,
            _ => 0,
        }
    }
}
