// SPDX-License-Identifier: GPL-2.0-or-later
//! How a scheduler ends itself.

use crate::kernel::{Answer, memory, print, value};
use crate::machine::Machine;
use crate::sched;
use rota_bytecode::Fault;

/// `scx_bpf_error_bstr(format, values, size)`.
pub(in crate::kernel) fn error(
    machine: &mut Machine,
    [format, values, size, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let text = message(machine, format, values, size)?;
    machine.end(sched::BPF_ERROR, 0, text);
    value(0)
}

/// `scx_bpf_exit_bstr(code, format, values, size)`.
pub(in crate::kernel) fn exit(
    machine: &mut Machine,
    [code, format, values, size, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let text = message(machine, format, values, size)?;
    machine.end(sched::BPF, code.cast_signed(), text);
    value(0)
}

/// The text of a message.
pub(super) fn message(
    machine: &Machine,
    format: u64,
    values: u64,
    size: u64,
) -> Result<String, Fault> {
    let format = memory::text(machine, format)?;
    let words = print::values(machine, values, size)?.unwrap_or_default();
    Ok(print::print(machine, &format, &words)?.unwrap_or(format))
}
