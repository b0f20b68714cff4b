// SPDX-License-Identifier: GPL-2.0-or-later
//! The numbers that relocations put into instructions.

use crate::btf::{Btf, TypeId};
use crate::btf_decl::Type;
use crate::relocate::Question;
use crate::relocate::spec::Spec;

/// A number for an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) number: u64,
    /// How many bytes an access through it has; zero if it is no offset.
    pub(crate) width: u64,
    /// The type of the field, of an offset.
    ty: TypeId,
    /// Whether the instruction has to hold the object's own number before.
    pub(crate) checked: bool,
}

impl Value {
    fn checked(number: u64) -> Self {
        Self { number, width: 0, ty: TypeId(0), checked: true }
    }

    pub(crate) fn unchecked(number: u64) -> Self {
        Self { checked: false, ..Self::checked(number) }
    }
}

/// The number for something that a kernel does not have; nothing if no instruction can do
/// without.
pub(crate) fn absent(question: Question) -> Option<Value> {
    match question {
        Question::FieldExists
        | Question::ValueExists
        | Question::TypeIdLocal
        | Question::TypeIdKernel
        | Question::TypeExists
        | Question::TypeSize
        | Question::TypeMatches => Some(Value::checked(0)),
        Question::FieldOffset
        | Question::FieldSize
        | Question::FieldSigned
        | Question::FieldLeftShift
        | Question::FieldRightShift
        | Question::Value => None,
    }
}

/// The number for something that is there. `None` only if a path leads nowhere.
pub(crate) fn of(btf: &Btf, spec: &Spec, question: Question) -> Result<Option<Value>, String> {
    let no_size = "its type has no size";
    Ok(match question {
        Question::FieldExists
        | Question::ValueExists
        | Question::TypeExists
        | Question::TypeMatches => Some(Value::checked(1)),
        Question::TypeIdLocal | Question::TypeIdKernel => {
            Some(Value::unchecked(u64::from(spec.root.0)))
        }
        Question::TypeSize => Some(Value::checked(btf.size_of(spec.root).ok_or(no_size)?)),
        Question::Value => enumerator(btf, spec),
        Question::FieldOffset
        | Question::FieldSize
        | Question::FieldSigned
        | Question::FieldLeftShift
        | Question::FieldRightShift => Some(field(btf, spec, question)?),
    })
}

/// Values of 32 bits are extended by their sign, whether they have one or not.
fn enumerator(btf: &Btf, spec: &Spec) -> Option<Value> {
    let step = spec.steps.first()?;
    let Type::Enum { wide, values, .. } = btf.get(step.ty) else { return None };
    let value = values.get(usize::try_from(step.index).ok()?)?.value;
    let value = if *wide { value } else { i64::from(value as i32) };
    Some(Value::checked(value.cast_unsigned()))
}

fn field(btf: &Btf, spec: &Spec, question: Question) -> Result<Value, String> {
    let last = spec.steps.last().ok_or("it names no field")?;
    let place = u64::from(spec.bits / 8);
    if last.name.is_none() {
        return match question {
            Question::FieldOffset => offset(btf, place, last.ty),
            Question::FieldSize => {
                Ok(Value::checked(btf.size_of(last.ty).ok_or("its type has no size")?))
            }
            _ => Err("an element of an array has neither a sign nor a place in bits".into()),
        };
    }
    let Type::Struct { members, .. } = btf.get(last.ty) else {
        return Err("it names no field".into());
    };
    let member = usize::try_from(last.index).ok().and_then(|i| members.get(i));
    let member = member.ok_or("it names no field")?;
    let (ty, found) = btf.resolve(member.ty);
    let size = btf.size_of(ty).ok_or("its type has no size")?;
    let is_bits = member.width_bits > 0;
    let bits = u64::from(spec.bits);
    // A bit-field is read as the smallest aligned number that holds it.
    let (at, bytes, width) = if is_bits {
        let width = u64::from(member.width_bits);
        let (at, bytes) = container(bits, width, size)?;
        (at, bytes, width)
    } else {
        (place, size, size.wrapping_mul(8))
    };
    let value = |number| if is_bits { Value::unchecked(number) } else { Value::checked(number) };
    Ok(match question {
        Question::FieldOffset if is_bits => Value::unchecked(at),
        Question::FieldOffset => offset(btf, at, member.ty)?,
        Question::FieldSize => value(bytes),
        Question::FieldSigned => Value::checked(u64::from(matches!(
            found,
            Type::Int { signed: true, .. } | Type::Enum { signed: true, .. }
        ))),
        Question::FieldLeftShift => {
            value(64u64.wrapping_sub(bits.wrapping_add(width).wrapping_sub(at.wrapping_mul(8))))
        }
        _ => Value::checked(64u64.wrapping_sub(width)),
    })
}

/// Place and size of the number that holds a bit-field.
fn container(bits: u64, width: u64, size: u64) -> Result<(u64, u64), String> {
    let mut bytes = size.max(1);
    loop {
        let at = bits / 8 / bytes * bytes;
        if bits + width - at * 8 <= bytes * 8 {
            return Ok((at, bytes));
        }
        if bytes >= 8 {
            return Err("the bit-field cannot be read as one number of 64 bits".into());
        }
        bytes *= 2;
    }
}

/// An offset, with the size of what lies there; of an array, of one element.
fn offset(btf: &Btf, at: u64, ty: TypeId) -> Result<Value, String> {
    let (mut element, mut found) = btf.resolve(ty);
    for _ in 0..32 {
        let Type::Array { element: below, .. } = found else { break };
        (element, found) = btf.resolve(*below);
    }
    let width = btf.size_of(element).ok_or("its type has no size")?;
    Ok(Value { number: at, width, ty: btf.resolve(ty).0, checked: true })
}

/// Whether an instruction may load another number of bytes than it was compiled for: pointers and
/// numbers without a sign keep their value.
pub(crate) fn may_change_width(local: &Btf, a: &Value, kernel: &Btf, b: &Value) -> bool {
    let signed = |ty: &Type| match ty {
        Type::Int { signed, character, boolean, .. } => Some(*signed && !character && !boolean),
        _ => None,
    };
    let (a, b) = (local.get(a.ty), kernel.get(b.ty));
    matches!((a, b), (Type::Ptr(_), Type::Ptr(_)))
        || (signed(a) == Some(false) && signed(b) == Some(false))
}
