// SPDX-License-Identifier: GPL-2.0-or-later
//! The functions of sched_ext (kernel: `kernel/sched/ext.c`, `idle.c`).

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use crate::run::Stop;
use crate::sched::{Buffered, Direct, Due, Insert, Kick, QueueId, TaskId, select_cpu_default};
use rota_bytecode::Fault;

/// Flags of a kick (kernel: `enum scx_kick_flags`).
mod kick {
    pub(super) const IDLE: u64 = 1;
    pub(super) const PREEMPT: u64 = 2;
}

/// How many tasks one call of `dispatch` may insert (kernel: `SCX_DSP_DFL_MAX_BATCH`).
const BATCH_MAX: usize = 32;

/// What a function that called the scheduler back comes to.
fn done(result: Result<u64, Stop>) -> Result<Answer, Fault> {
    Ok(result.map_or_else(Answer::Stop, Answer::Value))
}

/// The task with this address. What is none is a bad pointer.
fn task(machine: &Machine, address: u64) -> Result<TaskId, Fault> {
    let size = machine.layout.task.size;
    let found = machine.task(address).and_then(|task| task.id);
    found.ok_or(Fault { pointer: address, size, write: false })
}

/// `scx_bpf_create_dsq(id, node)`.
pub(super) fn create_dsq(machine: &mut Machine, [id, ..]: [u64; 5]) -> Result<Answer, Fault> {
    if id >> 63 != 0 {
        return value(Errno::Invalid.value());
    }
    let new = machine.sched.queues.create(id);
    value(if new { 0 } else { Errno::Exists.value() })
}

/// `scx_bpf_destroy_dsq(id)`.
pub(super) fn destroy_dsq(machine: &mut Machine, [id, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let there = machine.sched.queues.get(QueueId::User(id)).is_some();
    if there && !machine.sched.queues.destroy(id) {
        machine.error(format!("attempting to destroy in-use dsq {id:#018x}"));
    }
    value(0)
}

/// `scx_bpf_dsq_nr_queued(id)`.
pub(super) fn nr_queued(machine: &mut Machine, [id, ..]: [u64; 5]) -> Result<Answer, Fault> {
    if machine.sched.ops.timeout_ns == 0 {
        return value(Errno::NoDevice.value());
    }
    let queue = machine.named_queue(id);
    value(match machine.sched.queues.get(queue) {
        Some(queue) => queue.tasks.len() as u64,
        None => Errno::NoEntry.value(),
    })
}

/// `scx_bpf_dsq_insert(task, queue, slice, flags)`.
pub(super) fn insert(
    machine: &mut Machine,
    [p, queue, slice_ns, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    commit(machine, p, Insert { queue, slice_ns, vtime: None, flags })
}

/// `scx_bpf_dsq_insert_vtime(task, queue, slice, vtime, flags)`.
pub(super) fn insert_vtime(
    machine: &mut Machine,
    [p, queue, slice_ns, vtime, flags]: [u64; 5],
) -> Result<Answer, Fault> {
    commit(machine, p, Insert { queue, slice_ns, vtime: Some(vtime), flags })
}

/// `__scx_bpf_dsq_insert_vtime(task, args)`, which takes them in a structure.
pub(super) fn insert_vtime_args(
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
pub(super) fn move_to_local(machine: &mut Machine, [id, ..]: [u64; 5]) -> Result<Answer, Fault> {
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

/// `scx_bpf_select_cpu_dfl(task, previous, flags, idle)`: a CPU, and whether it is idle.
pub(super) fn select_cpu_dfl(
    machine: &mut Machine,
    [p, previous, wake_flags, idle, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let id = task(machine, p)?;
    let allowed = machine.sched.task(id).allowed.clone();
    let found = select_cpu_default(machine, previous as u32, wake_flags, &allowed, 0);
    machine.memory.write_u8(idle, u8::from(found.is_some()))?;
    value(u64::from(found.unwrap_or(previous as u32)))
}

/// `scx_bpf_kick_cpu(cpu, flags)`.
pub(super) fn kick_cpu(machine: &mut Machine, [cpu, flags, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let cpu = cpu as u32;
    if cpu >= machine.shape.cpus {
        machine.error(format!("invalid CPU {}", cpu.cast_signed()));
        return value(0);
    }
    let only_if_idle = flags & kick::IDLE != 0;
    let preempt = flags & kick::PREEMPT != 0;
    if only_if_idle && preempt {
        machine.error("PREEMPT/WAIT cannot be used with SCX_KICK_IDLE".to_owned());
    }
    let now = machine.now_ns;
    machine.sched.agenda.add(now, Due::Kick(Kick { cpu, only_if_idle, preempt }));
    value(0)
}

/// `scx_bpf_task_cpu(task)`.
pub(super) fn task_cpu(machine: &mut Machine, [p, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let id = task(machine, p)?;
    value(u64::from(machine.sched.task(id).cpu))
}

/// `scx_bpf_task_running(task)`.
pub(super) fn task_running(machine: &mut Machine, [p, ..]: [u64; 5]) -> Result<Answer, Fault> {
    if p == machine.current() {
        return value(1);
    }
    let id = task(machine, p)?;
    let cpu = machine.sched.task(id).cpu;
    value(u64::from(machine.sched.rq(cpu).current == Some(id)))
}

/// `scx_bpf_task_set_slice(task, slice)`.
pub(super) fn set_slice(
    machine: &mut Machine,
    [p, slice_ns, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let id = task(machine, p)?;
    machine.set_slice(id, slice_ns);
    value(1)
}

/// `scx_bpf_task_set_dsq_vtime(task, vtime)`.
pub(super) fn set_vtime(machine: &mut Machine, [p, vtime, ..]: [u64; 5]) -> Result<Answer, Fault> {
    task(machine, p)?;
    machine.layout.task.dsq_vtime.set(&machine.memory, p, vtime)?;
    value(1)
}

/// `scx_bpf_now()`.
pub(super) fn now(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(machine.now_ns)
}

/// `scx_bpf_nr_cpu_ids()`.
pub(super) fn nr_cpu_ids(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(machine.shape.cpus))
}

/// `scx_bpf_error_bstr(format, values, size)`.
pub(super) fn error(
    machine: &mut Machine,
    [format, values, size, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let text = message(machine, format, values, size)?;
    machine.end(crate::sched::BPF_ERROR, 0, text);
    value(0)
}

/// `scx_bpf_exit_bstr(code, format, values, size)`.
pub(super) fn exit(
    machine: &mut Machine,
    [code, format, values, size, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let text = message(machine, format, values, size)?;
    machine.end(crate::sched::BPF, code.cast_signed(), text);
    value(0)
}

/// The text of a message.
fn message(machine: &Machine, format: u64, values: u64, size: u64) -> Result<String, Fault> {
    let format = super::memory::text(machine, format)?;
    let words = super::print::values(machine, values, size)?.unwrap_or_default();
    Ok(super::print::print(machine, &format, &words)?.unwrap_or(format))
}
