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
    let before: Vec<Before> = functions.iter().map(|ops| Before::new(ops)).collect();
    let mut callers = vec![Vec::new(); functions.len()];
    // The last instruction of the last function is the first to be looked at.
    let mut waiting = Vec::new();
    for (number, ops) in functions.iter().enumerate() {
        for (at, op) in ops.iter().enumerate() {
            waiting.push((number, at));
            if let Op::Call { function } = op
                && let Some(callers) = callers.get_mut(*function as usize)
            {
                callers.push((number, at));
            }
        }
    }
    let mut live: Vec<Vec<Registers>> = functions.iter().map(|ops| vec![0; ops.len()]).collect();
    let mut arities = vec![0; functions.len()];
    // Whatever changes only grows, so each instruction waits a few times at most.
    while let Some((number, at)) = waiting.pop() {
        let op = functions[number][at];
        let at_target = |to: u32| live[number].get(to as usize).copied().unwrap_or(0);
        let next = if op.ends() { 0 } else { at_target(at as u32 + 1) };
        let (read, written) = effects(op, &arities);
        let here = read | (next | op.target().map_or(0, at_target)) & !written;
        if here == live[number][at] {
            continue;
        }
        live[number][at] = here;
        waiting.extend(before[number].of(at).map(|from| (number, from)));
        let arity = (1..=5).rev().find(|arg| here & 1 << arg != 0).unwrap_or(0);
        if at == 0 && arity != arities[number] {
            arities[number] = arity;
            waiting.extend(&callers[number]);
        }
    }
    arities
}

/// Who comes before an instruction.
struct Before {
    /// Whether the one in front of it goes on to it.
    falls: Vec<bool>,
    /// Who jumps where, by target.
    jumps: Vec<(usize, usize)>,
}

impl Before {
    fn new(ops: &[Op]) -> Self {
        let falls = ops.iter().map(|op| !op.ends()).collect();
        let jumps = ops.iter().enumerate();
        let jumps = jumps.filter_map(|(from, op)| Some((op.target()? as usize, from)));
        let mut jumps: Vec<_> = jumps.collect();
        jumps.sort_unstable();
        Self { falls, jumps }
    }

    fn of(&self, at: usize) -> impl Iterator<Item = usize> {
        let above = at.checked_sub(1).filter(|above| self.falls[*above]);
        let first = self.jumps.partition_point(|(target, _)| *target < at);
        let jumps = self.jumps[first..].iter().take_while(move |(target, _)| *target == at);
        above.into_iter().chain(jumps.map(|(_, from)| *from))
    }
}

/// Registers, as bits.
type Registers = u16;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Alu;

    const EXIT: Op = Op::Exit;

    fn mov(dst: Reg, src: Reg) -> Op {
        Op::Alu { alu: Alu::Mov, wide: true, dst, src: Source::Reg(src) }
    }

    fn of(functions: &[Vec<Op>]) -> Vec<Reg> {
        arities(&functions.iter().map(|ops| &**ops).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_written_first_is_no_argument() {
        assert_eq!(of(&[vec![mov(0, 3), EXIT], vec![mov(4, 1), mov(0, 4), EXIT]]), [3, 1]);
        // Written on one of two ways only.
        let branch = Op::MayGoto { target: 2 };
        assert_eq!(of(&[vec![branch, mov(2, 1), mov(0, 2), EXIT]]), [2]);
        // Behind an end, and reached by no jump.
        assert_eq!(of(&[vec![EXIT, mov(0, 5), EXIT]]), [0]);
    }

    #[test]
    fn callees_look_for_their_callers_even_around_a_circle() {
        let call = |function| Op::Call { function };
        let circle = [
            vec![call(1), EXIT],
            vec![mov(1, 0), call(2), EXIT],
            vec![mov(0, 1), mov(0, 4), call(0), EXIT],
            vec![mov(1, 0), call(0), EXIT],
        ];
        assert_eq!(of(&circle), [4, 4, 4, 4]);
    }

    /// Looking at everything again until nothing changes would take more than a lifetime here.
    #[test]
    fn a_long_chain_is_followed_once() {
        let many = 300_000;
        let call = |function| vec![Op::Call { function }, EXIT];
        let mut functions: Vec<_> = (1..many).map(call).collect();
        functions.push(vec![mov(0, 2), EXIT]);
        assert_eq!(of(&functions), vec![2; many as usize]);
        // From the first instruction to the last, and from jump to jump back again.
        let mut ops = vec![Op::Jump { target: many }, mov(0, 3), EXIT, Op::Jump { target: 1 }];
        ops.extend((3..many).map(|target| Op::Jump { target }));
        assert_eq!(of(&[ops]), [3]);
    }
}
