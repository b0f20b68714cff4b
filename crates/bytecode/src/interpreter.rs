// SPDX-License-Identifier: GPL-2.0-or-later
//! The reference interpreter: one instruction after the other, as the standard says.

use crate::arith;
use crate::execution::{Start, Step};
use crate::instance::Instance;
use crate::memory::{Fault, fault, place_of, pointer_of};
use crate::op::{Access, Atomic, Callee, FRAME, MAY_GOTO, Op, POISON, Reg, Size, Source, Wide};
use crate::trap::{Trap, TrapKind};
use crate::windows::Windows;

/// r0 to r10, and as many more as make a power of two.
type Registers = [u64; 16];

/// An execution's whole state.
pub(crate) struct Interpreter {
    registers: Registers,
    /// The function and the next instruction.
    function: u32,
    at: u32,
    /// How often `may_goto` goes on, in this call of the function.
    iterations: u64,
    callers: Vec<Caller>,
    insns: u64,
    budget: u64,
    /// The lowest r10 that a function can have.
    lowest_frame: u64,
}

/// What is kept of a function that called another.
struct Caller {
    /// r6 to r10.
    kept: [u64; 5],
    function: u32,
    at: u32,
    iterations: u64,
}

/// How an instruction ends.
#[derive(Clone, Copy)]
enum Flow {
    Next,
    Goto(u32),
    Return,
    Call(u32),
    Suspend(Callee),
    Trap(Bad),
}

/// What a trap will say, as long as it must be cheap to pass on.
#[derive(Clone, Copy)]
enum Bad {
    Memory(Fault),
    Misaligned { pointer: u64, size: u64 },
    StackOverflow,
    Budget,
    Poisoned,
}

impl Interpreter {
    pub(crate) fn new(start: &Start) -> Self {
        let mut registers = [POISON; 16];
        registers[1..6].copy_from_slice(&start.args);
        registers[10] = start.stack.end;
        Self {
            registers,
            function: start.function.0,
            at: 0,
            iterations: MAY_GOTO,
            callers: Vec::new(),
            insns: 0,
            budget: start.budget,
            lowest_frame: start.lowest_frame(),
        }
    }

    /// Number of the function and of the instruction that was executed last.
    pub(crate) fn place(&self) -> (u32, u32) {
        (self.function, self.at)
    }

    /// Takes r0 from whoever was called.
    pub(crate) fn answer(&mut self, value: u64) {
        self.clobber(value);
        self.at += 1;
    }

    /// Executes until there is something to say.
    pub(crate) fn run(&mut self, instance: &Instance) -> Step {
        let windows = instance.memory().windows();
        loop {
            let body = &instance.code().functions[self.function as usize];
            if let Some(step) = self.function(&body.ops, &windows, instance) {
                return step;
            }
        }
    }

    /// Executes until another function is the active one, or there is something to say.
    fn function(&mut self, ops: &[Op], windows: &Windows, instance: &Instance) -> Option<Step> {
        let (mut at, mut insns) = (self.at, self.insns);
        let end = loop {
            let Some(op) = ops.get(at as usize) else {
                break Flow::Return;
            };
            insns += u64::from(!matches!(op, Op::Second));
            match self.execute(op, windows, instance) {
                Flow::Next => at += 1,
                Flow::Goto(target) if target <= at && insns > self.budget => {
                    break Flow::Trap(Bad::Budget);
                }
                Flow::Goto(target) => at = target,
                end => break end,
            }
        };
        (self.at, self.insns) = (at, insns);
        match end {
            Flow::Call(function) => {
                let called = self.call(function);
                called.err().map(|bad| self.trap(instance, bad))
            }
            Flow::Suspend(callee) => Some(self.suspend(callee)),
            Flow::Trap(bad) => Some(self.trap(instance, bad)),
            Flow::Return | Flow::Next | Flow::Goto(_) => self.leave(),
        }
    }

    #[inline(always)]
    fn execute(&mut self, op: &Op, windows: &Windows, instance: &Instance) -> Flow {
        match *op {
            Op::Alu { alu, wide: true, dst, src } => {
                let result = arith::alu64(alu, self.get(dst), self.source(src));
                self.set(dst, result);
            }
            Op::Alu { alu, wide: false, dst, src } => {
                let result = arith::alu32(alu, self.get(dst) as u32, self.source(src) as u32);
                self.set(dst, result);
            }
            Op::Branch { cond, wide, dst, src, target } => {
                let (mut a, mut b) = (self.get(dst), self.source(src));
                if !wide {
                    (a, b) = (arith::sign_extend(a, 32), arith::sign_extend(b, 32));
                }
                if arith::holds(cond, a, b) {
                    return Flow::Goto(target);
                }
            }
            Op::Load { access, signed, dst } => match self.load(access, windows) {
                Ok(value) if signed => {
                    self.set(dst, arith::sign_extend(value, access.size.bytes() as u32 * 8));
                }
                Ok(value) => self.set(dst, value),
                Err(bad) => return Flow::Trap(bad),
            },
            Op::Store { access, src } => {
                let value = self.source(src);
                if let Err(bad) = self.store(access, value, windows) {
                    return Flow::Trap(bad);
                }
            }
            Op::Jump { target } => return Flow::Goto(target),
            Op::Wide { dst, value: Wide::Imm(value) } => self.set(dst, value),
            Op::Wide { dst, value: Wide::Address(index) } => {
                self.set(dst, instance.address(index));
            }
            Op::Second => {}
            Op::Exit => return Flow::Return,
            Op::Suspend { callee } => return Flow::Suspend(callee),
            Op::Call { function } => return Flow::Call(function),
            _ => return self.execute_rare(op, windows, instance.arena_half()),
        }
        Flow::Next
    }

    fn execute_rare(&mut self, op: &Op, windows: &Windows, arena_half: u64) -> Flow {
        match *op {
            Op::Neg { wide, dst } => {
                let value = self.get(dst).wrapping_neg();
                self.set(dst, if wide { value } else { u64::from(value as u32) });
            }
            Op::SignExtend { wide, bits, dst, src } => {
                let value = arith::sign_extend(self.get(src), bits);
                self.set(dst, if wide { value } else { u64::from(value as u32) });
            }
            Op::Bytes { order, bits, dst } => {
                let value = arith::bytes(order, bits, self.get(dst));
                self.set(dst, value);
            }
            Op::CastKernel { dst, src } => self.set(dst, u64::from(self.get(src) as u32)),
            Op::CastUser { dst, src } => {
                let low = u64::from(self.get(src) as u32);
                let user = if low == 0 { 0 } else { low | arena_half };
                self.set(dst, user);
            }
            Op::Atomic { atomic, fetch, access, src } => {
                if let Err(bad) = self.atomic(atomic, fetch, access, src, windows) {
                    return Flow::Trap(bad);
                }
            }
            Op::MayGoto { target } => {
                let Some(left) = self.iterations.checked_sub(1) else {
                    return Flow::Goto(target);
                };
                self.iterations = left;
            }
            _ => return Flow::Trap(Bad::Poisoned),
        }
        Flow::Next
    }

    #[inline]
    fn get(&self, register: Reg) -> u64 {
        self.registers[usize::from(register & 15)]
    }

    #[inline]
    fn set(&mut self, register: Reg, value: u64) {
        self.registers[usize::from(register & 15)] = value;
    }

    #[inline]
    fn source(&self, source: Source) -> u64 {
        match source {
            Source::Reg(register) => self.get(register),
            Source::Imm(value) => value as u64,
        }
    }

    /// Where in the windows an access goes.
    #[inline]
    fn place_of(&self, access: Access) -> Result<i64, Bad> {
        let place = place_of(self.get(access.pointer)) + i64::from(access.off);
        let size = access.size.bytes() as u64;
        if access.aligned && !(place as u64).is_multiple_of(size) {
            return Err(Bad::Misaligned { pointer: pointer_of(place), size });
        }
        Ok(place)
    }

    #[inline]
    fn load(&self, access: Access, windows: &Windows) -> Result<u64, Bad> {
        let size = access.size.bytes();
        let loaded = windows.load(self.place_of(access)?, size);
        loaded.map_err(|at| Bad::Memory(fault(at, size as u64, false)))
    }

    #[inline]
    fn store(&self, access: Access, value: u64, windows: &Windows) -> Result<(), Bad> {
        let size = access.size.bytes();
        let stored = windows.store(self.place_of(access)?, size, value);
        stored.map_err(|at| Bad::Memory(fault(at, size as u64, true)))
    }

    fn atomic(
        &mut self,
        atomic: Atomic,
        fetch: bool,
        access: Access,
        src: Reg,
        windows: &Windows,
    ) -> Result<(), Bad> {
        let narrow = |value| if access.size == Size::W { u64::from(value as u32) } else { value };
        // It needs memory that can be written, even where it would only read.
        let old = self.load(access, windows).map_err(|bad| match bad {
            Bad::Memory(fault) => Bad::Memory(Fault { write: true, ..fault }),
            bad => bad,
        })?;
        let new = arith::atomic(atomic, old, narrow(self.get(src)), narrow(self.get(0)));
        self.store(access, new, windows)?;
        match atomic {
            Atomic::CmpXchg => self.set(0, old),
            _ if fetch => self.set(src, old),
            _ => {}
        }
        Ok(())
    }

    fn call(&mut self, function: u32) -> Result<(), Bad> {
        let frame = self.registers[10].wrapping_sub(FRAME);
        if frame < self.lowest_frame {
            return Err(Bad::StackOverflow);
        }
        let mut kept = [0; 5];
        kept.copy_from_slice(&self.registers[6..11]);
        let iterations = self.iterations;
        self.callers.push(Caller { kept, function: self.function, at: self.at, iterations });
        self.registers[6..10].fill(POISON);
        self.registers[0] = POISON;
        self.registers[10] = frame;
        (self.function, self.at, self.iterations) = (function, 0, MAY_GOTO);
        if self.insns > self.budget { Err(Bad::Budget) } else { Ok(()) }
    }

    /// Goes back to the caller; or, out of the first function, says what it returns.
    fn leave(&mut self) -> Option<Step> {
        let value = self.registers[0];
        let Some(caller) = self.callers.pop() else {
            return Some(Step::Return { value, insns: self.insns });
        };
        self.registers[6..11].copy_from_slice(&caller.kept);
        self.clobber(value);
        (self.function, self.iterations) = (caller.function, caller.iterations);
        self.at = caller.at + 1;
        None
    }

    /// What registers hold after a call.
    fn clobber(&mut self, value: u64) {
        self.registers[0] = value;
        self.registers[1..6].fill(POISON);
    }

    fn suspend(&self, callee: Callee) -> Step {
        let mut args = [0; 5];
        args.copy_from_slice(&self.registers[1..6]);
        Step::Call { callee, args, insns: self.insns }
    }

    #[cold]
    fn trap(&self, instance: &Instance, bad: Bad) -> Step {
        let (function, at) = self.place();
        let kind = match bad {
            Bad::Memory(fault) => TrapKind::Memory(fault),
            Bad::Misaligned { pointer, size } => TrapKind::Misaligned { pointer, size },
            Bad::StackOverflow => TrapKind::StackOverflow,
            Bad::Budget => TrapKind::Budget,
            Bad::Poisoned => TrapKind::Poisoned(instance.code().poison(function, at)),
        };
        let place = instance.code().place(function, at);
        Step::Trap(Trap { kind, place, insns: self.insns })
    }
}
