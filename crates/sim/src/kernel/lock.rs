// SPDX-License-Identifier: GPL-2.0-or-later
//! Locks, and sections that nothing may interrupt. One thing happens at a time here, so a lock is
//! never waited for in vain unless its own holder waits; who holds what is in `references`.

use super::{Answer, value};
use crate::effects::Kind;
use crate::errno::Errno;
use crate::machine::Machine;
use crate::references::Misuse;
use rota_bytecode::Fault;

/// Kinds of lock.
const LOCKS: [Kind; 2] = [Kind::SpinLock, Kind::ResilientLock];
/// What a lock looks like while it is held.
const LOCKED: u32 = 1;
/// What interrupts look like that are switched on (kernel: `X86_EFLAGS_IF`).
const INTERRUPTS_ON: u64 = 1 << 9;

/// `bpf_spin_lock(lock)`: whoever holds it already would wait for ever.
pub(super) fn spin_lock(machine: &mut Machine, [lock, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.write_u32(lock, LOCKED)?;
    match machine.references.find(&LOCKS, lock) {
        Some(held) => Ok(Answer::Misuse(Misuse::Deadlock(Box::new(machine.place(held.at))))),
        None => value(0),
    }
}

/// `bpf_spin_unlock(lock)`, and `bpf_res_spin_unlock(lock)`.
pub(super) fn unlock(machine: &mut Machine, [lock, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.write_u32(lock, 0)?;
    value(0)
}

/// `bpf_res_spin_lock(lock)`: the kernel notices that it would wait for ever, and says so.
pub(super) fn resilient_lock(machine: &mut Machine, [lock, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.write_u32(lock, LOCKED)?;
    value(machine.references.find(&LOCKS, lock).map_or(0, |_| Errno::Deadlock.value()))
}

/// `bpf_res_spin_lock_irqsave(lock, flags)`.
pub(super) fn lock_and_save(
    machine: &mut Machine,
    [lock, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    machine.memory.write_u64(flags, INTERRUPTS_ON)?;
    resilient_lock(machine, [lock, 0, 0, 0, 0])
}

/// `bpf_local_irq_save(flags)`.
pub(super) fn save(machine: &mut Machine, [flags, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.write_u64(flags, INTERRUPTS_ON)?;
    value(0)
}
