// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes of a map, by their types.

use rota_object::{Btf, Member, Type, TypeId};
use serde_json::{Map, Value, json};

/// How deep types are followed.
const DEPTH: u32 = 32;

/// A value with what its type says of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Typed {
    /// A truth value.
    Bool(bool),
    /// An integer, and an enumeration's value that has no name.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// A value of an enumeration, by its name.
    Name(String),
    /// Text in an array that a zero ends.
    Text(String),
    /// An address.
    Pointer(u64),
    /// Bytes of which no type is known.
    Bytes(Vec<u8>),
    /// Elements of an array.
    List(Vec<Typed>),
    /// Members of a structure or union, and variables of a section, in their order. Members of a
    /// structure without a name are members of what it is in.
    Fields(Vec<(String, Typed)>),
}

impl Typed {
    /// Reads bytes, little-endian, as a value of a type. Where there are too few, those that are missing
    /// count as zero.
    pub fn read(btf: &Btf, id: TypeId, bytes: &[u8]) -> Self {
        read(btf, id, bytes, DEPTH)
    }

    /// As JSON in the forms of `bpftool map dump`: names of enumerations and text as strings, a byte
    /// without type as `"0x1f"`.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Bool(value) => json!(value),
            Self::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => json!(value),
                (_, Ok(value)) => json!(value),
                _ => json!(format!("{value:#x}")),
            },
            Self::Float(value) => json!(value),
            Self::Name(text) | Self::Text(text) => json!(text),
            Self::Pointer(address) => json!(address),
            Self::Bytes(bytes) => bytes.iter().map(|byte| json!(format!("{byte:#04x}"))).collect(),
            Self::List(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Fields(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), value.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// As C would write it, on one line.
    pub fn to_line(&self) -> String {
        let list = |open: &str, parts: Vec<String>, close: &str| match parts.is_empty() {
            true => format!("{open}{close}"),
            false => format!("{open} {} {close}", parts.join(", ")),
        };
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Name(name) => name.clone(),
            Self::Text(text) => format!("{text:?}"),
            Self::Pointer(0) => "NULL".into(),
            Self::Pointer(address) => format!("{address:#x}"),
            Self::Bytes(bytes) => {
                bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
            }
            Self::List(elements) => list("[", runs(elements), "]"),
            Self::Fields(fields) => {
                let field =
                    |(name, value): &(String, Self)| format!("{name} = {}", value.to_line());
                list("{", fields.iter().map(field).collect(), "}")
            }
        }
    }

    /// As C would write it, on one line if that fits into `width` columns, else with a line for each
    /// member. What is before it on its first line has `before` columns, its lines are indented by
    /// `indent`.
    pub fn to_text(&self, width: usize, before: usize, indent: usize) -> String {
        let line = self.to_line();
        if before + line.chars().count() <= width {
            return line;
        }
        let pad = " ".repeat(indent + 2);
        match self {
            Self::Fields(fields) if !fields.is_empty() => {
                let field = |(name, value): &(String, Self)| {
                    let before = indent + name.chars().count() + 5;
                    format!("{pad}{name} = {},\n", value.to_text(width, before, indent + 2))
                };
                let fields: String = fields.iter().map(field).collect();
                format!("{{\n{fields}{}}}", " ".repeat(indent))
            }
            Self::List(elements) if matches!(elements.first(), Some(Self::Fields(_))) => {
                let mut at = 0;
                let mut lines = String::new();
                for run in elements.chunk_by(|a, b| a == b) {
                    let last = at + run.len() - 1;
                    let place = if last > at { format!("{at} … {last}") } else { at.to_string() };
                    let before = indent + place.chars().count() + 8;
                    let value = run[0].to_text(width, before, indent + 2);
                    lines += &format!("{pad}[{place}] = {value},\n");
                    at = last + 1;
                }
                format!("[\n{lines}{}]", " ".repeat(indent))
            }
            _ => line,
        }
    }
}

/// Elements of a list; four or more that are equal are one, with how many there are.
fn runs(elements: &[Typed]) -> Vec<String> {
    let runs = elements.chunk_by(|a, b| a == b);
    let text = |run: &[Typed]| match run.len() {
        0..4 => run.iter().map(Typed::to_line).collect(),
        many => vec![format!("{} ({many} times)", run[0].to_line())],
    };
    runs.flat_map(text).collect()
}

fn read(btf: &Btf, id: TypeId, bytes: &[u8], depth: u32) -> Typed {
    let Some(depth) = depth.checked_sub(1) else { return Typed::Bytes(bytes.to_vec()) };
    match btf.resolve(id).1 {
        Type::Int { boolean: true, .. } => Typed::Bool(bytes.iter().any(|byte| *byte != 0)),
        Type::Int { signed, size, .. } => Typed::Integer(integer(taken(bytes, 0, *size), *signed)),
        Type::Float { size, .. } => match taken(bytes, 0, *size) {
            [a, b, c, d] => Typed::Float(f32::from_le_bytes([*a, *b, *c, *d]).into()),
            bytes => Typed::Float(f64::from_bits(integer(bytes, false) as u64)),
        },
        Type::Enum { values, signed, size, .. } => {
            let number = integer(taken(bytes, 0, *size), *signed);
            let named = values.iter().find(|value| i128::from(value.value) == number);
            named.map_or(Typed::Integer(number), |it| Typed::Name(btf.text(it.name).to_owned()))
        }
        Type::Ptr(_) => Typed::Pointer(integer(taken(bytes, 0, 8), false) as u64),
        Type::Array { element, len, .. } => array(btf, *element, *len, bytes, depth),
        Type::Struct { members, .. } => Typed::Fields(fields(btf, members, bytes, depth)),
        Type::DataSec { vars, .. } => {
            let variable = |&(id, offset, size): &(TypeId, u32, u32)| {
                let Type::Var { name, target, .. } = btf.get(id) else { return None };
                let value = read(btf, *target, taken(bytes, offset, size), depth);
                Some((btf.text(*name).to_owned(), value))
            };
            Typed::Fields(vars.iter().filter_map(variable).collect())
        }
        _ => Typed::Bytes(bytes.to_vec()),
    }
}

/// As many bytes from a place on as there are.
fn taken(bytes: &[u8], offset: u32, size: u32) -> &[u8] {
    let rest = bytes.get(offset as usize..).unwrap_or(&[]);
    &rest[..rest.len().min(size as usize)]
}

/// A little-endian number of up to 16 bytes.
fn integer(bytes: &[u8], signed: bool) -> i128 {
    let mut whole = [0; 16];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    let number = i128::from_le_bytes(whole);
    let unused = 128 - 8 * bytes.len().clamp(1, 16) as u32;
    if signed { number << unused >> unused } else { number }
}

fn array(btf: &Btf, element: TypeId, len: u32, bytes: &[u8], depth: u32) -> Typed {
    let size = btf.size_of(element).unwrap_or(0) as usize;
    if size == 0 {
        return Typed::List(Vec::new());
    }
    if size == 1
        && matches!(btf.resolve(element).1, Type::Int { name, .. } if btf.text(*name) == "char")
        && let Some(text) = text(taken(bytes, 0, len))
    {
        return Typed::Text(text);
    }
    let elements = bytes.chunks(size).take(len as usize);
    Typed::List(elements.map(|bytes| read(btf, element, bytes, depth)).collect())
}

/// Bytes as text up to a zero, if all of those can be printed.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let letters = &bytes[..end];
    let is_text = letters.iter().all(|byte| (0x20..0x7f).contains(byte));
    is_text.then(|| letters.iter().map(|byte| char::from(*byte)).collect())
}

fn fields(btf: &Btf, members: &[Member], bytes: &[u8], depth: u32) -> Vec<(String, Typed)> {
    let mut all = Vec::new();
    for member in members {
        let at = member.offset_bits / 8;
        let value = match member.width_bits {
            0 => {
                let size = btf.size_of(member.ty).unwrap_or(0);
                let size = u32::try_from(size).unwrap_or(u32::MAX);
                read(btf, member.ty, taken(bytes, at, size), depth)
            }
            width => bit_field(btf, member, width, bytes, depth),
        };
        match (btf.text(member.name), value) {
            ("", Typed::Fields(inner)) => all.extend(inner),
            (name, value) => all.push((name.to_owned(), value)),
        }
    }
    all
}

/// A member that has only some bits.
fn bit_field(btf: &Btf, member: &Member, width: u8, bytes: &[u8], depth: u32) -> Typed {
    let width = u32::from(width.min(64));
    let whole = integer(taken(bytes, member.offset_bits / 8, 16), false).cast_unsigned();
    let bits = whole >> (member.offset_bits % 8) & ((1_u128 << width) - 1);
    let signed = match btf.resolve(member.ty).1 {
        Type::Int { signed, .. } | Type::Enum { signed, .. } => *signed,
        _ => false,
    };
    let unused = 128 - width;
    let number = bits.cast_signed();
    let number = if signed { number << unused >> unused } else { number };
    let size = btf.size_of(member.ty).unwrap_or(8).min(16) as usize;
    read(btf, member.ty, &number.to_le_bytes()[..size], depth)
}
