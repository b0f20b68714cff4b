// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes a kernel's type information small enough to bring along: what schedulers name is kept
//! whole, what that only points to is kept to a certain distance, of the rest the name.

use crate::btf::{Btf, TypeId, references};
use crate::btf_decl::{Enumerator, Modifier, Type};
use crate::btf_write::BtfBuilder;
use crate::kernel_types::LEFT_OUT;
use crate::relocate::compat::name_of;
use std::collections::BTreeMap;

/// Structures that schedulers read, by the start of their name.
const STRUCTURES: [&str; 31] = [
    "bpf_",
    "cfs_",
    "cgroup",
    "cpufreq_",
    "cpumask",
    "cred",
    "css_",
    "dl_",
    "em_",
    "kernel_cpustat",
    "kernfs_node",
    "mempolicy",
    "mm_struct",
    "nsproxy",
    "numa_group",
    "pcpu_hot",
    "pid",
    "psi_",
    "pt_regs",
    "rcu_",
    "root_domain",
    "rq",
    "rt_",
    "sched_",
    "scx_",
    "signal_struct",
    "task_",
    "thread_",
    "tick_",
    "uclamp_",
    "user_namespace",
];

/// Enumerations are kept if one of their enumerators starts like this.
const ENUMERATORS: [&str; 17] = [
    "BPF_", "CGRP_", "CPUFREQ_", "CPUTIME_", "CPU_", "CSS_", "DEQUEUE_", "ENQUEUE_", "HK_TYPE_",
    "NR_", "PIDTYPE_", "PSI_", "SCHED_", "SCX_", "SD_", "TASK_", "__SD_",
];

/// Typedefs by the start of their name: the tracepoints of the scheduler, with their arguments.
const TYPEDEFS: [&str; 4] =
    ["btf_trace_sched_", "btf_trace_cpu_", "btf_trace_cgroup_", "btf_trace_ipi_"];

/// How far pointers are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance(pub u32);

/// The types that a scheduler may name, with what they point to up to a distance.
///
/// Members, sizes and offsets of what is kept are the kernel's. Of a structure beyond the distance
/// a declaration is left, with a remark that says so.
pub fn minimise(btf: &Btf, distance: Distance) -> Btf {
    let mut kept = Kept { btf, distances: BTreeMap::new() };
    let mut tags: BTreeMap<TypeId, Vec<&Type>> = BTreeMap::new();
    for (id, ty) in btf.iter() {
        if let Type::DeclTag { text, target, .. } = ty {
            tags.entry(*target).or_default().push(ty);
            if btf.text(*text) == "bpf_kfunc" {
                // What a function of the kernel takes is compared with what a program gives, so
                // it has to be a structure, not a declaration.
                kept.add(*target, 1);
            }
        } else if is_scx_function(btf, ty) {
            kept.add(id, 1);
        } else if is_wanted(btf, ty) {
            kept.add(id, distance.0);
        }
    }
    let per_cpu = per_cpu(btf);
    for (var, _, _) in &per_cpu {
        kept.add(*var, 0);
    }
    let mut writer = Writer::new(btf, &kept.distances);
    for (&id, &left) in &kept.distances {
        let written = writer.id(id);
        let ty = writer.rewritten(id, left);
        writer.put(written, ty);
    }
    for (target, tags) in &tags {
        if kept.distances.contains_key(target) {
            tags.iter().for_each(|tag| writer.tag(tag));
        }
    }
    writer.section(".data..percpu", &per_cpu);
    writer.finish()
}

/// The variables that every CPU has its own of.
fn per_cpu(btf: &Btf) -> Vec<(TypeId, u32, u32)> {
    let sections = btf.iter().filter_map(|(_, ty)| match ty {
        Type::DataSec { name, vars, .. } if btf.text(*name) == ".data..percpu" => Some(vars),
        _ => None,
    });
    let wanted = |var: &&(TypeId, u32, u32)| matches!(btf.get(var.0), Type::Var { target, .. } if keeps_variable(btf, *target));
    sections.flatten().filter(wanted).copied().collect()
}

/// Whether a variable of this type would be kept, whatever its name.
pub(crate) fn keeps_variable(btf: &Btf, ty: TypeId) -> bool {
    let (_, ty) = btf.resolve(ty);
    // A structure with members would bring in all that it holds by value.
    !matches!(ty, Type::Struct { .. }) || is_wanted(btf, ty)
}

/// Whether all functions or typedefs are kept whose names start like this one.
pub(crate) fn keeps_all_like(name: &str) -> bool {
    is_of_scx(name) || TYPEDEFS.iter().any(|start| name.starts_with(start))
}

/// A function of sched_ext: one that programs may call, which loaders find by its name alone, and
/// some kernels lack the remark on old ones; or one that libraries of schedulers attach to.
fn is_scx_function(btf: &Btf, ty: &Type) -> bool {
    matches!(ty, Type::Func { name, .. } if is_of_scx(btf.text(*name)))
}

fn is_of_scx(name: &str) -> bool {
    ["scx_bpf_", "bpf_scx_"].iter().any(|start| name.trim_start_matches('_').starts_with(start))
}

fn is_wanted(btf: &Btf, ty: &Type) -> bool {
    let starts = |name: &str, list: &[&str]| list.iter().any(|start| name.starts_with(start));
    match ty {
        Type::Struct { .. } => starts(name_of(btf, ty), &STRUCTURES),
        Type::Enum { values, .. } => values.iter().any(|v| starts(btf.text(v.name), &ENUMERATORS)),
        Type::Typedef { .. } => starts(name_of(btf, ty), &TYPEDEFS),
        _ => false,
    }
}

/// What is kept, with how far its pointers are followed; `None` for a mere declaration.
struct Kept<'a> {
    btf: &'a Btf,
    distances: BTreeMap<TypeId, Option<u32>>,
}

impl Kept<'_> {
    /// Keeps a type and everything that it needs.
    fn add(&mut self, id: TypeId, distance: u32) {
        let mut waiting = vec![(id, Some(distance))];
        while let Some((id, left)) = waiting.pop() {
            if id.0 == 0 || self.distances.get(&id).is_some_and(|known| *known >= left) {
                continue;
            }
            // No type should be one of a section; the only one that is kept is written anew.
            if matches!(self.btf.get(id), Type::DataSec { .. }) {
                continue;
            }
            self.distances.insert(id, left);
            let ty = self.btf.get(id);
            for target in references(ty) {
                let below = match (ty, left) {
                    (Type::Ptr(_), Some(left)) => self.behind(target, left),
                    (_, Some(left)) => Some(left),
                    // On the way to a declaration.
                    (Type::Typedef { .. } | Type::Modifier { .. }, None) => None,
                    (_, None) => break,
                };
                waiting.push((target, below));
            }
        }
    }

    /// How far to follow from what a pointer points to. Only structures count as a step, and only
    /// those with a name can become a declaration.
    fn behind(&self, target: TypeId, left: u32) -> Option<u32> {
        let (_, ty) = self.btf.resolve(target);
        match ty {
            Type::Struct { .. } if left == 0 && !name_of(self.btf, ty).is_empty() => None,
            Type::Struct { .. } => Some(left.saturating_sub(1)),
            _ => Some(left),
        }
    }
}

/// Writes the kept types, with new numbers.
struct Writer<'a> {
    btf: &'a Btf,
    out: BtfBuilder,
    numbers: BTreeMap<TypeId, TypeId>,
    types: BTreeMap<TypeId, Type>,
    remarks: Vec<Type>,
}

impl<'a> Writer<'a> {
    fn new(btf: &'a Btf, kept: &BTreeMap<TypeId, Option<u32>>) -> Self {
        let numbers = kept.keys().zip(1u32..).map(|(id, number)| (*id, TypeId(number))).collect();
        let (types, remarks) = (BTreeMap::new(), Vec::new());
        Self { btf, out: BtfBuilder::new(), numbers, types, remarks }
    }

    /// The new number of a type; what is not kept is no type at all.
    fn id(&self, id: TypeId) -> TypeId {
        self.numbers.get(&id).copied().unwrap_or(TypeId(0))
    }

    fn put(&mut self, number: TypeId, ty: Type) {
        self.types.insert(number, ty);
    }

    fn name(&mut self, place: u32) -> u32 {
        self.out.name(self.btf.text(place))
    }

    /// A type with the new numbers and names, or its declaration.
    fn rewritten(&mut self, id: TypeId, left: Option<u32>) -> Type {
        let ty = self.btf.get(id).clone();
        match ty {
            Type::Struct { name, union, .. } if left.is_none() => {
                let (name, text) = (self.name(name), self.out.name(LEFT_OUT));
                let target = self.id(id);
                self.remarks.push(Type::DeclTag { text, target, component: -1, attribute: false });
                Type::Forward { name, union }
            }
            other => self.renumbered(other),
        }
    }

    fn renumbered(&mut self, ty: Type) -> Type {
        match ty {
            Type::Ptr(target) => Type::Ptr(self.id(target)),
            Type::Array { element, index, len } => {
                Type::Array { element: self.id(element), index: self.id(index), len }
            }
            Type::Struct { name, size, union, mut members } => {
                for m in &mut members {
                    (m.name, m.ty) = (self.name(m.name), self.id(m.ty));
                }
                Type::Struct { name: self.name(name), size, union, members }
            }
            Type::Enum { name, size, signed, wide, values } => {
                let mut rename = |v: Enumerator| Enumerator { name: self.name(v.name), ..v };
                let values = values.into_iter().map(&mut rename).collect();
                Type::Enum { name: self.name(name), size, signed, wide, values }
            }
            Type::FuncProto { ret, mut params } => {
                for (name, ty) in &mut params {
                    (*name, *ty) = (self.name(*name), self.id(*ty));
                }
                Type::FuncProto { ret: self.id(ret), params }
            }
            Type::Modifier { kind, target } => {
                let kind = match kind {
                    Modifier::Tag { text, attribute } => {
                        Modifier::Tag { text: self.name(text), attribute }
                    }
                    plain => plain,
                };
                Type::Modifier { kind, target: self.id(target) }
            }
            named => self.renamed(named),
        }
    }

    fn renamed(&mut self, ty: Type) -> Type {
        match ty {
            Type::Int { name, size, bits, offset, signed, character, boolean } => {
                let name = self.name(name);
                Type::Int { name, size, bits, offset, signed, character, boolean }
            }
            Type::Forward { name, union } => Type::Forward { name: self.name(name), union },
            Type::Typedef { name, target } => {
                Type::Typedef { name: self.name(name), target: self.id(target) }
            }
            Type::Func { name, proto, linkage } => {
                Type::Func { name: self.name(name), proto: self.id(proto), linkage }
            }
            Type::Var { name, target, linkage } => {
                Type::Var { name: self.name(name), target: self.id(target), linkage }
            }
            Type::Float { name, size } => Type::Float { name: self.name(name), size },
            Type::DeclTag { text, target, component, attribute } => {
                let (text, target) = (self.name(text), self.id(target));
                Type::DeclTag { text, target, component, attribute }
            }
            other => other,
        }
    }

    fn tag(&mut self, tag: &Type) {
        let tag = self.renamed(tag.clone());
        self.remarks.push(tag);
    }

    fn section(&mut self, name: &str, vars: &[(TypeId, u32, u32)]) {
        let vars = vars.iter().map(|(id, at, size)| (self.id(*id), *at, *size)).collect();
        let section = Type::DataSec { name: self.out.name(name), size: 0, vars };
        self.remarks.push(section);
    }

    fn finish(mut self) -> Btf {
        for ty in self.types.into_values().chain(self.remarks) {
            self.out.add(ty);
        }
        self.out.finish()
    }
}

#[cfg(test)]
mod tests;
