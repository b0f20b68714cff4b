// SPDX-License-Identifier: GPL-2.0-or-later
//! When a type of the object and a type of the kernel count as the same.
//!
//! There are three answers, as in libbpf: *compatible* (for a variable, a prototype, the question
//! whether a type exists) looks at kinds only; *matching* (`bpf_core_type_matches`) compares
//! members; and fields have rules of their own.

use crate::btf::{Btf, TypeId};
use crate::btf_decl::{Enumerator, Type};
use crate::name::essential;
use std::cell::Cell;

/// How deep types are followed before the comparison gives up, which is an error.
const DEPTH: u32 = 32;

/// A comparison went too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

impl TooDeep {
    pub(crate) const WORDS: &str = "its type is nested too deeply to compare";
}

/// The kind of a type as a number, where both sizes of enumeration are one.
pub(crate) fn kind(ty: &Type) -> u32 {
    match ty {
        Type::Void => 0,
        Type::Int { .. } => 1,
        Type::Ptr(_) => 2,
        Type::Array { .. } => 3,
        Type::Struct { union: false, .. } => 4,
        Type::Struct { union: true, .. } => 5,
        Type::Enum { .. } => 6,
        Type::Forward { .. } => 7,
        Type::Typedef { .. } => 8,
        Type::Modifier { .. } => 9,
        Type::Func { .. } => 12,
        Type::FuncProto { .. } => 13,
        Type::Var { .. } => 14,
        Type::DataSec { .. } => 15,
        Type::Float { .. } => 16,
        Type::DeclTag { .. } => 17,
    }
}

/// The name of a type; empty if it has none.
pub(crate) fn name_of<'a>(btf: &'a Btf, ty: &Type) -> &'a str {
    match ty {
        Type::Int { name, .. }
        | Type::Struct { name, .. }
        | Type::Enum { name, .. }
        | Type::Forward { name, .. }
        | Type::Typedef { name, .. }
        | Type::Func { name, .. }
        | Type::Var { name, .. }
        | Type::DataSec { name, .. }
        | Type::Float { name, .. } => btf.text(*name),
        _ => "",
    }
}

/// How many types one comparison may look at; made-up types could branch without end.
const STEPS: u32 = 1 << 20;

/// Two sides that are compared.
pub(crate) struct Pair<'a> {
    local: &'a Btf,
    kernel: &'a Btf,
    steps: Cell<u32>,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(local: &'a Btf, kernel: &'a Btf) -> Self {
        Self { local, kernel, steps: Cell::new(STEPS) }
    }

    fn step(&self) -> Result<(), TooDeep> {
        self.steps.set(self.steps.get().checked_sub(1).ok_or(TooDeep)?);
        Ok(())
    }

    /// Whether two types are compatible.
    pub(crate) fn compatible(&self, local: TypeId, kernel: TypeId) -> Result<bool, TooDeep> {
        self.compatible_at(local, kernel, DEPTH)
    }

    fn compatible_at(
        &self,
        mut local: TypeId,
        mut kernel: TypeId,
        level: u32,
    ) -> Result<bool, TooDeep> {
        if kind(self.local.get(local)) != kind(self.kernel.get(kernel)) {
            return Ok(false);
        }
        for _ in 0..DEPTH {
            self.step()?;
            let (a, b) = (self.local.resolve(local).1, self.kernel.resolve(kernel).1);
            if kind(a) != kind(b) {
                return Ok(false);
            }
            (local, kernel) = match (a, b) {
                (Type::Int { offset: x, .. }, Type::Int { offset: y, .. }) => {
                    return Ok(*x == 0 && *y == 0);
                }
                (Type::Ptr(x), Type::Ptr(y)) => (*x, *y),
                (Type::Array { element: x, .. }, Type::Array { element: y, .. }) => (*x, *y),
                (
                    Type::FuncProto { ret: x, params: xs },
                    Type::FuncProto { ret: y, params: ys },
                ) => {
                    if xs.len() != ys.len() {
                        return Ok(false);
                    }
                    for ((_, x), (_, y)) in xs.iter().zip(ys) {
                        let below = level.checked_sub(1).ok_or(TooDeep)?;
                        let (x, y) = (self.local.resolve(*x).0, self.kernel.resolve(*y).0);
                        if !self.compatible_at(x, y, below)? {
                            return Ok(false);
                        }
                    }
                    (*x, *y)
                }
                _ => return Ok(matches!(kind(a), 0 | 4..=7)),
            };
        }
        Err(TooDeep)
    }

    /// Whether a field of one type may be read as one of the other.
    pub(crate) fn fields_compatible(&self, mut local: TypeId, mut kernel: TypeId) -> bool {
        for _ in 0..DEPTH {
            let (a, b) = (self.local.resolve(local).1, self.kernel.resolve(kernel).1);
            if matches!((a, b), (Type::Struct { .. }, Type::Struct { .. })) {
                return true;
            }
            if kind(a) != kind(b) {
                return false;
            }
            match (a, b) {
                (Type::Ptr(_), _) | (Type::Float { .. }, _) => return true,
                (Type::Forward { .. } | Type::Enum { .. }, _) => {
                    let a = essential(name_of(self.local, a));
                    let b = essential(name_of(self.kernel, b));
                    return a.is_empty() || b.is_empty() || a == b;
                }
                (Type::Int { offset: x, .. }, Type::Int { offset: y, .. }) => {
                    return *x == 0 && *y == 0;
                }
                (Type::Array { element: x, .. }, Type::Array { element: y, .. }) => {
                    (local, kernel) = (*x, *y);
                }
                _ => return false,
            }
        }
        false
    }

    /// Whether a type of the kernel has everything that the object's declares.
    pub(crate) fn matching(&self, local: TypeId, kernel: TypeId) -> Result<bool, TooDeep> {
        self.matching_at(local, kernel, false, DEPTH)
    }

    fn matching_at(
        &self,
        mut local: TypeId,
        mut kernel: TypeId,
        mut behind_pointer: bool,
        level: u32,
    ) -> Result<bool, TooDeep> {
        if level == 0 {
            return Err(TooDeep);
        }
        for _ in 0..DEPTH {
            self.step()?;
            let (a, b) = (self.local.resolve(local).1, self.kernel.resolve(kernel).1);
            if !same_name(name_of(self.local, a), name_of(self.kernel, b)) {
                return Ok(false);
            }
            (local, kernel) = match (a, b) {
                (Type::Void, Type::Void) => return Ok(true),
                (Type::Forward { union: x, .. }, Type::Forward { union: y, .. }) => {
                    return Ok(x == y);
                }
                (Type::Forward { union: x, .. }, Type::Struct { union: y, .. })
                | (Type::Struct { union: x, .. }, Type::Forward { union: y, .. }) => {
                    return Ok(behind_pointer && x == y);
                }
                (Type::Enum { .. }, Type::Enum { .. }) => return Ok(self.enums_match(a, b)),
                (Type::Struct { union: x, .. }, Type::Struct { union: y, .. }) => {
                    if x != y || behind_pointer {
                        return Ok(x == y);
                    }
                    return self.members_match(a, b, level);
                }
                (Type::Int { size: x, signed: xs, .. }, Type::Int { size: y, signed: ys, .. }) => {
                    return Ok(x == y && xs == ys);
                }
                (Type::Ptr(x), Type::Ptr(y)) => {
                    behind_pointer = true;
                    (*x, *y)
                }
                (
                    Type::Array { element: x, len: xn, .. },
                    Type::Array { element: y, len: yn, .. },
                ) => {
                    if xn != yn {
                        return Ok(false);
                    }
                    (*x, *y)
                }
                (
                    Type::FuncProto { ret: x, params: xs },
                    Type::FuncProto { ret: y, params: ys },
                ) => {
                    if xs.len() != ys.len() {
                        return Ok(false);
                    }
                    for ((_, x), (_, y)) in xs.iter().zip(ys) {
                        if !self.matching_at(*x, *y, behind_pointer, level - 1)? {
                            return Ok(false);
                        }
                    }
                    (*x, *y)
                }
                _ => return Ok(false),
            };
        }
        Err(TooDeep)
    }

    fn enums_match(&self, local: &Type, kernel: &Type) -> bool {
        let (Type::Enum { size: x, values: local, .. }, Type::Enum { size: y, values: kernel, .. }) =
            (local, kernel)
        else {
            return false;
        };
        let there = |v: &Enumerator| {
            let name = self.local.text(v.name);
            kernel.iter().any(|k| same_name(name, self.kernel.text(k.name)))
        };
        x == y && local.len() <= kernel.len() && local.iter().all(there)
    }

    fn members_match(&self, local: &Type, kernel: &Type, level: u32) -> Result<bool, TooDeep> {
        let (Type::Struct { members: local, .. }, Type::Struct { members: kernel, .. }) =
            (local, kernel)
        else {
            return Ok(false);
        };
        if local.len() > kernel.len() {
            return Ok(false);
        }
        for member in local {
            let name = self.local.text(member.name);
            let mut found = false;
            for other in kernel {
                if same_name(name, self.kernel.text(other.name))
                    && self.matching_at(member.ty, other.ty, false, level - 1)?
                {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Names without their flavours are equal.
fn same_name(local: &str, kernel: &str) -> bool {
    essential(local) == essential(kernel)
}
