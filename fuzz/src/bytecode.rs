// SPDX-License-Identifier: GPL-2.0-or-later
//! Instructions.

use rota_bytecode::{
    Callee, Code, CodeError, Execution, Instance, Memory, Mode, Problem, Protection, STACK_BYTES,
    Start, Step,
};
use rota_object::{Function, FunctionId, Insn, KfuncId, MapId, Operand, VariableId};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Codes that are no instructions: the next function starts; what would stand here, the kernel
/// does not have.
const NEXT: u8 = 0xff;
const POISONED: u8 = 0xfe;

const CALL: u8 = 0x85;
const FUNCTIONS_MAX: usize = 4;
const INSNS_MAX: usize = 64;
const BUDGET: u64 = 2000;
/// Where the arena has its pages, and where user space sees it.
const ARENA: u64 = 0x1000_0000;
const ARENA_BASE: u64 = 0x7f00_0000_0000;
const REGION_BYTES: u64 = 4096;

/// The input is instructions of 8 bytes. They are executed on both engines; those that are refused
/// are changed, little by little, until they are not.
pub fn bytecode(data: &[u8]) {
    let mut functions = read(data);
    if let Some(code) = accepted(&mut functions) {
        let [jit, interpreter] = [Mode::Jit, Mode::Interpreter].map(|mode| observe(mode, &code));
        assert_eq!(jit.0, interpreter.0, "{functions:#?}");
        assert!(jit.1 == interpreter.1, "memory differs: {functions:#?}");
    }
}

/// Functions of an input. What an instruction names is what its fields say, as in the kernel.
fn read(data: &[u8]) -> Vec<Function> {
    let mut functions = vec![function(0)];
    for bytes in data.chunks_exact(8) {
        let insn = Insn::decode(bytes.try_into().expect("these are 8"));
        let count = functions.len();
        let Some(last) = functions.last_mut() else { break };
        let at = last.insns.len();
        if insn.code == NEXT || at == INSNS_MAX {
            if count == FUNCTIONS_MAX {
                break;
            }
            functions.push(function(count));
        } else if insn.code == POISONED {
            last.poisoned.insert(at as u32, format!("poison {at}"));
            last.insns.push(insn);
        } else {
            last.operands.extend(operand(insn).map(|operand| (at as u32, operand)));
            last.insns.push(insn);
        }
    }
    let count = functions.len() as u32;
    let named = functions.iter_mut().flat_map(|function| function.operands.values_mut());
    for operand in named {
        if let Operand::Function(id) = operand {
            id.0 %= count;
        }
    }
    functions
}

/// An empty function, called by its number.
fn function(number: usize) -> Function {
    Function { name: number.to_string(), ..Function::default() }
}

fn operand(insn: Insn) -> Option<Operand> {
    let id = insn.imm.cast_unsigned() & 3;
    match (insn.is_wide(), insn.code, insn.src) {
        (false, CALL, 1) | (true, _, 4) => Some(Operand::Function(FunctionId(id))),
        (false, CALL, 2) | (true, _, 5) => Some(Operand::Kfunc(KfuncId(id))),
        (true, _, 1) => Some(Operand::Map(MapId(id))),
        (true, _, 2) => Some(Operand::MapValue(MapId(id), u64::from(id))),
        (true, _, 3) => Some(Operand::Variable(VariableId(id))),
        _ => None,
    }
}

/// The functions as code, once nothing of them is refused any more.
fn accepted(functions: &mut [Function]) -> Option<Arc<Code>> {
    let mut refused: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    // Every instruction gives way after a few times.
    for _ in 0..FUNCTIONS_MAX * INSNS_MAX * 8 {
        let error = match Code::new(functions) {
            Ok(code) => return Some(Arc::new(code)),
            Err(error) => error,
        };
        let number: usize = error.place.function.parse().expect("it is called by its number");
        let at = error.place.insn as usize;
        let times = refused.entry((number, at)).or_default();
        give_way(&mut functions[number], at, &error, *times);
        *times += 1;
    }
    panic!("always refused: {functions:#?}");
}

/// Takes from an instruction what may be wrong with it.
fn give_way(function: &mut Function, at: usize, error: &CodeError, times: u32) {
    const EXIT: Insn = Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 };
    // r0 = r0
    const NOTHING: Insn = Insn { code: 0xbf, dst: 0, src: 0, off: 0, imm: 0 };
    let count = function.insns.len() as i64;
    if error.problem == Problem::NoEnd {
        return function.insns.push(EXIT);
    }
    let Some(insn) = function.insns.get_mut(at) else { return };
    match (times, &error.problem) {
        (0, Problem::Target(target)) => {
            let distance = target.rem_euclid(count) - at as i64 - 1;
            // A far jump's distance stands elsewhere.
            *insn = if insn.code == 0x06 {
                Insn { imm: distance as i32, ..*insn }
            } else {
                Insn { off: distance as i16, ..*insn }
            };
        }
        (0, Problem::Register(_)) => {
            *insn = Insn { dst: insn.dst % 10, src: insn.src % 10, ..*insn }
        }
        (0, _) => insn.imm = 0,
        (1, _) => insn.off = 0,
        (2, _) => insn.src = 0,
        (3, _) => insn.dst = 0,
        _ => *insn = NOTHING,
    }
    if operand(*insn).is_none() {
        function.operands.remove(&(at as u32));
    }
}

/// Everything that can be observed: the steps, and what memory holds in the end.
fn observe(mode: Mode, code: &Arc<Code>) -> (Vec<Step>, Vec<u8>) {
    code.compile().expect("what is accepted can be compiled");
    let memory = Rc::new(Memory::new().expect("the host has memory"));
    let region = |size| memory.alloc(size, 8, Protection::ReadWrite).expect("there is room");
    let (data, stack) = (region(REGION_BYTES), region(STACK_BYTES));
    memory.map(ARENA, REGION_BYTES, Protection::ReadWrite).expect("it is free");
    let addresses = (0..).zip(code.operands()).map(|(i, _)| data + 8 * i).collect();
    let instance = Instance::new(Arc::clone(code), Rc::clone(&memory), addresses, ARENA_BASE);
    let instance = Rc::new(instance.expect("there is an address for each"));
    let start = Start {
        function: FunctionId(0),
        args: [data, ARENA, data + REGION_BYTES - 8, u64::MAX, 1],
        stack: stack..stack + STACK_BYTES,
        budget: BUDGET,
    };
    let mut execution = Execution::start(mode, &instance, &start).expect("it can start");
    let steps = drive(&mut execution);
    let mut all = Vec::new();
    for (from, size) in [(data, REGION_BYTES), (stack, STACK_BYTES), (ARENA, REGION_BYTES)] {
        let mut bytes = vec![0; size as usize];
        memory.read(from, &mut bytes).expect("it is there");
        all.extend(bytes);
    }
    (steps, all)
}

/// Executes to the end. A call is answered with something that depends on what is called, and with
/// what.
fn drive(execution: &mut Execution) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut value = 0;
    loop {
        let step = execution.resume(value);
        steps.push(step.clone());
        let Step::Call { callee, args, .. } = step else { return steps };
        let number = match callee {
            Callee::Helper(number) => number as u64,
            Callee::Kfunc(id) => u64::from(id.0) << 32,
        };
        value = args.iter().fold(number, |sum, arg| sum.rotate_left(9) ^ arg);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_becomes_a_program() {
        let mut bytes = Vec::new();
        for code in 0..=u8::MAX {
            bytes.extend([code, 0x9a, 3, 0, 7, 0, 0, 0]);
        }
        let mut functions = read(&bytes);
        assert_eq!(functions.len(), FUNCTIONS_MAX);
        assert!(accepted(&mut functions).is_some());
        let kept = functions.iter().flat_map(|f| &f.insns).filter(|i| i.code != 0xbf).count();
        assert!(kept > 100, "only {kept} were kept: {functions:#?}");
    }

    #[test]
    fn a_program_stays_as_it_is() {
        let bytes = [[0xb7, 0, 0, 0, 42, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]].concat();
        let before = read(&bytes);
        let mut functions = before.clone();
        let code = accepted(&mut functions).unwrap();
        assert_eq!(functions, before);
        let (steps, _) = observe(Mode::Interpreter, &code);
        assert_eq!(steps, [Step::Return { value: 42, insns: 2 }]);
    }
}
