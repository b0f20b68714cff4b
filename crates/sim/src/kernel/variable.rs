// SPDX-License-Identifier: GPL-2.0-or-later
//! What every CPU has an instance of.

use super::{Answer, value};
use crate::machine::Machine;
use rota_bytecode::Fault;

fn instance(machine: &Machine, pointer: u64, cpu: u64) -> Result<Answer, Fault> {
    let stride = machine.stride(pointer);
    let stride = stride.ok_or(Fault { pointer, size: 0, write: false })?;
    value(pointer.wrapping_add(stride.wrapping_mul(cpu)))
}

/// `bpf_per_cpu_ptr(pointer, cpu)`: NULL if the machine has no such CPU.
pub(super) fn of_cpu(machine: &mut Machine, [pointer, cpu, ..]: [u64; 5]) -> Result<Answer, Fault> {
    match cpu & 0xffff_ffff {
        cpu if cpu < u64::from(machine.shape.cpus) => instance(machine, pointer, cpu),
        _ => value(0),
    }
}

/// `bpf_this_cpu_ptr(pointer)`.
pub(super) fn of_this_cpu(machine: &mut Machine, [pointer, ..]: [u64; 5]) -> Result<Answer, Fault> {
    instance(machine, pointer, u64::from(machine.cpu))
}
