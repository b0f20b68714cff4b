// SPDX-License-Identifier: GPL-2.0-or-later
//! A window of 4 GiB of the host's memory, and which of its pages can be reached.
//!
//! The only code that touches simulated memory from Rust. It looks every page up first, so it
//! never faults; compiled code, which looks nothing up, faults on the host's page protection,
//! which says the same.
#![allow(unsafe_code)]

use crate::memory::MemoryError;
use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::ptr;

/// Size of a page in bytes.
pub(crate) const PAGE: u64 = 4096;
/// Size of the window in bytes.
pub(crate) const WINDOW: u64 = 1 << 32;
/// Size in bytes of the host's huge pages. Places are multiples of it where addresses are.
pub(crate) const HUGE: u64 = 2 << 20;
/// What no access can cross, on each side: an offset of 15 bits and an access of 8 bytes.
const GUARD: usize = 1 << 20;
/// Bytes from the first guard to the last.
const GUARDED: usize = WINDOW as usize + 2 * GUARD;
/// The same, with what it takes to begin anywhere.
const RESERVED: usize = GUARDED + HUGE as usize;

/// How many times, from a window's start to its end, the pages' protection may change. The host
/// keeps a mapping for each such piece, and gives a process a limited number of all kinds: Linux
/// 65,530 (`vm.max_map_count`). Without a limit of its own, a machine could take those of others.
pub(crate) const MOST_PIECES: usize = 16_384;

/// May be read.
pub(crate) const READ: u8 = 1;
/// May be written.
pub(crate) const WRITE: u8 = 2;

/// The reserved memory and its page table. Places are counted from the start of the window; a place
/// in a guard is one that the page table does not know.
pub(crate) struct Window {
    /// Where the host's mapping starts.
    mapping: *mut u8,
    base: *mut u8,
    pages: Box<[Cell<u8>]>,
    /// How many times the protection changes from a page to the next.
    pieces: Cell<usize>,
}

impl Window {
    /// Reserves the memory; no page can be reached.
    pub(crate) fn reserve() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at a place that the kernel picks, overlaps nothing.
        let start = unsafe { libc::mmap(ptr::null_mut(), RESERVED, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = start.cast::<u8>();
        let base = mapping.wrapping_add(GUARD);
        let base = base.wrapping_add(base.align_offset(HUGE as usize));
        let window = Self { mapping, base, pages: page_table(), pieces: Cell::new(0) };
        // The host keeps two neighbours as one mapping if their protection is the same and their
        // memory was first used as parts of one. So the whole is used once, while it is one.
        let first = 0..1;
        window.set(first.clone(), READ | WRITE)?;
        // SAFETY: this page is ours, and was just made writable.
        unsafe { base.write_volatile(1) };
        window.set(first.clone(), 0)?;
        window.discard(first)?;
        Ok(window)
    }

    /// The host's address of place 0.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    /// Addresses of the host that belong to this window, guards included.
    pub(crate) fn host_range(&self) -> Range<usize> {
        let start = self.base as usize - GUARD;
        start..start + GUARDED
    }

    /// How a page can be reached.
    pub(crate) fn page(&self, page: u64) -> u8 {
        self.pages.get(page as usize).map_or(0, Cell::get)
    }

    /// Makes pages reachable as `access` says, keeping what they hold.
    pub(crate) fn protect(&self, pages: Range<u64>, access: u8) -> Result<(), MemoryError> {
        // The changes in between go, and there may be one at each end.
        let (start, end) = (pages.start as usize, pages.end as usize);
        let around = start.saturating_sub(1)..(end + 1).min(self.pages.len());
        let around = self.pages.get(around).unwrap_or(&[]);
        let gone = around.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let neighbours = [start.checked_sub(1), Some(end)].into_iter().flatten();
        let neighbours = neighbours.filter_map(|page| self.pages.get(page));
        let come = neighbours.filter(|has| has.get() != access).count();
        let pieces = self.pieces.get() - gone + come;
        if pieces > self.pieces.get() && pieces > MOST_PIECES {
            return Err(MemoryError::Pieces);
        }
        self.set(pages, access)?;
        self.pieces.set(pieces);
        Ok(())
    }

    /// The same, uncounted.
    fn set(&self, pages: Range<u64>, access: u8) -> io::Result<()> {
        let Some(table) = self.pages.get(pages.start as usize..pages.end as usize) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let protection = match access {
            0 => libc::PROT_NONE,
            READ => libc::PROT_READ,
            _ => libc::PROT_READ | libc::PROT_WRITE,
        };
        let start = self.base.wrapping_add((pages.start * PAGE) as usize);
        // SAFETY: the table has these pages, so they lie in the mapping that we own.
        let done = unsafe { libc::mprotect(start.cast(), table.len() * PAGE as usize, protection) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        table.iter().for_each(|page| page.set(access));
        Ok(())
    }

    /// Asks the host for huge pages, of which it has to look up fewer. It may have none.
    pub(crate) fn prefer_huge(&self, pages: Range<u64>) {
        let Some(table) = self.pages.get(pages.start as usize..pages.end as usize) else { return };
        let start = self.base.wrapping_add((pages.start * PAGE) as usize);
        let length = table.len() * PAGE as usize;
        // SAFETY: the table has these pages, so they lie in the mapping that we own. What they hold
        // and who may reach them does not change.
        unsafe { libc::madvise(start.cast(), length, libc::MADV_HUGEPAGE) };
    }

    /// Forgets what pages hold; they hold zeros when they are reachable again.
    pub(crate) fn discard(&self, pages: Range<u64>) -> io::Result<()> {
        let Some(table) = self.pages.get(pages.start as usize..pages.end as usize) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let start = self.base.wrapping_add((pages.start * PAGE) as usize);
        let length = table.len() * PAGE as usize;
        // SAFETY: the table has these pages, so they lie in the mapping that we own, and nobody
        // holds a reference into it.
        let done = unsafe { libc::madvise(start.cast(), length, libc::MADV_DONTNEED) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The host's address of `length` bytes, all of which can be reached as `access` says; else
    /// the place of the first that can't.
    #[inline(always)]
    fn reach(&self, place: i64, length: usize, access: u8) -> Result<*mut u8, i64> {
        let first = place >> PAGE.trailing_zeros();
        let last = place.wrapping_add(length as i64 - 1) >> PAGE.trailing_zeros();
        // As a number without sign, below the window is far above its last page.
        let has = self.pages.get(first as usize).map_or(0, Cell::get);
        if first != last || has & access == 0 {
            self.reach_all(place, length, access)?;
        }
        Ok(self.base.wrapping_offset(place as isize))
    }

    /// Looks at one page after the other.
    #[cold]
    fn reach_all(&self, place: i64, length: usize, access: u8) -> Result<(), i64> {
        let mut page = place >> PAGE.trailing_zeros();
        let last = place.saturating_add(length as i64 - 1) >> PAGE.trailing_zeros();
        while page <= last {
            let has = usize::try_from(page).ok().and_then(|page| self.pages.get(page));
            if has.is_none_or(|has| has.get() & access == 0) {
                return Err(place.max(page << PAGE.trailing_zeros()));
            }
            page += 1;
        }
        Ok(())
    }

    /// Reads a little-endian number of 1, 2, 4 or 8 bytes.
    #[inline(always)]
    pub(crate) fn load(&self, place: i64, size: usize) -> Result<u64, i64> {
        let at = self.reach(place, size, READ)?;
        // SAFETY: `reach` says that these bytes of our mapping can be read. Anything may have
        // written them before, and every value of these types is valid.
        Ok(unsafe {
            match size {
                1 => u64::from(at.read()),
                2 => u64::from(at.cast::<u16>().read_unaligned()),
                4 => u64::from(at.cast::<u32>().read_unaligned()),
                _ => at.cast::<u64>().read_unaligned(),
            }
        })
    }

    /// Writes the lowest 1, 2, 4 or 8 bytes of a number.
    #[inline(always)]
    pub(crate) fn store(&self, place: i64, size: usize, value: u64) -> Result<(), i64> {
        let at = self.reach(place, size, WRITE)?;
        // SAFETY: `reach` says that these bytes of our mapping can be written. They are never
        // borrowed, only copied in and out, and no other thread knows them.
        unsafe {
            match size {
                1 => at.write(value as u8),
                2 => at.cast::<u16>().write_unaligned(value as u16),
                4 => at.cast::<u32>().write_unaligned(value as u32),
                _ => at.cast::<u64>().write_unaligned(value),
            }
        }
        Ok(())
    }

    /// Replaces a little-endian number of 1, 2, 4 or 8 bytes by the lowest bytes of what is made of
    /// it.
    #[inline(always)]
    pub(crate) fn update(
        &self,
        place: i64,
        size: usize,
        make: impl FnOnce(u64) -> u64,
    ) -> Result<(), i64> {
        let at = self.reach(place, size, WRITE)?;
        // SAFETY: as in `load` and `store`; what can be written can be read.
        unsafe {
            match size {
                1 => at.write(make(u64::from(at.read())) as u8),
                2 => {
                    let at = at.cast::<u16>();
                    at.write_unaligned(make(u64::from(at.read_unaligned())) as u16);
                }
                4 => {
                    let at = at.cast::<u32>();
                    at.write_unaligned(make(u64::from(at.read_unaligned())) as u32);
                }
                _ => {
                    let at = at.cast::<u64>();
                    at.write_unaligned(make(at.read_unaligned()));
                }
            }
        }
        Ok(())
    }

    /// Copies bytes out.
    pub(crate) fn read(&self, place: i64, bytes: &mut [u8]) -> Result<(), i64> {
        let at = self.reach(place, bytes.len(), READ)?;
        // SAFETY: `reach` says that these bytes of our mapping can be read; `bytes`, a reference,
        // is not among them, since nobody gets a reference into the mapping.
        unsafe { ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies bytes in.
    pub(crate) fn write(&self, place: i64, bytes: &[u8]) -> Result<(), i64> {
        let at = self.reach(place, bytes.len(), WRITE)?;
        // SAFETY: as in `read`, and `reach` says that they can be written.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        Ok(())
    }
}

/// A page table with no page that can be reached.
fn page_table() -> Box<[Cell<u8>]> {
    // From the host it comes as zeros, which nobody has to write.
    let zeros = vec![0_u8; (WINDOW / PAGE) as usize].into_boxed_slice();
    // SAFETY: a `Cell<u8>` is in memory what a `u8` is, and the box is the only owner.
    unsafe { Box::from_raw(Box::into_raw(zeros) as *mut [Cell<u8>]) }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `reserve` made; nobody holds a reference into it.
        unsafe { libc::munmap(self.mapping.cast(), RESERVED) };
    }
}
