// SPDX-License-Identifier: GPL-2.0-or-later
//! Clocks, random numbers, the own CPU.

use super::{Answer, value};
use crate::machine::Machine;
use rota_bytecode::Fault;

/// Length of a jiffy in ns, at 250 a second.
const JIFFY_NS: u64 = 4_000_000;
/// What the kernel counts from: five minutes before an overflow of 32 bits, so that code which
/// does not expect one fails early.
const FIRST_JIFFY: u64 = 0xffff_ffff - 300 * 250 + 1;

pub(super) fn now(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    let inside_ns = machine.calls * machine.shape.costs.call_ns + machine.stood_ns;
    machine.shown_ns = machine.shown_ns.max(machine.now_ns + inside_ns);
    value(machine.shown_ns)
}

pub(super) fn jiffies(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(FIRST_JIFFY + machine.now_ns / JIFFY_NS)
}

pub(super) fn random(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(machine.random.next() >> 32)
}

pub(super) fn cpu(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(u64::from(machine.cpu))
}

/// What has no effect where one thing happens at a time, and the number of the only node.
pub(super) fn nothing(_: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(0)
}

/// What gives back its argument: only the type that the verifier sees is another.
pub(super) fn itself(_: &mut Machine, [argument, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(argument)
}

/// `bpf_throw(cookie)`.
pub(super) fn throw(_: &mut Machine, [cookie, ..]: [u64; 5]) -> Result<Answer, Fault> {
    Ok(Answer::Throw(cookie))
}
