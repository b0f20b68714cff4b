// SPDX-License-Identifier: GPL-2.0-or-later
//! Functions, checked: what an execution starts from.

use crate::decode::{MOST_INSNS, Problem, decode};
use crate::interpreter::Program;
use crate::jit::{CompileError, Compiled};
use crate::op::Op;
use crate::trap::{Place, Spot};
use rota_object::{Function, FunctionId, Operand, SourceLine};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Why a function is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct CodeError {
    /// The instruction.
    pub place: Place,
    /// What is wrong with it.
    pub problem: Problem,
}

/// The functions of an object. The same for every machine, and shared by them.
pub struct Code {
    pub(crate) functions: Vec<Body>,
    operands: Vec<Operand>,
    compiled: OnceLock<Compiled>,
}

/// How many instructions a small function has at most.
const SMALL: usize = 64;

/// A function.
pub(crate) struct Body {
    pub(crate) ops: Vec<Op>,
    pub(crate) program: Program,
    /// Whether it is so small, and calls nobody, that entering it does not ask for the budget.
    pub(crate) small: bool,
    name: String,
    lines: Vec<SourceLine>,
    poisoned: BTreeMap<u32, String>,
}

impl Code {
    /// Checks functions and takes them apart. They may be executed by the interpreter now.
    pub fn new(functions: &[Function]) -> Result<Self, CodeError> {
        let mut addresses = BTreeMap::new();
        let mut operands = Vec::new();
        let mut bodies = Vec::with_capacity(functions.len());
        let mut room = MOST_INSNS;
        for function in functions {
            room = room.checked_sub(function.insns.len()).ok_or_else(|| CodeError {
                place: place(&function.name, &function.lines, room as u32),
                problem: Problem::TooLong,
            })?;
            let mut address = |operand| {
                *addresses.entry(operand).or_insert_with(|| {
                    operands.push(operand);
                    operands.len() as u32 - 1
                })
            };
            let ops = check(function, functions.len(), &mut address)?;
            let calls = |op: &Op| matches!(op, Op::Call { .. } | Op::Suspend { .. });
            bodies.push(Body {
                small: ops.len() <= SMALL && !ops.iter().any(calls),
                program: Program::new(&ops),
                ops,
                name: function.name.clone(),
                lines: function.lines.clone(),
                poisoned: function.poisoned.clone(),
            });
        }
        Ok(Self { functions: bodies, operands, compiled: OnceLock::new() })
    }

    /// Everything whose address an instruction loads, once each: what an instance must tell the
    /// addresses of, in this order.
    pub fn operands(&self) -> &[Operand] {
        &self.operands
    }

    /// Compiles the functions to machine code, unless that was done already.
    pub fn compile(&self) -> Result<(), CompileError> {
        if self.compiled.get().is_none() {
            let compiled = Compiled::new(&self.functions)?;
            // If another thread was faster, its code is as good.
            let _ = self.compiled.set(compiled);
        }
        Ok(())
    }

    /// The machine code, if there is any.
    pub(crate) fn compiled(&self) -> Option<&Compiled> {
        self.compiled.get()
    }

    /// The place that a spot is.
    pub fn place_of(&self, spot: Spot) -> Place {
        self.place(spot.function, spot.insn)
    }

    /// The name of an instruction's place.
    pub(crate) fn place(&self, function: u32, insn: u32) -> Place {
        match self.functions.get(function as usize) {
            Some(body) => place(&body.name, &body.lines, insn),
            None => place("", &[], insn),
        }
    }

    /// Why an instruction is poisoned.
    pub(crate) fn poison(&self, function: u32, insn: u32) -> String {
        let body = self.functions.get(function as usize);
        body.and_then(|body| body.poisoned.get(&insn)).cloned().unwrap_or_default()
    }

    /// Whether there is such a function.
    pub(crate) fn has(&self, function: FunctionId) -> bool {
        (function.0 as usize) < self.functions.len()
    }
}

impl Body {
    /// The packed instruction with `rest` more behind it, as it was before.
    pub(crate) fn unpacked(&self, rest: usize) -> Op {
        let at = self.program.ops.len() - rest - 1;
        self.ops.get(self.program.insn(at as u32) as usize).copied().unwrap_or(Op::Poisoned)
    }
}

fn place(name: &str, lines: &[SourceLine], insn: u32) -> Place {
    let after = lines.partition_point(|line| line.insn <= insn);
    let line = after.checked_sub(1).and_then(|line| lines.get(line)).cloned();
    Place { function: name.to_owned(), insn, line }
}

fn check(
    function: &Function,
    functions: usize,
    address: &mut dyn FnMut(Operand) -> u32,
) -> Result<Vec<Op>, CodeError> {
    let error = |insn: usize, problem| CodeError {
        place: place(&function.name, &function.lines, insn as u32),
        problem,
    };
    let mut ops = Vec::with_capacity(function.insns.len());
    while let Some(insn) = function.insns.get(ops.len()) {
        let at = ops.len();
        let operand = function.operands.get(&(at as u32)).copied();
        let op = if function.poisoned.contains_key(&(at as u32)) {
            Op::Poisoned
        } else {
            decode(&function.insns, at, operand, address).map_err(|problem| error(at, problem))?
        };
        ops.push(op);
        // Whatever the linker made of a poisoned load, it may have left its second half.
        let two = insn.is_wide() || op == Op::Poisoned;
        if two && function.insns.get(at + 1).is_some_and(|second| second.code == 0) {
            ops.push(Op::Second);
        }
    }
    for (at, op) in ops.iter().enumerate() {
        if let Some(target) = op.target()
            && ops.get(target as usize).is_none_or(|op| *op == Op::Second)
        {
            return Err(error(at, Problem::Target(i64::from(target))));
        }
        if let Op::Call { function: callee } = op
            && *callee as usize >= functions
        {
            let operand = Operand::Function(FunctionId(*callee));
            return Err(error(at, Problem::Operand(operand)));
        }
    }
    let last = ops.iter().rposition(|op| *op != Op::Second);
    if !last.and_then(|last| ops.get(last)).is_some_and(|op| op.ends()) {
        return Err(error(last.unwrap_or(0), Problem::NoEnd));
    }
    Ok(ops)
}
