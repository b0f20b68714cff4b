// SPDX-License-Identifier: GPL-2.0-or-later
//! What a fiber says when machine code is not what it should be.

use super::*;
use crate::code::Code;
use crate::execution::STACK_BYTES;
use crate::memory::{Memory, Protection};
use rota_object::{Function, FunctionId, Insn};
use std::sync::Arc;

/// A fiber that is about to return 7.
fn fiber() -> Fiber {
    let seven = Insn { code: 0xb7, imm: 7, ..Insn::default() };
    let exit = Insn { code: 0x95, ..Insn::default() };
    let main =
        Function { name: "main".to_owned(), insns: vec![seven, exit], ..Function::default() };
    let code = Code::new(&[main]).unwrap();
    code.compile().unwrap();
    let memory = Rc::new(Memory::new().unwrap());
    let bottom = memory.alloc(STACK_BYTES, 8, Protection::ReadWrite).unwrap();
    let instance = Rc::new(Instance::new(Arc::new(code), memory, Vec::new(), 0).unwrap());
    let stack = bottom..bottom + STACK_BYTES;
    let start = Start { function: FunctionId(0), args: [0; 5], stack, budget: 10 };
    Fiber::new(&instance, &start).unwrap()
}

/// The words of a trap that is a bug of ours, and not a loop of the program's.
fn words(step: &Step) -> String {
    match step {
        Step::Trap(trap) => trap.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_site_that_is_none_is_a_bug_of_ours() {
    let said = fiber().site(1, 0);
    let expected = "main, instruction 0: a bug of Rota, not of the program: machine code stands at \
                    a site that it does not have; please report it, and use the interpreter";
    assert_eq!(words(&said), expected);
}

#[test]
fn resuming_what_has_ended_is_a_bug_of_ours() {
    let mut fiber = fiber();
    assert_eq!(fiber.resume(0, None), Step::Return { value: 7, insns: 2 });
    let said = words(&fiber.resume(0, None));
    assert!(said.contains("a bug of Rota, not of the program: resumed after its end"), "{said}");
}
