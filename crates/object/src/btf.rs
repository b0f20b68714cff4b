// SPDX-License-Identifier: GPL-2.0-or-later
//! BTF, the type information of BPF objects and of kernels.
//!
//! The format is documented in the kernel's `Documentation/bpf/btf.rst`. A blob is a header, a
//! list of types numbered from 1, and a table of strings. Everything that comes in is checked:
//! a damaged blob is refused with the place of the damage, never followed.

use crate::btf_decl::{Modifier, Type};
use crate::btf_read::{Header, Reader, read_type};
use thiserror::Error;

/// A text ends here at the latest: without an end, which only a damaged blob lacks, reading all
/// names would take forever.
const TEXT_MAX: usize = 4096;

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
#[derive(Debug, Clone, PartialEq)]
pub struct Btf {
    pub(crate) types: Vec<Type>,
    pub(crate) strings: Vec<u8>,
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
        let tail = &tail[..tail.len().min(TEXT_MAX)];
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
                Type::Typedef { target, .. } | Type::Modifier { target, .. } => id = *target,
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
            Type::Array { element, len, .. } if depth > 0 => {
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
            Type::DeclTag { text, target, component, .. } if *target == id => {
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
pub(crate) fn references(ty: &Type) -> Vec<TypeId> {
    match ty {
        Type::Ptr(t) => vec![*t],
        Type::Array { element, index, .. } => vec![*element, *index],
        Type::Struct { members, .. } => members.iter().map(|m| m.ty).collect(),
        Type::Typedef { target, .. }
        | Type::Modifier { target, .. }
        | Type::Var { target, .. }
        | Type::DeclTag { target, .. } => vec![*target],
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
        | Type::Modifier { kind: Modifier::Tag { text: name, .. }, .. }
        | Type::DeclTag { text: name, .. } => vec![*name],
        Type::Void | Type::Ptr(_) | Type::Array { .. } | Type::Modifier { .. } => vec![],
    }
}
