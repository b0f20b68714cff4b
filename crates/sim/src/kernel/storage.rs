// SPDX-License-Identifier: GPL-2.0-or-later
//! Helpers for the storage of tasks and of cgroups.

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use crate::maps::{Contents, Map, Owner, Storage};
use crate::objects::What;
use rota_bytecode::Fault;

/// Makes what is not there yet (kernel: `BPF_LOCAL_STORAGE_GET_F_CREATE`).
const CREATE: u64 = 1;

pub(super) fn task_get(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    get(machine, Owner::Task, args)
}

pub(super) fn task_delete(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    delete(machine, Owner::Task, args)
}

pub(super) fn cgroup_get(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    get(machine, Owner::Cgroup, args)
}

pub(super) fn cgroup_delete(machine: &mut Machine, args: [u64; 5]) -> Result<Answer, Fault> {
    delete(machine, Owner::Cgroup, args)
}

/// The map, if it is a storage of this kind, and how large its values are.
fn storage(machine: &mut Machine, map: u64, owner: Owner) -> Result<(u32, &mut Storage), Fault> {
    let bad = Fault { pointer: map, size: 0, write: false };
    let (_, map) = machine.map(map).ok_or(bad)?;
    match &mut map.contents {
        Contents::Storage(storage) if storage.owner == owner => Ok((map.value_size, storage)),
        _ => Err(bad),
    }
}

/// Whether this is a task or a cgroup.
fn check(machine: &Machine, kind: Owner, owner: u64) -> Result<(), Fault> {
    let known = match kind {
        Owner::Task => machine.is_task(owner),
        Owner::Cgroup => machine.cgroup_at(owner).is_some(),
    };
    if known { Ok(()) } else { Err(Fault { pointer: owner, size: 0, write: false }) }
}

/// `bpf_…_storage_get(map, owner, initial, flags)`: where the value is, or NULL.
fn get(
    machine: &mut Machine,
    kind: Owner,
    [map, owner, initial, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let (size, storage) = storage(machine, map, kind)?;
    let found = storage.get(owner);
    if owner == 0 || flags & !CREATE != 0 {
        return value(0);
    }
    check(machine, kind, owner)?;
    if let Some(found) = found {
        return value(found);
    }
    if flags & CREATE == 0 || kind == Owner::Task && machine.is_gone(owner) {
        return value(0);
    }
    let first = match initial {
        0 => vec![0; size as usize],
        _ => super::map::bytes(machine, initial, size)?,
    };
    // A program handles not getting one.
    let Some(at) = machine.new_object(u64::from(size), What::Value) else { return value(0) };
    self::storage(machine, map, kind)?.1.set(owner, at);
    machine.memory.write(at, &first)?;
    value(at)
}

/// `bpf_…_storage_delete(map, owner)`.
fn delete(machine: &mut Machine, kind: Owner, [map, owner, ..]: [u64; 5]) -> Result<Answer, Fault> {
    if owner == 0 {
        return value(Errno::Invalid.value());
    }
    check(machine, kind, owner)?;
    let taken = take(machine, kind, map, owner)?;
    value(if taken { 0 } else { Errno::NoEntry.value() })
}

/// Takes an owner's value in a map away; whether there was one.
fn take(machine: &mut Machine, kind: Owner, map: u64, owner: u64) -> Result<bool, Fault> {
    let Some(at) = storage(machine, map, kind)?.1.remove(owner) else { return Ok(false) };
    machine.end_values(map, &[at]);
    // It was allocated by us, so it can be given back.
    let _ = machine.drop_owner(at);
    Ok(true)
}

/// An owner is gone, and with it all that it had.
pub(crate) fn end(machine: &mut Machine, kind: Owner, owner: u64) -> Result<(), Fault> {
    let is_such = |map: &&Map| match &map.contents {
        Contents::Storage(storage) => storage.owner == kind,
        _ => false,
    };
    let maps: Vec<u64> = machine.maps.iter().filter(is_such).map(|map| map.address).collect();
    maps.into_iter().try_for_each(|map| take(machine, kind, map, owner).map(drop))
}
