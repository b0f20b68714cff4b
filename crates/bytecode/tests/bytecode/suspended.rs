// SPDX-License-Identifier: GPL-2.0-or-later
//! Many executions at once, standing still, interleaved, and dropped half-way.

use crate::asm::*;
use crate::machine::{BUDGET, MODES, Machine, answer, compile, drive, observe};
use rota_bytecode::{
    Callee, Driver, Execution, Instance, Memory, Mode, Protection, STACK_BYTES, Spot, Start,
    StartError, Step,
};
use rota_object::{Function, FunctionId, Operand};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// Adds up what its helper answers, four times, the third time one function deeper.
fn adder() -> Vec<Function> {
    let main = [
        mov(6, 1),
        helper(1),
        alu(true, ADD, 6, 0),
        helper(2),
        alu(true, ADD, 6, 0),
        mov(1, 6),
        call(),
        alu(true, ADD, 6, 0),
        helper(4),
        alu(true, ADD, 0, 6),
        exit(),
    ];
    let deeper = [mov(6, 1), store(DW, 10, -8, 1), helper(3), load(DW, 1, 10, -8), exit()];
    let operands = [(6, Operand::Function(FunctionId(1)))];
    vec![naming(function("main", &main), &operands), function("deeper", &deeper)]
}

fn start(machine: &Machine, stack: u64, arg: u64) -> Start {
    Start { stack: stack..stack + STACK_BYTES, ..machine.start([arg, 0, 0, 0, 0]) }
}

#[test]
fn interleaved() {
    const COUNT: u64 = 300;
    let code = compile(&adder());
    for mode in MODES {
        let machine = Machine::new();
        let instance = machine.instance(&code);
        let stacks = machine.memory.alloc(COUNT * STACK_BYTES, 1, Protection::ReadWrite).unwrap();
        let mut executions: Vec<Execution> = (0..COUNT)
            .map(|i| {
                let start = start(&machine, stacks + i * STACK_BYTES, i);
                Execution::start(mode, &instance, &start).unwrap()
            })
            .collect();
        for round in 0..4 {
            for (i, execution) in (0..).zip(&mut executions) {
                let value = if round == 0 { 0 } else { i * 10 + round };
                let Step::Call { insns, .. } = execution.resume(value) else { panic!() };
                assert_eq!(insns, [2, 4, 10, 14][round as usize]);
            }
        }
        for (i, execution) in (0..).zip(&mut executions) {
            let expected = i + (i * 10 + 1) + (i * 10 + 2) + (i * 10 + 3) + (i * 10 + 4);
            let Step::Return { value, insns } = execution.resume(i * 10 + 4) else { panic!() };
            assert_eq!((value, insns), (expected, 16));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the host tells how many mappings there are")]
#[test]
fn dropped_half_way() {
    let code = compile(&adder());
    let machine = Machine::new();
    let instance = machine.instance(&code);
    let maps = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let mut before = 0;
    for round in 0..4000 {
        for mode in MODES {
            let start = start(&machine, machine.stack, 1);
            let mut execution = Execution::start(mode, &instance, &start).unwrap();
            for _ in 0..round % 5 {
                execution.resume(1);
            }
        }
        if round == 1000 {
            before = maps();
        }
    }
    // Other tests of this process map something, too; but 2,400 stacks would be twice as many.
    assert!(maps() < before + 2000, "stacks are left behind: {before} mappings, now {}", maps());
    assert_eq!(Rc::strong_count(&instance), 1);
    assert_eq!(Arc::strong_count(&code), 2);
}

/// The memory and the code live as long as an execution of theirs.
#[test]
fn the_last_owner_is_an_execution() {
    for mode in MODES {
        let machine = Machine::new();
        let start = start(&machine, machine.stack, 5);
        let code = compile(&adder());
        let mut execution = Execution::start(mode, &machine.instance(&code), &start).unwrap();
        drop((machine, code));
        for value in [0, 1, 2, 3] {
            assert!(matches!(execution.resume(value), Step::Call { .. }));
        }
        assert_eq!(execution.resume(4), Step::Return { value: 15, insns: 16 });
    }
}

/// A callback is another execution, started while its caller stands still.
#[test]
fn an_execution_inside_another() {
    let code = compile(&adder());
    for mode in MODES {
        let machine = Machine::new();
        let instance = machine.instance(&code);
        let outer_start = start(&machine, machine.stack, 0);
        let mut outer = Execution::start(mode, &instance, &outer_start).unwrap();
        outer.resume(0);
        assert_eq!((outer.place().function.as_str(), outer.place().insn), ("main", 1));
        let stack = machine.memory.alloc(STACK_BYTES, 1, Protection::ReadWrite).unwrap();
        let mut callback = Start { function: FunctionId(1), ..start(&machine, stack, 9) };
        callback.budget = BUDGET;
        let other = if mode == Mode::Jit { Mode::Interpreter } else { Mode::Jit };
        let mut inner = Execution::start(other, &instance, &callback).unwrap();
        assert!(matches!(inner.resume(0), Step::Call { .. }));
        assert_eq!(inner.place().function, "deeper");
        let Step::Return { value, .. } = inner.resume(8) else { panic!() };
        assert!(matches!(outer.resume(value), Step::Call { .. }));
    }
}

#[test]
fn what_cannot_start() {
    let code = Arc::new(rota_bytecode::Code::new(&adder()).unwrap());
    let machine = Machine::new();
    let instance = machine.instance(&code);
    let good = start(&machine, machine.stack, 0);
    let refused = |mode, start: &Start| Execution::start(mode, &instance, start).err().unwrap();
    assert!(matches!(refused(Mode::Jit, &good), StartError::NotCompiled));
    let bad = Start { function: FunctionId(2), ..good.clone() };
    assert!(matches!(refused(Mode::Interpreter, &bad), StartError::Function(FunctionId(2))));
    let top = machine.stack + 4096;
    for stack in [top..top, top - 511..top, top..top - 512, 0..4096] {
        let bad = Start { stack, ..good.clone() };
        assert!(matches!(refused(Mode::Interpreter, &bad), StartError::Stack(_)));
    }
    let memory = Rc::new(Memory::new().unwrap());
    assert!(Instance::new(code, memory, vec![1], 0).is_err());
}

/// Answers every call at once, but each third, and notes all of them.
struct Quick {
    calls: Vec<(Callee, [u64; 5], Spot)>,
}

impl Driver for Quick {
    fn answer(&mut self, callee: Callee, args: [u64; 5], spot: Spot) -> Option<u64> {
        self.calls.push((callee, args, spot));
        (!self.calls.len().is_multiple_of(3)).then(|| answer(callee, args))
    }
}

#[test]
fn answered_at_once() {
    let code = compile(&adder());
    for mode in MODES {
        let stepped = observe(mode, &code, &|machine| machine.start([7; 5]));
        let machine = Machine::new();
        let start = machine.start([7; 5]);
        let mut execution = Execution::start(mode, &machine.instance(&code), &start).unwrap();
        let mut driver = Quick { calls: Vec::new() };
        let Step::Call { callee, args, insns } = execution.resume_with(0, &mut driver) else {
            panic!()
        };
        assert_eq!(driver.calls.len(), 3);
        assert_eq!(driver.calls[2], (callee, args, execution.spot()));
        assert_eq!(stepped.steps[2], Step::Call { callee, args, insns });
        let end = execution.resume_with(answer(callee, args), &mut driver);
        assert_eq!(Some(&end), stepped.steps.last());
        assert_eq!(driver.calls.len(), 4);
        assert_eq!(machine.contents(), stepped.memory);
    }
}

/// What panics in a driver is no concern of the code: it goes to whoever resumed the execution.
#[test]
fn a_driver_may_panic() {
    struct Bad;
    impl Driver for Bad {
        fn answer(&mut self, _: Callee, _: [u64; 5], _: Spot) -> Option<u64> {
            panic!("on purpose")
        }
    }
    let code = compile(&adder());
    for mode in MODES {
        let machine = Machine::new();
        let start = machine.start([7; 5]);
        let instance = machine.instance(&code);
        for _ in 0..3 {
            let mut execution = Execution::start(mode, &instance, &start).unwrap();
            let panicked = catch_unwind(AssertUnwindSafe(|| execution.resume_with(0, &mut Bad)));
            let words = panicked.unwrap_err();
            assert_eq!(words.downcast_ref(), Some(&"on purpose"));
        }
        let mut execution = Execution::start(mode, &instance, &start).unwrap();
        assert!(matches!(drive(&mut execution).last(), Some(Step::Return { .. })));
    }
}

/// A driver may execute something else before it answers, and change what memory there is.
#[test]
fn a_driver_may_execute() {
    struct Nested {
        mode: Mode,
        instance: Rc<Instance>,
        starts: Vec<Start>,
    }
    impl Driver for Nested {
        fn answer(&mut self, callee: Callee, args: [u64; 5], _: Spot) -> Option<u64> {
            let page = self.instance.memory().alloc(1, 1, Protection::ReadWrite).unwrap();
            if let Some(start) = self.starts.pop() {
                let mut inner = Execution::start(self.mode, &self.instance, &start).unwrap();
                let step = inner.resume_with(0, self);
                assert!(matches!(step, Step::Return { .. }), "{step:?}");
            }
            self.instance.memory().free(page).unwrap();
            Some(answer(callee, args))
        }
    }
    let code = compile(&adder());
    for mode in MODES {
        let alone = observe(mode, &code, &|machine| machine.start([7; 5]));
        let machine = Machine::new();
        let instance = machine.instance(&code);
        let stacks = machine.memory.alloc(8 * STACK_BYTES, 1, Protection::ReadWrite).unwrap();
        let starts = (0..8).map(|i| start(&machine, stacks + i * STACK_BYTES, i)).collect();
        let mut driver = Nested { mode, instance: Rc::clone(&instance), starts };
        let outer = machine.start([7; 5]);
        let mut execution = Execution::start(mode, &instance, &outer).unwrap();
        assert_eq!(execution.resume_with(0, &mut driver), *alone.steps.last().unwrap());
        assert!(driver.starts.is_empty());
    }
}

/// An execution is started again wherever it stands: not begun, in the middle, returned, trapped.
#[test]
fn started_again() {
    let mut functions = adder();
    functions.push(function("bad", &[load(DW, 0, 1, 0), exit()]));
    let code = compile(&functions);
    for mode in MODES {
        let machine = Machine::new();
        let instance = machine.instance(&code);
        let good = machine.start([7; 5]);
        let bad = Start { function: FunctionId(2), args: [1 << 20; 5], ..good.clone() };
        let mut execution = Execution::start(mode, &instance, &good).unwrap();
        let expected = drive(&mut execution);
        for steps in [0, 1, 3, 5] {
            execution.restart(&good).unwrap();
            for _ in 0..steps {
                execution.resume(1);
            }
            execution.restart(&good).unwrap();
            assert_eq!(drive(&mut execution), expected);
            execution.restart(&bad).unwrap();
            assert!(matches!(execution.resume(0), Step::Trap(_)));
        }
        let none = Start { function: FunctionId(9), ..good.clone() };
        assert!(matches!(execution.restart(&none), Err(StartError::Function(_))));
        execution.restart(&good).unwrap();
        assert_eq!(drive(&mut execution), expected);
    }
}
