// SPDX-License-Identifier: GPL-2.0-or-later
//! What CPUs and the machine are, and what runs on them (kernel: `kernel/sched/ext/ext.c`).

use crate::errno::Errno;
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use rota_bytecode::Fault;

/// Full performance (kernel: `SCX_CPUPERF_ONE`).
const FULL: u64 = 1024;
/// What the kernel calls no node (kernel: `NUMA_NO_NODE`).
const NO_NODE: u64 = u64::MAX;

/// A CPU that is named to the scheduler in charge.
fn cpu(machine: &mut Machine, cpu: u64) -> Option<u32> {
    let asked = machine.asks_scheduler();
    asked.and_then(|()| machine.named_cpu(cpu)).ok()
}

/// `scx_bpf_cpu_curr(cpu)`: the task that runs there.
pub(in crate::kernel) fn current(
    machine: &mut Machine,
    [number, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let cpu = cpu(machine, number);
    value(cpu.map_or(0, |cpu| machine.task_on(cpu)))
}

/// `scx_bpf_cpu_rq(cpu)`: its run queue.
pub(in crate::kernel) fn rq(
    machine: &mut Machine,
    [number, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let cpu = cpu(machine, number);
    value(cpu.map_or(0, |cpu| machine.shown.rq(cpu)))
}

/// `scx_bpf_locked_rq()`: the run queue that is locked while a callback runs.
pub(in crate::kernel) fn locked_rq(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    let locked = machine.locked_rq();
    if locked.is_none() && machine.asks_scheduler().is_ok() {
        let text = "accessing rq without holding rq lock".to_owned();
        let _ = machine.refuse::<()>(Errno::Invalid, text);
    }
    value(locked.map_or(0, |cpu| machine.shown.rq(cpu)))
}

/// `scx_bpf_cpu_node(cpu)`: its node.
pub(in crate::kernel) fn node(
    machine: &mut Machine,
    [number, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let cpu = cpu(machine, number);
    value(cpu.map_or(NO_NODE, |cpu| u64::from(machine.sched.idle.places.node(cpu))))
}

/// `scx_bpf_nr_node_ids()`: one above the highest number of a node.
pub(in crate::kernel) fn nr_node_ids(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(machine.sched.idle.places.node_ids()))
}

/// `scx_bpf_cpuperf_cap(cpu)`: how fast it can be, of 1,024.
pub(in crate::kernel) fn capacity(
    machine: &mut Machine,
    [number, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let cpu = cpu(machine, number);
    value(cpu.map_or(FULL, |cpu| u64::from(machine.sched.idle.places.capacity(cpu))))
}

/// `scx_bpf_cpuperf_cur(cpu)`: its frequency, of 1,024.
pub(in crate::kernel) fn performance(
    machine: &mut Machine,
    [number, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let cpu = cpu(machine, number);
    value(cpu.map_or(FULL, |cpu| machine.frequency(cpu)))
}

/// `scx_bpf_cpuperf_set(cpu, target)`: the frequency that a CPU is to have, of 1,024.
pub(in crate::kernel) fn set_performance(
    machine: &mut Machine,
    [number, target, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let (shown, target) = ((number as u32).cast_signed(), target & 0xffff_ffff);
    if machine.asks_scheduler().is_err() {
        return value(0);
    }
    if target > FULL {
        let text = format!("Invalid cpuperf target {target} for CPU {shown}");
        let _ = machine.refuse::<()>(Errno::Invalid, text);
        return value(0);
    }
    let Ok(cpu) = machine.named_cpu(number) else { return value(0) };
    if machine.locked_rq().is_some_and(|locked| locked != cpu) {
        let text = format!("Invalid target CPU {shown}");
        let _ = machine.refuse::<()>(Errno::Invalid, text);
        return value(0);
    }
    machine.show_rq(cpu, machine.layout.rq.cpuperf_target, target);
    machine.set_frequency(cpu, target);
    value(0)
}

/// `scx_bpf_get_possible_cpumask()`.
pub(in crate::kernel) fn possible(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(machine.shown.possible)
}

/// `scx_bpf_get_online_cpumask()`.
pub(in crate::kernel) fn online(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(machine.shown.online)
}
