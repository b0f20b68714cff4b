// SPDX-License-Identifier: GPL-2.0-or-later
//! What keeps an object from being linked against a kernel.

use crate::image::SourceLine;
use std::fmt;
use thiserror::Error;

/// One thing that keeps an object from being linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkError {
    /// What it is about: a function, variable, map, member or type.
    pub symbol: String,
    /// The kernel, as `Linux 7.3`.
    pub kernel: String,
    /// Where the object uses it first, if the object says so.
    pub line: Option<SourceLine>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The kernel has no such function that programs may call.
    NoFunction,
    /// The kernel's function takes or returns something else.
    Prototype,
    /// The kernel has no such variable.
    NoVariable,
    /// The variable is of another type: the object's, the kernel's.
    VariableType(String, String),
    /// A symbol that was asked for without a type, which only the running kernel can look up.
    UntypedSymbol,
    /// An undefined symbol without a type.
    Untyped,
    /// The kernel's configuration has no such value.
    NoConfig,
    /// A value of the configuration that does not fit the variable.
    ConfigValue(String),
    /// A variable of the loader that there is none of.
    UnknownVirtual,
    /// Types nested too deeply to compare.
    TooDeep,
    /// The kernel has no such table of callbacks: its type.
    NoTable(String),
    /// A member of a table, which the kernel doesn't have, is set.
    NoMember(String),
    /// A member of a table that the kernel has in another form.
    Member(String),
    /// A CO-RE relocation that no loader accepts.
    Relocation(String),
    /// The kernel has nothing of this name that a program could be attached to.
    NoTarget(String),
    /// The kernel has no such kind of map, by its number.
    NoMapKind(u32),
    /// A map has no number of entries.
    NoEntries,
    /// A function jumps through a table, which Rota cannot link.
    JumpTable,
    /// A function jumps through a table, which the kernel cannot.
    NoJumpTable,
    /// Something that the kernel may have, but that its abridged types leave out, in words.
    LeftOut(String),
    /// Something in the object that doesn't fit together.
    Object(String),
}

impl Problem {
    /// Whether the kernel may have no objection: it can't be told from its types.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::UntypedSymbol | Self::NoEntries | Self::JumpTable | Self::LeftOut(_))
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.line {
            write!(f, "{}:{}: ", line.file, line.line)?;
        }
        let (symbol, kernel) = (&self.symbol, &self.kernel);
        match &self.problem {
            Problem::NoFunction => write!(f, "{kernel} has no kfunc {symbol}"),
            Problem::Prototype => {
                write!(f, "the kfunc {symbol} has other parameters in {kernel}")
            }
            Problem::NoVariable => write!(f, "{kernel} has no variable {symbol}"),
            Problem::VariableType(ours, theirs) => {
                write!(f, "the variable {symbol} has the type {theirs} in {kernel}, not {ours}")
            }
            Problem::UntypedSymbol => {
                write!(
                    f,
                    "only a running {kernel} can tell where the symbol {symbol} is, which has no type"
                )
            }
            Problem::Untyped => {
                write!(
                    f,
                    "{symbol} is undefined and has no type; declare it as __ksym or __kconfig"
                )
            }
            Problem::NoConfig => write!(f, "{kernel} was built without {symbol}"),
            Problem::ConfigValue(value) => {
                write!(f, "{symbol} is {value} in {kernel}, which does not fit its variable")
            }
            Problem::UnknownVirtual => write!(f, "no loader knows the value {symbol}"),
            Problem::TooDeep => write!(f, "the type of {symbol} is nested too deeply to compare"),
            Problem::NoTable(kind) => {
                write!(f, "{kernel} has no table of callbacks {kind}, which {symbol} is")
            }
            Problem::NoMember(member) => {
                write!(f, "{symbol} sets the member {member}, which {kernel} does not have")
            }
            Problem::NoTarget(target) => {
                write!(f, "{symbol} is attached to the {target}, which {kernel} does not have")
            }
            Problem::NoMapKind(kind) => {
                write!(f, "the map {symbol} is of the kind {kind}, which {kernel} does not have")
            }
            Problem::NoEntries => {
                write!(f, "the map {symbol} has no entries; who loads it has to set their number")
            }
            Problem::JumpTable => {
                write!(
                    f,
                    "{symbol} jumps through a table, which Rota cannot link; compile it with -fno-jump-tables"
                )
            }
            Problem::NoJumpTable => {
                write!(f, "{symbol} jumps through a table, which {kernel} cannot")
            }
            Problem::LeftOut(what) => {
                write!(
                    f,
                    "{symbol}: {kernel} may have the {what}, but the types that Rota keeps of it leave that out; \
                     link against all of its types (/sys/kernel/btf/vmlinux)"
                )
            }
            Problem::Member(text) | Problem::Relocation(text) | Problem::Object(text) => {
                write!(f, "{symbol}: {text}")
            }
        }
    }
}

impl std::error::Error for LinkError {}

/// Everything that keeps an object from being linked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct LinkErrors(pub Vec<LinkError>);
