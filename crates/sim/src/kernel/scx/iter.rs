// SPDX-License-Identifier: GPL-2.0-or-later
//! Going through a queue, and moving tasks on the way.
//!
//! The memory of an iterator is the program's; what it is at is kept by the machine.

use super::dispatch::vetted;
use super::{done, refused, task};
use crate::errno::Errno;
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use crate::sched::{Cursor, QueueId, group};
use rota_bytecode::Fault;

/// From the last task to the first (kernel: `SCX_DSQ_ITER_REV`).
const BACKWARDS: u64 = 1 << 16;
/// Size of an iterator.
const ITERATOR_BYTES: u64 = 48;

/// `bpf_iter_scx_dsq_new(it, queue, flags)`.
pub(in crate::kernel) fn new(
    machine: &mut Machine,
    [it, queue, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    for word in 0..ITERATOR_BYTES / 8 {
        machine.memory.write_u64(it.wrapping_add(8 * word), 0)?;
    }
    machine.sched.cursors.remove(&it);
    if !machine.sched.ops.is_attached() {
        return value(Errno::NoDevice.value());
    }
    if flags & !BACKWARDS != 0 {
        return value(Errno::Invalid.value());
    }
    let cursor = machine.sched.queues.cursor(QueueId::User(queue), flags & BACKWARDS != 0);
    let Some(cursor) = cursor else { return value(Errno::NoEntry.value()) };
    machine.sched.cursors.insert(it, cursor);
    value(0)
}

/// `bpf_iter_scx_dsq_next(it)`: the next task, or NULL.
pub(in crate::kernel) fn next(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let queue = machine.sched.cursors.get(&it).map(|cursor| cursor.queue);
    queue.into_iter().for_each(|queue| machine.take_queue(queue));
    let sched = &mut machine.sched;
    let next = sched.cursors.get_mut(&it).and_then(|cursor| sched.queues.next(cursor));
    value(next.map_or(0, |task| sched.task(task).address))
}

/// `bpf_iter_scx_dsq_destroy(it)`.
pub(in crate::kernel) fn destroy(
    machine: &mut Machine,
    [it, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    machine.sched.cursors.remove(&it);
    value(0)
}

/// Does something to the way that an iterator is on, if it is on one.
fn with_cursor(machine: &mut Machine, it: u64, change: impl FnOnce(&mut Cursor)) {
    if let Some(cursor) = machine.sched.cursors.get_mut(&it) {
        change(cursor);
    }
}

/// `scx_bpf_dsq_move_set_slice(it, slice)`: for the task that is moved next.
pub(in crate::kernel) fn set_slice(
    machine: &mut Machine,
    [it, slice_ns, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    with_cursor(machine, it, |cursor| cursor.slice_ns = Some(slice_ns));
    value(0)
}

/// `scx_bpf_dsq_move_set_vtime(it, vtime)`: for the task that is moved next.
pub(in crate::kernel) fn set_vtime(
    machine: &mut Machine,
    [it, vtime, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    with_cursor(machine, it, |cursor| cursor.vtime = Some(vtime));
    value(0)
}

/// `scx_bpf_dsq_move(it, task, queue, flags)`: whether the task was still there.
pub(in crate::kernel) fn move_task(
    machine: &mut Machine,
    [it, p, queue, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    moved(machine, [it, p, queue, flags], false)
}

/// `scx_bpf_dsq_move_vtime(it, task, queue, flags)`: by virtual time.
pub(in crate::kernel) fn move_vtime(
    machine: &mut Machine,
    [it, p, queue, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    moved(machine, [it, p, queue, flags], true)
}

fn moved(
    machine: &mut Machine,
    [it, p, queue, flags]: [u64; 4],
    by_vtime: bool,
) -> Result<Answer, Fault> {
    if !machine.unlocked()
        && let Some(answer) = refused(machine, group::DISPATCH)
    {
        return Ok(answer);
    }
    let id = task(machine, p)?;
    let Some(mut cursor) = machine.sched.cursors.get(&it).copied() else { return value(0) };
    let vets = machine.sched.version.vets_moves;
    let flags = if vets { vetted(machine, queue, flags) } else { Some(flags) };
    let Some(flags) = flags else { return value(0) };
    let result = machine.move_on(&mut cursor, id, queue, flags, by_vtime);
    with_cursor(machine, it, |kept| *kept = cursor);
    done(result.map(u64::from))
}
