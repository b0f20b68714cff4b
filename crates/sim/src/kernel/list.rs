// SPDX-License-Identifier: GPL-2.0-or-later
//! Lists of objects (kernel: `kernel/bpf/helpers.c`).

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use rota_bytecode::Fault;

/// Head and node have to be memory of the machine's.
fn check(machine: &Machine, head: u64, node: u64) -> Result<(), Fault> {
    machine.memory.read_u64(head)?;
    machine.memory.read_u64(node)?;
    Ok(())
}

/// Puts a node at a place. One that hangs on something already is dropped: it has one owner less,
/// for the program has given this one away.
pub(super) fn hang(
    machine: &mut Machine,
    head: u64,
    node: u64,
    place: Option<usize>,
) -> Result<Answer, Fault> {
    check(machine, head, node)?;
    match place.filter(|_| !machine.containers.hangs(node)) {
        Some(place) => {
            machine.containers.insert(head, place, node);
            value(0)
        }
        None => {
            let object = machine.pool.start_of(node);
            // What is no object was refused before: the program does not hold it.
            let _ = object.map(|object| machine.drop_owner(object));
            value(Errno::Invalid.value())
        }
    }
}

/// `bpf_list_push_front(head, node)`.
pub(super) fn push_front(
    machine: &mut Machine,
    [head, node, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    hang(machine, head, node, Some(0))
}

/// `bpf_list_push_back(head, node)`.
pub(super) fn push_back(
    machine: &mut Machine,
    [head, node, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let place = machine.containers.len(head);
    hang(machine, head, node, Some(place))
}

/// `bpf_list_add(head, node, after)`: after one that is in the list, or at its start.
pub(super) fn add(
    machine: &mut Machine,
    [head, node, after, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let place = match after {
        _ if after == head => Some(0),
        _ => machine.containers.place(head, after).map(|place| place + 1),
    };
    hang(machine, head, node, place)
}

/// Takes a node off; the node, or NULL if it is not there.
pub(super) fn take(machine: &mut Machine, head: u64, node: Option<u64>) -> Result<Answer, Fault> {
    check(machine, head, node.unwrap_or(head))?;
    let taken = node.filter(|node| machine.containers.remove(head, *node));
    value(taken.unwrap_or(0))
}

/// `bpf_list_pop_front(head)`.
pub(super) fn pop_front(machine: &mut Machine, [head, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let node = machine.containers.at(head, 0);
    take(machine, head, node)
}

/// `bpf_list_pop_back(head)`.
pub(super) fn pop_back(machine: &mut Machine, [head, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let node = machine.containers.last(head);
    take(machine, head, node)
}

/// `bpf_list_del(head, node)`, and `bpf_rbtree_remove(root, node)`.
pub(super) fn remove(machine: &mut Machine, [head, node, ..]: [u64; 5]) -> Result<Answer, Fault> {
    take(machine, head, Some(node))
}

/// `bpf_list_front(head)`, and `bpf_rbtree_first(root)`.
pub(super) fn front(machine: &mut Machine, [head, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, head, head)?;
    value(machine.containers.at(head, 0).unwrap_or(0))
}

/// `bpf_list_back(head)`.
pub(super) fn back(machine: &mut Machine, [head, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, head, head)?;
    value(machine.containers.last(head).unwrap_or(0))
}

/// `bpf_list_is_first(head, node)`.
pub(super) fn is_first(machine: &mut Machine, [head, node, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, head, node)?;
    value(u64::from(machine.containers.at(head, 0) == Some(node)))
}

/// `bpf_list_is_last(head, node)`.
pub(super) fn is_last(machine: &mut Machine, [head, node, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, head, node)?;
    value(u64::from(machine.containers.last(head) == Some(node)))
}

/// `bpf_list_empty(head)`.
pub(super) fn is_empty(machine: &mut Machine, [head, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, head, head)?;
    value(u64::from(machine.containers.len(head) == 0))
}
