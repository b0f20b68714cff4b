// SPDX-License-Identifier: GPL-2.0-or-later
//! Each function that is simulated has a case, which the kernel runs too. Those that schedule have
//! scenarios instead: only a scheduler can call them.

use super::{HELPERS, KFUNCS};
use rota_object::{KernelTypes, Object};
use rota_programs::test::CASES;
use std::collections::BTreeSet;

/// Functions that no program of a kind can call which the kernel runs by itself, and why.
const NO_CASE: &[(&str, &str)] =
    &[("bpf_cast_to_kern_ctx", "the context of a program that runs by itself has no kernel type")];

/// A call of a helper, by its number.
const CALL: u8 = 0x85;

#[test]
fn each_has_a_case() {
    let mut called: BTreeSet<String> = BTreeSet::new();
    for kernel in KernelTypes::builtin_names() {
        let types = KernelTypes::builtin(kernel).unwrap();
        for (name, bytes) in CASES {
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
    let kfuncs = KFUNCS.iter().filter(|(name, _)| !name.contains("scx_bpf_"));
    let kfuncs = kfuncs.map(|(name, _)| ((*name).to_owned(), *name));
    let without: Vec<&str> =
        helpers.chain(kfuncs).filter(|(key, _)| !called.contains(key)).map(|(_, n)| n).collect();
    let listed: Vec<&str> = NO_CASE.iter().map(|(name, _)| *name).collect();
    assert_eq!(without, listed, "functions without a case, and those that are listed");
}
