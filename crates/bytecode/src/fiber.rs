// SPDX-License-Identifier: GPL-2.0-or-later
//! Machine code on a stack of its own, so that it can be left in the middle.
//!
//! A fiber's stack holds frames of machine code, of [`suspend`], and of the one closure that
//! enters the code. None of them owns anything: everything is in the [`Context`], which the fiber's
//! owner frees. So a fiber can be left for good wherever it stands, by a trap or by its owner.
#![allow(unsafe_code)]

use crate::execution::{Start, StartError, Step};
use crate::instance::Instance;
use crate::jit::{Cause, What};
use crate::memory::{Fault, place_of, pointer_of};
use crate::op::{Op, POISON};
use crate::signal::{self, Active};
use crate::trap::{Trap, TrapKind};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use cranelift_jit::JITModule;
use std::cell::RefCell;
use std::mem::offset_of;
use std::ptr;
use std::rc::Rc;

/// Size of a fiber's stack on the host.
pub(crate) const HOST_STACK: usize = 256 << 10;
/// How many unused stacks a thread keeps.
const SPARE: usize = 64;

thread_local! {
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// What machine code knows of its execution. Its first fields are those that code reads.
#[repr(C)]
pub(crate) struct Context {
    /// The host's address of the window.
    pub(crate) base: *mut u8,
    /// The instance's addresses.
    pub(crate) addresses: *const u64,
    /// The upper half of the arena's pointers in user space.
    pub(crate) arena_half: u64,
    /// The host's address of the lowest r10 that a function can have.
    pub(crate) lowest_frame: u64,
    /// How much higher the host's addresses of the stack are than the pointers to it.
    pub(crate) stack_distance: u64,
    /// What is left of the budget; negative when it is exceeded. While code runs, a register of
    /// the host has it.
    pub(crate) remaining: i64,
    /// r1 to r5, at first and of a call to the driver.
    args: [u64; 5],
    yielder: *const Yielder<u64, Said>,
}

impl Context {
    /// Offsets of r1 to r5.
    pub(crate) const ARGS: [usize; 5] = {
        let first = offset_of!(Self, args);
        [first, first + 8, first + 16, first + 24, first + 32]
    };
}

/// What a fiber says to its owner.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    /// It stands at this site, with this number.
    Site(u64, u64),
    /// The function has returned this.
    Return(u64),
    /// An instruction of machine code faulted.
    Fault,
}

/// The entrance to machine code: takes the address of a function, and the host's of its stack's end.
type Entrance = extern "sysv64" fn(*mut Context, usize, u64) -> u64;

/// Called by machine code, on the fiber's stack: says where it stands, and waits for the answer.
pub(crate) extern "sysv64" fn suspend(context: *mut Context, site: u64, value: u64) -> u64 {
    // SAFETY: machine code passes the context that it was entered with, which lives as long as the
    // fiber and to which nobody holds a reference. Its yielder, which lives on this very stack,
    // was set before the code was entered.
    let yielder = unsafe { &*(*context).yielder };
    yielder.suspend(Said::Site(site, value))
}

/// Frees the memory of machine code.
pub(crate) fn free(module: JITModule) {
    // SAFETY: the code's owner is being dropped. Every fiber holds its instance, which holds the
    // code, so no fiber executes it or ever will; nobody else has pointers into it.
    unsafe { module.free_memory() };
}

/// An execution of machine code.
pub(crate) struct Fiber {
    /// `None` once it has ended.
    coroutine: Option<Coroutine<u64, Said, Said, DefaultStack>>,
    /// From a box; freed in `drop`.
    context: *mut Context,
    instance: Rc<Instance>,
    budget: i64,
    /// How many instructions were executed and not yet counted.
    owed: i64,
    place: (u32, u32),
}

impl Fiber {
    /// Prepares an execution.
    pub(crate) fn new(instance: &Rc<Instance>, start: &Start) -> Result<Self, StartError> {
        signal::install()?;
        let compiled = instance.code().compiled().ok_or(StartError::NotCompiled)?;
        let function = start.function;
        let entry = compiled.entry(function.0).ok_or(StartError::Function(function))?;
        let spare = STACKS.with_borrow_mut(Vec::pop);
        let stack = spare.map_or_else(|| DefaultStack::new(HOST_STACK), Ok)?;
        // Half the range, so that counting down never wraps before it is looked at.
        let budget = start.budget.min(i64::MAX as u64 / 2) as i64;
        let base = instance.memory().base();
        let host_stack = (base as u64).wrapping_add(place_of(start.stack.start) as u64);
        let stack_distance = host_stack.wrapping_sub(start.stack.start);
        let context = Box::into_raw(Box::new(Context {
            base,
            addresses: instance.addresses().as_ptr(),
            arena_half: instance.arena_half(),
            lowest_frame: start.lowest_frame().wrapping_add(stack_distance),
            stack_distance,
            remaining: budget,
            args: start.args,
            yielder: ptr::null(),
        }));
        let frame = start.stack.end.wrapping_add(stack_distance);
        let entrance = compiled.entrance();
        let coroutine = Coroutine::with_stack(stack, move |yielder, _| {
            // SAFETY: the context lives until the fiber is dropped, and no reference to it does.
            unsafe { (*context).yielder = yielder };
            // SAFETY: the address is that of the entrance, which was compiled with this signature,
            // in code that the fiber's instance keeps.
            let enter = unsafe { std::mem::transmute::<usize, Entrance>(entrance) };
            Said::Return(enter(context, entry, frame))
        });
        let instance = Rc::clone(instance);
        let place = (function.0, 0);
        Ok(Self { coroutine: Some(coroutine), context, instance, budget, owed: 0, place })
    }

    /// Function and instruction that it stands at.
    pub(crate) fn place(&self) -> (u32, u32) {
        self.place
    }

    /// Executes until there is something to say.
    pub(crate) fn resume(&mut self, value: u64) -> Step {
        let (Some(coroutine), Some(compiled)) =
            (&mut self.coroutine, self.instance.code().compiled())
        else {
            return self.internal("resumed after its end");
        };
        let memory = self.instance.memory();
        let active = Active::new(coroutine.trap_handler(), compiled.range(), memory.host_range());
        let said = match signal::catching(&active, || coroutine.resume(value)) {
            CoroutineResult::Yield(said) | CoroutineResult::Return(said) => said,
        };
        match said {
            Said::Return(value) => {
                self.owed = 0;
                let insns = self.insns();
                self.end();
                Step::Return { value, insns }
            }
            Said::Fault => {
                let (pc, address, remaining) = active.fault();
                // SAFETY: the context lives as long as `self`; the fiber, which writes to it, has
                // ended.
                unsafe { (*self.context).remaining = remaining };
                let Some((function, risk)) = compiled.fault_at(pc) else {
                    return self.internal("machine code faulted where it must not");
                };
                self.owed = risk.owed;
                let place = (function, risk.insn);
                match risk.cause {
                    Cause::Budget => self.trap(TrapKind::Budget, place),
                    Cause::StackOverflow => self.trap(TrapKind::StackOverflow, place),
                    Cause::Access => {
                        let offset = (address as i64).wrapping_sub(memory.base() as i64);
                        self.fault(place, offset)
                    }
                }
            }
            Said::Site(site, value) => self.site(site as u32, value),
        }
    }

    /// What the code says at a site.
    fn site(&mut self, number: u32, value: u64) -> Step {
        let site = self.instance.code().compiled().and_then(|compiled| compiled.site(number));
        let Some(site) = site else {
            return self.internal("machine code stands at a site that it does not have");
        };
        let place = (site.function, site.insn);
        self.owed = site.owed;
        match site.what {
            What::Call { callee, poisoned } => {
                self.place = place;
                // SAFETY: the context lives as long as `self`; the fiber, which writes to it, is
                // suspended.
                let mut args = unsafe { (*self.context).args };
                for (arg, poisoned) in args.iter_mut().zip(poisoned) {
                    if poisoned {
                        *arg = POISON;
                    }
                }
                Step::Call { callee, args, insns: self.insns() }
            }
            What::Poisoned => {
                let words = self.instance.code().poison(place.0, place.1);
                self.trap(TrapKind::Poisoned(words), place)
            }
            What::Misaligned { size } => {
                let pointer = pointer_of(value as i64);
                self.trap(TrapKind::Misaligned { pointer, size }, place)
            }
        }
    }

    /// The end by a fault at an instruction's access to memory.
    fn fault(&mut self, place: (u32, u32), offset: i64) -> Step {
        let pointer = pointer_of(offset);
        let body = self.instance.code().functions.get(place.0 as usize);
        let fault = match body.and_then(|body| body.ops.get(place.1 as usize)) {
            Some(Op::Load { access, .. }) => {
                Fault { pointer, size: access.size.bytes() as u64, write: false }
            }
            Some(Op::Store { access, .. } | Op::Atomic { access, .. }) => {
                Fault { pointer, size: access.size.bytes() as u64, write: true }
            }
            _ => Fault { pointer, size: 0, write: false },
        };
        self.trap(TrapKind::Memory(fault), place)
    }

    /// The end by what no program can do.
    fn internal(&mut self, what: &'static str) -> Step {
        self.trap(TrapKind::Internal(what), self.place)
    }

    /// The end of it by a trap.
    fn trap(&mut self, kind: TrapKind, place: (u32, u32)) -> Step {
        self.place = place;
        let insns = self.insns();
        self.end();
        let place = self.instance.code().place(place.0, place.1);
        Step::Trap(Trap { kind, place, insns })
    }

    fn insns(&self) -> u64 {
        // SAFETY: the context lives as long as `self`; the fiber, which writes to it, does not
        // run.
        let remaining = unsafe { (*self.context).remaining };
        (self.budget - remaining + self.owed) as u64
    }

    /// Leaves the code for good, and keeps the stack for another.
    fn end(&mut self) {
        if let Some(mut coroutine) = self.coroutine.take() {
            // SAFETY: nothing on the fiber's stack owns anything, as the module's words say.
            unsafe { coroutine.force_reset() };
            let stack = coroutine.into_stack();
            // At the end of a thread there may be no such list any more.
            let _ = STACKS.try_with(|stacks| {
                let mut stacks = stacks.borrow_mut();
                if stacks.len() < SPARE {
                    stacks.push(stack);
                }
            });
        }
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        self.end();
        // SAFETY: it came from `Box::into_raw`, and the code that used it was left for good.
        drop(unsafe { Box::from_raw(self.context) });
    }
}

#[cfg(test)]
#[path = "fiber_tests.rs"]
mod tests;
