// SPDX-License-Identifier: GPL-2.0-or-later
//! Instructions taken apart: what both executions read.

use rota_object::KfuncId;

/// Number of a register, 0 to 10.
pub(crate) type Reg = u8;

/// What r1 to r5 hold after a call, and r0 and r6 to r9 when a function starts: a value that no
/// correct program reads, and that points nowhere.
pub const POISON: u64 = 0x5eed_8881_8000_8bad;

/// How often a function may go around its loops until `may_goto` leaves them.
pub(crate) const MAY_GOTO: u64 = 8 << 20;

/// Size of a function's part of the stack in bytes.
pub(crate) const FRAME: u64 = 512;

/// How many functions may be active at once.
pub(crate) const FRAMES: u64 = 8;

/// The second operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A register.
    Reg(Reg),
    /// A number, to be sign-extended.
    Imm(i32),
}

/// What a wide load loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wide {
    /// This number.
    Imm(u64),
    /// The address, in the instance's table, with this index.
    Address(u32),
}

/// Arithmetic on two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alu {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    SignedDiv,
    SignedMod,
    Or,
    And,
    Xor,
    Lsh,
    Rsh,
    Arsh,
    Mov,
}

/// What a conditional jump asks of its two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cond {
    Eq,
    Ne,
    Set,
    Gt,
    Ge,
    Lt,
    Le,
    SignedGt,
    SignedGe,
    SignedLt,
    SignedLe,
}

/// Order of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Little-endian: the machine's own, so only the upper bytes go.
    Little,
    /// The other one: bytes are swapped.
    Swapped,
}

/// Number of bytes of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    B,
    H,
    W,
    Dw,
}

impl Size {
    /// In bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::Dw => 8,
        }
    }
}

/// What an atomic does to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atomic {
    Add,
    Or,
    And,
    Xor,
    /// Store the source register.
    Xchg,
    /// Store the source register if r0 is what memory holds; r0 becomes what it held.
    CmpXchg,
}

/// Whom an execution calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A helper, by its number.
    Helper(i32),
    /// A kernel function.
    Kfunc(KfuncId),
}

/// A place in memory that an instruction accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// The register with the pointer.
    pub(crate) pointer: Reg,
    /// Bytes to add.
    pub(crate) off: i16,
    /// Size of the access.
    pub(crate) size: Size,
    /// Whether it traps unless it is aligned: the atomics.
    pub(crate) aligned: bool,
}

/// An instruction. Targets are numbers of instructions in the same function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Arithmetic: `dst = dst op src`; in 32 bits, the upper half becomes zero.
    Alu { alu: Alu, wide: bool, dst: Reg, src: Source },
    /// `dst = -dst`.
    Neg { wide: bool, dst: Reg },
    /// `dst` = the lowest `bits` of `src`, sign-extended.
    SignExtend { wide: bool, bits: u32, dst: Reg, src: Reg },
    /// The lowest `bits` of `dst`, in that order of bytes.
    Bytes { order: Order, bits: u32, dst: Reg },
    /// A 64-bit immediate.
    Wide { dst: Reg, value: Wide },
    /// The second half of a wide load.
    Second,
    /// An arena's pointer becomes one that the kernel side can use.
    CastKernel { dst: Reg, src: Reg },
    /// An arena's pointer becomes one that user space can use.
    CastUser { dst: Reg, src: Reg },
    /// `dst = *access`.
    Load { access: Access, signed: bool, dst: Reg },
    /// `*access = src`.
    Store { access: Access, src: Source },
    /// `*access = *access atomic src`, and `src` what it held, if `fetch`.
    Atomic { atomic: Atomic, fetch: bool, access: Access, src: Reg },
    /// Go on at `target`.
    Jump { target: u32 },
    /// Go on at `target` if the condition holds.
    Branch { cond: Cond, wide: bool, dst: Reg, src: Source, target: u32 },
    /// Go on at `target` if the function went around often enough.
    MayGoto { target: u32 },
    /// Call a function of the object.
    Call { function: u32 },
    /// Call whoever drives the execution.
    Suspend { callee: Callee },
    /// Return.
    Exit,
    /// An instruction that this kernel makes impossible.
    Poisoned,
}

impl Op {
    /// Where it may jump to.
    pub(crate) fn target(self) -> Option<u32> {
        match self {
            Self::Jump { target } | Self::Branch { target, .. } | Self::MayGoto { target } => {
                Some(target)
            }
            _ => None,
        }
    }

    /// Whether the next instruction never follows it.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Self::Jump { .. } | Self::Exit | Self::Poisoned)
    }
}
