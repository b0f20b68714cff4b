// SPDX-License-Identifier: GPL-2.0-or-later
//! The types that Rota keeps of a kernel against the kernel's own.

use crate::guest::{Guest, ensure};
use libtest_mimic::Failed;
use rota_object::{Btf, Enumerator, KernelTypes, Member, Modifier, Type, TypeId};
use std::collections::BTreeSet;

/// The remark on a type of which only the name is kept.
const LEFT_OUT: &str = "left out";

/// The section of variables that each CPU has its own of.
const PER_CPU: &str = ".data..percpu";

/// All types of the running kernel, under the name and with the configuration that Rota keeps.
pub(crate) fn of(guest: &mut Guest) -> Result<KernelTypes, Failed> {
    let (here, there) = guest.dir("types")?;
    let file = here.join("vmlinux");
    if !file.exists() {
        guest.expect(0, &format!("cat /sys/kernel/btf/vmlinux >{there}/vmlinux"))?;
    }
    let kept = KernelTypes::builtin(&guest.series)?;
    let whole = KernelTypes::from_bytes(&guest.series, &std::fs::read(file)?)?;
    Ok(whole.with_configuration(kept.configuration().clone()))
}

/// Every size, offset, enumerator, parameter and per-CPU variable that is kept is the kernel's.
pub(crate) fn are_the_kernels(guest: &mut Guest) -> Result<(), Failed> {
    let (kept, whole) = (KernelTypes::builtin(&guest.series)?, of(guest)?);
    let [major, minor, patch] = kept.configuration().version;
    let (release, version) = (guest.expect(0, "uname -r")?, format!("{major}.{minor}.{patch}+"));
    ensure(release.starts_with(&version), || format!("{release} instead of {version}"))?;
    let names: BTreeSet<&str> = kept.btf().iter().map(|(_, ty)| name(kept.btf(), ty)).collect();
    let described = described(kept.btf(), &|_| true);
    ensure(described.len() > 3000, || format!("only {} types are kept", described.len()))?;
    let kernel = self::described(whole.btf(), &|name| names.contains(name));
    let strange: Vec<&str> = described.difference(&kernel).map(String::as_str).collect();
    ensure(strange.is_empty(), || {
        let shown = strange[..strange.len().min(20)].join("\n");
        format!("{} types are not the kernel's:\n{shown}", strange.len())
    })
}

/// The name of a type; empty if it has none.
fn name<'a>(btf: &'a Btf, ty: &Type) -> &'a str {
    match ty {
        Type::Int { name, .. }
        | Type::Struct { name, .. }
        | Type::Enum { name, .. }
        | Type::Forward { name, .. }
        | Type::Float { name, .. }
        | Type::Typedef { name, .. }
        | Type::Func { name, .. }
        | Type::Var { name, .. }
        | Type::DataSec { name, .. } => btf.text(*name),
        _ => "",
    }
}

/// Everything that types say, each in a line: of those whose name is wanted, and of enumerations
/// without a name. Of other types a line says only the name.
fn described(btf: &Btf, wanted: &dyn Fn(&str) -> bool) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (_, ty) in btf.iter().filter(|(_, ty)| wanted(name(btf, ty))) {
        let name = name(btf, ty);
        match ty {
            Type::Struct { size, union, members, .. } if !name.is_empty() => {
                let body = body(btf, *size, members);
                lines.insert(format!("{} {body}", tagged(name, *union)));
                lines.insert(format!("{} exists", tagged(name, *union)));
            }
            Type::Forward { union, .. } => {
                lines.insert(format!("{} exists", tagged(name, *union)));
            }
            Type::Enum { size, signed, values, .. } => {
                lines.insert(format!("enum {name} {}", choice(btf, *size, *signed, values)));
            }
            Type::Typedef { target, .. } => {
                lines.insert(format!("typedef {name} {}", words(btf, *target)));
            }
            Type::Func { proto, .. } => {
                lines.insert(format!("function {name} {}", words(btf, *proto)));
            }
            Type::Var { target, .. } => {
                lines.insert(format!("variable {name} {}", words(btf, *target)));
            }
            Type::DataSec { vars, .. } if name == PER_CPU => {
                let var = |id| self::name(btf, btf.get(id));
                lines.extend(vars.iter().map(|(id, at, size)| {
                    format!("each CPU has {} at {at} with {size} bytes", var(*id))
                }));
            }
            _ => {}
        }
    }
    lines.extend(btf.iter().filter_map(|(_, ty)| match ty {
        Type::DeclTag { text, target, component, .. } if btf.text(*text) != LEFT_OUT => {
            let of = name(btf, btf.get(*target));
            Some(format!("{of} {component} is marked {}", btf.text(*text)))
        }
        _ => None,
    }));
    lines
}

fn tagged(name: &str, union: bool) -> String {
    format!("{} {name}", if union { "union" } else { "struct" })
}

fn body(btf: &Btf, size: u32, members: &[Member]) -> String {
    let mut text = format!("of {size} bytes {{");
    for m in members {
        let (name, ty) = (btf.text(m.name), words(btf, m.ty));
        text += &format!(" {name} {}:{} {ty};", m.offset_bits, m.width_bits);
    }
    text + " }"
}

fn choice(btf: &Btf, size: u32, signed: bool, values: &[Enumerator]) -> String {
    let mut text = format!("of {size} bytes, signed {signed} {{");
    for value in values {
        text += &format!(" {} {};", btf.text(value.name), value.value);
    }
    text + " }"
}

/// A type where another one uses it: by its name, or all of it if it has none.
fn words(btf: &Btf, id: TypeId) -> String {
    match btf.get(id) {
        Type::Void => "void".into(),
        Type::Int { name, size, bits, offset, signed, .. } => {
            format!("{} ({size} {bits} {offset} {signed})", btf.text(*name))
        }
        Type::Ptr(target) => format!("*{}", words(btf, *target)),
        Type::Array { element, len, .. } => format!("[{len}]{}", words(btf, *element)),
        Type::Struct { size, union, members, name: 0 } => {
            format!("{} {}", tagged("", *union), body(btf, *size, members))
        }
        Type::Struct { name, union, .. } | Type::Forward { name, union } => {
            tagged(btf.text(*name), *union)
        }
        Type::Enum { size, signed, values, name: 0, .. } => {
            format!("enum {}", choice(btf, *size, *signed, values))
        }
        Type::Modifier { kind, target } => {
            let kind = match kind {
                Modifier::Tag { text, .. } => btf.text(*text),
                Modifier::Volatile => "volatile",
                Modifier::Const => "const",
                Modifier::Restrict => "restrict",
            };
            format!("{kind} {}", words(btf, *target))
        }
        Type::FuncProto { ret, params } => {
            let mut text = format!("{} (", words(btf, *ret));
            for (name, ty) in params {
                text += &format!("{} {}, ", btf.text(*name), words(btf, *ty));
            }
            text + ")"
        }
        named => name(btf, named).to_owned(),
    }
}
