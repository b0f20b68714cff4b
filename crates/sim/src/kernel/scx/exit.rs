// SPDX-License-Identifier: GPL-2.0-or-later
//! How a scheduler ends itself.

use crate::errno::Errno;
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
    end(machine, sched::BPF_ERROR, 0, text)
}

/// `scx_bpf_exit_bstr(code, format, values, size)`.
pub(in crate::kernel) fn exit(
    machine: &mut Machine,
    [code, format, values, size, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let text = message(machine, format, values, size)?;
    end(machine, sched::BPF, code.cast_signed(), text)
}

/// Ends the scheduler, as it wants it, maybe without its message.
fn end(machine: &mut Machine, kind: u64, code: i64, text: Option<String>) -> Result<Answer, Fault> {
    let invalid = Errno::Invalid.value().cast_signed();
    match text {
        Some(text) => machine.end(kind, code, text),
        None if machine.sched.version.ends_without_message => {
            machine.end(kind, code, format!("exit message formatting failed ({invalid})"));
        }
        None => machine.error(format!("format preparation failed ({invalid})")),
    }
    value(0)
}

/// The text of a message; `None` if its format is refused.
pub(super) fn message(
    machine: &Machine,
    format: u64,
    values: u64,
    size: u64,
) -> Result<Option<String>, Fault> {
    let format = memory::text(machine, format)?;
    let words = print::values(machine, values, size)?.unwrap_or_default();
    print::print(machine, &format, &words)
}
