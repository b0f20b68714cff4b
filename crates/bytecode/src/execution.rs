// SPDX-License-Identifier: GPL-2.0-or-later
//! One call of a function, which stops whenever it needs something from its driver.

use crate::fiber::Fiber;
use crate::instance::Instance;
use crate::interpreter::Interpreter;
use crate::memory::{KERNEL, KERNEL_BYTES};
use crate::op::{Callee, FRAME, FRAMES};
use crate::trap::{Place, Spot, Trap, TrapKind};
use rota_object::FunctionId;
use std::ops::Range;
use std::rc::Rc;

/// How code is executed. What can be observed is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As machine code; [`crate::Code::compile`] comes first.
    Jit,
    /// By the reference interpreter.
    Interpreter,
}

/// What to execute.
#[derive(Debug, Clone)]
pub struct Start {
    /// The function.
    pub function: FunctionId,
    /// r1 to r5.
    pub args: [u64; 5],
    /// Pointers to the memory for the stack, of [`STACK_BYTES`] at most; r10 is the end.
    pub stack: Range<u64>,
    /// How many instructions may be executed: after that, the next jump back traps, taken or not,
    /// and the next call, but for one of a small function that calls nobody.
    pub budget: u64,
}

/// How much stack an execution can use.
pub const STACK_BYTES: u64 = FRAME * FRAMES;

impl Start {
    /// The lowest r10 that a function can have.
    pub(crate) fn lowest_frame(&self) -> u64 {
        let bottom = self.stack.start.max(self.stack.end.saturating_sub(STACK_BYTES));
        bottom.saturating_add(FRAME)
    }
}

/// Why an execution can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such function.
    #[error("the code has no function {}", .0.0)]
    Function(FunctionId),
    /// A stack that is too small for one function, or not in the kernel's part of the memory.
    #[error(
        "{0:#x?} is no stack; it must lie in the kernel's part of memory and have {FRAME} bytes"
    )]
    Stack(Range<u64>),
    /// The code was not compiled.
    #[error("the code has no machine code; compile it first")]
    NotCompiled,
    /// The host has no memory for another stack.
    #[error("the host gives no stack: {0}; raise the limit of address space or of mappings")]
    Host(#[from] std::io::Error),
}

/// Where an execution stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It calls a helper or a kernel function, and wants r0.
    Call {
        /// Whom.
        callee: Callee,
        /// r1 to r5.
        args: [u64; 5],
        /// Instructions executed so far, the call included.
        insns: u64,
    },
    /// It has returned.
    Return {
        /// r0.
        value: u64,
        /// Instructions executed.
        insns: u64,
    },
    /// It did what it must not.
    Trap(Box<Trap>),
}

/// Who answers calls of helpers and kernel functions while the code that calls stands still.
pub trait Driver {
    /// r0 for a call with r1 to r5, made at a spot. With `None`, [`Execution::resume_with`] says
    /// [`Step::Call`], and is told then.
    fn answer(&mut self, callee: Callee, args: [u64; 5], spot: Spot) -> Option<u64>;
}

/// A call of a function: started, resumed after each step, and dropped at any time.
pub struct Execution {
    instance: Rc<Instance>,
    engine: Engine,
    ended: bool,
    suspended: bool,
}

enum Engine {
    Jit(Fiber),
    Interpreter(Box<Interpreter>),
}

/// Whether there is all that a call needs.
fn check(instance: &Instance, start: &Start) -> Result<(), StartError> {
    if !instance.code().has(start.function) {
        return Err(StartError::Function(start.function));
    }
    let Range { start: bottom, end: top } = start.stack;
    let inside = bottom >= KERNEL && top <= KERNEL + KERNEL_BYTES;
    if !inside || top.checked_sub(bottom).is_none_or(|size| size < FRAME) {
        return Err(StartError::Stack(start.stack.clone()));
    }
    Ok(())
}

impl Execution {
    /// Prepares a call; [`Execution::resume`] begins it.
    pub fn start(mode: Mode, instance: &Rc<Instance>, start: &Start) -> Result<Self, StartError> {
        check(instance, start)?;
        let engine = match mode {
            Mode::Jit => Engine::Jit(Fiber::new(instance, start)?),
            Mode::Interpreter => Engine::Interpreter(Box::new(Interpreter::new(start))),
        };
        Ok(Self { instance: Rc::clone(instance), engine, ended: false, suspended: false })
    }

    /// Prepares another call on the same instance, whatever this one has come to: like
    /// [`Execution::start`], but with everything that is there already.
    #[inline]
    pub fn restart(&mut self, start: &Start) -> Result<(), StartError> {
        check(&self.instance, start)?;
        match &mut self.engine {
            Engine::Jit(fiber) => fiber.restart(start)?,
            Engine::Interpreter(interpreter) => **interpreter = Interpreter::new(start),
        }
        (self.ended, self.suspended) = (false, false);
        Ok(())
    }

    /// Executes until the next step. `value` is the r0 that the last [`Step::Call`] wants, and
    /// means nothing at first. After [`Step::Return`] or [`Step::Trap`], a trap says that this was the
    /// end.
    pub fn resume(&mut self, value: u64) -> Step {
        self.go_on(value, None)
    }

    /// The same, but calls are put to a driver first, which is much faster than a step. What it does
    /// is done between two instructions, as between two steps.
    pub fn resume_with(&mut self, value: u64, driver: &mut dyn Driver) -> Step {
        self.go_on(value, Some(driver))
    }

    fn go_on(&mut self, value: u64, driver: Option<&mut dyn Driver>) -> Step {
        if self.ended { self.over() } else { self.step(value, driver) }
    }

    #[cold]
    fn over(&self) -> Step {
        let (kind, place) = (TrapKind::Internal("resumed after its end"), self.place());
        Step::Trap(Box::new(Trap { kind, place, insns: 0 }))
    }

    fn step(&mut self, value: u64, driver: Option<&mut dyn Driver>) -> Step {
        let step = match &mut self.engine {
            Engine::Jit(fiber) => fiber.resume(value, driver),
            Engine::Interpreter(interpreter) => {
                if self.suspended {
                    interpreter.answer(value);
                }
                interpreter.run(&self.instance, driver)
            }
        };
        self.suspended = true;
        self.ended = !matches!(step, Step::Call { .. });
        step
    }

    /// The instruction that the execution stands at: after a [`Step::Call`], the call.
    pub fn place(&self) -> Place {
        self.instance.code().place_of(self.spot())
    }

    /// The same, by numbers: cheap to keep, and [`crate::Code::place_of`] tells the place.
    pub fn spot(&self) -> Spot {
        let (function, insn) = match &self.engine {
            Engine::Jit(fiber) => fiber.place(),
            Engine::Interpreter(interpreter) => interpreter.place(self.instance.code()),
        };
        Spot { function, insn }
    }
}
