// SPDX-License-Identifier: GPL-2.0-or-later
//! An object, linked against one kernel: what an engine executes.
//!
//! An image knows no addresses. Wherever an instruction names something outside its function, the
//! function's [`Operand`]s say what; whoever executes the image gives each of them an address.

use crate::btf::TypeId;
use crate::insn::Insn;
use crate::link::LinkError;
use std::collections::BTreeMap;

/// Number of a function in [`Image::functions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub u32);

/// Number of a map in [`Image::maps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapId(pub u32);

/// Number of a kernel function in [`Image::kfuncs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KfuncId(pub u32);

/// Number of a kernel variable in [`Image::variables`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableId(pub u32);

/// What an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operand {
    /// A map itself: the immediate of a wide load.
    Map(MapId),
    /// A byte of a data section's or an arena's memory: the immediate of a wide load.
    MapValue(MapId, u64),
    /// A function: the target of a call, or, in a wide load, a callback.
    Function(FunctionId),
    /// A kernel function: the target of a call, or, in a wide load, its address, of which a
    /// program asks only whether it is zero.
    Kfunc(KfuncId),
    /// A kernel variable: the immediate of a wide load.
    Variable(VariableId),
}

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    /// The first instruction that the line gave, counted from the start of its function.
    pub insn: u32,
    /// The file, as the compiler was told.
    pub file: String,
    /// Line number, from 1.
    pub line: u32,
    /// Column, from 1; 0 if unknown.
    pub column: u32,
    /// The line's text, without leading and trailing blanks.
    pub text: String,
}

/// One function: a program's own, or one that programs call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Function {
    /// Its name in C.
    pub name: String,
    /// Its instructions, relocated. Jumps stay inside; calls are in `operands`.
    pub insns: Vec<Insn>,
    /// What instructions name, by the number of the instruction.
    pub operands: BTreeMap<u32, Operand>,
    /// Instructions that depend on a type, field or function that this kernel does not have, with
    /// the words for it. To execute one is a trap; the guards around it see to it that none is.
    pub poisoned: BTreeMap<u32, String>,
    /// Its source lines, by instruction.
    pub lines: Vec<SourceLine>,
}

impl Function {
    /// The source line that an instruction came from.
    pub fn line_of(&self, insn: u32) -> Option<&SourceLine> {
        let after = self.lines.partition_point(|l| l.insn <= insn);
        self.lines.get(after.checked_sub(1)?)
    }
}

/// A kernel function that the object calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kfunc {
    /// Its name in the kernel.
    pub name: String,
    /// Its `FUNC` in the kernel's type information; `None` for a weak one that this kernel does
    /// not have.
    pub func: Option<TypeId>,
}

/// A kernel variable that the object reads. Values of the kernel's configuration are in the map
/// `.kconfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its `VAR` in the kernel's type information; `None` for a weak one that this kernel does
    /// not have.
    pub var: Option<TypeId>,
    /// Size in bytes.
    pub size: u64,
    /// Whether every CPU has its own.
    pub per_cpu: bool,
}

/// What a part of a structure is that the kernel keeps for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// `bpf_spin_lock`.
    SpinLock,
    /// `bpf_res_spin_lock`.
    ResilientLock,
    /// `bpf_timer`.
    Timer,
    /// `bpf_wq`: work to be done later.
    Work,
    /// `bpf_task_work`.
    TaskWork,
    /// `bpf_list_head`.
    List,
    /// `bpf_list_node`.
    ListNode,
    /// `bpf_rb_root`.
    Tree,
    /// `bpf_rb_node`.
    TreeNode,
    /// `bpf_refcount`.
    Owners,
    /// `bpf_dynptr`.
    Dynptr,
    /// A pointer that owns what it points to: `__kptr`.
    Pointer,
}

/// A part of a structure that the kernel keeps for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// What it is.
    pub kind: FieldKind,
}

/// What is known of a structure that a program may allocate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// Its tag name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// What the kernel keeps for itself, in order.
    pub fields: Vec<Field>,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapDef {
    /// Its name in C; of a data section, the section's.
    pub name: String,
    /// Number of its kind (`enum bpf_map_type`); of a data section, an array's.
    pub kind: u32,
    /// Size of a key in bytes.
    pub key_size: u32,
    /// Size of a value in bytes.
    pub value_size: u32,
    /// Number of entries; pages, of an arena. A `perf_event_array` of 0 gets as many as the machine
    /// has CPUs.
    pub max_entries: u32,
    /// `BPF_F_…`.
    pub flags: u32,
    /// `map_extra`: of an arena, where user space sees it.
    pub extra: u64,
    /// Type of a key in the object's type information; 0 if not said.
    pub key_type: Option<TypeId>,
    /// Type of a value in the object's type information.
    pub value_type: Option<TypeId>,
    /// What of a value the kernel keeps for itself.
    pub fields: Vec<Field>,
    /// What it holds at first: the bytes of a data section, or of an arena's globals. What is not
    /// given here is zero, as is all of `.bss`.
    pub initial: Vec<u8>,
    /// Where these bytes start in the map's memory; not zero only in an arena, of which the
    /// variables take the last pages.
    pub initial_at: u64,
    /// Whether programs can only read it.
    pub read_only: bool,
    /// Whether it is a data section.
    pub data: bool,
    /// What an inner map is like, of a map of maps.
    pub inner: Option<Box<MapDef>>,
    /// Maps that a map of maps holds at first, by index.
    pub slots: Vec<(u32, MapId)>,
    /// Programs that a `prog_array` holds at first, by index.
    pub programs: Vec<(u32, FunctionId)>,
}

impl MapDef {
    /// The map that holds values of the kernel's configuration.
    pub(crate) fn configuration(bytes: Vec<u8>) -> Self {
        Self {
            name: ".kconfig".into(),
            kind: 2,
            key_size: 4,
            value_size: bytes.len() as u32,
            max_entries: 1,
            flags: 1 << 7,
            initial: bytes,
            read_only: true,
            data: true,
            ..Self::default()
        }
    }
}

/// A program, with the function that it starts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in C.
    pub name: String,
    /// The section, which says what kind it is.
    pub section: String,
    /// The function.
    pub function: FunctionId,
}

/// A table of callbacks, laid out for the kernel that the image is linked against.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The variable.
    pub name: String,
    /// The kernel type.
    pub kernel_type: String,
    /// Member and function of each callback that is set.
    pub callbacks: BTreeMap<String, FunctionId>,
    /// The kernel's structure, with callbacks zero.
    pub bytes: Vec<u8>,
}

/// An object, linked against one kernel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Image {
    /// The kernel, by the name of its type information.
    pub kernel: String,
    /// Every function that a program reaches.
    pub functions: Vec<Function>,
    /// The programs.
    pub entries: Vec<Entry>,
    /// The maps, data sections included.
    pub maps: Vec<MapDef>,
    /// The object's own structures, by their numbers in its type information: what programs can
    /// allocate.
    pub structures: BTreeMap<TypeId, Structure>,
    /// The kernel functions called.
    pub kfuncs: Vec<Kfunc>,
    /// The kernel variables read.
    pub variables: Vec<Variable>,
    /// The tables of callbacks.
    pub tables: Vec<Table>,
    /// What may keep the object from being loaded, but can't be told from the kernel's types.
    pub unknown: Vec<LinkError>,
}
