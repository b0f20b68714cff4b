// SPDX-License-Identifier: GPL-2.0-or-later
//! Images that no compiler makes.

use rota_bytecode::{Mode, TrapKind};
use rota_object::{Function, FunctionId, Image, Insn, KernelTypes, MapDef, MapId, Operand};
use rota_sim::{Machine, Shape, Stop, StopKind};

const EXIT: Insn = Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 };

fn mov(dst: u8, imm: i32) -> Insn {
    Insn { code: 0xb7, dst, src: 0, off: 0, imm }
}

/// The load of an address: two instructions.
fn address(dst: u8) -> [Insn; 2] {
    [Insn { code: 0x18, dst, src: 0, off: 0, imm: 0 }, Insn::default()]
}

fn function(name: &str, insns: &[Insn], operands: &[(u32, Operand)]) -> Function {
    Function {
        name: name.to_owned(),
        insns: insns.to_vec(),
        operands: operands.iter().copied().collect(),
        ..Function::default()
    }
}

/// Runs the first function of an image on both engines, which do the same.
fn run(image: &Image, budget: u64) -> Result<u64, Stop> {
    let types = KernelTypes::builtin("7.3").unwrap();
    let [jit, interpreter] = [Mode::Jit, Mode::Interpreter].map(|mode| {
        let shape = Shape { mode, budget, ..Shape::default() };
        Machine::load(shape, image, &types).unwrap().run(FunctionId(0), [0; 5])
    });
    let text = |run: &Result<u64, Stop>| run.as_ref().map_err(ToString::to_string).copied();
    assert_eq!(text(&jit), text(&interpreter));
    jit
}

/// `bpf_loop` calls a function so many times that does nothing.
fn calls(count: i32) -> Image {
    let [load, second] = address(2);
    let call = Insn { code: 0x85, dst: 0, src: 0, off: 0, imm: 181 };
    let insns = [mov(1, count), load, second, mov(3, 0), mov(4, 0), call, EXIT];
    let outer = function("outer", &insns, &[(1, Operand::Function(FunctionId(1)))]);
    let functions = vec![outer, function("inner", &[mov(0, 0), EXIT], &[])];
    Image { functions, ..Image::default() }
}

#[test]
fn what_is_called_back_uses_up_the_budget() {
    assert_eq!(run(&calls(40), 100).unwrap(), 40);
    let stop = run(&calls(60), 100).unwrap_err();
    assert!(matches!(*stop.kind, StopKind::Trap(TrapKind::Budget)), "{stop}");
    assert_eq!(stop.place.map(|place| place.function), Some("outer".to_owned()));
}

/// What is said to a map without keys.
fn refused(kind: u32, value_size: u32, max_entries: u32, extra: u64) -> String {
    let types = KernelTypes::builtin("7.3").unwrap();
    let (name, initial) = ("m".to_owned(), vec![0; 8]);
    let map = MapDef { name, kind, value_size, max_entries, extra, initial, ..MapDef::default() };
    let image = Image { maps: vec![map], ..Image::default() };
    match Machine::load(Shape { mode: Mode::Interpreter, ..Shape::default() }, &image, &types) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn maps_that_no_memory_holds() {
    const QUEUE: u32 = 22;
    const ARENA: u32 = 33;
    assert_eq!(refused(QUEUE, 4096, 1 << 20, 0), "nothing");
    let words = "map m: 4299161600 bytes; 4294967296 is the most";
    assert_eq!(refused(QUEUE, 4096, (1 << 20) + 1024, 0), words);
    assert_eq!(refused(ARENA, 0, (1 << 20) + 1024, 0), words);
    assert_eq!(refused(ARENA, 0, 16, 1 << 44), "nothing");
    for extra in [u64::MAX, u64::MAX - 4095, (1 << 44) + 1, (1 << 44) - 4096] {
        let words = format!("map m: an arena at {extra:#x} crosses a line of 4 GiB, or a page");
        assert_eq!(refused(ARENA, 0, 16, extra), words);
    }
}

#[test]
fn an_address_beyond_all_memory() {
    let [load, second] = address(0);
    let map = MapDef {
        name: ".data".to_owned(),
        kind: 2,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        data: true,
        ..MapDef::default()
    };
    let operand = Operand::MapValue(MapId(0), u64::MAX);
    let first = function("first", &[load, second, EXIT], &[(0, operand)]);
    let image = Image { functions: vec![first], maps: vec![map], ..Image::default() };
    // One byte before the map.
    assert_eq!(run(&image, 100).unwrap() % 8, 7);
}
