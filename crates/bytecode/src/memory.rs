// SPDX-License-Identifier: GPL-2.0-or-later
//! The memory of one simulated machine, as its BPF programs see it.

use crate::windows::{MASK, PAGE, READ, WINDOW, WRITE, Windows};
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

/// The lowest pointer of the kernel window.
pub const KERNEL: u64 = 0xffff_8881_0000_0000;
/// Bytes from pointer 0 on that read as zero: what a program finds behind NULL.
pub const NULL_BYTES: u64 = 64 << 10;

const NULL_PAGES: Range<u64> = 0..NULL_BYTES / PAGE;
const ARENA_PAGES: Range<u64> = 0..WINDOW / PAGE;
/// Pages of the kernel window that can be allocated. The first are kept out of reach, so that
/// nothing runs from one window into the other; the last, so that error pointers trap.
const KERNEL_PAGES: Range<u64> = (WINDOW + (128 << 10)) / PAGE..(2 * WINDOW - (1 << 20)) / PAGE;

/// What programs, and the machine itself, may do to pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

impl Protection {
    fn access(self) -> u8 {
        match self {
            Self::ReadOnly => READ,
            Self::ReadWrite => READ | WRITE,
        }
    }
}

/// An access to memory that can't be reached so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bad {} of {size} bytes at {pointer:#x}", if *.write { "store" } else { "load" })]
pub struct Fault {
    /// The first byte that can't be reached, as a pointer in its window: the upper bits of a
    /// program's pointer, which say nothing about where it points, are not kept.
    pub pointer: u64,
    /// Size of the whole access.
    pub size: u64,
    /// Whether it was a store.
    pub write: bool,
}

/// Why memory could not be allocated, mapped or freed.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The window has no free range of that size.
    #[error("no room for {0} bytes in the machine's memory; free something or ask for less")]
    Full(u64),
    /// A size of 0, or an alignment that is no power of two.
    #[error("{size} bytes aligned to {align}: ask for at least 1 byte and a power of two")]
    Request {
        /// The size.
        size: u64,
        /// The alignment.
        align: u64,
    },
    /// Not the pointer of an allocation, or pages that are mapped already, or not mapped.
    #[error("{0:#x} is not where an allocation starts, or not pages in that state")]
    Pointer(u64),
    /// The host refused.
    #[error("the host gives no memory: {0}; raise the limit of address space or of mappings")]
    Host(#[from] io::Error),
}

/// The memory of one machine: two windows of 4 GiB.
///
/// A pointer's bit 32 selects the window. The *kernel window* (bit set, pointers from [`KERNEL`]
/// on) holds whatever [`Memory::alloc`] gives out. The *arena window* (bit clear) holds the pages
/// of an arena, at the places that [`Memory::map`] is told; its first [`NULL_BYTES`] can be read
/// and are zero where the arena has no page.
///
/// Every byte starts as zero. Pointers depend on nothing but the order of the calls.
pub struct Memory {
    windows: RefCell<Windows>,
    kernel: RefCell<Allocations>,
}

/// What the kernel window holds.
#[derive(Default)]
struct Allocations {
    /// Number of pages, by first page.
    pages: BTreeMap<u64, u64>,
    /// Where to look for room next: freed pages are used again as late as possible, so that a
    /// stale pointer traps.
    next: u64,
}

impl Allocations {
    /// The first page of `pages` free ones in `within`, a free page behind them.
    fn gap(&self, within: &Range<u64>, pages: u64, align: u64) -> Option<u64> {
        let mut start = within.start;
        if let Some((first, count)) = self.pages.range(..=start).next_back() {
            start = start.max(first + count + 1);
        }
        start = start.next_multiple_of(align);
        for (first, count) in self.pages.range(within.start + 1..) {
            if start + pages < *first {
                break;
            }
            start = start.max((first + count + 1).next_multiple_of(align));
        }
        (start + pages < within.end).then_some(start)
    }
}

impl Memory {
    /// Reserves the memory of a machine. Nothing of the host's memory is used until pages are
    /// touched.
    pub fn new() -> Result<Self, MemoryError> {
        let mut windows = Windows::reserve()?;
        windows.protect(NULL_PAGES, READ)?;
        let kernel = Allocations { next: KERNEL_PAGES.start, ..Allocations::default() };
        Ok(Self { windows: RefCell::new(windows), kernel: RefCell::new(kernel) })
    }

    /// Allocates zeroed whole pages of the kernel window. A page that can't be reached follows,
    /// so that running off the end traps, if only at the end of the last page.
    pub fn alloc(&self, size: u64, align: u64, protection: Protection) -> Result<u64, MemoryError> {
        if size == 0 || !align.is_power_of_two() {
            return Err(MemoryError::Request { size, align });
        }
        let room = size <= WINDOW && align <= WINDOW;
        let pages = size.div_ceil(PAGE);
        let align = align.div_ceil(PAGE);
        let mut kernel = self.kernel.borrow_mut();
        let start = room
            .then(|| kernel.gap(&(kernel.next..KERNEL_PAGES.end), pages, align))
            .flatten()
            .or_else(|| room.then(|| kernel.gap(&KERNEL_PAGES, pages, align)).flatten())
            .ok_or(MemoryError::Full(size))?;
        self.windows.borrow_mut().protect(start..start + pages, protection.access())?;
        kernel.pages.insert(start, pages);
        kernel.next = start + pages + 1;
        Ok(pointer_of((start * PAGE) as i64))
    }

    /// Gives back what [`Memory::alloc`] gave. Whoever still uses it, traps.
    pub fn free(&self, pointer: u64) -> Result<(), MemoryError> {
        let pages = self.allocation(pointer)?;
        let mut windows = self.windows.borrow_mut();
        windows.discard(pages.clone())?;
        windows.protect(pages.clone(), 0)?;
        self.kernel.borrow_mut().pages.remove(&pages.start);
        Ok(())
    }

    /// Changes what may be done to an allocation.
    pub fn protect(&self, pointer: u64, protection: Protection) -> Result<(), MemoryError> {
        let pages = self.allocation(pointer)?;
        Ok(self.windows.borrow_mut().protect(pages, protection.access())?)
    }

    fn allocation(&self, pointer: u64) -> Result<Range<u64>, MemoryError> {
        let page = (pointer & MASK) / PAGE;
        let pages = self.kernel.borrow().pages.get(&page).copied();
        match pages {
            Some(pages) if pointer_of((page * PAGE) as i64) == pointer => Ok(page..page + pages),
            _ => Err(MemoryError::Pointer(pointer)),
        }
    }

    /// Maps zeroed pages of the arena window, which must not be mapped.
    pub fn map(&self, pointer: u64, size: u64, protection: Protection) -> Result<(), MemoryError> {
        let pages = arena_pages(pointer, size)?;
        let mut windows = self.windows.borrow_mut();
        let free = |page| windows.page(page) == null_access(page);
        // A read-only page of the arena's among the first looks like no page at all.
        if !pages.clone().all(free) {
            return Err(MemoryError::Pointer(pointer));
        }
        Ok(windows.protect(pages, protection.access())?)
    }

    /// Takes pages of the arena window away again.
    pub fn unmap(&self, pointer: u64, size: u64) -> Result<(), MemoryError> {
        let pages = arena_pages(pointer, size)?;
        let mut windows = self.windows.borrow_mut();
        if pages.clone().any(|page| windows.page(page) == 0) {
            return Err(MemoryError::Pointer(pointer));
        }
        windows.discard(pages.clone())?;
        let null = pages.start..pages.end.min(NULL_PAGES.end);
        let rest = pages.start.max(NULL_PAGES.end)..pages.end;
        if !null.is_empty() {
            windows.protect(null, READ)?;
        }
        if !rest.is_empty() {
            windows.protect(rest, 0)?;
        }
        Ok(())
    }

    /// Copies bytes out of the machine.
    pub fn read(&self, pointer: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        let size = bytes.len() as u64;
        let read = self.windows.borrow().read(place_of(pointer), bytes);
        read.map_err(|place| fault(place, size, false))
    }

    /// Copies bytes into the machine: all of them, or none.
    pub fn write(&self, pointer: u64, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.windows.borrow().write(place_of(pointer), bytes);
        written.map_err(|place| fault(place, bytes.len() as u64, true))
    }

    /// Reads a number of 1, 2, 4 or 8 bytes; of any other size, its first 8 bytes.
    pub fn read_number(&self, pointer: u64, size: u64) -> Result<u64, Fault> {
        self.load(place_of(pointer), number_bytes(size))
    }

    /// Writes a number of 1, 2, 4 or 8 bytes; of any other size, its first 8 bytes.
    pub fn write_number(&self, pointer: u64, size: u64, value: u64) -> Result<(), Fault> {
        self.store(place_of(pointer), number_bytes(size), value)
    }

    /// Reads a number of 8 bytes.
    pub fn read_u64(&self, pointer: u64) -> Result<u64, Fault> {
        self.load(place_of(pointer), 8)
    }

    /// Reads a number of 4 bytes.
    pub fn read_u32(&self, pointer: u64) -> Result<u32, Fault> {
        Ok(self.load(place_of(pointer), 4)? as u32)
    }

    /// Reads a byte.
    pub fn read_u8(&self, pointer: u64) -> Result<u8, Fault> {
        Ok(self.load(place_of(pointer), 1)? as u8)
    }

    /// Writes a number of 8 bytes.
    pub fn write_u64(&self, pointer: u64, value: u64) -> Result<(), Fault> {
        self.store(place_of(pointer), 8, value)
    }

    /// Writes a number of 4 bytes.
    pub fn write_u32(&self, pointer: u64, value: u32) -> Result<(), Fault> {
        self.store(place_of(pointer), 4, u64::from(value))
    }

    /// Writes a byte.
    pub fn write_u8(&self, pointer: u64, value: u8) -> Result<(), Fault> {
        self.store(place_of(pointer), 1, u64::from(value))
    }

    /// Reads a number of `size` bytes at a place.
    #[inline]
    pub(crate) fn load(&self, place: i64, size: usize) -> Result<u64, Fault> {
        self.windows.borrow().load(place, size).map_err(|at| fault(at, size as u64, false))
    }

    /// Writes the lowest `size` bytes of a number to a place.
    #[inline]
    pub(crate) fn store(&self, place: i64, size: usize, value: u64) -> Result<(), Fault> {
        self.windows.borrow().store(place, size, value).map_err(|at| fault(at, size as u64, true))
    }

    /// The windows, for the interpreter.
    pub(crate) fn windows(&self) -> Ref<'_, Windows> {
        self.windows.borrow()
    }

    /// The host's address of place 0, for compiled code.
    pub(crate) fn base(&self) -> *mut u8 {
        self.windows.borrow().base()
    }

    /// Addresses of the host that belong to this memory.
    pub(crate) fn host_range(&self) -> Range<usize> {
        self.windows.borrow().host_range()
    }
}

/// The size of a number that can be read at once.
fn number_bytes(size: u64) -> usize {
    if matches!(size, 1 | 2 | 4) { size as usize } else { 8 }
}

/// The fault of an access, of which `place` can't be reached.
pub(crate) fn fault(place: i64, size: u64, write: bool) -> Fault {
    Fault { pointer: pointer_of(place), size, write }
}

/// Where in the windows a pointer points.
#[inline]
pub(crate) fn place_of(pointer: u64) -> i64 {
    (pointer & MASK) as i64
}

/// The pointer to a place, whose upper bits are those that the machine's own pointers have.
pub(crate) fn pointer_of(place: i64) -> u64 {
    match place.checked_sub(WINDOW as i64) {
        Some(in_kernel @ 0..) => KERNEL + in_kernel as u64,
        _ => place as u64,
    }
}

fn arena_pages(pointer: u64, size: u64) -> Result<Range<u64>, MemoryError> {
    let start = (pointer & MASK) / PAGE;
    let end = start + size.div_ceil(PAGE);
    if size == 0 || !pointer.is_multiple_of(PAGE) || end > ARENA_PAGES.end {
        return Err(MemoryError::Pointer(pointer));
    }
    Ok(start..end)
}

/// How a page of the arena window can be reached that the arena does not have.
fn null_access(page: u64) -> u8 {
    if NULL_PAGES.contains(&page) { READ } else { 0 }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
