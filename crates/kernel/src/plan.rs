// SPDX-License-Identifier: GPL-2.0-or-later
//! What a user half does to an object before it is loaded, written down.
//!
//! [`crate::Live`] carries a plan out once; to verify, it is repeated on every copy of the object,
//! since a rejected program takes the others of its copy with it.

use crate::host::Host;
use libbpf_rs::{OpenMapMut, OpenObject};
use rota_object::{Btf, EngineError, Global, Object, Setup};
use rota_topology::{Topology, Tree};

/// What to do to an object before it is loaded.
#[derive(Debug, Clone)]
pub struct Plan {
    object: Object,
    host: Host,
    topology: Topology,
    globals: Vec<(Global, Vec<u8>)>,
    /// Name of the table, offset, and the bytes of the number.
    members: Vec<(String, usize, Vec<u8>)>,
    entries: Vec<(String, u32)>,
}

impl Plan {
    /// A plan for an object on this host, in which only what every loader has to fill in is set.
    ///
    /// # Errors
    /// [`EngineError::System`] if the machine's topology can't be read.
    pub fn new(object: &Object, host: &Host) -> Result<Self, EngineError> {
        Ok(Self {
            object: object.clone(),
            host: host.clone(),
            topology: host.topology()?.topology,
            globals: enumerators(object, host),
            members: Vec::new(),
            entries: Vec::new(),
        })
    }

    /// The object that the plan is for.
    pub fn object(&self) -> &Object {
        &self.object
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Carries the plan out on a copy of the object.
    pub(crate) fn apply(&self, open: &mut OpenObject) -> Result<(), EngineError> {
        for (global, bytes) in &self.globals {
            let at = usize::try_from(global.offset).unwrap_or(usize::MAX);
            let section = global.section.as_str();
            write(open, |name| name.ends_with(section), at, bytes)
                .ok_or_else(|| missing("section", section))?;
        }
        for (table, at, bytes) in &self.members {
            write(open, |name| name == table, *at, bytes).ok_or_else(|| missing("map", table))?;
        }
        for table in self.object.struct_ops() {
            for at in table.left_out().filter_map(|member| table.place(member)) {
                write(open, |name| name == table.name, at, &[0; 8])
                    .ok_or_else(|| missing("map", &table.name))?;
            }
        }
        for (name, entries) in &self.entries {
            let mut map = find(open, |n| n == name).ok_or_else(|| missing("map", name))?;
            map.set_max_entries(*entries).map_err(|e| EngineError::System {
                what: format!("resizing {name}"),
                error: format!("{e:#}"),
            })?;
        }
        Ok(())
    }
}

/// Writes into what a map will hold at first.
pub(crate) fn write(
    open: &mut OpenObject,
    wanted: impl Fn(&str) -> bool,
    at: usize,
    bytes: &[u8],
) -> Option<()> {
    let mut map = find(open, wanted)?;
    let target = map.initial_value_mut()?.get_mut(at..at.checked_add(bytes.len())?)?;
    target.copy_from_slice(bytes);
    Some(())
}

fn find<'a>(open: &'a mut OpenObject, wanted: impl Fn(&str) -> bool) -> Option<OpenMapMut<'a>> {
    open.maps_mut().find(|m| wanted(&m.name().to_string_lossy()))
}

impl Setup for Plan {
    fn write_global(&mut self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        let global = self.object.global(name).ok_or_else(|| missing("global", name))?;
        if bytes.len() as u64 != global.size {
            let expected = usize::try_from(global.size).unwrap_or(usize::MAX);
            return Err(size(name, bytes.len(), expected));
        }
        self.globals.push((global.clone(), bytes.to_vec()));
        Ok(())
    }

    fn read_global(&self, name: &str) -> Result<Vec<u8>, EngineError> {
        if let Some((_, bytes)) = self.globals.iter().rfind(|(global, _)| global.name == name) {
            return Ok(bytes.clone());
        }
        let global = self.object.global(name).ok_or_else(|| missing("global", name))?;
        Ok(global.initial.clone())
    }

    fn set_ops_member(&mut self, member: &str, value: u64) -> Result<(), EngineError> {
        let ops = self.object.scheduler().ok_or_else(|| missing("scheduler", member))?;
        let (offset, len) = ops.number(member).ok_or_else(|| missing("member", member))?;
        let bytes = value.to_le_bytes();
        if bytes[len..].iter().any(|&b| b != 0) {
            return Err(size(member, bytes.len(), len));
        }
        self.members.push((ops.name.clone(), offset, bytes[..len].to_vec()));
        Ok(())
    }

    fn resize_map(&mut self, map: &str, entries: u32) -> Result<(), EngineError> {
        self.entries.push((map.to_owned(), entries));
        Ok(())
    }

    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn hotplug_generation(&self) -> u64 {
        self.host.sched_ext().map_or(0, |s| s.hotplug_seq)
    }
}

/// The variables that take values of the kernel's enumerators. Its types are only read if there are
/// any.
fn enumerators(object: &Object, host: &Host) -> Vec<(Global, Vec<u8>)> {
    if !object.takes_enumerators() {
        return Vec::new();
    }
    let blob = host.read("kernel/btf/vmlinux").unwrap_or_default();
    Btf::parse(&blob).map_or_else(|_| Vec::new(), |btf| object.enumerator_values(&btf))
}

fn missing(what: &'static str, name: &str) -> EngineError {
    EngineError::Missing { what, name: name.to_owned() }
}

fn size(name: &str, given: usize, expected: usize) -> EngineError {
    EngineError::Size { name: name.to_owned(), given, expected }
}
