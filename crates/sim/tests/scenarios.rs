// SPDX-License-Identifier: GPL-2.0-or-later
//! Every scenario of `tests/scenarios` on the simulated machine: the test scheduler, the very
//! object that the real kernels run, sees what it saw there.
#![expect(clippy::disallowed_methods, reason = "a test may read files")]

use rota_bytecode::Mode;
use rota_object::{KernelTypes, Object};
use rota_programs::test::WITNESS;
use rota_sim::{Shape, run_scenario};
use rota_workload::Scenario;
use std::fs;
use std::path::Path;

#[test]
fn every_scenario_is_as_on_real_kernels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let object = Object::parse(WITNESS).unwrap();
    let mut wrong = Vec::new();
    let mut right = 0;
    for kernel in ["6.16", "7.3"] {
        let types = KernelTypes::builtin(kernel).unwrap();
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let Some(name) = file.to_str().unwrap().strip_suffix(".toml") else { continue };
            let scenario = Scenario::from_toml(&fs::read_to_string(&file).unwrap()).unwrap();
            let expected = fs::read_to_string(format!("{name}.{kernel}.txt")).unwrap();
            for mode in [Mode::Jit, Mode::Interpreter] {
                let shape = Shape { mode, ..Shape::default() };
                let seen = run_scenario(&object, &types, &scenario, &shape);
                let text = seen.map_or_else(|stop| stop.to_string(), |seen| seen.text());
                if text == expected {
                    right += 1;
                } else {
                    wrong.push(format!("{name} on {kernel} by {mode:?}:\n{text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{right} right, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(right > 90, "only {right} scenarios ran");
}

/// With CPUs interleaved, by several seeds: nothing is stopped, and both engines see the same.
#[test]
fn interleaved_scenarios_come_to_their_end() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let object = Object::parse(WITNESS).unwrap();
    let (mut wrong, mut same, mut different) = (Vec::new(), 0, Vec::new());
    for kernel in ["6.16", "7.3"] {
        let types = KernelTypes::builtin(kernel).unwrap();
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let Some(name) = file.to_str().unwrap().strip_suffix(".toml") else { continue };
            let scenario = Scenario::from_toml(&fs::read_to_string(&file).unwrap()).unwrap();
            let expected = fs::read_to_string(format!("{name}.{kernel}.txt")).unwrap();
            for seed in 0..2 {
                let run = |mode| {
                    let shape = Shape { mode, interleave: Some(seed), ..Shape::default() };
                    let seen = run_scenario(&object, &types, &scenario, &shape);
                    seen.map_or_else(|stop| format!("stopped: {stop}"), |seen| seen.text())
                };
                let text = run(Mode::Jit);
                if text.starts_with("stopped") || text != run(Mode::Interpreter) {
                    wrong.push(format!("{name} on {kernel}, seed {seed}: {text}"));
                } else if text == expected {
                    same += 1;
                } else {
                    different.push(format!("{name} on {kernel}, seed {seed}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 10 * different.len(), "{same} as on the kernel, others: {different:#?}");
}
