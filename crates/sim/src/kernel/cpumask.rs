// SPDX-License-Identifier: GPL-2.0-or-later
//! CPU masks (kernel: `kernel/bpf/cpumask.c`, `include/linux/cpumask.h`).

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::{CPUS_MAX, Machine};
use crate::objects::What;
use rota_bytecode::Fault;

/// Words of a mask: the kernels here are built for 8,192 CPUs.
const WORDS: u64 = CPUS_MAX as u64 / 64;
const BYTES: u64 = WORDS * 8;

/// A mask, cut to the CPUs that the machine has.
fn load(machine: &Machine, mask: u64) -> Result<Vec<u64>, Fault> {
    let cpus = u64::from(machine.shape.cpus);
    (0..cpus.div_ceil(64))
        .map(|i| {
            let left = cpus - 64 * i;
            let cut = if left < 64 { (1 << left) - 1 } else { u64::MAX };
            Ok(machine.memory.read_u64(mask.wrapping_add(8 * i))? & cut)
        })
        .collect()
}

fn store(machine: &Machine, mask: u64, words: &[u64]) -> Result<(), Fault> {
    for (i, word) in words.iter().enumerate() {
        machine.memory.write_u64(mask.wrapping_add(8 * i as u64), *word)?;
    }
    Ok(())
}

/// The first CPU in a mask; past the last one if there is none.
fn first_of(machine: &Machine, words: &[u64]) -> u64 {
    let found = words.iter().enumerate().find(|(_, word)| **word != 0);
    let cpu = found.map(|(i, word)| 64 * i as u64 + u64::from(word.trailing_zeros()));
    cpu.unwrap_or(u64::from(machine.shape.cpus))
}

/// Two masks, word by word.
fn both(
    machine: &Machine,
    one: u64,
    two: u64,
    join: fn(u64, u64) -> u64,
) -> Result<Vec<u64>, Fault> {
    let (one, two) = (load(machine, one)?, load(machine, two)?);
    Ok(one.into_iter().zip(two).map(|(a, b)| join(a, b)).collect())
}

fn any_set(words: &[u64]) -> bool {
    words.iter().any(|word| *word != 0)
}

/// `bpf_cpumask_create()`.
pub(super) fn create(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(machine.new_object(BYTES, What::Mask).unwrap_or(0))
}

/// What is no mask of a program's own is a bad pointer.
fn own(machine: &Machine, mask: u64) -> Result<u64, Fault> {
    let bad = Fault { pointer: mask, size: BYTES, write: true };
    if machine.what(mask) == Some(What::Mask) { Ok(mask) } else { Err(bad) }
}

/// `bpf_cpumask_acquire(mask)`.
pub(super) fn acquire(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let mask = own(machine, mask)?;
    machine.add_owner(mask);
    value(mask)
}

/// `bpf_cpumask_release(mask)`.
pub(super) fn release(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let mask = own(machine, mask)?;
    match machine.drop_owner(mask) {
        Ok(()) => value(0),
        Err(error) => Ok(Answer::Misuse(error.into())),
    }
}

pub(super) fn first(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(first_of(machine, &load(machine, mask)?))
}

pub(super) fn first_zero(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let clear: Vec<u64> = load(machine, mask)?.into_iter().map(|word| !word).collect();
    value(first_of(machine, &clear).min(u64::from(machine.shape.cpus)))
}

pub(super) fn first_and(machine: &mut Machine, [one, two, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(first_of(machine, &both(machine, one, two, |a, b| a & b)?))
}

/// Word and bit of a CPU, if the machine has it.
fn place(machine: &Machine, cpu: u64, mask: u64) -> Option<(u64, u64)> {
    let cpu = cpu & 0xffff_ffff;
    (cpu < u64::from(machine.shape.cpus))
        .then(|| (mask.wrapping_add(cpu / 64 * 8), 1 << (cpu % 64)))
}

/// Sets or clears a CPU; whether it was set. One that the machine does not have never is.
fn change(machine: &Machine, cpu: u64, mask: u64, set: Option<bool>) -> Result<bool, Fault> {
    let Some((at, bit)) = place(machine, cpu, mask) else { return Ok(false) };
    let word = machine.memory.read_u64(at)?;
    match set {
        Some(true) => machine.memory.write_u64(at, word | bit)?,
        Some(false) => machine.memory.write_u64(at, word & !bit)?,
        None => {}
    }
    Ok(word & bit != 0)
}

pub(super) fn set_cpu(machine: &mut Machine, [cpu, mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    change(machine, cpu, mask, Some(true))?;
    value(0)
}

pub(super) fn clear_cpu(machine: &mut Machine, [cpu, mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    change(machine, cpu, mask, Some(false))?;
    value(0)
}

pub(super) fn test(machine: &mut Machine, [cpu, mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(change(machine, cpu, mask, None)?))
}

pub(super) fn test_and_set(
    machine: &mut Machine,
    [cpu, mask, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    value(u64::from(change(machine, cpu, mask, Some(true))?))
}

pub(super) fn test_and_clear(
    machine: &mut Machine,
    [cpu, mask, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    value(u64::from(change(machine, cpu, mask, Some(false))?))
}

/// Sets every CPU that the machine has.
pub(crate) fn fill(machine: &Machine, mask: u64) -> Result<(), Fault> {
    let words = u64::from(machine.shape.cpus).div_ceil(64);
    store(machine, mask, &vec![u64::MAX; words as usize])?;
    let all = load(machine, mask)?;
    store(machine, mask, &all)
}

pub(super) fn set_all(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    fill(machine, mask)?;
    value(0)
}

pub(super) fn clear(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    store(machine, mask, &vec![0; load(machine, mask)?.len()])?;
    value(0)
}

pub(super) fn copy(machine: &mut Machine, [to, from, ..]: [u64; 5]) -> Result<Answer, Fault> {
    store(machine, to, &load(machine, from)?)?;
    value(0)
}

/// `bpf_cpumask_populate(mask, from, size)`: the mask's bits, from memory of the program's.
pub(super) fn populate(
    machine: &mut Machine,
    [mask, from, size, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if size < u64::from(machine.shape.cpus).div_ceil(64) * 8 {
        return value(Errno::Access.value());
    }
    copy(machine, [mask, from, 0, 0, 0])
}

/// Joins two masks into a third; whether that has a CPU.
fn join(
    machine: &Machine,
    [to, one, two, ..]: [u64; 5],
    how: fn(u64, u64) -> u64,
) -> Result<Answer, Fault> {
    let joined = both(machine, one, two, how)?;
    store(machine, to, &joined)?;
    value(u64::from(any_set(&joined)))
}

pub(super) fn and(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    join(machine, args, |a, b| a & b)
}

pub(super) fn or(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    join(machine, args, |a, b| a | b)
}

pub(super) fn xor(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    join(machine, args, |a, b| a ^ b)
}

pub(super) fn equal(machine: &mut Machine, [one, two, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(!any_set(&both(machine, one, two, |a, b| a ^ b)?)))
}

pub(super) fn intersects(machine: &mut Machine, [one, two, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(any_set(&both(machine, one, two, |a, b| a & b)?)))
}

/// Whether the second has all that the first has.
pub(super) fn subset(machine: &mut Machine, [one, two, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(!any_set(&both(machine, one, two, |a, b| a & !b)?)))
}

pub(super) fn empty(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(!any_set(&load(machine, mask)?)))
}

pub(super) fn full(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(count(&load(machine, mask)?) == machine.shape.cpus))
}

pub(super) fn weight(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(count(&load(machine, mask)?)))
}

fn count(words: &[u64]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

/// The next CPU, round and round; past the last one if there is none.
fn one_of(machine: &mut Machine, words: &[u64]) -> Result<Answer, Fault> {
    let none = machine.shape.cpus;
    value(u64::from(machine.distribute(words).unwrap_or(none)))
}

pub(super) fn any(machine: &mut Machine, [mask, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let words = load(machine, mask)?;
    one_of(machine, &words)
}

pub(super) fn any_and(machine: &mut Machine, [one, two, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let words = both(machine, one, two, |a, b| a & b)?;
    one_of(machine, &words)
}
