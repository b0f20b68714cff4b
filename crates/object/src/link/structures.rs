// SPDX-License-Identifier: GPL-2.0-or-later
//! What of a structure the kernel keeps for itself: locks, timers, lists and the like. A loader
//! need not know; the verifier does, and hands it to the functions that allocate and free.

use crate::btf::{Btf, TypeId};
use crate::btf_decl::{Modifier, Type};
use crate::image::{Field, FieldKind, Structure};
use std::collections::BTreeMap;

/// Structures inside one another are followed so deep.
const DEPTH_MAX: u32 = 8;
/// So many members and elements are looked at for one type, whatever a made-up one may have.
const LOOKS_MAX: u32 = 4096;

/// What a structure of the kernel's is for, by its name.
const KINDS: [(&str, FieldKind); 11] = [
    ("bpf_spin_lock", FieldKind::SpinLock),
    ("bpf_res_spin_lock", FieldKind::ResilientLock),
    ("bpf_timer", FieldKind::Timer),
    ("bpf_wq", FieldKind::Work),
    ("bpf_task_work", FieldKind::TaskWork),
    ("bpf_list_head", FieldKind::List),
    ("bpf_list_node", FieldKind::ListNode),
    ("bpf_rb_root", FieldKind::Tree),
    ("bpf_rb_node", FieldKind::TreeNode),
    ("bpf_refcount", FieldKind::Owners),
    ("bpf_dynptr", FieldKind::Dynptr),
];

/// Every structure, by its number.
pub(crate) fn all(btf: &Btf) -> BTreeMap<TypeId, Structure> {
    let structure_of = |(id, ty): (TypeId, &Type)| match ty {
        Type::Struct { name, size, union: false, .. } => {
            let (name, size) = (btf.text(*name).to_owned(), u64::from(*size));
            Some((id, Structure { name, size, fields: fields(btf, id) }))
        }
        _ => None,
    };
    btf.iter().filter_map(structure_of).collect()
}

/// What of a value of this type the kernel keeps for itself.
pub(crate) fn fields(btf: &Btf, ty: TypeId) -> Vec<Field> {
    let mut search = Search { btf, looks: LOOKS_MAX, found: Vec::new() };
    search.collect(ty, 0, DEPTH_MAX);
    search.found.sort_unstable_by_key(|field| field.offset);
    search.found
}

struct Search<'a> {
    btf: &'a Btf,
    /// How many more members and elements are looked at.
    looks: u32,
    found: Vec<Field>,
}

impl Search<'_> {
    fn collect(&mut self, ty: TypeId, at: u64, depth: u32) {
        // Real types are neither nested so deep nor so large.
        let goes_on = depth > 0 && at <= u64::from(u32::MAX);
        let Some(looks) = self.looks.checked_sub(1).filter(|_| goes_on) else { return };
        self.looks = looks;
        let btf = self.btf;
        match btf.resolve(ty).1 {
            Type::Struct { name, size, union: false, members } => {
                let known = KINDS.iter().find(|(known, _)| *known == btf.text(*name));
                if let Some((_, kind)) = known {
                    self.found.push(Field { offset: at, size: u64::from(*size), kind: *kind });
                    return;
                }
                for member in members {
                    self.collect(member.ty, at + u64::from(member.offset_bits / 8), depth - 1);
                }
            }
            Type::Array { element, len, .. } => {
                let Some(size) = btf.size_of(*element) else { return };
                for i in 0..u64::from(*len) {
                    let before = self.found.len();
                    self.collect(*element, at.saturating_add(i.saturating_mul(size)), depth - 1);
                    if self.found.len() == before {
                        return;
                    }
                }
            }
            Type::Ptr(target) if is_kptr(btf, *target) => {
                self.found.push(Field { offset: at, size: 8, kind: FieldKind::Pointer });
            }
            _ => {}
        }
    }
}

/// Whether a pointer to this type is one that the kernel looks after: `__kptr` in C.
fn is_kptr(btf: &Btf, target: TypeId) -> bool {
    match btf.get(target) {
        Type::Modifier { kind: Modifier::Tag { text, .. }, .. } => {
            matches!(btf.text(*text), "kptr" | "percpu_kptr")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::fields;
    use crate::btf::{Btf, Member, TypeId};
    use crate::btf_decl::{Modifier, Type};
    use crate::image::{Field, FieldKind};

    /// `struct { u64; struct bpf_timer timers[2]; struct x __kptr *pointer; struct y *plain; }`.
    #[test]
    fn of_a_structure_with_arrays_and_pointers() {
        let strings = b"\0bpf_timer\0kptr\0";
        let (timer, kptr) = (1, 11);
        let member = |ty, bytes: u32| Member {
            name: 0,
            ty: TypeId(ty),
            offset_bits: 8 * bytes,
            width_bits: 0,
        };
        let structure = |name, size, members| Type::Struct { name, size, union: false, members };
        let tag = Modifier::Tag { text: kptr, attribute: false };
        let number = Type::Int {
            name: 0,
            size: 8,
            bits: 64,
            offset: 0,
            signed: false,
            character: false,
            boolean: false,
        };
        let outer = vec![member(1, 0), member(3, 8), member(6, 40), member(7, 48)];
        let types = vec![
            Type::Void,
            number,
            structure(timer, 16, vec![member(1, 0), member(1, 8)]),
            Type::Array { element: TypeId(2), index: TypeId(1), len: 2 },
            structure(0, 8, vec![member(1, 0)]),
            Type::Modifier { kind: tag, target: TypeId(4) },
            Type::Ptr(TypeId(5)),
            Type::Ptr(TypeId(4)),
            structure(0, 56, outer),
        ];
        let btf = Btf { types, strings: strings.to_vec() };
        let timer = |offset| Field { offset, size: 16, kind: FieldKind::Timer };
        let pointer = Field { offset: 40, size: 8, kind: FieldKind::Pointer };
        assert_eq!(fields(&btf, TypeId(8)), [timer(8), timer(24), pointer]);
        assert_eq!(fields(&btf, TypeId(1)), []);
    }

    /// Arrays of arrays of arrays, as only a made-up object has them.
    #[test]
    fn of_very_many_elements() {
        let strings = b"\0bpf_timer\0";
        let array =
            |element| Type::Array { element: TypeId(element), index: TypeId(0), len: 1 << 20 };
        let timer = Type::Struct { name: 1, size: 16, union: false, members: Vec::new() };
        let types = vec![Type::Void, timer, array(1), array(2), array(3), array(4)];
        let btf = Btf { types, strings: strings.to_vec() };
        assert!(fields(&btf, TypeId(5)).len() < 4096);
    }
}
