// SPDX-License-Identifier: GPL-2.0-or-later
//! A scheduler as a compiled BPF object, and the two traits through which its Rust half meets
//! a machine.
//!
//! * [`Object`] reads the ELF file: programs, `struct_ops`, maps, globals.
//! * [`Btf`] reads type information, of an object or of a whole kernel.
//! * [`Setting`] and [`StatsLayout`] are what an object says about itself: its settings and its
//!   statistics, declared once, in C, as BTF declaration tags.
//! * [`Setup`], [`Engine`] and [`World`] are the machine as a user half sees it. The live kernel implements
//!   them, and so does the simulator; a user half cannot tell which one it runs in.
//!
//! Nothing here reads a file, a clock or the environment.

mod btf;
mod btf_decl;
mod btf_ext;
mod btf_read;
mod btf_write;
mod configuration;
mod elf;
mod engine;
mod enumerators;
mod exit;
mod image;
pub mod insn;
mod kernel_types;
mod link;
mod minimise;
mod name;
mod relocate;
mod settings;
mod tags;
#[cfg(test)]
mod types_for_tests;

pub use btf::{Btf, BtfError, Member, TypeId};
pub use btf_decl::{Enumerator, Modifier, Type};
pub use configuration::Configuration;
pub use elf::{Global, Object, ObjectError, Program, StructOps};
pub use engine::{CpuTime, Engine, EngineError, Refusal, Setup, World};
pub use exit::{ExitCause, ExitInfo, ExitLayout};
pub use image::{
    Entry, Field, FieldKind, Function, FunctionId, Image, Kfunc, KfuncId, MapDef, MapId, Operand,
    SourceLine, Structure, Table, Variable, VariableId,
};
pub use insn::Insn;
pub use kernel_types::{KernelTypes, KernelTypesError, series};
pub use link::{FieldRead, LinkError, LinkErrors, Needs, Part, Problem, Taken};
pub use minimise::{Distance, minimise};
pub use rota_events::{Duration, format_ns, parse_bytes, parse_ns};
pub use settings::{Setting, SettingError, SettingKind, SettingValue};
pub use tags::StatsLayout;
