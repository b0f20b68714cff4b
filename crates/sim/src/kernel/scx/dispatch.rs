// SPDX-License-Identifier: GPL-2.0-or-later
//! Inserting tasks into queues, and what `dispatch` does.

use super::{done, refused, task};
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use crate::sched::{Buffered, Direct, Insert, LOCAL, LOCAL_ON, QueueId, group, ops_flags};
use rota_bytecode::Fault;

/// `scx_bpf_dsq_insert(task, queue, slice, flags)`.
pub(in crate::kernel) fn insert(
    machine: &mut Machine,
    [p, queue, slice_ns, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    commit(machine, p, Insert { queue, slice_ns, vtime: None, flags })
}

/// `scx_bpf_dsq_insert_vtime(task, queue, slice, vtime, flags)`.
pub(in crate::kernel) fn insert_vtime(
    machine: &mut Machine,
    [p, queue, slice_ns, vtime, flags]: [u64; 5],
) -> Result<Answer, Fault> {
    commit(machine, p, Insert { queue, slice_ns, vtime: Some(vtime), flags })
}

/// `__scx_bpf_dsq_insert_vtime(task, args)`, which takes them in a structure.
pub(in crate::kernel) fn insert_vtime_args(
    machine: &mut Machine,
    [p, args, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let word = |i: u64| machine.memory.read_u64(args.wrapping_add(8 * i));
    let insert =
        Insert { queue: word(0)?, slice_ns: word(1)?, vtime: Some(word(2)?), flags: word(3)? };
    commit(machine, p, insert)
}

/// The flags of an insertion into a queue, if they are right; the scheduler has been ended if not.
pub(super) fn vetted(machine: &mut Machine, queue: u64, flags: u64) -> Option<u64> {
    let version = machine.sched.version;
    let is_local = queue == LOCAL || queue & LOCAL_ON == LOCAL_ON;
    if flags & version.internal != 0 {
        machine.error(format!("invalid enq_flags {flags:#x}"));
        return None;
    }
    if flags & version.immediate != 0 && !is_local {
        machine.error(format!("SCX_ENQ_IMMED on a non-local DSQ {queue:#x}"));
        return None;
    }
    if flags & version.rescue != 0 && !is_local {
        machine.error(format!("SCX_ENQ_RESCUE on a non-local DSQ {queue:#x}"));
        return None;
    }
    let always = machine.sched.ops.flags & ops_flags::ALWAYS_ENQ_IMMED != 0 && is_local;
    Some(if always { flags | version.immediate } else { flags })
}

/// Notes an insertion, which is made when the callback has ended.
fn commit(machine: &mut Machine, p: u64, mut insert: Insert) -> Result<Answer, Fault> {
    if let Some(answer) = refused(machine, group::ENQUEUE | group::DISPATCH) {
        return Ok(answer);
    }
    let id = task(machine, p)?;
    let Some(flags) = vetted(machine, insert.queue, insert.flags) else { return value(0) };
    insert.flags = flags;
    if machine.sched.version.applies_at_call {
        machine.apply(id, &insert);
    }
    let here = machine.cpu;
    match machine.direct() {
        Direct::No => {
            if machine.sched.rq(here).buffer.len() as u64 >= machine.sched.ops.batch_max {
                machine.error("dispatch buffer overflow".to_owned());
                return value(1);
            }
            let round = machine.sched.task(id).round;
            machine.sched.rq(here).buffer.push(Buffered { task: id, round, insert });
        }
        Direct::Task(wanted) if wanted == id => {
            machine.sched.rq(here).direct = Direct::Done;
            machine.sched.task(id).direct = Some(insert);
        }
        Direct::Task(wanted) => {
            machine.sched.rq(here).direct = Direct::Done;
            let (comm, pid) = machine.comm_and_pid(wanted);
            let (other, number) = machine.comm_and_pid(id);
            machine.error(format!(
                "scheduling for {comm}[{pid}] but trying to direct-dispatch {other}[{number}]"
            ));
        }
        Direct::Done => {
            let (comm, pid) = machine.comm_and_pid(id);
            machine.error(format!("{comm}[{pid}] already direct-dispatched"));
        }
    }
    value(1)
}

/// `scx_bpf_dispatch_nr_slots()`: how many more tasks this call of `dispatch` may insert.
pub(in crate::kernel) fn nr_slots(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    if let Some(answer) = refused(machine, group::DISPATCH) {
        return Ok(answer);
    }
    let here = machine.cpu;
    let used = machine.sched.rq(here).buffer.len() as u64;
    value(machine.sched.ops.batch_max.saturating_sub(used))
}

/// `scx_bpf_dispatch_cancel()`: takes back the last insertion.
pub(in crate::kernel) fn cancel(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    if let Some(answer) = refused(machine, group::DISPATCH) {
        return Ok(answer);
    }
    let here = machine.cpu;
    if machine.sched.rq(here).buffer.pop().is_none() {
        machine.error("dispatch buffer underflow".to_owned());
    }
    value(0)
}

/// `scx_bpf_dsq_move_to_local(queue)`: whether there was a task to move.
pub(in crate::kernel) fn move_to_local(
    machine: &mut Machine,
    [id, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    move_to_local_with(machine, [id, 0, 0, 0, 0])
}

/// `scx_bpf_dsq_move_to_local___v2(queue, flags)`.
pub(in crate::kernel) fn move_to_local_with(
    machine: &mut Machine,
    [id, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if let Some(answer) = refused(machine, group::DISPATCH) {
        return Ok(answer);
    }
    let Some(flags) = vetted(machine, LOCAL, flags) else { return value(0) };
    let cpu = machine.locked_cpu();
    if let Err(stop) = machine.flush(cpu) {
        return Ok(Answer::Stop(stop));
    }
    if !machine.sched.queues.contains(QueueId::User(id)) {
        machine.error(format!("invalid DSQ ID {id:#018x}"));
        return value(0);
    }
    done(machine.consume(cpu, QueueId::User(id), flags).map(|moved| {
        machine.sched.rq(cpu).moved += u32::from(moved);
        u64::from(moved)
    }))
}
