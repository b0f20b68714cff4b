// SPDX-License-Identifier: GPL-2.0-or-later
//! Arrays (kernel: `kernel/bpf/arraymap.c`).

use crate::errno::Errno;
use crate::maps::{Left, Slots, Update};
use rota_bytecode::Memory;

/// An array, whose keys are numbers of 32 bits.
pub(crate) struct Array {
    pub(super) slots: Slots,
    len: u32,
}

impl Array {
    pub(super) fn new(slots: Slots, len: u32) -> Self {
        Self { slots, len }
    }

    fn index(key: &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(key.try_into().ok()?))
    }

    pub(super) fn lookup(&self, key: &[u8], cpu: u32) -> Option<u64> {
        let index = Self::index(key).filter(|i| *i < self.len)?;
        self.slots.at(u64::from(index), cpu)
    }

    pub(super) fn update(
        &self,
        memory: &Memory,
        (key, value): (&[u8], &[u8]),
        cpu: u32,
        how: Update,
    ) -> Result<Left, Errno> {
        let index = Self::index(key).filter(|i| *i < self.len).ok_or(Errno::TooBig)?;
        if how == Update::IfNew {
            return Err(Errno::Exists);
        }
        self.slots.set(memory, u64::from(index), cpu, value, false);
        Ok(self.slots.kept(u64::from(index)))
    }

    pub(super) fn after(&self, key: Option<&[u8]>, cpu: u32) -> Option<(Vec<u8>, u64)> {
        let index = match key {
            None => 0,
            Some(key) => Self::index(key)?.checked_add(1)?,
        };
        let key = index.to_le_bytes();
        Some((key.to_vec(), self.lookup(&key, cpu)?))
    }

    /// The element that a pointer points into: its key, and where its value starts.
    pub(super) fn element_at(&self, pointer: u64) -> Option<(Vec<u8>, u64)> {
        let (slot, start) = self.slots.slot_at(pointer)?;
        let index = u32::try_from(slot).ok().filter(|index| *index < self.len)?;
        Some((index.to_le_bytes().to_vec(), start))
    }
}
