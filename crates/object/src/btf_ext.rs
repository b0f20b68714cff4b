// SPDX-License-Identifier: GPL-2.0-or-later
//! `.BTF.ext`: what the compiler says about instructions. Which function starts where, which line
//! an instruction came from, and which depends on the layout of a kernel type (CO-RE).

use crate::btf::{Btf, TypeId};
use crate::btf_read::Reader;

const MAGIC: u16 = 0xeb9f;

/// The start of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FuncInfo {
    /// Place of the section's name among the strings.
    pub(crate) section: u32,
    /// Offset in the section, in bytes.
    pub(crate) offset: u32,
    /// Its `FUNC`.
    pub(crate) func: TypeId,
}

/// The start of a source line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineInfo {
    pub(crate) section: u32,
    pub(crate) offset: u32,
    /// Place of the file's name.
    pub(crate) file: u32,
    /// Place of the line's text.
    pub(crate) text: u32,
    /// Line number in the upper 22 bits, column in the others.
    pub(crate) line_column: u32,
}

/// An instruction that depends on a kernel type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CoreRelo {
    pub(crate) section: u32,
    pub(crate) offset: u32,
    /// The type, as the object declares it.
    pub(crate) ty: TypeId,
    /// Place of the access string: what is accessed in the type, as numbers with colons.
    pub(crate) access: u32,
    /// What is asked about it.
    pub(crate) kind: u32,
}

/// Everything that `.BTF.ext` holds, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct BtfExt {
    pub(crate) funcs: Vec<FuncInfo>,
    pub(crate) lines: Vec<LineInfo>,
    pub(crate) relos: Vec<CoreRelo>,
}

impl BtfExt {
    /// Reads the section. `btf` is the object's own type information.
    pub(crate) fn parse(blob: &[u8], btf: &Btf) -> Result<Self, String> {
        let short = |_| "it ends inside its header".to_owned();
        let mut reader = Reader { bytes: blob, at: 0 };
        let magic = reader.u32("the header").map_err(short)?;
        if magic as u16 != MAGIC {
            return Err(format!("it starts with {:#06x} instead of 0xeb9f", magic as u16));
        }
        let [header, func_at, func_len, line_at, line_len] =
            reader.words("the header").map_err(short)?;
        // The third part came later than the first two.
        let [relo_at, relo_len] =
            if header >= 32 { reader.words("the header").map_err(short)? } else { [0, 0] };
        let part = |at: u32, len: u32, what| {
            let from = u64::from(header) + u64::from(at);
            let range = from as usize..(from + u64::from(len)) as usize;
            blob.get(range).ok_or_else(|| format!("it ends inside {what}"))
        };
        let known = |ty: u32| match ty < btf.types.len() as u32 {
            true => Ok(TypeId(ty)),
            false => Err(format!("it refers to type {ty}, which does not exist")),
        };
        let mut ext = Self::default();
        records(part(func_at, func_len, "the functions")?, |section, [offset, func]| {
            ext.funcs.push(FuncInfo { section, offset, func: known(func)? });
            Ok(())
        })?;
        records(part(line_at, line_len, "the lines")?, |section, words| {
            let [offset, file, text, line_column] = words;
            ext.lines.push(LineInfo { section, offset, file, text, line_column });
            Ok(())
        })?;
        records(part(relo_at, relo_len, "the relocations")?, |section, words| {
            let [offset, ty, access, kind] = words;
            ext.relos.push(CoreRelo { section, offset, ty: known(ty)?, access, kind });
            Ok(())
        })?;
        Ok(ext)
    }
}

/// Walks one part: the size of a record, then for each section its name, a number and as many
/// records. Of each record, which later versions may make longer, the first `N` words are taken.
fn records<const N: usize>(
    part: &[u8],
    mut each: impl FnMut(u32, [u32; N]) -> Result<(), String>,
) -> Result<(), String> {
    if part.is_empty() {
        return Ok(());
    }
    let short = |_| "it ends inside a record".to_owned();
    let mut reader = Reader { bytes: part, at: 0 };
    let size = reader.u32("a size").map_err(short)? as usize;
    if size < N * 4 || !size.is_multiple_of(4) {
        return Err(format!("it has records of {size} bytes"));
    }
    while reader.at < part.len() {
        let [section, count] = reader.words("a section").map_err(short)?;
        for _ in 0..count {
            let at = reader.at;
            let words = reader.words("a record").map_err(short)?;
            each(section, words)?;
            reader.at = at.saturating_add(size);
        }
    }
    Ok(())
}
