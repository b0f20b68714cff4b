// SPDX-License-Identifier: GPL-2.0-or-later
//! Lists of what the kernel has of BPF, as tables and as JSON in the field names of bpftool.

mod cost;
mod dump;
mod json;
mod schedulers;
mod table;
mod tree;
mod typed;

pub use cost::{Cost, Costs};
pub use dump::Layout;
pub use schedulers::{Scheduler, table_name};
pub use typed::Typed;

use rota_kernel::{BpfHolders, BpfLink, BpfMap, BpfPins, BpfProgram, BpfTypes};
use std::collections::BTreeMap;

/// Everything of BPF that a kernel has, at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// Programs by their numbers.
    pub programs: Vec<BpfProgram>,
    /// Maps by their numbers.
    pub maps: Vec<BpfMap>,
    /// Links by their numbers.
    pub links: Vec<BpfLink>,
    /// Types by their numbers.
    pub types: Vec<BpfTypes>,
    /// Who has descriptors of them.
    pub holders: BpfHolders,
    /// Which files keep them.
    pub pins: BpfPins,
    /// What tables of callbacks are for, such as `sched_ext_ops`, by the number of the kernel's type.
    pub table_names: BTreeMap<u32, String>,
    /// When the machine began, in ns since 1970.
    pub boot_ns: u64,
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Programs.
    Programs,
    /// Maps.
    Maps,
    /// Links.
    Links,
    /// Tables of callbacks (`struct_ops`), which are maps.
    Tables,
    /// Types.
    Types,
}

impl Objects {
    /// The maps that hold tables of callbacks.
    fn tables(&self) -> impl Iterator<Item = &BpfMap> {
        self.maps.iter().filter(|map| map.kernel_value_type != 0)
    }

    /// Those whose numbers or names are given; all if none is given. Who is named and not there is told.
    ///
    /// # Errors
    /// The first number or name that nothing has.
    pub fn chosen(mut self, listing: Listing, wanted: &[String]) -> Result<Self, String> {
        if wanted.is_empty() {
            return Ok(self);
        }
        let mut seen = vec![false; wanted.len()];
        let mut keep = |id: u32, name: &str| {
            let id = id.to_string();
            let hit = |it: &String| *it == id || !name.is_empty() && it == name;
            let hits = wanted.iter().zip(&mut seen).filter(|(it, _)| hit(it));
            hits.map(|(_, seen)| *seen = true).count() > 0
        };
        match listing {
            Listing::Programs => self.programs.retain(|it| keep(it.id, &it.name)),
            Listing::Maps => self.maps.retain(|it| keep(it.id, &it.name)),
            Listing::Links => self.links.retain(|it| keep(it.id, "")),
            Listing::Tables => {
                self.maps.retain(|it| it.kernel_value_type != 0 && keep(it.id, &it.name));
            }
            Listing::Types => self.types.retain(|it| keep(it.id, &it.name)),
        }
        match wanted.iter().zip(seen).find(|(_, seen)| !seen) {
            Some((missing, _)) => Err(missing.clone()),
            None => Ok(self),
        }
    }
}
