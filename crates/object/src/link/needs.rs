// SPDX-License-Identifier: GPL-2.0-or-later
//! What an object is made of and what it asks of a kernel, whatever the kernel.

use crate::elf::{Object, ObjectError, open, section_data};
use crate::image::MapDef;
use crate::insn::class;
use crate::kernel_types::KernelTypes;
use crate::link::code::Codes;
use crate::link::externs::{self, ExternKind};
use crate::link::maps::Maps;
use crate::link::{BtfExt, relos_of};
use crate::relocate::Relocator;
use std::collections::BTreeSet;

/// A function of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in C.
    pub name: String,
    /// Its section.
    pub section: String,
    /// Number of its instructions; loads of 64 bits count twice, as in the kernel.
    pub instructions: usize,
}

/// A name that an object takes from a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The name in C.
    pub name: String,
    /// Whether the object can do without.
    pub weak: bool,
}

/// What an object is made of and what it asks of a kernel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Needs {
    /// Its functions, programs and others.
    pub parts: Vec<Part>,
    /// Its maps, data sections included.
    pub maps: Vec<MapDef>,
    /// Kernel functions.
    pub kfuncs: Vec<Taken>,
    /// Kernel variables.
    pub variables: Vec<Taken>,
    /// Values of the kernel's configuration.
    pub config: Vec<Taken>,
    /// Numbers of the helpers called.
    pub helpers: Vec<u32>,
    /// Fields, types and enumerators of the kernel that instructions depend on, in words.
    pub types: Vec<String>,
}

impl Object {
    /// What the object is made of and what it asks of a kernel.
    ///
    /// # Errors
    /// [`ObjectError`] says where the file is damaged.
    pub fn needs(&self) -> Result<Needs, ObjectError> {
        let btf = self.btf();
        let file = open(self.bytes())?;
        let ext = match section_data(&file, ".BTF.ext")? {
            Some(blob) => BtfExt::parse(blob, btf).map_err(ObjectError::BtfExt)?,
            None => BtfExt::default(),
        };
        let codes = Codes::read(&file, btf, &ext)?;
        let mut needs = Needs { maps: Maps::read(&file, btf, false)?.all, ..Needs::default() };
        let mut helpers = BTreeSet::new();
        for code in &codes.all {
            let (name, section) = (code.name.clone(), code.section_name.clone());
            needs.parts.push(Part { name, section, instructions: code.insns.len() });
            let is_call = |i: &&crate::insn::Insn| i.class() == class::JMP && i.code == 0x85;
            let helper = code.insns.iter().filter(is_call).filter(|i| i.src == 0);
            helpers.extend(helper.map(|i| i.imm.cast_unsigned()));
        }
        needs.helpers = helpers.into_iter().collect();
        for one in externs::read(&file, btf).0 {
            let taken = Taken { name: one.name, weak: one.weak };
            match one.kind {
                ExternKind::Function(_) => needs.kfuncs.push(taken),
                ExternKind::Variable(_) => needs.variables.push(taken),
                ExternKind::Config(_) => needs.config.push(taken),
            }
        }
        let nothing = KernelTypes::new("", crate::btf_write::BtfBuilder::new().finish());
        let relocator = Relocator::new(btf, &nothing);
        let asked = relos_of(&file, btf, &ext, &codes);
        let asked: BTreeSet<String> =
            asked.iter().filter_map(|(_, relo)| relocator.asked(relo)).collect();
        needs.types = asked.into_iter().collect();
        Ok(needs)
    }
}
