// SPDX-License-Identifier: GPL-2.0-or-later
//! Types and values as C writes them.

use rota_object::{Btf, Modifier, Type, TypeId};

/// How deep a type is written out.
const DEPTH: u32 = 16;

/// A type, as in a declaration without the name: `const volatile u64`, `char[128]`.
pub(crate) fn declaration(btf: &Btf, id: TypeId) -> String {
    written(btf, id, DEPTH)
}

fn written(btf: &Btf, id: TypeId, depth: u32) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "…".into() };
    let tagged = |word: &str, name: u32| match btf.text(name) {
        "" => format!("{word} {{…}}"),
        name => format!("{word} {name}"),
    };
    match btf.get(id) {
        Type::Void => "void".into(),
        Type::Int { name, .. } | Type::Float { name, .. } | Type::Typedef { name, .. } => {
            btf.text(*name).to_owned()
        }
        Type::Struct { name, union: false, .. } | Type::Forward { name, union: false } => {
            tagged("struct", *name)
        }
        Type::Struct { name, .. } | Type::Forward { name, .. } => tagged("union", *name),
        Type::Enum { name, .. } => tagged("enum", *name),
        Type::Ptr(target) => match btf.get(*target) {
            Type::FuncProto { .. } => "function *".into(),
            _ => format!("{} *", written(btf, *target, depth)),
        },
        Type::Array { .. } => array(btf, id, depth),
        Type::Modifier { kind, target } => {
            let word = match kind {
                Modifier::Volatile => "volatile ",
                Modifier::Const => "const ",
                Modifier::Restrict => "restrict ",
                Modifier::Tag { .. } => "",
            };
            format!("{word}{}", written(btf, *target, depth))
        }
        Type::Func { .. }
        | Type::FuncProto { .. }
        | Type::Var { .. }
        | Type::DataSec { .. }
        | Type::DeclTag { .. } => "function".into(),
    }
}

/// `u64[4][2]`: an element, then every length from the outside in.
fn array(btf: &Btf, mut id: TypeId, depth: u32) -> String {
    let mut lengths = String::new();
    for _ in 0..DEPTH {
        let Type::Array { element, len, .. } = btf.get(id) else { break };
        lengths += &format!("[{len}]");
        id = *element;
    }
    written(btf, id, depth) + &lengths
}

/// The value of a variable.
pub(crate) fn value(btf: &Btf, id: TypeId, bytes: &[u8]) -> String {
    match btf.resolve(id).1 {
        Type::Int { boolean: true, .. } => (number(bytes, false) != 0).to_string(),
        Type::Int { signed, .. } if (1..=8).contains(&bytes.len()) => {
            number(bytes, *signed).to_string()
        }
        Type::Enum { values, signed, .. } if (1..=8).contains(&bytes.len()) => {
            let number = number(bytes, *signed);
            let named = values.iter().find(|v| i128::from(v.value) == number);
            named.map_or_else(|| number.to_string(), |v| btf.text(v.name).to_owned())
        }
        _ if bytes.iter().all(|b| *b == 0) => "zero".into(),
        Type::Array { element, .. } if btf.size_of(*element) == Some(1) => text(bytes),
        _ => format!("{} bytes", bytes.len()),
    }
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8], signed: bool) -> i128 {
    let mut whole = [0; 8];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    let number = u64::from_le_bytes(whole);
    let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
    if signed { i128::from((number << unused).cast_signed() >> unused) } else { i128::from(number) }
}

/// Text up to its end, if it is one.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (shown, rest) = bytes.split_at(end);
    match std::str::from_utf8(shown) {
        Ok(text) if rest.iter().all(|b| *b == 0) => format!("{text:?}"),
        _ => format!("{} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(&[0xff], true), -1);
        assert_eq!(number(&[0xff], false), 255);
        assert_eq!(number(&[0, 1], true), 256);
        assert_eq!(number(&[0xff; 8], false), i128::from(u64::MAX));
        assert_eq!(number(&[], true), 0);
    }

    #[test]
    fn texts() {
        assert_eq!(text(b"ab\0\0"), "\"ab\"");
        assert_eq!(text(b"a\0b\0"), "4 bytes");
    }
}
