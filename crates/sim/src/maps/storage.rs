// SPDX-License-Identifier: GPL-2.0-or-later
//! Storage of tasks and of cgroups: a value for each of those that have one (kernel:
//! `kernel/bpf/bpf_local_storage.c`). It goes with its owner.

use crate::starts::Starts;

/// Whose the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Task,
    Cgroup,
}

/// Values by the addresses of their owners.
pub(crate) struct Storage {
    pub(crate) owner: Owner,
    values: Starts<u64>,
}

impl Storage {
    pub(super) fn new(owner: Owner) -> Self {
        Self { owner, values: Starts::default() }
    }

    /// The value of an owner.
    pub(crate) fn get(&self, owner: u64) -> Option<u64> {
        self.values.get(owner)
    }

    /// Notes the value of an owner, who has none yet.
    pub(crate) fn set(&mut self, owner: u64, value: u64) {
        self.values.insert(owner, value);
    }

    /// Forgets an owner's value; where it is.
    pub(crate) fn remove(&mut self, owner: u64) -> Option<u64> {
        self.values.remove(owner)
    }
}
