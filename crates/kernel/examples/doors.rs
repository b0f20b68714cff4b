// SPDX-License-Identifier: GPL-2.0-or-later
//! Goes through every door between the two halves of a scheduler on the running kernel, with the
//! object `doors`. It needs the right to load BPF programs, so the tests in the virtual machine
//! run it.

use rota_kernel::{Host, Live, now_ns};
use rota_object::{Engine, EngineError, Object, Setup, World};
use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = rota_programs::test::DOORS;
    let mut world = Live::open(bytes, &Object::parse(bytes)?, &Host::default())?;
    before_loading(&mut world)?;
    world.load()?;
    globals_and_programs(&mut world)?;
    maps(&mut world)?;
    rings_and_arena(&mut world)?;
    facts(&mut world)?;
    writeln!(std::io::stdout(), "every door is open")?;
    Ok(())
}

fn before_loading(world: &mut Live) -> Result<(), Box<dyn Error>> {
    world.write_global("factor", &5u64.to_le_bytes())?;
    assert!(matches!(world.write_global("factor", &[1]), Err(EngineError::Size { .. })));
    assert!(matches!(world.write_global("none", &[1]), Err(EngineError::Missing { .. })));
    assert!(matches!(world.map_lookup("results", &[0; 4]), Err(EngineError::Phase { .. })));
    assert!(matches!(world.attach(), Err(EngineError::Missing { .. })), "no scheduler in it");
    Ok(world.resize_map("results", 2)?)
}

/// Asks the syscall program; its result, the answer and what it drained.
fn ask(world: &mut Live, number: u64) -> Result<(i32, u64, u64), Box<dyn Error>> {
    let mut question = [0u8; 24];
    question[..8].copy_from_slice(&number.to_le_bytes());
    let result = world.run_program("ask", &mut question)?;
    let word = |i: usize| u64::from_le_bytes(question[i..i + 8].try_into().unwrap_or_default());
    Ok((result, word(8), word(16)))
}

fn globals_and_programs(world: &mut Live) -> Result<(), Box<dyn Error>> {
    assert_eq!(ask(world, 7)?, (8, 35, 0), "the read-only factor was 5");
    world.write_global("offset_now", &100u64.to_le_bytes())?;
    assert_eq!(ask(world, 7)?, (8, 135, 0), "the running program sees the new offset");
    assert_eq!(world.read_global("factor")?, 5u64.to_le_bytes());
    let fixed = world.write_global("factor", &6u64.to_le_bytes());
    assert!(matches!(fixed, Err(EngineError::Phase { .. })), "{fixed:?}");
    let before = world.read_global("switches")?;
    assert_eq!(before, [0; 8], "the auxiliary program is not attached yet");
    world.attach_program("on_switch")?;
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_ne!(world.read_global("switches")?, before);
    assert!(matches!(world.attach_program("none"), Err(EngineError::Missing { .. })));
    Ok(())
}

fn maps(world: &mut Live) -> Result<(), Box<dyn Error>> {
    let (seven, eight) = (7u32.to_le_bytes(), 8u32.to_le_bytes());
    assert_eq!(world.map_lookup("results", &seven)?, Some(135u64.to_le_bytes().to_vec()));
    assert_eq!(world.map_lookup("results", &eight)?, None);
    world.map_update("results", &eight, &[1; 8])?;
    let full = world.map_update("results", &[9, 0, 0, 0], &[1; 8]);
    assert!(matches!(full, Err(EngineError::System { .. })), "it was made for two: {full:?}");
    let mut keys = Vec::new();
    let mut at = None;
    while let Some(key) = world.map_next_key("results", at.as_deref())? {
        keys.push(key.clone());
        at = Some(key);
    }
    keys.sort();
    assert_eq!(keys, [seven.to_vec(), eight.to_vec()]);
    assert!(world.map_delete("results", &eight)?);
    assert!(!world.map_delete("results", &eight)?);
    assert!(matches!(world.map_lookup("results", &[1]), Err(EngineError::Size { .. })));
    let runs = world.map_lookup_percpu("stats", &[0; 4])?.unwrap_or_default();
    let runs: u64 = runs.iter().map(|cpu| u64::from(cpu[0])).sum();
    assert_eq!(runs, 2);
    Ok(())
}

fn rings_and_arena(world: &mut Live) -> Result<(), Box<dyn Error>> {
    let mut records = 0;
    assert_eq!(world.ring_drain("out", &mut |_| records += 1)?, 2);
    assert_eq!((records, world.ring_drain("out", &mut |_| ())?), (2, 0));
    world.ring_push("in", &40u64.to_le_bytes())?;
    world.ring_push("in", &2u64.to_le_bytes())?;
    assert_eq!(ask(world, 1)?.2, 42, "the program drained what was pushed");
    let mut page = [0; 8];
    world.arena_read("arena", 0, &mut page)?;
    assert_eq!(page, 35u64.to_le_bytes(), "the first run wrote its answer there");
    world.arena_write("arena", 8, &[9; 8])?;
    let mut word = [0; 8];
    world.arena_read("arena", 8, &mut word)?;
    assert_eq!(word, [9; 8]);
    assert!(matches!(world.arena_read("arena", 8192, &mut word), Err(EngineError::Size { .. })));
    Ok(())
}

fn facts(world: &mut Live) -> Result<(), Box<dyn Error>> {
    assert!(!world.topology().cpus().is_empty());
    assert!(!world.cpu_times()?.is_empty());
    assert!(now_ns() > 0);
    world.change_setting("offset-now".into(), "5".into());
    assert_eq!(world.changed_settings(), [("offset-now".to_owned(), "5".to_owned())]);
    assert!(world.changed_settings().is_empty());
    Ok(())
}
