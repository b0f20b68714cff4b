// SPDX-License-Identifier: GPL-2.0-or-later
//! The memory of one simulated machine, as its BPF programs see it.

use crate::window::{MOST_PIECES, PAGE, READ, WINDOW, WRITE, Window};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

/// The lowest pointer of the kernel's part.
pub const KERNEL: u64 = UPPER | 1 << 31;
/// How big the kernel's part is.
pub const KERNEL_BYTES: u64 = (2 << 30) - (256 << 20);
/// Bytes from pointer 0 on that read as zero: what a program finds behind NULL.
pub const NULL_BYTES: u64 = 64 << 10;

/// Size in bytes of the host's huge pages.
pub const HUGE: u64 = crate::window::HUGE;

/// The upper half of the pointers to the kernel's part.
const UPPER: u64 = 0xffff_8881_0000_0000;
const NULL_PAGES: Range<u64> = 0..NULL_BYTES / PAGE;
/// Places of the kernel's part.
const KERNEL_PLACES: Range<u64> = KERNEL - UPPER..KERNEL - UPPER + KERNEL_BYTES;
/// Pages of the kernel's part that can be allocated. The others are kept out of reach: so nothing
/// runs out of it, and there are pointers to it that always trap.
const KERNEL_PAGES: Range<u64> =
    (KERNEL_PLACES.start + (128 << 10)) / PAGE..(KERNEL_PLACES.end - (256 << 20)) / PAGE;

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
    /// The first byte that can't be reached, as the machine points to it: the upper half of a
    /// program's pointer, which says nothing about where it points, is not kept.
    pub pointer: u64,
    /// Size of the whole access.
    pub size: u64,
    /// Whether it was a store.
    pub write: bool,
}

/// Why memory could not be allocated, mapped or freed.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// There is no free range of that size.
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
    /// Too many pieces of memory that can be reached in different ways, each apart from the next.
    #[error(
        "the machine's memory is in more than {MOST_PIECES} pieces; allocate fewer and bigger \
         ones, and pages of an arena next to each other"
    )]
    Pieces,
    /// The host refused.
    #[error("the host gives no memory: {0}; raise the limit of address space or of mappings")]
    Host(#[from] io::Error),
}

/// The memory of one machine: a window of 4 GiB, in which a pointer's lower half says the place.
///
/// The *kernel's part*, with [`KERNEL_BYTES`] from [`KERNEL`] on, holds whatever [`Memory::alloc`]
/// gives out. All else is the arena's: it holds pages at the places that [`Memory::map`] is told;
/// its first [`NULL_BYTES`] can be read and are zero where the arena has no page.
///
/// Every byte starts as zero. Pointers depend on nothing but the order of the calls.
pub struct Memory {
    window: Window,
    kernel: RefCell<Allocations>,
}

/// What the kernel's part holds.
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
        let window = Window::reserve()?;
        window.protect(NULL_PAGES, READ)?;
        let kernel = Allocations { next: KERNEL_PAGES.start, ..Allocations::default() };
        Ok(Self { window, kernel: RefCell::new(kernel) })
    }

    /// Allocates zeroed whole pages of the kernel's part. A page that can't be reached follows,
    /// so that running off the end traps, if only at the end of the last page. A big piece that is
    /// aligned to [`HUGE`] is in huge pages of the host, if that has some.
    pub fn alloc(&self, size: u64, align: u64, protection: Protection) -> Result<u64, MemoryError> {
        if size == 0 || !align.is_power_of_two() {
            return Err(MemoryError::Request { size, align });
        }
        let room = size <= WINDOW && align <= WINDOW;
        let pages = size.div_ceil(PAGE);
        // Whoever asks for it could use huge pages of the host.
        let huge = size >= HUGE && align >= HUGE;
        let align = align.div_ceil(PAGE);
        let mut kernel = self.kernel.borrow_mut();
        let start = room
            .then(|| kernel.gap(&(kernel.next..KERNEL_PAGES.end), pages, align))
            .flatten()
            .or_else(|| room.then(|| kernel.gap(&KERNEL_PAGES, pages, align)).flatten())
            .ok_or(MemoryError::Full(size))?;
        self.window.protect(start..start + pages, protection.access())?;
        if huge {
            self.window.prefer_huge(start..start + pages);
        }
        kernel.pages.insert(start, pages);
        kernel.next = start + pages + 1;
        Ok(pointer_of((start * PAGE) as i64))
    }

    /// Gives back what [`Memory::alloc`] gave. Whoever still uses it, traps.
    pub fn free(&self, pointer: u64) -> Result<(), MemoryError> {
        let pages = self.allocation(pointer)?;
        let window = &self.window;
        window.discard(pages.clone())?;
        window.protect(pages.clone(), 0)?;
        self.kernel.borrow_mut().pages.remove(&pages.start);
        Ok(())
    }

    /// Changes what may be done to an allocation.
    pub fn protect(&self, pointer: u64, protection: Protection) -> Result<(), MemoryError> {
        let pages = self.allocation(pointer)?;
        self.window.protect(pages, protection.access())
    }

    fn allocation(&self, pointer: u64) -> Result<Range<u64>, MemoryError> {
        let page = place_of(pointer) as u64 / PAGE;
        let pages = self.kernel.borrow().pages.get(&page).copied();
        match pages {
            Some(pages) if pointer_of((page * PAGE) as i64) == pointer => Ok(page..page + pages),
            _ => Err(MemoryError::Pointer(pointer)),
        }
    }

    /// Maps zeroed pages of the arena, which must not be mapped, nor in the kernel's part.
    pub fn map(&self, pointer: u64, size: u64, protection: Protection) -> Result<(), MemoryError> {
        let pages = arena_pages(pointer, size)?;
        let window = &self.window;
        let free = |page| window.page(page) == null_access(page);
        // A read-only page of the arena's among the first looks like no page at all.
        if !pages.clone().all(free) {
            return Err(MemoryError::Pointer(pointer));
        }
        window.protect(pages, protection.access())
    }

    /// Takes pages of the arena away again. That is refused too if it leaves too many pieces.
    pub fn unmap(&self, pointer: u64, size: u64) -> Result<(), MemoryError> {
        let pages = arena_pages(pointer, size)?;
        let window = &self.window;
        if pages.clone().any(|page| window.page(page) == 0) {
            return Err(MemoryError::Pointer(pointer));
        }
        let null = pages.start..pages.end.min(NULL_PAGES.end);
        let rest = pages.start.max(NULL_PAGES.end)..pages.end;
        for (part, access) in [(rest, 0), (null, READ)] {
            if !part.is_empty() {
                window.protect(part.clone(), access)?;
                window.discard(part)?;
            }
        }
        Ok(())
    }

    /// Copies bytes out of the machine.
    pub fn read(&self, pointer: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        let size = bytes.len() as u64;
        let read = self.window.read(place_of(pointer), bytes);
        read.map_err(|place| fault(place, size, false))
    }

    /// Copies bytes into the machine: all of them, or none.
    pub fn write(&self, pointer: u64, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.window.write(place_of(pointer), bytes);
        written.map_err(|place| fault(place, bytes.len() as u64, true))
    }

    /// Reads a number of 1, 2, 4 or 8 bytes; of any other size, its first 8 bytes.
    #[inline]
    pub fn read_number(&self, pointer: u64, size: u64) -> Result<u64, Fault> {
        self.load(place_of(pointer), number_bytes(size))
    }

    /// Writes a number of 1, 2, 4 or 8 bytes; of any other size, its first 8 bytes.
    #[inline]
    pub fn write_number(&self, pointer: u64, size: u64, value: u64) -> Result<(), Fault> {
        self.store(place_of(pointer), number_bytes(size), value)
    }

    /// Replaces a number of 1, 2, 4 or 8 bytes; of any other size, its first 8 bytes.
    #[inline]
    pub fn update_number(
        &self,
        pointer: u64,
        size: u64,
        make: impl FnOnce(u64) -> u64,
    ) -> Result<(), Fault> {
        let size = number_bytes(size);
        let updated = self.window.update(place_of(pointer), size, make);
        updated.map_err(|at| fault(at, size as u64, true))
    }

    /// Reads a number of 8 bytes.
    #[inline]
    pub fn read_u64(&self, pointer: u64) -> Result<u64, Fault> {
        self.load(place_of(pointer), 8)
    }

    /// Reads a number of 4 bytes.
    #[inline]
    pub fn read_u32(&self, pointer: u64) -> Result<u32, Fault> {
        Ok(self.load(place_of(pointer), 4)? as u32)
    }

    /// Reads a byte.
    #[inline]
    pub fn read_u8(&self, pointer: u64) -> Result<u8, Fault> {
        Ok(self.load(place_of(pointer), 1)? as u8)
    }

    /// Writes a number of 8 bytes.
    #[inline]
    pub fn write_u64(&self, pointer: u64, value: u64) -> Result<(), Fault> {
        self.store(place_of(pointer), 8, value)
    }

    /// Writes a number of 4 bytes.
    #[inline]
    pub fn write_u32(&self, pointer: u64, value: u32) -> Result<(), Fault> {
        self.store(place_of(pointer), 4, u64::from(value))
    }

    /// Writes a byte.
    #[inline]
    pub fn write_u8(&self, pointer: u64, value: u8) -> Result<(), Fault> {
        self.store(place_of(pointer), 1, u64::from(value))
    }

    /// Reads a number of `size` bytes at a place.
    #[inline]
    pub(crate) fn load(&self, place: i64, size: usize) -> Result<u64, Fault> {
        self.window.load(place, size).map_err(|at| fault(at, size as u64, false))
    }

    /// Writes the lowest `size` bytes of a number to a place.
    #[inline]
    pub(crate) fn store(&self, place: i64, size: usize, value: u64) -> Result<(), Fault> {
        self.window.store(place, size, value).map_err(|at| fault(at, size as u64, true))
    }

    /// The window, for the interpreter.
    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// The host's address of place 0, for compiled code.
    pub(crate) fn base(&self) -> *mut u8 {
        self.window.base()
    }

    /// Addresses of the host that belong to this memory.
    pub(crate) fn host_range(&self) -> Range<usize> {
        self.window.host_range()
    }
}

/// The size of a number that can be read at once.
#[inline]
fn number_bytes(size: u64) -> usize {
    if matches!(size, 1 | 2 | 4) { size as usize } else { 8 }
}

/// The fault of an access, of which `place` can't be reached.
pub(crate) fn fault(place: i64, size: u64, write: bool) -> Fault {
    Fault { pointer: pointer_of(place), size, write }
}

/// Where in the window a pointer points.
#[inline]
pub(crate) fn place_of(pointer: u64) -> i64 {
    i64::from(pointer as u32)
}

/// The pointer to a place, whose upper half is the one that the machine's own pointers have.
pub(crate) fn pointer_of(place: i64) -> u64 {
    let place = place as u64;
    if KERNEL_PLACES.contains(&place) { UPPER | place } else { place }
}

fn arena_pages(pointer: u64, size: u64) -> Result<Range<u64>, MemoryError> {
    let start = place_of(pointer) as u64;
    let end = start.saturating_add(size);
    let apart = end <= KERNEL_PLACES.start || start >= KERNEL_PLACES.end && end <= WINDOW;
    if size == 0 || !pointer.is_multiple_of(PAGE) || !apart {
        return Err(MemoryError::Pointer(pointer));
    }
    Ok(start / PAGE..end.div_ceil(PAGE))
}

/// How a page of the arena can be reached that the arena does not have.
fn null_access(page: u64) -> u8 {
    if NULL_PAGES.contains(&page) { READ } else { 0 }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
