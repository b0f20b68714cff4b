// SPDX-License-Identifier: GPL-2.0-or-later
//! Jumps, calls and traps, translated.

use super::translate::{Imports, Translator};
use super::{Site, What};
use crate::fiber::Context;
use crate::op::{Cond, FRAME, POISON, Reg, Source};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, TrapCode, Type, Value};
use cranelift_jit::JITModule;
use cranelift_module::Module;
use std::mem::offset_of;

impl Translator<'_> {
    pub(super) fn over_budget(&mut self) -> Value {
        let remaining = self.builder.ins().get_pinned_reg(I64);
        let zero = self.number(0);
        self.builder.ins().icmp(IntCC::SignedLessThan, remaining, zero)
    }

    /// Ends the execution here if `condition` holds.
    pub(super) fn trap_if(
        &mut self,
        condition: Value,
        what: What,
        insn: u32,
        value: Option<Value>,
    ) {
        let (trap, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(trap);
        self.builder.ins().brif(condition, trap, &[], next, &[]);
        self.builder.switch_to_block(trap);
        self.trap(what, insn, value);
        self.builder.switch_to_block(next);
    }

    /// Ends the execution here.
    pub(super) fn trap(&mut self, what: What, insn: u32, value: Option<Value>) {
        self.save();
        self.say(what, insn, value);
        self.builder.ins().trap(TrapCode::STACK_OVERFLOW);
    }

    /// Suspends, and returns what the driver answers.
    pub(super) fn say(&mut self, what: What, insn: u32, value: Option<Value>) -> Value {
        let site = self.number(self.sites.len() as u64);
        self.sites.push(Site { function: self.function, insn, what });
        let value = value.unwrap_or(site);
        let call = self.builder.ins().call(self.suspend, &[self.context, site, value]);
        self.builder.inst_results(call)[0]
    }

    /// What registers hold after a call.
    pub(super) fn clobber(&mut self, value: Value) {
        self.set(0, value);
        let poison = self.number(POISON);
        for register in 1..6 {
            self.set(register, poison);
        }
    }

    pub(super) fn call(
        &mut self,
        function: u32,
        insn: u32,
        imports: &Imports,
        module: &mut JITModule,
    ) {
        let size = self.number(FRAME);
        let frame = self.builder.ins().isub(self.frame, size);
        let lowest = self.constant_of(offset_of!(Context, lowest_frame));
        let low = self.builder.ins().icmp(IntCC::UnsignedLessThan, frame, lowest);
        self.trap_if(low, What::StackOverflow, insn, None);
        let callee = imports.functions[function as usize];
        let callee = module.declare_func_in_func(callee, self.builder.func);
        let mut args = vec![self.context];
        args.extend((1..6).map(|register| self.get(register)));
        args.push(frame);
        let call = self.builder.ins().call(callee, &args);
        let value = self.builder.inst_results(call)[0];
        self.clobber(value);
    }

    pub(super) fn condition(&mut self, cond: Cond, dst: Reg, src: Source, ty: Type) -> Value {
        let (a, b) = (self.get_as(dst, ty), self.source(src, ty));
        let code = match cond {
            Cond::Set => return self.builder.ins().band(a, b),
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Gt => IntCC::UnsignedGreaterThan,
            Cond::Ge => IntCC::UnsignedGreaterThanOrEqual,
            Cond::Lt => IntCC::UnsignedLessThan,
            Cond::Le => IntCC::UnsignedLessThanOrEqual,
            Cond::SignedGt => IntCC::SignedGreaterThan,
            Cond::SignedGe => IntCC::SignedGreaterThanOrEqual,
            Cond::SignedLt => IntCC::SignedLessThan,
            Cond::SignedLe => IntCC::SignedLessThanOrEqual,
        };
        self.builder.ins().icmp(code, a, b)
    }

    pub(super) fn jump(&mut self, target: u32, insn: u32) {
        if target <= insn {
            let over = self.over_budget();
            self.trap_if(over, What::Budget, insn, None);
        }
        let block = self.target(target);
        self.builder.ins().jump(block, &[]);
    }

    /// Goes to `target` if `condition` is not zero, else on.
    pub(super) fn branch(&mut self, condition: Value, target: u32, insn: u32) {
        let next = self.builder.create_block();
        if target <= insn {
            // Asked before the condition, so that a loop needs one jump to go around.
            let [over, trap, within] = std::array::from_fn(|_| self.builder.create_block());
            let is_over = self.over_budget();
            self.builder.ins().brif(is_over, over, &[], within, &[]);
            for cold in [over, trap] {
                self.builder.set_cold_block(cold);
            }
            self.builder.switch_to_block(over);
            self.builder.ins().brif(condition, trap, &[], next, &[]);
            self.builder.switch_to_block(trap);
            self.trap(What::Budget, insn, None);
            self.builder.switch_to_block(within);
        }
        let block = self.target(target);
        self.builder.ins().brif(condition, block, &[], next, &[]);
        self.builder.switch_to_block(next);
    }

    pub(super) fn may_goto(&mut self, target: u32, insn: u32) {
        let left = self.builder.use_var(self.iterations);
        let zero = self.number(0);
        let leave = self.builder.ins().icmp(IntCC::Equal, left, zero);
        self.branch(leave, target, insn);
        let one = self.number(1);
        let left = self.builder.ins().isub(left, one);
        self.builder.def_var(self.iterations, left);
    }

    pub(super) fn target(&mut self, target: u32) -> Block {
        // Every target is a leader, so it has a block.
        let block = self.blocks.get(target as usize).copied().flatten();
        block.unwrap_or_else(|| self.builder.create_block())
    }
}
