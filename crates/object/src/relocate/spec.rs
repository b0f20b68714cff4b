// SPDX-License-Identifier: GPL-2.0-or-later
//! What an instruction accesses: a path through a type, as the object declares it and as the
//! kernel has it.

use crate::btf::{Btf, Member, TypeId};
use crate::btf_decl::Type;
use crate::name::essential;
use crate::relocate::compat::Pair;
use std::fmt::Write;

/// How deep a path may go.
const DEPTH: usize = 64;

/// How many members one search may look at; made-up types could branch without end.
const STEPS: u32 = 1 << 20;

/// One step of a path: a named member of a structure, or an element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The structure; of an element, the element's type.
    pub(crate) ty: TypeId,
    /// Number of the member or element; a pointer may be moved backwards.
    pub(crate) index: i32,
    /// Place of the member's name.
    pub(crate) name: Option<u32>,
}

/// A path through a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The type that the path starts in, as named.
    pub(crate) root: TypeId,
    /// The steps. Those through members without a name are left out: the kernel may have others.
    pub(crate) steps: Vec<Step>,
    /// Where the path ends, in bits from the start of the root.
    pub(crate) bits: u32,
}

/// What a path is walked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Field,
    Type,
    Enumerator,
}

/// Size of so many elements, in bits.
fn elements(index: i32, size: u64) -> u32 {
    (i64::from(index).wrapping_mul(size.cast_signed()).wrapping_mul(8)) as u32
}

/// Whether an array may be longer than it says: the last member, of length zero, of a structure.
fn is_flexible(btf: &Btf, before: Option<&Step>, len: u32) -> bool {
    let Some(Step { ty, index, name: Some(_) }) = before else { return false };
    let Type::Struct { members, .. } = btf.get(*ty) else { return false };
    len == 0 && usize::try_from(*index).is_ok_and(|i| i + 1 == members.len())
}

fn member(btf: &Btf, ty: TypeId, index: i32) -> Option<Member> {
    let Type::Struct { members, .. } = btf.get(ty) else { return None };
    members.get(usize::try_from(index).ok()?).copied()
}

impl Spec {
    /// Reads the path of a relocation. An error says what is wrong with the object.
    pub(crate) fn parse(
        btf: &Btf,
        root: TypeId,
        access: &str,
        subject: Subject,
    ) -> Result<Self, String> {
        let wrong = || format!("the access '{access}' does not fit its type");
        let mut spec = Self { root, steps: Vec::new(), bits: 0 };
        if subject == Subject::Type {
            return if access == "0" { Ok(spec) } else { Err(wrong()) };
        }
        let indices: Result<Vec<i32>, _> =
            access.split(':').take(DEPTH + 1).map(str::parse).collect();
        let indices = indices.map_err(|_| wrong())?;
        if indices.len() > DEPTH {
            return Err(wrong());
        }
        let (first, rest) = indices.split_first().ok_or_else(wrong)?;
        let (mut ty, start) = btf.resolve(root);
        if subject == Subject::Enumerator {
            let Type::Enum { values, .. } = start else { return Err(wrong()) };
            let value = usize::try_from(*first).ok().and_then(|i| values.get(i));
            let value = value.filter(|_| rest.is_empty()).ok_or_else(wrong)?;
            spec.steps.push(Step { ty, index: *first, name: Some(value.name) });
            return Ok(spec);
        }
        spec.steps.push(Step { ty, index: *first, name: None });
        spec.bits = elements(*first, btf.size_of(ty).ok_or_else(wrong)?);
        for &index in rest {
            let (id, found) = btf.resolve(ty);
            ty = match found {
                Type::Struct { .. } => {
                    let member = member(btf, id, index).ok_or_else(wrong)?;
                    spec.bits = spec.bits.wrapping_add(member.offset_bits);
                    if !btf.text(member.name).is_empty() {
                        spec.steps.push(Step { ty: id, index, name: Some(member.name) });
                    }
                    member.ty
                }
                Type::Array { element, len, .. } => {
                    let inside = u32::try_from(index).is_ok_and(|i| i < *len);
                    if !inside && !is_flexible(btf, spec.steps.last(), *len) {
                        return Err(wrong());
                    }
                    let element = btf.resolve(*element).0;
                    spec.steps.push(Step { ty: element, index, name: None });
                    let size = btf.size_of(element).ok_or_else(wrong)?;
                    spec.bits = spec.bits.wrapping_add(elements(index, size));
                    element
                }
                _ => return Err(wrong()),
            };
        }
        Ok(spec)
    }

    /// The path in words: `task_struct.scx.slice`.
    pub(crate) fn words(&self, btf: &Btf) -> String {
        let root = crate::relocate::compat::name_of(btf, btf.get(self.root));
        let mut words = essential(root).to_owned();
        for (i, step) in self.steps.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = match step.name {
                Some(name) => write!(words, ".{}", btf.text(name)),
                None if i == 0 && step.index == 0 => Ok(()),
                None => write!(words, "[{}]", step.index),
            };
        }
        words
    }

    /// The same path in a type of the kernel, if it has it.
    pub(crate) fn find_in(
        &self,
        local: &Btf,
        kernel: &Btf,
        root: TypeId,
    ) -> Result<Option<Self>, String> {
        let mut search = Search {
            pair: Pair::new(local, kernel),
            local,
            kernel,
            found: Self { root, steps: Vec::new(), bits: 0 },
            depth: 0,
            left: STEPS,
        };
        let mut ty = root;
        for (i, step) in self.steps.iter().enumerate() {
            let below = match step.name {
                Some(name) => search.member(step, local.text(name), ty)?,
                None => search.element(i, step.index, ty)?,
            };
            let Some(below) = below else { return Ok(None) };
            ty = below;
        }
        Ok(Some(search.found))
    }

    /// The enumerator of the same name in a type of the kernel, if it has it.
    pub(crate) fn find_value(&self, local: &Btf, kernel: &Btf, root: TypeId) -> Option<Self> {
        let wanted = essential(local.text(self.steps.first()?.name?));
        let (ty, Type::Enum { values, .. }) = kernel.resolve(root) else { return None };
        let index = values.iter().position(|v| essential(kernel.text(v.name)) == wanted)?;
        let name = Some(values.get(index)?.name);
        let step = Step { ty, index: i32::try_from(index).ok()?, name };
        Some(Self { root, steps: vec![step], bits: 0 })
    }
}

/// A path being looked for in a type of the kernel.
struct Search<'a> {
    pair: Pair<'a>,
    local: &'a Btf,
    kernel: &'a Btf,
    found: Spec,
    /// Steps so far, those without a name included.
    depth: usize,
    left: u32,
}

impl Search<'_> {
    fn deeper(&mut self) -> Result<(), String> {
        if self.depth == DEPTH || self.left == 0 {
            return Err("the kernel's type is nested too deeply".into());
        }
        self.depth += 1;
        self.left -= 1;
        Ok(())
    }

    /// Goes to the element of an array; the first step stays in the root, whatever it is.
    fn element(&mut self, step: usize, index: i32, ty: TypeId) -> Result<Option<TypeId>, String> {
        let (mut ty, found) = self.kernel.resolve(ty);
        if step > 0 {
            let Type::Array { element, len, .. } = found else { return Ok(None) };
            let inside = u32::try_from(index).is_ok_and(|i| i < *len);
            if !inside && !is_flexible(self.kernel, self.found.steps.last(), *len) {
                return Ok(None);
            }
            ty = self.kernel.resolve(*element).0;
        }
        self.deeper()?;
        let size = self.kernel.size_of(ty);
        let size = size.ok_or("the kernel's type has no size")?;
        self.found.steps.push(Step { ty, index, name: None });
        self.found.bits = self.found.bits.wrapping_add(elements(index, size));
        Ok(Some(ty))
    }

    /// Looks for a member by its name, also in members without one, and goes to it. What is found
    /// first has to be compatible.
    fn member(&mut self, step: &Step, name: &str, ty: TypeId) -> Result<Option<TypeId>, String> {
        match self.look(step, name, ty)? {
            Looked::Found(ty) => Ok(Some(ty)),
            Looked::Incompatible | Looked::Missing => Ok(None),
        }
    }

    fn look(&mut self, step: &Step, name: &str, ty: TypeId) -> Result<Looked, String> {
        let (ty, Type::Struct { members, .. }) = self.kernel.resolve(ty) else {
            return Ok(Looked::Missing);
        };
        for (index, m) in (0i32..).zip(members) {
            self.deeper()?;
            let before = self.found.bits;
            self.found.bits = before.wrapping_add(m.offset_bits);
            let kernel_name = self.kernel.text(m.name);
            if kernel_name.is_empty() {
                let found = self.look(step, name, m.ty)?;
                if matches!(found, Looked::Found(_)) {
                    return Ok(found);
                }
            } else if kernel_name == name {
                let local = member(self.local, step.ty, step.index);
                let fits = local.is_some_and(|l| self.pair.fields_compatible(l.ty, m.ty));
                if !fits {
                    return Ok(Looked::Incompatible);
                }
                self.found.steps.push(Step { ty, index, name: Some(m.name) });
                return Ok(Looked::Found(m.ty));
            }
            self.found.bits = before;
            self.depth -= 1;
        }
        Ok(Looked::Missing)
    }
}

/// Result of looking into one structure.
enum Looked {
    Found(TypeId),
    /// A member of that name is there, but of another kind: the search in this structure ends.
    Incompatible,
    Missing,
}
