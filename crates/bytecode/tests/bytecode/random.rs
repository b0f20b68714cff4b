// SPDX-License-Identifier: GPL-2.0-or-later
//! Random programs, in both modes.
//!
//! `ROTA_PROGRAMS` sets how many, `ROTA_SEED` the first program's seed, for a replay.

use crate::generate::{HELPERS, program};
use crate::machine::{MODES, Machine, answer, compile};
use rota_bytecode::{
    Callee, Code, Driver, Execution, Instance, Mode, Place, Protection, STACK_BYTES, Spot, Start,
    Step, TrapKind,
};
use rota_object::FunctionId;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The last are never answered: who called one is dropped where it stands.
const NO_ANSWER: i32 = HELPERS - 10;
/// Those below call a function back, which their caller waits for.
const CALL_BACK: i32 = 40;
/// How many functions are called back in all, and how many at once.
const CALLBACKS: u32 = 50;
const DEPTH: usize = 3;

/// What a program did: every step, with the place of the call that it stands at, and what it left
/// in memory.
#[derive(PartialEq)]
struct Observed {
    steps: Vec<(Step, Option<Place>)>,
    memory: Vec<u8>,
}

impl Observed {
    /// Without the counts of instructions at calls, which who answers at once is not told.
    fn uncounted(mut self) -> Self {
        for (step, _) in &mut self.steps {
            if let Step::Call { insns, .. } = step {
                *insns = 0;
            }
        }
        self
    }
}

/// Who runs a program, and answers it.
struct Runner {
    mode: Mode,
    /// Whether calls are answered at once if that is all that there is to do.
    at_once: bool,
    instance: Rc<Instance>,
    functions: u64,
    /// The stacks of functions that are called back, one after the other.
    stacks: u64,
    callbacks_left: u32,
    steps: Vec<(Step, Option<Place>)>,
}

impl Driver for Runner {
    fn answer(&mut self, callee: Callee, args: [u64; 5], spot: Spot) -> Option<u64> {
        if matches!(callee, Callee::Helper(..CALL_BACK | NO_ANSWER..)) {
            return None;
        }
        let place = self.instance.code().place_of(spot);
        self.steps.push((Step::Call { callee, args, insns: 0 }, Some(place)));
        Some(answer(callee, args))
    }
}

impl Runner {
    /// Executes to the end. The value returned; none if there is nothing to go on with.
    fn drive(&mut self, start: &Start, depth: usize) -> Option<u64> {
        let mut execution = Execution::start(self.mode, &self.instance, start).unwrap();
        let mut value = 0;
        loop {
            let step = if self.at_once {
                execution.resume_with(value, self)
            } else {
                execution.resume(value)
            };
            let place = matches!(step, Step::Call { .. }).then(|| execution.place());
            self.steps.push((step.clone(), place));
            value = match step {
                Step::Return { value, .. } => return Some(value),
                Step::Trap(_) | Step::Call { callee: Callee::Helper(NO_ANSWER..), .. } => {
                    return None;
                }
                Step::Call { callee: Callee::Helper(..CALL_BACK), args, .. }
                    if depth < DEPTH && self.callbacks_left > 0 =>
                {
                    self.callbacks_left -= 1;
                    let stack = self.stacks + depth as u64 * STACK_BYTES;
                    let inner = Start {
                        function: FunctionId((args[0] % self.functions) as u32),
                        args: [args[1], args[2], args[3], args[4], args[0]],
                        stack: stack..stack + STACK_BYTES,
                        budget: start.budget / 4,
                    };
                    self.drive(&inner, depth + 1)?
                }
                Step::Call { callee, args, .. } => answer(callee, args),
            };
        }
    }
}

/// Executes a program in one mode, on a machine of its own.
fn observe(
    mode: Mode,
    at_once: bool,
    code: &Arc<Code>,
    functions: u64,
    args: [u64; 5],
) -> Observed {
    let machine = Machine::new();
    let bytes = DEPTH as u64 * STACK_BYTES;
    let stacks = machine.memory.alloc(bytes, 8, Protection::ReadWrite).unwrap();
    let instance = machine.instance(code);
    let callbacks_left = CALLBACKS;
    let steps = Vec::new();
    let mut runner = Runner { mode, at_once, instance, functions, stacks, callbacks_left, steps };
    runner.drive(&Start { budget: 3000, ..machine.start(args) }, 0);
    let mut memory = vec![0; bytes as usize];
    machine.memory.read(stacks, &mut memory).unwrap();
    memory.extend(machine.contents());
    Observed { steps: runner.steps, memory }
}

#[expect(clippy::disallowed_methods, reason = "how long to test is the user's choice")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
#[expect(clippy::print_stdout, reason = "a long run tells what it did")]
fn both_modes_do_the_same() {
    let (count, first) = (setting("ROTA_PROGRAMS", 10_000), setting("ROTA_SEED", 1));
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in first..first + count {
        let machine = Machine::new();
        let (functions, args) = program(seed, &machine);
        drop(machine);
        let code = compile(&functions);
        let number = functions.len() as u64;
        let [jit, interpreter] = MODES.map(|mode| observe(mode, false, &code, number, args));
        assert!(
            jit == interpreter,
            "seed {seed} (ROTA_SEED={seed} ROTA_PROGRAMS=1 repeats it)\n\
             memory equal: {}\nmachine code: {:#x?}\ninterpreter: {:#x?}\n{functions:#x?}",
            jit.memory == interpreter.memory,
            jit.steps.last(),
            interpreter.steps.last(),
        );
        let end = match jit.steps.last().map(|(step, _)| step) {
            Some(Step::Return { .. }) => "return",
            Some(Step::Call { .. }) => "dropped",
            Some(Step::Trap(trap)) => match trap.kind {
                TrapKind::Memory(fault) if fault.write => "store",
                TrapKind::Memory(_) => "load",
                TrapKind::Misaligned { .. } => "misaligned",
                TrapKind::StackOverflow => "stack",
                TrapKind::Budget => "budget",
                TrapKind::Poisoned(_) => "poison",
                TrapKind::Internal(_) => panic!("seed {seed}: {trap}"),
            },
            None => "no end",
        };
        let stepped = jit.uncounted();
        for mode in MODES {
            let at_once = observe(mode, true, &code, number, args).uncounted();
            assert!(at_once == stepped, "seed {seed} answered at once by {mode:?}");
        }
        *ends.entry(end).or_default() += 1;
    }
    let text = ends.iter().map(|(end, count)| format!("{end} {count}")).collect::<Vec<_>>();
    println!("{count} programs from seed {first}, ends: {}", text.join(", "));
    // The comparison is worth something only if every kind of end is common.
    for end in ["return", "store", "load", "misaligned", "stack", "budget", "poison", "dropped"] {
        let found = ends.get(end).copied().unwrap_or(0);
        assert!(count < 1000 || found >= count / 500, "{ends:?}");
    }
    assert!(!ends.contains_key("no end"), "{ends:?}");
}
