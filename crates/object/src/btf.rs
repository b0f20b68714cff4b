// SPDX-License-Identifier: GPL-2.0-or-later
//! BTF, the type information of BPF objects and of kernels.
//!
//! The format is documented in the kernel's `Documentation/bpf/btf.rst`. A blob is a header, a
//! list of types numbered from 1, and a table of strings. Everything that comes in is checked:
//! a damaged blob is refused with the place of the damage, never followed.

use crate::btf_decl::{Enumerator, Type};
use thiserror::Error;

const MAGIC: u16 = 0xeb9f;

/// Number of a type inside one [`Btf`]; 0 is `void`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// A member of a structure or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Offset of the name in the string table.
    pub name: u32,
    /// Its type.
    pub ty: TypeId,
    /// Offset from the start of the structure, in bits.
    pub offset_bits: u32,
    /// Width of a bit-field in bits; 0 if it is none.
    pub width_bits: u8,
}

/// Why a BTF blob cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BtfError {
    /// It ends inside a structure.
    #[error("the type information ends at byte {0}, in the middle of {1}")]
    Truncated(usize, &'static str),
    /// It starts with something else.
    #[error("this is no BTF: it starts with {0:#06x} instead of 0xeb9f")]
    Magic(u16),
    /// It was made for a machine of the other byte order.
    #[error("the type information is big-endian; only little-endian objects can be used")]
    BigEndian,
    /// It has a kind of type that this version does not know.
    #[error("type {0} has the unknown kind {1}")]
    Kind(u32, u32),
    /// A type refers to one that is not there.
    #[error("type {0} refers to type {1}, which does not exist")]
    Dangling(u32, u32),
    /// A name lies outside the string table.
    #[error("type {0} has its name outside the string table")]
    Name(u32),
}

/// The type information of one object or one kernel.
#[derive(Debug, Clone)]
pub struct Btf {
    types: Vec<Type>,
    strings: Vec<u8>,
}

impl Btf {
    /// Reads a blob: the `.BTF` section of an object, or `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// [`BtfError`] names the first damage found.
    pub fn parse(blob: &[u8]) -> Result<Self, BtfError> {
        let header = Header::parse(blob)?;
        let types = header.section(blob, header.type_start, header.type_len, "the types")?;
        let strings = header.section(blob, header.str_start, header.str_len, "the strings")?;
        let mut reader = Reader { bytes: types, at: 0 };
        let mut list = vec![Type::Void];
        while reader.at < types.len() {
            let id = list.len() as u32;
            list.push(read_type(&mut reader, id)?);
        }
        let btf = Self { types: list, strings: strings.to_vec() };
        btf.check()?;
        Ok(btf)
    }

    /// The text at an offset of the string table; what is not UTF-8 is replaced.
    pub fn text(&self, offset: u32) -> &str {
        let tail = self.strings.get(offset as usize..).unwrap_or(&[]);
        let end = tail.iter().position(|&b| b == 0).unwrap_or(tail.len());
        std::str::from_utf8(&tail[..end]).unwrap_or("?")
    }

    /// The type with this number.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// All types with their numbers, `void` first.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        self.types.iter().enumerate().map(|(i, t)| (TypeId(i as u32), t))
    }

    /// The type below typedefs, `const`, `volatile` and type tags.
    ///
    /// A chain longer than 64 links, which only a damaged blob has, ends at `void`.
    pub fn resolve(&self, mut id: TypeId) -> (TypeId, &Type) {
        for _ in 0..64 {
            match self.get(id) {
                Type::Typedef { target, .. } | Type::Modifier(target) => id = *target,
                found => return (id, found),
            }
        }
        (TypeId(0), &self.types[0])
    }

    /// Size of a value of this type in bytes, if it has one.
    pub fn size_of(&self, id: TypeId) -> Option<u64> {
        self.size_within(id, 16)
    }

    fn size_within(&self, id: TypeId, depth: u32) -> Option<u64> {
        match self.resolve(id).1 {
            Type::Int { size, .. }
            | Type::Struct { size, .. }
            | Type::Enum { size, .. }
            | Type::Float { size, .. } => Some(u64::from(*size)),
            Type::Ptr(_) => Some(8),
            Type::Array { element, len } if depth > 0 => {
                self.size_within(*element, depth - 1)?.checked_mul(u64::from(*len))
            }
            _ => None,
        }
    }

    /// The structure or union with this tag name.
    pub fn find_struct(&self, wanted: &str) -> Option<(TypeId, &[Member])> {
        self.iter().find_map(|(id, t)| match t {
            Type::Struct { name, members, .. } if self.text(*name) == wanted => {
                Some((id, members.as_slice()))
            }
            _ => None,
        })
    }

    /// Remarks (declaration tags) on a type: `(component, text)`, -1 for the type itself.
    pub fn tags_of(&self, id: TypeId) -> impl Iterator<Item = (i32, &str)> {
        self.iter().filter_map(move |(_, t)| match t {
            Type::DeclTag { text, target, component } if *target == id => {
                Some((*component, self.text(*text)))
            }
            _ => None,
        })
    }

    fn check(&self) -> Result<(), BtfError> {
        for (id, ty) in self.iter() {
            for target in references(ty) {
                if target.0 as usize >= self.types.len() {
                    return Err(BtfError::Dangling(id.0, target.0));
                }
            }
            if names(ty).iter().any(|&n| n as usize >= self.strings.len().max(1)) {
                return Err(BtfError::Name(id.0));
            }
        }
        Ok(())
    }
}

/// Every type that a type names.
fn references(ty: &Type) -> Vec<TypeId> {
    match ty {
        Type::Ptr(t) | Type::Modifier(t) => vec![*t],
        Type::Array { element, .. } => vec![*element],
        Type::Struct { members, .. } => members.iter().map(|m| m.ty).collect(),
        Type::Typedef { target, .. } | Type::Var { target, .. } | Type::DeclTag { target, .. } => {
            vec![*target]
        }
        Type::Func { proto, .. } => vec![*proto],
        Type::FuncProto { ret, params } => {
            params.iter().map(|p| p.1).chain(std::iter::once(*ret)).collect()
        }
        Type::DataSec { vars, .. } => vars.iter().map(|v| v.0).collect(),
        Type::Void
        | Type::Int { .. }
        | Type::Enum { .. }
        | Type::Forward { .. }
        | Type::Float { .. } => vec![],
    }
}

/// Every string that a type names.
fn names(ty: &Type) -> Vec<u32> {
    match ty {
        Type::Struct { name, members, .. } => {
            members.iter().map(|m| m.name).chain(std::iter::once(*name)).collect()
        }
        Type::Enum { name, values, .. } => {
            values.iter().map(|v| v.name).chain(std::iter::once(*name)).collect()
        }
        Type::FuncProto { params, .. } => params.iter().map(|p| p.0).collect(),
        Type::Int { name, .. }
        | Type::Forward { name, .. }
        | Type::Typedef { name, .. }
        | Type::Func { name, .. }
        | Type::Var { name, .. }
        | Type::DataSec { name, .. }
        | Type::Float { name, .. }
        | Type::DeclTag { text: name, .. } => vec![*name],
        Type::Void | Type::Ptr(_) | Type::Array { .. } | Type::Modifier(_) => vec![],
    }
}

struct Header {
    start: usize,
    type_start: usize,
    type_len: usize,
    str_start: usize,
    str_len: usize,
}

impl Header {
    fn parse(blob: &[u8]) -> Result<Self, BtfError> {
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

    fn section<'a>(
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

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u32(&mut self, what: &'static str) -> Result<u32, BtfError> {
        let end = self.at + 4;
        let word = self.bytes.get(self.at..end).ok_or(BtfError::Truncated(self.at, what))?;
        self.at = end;
        Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    }

    fn words<const N: usize>(&mut self, what: &'static str) -> Result<[u32; N], BtfError> {
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

fn read_type(reader: &mut Reader<'_>, id: u32) -> Result<Type, BtfError> {
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
            let [element, _index, len] = reader.words("an array")?;
            Type::Array { element: TypeId(element), len }
        }
        4 | 5 => read_struct(reader, &head)?,
        6 | 19 => read_enum(reader, &head)?,
        7 => Type::Forward { name, union: head.flag },
        8 => Type::Typedef { name, target },
        9..=11 | 18 => Type::Modifier(target),
        12 => Type::Func { name, proto: target, linkage: head.count as u32 },
        13 => read_proto(reader, &head)?,
        14 => {
            reader.u32("a variable")?;
            Type::Var { name, target }
        }
        15 => read_section(reader, &head)?,
        16 => Type::Float { name, size: rest },
        17 => {
            let component = reader.u32("a declaration tag")?.cast_signed();
            Type::DeclTag { text: name, target, component }
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
        signed: encoding & 1 != 0,
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
    Ok(Type::Enum { name: head.name, size: head.rest, signed: head.flag, values })
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
    Ok(Type::DataSec { name: head.name, vars })
}
