// SPDX-License-Identifier: GPL-2.0-or-later
//! Which arguments functions look at, and who jumps where.

use crate::op::{Atomic, Op, Reg, Source};

/// For each instruction, the last one that jumps to it.
pub(crate) fn last_jumps(ops: &[Op]) -> Vec<Option<u32>> {
    let mut last = vec![None; ops.len()];
    for (from, op) in (0..).zip(ops) {
        if let Some(last) = op.target().and_then(|target| last.get_mut(target as usize)) {
            *last = Some(from);
        }
    }
    last
}

/// For each function, how many arguments it looks at: up to the highest of r1 to r5 that it, or
/// what it calls, may read before it writes it.
pub(crate) fn arities(functions: &[&[Op]]) -> Vec<Reg> {
    let mut arities = vec![0; functions.len()];
    loop {
        // One that looks at more makes those look at more that call it, so this ends.
        let before = arities.clone();
        for (number, ops) in functions.iter().enumerate() {
            let live = live_at_start(ops, &arities);
            arities[number] = (1..=5).rev().find(|arg| live & 1 << arg != 0).unwrap_or(0);
        }
        if arities == before {
            return arities;
        }
    }
}

/// Registers, as bits.
type Registers = u16;

/// The registers that may be read before they are written.
fn live_at_start(ops: &[Op], arities: &[Reg]) -> Registers {
    let mut live: Vec<Registers> = vec![0; ops.len() + 1];
    loop {
        // What is live at the target of a backward jump is known only after it was needed.
        let mut again = false;
        for (at, op) in ops.iter().enumerate().rev() {
            let next = if op.ends() { 0 } else { live[at + 1] };
            let target = op.target().map_or(0, |target| live[target as usize]);
            let (read, written) = effects(*op, arities);
            let here = read | (next | target) & !written;
            again |= here != live[at];
            live[at] = here;
        }
        if !again {
            return live[0];
        }
    }
}

/// The registers that an instruction reads, and those that it surely writes.
fn effects(op: Op, arities: &[Reg]) -> (Registers, Registers) {
    let bit = |register: Reg| 1 << register;
    let source = |source| match source {
        Source::Reg(register) => bit(register),
        Source::Imm(_) => 0,
    };
    let args = |count: Reg| (bit(count + 1) - 1) & !1;
    const CLOBBERED: Registers = 0x3f;
    match op {
        Op::Alu { alu: crate::op::Alu::Mov, dst, src, .. } => (source(src), bit(dst)),
        Op::Alu { dst, src, .. } => (bit(dst) | source(src), bit(dst)),
        Op::Neg { dst, .. } | Op::Bytes { dst, .. } => (bit(dst), bit(dst)),
        Op::SignExtend { dst, src, .. }
        | Op::CastKernel { dst, src }
        | Op::CastUser { dst, src } => (bit(src), bit(dst)),
        Op::Wide { dst, .. } => (0, bit(dst)),
        Op::Load { access, dst, .. } => (bit(access.pointer), bit(dst)),
        Op::Store { access, src } => (bit(access.pointer) | source(src), 0),
        Op::Atomic { atomic, access, src, .. } => {
            let expected = if atomic == Atomic::CmpXchg { bit(0) } else { 0 };
            (bit(access.pointer) | bit(src) | expected, 0)
        }
        Op::Branch { dst, src, .. } => (bit(dst) | source(src), 0),
        Op::Call { function } => {
            let arity = arities.get(function as usize).copied().unwrap_or(5);
            (args(arity) | bit(10), CLOBBERED)
        }
        Op::Suspend { .. } => (args(5), CLOBBERED),
        Op::Exit => (bit(0), 0),
        Op::Second | Op::Jump { .. } | Op::MayGoto { .. } | Op::Poisoned => (0, 0),
    }
}
