// SPDX-License-Identifier: GPL-2.0-or-later
//! What a program reads of the kernel and the machine never sets, so that it finds zero there.

use crate::layout::{has_member, members_set};
use rota_object::{KernelTypes, Object};

/// Structures that programs get with everything in them.
const WHOLE: &[&str] =
    &["bpf_cpumask", "cpumask", "scx_event_stats", "scx_exit_info", "scx_init_task_args"];

/// Members for which zero is the truth on every simulated machine, and why.
const ZERO: &[(&str, &str, &str)] =
    &[("task_struct", "migration_disabled", "no task of a machine disables migration")];

/// The fields of a kernel's structures that an object reads and the machine never sets: they read
/// as zero, as `task_struct.utime`. Each stands once, in order. Fields that the kernel does not
/// have are left out, since a program that is linked against it asks first.
pub fn unset_fields(object: &Object, types: &KernelTypes) -> Vec<String> {
    let set = members_set(types);
    // Who loads a damaged object is told so by the linker.
    let reads = object.fields_read().unwrap_or_default();
    let unset = reads.into_iter().filter(|read| {
        let names = (read.structure.as_str(), read.member.as_str());
        let is_zero = ZERO.iter().any(|(structure, member, _)| (*structure, *member) == names);
        let owned = (read.structure.clone(), read.member.clone());
        let known = set.contains(&owned) || WHOLE.contains(&names.0) || is_zero;
        !known && is_in(types, &read.words)
    });
    unset.map(|read| read.words).collect()
}

/// Whether a kernel has a field, by its path in words.
fn is_in(types: &KernelTypes, words: &str) -> bool {
    // Elements of arrays count as the arrays.
    let steps = words.split('.').map(|step| step.split('[').next().unwrap_or(step));
    let path = steps.collect::<Vec<_>>().join(".");
    path.split_once('.').is_some_and(|(structure, path)| has_member(types, structure, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_programs::test::{CORE, WITNESS};

    fn unset(bytes: &[u8]) -> Vec<String> {
        let types = KernelTypes::builtin("7.3").unwrap();
        unset_fields(&Object::parse(bytes).unwrap(), &types)
    }

    #[test]
    fn what_is_never_set_is_named() {
        let found = unset(CORE);
        // What is set, not in the kernel, of another type there, or a structure as such, is not.
        assert_eq!(found, ["task_struct.utime"]);
    }

    #[test]
    fn what_the_test_schedulers_read_is_set() {
        assert_eq!(unset(WITNESS), [""; 0]);
        assert_eq!(unset(rota_programs::simple::OBJECT), [""; 0]);
    }
}
