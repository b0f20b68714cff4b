// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads the binary form of BTF.

use crate::btf::{BtfError, Member, TypeId};
use crate::btf_decl::{Enumerator, Modifier, Type};

const MAGIC: u16 = 0xeb9f;

/// Where the two parts of a blob lie.
pub(crate) struct Header {
    start: usize,
    pub(crate) type_start: usize,
    pub(crate) type_len: usize,
    pub(crate) str_start: usize,
    pub(crate) str_len: usize,
}

impl Header {
    pub(crate) fn parse(blob: &[u8]) -> Result<Self, BtfError> {
        let mut reader = Reader { bytes: blob, at: 0 };
        let first = reader.u32("the header")?;
        match first as u16 {
            MAGIC => {}
            0x9feb => return Err(BtfError::BigEndian),
            other => return Err(BtfError::Magic(other)),
        }
        let start = reader.u32("the header")? as usize;
        let [type_start, type_len, str_start, str_len] = reader.words("the header")?;
        Ok(Self {
            start,
            type_start: type_start as usize,
            type_len: type_len as usize,
            str_start: str_start as usize,
            str_len: str_len as usize,
        })
    }

    pub(crate) fn section<'a>(
        &self,
        blob: &'a [u8],
        start: usize,
        len: usize,
        what: &'static str,
    ) -> Result<&'a [u8], BtfError> {
        let from = self.start.saturating_add(start);
        blob.get(from..from.saturating_add(len)).ok_or(BtfError::Truncated(blob.len(), what))
    }
}

/// Takes words off a list of bytes.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl Reader<'_> {
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, BtfError> {
        let end = self.at.saturating_add(4);
        let word = self.bytes.get(self.at..end).ok_or(BtfError::Truncated(self.at, what))?;
        self.at = end;
        Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    }

    pub(crate) fn words<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u32; N], BtfError> {
        let mut out = [0; N];
        for word in &mut out {
            *word = self.u32(what)?;
        }
        Ok(out)
    }
}

/// The three words that every type starts with.
struct Head {
    name: u32,
    kind: u32,
    count: usize,
    flag: bool,
    /// Size, or the number of another type.
    rest: u32,
}

/// Reads the type at this place of the list.
pub(crate) fn read_type(reader: &mut Reader<'_>, id: u32) -> Result<Type, BtfError> {
    let [name, info, rest] = reader.words("a type")?;
    let head = Head {
        name,
        kind: (info >> 24) & 0x1f,
        count: (info & 0xffff) as usize,
        flag: info >> 31 == 1,
        rest,
    };
    let target = TypeId(rest);
    Ok(match head.kind {
        1 => read_int(reader, &head)?,
        2 => Type::Ptr(target),
        3 => {
            let [element, index, len] = reader.words("an array")?;
            Type::Array { element: TypeId(element), index: TypeId(index), len }
        }
        4 | 5 => read_struct(reader, &head)?,
        6 | 19 => read_enum(reader, &head)?,
        7 => Type::Forward { name, union: head.flag },
        8 => Type::Typedef { name, target },
        9 => Type::Modifier { kind: Modifier::Volatile, target },
        10 => Type::Modifier { kind: Modifier::Const, target },
        11 => Type::Modifier { kind: Modifier::Restrict, target },
        18 => Type::Modifier { kind: Modifier::Tag { text: name, attribute: head.flag }, target },
        12 => Type::Func { name, proto: target, linkage: head.count as u32 },
        13 => read_proto(reader, &head)?,
        14 => {
            let linkage = reader.u32("a variable")?;
            Type::Var { name, target, linkage }
        }
        15 => read_section(reader, &head)?,
        16 => Type::Float { name, size: rest },
        17 => {
            let component = reader.u32("a declaration tag")?.cast_signed();
            Type::DeclTag { text: name, target, component, attribute: head.flag }
        }
        kind => return Err(BtfError::Kind(id, kind)),
    })
}

fn read_int(reader: &mut Reader<'_>, head: &Head) -> Result<Type, BtfError> {
    let word = reader.u32("an integer")?;
    let encoding = (word >> 24) & 0xf;
    Ok(Type::Int {
        name: head.name,
        size: head.rest,
        bits: (word & 0xff) as u8,
        offset: (word >> 16 & 0xff) as u8,
        signed: encoding & 1 != 0,
        character: encoding & 2 != 0,
        boolean: encoding & 4 != 0,
    })
}

fn read_struct(reader: &mut Reader<'_>, head: &Head) -> Result<Type, BtfError> {
    let mut members = Vec::new();
    for _ in 0..head.count {
        let [name, ty, offset] = reader.words("a member")?;
        let (offset_bits, width_bits) =
            if head.flag { (offset & 0x00ff_ffff, (offset >> 24) as u8) } else { (offset, 0) };
        members.push(Member { name, ty: TypeId(ty), offset_bits, width_bits });
    }
    Ok(Type::Struct { name: head.name, size: head.rest, union: head.kind == 5, members })
}

fn read_enum(reader: &mut Reader<'_>, head: &Head) -> Result<Type, BtfError> {
    let mut values = Vec::new();
    for _ in 0..head.count {
        let [name, low] = reader.words("an enumerator")?;
        let value = match (head.kind, head.flag) {
            (19, _) => {
                let high = reader.u32("an enumerator")?;
                (u64::from(high) << 32 | u64::from(low)).cast_signed()
            }
            (_, true) => i64::from(low.cast_signed()),
            (_, false) => i64::from(low),
        };
        values.push(Enumerator { name, value });
    }
    let (wide, signed) = (head.kind == 19, head.flag);
    Ok(Type::Enum { name: head.name, size: head.rest, signed, wide, values })
}

fn read_proto(reader: &mut Reader<'_>, head: &Head) -> Result<Type, BtfError> {
    let mut params = Vec::new();
    for _ in 0..head.count {
        let [name, ty] = reader.words("a parameter")?;
        params.push((name, TypeId(ty)));
    }
    Ok(Type::FuncProto { ret: TypeId(head.rest), params })
}

fn read_section(reader: &mut Reader<'_>, head: &Head) -> Result<Type, BtfError> {
    let mut vars = Vec::new();
    for _ in 0..head.count {
        let [ty, offset, size] = reader.words("a variable of a section")?;
        vars.push((TypeId(ty), offset, size));
    }
    Ok(Type::DataSec { name: head.name, size: head.rest, vars })
}
