// SPDX-License-Identifier: GPL-2.0-or-later
//! Links an object against the types of one kernel, as libbpf does when it loads it.

mod checks;
mod code;
mod definition;
mod error;
mod externs;
mod functions;
mod maps;
mod needs;
mod reads;
mod resolve;
mod sections;
mod structures;
mod table;
#[cfg(test)]
mod tests;

pub use error::{LinkError, LinkErrors, Problem};
pub use needs::{Needs, Part, Taken};
pub use reads::FieldRead;

use crate::btf::Btf;
use crate::btf_ext::{BtfExt, CoreRelo};
use crate::elf::{File, Object, ObjectError, Program, open, section_data};
use crate::image::{self, Function, FunctionId, Image, KfuncId, MapId, Table, VariableId};
use crate::insn::INSN_BYTES;
use crate::kernel_types::KernelTypes;
use crate::relocate::{Relocator, Unanswered, patch};
use code::{Code, Codes, section_index};
use externs::Extern;
use maps::Maps;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use table::{Fitted, RawTable};

/// The first kernel on which libbpf puts an arena's variables at its end.
const ARENA_AT_END: (u32, u32) = (7, 0);

/// What a name of the kernel became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolved {
    Kfunc(KfuncId),
    Variable(VariableId),
    /// A value of the configuration, by its place in the map of all these.
    Config(MapId, u64),
}

impl Object {
    /// Links the object against a kernel: fits instructions to its types, finds its functions and
    /// variables, lays out maps and tables. Of the programs, those are taken that libbpf would
    /// load: all but those in sections with a question mark.
    ///
    /// # Errors
    /// [`LinkErrors`] has everything that is missing, not only the first.
    pub fn link(&self, kernel: &KernelTypes) -> Result<Image, LinkErrors> {
        self.link_programs(kernel, &|_| true)
    }

    /// The same, with a choice of the programs that are in no table of callbacks.
    ///
    /// # Errors
    /// As [`Object::link`].
    pub fn link_programs(
        &self,
        kernel: &KernelTypes,
        wanted: &dyn Fn(&Program) -> bool,
    ) -> Result<Image, LinkErrors> {
        let damaged = |error: ObjectError| {
            let symbol = "the object".to_owned();
            let problem = Problem::Object(error.to_string());
            LinkErrors(vec![LinkError { symbol, kernel: kernel.shown_name(), line: None, problem }])
        };
        let mut linker = Linker::read(self, kernel).map_err(damaged)?;
        linker.check_visibility();
        linker.resolve_externs();
        let tables = linker.fit_tables();
        let programs = linker.programs(wanted);
        linker.check_attachments(&programs);
        linker.check_maps();
        linker.relocate(&programs);
        let mut image = linker.image(&programs, tables);
        for (global, bytes) in self.enumerator_values(kernel.btf()) {
            let section = image.maps.iter_mut().find(|m| m.data && m.name == global.section);
            let from = global.offset as usize;
            let place = section.and_then(|m| m.initial.get_mut(from..from + bytes.len()));
            if let Some(place) = place {
                place.copy_from_slice(&bytes);
            }
        }
        if linker.errors.is_empty() {
            return Ok(image);
        }
        linker.errors.append(&mut image.unknown);
        Err(LinkErrors(linker.errors))
    }
}

/// One object being linked.
struct Linker<'a> {
    btf: &'a Btf,
    kernel: &'a KernelTypes,
    codes: Codes,
    /// CO-RE relocations with the number of their function, in the order of the file.
    relos: Vec<(usize, CoreRelo)>,
    externs: Vec<Extern>,
    maps: Maps,
    tables: Vec<RawTable>,
    resolved: BTreeMap<usize, Resolved>,
    /// Why instructions of functions are poisoned.
    poisoned: BTreeMap<(usize, u32), String>,
    image: Image,
    errors: Vec<LinkError>,
}

impl<'a> Linker<'a> {
    fn read(object: &'a Object, kernel: &'a KernelTypes) -> Result<Self, ObjectError> {
        let btf = object.btf();
        let file = open(object.bytes())?;
        let ext = match section_data(&file, ".BTF.ext")? {
            Some(blob) => BtfExt::parse(blob, btf).map_err(ObjectError::BtfExt)?,
            None => BtfExt::default(),
        };
        let codes = Codes::read(&file, btf, &ext)?;
        let (major, minor) = ARENA_AT_END;
        let maps = Maps::read(&file, btf, kernel.configuration().is_at_least(major, minor))?;
        let mut tables = table::read(&file, btf, &codes)?;
        tables.iter_mut().for_each(|table| table.leave_out(object));
        let (externs, problems) = externs::read(&file, btf);
        let image = Image { kernel: kernel.name().to_owned(), ..Image::default() };
        let mut linker = Self {
            btf,
            kernel,
            relos: relos_of(&file, btf, &ext, &codes),
            codes,
            externs,
            maps,
            tables,
            resolved: BTreeMap::new(),
            poisoned: BTreeMap::new(),
            image,
            errors: Vec::new(),
        };
        for (symbol, problem) in problems {
            linker.error(&symbol, None, problem);
        }
        Ok(linker)
    }

    /// Tells of a problem for which the object cannot be linked.
    fn error(&mut self, symbol: &str, place: Option<(usize, u32)>, problem: Problem) {
        let error = self.told(symbol, place, problem);
        self.errors.push(error);
    }

    /// Tells of a problem that may be none on the kernel, and then does not keep the object from
    /// being linked.
    fn tell(&mut self, symbol: &str, place: Option<(usize, u32)>, problem: Problem) {
        let told = self.told(symbol, place, problem);
        let list =
            if told.problem.is_unknown() { &mut self.image.unknown } else { &mut self.errors };
        list.push(told);
    }

    fn told(&self, symbol: &str, place: Option<(usize, u32)>, problem: Problem) -> LinkError {
        let line = place.and_then(|(code, insn)| self.codes.all.get(code)?.line_of(self.btf, insn));
        LinkError { symbol: symbol.to_owned(), kernel: self.kernel.shown_name(), line, problem }
    }

    /// The tables in the kernel's layout, each with its name.
    fn fit_tables(&mut self) -> Vec<(String, Fitted)> {
        let mut fitted = Vec::new();
        for table in self.tables.clone().iter().filter(|t| t.made) {
            match table::fit(table, self.btf, self.kernel, &self.codes) {
                Ok(table_fitted) => fitted.push((table.name.clone(), table_fitted)),
                Err(problems) => {
                    problems.into_iter().for_each(|p| self.error(&table.name, None, p));
                }
            }
        }
        fitted
    }

    /// The programs to be linked, by the numbers of their functions.
    fn programs(&self, wanted: &dyn Fn(&Program) -> bool) -> Vec<usize> {
        let in_table = |made: bool| -> BTreeSet<usize> {
            self.tables.iter().filter(|t| t.made == made).flat_map(RawTable::functions).collect()
        };
        let (made, unmade) = (in_table(true), in_table(false));
        let is_wanted = |(number, code): &(usize, &Code)| {
            let left_out = self.tables.iter().any(|table| table.left_out(*number));
            if code.section_name == ".text" || !code.named || left_out {
                return false;
            }
            if made.contains(number) || unmade.contains(number) {
                return made.contains(number);
            }
            let (name, section) = (code.name.clone(), code.section_name.clone());
            !section.starts_with('?') && wanted(&Program { name, section })
        };
        self.codes.all.iter().enumerate().filter(is_wanted).map(|(number, _)| number).collect()
    }

    /// Fits the instructions of the programs, and of all functions that programs can call.
    fn relocate(&mut self, programs: &[usize]) {
        let mut relocator = Relocator::new(self.btf, self.kernel);
        let shown = self.kernel.shown_name();
        let reached = self.reached(programs);
        for (number, relo) in std::mem::take(&mut self.relos) {
            let Some(code) = self.codes.all.get_mut(number) else { continue };
            let of_library = code.named && code.section_name == ".text";
            if !of_library && !reached.contains(&number) {
                continue;
            }
            let insn = (u64::from(relo.offset) / INSN_BYTES as u64) as u32 - code.start;
            let patched = match relocator.answer(&relo) {
                Ok(answer) => patch(&mut code.insns, insn as usize, &answer, &shown)
                    .map_err(Problem::Relocation),
                Err(Unanswered::Refused(words)) => Err(Problem::Relocation(words)),
                Err(Unanswered::LeftOut(subject)) => Err(Problem::LeftOut(subject)),
            };
            let name = code.name.clone();
            match patched {
                Ok(None) => {}
                Ok(Some(words)) => drop(self.poisoned.insert((number, insn), words)),
                Err(problem) => self.error(&name, Some((number, insn)), problem),
            }
        }
    }

    /// Every function that the programs reach, themselves included.
    fn reached(&self, programs: &[usize]) -> BTreeSet<usize> {
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        let mut waiting = programs.to_vec();
        while let Some(number) = waiting.pop() {
            if reached.insert(number) {
                waiting.extend(self.callees(number).into_values().flatten());
            }
        }
        reached
    }

    /// Puts everything together.
    fn image(&mut self, programs: &[usize], tables: Vec<(String, Fitted)>) -> Image {
        let mut numbers: BTreeMap<usize, FunctionId> = BTreeMap::new();
        let mut order = Vec::new();
        let mut waiting: VecDeque<usize> = programs.iter().copied().collect();
        while let Some(number) = waiting.pop_front() {
            if let Entry::Vacant(free) = numbers.entry(number) {
                free.insert(FunctionId(order.len() as u32));
                order.push(number);
                waiting.extend(self.callees(number).into_values().flatten());
            }
        }
        let functions: Vec<Function> = order.iter().map(|&n| self.function(n, &numbers)).collect();
        let entry = |number: &usize| {
            let code = self.codes.all.get(*number)?;
            let (name, section) = (code.name.clone(), code.section_name.clone());
            Some(image::Entry { name, section, function: *numbers.get(number)? })
        };
        let entries = programs.iter().filter_map(entry).collect();
        self.fill_prog_arrays(programs, &numbers);
        let table = |(name, fitted): (String, Fitted)| {
            let callbacks = fitted.callbacks.into_iter();
            let callbacks = callbacks.filter_map(|(m, f)| Some((m, *numbers.get(&f)?))).collect();
            Table { name, kernel_type: fitted.kernel_type, callbacks, bytes: fitted.bytes }
        };
        let tables = tables.into_iter().map(table).collect();
        let maps = std::mem::take(&mut self.maps.all);
        let structures = structures::all(self.btf);
        Image { functions, entries, tables, maps, structures, ..std::mem::take(&mut self.image) }
    }
}

/// Each relocation with the function that it is in. Those in none belong to weak functions that a
/// linker replaced.
fn relos_of(file: &File<'_>, btf: &Btf, ext: &BtfExt, codes: &Codes) -> Vec<(usize, CoreRelo)> {
    let mut section = (u32::MAX, None);
    let mut found = Vec::new();
    for relo in &ext.relos {
        if section.0 != relo.section {
            section = (relo.section, section_index(file, btf.text(relo.section)));
        }
        let Some(index) = section.1 else { continue };
        let insn = u64::from(relo.offset) / INSN_BYTES as u64;
        found.extend(codes.at(index, insn).map(|number| (number, *relo)));
    }
    found
}
