// SPDX-License-Identifier: GPL-2.0-or-later
//! What the user half of a scheduler can do to a machine: the operations of
//! [`rota_object::Engine`] on maps, arenas, rings and programs.

use crate::errno::Errno;
use crate::machine::Machine;
use crate::maps::{Contents, Map};
use crate::objects::What;
use rota_object::EngineError;

/// Size of a page of an arena.
const PAGE: u64 = 4096;

impl Machine {
    fn index_of(&self, name: &str) -> Result<usize, EngineError> {
        let found = self.maps.iter().position(|map| map.name == name);
        found.ok_or_else(|| missing("map", name))
    }

    fn map_named(&self, name: &str) -> Result<&Map, EngineError> {
        Ok(&self.maps[self.index_of(name)?])
    }

    /// The map with this name, if its keys have this size.
    fn map_for(&self, name: &str, key: &[u8]) -> Result<&Map, EngineError> {
        let map = self.map_named(name)?;
        check_size(name, key.len(), map.key_size as usize)?;
        Ok(map)
    }

    /// A value as user space gets it: without what the kernel keeps in it.
    fn value(&self, map: &Map, at: u64) -> Vec<u8> {
        let mut bytes = vec![0; map.value_size as usize];
        // The map's own memory can be read.
        let _ = self.memory.read(at, &mut bytes);
        for field in &map.fields {
            let range = field.offset as usize..(field.offset + field.size) as usize;
            bytes.get_mut(range).unwrap_or_default().fill(0);
        }
        bytes
    }

    /// The value of a key; of a queue, the next one.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`], or [`EngineError::System`] if every CPU
    /// has a value of its own.
    pub fn map_lookup(&mut self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        if self.map_for(map, key)?.per_cpu {
            let error = "every CPU has a value of its own: ask for those".to_owned();
            return Err(EngineError::System { what: format!("reading {map}"), error });
        }
        let index = self.index_of(map)?;
        if let Contents::Queue(queue) = &mut self.maps[index].contents {
            let (value, found) = queue.next(false);
            return Ok(found.is_ok().then_some(value));
        }
        Ok(self.values(index, key, 1)?.map(|mut values| values.remove(0)))
    }

    /// The values of a key, one for each CPU.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`].
    pub fn map_lookup_percpu(
        &mut self,
        map: &str,
        key: &[u8],
    ) -> Result<Option<Vec<Vec<u8>>>, EngineError> {
        self.map_for(map, key)?;
        self.values(self.index_of(map)?, key, self.shape.cpus)
    }

    fn values(
        &mut self,
        index: usize,
        key: &[u8],
        cpus: u32,
    ) -> Result<Option<Vec<Vec<u8>>>, EngineError> {
        let mut values = Vec::new();
        for cpu in 0..cpus {
            let Some(at) = self.maps[index].lookup(&self.memory, key, cpu) else {
                return Ok(None);
            };
            values.push(self.value(&self.maps[index], at));
        }
        Ok(Some(values))
    }

    /// Sets the value of a key; to a queue, adds one.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`] or [`EngineError::System`] (a full map).
    pub fn map_update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let found = self.map_for(map, key)?;
        check_size(map, value.len(), found.value_size as usize)?;
        let address = found.address;
        let index = self.index_of(map)?;
        let updated = match &mut self.maps[index].contents {
            Contents::Queue(queue) => queue.push(value.to_vec(), crate::maps::Update::Any),
            _ => self.update(address, (key, value), 0, 0),
        };
        updated.map_err(|error| refused("writing", map, error))
    }

    /// Sets the value of a key, on every CPU if each has its own.
    pub(crate) fn preload(
        &mut self,
        map: &str,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), EngineError> {
        let found = self.map_for(map, key)?;
        let (address, per_cpu) = (found.address, found.per_cpu);
        if !per_cpu {
            return self.map_update(map, key, value);
        }
        for cpu in 0..self.shape.cpus {
            let updated = self.update(address, (key, value), cpu, 0);
            updated.map_err(|error| refused("writing", map, error))?;
        }
        Ok(())
    }

    /// Removes a key. Returns whether it was there.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`], or [`EngineError::System`] if nothing can
    /// be removed.
    pub fn map_delete(&mut self, map: &str, key: &[u8]) -> Result<bool, EngineError> {
        let address = self.map_for(map, key)?.address;
        match self.delete(address, key) {
            Ok(()) => Ok(true),
            Err(Errno::NoEntry) => Ok(false),
            Err(error) => Err(refused("deleting from", map, error)),
        }
    }

    /// The key after this one, or the first.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`].
    pub fn map_next_key(
        &self,
        map: &str,
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let found = match after {
            Some(key) => self.map_for(map, key)?,
            None => self.map_named(map)?,
        };
        Ok(found.after(after, 0).map(|(key, _)| key))
    }

    /// Copies from a data section, such as `.bss`, at an offset from its start.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`] beyond its end.
    pub fn data_read(&self, section: &str, at: u64, into: &mut [u8]) -> Result<(), EngineError> {
        let from = self.in_data(section, at, into.len())?;
        self.memory.read(from, into).map_err(|_| too_much(section, into.len()))
    }

    /// Copies into a data section, read-only ones too.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`] beyond its end.
    pub fn data_write(&mut self, section: &str, at: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let to = self.in_data(section, at, bytes.len())?;
        let map = self.map_named(section)?;
        let written = map.write_data(&self.memory, to, bytes);
        written.map_err(|_| too_much(section, bytes.len()))
    }

    fn in_data(&self, section: &str, at: u64, len: usize) -> Result<u64, EngineError> {
        let map = self.map_named(section)?;
        let end = at.checked_add(len as u64);
        let fits = end.is_some_and(|end| end <= u64::from(map.value_size));
        if fits { Ok(map.values + at) } else { Err(too_much(section, len)) }
    }

    /// Copies from an arena, at an offset from its start. Pages that are not there yet come to be.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`] beyond its end.
    pub fn arena_read(&mut self, map: &str, at: u64, into: &mut [u8]) -> Result<(), EngineError> {
        let from = self.in_arena(map, at, into.len())?;
        self.memory.read(from, into).map_err(|_| too_much(map, into.len()))
    }

    /// Copies into an arena, at an offset from its start. Pages that are not there yet come to be.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`] beyond its end.
    pub fn arena_write(&mut self, map: &str, at: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let to = self.in_arena(map, at, bytes.len())?;
        self.memory.write(to, bytes).map_err(|_| too_much(map, bytes.len()))
    }

    fn in_arena(&mut self, name: &str, at: u64, len: usize) -> Result<u64, EngineError> {
        let index = self.index_of(name)?;
        let Contents::Arena(arena) = &mut self.maps[index].contents else {
            return Err(missing("arena", name));
        };
        let end = at.checked_add(len as u64).filter(|end| *end <= arena.len());
        let end = end.ok_or_else(|| too_much(name, len))?;
        for page in at / PAGE..end.div_ceil(PAGE) {
            arena.touch(&self.memory, page);
        }
        Ok(arena.place(at))
    }

    /// Hands over every record that waits in a ring buffer. Returns their number.
    ///
    /// # Errors
    /// [`EngineError::Missing`].
    pub fn ring_drain(
        &mut self,
        map: &str,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, EngineError> {
        let index = self.index_of(map)?;
        let mut count = 0;
        loop {
            let Contents::Ring(ring) = &mut self.maps[index].contents else {
                return Err(missing("ring buffer", map));
            };
            let Some((at, len, wanted)) = ring.take() else { return Ok(count) };
            if wanted {
                let mut record = vec![0; len as usize];
                // The record was allocated by us: it can be read, and given back.
                let _ = self.memory.read(at, &mut record);
                each(&record);
                count += 1;
            }
            let _ = self.drop_owner(at);
        }
    }

    /// Puts a record into a user ring buffer, for programs to read.
    ///
    /// # Errors
    /// [`EngineError::Missing`], or [`EngineError::System`] if it is full.
    pub fn ring_push(&mut self, map: &str, record: &[u8]) -> Result<(), EngineError> {
        let index = self.index_of(map)?;
        match &mut self.maps[index].contents {
            Contents::UserRing(ring) => {
                let pushed = ring.push(record);
                pushed.then_some(()).ok_or_else(|| refused("filling", map, Errno::NoSpace))
            }
            _ => Err(missing("user ring buffer", map)),
        }
    }

    /// Runs a `syscall` program with a context, which it may change. Returns its result.
    ///
    /// # Errors
    /// [`EngineError::Missing`], or [`EngineError::System`] with what it did that it must not.
    pub fn run_program(&mut self, name: &str, context: &mut [u8]) -> Result<i32, EngineError> {
        let system = |error: String| EngineError::System { what: format!("running {name}"), error };
        let function = *self.programs.get(name).ok_or_else(|| missing("program", name))?;
        self.settle_outside().map_err(|stop| system(stop.to_string()))?;
        let mut at = 0;
        if !context.is_empty() {
            let room = self.new_object(context.len() as u64, What::Scratch);
            at = room.ok_or_else(|| system("there is no memory for its context".to_owned()))?;
            self.memory.write(at, context).map_err(|fault| system(fault.to_string()))?;
        }
        let result = self.run(function, [at, 0, 0, 0, 0]);
        if !context.is_empty() {
            // It was allocated by us: it can be read, and given back.
            let _ = self.memory.read(at, context);
            let _ = self.drop_owner(at);
        }
        result.map(|value| value as u32 as i32).map_err(|stop| system(stop.to_string()))
    }
}

fn missing(what: &'static str, name: &str) -> EngineError {
    EngineError::Missing { what, name: name.to_owned() }
}

fn check_size(name: &str, given: usize, expected: usize) -> Result<(), EngineError> {
    if given == expected {
        return Ok(());
    }
    Err(EngineError::Size { name: name.to_owned(), given, expected })
}

/// More than there is.
fn too_much(name: &str, given: usize) -> EngineError {
    EngineError::Size { name: name.to_owned(), given, expected: 0 }
}

fn refused(what: &str, map: &str, error: Errno) -> EngineError {
    EngineError::System { what: format!("{what} {map}"), error: error.words().to_owned() }
}
