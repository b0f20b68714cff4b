// SPDX-License-Identifier: GPL-2.0-or-later
//! Every case of `bpf/test/case`, through both engines and linked against every supported kernel:
//! the same answers as the kernel's own, which a test in the virtual machines asks for.

use rota_bytecode::Mode;
use rota_object::{KernelTypes, Object};
use rota_programs::test;
use rota_sim::{Machine, Model, Shape};
use std::collections::BTreeMap;

#[test]
fn every_case_returns_what_stands_beside_it() {
    let mut right = 0;
    for kernel in KernelTypes::builtin_names() {
        let types = KernelTypes::builtin(kernel).unwrap();
        for (name, bytes) in test::CASES {
            let object = Object::parse(bytes).unwrap();
            let image = object.link(&types).unwrap_or_else(|e| panic!("{name}: {e}"));
            for mode in [Mode::Jit, Mode::Interpreter] {
                let shape = Shape { mode, costs: server(), ..Shape::default() };
                let mut machine =
                    Machine::load(shape, &image, &types).unwrap_or_else(|e| panic!("{name}: {e}"));
                for (program, expected, after_ns) in expectations(&object) {
                    let then = machine.now_ns() + after_ns;
                    machine.advance_to(then).unwrap_or_else(|e| panic!("{name}: {e}"));
                    let entry = image.entries.iter().find(|e| e.name == program).unwrap();
                    let found = machine.run(entry.function, [0; 5]);
                    let found = found.unwrap_or_else(|e| panic!("{name}/{program}: {e}"));
                    let place = format!("{name}/{program} by {mode:?} on {kernel}");
                    assert_eq!(found as u32 as i32, expected, "{place}");
                    right += 1;
                }
            }
        }
    }
    assert!(right > 4 * 2 * 400, "only {right} cases ran");
}

/// The programs that say what they must return, and how long each comes after the one before it.
/// A machine on which things take time.
fn server() -> rota_sim::Costs {
    Model::named("server256").unwrap().unwrap().costs
}

fn expectations(object: &Object) -> Vec<(String, i32, u64)> {
    let pauses: BTreeMap<&str, &str> = object.functions_with("after:").collect();
    let read = |(program, expected): (&str, &str)| {
        let after_ms: u64 = pauses.get(program).map_or(0, |text| text.parse().unwrap());
        (program.to_owned(), expected.parse().unwrap(), after_ms * 1_000_000)
    };
    object.functions_with("expect:").map(read).collect()
}
