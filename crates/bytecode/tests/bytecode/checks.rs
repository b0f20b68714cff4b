// SPDX-License-Identifier: GPL-2.0-or-later
//! What is refused before it is executed, and where.

use crate::asm::*;
use rota_bytecode::{Code, Problem};
use rota_object::{Function, FunctionId, Insn, MapId, Operand};

/// The problem of the only instruction that is not an exit.
fn problem(insn: Insn) -> Result<(), Problem> {
    refused(&function("main", &[insn, exit(), exit()])).map_err(|(_, problem)| problem)
}

fn refused(function: &Function) -> Result<(), (u32, Problem)> {
    match Code::new(std::slice::from_ref(function)) {
        Ok(_) => Ok(()),
        Err(error) => {
            assert_eq!(error.place.function, "main");
            Err((error.place.insn, error.problem))
        }
    }
}

#[test]
fn every_code_is_known_or_refused() {
    // The codes of the standard, v1 to v4, with fields that suit them.
    let mut known = 0;
    for code in 0..=u8::MAX {
        let imm = match code {
            0xd4 | 0xdc | 0xd7 => 16,
            0xc3 | 0xdb => 0,
            0xcb | 0xd3 => LOAD_ACQUIRE,
            _ => 0,
        };
        let accepted = match code {
            0x18 => refused(&function("main", &[insn(code, 0, 0, 0, 0), Insn::default(), exit()]))
                .is_ok(),
            // Alone, an exit or a jump is followed by nothing that is reached.
            _ => problem(insn(code, 0, 0, 0, imm)).is_ok(),
        };
        let class = code & 7;
        let expected = match class {
            0 => code == 0x18,
            1 => code & 0xe0 == 0x60 || code & 0xe0 == 0x80 && code != 0x99,
            2 => code & 0xe0 == 0x60,
            3 => code & 0xe0 == 0x60 || code & 0xe0 == 0xc0,
            4 => code & 0xf0 <= 0xd0 && code != 0x8c,
            7 => code & 0xf0 <= 0xd0 && code != 0x8f && code != 0xdf,
            // Register forms of jump, call, exit and may_goto do not exist.
            5 => code & 0xf0 <= 0xd0 && !matches!(code, 0x0d | 0x8d | 0x9d) || code == 0xe5,
            _ => code & 0xf0 <= 0xd0 && !matches!(code, 0x0e | 0x86 | 0x8e | 0x96 | 0x9e),
        };
        assert_eq!(accepted, expected, "{code:#04x}");
        known += u32::from(accepted);
    }
    assert_eq!(known, 1 + 7 + 4 + 8 + 27 + 26 + 26 + 23);
}

#[test]
fn registers() {
    assert_eq!(problem(mov(11, 0)), Err(Problem::Register(11)));
    assert_eq!(problem(mov(0, 15)), Err(Problem::Register(15)));
    for insn in [
        mov_imm(10, 0),
        add_imm(10, -8),
        load(DW, 10, 1, 0),
        insn(0x87, 10, 0, 0, 0),
        sign_extend(true, 8, 10, 1),
        cast_kernel(10, 1),
        atomic(DW, FETCH, 1, 0, 10),
        atomic(DW, XCHG, 1, 0, 10),
        atomic(DW, LOAD_ACQUIRE, 10, 0, 1),
    ] {
        assert_eq!(problem(insn), Err(Problem::Register(10)), "{insn:?}");
    }
    let [a, b] = wide(10, 1);
    assert_eq!(refused(&function("main", &[a, b, exit()])), Err((0, Problem::Register(10))));
    assert_eq!(problem(store(DW, 10, -8, 10)), Ok(()));
    assert_eq!(problem(atomic(DW, 0, 10, -8, 10)), Ok(()));
}

#[test]
fn fields_that_mean_nothing() {
    for bad in [
        Insn { off: 1, ..add_imm(0, 1) },
        Insn { off: 2, ..alu(true, DIV, 0, 1) },
        Insn { imm: 1, ..alu(true, ADD, 0, 1) },
        Insn { src: 1, ..add_imm(0, 1) },
        Insn { src: 1, ..store_imm(B, 1, 0, 0) },
        Insn { imm: 1, ..store(B, 1, 0, 2) },
        Insn { imm: 1, ..load(B, 1, 2, 0) },
        insn(0xd7, 0, 0, 0, 8),
        sign_extend(false, 32, 0, 1),
        sign_extend(true, 24, 0, 1),
        insn(0xbf, 0, 1, 1, 2),
        atomic(DW, 0x20, 1, 0, 2),
        atomic(DW, 0xe0, 1, 0, 2),
        Insn { imm: 1, ..jump(0) },
        Insn { off: 1, ..jump_far(0) },
        Insn { src: 1, ..may_goto(0) },
        Insn { imm: 1, ..exit() },
        Insn { off: 1, ..helper(1) },
    ] {
        assert_eq!(problem(bad), Err(Problem::Field(bad.code)), "{bad:?}");
    }
    for size in [B, H] {
        let bad = atomic(size, 0, 1, 0, 2);
        assert_eq!(problem(bad), Err(Problem::Unknown(bad.code)));
    }
    assert_eq!(problem(insn(0x8d, 1, 0, 0, 0)), Err(Problem::CallRegister));
    // The old loads from packets.
    for code in [0x20, 0x28, 0x30, 0x40, 0x48, 0x50] {
        assert_eq!(problem(insn(code, 0, 0, 0, 0)), Err(Problem::Unknown(code)));
    }
}

#[test]
fn targets() {
    let [a, b] = wide(0, 1);
    let at = |insns: &[Insn]| refused(&function("main", insns));
    assert_eq!(at(&[jump(1), a, b, exit()]), Err((0, Problem::Target(2))));
    assert_eq!(at(&[jump(0), a, b, exit()]), Ok(()));
    assert_eq!(at(&[jump(-1), exit()]), Ok(()));
    assert_eq!(at(&[jump(-2), exit()]), Err((0, Problem::Target(-1))));
    assert_eq!(at(&[jump(2), exit(), exit()]), Err((0, Problem::Target(3))));
    assert_eq!(
        at(&[exit(), jump_far(i32::MAX)]),
        Err((1, Problem::Target(i64::from(i32::MAX) + 2)))
    );
    assert_eq!(
        at(&[exit(), jump_far(i32::MIN)]),
        Err((1, Problem::Target(i64::from(i32::MIN) + 2)))
    );
    assert_eq!(at(&[may_goto(1), exit()]), Err((0, Problem::Target(2))));
    assert_eq!(at(&[branch(false, JSLT, 1, 2, -5), exit()]), Err((0, Problem::Target(-4))));
}

#[test]
fn ends() {
    let at = |insns: &[Insn]| refused(&function("main", insns));
    let [a, b] = wide(0, 1);
    assert_eq!(at(&[]), Err((0, Problem::NoEnd)));
    assert_eq!(at(&[mov_imm(0, 0)]), Err((0, Problem::NoEnd)));
    assert_eq!(at(&[exit(), branch(true, JEQ, 0, 0, -2)]), Err((1, Problem::NoEnd)));
    assert_eq!(at(&[exit(), helper(1)]), Err((1, Problem::NoEnd)));
    assert_eq!(at(&[exit(), a, b]), Err((1, Problem::NoEnd)));
    assert_eq!(at(&[exit(), a]), Err((1, Problem::Half)));
    assert_eq!(at(&[a, exit()]), Err((0, Problem::Half)));
    assert_eq!(at(&[a, mov_imm(0, 0), exit()]), Err((0, Problem::Half)));
    assert_eq!(at(&[exit(), jump(-2)]), Ok(()));
    assert_eq!(at(&[b, exit()]), Err((0, Problem::Unknown(0))));
}

#[test]
fn names() {
    let with =
        |insns: &[Insn], at, operand| refused(&naming(function("main", insns), &[(at, operand)]));
    let map = Operand::Map(MapId(0));
    let there = Operand::Function(FunctionId(0));
    let missing = Operand::Function(FunctionId(1));
    assert_eq!(problem(call()), Err(Problem::Unlinked));
    assert_eq!(with(&[call(), exit()], 0, there), Ok(()));
    assert_eq!(with(&[call(), exit()], 0, missing), Err((0, Problem::Operand(missing))));
    assert_eq!(with(&[call(), exit()], 0, map), Err((0, Problem::Operand(map))));
    assert_eq!(with(&[mov_imm(0, 0), exit()], 0, map), Err((0, Problem::Operand(map))));
    let [a, b] = wide(0, 1);
    let unlinked = Insn { src: 1, ..a };
    assert_eq!(with(&[unlinked, b, exit()], 0, map), Ok(()));
    assert_eq!(refused(&function("main", &[unlinked, b, exit()])), Err((0, Problem::Unlinked)));
    let error = Code::new(&[function("main", &[exit(), call(), exit()])]).err().unwrap();
    let words = "main, instruction 1, test.bpf.c:2 (line 2): names something that was not linked";
    assert_eq!(error.to_string(), words);
}

#[test]
fn as_many_instructions_as_a_kernel_takes() {
    let long = |name, count: usize| {
        let mut insns = vec![mov_imm(0, 0); count - 1];
        insns.push(exit());
        function(name, &insns)
    };
    let functions = [long("main", 600_000), long("more", 400_000)];
    assert!(Code::new(&functions).is_ok());
    let functions = [long("main", 600_000), long("more", 400_001)];
    let error = Code::new(&functions).err().unwrap();
    assert_eq!((error.place.function.as_str(), error.place.insn), ("more", 400_000));
    assert_eq!(error.problem, Problem::TooLong);
    assert!(error.to_string().contains("more than 1000000 instructions in all"), "{error}");
}

#[test]
fn operands_are_listed_once() {
    let (a, b) = (Operand::Map(MapId(1)), Operand::MapValue(MapId(1), 8));
    let [first, second] = wide(0, 0);
    let main = [first, second, first, second, first, second, exit()];
    let main = naming(function("main", &main), &[(0, b), (2, a), (4, b)]);
    assert_eq!(Code::new(&[main.clone(), main]).unwrap().operands(), [b, a]);
}
