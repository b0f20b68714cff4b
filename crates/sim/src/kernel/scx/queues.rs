// SPDX-License-Identifier: GPL-2.0-or-later
//! Queues as such: made, destroyed, counted.

use crate::errno::Errno;
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use crate::sched::{LOCAL, LOCAL_ON, QueueId};
use rota_bytecode::Fault;

/// `scx_bpf_create_dsq(id, node)`.
pub(in crate::kernel) fn create_dsq(
    machine: &mut Machine,
    [id, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if id >> 63 != 0 {
        return value(Errno::Invalid.value());
    }
    let new = machine.sched.queues.create(id);
    value(if new { 0 } else { Errno::Exists.value() })
}

/// `scx_bpf_destroy_dsq(id)`.
pub(in crate::kernel) fn destroy_dsq(
    machine: &mut Machine,
    [id, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let there = machine.sched.queues.contains(QueueId::User(id));
    if there && !machine.sched.queues.destroy(id) {
        let count = machine.sched.queues.len(QueueId::User(id));
        machine.error(format!("attempting to destroy in-use dsq {id:#018x} (nr={count})"));
    }
    value(0)
}

/// `scx_bpf_dsq_nr_queued(id)`.
pub(in crate::kernel) fn nr_queued(
    machine: &mut Machine,
    [id, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if !machine.sched.ops.is_attached() {
        return value(Errno::NoDevice.value());
    }
    let queue = match id {
        LOCAL => Ok(QueueId::Local(machine.local_cpu())),
        _ if id & LOCAL_ON == LOCAL_ON => machine.named_cpu(id & 0xffff_ffff).map(QueueId::Local),
        // The global one can't be counted.
        _ => Ok(QueueId::User(id)),
    };
    let Some(queue) = queue.ok().filter(|queue| machine.sched.queues.contains(*queue)) else {
        return value(Errno::NoEntry.value());
    };
    machine.look_at_queue(queue);
    value(machine.sched.queues.len(queue) as u64)
}

/// `scx_bpf_dsq_peek(queue)`: its first task, or NULL.
pub(in crate::kernel) fn peek(machine: &mut Machine, [id, ..]: [u64; 5]) -> Result<Answer, Fault> {
    if !machine.sched.ops.is_attached() {
        return value(0);
    }
    if id >> 63 != 0 {
        machine.error(format!("peek disallowed on builtin DSQ {id:#x}"));
        return value(0);
    }
    if !machine.sched.queues.contains(QueueId::User(id)) {
        machine.error(format!("peek on non-existent DSQ {id:#x}"));
        return value(0);
    }
    machine.look_at_queue(QueueId::User(id));
    let first = machine.sched.queues.first(QueueId::User(id), |_| true);
    value(first.map_or(0, |task| machine.sched.task(task).address))
}
