// SPDX-License-Identifier: GPL-2.0-or-later
//! A function's instructions as the code generator's.

use super::{CompileError, Into, LINKAGE, Site, What};
use crate::code::Body;
use crate::fiber::Context;
use crate::op::{MAY_GOTO, Op, POISON, Reg, Wide};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    AbiParam, Block, FuncRef, InstBuilder, Signature, SourceLoc, TrapCode, Value,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module};
use std::mem::offset_of;

/// What functions call.
pub(super) struct Imports {
    /// The functions of the object.
    pub(super) functions: Vec<FuncId>,
    suspend: FuncId,
}

impl Imports {
    /// Declares `count` functions, and the one that suspends.
    pub(super) fn declare(module: &mut JITModule, count: usize) -> Result<Self, CompileError> {
        let mut functions = Vec::with_capacity(count);
        let signature = signature(module, 7);
        for number in 0..count {
            let name = format!("f{number}");
            functions.push(module.declare_function(&name, LINKAGE, &signature)?);
        }
        let signature = self::signature(module, 3);
        let suspend = module.declare_function("suspend", Linkage::Import, &signature)?;
        Ok(Self { functions, suspend })
    }
}

/// Takes `count` numbers and gives one. A function of the object takes the context, r1 to r5, and r10.
pub(super) fn signature(module: &JITModule, count: usize) -> Signature {
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(I64); count];
    signature.returns = vec![AbiParam::new(I64)];
    signature
}

/// What is known of a function once it is translated.
pub(super) struct Translated {
    /// The instructions that access memory, in order.
    accesses: Vec<u32>,
}

/// How many trap codes the accesses share.
const CODES: usize = 200;

impl Translated {
    /// The instruction of the access with this code, at or before an instruction.
    pub(super) fn access(&self, code: TrapCode, insn: u32) -> Option<u32> {
        let end = self.accesses.partition_point(|access| *access <= insn);
        let wanted = |number: &usize| self::code(*number) == code;
        let number = (0..end).rev().take(CODES).find(wanted)?;
        self.accesses.get(number).copied()
    }
}

fn code(number: usize) -> TrapCode {
    TrapCode::unwrap_user((number % CODES) as u8 + 1)
}

/// Translates a function into the context.
pub(super) fn translate(
    body: &Body,
    number: u32,
    imports: &Imports,
    module: &mut JITModule,
    (context, frontend, sites): Into<'_>,
) -> Translated {
    context.func.signature = signature(module, 7);
    let suspend = module.declare_func_in_func(imports.suspend, &mut context.func);
    let mut builder = FunctionBuilder::new(&mut context.func, frontend);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let params = builder.block_params(entry).to_vec();
    let registers: [Variable; 10] = std::array::from_fn(|_| builder.declare_var(I64));
    let iterations = builder.declare_var(I64);
    let leaders = body.leaders();
    let mut blocks = Vec::with_capacity(leaders.len());
    for leader in &leaders {
        blocks.push(leader.then(|| builder.create_block()));
    }
    let mut translator = Translator {
        body,
        function: number,
        leaders,
        blocks,
        registers,
        iterations,
        context: params[0],
        base: params[0],
        frame: params[6],
        suspend,
        sites,
        accesses: Vec::new(),
        builder,
    };
    translator.enter(&params[1..6]);
    translator.ops(imports, module);
    let Translator { mut builder, accesses, .. } = translator;
    builder.seal_all_blocks();
    builder.finalize(module.target_config());
    Translated { accesses }
}

/// The translation of one function.
///
/// What is left of the budget, when the current run of instructions is over, is in the pinned
/// register: so it costs little to count down, and the handler of faults can read it.
pub(super) struct Translator<'a> {
    body: &'a Body,
    pub(super) function: u32,
    leaders: Vec<bool>,
    /// The block of each instruction that a jump leads to.
    pub(super) blocks: Vec<Option<Block>>,
    pub(super) registers: [Variable; 10],
    /// What `may_goto` counts down.
    pub(super) iterations: Variable,
    pub(super) context: Value,
    /// The host's address of the windows.
    pub(super) base: Value,
    /// r10.
    pub(super) frame: Value,
    pub(super) suspend: FuncRef,
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
        for (register, arg) in (1..).zip(args) {
            self.set(register, *arg);
        }
        self.base = self.constant_of(offset_of!(Context, base));
        let iterations = self.number(MAY_GOTO);
        self.builder.def_var(self.iterations, iterations);
        let over = self.over_budget();
        self.trap_if(over, What::Budget, 0, None);
    }

    fn ops(&mut self, imports: &Imports, module: &mut JITModule) {
        let mut reachable = true;
        let mut starts = true;
        for at in 0..self.body.ops.len() {
            let op = self.body.ops[at];
            if let Some(block) = self.blocks[at] {
                if reachable {
                    self.builder.ins().jump(block, &[]);
                }
                self.builder.switch_to_block(block);
                (reachable, starts) = (true, true);
            }
            if !reachable || op == Op::Second {
                continue;
            }
            let insn = at as u32;
            self.builder.set_srcloc(SourceLoc::new(insn));
            if starts {
                self.begin_run(at);
            }
            if let Op::Call { function } = op {
                self.call(function, insn, imports, module);
            } else {
                self.op(op, insn);
            }
            starts = op.leaves();
            reachable = !op.ends();
        }
    }

    /// Counts a run of instructions before it begins.
    fn begin_run(&mut self, at: usize) {
        let count = self.body.run_from(at, &self.leaders);
        let remaining = self.builder.ins().get_pinned_reg(I64);
        let count = self.number(u64::from(count));
        let remaining = self.builder.ins().isub(remaining, count);
        self.builder.ins().set_pinned_reg(remaining);
    }

    /// The trap code of this instruction's accesses.
    pub(super) fn access_code(&mut self, insn: u32) -> TrapCode {
        if self.accesses.last() != Some(&insn) {
            self.accesses.push(insn);
        }
        code(self.accesses.len() - 1)
    }

    fn op(&mut self, op: Op, insn: u32) {
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
                let ty = if wide { I64 } else { I32 };
                let condition = self.condition(cond, dst, src, ty);
                self.branch(condition, target, insn);
            }
            Op::MayGoto { target } => self.may_goto(target, insn),
            Op::Suspend { callee } => {
                for (i, offset) in Context::ARGS.into_iter().enumerate() {
                    let arg = self.get(i as Reg + 1);
                    self.put(offset, arg);
                }
                self.save();
                let value = self.say(What::Call(callee), insn, None);
                self.clobber(value);
            }
            Op::Exit => {
                let value = self.get(0);
                self.builder.ins().return_(&[value]);
            }
            Op::Poisoned => self.trap(What::Poisoned, insn, None),
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
