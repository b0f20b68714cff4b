// SPDX-License-Identifier: GPL-2.0-or-later
//! Jumps, calls, and what is counted.

use crate::asm::*;
use crate::machine::{BUDGET, run};
use rota_bytecode::{Callee, POISON, Step, TrapKind};
use rota_object::{FunctionId, KfuncId, MapId, Operand};

#[test]
fn a_loop_is_counted() {
    // Two instructions, then three a round, ten times; then the exit.
    let insns = [
        mov_imm(0, 0),
        mov_imm(1, 10),
        add_imm(0, 3),
        add_imm(1, -1),
        branch_imm(true, JNE, 1, 0, -3),
        exit(),
    ];
    let observed = run(&[function("main", &insns)]);
    assert_eq!((observed.value(), observed.insns()), (30, 2 + 10 * 3 + 1));
}

#[test]
fn far_jumps_and_wide_loads_are_counted_once() {
    let [a, b] = wide(0, 77);
    let insns = [jump_far(1), exit(), a, b, jump_far(-4)];
    let observed = run(&[function("main", &insns)]);
    assert_eq!((observed.value(), observed.insns()), (77, 4));
}

#[test]
fn a_function_has_its_own_registers() {
    let call_it = |at, id| (at, Operand::Function(FunctionId(id)));
    let main = [
        mov_imm(6, 60),
        mov_imm(9, 90),
        store_imm(DW, 10, -8, 1),
        mov_imm(1, 5),
        call(),
        // 5 + 1; r6 and r9 as before; r2 clobbered; the stack untouched.
        alu(true, ADD, 0, 6),
        alu(true, ADD, 0, 9),
        load(DW, 3, 10, -8),
        alu(true, ADD, 0, 3),
        store(DW, 10, -16, 2),
        exit(),
    ];
    let callee = [
        store(DW, 10, -24, 6),
        mov_imm(6, 1),
        mov_imm(9, 2),
        store_imm(DW, 10, -8, 7),
        mov(0, 1),
        add_imm(0, 1),
        exit(),
    ];
    let main = naming(function("main", &main), &[call_it(4, 1)]);
    let observed = run(&[main, function("callee", &callee)]);
    assert_eq!((observed.value(), observed.insns()), (6 + 60 + 90 + 1, 11 + 7));
    let stack = &observed.memory[8192..8192 + 4096];
    let word = |at: usize| u64::from_le_bytes(stack[at..at + 8].try_into().unwrap());
    assert_eq!(word(4096 - 16), POISON, "r2 after the call");
    assert_eq!(word(4096 - 512 - 24), POISON, "r6 of the callee");
    assert_eq!(word(4096 - 512 - 8), 7);
}

#[test]
fn helpers_and_kernel_functions_are_asked() {
    let main = [mov(1, 4), mov_imm(2, 2), helper(7), mov(1, 0), call(), exit()];
    let main = naming(function("main", &main), &[(4, Operand::Kfunc(KfuncId(3)))]);
    let observed = run(&[main]);
    let [first, second, end] = &observed.steps[..] else { panic!("{:?}", observed.steps) };
    let Step::Call { callee, args, insns } = first else { panic!("{first:?}") };
    assert_eq!((*callee, args[0], args[1], *insns), (Callee::Helper(7), 4, 2, 3));
    let answer = crate::machine::answer(*callee, *args);
    let Step::Call { callee, args, insns } = second else { panic!("{second:?}") };
    assert_eq!((*callee, *insns), (Callee::Kfunc(KfuncId(3)), 5));
    assert_eq!(*args, [answer, POISON, POISON, POISON, POISON]);
    let value = crate::machine::answer(*callee, *args);
    assert_eq!(*end, Step::Return { value, insns: 6 });
}

#[test]
fn addresses_come_from_the_instance() {
    let (a, b) = (Operand::Map(MapId(0)), Operand::MapValue(MapId(0), 8));
    let [first, second] = wide(1, 0);
    let [third, fourth] = wide(2, 0);
    let main = [first, second, third, fourth, mov(0, 2), alu(true, SUB, 0, 1), exit()];
    let observed = run(&[naming(function("main", &main), &[(0, a), (2, b)])]);
    assert_eq!(observed.value(), 24);
}

#[test]
fn may_goto_ends_an_endless_loop() {
    let main = [mov_imm(0, 0), may_goto(2), add_imm(0, 1), jump(-3), exit()];
    let code = crate::machine::compile(&[function("main", &main)]);
    for mode in crate::machine::MODES {
        let observed = crate::machine::observe(mode, &code, &|machine| {
            let mut start = machine.start([0; 5]);
            start.budget = u64::MAX;
            start
        });
        assert_eq!((observed.value(), observed.insns()), (8 << 20, 3 * (8 << 20) + 3));
    }
}

#[test]
fn a_runaway_loop_traps() {
    let observed = run(&[function("main", &[mov_imm(0, 0), add_imm(0, 1), jump(-2)])]);
    assert_eq!(observed.trap().kind, TrapKind::Budget);
    assert_eq!(observed.trap().place.insn, 2);
    // Not before the budget is used up, and at the next backward jump.
    assert!((BUDGET + 1..BUDGET + 3).contains(&observed.insns()), "{}", observed.insns());
}

#[test]
fn deep_recursion_traps() {
    let main = naming(
        function("main", &[mov_imm(0, 0), call(), exit()]),
        &[(1, Operand::Function(FunctionId(0)))],
    );
    let observed = run(&[main]);
    assert_eq!(observed.trap().kind, TrapKind::StackOverflow);
    // The eighth function can't call a ninth.
    assert_eq!((observed.trap().place.insn, observed.insns()), (1, 16));
}

#[test]
fn a_poisoned_instruction_traps_when_it_is_reached() {
    let mut main =
        function("main", &[branch_imm(true, JEQ, 4, 4, 1), call(), mov_imm(0, 1), exit()]);
    main.poisoned.insert(1, "no field x".to_owned());
    assert_eq!(run(&[main.clone()]).value(), 1);
    main.insns[0] = branch_imm(true, JEQ, 4, 5, 1);
    let observed = run(&[main]);
    assert_eq!(observed.trap().kind, TrapKind::Poisoned("no field x".to_owned()));
    assert_eq!(
        observed.trap().to_string(),
        "main, instruction 1, test.bpf.c:2 (line 2): not on this kernel: no field x"
    );
    assert_eq!(observed.insns(), 2);
}

#[test]
fn a_poisoned_wide_load_keeps_its_second_half() {
    let [first, second] = wide(1, 5);
    for load in [first, call()] {
        let insns = [branch_imm(true, JEQ, 4, 4, 2), load, second, mov_imm(0, 1), exit()];
        let mut main = function("main", &insns);
        main.poisoned.insert(1, "no type y".to_owned());
        assert_eq!(run(&[main.clone()]).value(), 1);
        main.insns[0] = branch_imm(true, JEQ, 4, 5, 2);
        assert_eq!(run(&[main]).trap().place.insn, 1);
    }
}
