// SPDX-License-Identifier: GPL-2.0-or-later
//! The handler of SIGSEGV and SIGILL: a fault of machine code in its window, or at an instruction
//! that is there to fault, ends its execution; any other goes to whoever handled the signal before.
#![allow(unsafe_code)]

use crate::fiber::Said;
use corosensei::trap::CoroutineTrapHandler;
use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("rota-bytecode knows the signal frames of Linux on x86-64 only");

/// The execution that runs on a thread, as the handler needs it.
pub(crate) struct Active {
    handler: CoroutineTrapHandler<Said>,
    code: Range<usize>,
    window: Range<usize>,
    /// Program counter and address of the fault, and what was left of the budget.
    fault: Cell<(usize, usize, i64)>,
}

impl Active {
    /// An execution of the code at `code`, with the memory at `window`.
    pub(crate) fn new(
        handler: CoroutineTrapHandler<Said>,
        code: Range<usize>,
        window: Range<usize>,
    ) -> Self {
        Self { handler, code, window, fault: Cell::new((0, 0, 0)) }
    }

    /// Program counter and address of the fault that ended it, and what was left of the budget.
    pub(crate) fn fault(&self) -> (usize, usize, i64) {
        self.fault.get()
    }
}

thread_local! {
    /// The execution that runs on this thread; null if none does. It needs no initialisation and
    /// no destructor, so the handler may read it whenever it is called.
    static ACTIVE: Cell<*const Active> = const { Cell::new(ptr::null()) };
}

/// Runs an execution, whose faults end it.
pub(crate) fn catching<T>(active: &Active, run: impl FnOnce() -> T) -> T {
    let _before = Outer(ACTIVE.replace(active));
    run()
}

/// Whether an execution is being resumed on this thread.
pub(crate) fn executes() -> bool {
    !ACTIVE.get().is_null()
}

/// What ran on a thread before, and does again when this is dropped: also by a panic.
struct Outer(*const Active);

impl Drop for Outer {
    fn drop(&mut self) {
        ACTIVE.set(self.0);
    }
}

/// The signals, and who handled them before.
static SEGV: Before = Before { signal: libc::SIGSEGV, action: OnceLock::new() };
static ILL: Before = Before { signal: libc::SIGILL, action: OnceLock::new() };

struct Before {
    signal: i32,
    action: OnceLock<libc::sigaction>,
}

/// Makes sure that the handler is installed.
pub(crate) fn install() -> io::Result<()> {
    SEGV.replace()?;
    ILL.replace()
}

impl Before {
    /// Installs the handler, unless that was done already.
    fn replace(&self) -> io::Result<()> {
        let mut result = Ok(());
        self.action.get_or_init(|| {
            let mut before = MaybeUninit::<libc::sigaction>::zeroed();
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = handle;
            // SAFETY: all zeros is a valid `sigaction`; the handler has the form that SA_SIGINFO
            // asks for; `before` is written by the kernel, and valid as zeros if it is not.
            unsafe {
                let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
                action.sa_sigaction = handler as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                // Read first: the new handler may be called before this function is done.
                if libc::sigaction(self.signal, ptr::null(), before.as_mut_ptr()) != 0
                    || libc::sigaction(self.signal, &raw const action, ptr::null_mut()) != 0
                {
                    result = Err(io::Error::last_os_error());
                }
                before.assume_init()
            }
        });
        result
    }
}

extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a `siginfo_t` and a `ucontext_t`, which are ours alone while the
    // handler runs.
    let caught = unsafe { catch(signal, &*info, &mut *context.cast::<libc::ucontext_t>()) };
    if !caught {
        pass_on(signal, info, context);
    }
}

/// Ends the execution of this thread, if the fault is one of its machine code: in its window, or
/// by an instruction that is none.
///
/// # Safety
///
/// `context` is what was interrupted on this thread and will be restored.
unsafe fn catch(signal: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
    // SAFETY: `catching` sets it to a reference that outlives the execution, and to null or an
    // outer one after, even if the execution unwinds.
    let Some(active) = (unsafe { ACTIVE.get().as_ref() }) else {
        return false;
    };
    // SAFETY: every SIGSEGV and SIGILL that the kernel raises has an address.
    let address = unsafe { info.si_addr() } as usize;
    let registers = &mut context.uc_mcontext.gregs;
    let pc = registers[libc::REG_RIP as usize] as usize;
    let sp = registers[libc::REG_RSP as usize] as usize;
    // A positive code is the kernel's: not one that a process sent.
    if info.si_code <= 0
        || !active.code.contains(&pc)
        || !(signal == libc::SIGILL || active.window.contains(&address))
        || !active.handler.stack_ptr_in_bounds(sp)
    {
        return false;
    }
    // r15 is the code generator's pinned register.
    active.fault.set((pc, address, registers[libc::REG_R15 as usize]));
    // SAFETY: machine code was interrupted, on its fiber's stack. What it writes outside of it is
    // simulated memory and its context, which Rust reads through raw pointers only and after the
    // switch back; so it is as good as suspended. Its registers are set below.
    let entry = unsafe { active.handler.setup_trap_handler(|| Said::Fault) };
    registers[libc::REG_RIP as usize] = entry.rip as i64;
    registers[libc::REG_RSP as usize] = entry.rsp as i64;
    registers[libc::REG_RBP as usize] = entry.rbp as i64;
    registers[libc::REG_RDI as usize] = entry.rdi as i64;
    registers[libc::REG_RSI as usize] = entry.rsi as i64;
    true
}

/// Lets whoever handled the signal before handle it.
fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = if signal == libc::SIGILL { &ILL } else { &SEGV };
    let before = before.action.get().filter(|before| {
        before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN
    });
    // SAFETY: a handler of the process's own is called as the kernel would have called it, by the
    // form that its flags say. Without one, the default action is restored, and the instruction
    // faults again and ends the process.
    unsafe {
        match before {
            Some(before) if before.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(before.sa_sigaction);
                handler(signal, info, context);
            }
            Some(before) => {
                let handler: extern "C" fn(i32) = std::mem::transmute(before.sa_sigaction);
                handler(signal);
            }
            None => {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corosensei::Coroutine;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn no_execution_is_left_behind_by_a_panic() {
        let coroutine: Coroutine<u64, Said, Said> = Coroutine::new(|_, _| Said::Fault);
        let outer = Active::new(coroutine.trap_handler(), 0..0, 0..0);
        let inner = Active::new(coroutine.trap_handler(), 0..0, 0..0);
        catching(&outer, || {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                catching(&inner, || {
                    assert!(ptr::eq(ACTIVE.get(), &raw const inner));
                    panic!("on purpose");
                })
            }));
            assert!(panicked.is_err_and(|words| words.downcast_ref() == Some(&"on purpose")));
            assert!(ptr::eq(ACTIVE.get(), &raw const outer));
        });
        assert!(ACTIVE.get().is_null());
    }
}
