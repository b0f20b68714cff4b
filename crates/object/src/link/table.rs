// SPDX-License-Identifier: GPL-2.0-or-later
//! Tables of callbacks (`struct_ops`), laid out for the kernel.

use crate::btf::{Btf, Member, TypeId};
use crate::btf_decl::Type;
use crate::elf::{File, Object, ObjectError};
use crate::insn::INSN_BYTES;
use crate::kernel_types::KernelTypes;
use crate::link::code::Codes;
use crate::link::error::Problem;
use crate::name::essential;
use crate::relocate::compat::{kind, name_of};
use object::{Object as _, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};

/// A table, with the numbers of its callbacks among the functions of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawTable {
    pub(crate) name: String,
    ty: TypeId,
    bytes: Vec<u8>,
    /// Functions by their offset in the table.
    functions: BTreeMap<u64, usize>,
    /// Functions that are in the file's table and left out.
    left_out: BTreeSet<usize>,
    /// Whether it is made; one in a section with a question mark is only on demand.
    pub(crate) made: bool,
}

impl RawTable {
    /// A table of one structure, without callbacks.
    #[cfg(test)]
    pub(crate) fn for_tests(ty: TypeId, bytes: Vec<u8>) -> Self {
        let (functions, left_out) = (BTreeMap::new(), BTreeSet::new());
        Self { name: "table".into(), ty, bytes, functions, left_out, made: true }
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = usize> {
        self.functions.values().copied()
    }

    /// Whether a function was left out.
    pub(crate) fn left_out(&self, function: usize) -> bool {
        self.left_out.contains(&function)
    }

    /// Leaves out what the object says.
    pub(crate) fn leave_out(&mut self, object: &Object) {
        let same = object.struct_ops().iter().find(|ops| ops.name == self.name);
        let places = same.into_iter().flat_map(|ops| ops.left_out().filter_map(|m| ops.place(m)));
        for place in places {
            self.left_out.extend(self.functions.remove(&(place as u64)));
            // An offset of the function in its section may stand there.
            self.bytes.get_mut(place..place + 8).unwrap_or_default().fill(0);
        }
    }
}

/// Reads all tables of the file.
pub(crate) fn read(
    file: &File<'_>,
    btf: &Btf,
    codes: &Codes,
) -> Result<Vec<RawTable>, ObjectError> {
    let elf = |e: object::Error| ObjectError::Elf(e.to_string());
    let mut tables = Vec::new();
    for section in file.sections() {
        let name = section.name().map_err(elf)?;
        let made = !name.starts_with('?');
        if !matches!(name.trim_start_matches('?'), ".struct_ops" | ".struct_ops.link") {
            continue;
        }
        let data = section.data().map_err(elf)?;
        let mut functions = BTreeMap::new();
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else { continue };
            let symbol = file.symbol_by_index(index).map_err(elf)?;
            let place =
                symbol.section_index().filter(|_| symbol.address() % INSN_BYTES as u64 == 0);
            let found = place.and_then(|s| codes.at(s, symbol.address() / INSN_BYTES as u64));
            let found = found.ok_or_else(|| {
                ObjectError::Damaged(format!("{name} refers to something that is no function"))
            })?;
            functions.insert(offset, found);
        }
        let here = |s: &object::read::elf::ElfSymbol64<'_, '_>| {
            s.kind() == SymbolKind::Data && s.section_index() == Some(section.index())
        };
        for symbol in file.symbols().filter(here) {
            let name = symbol.name().map_err(elf)?;
            let damaged = |text| ObjectError::Damaged(format!("table {name}: {text}"));
            let (ty, size) = structure(btf, name).ok_or_else(|| damaged("it is no structure"))?;
            let from = symbol.address();
            let end = from.checked_add(size).ok_or_else(|| damaged("it has no place"))?;
            let bytes = data.get(from as usize..end as usize);
            let bytes = bytes.ok_or_else(|| damaged("it lies outside its section"))?;
            tables.push(RawTable {
                name: name.to_owned(),
                ty,
                bytes: bytes.to_vec(),
                functions: functions.range(from..end).map(|(at, f)| (at - from, *f)).collect(),
                left_out: BTreeSet::new(),
                made,
            });
        }
    }
    Ok(tables)
}

fn structure(btf: &Btf, variable: &str) -> Option<(TypeId, u64)> {
    let target = btf.iter().find_map(|(_, ty)| match ty {
        Type::Var { name, target, .. } if btf.text(*name) == variable => Some(*target),
        _ => None,
    })?;
    match btf.resolve(target) {
        (id, Type::Struct { union: false, size, .. }) => Some((id, u64::from(*size))),
        _ => None,
    }
}

/// A table in the kernel's layout.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Fitted {
    pub(crate) kernel_type: String,
    pub(crate) bytes: Vec<u8>,
    /// Members and functions of the callbacks that are set.
    pub(crate) callbacks: BTreeMap<String, usize>,
}

/// Lays a table out for a kernel. Members are matched by their names.
pub(crate) fn fit(
    table: &RawTable,
    local: &Btf,
    kernel: &KernelTypes,
    codes: &Codes,
) -> Result<Fitted, Vec<Problem>> {
    let ours = local.get(table.ty);
    let kernel_type = essential(name_of(local, ours)).to_owned();
    let found = kernel.structure(&kernel_type).map(|id| kernel.btf().get(id));
    let known = kernel.structure(&format!("bpf_struct_ops_{kernel_type}")).is_some();
    let (Some(Type::Struct { members: theirs, size, .. }), Type::Struct { members, .. }, true) =
        (found, ours, known)
    else {
        return Err(vec![Problem::NoTable(kernel_type)]);
    };
    // A made-up size is not worth more than its members.
    let size = (*size as usize).min(1 << 16);
    let mut fitted = Fitted { kernel_type, bytes: vec![0; size], callbacks: BTreeMap::new() };
    let mut problems = Vec::new();
    for member in members {
        let name = local.text(member.name);
        let theirs = theirs.iter().find(|m| kernel.btf().text(m.name) == name);
        let both = Both { table, local, kernel, codes, name, member, theirs };
        if let Err(problem) = both.copy(&mut fitted) {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(fitted) } else { Err(problems) }
}

/// One member on both sides.
struct Both<'a> {
    table: &'a RawTable,
    local: &'a Btf,
    kernel: &'a KernelTypes,
    codes: &'a Codes,
    name: &'a str,
    member: &'a Member,
    theirs: Option<&'a Member>,
}

impl Both<'_> {
    fn copy(&self, fitted: &mut Fitted) -> Result<(), Problem> {
        let name = self.name;
        let shown = self.kernel.shown_name();
        let wrong = |text: String| Problem::Member(format!("the member {name} {text}"));
        let size = self.local.size_of(self.member.ty);
        let size = size.ok_or_else(|| wrong("has no size".into()))?;
        let at = u64::from(self.member.offset_bits / 8);
        let end = at.saturating_add(size);
        let bytes = self.table.bytes.get(at as usize..end as usize).unwrap_or(&[]);
        let function = self.table.functions.get(&at).copied();
        let Some(theirs) = self.theirs else {
            let unset = bytes.iter().all(|b| *b == 0) && function.is_none();
            return if unset { Ok(()) } else { Err(Problem::NoMember(name.to_owned())) };
        };
        if self.member.width_bits != 0 || theirs.width_bits != 0 {
            return Err(wrong("is a bit-field, which no table can have".into()));
        }
        let ours_type = self.local.resolve(self.member.ty).1;
        let their_type = self.kernel.btf().resolve(theirs.ty).1;
        if kind(ours_type) != kind(their_type) {
            return Err(wrong(format!("is of another kind in {shown}")));
        }
        if let Type::Ptr(target) = their_type {
            let Some(function) = function else { return Ok(()) };
            if !matches!(self.kernel.btf().resolve(*target).1, Type::FuncProto { .. }) {
                return Err(wrong(format!("is no callback in {shown}")));
            }
            let section = self.codes.all.get(function).map_or("", |c| c.section_name.as_str());
            if !is_struct_ops(section) {
                return Err(wrong("is set to a function that is no struct_ops program".into()));
            }
            fitted.callbacks.insert(name.to_owned(), function);
            return Ok(());
        }
        let their_size = self.kernel.btf().size_of(theirs.ty).unwrap_or(0);
        if size != their_size {
            return Err(wrong(format!("has {size} bytes, and {their_size} in {shown}")));
        }
        let from = (theirs.offset_bits / 8) as usize;
        let place = fitted.bytes.get_mut(from..from.saturating_add(bytes.len()));
        place.ok_or_else(|| wrong("lies outside the table".into()))?.copy_from_slice(bytes);
        Ok(())
    }
}

/// Whether a section holds callbacks.
fn is_struct_ops(section: &str) -> bool {
    let section = section.trim_start_matches('?');
    let rest = section.strip_prefix("struct_ops");
    rest.is_some_and(|rest| {
        let rest = rest.strip_prefix(".s").unwrap_or(rest);
        rest.is_empty() || rest.starts_with('/')
    })
}
