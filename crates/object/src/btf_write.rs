// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes type information and writes its binary form.

use crate::btf::{Btf, TypeId};
use crate::btf_decl::{Modifier, Type};
use std::collections::BTreeMap;

/// Type information in the making: types one after the other, each name stored once.
#[derive(Debug, Default)]
pub(crate) struct BtfBuilder {
    types: Vec<Type>,
    strings: Vec<u8>,
    places: BTreeMap<String, u32>,
}

impl BtfBuilder {
    pub(crate) fn new() -> Self {
        Self { types: vec![Type::Void], strings: vec![0], places: BTreeMap::new() }
    }

    /// The place of a name in the string table.
    pub(crate) fn name(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let place = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        self.places.insert(text.to_owned(), place);
        place
    }

    /// Adds a type; what it refers to may come later.
    pub(crate) fn add(&mut self, ty: Type) -> TypeId {
        self.types.push(ty);
        TypeId(self.types.len() as u32 - 1)
    }

    /// The type information. Every type referred to has to be there by now.
    pub(crate) fn finish(self) -> Btf {
        Btf { types: self.types, strings: self.strings }
    }
}

/// Length of the header.
const HEADER: u32 = 24;

impl Btf {
    /// The binary form: what [`Btf::parse`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = Vec::new();
        for (_, ty) in self.iter().skip(1) {
            write_type(&mut words, ty);
        }
        let types = words.len() as u32 * 4;
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [HEADER, 0, types, types, self.strings.len() as u32] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(&self.strings);
        bytes
    }
}

/// Puts down the three words that every type starts with.
fn head(out: &mut Vec<u32>, name: u32, kind: u32, count: usize, flag: bool, rest: u32) {
    out.extend([name, u32::from(flag) << 31 | kind << 24 | count as u32 & 0xffff, rest]);
}

fn write_type(out: &mut Vec<u32>, ty: &Type) {
    match ty {
        Type::Void => {}
        Type::Int { name, size, bits, offset, signed, character, boolean } => {
            head(out, *name, 1, 0, false, *size);
            let encoding =
                u32::from(*signed) | u32::from(*character) << 1 | u32::from(*boolean) << 2;
            out.push(encoding << 24 | u32::from(*offset) << 16 | u32::from(*bits));
        }
        Type::Ptr(target) => head(out, 0, 2, 0, false, target.0),
        Type::Array { element, index, len } => {
            head(out, 0, 3, 0, false, 0);
            out.extend([element.0, index.0, *len]);
        }
        Type::Struct { name, size, union, members } => {
            // Offsets of more than 24 bits leave no room for the width of a bit-field.
            let fields = members.iter().any(|m| m.width_bits != 0);
            head(out, *name, if *union { 5 } else { 4 }, members.len(), fields, *size);
            for m in members {
                let width = if fields { u32::from(m.width_bits) << 24 } else { 0 };
                out.extend([m.name, m.ty.0, width | m.offset_bits]);
            }
        }
        Type::Enum { name, size, signed, wide, values } => {
            head(out, *name, if *wide { 19 } else { 6 }, values.len(), *signed, *size);
            for value in values {
                let bits = value.value.cast_unsigned();
                out.extend([value.name, bits as u32]);
                if *wide {
                    out.push((bits >> 32) as u32);
                }
            }
        }
        Type::Forward { name, union } => head(out, *name, 7, 0, *union, 0),
        Type::Typedef { name, target } => head(out, *name, 8, 0, false, target.0),
        Type::Modifier { kind, target } => {
            let (name, kind, flag) = match kind {
                Modifier::Volatile => (0, 9, false),
                Modifier::Const => (0, 10, false),
                Modifier::Restrict => (0, 11, false),
                Modifier::Tag { text, attribute } => (*text, 18, *attribute),
            };
            head(out, name, kind, 0, flag, target.0);
        }
        Type::Func { .. }
        | Type::FuncProto { .. }
        | Type::Var { .. }
        | Type::DataSec { .. }
        | Type::Float { .. }
        | Type::DeclTag { .. } => write_rest(out, ty),
    }
}

fn write_rest(out: &mut Vec<u32>, ty: &Type) {
    match ty {
        Type::Func { name, proto, linkage } => {
            head(out, *name, 12, *linkage as usize, false, proto.0);
        }
        Type::FuncProto { ret, params } => {
            head(out, 0, 13, params.len(), false, ret.0);
            out.extend(params.iter().flat_map(|(name, ty)| [*name, ty.0]));
        }
        Type::Var { name, target, linkage } => {
            head(out, *name, 14, 0, false, target.0);
            out.push(*linkage);
        }
        Type::DataSec { name, size, vars } => {
            head(out, *name, 15, vars.len(), false, *size);
            out.extend(vars.iter().flat_map(|(ty, offset, size)| [ty.0, *offset, *size]));
        }
        Type::Float { name, size } => head(out, *name, 16, 0, false, *size),
        Type::DeclTag { text, target, component, attribute } => {
            head(out, *text, 17, 0, *attribute, target.0);
            out.push(component.cast_unsigned());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Member;
    use crate::btf_decl::Enumerator;
    use proptest::prelude::*;

    fn id(count: u32) -> impl Strategy<Value = TypeId> {
        (0..count).prop_map(TypeId)
    }

    /// The place of a name in a small table.
    fn name() -> impl Strategy<Value = u32> {
        prop::sample::select(vec![0u32, 1, 4, 9])
    }

    fn any_struct(count: u32) -> impl Strategy<Value = Type> {
        let member = (name(), id(count), 0u32..1 << 24, prop_oneof![Just(0u8), 1u8..64]);
        let member = member.prop_map(|(name, ty, offset_bits, width_bits)| Member {
            name,
            ty,
            offset_bits,
            width_bits,
        });
        let members = prop::collection::vec(member, 0..5);
        (name(), any::<u32>(), any::<bool>(), members)
            .prop_map(|(name, size, union, members)| Type::Struct { name, size, union, members })
    }

    fn any_enum() -> impl Strategy<Value = Type> {
        let values = prop::collection::vec((name(), any::<i64>()), 0..4);
        (name(), any::<bool>(), any::<bool>(), values).prop_map(|(name, signed, wide, values)| {
            // Only the wide kind has room for 64 bits.
            let fit = |value: i64| match (wide, signed) {
                (true, _) => value,
                (false, true) => i64::from(value as i32),
                (false, false) => i64::from(value as u32),
            };
            let value = |(name, value)| Enumerator { name, value: fit(value) };
            let values = values.into_iter().map(value).collect();
            Type::Enum { name, size: if wide { 8 } else { 4 }, signed, wide, values }
        })
    }

    fn any_modifier() -> impl Strategy<Value = Modifier> {
        let tag = (name(), any::<bool>());
        prop_oneof![
            Just(Modifier::Volatile),
            Just(Modifier::Const),
            Just(Modifier::Restrict),
            tag.prop_map(|(text, attribute)| Modifier::Tag { text, attribute }),
        ]
    }

    fn any_number() -> impl Strategy<Value = Type> {
        let rest = any::<(u8, u8, bool, bool, bool)>();
        (name(), 0u32..17, rest).prop_map(|(name, size, rest)| {
            let (bits, offset, signed, character, boolean) = rest;
            Type::Int { name, size, bits, offset, signed, character, boolean }
        })
    }

    /// One type among `count` types.
    fn any_type(count: u32) -> impl Strategy<Value = Type> {
        let id = || id(count);
        let params = prop::collection::vec((name(), id()), 0..4);
        let vars = prop::collection::vec((id(), any::<u32>(), any::<u32>()), 0..4);
        let tag = (name(), id(), -1i32..4, any::<bool>());
        prop_oneof![
            any_number(),
            any_struct(count),
            any_enum(),
            id().prop_map(Type::Ptr),
            (id(), id(), any::<u32>()).prop_map(|(element, index, len)| Type::Array {
                element,
                index,
                len
            }),
            (name(), any::<bool>()).prop_map(|(name, union)| Type::Forward { name, union }),
            (name(), id()).prop_map(|(name, target)| Type::Typedef { name, target }),
            (any_modifier(), id()).prop_map(|(kind, target)| Type::Modifier { kind, target }),
            (name(), id(), 0u32..3).prop_map(|(name, proto, linkage)| Type::Func {
                name,
                proto,
                linkage
            }),
            (id(), params).prop_map(|(ret, params)| Type::FuncProto { ret, params }),
            (name(), id(), 0u32..3).prop_map(|(name, target, linkage)| Type::Var {
                name,
                target,
                linkage
            }),
            (name(), any::<u32>(), vars).prop_map(|(name, size, vars)| Type::DataSec {
                name,
                size,
                vars
            }),
            (name(), 0u32..17).prop_map(|(name, size)| Type::Float { name, size }),
            tag.prop_map(|(text, target, component, attribute)| {
                Type::DeclTag { text, target, component, attribute }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(types in (1u32..20).prop_flat_map(|count| {
            prop::collection::vec(any_type(count + 1), count as usize)
        })) {
            let mut builder = BtfBuilder::new();
            let names = ["ab", "cdef", "g"].map(|text| builder.name(text));
            prop_assert_eq!(names, [1, 4, 9]);
            for ty in types {
                builder.add(ty);
            }
            let btf = builder.finish();
            prop_assert_eq!(Btf::parse(&btf.to_bytes()), Ok(btf));
        }
    }
}
