// SPDX-License-Identifier: GPL-2.0-or-later
//! Lists as tables.

use super::{Listing, Objects};
use crate::text::{columns, size};
use rota_kernel::{BpfKind, BpfLink, BpfMap, BpfProgram, BpfTypes};

const PROGRAMS: [&str; 9] =
    ["ID", "TYPE", "NAME", "TAG", "RUNS", "NS/RUN", "MEMORY", "MAPS", "HELD BY"];
const MAPS: [&str; 9] =
    ["ID", "TYPE", "NAME", "KEY", "VALUE", "ENTRIES", "MEMORY", "FLAGS", "HELD BY"];
const LINKS: [&str; 6] = ["ID", "TYPE", "PROGRAM", "NAME", "AT", "HELD BY"];
const TABLES: [&str; 5] = ["ID", "NAME", "KIND", "LINKS", "HELD BY"];
const TYPES: [&str; 6] = ["ID", "NAME", "SIZE", "PROGRAMS", "MAPS", "HELD BY"];

impl Objects {
    /// A table of one of the lists, with a head; `-` where there is nothing to say.
    pub fn to_table(&self, listing: Listing) -> String {
        let (head, lines): (&[&str], Vec<Vec<String>>) = match listing {
            Listing::Programs => {
                (&PROGRAMS, self.programs.iter().map(|it| self.program_line(it)).collect())
            }
            Listing::Maps => (&MAPS, self.maps.iter().map(|it| self.map_line(it)).collect()),
            Listing::Links => (&LINKS, self.links.iter().map(|it| self.link_line(it)).collect()),
            Listing::Tables => (&TABLES, self.tables().map(|it| self.table_line(it)).collect()),
            Listing::Types => (&TYPES, self.types.iter().map(|it| self.types_line(it)).collect()),
        };
        let head = head.iter().map(ToString::to_string).collect();
        let lines = lines.into_iter().map(|line: Vec<String>| {
            line.into_iter()
                .map(|word| if word.is_empty() { "-".to_owned() } else { word })
                .collect()
        });
        columns(&std::iter::once(head).chain(lines).collect::<Vec<_>>())
    }

    fn program_line(&self, it: &BpfProgram) -> Vec<String> {
        // Nothing is known of runs unless the kernel measured.
        let each = it.run_time_ns.checked_div(it.runs);
        let maps: Vec<_> = it.map_ids.iter().map(ToString::to_string).collect();
        vec![
            it.id.to_string(),
            it.kind.clone(),
            it.name.clone(),
            it.tag_text(),
            each.map_or(String::new(), |_| it.runs.to_string()),
            each.map_or(String::new(), |ns| ns.to_string()),
            size(it.memory_bytes),
            maps.join(","),
            self.held_by(BpfKind::Program, it.id),
        ]
    }

    fn map_line(&self, it: &BpfMap) -> Vec<String> {
        let frozen = if it.frozen { ",frozen" } else { "" };
        vec![
            it.id.to_string(),
            it.kind.clone(),
            it.name.clone(),
            it.key_bytes.to_string(),
            it.value_bytes.to_string(),
            it.max_entries.to_string(),
            size(it.memory_bytes),
            format!("{:#x}{frozen}", it.flags),
            self.held_by(BpfKind::Map, it.id),
        ]
    }

    fn link_line(&self, it: &BpfLink) -> Vec<String> {
        let program = self.programs.iter().find(|program| program.id == it.program_id);
        vec![
            it.id.to_string(),
            it.kind.clone(),
            program.map_or(String::new(), |program| program.id.to_string()),
            program.map_or(String::new(), |program| program.name.clone()),
            self.attached_at(it),
            self.held_by(BpfKind::Link, it.id),
        ]
    }

    fn table_line(&self, it: &BpfMap) -> Vec<String> {
        let links = self.links.iter().filter(|link| link.map_id == Some(it.id));
        let links: Vec<_> = links.map(|link| link.id.to_string()).collect();
        vec![
            it.id.to_string(),
            it.name.clone(),
            self.table_names.get(&it.kernel_value_type).cloned().unwrap_or_default(),
            links.join(","),
            self.held_by(BpfKind::Map, it.id),
        ]
    }

    fn types_line(&self, it: &BpfTypes) -> Vec<String> {
        vec![
            it.id.to_string(),
            it.name.clone(),
            size(it.bytes.into()),
            self.programs.iter().filter(|program| program.btf_id == it.id).count().to_string(),
            self.maps.iter().filter(|map| map.btf_id == it.id).count().to_string(),
            self.held_by(BpfKind::Types, it.id),
        ]
    }

    /// Where a link is attached, as far as the kernel tells.
    fn attached_at(&self, link: &BpfLink) -> String {
        let map = |id: u32| {
            let name = self.maps.iter().find(|map| map.id == id).map_or("", |map| &map.name);
            format!("map {id} {name}").trim_end().to_owned()
        };
        match (&link.tracepoint, link.map_id, &link.target) {
            (Some(name), ..) => name.clone(),
            (None, Some(id), _) => map(id),
            (None, None, Some((how, object, number))) => format!("{how} type {number} of {object}"),
            (None, None, None) => String::new(),
        }
    }

    /// Processes and files that keep an object.
    pub(super) fn held_by(&self, kind: BpfKind, id: u32) -> String {
        let holders = self.holders.get(&(kind, id)).into_iter().flatten();
        let holders = holders.map(|(pid, comm)| format!("{comm}({pid})"));
        let files = self.pins.get(&(kind, id)).into_iter().flatten();
        let files = files.map(|file| file.to_string_lossy().into_owned());
        holders.chain(files).collect::<Vec<_>>().join(" ")
    }
}
