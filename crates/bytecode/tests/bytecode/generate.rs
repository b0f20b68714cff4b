// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes random programs: valid ones, of every instruction that there is, whose accesses mostly
//! hit something.

use crate::asm::*;
use crate::machine::{ARENA, Machine};
use rota_object::{Function, FunctionId, Insn, KfuncId, MapId, Operand, VariableId};
use std::collections::BTreeMap;

/// Numbers of helpers end here.
pub(crate) const HELPERS: i32 = 200;

/// A generator of numbers (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A number at which things change, or any.
    fn value(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next(),
            1 => self.below(16).wrapping_sub(8),
            2 => 1 << self.below(64),
            _ => (1_u64 << self.below(64)).wrapping_neg(),
        }
    }

    fn imm(&mut self) -> i32 {
        self.value() as i32
    }
}

/// What a program consists of, before its jumps have distances.
enum Item {
    Plain(Insn),
    Wide([Insn; 2], Option<Operand>),
    Call(Operand),
    /// A jump, and the number of the item that it leads to.
    Jump(Insn, u64),
    Poisoned,
}

struct Generator<'a> {
    numbers: &'a mut Numbers,
    machine: &'a Machine,
    functions: u64,
    items: Vec<Item>,
}

impl Generator<'_> {
    fn plain(&mut self, insn: Insn) {
        self.items.push(Item::Plain(insn));
    }

    fn dst(&mut self) -> u8 {
        self.numbers.below(10) as u8
    }

    fn src(&mut self) -> u8 {
        self.numbers.below(11) as u8
    }

    fn wide(&mut self, dst: u8, value: u64) {
        self.items.push(Item::Wide(wide(dst, value), None));
    }

    fn arithmetic(&mut self) {
        const OPS: [u8; 12] = [ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, MOD, XOR, MOV, ARSH];
        let (op, is_wide) = (self.numbers.pick(&OPS), !self.numbers.one_in(3));
        let (dst, src, imm) = (self.dst(), self.src(), self.numbers.imm());
        let by_register = self.numbers.one_in(2);
        let insn =
            if by_register { alu(is_wide, op, dst, src) } else { alu_imm(is_wide, op, dst, imm) };
        let is_signed = matches!(op, DIV | MOD) && self.numbers.one_in(2);
        self.plain(if is_signed { signed(insn) } else { insn });
    }

    fn conversion(&mut self) {
        let (dst, src) = (self.dst(), self.src());
        let bits = self.numbers.pick(&[16, 32, 64]);
        let insn = match self.numbers.below(8) {
            0 => insn(self.numbers.pick(&[0x84, 0x87]), dst, 0, 0, 0),
            1 => insn(self.numbers.pick(&[0xd4, 0xdc, 0xd7]), dst, 0, 0, bits),
            2 => sign_extend(true, self.numbers.pick(&[8, 16, 32]), dst, src),
            3 => sign_extend(false, self.numbers.pick(&[8, 16]), dst, src),
            4 => cast_kernel(dst, src),
            5 => cast_user(dst, src),
            _ => {
                let value = self.numbers.value();
                let operand = self.numbers.one_in(2).then(|| self.address());
                self.items.push(Item::Wide(wide(dst, value), operand));
                return;
            }
        };
        self.plain(insn);
    }

    /// Something that has an address.
    fn address(&mut self) -> Operand {
        let number = self.numbers.below(2) as u32;
        match self.numbers.below(6) {
            0 => Operand::Map(MapId(number)),
            1 => Operand::Function(FunctionId(self.numbers.below(self.functions) as u32)),
            2 => Operand::Kfunc(KfuncId(number)),
            3 => Operand::Variable(VariableId(number)),
            _ => Operand::MapValue(MapId(number), self.numbers.below(3)),
        }
    }

    /// A register that points somewhere, and an offset. Few are bad, since the first bad one ends
    /// the program.
    fn pointer(&mut self, aligned: bool) -> (u8, i16) {
        let align = if aligned && !self.numbers.one_in(20) { !7 } else { !0 };
        let near =
            (self.numbers.below(500) as i16 & align, -8 - (self.numbers.below(500) as i16 & align));
        let register = self.dst();
        let base = match self.numbers.below(40) {
            0..=15 => return (10, near.1),
            16..=24 => self.machine.data,
            25 => self.machine.constants,
            26..=31 => ARENA,
            32..=36 => {
                self.plain(mov(register, 10));
                return (register, near.1);
            }
            // Across the end of a region, or of nothing.
            37 => self.numbers.pick(&[0, self.machine.data + 8185, ARENA + 8185, ARENA - 3]),
            38 => self.numbers.next(),
            // Whatever it holds.
            _ => return (register, self.numbers.below(1 << 16) as i16),
        };
        // The same place by another name, at times.
        let upper = if self.numbers.one_in(4) { self.numbers.next() << 33 } else { 0 };
        self.wide(register, base ^ upper);
        (register, near.0)
    }

    fn memory(&mut self) {
        let size = self.numbers.pick(&[B, H, W, DW]);
        let (pointer, off) = self.pointer(false);
        let (dst, src, imm) = (self.dst(), self.src(), self.numbers.imm());
        let insn = match self.numbers.below(8) {
            0..=2 => load(size, dst, pointer, off),
            3 if size != DW => load_signed(size, dst, pointer, off),
            3 | 4 => store_imm(size, pointer, off, imm),
            _ => store(size, pointer, off, src),
        };
        self.plain(insn);
    }

    fn atomic(&mut self) {
        let (pointer, off) = self.pointer(true);
        let (dst, src) = (self.dst(), self.dst());
        let size = self.numbers.pick(&[B, H, W, DW]);
        let insn = match self.numbers.below(5) {
            0 => atomic(size, LOAD_ACQUIRE, dst, off, pointer),
            1 => atomic(size, STORE_RELEASE, pointer, off, src),
            _ => {
                const OPS: [i32; 10] = [0, 0x40, 0x50, 0xa0, 1, 0x41, 0x51, 0xa1, XCHG, CMPXCHG];
                atomic(self.numbers.pick(&[W, DW]), self.numbers.pick(&OPS), pointer, off, src)
            }
        };
        self.plain(insn);
    }

    fn jump(&mut self, length: u64) {
        const OPS: [u8; 11] = [JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, JLT, JLE, JSLT, JSLE];
        let here = self.items.len() as u64;
        let target = if self.numbers.one_in(4) {
            here - self.numbers.below(here.min(12) + 1)
        } else {
            here + 1 + self.numbers.below(8)
        };
        let (op, is_wide, dst) = (self.numbers.pick(&OPS), self.numbers.one_in(2), self.dst());
        let insn = match self.numbers.below(10) {
            0 => jump(0),
            1 => jump_far(0),
            2 => may_goto(0),
            3..=5 => branch(is_wide, op, dst, self.src(), 0),
            _ => branch_imm(is_wide, op, dst, self.numbers.imm(), 0),
        };
        self.items.push(Item::Jump(insn, target.min(length - 1)));
    }

    fn call(&mut self) {
        if self.numbers.one_in(2) {
            let number = self.numbers.below(HELPERS as u64) as i32;
            self.plain(helper(number));
        } else if self.numbers.one_in(2) {
            self.items.push(Item::Call(Operand::Kfunc(KfuncId(self.numbers.below(9) as u32))));
        } else {
            let function = self.numbers.below(self.functions) as u32;
            self.items.push(Item::Call(Operand::Function(FunctionId(function))));
        }
    }

    /// All registers go to the stack, to be compared.
    fn exit(&mut self) {
        for register in 0..10 {
            let off = -8 * (i16::from(register) + 1);
            self.plain(store(DW, 10, off, register));
        }
        self.plain(exit());
    }

    fn function(mut self, name: &str) -> Function {
        let length = 5 + self.numbers.below(60);
        while (self.items.len() as u64) < length {
            match self.numbers.below(100) {
                0..=34 => self.arithmetic(),
                35..=44 => self.conversion(),
                45..=69 => self.memory(),
                70..=76 => self.atomic(),
                77..=90 => self.jump(length),
                91..=97 => self.call(),
                98 => self.exit(),
                _ if self.numbers.one_in(4) => self.items.push(Item::Poisoned),
                _ => self.arithmetic(),
            }
        }
        self.exit();
        self.assemble(name)
    }

    fn assemble(self, name: &str) -> Function {
        let mut starts = Vec::new();
        let mut at = 0_usize;
        for item in &self.items {
            starts.push(at);
            at += if matches!(item, Item::Wide(..)) { 2 } else { 1 };
        }
        let mut insns: Vec<Insn> = Vec::new();
        let (mut operands, mut poisoned) = (BTreeMap::new(), BTreeMap::new());
        for item in self.items {
            let here = insns.len() as u32;
            match item {
                Item::Plain(insn) => insns.push(insn),
                Item::Wide(both, operand) => {
                    operands.extend(operand.map(|operand| (here, operand)));
                    insns.extend(both);
                }
                Item::Call(operand) => {
                    operands.insert(here, operand);
                    insns.push(call());
                }
                Item::Jump(insn, target) => {
                    let distance = starts[target as usize] as i64 - i64::from(here) - 1;
                    insns.push(if insn.code == 0x06 {
                        Insn { imm: distance as i32, ..insn }
                    } else {
                        Insn { off: distance as i16, ..insn }
                    });
                }
                Item::Poisoned => {
                    poisoned.insert(here, format!("poison {here}"));
                    insns.push(call());
                }
            }
        }
        Function { operands, poisoned, ..function(name, &insns) }
    }
}

/// A program, and what its arguments are.
pub(crate) fn program(seed: u64, machine: &Machine) -> (Vec<Function>, [u64; 5]) {
    let mut numbers = Numbers(seed);
    let functions = 1 + numbers.below(4);
    let mut all = Vec::new();
    for number in 0..functions {
        let generator = Generator { numbers: &mut numbers, machine, functions, items: Vec::new() };
        all.push(generator.function(&format!("f{number}")));
    }
    let args = [machine.data, ARENA, machine.constants, numbers.value(), numbers.value()];
    (all, args)
}
