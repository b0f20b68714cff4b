// SPDX-License-Identifier: GPL-2.0-or-later
//! CO-RE: fits instructions that depend on kernel types to one kernel.
//!
//! The rules are libbpf's, whose loader does the same on a live kernel.

pub(crate) mod compat;
mod patch;
mod spec;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use patch::patch;
pub(crate) use spec::{Spec, Subject};

use crate::btf::{Btf, TypeId};
use crate::btf_ext::CoreRelo;
use crate::kernel_types::KernelTypes;
use compat::{Pair, TooDeep, name_of};
use std::collections::BTreeMap;
use value::Value;

/// What an instruction asks about a kernel type (kernel: `enum bpf_core_relo_kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    FieldOffset,
    FieldSize,
    FieldExists,
    FieldSigned,
    FieldLeftShift,
    FieldRightShift,
    TypeIdLocal,
    TypeIdKernel,
    TypeExists,
    TypeSize,
    ValueExists,
    Value,
    TypeMatches,
}

impl Question {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::FieldOffset,
            1 => Self::FieldSize,
            2 => Self::FieldExists,
            3 => Self::FieldSigned,
            4 => Self::FieldLeftShift,
            5 => Self::FieldRightShift,
            6 => Self::TypeIdLocal,
            7 => Self::TypeIdKernel,
            8 => Self::TypeExists,
            9 => Self::TypeSize,
            10 => Self::ValueExists,
            11 => Self::Value,
            12 => Self::TypeMatches,
            _ => return None,
        })
    }

    fn subject(self) -> Subject {
        match self {
            Self::FieldOffset
            | Self::FieldSize
            | Self::FieldExists
            | Self::FieldSigned
            | Self::FieldLeftShift
            | Self::FieldRightShift => Subject::Field,
            Self::TypeIdLocal
            | Self::TypeIdKernel
            | Self::TypeExists
            | Self::TypeSize
            | Self::TypeMatches => Subject::Type,
            Self::ValueExists | Self::Value => Subject::Enumerator,
        }
    }
}

/// The answer to a relocation: what the instruction holds, and what it has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What the compiler put there.
    pub(crate) before: Value,
    /// What belongs there; nothing if the kernel does not have it.
    pub(crate) after: Option<Value>,
    /// What was asked for, in words: `field task_struct.scx`.
    pub(crate) subject: String,
    /// Whether another number of bytes may not simply be loaded.
    pub(crate) fixed_width: bool,
}

/// Why a relocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// libbpf refuses to load an object for it: the reason.
    Refused(String),
    /// The abridged types leave out what is asked about.
    LeftOut(String),
}

impl From<String> for Unanswered {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// Answers the relocations of one object for one kernel.
pub(crate) struct Relocator<'a> {
    local: &'a Btf,
    kernel: &'a KernelTypes,
    /// Types of the kernel that each type of the object may stand for. Those that did not fit a
    /// relocation that others did fit are out for all later ones.
    candidates: BTreeMap<TypeId, Vec<TypeId>>,
}

impl<'a> Relocator<'a> {
    pub(crate) fn new(local: &'a Btf, kernel: &'a KernelTypes) -> Self {
        Self { local, kernel, candidates: BTreeMap::new() }
    }

    /// What a relocation asks about, in words.
    pub(crate) fn asked(&self, relo: &CoreRelo) -> Option<String> {
        let question = Question::from_number(relo.kind)?;
        let access = self.local.text(relo.access);
        let spec = Spec::parse(self.local, relo.ty, access, question.subject()).ok()?;
        Some(self.subject(&spec, question))
    }

    fn subject(&self, spec: &Spec, question: Question) -> String {
        let local = self.local;
        match question.subject() {
            Subject::Field => format!("field {}", spec.words(local)),
            Subject::Type => format!("type {}", spec.words(local)),
            Subject::Enumerator => {
                let name = spec.steps.first().and_then(|s| s.name).unwrap_or(0);
                format!("enumerator {}", crate::name::essential(local.text(name)))
            }
        }
    }

    /// Answers one relocation.
    pub(crate) fn answer(&mut self, relo: &CoreRelo) -> Result<Answer, Unanswered> {
        let question = Question::from_number(relo.kind)
            .ok_or_else(|| format!("a relocation of the unknown kind {}", relo.kind))?;
        let local = self.local;
        let spec = Spec::parse(local, relo.ty, local.text(relo.access), question.subject())?;
        let subject = self.subject(&spec, question);
        if question == Question::TypeIdLocal {
            let own = Value::unchecked(u64::from(relo.ty.0));
            return Ok(Answer { before: own, after: Some(own), subject, fixed_width: false });
        }
        let before = value::of(local, &spec, question)?.ok_or_else(|| NO_VALUE.to_owned())?;
        let found = self.find(relo.ty, &spec, question, &subject)?;
        let after = match &found {
            Some((_, value)) => Some(*value),
            None => value::absent(question),
        };
        let fixed_width = match after {
            Some(after) if before.width != after.width => {
                !value::may_change_width(local, &before, self.kernel.btf(), &after)
            }
            _ => false,
        };
        Ok(Answer { before, after, subject, fixed_width })
    }

    /// The candidate that fits, with its value. All that fit have to agree.
    fn find(
        &mut self,
        ty: TypeId,
        spec: &Spec,
        question: Question,
        subject: &str,
    ) -> Result<Option<(Spec, Value)>, Unanswered> {
        let candidates = self.candidates_for(ty)?;
        let (local, kernel) = (self.local, self.kernel.btf());
        let mut fitting = Vec::new();
        let mut found: Option<(Spec, Value)> = None;
        for &candidate in &candidates {
            let Some(other) = matched(local, kernel, spec, candidate, question)? else { continue };
            let value = value::of(kernel, &other, question)?.ok_or_else(|| NO_VALUE.to_owned())?;
            if let Some((first, agreed)) = &found {
                if first.bits != other.bits || agreed.number != value.number {
                    let kernel = self.kernel.shown_name();
                    let text =
                        format!("{subject} is ambiguous: {kernel} has several types of that name");
                    return Err(Unanswered::Refused(text));
                }
            } else {
                found = Some((other, value));
            }
            fitting.push(candidate);
        }
        if fitting.is_empty() && self.kernel.leaves_out(name_of(self.local, self.local.get(ty))) {
            return Err(Unanswered::LeftOut(subject.to_owned()));
        }
        if !fitting.is_empty() {
            self.candidates.insert(ty, fitting);
        }
        Ok(found)
    }

    fn candidates_for(&mut self, ty: TypeId) -> Result<Vec<TypeId>, String> {
        if let Some(known) = self.candidates.get(&ty) {
            return Ok(known.clone());
        }
        let local = self.local.get(ty);
        let name = name_of(self.local, local);
        if name.is_empty() {
            return Err("a type without a name cannot be looked up in a kernel".into());
        }
        let wanted = compat::kind(local);
        let same_kind = |id: &TypeId| compat::kind(self.kernel.btf().get(*id)) == wanted;
        let found: Vec<TypeId> =
            self.kernel.named_like(name).iter().copied().filter(same_kind).collect();
        self.candidates.insert(ty, found.clone());
        Ok(found)
    }
}

const NO_VALUE: &str = "it has no value";

/// The path in one type of the kernel, if that has it.
fn matched(
    local: &Btf,
    kernel: &Btf,
    spec: &Spec,
    candidate: TypeId,
    question: Question,
) -> Result<Option<Spec>, String> {
    let pair = Pair::new(local, kernel);
    let whole = |fits: Result<bool, TooDeep>| {
        let fits = fits.map_err(|_| TooDeep::WORDS.to_owned())?;
        Ok(fits.then(|| Spec { root: candidate, steps: Vec::new(), bits: 0 }))
    };
    match (question.subject(), question) {
        (Subject::Type, Question::TypeMatches) => whole(pair.matching(spec.root, candidate)),
        (Subject::Type, _) => whole(pair.compatible(spec.root, candidate)),
        (Subject::Enumerator, _) => Ok(spec.find_value(local, kernel, candidate)),
        (Subject::Field, _) => spec.find_in(local, kernel, candidate),
    }
}
