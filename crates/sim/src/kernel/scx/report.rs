// SPDX-License-Identifier: GPL-2.0-or-later
//! What the core has counted, and what a scheduler adds to a dump.

use super::exit::message;
use crate::kernel::{Answer, value};
use crate::machine::Machine;
use rota_bytecode::Fault;

/// `scx_bpf_events(events, size)`: the counters, as far as there is room.
pub(in crate::kernel) fn events(
    machine: &mut Machine,
    [events, size, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let fields = machine.layout.counters.iter().map(|(_, field)| *field);
    for (field, (_, count)) in fields.zip(machine.counters()) {
        if field.offset + field.size <= size {
            field.set(&machine.memory, events, count)?;
        }
    }
    value(0)
}

/// `scx_bpf_dump_bstr(format, values, size)`.
pub(in crate::kernel) fn dump(
    machine: &mut Machine,
    [format, values, size, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let text = message(machine, format, values, size)?;
    match &mut machine.sched.dumping {
        Some(dumping) => dumping.say(&text.unwrap_or_default()),
        None => machine
            .error("scx_bpf_dump() must only be called from ops.dump() and friends".to_owned()),
    }
    value(0)
}
