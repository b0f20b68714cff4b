// SPDX-License-Identifier: GPL-2.0-or-later
//! A simulation as the world of a user half.

use crate::hardware::Hardware;
use crate::machine::Machine;
use crate::simulation::Simulation;
use rota_object::{
    CpuTime, Engine, EngineError, ExitInfo, Global, MapDef, MapId, Object, Problem, Refusal, Setup,
    World,
};
use rota_topology::{CpuId, Topology};
use std::cell::{RefCell, RefMut};

impl Simulation {
    fn global(&self, name: &str) -> Result<&Global, EngineError> {
        let object = self.object.as_ref();
        object.and_then(|object| object.global(name)).ok_or_else(|| missing("global", name))
    }

    /// The data section of a global variable, as it is before loading.
    fn section(&mut self, global: &Global) -> Result<&mut MapDef, EngineError> {
        let section = self.image.maps.iter_mut().find(|m| m.data && m.name == global.section);
        section.ok_or_else(|| missing("section", &global.section))
    }

    /// Writes a variable before loading.
    fn place(&mut self, global: &Global, bytes: &[u8]) -> Result<(), EngineError> {
        let at = global.offset as usize;
        let initial = &mut self.section(global)?.initial;
        // A section of zeros is kept without them.
        if initial.len() < at + bytes.len() {
            initial.resize(at + bytes.len(), 0);
        }
        initial[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    /// Sets a global variable before loading, which may get more bytes than the object has for it
    /// if it is the last of its section, as an array with an element for each CPU.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`] or [`EngineError::Phase`].
    pub fn write_longer(&mut self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        let global = self.global(name)?.clone();
        self.not_loaded(name, "it can be made longer only before the object is loaded")?;
        let all = self.object.iter().flat_map(Object::globals);
        let others = all.filter(|g| g.section == global.section);
        let is_last = others.map(|g| g.offset).max() == Some(global.offset);
        if (bytes.len() as u64) < global.size || !is_last {
            return Err(size(name, bytes.len(), global.size as usize));
        }
        let end = global.offset + bytes.len() as u64;
        let section = self.section(&global)?;
        let longer = u32::try_from(end).map_err(|_| size(name, bytes.len(), 0))?;
        section.value_size = section.value_size.max(longer);
        self.place(&global, bytes)
    }

    /// Fills the first slots of a map of maps with empty maps of the kind that it is for.
    ///
    /// # Errors
    /// [`EngineError::Missing`] if it is none, [`EngineError::Size`] if it has fewer slots, or
    /// [`EngineError::Phase`].
    pub fn fill_with_maps(&mut self, map: &str, count: u32) -> Result<(), EngineError> {
        self.not_loaded(map, "it can be filled only before the object is loaded")?;
        let outer = self.image.maps.iter().position(|m| m.name == map);
        let outer = outer.ok_or_else(|| missing("map", map))?;
        let slots = self.image.maps[outer].max_entries;
        let inner = self.image.maps[outer].inner.clone();
        let inner = inner.ok_or_else(|| missing("map of maps", map))?;
        if count > slots {
            return Err(size(map, count as usize, slots as usize));
        }
        self.image.maps[outer].slots.retain(|slot| slot.0 >= count);
        for index in 0..count {
            let id = MapId(self.image.maps.len() as u32);
            let name = format!("{map}/{index}");
            self.image.maps.push(MapDef { name, ..MapDef::clone(&inner) });
            self.image.maps[outer].slots.push((index, id));
        }
        Ok(())
    }

    /// The machine, which is there once the object is loaded.
    fn loaded(&self, name: &str) -> Result<RefMut<'_, Machine>, EngineError> {
        let early = || phase(name, "it can be used only once the object is loaded");
        Ok(self.machine.as_ref().ok_or_else(early)?.borrow_mut())
    }

    fn not_loaded(&self, name: &str, late: &'static str) -> Result<(), EngineError> {
        if self.machine.is_none() { Ok(()) } else { Err(phase(name, late)) }
    }
}

impl Setup for Simulation {
    fn write_global(&mut self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        let global = self.global(name)?.clone();
        if bytes.len() as u64 != global.size {
            return Err(size(name, bytes.len(), global.size as usize));
        }
        if self.machine.is_some() {
            if global.read_only {
                return Err(phase(name, "it is read-only data, which is fixed once loaded"));
            }
            return self.loaded(name)?.data_write(&global.section, global.offset, bytes);
        }
        self.place(&global, bytes)
    }

    fn read_global(&self, name: &str) -> Result<Vec<u8>, EngineError> {
        let global = self.global(name)?;
        let mut bytes = vec![0; global.size as usize];
        if self.machine.is_some() {
            self.loaded(name)?.data_read(&global.section, global.offset, &mut bytes)?;
            return Ok(bytes);
        }
        let section = self.image.maps.iter().find(|m| m.data && m.name == global.section);
        let initial = &section.ok_or_else(|| missing("section", &global.section))?.initial;
        let held = initial.get(global.offset as usize..).unwrap_or_default();
        bytes.iter_mut().zip(held).for_each(|(byte, held)| *byte = *held);
        Ok(bytes)
    }

    fn set_ops_member(&mut self, member: &str, value: u64) -> Result<(), EngineError> {
        self.not_loaded(member, "it can be set only before the object is loaded")?;
        let field = crate::layout::ops_member(&self.types, member);
        let field = field.map_err(|_| missing("member", member))?;
        let tables = &mut self.image.tables;
        let table = tables.iter_mut().find(|table| table.kernel_type == "sched_ext_ops");
        let bytes = &mut table.ok_or_else(|| missing("scheduler", member))?.bytes;
        let number = value.to_le_bytes();
        let (at, len) = (field.offset as usize, field.size as usize);
        let (Some(kept), Some(place)) = (number.get(..len), bytes.get_mut(at..at + len)) else {
            return Err(missing("number", member));
        };
        if number[len..].iter().any(|byte| *byte != 0) {
            return Err(size(member, number.len(), len));
        }
        place.copy_from_slice(kept);
        Ok(())
    }

    fn resize_map(&mut self, map: &str, entries: u32) -> Result<(), EngineError> {
        self.not_loaded(map, "its size can be set only before the object is loaded")?;
        let found = self.image.maps.iter_mut().find(|m| m.name == map);
        found.ok_or_else(|| missing("map", map))?.max_entries = entries;
        Ok(())
    }

    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn hotplug_generation(&self) -> u64 {
        self.machine.as_ref().map_or(0, |machine| machine.borrow().sched.hotplug_seq)
    }
}

impl Engine for Simulation {
    fn load(&mut self) -> Result<(), EngineError> {
        self.not_loaded("the object", "it was loaded before")?;
        for missing in self.image.unknown.iter().filter(|e| e.problem == Problem::NoEntries) {
            let map = self.image.maps.iter().find(|m| m.name == missing.symbol);
            if map.is_some_and(|map| map.max_entries == 0) {
                let text = format!(
                    "map {} has no number of entries, which its user half would set",
                    missing.symbol
                );
                return Err(EngineError::Refused(Refusal::Other(text)));
            }
        }
        let machine = Machine::load(self.shape.clone(), &self.image, &self.types);
        let mut machine =
            machine.map_err(|e| EngineError::Refused(Refusal::Other(e.to_string())))?;
        machine.hardware = Hardware::new(&self.topology, self.shape.cpus, machine.now_ns());
        machine.set_domains(&self.topology);
        if self.records {
            machine.start_recording();
        }
        for cpu in (0..self.shape.cpus).filter(|cpu| !self.topology.online().contains(CpuId(*cpu)))
        {
            let gone = machine.set_online(cpu, false);
            gone.map_err(|stop| EngineError::Refused(Refusal::Other(stop.to_string())))?;
        }
        for (map, key, value) in &self.preloads {
            machine.preload(map, key, value)?;
        }
        self.machine = Some(RefCell::new(machine));
        Ok(())
    }

    fn attach_program(&mut self, name: &str) -> Result<(), EngineError> {
        let entry = self.image.entries.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| missing("program", name))?;
        if self.loaded(name)?.tracing.attach(&entry.section, entry.function) {
            return Ok(());
        }
        Err(EngineError::NoHook { program: name.to_owned(), hook: entry.section.clone() })
    }

    fn attach(&mut self) -> Result<(), EngineError> {
        let early = || phase("the scheduler", "it can be attached only once the object is loaded");
        let machine = self.machine.as_mut().ok_or_else(early)?.get_mut();
        let tables = &self.image.tables;
        if !tables.iter().any(|table| table.kernel_type == "sched_ext_ops") {
            return Err(missing("scheduler", "struct sched_ext_ops"));
        }
        let stopped = |stop: crate::Stop| EngineError::Refused(Refusal::Other(stop.to_string()));
        machine.settle_outside().map_err(stopped)?;
        let attached = machine.attach(&self.image, &self.types, &self.topology);
        if let Some(info) = machine.ended().cloned() {
            return Err(EngineError::Refused(Refusal::Exit(Box::new(info))));
        }
        attached.map_err(|stop| EngineError::Refused(Refusal::Other(stop.to_string())))?;
        machine.work.stops_at_exit = true;
        Ok(())
    }

    fn detach(&mut self) -> Result<(), EngineError> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let machine = machine.get_mut();
        let detached = machine.settle_outside().and_then(|()| machine.detach());
        detached.map_err(|stop| EngineError::System {
            what: "taking the scheduler off".to_owned(),
            error: stop.to_string(),
        })
    }

    fn exit_info(&self) -> Result<Option<ExitInfo>, EngineError> {
        Ok(self.loaded("the exit information")?.ended().cloned())
    }

    fn run_program(&mut self, name: &str, context: &mut [u8]) -> Result<i32, EngineError> {
        self.loaded(name)?.run_program(name, context)
    }

    fn map_lookup(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.loaded(map)?.map_lookup(map, key)
    }

    fn map_lookup_percpu(
        &self,
        map: &str,
        key: &[u8],
    ) -> Result<Option<Vec<Vec<u8>>>, EngineError> {
        self.loaded(map)?.map_lookup_percpu(map, key)
    }

    fn map_update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.loaded(map)?.map_update(map, key, value)
    }

    fn map_delete(&mut self, map: &str, key: &[u8]) -> Result<bool, EngineError> {
        self.loaded(map)?.map_delete(map, key)
    }

    fn map_next_key(
        &self,
        map: &str,
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        self.loaded(map)?.map_next_key(map, after)
    }

    fn arena_read(&self, map: &str, offset: u64, into: &mut [u8]) -> Result<(), EngineError> {
        self.loaded(map)?.arena_read(map, offset, into)
    }

    fn arena_write(&mut self, map: &str, offset: u64, bytes: &[u8]) -> Result<(), EngineError> {
        self.loaded(map)?.arena_write(map, offset, bytes)
    }

    fn ring_drain(&mut self, map: &str, each: &mut dyn FnMut(&[u8])) -> Result<u64, EngineError> {
        self.loaded(map)?.ring_drain(map, each)
    }

    fn ring_push(&mut self, map: &str, record: &[u8]) -> Result<(), EngineError> {
        self.loaded(map)?.ring_push(map, record)
    }
}

impl World for Simulation {
    fn cpu_times(&self) -> Result<Vec<CpuTime>, EngineError> {
        let machine = self.loaded("the CPUs' times")?;
        let times = machine.sched.online.iter().map(|cpu| {
            let busy_ns = machine.busy_ns(cpu.0);
            CpuTime { cpu: cpu.0, busy_ns, idle_ns: machine.now_ns().saturating_sub(busy_ns) }
        });
        Ok(times.collect())
    }

    fn changed_settings(&mut self) -> Vec<(String, String)> {
        Vec::new()
    }
}

fn missing(what: &'static str, name: &str) -> EngineError {
    EngineError::Missing { what, name: name.to_owned() }
}

fn size(name: &str, given: usize, expected: usize) -> EngineError {
    EngineError::Size { name: name.to_owned(), given, expected }
}

fn phase(name: &str, problem: &'static str) -> EngineError {
    EngineError::Phase { name: name.to_owned(), problem }
}
