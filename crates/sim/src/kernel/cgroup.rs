// SPDX-License-Identifier: GPL-2.0-or-later
//! Cgroups (kernel: `kernel/bpf/helpers.c`, `css_iter.c`, `kernel/cgroup/cgroup.c`).

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use rota_bytecode::Fault;

/// The number of a cgroup. What is none is a bad pointer.
fn check(machine: &Machine, cgroup: u64) -> Result<u64, Fault> {
    let size = machine.layout.cgroup.size;
    machine.cgroup_at(cgroup).ok_or(Fault { pointer: cgroup, size, write: false })
}

fn address(machine: &Machine, id: Option<&u64>) -> u64 {
    id.and_then(|id| machine.cgroups.get(*id)).map_or(0, |cgroup| cgroup.address)
}

/// `bpf_cgroup_from_id(id)`: the cgroup, or NULL.
pub(super) fn from_id(machine: &mut Machine, [id, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let there = machine.cgroups.there(id).map(|_| &id);
    value(address(machine, there))
}

/// `scx_bpf_task_cgroup(task)`: the cgroup that the scheduler has it in.
pub(super) fn of_task(machine: &mut Machine, [task, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let bad = Fault { pointer: task, size: machine.layout.task.size, write: false };
    let group = machine.task(task).ok_or(bad)?.group;
    let group = if machine.asks_about_its_task(task) { group } else { crate::cgroups::ROOT };
    value(address(machine, Some(&group)))
}

/// `bpf_cgroup_acquire(cgroup)`.
pub(super) fn acquire(machine: &mut Machine, [cgroup, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, cgroup)?;
    value(cgroup)
}

/// `bpf_cgroup_release(cgroup)`.
pub(super) fn release(machine: &mut Machine, [cgroup, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, cgroup)?;
    value(0)
}

/// `bpf_cgroup_ancestor(cgroup, level)`: the one that it is in at a level, itself at its own.
pub(super) fn ancestor(
    machine: &mut Machine,
    [cgroup, level, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let above = machine.cgroups.above(check(machine, cgroup)?);
    let found = above.iter().rev().nth((level & 0xffff_ffff) as usize);
    value(address(machine, found))
}

/// `bpf_task_under_cgroup(task, cgroup)`.
pub(super) fn has_task(
    machine: &mut Machine,
    [task, cgroup, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let id = check(machine, cgroup)?;
    let own = super::task::cgroup_of(machine, task)?;
    value(u64::from(machine.cgroups.above(own).contains(&id)))
}

/// `bpf_task_get_cgroup1(task, hierarchy)`: there is no hierarchy of the first version here.
pub(super) fn first_version(_: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(0)
}

/// `bpf_get_current_cgroup_id()`.
pub(super) fn current_id(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(super::task::cgroup_of(machine, machine.current())?)
}

/// Which cgroups an iterator goes over, seen from the one it starts at (kernel:
/// `enum bpf_cgroup_iter_order`).
mod order {
    pub(super) const PARENT_FIRST: u64 = 2;
    pub(super) const CHILDREN_FIRST: u64 = 3;
    pub(super) const UP: u64 = 4;
    pub(super) const CHILDREN: u64 = 5;
}

/// Where an iterator keeps the number of the cgroup that it starts at, in which order it goes, and
/// how far it is.
const START: u64 = 0;
const ORDER: u64 = 8;
const SEEN: u64 = 12;

/// `bpf_iter_css_new(it, start, flags)`.
pub(super) fn iter_new(
    machine: &mut Machine,
    [it, start, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let flags = flags & 0xffff_ffff;
    let last = if machine.has_children_order { order::CHILDREN } else { order::UP };
    if !(order::PARENT_FIRST..=last).contains(&flags) {
        machine.memory.write_u64(it.wrapping_add(START), 0)?;
        return value(Errno::Invalid.value());
    }
    let id = check(machine, start.wrapping_sub(machine.layout.cgroup.css.offset))?;
    machine.memory.write_u64(it.wrapping_add(START), id)?;
    machine.memory.write_u32(it.wrapping_add(ORDER), flags as u32)?;
    machine.memory.write_u32(it.wrapping_add(SEEN), 0)?;
    value(0)
}

/// `bpf_iter_css_next(it)`: the `css` of a cgroup, or NULL.
pub(super) fn iter_next(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let id = machine.memory.read_u64(it.wrapping_add(START))?;
    let order = u64::from(machine.memory.read_u32(it.wrapping_add(ORDER))?);
    let seen = machine.memory.read_u32(it.wrapping_add(SEEN))?;
    let all = match (id, order) {
        (0, _) => Vec::new(),
        (_, order::UP) => machine.cgroups.above(id),
        (_, order::CHILDREN) => machine.cgroups.inside(id),
        (_, order) => machine.cgroups.below(id, order != order::CHILDREN_FIRST),
    };
    machine.memory.write_u32(it.wrapping_add(SEEN), seen.saturating_add(1))?;
    let found = address(machine, all.get(seen as usize));
    value(if found == 0 { 0 } else { found + machine.layout.cgroup.css.offset })
}

/// `bpf_iter_css_destroy(it)`.
pub(super) fn iter_destroy(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.write_u64(it.wrapping_add(START), 0)?;
    value(0)
}
