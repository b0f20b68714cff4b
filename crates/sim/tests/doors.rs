// SPDX-License-Identifier: GPL-2.0-or-later
//! Every door between the two halves of a scheduler, from the side of user space: what the
//! example `doors` of the crate `kernel` does on a real one.

use rota_bytecode::Mode;
use rota_object::{EngineError, KernelTypes, Object};
use rota_programs::test::{DOORS, HELPER_TIMER, HELPER_TRACE};
use rota_sim::{Machine, Shape};

fn machine(bytes: &[u8], mode: Mode) -> (Object, Machine) {
    let types = KernelTypes::builtin("7.3").unwrap();
    let object = Object::parse(bytes).unwrap();
    let image = object.link_programs(&types, &|program| program.section == "syscall").unwrap();
    let machine = Machine::load(Shape { mode, ..Shape::default() }, &image, &types).unwrap();
    (object, machine)
}

#[test]
fn every_door_is_open() {
    for mode in [Mode::Jit, Mode::Interpreter] {
        let (object, mut world) = machine(DOORS, mode);
        globals_and_programs(&object, &mut world);
        maps(&mut world);
        rings_and_arena(&mut world);
    }
}

/// Asks the syscall program; its result, the answer and what it drained.
fn ask(world: &mut Machine, number: u64) -> (i32, u64, u64) {
    let mut question = [0u8; 24];
    question[..8].copy_from_slice(&number.to_le_bytes());
    let result = world.run_program("ask", &mut question).unwrap();
    let word = |i: usize| u64::from_le_bytes(question[i..i + 8].try_into().unwrap());
    (result, word(8), word(16))
}

fn globals_and_programs(object: &Object, world: &mut Machine) {
    let factor = object.global("factor").unwrap();
    world.data_write(&factor.section, factor.offset, &5u64.to_le_bytes()).unwrap();
    assert_eq!(ask(world, 7), (8, 35, 0), "the read-only factor was 5");
    let offset = object.global("offset_now").unwrap();
    world.data_write(&offset.section, offset.offset, &100u64.to_le_bytes()).unwrap();
    assert_eq!(ask(world, 7), (8, 135, 0), "the program sees the new offset");
    let mut word = [0; 8];
    world.data_read(&factor.section, factor.offset, &mut word).unwrap();
    assert_eq!(word, 5u64.to_le_bytes());
    let beyond = world.data_read(&factor.section, 1 << 20, &mut word);
    assert!(matches!(beyond, Err(EngineError::Size { .. })));
    assert!(matches!(world.run_program("none", &mut []), Err(EngineError::Missing { .. })));
}

fn maps(world: &mut Machine) {
    let (seven, eight) = (7u32.to_le_bytes(), 8u32.to_le_bytes());
    let found = world.map_lookup("results", &seven).unwrap();
    assert_eq!(found, Some(135u64.to_le_bytes().to_vec()));
    assert_eq!(world.map_lookup("results", &eight).unwrap(), None);
    for key in 8..15u32 {
        world.map_update("results", &key.to_le_bytes(), &[1; 8]).unwrap();
    }
    let full = world.map_update("results", &[99, 0, 0, 0], &[1; 8]);
    assert!(matches!(full, Err(EngineError::System { .. })), "it was made for eight: {full:?}");
    let (mut keys, mut at) = (Vec::new(), None);
    while let Some(key) = world.map_next_key("results", at.as_deref()).unwrap() {
        keys.push(key.clone());
        at = Some(key);
    }
    assert_eq!(keys.len(), 8);
    assert!(world.map_delete("results", &eight).unwrap());
    assert!(!world.map_delete("results", &eight).unwrap());
    assert!(matches!(world.map_lookup("results", &[1]), Err(EngineError::Size { .. })));
    assert!(matches!(world.map_lookup("none", &[1]), Err(EngineError::Missing { .. })));
    let each = world.map_lookup_percpu("stats", &[0; 4]).unwrap().unwrap();
    assert_eq!(each.iter().map(|cpu| u64::from(cpu[0])).collect::<Vec<_>>(), [2, 0, 0, 0]);
    let one = world.map_lookup("stats", &[0; 4]);
    assert!(matches!(one, Err(EngineError::System { .. })), "it has one for each CPU: {one:?}");
}

fn rings_and_arena(world: &mut Machine) {
    let mut lengths = Vec::new();
    assert_eq!(world.ring_drain("out", &mut |record| lengths.push(record.len())).unwrap(), 2);
    assert_eq!(lengths, [24, 24]);
    assert_eq!(world.ring_drain("out", &mut |_| ()).unwrap(), 0);
    world.ring_push("in", &40u64.to_le_bytes()).unwrap();
    world.ring_push("in", &2u64.to_le_bytes()).unwrap();
    assert_eq!(ask(world, 1).2, 42, "the program drained what was pushed");
    assert_eq!(ask(world, 1).2, 0, "once");
    let mut pushed = 0;
    while world.ring_push("in", &[0; 1016]).is_ok() {
        pushed += 1;
    }
    assert_eq!(pushed, 4, "records of a kilobyte in four");
    let mut page = [0; 8];
    world.arena_read("arena", 0, &mut page).unwrap();
    assert_eq!(page, 35u64.to_le_bytes(), "the first run wrote its answer there");
    world.arena_write("arena", 8, &[9; 8]).unwrap();
    let mut word = [0; 8];
    world.arena_read("arena", 8, &mut word).unwrap();
    assert_eq!(word, [9; 8]);
    let beyond = world.arena_read("arena", 8192, &mut word);
    assert!(matches!(beyond, Err(EngineError::Size { .. })));
}

/// Time goes on only when it is told to, and stops at each thing that is due.
#[test]
fn time_makes_things_due() {
    let (_, mut world) = machine(HELPER_TIMER, Mode::Jit);
    assert_eq!(world.next_due_ns(), None);
    assert_eq!(world.run_program("start_one", &mut []).unwrap(), 0);
    let due = world.next_due_ns().unwrap();
    assert_eq!(due, world.now_ns() + 1_000_000);
    world.advance_to(due - 1).unwrap();
    assert_ne!(world.run_program("one_came", &mut []).unwrap(), 101, "it came too early");
    world.advance_to(due).unwrap();
    assert_eq!(world.run_program("one_came", &mut []).unwrap(), 101);
    assert_eq!((world.now_ns(), world.next_due_ns()), (due, None));
}

#[test]
fn what_programs_print_is_kept() {
    let (_, mut world) = machine(HELPER_TRACE, Mode::Interpreter);
    world.run_program("line", &mut []).unwrap();
    world.run_program("line_of_many", &mut []).unwrap();
    assert_eq!(world.take_printed(), ["5", "3 of all", "-5, 12, ff, ok"]);
    assert!(world.take_printed().is_empty());
}
