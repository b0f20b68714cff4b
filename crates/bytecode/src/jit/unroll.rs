// SPDX-License-Identifier: GPL-2.0-or-later
//! Short loops, translated.
//!
//! To count the instructions of each round, and to look at the budget, would take a third of such
//! a loop's time. So there are several copies of it, one behind the other, for as long as the
//! budget surely lasts for all of them, which count once; and one that counts each round.

use super::translate::Translator;
use crate::op::Op;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};

/// How many instructions a short loop has at most.
const SHORT: usize = 16;
/// How many rounds are counted at once.
const ROUNDS: usize = 8;

impl Translator<'_> {
    /// The last instruction of a short loop that starts here: a branch back, and the only one
    /// that goes elsewhere.
    pub(super) fn short_loop(&self, at: usize) -> Option<usize> {
        let end = self.last_jumps.get(at).copied().flatten()? as usize;
        let ops = self.body.ops.get(at..=end).filter(|ops| ops.len() <= SHORT)?;
        let (last, body) = ops.split_last()?;
        let plain = |op: &Op| {
            let calls = matches!(op, Op::Call { .. } | Op::Suspend { .. });
            op.target().is_none() && !op.ends() && !calls
        };
        let alone = self.last_jumps.get(at + 1..=end)?.iter().all(Option::is_none);
        let branch = matches!(last, Op::Branch { .. });
        (branch && alone && body.iter().all(plain)).then_some(end)
    }

    /// Translates a short loop, whose block is the current one, and goes on behind it.
    pub(super) fn unroll(&mut self, at: usize, end: usize) {
        let head = self.target(at as u32);
        let [copies, single, done] = std::array::from_fn(|_| self.builder.create_block());
        let round = self.body.ops[at..=end].iter().filter(|op| **op != Op::Second).count();
        let remaining = self.builder.ins().get_pinned_reg(I64);
        let needed = self.number((round * ROUNDS) as u64);
        let code = IntCC::SignedGreaterThanOrEqual;
        let enough = self.builder.ins().icmp(code, remaining, needed);
        self.builder.ins().brif(enough, copies, &[], single, &[]);
        self.builder.set_cold_block(single);

        self.enter_block(copies);
        for _ in 1..ROUNDS {
            let condition = self.round(at, end);
            let [next, leave] = std::array::from_fn(|_| self.builder.create_block());
            self.builder.ins().brif(condition, next, &[], leave, &[]);
            self.builder.set_cold_block(leave);
            self.enter_block(leave);
            let owed = self.owed.now;
            self.settle(0);
            self.builder.ins().jump(done, &[]);
            self.enter_block(next);
            self.owed.now = owed;
        }
        let condition = self.round(at, end);
        self.settle(0);
        self.builder.ins().brif(condition, head, &[], done, &[]);

        self.enter_block(single);
        let condition = self.round(at, end);
        self.prepare_jump(at as u32, end as u32);
        self.builder.ins().brif(condition, head, &[], done, &[]);
        self.builder.seal_block(head);
        self.enter_block(done);
    }

    /// Translates a round up to its branch, whose condition it gives.
    fn round(&mut self, at: usize, end: usize) -> Value {
        for insn in at..end {
            let op = self.body.ops[insn];
            if op != Op::Second {
                self.owe(insn as u32);
                self.op(op, insn as u32);
            }
        }
        self.owe(end as u32);
        match self.body.ops[end] {
            Op::Branch { cond, wide, dst, src, .. } => self.condition(cond, wide, dst, src),
            _ => self.number(0),
        }
    }

    /// Goes on in a block, all ways to which are known.
    fn enter_block(&mut self, block: Block) {
        self.builder.seal_block(block);
        self.builder.switch_to_block(block);
    }
}
