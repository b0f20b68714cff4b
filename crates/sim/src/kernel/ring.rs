// SPDX-License-Identifier: GPL-2.0-or-later
//! Helpers for ring buffers.

use super::dynptr::Dynptr;
use super::map::bytes;
use super::{Answer, value};
use crate::effects::Kind;
use crate::errno::{Errno, status};
use crate::machine::Machine;
use crate::maps::{Contents, Ring, UserRing};
use crate::objects::What;
use crate::run::{Callbacks, Next};
use rota_bytecode::Fault;

fn ring(machine: &mut Machine, address: u64) -> Option<&mut Ring> {
    match &mut machine.map(address)?.1.contents {
        Contents::Ring(ring) => Some(ring),
        _ => None,
    }
}

/// Reserves a record in a ring; 0 if there is no room, or if it is no ring.
pub(super) fn room(machine: &mut Machine, address: u64, len: u64) -> u64 {
    if !ring(machine, address).is_some_and(|ring| ring.has_room(len)) {
        return 0;
    }
    let Some(at) = machine.new_object(len.max(1), What::Scratch) else { return 0 };
    if let Some(ring) = ring(machine, address) {
        ring.reserve(at, len);
    }
    at
}

/// Submits or discards a record, which keeps its place either way.
pub(super) fn finish(machine: &mut Machine, record: u64, keep: bool) -> Result<Answer, Fault> {
    let rings = machine.maps.iter_mut().filter_map(|map| match &mut map.contents {
        Contents::Ring(ring) => Some(ring),
        _ => None,
    });
    for ring in rings {
        if ring.finish(record, keep) {
            return value(0);
        }
    }
    Err(Fault { pointer: record, size: 0, write: true })
}

pub(super) fn submit(machine: &mut Machine, [record, ..]: [u64; 5]) -> Result<Answer, Fault> {
    finish(machine, record, true)
}

pub(super) fn discard(machine: &mut Machine, [record, ..]: [u64; 5]) -> Result<Answer, Fault> {
    finish(machine, record, false)
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
    finish(machine, at, true)
}

pub(super) fn reserve(machine: &mut Machine, [ring, len, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(room(machine, ring, len))
}

pub(super) fn query(machine: &mut Machine, [address, what, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(ring(machine, address).map_or(0, |ring| ring.query(what)))
}

/// The most records that one call reads (kernel: `BPF_MAX_USER_RINGBUF_SAMPLES`).
const RECORDS_MAX: u64 = 128 << 10;
/// Flags that say whether to wake the writer up, which never sleeps here.
const WAKING: u64 = 3;

fn user_ring(machine: &mut Machine, address: u64) -> Result<&mut UserRing, Fault> {
    match machine.map(address).map(|(_, map)| &mut map.contents) {
        Some(Contents::UserRing(ring)) => Ok(ring),
        _ => Err(Fault { pointer: address, size: 0, write: false }),
    }
}

/// `bpf_user_ringbuf_drain(ring, callback, context, flags)`: how many records were read.
pub(super) fn drain(
    machine: &mut Machine,
    [ring, callback, context, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    user_ring(machine, ring)?;
    if flags & !WAKING != 0 {
        return value(Errno::Invalid.value());
    }
    if machine.references.find(&[Kind::Reading], ring).is_some() {
        return value(Errno::Busy.value());
    }
    Ok(Answer::Callbacks(Box::new(Drain { ring, callback, context, record: 0, seen: 0 })))
}

struct Drain {
    ring: u64,
    callback: u64,
    context: u64,
    /// Where the dynamic pointer and the record lie that the program reads.
    record: u64,
    seen: u64,
}

/// Size of a dynamic pointer, behind which its record lies.
const DYNPTR_BYTES: u64 = 16;

impl Callbacks for Drain {
    fn next(&mut self, machine: &mut Machine, returned: Option<u64>) -> Result<Next, Fault> {
        if returned.is_some() {
            // It was allocated by us, so it can be given back.
            let _ = machine.drop_owner(self.record);
        }
        let ring = user_ring(machine, self.ring)?;
        let goes_on = returned.unwrap_or(0) == 0 && self.seen < RECORDS_MAX;
        let record = if goes_on { ring.take() } else { None };
        let Some(record) = record else {
            machine.references.give_back(Kind::Reading, self.ring);
            return Ok(Next::Done(self.seen));
        };
        let len = record.len() as u64;
        let at = machine.new_object(DYNPTR_BYTES + len, What::Scratch);
        self.record = at.ok_or(Fault { pointer: self.ring, size: len, write: true })?;
        self.seen += 1;
        let data = self.record + DYNPTR_BYTES;
        machine.memory.write(data, &record)?;
        Dynptr::local(data, len).store(machine, self.record)?;
        Ok(Next::Call(self.callback, [self.record, self.context, 0, 0, 0]))
    }
}
