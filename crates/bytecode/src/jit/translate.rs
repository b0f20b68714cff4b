// SPDX-License-Identifier: GPL-2.0-or-later
//! A function's instructions as the code generator's.

use super::count::Owed;
use super::{Cause, CompileError, Into, LINKAGE, Site, What};
use crate::code::Body;
use crate::fiber::Context;
use crate::flow;
use crate::op::{MAY_GOTO, Op, POISON, Reg, Wide};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{AbiParam, Block, FuncRef, InstBuilder, Signature, TrapCode, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module};
use std::mem::offset_of;

/// What functions call.
pub(super) struct Imports {
    /// The functions of the object.
    pub(super) functions: Vec<FuncId>,
    /// How many arguments each takes.
    pub(super) arities: Vec<Reg>,
    suspend: FuncId,
}

impl Imports {
    /// Declares functions that look at so many arguments each, and the one that suspends.
    pub(super) fn declare(module: &mut JITModule, arities: &[Reg]) -> Result<Self, CompileError> {
        let mut functions = Vec::with_capacity(arities.len());
        for (number, arity) in arities.iter().enumerate() {
            let signature = signature(module, 2 + usize::from(*arity));
            let name = format!("f{number}");
            functions.push(module.declare_function(&name, LINKAGE, &signature)?);
        }
        let signature = signature(module, 3);
        let suspend = module.declare_function("suspend", Linkage::Import, &signature)?;
        Ok(Self { functions, arities: arities.to_vec(), suspend })
    }
}

/// Takes `count` numbers and gives one. A function of the object takes the context, r10, and of r1
/// to r5 as many as it looks at: whoever passes more does no harm.
pub(super) fn signature(module: &JITModule, count: usize) -> Signature {
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(I64); count];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

/// What is known of a function once it is translated.
pub(super) struct Translated {
    /// The instructions in the order of their translation, with how many are executed and not yet
    /// counted meanwhile.
    steps: Vec<(u32, i64)>,
    /// Those of them that access memory.
    accesses: Vec<u32>,
}

/// How many trap codes the accesses share.
const CODES: usize = 200;

impl Translated {
    /// What a trap code means at the machine code of a step: the instruction, the cause, and how
    /// many are not yet counted.
    pub(super) fn risk(&self, code: TrapCode, step: u32) -> Option<(u32, Cause, i64)> {
        let own = [Cause::Budget, Cause::StackOverflow];
        if let Some(cause) = own.into_iter().find(|cause| trap_code(*cause) == code) {
            // Nothing is owed where the budget is looked at.
            return self.steps.get(step as usize).map(|(insn, _)| (*insn, cause, 0));
        }
        let end = self.accesses.partition_point(|access| *access <= step);
        let wanted = |number: &usize| access_code(*number) == code;
        let number = (0..end).rev().take(CODES).find(wanted)?;
        let (insn, owed) = *self.steps.get(*self.accesses.get(number)? as usize)?;
        Some((insn, Cause::Access, owed))
    }
}

fn access_code(number: usize) -> TrapCode {
    TrapCode::unwrap_user((number % CODES) as u8 + 1)
}

/// The trap code of what is no access.
pub(super) fn trap_code(cause: Cause) -> TrapCode {
    TrapCode::unwrap_user(CODES as u8 + 1 + cause as u8)
}

/// Translates a function into the context.
pub(super) fn translate(
    body: &Body,
    number: u32,
    imports: &Imports,
    module: &mut JITModule,
    (context, frontend, sites): Into<'_>,
) -> Translated {
    let arity = imports.arities.get(number as usize).copied().unwrap_or(5);
    context.func.signature = signature(module, 2 + usize::from(arity));
    let suspend = module.declare_func_in_func(imports.suspend, &mut context.func);
    let mut builder = FunctionBuilder::new(&mut context.func, frontend);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    let params = builder.block_params(entry).to_vec();
    let registers: [Variable; 10] = std::array::from_fn(|_| builder.declare_var(I64));
    let iterations = builder.declare_var(I64);
    let last_jumps = flow::last_jumps(&body.ops);
    let mut blocks = Vec::with_capacity(last_jumps.len());
    for last in &last_jumps {
        blocks.push(last.map(|_| builder.create_block()));
    }
    let mut translator = Translator {
        body,
        function: number,
        owed: Owed::new(&last_jumps),
        last_jumps,
        blocks,
        registers,
        iterations,
        context: params[0],
        base: params[0],
        host_frame: params[1],
        frame: params[1],
        frame_offsets: SecondaryMap::new(),
        suspender: suspend,
        sites,
        accesses: Vec::new(),
        builder,
    };
    translator.enter(&params[2..]);
    translator.ops(imports, module);
    let Translator { mut builder, accesses, owed, .. } = translator;
    builder.seal_all_blocks();
    builder.finalize(module.target_config());
    Translated { accesses, steps: owed.steps() }
}

/// The translation of one function.
pub(super) struct Translator<'a> {
    pub(super) body: &'a Body,
    pub(super) function: u32,
    /// The last instruction that jumps to each: then all ways to its block are known.
    pub(super) last_jumps: Vec<Option<u32>>,
    /// The block of each instruction that a jump leads to.
    pub(super) blocks: Vec<Option<Block>>,
    pub(super) registers: [Variable; 10],
    /// What `may_goto` counts down.
    pub(super) iterations: Variable,
    pub(super) context: Value,
    /// The host's address of the window.
    pub(super) base: Value,
    /// The host's address of what r10 points to.
    pub(super) host_frame: Value,
    /// r10.
    pub(super) frame: Value,
    /// Of what is r10 plus a number, the number: addresses in the function's own stack.
    pub(super) frame_offsets: SecondaryMap<Value, Option<i16>>,
    pub(super) owed: Owed,
    pub(super) suspender: FuncRef,
    pub(super) sites: &'a mut Vec<Site>,
    accesses: Vec<u32>,
    pub(super) builder: FunctionBuilder<'a>,
}

impl Translator<'_> {
    /// The start of the function.
    fn enter(&mut self, args: &[Value]) {
        let poison = self.number(POISON);
        for register in [0, 6, 7, 8, 9] {
            self.set(register, poison);
        }
        for register in 1..6 {
            let arg = args.get(usize::from(register) - 1).copied();
            // Nobody looks at the others.
            self.set(register, arg.unwrap_or(poison));
        }
        self.base = self.constant_of(offset_of!(Context, base));
        let distance = self.constant_of(offset_of!(Context, stack_distance));
        self.frame = self.builder.ins().isub(self.host_frame, distance);
        self.frame_offsets[self.frame] = Some(0);
        let iterations = self.number(MAY_GOTO);
        self.builder.def_var(self.iterations, iterations);
        if !self.body.small {
            self.begin(0);
            self.check_budget(None);
        }
    }

    fn ops(&mut self, imports: &Imports, module: &mut JITModule) {
        let mut reachable = true;
        let mut unrolled = 0..0;
        for at in 0..self.body.ops.len() {
            if unrolled.contains(&at) {
                continue;
            }
            let op = self.body.ops[at];
            if let Some(block) = self.blocks[at] {
                self.meet(at, reachable);
                if reachable {
                    self.builder.ins().jump(block, &[]);
                }
                self.builder.switch_to_block(block);
                reachable = true;
                if let Some(end) = self.short_loop(at) {
                    self.unroll(at, end);
                    unrolled = at..end + 1;
                    continue;
                }
                if self.last_jumps[at].is_some_and(|last| (last as usize) < at) {
                    self.builder.seal_block(block);
                }
            }
            if !reachable || op == Op::Second {
                continue;
            }
            let insn = at as u32;
            self.owe(insn);
            if let Op::Call { function } = op {
                self.call(function, imports, module);
            } else {
                self.op(op, insn);
            }
            if let Some(target) = op.target().map(|target| target as usize)
                && target <= at
                && self.last_jumps[target] == Some(insn)
                && let Some(block) = self.blocks[target]
            {
                self.builder.seal_block(block);
            }
            reachable = !op.ends();
        }
    }

    /// The trap code of this instruction's accesses.
    pub(super) fn access_code(&mut self) -> TrapCode {
        let step = self.owed.step();
        if self.accesses.last() != Some(&step) {
            self.accesses.push(step);
        }
        access_code(self.accesses.len() - 1)
    }

    pub(super) fn op(&mut self, op: Op, insn: u32) {
        match op {
            Op::Alu { alu, wide: true, dst, src } => self.alu(alu, I64, dst, src),
            Op::Alu { alu, wide: false, dst, src } => self.alu(alu, I32, dst, src),
            Op::Neg { wide, dst } => {
                let ty = if wide { I64 } else { I32 };
                let value = self.get_as(dst, ty);
                let value = self.builder.ins().ineg(value);
                self.set_extended(dst, value, ty);
            }
            Op::SignExtend { wide, bits, dst, src } => self.sign_extend(wide, bits, dst, src),
            Op::Bytes { order, bits, dst } => self.bytes(order, bits, dst),
            Op::Wide { dst, value } => {
                let value = match value {
                    Wide::Imm(value) => self.number(value),
                    Wide::Address(index) => {
                        let table = self.constant_of(offset_of!(Context, addresses));
                        self.constant_at(table, index as i32 * 8)
                    }
                };
                self.set(dst, value);
            }
            Op::CastKernel { dst, src } => {
                let value = self.get_as(src, I32);
                self.set_extended(dst, value, I32);
            }
            Op::CastUser { dst, src } => self.cast_user(dst, src),
            Op::Load { access, signed, dst } => self.load(access, signed, dst, insn),
            Op::Store { access, src } => self.store(access, src, insn),
            Op::Atomic { atomic, fetch, access, src } => {
                self.atomic(atomic, fetch, access, src, insn);
            }
            Op::Jump { target } => self.jump(target, insn),
            Op::Branch { cond, wide, dst, src, target } => {
                let condition = self.condition(cond, wide, dst, src);
                self.branch(condition, target, insn);
            }
            Op::MayGoto { target } => self.may_goto(target, insn),
            Op::Suspend { callee } => self.suspend(callee, insn),
            Op::Exit => {
                self.settle(0);
                let value = self.get(0);
                self.builder.ins().return_(&[value]);
            }
            Op::Poisoned => self.stop(What::Poisoned, insn, None),
            Op::Second | Op::Call { .. } => {}
        }
    }

    fn cast_user(&mut self, dst: Reg, src: Reg) {
        let low = self.get_as(src, I32);
        let low = self.builder.ins().uextend(I64, low);
        let half = self.constant_of(offset_of!(Context, arena_half));
        let user = self.builder.ins().bor(low, half);
        // Zero is zero on both sides.
        let value = self.builder.ins().select(low, user, low);
        self.set(dst, value);
    }
}
