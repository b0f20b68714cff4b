// SPDX-License-Identifier: GPL-2.0-or-later
//! Helpers for maps.

use super::{Answer, value};
use crate::errno::{Errno, status};
use crate::machine::Machine;
use crate::maps::{Contents, KEY_BYTES_MAX, Update};
use crate::objects::What;
use crate::run::{Callbacks, Next};
use rota_bytecode::Fault;

/// Bytes of the machine.
pub(super) fn bytes(machine: &Machine, from: u64, len: u32) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; len as usize];
    machine.memory.read(from, &mut bytes)?;
    Ok(bytes)
}

/// Sizes of keys and values of a map. What is no map is a bad pointer.
fn sizes(machine: &mut Machine, map: u64) -> Result<(u32, u32), Fault> {
    let found = machine.map(map).map(|(_, map)| (map.key_size, map.value_size));
    found.ok_or(no_map(map))
}

fn no_map(pointer: u64) -> Fault {
    Fault { pointer, size: 0, write: false }
}

fn value_of(machine: &mut Machine, map: u64, key: u64, cpu: u32) -> Result<u64, Fault> {
    let (memory, map) = machine.map(map).ok_or(no_map(map))?;
    // So it is with every array.
    if map.key_size == 4 {
        let key = memory.read_u32(key)?.to_le_bytes();
        return Ok(map.lookup(memory, &key, cpu).unwrap_or(0));
    }
    let mut bytes = [0; KEY_BYTES_MAX as usize];
    let bytes = &mut bytes[..map.key_size as usize];
    memory.read(key, bytes)?;
    Ok(map.lookup(memory, bytes, cpu).unwrap_or(0))
}

pub(super) fn lookup(machine: &mut Machine, [map, key, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let cpu = machine.cpu;
    value(value_of(machine, map, key, cpu)?)
}

pub(super) fn lookup_of_cpu(
    machine: &mut Machine,
    [map, key, cpu, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let cpu = cpu as u32;
    if cpu >= machine.shape.cpus {
        return value(0);
    }
    value(value_of(machine, map, key, cpu)?)
}

pub(super) fn update(
    machine: &mut Machine,
    [map, key, data, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let (key_size, value_size) = sizes(machine, map)?;
    let (key, data) = (bytes(machine, key, key_size)?, bytes(machine, data, value_size)?);
    let cpu = machine.cpu;
    value(status(machine.update(map, (&key, &data), cpu, flags)))
}

pub(super) fn delete(machine: &mut Machine, [map, key, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let (key_size, _) = sizes(machine, map)?;
    let key = bytes(machine, key, key_size)?;
    value(status(machine.delete(map, &key)))
}

impl Machine {
    /// Sets the value of a key in the map with this address, for a CPU. What the kernel kept in
    /// the value before ends.
    pub(crate) fn update(
        &mut self,
        map: u64,
        element: (&[u8], &[u8]),
        cpu: u32,
        flags: u64,
    ) -> Result<(), Errno> {
        let (memory, found) = self.map(map).ok_or(Errno::Invalid)?;
        let left = found.update(memory, element, cpu, flags)?;
        self.end_values(map, &left);
        Ok(())
    }

    /// Removes a key from the map with this address.
    pub(crate) fn delete(&mut self, map: u64, key: &[u8]) -> Result<(), Errno> {
        let (_, found) = self.map(map).ok_or(Errno::Invalid)?;
        let left = found.delete(key)?;
        self.end_values(map, &left);
        Ok(())
    }

    /// Ends what the kernel kept in values of a map.
    pub(super) fn end_values(&mut self, map: u64, left: &[u64]) {
        if left.is_empty() {
            return;
        }
        let fields = self.map(map).map(|(_, map)| map.fields.clone()).unwrap_or_default();
        for value in left {
            self.clear_fields(&fields, *value);
        }
    }
}

pub(super) fn push(
    machine: &mut Machine,
    [map, data, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let (_, value_size) = sizes(machine, map)?;
    let data = bytes(machine, data, value_size)?;
    let pushed = match machine.map(map).map(|(_, map)| &mut map.contents) {
        Some(Contents::Queue(queue)) => {
            Update::from_flags(flags).and_then(|how| queue.push(data, how))
        }
        _ => Err(Errno::Invalid),
    };
    value(status(pushed))
}

pub(super) fn pop(machine: &mut Machine, [map, to, ..]: [u64; 5]) -> Result<Answer, Fault> {
    next_in_queue(machine, map, to, true)
}

pub(super) fn peek(machine: &mut Machine, [map, to, ..]: [u64; 5]) -> Result<Answer, Fault> {
    next_in_queue(machine, map, to, false)
}

fn next_in_queue(machine: &mut Machine, map: u64, to: u64, take: bool) -> Result<Answer, Fault> {
    let found = machine.map(map).ok_or(no_map(map));
    let Contents::Queue(queue) = &mut found?.1.contents else {
        return value(Errno::Invalid.value());
    };
    let (data, result) = queue.next(take);
    machine.memory.write(to, &data)?;
    value(status(result))
}

/// `bpf_for_each_map_elem(map, callback, context, flags)`: how many elements were visited.
pub(super) fn for_each(
    machine: &mut Machine,
    [map, callback, context, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    if flags != 0 {
        return value(Errno::Invalid.value());
    }
    let (key_size, _) = sizes(machine, map)?;
    let place = machine.new_object(u64::from(key_size.max(1)), What::Scratch);
    let place = place.ok_or(no_map(map))?;
    Ok(Answer::Callbacks(Box::new(Each { map, callback, context, place, last: None, seen: 0 })))
}

struct Each {
    map: u64,
    callback: u64,
    context: u64,
    /// Where the program finds the key.
    place: u64,
    last: Option<Vec<u8>>,
    seen: u64,
}

impl Callbacks for Each {
    fn next(&mut self, machine: &mut Machine, returned: Option<u64>) -> Result<Next, Fault> {
        let cpu = machine.cpu;
        let found = machine.map(self.map).ok_or(no_map(self.map))?.1;
        let element = found.after(self.last.as_deref(), cpu).filter(|_| returned.unwrap_or(0) == 0);
        let Some((key, data)) = element else {
            // It was allocated by us, so it can be given back.
            let _ = machine.drop_owner(self.place);
            return Ok(Next::Done(self.seen));
        };
        self.seen += 1;
        machine.memory.write(self.place, &key)?;
        self.last = Some(key);
        Ok(Next::Call(self.callback, [self.map, self.place, data, self.context, 0]))
    }
}
