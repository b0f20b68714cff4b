// SPDX-License-Identifier: GPL-2.0-or-later
//! Functions as machine code.

mod arith;
mod control;
mod count;
mod entrance;
mod memory;
mod translate;
mod unroll;
mod values;

use crate::code::Body;
use crate::fiber::{HOST_STACK, suspend};
use crate::flow;
use crate::op::{Callee, FRAMES, Op};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CompiledCode, Context};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_jit::{ArenaMemoryProvider, JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, ModuleError, default_libcall_names};
use std::ops::Range;
use std::sync::Mutex;
use translate::{Imports, Translated, translate};

/// Why functions could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The host is none that machine code can be made for.
    #[error("no machine code for this host: {0}; use the interpreter")]
    Host(String),
    /// The code generator failed.
    #[error("can't compile: {0}; use the interpreter")]
    Module(#[from] Box<ModuleError>),
    /// A function that needs more of the host's stack than there is.
    #[error("function {function} needs {bytes} bytes of host stack, more than there are")]
    Stack {
        /// Number of the function.
        function: usize,
        /// What it needs.
        bytes: u64,
    },
}

impl From<ModuleError> for CompileError {
    fn from(error: ModuleError) -> Self {
        Self::Module(Box::new(error))
    }
}

/// A place where compiled code talks to its driver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub(crate) function: u32,
    pub(crate) insn: u32,
    pub(crate) what: What,
    /// How many instructions were executed and not yet counted.
    pub(crate) owed: i64,
}

/// What compiled code says there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// It calls the driver; some of r1 to r5 hold poison, the others are in the context.
    Call {
        callee: Callee,
        poisoned: [bool; 5],
    },
    Misaligned {
        size: u64,
    },
    Poisoned,
}

/// Why an instruction of machine code faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It accesses simulated memory that can't be reached so.
    Access,
    Budget,
    StackOverflow,
}

/// An instruction of machine code that may fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Risk {
    /// Where it is in its function's machine code.
    offset: u32,
    /// The instruction that it belongs to.
    pub(crate) insn: u32,
    pub(crate) cause: Cause,
    /// How many instructions were executed and not yet counted.
    pub(crate) owed: i64,
}

/// Machine code.
pub(crate) struct Compiled {
    /// Owns the memory of the code. Never used again until the end.
    module: Mutex<Option<JITModule>>,
    entrance: usize,
    functions: Vec<Native>,
    sites: Vec<Site>,
    /// Where all the code lies, and maybe more.
    range: Range<usize>,
}

/// One function's machine code.
struct Native {
    start: usize,
    /// What may fault in it, by offset.
    risks: Vec<Risk>,
}

impl Compiled {
    /// Compiles functions.
    pub(crate) fn new(bodies: &[Body]) -> Result<Self, CompileError> {
        let mut module = module(bodies)?;
        let mut context = module.make_context();
        let mut frontend = FunctionBuilderContext::new();
        let ops: Vec<&[Op]> = bodies.iter().map(|body| &*body.ops).collect();
        let imports = Imports::declare(&mut module, &flow::arities(&ops))?;
        let mut sites = Vec::new();
        let mut all_risks = Vec::with_capacity(bodies.len());
        for (number, body) in bodies.iter().enumerate() {
            let into = (&mut context, &mut frontend, &mut sites);
            let translated = translate(body, number as u32, &imports, &mut module, into);
            module.define_function(imports.functions[number], &mut context)?;
            if let Some(code) = context.compiled_code() {
                check_stack(code, number)?;
                all_risks.push(risks(code, &translated));
            }
            module.clear_context(&mut context);
        }
        let entrance = entrance::entrance(&mut module, &mut context, &mut frontend)?;
        module.finalize_definitions()?;
        let entrance = module.get_finalized_function(entrance) as usize;
        let mut functions: Vec<Native> = Vec::with_capacity(bodies.len());
        for (id, risks) in imports.functions.iter().zip(all_risks) {
            let start = module.get_finalized_function(*id) as usize;
            functions.push(Native { start, risks });
        }
        let end = |native: &Native| {
            native.start + native.risks.last().map_or(0, |r| r.offset as usize + 1)
        };
        let start = functions.iter().map(|native| native.start).min().unwrap_or(0);
        let range = start..functions.iter().map(end).max().unwrap_or(0);
        Ok(Self { module: Mutex::new(Some(module)), entrance, functions, sites, range })
    }

    /// Where a function's machine code starts.
    pub(crate) fn entry(&self, function: u32) -> Option<usize> {
        self.functions.get(function as usize).map(|native| native.start)
    }

    /// Where the function is through which the code is entered.
    pub(crate) fn entrance(&self) -> usize {
        self.entrance
    }

    /// What the code says there.
    pub(crate) fn site(&self, number: u32) -> Option<Site> {
        self.sites.get(number as usize).copied()
    }

    /// Where the code lies that may fault. Nothing else lies in between.
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The function, and what faulted in it at `pc`.
    pub(crate) fn fault_at(&self, pc: usize) -> Option<(u32, Risk)> {
        // Functions lie where they were compiled to: the last one that starts before.
        let before = self.functions.iter().enumerate().filter(|(_, native)| native.start <= pc);
        let (function, native) = before.max_by_key(|(_, native)| native.start)?;
        let offset = u32::try_from(pc - native.start).ok()?;
        let found = native.risks.binary_search_by_key(&offset, |risk| risk.offset).ok()?;
        native.risks.get(found).map(|risk| (function as u32, *risk))
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        let module = self.module.get_mut().ok().and_then(Option::take);
        if let Some(module) = module {
            crate::fiber::free(module);
        }
    }
}

/// A module for machine code of the host, with room for that of these functions.
fn module(bodies: &[Body]) -> Result<JITModule, CompileError> {
    let host = |error: &dyn std::fmt::Display| CompileError::Host(error.to_string());
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", "speed"),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("unwind_info", "false"),
        ("enable_pinned_reg", "true"),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
    ] {
        flags.set(name, value).map_err(|error| host(&error))?;
    }
    let isa = cranelift_native::builder().map_err(|error| host(&error))?;
    let isa = isa.finish(settings::Flags::new(flags)).map_err(|error| host(&error))?;
    let mut builder = JITBuilder::with_isa(isa, default_libcall_names());
    // Only reserved. In one piece, so that direct calls reach, whatever else the process maps.
    let insns: usize = bodies.iter().map(|body| body.ops.len()).sum();
    let room = (1 << 20) + bodies.len() * 4096 + insns * 512;
    let memory = ArenaMemoryProvider::new_with_size(room).map_err(|error| host(&error))?;
    builder.memory_provider(Box::new(memory));
    builder.symbol("suspend", suspend as *const u8);
    Ok(JITModule::new(builder))
}

/// What a call puts on the host's stack, apart from the callee's frame: an argument, the return
/// address and the caller's frame pointer, rounded up.
const CALL_BYTES: u64 = 64;
/// What is left for the functions of ours that compiled code calls, and for a signal's frame.
const OWN_STACK: u64 = 64 << 10;

fn check_stack(code: &CompiledCode, function: usize) -> Result<(), CompileError> {
    let frame = code
        .buffer
        .frame_layout()
        .map_or(u64::MAX / 16, |layout| u64::from(layout.frame_to_fp_offset) + CALL_BYTES);
    let bytes = frame * FRAMES;
    if bytes + OWN_STACK > HOST_STACK as u64 {
        return Err(CompileError::Stack { function, bytes });
    }
    Ok(())
}

/// Where the machine code may fault, and for which instruction.
///
/// The code generator may merge a load into the instruction that uses the value, and then gives
/// it that one's source location. So each access has a number, counted up and wrapped, in its
/// trap code; the access is the last with this number at or before the location.
fn risks(code: &CompiledCode, translated: &Translated) -> Vec<Risk> {
    let locations = code.buffer.get_srclocs_sorted();
    let mut found = Vec::new();
    for trap in code.buffer.traps() {
        let after = locations.partition_point(|location| location.start <= trap.offset);
        let Some(location) = after.checked_sub(1).and_then(|at| locations.get(at)) else {
            continue;
        };
        if let Some((insn, cause, owed)) = translated.risk(trap.code, location.loc.bits()) {
            found.push(Risk { offset: trap.offset, insn, cause, owed });
        }
    }
    found.sort_unstable_by_key(|risk| risk.offset);
    found
}

/// The context that functions are compiled in, and what is kept between them.
type Into<'a> = (&'a mut Context, &'a mut FunctionBuilderContext, &'a mut Vec<Site>);

/// How functions are linked among themselves: by no name of their own.
const LINKAGE: Linkage = Linkage::Local;
