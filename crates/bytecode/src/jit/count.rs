// SPDX-License-Identifier: GPL-2.0-or-later
//! Counting instructions.
//!
//! What is left of the budget is in the pinned register, so that it costs little to count down,
//! and the handler of faults can read it. Even so it would cost too much to count every run of
//! instructions: it is known of each place how many instructions are *owed*, executed and not yet
//! counted. They are counted where control goes back, leaves the function, or meets another way
//! on which another number is owed. Whoever looks in between adds what is owed there.

use super::Cause;
use super::translate::{Translator, trap_code};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, SourceLoc, Value};

/// What is owed in the function that is being translated.
pub(super) struct Owed {
    /// Here.
    pub(super) now: i64,
    /// By instruction that a jump leads to, before it. None until a way to it is known.
    before: Vec<Option<i64>>,
    /// The instructions in the order of their translation, with what is owed while they are
    /// executed. Their source locations are numbers of these.
    steps: Vec<(u32, i64)>,
}

impl Owed {
    /// `last_jumps` says which instruction is the last that jumps to each.
    pub(super) fn new(last_jumps: &[Option<u32>]) -> Self {
        let back = |(at, last): (usize, &Option<u32>)| {
            // Nothing is owed where a loop starts.
            last.is_some_and(|last| last as usize >= at).then_some(0)
        };
        let before = last_jumps.iter().enumerate().map(back).collect();
        Self { now: 0, before, steps: Vec::with_capacity(last_jumps.len()) }
    }

    /// The instruction that is being translated, as a number of a step.
    pub(super) fn step(&self) -> u32 {
        self.steps.len() as u32 - 1
    }

    /// The instructions in the order of their translation, with what is owed while they are
    /// executed.
    pub(super) fn steps(self) -> Vec<(u32, i64)> {
        self.steps
    }
}

impl Translator<'_> {
    /// Begins an instruction, which is owed.
    pub(super) fn owe(&mut self, insn: u32) {
        self.owed.now += 1;
        self.begin(insn);
    }

    /// Begins what belongs to an instruction.
    pub(super) fn begin(&mut self, insn: u32) {
        self.owed.steps.push((insn, self.owed.now));
        self.builder.set_srcloc(SourceLoc::new(self.owed.step()));
    }

    /// Comes to an instruction that jumps lead to; on from the one before it, if that is possible.
    pub(super) fn meet(&mut self, at: usize, reachable: bool) {
        let owed = *self.owed.before[at].get_or_insert(if reachable { self.owed.now } else { 0 });
        if reachable {
            self.settle(owed);
        }
        self.owed.now = owed;
    }

    /// Prepares a jump: so many are owed here as at its target, and the budget is not exceeded if
    /// it goes back.
    pub(super) fn prepare_jump(&mut self, target: u32, insn: u32) {
        let owed = *self.owed.before[target as usize].get_or_insert(self.owed.now);
        let remaining = self.settle(owed);
        if target <= insn {
            self.check_budget(remaining);
        }
    }

    /// Counts what is owed, but for `owed`; what is left of the budget, if it changed.
    pub(super) fn settle(&mut self, owed: i64) -> Option<Value> {
        let due = self.owed.now - owed;
        self.owed.now = owed;
        (due != 0).then(|| {
            let remaining = self.builder.ins().get_pinned_reg(I64);
            let due = self.builder.ins().iconst(I64, due);
            let remaining = self.builder.ins().isub(remaining, due);
            self.builder.ins().set_pinned_reg(remaining);
            remaining
        })
    }

    /// Ends the execution here if the budget, of which so much is left, is exceeded.
    pub(super) fn check_budget(&mut self, remaining: Option<Value>) {
        let remaining = remaining.unwrap_or_else(|| self.builder.ins().get_pinned_reg(I64));
        let zero = self.number(0);
        let over = self.builder.ins().icmp(IntCC::SignedLessThan, remaining, zero);
        self.builder.ins().trapnz(over, trap_code(Cause::Budget));
    }
}
