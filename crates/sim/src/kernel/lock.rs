// SPDX-License-Identifier: GPL-2.0-or-later
//! Locks, and sections that nothing may interrupt. Who holds what is in `references`. A lock is waited
//! for only if CPUs are interleaved; else nobody holds one but whoever wants it again.

use super::{Answer, value};
use crate::effects::Kind;
use crate::errno::Errno;
use crate::interleave::Lock;
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
    if let Some(held) = machine.references.find(&LOCKS, lock) {
        return Ok(Answer::Misuse(Misuse::Deadlock(Box::new(machine.place(held.at)))));
    }
    take(machine, lock)
}

/// Takes a lock, as soon as it is free.
fn take(machine: &mut Machine, lock: u64) -> Result<Answer, Fault> {
    if let Err(stop) = machine.lock(Lock::Program(lock)) {
        return Ok(Answer::Stop(stop));
    }
    machine.memory.write_u32(lock, LOCKED)?;
    value(0)
}

/// `bpf_spin_unlock(lock)`, and `bpf_res_spin_unlock(lock)`.
pub(super) fn unlock(machine: &mut Machine, [lock, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.write_u32(lock, 0)?;
    machine.unlock(Lock::Program(lock));
    value(0)
}

/// `bpf_res_spin_lock(lock)`: the kernel notices that it would wait for ever, and says so.
pub(super) fn resilient_lock(machine: &mut Machine, [lock, ..]: [u64; 5]) -> Result<Answer, Fault> {
    if machine.references.find(&LOCKS, lock).is_some()
        || machine.would_deadlock(Lock::Program(lock))
    {
        return value(Errno::Deadlock.value());
    }
    take(machine, lock)
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
