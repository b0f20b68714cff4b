// SPDX-License-Identifier: GPL-2.0-or-later
//! Counters of the hardware, of which this machine has none.

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use rota_bytecode::Fault;

/// Size of what a counter is read into (kernel: `struct bpf_perf_event_value`).
const VALUE_BYTES: u64 = 24;
/// The CPU that executes, in place of an index.
const CURRENT_CPU: u64 = 0xffff_ffff;

/// `bpf_perf_event_read_value(map, index, to, size)`: zeros, and an error.
pub(super) fn read_value(
    machine: &mut Machine,
    [map, flags, to, size, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let entries = machine.map(map).map(|(_, map)| map.max_entries);
    let entries = entries.ok_or(Fault { pointer: map, size: 0, write: false })?;
    let index = match flags {
        CURRENT_CPU => u64::from(machine.cpu),
        index => index,
    };
    let error = if size != VALUE_BYTES || flags > CURRENT_CPU {
        Errno::Invalid
    } else if index >= u64::from(entries) {
        Errno::TooBig
    } else {
        Errno::NoEntry
    };
    machine.memory.write(to, &vec![0; size.min(VALUE_BYTES) as usize])?;
    value(error.value())
}
