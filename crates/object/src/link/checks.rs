// SPDX-License-Identifier: GPL-2.0-or-later
//! What a loader refuses an object for, apart from instructions and names: programs that it cannot
//! load, and maps that it cannot make.

use crate::image::FunctionId;
use crate::link::error::Problem;
use crate::link::maps::has_no_entries;
use crate::link::sections::{Attachment, attachment};
use crate::link::table::RawTable;
use crate::link::{Linker, code::Code};
use crate::minimise::keeps_all_like;
use std::collections::{BTreeMap, BTreeSet};

impl Linker<'_> {
    /// A program that other files cannot see is none to libbpf.
    pub(super) fn check_visibility(&mut self) {
        let hidden = |code: &&Code| code.section_name != ".text" && code.named && !code.global;
        let hidden: Vec<String> =
            self.codes.all.iter().filter(hidden).map(|code| code.name.clone()).collect();
        for name in hidden {
            let text = "a program cannot be static, only functions without a section can";
            self.error(&name, None, Problem::Object(text.to_owned()));
        }
    }

    /// What programs are attached to has to be there.
    pub(super) fn check_attachments(&mut self, programs: &[usize]) {
        let in_table: BTreeSet<usize> = self.tables.iter().flat_map(RawTable::functions).collect();
        for &number in programs {
            let Some(code) = self.codes.all.get(number) else { continue };
            let (name, section) = (code.name.clone(), code.section_name.clone());
            let problem = match attachment(&section) {
                Attachment::Nothing => None,
                Attachment::Table => (!in_table.contains(&number))
                    .then(|| Problem::Object("no table of callbacks has it".into())),
                Attachment::Tracepoint(point) => {
                    let found = self.kernel.typedef(&format!("btf_trace_{point}"));
                    let words = format!("tracepoint {point}");
                    found.is_none().then(|| self.no_target(&format!("btf_trace_{point}"), words))
                }
                Attachment::Function(function) => {
                    let found = self.kernel.function(&function);
                    let words = format!("function {function}");
                    found.is_none().then(|| self.no_target(&function, words))
                }
                Attachment::Missing => {
                    let text = format!("its section {section} does not say what it is attached to");
                    Some(Problem::Object(text))
                }
                Attachment::Unknown => {
                    let text =
                        format!("no loader knows what programs of the section {section} are");
                    Some(Problem::Object(text))
                }
            };
            if let Some(problem) = problem {
                self.tell(&name, Some((number, 0)), problem);
            }
        }
    }

    fn no_target(&self, name: &str, words: String) -> Problem {
        if self.kernel.is_abridged() && !keeps_all_like(name) {
            Problem::LeftOut(words)
        } else {
            Problem::NoTarget(words)
        }
    }

    /// Maps of kinds that the kernel does not have, and without a number of entries.
    pub(super) fn check_maps(&mut self) {
        let kinds = self.kernel.enumerator("__MAX_BPF_MAP_TYPE");
        for map in self.maps.all.clone() {
            if kinds.is_some_and(|kinds| i64::from(map.kind) >= kinds) {
                self.error(&map.name, None, Problem::NoMapKind(map.kind));
            } else if has_no_entries(&map) {
                self.tell(&map.name, None, Problem::NoEntries);
            }
        }
    }

    /// Puts programs into maps of programs.
    pub(super) fn fill_prog_arrays(
        &mut self,
        programs: &[usize],
        numbers: &BTreeMap<usize, FunctionId>,
    ) {
        for (map, slot, section, offset) in std::mem::take(&mut self.maps.programs) {
            let found = programs.iter().find(|number| {
                let code = self.codes.all.get(**number);
                code.is_some_and(|c| c.section == section && c.starts_at() == offset)
            });
            let Some(map) = self.maps.all.get_mut(map.0 as usize) else { continue };
            if let Some(id) = found.and_then(|number| numbers.get(number)) {
                map.programs.push((slot, *id));
            } else {
                let name = map.name.clone();
                let text =
                    format!("its slot {slot} holds something that is no program, or not loaded");
                self.error(&name, None, Problem::Object(text));
            }
        }
    }
}
