// SPDX-License-Identifier: GPL-2.0-or-later
//! A machine for tests, a driver, and the comparison of both modes.

use rota_bytecode::{
    Callee, Code, Execution, Instance, Memory, Mode, Protection, Start, Step, Trap,
};
use rota_object::{Function, FunctionId};
use std::rc::Rc;
use std::sync::Arc;

/// Both ways to execute.
pub(crate) const MODES: [Mode; 2] = [Mode::Jit, Mode::Interpreter];
/// Where user space sees the arena.
pub(crate) const ARENA_BASE: u64 = 0x7f00_0000_0000;
/// Where the arena has its pages.
pub(crate) const ARENA: u64 = 0x1000_0000;
/// Sizes of the regions.
pub(crate) const BYTES: u64 = 8192;
pub(crate) const BUDGET: u64 = 100_000;

/// A memory with the same regions at the same places every time.
pub(crate) struct Machine {
    pub(crate) memory: Rc<Memory>,
    /// A region that can be written.
    pub(crate) data: u64,
    /// One that can only be read.
    pub(crate) constants: u64,
    pub(crate) stack: u64,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let memory = Memory::new().unwrap();
        let data = memory.alloc(BYTES, 1, Protection::ReadWrite).unwrap();
        let constants = memory.alloc(BYTES, 1, Protection::ReadWrite).unwrap();
        let stack = memory.alloc(4096, 1, Protection::ReadWrite).unwrap();
        memory.map(ARENA, BYTES, Protection::ReadWrite).unwrap();
        for (pointer, seed) in [(data, 3), (constants, 5), (ARENA, 7)] {
            let bytes: Vec<u8> = (0..BYTES).map(|i| (i * i * seed + i / 3) as u8).collect();
            memory.write(pointer, &bytes).unwrap();
        }
        memory.protect(constants, Protection::ReadOnly).unwrap();
        Self { memory: Rc::new(memory), data, constants, stack }
    }

    /// Everything that a program could have written.
    pub(crate) fn contents(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (pointer, size) in [(self.data, BYTES), (self.stack, 4096), (ARENA, BYTES)] {
            let mut bytes = vec![0; size as usize];
            self.memory.read(pointer, &mut bytes).unwrap();
            all.extend(bytes);
        }
        all
    }

    /// The code on this machine; every operand's address is that of `data`, and a bit further on
    /// from one to the next.
    pub(crate) fn instance(&self, code: &Arc<Code>) -> Rc<Instance> {
        let addresses = (0..).zip(code.operands()).map(|(i, _)| self.data + i * 24).collect();
        let memory = Rc::clone(&self.memory);
        Rc::new(Instance::new(Arc::clone(code), memory, addresses, ARENA_BASE).unwrap())
    }

    pub(crate) fn start(&self, args: [u64; 5]) -> Start {
        let stack = self.stack..self.stack + 4096;
        Start { function: FunctionId(0), args, stack, budget: BUDGET }
    }
}

/// Checks and compiles.
pub(crate) fn compile(functions: &[Function]) -> Arc<Code> {
    let code = Code::new(functions).unwrap_or_else(|error| panic!("{error}"));
    code.compile().unwrap();
    Arc::new(code)
}

/// What the driver of these tests answers: something that depends on everything it is told.
pub(crate) fn answer(callee: Callee, args: [u64; 5]) -> u64 {
    let number = match callee {
        Callee::Helper(number) => number as u64,
        Callee::Kfunc(kfunc) => u64::from(kfunc.0) + 1000,
    };
    args.iter().fold(number, |sum, arg| sum.rotate_left(7).wrapping_mul(0x9e37_79b9) ^ arg)
}

/// Executes until the end, answering every call.
pub(crate) fn drive(execution: &mut Execution) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut value = 0;
    loop {
        let step = execution.resume(value);
        steps.push(step.clone());
        match step {
            Step::Call { callee, args, .. } => value = answer(callee, args),
            _ => return steps,
        }
    }
}

/// Everything that can be observed of an execution.
#[derive(Debug, PartialEq)]
pub(crate) struct Observed {
    pub(crate) steps: Vec<Step>,
    pub(crate) memory: Vec<u8>,
}

impl Observed {
    /// What the function returned.
    pub(crate) fn value(&self) -> u64 {
        match self.steps.last() {
            Some(Step::Return { value, .. }) => *value,
            other => panic!("not a return: {other:x?}"),
        }
    }

    pub(crate) fn insns(&self) -> u64 {
        match self.steps.last() {
            Some(Step::Return { insns, .. } | Step::Call { insns, .. }) => *insns,
            Some(Step::Trap(trap)) => trap.insns,
            None => 0,
        }
    }

    pub(crate) fn trap(&self) -> &Trap {
        match self.steps.last() {
            Some(Step::Trap(trap)) => trap,
            other => panic!("not a trap: {other:x?}"),
        }
    }
}

/// Executes in one mode, on a machine of its own.
pub(crate) fn observe(mode: Mode, code: &Arc<Code>, start: &dyn Fn(&Machine) -> Start) -> Observed {
    let machine = Machine::new();
    let instance = machine.instance(code);
    let mut execution = Execution::start(mode, &instance, &start(&machine)).unwrap();
    let steps = drive(&mut execution);
    Observed { steps, memory: machine.contents() }
}

/// Executes in both modes, which must do the same.
pub(crate) fn both(functions: &[Function], start: &dyn Fn(&Machine) -> Start) -> Observed {
    let code = compile(functions);
    let [jit, interpreter] = MODES.map(|mode| observe(mode, &code, start));
    assert_eq!(jit.steps, interpreter.steps, "{functions:#?}");
    assert!(jit.memory == interpreter.memory, "memory differs: {functions:#?}");
    jit
}

/// The same, with the regions as arguments: data, constants, arena.
pub(crate) fn run(functions: &[Function]) -> Observed {
    both(functions, &|machine| machine.start([machine.data, machine.constants, ARENA, 4, 5]))
}
