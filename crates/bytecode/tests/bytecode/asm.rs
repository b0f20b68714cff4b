// SPDX-License-Identifier: GPL-2.0-or-later
//! An assembler: one function for each form of instruction.

use rota_object::{Function, Insn, Operand, SourceLine};
use std::collections::BTreeMap;

pub(crate) const ADD: u8 = 0x00;
pub(crate) const SUB: u8 = 0x10;
pub(crate) const MUL: u8 = 0x20;
pub(crate) const DIV: u8 = 0x30;
pub(crate) const OR: u8 = 0x40;
pub(crate) const AND: u8 = 0x50;
pub(crate) const LSH: u8 = 0x60;
pub(crate) const RSH: u8 = 0x70;
pub(crate) const MOD: u8 = 0x90;
pub(crate) const XOR: u8 = 0xa0;
pub(crate) const MOV: u8 = 0xb0;
pub(crate) const ARSH: u8 = 0xc0;

pub(crate) const JEQ: u8 = 0x10;
pub(crate) const JGT: u8 = 0x20;
pub(crate) const JGE: u8 = 0x30;
pub(crate) const JSET: u8 = 0x40;
pub(crate) const JNE: u8 = 0x50;
pub(crate) const JSGT: u8 = 0x60;
pub(crate) const JSGE: u8 = 0x70;
pub(crate) const JLT: u8 = 0xa0;
pub(crate) const JLE: u8 = 0xb0;
pub(crate) const JSLT: u8 = 0xc0;
pub(crate) const JSLE: u8 = 0xd0;

pub(crate) const W: u8 = 0x00;
pub(crate) const H: u8 = 0x08;
pub(crate) const B: u8 = 0x10;
pub(crate) const DW: u8 = 0x18;

pub(crate) const FETCH: i32 = 1;
pub(crate) const XCHG: i32 = 0xe1;
pub(crate) const CMPXCHG: i32 = 0xf1;
pub(crate) const LOAD_ACQUIRE: i32 = 0x100;
pub(crate) const STORE_RELEASE: i32 = 0x110;

pub(crate) fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// `dst = dst op src`, in 64 or 32 bits.
pub(crate) fn alu(wide: bool, op: u8, dst: u8, src: u8) -> Insn {
    insn(if wide { 0x0f } else { 0x0c } | op, dst, src, 0, 0)
}

pub(crate) fn alu_imm(wide: bool, op: u8, dst: u8, imm: i32) -> Insn {
    insn(if wide { 0x07 } else { 0x04 } | op, dst, 0, 0, imm)
}

pub(crate) fn mov(dst: u8, src: u8) -> Insn {
    alu(true, MOV, dst, src)
}

pub(crate) fn mov_imm(dst: u8, imm: i32) -> Insn {
    alu_imm(true, MOV, dst, imm)
}

pub(crate) fn add_imm(dst: u8, imm: i32) -> Insn {
    alu_imm(true, ADD, dst, imm)
}

/// Division and remainder, signed.
pub(crate) fn signed(insn: Insn) -> Insn {
    Insn { off: 1, ..insn }
}

pub(crate) fn wide(dst: u8, value: u64) -> [Insn; 2] {
    [insn(0x18, dst, 0, 0, value as i32), insn(0, 0, 0, 0, (value >> 32) as i32)]
}

pub(crate) fn load(size: u8, dst: u8, src: u8, off: i16) -> Insn {
    insn(0x61 | size, dst, src, off, 0)
}

pub(crate) fn load_signed(size: u8, dst: u8, src: u8, off: i16) -> Insn {
    insn(0x81 | size, dst, src, off, 0)
}

pub(crate) fn store(size: u8, dst: u8, off: i16, src: u8) -> Insn {
    insn(0x63 | size, dst, src, off, 0)
}

pub(crate) fn store_imm(size: u8, dst: u8, off: i16, imm: i32) -> Insn {
    insn(0x62 | size, dst, 0, off, imm)
}

pub(crate) fn atomic(size: u8, op: i32, dst: u8, off: i16, src: u8) -> Insn {
    insn(0xc3 | size, dst, src, off, op)
}

pub(crate) fn jump(off: i16) -> Insn {
    insn(0x05, 0, 0, off, 0)
}

pub(crate) fn jump_far(imm: i32) -> Insn {
    insn(0x06, 0, 0, 0, imm)
}

pub(crate) fn branch(wide: bool, op: u8, dst: u8, src: u8, off: i16) -> Insn {
    insn(if wide { 0x0d } else { 0x0e } | op, dst, src, off, 0)
}

pub(crate) fn branch_imm(wide: bool, op: u8, dst: u8, imm: i32, off: i16) -> Insn {
    insn(if wide { 0x05 } else { 0x06 } | op, dst, 0, off, imm)
}

pub(crate) fn may_goto(off: i16) -> Insn {
    insn(0xe5, 0, 0, off, 0)
}

pub(crate) fn cast_kernel(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 1, 1)
}

pub(crate) fn cast_user(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 1, 1 << 16)
}

pub(crate) fn sign_extend(wide: bool, bits: i16, dst: u8, src: u8) -> Insn {
    Insn { off: bits, ..alu(wide, MOV, dst, src) }
}

pub(crate) fn helper(number: i32) -> Insn {
    insn(0x85, 0, 0, 0, number)
}

/// A call of something that the function's operands name.
pub(crate) fn call() -> Insn {
    insn(0x85, 0, 1, 0, -1)
}

pub(crate) fn exit() -> Insn {
    insn(0x95, 0, 0, 0, 0)
}

/// A function with one source line for each instruction.
pub(crate) fn function(name: &str, insns: &[Insn]) -> Function {
    let line = |insn: usize| SourceLine {
        insn: insn as u32,
        file: "test.bpf.c".to_owned(),
        line: insn as u32 + 1,
        column: 1,
        text: format!("line {}", insn + 1),
    };
    Function {
        name: name.to_owned(),
        insns: insns.to_vec(),
        lines: (0..insns.len()).map(line).collect(),
        ..Function::default()
    }
}

/// The same function, naming things.
pub(crate) fn naming(function: Function, operands: &[(u32, Operand)]) -> Function {
    Function { operands: BTreeMap::from_iter(operands.iter().copied()), ..function }
}
