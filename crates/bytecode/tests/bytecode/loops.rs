// SPDX-License-Identifier: GPL-2.0-or-later
//! What machine code does not do instruction by instruction: counting, short loops, the stack's
//! pointers, arguments; and the interpreter: a move and what follows it.

use crate::asm::*;
use crate::machine::{Machine, Observed, both, run};
use rota_bytecode::{Start, Step, TrapKind};
use rota_object::{Function, FunctionId, Insn, Operand};

/// Executes in both modes, which must do the same, with this budget.
fn within(budget: u64, functions: &[Function]) -> Observed {
    both(functions, &|machine: &Machine| {
        let start = machine.start([machine.data, machine.constants, 0, 4, 5]);
        Start { budget, ..start }
    })
}

/// Writes `rounds` numbers one after the other: two instructions, then four a round, then one.
fn filler(rounds: i32) -> Function {
    let insns = [
        mov_imm(0, 0),
        mov_imm(3, rounds),
        store(DW, 1, 0, 3),
        add_imm(1, 8),
        add_imm(3, -1),
        branch_imm(true, JNE, 3, 0, -4),
        exit(),
    ];
    function("main", &insns)
}

#[test]
fn every_budget_of_a_short_loop() {
    for rounds in [1, 3, 7, 8, 9, 17, 25] {
        let main = filler(rounds);
        let whole = 2 + 4 * rounds as u64 + 1;
        for budget in 0..whole + 2 {
            let observed = within(budget, std::slice::from_ref(&main));
            let Step::Trap(trap) = &observed.steps[0] else {
                assert!(budget >= whole - 1, "{rounds} rounds with {budget}");
                assert_eq!(observed.insns(), whole);
                continue;
            };
            // At the first branch after the budget.
            let round = (budget + 1).saturating_sub(2).div_ceil(4).max(1);
            assert_eq!((trap.kind.clone(), trap.place.insn), (TrapKind::Budget, 5));
            assert_eq!(trap.insns, 2 + 4 * round, "{rounds} rounds with {budget}");
        }
    }
}

#[test]
fn a_short_loop_traps_in_its_round() {
    // The region has 1024 numbers; the loop starts so that it leaves it in each of its rounds.
    for rounds in 0..20 {
        let mut main = filler(100);
        main.insns[0] = add_imm(1, 8192 - 8 * rounds);
        let observed = run(&[main]);
        let trap = observed.trap();
        assert!(matches!(trap.kind, TrapKind::Memory(_)));
        assert_eq!((trap.place.insn, trap.insns), (2, 2 + 4 * rounds as u64 + 1));
    }
}

#[test]
fn a_jump_back_that_is_not_taken_asks_for_the_budget() {
    let main = [mov_imm(0, 1), branch_imm(true, JEQ, 0, 0, -2), mov_imm(0, 2), exit()];
    let main = function("main", &main);
    let observed = within(1, std::slice::from_ref(&main));
    assert_eq!((observed.trap().place.insn, observed.insns()), (1, 2));
    assert_eq!(within(2, &[main]).value(), 2);
}

#[test]
fn calls_ask_for_the_budget_but_for_small_functions() {
    let call_it = |to| naming(function("main", &[call(), exit()]), &[(0, Operand::Function(to))]);
    let small = function("small", &[mov_imm(0, 7), exit()]);
    let long: Vec<Insn> = (0..64).map(|_| mov_imm(0, 7)).chain([exit()]).collect();
    let main = call_it(FunctionId(1));
    assert_eq!(within(0, &[main.clone(), small]).insns(), 4);
    let observed = within(0, &[main.clone(), function("long", &long)]);
    assert_eq!(observed.trap().kind, TrapKind::Budget);
    assert_eq!((observed.trap().place.function.as_str(), observed.insns()), ("long", 1));
    let asks = function("asks", &[helper(1), exit()]);
    assert_eq!(within(0, &[main, asks]).trap().place.function, "asks");
}

#[test]
fn ways_meet_on_which_different_numbers_are_owed() {
    // The count is the same whichever way it went, and where it stops in between.
    for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let main = [
            mov_imm(6, first),
            mov_imm(7, second),
            branch_imm(true, JEQ, 6, 0, 2),
            mov_imm(8, 1),
            mov_imm(8, 2),
            branch_imm(true, JEQ, 7, 0, 1),
            helper(1),
            store_imm(DW, 2, 0, 1),
            exit(),
        ];
        let observed = run(&[function("main", &main)]);
        let insns = 5 + 2 * first as u64 + second as u64;
        assert_eq!((observed.trap().place.insn, observed.insns()), (7, insns));
        if let [Step::Call { insns, .. }, _] = observed.steps[..] {
            assert_eq!(insns, 5 + 2 * first as u64);
        }
    }
}

#[test]
fn pointers_to_the_stack() {
    let main = [
        mov(6, 10),
        add_imm(6, -16),
        store_imm(DW, 6, 8, 77),
        alu_imm(true, SUB, 6, 496),
        store_imm(DW, 6, 0, 78),
        // Out of the function's part, and back.
        alu_imm(true, SUB, 6, 8),
        store_imm(DW, 6, 0, 79),
        add_imm(6, 512),
        load(DW, 0, 6, 0),
        load(DW, 1, 10, -520),
        alu(true, ADD, 0, 1),
        load(DW, 1, 10, -512),
        alu(true, ADD, 0, 1),
        exit(),
    ];
    assert_eq!(run(&[function("main", &main)]).value(), 77 + 78 + 79);
    let upper = [mov(0, 10), alu_imm(true, RSH, 0, 32), exit()];
    assert_eq!(run(&[function("main", &upper)]).value(), 0xffff_8881);
}

#[test]
fn arguments_that_only_a_callee_looks_at() {
    // main passes r3 on to one that passes it on; the last one asks the driver, who sees all.
    let to = |id| [(0, Operand::Function(FunctionId(id)))];
    let main = naming(function("main", &[call(), exit()]), &to(1));
    let middle = naming(function("middle", &[call(), exit()]), &to(2));
    let last = function("last", &[mov(0, 4), exit()]);
    assert_eq!(run(&[main.clone(), middle.clone(), last]).value(), 4);
    let asks = function("asks", &[helper(3), exit()]);
    let observed = run(&[main, middle, asks]);
    let Step::Call { args, .. } = observed.steps[0] else { panic!("{:?}", observed.steps) };
    assert_eq!(args[3..], [4, 5]);
}

#[test]
fn a_jump_between_a_move_and_what_follows_it() {
    for (taken, value) in [(0, 5 + 3), (1, 100 + 3)] {
        let main = [
            mov_imm(2, 5),
            mov_imm(0, 100),
            branch_imm(true, JEQ, 4, if taken == 1 { 4 } else { 3 }, 1),
            mov(0, 2),
            add_imm(0, 3),
            exit(),
        ];
        let observed = run(&[function("main", &main)]);
        assert_eq!((observed.value(), observed.insns()), (value, 6 - taken));
    }
    // With itself as the second operand, and in 32 bits only.
    for (moved, then, value) in [
        (mov(0, 2), alu(true, ADD, 0, 0), 10),
        (mov(0, 2), alu(true, ADD, 0, 2), 10),
        (mov(0, 2), alu(false, SUB, 0, 4), 1),
        (alu(false, MOV, 0, 2), alu(false, SUB, 0, 4), 1),
        (alu(false, MOV, 0, 4), alu(false, SUB, 0, 2), 0xffff_ffff),
        (mov(2, 2), alu(true, MUL, 2, 2), 0),
    ] {
        let main = [mov_imm(0, 0), mov_imm(2, 5), moved, then, exit()];
        assert_eq!(run(&[function("main", &main)]).value(), value);
    }
}
