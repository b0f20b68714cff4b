// SPDX-License-Identifier: GPL-2.0-or-later
//! What is kept of made-up kernels is as it was.

use super::*;
use proptest::prelude::*;

/// Made-up kernels: structures that hold each other, numbers and pointers. The first ones are
/// of the names that are kept.
fn any_kernel() -> impl Strategy<Value = Btf> {
    let member = (0usize..12, 0u32..3, 0u32..1000);
    let structures = prop::collection::vec(prop::collection::vec(member, 0..6), 1..12);
    structures.prop_map(|structures| {
        let mut out = BtfBuilder::new();
        let int = out.name("int");
        let int = out.add(Type::Int {
            name: int,
            size: 4,
            bits: 32,
            offset: 0,
            signed: true,
            character: false,
            boolean: false,
        });
        let count = structures.len();
        // Types 2, 4, … are structures, 3, 5, … pointers to them.
        for (number, members) in structures.iter().enumerate() {
            let name = if number % 3 == 0 { format!("scx_{number}") } else { format!("s{number}") };
            let name = out.name(&name);
            let members = members.iter().enumerate().map(|(i, (to, kind, at))| {
                let to = (to % count) as u32 * 2;
                let ty = match kind {
                    0 => int,
                    1 => TypeId(to + 3),
                    _ => TypeId(to + 2),
                };
                let name = out.name(&format!("m{i}"));
                crate::btf::Member { name, ty, offset_bits: at * 8, width_bits: 0 }
            });
            let members = members.collect();
            let ty = Type::Struct { name, size: number as u32, union: false, members };
            let structure = out.add(ty);
            out.add(Type::Ptr(structure));
        }
        out.finish()
    })
}

/// Name, size and members of every structure: name, offset and size of each member.
type Shapes<'a> = BTreeMap<&'a str, (u32, Vec<(&'a str, u32, Option<u64>)>)>;

fn shapes(btf: &Btf) -> Shapes<'_> {
    let shape = |(_, ty): (TypeId, &Type)| match ty {
        Type::Struct { name, size, members, .. } => {
            let member =
                |m: &crate::btf::Member| (btf.text(m.name), m.offset_bits, btf.size_of(m.ty));
            // Borrowed from the table of names, not from the type.
            Some((*name, *size, members.iter().map(member).collect::<Vec<_>>()))
        }
        _ => None,
    };
    btf.iter().filter_map(shape).map(|(n, size, members)| (btf.text(n), (size, members))).collect()
}

#[test]
fn a_type_that_is_a_section_is_none() {
    let mut out = BtfBuilder::new();
    let section = Type::DataSec { name: out.name(".bss"), size: 4, vars: vec![] };
    let section = out.add(section);
    let typedef = Type::Typedef { name: out.name("btf_trace_sched_switch"), target: section };
    let typedef = out.add(typedef);
    let float = Type::Float { name: out.name("float"), size: 4 };
    let float = out.add(float);
    let name = out.name("scx_rq");
    let member = |name, ty| crate::btf::Member { name, ty, offset_bits: 0, width_bits: 0 };
    let members = vec![member(name, typedef), member(name, float)];
    out.add(Type::Struct { name, size: 8, union: false, members });
    let small = minimise(&out.finish(), Distance(1));
    assert_eq!(Btf::parse(&small.to_bytes()).as_ref(), Ok(&small));
    assert_eq!(small.find_struct("scx_rq").map(|(_, members)| members.len()), Some(2));
}

proptest! {
    #[test]
    fn what_remains_is_as_it_was(kernel in any_kernel(), distance in 0u32..4) {
        let small = minimise(&kernel, Distance(distance));
        prop_assert_eq!(Btf::parse(&small.to_bytes()), Ok(small.clone()));
        let (all, kept) = (shapes(&kernel), shapes(&small));
        for (name, shape) in &kept {
            prop_assert_eq!(Some(shape), all.get(name), "{}", name);
        }
        for name in all.keys().filter(|name| name.starts_with("scx_")) {
            prop_assert!(kept.contains_key(name), "{}", name);
        }
        let more = minimise(&kernel, Distance(distance + 1));
        prop_assert!(shapes(&more).len() >= kept.len());
    }
}
