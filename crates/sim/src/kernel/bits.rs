// SPDX-License-Identifier: GPL-2.0-or-later
//! Loops over the bits of a mask (kernel: `kernel/bpf/helpers.c`).

use super::memory::probe;
use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use crate::objects::What;
use rota_bytecode::Fault;

/// The longest mask, in words.
const WORDS_MAX: u64 = 511;

/// Where an iterator keeps the address of its copy of the mask, the number of bits, and the bit
/// that next() returned last.
const COPY: u64 = 0;
const COUNT: u64 = 8;
const BIT: u64 = 12;

/// `bpf_iter_bits_new(it, mask, words)`.
pub(super) fn new(machine: &mut Machine, [it, mask, words, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let words = words & 0xffff_ffff;
    machine.memory.write_u64(it + COPY, 0)?;
    machine.memory.write_u32(it + COUNT, 0)?;
    machine.memory.write_u32(it + BIT, u32::MAX)?;
    if mask == 0 || words == 0 {
        return value(Errno::Invalid.value());
    }
    if words > WORDS_MAX {
        return value(Errno::TooBig.value());
    }
    let mut bytes = vec![0; 8 * words as usize];
    if probe(machine, mask, &mut bytes).is_err() {
        return value(Errno::Fault.value());
    }
    let Some(copy) = machine.new_object(8 * words, What::Scratch) else {
        return value(Errno::NoMemory.value());
    };
    machine.memory.write(copy, &bytes)?;
    machine.memory.write_u64(it + COPY, copy)?;
    machine.memory.write_u32(it + COUNT, 64 * words as u32)?;
    value(0)
}

/// `bpf_iter_bits_next(it)`: where the number of the next bit is that is set, or NULL.
pub(super) fn next(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let copy = machine.memory.read_u64(it + COPY)?;
    let count = machine.memory.read_u32(it + COUNT)?;
    let mut bit = machine.memory.read_u32(it + BIT)?.wrapping_add(1);
    while bit < count {
        let word = machine.memory.read_u64(copy + u64::from(bit / 64 * 8))? >> (bit % 64);
        if word != 0 {
            bit += word.trailing_zeros();
            machine.memory.write_u32(it + BIT, bit)?;
            return value(it + BIT);
        }
        bit = (bit + 1).next_multiple_of(64);
    }
    machine.memory.write_u32(it + BIT, count.wrapping_sub(1))?;
    value(0)
}

/// `bpf_iter_bits_destroy(it)`.
pub(super) fn done(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let copy = machine.memory.read_u64(it + COPY)?;
    if machine.what(copy) == Some(What::Scratch) {
        // It was found just now, so it can be given back.
        let _ = machine.drop_owner(copy);
    }
    machine.memory.write_u64(it + COPY, 0)?;
    machine.memory.write_u32(it + COUNT, 0)?;
    value(0)
}
