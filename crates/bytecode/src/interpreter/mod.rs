// SPDX-License-Identifier: GPL-2.0-or-later
//! The reference interpreter: one instruction after the other, as the standard says.

mod packed;
mod rare;

pub(crate) use packed::Program;

use crate::arith;
use crate::code::{Body, Code};
use crate::execution::{Driver, Start, Step};
use crate::instance::Instance;
use crate::memory::{Fault, fault, place_of};
use crate::op::{Alu, Callee, Cond, FRAME, MAY_GOTO, Op, POISON};
use crate::trap::{Spot, Trap, TrapKind};
use crate::window::Window;
use packed::{Code as C, Packed, SLOTS, Slot, four_forms};

/// Executes one instruction. One `match`, so that it is one jump.
macro_rules! dispatch {
    (
        ($this:ident $op:ident $body:ident $rest:ident $window:ident $instance:ident)
        alu { $(
            $alu:ident $alu_r:ident $alu_i:ident $alu32_r:ident $alu32_i:ident
            $mov_r:ident $mov_i:ident $mov32_r:ident $mov32_i:ident
        ),* }
        cond { $($cond:ident $cond_r:ident $cond_i:ident $cond32_r:ident $cond32_i:ident),* }
    ) => {
        match $op.code {
            $(
                C::$alu_r => $this.alu($op, Alu::$alu, $op.dst, $this.get($op.src)),
                C::$alu_i => $this.alu($op, Alu::$alu, $op.dst, $op.imm),
                C::$alu32_r => $this.alu32($op, Alu::$alu, $op.dst, $this.get($op.src)),
                C::$alu32_i => $this.alu32($op, Alu::$alu, $op.dst, $op.imm),
                C::$mov_r => {
                    $rest.next();
                    $this.alu($op, Alu::$alu, $op.first, $this.get($op.src))
                }
                C::$mov_i => {
                    $rest.next();
                    $this.alu($op, Alu::$alu, $op.first, $op.imm)
                }
                C::$mov32_r => {
                    $rest.next();
                    $this.alu32($op, Alu::$alu, $op.first, $this.get($op.src))
                }
                C::$mov32_i => {
                    $rest.next();
                    $this.alu32($op, Alu::$alu, $op.first, $op.imm)
                }
            )*
            $(
                C::$cond_r => $this.branch($op, Cond::$cond, $this.get($op.src)),
                C::$cond_i => $this.branch($op, Cond::$cond, $op.imm),
                C::$cond32_r => $this.branch32($op, Cond::$cond, $this.get($op.src)),
                C::$cond32_i => $this.branch32($op, Cond::$cond, $op.imm),
            )*
            C::Load8 => $this.load($op, 1, $window, |value| value),
            C::Load16 => $this.load($op, 2, $window, |value| value),
            C::Load32 => $this.load($op, 4, $window, |value| value),
            C::Load64 => $this.load($op, 8, $window, |value| value),
            C::LoadSigned8 => $this.load($op, 1, $window, |value| arith::sign_extend(value, 8)),
            C::LoadSigned16 => $this.load($op, 2, $window, |value| arith::sign_extend(value, 16)),
            C::LoadSigned32 => $this.load($op, 4, $window, |value| arith::sign_extend(value, 32)),
            C::Store8R => $this.store($op, 1, $this.get($op.src), $window),
            C::Store16R => $this.store($op, 2, $this.get($op.src), $window),
            C::Store32R => $this.store($op, 4, $this.get($op.src), $window),
            C::Store64R => $this.store($op, 8, $this.get($op.src), $window),
            C::Store8I => $this.store($op, 1, $op.imm, $window),
            C::Store16I => $this.store($op, 2, $op.imm, $window),
            C::Store32I => $this.store($op, 4, $op.imm, $window),
            C::Store64I => $this.store($op, 8, $op.imm, $window),
            C::MovR => $this.set($op.dst, $this.get($op.src)),
            C::MovI | C::Number => $this.set($op.dst, $op.imm),
            C::Mov32R => $this.set($op.dst, u64::from($this.get($op.src) as u32)),
            C::Mov32I => $this.set($op.dst, u64::from($op.imm as u32)),
            C::Address => $this.set($op.dst, $instance.address($op.imm as u32)),
            C::Jump => Flow::Jump,
            C::Call => Flow::Call,
            C::Suspend => Flow::Suspend,
            C::Exit => Flow::Return,
            C::Rare => $this.rare($op, $body.unpacked($rest.len()), $window, $instance),
        }
    };
}

/// An execution's whole state.
pub(crate) struct Interpreter {
    /// r0 to r10.
    registers: [u64; SLOTS],
    /// The function, and the instruction among its packed ones.
    function: u32,
    at: u32,
    /// How often `may_goto` goes on, in this call of the function.
    iterations: u64,
    callers: Vec<Caller>,
    insns: u64,
    budget: u64,
    /// The lowest r10 that a function can have.
    lowest_frame: u64,
    /// What it trapped for, once it has.
    bad: Bad,
}

/// What is kept of a function that called another.
struct Caller {
    /// r6 to r10.
    kept: [u64; 5],
    function: u32,
    at: u32,
    iterations: u64,
}

/// What comes after an instruction.
#[derive(Clone, Copy)]
enum Flow {
    Next,
    Jump,
    /// On with the next one, although it could have been a jump back.
    Stay,
    Call,
    Return,
    Suspend,
    Trap,
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
        let mut registers = [POISON; SLOTS];
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
            bad: Bad::Poisoned,
        }
    }

    /// Number of the function and of the instruction that was executed last.
    pub(crate) fn place(&self, code: &Code) -> (u32, u32) {
        let body = code.functions.get(self.function as usize);
        (self.function, body.map_or(0, |body| body.program.insn(self.at)))
    }

    /// Takes r0 from whoever was called.
    pub(crate) fn answer(&mut self, value: u64) {
        self.clobber(value);
        self.at += 1;
    }

    /// Executes until there is something to say. Calls are put to the driver first, if there is
    /// one.
    // As a part of its caller it would have fewer registers of the host.
    #[inline(never)]
    pub(crate) fn run(
        &mut self,
        instance: &Instance,
        mut driver: Option<&mut (dyn Driver + '_)>,
    ) -> Step {
        let window = instance.memory().window();
        let code = instance.code();
        loop {
            match self.execute(&code.functions, window, instance) {
                Flow::Suspend => match self.ask(code, driver.as_deref_mut()) {
                    Some(value) => self.answer(value),
                    None => return self.suspend(code),
                },
                Flow::Trap => return self.trap(code),
                _ => match self.callers.pop() {
                    Some(caller) => self.leave(&caller),
                    None => return Step::Return { value: self.registers[0], insns: self.insns },
                },
            }
        }
    }

    /// What the driver answers at once, if it does.
    fn ask(&self, code: &Code, driver: Option<&mut (dyn Driver + '_)>) -> Option<u64> {
        let (function, insn) = self.place(code);
        driver?.answer(self.callee(code)?, self.args(), Spot { function, insn })
    }

    /// Executes until a function returns, or there is something to say.
    fn execute(&mut self, functions: &[Body], window: &Window, instance: &Instance) -> Flow {
        let mut body = &functions[self.function as usize];
        // The first instruction that is not counted yet, and those that are still to come.
        let mut begin = self.at as usize;
        let mut rest = body.program.ops[begin..].iter();
        loop {
            let Some(op) = rest.next() else {
                return Flow::Return;
            };
            let flow = four_forms!(dispatch, self, op, body, rest, window, instance);
            if let Flow::Next = flow {
                continue;
            }
            let next = body.program.ops.len() - rest.len();
            self.insns += (next - begin) as u64;
            begin = next;
            let allowed = op.off >= 0 || self.insns <= self.budget;
            if let Flow::Jump = flow {
                if allowed {
                    begin = op.target();
                    rest = body.program.ops[begin..].iter();
                    continue;
                }
            } else if let Flow::Stay = flow
                && allowed
            {
                continue;
            }
            self.at = next as u32 - 1;
            match flow {
                Flow::Call if self.call(op.off as u32, functions) => {
                    body = &functions[self.function as usize];
                    begin = 0;
                    rest = body.program.ops.iter();
                }
                Flow::Jump | Flow::Stay => return self.bad(Bad::Budget),
                Flow::Call => return Flow::Trap,
                end => return end,
            }
        }
    }

    #[inline(always)]
    fn get(&self, slot: Slot) -> u64 {
        self.registers[slot as usize]
    }

    #[inline(always)]
    fn set(&mut self, slot: Slot, value: u64) -> Flow {
        self.registers[slot as usize] = value;
        Flow::Next
    }

    #[inline(always)]
    fn alu(&mut self, op: &Packed, alu: Alu, a: Slot, b: u64) -> Flow {
        self.set(op.dst, arith::alu64(alu, self.get(a), b))
    }

    #[inline(always)]
    fn alu32(&mut self, op: &Packed, alu: Alu, a: Slot, b: u64) -> Flow {
        self.set(op.dst, arith::alu32(alu, self.get(a) as u32, b as u32))
    }

    #[inline(always)]
    fn branch(&self, op: &Packed, cond: Cond, b: u64) -> Flow {
        if arith::holds(cond, self.get(op.dst), b) {
            Flow::Jump
        } else if op.off < 0 {
            Flow::Stay
        } else {
            Flow::Next
        }
    }

    #[inline(always)]
    fn branch32(&self, op: &Packed, cond: Cond, b: u64) -> Flow {
        let (a, b) = (arith::sign_extend(self.get(op.dst), 32), arith::sign_extend(b, 32));
        if arith::holds(cond, a, b) {
            Flow::Jump
        } else if op.off < 0 {
            Flow::Stay
        } else {
            Flow::Next
        }
    }

    /// Where in the window an access goes.
    #[inline(always)]
    fn place_of(&self, pointer: Slot, off: i32) -> i64 {
        place_of(self.get(pointer)) + i64::from(off)
    }

    #[inline(always)]
    fn load(
        &mut self,
        op: &Packed,
        size: usize,
        window: &Window,
        extend: impl FnOnce(u64) -> u64,
    ) -> Flow {
        match window.load(self.place_of(op.src, op.off), size) {
            Ok(value) => self.set(op.dst, extend(value)),
            Err(at) => self.bad(Bad::Memory(fault(at, size as u64, false))),
        }
    }

    #[inline(always)]
    fn store(&mut self, op: &Packed, size: usize, value: u64, window: &Window) -> Flow {
        match window.store(self.place_of(op.dst, op.off), size, value) {
            Ok(()) => Flow::Next,
            Err(at) => self.bad(Bad::Memory(fault(at, size as u64, true))),
        }
    }

    /// Enters a function, if it can be.
    fn call(&mut self, function: u32, functions: &[Body]) -> bool {
        let frame = self.registers[10].wrapping_sub(FRAME);
        if frame < self.lowest_frame {
            self.bad(Bad::StackOverflow);
            return false;
        }
        let mut kept = [0; 5];
        kept.copy_from_slice(&self.registers[6..11]);
        let iterations = self.iterations;
        self.callers.push(Caller { kept, function: self.function, at: self.at, iterations });
        self.registers[6..10].fill(POISON);
        self.registers[0] = POISON;
        self.registers[10] = frame;
        (self.function, self.at, self.iterations) = (function, 0, MAY_GOTO);
        let over = self.insns > self.budget && !functions[function as usize].small;
        if over {
            self.bad(Bad::Budget);
        }
        !over
    }

    /// Goes back to the caller.
    fn leave(&mut self, caller: &Caller) {
        self.registers[6..11].copy_from_slice(&caller.kept);
        self.clobber(self.registers[0]);
        (self.function, self.iterations) = (caller.function, caller.iterations);
        self.at = caller.at + 1;
    }

    /// What registers hold after a call.
    fn clobber(&mut self, value: u64) {
        self.registers[0] = value;
        self.registers[1..6].fill(POISON);
    }

    /// Whom the instruction calls.
    fn callee(&self, code: &Code) -> Option<Callee> {
        let (function, insn) = self.place(code);
        match code.functions.get(function as usize)?.ops.get(insn as usize)? {
            Op::Suspend { callee } => Some(*callee),
            _ => None,
        }
    }

    /// r1 to r5.
    fn args(&self) -> [u64; 5] {
        std::array::from_fn(|i| self.registers[i + 1])
    }

    fn suspend(&self, code: &Code) -> Step {
        match self.callee(code) {
            Some(callee) => Step::Call { callee, args: self.args(), insns: self.insns },
            None => self.trap(code),
        }
    }

    /// Keeps what is wrong.
    #[cold]
    fn bad(&mut self, bad: Bad) -> Flow {
        self.bad = bad;
        Flow::Trap
    }

    fn trap(&self, code: &Code) -> Step {
        let (function, at) = self.place(code);
        let kind = match self.bad {
            Bad::Memory(fault) => TrapKind::Memory(fault),
            Bad::Misaligned { pointer, size } => TrapKind::Misaligned { pointer, size },
            Bad::StackOverflow => TrapKind::StackOverflow,
            Bad::Budget => TrapKind::Budget,
            Bad::Poisoned => TrapKind::Poisoned(code.poison(function, at)),
        };
        Step::Trap(Box::new(Trap { kind, place: code.place(function, at), insns: self.insns }))
    }
}
