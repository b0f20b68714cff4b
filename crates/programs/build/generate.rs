// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes Rust: the bytes of each object, and the structures tagged `shared` in it.

use rota_object::{Btf, Member, Object, Type, TypeId};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A module for one scheduler.
pub(crate) fn scheduler(name: &str, object: &Path) -> Result<String, Box<dyn Error>> {
    let parsed = Object::parse(&fs::read(object)?)?;
    let mut text = format!("/// The scheduler `{name}`.\npub mod {name} {{\n");
    text += &bytes("OBJECT", object);
    text += &structures(parsed.btf())?;
    text += "}\n";
    Ok(text)
}

/// One constant with the bytes of an object.
pub(crate) fn bytes(constant: &str, object: &Path) -> String {
    let name = object.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "/// The object `{name}`.\npub static {constant}: &[u8] = &crate::Aligned(*include_bytes!({:?})).0;\n",
        object.display().to_string()
    )
}

/// The list of all schedulers.
pub(crate) fn list(names: &[String]) -> String {
    let entries = names.iter().map(|name| (name.clone(), format!("{name}::OBJECT")));
    table("ALL", "Every scheduler's name and object.", entries)
}

fn table(name: &str, doc: &str, entries: impl Iterator<Item = (String, String)>) -> String {
    let mut text = format!("/// {doc}\npub static {name}: &[(&str, &[u8])] = &[\n");
    for (name, object) in entries {
        let _ = writeln!(text, "    ({name:?}, {object}),");
    }
    text + "];\n"
}

/// The module of what records.
pub(crate) fn trace_module(constants: &str) -> String {
    format!("/// Objects that record what a kernel does.\npub mod trace {{\n{constants}}}\n")
}

/// The module of the test objects.
pub(crate) fn test_module(constants: &str, all: &[String], cases: &[String]) -> String {
    let table = |name, doc, objects: &[String]| {
        table(name, doc, objects.iter().map(|name| (name.clone(), name.to_uppercase())))
    };
    let all = table("ALL", "Every one of them, with its name.", all);
    let cases = table("CASES", "Objects whose programs say what they must return.", cases);
    format!(
        "/// Objects for tests: small, and many of them wrong on purpose.\npub mod test {{\n{constants}{all}{cases}}}\n"
    )
}

/// Every structure with the remark `shared`.
fn structures(btf: &Btf) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for (id, ty) in btf.iter() {
        let Type::Struct { name, size, members, .. } = ty else { continue };
        if is_shared(btf, id) {
            text += &structure(btf, btf.text(*name), *size, members)?;
        }
    }
    Ok(text)
}

fn structure(
    btf: &Btf,
    name: &str,
    size: u32,
    members: &[Member],
) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "/// `struct {name}` of the BPF side, {size} bytes.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, zerocopy::FromBytes, zerocopy::IntoBytes, \
         zerocopy::KnownLayout, zerocopy::Immutable)]\n#[repr(C)]\npub struct {} {{\n",
        camel(name)
    );
    for member in members {
        let field = btf.text(member.name);
        let ty = rust_type(btf, member.ty)
            .ok_or_else(|| format!("struct {name}: no Rust type for {field}"))?;
        let _ =
            writeln!(text, "    /// Offset {}.\n    pub {field}: {ty},", member.offset_bits / 8);
    }
    text += "}\n";
    let _ = writeln!(text, "const _: () = assert!(size_of::<{}>() == {size});", camel(name));
    for member in members {
        let _ = writeln!(
            text,
            "const _: () = assert!(std::mem::offset_of!({}, {}) == {});",
            camel(name),
            btf.text(member.name),
            member.offset_bits / 8
        );
    }
    Ok(text)
}

/// Whether a structure has the remark.
fn is_shared(btf: &Btf, id: TypeId) -> bool {
    btf.tags_of(id).any(|(component, remark)| component == -1 && remark == "shared")
}

fn rust_type(btf: &Btf, id: TypeId) -> Option<String> {
    let (id, ty) = btf.resolve(id);
    match ty {
        Type::Struct { name, .. } if is_shared(btf, id) => Some(camel(btf.text(*name))),
        Type::Int { boolean: true, .. } => Some("u8".into()),
        Type::Int { size, signed, .. } => {
            Some(format!("{}{}", if *signed { 'i' } else { 'u' }, size.checked_mul(8)?))
        }
        Type::Array { element, len, .. } => Some(format!("[{}; {len}]", rust_type(btf, *element)?)),
        _ => None,
    }
}

/// `simple_stats` becomes `SimpleStats`.
fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or(String::new(), |first| first.to_uppercase().to_string() + letters.as_str())
        })
        .collect()
}
