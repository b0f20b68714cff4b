// SPDX-License-Identifier: GPL-2.0-or-later
//! Maps. Their values lie in the machine's memory; keys and order are kept outside, where no
//! program can spoil them.

mod arena;
mod array;
mod hash;
mod queue;
mod ring;
mod slots;
mod storage;

use crate::errno::Errno;
use crate::machine::LoadError;
use arena::{Arena, PAGE};
use array::Array;
use hash::Hash;
use queue::Queue;
pub(crate) use ring::{Ring, UserRing};
use rota_bytecode::{Memory, MemoryError, Protection};
use rota_object::{Field, MapDef};
use slots::protection_of;
pub(crate) use slots::{Left, Slots};
pub(crate) use storage::{Owner, Storage};

/// Kinds of map (kernel: `enum bpf_map_type`).
mod kind {
    pub(super) const HASH: u32 = 1;
    pub(super) const ARRAY: u32 = 2;
    pub(super) const PERF_EVENT_ARRAY: u32 = 4;
    pub(super) const PERCPU_HASH: u32 = 5;
    pub(super) const PERCPU_ARRAY: u32 = 6;
    pub(super) const LRU_HASH: u32 = 9;
    pub(super) const LRU_PERCPU_HASH: u32 = 10;
    pub(super) const ARRAY_OF_MAPS: u32 = 12;
    pub(super) const HASH_OF_MAPS: u32 = 13;
    pub(super) const QUEUE: u32 = 22;
    pub(super) const STACK: u32 = 23;
    pub(super) const RINGBUF: u32 = 27;
    pub(super) const TASK_STORAGE: u32 = 29;
    pub(super) const USER_RINGBUF: u32 = 31;
    pub(super) const CGRP_STORAGE: u32 = 32;
    pub(super) const ARENA: u32 = 33;
}

/// A map.
pub(crate) struct Map {
    pub(crate) name: String,
    /// What programs know it by: memory of which nothing can be read or written.
    pub(crate) address: u64,
    /// Where its values start.
    pub(crate) values: u64,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    /// Whether every CPU has values of its own.
    pub(crate) per_cpu: bool,
    protection: Protection,
    /// What of a value the kernel keeps for itself.
    pub(crate) fields: Vec<Field>,
    pub(crate) contents: Contents,
}

/// What a map holds.
pub(crate) enum Contents {
    Array(Array),
    /// Addresses of maps, by index or by key.
    Maps(Array),
    MapsByKey(Hash),
    Hash(Hash),
    Queue(Queue),
    Ring(Ring),
    UserRing(UserRing),
    /// Counters of the hardware, of which this machine has none.
    Counters,
    Storage(Storage),
    Arena(Arena),
}

/// How an element is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    Any,
    IfNew,
    IfThere,
}

impl Update {
    /// The lowest bits of a helper's flags; others are refused, but for that of spin locks.
    pub(crate) fn from_flags(flags: u64) -> Result<Self, Errno> {
        match flags {
            0 => Ok(Self::Any),
            1 => Ok(Self::IfNew),
            2 => Ok(Self::IfThere),
            _ => Err(Errno::Invalid),
        }
    }
}

/// A map of maps as a map of their addresses.
fn of_addresses(map: &MapDef) -> MapDef {
    MapDef { value_size: 8, ..map.clone() }
}

/// The longest key of a table (kernel: `MAX_BPF_STACK`).
pub(crate) const KEY_BYTES_MAX: u32 = 512;

/// The most bytes that a queue or an arena can hold: as many as other maps, which lie in one
/// window of the machine's memory.
const BYTES_MAX: u64 = 1 << 32;

/// Refuses what no kernel takes and no memory holds.
fn check(map: &MapDef) -> Result<(), String> {
    if map.key_size > KEY_BYTES_MAX {
        return Err(format!("keys of {} bytes; {KEY_BYTES_MAX} is the most", map.key_size));
    }
    let entry_bytes = match map.kind {
        kind::QUEUE | kind::STACK => u64::from(map.value_size),
        kind::ARENA => PAGE,
        _ => return Ok(()),
    };
    let bytes = u64::from(map.max_entries) * entry_bytes;
    if bytes > BYTES_MAX {
        return Err(format!("{bytes} bytes; {BYTES_MAX} is the most"));
    }
    let last = map.extra.checked_add(bytes.saturating_sub(1));
    let one_window = last.is_some_and(|last| last >> 32 == map.extra >> 32);
    if map.kind == kind::ARENA && !(one_window && map.extra.is_multiple_of(PAGE)) {
        return Err(format!("an arena at {:#x} crosses a line of 4 GiB, or a page", map.extra));
    }
    Ok(())
}

impl Map {
    /// A map as defined, on a machine with so many CPUs.
    pub(crate) fn new(memory: &Memory, map: &MapDef, cpus: u32) -> Result<Self, LoadError> {
        check(map).map_err(|text| LoadError::Contents(map.name.clone(), text))?;
        let entries = u64::from(map.max_entries);
        let cpus = u64::from(cpus);
        let slots = |count, cpus| Slots::new(memory, map, count, cpus);
        let contents = match map.kind {
            kind::ARRAY => Contents::Array(Array::new(slots(entries, 1)?, map.max_entries)),
            kind::PERCPU_ARRAY => {
                Contents::Array(Array::new(slots(entries, cpus)?, map.max_entries))
            }
            kind::ARRAY_OF_MAPS => {
                let slots = Slots::new(memory, &of_addresses(map), entries, 1)?;
                Contents::Maps(Array::new(slots, map.max_entries))
            }
            kind::HASH_OF_MAPS => {
                let slots = Slots::new(memory, &of_addresses(map), entries + 1, 1)?;
                Contents::MapsByKey(Hash::new(slots, entries, false))
            }
            // A value is replaced by a new one before the old one is free.
            kind::HASH => Contents::Hash(Hash::new(slots(entries + 1, 1)?, entries, false)),
            kind::PERCPU_HASH => {
                Contents::Hash(Hash::new(slots(entries + 1, cpus)?, entries, false))
            }
            kind::LRU_HASH => Contents::Hash(Hash::new(slots(entries + 1, 1)?, entries, true)),
            kind::LRU_PERCPU_HASH => {
                Contents::Hash(Hash::new(slots(entries + 1, cpus)?, entries, true))
            }
            kind::QUEUE => Contents::Queue(Queue::new(map.value_size, map.max_entries, false)),
            kind::STACK => Contents::Queue(Queue::new(map.value_size, map.max_entries, true)),
            kind::RINGBUF => Contents::Ring(Ring::new(map.max_entries)),
            kind::USER_RINGBUF => Contents::UserRing(UserRing::new(map.max_entries)),
            kind::PERF_EVENT_ARRAY => Contents::Counters,
            kind::TASK_STORAGE => Contents::Storage(Storage::new(Owner::Task)),
            kind::CGRP_STORAGE => Contents::Storage(Storage::new(Owner::Cgroup)),
            kind::ARENA => Contents::Arena(Arena::new(memory, map)?),
            other => return Err(LoadError::Map(map.name.clone(), other)),
        };
        let address = memory.alloc(1, 8, Protection::ReadOnly)?;
        let values = match &contents {
            Contents::Array(a) | Contents::Maps(a) => a.slots.start,
            Contents::Hash(h) | Contents::MapsByKey(h) => h.slots.start,
            Contents::Arena(arena) => arena.base,
            _ => 0,
        };
        let (key_size, value_size, fields) = (map.key_size, map.value_size, map.fields.clone());
        let (name, max_entries) = (map.name.clone(), map.max_entries);
        let per_cpu =
            matches!(map.kind, kind::PERCPU_ARRAY | kind::PERCPU_HASH | kind::LRU_PERCPU_HASH);
        let protection = protection_of(map);
        Ok(Self {
            name,
            address,
            values,
            key_size,
            value_size,
            max_entries,
            per_cpu,
            protection,
            fields,
            contents,
        })
    }

    /// Puts a map into a map of maps.
    pub(crate) fn set_inner(
        &mut self,
        memory: &Memory,
        index: u32,
        inner: u64,
    ) -> Result<(), String> {
        let key = index.to_le_bytes();
        match &mut self.contents {
            Contents::Maps(array) => {
                let at = array.lookup(&key, 0).ok_or("it has no such index")?;
                memory.write_u64(at, inner).map_err(|fault| fault.to_string())
            }
            Contents::MapsByKey(_) if self.key_size != 4 => {
                Err("only keys of 4 bytes can be given with its definition".into())
            }
            Contents::MapsByKey(hash) => hash
                .update(memory, (&key, &inner.to_le_bytes()), 0, Update::Any)
                .map(drop)
                .map_err(|_| "it has not room for all of them".into()),
            _ => Err("it holds no maps".into()),
        }
    }

    /// The value of a key, as a CPU sees it.
    pub(crate) fn lookup(&mut self, memory: &Memory, key: &[u8], cpu: u32) -> Option<u64> {
        match &mut self.contents {
            Contents::Array(array) => array.lookup(key, cpu),
            Contents::Maps(array) => {
                memory.read_u64(array.lookup(key, cpu)?).ok().filter(|map| *map != 0)
            }
            Contents::MapsByKey(hash) => memory.read_u64(hash.lookup(key, cpu)?).ok(),
            Contents::Hash(hash) => hash.lookup(key, cpu),
            _ => None,
        }
    }

    /// Writes to the map's values from outside, whatever programs may do.
    pub(crate) fn write_data(
        &self,
        memory: &Memory,
        to: u64,
        bytes: &[u8],
    ) -> Result<(), MemoryError> {
        memory.protect(self.values, Protection::ReadWrite)?;
        let written = memory.write(to, bytes).map_err(|fault| MemoryError::Pointer(fault.pointer));
        memory.protect(self.values, self.protection)?;
        written
    }

    /// Where user space sees the arena, if the map is one.
    pub(crate) fn arena_base(&self) -> Option<u64> {
        matches!(self.contents, Contents::Arena(_)).then_some(self.values)
    }

    /// The element that a pointer points into: its key, and where its value starts.
    pub(crate) fn element_at(&self, pointer: u64) -> Option<(Vec<u8>, u64)> {
        match &self.contents {
            Contents::Array(array) => array.element_at(pointer),
            Contents::Hash(hash) => hash.element_at(pointer),
            _ => None,
        }
    }

    /// Sets the value of a key for a CPU.
    pub(crate) fn update(
        &mut self,
        memory: &Memory,
        (key, value): (&[u8], &[u8]),
        cpu: u32,
        flags: u64,
    ) -> Result<Left, Errno> {
        let how = Update::from_flags(flags)?;
        match &mut self.contents {
            Contents::Array(array) => array.update(memory, (key, value), cpu, how),
            Contents::Hash(hash) => hash.update(memory, (key, value), cpu, how),
            _ => Err(Errno::Invalid),
        }
    }

    /// Removes a key.
    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<Left, Errno> {
        match &mut self.contents {
            Contents::Hash(hash) => hash.delete(key),
            _ => Err(Errno::Invalid),
        }
    }

    /// The element after the one with this key, or the first: its key, and its value as a CPU
    /// sees it.
    pub(crate) fn after(&self, key: Option<&[u8]>, cpu: u32) -> Option<(Vec<u8>, u64)> {
        match &self.contents {
            Contents::Array(array) => array.after(key, cpu),
            Contents::Hash(hash) => hash.after(key, cpu),
            _ => None,
        }
    }
}
