// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory for the kernel's objects, of which many fit into a page (kernel: `mm/slub.c`).
//!
//! Sizes are put into classes, eight for each doubling. A class takes slabs of whole pages from
//! the machine's memory and cuts them into slots. A freed slot is filled with poison and waits at
//! the end of a long queue before it is used again, so that a stale pointer finds poison rather
//! than somebody else's object. Addresses depend on nothing but the order of the calls.

use rota_bytecode::{Memory, MemoryError, Protection};
use std::collections::{BTreeMap, VecDeque};

/// The least size of a slab in bytes.
const SLAB_BYTES: u64 = 64 << 10;
/// Sizes are multiples of this.
const ALIGN: u64 = 16;
/// So many bytes of a class, one slot at least, wait before the first of them is used again.
const WAITING_BYTES: u64 = 256 << 10;
/// What a freed object is filled with.
const POISON: u8 = 0x6b;

/// Why an object can't be freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FreeError {
    /// It was freed before.
    #[error("the object at {0:#x} was freed before")]
    Twice(u64),
    /// No object starts there.
    #[error("no object starts at {0:#x}")]
    NoObject(u64),
}

/// The slots of one size.
#[derive(Default)]
struct Class {
    /// The unused part of the newest slab.
    fresh: u64,
    fresh_end: u64,
    /// Freed slots, those first that have waited longest.
    waiting: VecDeque<u64>,
}

/// An object, or what is left of it.
struct Slot<T> {
    size: u64,
    /// What its owner wants to know about it; `None` once it is freed.
    about: Option<T>,
}

/// The objects of one machine, with something to know about each.
pub(crate) struct Pool<T> {
    classes: BTreeMap<u64, Class>,
    /// Every slot ever used, by its address.
    slots: BTreeMap<u64, Slot<T>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { classes: BTreeMap::new(), slots: BTreeMap::new() }
    }
}

impl<T> Pool<T> {
    /// A zeroed object.
    pub(crate) fn alloc(
        &mut self,
        memory: &Memory,
        size: u64,
        about: T,
    ) -> Result<u64, MemoryError> {
        if !(1..=u64::from(u32::MAX)).contains(&size) {
            return Err(MemoryError::Request { size, align: ALIGN });
        }
        let slot_size = class_of(size);
        let class = self.classes.entry(slot_size).or_default();
        let patient = (WAITING_BYTES / slot_size).max(1) as usize;
        let at = if class.waiting.len() > patient { class.waiting.pop_front() } else { None };
        let at = match at {
            Some(at) => {
                let zero = vec![0; slot_size as usize];
                memory.write(at, &zero).map_err(|_| MemoryError::Pointer(at))?;
                at
            }
            None => class.fresh(memory, slot_size)?,
        };
        self.slots.insert(at, Slot { size, about: Some(about) });
        Ok(at)
    }

    /// Frees an object; what there was to know about it.
    pub(crate) fn free(&mut self, memory: &Memory, at: u64) -> Result<T, FreeError> {
        let slot = self.slots.get_mut(&at).ok_or(FreeError::NoObject(at))?;
        let about = slot.about.take().ok_or(FreeError::Twice(at))?;
        let slot_size = class_of(slot.size);
        // The slot is the pool's own, and can be written.
        let _ = memory.write(at, &vec![POISON; slot_size as usize]);
        self.classes.entry(slot_size).or_default().waiting.push_back(at);
        Ok(about)
    }

    /// What there is to know about the object that starts at an address.
    pub(crate) fn get(&self, at: u64) -> Option<&T> {
        self.slots.get(&at)?.about.as_ref()
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, at: u64) -> Option<&mut T> {
        self.slots.get_mut(&at)?.about.as_mut()
    }

    /// Where the object starts that a pointer points into.
    pub(crate) fn start_of(&self, pointer: u64) -> Option<u64> {
        let (at, slot) = self.slots.range(..=pointer).next_back()?;
        (pointer - at < slot.size && slot.about.is_some()).then_some(*at)
    }
}

impl Class {
    /// A slot that was never used.
    fn fresh(&mut self, memory: &Memory, slot_size: u64) -> Result<u64, MemoryError> {
        if self.fresh_end - self.fresh < slot_size {
            let bytes = slot_size * (SLAB_BYTES / slot_size).max(1);
            self.fresh = memory.alloc(bytes, ALIGN, Protection::ReadWrite)?;
            self.fresh_end = self.fresh + bytes;
        }
        let at = self.fresh;
        self.fresh += slot_size;
        Ok(at)
    }
}

/// The size of the slots that objects of a size lie in: at most an eighth larger, or 15 bytes.
fn class_of(size: u64) -> u64 {
    let step = (size.next_power_of_two() / 16).max(ALIGN);
    size.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::{FreeError, POISON, Pool, class_of};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rota_bytecode::Memory;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Step {
        Alloc(u64),
        /// Frees one of those that were ever allocated.
        Free(usize),
        /// Frees something inside one of them.
        FreeInside(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![1..200_u64, 900..1200_u64, 4000..100_000_u64];
        prop_oneof![
            3 => size.prop_map(Step::Alloc),
            2 => any::<usize>().prop_map(Step::Free),
            1 => any::<usize>().prop_map(Step::FreeInside),
        ]
    }

    /// What an object of the model is filled with.
    fn mark(number: usize, size: u64) -> Vec<u8> {
        vec![number as u8 | 0x80; size as usize]
    }

    fn contents(memory: &Memory, at: u64, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; size as usize];
        memory.read(at, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        /// Against a list of the objects that are alive: they start as zero, never overlap, keep
        /// what was written, and are freed once.
        #[test]
        fn as_a_list_of_objects(steps in vec(step(), 1..120)) {
            let memory = Memory::new().unwrap();
            let mut pool = Pool::default();
            let mut ever: Vec<(u64, u64)> = Vec::new();
            let mut alive: BTreeMap<u64, usize> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Alloc(size) => {
                        let number = ever.len();
                        let at = pool.alloc(&memory, size, number).unwrap();
                        prop_assert_eq!(contents(&memory, at, size), vec![0; size as usize]);
                        memory.write(at, &mark(number, size)).unwrap();
                        prop_assert_eq!(alive.insert(at, number), None);
                        ever.push((at, size));
                    }
                    Step::Free(choice) if !ever.is_empty() => {
                        let (at, size) = ever[choice % ever.len()];
                        let expected = alive.remove(&at).ok_or(FreeError::Twice(at));
                        prop_assert_eq!(pool.free(&memory, at), expected);
                        prop_assert_eq!(contents(&memory, at, size), vec![POISON; size as usize]);
                    }
                    Step::FreeInside(choice) if !ever.is_empty() => {
                        let (at, _) = ever[choice % ever.len()];
                        prop_assert_eq!(pool.free(&memory, at + 1), Err(FreeError::NoObject(at + 1)));
                    }
                    _ => {}
                }
                for (&at, &number) in &alive {
                    let size = ever[number].1;
                    prop_assert_eq!(contents(&memory, at, size), mark(number, size));
                    prop_assert_eq!(pool.get(at), Some(&number));
                    prop_assert_eq!(pool.start_of(at + size - 1), Some(at));
                    prop_assert_ne!(pool.start_of(at + size), Some(at));
                }
            }
        }

        #[test]
        fn classes_are_tight(size in 1..u64::from(u32::MAX)) {
            let class = class_of(size);
            prop_assert!(class >= size && class - size < (size / 8).max(16));
            prop_assert_eq!(class_of(class), class);
        }
    }

    /// What was freed is not given out again soon, but it is some time.
    #[test]
    fn freed_slots_wait() {
        let memory = Memory::new().unwrap();
        let mut pool = Pool::default();
        let first = pool.alloc(&memory, 1024, ()).unwrap();
        pool.free(&memory, first).unwrap();
        let mut turns = 0;
        loop {
            let at = pool.alloc(&memory, 1024, ()).unwrap();
            pool.free(&memory, at).unwrap();
            turns += 1;
            if at == first {
                break;
            }
            assert!(turns < 1000, "it is never used again");
        }
        assert!(turns > 200, "used again after {turns} others");
    }
}
