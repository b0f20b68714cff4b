// SPDX-License-Identifier: GPL-2.0-or-later
//! What the reference interpreter computes (RFC 9669, sections 4 and 4.3).

use crate::op::{Alu, Atomic, Cond, Order};

/// `a alu b` in 64 bits. Shifts use the lowest bits of `b`; division by zero gives zero, and a
/// remainder by zero is `a`.
#[inline]
pub(crate) fn alu64(alu: Alu, a: u64, b: u64) -> u64 {
    match alu {
        Alu::Add => a.wrapping_add(b),
        Alu::Sub => a.wrapping_sub(b),
        Alu::Mul => a.wrapping_mul(b),
        Alu::Div => a.checked_div(b).unwrap_or(0),
        Alu::Mod => a.checked_rem(b).unwrap_or(a),
        Alu::SignedDiv if b == 0 => 0,
        Alu::SignedDiv => (a as i64).wrapping_div(b as i64) as u64,
        Alu::SignedMod if b == 0 => a,
        Alu::SignedMod => (a as i64).wrapping_rem(b as i64) as u64,
        Alu::Or => a | b,
        Alu::And => a & b,
        Alu::Xor => a ^ b,
        Alu::Lsh => a.wrapping_shl(b as u32),
        Alu::Rsh => a.wrapping_shr(b as u32),
        Alu::Arsh => (a as i64).wrapping_shr(b as u32) as u64,
        Alu::Mov => b,
    }
}

/// The same in 32 bits, zero-extended.
#[inline]
pub(crate) fn alu32(alu: Alu, a: u32, b: u32) -> u64 {
    u64::from(match alu {
        Alu::Add => a.wrapping_add(b),
        Alu::Sub => a.wrapping_sub(b),
        Alu::Mul => a.wrapping_mul(b),
        Alu::Div => a.checked_div(b).unwrap_or(0),
        Alu::Mod => a.checked_rem(b).unwrap_or(a),
        Alu::SignedDiv if b == 0 => 0,
        Alu::SignedDiv => (a as i32).wrapping_div(b as i32) as u32,
        Alu::SignedMod if b == 0 => a,
        Alu::SignedMod => (a as i32).wrapping_rem(b as i32) as u32,
        Alu::Or => a | b,
        Alu::And => a & b,
        Alu::Xor => a ^ b,
        Alu::Lsh => a.wrapping_shl(b),
        Alu::Rsh => a.wrapping_shr(b),
        Alu::Arsh => (a as i32).wrapping_shr(b) as u32,
        Alu::Mov => b,
    })
}

/// Whether a condition holds; 32-bit operands come sign-extended, which keeps every order.
#[inline]
pub(crate) fn holds(cond: Cond, a: u64, b: u64) -> bool {
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Set => a & b != 0,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::SignedGt => a as i64 > b as i64,
        Cond::SignedGe => a as i64 >= b as i64,
        Cond::SignedLt => (a as i64) < b as i64,
        Cond::SignedLe => a as i64 <= b as i64,
    }
}

/// The lowest `bits`, sign-extended.
#[inline]
pub(crate) fn sign_extend(value: u64, bits: u32) -> u64 {
    match bits {
        8 => value as i8 as u64,
        16 => value as i16 as u64,
        _ => value as i32 as u64,
    }
}

/// The lowest `bits`, in that order of bytes.
pub(crate) fn bytes(order: Order, bits: u32, value: u64) -> u64 {
    match (order, bits) {
        (Order::Little, 16) => u64::from(value as u16),
        (Order::Little, 32) => u64::from(value as u32),
        (Order::Little, _) => value,
        (Order::Swapped, 16) => u64::from((value as u16).swap_bytes()),
        (Order::Swapped, 32) => u64::from((value as u32).swap_bytes()),
        (Order::Swapped, _) => value.swap_bytes(),
    }
}

/// What memory holds after an atomic that finds `old` there.
pub(crate) fn atomic(atomic: Atomic, old: u64, src: u64, expected: u64) -> u64 {
    match atomic {
        Atomic::Add => old.wrapping_add(src),
        Atomic::Or => old | src,
        Atomic::And => old & src,
        Atomic::Xor => old ^ src,
        Atomic::Xchg => src,
        Atomic::CmpXchg if old == expected => src,
        Atomic::CmpXchg => old,
    }
}
