// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the values of a map lie.

use rota_bytecode::{Fault, Memory, MemoryError, Protection};
use rota_object::{Field, MapDef};

/// The values that an update or deletion has put out of use, where something in them has to be
/// ended.
pub(crate) type Left = Vec<u64>;

/// Values of one map in memory: slots, each with a place for every CPU if they differ by CPU.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    pub(super) start: u64,
    stride: u64,
    pub(super) cpus: u64,
    value_size: u32,
    /// What of a value the kernel keeps for itself: nobody writes it from outside.
    fields: Vec<Field>,
}

/// What programs may do to a map's values.
pub(super) fn protection_of(map: &MapDef) -> Protection {
    if map.read_only { Protection::ReadOnly } else { Protection::ReadWrite }
}

impl Slots {
    pub(super) fn new(
        memory: &Memory,
        map: &MapDef,
        count: u64,
        cpus: u64,
    ) -> Result<Self, MemoryError> {
        let stride = u64::from(map.value_size).next_multiple_of(8).max(8);
        let size = stride.saturating_mul(cpus).saturating_mul(count.max(1));
        let start = memory.alloc(size, 8, Protection::ReadWrite)?;
        if !map.initial.is_empty() {
            let from = start + map.initial_at;
            memory.write(from, &map.initial).map_err(|_| MemoryError::Pointer(from))?;
        }
        memory.protect(start, protection_of(map))?;
        let (value_size, fields) = (map.value_size, map.fields.clone());
        Ok(Self { start, stride, cpus, value_size, fields })
    }

    /// The value in a slot, as a CPU sees it.
    pub(crate) fn at(&self, slot: u64, cpu: u32) -> Option<u64> {
        let cpu = if self.cpus == 1 { 0 } else { u64::from(cpu) };
        let within = cpu < self.cpus;
        within.then(|| self.start + self.stride * (slot * self.cpus + cpu))
    }

    /// The slot that a pointer points into, and where it starts, if all CPUs share it.
    pub(super) fn slot_at(&self, pointer: u64) -> Option<(u64, u64)> {
        let slot = pointer.checked_sub(self.start).filter(|_| self.cpus == 1)? / self.stride;
        Some((slot, self.start + slot * self.stride))
    }

    /// Sets a value for a CPU, zeroing the others' if the slot is a new one.
    pub(super) fn set(&self, memory: &Memory, slot: u64, cpu: u32, value: &[u8], new: bool) {
        let zero = vec![0; self.value_size as usize];
        for other in 0..self.cpus as u32 {
            if let (true, Some(at)) = (new, self.at(slot, other)) {
                // The slots are the map's own, and can be written.
                let _ = memory.write(at, &zero);
            }
        }
        if let Some(at) = self.at(slot, cpu) {
            let _ = self.write_around(memory, at, value);
        }
    }

    /// Writes a value, all but what the kernel keeps for itself.
    fn write_around(&self, memory: &Memory, at: u64, value: &[u8]) -> Result<(), Fault> {
        let mut from = 0;
        for field in &self.fields {
            let (start, end) = (field.offset as usize, (field.offset + field.size) as usize);
            memory.write(at + from as u64, value.get(from..start).unwrap_or(&[]))?;
            from = end;
        }
        memory.write(at + from as u64, value.get(from..).unwrap_or(&[]))
    }

    /// Where a slot's values are, one for each CPU, if there is anything in them to be ended.
    pub(super) fn kept(&self, slot: u64) -> Left {
        let cpus = if self.fields.is_empty() { 0 } else { self.cpus as u32 };
        (0..cpus).filter_map(|cpu| self.at(slot, cpu)).collect()
    }
}
