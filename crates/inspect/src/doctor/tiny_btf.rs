// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes small BTF blobs for tests.

use rota_object::{Btf, TypeId};

/// Kinds of BTF types (kernel: `include/uapi/linux/btf.h`).
const INT: u32 = 1;
const PTR: u32 = 2;
const STRUCT: u32 = 4;
const FORWARD: u32 = 7;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const DECL_TAG: u32 = 17;

/// A BTF blob in the making. Type 1 is `int`.
pub(super) struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    last: u32,
}

impl Writer {
    pub(super) fn new() -> Self {
        let mut writer = Self { types: Vec::new(), strings: vec![0], last: 0 };
        let name = writer.text("int");
        writer.push(INT, name, 0, 4, &[1 << 24 | 32]);
        writer
    }

    pub(super) fn int(&self) -> TypeId {
        TypeId(1)
    }

    pub(super) fn pointer(&mut self, target: TypeId) -> TypeId {
        self.push(PTR, 0, 0, target.0, &[])
    }

    /// A structure whose members are all `int`.
    pub(super) fn structure(&mut self, name: &str, members: &[&str]) -> TypeId {
        let name = self.text(name);
        let mut words = Vec::new();
        for (index, member) in (0u32..).zip(members) {
            words.extend([self.text(member), 1, index * 32]);
        }
        let len = members.len() as u32;
        self.push(STRUCT, name, len, len * 4, &words)
    }

    pub(super) fn forward(&mut self, name: &str) -> TypeId {
        let name = self.text(name);
        self.push(FORWARD, name, 0, 0, &[])
    }

    pub(super) fn proto(&mut self, params: &[(&str, TypeId)]) -> TypeId {
        let mut words = Vec::new();
        for (name, ty) in params {
            words.extend([self.text(name), ty.0]);
        }
        self.push(FUNC_PROTO, 0, params.len() as u32, 1, &words)
    }

    /// A function that returns `int`. Returns the function.
    pub(super) fn function(&mut self, name: &str, params: &[(&str, TypeId)]) -> TypeId {
        let proto = self.proto(params);
        let name = self.text(name);
        self.push(FUNC, name, 0, proto.0, &[])
    }

    pub(super) fn tag(&mut self, text: &str, target: TypeId) {
        let text = self.text(text);
        self.push(DECL_TAG, text, 0, target.0, &[u32::MAX]);
    }

    pub(super) fn blob(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            blob.extend(u32::to_le_bytes(word));
        }
        blob.extend(&self.types);
        blob.extend(&self.strings);
        blob
    }

    pub(super) fn btf(&self) -> Btf {
        Btf::parse(&self.blob()).unwrap()
    }

    fn text(&mut self, text: &str) -> u32 {
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn push(&mut self, kind: u32, name: u32, count: u32, rest: u32, words: &[u32]) -> TypeId {
        for word in [name, kind << 24 | count, rest].iter().chain(words) {
            self.types.extend(word.to_le_bytes());
        }
        self.last += 1;
        TypeId(self.last)
    }
}
