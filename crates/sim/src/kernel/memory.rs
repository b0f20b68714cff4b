// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading memory and text that may not be there.

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use rota_bytecode::{Fault, NULL_BYTES};

/// The longest text that is read.
const TEXT_MAX: u64 = 1 << 16;

/// `bpf_probe_read_kernel(dst, size, src)`: what can't be read is zero, and an error.
pub(super) fn read(machine: &mut Machine, [to, size, from, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let size = size & 0xffff_ffff;
    let mut bytes = vec![0; size.min(1 << 24) as usize];
    let result = probe(machine, from, &mut bytes);
    machine.memory.write(to, &bytes)?;
    value(result.map_or_else(Errno::value, |()| 0))
}

/// Reads what a program may be wrong about.
pub(super) fn probe(machine: &Machine, from: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    let result = match from {
        // Programs that follow NULL read zeros, but these helpers know better.
        0..NULL_BYTES => Err(Errno::Range),
        _ => machine.memory.read(from, bytes).map_err(|_| Errno::Fault),
    };
    if result.is_err() {
        bytes.fill(0);
    }
    result
}

/// `bpf_probe_read_user(dst, size, src)` and its kin: no user space is simulated, so there is
/// nothing to be read.
pub(super) fn read_of_user(
    machine: &mut Machine,
    [to, size, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let zeros = vec![0; (size & 0xffff_ffff).min(1 << 24) as usize];
    machine.memory.write(to, &zeros)?;
    value(Errno::Fault.value())
}

/// `bpf_probe_read_kernel_str(dst, size, src)`: the length with the zero at the end.
pub(super) fn read_text(
    machine: &mut Machine,
    [to, size, from, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let size = (size & 0xffff_ffff).min(TEXT_MAX);
    if size == 0 {
        return value(0);
    }
    let mut text = Vec::new();
    while (text.len() as u64) < size - 1 {
        let mut byte = [0];
        if let Err(error) = probe(machine, from + text.len() as u64, &mut byte) {
            machine.memory.write(to, &vec![0; size as usize])?;
            return value(error.value());
        }
        if byte == [0] {
            break;
        }
        text.push(byte[0]);
    }
    text.push(0);
    machine.memory.write(to, &text)?;
    value(text.len() as u64)
}

/// `bpf_strncmp(one, size, other)`: the sign tells which is greater.
pub(super) fn compare_text(
    machine: &mut Machine,
    [one, size, other, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    for i in 0..size & 0xffff_ffff {
        let (a, b) = (machine.memory.read_u8(one + i)?, machine.memory.read_u8(other + i)?);
        if a != b {
            return value(if a > b { 1 } else { u64::MAX });
        }
        if a == 0 {
            break;
        }
    }
    value(0)
}

/// The text at a pointer, as far as it can be read, without the zero at its end.
pub(super) fn text(machine: &Machine, from: u64) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < TEXT_MAX {
        match machine.memory.read_u8(from + bytes.len() as u64)? {
            0 => break,
            byte => bytes.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
