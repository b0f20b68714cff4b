// SPDX-License-Identifier: GPL-2.0-or-later
//! Dynamic pointers: a pointer with a size, of which every use is checked (kernel:
//! `kernel/bpf/helpers.c`). They lie in the program's own memory, as the kernel has them there: an
//! address, a size whose upper bits say the kind, an offset.

use super::map::bytes;
use super::ring::{finish, room};
use super::{Answer, value};
use crate::errno::{Errno, status};
use crate::machine::Machine;
use rota_bytecode::Fault;

/// The largest size, which has 24 bits.
const SIZE_MAX: u64 = (1 << 24) - 1;
/// What a dynamic pointer points to: memory of the program's, or a record of a ring.
const LOCAL: u32 = 1;
const RECORD: u32 = 2;
const KIND_SHIFT: u32 = 28;
const READ_ONLY: u32 = 1 << 31;

/// A dynamic pointer, as it lies in memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dynptr {
    data: u64,
    /// The size, and above it what it is.
    word: u32,
    offset: u32,
}

impl Dynptr {
    /// To memory of the program's, or of a ring that user space fills.
    pub(super) fn local(data: u64, size: u64) -> Self {
        Self { data, word: size as u32 | LOCAL << KIND_SHIFT, offset: 0 }
    }

    fn load(machine: &Machine, at: u64) -> Result<Self, Fault> {
        let data = machine.memory.read_u64(at)?;
        let word = machine.memory.read_u32(at + 8)?;
        Ok(Self { data, word, offset: machine.memory.read_u32(at + 12)? })
    }

    pub(super) fn store(self, machine: &Machine, at: u64) -> Result<(), Fault> {
        machine.memory.write_u64(at, self.data)?;
        machine.memory.write_u32(at + 8, self.word)?;
        machine.memory.write_u32(at + 12, self.offset)
    }

    fn size(self) -> u64 {
        u64::from(self.word) & SIZE_MAX
    }

    fn is_read_only(self) -> bool {
        self.word & READ_ONLY != 0
    }

    /// Where a part of the memory is.
    fn part(self, offset: u64, len: u64) -> Result<u64, Errno> {
        if self.data == 0 {
            return Err(Errno::Invalid);
        }
        match self.size().checked_sub(len) {
            Some(last) if offset <= last => Ok(self.data + u64::from(self.offset) + offset),
            _ => Err(Errno::TooBig),
        }
    }

    /// The same, to be written.
    fn part_to_write(self, offset: u64, len: u64) -> Result<u64, Errno> {
        if self.is_read_only() { Err(Errno::Invalid) } else { self.part(offset, len) }
    }
}

/// Stores what was made, or what is none.
fn make(machine: &Machine, at: u64, made: Result<Dynptr, Errno>) -> Result<Answer, Fault> {
    made.unwrap_or_default().store(machine, at)?;
    value(status(made.map(drop)))
}

/// `bpf_dynptr_from_mem(data, size, flags, at)`.
pub(super) fn from_memory(
    machine: &mut Machine,
    [data, size, flags, at, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let made = match flags {
        _ if size > SIZE_MAX => Err(Errno::TooBig),
        0 => Ok(Dynptr::local(data, size)),
        _ => Err(Errno::Invalid),
    };
    make(machine, at, made)
}

/// `bpf_ringbuf_reserve_dynptr(ring, size, flags, at)`.
pub(super) fn reserve(
    machine: &mut Machine,
    [ring, size, flags, at, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let size = size & 0xffff_ffff;
    let made = if flags != 0 {
        Err(Errno::Invalid)
    } else if size > SIZE_MAX {
        Err(Errno::TooBig)
    } else {
        let word = size as u32 | RECORD << KIND_SHIFT;
        match room(machine, ring, size) {
            0 => Err(Errno::Invalid),
            data => Ok(Dynptr { data, word, offset: 0 }),
        }
    };
    make(machine, at, made)
}

/// `bpf_ringbuf_submit_dynptr(at, flags)`. Nothing happens to what is none.
pub(super) fn submit(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    end(machine, args[0], true)
}

/// `bpf_ringbuf_discard_dynptr(at, flags)`.
pub(super) fn discard(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    end(machine, args[0], false)
}

fn end(machine: &mut Machine, at: u64, keep: bool) -> Result<Answer, Fault> {
    let Dynptr { data, .. } = Dynptr::load(machine, at)?;
    if data == 0 {
        return value(0);
    }
    Dynptr::default().store(machine, at)?;
    finish(machine, data, keep)
}

/// Copies within the machine, at once: the places may overlap.
fn copy_bytes(machine: &Machine, to: u64, from: u64, len: u64) -> Result<(), Fault> {
    let copied = bytes(machine, from, len as u32)?;
    machine.memory.write(to, &copied)
}

/// `bpf_dynptr_read(to, len, at, offset, flags)`.
pub(super) fn read(
    machine: &mut Machine,
    [to, len, at, offset, flags]: [u64; 5],
) -> Result<Answer, Fault> {
    let part = Dynptr::load(machine, at)?.part(offset, len);
    match part {
        Ok(from) if flags == 0 => {
            copy_bytes(machine, to, from, len)?;
            value(0)
        }
        Ok(_) => value(Errno::Invalid.value()),
        Err(error) => value(error.value()),
    }
}

/// `bpf_dynptr_write(at, offset, from, len, flags)`.
pub(super) fn write(
    machine: &mut Machine,
    [at, offset, from, len, flags]: [u64; 5],
) -> Result<Answer, Fault> {
    match Dynptr::load(machine, at)?.part_to_write(offset, len) {
        Ok(to) if flags == 0 => {
            copy_bytes(machine, to, from, len)?;
            value(0)
        }
        Ok(_) => value(Errno::Invalid.value()),
        Err(error) => value(error.value()),
    }
}

/// `bpf_dynptr_data(at, offset, len)`.
pub(super) fn data(
    machine: &mut Machine,
    [at, offset, len, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    value(Dynptr::load(machine, at)?.part_to_write(offset, len).unwrap_or(0))
}

/// `bpf_dynptr_slice(at, offset, buffer, len)`.
pub(super) fn slice(
    machine: &mut Machine,
    [at, offset, _, len, _]: [u64; 5],
) -> Result<Answer, Fault> {
    value(Dynptr::load(machine, at)?.part(offset, len & 0xffff_ffff).unwrap_or(0))
}

/// `bpf_dynptr_adjust(at, start, end)`: makes it smaller at both ends.
pub(super) fn adjust(
    machine: &mut Machine,
    [at, start, end, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let mut pointer = Dynptr::load(machine, at)?;
    if pointer.data == 0 || start > end {
        return value(Errno::Invalid.value());
    }
    if end > pointer.size() {
        return value(Errno::Range.value());
    }
    pointer.offset += start as u32;
    pointer.word = pointer.word & !(SIZE_MAX as u32) | (end - start) as u32;
    pointer.store(machine, at)?;
    value(0)
}

/// `bpf_dynptr_is_null(at)`.
pub(super) fn is_null(machine: &mut Machine, [at, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(Dynptr::load(machine, at)?.data == 0))
}

/// `bpf_dynptr_is_rdonly(at)`.
pub(super) fn is_read_only(machine: &mut Machine, [at, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let pointer = Dynptr::load(machine, at)?;
    value(u64::from(pointer.data != 0 && pointer.is_read_only()))
}

/// `bpf_dynptr_size(at)`.
pub(super) fn size(machine: &mut Machine, [at, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let pointer = Dynptr::load(machine, at)?;
    value(if pointer.data == 0 { Errno::Invalid.value() } else { pointer.size() })
}

/// `bpf_dynptr_clone(at, copy)`.
pub(super) fn copy_pointer(
    machine: &mut Machine,
    [at, copy, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let pointer = Dynptr::load(machine, at)?;
    make(machine, copy, if pointer.data == 0 { Err(Errno::Invalid) } else { Ok(pointer) })
}

/// `bpf_dynptr_copy(to, to_offset, from, from_offset, size)`.
pub(super) fn copy(
    machine: &mut Machine,
    [to, to_offset, from, from_offset, size]: [u64; 5],
) -> Result<Answer, Fault> {
    let from = Dynptr::load(machine, from)?.part(from_offset, size);
    let to = Dynptr::load(machine, to)?.part_to_write(to_offset, size);
    match (to, from) {
        (Ok(to), Ok(from)) => {
            copy_bytes(machine, to, from, size)?;
            value(0)
        }
        (Err(error), _) | (_, Err(error)) => value(error.value()),
    }
}

/// `bpf_dynptr_memset(at, offset, size, byte)`.
pub(super) fn fill(
    machine: &mut Machine,
    [at, offset, size, byte, _]: [u64; 5],
) -> Result<Answer, Fault> {
    match Dynptr::load(machine, at)?.part_to_write(offset, size) {
        Ok(to) => {
            machine.memory.write(to, &vec![byte as u8; size as usize])?;
            value(0)
        }
        Err(error) => value(error.value()),
    }
}
