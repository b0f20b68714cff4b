// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a CPU counts the interrupts that it is in.
//!
//! On x86 it is a variable that each CPU has its own of: `__preempt_count`, or a member of `pcpu_hot`
//! from 6.2 to 6.14. Many kernels tell only addresses of functions, so it is found beside another
//! variable of that kind: tasks point to their CPU's `runqueues`.

use rota_object::{Btf, Type, TypeId};

/// The section of variables that each CPU has its own of.
const PER_CPU: &str = ".data..percpu";

/// How far the count lies behind the run queue of the same CPU, in bytes; `None` if the kernel has it
/// elsewhere.
pub(super) fn distance(btf: &Btf) -> Option<i32> {
    let count = match variable(btf, "__preempt_count") {
        Some((_, at)) => at,
        None => {
            let (hot, at) = variable(btf, "pcpu_hot")?;
            at + member(btf, hot, "preempt_count")?
        }
    };
    let (_, queue) = variable(btf, "runqueues")?;
    // Nothing is at the place of the run queue itself.
    i32::try_from(i64::from(count) - i64::from(queue)).ok().filter(|distance| *distance != 0)
}

/// Type and place of a variable.
fn variable(btf: &Btf, wanted: &str) -> Option<(TypeId, u32)> {
    let sections = btf.iter().filter_map(|(_, ty)| match ty {
        Type::DataSec { name, vars, .. } if btf.text(*name) == PER_CPU => Some(vars),
        _ => None,
    });
    sections.flatten().find_map(|&(var, at, _)| match btf.get(var) {
        Type::Var { name, target, .. } if btf.text(*name) == wanted => Some((*target, at)),
        _ => None,
    })
}

/// Place of a member, which may be in members that have no name.
fn member(btf: &Btf, of: TypeId, wanted: &str) -> Option<u32> {
    let (_, Type::Struct { members, .. }) = btf.resolve(of) else { return None };
    members.iter().find_map(|each| match btf.text(each.name) {
        name if name == wanted => Some(each.offset_bits / 8),
        "" => member(btf, each.ty, wanted).map(|within| each.offset_bits / 8 + within),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_object::KernelTypes;

    #[test]
    fn every_kernel_has_it() {
        for name in KernelTypes::builtin_names() {
            let kernel = KernelTypes::builtin(name).unwrap();
            assert!(distance(kernel.btf()).is_some(), "{name}");
        }
    }

    #[test]
    fn members_without_a_name_are_looked_into() {
        let kernel = KernelTypes::builtin(KernelTypes::builtin_names()[0]).unwrap();
        let btf = kernel.btf();
        let (page, members) = btf.find_struct("mm_struct").unwrap();
        let [unnamed, ..] = members else { panic!("no members") };
        assert_eq!((btf.text(unnamed.name), unnamed.offset_bits), ("", 0));
        let direct = member(btf, unnamed.ty, "pgd");
        assert!(direct.is_some_and(|at| at > 0));
        assert_eq!(member(btf, page, "pgd"), direct);
        assert_eq!(member(btf, page, "no_such_member"), None);
    }
}
