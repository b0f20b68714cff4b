// SPDX-License-Identifier: GPL-2.0-or-later
//! Queues and stacks (kernel: `kernel/bpf/queue_stack_maps.c`).

use crate::errno::Errno;
use crate::maps::Update;
use std::collections::VecDeque;

/// A queue, or a stack.
pub(crate) struct Queue {
    values: VecDeque<Vec<u8>>,
    value_size: u32,
    len: u32,
    is_stack: bool,
}

impl Queue {
    pub(super) fn new(value_size: u32, len: u32, is_stack: bool) -> Self {
        Self { values: VecDeque::new(), value_size, len, is_stack }
    }

    /// Adds a value. With [`Update::IfThere`] the oldest makes room in a full one.
    pub(crate) fn push(&mut self, value: Vec<u8>, how: Update) -> Result<(), Errno> {
        if how == Update::IfNew {
            return Err(Errno::Invalid);
        }
        if self.values.len() as u64 == u64::from(self.len) {
            if how != Update::IfThere {
                return Err(Errno::TooBig);
            }
            self.values.pop_front();
        }
        self.values.push_back(value);
        Ok(())
    }

    /// The next value, and whether to take it out. Zeros if there is none.
    pub(crate) fn next(&mut self, take: bool) -> (Vec<u8>, Result<(), Errno>) {
        let value = match (self.is_stack, take) {
            (true, true) => self.values.pop_back(),
            (true, false) => self.values.back().cloned(),
            (false, true) => self.values.pop_front(),
            (false, false) => self.values.front().cloned(),
        };
        match value {
            Some(value) => (value, Ok(())),
            None => (vec![0; self.value_size as usize], Err(Errno::NoEntry)),
        }
    }
}
