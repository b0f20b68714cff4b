// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes the answer to a relocation into the instruction.

use crate::insn::{Insn, WIDE_LOAD, class};
use crate::relocate::Answer;

/// A call that no kernel has: what stands in place of a poisoned instruction. The number is
/// libbpf's, so that it looks familiar in a verifier's log.
const POISON: Insn = Insn { code: 0x85, dst: 0, src: 0, off: 0, imm: 0x0bad_2310 };

/// Changes the instruction at a place. `Some` has the words why the instruction was poisoned; an
/// error means that the instruction is not what the relocation says.
pub(crate) fn patch(
    insns: &mut [Insn],
    at: usize,
    answer: &Answer,
    kernel: &str,
) -> Result<Option<String>, String> {
    let Some(after) = answer.after else {
        poison(insns, at);
        return Ok(Some(format!("{} does not exist in {kernel}", answer.subject)));
    };
    let (before, value) = (answer.before, after.number);
    let outside = "the relocation lies outside the function";
    let insn = *insns.get(at).ok_or(outside)?;
    let unexpected = |found: u64| {
        Err(format!(
            "the instruction holds {found}, where the compiler should have put {}",
            before.number
        ))
    };
    let sign_extended = |number: i64| number.cast_unsigned();
    let patched = match insn.class() {
        class::ALU | class::ALU64 if insn.code & 8 == 0 => {
            let found = sign_extended(insn.imm.into());
            if before.checked && found != before.number {
                return unexpected(found);
            }
            Insn { imm: value as i32, ..insn }
        }
        class::LDX | class::ST | class::STX => {
            let found = sign_extended(insn.off.into());
            if before.checked && found != before.number {
                return unexpected(found);
            }
            let off = i16::try_from(value)
                .map_err(|_| format!("the offset {value} is too large for an instruction"))?;
            if answer.fixed_width {
                poison(insns, at);
                return Ok(Some(format!(
                    "{} has {} bytes here and {} in {kernel}, and is neither a pointer nor unsigned",
                    answer.subject, before.width, after.width
                )));
            }
            let insn = Insn { off, ..insn };
            if before.width == after.width {
                insn
            } else {
                resized(insn, before.width, after.width)?
            }
        }
        class::LD if insn.code == WIDE_LOAD => {
            let upper = *insns.get(at + 1).ok_or(outside)?;
            let plain =
                insn.src == 0 && insn.off == 0 && Insn { imm: 0, ..upper } == Insn::default();
            if !plain {
                return Err("the load of a 64-bit value has an unexpected form".into());
            }
            let found =
                u64::from(insn.imm.cast_unsigned()) | u64::from(upper.imm.cast_unsigned()) << 32;
            if before.checked && found != before.number {
                return unexpected(found);
            }
            if let Some(second) = insns.get_mut(at + 1) {
                second.imm = (value >> 32) as i32;
            }
            Insn { imm: value as i32, ..insn }
        }
        _ => {
            return Err(format!("an instruction with code {:#04x} cannot be relocated", insn.code));
        }
    };
    if let Some(place) = insns.get_mut(at) {
        *place = patched;
    }
    Ok(None)
}

/// A load of several sizes names its size in bits 3 and 4 of the code.
fn resized(insn: Insn, before: u64, after: u64) -> Result<Insn, String> {
    let code_of = |bytes| match bytes {
        4 => Some(0x00),
        2 => Some(0x08),
        1 => Some(0x10),
        8 => Some(0x18),
        _ => None,
    };
    if code_of(before) != Some(insn.code & 0x18) {
        return Err(format!("the instruction does not access the {before} bytes of the field"));
    }
    let size = code_of(after)
        .ok_or_else(|| format!("no instruction accesses the {after} bytes of the field"))?;
    Ok(Insn { code: insn.code & !0x18 | size, ..insn })
}

fn poison(insns: &mut [Insn], at: usize) {
    let halves = if insns.get(at).is_some_and(|i| i.is_wide()) { 2 } else { 1 };
    for insn in insns.iter_mut().skip(at).take(halves) {
        *insn = POISON;
    }
}
