// SPDX-License-Identifier: GPL-2.0-or-later
//! A function's instructions as the code generator's.

use super::{Into, LINKAGE, Site, What};
use crate::code::Body;
use crate::fiber::Context;
use crate::op::{Cond, FRAME, MAY_GOTO, Op, POISON, Reg, Source, Wide};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    AbiParam, Block, FuncRef, InstBuilder, MemFlagsData, Signature, SourceLoc, TrapCode, Type,
    Value,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module, ModuleResult};
use std::mem::offset_of;

/// What functions call.
pub(super) struct Imports {
    /// The functions of the object.
    pub(super) functions: Vec<FuncId>,
    suspend: FuncId,
}

impl Imports {
    /// Declares `count` functions, and the one that suspends.
    pub(super) fn declare(module: &mut JITModule, count: usize) -> ModuleResult<Self> {
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

/// Takes `count` numbers and gives one. A function takes the context, r1 to r5, and r10.
fn signature(module: &JITModule, count: usize) -> Signature {
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
    let (remaining, iterations) = (builder.declare_var(I64), builder.declare_var(I64));
    let leaders = body.leaders();
    let mut blocks = Vec::with_capacity(leaders.len());
    for leader in &leaders {
        blocks.push(leader.then(|| builder.create_block()));
    }
    let mut translator = Translator {
        body,
        number,
        leaders,
        blocks,
        registers,
        remaining,
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
pub(super) struct Translator<'a> {
    body: &'a Body,
    number: u32,
    leaders: Vec<bool>,
    /// The block of each instruction that a jump leads to.
    blocks: Vec<Option<Block>>,
    registers: [Variable; 10],
    /// What is left of the budget when the current run of instructions is over.
    remaining: Variable,
    /// What `may_goto` counts down.
    iterations: Variable,
    pub(super) context: Value,
    /// The host's address of the windows.
    pub(super) base: Value,
    /// r10.
    frame: Value,
    suspend: FuncRef,
    sites: &'a mut Vec<Site>,
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
        self.reload();
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

    /// Counts a run of instructions before it begins. An access in it may end the execution
    /// without another word, so the context must know by then.
    fn begin_run(&mut self, at: usize) {
        let count = self.body.run_from(at, &self.leaders);
        let remaining = self.builder.use_var(self.remaining);
        let count = self.number(u64::from(count));
        let remaining = self.builder.ins().isub(remaining, count);
        self.builder.def_var(self.remaining, remaining);
        let accesses = self.body.ops[at..at + self.length(at)]
            .iter()
            .any(|op| matches!(op, Op::Load { .. } | Op::Store { .. } | Op::Atomic { .. }));
        if accesses {
            self.save();
        }
    }

    /// Number of instructions, second halves included, in the run that begins here.
    fn length(&self, at: usize) -> usize {
        let ends = |i: &usize| {
            self.body.ops[*i].leaves() || self.leaders.get(i + 1).copied().unwrap_or(true)
        };
        (at..self.body.ops.len()).find(ends).map_or(0, |end| end + 1 - at)
    }

    /// Tells the context what is left of the budget.
    fn save(&mut self) {
        let remaining = self.builder.use_var(self.remaining);
        self.put(offset_of!(Context, remaining), remaining);
    }

    /// Asks the context what is left of the budget.
    fn reload(&mut self) {
        let flags = MemFlagsData::trusted();
        let offset = offset_of!(Context, remaining) as i32;
        let remaining = self.builder.ins().load(I64, flags, self.context, offset);
        self.builder.def_var(self.remaining, remaining);
    }

    fn put(&mut self, offset: usize, value: Value) {
        let flags = MemFlagsData::trusted();
        self.builder.ins().store(flags, value, self.context, offset as i32);
    }

    /// A field of the context that never changes.
    fn constant_of(&mut self, offset: usize) -> Value {
        self.constant_at(self.context, offset as i32)
    }

    fn constant_at(&mut self, pointer: Value, offset: i32) -> Value {
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        self.builder.ins().load(I64, flags, pointer, offset)
    }

    pub(super) fn number(&mut self, value: u64) -> Value {
        self.builder.ins().iconst(I64, value as i64)
    }

    pub(super) fn get(&mut self, register: Reg) -> Value {
        match self.registers.get(usize::from(register)) {
            Some(variable) => self.builder.use_var(*variable),
            None => self.frame,
        }
    }

    pub(super) fn set(&mut self, register: Reg, value: Value) {
        if let Some(variable) = self.registers.get(usize::from(register)) {
            self.builder.def_var(*variable, value);
        }
    }

    /// A register's lowest bits.
    pub(super) fn get_as(&mut self, register: Reg, ty: Type) -> Value {
        let value = self.get(register);
        if ty == I64 { value } else { self.builder.ins().ireduce(ty, value) }
    }

    /// Sets a register to a number, zero-extended.
    pub(super) fn set_extended(&mut self, register: Reg, value: Value, ty: Type) {
        let value = if ty == I64 { value } else { self.builder.ins().uextend(I64, value) };
        self.set(register, value);
    }

    pub(super) fn source(&mut self, source: Source, ty: Type) -> Value {
        match source {
            Source::Reg(register) => self.get_as(register, ty),
            Source::Imm(value) => self.immediate(i64::from(value), ty),
        }
    }

    pub(super) fn immediate(&mut self, value: i64, ty: Type) -> Value {
        let unused = 64 - ty.bits();
        let value = ((value as u64) << unused >> unused) as i64;
        self.builder.ins().iconst(ty, value)
    }

    /// The trap code of this instruction's accesses.
    pub(super) fn access_code(&mut self, insn: u32) -> TrapCode {
        if self.accesses.last() != Some(&insn) {
            self.accesses.push(insn);
        }
        code(self.accesses.len() - 1)
    }

    fn over_budget(&mut self) -> Value {
        let remaining = self.builder.use_var(self.remaining);
        let zero = self.number(0);
        self.builder.ins().icmp(IntCC::SignedLessThan, remaining, zero)
    }

    /// Ends the execution here if `condition` holds.
    pub(super) fn trap_if(
        &mut self,
        condition: Value,
        what: What,
        insn: u32,
        value: Option<Value>,
    ) {
        let (trap, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(trap);
        self.builder.ins().brif(condition, trap, &[], next, &[]);
        self.builder.switch_to_block(trap);
        self.trap(what, insn, value);
        self.builder.switch_to_block(next);
    }

    /// Ends the execution here.
    fn trap(&mut self, what: What, insn: u32, value: Option<Value>) {
        self.save();
        self.say(what, insn, value);
        self.builder.ins().trap(TrapCode::STACK_OVERFLOW);
    }

    /// Suspends, and returns what the driver answers.
    fn say(&mut self, what: What, insn: u32, value: Option<Value>) -> Value {
        let site = self.number(self.sites.len() as u64);
        self.sites.push(Site { function: self.number, insn, what });
        let value = value.unwrap_or(site);
        let call = self.builder.ins().call(self.suspend, &[self.context, site, value]);
        self.builder.inst_results(call)[0]
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
                self.save();
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

    /// What registers hold after a call.
    fn clobber(&mut self, value: Value) {
        self.set(0, value);
        let poison = self.number(POISON);
        for register in 1..6 {
            self.set(register, poison);
        }
    }

    fn call(&mut self, function: u32, insn: u32, imports: &Imports, module: &mut JITModule) {
        let size = self.number(FRAME);
        let frame = self.builder.ins().isub(self.frame, size);
        let lowest = self.constant_of(offset_of!(Context, lowest_frame));
        let low = self.builder.ins().icmp(IntCC::UnsignedLessThan, frame, lowest);
        self.trap_if(low, What::StackOverflow, insn, None);
        self.save();
        let callee = imports.functions[function as usize];
        let callee = module.declare_func_in_func(callee, self.builder.func);
        let mut args = vec![self.context];
        args.extend((1..6).map(|register| self.get(register)));
        args.push(frame);
        let call = self.builder.ins().call(callee, &args);
        let value = self.builder.inst_results(call)[0];
        self.clobber(value);
        self.reload();
    }

    fn condition(&mut self, cond: Cond, dst: Reg, src: Source, ty: Type) -> Value {
        let (a, b) = (self.get_as(dst, ty), self.source(src, ty));
        let code = match cond {
            Cond::Set => return self.builder.ins().band(a, b),
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Gt => IntCC::UnsignedGreaterThan,
            Cond::Ge => IntCC::UnsignedGreaterThanOrEqual,
            Cond::Lt => IntCC::UnsignedLessThan,
            Cond::Le => IntCC::UnsignedLessThanOrEqual,
            Cond::SignedGt => IntCC::SignedGreaterThan,
            Cond::SignedGe => IntCC::SignedGreaterThanOrEqual,
            Cond::SignedLt => IntCC::SignedLessThan,
            Cond::SignedLe => IntCC::SignedLessThanOrEqual,
        };
        self.builder.ins().icmp(code, a, b)
    }

    fn jump(&mut self, target: u32, insn: u32) {
        if target <= insn {
            let over = self.over_budget();
            self.trap_if(over, What::Budget, insn, None);
        }
        let block = self.target(target);
        self.builder.ins().jump(block, &[]);
    }

    /// Goes to `target` if `condition` is not zero, else on.
    fn branch(&mut self, condition: Value, target: u32, insn: u32) {
        let next = self.builder.create_block();
        if target > insn {
            let block = self.target(target);
            self.builder.ins().brif(condition, block, &[], next, &[]);
        } else {
            let back = self.builder.create_block();
            self.builder.ins().brif(condition, back, &[], next, &[]);
            self.builder.switch_to_block(back);
            self.jump(target, insn);
        }
        self.builder.switch_to_block(next);
    }

    fn may_goto(&mut self, target: u32, insn: u32) {
        let left = self.builder.use_var(self.iterations);
        let zero = self.number(0);
        let leave = self.builder.ins().icmp(IntCC::Equal, left, zero);
        self.branch(leave, target, insn);
        let one = self.number(1);
        let left = self.builder.ins().isub(left, one);
        self.builder.def_var(self.iterations, left);
    }

    fn target(&mut self, target: u32) -> Block {
        // Every target is a leader, so it has a block.
        let block = self.blocks.get(target as usize).copied().flatten();
        block.unwrap_or_else(|| self.builder.create_block())
    }
}
