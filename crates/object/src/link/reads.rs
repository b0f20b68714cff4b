// SPDX-License-Identifier: GPL-2.0-or-later
//! Which fields of the kernel's structures an object reads.

use crate::btf::Btf;
use crate::btf_decl::Type;
use crate::btf_ext::{BtfExt, CoreRelo};
use crate::elf::{Object, ObjectError, open, section_data};
use crate::insn::{INSN_BYTES, class};
use crate::link::code::Codes;
use crate::link::relos_of;
use crate::name::essential;
use crate::relocate::compat::name_of;
use crate::relocate::{Question, Spec, Subject};
use std::collections::BTreeSet;

/// A field that is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldRead {
    /// The whole path in words, as `task_struct.scx.slice`.
    pub words: String,
    /// The innermost structure with a name, as `sched_ext_entity`.
    pub structure: String,
    /// The field in it, as `slice`.
    pub member: String,
}

impl Object {
    /// The fields of the kernel's structures that its instructions load, or take the address of,
    /// each once, in order. Those that they only store to, or ask about, are not among them; nor
    /// are structures in structures, only what is read in them.
    ///
    /// # Errors
    /// [`ObjectError`] says where the file is damaged.
    pub fn fields_read(&self) -> Result<Vec<FieldRead>, ObjectError> {
        let btf = self.btf();
        let file = open(self.bytes())?;
        let ext = match section_data(&file, ".BTF.ext")? {
            Some(blob) => BtfExt::parse(blob, btf).map_err(ObjectError::BtfExt)?,
            None => BtfExt::default(),
        };
        let codes = Codes::read(&file, btf, &ext)?;
        let mut found = BTreeSet::new();
        for (number, relo) in relos_of(&file, btf, &ext, &codes) {
            let Some(code) = codes.all.get(number) else { continue };
            let insn = (u64::from(relo.offset) / INSN_BYTES as u64) as u32;
            let insn = insn.checked_sub(code.start).and_then(|i| code.insns.get(i as usize));
            let stores = insn.is_some_and(|i| matches!(i.class(), class::ST | class::STX));
            if !stores {
                found.extend(field(btf, &relo));
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// The field whose place a relocation asks for, if it is one and no structure.
fn field(btf: &Btf, relo: &CoreRelo) -> Option<FieldRead> {
    (Question::from_number(relo.kind)? == Question::FieldOffset).then_some(())?;
    let spec = Spec::parse(btf, relo.ty, btf.text(relo.access), Subject::Field).ok()?;
    let last = spec.steps.iter().rposition(|step| step.name.is_some())?;
    let step = &spec.steps[last];
    let Type::Struct { members, .. } = btf.get(step.ty) else { return None };
    let member = members.get(usize::try_from(step.index).ok()?)?;
    if last + 1 == spec.steps.len() && matches!(btf.resolve(member.ty).1, Type::Struct { .. }) {
        return None;
    }
    // A structure without a name counts as part of the one around it.
    let around = spec.steps[..=last].iter().rev().map(|step| step.ty).chain([spec.root]);
    let structure = around.map(|ty| name_of(btf, btf.get(ty))).find(|name| !name.is_empty())?;
    Some(FieldRead {
        words: spec.words(btf),
        structure: essential(structure).to_owned(),
        member: btf.text(member.name).to_owned(),
    })
}
