// SPDX-License-Identifier: GPL-2.0-or-later
//! The kinds of type that BTF knows (kernel: `include/uapi/linux/btf.h`).

use crate::btf::{Member, TypeId};

/// A value of an enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumerator {
    /// Offset of the name in the string table.
    pub name: u32,
    /// The value; of a signed enumeration, sign-extended.
    pub value: i64,
}

/// What [`Type::Modifier`] adds to a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    /// `volatile`.
    Volatile,
    /// `const`.
    Const,
    /// `restrict`.
    Restrict,
    /// A type tag.
    Tag {
        /// The tag.
        text: u32,
        /// Whether it is any attribute, as it stands in C.
        attribute: bool,
    },
}

/// One BTF type. Names are offsets into the string table; see [`crate::Btf::text`].
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// No type at all: the target of `void *`.
    Void,
    /// An integer.
    Int {
        /// Name, as in `unsigned int`.
        name: u32,
        /// Size in bytes.
        size: u32,
        /// Number of bits that count.
        bits: u8,
        /// Offset of these bits; only compilers of old give another than zero.
        offset: u8,
        /// Whether it has a sign.
        signed: bool,
        /// Whether it is a character.
        character: bool,
        /// Whether it is a `bool`.
        boolean: bool,
    },
    /// A pointer.
    Ptr(TypeId),
    /// An array.
    Array {
        /// Type of an element.
        element: TypeId,
        /// Type of an index.
        index: TypeId,
        /// Number of elements.
        len: u32,
    },
    /// A structure, or a union.
    Struct {
        /// Its tag name, or the empty string.
        name: u32,
        /// Size in bytes.
        size: u32,
        /// Whether the members overlap.
        union: bool,
        /// Its members in order.
        members: Vec<Member>,
    },
    /// An enumeration of 32 or 64 bits.
    Enum {
        /// Its tag name, or the empty string.
        name: u32,
        /// Size in bytes.
        size: u32,
        /// Whether values have a sign.
        signed: bool,
        /// Whether it is of the kind whose values have 64 bits.
        wide: bool,
        /// Its values in order.
        values: Vec<Enumerator>,
    },
    /// A structure or union that is only declared.
    Forward {
        /// Its tag name.
        name: u32,
        /// Whether it is a union.
        union: bool,
    },
    /// Another name for a type.
    Typedef {
        /// The new name.
        name: u32,
        /// What it stands for.
        target: TypeId,
    },
    /// `volatile`, `const` or `restrict`, or a type tag: nothing that changes the layout.
    Modifier {
        /// What it adds.
        kind: Modifier,
        /// The type that it is added to.
        target: TypeId,
    },
    /// A function.
    Func {
        /// Its name.
        name: u32,
        /// Its prototype.
        proto: TypeId,
        /// Its linkage: 0 static, 1 global, 2 extern.
        linkage: u32,
    },
    /// A prototype.
    FuncProto {
        /// The type returned.
        ret: TypeId,
        /// Name and type of each parameter; a variadic one is `(0, 0)`.
        params: Vec<(u32, TypeId)>,
    },
    /// A variable.
    Var {
        /// Its name.
        name: u32,
        /// Its type.
        target: TypeId,
        /// Its linkage: 0 static, 1 global, 2 extern.
        linkage: u32,
    },
    /// An ELF section with the variables in it.
    DataSec {
        /// Name of the section.
        name: u32,
        /// Size in bytes. A compiler leaves it zero.
        size: u32,
        /// Type, offset and size of each variable. A compiler leaves the offsets zero.
        vars: Vec<(TypeId, u32, u32)>,
    },
    /// A floating-point number.
    Float {
        /// Its name.
        name: u32,
        /// Size in bytes.
        size: u32,
    },
    /// A remark on another type, or on one of its components.
    DeclTag {
        /// The remark.
        text: u32,
        /// What it is attached to.
        target: TypeId,
        /// The member or parameter it is attached to; -1 for the whole.
        component: i32,
        /// Whether it is any attribute, as it stands in C.
        attribute: bool,
    },
}
