// SPDX-License-Identifier: GPL-2.0-or-later
//! Machine code on a stack of its own, so that it can be left in the middle.
//!
//! A fiber's stack holds frames of machine code, of [`suspend`], and of the one closure that
//! enters the code. None of them owns anything: everything is in the [`Context`], which the fiber's
//! owner frees. So a fiber can be left for good wherever it stands, by a trap or by its owner.
//! Drivers that answer calls at once do so on the stack of whoever resumed the fiber.
#![allow(unsafe_code)]

use crate::execution::{Driver, Start, StartError, Step};
use crate::instance::Instance;
use crate::jit::{Cause, Compiled, Site, What};
use crate::memory::{Fault, place_of, pointer_of};
use crate::op::{Op, POISON};
use crate::signal::{self, Active};
use crate::trap::{Spot, Trap, TrapKind};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use cranelift_jit::JITModule;
use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::rc::Rc;

/// Size of a fiber's stack on the host.
pub(crate) const HOST_STACK: usize = 256 << 10;
/// How many unused runners a thread keeps.
const SPARE: usize = 64;

thread_local! {
    static SPARES: RefCell<Vec<Runner>> = const { RefCell::new(Vec::new()) };
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
    /// The addresses of the entrance and of the function, and the host's of its stack's end.
    entrance: usize,
    entry: usize,
    frame: u64,
    yielder: *const Yielder<u64, Said>,
    /// While the fiber runs, the [`Asked`] whom its calls are put to first; null if there is none.
    asked: *mut c_void,
}

impl Context {
    /// Offsets of r1 to r5.
    pub(crate) const ARGS: [usize; 5] = {
        let first = offset_of!(Self, args);
        [first, first + 8, first + 16, first + 24, first + 32]
    };

    /// Notes what code is to be entered with: of the instance, and of the call.
    fn set(&mut self, instance: &Instance, start: &Start) -> Result<(), StartError> {
        let compiled = instance.code().compiled().ok_or(StartError::NotCompiled)?;
        let function = start.function;
        self.entry = compiled.entry(function.0).ok_or(StartError::Function(function))?;
        self.entrance = compiled.entrance();
        self.base = instance.memory().base();
        self.addresses = instance.addresses().as_ptr();
        self.arena_half = instance.arena_half();
        let host_stack = (self.base as u64).wrapping_add(place_of(start.stack.start) as u64);
        self.stack_distance = host_stack.wrapping_sub(start.stack.start);
        self.lowest_frame = start.lowest_frame().wrapping_add(self.stack_distance);
        self.frame = start.stack.end.wrapping_add(self.stack_distance);
        // Half the range, so that counting down never wraps before it is looked at.
        self.remaining = start.budget.min(i64::MAX as u64 / 2) as i64;
        self.args = start.args;
        Ok(())
    }

    /// Of no execution.
    const NONE: Self = Self {
        base: ptr::null_mut(),
        addresses: ptr::null(),
        arena_half: 0,
        lowest_frame: 0,
        stack_distance: 0,
        remaining: 0,
        args: [0; 5],
        entrance: 0,
        entry: 0,
        frame: 0,
        yielder: ptr::null(),
        asked: ptr::null_mut(),
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

/// Who is asked first when machine code calls.
struct Asked<'a> {
    compiled: &'a Compiled,
    driver: &'a mut dyn Driver,
    /// What it panicked with: machine code can't be unwound, so this has to wait.
    panic: Option<Box<dyn Any + Send>>,
}

impl Asked<'_> {
    /// What the driver answers at once to what stands at a site, if it does.
    fn answer(&mut self, site: &Site, args: &[u64; 5]) -> Option<u64> {
        let What::Call { callee, poisoned } = site.what else { return None };
        let spot = Spot { function: site.function, insn: site.insn };
        let args = without(args, poisoned);
        // The driver is not used again after it panicked.
        let answer = catch_unwind(AssertUnwindSafe(|| self.driver.answer(callee, args, spot)));
        answer.unwrap_or_else(|panic| {
            self.panic = Some(panic);
            None
        })
    }
}

/// Arguments, of which some were not passed: they hold poison.
fn without(args: &[u64; 5], poisoned: [bool; 5]) -> [u64; 5] {
    std::array::from_fn(|i| if poisoned[i] { POISON } else { args[i] })
}

/// A fiber that calls, as seen from the stack of whoever resumed it.
struct Calling(*mut Context);

// SAFETY: it goes from one stack to another of the same thread.
unsafe impl Send for Calling {}

impl Calling {
    /// What the driver, if there is one, answers at once to what stands at a site.
    fn ask(self, site: u64) -> Option<u64> {
        // SAFETY: the context lives as long as the fiber, which stands still meanwhile. `resume` set
        // `asked` to null or to an `Asked` of its own frame, to which it does nothing until the
        // fiber is left again.
        let (asked, args) = unsafe {
            let asked = (*self.0).asked.cast::<Asked<'_>>().as_mut();
            (asked?, &(*self.0).args)
        };
        let site = asked.compiled.site(site as u32)?;
        asked.answer(&site, args)
    }
}

/// Called by machine code, on the fiber's stack: says where it stands, and waits for the answer.
pub(crate) extern "sysv64" fn suspend(context: *mut Context, site: u64, value: u64) -> u64 {
    // SAFETY: machine code passes the context that it was entered with, which lives as long as the
    // fiber and to which nobody holds a reference. Its yielder, which lives on this very stack,
    // was set before the code was entered.
    let yielder = unsafe { &*(*context).yielder };
    let calling = Calling(context);
    match yielder.on_parent_stack(move || calling.ask(site)) {
        Some(answer) => answer,
        None => yielder.suspend(Said::Site(site, value)),
    }
}

/// Frees the memory of machine code.
pub(crate) fn free(module: JITModule) {
    // SAFETY: the code's owner is being dropped. Every fiber holds its instance, which holds the
    // code, so no fiber executes it or ever will; nobody else has pointers into it.
    unsafe { module.free_memory() };
}

/// A stack, and on it what enters machine code: for one execution after the other.
struct Runner {
    /// `None` only while it is being replaced.
    coroutine: Option<Coroutine<u64, Said, Said, DefaultStack>>,
    /// From a box.
    context: *mut Context,
}

impl Runner {
    /// One that nobody else uses.
    fn get() -> Result<Self, StartError> {
        if let Some(spare) = SPARES.with_borrow_mut(Vec::pop) {
            return Ok(spare);
        }
        let stack = DefaultStack::new(HOST_STACK)?;
        let context = Box::into_raw(Box::new(Context::NONE));
        Ok(Self { coroutine: Some(enter_on(stack, context)), context })
    }

    /// Keeps it for another execution. It stands where it said what the last one returned, or was
    /// left wherever it stood.
    fn keep(mut self, returned: bool) {
        if !returned {
            let stack = self.leave();
            self.coroutine = stack.map(|stack| enter_on(stack, self.context));
        }
        // At the end of a thread there may be no such list any more.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(self);
            }
        });
    }

    /// Leaves the code for good; the stack.
    fn leave(&mut self) -> Option<DefaultStack> {
        let mut coroutine = self.coroutine.take()?;
        // SAFETY: nothing on the stack owns anything, as the module's words say.
        unsafe { coroutine.force_reset() };
        Some(coroutine.into_stack())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.leave();
        // SAFETY: it came from `Box::into_raw`, and the code that used it was left for good.
        drop(unsafe { Box::from_raw(self.context) });
    }
}

/// Enters, on a stack, whatever the context says, again and again.
fn enter_on(
    stack: DefaultStack,
    context: *mut Context,
) -> Coroutine<u64, Said, Said, DefaultStack> {
    Coroutine::with_stack(stack, move |yielder, _| {
        loop {
            // SAFETY: the context lives until the runner is dropped, and no reference to it does.
            let (entrance, entry, frame) = unsafe {
                (*context).yielder = yielder;
                ((*context).entrance, (*context).entry, (*context).frame)
            };
            // SAFETY: the address is that of the entrance, which was compiled with this
            // signature, in code that the fiber's instance keeps.
            let enter = unsafe { std::mem::transmute::<usize, Entrance>(entrance) };
            let value = enter(context, entry, frame);
            yielder.suspend(Said::Return(value));
        }
    })
}

/// An execution of machine code.
pub(crate) struct Fiber {
    /// `None` once it was left other than by returning.
    runner: Option<Runner>,
    /// Whether it has returned.
    returned: bool,
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
        let mut fiber = Self {
            runner: None,
            returned: false,
            instance: Rc::clone(instance),
            budget: 0,
            owed: 0,
            place: (0, 0),
        };
        fiber.begin(start)?;
        Ok(fiber)
    }

    /// Prepares another execution, wherever this one stands.
    pub(crate) fn restart(&mut self, start: &Start) -> Result<(), StartError> {
        if !self.returned {
            self.end();
        }
        self.begin(start)
    }

    /// Begins anew, with a runner that stands at the beginning.
    fn begin(&mut self, start: &Start) -> Result<(), StartError> {
        let runner = match &mut self.runner {
            Some(runner) => runner,
            none => none.insert(Runner::get()?),
        };
        // SAFETY: the context is the runner's, which runs nothing, and no reference to it lives.
        let context = unsafe { &mut *runner.context };
        context.set(&self.instance, start)?;
        self.budget = context.remaining;
        (self.returned, self.owed, self.place) = (false, 0, (start.function.0, 0));
        Ok(())
    }

    /// Function and instruction that it stands at.
    pub(crate) fn place(&self) -> (u32, u32) {
        self.place
    }

    /// Executes until there is something to say. Calls are put to the driver first, if there is
    /// one.
    pub(crate) fn resume(&mut self, value: u64, driver: Option<&mut dyn Driver>) -> Step {
        let (Some(Runner { coroutine: Some(coroutine), context }), Some(compiled), false) =
            (&mut self.runner, self.instance.code().compiled(), self.returned)
        else {
            return self.internal("resumed after its end");
        };
        let memory = self.instance.memory();
        let handler = coroutine.trap_handler();
        let active = Active::new(handler, compiled.range(), memory.host_range());
        let mut asked = driver.map(|driver| Asked { compiled, driver, panic: None });
        // SAFETY: the context lives as long as the runner, and the code that uses it stands still.
        // What `asked` points to lives longer than the fiber runs here, and is looked at again only
        // when the fiber stands still; nobody uses the pointer after that.
        unsafe {
            (**context).asked =
                asked.as_mut().map_or(ptr::null_mut(), |asked| ptr::from_mut(asked).cast());
        }
        let said = match signal::catching(&active, || coroutine.resume(value)) {
            CoroutineResult::Yield(said) | CoroutineResult::Return(said) => said,
        };
        if let Some(panic) = asked.and_then(|asked| asked.panic) {
            self.end();
            resume_unwind(panic);
        }
        match said {
            Said::Return(value) => {
                (self.owed, self.returned) = (0, true);
                Step::Return { value, insns: self.insns() }
            }
            Said::Fault => {
                let (pc, address, remaining) = active.fault();
                // SAFETY: the context lives as long as the runner; the code, which writes to it,
                // has ended.
                unsafe { (**context).remaining = remaining };
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
                // SAFETY: the context lives as long as the runner; the code, which writes to it, is
                // suspended.
                let args = |runner: &Runner| unsafe { (*runner.context).args };
                let args = without(&self.runner.as_ref().map_or([0; 5], args), poisoned);
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
        Step::Trap(Box::new(Trap { kind, place, insns }))
    }

    fn insns(&self) -> u64 {
        // SAFETY: the context lives as long as the runner; the code, which writes to it, does not
        // run.
        let remaining = |runner: &Runner| unsafe { (*runner.context).remaining };
        let remaining = self.runner.as_ref().map_or(self.budget, remaining);
        (self.budget - remaining + self.owed) as u64
    }

    /// Leaves the code for good, wherever it stands.
    fn end(&mut self) {
        if let Some(runner) = self.runner.take() {
            runner.keep(self.returned);
        }
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
#[path = "fiber_tests.rs"]
mod tests;
