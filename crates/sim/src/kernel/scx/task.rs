// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks: facts, slice and virtual time.

use super::task;
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use rota_bytecode::Fault;

/// `scx_bpf_task_cpu(task)`.
pub(in crate::kernel) fn task_cpu(
    machine: &mut Machine,
    [p, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let id = task(machine, p)?;
    value(u64::from(machine.sched.task(id).cpu))
}

/// `scx_bpf_task_running(task)`.
pub(in crate::kernel) fn task_running(
    machine: &mut Machine,
    [p, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if p == machine.current() {
        return value(1);
    }
    let id = task(machine, p)?;
    let cpu = machine.sched.task(id).cpu;
    value(u64::from(machine.sched.rq(cpu).current == Some(id)))
}

/// `scx_bpf_task_set_slice(task, slice)`.
pub(in crate::kernel) fn set_slice(
    machine: &mut Machine,
    [p, slice_ns, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let id = task(machine, p)?;
    machine.set_slice(id, slice_ns);
    value(1)
}

/// `scx_bpf_task_set_dsq_vtime(task, vtime)`.
pub(in crate::kernel) fn set_vtime(
    machine: &mut Machine,
    [p, vtime, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    task(machine, p)?;
    machine.layout.task.dsq_vtime.set(&machine.memory, p, vtime)?;
    value(1)
}
