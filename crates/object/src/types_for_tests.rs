// SPDX-License-Identifier: GPL-2.0-or-later
//! Small type information, made by hand, for tests.

use crate::btf::{Member, TypeId};
use crate::btf_decl::{Enumerator, Type};
use crate::btf_write::BtfBuilder;
use crate::kernel_types::{KernelTypes, LEFT_OUT};

/// Types in the making, with what all of them need. Type 1 is `int`, 2 is `u64`.
pub(crate) struct Types(pub(crate) BtfBuilder);

pub(crate) const INT: TypeId = TypeId(1);
pub(crate) const U64: TypeId = TypeId(2);

impl Types {
    pub(crate) fn new() -> Self {
        let mut types = Self(BtfBuilder::new());
        types.int("int", 4, true);
        types.int("u64", 8, false);
        types
    }

    pub(crate) fn int(&mut self, name: &str, size: u32, signed: bool) -> TypeId {
        let name = self.0.name(name);
        let bits = (size * 8) as u8;
        let (offset, character, boolean) = (0, false, false);
        self.0.add(Type::Int { name, size, bits, offset, signed, character, boolean })
    }

    /// A structure; members are name, type, offset in bits and width in bits.
    pub(crate) fn structure(
        &mut self,
        name: &str,
        size: u32,
        members: &[(&str, TypeId, u32, u8)],
    ) -> TypeId {
        let name = self.0.name(name);
        let members = members
            .iter()
            .map(|&(name, ty, offset_bits, width_bits)| Member {
                name: self.0.name(name),
                ty,
                offset_bits,
                width_bits,
            })
            .collect();
        self.0.add(Type::Struct { name, size, union: false, members })
    }

    pub(crate) fn enumeration(&mut self, name: &str, values: &[(&str, i64)]) -> TypeId {
        let name = self.0.name(name);
        let values =
            values.iter().map(|&(n, value)| Enumerator { name: self.0.name(n), value }).collect();
        self.0.add(Type::Enum { name, size: 4, signed: false, wide: false, values })
    }

    pub(crate) fn array(&mut self, element: TypeId, len: u32) -> TypeId {
        self.0.add(Type::Array { element, index: INT, len })
    }

    pub(crate) fn typedef(&mut self, name: &str, target: TypeId) -> TypeId {
        let name = self.0.name(name);
        self.0.add(Type::Typedef { name, target })
    }

    /// A structure of which only the name is kept.
    pub(crate) fn leave_out(&mut self, name: &str) {
        let name = self.0.name(name);
        let target = self.0.add(Type::Forward { name, union: false });
        let text = self.0.name(LEFT_OUT);
        self.0.add(Type::DeclTag { text, target, component: -1, attribute: false });
    }

    pub(crate) fn kernel(self) -> KernelTypes {
        KernelTypes::new("7.3", self.0.finish())
    }

    /// A prototype that returns `int`.
    pub(crate) fn proto(&mut self, params: &[TypeId]) -> TypeId {
        let params = params.iter().map(|ty| (0, *ty)).collect();
        self.0.add(Type::FuncProto { ret: INT, params })
    }

    pub(crate) fn pointer(&mut self, target: TypeId) -> TypeId {
        self.0.add(Type::Ptr(target))
    }

    pub(crate) fn function(&mut self, name: &str, proto: TypeId) -> TypeId {
        let name = self.0.name(name);
        self.0.add(Type::Func { name, proto, linkage: 1 })
    }

    pub(crate) fn variable(&mut self, name: &str, target: TypeId) -> TypeId {
        let name = self.0.name(name);
        self.0.add(Type::Var { name, target, linkage: 1 })
    }
}
