// SPDX-License-Identifier: GPL-2.0-or-later
//! Arenas (kernel: `kernel/bpf/arena.c`): pages that user space sees too, at an address of its own.

use rota_bytecode::{KERNEL, KERNEL_BYTES, Memory, MemoryError, Protection};
use rota_object::MapDef;

/// Size of a page.
pub(super) const PAGE: u64 = 4096;
/// Where user space sees an arena that does not say it. The lower half is not zero, so that no
/// page is what a program takes for NULL.
const BASE: u64 = (1 << 44) + (64 << 10);

/// An arena.
pub(crate) struct Arena {
    /// Where user space sees it.
    pub(super) base: u64,
    /// Which pages are allocated.
    pages: Vec<bool>,
}

impl Arena {
    pub(super) fn new(memory: &Memory, map: &MapDef) -> Result<Self, MemoryError> {
        let base = if map.extra == 0 { BASE } else { map.extra };
        // What the machine keeps for itself counts as allocated.
        let kept = |page: u64| {
            let place = (base as u32).wrapping_add((page * PAGE) as u32);
            u64::from(place.wrapping_sub(KERNEL as u32)) < KERNEL_BYTES
        };
        let pages = (0..u64::from(map.max_entries.min(1 << 20))).map(kept).collect();
        let mut arena = Self { base, pages };
        if !map.initial.is_empty() {
            let from = base + map.initial_at;
            let count = (map.initial.len() as u64).div_ceil(PAGE);
            arena.take(memory, Some(from), count).ok_or(MemoryError::Full(count * PAGE))?;
            let kernel = from & 0xffff_ffff;
            memory.write(kernel, &map.initial).map_err(|_| MemoryError::Pointer(kernel))?;
        }
        Ok(arena)
    }

    /// Number of the page that a pointer of either kind points to.
    fn page(&self, pointer: u64) -> Option<usize> {
        let offset = (pointer as u32).wrapping_sub(self.base as u32);
        let page = u64::from(offset) / PAGE;
        (offset.is_multiple_of(PAGE as u32) && page < self.pages.len() as u64)
            .then_some(page as usize)
    }

    /// Allocates zeroed pages, at a pointer if one is given; the pointer that user space has.
    pub(crate) fn take(&mut self, memory: &Memory, at: Option<u64>, count: u64) -> Option<u64> {
        let count = usize::try_from(count).ok().filter(|c| (1..=self.pages.len()).contains(c))?;
        let first = match at {
            Some(at) => self.page(at)?,
            None => self.pages.windows(count).position(|run| run.iter().all(|used| !used))?,
        };
        let run = self.pages.get_mut(first..first + count)?;
        if run.contains(&true) {
            return None;
        }
        let pointer = self.base + first as u64 * PAGE;
        let size = count as u64 * PAGE;
        memory.map(pointer & 0xffff_ffff, size, Protection::ReadWrite).ok()?;
        run.fill(true);
        Some(pointer)
    }

    /// Size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// Allocates one page, by its number, unless it is there: what happens when user space
    /// touches it.
    pub(crate) fn touch(&mut self, memory: &Memory, page: u64) {
        let _ = self.take(memory, Some(self.base + page * PAGE), 1);
    }

    /// Where programs have the byte at an offset.
    pub(crate) fn place(&self, offset: u64) -> u64 {
        (self.base + offset) & 0xffff_ffff
    }

    /// Gives pages back; those that are not allocated, or not the arena's, are left alone.
    pub(crate) fn give_back(
        &mut self,
        memory: &Memory,
        at: u64,
        count: u64,
    ) -> Result<(), MemoryError> {
        let Some(first) = self.page(at) else { return Ok(()) };
        for i in 0..count.min((self.pages.len() - first) as u64) {
            let used = &mut self.pages[first + i as usize];
            let kernel = (self.base + (first as u64 + i) * PAGE) & 0xffff_ffff;
            if !*used {
                continue;
            }
            match memory.unmap(kernel, PAGE) {
                Ok(()) => *used = false,
                // What the machine keeps for itself.
                Err(MemoryError::Pointer(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_biggest_arena_has_no_page_that_is_the_machines() {
        let memory = Memory::new().unwrap();
        let definition = MapDef { max_entries: 1 << 20, extra: 1 << 44, ..MapDef::default() };
        let mut arena = Arena::new(&memory, &definition).unwrap();
        let kernel = u64::from(KERNEL as u32);
        let at = |place: u64| Some((1 << 44) + place);
        assert_eq!(arena.take(&memory, at(kernel), 1), None);
        assert_eq!(arena.take(&memory, at(kernel - PAGE), 2), None);
        assert_eq!(arena.take(&memory, at(kernel - PAGE), 1), at(kernel - PAGE));
        let behind = kernel + KERNEL_BYTES;
        assert_eq!(arena.take(&memory, at(behind), 1), at(behind));
        // There is no room for so many but in the lower half, and only once.
        let half = kernel / PAGE - 1;
        assert_eq!(arena.take(&memory, None, half), at(0));
        assert_eq!(arena.take(&memory, None, half), None);
        // It is not given back either.
        arena.give_back(&memory, (1 << 44) + kernel, 1).unwrap();
        assert_eq!(arena.take(&memory, None, 1), at(half * PAGE + PAGE + KERNEL_BYTES + PAGE));
    }

    #[test]
    fn a_hole_too_many_is_no_hole() {
        let memory = Memory::new().unwrap();
        let definition = MapDef { max_entries: 1 << 16, extra: 1 << 44, ..MapDef::default() };
        let mut arena = Arena::new(&memory, &definition).unwrap();
        assert_eq!(arena.take(&memory, None, 1 << 16), Some(1 << 44));
        let hole = |number: u64| (1 << 44) + (64 + 2 * number) * PAGE;
        let refused = (0..1 << 14).find_map(|number| {
            let refused = arena.give_back(&memory, hole(number), 1).err()?;
            Some((number, refused))
        });
        let Some((number, MemoryError::Pieces)) = refused else { panic!("{refused:?}") };
        assert_eq!(arena.take(&memory, Some(hole(number)), 1), None);
        assert_eq!(arena.take(&memory, Some(hole(number - 1)), 1), Some(hole(number - 1)));
    }
}
