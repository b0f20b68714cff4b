// SPDX-License-Identifier: GPL-2.0-or-later
//! Definitions of maps, as libbpf's macros write them into the types of an object.

use crate::btf::{Btf, Member, TypeId};
use crate::btf_decl::Type;
use crate::image::MapDef;
use crate::link::maps::PAGE;
use crate::link::structures;

/// Kinds of map (kernel: `enum bpf_map_type`).
pub(crate) const PROG_ARRAY: u32 = 3;
const ARRAY_OF_MAPS: u32 = 12;
const HASH_OF_MAPS: u32 = 13;
const RINGBUF: u32 = 27;
const USER_RINGBUF: u32 = 31;

/// Reads a definition: a structure whose members are types that stand for numbers and types.
pub(crate) fn definition(
    btf: &Btf,
    name: &str,
    members: &[Member],
    inner: bool,
) -> Result<MapDef, String> {
    let mut map = MapDef { name: name.to_owned(), ..MapDef::default() };
    for (i, member) in members.iter().enumerate() {
        let field = btf.text(member.name);
        let unfit = || format!("its {field} is not defined as libbpf's macros do");
        let number = || number(btf, member.ty).ok_or_else(unfit);
        match field {
            "type" => map.kind = number()?,
            "max_entries" => map.max_entries = number()?,
            "map_flags" => map.flags = number()?,
            "numa_node" | "pinning" => drop(number()?),
            "map_extra" => map.extra = long(btf, member.ty).ok_or_else(unfit)?,
            "key_size" => set_size(&mut map.key_size, number()?, field)?,
            "value_size" => set_size(&mut map.value_size, number()?, field)?,
            "key" | "value" => {
                let Type::Ptr(ty) = btf.get(member.ty) else { return Err(unfit()) };
                let size =
                    btf.size_of(*ty).and_then(|s| u32::try_from(s).ok()).ok_or_else(unfit)?;
                if field == "key" {
                    set_size(&mut map.key_size, size, field)?;
                    map.key_type = Some(*ty);
                } else {
                    set_size(&mut map.value_size, size, field)?;
                    map.value_type = Some(*ty);
                    map.fields = structures::fields(btf, *ty);
                }
            }
            "values" if inner => return Err("maps of maps of maps do not exist".into()),
            "values" if i + 1 != members.len() => {
                return Err("its values have to be the last member".into());
            }
            "values" if map.kind == PROG_ARRAY => {
                set_size(&mut map.value_size, 4, field)?;
                if !matches!(values_are(btf, member.ty), Some(Type::FuncProto { .. })) {
                    return Err("its values are no functions".into());
                }
            }
            "values" => {
                if !matches!(map.kind, ARRAY_OF_MAPS | HASH_OF_MAPS) {
                    return Err("only maps of maps and of programs can have values here".into());
                }
                set_size(&mut map.value_size, 4, field)?;
                map.inner = Some(Box::new(inner_map(btf, name, member.ty).ok_or_else(unfit)??));
            }
            _ => return Err(format!("its definition has the unknown member {field}")),
        }
    }
    if map.kind == 0 {
        return Err("its definition has no type".into());
    }
    if matches!(map.kind, RINGBUF | USER_RINGBUF) {
        map.max_entries = ring_size(map.max_entries);
    }
    Ok(map)
}

/// What the values of a map point to: they are defined as an array of pointers, without a length.
fn values_are(btf: &Btf, ty: TypeId) -> Option<&Type> {
    let Type::Array { element, len: 0, .. } = btf.get(ty) else { return None };
    let Type::Ptr(target) = btf.resolve(*element).1 else { return None };
    Some(btf.resolve(*target).1)
}

fn inner_map(btf: &Btf, name: &str, ty: TypeId) -> Option<Result<MapDef, String>> {
    let Type::Struct { members, .. } = values_are(btf, ty)? else { return None };
    Some(definition(btf, &format!("{name}.inner"), members, true))
}

/// A number is defined as a pointer to an array of that length.
fn number(btf: &Btf, ty: TypeId) -> Option<u32> {
    let Type::Ptr(target) = btf.resolve(ty).1 else { return None };
    let Type::Array { len, .. } = btf.get(*target) else { return None };
    Some(*len)
}

/// A long number may also be the only value of an enumeration.
fn long(btf: &Btf, ty: TypeId) -> Option<u64> {
    match btf.resolve(ty).1 {
        Type::Enum { values, wide, .. } => match values.as_slice() {
            [one] if *wide => Some(one.value.cast_unsigned()),
            // Of 32 bits, extended by its sign, as a C compiler would.
            [one] => Some(i64::from(one.value as i32).cast_unsigned()),
            _ => None,
        },
        _ => number(btf, ty).map(u64::from),
    }
}

fn set_size(place: &mut u32, size: u32, field: &str) -> Result<(), String> {
    if *place != 0 && *place != size {
        return Err(format!("its {field} says {size} bytes, what stands before {place}"));
    }
    *place = size;
    Ok(())
}

/// A ring has a power of two of pages; the next larger one is taken.
fn ring_size(wanted: u32) -> u32 {
    let pages = u64::from(wanted).div_ceil(PAGE);
    match (pages.next_power_of_two() * PAGE).try_into() {
        Ok(size) if wanted > 0 => size,
        _ => wanted,
    }
}
