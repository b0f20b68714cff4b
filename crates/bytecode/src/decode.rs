// SPDX-License-Identifier: GPL-2.0-or-later
//! Takes instructions apart, and refuses those that are none.

use crate::op::{Access, Alu, Atomic, Callee, Cond, Op, Order, Reg, Size, Source, Wide};
use rota_object::insn::class;
use rota_object::{Insn, Operand};

/// Offset of a move that is a cast between address spaces.
const ADDR_SPACE_CAST: i16 = 1;

/// What is wrong with an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No such instruction, in any version up to 4.
    #[error("unknown instruction, code {0:#04x}; compile for instruction set v4 or lower")]
    Unknown(u8),
    /// A field is set that this instruction does not have, or to what it can't be.
    #[error("a field has a value that means nothing in an instruction of code {0:#04x}")]
    Field(u8),
    /// A register above r10, or a write to r10.
    #[error("r{0} can't be used here")]
    Register(u8),
    /// A jump out of the function, or into the middle of a wide load.
    #[error("jump to {0}, where no instruction of the function starts")]
    Target(i64),
    /// The function has no instructions, or goes on behind the last.
    #[error("the function has no end: its last instruction must be an exit or a jump")]
    NoEnd,
    /// A wide load without its second half.
    #[error("a 64-bit load without its second half")]
    Half,
    /// A call, or a wide load, of something that the linker has not resolved.
    #[error("names something that was not linked")]
    Unlinked,
    /// A call to what can't be called, or a function that does not exist.
    #[error("{0:?} can't be used here")]
    Operand(Operand),
    /// A call through a register.
    #[error("call through a register; the kernel takes none here either")]
    CallRegister,
    /// The first instruction that is too much.
    #[error(
        "more than {MOST_INSNS} instructions in all, which is more than a kernel takes of one \
         program; make the program shorter, or divide it among objects"
    )]
    TooLong,
}

/// How many instructions an object has at most: as many as the kernel lets one program have
/// (`BPF_COMPLEXITY_LIMIT_INSNS`). More can't be of use, and would take the host's memory.
pub(crate) const MOST_INSNS: usize = 1_000_000;

/// Instruction `at` of a function, with what it names. Targets are not checked, addresses are
/// numbered by `address`.
pub(crate) fn decode(
    insns: &[Insn],
    at: usize,
    operand: Option<Operand>,
    address: &mut dyn FnMut(Operand) -> u32,
) -> Result<Op, Problem> {
    let insn = *insns.get(at).ok_or(Problem::NoEnd)?;
    if let Some(bad) = [insn.dst, insn.src].into_iter().find(|register| *register > 10) {
        // A call's and a wide load's `src` says what kind they are; those kinds are below 11 too.
        return Err(Problem::Register(bad));
    }
    let takes_operand = insn.is_wide() || insn.code == CALL;
    if let Some(operand) = operand.filter(|_| !takes_operand) {
        return Err(Problem::Operand(operand));
    }
    let op = match insn.class() {
        class::LD => {
            let second = insns.get(at + 1).copied().ok_or(Problem::Half)?;
            wide(insn, second, operand, address)?
        }
        class::LDX => load(insn)?,
        class::ST | class::STX => store(insn)?,
        class::ALU | class::ALU64 => alu(insn)?,
        _ => jump(insn, at, operand)?,
    };
    match written(op) {
        Some(10) => Err(Problem::Register(10)),
        _ => Ok(op),
    }
}

const CALL: u8 = 0x85;

/// The register that an instruction writes, apart from r0.
fn written(op: Op) -> Option<Reg> {
    match op {
        Op::Alu { dst, .. }
        | Op::Neg { dst, .. }
        | Op::SignExtend { dst, .. }
        | Op::Bytes { dst, .. }
        | Op::Wide { dst, .. }
        | Op::CastKernel { dst, .. }
        | Op::CastUser { dst, .. }
        | Op::Load { dst, .. } => Some(dst),
        Op::Atomic { atomic, fetch: true, src, .. } if atomic != Atomic::CmpXchg => Some(src),
        _ => None,
    }
}

/// Refuses an instruction with fields that it does not have.
fn only(insn: Insn, fields: bool) -> Result<(), Problem> {
    if fields { Ok(()) } else { Err(Problem::Field(insn.code)) }
}

fn wide(
    insn: Insn,
    second: Insn,
    operand: Option<Operand>,
    address: &mut dyn FnMut(Operand) -> u32,
) -> Result<Op, Problem> {
    if !insn.is_wide() {
        return Err(Problem::Unknown(insn.code));
    }
    only(insn, insn.off == 0)?;
    if second != (Insn { imm: second.imm, ..Insn::default() }) {
        return Err(Problem::Half);
    }
    let value = match operand {
        Some(operand) => Wide::Address(address(operand)),
        None if insn.src == 0 => {
            Wide::Imm(u64::from(second.imm as u32) << 32 | u64::from(insn.imm as u32))
        }
        None => return Err(Problem::Unlinked),
    };
    Ok(Op::Wide { dst: insn.dst, value })
}

fn size(insn: Insn) -> Size {
    match insn.code & 0x18 {
        0x00 => Size::W,
        0x08 => Size::H,
        0x10 => Size::B,
        _ => Size::Dw,
    }
}

/// Bits of the code that say how memory is accessed.
const MODE: u8 = 0xe0;
const MEM: u8 = 0x60;
const MEMSX: u8 = 0x80;
const ATOMIC: u8 = 0xc0;

fn load(insn: Insn) -> Result<Op, Problem> {
    let size = size(insn);
    let signed = match insn.code & MODE {
        MEM => false,
        MEMSX if size != Size::Dw => true,
        _ => return Err(Problem::Unknown(insn.code)),
    };
    only(insn, insn.imm == 0)?;
    let access = Access { pointer: insn.src, off: insn.off, size, aligned: false };
    Ok(Op::Load { access, signed, dst: insn.dst })
}

fn store(insn: Insn) -> Result<Op, Problem> {
    let access = Access { pointer: insn.dst, off: insn.off, size: size(insn), aligned: false };
    match (insn.class(), insn.code & MODE) {
        (class::ST, MEM) => {
            only(insn, insn.src == 0)?;
            Ok(Op::Store { access, src: Source::Imm(insn.imm) })
        }
        (class::STX, MEM) => {
            only(insn, insn.imm == 0)?;
            Ok(Op::Store { access, src: Source::Reg(insn.src) })
        }
        (class::STX, ATOMIC) => atomic(insn, Access { aligned: true, ..access }),
        _ => Err(Problem::Unknown(insn.code)),
    }
}

fn atomic(insn: Insn, access: Access) -> Result<Op, Problem> {
    const FETCH: i32 = 0x01;
    let kind = match insn.imm {
        // Acquire and release order nothing on a machine whose CPUs take turns.
        0x100 => {
            let access = Access { pointer: insn.src, ..access };
            return Ok(Op::Load { access, signed: false, dst: insn.dst });
        }
        0x110 => return Ok(Op::Store { access, src: Source::Reg(insn.src) }),
        0x00 | 0x01 => Atomic::Add,
        0x40 | 0x41 => Atomic::Or,
        0x50 | 0x51 => Atomic::And,
        0xa0 | 0xa1 => Atomic::Xor,
        0xe1 => Atomic::Xchg,
        0xf1 => Atomic::CmpXchg,
        _ => return Err(Problem::Field(insn.code)),
    };
    if !matches!(access.size, Size::W | Size::Dw) {
        return Err(Problem::Unknown(insn.code));
    }
    Ok(Op::Atomic { atomic: kind, fetch: insn.imm & FETCH != 0, access, src: insn.src })
}

/// The second operand of an instruction whose code says where it is; the other field is unused.
fn source(insn: Insn) -> Result<Source, Problem> {
    if insn.code & 0x08 != 0 {
        only(insn, insn.imm == 0)?;
        Ok(Source::Reg(insn.src))
    } else {
        only(insn, insn.src == 0)?;
        Ok(Source::Imm(insn.imm))
    }
}

fn alu(insn: Insn) -> Result<Op, Problem> {
    let wide = insn.class() == class::ALU64;
    let by_register = insn.code & 0x08 != 0;
    let dst = insn.dst;
    let kind = match insn.code & 0xf0 {
        0x80 if !by_register => {
            only(insn, insn.src == 0 && insn.off == 0 && insn.imm == 0)?;
            return Ok(Op::Neg { wide, dst });
        }
        0xd0 => return bytes(insn, wide),
        0xb0 if by_register && insn.off != 0 => return moved(insn, wide),
        0x30 if insn.off == 1 => Alu::SignedDiv,
        0x90 if insn.off == 1 => Alu::SignedMod,
        code => {
            only(insn, insn.off == 0)?;
            match code {
                0x00 => Alu::Add,
                0x10 => Alu::Sub,
                0x20 => Alu::Mul,
                0x30 => Alu::Div,
                0x40 => Alu::Or,
                0x50 => Alu::And,
                0x60 => Alu::Lsh,
                0x70 => Alu::Rsh,
                0x90 => Alu::Mod,
                0xa0 => Alu::Xor,
                0xb0 => Alu::Mov,
                0xc0 => Alu::Arsh,
                _ => return Err(Problem::Unknown(insn.code)),
            }
        }
    };
    Ok(Op::Alu { alu: kind, wide, dst, src: source(insn)? })
}

/// A change of the order of bytes.
fn bytes(insn: Insn, wide: bool) -> Result<Op, Problem> {
    only(insn, insn.src == 0 && insn.off == 0 && matches!(insn.imm, 16 | 32 | 64))?;
    let order = match (wide, insn.code & 0x08 != 0) {
        (false, false) => Order::Little,
        (false, true) | (true, false) => Order::Swapped,
        (true, true) => return Err(Problem::Unknown(insn.code)),
    };
    Ok(Op::Bytes { order, bits: insn.imm as u32, dst: insn.dst })
}

/// A move between registers that changes the value on its way.
fn moved(insn: Insn, wide: bool) -> Result<Op, Problem> {
    let (dst, src) = (insn.dst, insn.src);
    match (insn.off, insn.imm) {
        (8 | 16, 0) => Ok(Op::SignExtend { wide, bits: insn.off as u32, dst, src }),
        (32, 0) if wide => Ok(Op::SignExtend { wide, bits: 32, dst, src }),
        (ADDR_SPACE_CAST, 1) if wide => Ok(Op::CastKernel { dst, src }),
        (ADDR_SPACE_CAST, 0x1_0000) if wide => Ok(Op::CastUser { dst, src }),
        _ => Err(Problem::Field(insn.code)),
    }
}

fn jump(insn: Insn, at: usize, operand: Option<Operand>) -> Result<Op, Problem> {
    let wide = insn.class() == class::JMP;
    let target = |distance: i32| {
        let target = at as i64 + 1 + i64::from(distance);
        u32::try_from(target).map_err(|_| Problem::Target(target))
    };
    let cond = match (insn.code, insn.code & 0xf0) {
        (0x05, _) => {
            only(insn, insn.dst == 0 && insn.src == 0 && insn.imm == 0)?;
            return Ok(Op::Jump { target: target(i32::from(insn.off))? });
        }
        (0x06, _) => {
            only(insn, insn.dst == 0 && insn.src == 0 && insn.off == 0)?;
            return Ok(Op::Jump { target: target(insn.imm)? });
        }
        (CALL, _) => return call(insn, operand),
        (0x8d, _) => return Err(Problem::CallRegister),
        (0x95, _) => {
            only(insn, insn.dst == 0 && insn.src == 0 && insn.off == 0 && insn.imm == 0)?;
            return Ok(Op::Exit);
        }
        (0xe5, _) => {
            only(insn, insn.dst == 0 && insn.src == 0 && insn.imm == 0)?;
            return Ok(Op::MayGoto { target: target(i32::from(insn.off))? });
        }
        (_, 0x10) => Cond::Eq,
        (_, 0x20) => Cond::Gt,
        (_, 0x30) => Cond::Ge,
        (_, 0x40) => Cond::Set,
        (_, 0x50) => Cond::Ne,
        (_, 0x60) => Cond::SignedGt,
        (_, 0x70) => Cond::SignedGe,
        (_, 0xa0) => Cond::Lt,
        (_, 0xb0) => Cond::Le,
        (_, 0xc0) => Cond::SignedLt,
        (_, 0xd0) => Cond::SignedLe,
        _ => return Err(Problem::Unknown(insn.code)),
    };
    let (dst, src) = (insn.dst, source(insn)?);
    Ok(Op::Branch { cond, wide, dst, src, target: target(i32::from(insn.off))? })
}

fn call(insn: Insn, operand: Option<Operand>) -> Result<Op, Problem> {
    match operand {
        Some(Operand::Function(function)) => Ok(Op::Call { function: function.0 }),
        Some(Operand::Kfunc(kfunc)) => Ok(Op::Suspend { callee: Callee::Kfunc(kfunc) }),
        Some(operand) => Err(Problem::Operand(operand)),
        None if insn.src == 0 => {
            only(insn, insn.dst == 0 && insn.off == 0)?;
            Ok(Op::Suspend { callee: Callee::Helper(insn.imm) })
        }
        None => Err(Problem::Unlinked),
    }
}
