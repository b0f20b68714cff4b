// SPDX-License-Identifier: GPL-2.0-or-later
//! CPUs: kicking one, time, their number.

use crate::kernel::{Answer, value};
use crate::machine::Machine;
use crate::sched::{Due, Kick};
use rota_bytecode::Fault;
use rota_events::{CpuNumber, Target, What};

/// Flags of a kick (kernel: `enum scx_kick_flags`).
mod kick {
    pub(super) const IDLE: u64 = 1;
    pub(super) const PREEMPT: u64 = 2;
}

/// `scx_bpf_kick_cpu(cpu, flags)`.
pub(in crate::kernel) fn kick_cpu(
    machine: &mut Machine,
    [cpu, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
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
    let target = Target::Cpu(CpuNumber(cpu));
    machine.record(None, What::Kick { target, flags });
    let now = machine.now_ns;
    machine.sched.agenda.add(now, Due::Kick(Kick { cpu, only_if_idle, preempt }));
    value(0)
}

/// `scx_bpf_now()`.
pub(in crate::kernel) fn now(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(machine.now_ns)
}

/// `scx_bpf_nr_cpu_ids()`.
pub(in crate::kernel) fn nr_cpu_ids(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(machine.shape.cpus))
}
