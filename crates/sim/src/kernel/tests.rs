// SPDX-License-Identifier: GPL-2.0-or-later
//! Each function that is simulated has a case, which the kernel runs too, or is one of the test
//! scheduler's, which scenarios show on the kernel.

use super::{HELPERS, KFUNCS, why_not};
use rota_object::{KernelTypes, Object, Type};
use rota_programs::test::{CASES, WITNESS};
use std::collections::BTreeSet;

/// What the book says.
const PAGE: &str = include_str!("../../../../docs/simulator.md");

/// Functions that neither a case nor the test scheduler calls, and why.
const NO_CASE: &[(&str, &str)] =
    &[("bpf_cast_to_kern_ctx", "the context of a program that runs by itself has no kernel type")];

/// A call of a helper, by its number.
const CALL: u8 = 0x85;

#[test]
fn each_has_a_case() {
    let mut called: BTreeSet<String> = BTreeSet::new();
    for kernel in KernelTypes::builtin_names() {
        let types = KernelTypes::builtin(kernel).unwrap();
        for (name, bytes) in CASES.iter().chain([&("witness", WITNESS)]) {
            let mut object = Object::parse(bytes).unwrap();
            object.leave_out_unknown_callbacks(&types);
            let image = object.link(&types);
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

/// The names in a part of the page, those with a star at the end as they stand.
fn listed() -> Vec<&'static str> {
    let (_, tail) = PAGE.split_once("## What is not there\n").unwrap();
    let (part, _) = tail.split_once("\n## ").unwrap();
    let mut names: Vec<&str> = part.split('`').skip(1).step_by(2).collect();
    assert_eq!(names.remove(0), "*", "what a star means is said first");
    names
}

/// Whether a name of the page stands for a function.
fn stands_for(listed: &str, function: &str) -> bool {
    listed.strip_suffix('*').map_or(listed == function, |start| function.starts_with(start))
}

/// Every kernel function and helper of the supported kernels that programs can call.
fn callable() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for kernel in KernelTypes::builtin_names() {
        let types = KernelTypes::builtin(kernel).unwrap();
        let btf = types.btf();
        for (_, ty) in btf.iter() {
            match ty {
                Type::DeclTag { text, target, .. } if btf.text(*text) == "bpf_kfunc" => {
                    let Type::Func { name, .. } = btf.get(*target) else { continue };
                    found.insert(btf.text(*name).to_owned());
                }
                Type::Enum { values, .. } => {
                    let names = values.iter().map(|value| btf.text(value.name));
                    let helpers = names.filter_map(|name| name.strip_prefix("BPF_FUNC_"));
                    found.extend(helpers.map(|helper| format!("bpf_{helper}")));
                }
                _ => {}
            }
        }
    }
    // The enumeration of helpers begins with one that is none.
    assert!(found.remove("bpf_unspec") && found.len() > 400, "{}", found.len());
    found
}

#[test]
fn what_is_not_modelled_as_a_whole_is_said() {
    let cid = ": the cid form is not modelled";
    for name in ["scx_bpf_cid_topo", "scx_bpf_cpu_to_cid", "scx_bpf_online_cmask"] {
        assert_eq!(why_not(name), cid, "{name}");
    }
    assert_eq!(why_not("scx_bpf_sub_dispatch"), ": sub-schedulers are not modelled");
    assert!(KFUNCS.iter().all(|(name, _)| why_not(name).is_empty()));
}

#[test]
fn what_is_missing_is_listed() {
    let simulated: BTreeSet<&str> =
        HELPERS.iter().map(|h| h.1).chain(KFUNCS.iter().map(|k| k.0)).collect();
    let callable = callable();
    let missing = || callable.iter().filter(|name| !simulated.contains(name.as_str()));
    let listed = listed();
    let unlisted: Vec<&String> =
        missing().filter(|name| !listed.iter().any(|l| stands_for(l, name))).collect();
    assert!(unlisted.is_empty(), "neither simulated nor in docs/simulator.md: {unlisted:?}");
    for name in listed {
        let there: Vec<&&str> = simulated.iter().filter(|s| stands_for(name, s)).collect();
        assert!(there.is_empty(), "{name} is in docs/simulator.md, but {there:?} are simulated");
        assert!(missing().any(|s| stands_for(name, s)), "{name} is a function of no kernel");
    }
}
