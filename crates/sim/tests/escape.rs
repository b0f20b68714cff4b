// SPDX-License-Identifier: GPL-2.0-or-later
//! Every program of `bpf/test/escape*.bpf.c` and `report.bpf.c` is stopped with the words that stand
//! beside it and at its line, by either engine, and harms neither its own machine nor another one.

use rota_bytecode::Mode;
use rota_object::{FunctionId, Image, KernelTypes, Object};
use rota_programs::test::{ESCAPE, ESCAPE_OBJECT, FORGED, KFUNC_TASK, REPORT};
use rota_sim::{Machine, Shape};

#[test]
fn nobody_gets_out() {
    stops_all(ESCAPE, "escape.bpf.c:", 80);
}

#[test]
fn forged_objects_are_of_no_use() {
    stops_all(ESCAPE_OBJECT, "escape_object.bpf.c:", 50);
}

#[test]
fn what_is_kept_is_reported() {
    stops_all(REPORT, "report.bpf.c:", 50);
}

/// Runs all programs of an object, of which there are so many at least, twice over.
fn stops_all(bytes: &[u8], file: &str, least: u32) {
    let types = KernelTypes::builtin("7.3").unwrap();
    let (object, image) = linked(bytes, &types);
    let (_, bystander) = linked(KFUNC_TASK, &types);
    let untouched = entry(&bystander, "storage_stays");
    for mode in [Mode::Jit, Mode::Interpreter] {
        let shape = Shape { mode, budget: 1 << 20, ..Shape::default() };
        let mut beside = Machine::load(shape.clone(), &bystander, &types).unwrap();
        let mut machine = Machine::load(shape, &image, &types).unwrap();
        let mut stopped = 0;
        // Twice: a machine goes on after a stop as before it.
        for (name, words) in object.functions_with("stop:").chain(object.functions_with("stop:")) {
            let run = machine.run(entry(&image, name), [0; 5]);
            let text = run.map_or_else(|stop| stop.to_string(), |r| format!("returned {r}"));
            assert!(text.contains(words), "{name} by {mode:?}: {text} instead of {words}");
            assert!(text.contains(file), "{name} by {mode:?} has no line: {text}");
            assert_eq!(beside.run(untouched, [0; 5]).unwrap(), 15, "after {name} by {mode:?}");
            stopped += 1;
        }
        assert!(stopped > least, "only {stopped} programs ran");
    }
}

fn linked(bytes: &[u8], types: &KernelTypes) -> (Object, Image) {
    let object = Object::parse(bytes).unwrap();
    let image = object.link(types).unwrap();
    (object, image)
}

fn entry(image: &Image, name: &str) -> FunctionId {
    image.entries.iter().find(|entry| entry.name == name).unwrap().function
}

#[test]
fn what_is_forged_does_no_harm() {
    let types = KernelTypes::builtin("7.3").unwrap();
    let (_, image) = linked(FORGED, &types);
    assert!(image.entries.len() > 10);
    for mode in [Mode::Jit, Mode::Interpreter] {
        let shape = Shape { mode, budget: 1 << 20, ..Shape::default() };
        let mut machine = Machine::load(shape, &image, &types).unwrap();
        for entry in &image.entries {
            // A result or a stop: anything but a panic.
            let _ = machine.run(entry.function, [0; 5]);
        }
    }
}

#[test]
fn a_machine_has_cpus_but_not_too_many() {
    let types = KernelTypes::builtin("7.3").unwrap();
    let (_, image) = linked(KFUNC_TASK, &types);
    for (cpus, fits) in [(0, false), (1, true), (8192, true), (8193, false)] {
        let made = Machine::load(Shape { cpus, ..Shape::default() }, &image, &types);
        assert_eq!(made.is_ok(), fits, "{cpus} CPUs");
    }
}
