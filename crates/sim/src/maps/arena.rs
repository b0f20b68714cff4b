// SPDX-License-Identifier: GPL-2.0-or-later
//! Arenas (kernel: `kernel/bpf/arena.c`): pages that user space sees too, at an address of its own.

use rota_bytecode::{Memory, MemoryError, Protection};
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
        let mut arena = Self { base, pages: vec![false; map.max_entries.min(1 << 20) as usize] };
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
    pub(crate) fn give_back(&mut self, memory: &Memory, at: u64, count: u64) {
        let Some(first) = self.page(at) else { return };
        for i in 0..count.min((self.pages.len() - first) as u64) {
            let used = &mut self.pages[first + i as usize];
            let kernel = (self.base + (first as u64 + i) * PAGE) & 0xffff_ffff;
            if std::mem::take(used) {
                // It is mapped, since it was allocated.
                let _ = memory.unmap(kernel, PAGE);
            }
        }
    }
}
