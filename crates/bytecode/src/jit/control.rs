// SPDX-License-Identifier: GPL-2.0-or-later
//! Jumps, calls and traps, translated.

use super::translate::{Imports, Translator, trap_code};
use super::{Cause, Site, What};
use crate::fiber::Context;
use crate::op::{Callee, Cond, FRAME, POISON, Reg, Source};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, TrapCode, Value};
use cranelift_jit::JITModule;
use cranelift_module::Module;
use std::mem::offset_of;

impl Translator<'_> {
    /// Ends the execution here, saying so, if `condition` holds.
    pub(super) fn say_if(&mut self, condition: Value, what: What, insn: u32, value: Value) {
        let [trap, next] = std::array::from_fn(|_| self.builder.create_block());
        self.builder.set_cold_block(trap);
        self.builder.ins().brif(condition, trap, &[], next, &[]);
        self.builder.seal_block(trap);
        self.builder.seal_block(next);
        self.builder.switch_to_block(trap);
        self.stop(what, insn, Some(value));
        self.builder.switch_to_block(next);
    }

    /// Ends the execution here, saying so.
    ///
    /// Not by a trap: where a branch leads to one, the code generator puts it at the branch.
    pub(super) fn stop(&mut self, what: What, insn: u32, value: Option<Value>) {
        self.save();
        self.say(what, insn, value);
        self.builder.ins().trap(TrapCode::STACK_OVERFLOW);
    }

    /// Suspends, and returns what the driver answers.
    pub(super) fn say(&mut self, what: What, insn: u32, value: Option<Value>) -> Value {
        let site = self.number(self.sites.len() as u64);
        let owed = self.owed.now;
        self.sites.push(Site { function: self.function, insn, what, owed });
        let value = value.unwrap_or(site);
        let call = self.builder.ins().call(self.suspender, &[self.context, site, value]);
        self.builder.inst_results(call)[0]
    }

    /// Calls the driver. Arguments that hold poison are not passed: the site says which.
    pub(super) fn suspend(&mut self, callee: Callee, insn: u32) {
        let mut poisoned = [false; 5];
        for (i, offset) in Context::ARGS.into_iter().enumerate() {
            let arg = self.get(i as Reg + 1);
            poisoned[i] = self.is_poison(arg);
            if !poisoned[i] {
                self.put(offset, arg);
            }
        }
        self.save();
        let value = self.say(What::Call { callee, poisoned }, insn, None);
        self.clobber(value);
    }

    /// What registers hold after a call.
    pub(super) fn clobber(&mut self, value: Value) {
        self.set(0, value);
        let poison = self.number(POISON);
        for register in 1..6 {
            self.set(register, poison);
        }
    }

    pub(super) fn call(&mut self, function: u32, imports: &Imports, module: &mut JITModule) {
        self.settle(0);
        let size = self.number(FRAME);
        let frame = self.builder.ins().isub(self.host_frame, size);
        // Not to be kept in a register: it is looked at once.
        let (flags, offset) = (MemFlagsData::trusted(), offset_of!(Context, lowest_frame) as i32);
        let lowest = self.builder.ins().load(I64, flags, self.context, offset);
        let low = self.builder.ins().icmp(IntCC::UnsignedLessThan, frame, lowest);
        self.builder.ins().trapnz(low, trap_code(Cause::StackOverflow));
        let (callee, arity) =
            (imports.functions[function as usize], imports.arities[function as usize]);
        let callee = module.declare_func_in_func(callee, self.builder.func);
        let mut args = vec![self.context, frame];
        args.extend((1..=arity).map(|register| self.get(register)));
        let call = self.builder.ins().call(callee, &args);
        let value = self.builder.inst_results(call)[0];
        self.clobber(value);
    }

    pub(super) fn condition(&mut self, cond: Cond, wide: bool, dst: Reg, src: Source) -> Value {
        let ty = if wide { I64 } else { I32 };
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
        self.prepare_jump(target, insn);
        let block = self.target(target);
        self.builder.ins().jump(block, &[]);
    }

    /// Goes to `target` if `condition` is not zero, else on.
    pub(super) fn branch(&mut self, condition: Value, target: u32, insn: u32) {
        self.prepare_jump(target, insn);
        let (block, next) = (self.target(target), self.builder.create_block());
        self.builder.ins().brif(condition, block, &[], next, &[]);
        self.builder.seal_block(next);
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
