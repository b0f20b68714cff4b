// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether two function prototypes fit, by the loader's own rule.
//!
//! libbpf takes a function of the kernel for the one that an object declares if both have the
//! same number of parameters and, below typedefs and qualifiers, the same kinds of type, through
//! pointers and arrays. Names and sizes don't count; a structure that is only declared is of
//! another kind than one that is defined (libbpf: `relo_core.c`, `__bpf_core_types_are_compat`).

use rota_object::{Btf, Type, TypeId};

/// A longer chain of pointers than this fits nothing, as in libbpf.
const DEPTH_MAX: u32 = 32;

/// The name to look for in the kernel: without its flavour, the part from the last `___` on.
pub(super) fn without_flavour(name: &str) -> &str {
    let bytes = name.as_bytes();
    let is_separator =
        |at: usize| bytes[at] != b'_' && &bytes[at + 1..at + 4] == b"___" && bytes[at + 4] != b'_';
    let separator = (0..name.len().saturating_sub(4)).rev().find(|&at| is_separator(at));
    separator.map_or(name, |at| &name[..=at])
}

/// Whether the kernel's type can stand for the object's.
pub(super) fn fits(object: (&Btf, TypeId), kernel: (&Btf, TypeId)) -> bool {
    fits_within(object, kernel, DEPTH_MAX)
}

fn fits_within(object: (&Btf, TypeId), kernel: (&Btf, TypeId), depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let below = |a: TypeId, b: TypeId| fits_within((object.0, a), (kernel.0, b), depth);
    match (object.0.resolve(object.1).1, kernel.0.resolve(kernel.1).1) {
        (Type::Void, Type::Void)
        | (Type::Int { .. }, Type::Int { .. })
        | (Type::Enum { .. }, Type::Enum { .. })
        | (Type::Forward { .. }, Type::Forward { .. }) => true,
        (Type::Struct { union: a, .. }, Type::Struct { union: b, .. }) => a == b,
        (Type::Ptr(a), Type::Ptr(b)) => below(*a, *b),
        (Type::Array { element: a, .. }, Type::Array { element: b, .. }) => below(*a, *b),
        (Type::FuncProto { ret: a, params: pa }, Type::FuncProto { ret: b, params: pb }) => {
            pa.len() == pb.len() && pa.iter().zip(pb).all(|(a, b)| below(a.1, b.1)) && below(*a, *b)
        }
        _ => false,
    }
}

/// Whether the last parameter is a pointer to `struct bpf_prog_aux`: the one that the verifier
/// supplies, and that no caller writes.
pub(super) fn ends_in_hidden(btf: &Btf, params: &[(u32, TypeId)]) -> bool {
    let Some(&(name, ty)) = params.last() else { return false };
    let Type::Ptr(target) = btf.resolve(ty).1 else { return false };
    let struct_name = match btf.resolve(*target).1 {
        Type::Struct { name, .. } | Type::Forward { name, .. } => btf.text(*name),
        _ => return false,
    };
    // `aux__prog` is the older way, in which callers do pass something.
    struct_name == "bpf_prog_aux" && !btf.text(name).ends_with("__prog")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavours_are_cut_at_the_last_separator() {
        let cases = [
            ("scx_bpf_create_dsq", "scx_bpf_create_dsq"),
            ("scx_bpf_dsq_insert___v1", "scx_bpf_dsq_insert"),
            ("scx_bpf_dsq_insert___v2___compat", "scx_bpf_dsq_insert___v2"),
            ("__scx_bpf_dsq_insert_vtime", "__scx_bpf_dsq_insert_vtime"),
            ("___odd", "___odd"),
            ("a____b", "a____b"),
            ("a___b", "a"),
            ("a___", "a___"),
            ("é___b", "é"),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(without_flavour(name), expected, "{name}");
        }
    }
}
