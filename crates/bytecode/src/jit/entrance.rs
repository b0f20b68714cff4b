// SPDX-License-Identifier: GPL-2.0-or-later
//! The function through which machine code is entered: it sets the pinned register, which code of
//! the host's may use for something else, and restores it.

use super::CompileError;
use super::translate::signature;
use crate::fiber::Context;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module};
use std::mem::offset_of;

/// Compiles it. It takes the context, the address of a function of the object, and its r10.
pub(super) fn entrance(
    module: &mut JITModule,
    context: &mut cranelift_codegen::Context,
    frontend: &mut FunctionBuilderContext,
) -> Result<FuncId, CompileError> {
    let (outer, inner) = (signature(module, 3), signature(module, 7));
    let id = module.declare_function("enter", Linkage::Local, &outer)?;
    context.func.signature = outer;
    let mut builder = FunctionBuilder::new(&mut context.func, frontend);
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    let params = builder.block_params(block).to_vec();
    let (own, function, frame) = (params[0], params[1], params[2]);
    let remaining = offset_of!(Context, remaining) as i32;
    let flags = MemFlagsData::trusted();
    let hosts = builder.ins().get_pinned_reg(I64);
    let budget = builder.ins().load(I64, flags, own, remaining);
    let mut args = vec![own, frame];
    for offset in Context::ARGS {
        args.push(builder.ins().load(I64, flags, own, offset as i32));
    }
    builder.ins().set_pinned_reg(budget);
    let inner = builder.import_signature(inner);
    let call = builder.ins().call_indirect(inner, function, &args);
    let value = builder.inst_results(call)[0];
    let left = builder.ins().get_pinned_reg(I64);
    builder.ins().store(flags, left, own, remaining);
    builder.ins().set_pinned_reg(hosts);
    builder.ins().return_(&[value]);
    builder.seal_all_blocks();
    builder.finalize(module.target_config());
    module.define_function(id, context)?;
    module.clear_context(context);
    Ok(id)
}
