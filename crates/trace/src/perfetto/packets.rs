// SPDX-License-Identifier: GPL-2.0-or-later
//! Packets that a trace begins with, and how packets are written.

use super::field::{BOOTTIME, CLOCKS, clock, packet, system, trace, tree};
use crate::protobuf::Message;
use rota_events::{MachineFacts, Tables, TaskRef};
use std::io::{self, Write};

/// `SEQ_INCREMENTAL_STATE_CLEARED`: nothing before this packet is needed.
const STATE_CLEARED: u64 = 1;
/// `SEQ_NEEDS_INCREMENTAL_STATE`: packets before this one are needed, such as those with names.
pub(super) const NEEDS_STATE: u64 = 2;
/// All packets are written by one.
const WRITER: u64 = 1;

/// A packet of the one who writes all.
pub(super) fn own() -> Message {
    Message::default().number(packet::SEQUENCE, WRITER)
}

/// Writes a packet.
pub(super) fn write(out: &mut dyn Write, packet: &Message) -> io::Result<()> {
    out.write_all(Message::default().message(trace::PACKET, packet).as_bytes())
}

/// The first packets: which clock it is, and which kernel's numbers.
///
/// What the kernel's tracing writes has the clock `boottime` in Perfetto, unless it is one that
/// recordings never have. Another clock of a recording is said to show the same, and to be that of
/// the trace.
pub(super) fn start(out: &mut dyn Write, machine: &MachineFacts, now_ns: u64) -> io::Result<()> {
    let known = CLOCKS.iter().find(|(_, name)| *name == machine.clock);
    let primary = known.map_or(BOOTTIME, |(id, _)| *id);
    let shows = |id| Message::default().number(clock::ID, id).number(clock::TIMESTAMP, now_ns);
    let mut snapshot = Message::default().message(clock::CLOCKS, &shows(BOOTTIME));
    if primary != BOOTTIME {
        snapshot = snapshot.message(clock::CLOCKS, &shows(primary));
    }
    let snapshot = snapshot.number(clock::PRIMARY, primary);
    let first = own().number(packet::SEQUENCE_FLAGS, STATE_CLEARED);
    write(out, &first.message(packet::CLOCK_SNAPSHOT, &snapshot))?;
    // The states of tasks have the numbers of this kernel. Those of the kernels that are supported
    // are the same.
    let release = if machine.kernel.is_empty() { "6.12-unknown" } else { &machine.kernel };
    let name = Message::default().text(system::SYSNAME, "Linux").text(system::RELEASE, release);
    let mut info = Message::default().message(system::UTSNAME, &name);
    if !machine.cpus.is_empty() {
        info = info.number(system::CPUS, machine.cpus.len() as u64);
    }
    write(out, &own().message(packet::SYSTEM_INFO, &info))
}

/// What another clock shows at a time.
pub(super) fn clocks(
    out: &mut dyn Write,
    machine: &MachineFacts,
    (now_ns, other, other_ns): (u64, &str, u64),
) -> io::Result<()> {
    let id = |name: &str| CLOCKS.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
    let own_clock = id(&machine.clock).unwrap_or(BOOTTIME);
    // A trace has boottime for its own clock.
    let Some(other) = id(other).filter(|id| ![own_clock, BOOTTIME].contains(id)) else {
        return Ok(());
    };
    let shows = |id, ns| Message::default().number(clock::ID, id).number(clock::TIMESTAMP, ns);
    let snapshot = Message::default()
        .message(clock::CLOCKS, &shows(own_clock, now_ns))
        .message(clock::CLOCKS, &shows(other, other_ns));
    write(out, &own().message(packet::CLOCK_SNAPSHOT, &snapshot))
}

/// The names of threads, and to which processes they belong.
pub(super) fn tasks(
    out: &mut dyn Write,
    tables: &Tables,
    tasks: impl Iterator<Item = TaskRef>,
) -> io::Result<()> {
    let (mut content, mut any) = (Message::default(), false);
    for info in tasks.filter_map(|task| tables.task_of(task)) {
        let name = tables.text_of(info.name);
        if info.pid == info.tgid {
            let process = Message::default()
                .signed(tree::PROCESS_PID, info.pid.into())
                .text(tree::PROCESS_CMDLINE, name);
            content = content.message(tree::PROCESSES, &process);
        }
        let thread = Message::default()
            .signed(tree::THREAD_TID, info.pid.into())
            .text(tree::THREAD_NAME, name)
            .signed(tree::THREAD_TGID, info.tgid.into());
        content = content.message(tree::THREADS, &thread);
        any = true;
    }
    if any { write(out, &own().message(packet::PROCESS_TREE, &content)) } else { Ok(()) }
}
