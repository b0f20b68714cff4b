// SPDX-License-Identifier: GPL-2.0-or-later
//! Helpers for ring buffers.

use super::map::bytes;
use super::{Answer, value};
use crate::errno::{Errno, status};
use crate::machine::Machine;
use crate::maps::Contents;
use rota_bytecode::Fault;

/// Reserves a record in a ring; 0 if there is no room, or if it is no ring.
fn room(machine: &mut Machine, ring: u64, len: u64) -> u64 {
    let Some((memory, map)) = machine.map(ring) else { return 0 };
    // The memory is borrowed beside the map.
    match &mut map.contents {
        Contents::Ring(ring) => ring.reserve(memory, len).unwrap_or(0),
        _ => 0,
    }
}

/// Submits or discards a record, which keeps its place either way.
pub(super) fn finish(machine: &mut Machine, [record, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let rings = machine.maps.iter_mut().filter_map(|map| match &mut map.contents {
        Contents::Ring(ring) => Some(ring),
        _ => None,
    });
    for ring in rings {
        if ring.finish(record) {
            return value(0);
        }
    }
    Err(Fault { pointer: record, size: 0, write: true })
}

pub(super) fn output(
    machine: &mut Machine,
    [ring, data, len, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let data = bytes(machine, data, len as u32)?;
    let at = room(machine, ring, data.len() as u64);
    if at == 0 {
        return value(status(Err(Errno::Again)));
    }
    machine.memory.write(at, &data)?;
    finish(machine, [at, 0, 0, 0, 0])
}

pub(super) fn reserve(machine: &mut Machine, [ring, len, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(room(machine, ring, len))
}

pub(super) fn query(machine: &mut Machine, [ring, what, ..]: [u64; 5]) -> Result<Answer, Fault> {
    match machine.map(ring).map(|(_, map)| &map.contents) {
        Some(Contents::Ring(ring)) => value(ring.query(what)),
        _ => value(0),
    }
}
