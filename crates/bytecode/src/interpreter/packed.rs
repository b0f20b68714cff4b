// SPDX-License-Identifier: GPL-2.0-or-later
//! Instructions as the interpreter reads them: everything that it must tell apart is in one
//! number, and there are no second halves.

use crate::op::{Alu, Cond, Op, Reg, Size, Source, Wide};

/// A register. Of a type of its own, so that finding it needs no check.
#[derive(Clone, Copy)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Slot { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 }

/// Number of registers.
pub(crate) const SLOTS: usize = 11;

impl Slot {
    const ALL: [Self; SLOTS] = {
        use Slot::*;
        [R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10]
    };

    fn new(register: Reg) -> Self {
        Self::ALL.get(usize::from(register)).copied().unwrap_or(Self::R10)
    }
}

/// Gives a macro everything that comes in four forms: what it is, and its codes with a register
/// and with a number, in 64 bits and in 32; of arithmetic also those with a move before it.
macro_rules! four_forms {
    ($then:ident $(, $arg:tt)*) => {
        $then! {
            ($($arg)*)
            alu {
                Add AddR AddI Add32R Add32I MovAddR MovAddI MovAdd32R MovAdd32I,
                Sub SubR SubI Sub32R Sub32I MovSubR MovSubI MovSub32R MovSub32I,
                Mul MulR MulI Mul32R Mul32I MovMulR MovMulI MovMul32R MovMul32I,
                Div DivR DivI Div32R Div32I MovDivR MovDivI MovDiv32R MovDiv32I,
                Mod ModR ModI Mod32R Mod32I MovModR MovModI MovMod32R MovMod32I,
                Or OrR OrI Or32R Or32I MovOrR MovOrI MovOr32R MovOr32I,
                SignedDiv SignedDivR SignedDivI SignedDiv32R SignedDiv32I MovSignedDivR MovSignedDivI MovSignedDiv32R MovSignedDiv32I,
                SignedMod SignedModR SignedModI SignedMod32R SignedMod32I MovSignedModR MovSignedModI MovSignedMod32R MovSignedMod32I,
                And AndR AndI And32R And32I MovAndR MovAndI MovAnd32R MovAnd32I,
                Xor XorR XorI Xor32R Xor32I MovXorR MovXorI MovXor32R MovXor32I,
                Lsh LshR LshI Lsh32R Lsh32I MovLshR MovLshI MovLsh32R MovLsh32I,
                Rsh RshR RshI Rsh32R Rsh32I MovRshR MovRshI MovRsh32R MovRsh32I,
                Arsh ArshR ArshI Arsh32R Arsh32I MovArshR MovArshI MovArsh32R MovArsh32I
            }
            cond {
                Eq EqR EqI Eq32R Eq32I, Ne NeR NeI Ne32R Ne32I, Set SetR SetI Set32R Set32I,
                Gt GtR GtI Gt32R Gt32I, Ge GeR GeI Ge32R Ge32I,
                Lt LtR LtI Lt32R Lt32I, Le LeR LeI Le32R Le32I,
                SignedGt SignedGtR SignedGtI SignedGt32R SignedGt32I,
                SignedGe SignedGeR SignedGeI SignedGe32R SignedGe32I,
                SignedLt SignedLtR SignedLtI SignedLt32R SignedLt32I,
                SignedLe SignedLeR SignedLeI SignedLe32R SignedLe32I
            }
        }
    };
}
pub(crate) use four_forms;

macro_rules! define {
    (
        ()
        alu { $(
            $alu:ident $alu_r:ident $alu_i:ident $alu32_r:ident $alu32_i:ident
            $mov_r:ident $mov_i:ident $mov32_r:ident $mov32_i:ident
        ),* }
        cond { $($cond:ident $cond_r:ident $cond_i:ident $cond32_r:ident $cond32_i:ident),* }
    ) => {
        /// What an instruction does.
        #[derive(Clone, Copy)]
        #[repr(u8)]
        pub(crate) enum Code {
            $($alu_r, $alu_i, $alu32_r, $alu32_i, $mov_r, $mov_i, $mov32_r, $mov32_i,)*
            MovR, MovI, Mov32R, Mov32I,
            $($cond_r, $cond_i, $cond32_r, $cond32_i,)*
            Load8, Load16, Load32, Load64, LoadSigned8, LoadSigned16, LoadSigned32,
            Store8R, Store16R, Store32R, Store64R, Store8I, Store16I, Store32I, Store64I,
            Number, Address, Jump, Call, Suspend, Exit,
            /// Anything else: see the instruction itself.
            Rare,
        }

        fn alu_code(alu: Alu, wide: bool, src: Source) -> Code {
            match (alu, wide, src) {
                $(
                    (Alu::$alu, true, Source::Reg(_)) => Code::$alu_r,
                    (Alu::$alu, true, Source::Imm(_)) => Code::$alu_i,
                    (Alu::$alu, false, Source::Reg(_)) => Code::$alu32_r,
                    (Alu::$alu, false, Source::Imm(_)) => Code::$alu32_i,
                )*
                (Alu::Mov, true, Source::Reg(_)) => Code::MovR,
                (Alu::Mov, true, Source::Imm(_)) => Code::MovI,
                (Alu::Mov, false, Source::Reg(_)) => Code::Mov32R,
                (Alu::Mov, false, Source::Imm(_)) => Code::Mov32I,
            }
        }

        /// The same, with a move before it.
        fn mov_code(code: Code) -> Option<Code> {
            match code {
                $(
                    Code::$alu_r => Some(Code::$mov_r),
                    Code::$alu_i => Some(Code::$mov_i),
                    Code::$alu32_r => Some(Code::$mov32_r),
                    Code::$alu32_i => Some(Code::$mov32_i),
                )*
                _ => None,
            }
        }

        impl Code {
            /// Whether it is arithmetic in 64 bits.
            fn is_wide(self) -> bool {
                matches!(self, $(Self::$alu_r | Self::$alu_i)|*)
            }
        }

        fn cond_code(cond: Cond, wide: bool, src: Source) -> Code {
            match (cond, wide, src) {
                $(
                    (Cond::$cond, true, Source::Reg(_)) => Code::$cond_r,
                    (Cond::$cond, true, Source::Imm(_)) => Code::$cond_i,
                    (Cond::$cond, false, Source::Reg(_)) => Code::$cond32_r,
                    (Cond::$cond, false, Source::Imm(_)) => Code::$cond32_i,
                )*
            }
        }
    };
}
four_forms!(define);

/// An instruction.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    pub(crate) code: Code,
    /// What it changes, or the pointer of a store.
    pub(crate) dst: Slot,
    /// The second operand, or the pointer of a load.
    pub(crate) src: Slot,
    /// The first operand.
    pub(crate) first: Slot,
    /// Bytes to add to the pointer; or a function; or a target, in packed instructions, with all
    /// bits inverted if it is a jump back.
    pub(crate) off: i32,
    /// The second operand; or an index in the instance's table.
    pub(crate) imm: u64,
}

impl Packed {
    /// Where a jump leads to.
    pub(crate) fn target(&self) -> usize {
        (self.off ^ (self.off >> 31)) as usize
    }
}

/// A function's instructions.
pub(crate) struct Program {
    pub(crate) ops: Vec<Packed>,
    /// The number of each in the function.
    insns: Vec<u32>,
}

impl Program {
    /// Packs a function, whose targets are checked.
    pub(crate) fn new(ops: &[Op]) -> Self {
        let mut count = 0;
        let starts: Vec<u32> = (ops.iter())
            .map(|op| {
                let start = count;
                count += u32::from(*op != Op::Second);
                start
            })
            .collect();
        let target = |target: u32| starts.get(target as usize).copied().unwrap_or(count) as i32;
        let (packed, insns) = (0..)
            .zip(ops)
            .filter(|(_, op)| **op != Op::Second)
            .map(|(insn, op)| {
                let target = |to| if to > insn { target(to) } else { !target(to) };
                (pack(*op, &target), insn)
            })
            .unzip();
        let mut packed: Vec<Packed> = packed;
        for at in 1..packed.len() {
            if let Some(both) = fuse(&packed[at - 1], &packed[at]) {
                packed[at - 1] = both;
            }
        }
        Self { ops: packed, insns }
    }

    /// Number in the function of the packed instruction `at`.
    pub(crate) fn insn(&self, at: u32) -> u32 {
        self.insns.get(at as usize).copied().unwrap_or(0)
    }
}

/// A move and an operation on what it moved, as one that stands where the move does. Behind it the
/// operation itself stays, which a jump may lead to.
fn fuse(mov: &Packed, op: &Packed) -> Option<Packed> {
    let wide = match mov.code {
        Code::MovR => true,
        Code::Mov32R => false,
        _ => return None,
    };
    let same = mov.dst as u8 == op.dst as u8 && wide == op.code.is_wide();
    let code = mov_code(op.code).filter(|_| same)?;
    // If the operation uses twice what was moved, the second operand is what it was before.
    let twice = op.src as u8 == mov.dst as u8;
    Some(Packed { code, first: mov.src, src: if twice { mov.src } else { op.src }, ..*op })
}

fn pack(op: Op, target: &dyn Fn(u32) -> i32) -> Packed {
    let packed = |code, dst, src: Source, off| {
        let (src, imm) = match src {
            Source::Reg(register) => (register, 0),
            Source::Imm(number) => (0, number as u64),
        };
        let (dst, src) = (Slot::new(dst), Slot::new(src));
        Packed { code, dst, src, first: dst, off, imm }
    };
    let zero = Source::Imm(0);
    match op {
        Op::Alu { alu, wide, dst, src } => packed(alu_code(alu, wide, src), dst, src, 0),
        Op::Branch { cond, wide, dst, src, target: to } => {
            packed(cond_code(cond, wide, src), dst, src, target(to))
        }
        Op::Load { access, signed, dst } if !access.aligned => {
            let pointer = Source::Reg(access.pointer);
            packed(load_code(access.size, signed), dst, pointer, i32::from(access.off))
        }
        Op::Store { access, src } if !access.aligned => {
            packed(store_code(access.size, src), access.pointer, src, i32::from(access.off))
        }
        Op::Wide { dst, value: Wide::Imm(number) } => {
            Packed { imm: number, ..packed(Code::Number, dst, zero, 0) }
        }
        Op::Wide { dst, value: Wide::Address(index) } => {
            Packed { imm: u64::from(index), ..packed(Code::Address, dst, zero, 0) }
        }
        Op::Jump { target: to } => packed(Code::Jump, 0, zero, target(to)),
        Op::MayGoto { target: to } => packed(Code::Rare, 0, zero, target(to)),
        Op::Call { function } => packed(Code::Call, 0, zero, function as i32),
        Op::Suspend { .. } => packed(Code::Suspend, 0, zero, 0),
        Op::Exit => packed(Code::Exit, 0, zero, 0),
        Op::Load { access, dst, .. } => {
            packed(Code::Rare, dst, Source::Reg(access.pointer), i32::from(access.off))
        }
        Op::Store { access, src } => packed(Code::Rare, access.pointer, src, i32::from(access.off)),
        Op::Atomic { access, src, .. } => packed(Code::Rare, access.pointer, Source::Reg(src), 0),
        Op::Neg { dst, .. } | Op::Bytes { dst, .. } => packed(Code::Rare, dst, zero, 0),
        Op::SignExtend { dst, src, .. }
        | Op::CastKernel { dst, src }
        | Op::CastUser { dst, src } => packed(Code::Rare, dst, Source::Reg(src), 0),
        Op::Second | Op::Poisoned => packed(Code::Rare, 0, zero, 0),
    }
}

fn load_code(size: Size, signed: bool) -> Code {
    match (size, signed) {
        (Size::B, false) => Code::Load8,
        (Size::H, false) => Code::Load16,
        (Size::W, false) => Code::Load32,
        (Size::Dw, _) => Code::Load64,
        (Size::B, true) => Code::LoadSigned8,
        (Size::H, true) => Code::LoadSigned16,
        (Size::W, true) => Code::LoadSigned32,
    }
}

fn store_code(size: Size, src: Source) -> Code {
    match (size, src) {
        (Size::B, Source::Reg(_)) => Code::Store8R,
        (Size::H, Source::Reg(_)) => Code::Store16R,
        (Size::W, Source::Reg(_)) => Code::Store32R,
        (Size::Dw, Source::Reg(_)) => Code::Store64R,
        (Size::B, Source::Imm(_)) => Code::Store8I,
        (Size::H, Source::Imm(_)) => Code::Store16I,
        (Size::W, Source::Imm(_)) => Code::Store32I,
        (Size::Dw, Source::Imm(_)) => Code::Store64I,
    }
}
