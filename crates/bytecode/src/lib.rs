// SPDX-License-Identifier: GPL-2.0-or-later
//! Executes linked BPF functions in a sandbox.
//!
//! * [`Memory`] is what one simulated machine's programs can reach, and nothing else is.
//! * [`Code`] is functions, checked; the same for every machine.
//! * [`Instance`] is code on a machine: the addresses of what its instructions name.
//! * [`Execution`] is one call of a function. It is resumed step by step: every helper and kernel
//!   function that it calls is a [`Step`] out of it, which its driver answers. So it borrows
//!   nothing of the machine, many can stand still at once, and each can be dropped at any time.
//!
//! An execution runs as machine code or in an interpreter ([`Mode`]). Both do the same: results,
//! memory, steps, traps with their places, and the count of instructions. The machine code is the
//! product, the interpreter its reference.
//!
//! Nothing here knows a helper, a kernel function or a scheduler. Whatever a program does, the
//! process and the other machines in it are safe: what it can't do is a [`Trap`].
//!
//! * [`Lane`] is Rust work on a stack of its own: what drives an execution can stand still too.
//!
//! `unsafe` is in four modules: `window` (simulated memory), `fiber` (entering and leaving machine
//! code), `signal` (its faults) and `lane`.

mod arith;
mod code;
mod decode;
mod execution;
mod fiber;
mod flow;
mod instance;
mod interpreter;
mod jit;
mod lane;
mod memory;
mod op;
mod signal;
mod trap;
mod window;

pub use code::{Code, CodeError};
pub use decode::Problem;
pub use execution::{Driver, Execution, Mode, STACK_BYTES, Start, StartError, Step};
pub use instance::{Instance, InstanceError};
pub use jit::CompileError;
pub use lane::{Lane, Pause, Standing};
pub use memory::{Fault, HUGE, KERNEL, KERNEL_BYTES, Memory, MemoryError, NULL_BYTES, Protection};
pub use op::{Callee, POISON};
pub use trap::{Place, Spot, Trap, TrapKind};
