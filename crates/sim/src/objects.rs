// SPDX-License-Identifier: GPL-2.0-or-later
//! Objects that have owners, and what goes with them when the last owner does.

use crate::machine::Machine;
use crate::pool::FreeError;
use rota_object::{Field, FieldKind, TypeId};

/// What an object in the machine's pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A CPU mask.
    Mask,
    /// A structure of the program's own.
    Object(TypeId),
    /// The same, once for each CPU.
    PerCpu(TypeId),
    /// A value in a storage.
    Value,
    /// Memory of the kernel's own, of which programs see an address for a while.
    Scratch,
}

/// What is known of an object in the pool.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) what: What,
    owners: u64,
}

impl Machine {
    /// A zeroed object with one owner, if there is room. A program handles not getting one.
    pub(crate) fn new_object(&mut self, size: u64, what: What) -> Option<u64> {
        self.pool.alloc(&self.memory, size, Owned { what, owners: 1 }).ok()
    }

    /// What the object is that starts at an address.
    pub(crate) fn what(&self, at: u64) -> Option<What> {
        self.pool.get(at).map(|owned| owned.what)
    }

    /// Gives an object another owner; whether there is one.
    pub(crate) fn add_owner(&mut self, at: u64) -> bool {
        let owned = self.pool.get_mut(at);
        owned.map(|owned| owned.owners += 1).is_some()
    }

    /// Takes an owner away from an object. It goes with the last one, and with it all that it
    /// owned itself.
    pub(crate) fn drop_owner(&mut self, at: u64) -> Result<(), FreeError> {
        let mut orphans = self.drop_one(at)?;
        while let Some(orphan) = orphans.pop() {
            // Cgroups are not in the pool, and stay.
            if !self.release_task(orphan) {
                orphans.extend(self.drop_one(orphan).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// What loses an owner with this one.
    fn drop_one(&mut self, at: u64) -> Result<Vec<u64>, FreeError> {
        if let Some(owned) = self.pool.get_mut(at).filter(|owned| owned.owners > 1) {
            owned.owners -= 1;
            return Ok(Vec::new());
        }
        let orphans = match self.what(at) {
            Some(What::Object(ty)) => {
                let structure = self.structures.get(&ty);
                let fields = structure.map(|s| s.fields.clone()).unwrap_or_default();
                self.empty_fields(&fields, at)
            }
            _ => Vec::new(),
        };
        self.pool.free(&self.memory, at)?;
        Ok(orphans)
    }

    /// Ends everything that the kernel keeps in a value which goes away.
    pub(crate) fn clear_fields(&mut self, fields: &[Field], at: u64) {
        for orphan in self.empty_fields(fields, at) {
            if !self.release_task(orphan) {
                let _ = self.drop_owner(orphan);
            }
        }
    }

    /// The same, but for what the value owned.
    fn empty_fields(&mut self, fields: &[Field], at: u64) -> Vec<u64> {
        let mut orphans = Vec::new();
        for field in fields {
            let place = at + field.offset;
            match field.kind {
                FieldKind::Timer | FieldKind::Work => self.forget_timer(place),
                FieldKind::List | FieldKind::Tree => {
                    let nodes = self.containers.empty(place);
                    orphans.extend(nodes.iter().filter_map(|node| self.pool.start_of(*node)));
                }
                FieldKind::Pointer => {
                    let pointer = self.memory.read_u64(place).unwrap_or(0);
                    // What holds the value can be written.
                    let _ = self.memory.write_u64(place, 0);
                    orphans.extend((pointer != 0).then_some(pointer));
                }
                _ => {}
            }
        }
        orphans
    }
}
