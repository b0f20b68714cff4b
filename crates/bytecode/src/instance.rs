// SPDX-License-Identifier: GPL-2.0-or-later
//! Code on one machine: where the things are that its instructions name.

use crate::code::Code;
use crate::memory::Memory;
use std::rc::Rc;
use std::sync::Arc;

/// Code with a memory, and the addresses of what it names there.
pub struct Instance {
    code: Arc<Code>,
    memory: Rc<Memory>,
    addresses: Box<[u64]>,
    arena_half: u64,
}

/// Why code can't be put on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{given} addresses given, {needed} needed; give one for each of the code's operands")]
pub struct InstanceError {
    /// Number of addresses.
    pub given: usize,
    /// Number of operands.
    pub needed: usize,
}

impl Instance {
    /// Puts code on a machine. `addresses` belong to [`Code::operands`], in the same order;
    /// `arena_base` is where user space sees the arena, 0 without one.
    pub fn new(
        code: Arc<Code>,
        memory: Rc<Memory>,
        addresses: Vec<u64>,
        arena_base: u64,
    ) -> Result<Self, InstanceError> {
        let (given, needed) = (addresses.len(), code.operands().len());
        if given != needed {
            return Err(InstanceError { given, needed });
        }
        let arena_half = arena_base & !u64::from(u32::MAX);
        Ok(Self { code, memory, addresses: addresses.into(), arena_half })
    }

    /// The code.
    pub fn code(&self) -> &Arc<Code> {
        &self.code
    }

    /// The memory.
    pub fn memory(&self) -> &Rc<Memory> {
        &self.memory
    }

    /// An address in the table.
    pub(crate) fn address(&self, index: u32) -> u64 {
        self.addresses.get(index as usize).copied().unwrap_or(0)
    }

    /// The table, for compiled code.
    pub(crate) fn addresses(&self) -> &[u64] {
        &self.addresses
    }

    /// The upper half of the arena's pointers in user space.
    pub(crate) fn arena_half(&self) -> u64 {
        self.arena_half
    }
}
