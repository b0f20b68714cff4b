// SPDX-License-Identifier: GPL-2.0-or-later
//! A compiled scheduler: the ELF file that clang writes for the BPF target.

use crate::btf::{Btf, BtfError, TypeId};
use crate::btf_decl::Type;
use crate::kernel_types::KernelTypes;
use crate::name::essential;
use object::{Endianness, Object as _, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;

/// Why a file is no object that Rota can use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ObjectError {
    /// The file is no ELF file, or it is cut short.
    #[error(
        "not a usable ELF object ({0}); a scheduler is a file that clang wrote with -target bpf"
    )]
    Elf(String),
    /// It was compiled for another machine.
    #[error("compiled for {0}, not for BPF; compile it with clang -target bpf")]
    Machine(String),
    /// It is big-endian.
    #[error("a big-endian object; compile it with -target bpfel")]
    BigEndian,
    /// The `.BTF` section is missing.
    #[error("no type information (.BTF); compile it with -g")]
    NoBtf,
    /// The `.BTF` section is damaged.
    #[error("damaged type information: {0}")]
    Btf(#[from] BtfError),
    /// The `.BTF.ext` section is damaged.
    #[error("damaged information on instructions (.BTF.ext): {0}")]
    BtfExt(String),
    /// Something in it does not fit together.
    #[error("damaged object: {0}")]
    Damaged(String),
}

/// A global variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// Its name in C.
    pub name: String,
    /// The section it lies in, such as `.rodata` or `.bss`.
    pub section: String,
    /// Offset in that section, in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Its type, as declared.
    pub ty: TypeId,
    /// The BTF variable, to which remarks are attached.
    pub var: TypeId,
    /// Whether programs can only read it, so that it is fixed once loaded.
    pub read_only: bool,
    /// What the file holds for it; zeros for `.bss`.
    pub initial: Vec<u8>,
}

/// A program: one function that the kernel calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name in C.
    pub name: String,
    /// The section that says what kind it is, such as `struct_ops/simple_enqueue`.
    pub section: String,
}

/// A table of callbacks: a variable in `.struct_ops` or `.struct_ops.link`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructOps {
    /// The variable, which libbpf makes into a map of this name.
    pub name: String,
    /// The kernel type, such as `sched_ext_ops`.
    pub kernel_type: String,
    /// The name that the kernel shows: the member `name`, if it has one.
    pub shown_name: String,
    /// Member and program of each callback that is set.
    pub callbacks: Vec<(String, String)>,
    /// Name, offset and size in bytes of each member that is a number.
    numbers: Vec<(String, usize, usize)>,
    /// Name and offset in bytes of each member that is set to a program.
    places: Vec<(String, usize)>,
    /// Members that are set and count as unset.
    left_out: BTreeSet<String>,
}

impl StructOps {
    /// Offset and size, in bytes, of a member that is a number.
    pub fn number(&self, member: &str) -> Option<(usize, usize)> {
        self.numbers.iter().find(|(name, ..)| name == member).map(|&(_, at, len)| (at, len))
    }

    /// Offset, in bytes, of a member that is set to a program.
    pub fn place(&self, member: &str) -> Option<usize> {
        self.places.iter().find(|(name, _)| name == member).map(|(_, at)| *at)
    }

    /// Members that are set in the file and count as unset, by
    /// [`Object::leave_out_callbacks`].
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.left_out.iter().map(String::as_str)
    }
}

/// What an object file holds.
#[derive(Debug, Clone)]
pub struct Object {
    /// The file, from which instructions and maps are read when the object is linked.
    bytes: Arc<[u8]>,
    btf: Btf,
    programs: Vec<Program>,
    struct_ops: Vec<StructOps>,
    globals: BTreeMap<String, Global>,
}

impl Object {
    /// Reads an object file.
    ///
    /// # Errors
    /// [`ObjectError`] says what the file is instead, or where it is damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        let file = open(bytes)?;
        let blob = section_data(&file, ".BTF")?.ok_or(ObjectError::NoBtf)?;
        let btf = Btf::parse(blob)?;
        let globals = read_globals(&file, &btf)?;
        let struct_ops = read_struct_ops(&file, &btf)?;
        let (bytes, programs) = (Arc::from(bytes), read_programs(&file));
        Ok(Self { bytes, programs, struct_ops, globals, btf })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its type information.
    pub fn btf(&self) -> &Btf {
        &self.btf
    }

    /// Its programs, in the order of the file.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Programs that sit on something of the kernel's and are attached beside the scheduler, as a
    /// loader does by default: on tracepoints, functions and their ends.
    pub fn auxiliary_programs(&self) -> impl Iterator<Item = &Program> {
        let named = |program: &&Program| {
            program.section.split_once('/').is_some_and(|(kind, _)| ATTACHED.contains(&kind))
        };
        self.programs.iter().filter(named)
    }

    /// Its tables of callbacks.
    pub fn struct_ops(&self) -> &[StructOps] {
        &self.struct_ops
    }

    /// The table of a sched_ext scheduler, if the object is one.
    pub fn scheduler(&self) -> Option<&StructOps> {
        self.struct_ops.iter().find(|o| o.kernel_type == "sched_ext_ops")
    }

    /// Leaves out those callbacks of the scheduler that a kernel does not know: so does the loader
    /// of a scheduler that wants to run on older kernels too. Returns their names.
    pub fn leave_out_unknown_callbacks(&mut self, kernel: &KernelTypes) -> Vec<String> {
        let ty = kernel.structure("sched_ext_ops").map(|id| kernel.btf().get(id));
        let Some(Type::Struct { members, .. }) = ty else { return Vec::new() };
        let known = |member: &str| members.iter().any(|m| kernel.btf().text(m.name) == member);
        self.leave_out_callbacks(|member| !known(member))
    }

    /// Leaves out those callbacks of the scheduler that nobody wants. Returns their names.
    pub fn leave_out_callbacks(&mut self, unwanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names = Vec::new();
        for ops in self.struct_ops.iter_mut().filter(|o| o.kernel_type == "sched_ext_ops") {
            let taken = ops.callbacks.extract_if(.., |(member, _)| unwanted(member));
            names.extend(taken.map(|(member, _)| member));
            ops.left_out.extend(names.iter().cloned());
        }
        names
    }

    /// The global variable with this name.
    pub fn global(&self, name: &str) -> Option<&Global> {
        self.globals.get(name)
    }

    /// All global variables, by name.
    pub fn globals(&self) -> impl Iterator<Item = &Global> {
        self.globals.values()
    }
}

/// Kinds of programs that a loader attaches by itself, by the start of their sections.
const ATTACHED: [&str; 11] = [
    "tp_btf",
    "raw_tp",
    "raw_tracepoint",
    "tp",
    "tracepoint",
    "fentry",
    "fentry.s",
    "fexit",
    "fexit.s",
    "kprobe",
    "kretprobe",
];

/// How many bytes of `.bss` are written out, over all variables of an object.
const ZEROS_MAX: u64 = 4 << 20;

/// Numbers of the ELF format: a machine, and a byte order.
const EM_BPF: u16 = 247;
const BIG_ENDIAN: u8 = 2;

pub(crate) type File<'a> = object::read::elf::ElfFile64<'a, Endianness>;

pub(crate) fn open(bytes: &[u8]) -> Result<File<'_>, ObjectError> {
    let elf = |e: object::read::Error| ObjectError::Elf(e.to_string());
    if bytes.get(..4).is_some_and(|magic| magic != b"\x7fELF") {
        return Err(ObjectError::Elf("it does not start with the ELF magic".into()));
    }
    // The byte order stands in byte 5, the machine in bytes 18 and 19, in that order.
    if let Some(&[low, high]) = bytes.get(18..20) {
        let big = bytes[5] == BIG_ENDIAN;
        let machine = if big { [high, low] } else { [low, high] };
        let machine = u16::from_le_bytes(machine);
        if machine != EM_BPF {
            return Err(ObjectError::Machine(machine_name(machine)));
        }
        if big {
            return Err(ObjectError::BigEndian);
        }
    }
    let file = File::parse(bytes).map_err(elf)?;
    Ok(file)
}

fn machine_name(machine: u16) -> String {
    match machine {
        62 => "x86-64".into(),
        183 => "Arm (aarch64)".into(),
        243 => "RISC-V".into(),
        other => format!("another machine (number {other})"),
    }
}

pub(crate) fn section_data<'a>(
    file: &File<'a>,
    name: &str,
) -> Result<Option<&'a [u8]>, ObjectError> {
    match file.section_by_name(name) {
        None => Ok(None),
        Some(s) => s.data().map(Some).map_err(|e| ObjectError::Elf(e.to_string())),
    }
}

fn read_programs(file: &File<'_>) -> Vec<Program> {
    let function = |s: &object::read::elf::ElfSymbol64<'_, '_>| {
        let section = file.section_by_index(s.section_index()?).ok()?;
        let section_name = section.name().ok()?;
        if s.kind() != SymbolKind::Text || section_name == ".text" {
            return None;
        }
        Some(Program { name: s.name().ok()?.to_owned(), section: section_name.to_owned() })
    };
    file.symbols().filter_map(|s| function(&s)).collect()
}

pub(crate) fn is_data(section: &str) -> bool {
    [".rodata", ".data", ".bss"].iter().any(|kind| {
        section == *kind || section.strip_prefix(kind).is_some_and(|r| r.starts_with('.'))
    })
}

/// Finds every variable of the data sections. Their offsets come from the symbol table: the
/// compiler leaves them zero in BTF.
fn read_globals(file: &File<'_>, btf: &Btf) -> Result<BTreeMap<String, Global>, ObjectError> {
    let mut types = BTreeMap::new();
    for (id, ty) in btf.iter() {
        if let Type::Var { name, target, .. } = ty {
            types.insert(btf.text(*name), (id, *target));
        }
    }
    let mut globals = BTreeMap::new();
    let mut zeros = ZEROS_MAX;
    for symbol in file.symbols().filter(|s| s.kind() == SymbolKind::Data) {
        let Some(index) = symbol.section_index() else { continue };
        let elf = |e: object::read::Error| ObjectError::Elf(e.to_string());
        let section = file.section_by_index(index).map_err(elf)?;
        let (name, section_name) = (symbol.name().map_err(elf)?, section.name().map_err(elf)?);
        let Some(&(var, ty)) = types.get(name).filter(|_| is_data(section_name)) else { continue };
        let (offset, size) = (symbol.address(), symbol.size());
        let initial = initial_bytes(&section, offset, size, &mut zeros).ok_or_else(|| {
            ObjectError::Elf(format!("variable {name} lies outside its section {section_name}"))
        })?;
        globals.insert(
            name.to_owned(),
            Global {
                name: name.to_owned(),
                section: section_name.to_owned(),
                offset,
                size,
                ty,
                var,
                read_only: section_name.starts_with(".rodata"),
                initial,
            },
        );
    }
    Ok(globals)
}

fn initial_bytes<'a>(
    section: &impl ObjectSection<'a>,
    offset: u64,
    size: u64,
    zeros: &mut u64,
) -> Option<Vec<u8>> {
    let end = offset.checked_add(size)?;
    if end > section.size() {
        return None;
    }
    let data = section.data().ok()?;
    if data.is_empty() {
        // .bss has a size but no bytes; what it may claim is bounded, so that forged sizes do not
        // become allocations.
        let granted = if size <= *zeros { size } else { 0 };
        *zeros -= granted;
        return Some(vec![0; granted as usize]);
    }
    data.get(offset as usize..end as usize).map(<[u8]>::to_vec)
}

fn read_struct_ops(file: &File<'_>, btf: &Btf) -> Result<Vec<StructOps>, ObjectError> {
    let elf = |e: object::read::Error| ObjectError::Elf(e.to_string());
    let mut found = Vec::new();
    for section in file.sections() {
        let section_name = section.name().map_err(elf)?;
        if !matches!(section_name, ".struct_ops" | ".struct_ops.link") {
            continue;
        }
        let data = section.data().map_err(elf)?;
        let mut targets = BTreeMap::new();
        for (offset, relocation) in section.relocations() {
            if let RelocationTarget::Symbol(index) = relocation.target() {
                let symbol = file.symbol_by_index(index).map_err(elf)?;
                targets.insert(offset, symbol.name().map_err(elf)?.to_owned());
            }
        }
        for symbol in file
            .symbols()
            .filter(|s| s.kind() == SymbolKind::Data && s.section_index() == Some(section.index()))
        {
            let name = symbol.name().map_err(elf)?;
            if let Some(ops) = table(btf, name, symbol.address(), data, &targets) {
                found.push(ops);
            }
        }
    }
    Ok(found)
}

/// One table of callbacks, read through the type of its variable.
fn table(
    btf: &Btf,
    name: &str,
    base: u64,
    data: &[u8],
    targets: &BTreeMap<u64, String>,
) -> Option<StructOps> {
    let var = btf.iter().find_map(|(_, t)| match t {
        Type::Var { name: n, target, .. } if btf.text(*n) == name => Some(*target),
        _ => None,
    })?;
    let Type::Struct { name: tag, members, .. } = btf.resolve(var).1 else { return None };
    let mut ops = StructOps {
        name: name.to_owned(),
        kernel_type: essential(btf.text(*tag)).to_owned(),
        shown_name: String::new(),
        callbacks: Vec::new(),
        numbers: Vec::new(),
        places: Vec::new(),
        left_out: BTreeSet::new(),
    };
    for member in members {
        let offset = base.checked_add(u64::from(member.offset_bits / 8))?;
        let member_name = btf.text(member.name);
        if let Some(target) = targets.get(&offset) {
            ops.callbacks.push((member_name.to_owned(), target.clone()));
            ops.places.push((member_name.to_owned(), (member.offset_bits / 8) as usize));
        } else if let Type::Int { size: size @ 1..=8, .. } = btf.resolve(member.ty).1 {
            let at = (member.offset_bits / 8) as usize;
            ops.numbers.push((member_name.to_owned(), at, *size as usize));
        } else if member_name == "name" {
            let tail = data.get(offset as usize..).unwrap_or(&[]);
            let text = &tail[..tail.len().min(btf.size_of(member.ty).unwrap_or(0) as usize)];
            let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
            ops.shown_name = String::from_utf8_lossy(&text[..end]).into_owned();
        }
    }
    Some(ops)
}
