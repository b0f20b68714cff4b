// SPDX-License-Identifier: GPL-2.0-or-later
//! Arithmetic, translated.

use super::translate::Translator;
use crate::op::{Alu, FRAME, Order, Reg, Source};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Type, Value};

impl Translator<'_> {
    pub(super) fn alu(&mut self, alu: Alu, ty: Type, dst: Reg, src: Source) {
        let b = self.source(src, ty);
        let a = if alu == Alu::Mov { b } else { self.get_as(dst, ty) };
        let result = match alu {
            Alu::Mov => b,
            Alu::Add => self.builder.ins().iadd(a, b),
            Alu::Sub => self.builder.ins().isub(a, b),
            Alu::Mul => self.multiply(a, b, src),
            Alu::Or => self.builder.ins().bor(a, b),
            Alu::And => self.builder.ins().band(a, b),
            Alu::Xor => self.builder.ins().bxor(a, b),
            // The code generator's shifts, too, take the lowest bits of the amount.
            Alu::Lsh => self.builder.ins().ishl(a, b),
            Alu::Rsh => self.builder.ins().ushr(a, b),
            Alu::Arsh => self.builder.ins().sshr(a, b),
            Alu::Div | Alu::Mod | Alu::SignedDiv | Alu::SignedMod => self.divide(alu, a, b, ty),
        };
        if ty == I64 {
            self.note_frame(alu, a, src, result);
        }
        self.set_extended(dst, result, ty);
    }

    /// Multiplies; by one more than 2, 4 or 8 with an addition, which the host does in one go.
    fn multiply(&mut self, a: Value, b: Value, src: Source) -> Value {
        let by = match src {
            Source::Imm(3) => 1,
            Source::Imm(5) => 2,
            Source::Imm(9) => 3,
            _ => return self.builder.ins().imul(a, b),
        };
        let scaled = self.builder.ins().ishl_imm_u(a, by);
        self.builder.ins().iadd(a, scaled)
    }

    /// Notes a result that points into the function's stack.
    ///
    /// Not beyond it: only there is it sure that the pointer's upper bits stay those of r10.
    fn note_frame(&mut self, alu: Alu, a: Value, src: Source, result: Value) {
        let by = match (alu, src) {
            (Alu::Add, Source::Imm(by)) => i64::from(by),
            (Alu::Sub, Source::Imm(by)) => -i64::from(by),
            _ => return,
        };
        let whole = self.frame_offsets[a].map(|offset| i64::from(offset) + by);
        if let Some(whole) = whole.filter(|whole| (-(FRAME as i64)..=0).contains(whole)) {
            self.frame_offsets[result] = Some(whole as i16);
        }
    }

    /// Divides by 1 where the host's instruction would fault, and takes another result then.
    fn divide(&mut self, alu: Alu, a: Value, b: Value, ty: Type) -> Value {
        let (zero, one) = (self.immediate(0, ty), self.immediate(1, ty));
        let by_zero = self.builder.ins().icmp(IntCC::Equal, b, zero);
        match alu {
            Alu::Div => {
                let divisor = self.builder.ins().select(by_zero, one, b);
                let quotient = self.builder.ins().udiv(a, divisor);
                self.builder.ins().select(by_zero, zero, quotient)
            }
            Alu::Mod => {
                let divisor = self.builder.ins().select(by_zero, one, b);
                let rest = self.builder.ins().urem(a, divisor);
                self.builder.ins().select(by_zero, a, rest)
            }
            _ => {
                // The quotient of the lowest number and -1 does not fit.
                let minus_one = self.immediate(-1, ty);
                let negates = self.builder.ins().icmp(IntCC::Equal, b, minus_one);
                let special = self.builder.ins().bor(by_zero, negates);
                let divisor = self.builder.ins().select(special, one, b);
                if alu == Alu::SignedDiv {
                    let quotient = self.builder.ins().sdiv(a, divisor);
                    let negated = self.builder.ins().ineg(a);
                    let quotient = self.builder.ins().select(negates, negated, quotient);
                    self.builder.ins().select(by_zero, zero, quotient)
                } else {
                    let rest = self.builder.ins().srem(a, divisor);
                    self.builder.ins().select(by_zero, a, rest)
                }
            }
        }
    }

    pub(super) fn sign_extend(&mut self, wide: bool, bits: u32, dst: Reg, src: Reg) {
        let narrow = match bits {
            8 => I8,
            16 => I16,
            _ => I32,
        };
        let ty = if wide { I64 } else { I32 };
        let value = self.get_as(src, narrow);
        let value = self.builder.ins().sextend(ty, value);
        self.set_extended(dst, value, ty);
    }

    pub(super) fn bytes(&mut self, order: Order, bits: u32, dst: Reg) {
        let ty = match bits {
            16 => I16,
            32 => I32,
            _ => I64,
        };
        let value = self.get_as(dst, ty);
        let value = match order {
            Order::Little => value,
            Order::Swapped => self.builder.ins().bswap(value),
        };
        self.set_extended(dst, value, ty);
    }
}
