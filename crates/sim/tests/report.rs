// SPDX-License-Identifier: GPL-2.0-or-later
//! Every program of `bpf/test/report.bpf.c` keeps something, gives back what it does not hold or
//! waits for itself. It is stopped with the words that stand beside it and at its line, by either
//! engine.

use rota_bytecode::Mode;
use rota_object::{KernelTypes, Object, Type};
use rota_programs::test::REPORT;
use rota_sim::{Machine, Shape};

#[test]
fn what_is_kept_is_reported() {
    let types = KernelTypes::builtin("7.3").unwrap();
    let object = Object::parse(REPORT).unwrap();
    let image = object.link(&types).unwrap();
    for mode in [Mode::Jit, Mode::Interpreter] {
        let mut machine =
            Machine::load(Shape { mode, ..Shape::default() }, &image, &types).unwrap();
        let mut stopped = 0;
        // Twice: what a stopped program held is nobody's any more.
        for (name, words) in stops(&object).into_iter().cycle().take(2 * image.entries.len()) {
            let entry = image.entries.iter().find(|entry| entry.name == name).unwrap();
            let run = machine.run(entry.function, [0; 5]);
            let text = run.map_or_else(|stop| stop.to_string(), |r| format!("returned {r}"));
            assert!(text.contains(&words), "{name} by {mode:?}: {text} instead of {words}");
            assert!(text.contains("report.bpf.c:"), "{name} by {mode:?} has no line: {text}");
            stopped += 1;
        }
        assert!(stopped > 50, "only {stopped} programs ran");
    }
}

/// The programs, with the words that they must be stopped with.
fn stops(object: &Object) -> Vec<(String, String)> {
    let btf = object.btf();
    let mut found = Vec::new();
    for (id, ty) in btf.iter() {
        let Type::Func { name, .. } = ty else { continue };
        let words = btf.tags_of(id).find_map(|(_, text)| text.strip_prefix("stop:"));
        found.extend(words.map(|words| (btf.text(*name).to_owned(), words.to_owned())));
    }
    found
}
