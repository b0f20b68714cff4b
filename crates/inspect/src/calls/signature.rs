// SPDX-License-Identifier: GPL-2.0-or-later
//! What functions take and return, by types.

use super::errno;
use rota_kernel::{CALL_ARGS, Returns};
use rota_object::{Btf, Modifier, Type, TypeId};

/// How a register is to be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing.
    Void,
    /// A truth value.
    Bool,
    /// An integer: its bits, and whether it has a sign.
    Integer {
        /// 8 to 64.
        bits: u32,
        /// Whether it has a sign.
        signed: bool,
    },
    /// A value of an enumeration, which has these.
    Enumeration(Vec<(i64, String)>),
    /// An address.
    Pointer,
    /// An address of text that is only read.
    Text,
    /// Something that is not in a register, or of which nothing is known.
    Unknown,
}

/// What a function takes and returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// Names and kinds of arguments.
    pub params: Vec<(String, Kind)>,
    /// What it returns.
    pub ret: Kind,
}

impl Kind {
    fn of(btf: &Btf, id: TypeId) -> Self {
        match btf.resolve(id).1 {
            Type::Void => Self::Void,
            Type::Int { boolean: true, .. } => Self::Bool,
            Type::Int { size, signed, .. } if (1..=8).contains(size) => {
                Self::Integer { bits: 8 * size, signed: *signed }
            }
            Type::Enum { values, .. } => {
                let value = |it: &rota_object::Enumerator| (it.value, btf.text(it.name).to_owned());
                Self::Enumeration(values.iter().map(value).collect())
            }
            Type::Ptr(target) if is_text(btf, *target) => Self::Text,
            Type::Ptr(_) => Self::Pointer,
            _ => Self::Unknown,
        }
    }

    /// A register as text.
    pub fn text(&self, register: u64) -> String {
        let signed = register.cast_signed();
        match self {
            Self::Void => "void".to_owned(),
            Self::Bool => (register & 0xff != 0).to_string(),
            Self::Integer { bits, signed: true } => {
                (signed << (64 - bits) >> (64 - bits)).to_string()
            }
            Self::Integer { bits, .. } => (register << (64 - bits) >> (64 - bits)).to_string(),
            Self::Enumeration(values) => {
                let number = i64::from(register as u32 as i32);
                let named = values.iter().find(|(value, _)| *value == number);
                named.map_or_else(|| number.to_string(), |(_, name)| name.clone())
            }
            Self::Pointer | Self::Text if register == 0 => "NULL".to_owned(),
            Self::Pointer | Self::Text | Self::Unknown => format!("{register:#x}"),
        }
    }

    /// The positive number of the error that a result is: a negative integer, or such an address.
    pub fn error(&self, register: u64) -> Option<i64> {
        let value = match self.returns() {
            Returns::Int => i64::from(register as u32 as i32),
            Returns::Long => register.cast_signed(),
            Returns::Other => return None,
        };
        (-4095..0).contains(&value).then_some(-value)
    }

    /// A result as text: an error by its name.
    pub fn result(&self, register: u64) -> String {
        match self.error(register) {
            Some(error) => {
                errno::name(error).map_or_else(|| format!("-{error}"), |name| format!("-{name}"))
            }
            None => self.text(register),
        }
    }

    /// How the kernel is to see errors.
    pub fn returns(&self) -> Returns {
        match self {
            Self::Integer { bits: 32, signed: true } => Returns::Int,
            Self::Integer { bits: 64, signed: true } | Self::Pointer | Self::Text => Returns::Long,
            _ => Returns::Other,
        }
    }
}

/// Whether something is `const char`, and not of user space.
fn is_text(btf: &Btf, mut id: TypeId) -> bool {
    let mut constant = false;
    // Longer chains have only damaged types.
    for _ in 0..16 {
        id = match btf.get(id) {
            Type::Modifier { kind: Modifier::Tag { text, .. }, .. }
                if btf.text(*text) == "user" =>
            {
                return false;
            }
            Type::Modifier { kind, target } => {
                constant |= *kind == Modifier::Const;
                *target
            }
            Type::Int { name, size: 1, .. } => return constant && btf.text(*name) == "char",
            _ => return false,
        };
    }
    false
}

impl Signature {
    /// Arguments that are text, a bit for each. A structure may take any number of registers, so those
    /// after it are not known.
    pub fn texts(&self) -> u8 {
        let kinds = self.params.iter().map(|(_, kind)| kind).take(CALL_ARGS);
        let kinds = kinds.take_while(|kind| **kind != Kind::Unknown).enumerate();
        kinds.filter(|(_, kind)| **kind == Kind::Text).fold(0, |bits, (at, _)| bits | 1 << at)
    }

    /// Of a prototype.
    pub(super) fn of(btf: &Btf, proto: TypeId) -> Option<Self> {
        let Type::FuncProto { ret, params } = btf.resolve(proto).1 else { return None };
        let param = |(name, id): &(u32, TypeId)| (btf.text(*name).to_owned(), Kind::of(btf, *id));
        Some(Self { params: params.iter().map(param).collect(), ret: Kind::of(btf, *ret) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_read_by_their_kinds() {
        let int = Kind::Integer { bits: 32, signed: true };
        let long = Kind::Integer { bits: 64, signed: true };
        let unsigned = Kind::Integer { bits: 32, signed: false };
        let negative = |value: i64| value.cast_unsigned();
        for (kind, register, text) in [
            (&int, 0xffff_ffea, "-EINVAL"),
            (&int, 0xdead_0000_0007, "7"),
            (&int, 0xffff_0000, "-65536"),
            (&long, negative(-2), "-ENOENT"),
            (&long, 0xffff_fffe, "4294967294"),
            (&unsigned, 0xffff_fffe, "4294967294"),
            (&Kind::Pointer, negative(-12), "-ENOMEM"),
            (&Kind::Pointer, 0, "NULL"),
            (&Kind::Pointer, 0xffff_8880_0000_1000, "0xffff888000001000"),
            (&Kind::Bool, 0x100, "false"),
            (&Kind::Void, 7, "void"),
            (&Kind::Enumeration(vec![(-1, "BAD".into())]), 0xffff_ffff, "BAD"),
        ] {
            assert_eq!(kind.result(register), text, "{kind:?} {register:#x}");
        }
    }
}
