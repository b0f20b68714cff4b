// SPDX-License-Identifier: GPL-2.0-or-later
//! Storage of tasks and of cgroups: a value for each of those that have one (kernel:
//! `kernel/bpf/bpf_local_storage.c`). It goes with its owner.

use rota_bytecode::{Memory, MemoryError, Protection};
use std::collections::BTreeMap;

/// Whose the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Task,
    Cgroup,
}

/// Values by the addresses of their owners.
pub(crate) struct Storage {
    pub(crate) owner: Owner,
    value_size: u32,
    values: BTreeMap<u64, u64>,
}

impl Storage {
    pub(super) fn new(owner: Owner, value_size: u32) -> Self {
        Self { owner, value_size, values: BTreeMap::new() }
    }

    /// The value of an owner.
    pub(crate) fn get(&self, owner: u64) -> Option<u64> {
        self.values.get(&owner).copied()
    }

    /// Gives an owner, who has none yet, a value of zeros.
    pub(crate) fn create(&mut self, memory: &Memory, owner: u64) -> Result<u64, MemoryError> {
        let value = memory.alloc(u64::from(self.value_size), 8, Protection::ReadWrite)?;
        self.values.insert(owner, value);
        Ok(value)
    }

    /// Takes an owner's value away; whether there was one.
    pub(crate) fn delete(&mut self, memory: &Memory, owner: u64) -> Result<bool, MemoryError> {
        let Some(value) = self.values.remove(&owner) else { return Ok(false) };
        memory.free(value)?;
        Ok(true)
    }
}
