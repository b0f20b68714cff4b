// SPDX-License-Identifier: GPL-2.0-or-later
//! The functions of an object, as they stand in the file: instructions, what these refer to, and
//! source lines.

use crate::btf::{Btf, TypeId};
use crate::btf_ext::{BtfExt, LineInfo};
use crate::elf::{File, ObjectError};
use crate::image::SourceLine;
use crate::insn::{INSN_BYTES, Insn};
use object::{
    Object as _, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex, SectionKind,
    SymbolKind,
};
use std::collections::BTreeMap;

/// Texts of source lines end here at the latest.
const TEXT_MAX: usize = 256;

/// What an instruction refers to, by the symbol of its relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A symbol that the object does not define.
    Extern(usize),
    /// A place in a section.
    Place(SectionIndex, u64),
}

/// One function, as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Code {
    pub(crate) name: String,
    pub(crate) section: SectionIndex,
    pub(crate) section_name: String,
    /// Number of its first instruction in the section.
    pub(crate) start: u32,
    pub(crate) insns: Vec<Insn>,
    /// Whether a symbol names it. libbpf knows no others.
    pub(crate) named: bool,
    /// Whether other objects can see it; a program has to be.
    pub(crate) global: bool,
    /// What its instructions refer to, by their numbers.
    pub(crate) targets: BTreeMap<u32, Target>,
    /// Its places among the lines of `.BTF.ext`.
    lines: Vec<LineInfo>,
}

/// All functions of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Codes {
    /// In the order of sections and places.
    pub(crate) all: Vec<Code>,
}

impl Codes {
    /// The function that an instruction of a section belongs to.
    pub(crate) fn at(&self, section: SectionIndex, insn: u64) -> Option<usize> {
        let after =
            self.all.partition_point(|c| (c.section.0, u64::from(c.start)) <= (section.0, insn));
        let found = after.checked_sub(1)?;
        let code = self.all.get(found)?;
        let inside = insn < u64::from(code.start) + code.insns.len() as u64;
        (code.section == section && inside).then_some(found)
    }

    /// Reads all functions.
    pub(crate) fn read(file: &File<'_>, btf: &Btf, ext: &BtfExt) -> Result<Self, ObjectError> {
        let elf = |e: object::Error| ObjectError::Elf(e.to_string());
        let mut codes = Self::default();
        for section in file.sections().filter(|s| s.kind() == SectionKind::Text) {
            let name = section.name().map_err(elf)?;
            let data = section.data().map_err(elf)?;
            let spans = spans(file, btf, ext, section.index(), name, data.len() as u64)?;
            for span in spans {
                let range = span.from as usize..span.to as usize;
                let bytes = data.get(range).unwrap_or(&[]);
                let decode = |b: &[u8]| b.try_into().ok().map(Insn::decode);
                codes.all.push(Code {
                    name: span.name,
                    section: section.index(),
                    section_name: name.to_owned(),
                    start: (span.from / INSN_BYTES as u64) as u32,
                    insns: bytes.chunks_exact(INSN_BYTES).filter_map(decode).collect(),
                    named: span.named,
                    global: span.global,
                    targets: BTreeMap::new(),
                    lines: Vec::new(),
                });
            }
        }
        codes.all.sort_by_key(|c| (c.section.0, c.start));
        codes.read_targets(file)?;
        codes.read_lines(file, btf, ext);
        Ok(codes)
    }

    fn read_targets(&mut self, file: &File<'_>) -> Result<(), ObjectError> {
        let damaged = |text: &str| ObjectError::Damaged(text.to_owned());
        for section in file.sections().filter(|s| s.kind() == SectionKind::Text) {
            for (offset, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else {
                    return Err(damaged("a relocation without a symbol"));
                };
                let symbol = file.symbol_by_index(index);
                let symbol = symbol.map_err(|_| damaged("a relocation for a missing symbol"))?;
                if !offset.is_multiple_of(INSN_BYTES as u64) {
                    return Err(damaged("a relocation in the middle of an instruction"));
                }
                // Instructions outside of all functions are those of weak functions that a linker
                // replaced.
                let insn = offset / INSN_BYTES as u64;
                let Some(found) = self.at(section.index(), insn) else { continue };
                let target = match symbol.section_index() {
                    None if symbol.is_undefined() => Target::Extern(index.0),
                    None => return Err(damaged("a relocation for a symbol without a section")),
                    Some(place) => Target::Place(place, symbol.address()),
                };
                if let Some(code) = self.all.get_mut(found) {
                    code.targets.insert(insn as u32 - code.start, target);
                }
            }
        }
        Ok(())
    }

    fn read_lines(&mut self, file: &File<'_>, btf: &Btf, ext: &BtfExt) {
        let mut section = (u32::MAX, None);
        for line in &ext.lines {
            if section.0 != line.section {
                section = (line.section, section_index(file, btf.text(line.section)));
            }
            let Some(index) = section.1 else { continue };
            let insn = u64::from(line.offset) / INSN_BYTES as u64;
            if let Some(code) = self.at(index, insn).and_then(|found| self.all.get_mut(found)) {
                code.lines.push(*line);
            }
        }
        self.all.iter_mut().for_each(|code| code.lines.sort_by_key(|l| l.offset));
    }
}

impl Code {
    /// Its source lines.
    pub(crate) fn source(&self, btf: &Btf) -> Vec<SourceLine> {
        self.lines.iter().map(|line| self.source_line(btf, line)).collect()
    }

    /// The source line of an instruction.
    pub(crate) fn line_of(&self, btf: &Btf, insn: u32) -> Option<SourceLine> {
        let after = self.lines.partition_point(|l| self.insn(l) <= insn);
        Some(self.source_line(btf, self.lines.get(after.checked_sub(1)?)?))
    }

    /// Where it starts in its section, in bytes.
    pub(crate) fn starts_at(&self) -> u64 {
        u64::from(self.start) * INSN_BYTES as u64
    }

    fn insn(&self, line: &LineInfo) -> u32 {
        (line.offset / INSN_BYTES as u32).saturating_sub(self.start)
    }

    fn source_line(&self, btf: &Btf, line: &LineInfo) -> SourceLine {
        SourceLine {
            insn: self.insn(line),
            file: shortened(btf.text(line.file)),
            line: line.line_column >> 10,
            column: line.line_column & 0x3ff,
            text: shortened(btf.text(line.text).trim()),
        }
    }
}

fn shortened(text: &str) -> String {
    text.get(..TEXT_MAX).unwrap_or(text).chars().take(TEXT_MAX).collect()
}

pub(crate) fn section_index(file: &File<'_>, name: &str) -> Option<SectionIndex> {
    file.section_by_name(name).map(|s| s.index())
}

/// A function's place in its section, in bytes.
struct Span {
    from: u64,
    to: u64,
    name: String,
    named: bool,
    global: bool,
}

/// Where each function of a section starts and ends: by its symbol, else by `.BTF.ext`, which
/// does not say the end: there, the next one starts.
fn spans(
    file: &File<'_>,
    btf: &Btf,
    ext: &BtfExt,
    section: SectionIndex,
    section_name: &str,
    len: u64,
) -> Result<Vec<Span>, ObjectError> {
    let in_section = |s: &object::read::elf::ElfSymbol64<'_, '_>| {
        s.section_index() == Some(section) && s.kind() == SymbolKind::Text
    };
    let mut spans = Vec::new();
    for symbol in file.symbols().filter(in_section) {
        let name = symbol.name().map_err(|e| ObjectError::Elf(e.to_string()))?;
        let (from, size) = (symbol.address(), symbol.size());
        let to = from.checked_add(size).filter(|to| *to <= len).ok_or_else(|| {
            ObjectError::Damaged(format!("the function {name} lies outside its section"))
        })?;
        if from % INSN_BYTES as u64 != 0 || size % INSN_BYTES as u64 != 0 || size == 0 {
            let text = format!("the function {name} is not made of whole instructions");
            return Err(ObjectError::Damaged(text));
        }
        let (named, global) = (true, !symbol.is_local());
        spans.push(Span { from, to, name: name.to_owned(), named, global });
    }
    spans.sort_by_key(|s| (s.from, s.to, !s.global));
    spans.dedup_by_key(|s| (s.from, s.to));
    if let Some(two) = spans.windows(2).find(|w| w[0].to > w[1].from) {
        let text = format!("the functions {} and {} overlap", two[0].name, two[1].name);
        return Err(ObjectError::Damaged(text));
    }
    let unnamed = ext.funcs.iter().filter(|f| btf.text(f.section) == section_name);
    let mut starts: Vec<(u64, TypeId)> = unnamed
        .map(|f| (u64::from(f.offset), f.func))
        .filter(|(at, _)| at % INSN_BYTES as u64 == 0 && *at < len)
        .collect();
    starts.sort_unstable();
    starts.dedup_by_key(|s| s.0);
    let mut gaps = Vec::new();
    for (i, (from, func)) in starts.iter().enumerate() {
        let after = spans.partition_point(|s| s.from <= *from);
        if after.checked_sub(1).and_then(|i| spans.get(i)).is_some_and(|s| s.to > *from) {
            continue;
        }
        let next_named = spans.get(after).map_or(len, |s| s.from);
        let next = starts.get(i + 1).map_or(len, |s| s.0);
        let name = crate::relocate::compat::name_of(btf, btf.get(*func)).to_owned();
        let to = next.min(next_named);
        gaps.push(Span { from: *from, to, name, named: false, global: false });
    }
    spans.extend(gaps);
    Ok(spans)
}
