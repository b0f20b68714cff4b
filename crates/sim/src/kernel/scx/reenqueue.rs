// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks are asked back out of queues.

use super::{done, refused};
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use crate::sched::{GLOBAL, LOCAL, LOCAL_ON, QueueId, group};
use rota_bytecode::Fault;

/// All tasks (kernel: `SCX_REENQ_ANY`); nothing else can be asked for.
const ANY: u64 = 1;

/// `scx_bpf_reenqueue_local()`: how many tasks of this CPU's local queue have gone back, at once.
pub(in crate::kernel) fn local(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    if let Some(answer) = refused(machine, group::CPU_RELEASE) {
        return Ok(answer);
    }
    let here = machine.cpu;
    done(machine.go_back_locally(here, true))
}

/// `scx_bpf_reenqueue_local___v2()`: the same, a little later.
pub(in crate::kernel) fn local_later(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    later(machine, [LOCAL, 0, 0, 0, 0])
}

/// `scx_bpf_dsq_reenq(queue, flags)`.
pub(in crate::kernel) fn later(
    machine: &mut Machine,
    [queue, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if !machine.sched.ops.is_attached() {
        return value(0);
    }
    if flags & !ANY != 0 {
        machine.error(format!("invalid SCX_REENQ flags {flags:#x}"));
        return value(0);
    }
    let found = match queue {
        LOCAL => Some(QueueId::Local(machine.local_cpu())),
        _ if queue & LOCAL_ON == LOCAL_ON => {
            let cpu = queue as u32;
            if cpu >= machine.shape.cpus {
                let shown = cpu.cast_signed();
                machine.error(format!("invalid CPU {shown} in SCX_DSQ_LOCAL_ON dispatch verdict"));
            }
            (cpu < machine.shape.cpus).then_some(QueueId::Local(cpu))
        }
        GLOBAL => None,
        _ if machine.sched.queues.contains(QueueId::User(queue)) => Some(QueueId::User(queue)),
        _ => {
            machine.error(format!("non-existent DSQ {queue:#x}"));
            None
        }
    };
    match found {
        Some(found) => machine.ask_back(found, true),
        None => machine.error(format!("DSQ {GLOBAL:#x} not allowed for reenq")),
    }
    value(0)
}
