// SPDX-License-Identifier: GPL-2.0-or-later
//! Maps: those that an object defines, and those that hold its data sections.

use crate::btf::{Btf, TypeId};
use crate::btf_decl::Type;
use crate::elf::{File, ObjectError, is_data};
use crate::image::{MapDef, MapId};
use crate::link::definition::{PROG_ARRAY, definition};
use object::{
    Object as _, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex, SectionKind,
    SymbolKind,
};
use std::collections::BTreeMap;

/// Kinds of map (kernel: `enum bpf_map_type`).
const ARRAY: u32 = 2;
const PERF_EVENT_ARRAY: u32 = 4;
const ARENA: u32 = 33;

/// Kinds of map that may have no number of entries: storages, tables of callbacks, and
/// [`PERF_EVENT_ARRAY`].
const WITHOUT_ENTRIES: [u32; 8] = [PERF_EVENT_ARRAY, 19, 21, 24, 26, 28, 29, 32];

/// Flags of maps (kernel: `include/uapi/linux/bpf.h`).
const RDONLY_PROG: u32 = 1 << 7;
const MMAPABLE: u32 = 1 << 10;

/// Size of a page in bytes, of which arenas and rings are made.
pub(crate) const PAGE: u64 = 4096;

/// The section of an arena's globals.
const ARENA_SECTION: &str = ".addr_space.1";

/// All maps of an object, and where they stand in the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Maps {
    pub(crate) all: Vec<MapDef>,
    /// By section and offset of the definition.
    definitions: BTreeMap<(usize, u64), MapId>,
    /// The map of each data section.
    sections: BTreeMap<usize, MapId>,
    /// The arena's globals, if there are any.
    arena: Option<(usize, MapId)>,
    /// Programs in a `prog_array`: the map, the slot, and the place of the program.
    pub(crate) programs: Vec<(MapId, u32, SectionIndex, u64)>,
    /// The section of the tables that functions jump through.
    jump_tables: Option<SectionIndex>,
}

impl Maps {
    /// Reads all maps. `at_end` says whether an arena's globals lie at its end.
    pub(crate) fn read(file: &File<'_>, btf: &Btf, at_end: bool) -> Result<Self, ObjectError> {
        let mut maps = Self::default();
        maps.read_definitions(file, btf)?;
        maps.read_sections(file, btf)?;
        maps.read_arena(file, at_end)?;
        maps.jump_tables = file.section_by_name(".jumptables").map(|s| s.index());
        Ok(maps)
    }

    /// The map that is defined at a place.
    pub(crate) fn definition(&self, section: SectionIndex, offset: u64) -> Option<MapId> {
        self.definitions.get(&(section.0, offset)).copied()
    }

    /// The map of a data section, and where the section starts in it.
    pub(crate) fn data(&self, section: SectionIndex) -> Option<(MapId, u64)> {
        if let Some((arena, map)) = self.arena.filter(|(arena, _)| *arena == section.0) {
            debug_assert_eq!(arena, section.0);
            return Some((map, self.all.get(map.0 as usize)?.initial_at));
        }
        self.sections.get(&section.0).map(|&map| (map, 0))
    }

    /// Whether a section holds the tables that functions jump through.
    pub(crate) fn is_jump_tables(&self, section: SectionIndex) -> bool {
        self.jump_tables == Some(section)
    }

    pub(crate) fn add(&mut self, map: MapDef) -> MapId {
        self.all.push(map);
        MapId(self.all.len() as u32 - 1)
    }

    fn read_definitions(&mut self, file: &File<'_>, btf: &Btf) -> Result<(), ObjectError> {
        let Some(section) = file.section_by_name(".maps") else { return Ok(()) };
        let index = section.index();
        let mut found = Vec::new();
        for symbol in file.symbols().filter(|s| s.section_index() == Some(index)) {
            if symbol.kind() == SymbolKind::Data {
                let name = symbol.name().map_err(|e| ObjectError::Elf(e.to_string()))?;
                found.push((symbol.address(), symbol.size(), name));
            }
        }
        found.sort_unstable();
        let mut spans = Vec::new();
        for (offset, size, name) in found {
            let damaged = |text: String| ObjectError::Damaged(format!("map {name}: {text}"));
            let ty = variable(btf, name).ok_or_else(|| damaged("it has no type".into()))?;
            let (id, Type::Struct { members, .. }) = btf.resolve(ty) else {
                return Err(damaged("its definition is no structure".into()));
            };
            let map = definition(btf, name, members, false).map_err(damaged)?;
            let map = self.add(map);
            self.definitions.insert((index.0, offset), map);
            spans.push((offset, offset.saturating_add(size), map, id));
        }
        for (offset, relocation) in section.relocations() {
            let after = spans.partition_point(|s| s.0 <= offset);
            let span = after.checked_sub(1).and_then(|i| spans.get(i));
            let Some(&(start, end, map, ty)) = span else { continue };
            if offset < end {
                let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
                self.fill_slot(file, btf, map, ty, offset - start, symbol)?;
            }
        }
        Ok(())
    }

    /// Puts a map into a slot of a map of maps, or a program into one of a `prog_array`.
    fn fill_slot(
        &mut self,
        file: &File<'_>,
        btf: &Btf,
        map: MapId,
        ty: TypeId,
        offset: u64,
        symbol: object::SymbolIndex,
    ) -> Result<(), ObjectError> {
        let name = self.all.get(map.0 as usize).map(|m| m.name.clone()).unwrap_or_default();
        let damaged = |text: &str| ObjectError::Damaged(format!("map {name}: {text}"));
        let symbol = file.symbol_by_index(symbol).map_err(|_| damaged("a slot names nothing"))?;
        let Type::Struct { members, .. } = btf.get(ty) else { return Ok(()) };
        let values = members.last().filter(|m| btf.text(m.name) == "values");
        let start = values.map(|m| u64::from(m.offset_bits / 8));
        let slot = start.and_then(|start| offset.checked_sub(start)).filter(|at| at % 8 == 0);
        let slot = slot.ok_or_else(|| damaged("an initial value that is no slot"))? / 8;
        let slot = u32::try_from(slot).map_err(|_| damaged("a slot beyond any map"))?;
        let section = symbol.section_index();
        let section = section.ok_or_else(|| damaged("a slot with something that is nowhere"))?;
        if self.all.get(map.0 as usize).is_some_and(|m| m.kind == PROG_ARRAY) {
            self.programs.push((map, slot, section, symbol.address()));
            return Ok(());
        }
        let inner = self.definition(section, symbol.address());
        let inner = inner.ok_or_else(|| damaged("a slot with something else than a map"))?;
        if let Some(map) = self.all.get_mut(map.0 as usize) {
            map.slots.push((slot, inner));
        }
        Ok(())
    }

    fn read_sections(&mut self, file: &File<'_>, btf: &Btf) -> Result<(), ObjectError> {
        for section in file.sections() {
            let name = section.name().map_err(|e| ObjectError::Elf(e.to_string()))?;
            if !is_data(name) || section.size() == 0 {
                continue;
            }
            let value_size = u32::try_from(section.size()).map_err(|_| {
                ObjectError::Damaged(format!("the section {name} is larger than any map"))
            })?;
            let data = section.data().map_err(|e| ObjectError::Elf(e.to_string()))?;
            let read_only = name.starts_with(".rodata");
            let (value_type, shared) = section_type(btf, name);
            let map = self.add(MapDef {
                name: name.to_owned(),
                kind: ARRAY,
                key_size: 4,
                value_size,
                max_entries: 1,
                flags: if read_only { RDONLY_PROG } else { 0 } | if shared { MMAPABLE } else { 0 },
                value_type,
                initial: data.to_vec(),
                read_only,
                data: true,
                ..MapDef::default()
            });
            self.sections.insert(section.index().0, map);
        }
        Ok(())
    }

    fn read_arena(&mut self, file: &File<'_>, at_end: bool) -> Result<(), ObjectError> {
        let mut arenas = (0..).zip(&mut self.all).filter(|(_, m)| m.kind == ARENA);
        let arena = arenas.next();
        if let Some((_, second)) = arenas.next() {
            let text = format!("map {}: an object can have only one arena", second.name);
            return Err(ObjectError::Damaged(text));
        }
        let section = file.section_by_name(ARENA_SECTION).filter(|s| s.kind() != SectionKind::Text);
        let Some(section) = section.filter(|s| s.size() > 0) else { return Ok(()) };
        let Some((number, arena)) = arena else {
            let text = "it has variables in an arena, but no arena among its maps";
            return Err(ObjectError::Damaged(text.into()));
        };
        let data = section.data().map_err(|e| ObjectError::Elf(e.to_string()))?;
        let pages = u64::from(arena.max_entries) * PAGE;
        let needed = (data.len() as u64).next_multiple_of(PAGE);
        let at = pages.checked_sub(needed).ok_or_else(|| {
            let text = format!("map {}: too small for the variables in the arena", arena.name);
            ObjectError::Damaged(text)
        })?;
        arena.initial = data.to_vec();
        arena.initial_at = if at_end { at } else { 0 };
        self.arena = Some((section.index().0, MapId(number)));
        Ok(())
    }
}

/// Whether a map has no number of entries, and none that a loader would make up.
pub(crate) fn has_no_entries(map: &MapDef) -> bool {
    map.max_entries == 0 && !WITHOUT_ENTRIES.contains(&map.kind)
}

/// The type of the variable with this name.
fn variable(btf: &Btf, wanted: &str) -> Option<TypeId> {
    btf.iter().find_map(|(_, ty)| match ty {
        Type::Var { name, target, .. } if btf.text(*name) == wanted => Some(*target),
        _ => None,
    })
}

/// The type of a data section, and whether user space may map it: if a variable in it can be seen
/// from outside.
fn section_type(btf: &Btf, wanted: &str) -> (Option<TypeId>, bool) {
    let found = btf.iter().find_map(|(id, ty)| match ty {
        Type::DataSec { name, vars, .. } if btf.text(*name) == wanted => Some((id, vars)),
        _ => None,
    });
    let Some((id, vars)) = found else { return (None, false) };
    let shown =
        |v: &(TypeId, u32, u32)| matches!(btf.get(v.0), Type::Var { linkage, .. } if *linkage != 0);
    (Some(id), vars.iter().any(shown))
}
