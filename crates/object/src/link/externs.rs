// SPDX-License-Identifier: GPL-2.0-or-later
//! What an object takes from a kernel by name: functions, variables, and values of the
//! configuration.

use crate::btf::{Btf, TypeId};
use crate::btf_decl::Type;
use crate::configuration::Configuration;
use crate::elf::File;
use crate::image::{Kfunc, Variable};
use crate::kernel_types::KernelTypes;
use crate::link::error::Problem;
use crate::minimise;
use crate::name::essential;
use crate::relocate::compat::{Pair, TooDeep, name_of};
use object::{Object as _, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;

/// Linkage of a declaration in type information.
const EXTERN: u32 = 2;

/// One name that an object takes from a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extern {
    pub(crate) name: String,
    pub(crate) symbol: usize,
    /// Whether the object can do without.
    pub(crate) weak: bool,
    pub(crate) kind: ExternKind,
}

/// What kind of thing is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExternKind {
    /// A function, with its prototype.
    Function(TypeId),
    /// A variable, with its type; `void` is any symbol.
    Variable(TypeId),
    /// A value of the configuration.
    Config(Config),
}

/// Size, alignment and form of a value of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Config {
    pub(crate) size: u64,
    align: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Bool,
    Char,
    Tristate,
    Number { signed: bool },
    Text,
}

/// Every undefined symbol of an object. What has no type is told as a problem.
pub(crate) fn read(file: &File<'_>, btf: &Btf) -> (Vec<Extern>, Vec<(String, Problem)>) {
    let (declared, sections) = declarations(btf);
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for symbol in file.symbols() {
        let Ok(name) = symbol.name() else { continue };
        let undefined = symbol.is_undefined() && symbol.kind() == SymbolKind::Unknown;
        if !undefined || symbol.is_local() || name.is_empty() {
            continue;
        }
        let kind = declared.get(name).and_then(|&(id, ty)| kind(btf, ty, sections.get(&id)?));
        match kind {
            Some(kind) => {
                let (name, weak) = (name.to_owned(), symbol.is_weak());
                found.push(Extern { name, symbol: symbol.index().0, weak, kind });
            }
            None => problems.push((name.to_owned(), Problem::Untyped)),
        }
    }
    (found, problems)
}

/// Declarations by name, each with its type.
type Declared<'a> = BTreeMap<&'a str, (TypeId, TypeId)>;

/// All declarations, and the section that each is in.
fn declarations(btf: &Btf) -> (Declared<'_>, BTreeMap<TypeId, &str>) {
    let (mut declared, mut sections) = (BTreeMap::new(), BTreeMap::new());
    for (id, ty) in btf.iter() {
        match ty {
            Type::Var { name, target: ty, linkage: EXTERN }
            | Type::Func { name, proto: ty, linkage: EXTERN } => {
                declared.entry(btf.text(*name)).or_insert((id, *ty));
            }
            Type::DataSec { name, vars, .. } => {
                sections.extend(vars.iter().map(|v| (v.0, btf.text(*name))));
            }
            _ => {}
        }
    }
    (declared, sections)
}

/// What a declaration of this type in a section takes; `None` if no loader knows it.
pub(crate) fn kind(btf: &Btf, ty: TypeId, section: &str) -> Option<ExternKind> {
    let (resolved, found) = btf.resolve(ty);
    match (section, found) {
        (".ksyms", Type::FuncProto { .. }) => Some(ExternKind::Function(resolved)),
        (".ksyms", _) => Some(ExternKind::Variable(resolved)),
        (".kconfig", Type::FuncProto { .. }) => None,
        (".kconfig", _) => {
            let (size, form) = (btf.size_of(ty)?, form(btf, ty)?);
            let align = if form == Form::Text { 1 } else { size };
            Some(ExternKind::Config(Config { size, align, form }))
        }
        _ => None,
    }
}

fn form(btf: &Btf, ty: TypeId) -> Option<Form> {
    match btf.resolve(ty).1 {
        Type::Int { boolean: true, size, .. } => (*size == 1).then_some(Form::Bool),
        Type::Int { size: 1, .. } => Some(Form::Char),
        Type::Int { size: 2 | 4 | 8, signed, .. } => Some(Form::Number { signed: *signed }),
        Type::Enum { name, size, wide, .. } => {
            let tristate = btf.text(*name) == "libbpf_tristate" && (*wide || *size == 4);
            tristate.then_some(Form::Tristate)
        }
        Type::Array { element, len: 1.., .. } => {
            matches!(form(btf, *element), Some(Form::Char)).then_some(Form::Text)
        }
        _ => None,
    }
}

/// The section `.kconfig`, filled in.
#[derive(Debug, Default)]
pub(crate) struct Configured {
    pub(crate) bytes: Vec<u8>,
    /// Where the value of each symbol is.
    pub(crate) places: BTreeMap<usize, u64>,
    /// What is wrong with values.
    pub(crate) problems: Vec<(String, Problem)>,
}

/// Fills in the values of the configuration.
pub(crate) fn configure(externs: &[Extern], kernel: &KernelTypes) -> Configured {
    let mut wanted: Vec<(&Extern, Config)> = externs
        .iter()
        .filter_map(|e| match e.kind {
            ExternKind::Config(config) => Some((e, config)),
            _ => None,
        })
        .collect();
    // As libbpf lays them out: by falling alignment, then by size and name.
    wanted.sort_by_key(|(e, c)| (u64::MAX - c.align, c.size, e.name.clone()));
    let Configured { mut bytes, mut places, mut problems } = Configured::default();
    for (wanted, config) in wanted {
        let at = (bytes.len() as u64).next_multiple_of(config.align.max(1));
        places.insert(wanted.symbol, at);
        bytes.resize((at + config.size.min(CONFIG_MAX)) as usize, 0);
        let tail = bytes.get_mut(at as usize..).unwrap_or(&mut []);
        match value(wanted, config, kernel.configuration()) {
            Ok(value) => tail.iter_mut().zip(value).for_each(|(to, from)| *to = from),
            Err(problem) => problems.push((wanted.name.clone(), problem)),
        }
    }
    Configured { bytes, places, problems }
}

/// No value is longer; a made-up array may claim to be.
const CONFIG_MAX: u64 = 1 << 16;

/// The bytes of one value; none of them stay zero.
fn value(
    wanted: &Extern,
    config: Config,
    configuration: &Configuration,
) -> Result<Vec<u8>, Problem> {
    let name = wanted.name.as_str();
    if name.starts_with("CONFIG_") {
        return match configuration.values.get(name) {
            Some(text) => from_text(text, config),
            None if wanted.weak => Ok(Vec::new()),
            None => Err(Problem::NoConfig),
        };
    }
    match name {
        "LINUX_KERNEL_VERSION" => number(configuration.version_code(), config),
        // Every supported kernel has both.
        "LINUX_HAS_BPF_COOKIE" | "LINUX_HAS_SYSCALL_WRAPPER" => number(1, config),
        _ if name.starts_with("LINUX_") && wanted.weak => number(0, config),
        _ => Err(Problem::UnknownVirtual),
    }
}

fn from_text(text: &str, config: Config) -> Result<Vec<u8>, Problem> {
    let unfit = || Problem::ConfigValue(text.to_owned());
    match (text.as_bytes(), config.form) {
        ([b'y', ..], Form::Bool) => Ok(vec![1]),
        ([b'n', ..], Form::Bool) => Ok(vec![0]),
        ([b'n', ..], Form::Tristate) => Ok(vec![0]),
        ([b'y', ..], Form::Tristate) => Ok(vec![1]),
        ([b'm', ..], Form::Tristate) => Ok(vec![2]),
        ([letter @ (b'y' | b'n' | b'm'), ..], Form::Char) => Ok(vec![*letter]),
        ([b'"', inner @ .., b'"'], Form::Text) => {
            let room = config.size.saturating_sub(1) as usize;
            Ok(inner.iter().take(room).copied().collect())
        }
        ([b'y' | b'n' | b'm' | b'"', ..], _) => Err(unfit()),
        (_, Form::Number { .. } | Form::Char) => {
            number(parse(text).ok_or_else(unfit)?, config).map_err(|_| unfit())
        }
        _ => Err(unfit()),
    }
}

/// A number as C writes it: decimal, hexadecimal or octal, with a sign or without.
fn parse(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, base) = match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (_, Some(octal)) if !octal.is_empty() => (octal, 8),
        _ => (digits, 10),
    };
    let number = u64::from_str_radix(digits, base).ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

fn number(value: u64, config: Config) -> Result<Vec<u8>, Problem> {
    let bits = config.size * 8;
    let fits = match config.form {
        Form::Bool => value <= 1,
        Form::Number { .. } | Form::Char if bits >= 64 => true,
        Form::Number { signed: true } => value.wrapping_add(1 << (bits - 1)) < 1 << bits,
        Form::Number { .. } | Form::Char => value >> bits == 0,
        _ => false,
    };
    if fits {
        Ok(value.to_le_bytes().to_vec())
    } else {
        Err(Problem::ConfigValue(value.to_string()))
    }
}

/// Finds a function of the kernel; none if a weak one is missing or of another prototype.
pub(crate) fn function(
    wanted: &Extern,
    proto: TypeId,
    local: &Btf,
    kernel: &KernelTypes,
) -> Result<Kfunc, Problem> {
    let name = essential(&wanted.name);
    let func = kernel.function(name);
    let fits = match func.map(|f| kernel.btf().get(f)) {
        Some(Type::Func { proto: theirs, .. }) => {
            let compared = Pair::new(local, kernel.btf()).compatible(proto, *theirs);
            compared.map_err(|TooDeep| Problem::TooDeep)?
        }
        _ => false,
    };
    match (func, fits || wanted.weak) {
        (None, false) => Err(Problem::NoFunction),
        (Some(_), false) => Err(Problem::Prototype),
        (func, true) => Ok(Kfunc { name: name.to_owned(), func: func.filter(|_| fits) }),
    }
}

/// Finds a variable of the kernel; none if a weak one is missing.
pub(crate) fn variable(
    wanted: &Extern,
    ty: TypeId,
    local: &Btf,
    kernel: &KernelTypes,
) -> Result<Variable, Problem> {
    let name = wanted.name.clone();
    if ty == TypeId(0) {
        // Any symbol: a loader looks for it in the running kernel's table of symbols, which has more
        // than its types do.
        let var = kernel.variable(&name).or_else(|| kernel.function(&name));
        return Ok(Variable { per_cpu: false, name, var, size: 0 });
    }
    let Some(var) = kernel.variable(&name) else {
        if kernel.is_abridged() && !minimise::keeps_variable(local, ty) {
            return Err(Problem::LeftOut("variable".into()));
        }
        let absent = Variable { name, var: None, size: 0, per_cpu: false };
        return if wanted.weak { Ok(absent) } else { Err(Problem::NoVariable) };
    };
    let btf = kernel.btf();
    let Type::Var { target, .. } = btf.get(var) else { return Err(Problem::NoVariable) };
    let theirs = btf.resolve(*target).0;
    let compared = Pair::new(local, btf).compatible(ty, theirs);
    if !compared.map_err(|TooDeep| Problem::TooDeep)? {
        let named = |btf: &Btf, id| name_of(btf, btf.get(id)).to_owned();
        return Err(Problem::VariableType(named(local, ty), named(btf, theirs)));
    }
    let size = btf.size_of(*target).unwrap_or(0);
    Ok(Variable { per_cpu: kernel.is_per_cpu(var), name, var: Some(var), size })
}
