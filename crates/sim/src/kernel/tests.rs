// SPDX-License-Identifier: GPL-2.0-or-later
//! Each function that is simulated has a case, which the kernel runs too, or is one of the test
//! scheduler's, which scenarios show on the kernel.

use super::{HELPERS, KFUNCS};
use rota_object::{KernelTypes, Object};
use rota_programs::test::{CASES, WITNESS};
use std::collections::BTreeSet;

/// Functions that neither a case nor the test scheduler calls, and why.
const NO_CASE: &[(&str, &str)] = &[
    ("bpf_cast_to_kern_ctx", "the context of a program that runs by itself has no kernel type"),
    ("scx_bpf_error_bstr", "it ends a scheduler, and a case has none"),
    ("scx_bpf_exit_bstr", "it ends a scheduler, and a case has none"),
    ("scx_bpf_task_running", "the task that a case runs as is none of the simulated core's"),
    (
        "scx_bpf_task_set_dsq_vtime",
        "it is for tasks of a scheduler, and a case has none; `simple` calls it",
    ),
    (
        "scx_bpf_task_set_slice",
        "it is for tasks of a scheduler, and a case has none; `simple` calls it",
    ),
];

/// A call of a helper, by its number.
const CALL: u8 = 0x85;

#[test]
fn each_has_a_case() {
    let mut called: BTreeSet<String> = BTreeSet::new();
    for kernel in KernelTypes::builtin_names() {
        let types = KernelTypes::builtin(kernel).unwrap();
        for (name, bytes) in CASES.iter().chain([&("witness", WITNESS)]) {
            let image = Object::parse(bytes).unwrap().link(&types);
            let image = image.unwrap_or_else(|e| panic!("{name}: {e}"));
            let there = image.kfuncs.iter().filter(|kfunc| kfunc.func.is_some());
            called.extend(there.map(|kfunc| kfunc.name.clone()));
            let insns = image.functions.iter().flat_map(|function| &function.insns);
            let helpers = insns.filter(|insn| insn.code == CALL && insn.src == 0);
            called.extend(helpers.map(|insn| insn.imm.to_string()));
        }
    }
    let helpers = HELPERS.iter().map(|(number, name, _)| (number.to_string(), *name));
    let kfuncs = KFUNCS.iter().map(|(name, _)| ((*name).to_owned(), *name));
    let without: Vec<&str> =
        helpers.chain(kfuncs).filter(|(key, _)| !called.contains(key)).map(|(_, n)| n).collect();
    let listed: Vec<&str> = NO_CASE.iter().map(|(name, _)| *name).collect();
    assert_eq!(without, listed, "functions without a case, and those that are listed");
}
