// SPDX-License-Identifier: GPL-2.0-or-later
//! Values of the kernel's enumerators, for objects that take them as variables.
//!
//! The example headers of the kernel tree keep each enumerator of sched_ext in a variable in
//! read-only data, called like it with two underscores before, and leave it to the loader to
//! fill it with the kernel's value. Objects made with Rota's headers have none of these.

use crate::btf::Btf;
use crate::btf_decl::Type;
use crate::elf::{Global, Object};
use std::collections::BTreeMap;

const PREFIX: &str = "__SCX_";

impl Object {
    /// Whether it has any variable that takes the value of an enumerator.
    pub fn takes_enumerators(&self) -> bool {
        self.globals().any(is_enumerator)
    }

    /// Each such variable with the bytes of its value in this kernel. One that the kernel doesn't
    /// have is left out: it stays as it is in the object, zero.
    pub fn enumerator_values(&self, kernel: &Btf) -> Vec<(Global, Vec<u8>)> {
        if !self.takes_enumerators() {
            return Vec::new();
        }
        let mut known = BTreeMap::new();
        for (_, ty) in kernel.iter() {
            if let Type::Enum { values, .. } = ty {
                let named = values.iter().map(|v| (kernel.text(v.name), v.value));
                known.extend(named.filter(|(name, _)| name.starts_with("SCX_")));
            }
        }
        let value = |global: &Global| {
            let value: &i64 = known.get(global.name.strip_prefix("__")?)?;
            Some((global.clone(), value.to_le_bytes().to_vec()))
        };
        self.globals().filter(|g| is_enumerator(g)).filter_map(value).collect()
    }
}

fn is_enumerator(global: &Global) -> bool {
    global.read_only && global.size == 8 && global.name.starts_with(PREFIX)
}
