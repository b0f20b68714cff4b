// SPDX-License-Identifier: GPL-2.0-or-later
//! Every door between the two halves of a scheduler, from the side of user space: what the
//! example `doors` of the crate `kernel` does on a real one.

use rota_bytecode::Mode;
use rota_object::{Engine, EngineError, KernelTypes, Object, Setup, World};
use rota_programs::test::{DOORS, HELPER_TIMER, HELPER_TRACE, MAP_QUEUE};
use rota_sim::{Machine, Shape, Simulation};
use rota_topology::Spec;

fn machine(bytes: &[u8], mode: Mode) -> Machine {
    let types = KernelTypes::builtin("7.3").unwrap();
    let object = Object::parse(bytes).unwrap();
    let image = object.link_programs(&types, &|program| program.section == "syscall").unwrap();
    Machine::load(Shape { mode, ..Shape::default() }, &image, &types).unwrap()
}

/// A world with an object that is not loaded yet.
fn world(bytes: &[u8], mode: Mode) -> Simulation {
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = "4c".parse::<Spec>().unwrap().topology();
    let shape = Shape { mode, ..Shape::default() };
    Simulation::new(&Object::parse(bytes).unwrap(), &types, &topology, &shape).unwrap()
}

#[test]
fn every_door_is_open() {
    for mode in [Mode::Jit, Mode::Interpreter] {
        let mut world = world(DOORS, mode);
        before_loading(&mut world);
        world.load().unwrap();
        globals_and_programs(&mut world);
        maps(&mut world);
        rings_and_arena(&mut world);
        facts(&mut world);
    }
}

fn before_loading(world: &mut Simulation) {
    world.write_global("factor", &5u64.to_le_bytes()).unwrap();
    assert_eq!(world.read_global("factor").unwrap(), 5u64.to_le_bytes());
    assert_eq!(world.read_global("offset_now").unwrap(), [0; 8]);
    world.write_global("offset_now", &7u64.to_le_bytes()).unwrap();
    assert!(matches!(world.write_global("factor", &[1]), Err(EngineError::Size { .. })));
    assert!(matches!(world.write_global("none", &[1]), Err(EngineError::Missing { .. })));
    assert!(matches!(world.map_lookup("results", &[0; 4]), Err(EngineError::Phase { .. })));
    assert!(matches!(world.attach(), Err(EngineError::Phase { .. })));
    assert!(matches!(world.set_ops_member("timeout_ms", 1), Err(EngineError::Missing { .. })));
    assert!(matches!(world.resize_map("none", 2), Err(EngineError::Missing { .. })));
    world.resize_map("results", 2).unwrap();
    assert!(matches!(world.preload("stats", &[0; 4], &[1]), Err(EngineError::Size { .. })));
    let value = [[1; 8], [0; 8]].concat();
    let size = world.image().maps.iter().find(|m| m.name == "stats").unwrap().value_size;
    world.preload("stats", &[0; 4], &value[..size as usize]).unwrap();
}

/// Asks the syscall program; its result, the answer and what it drained.
fn ask(world: &mut Simulation, number: u64) -> (i32, u64, u64) {
    let mut question = [0u8; 24];
    question[..8].copy_from_slice(&number.to_le_bytes());
    let result = world.run_program("ask", &mut question).unwrap();
    let word = |i: usize| u64::from_le_bytes(question[i..i + 8].try_into().unwrap());
    (result, word(8), word(16))
}

fn globals_and_programs(world: &mut Simulation) {
    let each = world.map_lookup_percpu("stats", &[0; 4]).unwrap().unwrap();
    assert!(each.iter().all(|cpu| cpu[0] == 1), "filled before anything ran, on every CPU");
    world.write_global("offset_now", &[0; 8]).unwrap();
    assert_eq!(ask(world, 7), (8, 35, 0), "the read-only factor was 5");
    world.write_global("offset_now", &100u64.to_le_bytes()).unwrap();
    assert_eq!(ask(world, 7), (8, 135, 0), "the program sees the new offset");
    assert_eq!(world.read_global("factor").unwrap(), 5u64.to_le_bytes());
    let fixed = world.write_global("factor", &6u64.to_le_bytes());
    assert!(matches!(fixed, Err(EngineError::Phase { .. })), "{fixed:?}");
    assert!(matches!(world.run_program("none", &mut []), Err(EngineError::Missing { .. })));
    world.attach_program("on_switch").unwrap();
    assert!(matches!(world.load(), Err(EngineError::Phase { .. })));
    assert!(matches!(world.resize_map("results", 3), Err(EngineError::Phase { .. })));
}

fn facts(world: &mut Simulation) {
    assert_eq!(world.topology().online().count(), 4);
    let times = world.cpu_times().unwrap();
    assert_eq!(times.len(), 4);
    assert!(times.iter().all(|cpu| cpu.busy_ns == 0 && cpu.idle_ns == world.now_ns()));
    assert!(world.changed_settings().is_empty());
    assert_eq!(world.exit_info().unwrap(), None);
    assert!(matches!(world.attach(), Err(EngineError::Missing { .. })), "no scheduler in it");
    world.detach().unwrap();
}

fn maps(world: &mut Simulation) {
    let (seven, eight) = (7u32.to_le_bytes(), 8u32.to_le_bytes());
    let found = world.map_lookup("results", &seven).unwrap();
    assert_eq!(found, Some(135u64.to_le_bytes().to_vec()));
    assert_eq!(world.map_lookup("results", &eight).unwrap(), None);
    world.map_update("results", &eight, &[1; 8]).unwrap();
    let full = world.map_update("results", &[99, 0, 0, 0], &[1; 8]);
    assert!(matches!(full, Err(EngineError::System { .. })), "it was made for two: {full:?}");
    let (mut keys, mut at) = (Vec::new(), None);
    while let Some(key) = world.map_next_key("results", at.as_deref()).unwrap() {
        keys.push(key.clone());
        at = Some(key);
    }
    assert_eq!(keys.len(), 2);
    assert!(world.map_delete("results", &eight).unwrap());
    assert!(!world.map_delete("results", &eight).unwrap());
    assert!(matches!(world.map_lookup("results", &[1]), Err(EngineError::Size { .. })));
    assert!(matches!(world.map_lookup("none", &[1]), Err(EngineError::Missing { .. })));
    let each = world.map_lookup_percpu("stats", &[0; 4]).unwrap().unwrap();
    assert_eq!(each.iter().map(|cpu| u64::from(cpu[0])).collect::<Vec<_>>(), [3, 1, 1, 1]);
    let one = world.map_lookup("stats", &[0; 4]);
    assert!(matches!(one, Err(EngineError::System { .. })), "it has one for each CPU: {one:?}");
}

fn rings_and_arena(world: &mut Simulation) {
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
    let mut world = machine(HELPER_TIMER, Mode::Jit);
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

/// What the kernel keeps in a value is not for user space, to read or to write.
#[test]
fn timers_stay_out_of_sight() {
    let mut world = machine(HELPER_TIMER, Mode::Jit);
    let key = [1, 0, 0, 0];
    world.map_update("array", &key, &[7; 40]).unwrap();
    let mut value = vec![0; 32];
    value.extend([7; 8]);
    assert_eq!(world.map_lookup("array", &key).unwrap(), Some(value.clone()));
    assert_eq!(world.run_program("start_one", &mut []).unwrap(), 0);
    assert_eq!(world.map_lookup("array", &key).unwrap(), Some(value));
    world.map_update("array", &key, &[0; 40]).unwrap();
    assert_eq!(world.next_due_ns(), None, "what is updated has no timer any more");
}

#[test]
fn queues_have_no_keys() {
    let mut world = machine(MAP_QUEUE, Mode::Jit);
    let (one, two) = (1u32.to_le_bytes(), 2u32.to_le_bytes());
    assert_eq!(world.map_lookup("queue", &[]).unwrap(), None);
    world.map_update("queue", &[], &one).unwrap();
    world.map_update("queue", &[], &two).unwrap();
    assert_eq!(world.map_lookup("queue", &[]).unwrap(), Some(one.to_vec()));
    assert!(matches!(world.map_delete("queue", &[]), Err(EngineError::System { .. })));
    assert_eq!(world.map_next_key("queue", None).unwrap(), None);
}

#[test]
fn what_programs_print_is_kept() {
    let mut world = machine(HELPER_TRACE, Mode::Interpreter);
    world.run_program("line", &mut []).unwrap();
    world.run_program("line_of_many", &mut []).unwrap();
    assert_eq!(world.take_printed(), ["5", "3 of all", "-5, 12, ff, ok"]);
    assert!(world.take_printed().is_empty());
}
