// SPDX-License-Identifier: GPL-2.0-or-later
//! Objects of the program's own types (kernel: `kernel/bpf/helpers.c`).
//!
//! The verifier hands these functions what the type has of locks, lists and the like. Here the
//! machine knows it from the object's type information, so whatever stands in the arguments for
//! it is not looked at.

use super::{Answer, value};
use crate::machine::Machine;
use crate::objects::What;
use crate::references::Misuse;
use rota_bytecode::Fault;
use rota_object::{FieldKind, TypeId};

/// The largest object, and the largest of those that each CPU has (kernel: `bpf_mem_alloc`,
/// `BPF_GLOBAL_PERCPU_MA_MAX_SIZE`).
const SIZE_MAX: u64 = 4096 - 8;
const PER_CPU_SIZE_MAX: u64 = 512;

fn create(
    machine: &mut Machine,
    ty: u64,
    largest: u64,
    copies: u64,
    what: fn(TypeId) -> What,
) -> Result<Answer, Fault> {
    let ty = TypeId(ty as u32);
    let Some(structure) = machine.structures.get(&ty) else {
        return Ok(Answer::Misuse(Misuse::Type(ty.0)));
    };
    let stride = structure.size.next_multiple_of(8);
    if !(1..=largest).contains(&structure.size) {
        return value(0);
    }
    value(machine.new_object(stride * copies, what(ty)).unwrap_or(0))
}

/// `bpf_obj_new(type)`.
pub(super) fn new(machine: &mut Machine, [ty, ..]: [u64; 5]) -> Result<Answer, Fault> {
    create(machine, ty, SIZE_MAX, 1, What::Object)
}

/// `bpf_percpu_obj_new(type)`.
pub(super) fn new_per_cpu(machine: &mut Machine, [ty, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let cpus = u64::from(machine.shape.cpus);
    create(machine, ty, PER_CPU_SIZE_MAX, cpus, What::PerCpu)
}

/// `bpf_obj_drop(object)`, of either sort.
pub(super) fn release(machine: &mut Machine, [object, ..]: [u64; 5]) -> Result<Answer, Fault> {
    match machine.drop_owner(object) {
        Ok(()) => value(0),
        Err(error) => Ok(Answer::Misuse(error.into())),
    }
}

/// `bpf_refcount_acquire(object)`: the object, or NULL if its type counts no owners.
pub(super) fn acquire(machine: &mut Machine, [object, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let counts = match machine.what(object) {
        Some(What::Object(ty)) => machine.structures.get(&ty).is_some_and(|structure| {
            structure.fields.iter().any(|field| field.kind == FieldKind::Owners)
        }),
        _ => false,
    };
    if !counts {
        return Ok(Answer::Misuse(Misuse::Uncounted(object)));
    }
    machine.add_owner(object);
    value(object)
}

/// `bpf_kptr_xchg(place, pointer)`: what was there.
pub(super) fn exchange(
    machine: &mut Machine,
    [place, pointer, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let old = machine.memory.read_u64(place)?;
    machine.memory.write_u64(place, pointer)?;
    value(old)
}
