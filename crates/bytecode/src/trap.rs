// SPDX-License-Identifier: GPL-2.0-or-later
//! Where and why an execution stopped for good.

use crate::memory::Fault;
use rota_object::SourceLine;
use std::fmt;

/// An instruction of the code being executed, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub(crate) function: u32,
    pub(crate) insn: u32,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The function's name.
    pub function: String,
    /// Number of the instruction in it.
    pub insn: u32,
    /// The source line that it came from, if known.
    pub line: Option<SourceLine>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, instruction {}", self.function, self.insn)?;
        if let Some(line) = &self.line {
            write!(f, ", {}:{} ({})", line.file, line.line, line.text)?;
        }
        Ok(())
    }
}

/// What an execution did that it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrapKind {
    /// A load or store of memory that can't be reached so.
    #[error("{0}")]
    Memory(#[from] Fault),
    /// An atomic at a pointer that is no multiple of its size.
    #[error("misaligned atomic of {size} bytes at {pointer:#x}")]
    Misaligned {
        /// The pointer, as in a [`Fault`].
        pointer: u64,
        /// Size of the access.
        size: u64,
    },
    /// More functions active at once than the kernel allows, or than the stack has room for.
    #[error("stack overflow: too many calls inside one another")]
    StackOverflow,
    /// More instructions than the budget.
    #[error("runaway loop: the budget of instructions is used up")]
    Budget,
    /// An instruction that depends on something that the kernel does not have.
    #[error("not on this kernel: {0}")]
    Poisoned(String),
    /// Nothing that a program can do: the machine code is not what it should be.
    #[error("a bug of Rota, not of the program: {0}; please report it, and use the interpreter")]
    Internal(&'static str),
}

/// The end of an execution that did what it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {kind}")]
pub struct Trap {
    /// What it did.
    pub kind: TrapKind,
    /// Where.
    pub place: Place,
    /// Instructions executed, this one included.
    pub insns: u64,
}
