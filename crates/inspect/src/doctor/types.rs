// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether the kernel's type information fits what schedulers declare.
//!
//! From 7.1 on, many functions that schedulers call take one argument more than their callers
//! write: `aux`, which the verifier supplies. When the kernel is built, a tool (resolve_btfids)
//! is to leave two entries for each in the type information: the short prototype under the plain
//! name, and the long one under `NAME_impl`. Some kernels were built with one that forgets some
//! functions, so the plain name carries the long prototype, and the loader refuses every object
//! that calls it: "func_proto incompatible with vmlinux". Debian's 7.1.13 and 7.2.12 are such.

use super::facts::{Facts, KernelBtf};
use super::proto::{ends_in_hidden, fits, without_flavour};
use super::{Finding, count, few};
use object::{Object as _, ObjectSymbol};
use rota_object::{Btf, Object, Type, TypeId};
use std::collections::{BTreeMap, BTreeSet};

const ID: &str = "kfunc_prototypes";
const OPS: &str = "sched_ext_ops";

/// What a scheduler asks of a kernel's types.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// The type information of its object; `None` if the object cannot be read.
    pub btf: Option<Btf>,
    /// The kernel's functions that it declares.
    pub externs: Vec<Extern>,
    /// The members of `sched_ext_ops` that it sets to programs.
    pub callbacks: Vec<String>,
}

/// A function of the kernel that an object declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extern {
    /// Its name in the object, flavour included.
    pub name: String,
    /// Its prototype, in the object's type information.
    pub proto: TypeId,
    /// Whether the object can do without it.
    pub weak: bool,
}

/// The kernel's functions by name, with what is known of each.
struct Functions<'a> {
    btf: &'a Btf,
    protos: BTreeMap<&'a str, TypeId>,
    /// Those with a hidden parameter that the tool has forgotten.
    forgotten: Vec<String>,
}

/// How a scheduler gets along with a kernel.
#[derive(Debug, Default)]
struct Match {
    absent: Vec<String>,
    misfits: Vec<String>,
    /// Members of the table of callbacks that the kernel does not know.
    unknown_callbacks: Vec<String>,
}

impl Candidate {
    /// What an object file asks for.
    pub fn of_object(name: &str, bytes: &[u8]) -> Self {
        let object = Object::parse(bytes).ok();
        let btf = object.as_ref().map(|o| o.btf().clone());
        let ops = object.as_ref().and_then(Object::scheduler);
        let callbacks = ops.map(|o| o.callbacks.iter().map(|(m, _)| m.clone()).collect());
        Self {
            name: name.to_owned(),
            externs: btf.as_ref().map(|b| externs(b, &weak_symbols(bytes))).unwrap_or_default(),
            callbacks: callbacks.unwrap_or_default(),
            btf,
        }
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let kernel = match &facts.btf {
        KernelBtf::Read { btf, .. } if btf.find_struct(OPS).is_some() => btf,
        _ => return not_compared(facts),
    };
    let functions = Functions::of(kernel);
    let matches: Vec<_> =
        facts.schedulers.iter().map(|s| (s.name.as_str(), functions.compare(s))).collect();
    let mut findings = vec![prototypes(&functions, &matches)];
    findings.extend(matches.iter().map(|(name, outcome)| scheduler(name, outcome)));
    findings
}

fn not_compared(facts: &Facts) -> Vec<Finding> {
    let (found, means) = match &facts.btf {
        KernelBtf::Read { .. } => {
            ("not compared: the kernel has no sched_ext", "There is nothing to compare with.")
        }
        _ => ("not compared: no type information was read", "It cannot be told."),
    };
    let mut findings = vec![Finding::unknown(ID, found, means)];
    findings.extend(
        facts.schedulers.iter().map(|s| Finding::unknown(&scheduler_id(&s.name), found, means)),
    );
    findings
}

fn scheduler_id(name: &str) -> String {
    format!("scheduler_{name}")
}

fn prototypes(functions: &Functions<'_>, matches: &[(&str, Match)]) -> Finding {
    let all = |pick: fn(&Match) -> &Vec<String>| {
        let names: BTreeSet<_> = matches.iter().flat_map(|m| pick(&m.1).iter().cloned()).collect();
        names.into_iter().collect::<Vec<_>>()
    };
    let (misfits, absent) = (all(|m| &m.misfits), all(|m| &m.absent));
    let hit = misfits.iter().any(|name| functions.forgotten.contains(name));
    let (finding, reason) = if hit || (misfits.is_empty() && !functions.forgotten.is_empty()) {
        let reason = "this kernel's type information has broken function prototypes \
                      (func_proto incompatible with vmlinux)";
        (forgotten(functions, &misfits, hit.then(|| concerned(matches))), reason)
    } else if !misfits.is_empty() || !absent.is_empty() {
        let reason = "this kernel's functions are not those that Rota's schedulers call";
        (foreign(&misfits, &absent, &concerned(matches)), reason)
    } else {
        let callable = functions.protos.keys().filter(|n| is_plain(n)).count();
        let found =
            format!("{} of sched_ext, as their callers expect", count(callable, "function"));
        (Finding::ok(ID, found, "Schedulers find the functions they call."), "")
    };
    let none_loads = !matches.is_empty() && matches.iter().all(|m| !m.1.loads());
    if none_loads { finding.block(reason) } else { finding }
}

/// Whether this is the name by which schedulers call a function of sched_ext.
fn is_plain(name: &str) -> bool {
    name.trim_start_matches('_').starts_with("scx_bpf_") && !name.ends_with("_impl")
}

/// Functions that have kept a hidden parameter, and which of Rota's schedulers call one. Those
/// that they call are named first.
fn forgotten(
    functions: &Functions<'_>,
    called: &[String],
    callers: Option<Vec<String>>,
) -> Finding {
    let mut names = functions.forgotten.clone();
    names.sort_by_key(|name| !called.contains(name));
    let found = format!(
        "{} with one parameter too many in the kernel's type information: {}",
        count(names.len(), "function"),
        few(&names)
    );
    let cause = "The kernel was built with a faulty or too old tool (resolve_btfids, pahole), \
                 which left a hidden parameter (aux) in these prototypes.";
    let finding = match callers {
        Some(callers) => Finding::missing(
            ID,
            found,
            format!(
                "{cause} No scheduler that calls one of them can be loaded: the loader says \
                 \"func_proto incompatible with vmlinux\". Of Rota's schedulers that concerns {}.",
                few(&callers)
            ),
        ),
        None => Finding::warn(
            ID,
            found,
            format!(
                "{cause} Rota's own schedulers call none of them; a scheduler that does is \
                 refused with \"func_proto incompatible with vmlinux\"."
            ),
        ),
    };
    finding.advise(
        "Use another build of the kernel, such as 7.0 or 7.3 of Debian's backports. No setting \
         cures this one.",
    )
}

/// Functions that were changed, or that are not there.
fn foreign(misfits: &[String], absent: &[String], callers: &[String]) -> Finding {
    let parts = [("other prototypes: ", misfits), ("not there: ", absent)];
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    let found: Vec<_> = parts.map(|(what, names)| format!("{what}{}", few(names))).collect();
    Finding::missing(
        ID,
        found.join("; "),
        format!("This kernel's functions are not those that {} declares.", few(callers)),
    )
    .advise("Use a kernel that Rota was tested on, or a newer Rota.")
}

fn concerned(matches: &[(&str, Match)]) -> Vec<String> {
    let those = matches.iter().filter(|m| !m.1.loads());
    those.map(|m| m.0.to_owned()).collect()
}

fn scheduler(name: &str, outcome: &Match) -> Finding {
    let id = scheduler_id(name);
    let problems = outcome.problems();
    if !outcome.loads() {
        return Finding::missing(&id, problems, format!("{name} cannot be loaded on this kernel."))
            .advise("Use a kernel that Rota was tested on: 6.16, 6.18, 7.0 or 7.3.");
    }
    if problems.is_empty() {
        return Finding::ok(
            &id,
            "the kernel has every function and callback it needs",
            "As far as types go, it can be loaded.",
        );
    }
    Finding::warn(
        &id,
        problems,
        format!("{name} can be loaded, but this kernel never calls these callbacks."),
    )
}

impl<'a> Functions<'a> {
    fn of(btf: &'a Btf) -> Self {
        let mut protos = BTreeMap::new();
        let mut tagged = BTreeSet::new();
        for (_, ty) in btf.iter() {
            match ty {
                Type::Func { name, proto, .. } => {
                    protos.entry(btf.text(*name)).or_insert(*proto);
                }
                Type::DeclTag { text, target, .. } if btf.text(*text) == "bpf_kfunc" => {
                    tagged.insert(*target);
                }
                _ => {}
            }
        }
        let callable: BTreeSet<_> = tagged
            .into_iter()
            .filter_map(|id| match btf.get(id) {
                Type::Func { name, .. } => Some(btf.text(*name)),
                _ => None,
            })
            .chain(protos.keys().copied().filter(|n| n.starts_with("scx_bpf_")))
            .collect();
        let is_forgotten = |name: &&str| {
            let hidden = protos.get(*name).is_some_and(|&p| match btf.get(p) {
                Type::FuncProto { params, .. } => ends_in_hidden(btf, params),
                _ => false,
            });
            hidden && !name.ends_with("_impl") && !protos.contains_key(&*format!("{name}_impl"))
        };
        let forgotten = callable.into_iter().filter(is_forgotten).map(str::to_owned).collect();
        Self { btf, protos, forgotten }
    }

    fn compare(&self, scheduler: &Candidate) -> Match {
        let mut outcome = Match::default();
        let Some(btf) = &scheduler.btf else { return outcome };
        for wanted in scheduler.externs.iter().filter(|e| !e.weak) {
            let name = without_flavour(&wanted.name);
            match self.protos.get(name) {
                None => outcome.absent.push(name.to_owned()),
                Some(&proto) if !fits((btf, wanted.proto), (self.btf, proto)) => {
                    outcome.misfits.push(name.to_owned());
                }
                Some(_) => {}
            }
        }
        let members = self.btf.find_struct(OPS).map_or(&[][..], |(_, members)| members);
        let known = |name: &str| members.iter().any(|m| self.btf.text(m.name) == name);
        let unknown = scheduler.callbacks.iter().filter(|c| !known(c));
        outcome.unknown_callbacks = unknown.cloned().collect();
        outcome
    }
}

impl Match {
    fn loads(&self) -> bool {
        self.absent.is_empty() && self.misfits.is_empty()
    }

    fn problems(&self) -> String {
        let parts = [
            ("the kernel lacks ", &self.absent),
            ("other prototypes in the kernel: ", &self.misfits),
            ("callbacks that the kernel does not know: ", &self.unknown_callbacks),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        parts.map(|(what, names)| format!("{what}{}", few(names))).collect::<Vec<_>>().join("; ")
    }
}

/// The functions in the section `.ksyms` of an object's type information.
fn externs(btf: &Btf, weak: &BTreeSet<String>) -> Vec<Extern> {
    let sections = btf.iter().filter_map(|(_, ty)| match ty {
        Type::DataSec { name, vars, .. } if btf.text(*name) == ".ksyms" => Some(vars),
        _ => None,
    });
    let functions = sections.flatten().filter_map(|&(id, ..)| match btf.get(id) {
        Type::Func { name, proto, .. } => {
            let name = btf.text(*name).to_owned();
            Some(Extern { weak: weak.contains(&name), name, proto: *proto })
        }
        _ => None,
    });
    functions.collect()
}

fn weak_symbols(bytes: &[u8]) -> BTreeSet<String> {
    let Ok(file) = object::read::elf::ElfFile64::<object::Endianness>::parse(bytes) else {
        return BTreeSet::new();
    };
    let weak = file.symbols().filter(ObjectSymbol::is_weak);
    weak.filter_map(|s| s.name().ok().map(str::to_owned)).collect()
}
