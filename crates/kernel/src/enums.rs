// SPDX-License-Identifier: GPL-2.0-or-later
//! Values of the kernel's enumerators, for objects that take them as variables.
//!
//! The example headers of the kernel tree keep each enumerator of sched_ext in a variable in
//! read-only data, called like it with two underscores before, and leave it to the loader to
//! fill it with the running kernel's value. Objects made with Rota's headers have none of these.

use crate::host::Host;
use rota_object::{Btf, Global, Object, Type};
use rota_topology::Tree;
use std::collections::BTreeMap;

const PREFIX: &str = "__SCX_";

/// Each such variable with the bytes of its value in this kernel. One that the kernel doesn't have
/// stays as it is in the object: zero.
pub(crate) fn values(object: &Object, host: &Host) -> Vec<(Global, Vec<u8>)> {
    let wanted: Vec<&Global> = object.globals().filter(|g| is_enumerator(g)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let blob = host.read("kernel/btf/vmlinux").unwrap_or_default();
    let Ok(btf) = Btf::parse(&blob) else { return Vec::new() };
    let known = enumerators(&btf);
    let value = |global: &Global| {
        let value = known.get(global.name.strip_prefix("__")?)?;
        Some((global.clone(), value.to_le_bytes().to_vec()))
    };
    wanted.into_iter().filter_map(value).collect()
}

fn is_enumerator(global: &Global) -> bool {
    global.read_only && global.size == 8 && global.name.starts_with(PREFIX)
}

/// Every enumerator of sched_ext with its value.
fn enumerators(btf: &Btf) -> BTreeMap<&str, i64> {
    let mut known = BTreeMap::new();
    for (_, ty) in btf.iter() {
        if let Type::Enum { values, .. } = ty {
            let named = values.iter().map(|v| (btf.text(v.name), v.value));
            known.extend(named.filter(|(name, _)| name.starts_with("SCX_")));
        }
    }
    known
}
