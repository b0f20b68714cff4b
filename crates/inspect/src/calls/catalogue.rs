// SPDX-License-Identifier: GPL-2.0-or-later
//! The functions that there are, and those that are wanted.

use super::Pattern;
use super::signature::Signature;
use crate::bpf::{Objects, Scheduler};
use rota_kernel::{CallTarget, Returns};
use rota_object::{Btf, Type, TypeId};
use std::collections::BTreeMap;

/// A function that is traced.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// What the kernel is asked for.
    pub target: CallTarget,
    /// The module that it is of.
    pub module: Option<String>,
    /// The callback that a program is.
    pub callback: Option<String>,
    /// What it takes and returns, if types tell.
    pub signature: Option<Signature>,
}

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Functions whose calls open sessions.
    pub entries: Vec<Pattern>,
    /// Functions that are told within sessions.
    pub allowed: Vec<Pattern>,
    /// Functions that are neither, whatever else takes them.
    pub denied: Vec<Pattern>,
}

/// The table of callbacks of schedulers.
const OPS: &str = "sched_ext_ops";

impl Wanted {
    /// Whether a function is wanted, and opens sessions.
    fn takes(&self, takes: impl Fn(&Pattern) -> bool) -> Option<bool> {
        if self.denied.iter().any(&takes) {
            return None;
        }
        let is_entry = self.entries.iter().any(&takes);
        (is_entry || self.allowed.iter().any(&takes)).then_some(is_entry)
    }

    fn all(&self) -> impl Iterator<Item = &Pattern> {
        self.entries.iter().chain(&self.allowed)
    }

    /// Whether functions of the kernel are wanted.
    pub fn needs_functions(&self) -> bool {
        self.all().any(Pattern::is_of_kernel)
    }

    /// Whether BPF programs are wanted.
    pub fn needs_programs(&self) -> bool {
        self.all().any(|pattern| !pattern.is_of_kernel())
    }

    /// The functions that are wanted, of those that the kernel can trace (a line each of its file
    /// `available_filter_functions`), and of BPF programs. Of functions with the same name there is one.
    ///
    /// # Errors
    /// The first pattern for entries that takes none.
    pub fn choose(
        &self,
        traceable: &str,
        kernel: &Btf,
        objects: &Objects,
        schedulers: &[Scheduler],
    ) -> Result<Vec<Function>, Pattern> {
        let mut chosen = BTreeMap::new();
        // Of some places the kernel does not know the function.
        let known = |line: &&str| !line.starts_with("__ftrace_invalid_address__");
        for line in traceable.lines().filter(known) {
            let (name, module) = match line.split_once(['\t', ' ']) {
                Some((name, module)) => (name, Some(module.trim().trim_matches(['[', ']']))),
                None => (line, None),
            };
            if let Some(is_entry) = self.takes(|pattern| pattern.takes_function(name, module)) {
                chosen.insert(name, (module, is_entry));
            }
        }
        let protos = prototypes(kernel);
        let of_kernel = chosen.into_iter().map(|(name, (module, is_entry))| {
            // Types of modules are not read.
            let proto = protos.get(name).filter(|_| module.is_none());
            let signature = proto.and_then(|proto| Signature::of(kernel, *proto));
            Function::new(name, is_entry, signature, module.map(str::to_owned))
        });
        let mut functions: Vec<_> = of_kernel.collect();
        functions.extend(self.programs((kernel, &protos), objects, schedulers));
        let taken = |pattern: &Pattern| functions.iter().any(|it| it.is_of(pattern));
        match self.entries.iter().find(|pattern| !taken(pattern)) {
            Some(nothing) => Err(nothing.clone()),
            None => Ok(functions),
        }
    }

    fn programs(
        &self,
        (kernel, protos): (&Btf, &Protos<'_>),
        objects: &Objects,
        schedulers: &[Scheduler],
    ) -> Vec<Function> {
        let callbacks: BTreeMap<u32, &str> = schedulers
            .iter()
            .filter(|scheduler| scheduler.enabled)
            .flat_map(|scheduler| &scheduler.callbacks)
            .map(|(name, id)| (*id, name.as_str()))
            .collect();
        let mut functions = Vec::new();
        for program in &objects.programs {
            let callback = callbacks.get(&program.id).copied();
            let is_entry = self.takes(|pattern| pattern.takes_program(&program.name, callback));
            let Some(is_entry) = is_entry else { continue };
            let signature = callback.and_then(|name| callback_signature(kernel, protos, name));
            let mut function = Function::new(&program.name, is_entry, signature, None);
            function.target.program_id = Some(program.id);
            function.target.args_behind = callback.is_some();
            function.callback = callback.map(str::to_owned);
            functions.push(function);
        }
        functions
    }
}

impl Function {
    fn new(
        name: &str,
        is_entry: bool,
        signature: Option<Signature>,
        module: Option<String>,
    ) -> Self {
        let returns = signature.as_ref().map_or(Returns::Other, |it| it.ret.returns());
        let (name, program_id) = (name.to_owned(), None);
        let texts = signature.as_ref().map_or(0, Signature::texts);
        let args_behind = false;
        let target = CallTarget { name, program_id, is_entry, returns, args_behind, texts };
        Self { target, module, callback: None, signature }
    }

    fn is_of(&self, pattern: &Pattern) -> bool {
        match self.target.program_id {
            None => pattern.takes_function(&self.target.name, self.module.as_deref()),
            Some(_) => pattern.takes_program(&self.target.name, self.callback.as_deref()),
        }
    }
}

/// Prototypes of the kernel's functions by their names.
type Protos<'a> = BTreeMap<&'a str, TypeId>;

fn prototypes(kernel: &Btf) -> Protos<'_> {
    let functions = kernel.iter().filter_map(|(_, ty)| match ty {
        Type::Func { name, proto, .. } => Some((kernel.text(*name), *proto)),
        _ => None,
    });
    functions.collect()
}

/// What a callback takes and returns. The functions that stand for callbacks that a scheduler does not
/// have tell names of arguments as well (kernel: `sched_ext_ops__enqueue` and its like).
fn callback_signature(kernel: &Btf, protos: &Protos<'_>, name: &str) -> Option<Signature> {
    if let Some(proto) = protos.get(&*format!("{OPS}__{name}")) {
        return Signature::of(kernel, *proto);
    }
    let (_, members) = kernel.find_struct(OPS)?;
    let member = members.iter().find(|member| kernel.text(member.name) == name)?;
    let Type::Ptr(proto) = kernel.resolve(member.ty).1 else { return None };
    Signature::of(kernel, *proto)
}
