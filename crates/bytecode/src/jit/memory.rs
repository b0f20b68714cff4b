// SPDX-License-Identifier: GPL-2.0-or-later
//! Accesses to simulated memory, translated.

use super::What;
use super::translate::Translator;
use crate::op::{Access, Atomic, Reg, Size, Source};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};

fn ty(size: Size) -> Type {
    match size {
        Size::B => I8,
        Size::H => I16,
        Size::W => I32,
        Size::Dw => I64,
    }
}

impl Translator<'_> {
    pub(super) fn load(&mut self, access: Access, signed: bool, dst: Reg, insn: u32) {
        let (at, off) = self.address(access, insn);
        let flags = self.flags();
        let ins = self.builder.ins();
        let value = match (access.size, signed) {
            (Size::B, false) => ins.uload8(I64, flags, at, off),
            (Size::H, false) => ins.uload16(I64, flags, at, off),
            (Size::W, false) => ins.uload32(flags, at, off),
            (Size::B, true) => ins.sload8(I64, flags, at, off),
            (Size::H, true) => ins.sload16(I64, flags, at, off),
            (Size::W, true) => ins.sload32(flags, at, off),
            (Size::Dw, _) => ins.load(I64, flags, at, off),
        };
        self.set(dst, value);
    }

    pub(super) fn store(&mut self, access: Access, src: Source, insn: u32) {
        let (at, off) = self.address(access, insn);
        let flags = self.flags();
        let value = self.source(src, ty(access.size));
        self.put_simulated(flags, value, at, off);
    }

    /// Stores, whatever memory is known to hold: the code generator leaves stores out that write
    /// what is there already, or is soon overwritten, but those may trap as well. So it must not
    /// know what was there before; a sequence point is no instruction in the end.
    fn put_simulated(&mut self, flags: MemFlagsData, value: Value, at: Value, off: i32) {
        self.builder.ins().sequence_point();
        self.builder.ins().store(flags, value, at, off);
    }

    pub(super) fn atomic(
        &mut self,
        atomic: Atomic,
        fetch: bool,
        access: Access,
        src: Reg,
        insn: u32,
    ) {
        let (at, off) = self.address(access, insn);
        let flags = self.flags();
        let ty = ty(access.size);
        let old = self.builder.ins().load(ty, flags, at, off);
        let operand = self.get_as(src, ty);
        let new = match atomic {
            Atomic::Add => self.builder.ins().iadd(old, operand),
            Atomic::Or => self.builder.ins().bor(old, operand),
            Atomic::And => self.builder.ins().band(old, operand),
            Atomic::Xor => self.builder.ins().bxor(old, operand),
            Atomic::Xchg => operand,
            Atomic::CmpXchg => {
                let expected = self.get_as(0, ty);
                let equal = self.builder.ins().icmp(IntCC::Equal, old, expected);
                self.builder.ins().select(equal, operand, old)
            }
        };
        self.put_simulated(flags, new, at, off);
        match atomic {
            Atomic::CmpXchg => self.set_extended(0, old, ty),
            _ if fetch => self.set_extended(src, old, ty),
            _ => {}
        }
    }

    /// The host's address of an access, and an offset to be added.
    fn address(&mut self, access: Access, insn: u32) -> (Value, i32) {
        let off = i32::from(access.off);
        let pointer = self.get(access.pointer);
        if let Some(in_frame) = self.frame_offsets[pointer].filter(|_| !access.aligned) {
            return (self.host_frame, i32::from(in_frame) + off);
        }
        let place = self.builder.ins().ireduce(I32, pointer);
        let place = self.builder.ins().uextend(I64, place);
        let size = access.size.bytes() as u64;
        if access.aligned && size > 1 {
            let distance = self.number(i64::from(off) as u64);
            let whole = self.builder.ins().iadd(place, distance);
            let bits = self.number(size - 1);
            let misaligned = self.builder.ins().band(whole, bits);
            self.say_if(misaligned, What::Misaligned { size }, insn, whole);
        }
        (self.builder.ins().iadd(self.base, place), off)
    }

    /// What the code generator may assume of an access: nothing; above all, that it may fault.
    fn flags(&mut self) -> MemFlagsData {
        let code = self.access_code();
        MemFlagsData::new().with_trap_code(Some(code))
    }
}
