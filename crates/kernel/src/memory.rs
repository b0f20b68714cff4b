// SPDX-License-Identifier: GPL-2.0-or-later
//! What libbpf-rs has no safe call for: the memory that user space shares with loaded programs
//! (globals and arenas), and walking a map from any key.
//!
//! libbpf maps both into this process. The kernel side writes at any time, so bytes are copied
//! one volatile access at a time and never borrowed.

#![expect(unsafe_code, reason = "the one place of this crate that deals in raw pointers")]

use libbpf_rs::{AsRawLibbpf, Map, MapCore};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{NonNull, null};

/// A piece of shared memory, inside the mapping of a loaded object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared {
    start: NonNull<u8>,
    len: usize,
}

impl Shared {
    /// The memory of a map that libbpf has mapped, with the length that the map really has.
    ///
    /// The caller keeps the object alive as long as the value is used: [`crate::Live`] holds
    /// both and hands out neither.
    pub(crate) fn of(map: &Map<'_>, len: usize) -> Option<Self> {
        let mut initial_len = 0;
        // SAFETY: the pointer comes from a live map of a loaded object, and the call only reads
        // the map's description.
        let start = unsafe {
            libbpf_sys::bpf_map__initial_value(
                map.as_libbpf_object().as_ptr(),
                &raw mut initial_len,
            )
        };
        Some(Self { start: NonNull::new(start.cast())?, len })
    }

    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Copies out; false if the range does not lie inside.
    pub(crate) fn read(self, offset: usize, into: &mut [u8]) -> bool {
        if !self.holds(offset, into.len()) {
            return false;
        }
        for (i, byte) in into.iter_mut().enumerate() {
            // SAFETY: offset + i lies inside the mapping, which lives as long as the object; a
            // byte is valid whatever the kernel side wrote.
            *byte = unsafe { self.start.as_ptr().add(offset + i).read_volatile() };
        }
        true
    }

    /// Copies in; false if the range does not lie inside.
    pub(crate) fn write(self, offset: usize, bytes: &[u8]) -> bool {
        if !self.holds(offset, bytes.len()) {
            return false;
        }
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: as in `read`; callers write only to mappings that are writable, not to
            // read-only data of a loaded object.
            unsafe { self.start.as_ptr().add(offset + i).write_volatile(*byte) };
        }
        true
    }

    fn holds(self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }
}

/// The key after this one, or the first; `None` after the last.
pub(crate) fn next_key(map: &Map<'_>, after: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
    let mut next = vec![0u8; map.key_size() as usize];
    // SAFETY: both buffers are as long as a key of this map; the caller checked `after`.
    let status = unsafe {
        libbpf_sys::bpf_map_get_next_key(
            map.as_fd().as_raw_fd(),
            after.map_or(null(), |key| key.as_ptr().cast()),
            next.as_mut_ptr().cast(),
        )
    };
    match status {
        0 => Ok(Some(next)),
        error => {
            let error = io::Error::from_raw_os_error(-error);
            if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
        }
    }
}
