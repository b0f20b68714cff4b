// SPDX-License-Identifier: GPL-2.0-or-later
//! Turns relocations of functions into operands.

use crate::image::{Function, FunctionId, MapId, Operand};
use crate::insn::{INSN_BYTES, Insn, class};
use crate::link::code::{Code, Target};
use crate::link::error::Problem;
use crate::link::{Linker, Resolved};
use std::collections::BTreeMap;

/// What the source register of a call or wide load says (kernel: `BPF_PSEUDO_…`).
pub(crate) mod pseudo {
    pub(crate) const CALL: u8 = 1;
    pub(crate) const KFUNC: u8 = 2;
    pub(crate) const MAP: u8 = 1;
    pub(crate) const MAP_VALUE: u8 = 2;
    pub(crate) const VARIABLE: u8 = 3;
    pub(crate) const FUNCTION: u8 = 4;
}

/// Whether a function is a program, not one that programs call.
fn is_program(code: &Code) -> bool {
    code.section_name != ".text"
}

/// A call of any kind.
const CALL: u8 = 0x85;

impl Linker<'_> {
    /// The functions that instructions of a function name, by instruction; none where an
    /// instruction should name one and does not.
    pub(super) fn callees(&self, number: usize) -> BTreeMap<u32, Option<usize>> {
        let Some(code) = self.codes.all.get(number) else { return BTreeMap::new() };
        let mut found = BTreeMap::new();
        for (at, insn) in (0u32..).zip(&code.insns) {
            let target = code.targets.get(&at);
            if matches!(target, Some(Target::Extern(_))) {
                continue;
            }
            let wide = insn.is_wide() && target.is_some_and(|t| self.is_code(*t));
            if let Some((section, place)) = named_place(code, at, *insn, target, wide) {
                let callee = place.and_then(|place| {
                    let callee = self.codes.at(section, place)?;
                    let starts = u64::from(self.codes.all.get(callee)?.start) == place;
                    starts.then_some(callee)
                });
                found.insert(at, callee);
            }
        }
        found
    }

    /// Whether a wide load takes the address of a function.
    fn is_code(&self, target: Target) -> bool {
        let Target::Place(section, _) = target else { return false };
        self.codes.all.binary_search_by_key(&section.0, |c| c.section.0).is_ok()
    }

    /// One function of the image.
    pub(super) fn function(
        &mut self,
        number: usize,
        numbers: &BTreeMap<usize, FunctionId>,
    ) -> Function {
        let callees = self.callees(number);
        let Some(code) = self.codes.all.get(number).cloned() else { return Function::default() };
        let poisoned = self.poisoned.range((number, 0)..=(number, u32::MAX));
        let mut function = Function {
            name: code.name.clone(),
            poisoned: poisoned.map(|((_, at), words)| (*at, words.clone())).collect(),
            lines: code.source(self.btf),
            operands: BTreeMap::new(),
            insns: code.insns.clone(),
        };
        for (at, callee) in callees {
            match callee.and_then(|c| numbers.get(&c)) {
                Some(&id) => {
                    function.operands.insert(at, Operand::Function(id));
                    let wide = code.insns.get(at as usize).is_some_and(|i| i.is_wide());
                    if wide
                        && self.codes.all.get(callee.unwrap_or_default()).is_some_and(is_program)
                    {
                        let text = "it takes the address of a program; only functions without a \
                                    section have one";
                        self.error(&code.name, Some((number, at)), Problem::Object(text.into()));
                    }
                    let kind = if wide { pseudo::FUNCTION } else { pseudo::CALL };
                    rewrite(&mut function.insns, at, kind);
                }
                None => {
                    let text = "it refers to a function that does not start there".to_owned();
                    self.error(&code.name, Some((number, at)), Problem::Object(text));
                }
            }
        }
        for (&at, &target) in &code.targets {
            let insn = code.insns.get(at as usize).copied().unwrap_or_default();
            if function.operands.contains_key(&at) {
                continue;
            }
            match self.operand(insn, target) {
                Some((operand, kind)) => {
                    function.operands.insert(at, operand);
                    rewrite(&mut function.insns, at, kind);
                    if let Some(words) = self.missing(insn, operand) {
                        function.poisoned.insert(at, words);
                    }
                }
                // What is not resolved was told before.
                None if matches!(target, Target::Extern(_)) => {}
                None => {
                    let problem = self.unlinkable(target);
                    self.error(&code.name, Some((number, at)), problem);
                }
            }
        }
        function
    }

    fn operand(&self, insn: Insn, target: Target) -> Option<(Operand, u8)> {
        match (target, insn.is_wide()) {
            (Target::Extern(symbol), wide) => match *self.resolved.get(&symbol)? {
                Resolved::Kfunc(id) if wide => Some((Operand::Kfunc(id), pseudo::VARIABLE)),
                Resolved::Kfunc(id) if insn.code == CALL => {
                    Some((Operand::Kfunc(id), pseudo::KFUNC))
                }
                Resolved::Variable(id) if wide => Some((Operand::Variable(id), pseudo::VARIABLE)),
                Resolved::Config(map, at) if wide => {
                    Some((Operand::MapValue(map, at), pseudo::MAP_VALUE))
                }
                _ => None,
            },
            (Target::Place(section, value), true) => {
                if let Some(map) = self.maps.definition(section, value) {
                    return Some((Operand::Map(map), pseudo::MAP));
                }
                let (map, start): (MapId, u64) = self.maps.data(section)?;
                let at = value.checked_add_signed(i64::from(insn.imm))?.checked_add(start)?;
                Some((Operand::MapValue(map, at), pseudo::MAP_VALUE))
            }
            (Target::Place(..), false) => None,
        }
    }

    /// Why something that an instruction names cannot be linked.
    fn unlinkable(&self, target: Target) -> Problem {
        match target {
            Target::Place(section, _) if self.maps.is_jump_tables(section) => {
                let known = self.kernel.enumerator("BPF_MAP_TYPE_INSN_ARRAY");
                if known.is_some() { Problem::JumpTable } else { Problem::NoJumpTable }
            }
            _ => {
                let text = "it refers to something that is neither map, variable nor function";
                Problem::Object(text.to_owned())
            }
        }
    }

    /// The words for a call of a function that this kernel does not have.
    fn missing(&self, insn: Insn, operand: Operand) -> Option<String> {
        let Operand::Kfunc(id) = operand else { return None };
        let kfunc = self.image.kfuncs.get(id.0 as usize)?;
        let absent = insn.code == CALL && kfunc.func.is_none();
        let kernel = self.kernel.shown_name();
        absent.then(|| format!("kfunc {} does not exist in {kernel}", kfunc.name))
    }
}

/// The place of the function that an instruction names, as section and instruction; the second
/// is missing if it lies nowhere.
fn named_place(
    code: &Code,
    at: u32,
    insn: Insn,
    target: Option<&Target>,
    address: bool,
) -> Option<(object::SectionIndex, Option<u64>)> {
    let bytes = INSN_BYTES as u64;
    if insn.class() == class::JMP && insn.code == CALL && insn.src == pseudo::CALL {
        let next = i64::from(insn.imm) + 1;
        return Some(match target {
            Some(Target::Place(section, value)) => {
                let whole = value.is_multiple_of(bytes).then_some(value / bytes);
                (*section, whole.and_then(|first| first.checked_add_signed(next)))
            }
            // Without a relocation the number counts from here.
            _ => {
                let here = u64::from(code.start) + u64::from(at);
                (code.section, here.checked_add_signed(next))
            }
        });
    }
    if address {
        return Some(match target {
            Some(Target::Place(section, value)) => {
                let place = value.checked_add_signed(i64::from(insn.imm));
                (*section, place.filter(|p| p.is_multiple_of(bytes)).map(|p| p / bytes))
            }
            _ => (code.section, None),
        });
    }
    None
}

/// Says in an instruction what its operand is, and takes out what the compiler left there.
fn rewrite(insns: &mut [Insn], at: u32, kind: u8) {
    let at = at as usize;
    let wide = insns.get(at).is_some_and(|i| i.is_wide());
    if let Some(insn) = insns.get_mut(at) {
        (insn.src, insn.imm) = (kind, 0);
    }
    if let Some(second) = insns.get_mut(at + 1).filter(|_| wide) {
        second.imm = 0;
    }
}
