// SPDX-License-Identifier: GPL-2.0-or-later
//! The instructions of BPF (kernel: `Documentation/bpf/standardization/instruction-set.rst`,
//! RFC 9669).

/// Size of an instruction in bytes. A 64-bit immediate takes two.
pub const INSN_BYTES: usize = 8;

/// One instruction, as it stands in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Insn {
    /// Class, operation and source kind.
    pub code: u8,
    /// Number of the destination register.
    pub dst: u8,
    /// Number of the source register, or what kind of immediate or call this is.
    pub src: u8,
    /// Distance of a jump in instructions, or of a memory access in bytes.
    pub off: i16,
    /// Immediate value.
    pub imm: i32,
}

impl Insn {
    /// Reads an instruction.
    pub fn decode(bytes: [u8; INSN_BYTES]) -> Self {
        let [code, registers, off_low, off_high, imm @ ..] = bytes;
        Self {
            code,
            dst: registers & 0xf,
            src: registers >> 4,
            off: i16::from_le_bytes([off_low, off_high]),
            imm: i32::from_le_bytes(imm),
        }
    }

    /// The bytes of the instruction.
    pub fn encode(self) -> [u8; INSN_BYTES] {
        let [off_low, off_high] = self.off.to_le_bytes();
        let [a, b, c, d] = self.imm.to_le_bytes();
        [self.code, self.dst & 0xf | self.src << 4, off_low, off_high, a, b, c, d]
    }

    /// The class: the lowest three bits of the code, see [`class`].
    pub fn class(self) -> u8 {
        self.code & 0x07
    }

    /// Whether this is the first half of a load of a 64-bit immediate.
    pub fn is_wide(self) -> bool {
        self.code == WIDE_LOAD
    }
}

/// `lddw`: the load of a 64-bit immediate, whose upper half stands in the next instruction.
pub const WIDE_LOAD: u8 = 0x18;

/// Instruction classes.
pub mod class {
    /// Loads of immediates.
    pub const LD: u8 = 0;
    /// Loads from memory into a register.
    pub const LDX: u8 = 1;
    /// Stores of immediates.
    pub const ST: u8 = 2;
    /// Stores of registers, and atomics.
    pub const STX: u8 = 3;
    /// Arithmetic in 32 bits.
    pub const ALU: u8 = 4;
    /// Jumps that compare 64 bits, calls and exit.
    pub const JMP: u8 = 5;
    /// Jumps that compare 32 bits.
    pub const JMP32: u8 = 6;
    /// Arithmetic in 64 bits.
    pub const ALU64: u8 = 7;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_instruction_survives(bytes: [u8; INSN_BYTES]) {
            prop_assert_eq!(Insn::decode(bytes).encode(), bytes);
        }
    }
}
