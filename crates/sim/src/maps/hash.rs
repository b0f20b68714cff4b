// SPDX-License-Identifier: GPL-2.0-or-later
//! Hash tables (kernel: `kernel/bpf/hashtab.c`, `bpf_lru_list.c`).
//!
//! The kernel walks a table in the order of its hashes, which differ from boot to boot. Here the
//! order is that of insertion. A table that forgets drops what was used longest ago; the kernel
//! only comes near to that, in batches.

use crate::errno::Errno;
use crate::maps::{Left, Slots, Update};
use rota_bytecode::Memory;
use std::collections::{BTreeMap, VecDeque};

/// A table.
pub(crate) struct Hash {
    pub(super) slots: Slots,
    len: u64,
    forgets: bool,
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Keys by the time of their insertion.
    order: BTreeMap<u64, Vec<u8>>,
    /// Keys by the time of their last use, if the table forgets.
    recent: BTreeMap<u64, Vec<u8>>,
    /// Slots from this one on have never been used.
    fresh: u64,
    /// Slots that are free again, those first that have been longest: who still holds a pointer
    /// to a deleted value sees the old one for as long as can be.
    free: VecDeque<u64>,
    clock: u64,
}

struct Entry {
    slot: u64,
    inserted: u64,
    used: u64,
}

impl Hash {
    pub(super) fn new(slots: Slots, len: u64, forgets: bool) -> Self {
        let (entries, order, recent) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            slots,
            len,
            forgets,
            entries,
            order,
            recent,
            fresh: 0,
            free: VecDeque::new(),
            clock: 0,
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn lookup(&mut self, key: &[u8], cpu: u32) -> Option<u64> {
        let now = self.tick();
        let entry = self.entries.get_mut(key)?;
        if self.forgets
            && let Some(key) = self.recent.remove(&std::mem::replace(&mut entry.used, now))
        {
            self.recent.insert(now, key);
        }
        self.slots.at(entry.slot, cpu)
    }

    pub(super) fn update(
        &mut self,
        memory: &Memory,
        (key, value): (&[u8], &[u8]),
        cpu: u32,
        how: Update,
    ) -> Result<Left, Errno> {
        let old = self.entries.get(key);
        match (how, old) {
            (Update::IfNew, Some(_)) => return Err(Errno::Exists),
            (Update::IfThere, None) => return Err(Errno::NoEntry),
            // Values by CPU are changed in place, and others' stay.
            (_, Some(entry)) if self.slots.cpus > 1 => {
                self.slots.set(memory, entry.slot, cpu, value, false);
                return Ok(Left::new());
            }
            _ => {}
        }
        let mut left = Left::new();
        if old.is_none() && self.entries.len() as u64 == self.len {
            // Only a table that forgets knows what was used when.
            let oldest = self.recent.first_key_value().map(|(_, key)| key.clone());
            left = self.delete(&oldest.ok_or(Errno::TooBig)?)?;
        }
        let slot = self.free_slot().ok_or(Errno::TooBig)?;
        self.slots.set(memory, slot, cpu, value, true);
        let now = self.tick();
        let inserted = self.entries.get(key).map_or(now, |entry| entry.inserted);
        self.order.insert(inserted, key.to_vec());
        if self.forgets {
            self.recent.insert(now, key.to_vec());
        }
        let entry = Entry { slot, inserted, used: now };
        if let Some(old) = self.entries.insert(key.to_vec(), entry) {
            self.free.push_back(old.slot);
            self.recent.remove(&old.used);
            left = self.slots.kept(old.slot);
        }
        Ok(left)
    }

    /// A slot that nobody uses; there is one more than entries.
    fn free_slot(&mut self) -> Option<u64> {
        if self.fresh <= self.len {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        self.free.pop_front()
    }

    pub(super) fn delete(&mut self, key: &[u8]) -> Result<Left, Errno> {
        let entry = self.entries.remove(key).ok_or(Errno::NoEntry)?;
        self.order.remove(&entry.inserted);
        self.recent.remove(&entry.used);
        self.free.push_back(entry.slot);
        Ok(self.slots.kept(entry.slot))
    }

    pub(super) fn after(&self, key: Option<&[u8]>, cpu: u32) -> Option<(Vec<u8>, u64)> {
        let from = match key {
            None => 0,
            // A key that is gone starts again, as in the kernel.
            Some(key) => self.entries.get(key).map_or(0, |entry| entry.inserted + 1),
        };
        let (_, key) = self.order.range(from..).next()?;
        Some((key.clone(), self.slots.at(self.entries.get(key)?.slot, cpu)?))
    }

    /// The element that a pointer points into: its key, and where its value starts.
    pub(super) fn element_at(&self, pointer: u64) -> Option<(Vec<u8>, u64)> {
        let (slot, start) = self.slots.slot_at(pointer)?;
        let found = self.entries.iter().find(|(_, entry)| entry.slot == slot);
        found.map(|(key, _)| (key.clone(), start))
    }
}
