// SPDX-License-Identifier: GPL-2.0-or-later
//! Registers, numbers, and the fields of the context, translated.

use super::translate::Translator;
use crate::fiber::Context;
use crate::op::{POISON, Reg, Source};
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, InstructionData, MemFlagsData, Type, Value};
use std::mem::offset_of;

impl Translator<'_> {
    /// Tells the context what is left of the budget.
    pub(super) fn save(&mut self) {
        let remaining = self.builder.ins().get_pinned_reg(I64);
        self.put(offset_of!(Context, remaining), remaining);
    }

    pub(super) fn put(&mut self, offset: usize, value: Value) {
        let flags = MemFlagsData::trusted();
        self.builder.ins().store(flags, value, self.context, offset as i32);
    }

    /// A field of the context that never changes.
    pub(super) fn constant_of(&mut self, offset: usize) -> Value {
        self.constant_at(self.context, offset as i32)
    }

    pub(super) fn constant_at(&mut self, pointer: Value, offset: i32) -> Value {
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        self.builder.ins().load(I64, flags, pointer, offset)
    }

    pub(super) fn number(&mut self, value: u64) -> Value {
        self.builder.ins().iconst(I64, value as i64)
    }

    /// Whether it is known that a value is what nobody should look at.
    pub(super) fn is_poison(&self, value: Value) -> bool {
        let dfg = &self.builder.func.dfg;
        let made = dfg.value_def(value).inst().map(|inst| dfg.insts[inst]);
        let poison = Imm64::new(POISON as i64);
        matches!(made, Some(InstructionData::UnaryImm { imm, .. }) if imm == poison)
    }

    pub(super) fn get(&mut self, register: Reg) -> Value {
        match self.registers.get(usize::from(register)) {
            Some(variable) => self.builder.use_var(*variable),
            None => self.frame,
        }
    }

    pub(super) fn set(&mut self, register: Reg, value: Value) {
        if let Some(variable) = self.registers.get(usize::from(register)) {
            self.builder.def_var(*variable, value);
        }
    }

    /// A register's lowest bits.
    pub(super) fn get_as(&mut self, register: Reg, ty: Type) -> Value {
        let value = self.get(register);
        if ty == I64 { value } else { self.builder.ins().ireduce(ty, value) }
    }

    /// Sets a register to a number, zero-extended.
    pub(super) fn set_extended(&mut self, register: Reg, value: Value, ty: Type) {
        let value = if ty == I64 { value } else { self.builder.ins().uextend(I64, value) };
        self.set(register, value);
    }

    pub(super) fn source(&mut self, source: Source, ty: Type) -> Value {
        match source {
            Source::Reg(register) => self.get_as(register, ty),
            Source::Imm(value) => self.immediate(i64::from(value), ty),
        }
    }

    pub(super) fn immediate(&mut self, value: i64, ty: Type) -> Value {
        let unused = 64 - ty.bits();
        let value = ((value as u64) << unused >> unused) as i64;
        self.builder.ins().iconst(ty, value)
    }
}
