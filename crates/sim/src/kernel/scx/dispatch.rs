// SPDX-License-Identifier: GPL-2.0-or-later
//! Inserting tasks into queues, and what `dispatch` does.

use super::{done, task};
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use crate::sched::{Buffered, Direct, Insert, QueueId};
use rota_bytecode::Fault;

/// How many tasks one call of `dispatch` may insert (kernel: `SCX_DSP_DFL_MAX_BATCH`).
const BATCH_MAX: usize = 32;

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

/// Notes an insertion, which is made when the callback has ended.
fn commit(machine: &mut Machine, p: u64, insert: Insert) -> Result<Answer, Fault> {
    let id = task(machine, p)?;
    let here = machine.cpu;
    match machine.direct() {
        Direct::No => {
            if machine.sched.rq(here).buffer.len() >= BATCH_MAX {
                machine.error("dispatch buffer overflow".to_owned());
                return value(0);
            }
            let round = machine.sched.task(id).round;
            machine.sched.rq(here).buffer.push(Buffered { task: id, round, insert });
        }
        Direct::Task(wanted) if wanted == id => {
            machine.sched.rq(here).direct = Direct::Done;
            machine.sched.task(id).direct = Some(insert);
        }
        Direct::Task(wanted) => {
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

/// `scx_bpf_dsq_move_to_local(queue)`: whether there was a task to move.
pub(in crate::kernel) fn move_to_local(
    machine: &mut Machine,
    [id, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let here = machine.cpu;
    if let Err(stop) = machine.flush(here) {
        return Ok(Answer::Stop(stop));
    }
    if machine.sched.queues.get(QueueId::User(id)).is_none() {
        machine.error(format!("invalid DSQ ID {id:#018x}"));
        return value(0);
    }
    done(machine.consume(here, QueueId::User(id), 0).map(|moved| {
        machine.sched.rq(here).moved += u32::from(moved);
        u64::from(moved)
    }))
}
