// SPDX-License-Identifier: GPL-2.0-or-later
//! Each family of instructions against the standard, in numbers too wide to go wrong.

use crate::asm::*;
use crate::machine::{MODES, Machine, compile, drive, run};
use rota_bytecode::{Execution, Step};
use rota_object::Insn;

const VALUES: [u64; 18] = [
    0,
    1,
    2,
    7,
    31,
    32,
    33,
    63,
    0x7f,
    0x80,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// `r0` after `body`, which finds `a` in r0 and `b` in r1, for all pairs.
fn each(body: &[Insn], expected: &dyn Fn(u64, u64) -> u64) {
    each_of(&VALUES, &VALUES, body, expected);
}

fn each_of(first: &[u64], second: &[u64], body: &[Insn], expected: &dyn Fn(u64, u64) -> u64) {
    let mut insns = vec![mov(0, 1), mov(1, 2)];
    insns.extend(body);
    insns.push(exit());
    let code = compile(&[function("main", &insns)]);
    let machine = Machine::new();
    let instance = machine.instance(&code);
    for &a in first {
        for &b in second {
            for mode in MODES {
                let start = machine.start([a, b, 0, 0, 0]);
                let mut execution = Execution::start(mode, &instance, &start).unwrap();
                let steps = drive(&mut execution);
                let value = expected(a, b);
                let Some(Step::Return { value: found, .. }) = steps.last() else {
                    panic!("{steps:?}");
                };
                assert_eq!(*found, value, "{mode:?} {body:x?} of {a:#x}, {b:#x}");
            }
        }
    }
}

/// The standard's arithmetic on numbers of `bits`, in 128 bits.
fn expected(op: u8, signed: bool, bits: u32, a: u64, b: u64) -> u64 {
    let mask = u64::MAX >> (64 - bits);
    let unsigned = |x: u64| i128::from(x & mask);
    let with_sign = |x: u64| unsigned(x) - if x >> (bits - 1) & 1 == 1 { 1 << bits } else { 0 };
    let (x, y) = if signed { (with_sign(a), with_sign(b)) } else { (unsigned(a), unsigned(b)) };
    let amount = (b & u64::from(bits - 1)) as u32;
    let result = match op {
        ADD => x + y,
        SUB => x - y,
        MUL => ((x as u128).wrapping_mul(y as u128)) as i128,
        DIV if y == 0 => 0,
        DIV => x / y,
        MOD if y == 0 => x,
        MOD => x % y,
        OR => x | y,
        AND => x & y,
        XOR => x ^ y,
        LSH => x << amount,
        RSH => x >> amount,
        ARSH => with_sign(a) >> amount,
        MOV => y,
        _ => unreachable!("{op}"),
    };
    result as u64 & mask
}

const OPS: [u8; 12] = [ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, MOD, XOR, MOV, ARSH];

#[test]
fn arithmetic_on_registers() {
    for op in OPS {
        for (wide, bits) in [(true, 64), (false, 32)] {
            each(&[alu(wide, op, 0, 1)], &|a, b| expected(op, false, bits, a, b));
            if matches!(op, DIV | MOD) {
                let insn = signed(alu(wide, op, 0, 1));
                each(&[insn], &|a, b| expected(op, true, bits, a, b));
            }
        }
    }
}

#[test]
fn arithmetic_on_immediates() {
    for op in OPS {
        for imm in [0, 1, -1, 2, 3, 5, 9, 31, 63, 255, -1000, i32::MAX, i32::MIN] {
            for (wide, bits) in [(true, 64), (false, 32)] {
                let b = i64::from(imm) as u64;
                let insn = alu_imm(wide, op, 0, imm);
                each_of(&VALUES, &[0], &[insn], &|a, _| expected(op, false, bits, a, b));
                if matches!(op, DIV | MOD) {
                    let insn = signed(insn);
                    each_of(&VALUES, &[0], &[insn], &|a, _| expected(op, true, bits, a, b));
                }
            }
        }
    }
}

#[test]
fn negation_and_order_of_bytes() {
    each(&[insn(0x87, 0, 0, 0, 0)], &|a, _| (!a).wrapping_add(1));
    each(&[insn(0x84, 0, 0, 0, 0)], &|a, _| u64::from((!(a as u32)).wrapping_add(1)));
    for bits in [16_u32, 32, 64] {
        let low = |a: u64| a & (u64::MAX >> (64 - bits));
        let swapped = |a: u64| {
            let bytes = (0..bits / 8).map(|i| (a >> (8 * i) & 0xff) << (bits - 8 - 8 * i));
            bytes.sum()
        };
        let imm = bits as i32;
        each(&[insn(0xd4, 0, 0, 0, imm)], &|a, _| low(a));
        each(&[insn(0xdc, 0, 0, 0, imm)], &|a, _| swapped(a));
        each(&[insn(0xd7, 0, 0, 0, imm)], &|a, _| swapped(a));
    }
}

#[test]
fn moves_with_sign() {
    for bits in [8_u32, 16, 32] {
        let extended = |b: u64| {
            let low = b & (u64::MAX >> (64 - bits));
            if low >> (bits - 1) == 1 { low.wrapping_sub(1 << bits) } else { low }
        };
        each(&[sign_extend(true, bits as i16, 0, 1)], &|_, b| extended(b));
        if bits < 32 {
            each(&[sign_extend(false, bits as i16, 0, 1)], &|_, b| extended(b) & 0xffff_ffff);
        }
    }
}

#[test]
fn casts_between_address_spaces() {
    each(&[cast_kernel(0, 1)], &|_, b| b & 0xffff_ffff);
    each(&[cast_user(0, 1)], &|_, b| match b & 0xffff_ffff {
        0 => 0,
        low => low + 0x7f00_0000_0000,
    });
}

#[test]
fn wide_loads() {
    for value in VALUES {
        each_of(&[5], &[6], &wide(0, value), &|_, _| value);
    }
}

#[test]
fn conditions() {
    type Holds = fn(i128, i128) -> bool;
    let unsigned: [(u8, Holds); 7] = [
        (JEQ, |a, b| a == b),
        (JNE, |a, b| a != b),
        (JSET, |a, b| a & b != 0),
        (JGT, |a, b| a > b),
        (JGE, |a, b| a >= b),
        (JLT, |a, b| a < b),
        (JLE, |a, b| a <= b),
    ];
    let with_sign: [(u8, Holds); 4] =
        [(JSGT, |a, b| a > b), (JSGE, |a, b| a >= b), (JSLT, |a, b| a < b), (JSLE, |a, b| a <= b)];
    let taken = [mov_imm(0, 1), jump(1), mov_imm(0, 2)];
    for wide in [true, false] {
        let as_unsigned = |x: u64| if wide { i128::from(x) } else { i128::from(x as u32) };
        let as_signed = |x: u64| if wide { i128::from(x as i64) } else { i128::from(x as i32) };
        for (set, convert) in
            [(&unsigned[..], &as_unsigned as &dyn Fn(u64) -> i128), (&with_sign[..], &as_signed)]
        {
            for &(op, holds) in set {
                let result = |a, b| if holds(convert(a), convert(b)) { 2 } else { 1 };
                let mut body = vec![branch(wide, op, 0, 1, 2)];
                body.extend(taken);
                each(&body, &result);
                for imm in [0, 1, -1, i32::MIN] {
                    body[0] = branch_imm(wide, op, 0, imm, 2);
                    each_of(&VALUES, &[0], &body, &|a, _| result(a, i64::from(imm) as u64));
                }
            }
        }
    }
}

/// Returns r0 after `body`, which finds a region at r1, and the region's first bytes.
fn on_memory(body: &[Insn]) -> (u64, Vec<u8>) {
    let mut insns = vec![mov_imm(0, 0)];
    insns.extend(body);
    insns.push(exit());
    let observed = run(&[function("main", &insns)]);
    (observed.value(), observed.memory[..64].to_vec())
}

fn put(value: u64) -> Vec<Insn> {
    let mut insns = wide(5, value).to_vec();
    insns.push(store(DW, 1, 8, 5));
    insns
}

#[test]
fn loads_and_stores_of_all_sizes() {
    let value = 0xf1e2_d3c4_b5a6_9788_u64;
    for (size, bits) in [(B, 8), (H, 16), (W, 32), (DW, 64)] {
        let low = value & (u64::MAX >> (64 - bits));
        let mut body = put(value);
        body.push(load(size, 0, 1, 8));
        assert_eq!(on_memory(&body).0, low);
        if bits < 64 {
            *body.last_mut().unwrap() = load_signed(size, 0, 1, 8);
            assert_eq!(on_memory(&body).0, low | u64::MAX << bits);
        }
        // A store changes its own bytes only; it may be misaligned.
        let (_, before) = on_memory(&[]);
        let mut expected = before.clone();
        expected[9..9 + bits / 8].copy_from_slice(&value.to_le_bytes()[..bits / 8]);
        let [a, b] = wide(5, value);
        assert_eq!(on_memory(&[a, b, store(size, 1, 9, 5)]).1, expected);
        let mut expected = before;
        expected[3..3 + bits / 8].copy_from_slice(&(-3_i64).to_le_bytes()[..bits / 8]);
        assert_eq!(on_memory(&[store_imm(size, 1, 3, -3)]).1, expected);
    }
}

#[test]
fn atomics() {
    let (old, src) = (0x8765_4321_9abc_def0_u64, 0x1111_ffff_8000_0111_u64);
    for (size, mask) in [(W, 0xffff_ffff), (DW, u64::MAX)] {
        let (o, s) = (old & mask, src & mask);
        let cases: [(i32, u64, Option<u64>); 9] = [
            (0x00, o.wrapping_add(s), None),
            (0x40, o | s, None),
            (0x50, o & s, None),
            (0xa0, o ^ s, None),
            (FETCH, o.wrapping_add(s), Some(o)),
            (0x40 | FETCH, o | s, Some(o)),
            (0x50 | FETCH, o & s, Some(o)),
            (0xa0 | FETCH, o ^ s, Some(o)),
            (XCHG, s, Some(o)),
        ];
        for (op, new, fetched) in cases {
            let mut body = put(old);
            body.extend(wide(4, src));
            body.extend([atomic(size, op, 1, 8, 4), mov(0, 4)]);
            let (value, memory) = on_memory(&body);
            let expected = (new & mask) | (old & !mask);
            assert_eq!(value, fetched.unwrap_or(src), "{op:#x}");
            assert_eq!(memory[8..16], expected.to_le_bytes(), "{op:#x}");
        }
        // r0 agrees in the bits that count; then it does not.
        for (r0, hit) in [(old, true), (old ^ !mask, true), (old ^ 1, false)] {
            let mut body = put(old);
            body.extend(wide(4, src));
            body.extend(wide(0, r0));
            body.push(atomic(size, CMPXCHG, 1, 8, 4));
            let (value, memory) = on_memory(&body);
            let expected = if hit { s | (old & !mask) } else { old };
            assert_eq!((value, &memory[8..16]), (o, &expected.to_le_bytes()[..]));
        }
    }
}

#[test]
fn acquire_and_release() {
    let value = 0xf1e2_d3c4_b5a6_9788_u64;
    for (size, bits) in [(B, 8), (H, 16), (W, 32), (DW, 64)] {
        let mut body = put(value);
        body.push(atomic(size, LOAD_ACQUIRE, 0, 8, 1));
        assert_eq!(on_memory(&body).0, value & (u64::MAX >> (64 - bits)));
        let (_, mut expected) = on_memory(&[]);
        expected[8..8 + bits / 8].copy_from_slice(&value.to_le_bytes()[..bits / 8]);
        let [a, b] = wide(5, value);
        assert_eq!(on_memory(&[a, b, atomic(size, STORE_RELEASE, 1, 8, 5)]).1, expected);
    }
}
