// SPDX-License-Identifier: GPL-2.0-or-later
//! Asks the kernel's verifier about each program of an object, without attaching anything.
//!
//! The object is loaded whole, as for a run. libbpf gives up at the first program that is
//! rejected, so that one is noted and left out of the next attempt, until the rest is loaded: a
//! rejected program hides no other. At last each rejected one is loaded alone, for the steps that
//! led to its rejection.

use crate::host::Host;
use crate::log;
use crate::plan::{self, Plan};
use crate::refusal;
use crate::verify_load::{self, Amount, Attempted};
use libbpf_rs::{ObjectBuilder, OpenObject};
use rota_object::{EngineError, Object, Refusal};
use std::collections::BTreeMap;

/// What the kernel said about an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// The programs that a run would load, in the order of the object.
    pub programs: Vec<VerifiedProgram>,
    /// Why the object as a whole can't be loaded on this kernel, in the loader's words: a function
    /// or a member that the kernel does not have. Then no program is accepted.
    pub refused: Option<String>,
}

/// What the kernel said about one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProgram {
    /// Its name.
    pub name: String,
    /// Whether the verifier accepted it.
    pub accepted: bool,
    /// Size in instructions, functions that it calls included.
    pub insns: usize,
    /// Size of its machine code; 0 if it was rejected.
    pub jited_bytes: u64,
    /// Its type, in libbpf's words.
    pub program_type: String,
    /// What it is attached to: the callback of a `struct_ops` program, else libbpf's word.
    pub attach_type: String,
    /// The verifier's figures, as it prints them.
    pub stats: String,
    /// The verifier's steps, if the program was rejected.
    pub steps: String,
}

/// Asks the verifier about every program of an object, prepared as planned.
///
/// # Errors
/// [`EngineError::Refused`] if this kernel, or this user, can't load such an object at all.
pub fn verify(bytes: &[u8], plan: &Plan) -> Result<Verification, EngineError> {
    if let Some(reason) = obvious(plan.object(), plan.host()) {
        return Err(EngineError::Refused(reason));
    }
    let subject = Subject { bytes, plan };
    let mut rejected: BTreeMap<String, (Attempted, String)> = BTreeMap::new();
    let (last, refused) = loop {
        let attempt = subject.attempt(verify_load::STATS, |name| !rejected.contains_key(name))?;
        if attempt.loaded {
            break (attempt, None);
        }
        let culprit = culprit(&attempt.printed).filter(|name| !rejected.contains_key(*name));
        let program = culprit.and_then(|name| attempt.programs.iter().find(|p| p.name == name));
        match program {
            // The verifier says something whenever it rejects; the system call says nothing.
            _ if program.is_none_or(|p| p.log.is_empty()) && forbidden(&attempt.printed) => {
                return Err(EngineError::Refused(Refusal::Permission));
            }
            Some(program) => {
                let name = program.name.clone();
                rejected.insert(name, (program.clone(), attempt.printed.clone()));
            }
            None => {
                let words = refusal::words(&attempt.printed);
                break (attempt, Some(words));
            }
        }
    };
    let mut result = Verification { refused, ..Verification::default() };
    for program in last.programs {
        if let Some((program, printed)) = rejected.remove(&program.name) {
            let steps = subject.steps(&program.name)?;
            let steps = if steps.is_empty() { refusal::words(&printed) } else { steps };
            result.programs.push(subject.verified(program, steps));
        } else if program.wanted {
            result.programs.push(subject.verified(program, String::new()));
        }
    }
    Ok(result)
}

struct Subject<'a> {
    bytes: &'a [u8],
    plan: &'a Plan,
}

struct Attempt {
    loaded: bool,
    programs: Vec<Attempted>,
    printed: String,
}

impl Subject<'_> {
    /// Loads the programs whose names are wanted, with all that belongs to them.
    fn attempt(
        &self,
        amount: Amount,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Attempt, EngineError> {
        // The verifier's messages call the maps of data sections by this name.
        let name = self.plan.object().scheduler().map_or("object", |ops| &ops.name);
        let mut builder = ObjectBuilder::default();
        let open = || builder.name(name)?.open_memory(self.bytes);
        let (opened, printed) = log::capture(open);
        let mut open = opened.map_err(|_| other(&printed))?;
        self.plan.apply(&mut open)?;
        leave_out(&mut open, self.plan.object(), wanted);
        let ((loaded, programs), printed) = log::capture(|| verify_load::load(open, amount));
        Ok(Attempt { loaded, programs, printed })
    }

    /// The verifier's steps before it rejects a program.
    fn steps(&self, program: &str) -> Result<String, EngineError> {
        let attempt = self.attempt(verify_load::STEPS, |name| name == program)?;
        let found = attempt.programs.into_iter().find(|p| p.name == program);
        Ok(found.map(|p| p.log).unwrap_or_default())
    }

    fn verified(&self, program: Attempted, steps: String) -> VerifiedProgram {
        let tables = self.plan.object().struct_ops().iter();
        let callback = tables.flat_map(|ops| &ops.callbacks).find(|(_, p)| *p == program.name);
        let attach_type = callback.map_or(program.attach_type, |(member, _)| member.clone());
        VerifiedProgram {
            name: program.name,
            accepted: program.loaded,
            insns: program.insns,
            jited_bytes: program.jited_bytes,
            program_type: program.program_type,
            attach_type,
            stats: program.log,
            steps,
        }
    }
}

/// Leaves out programs. libbpf loads a `struct_ops` program whenever a table names it, so it has to
/// be taken out of the table.
fn leave_out(open: &mut OpenObject, object: &Object, wanted: impl Fn(&str) -> bool) {
    for mut program in open.progs_mut() {
        if program.name().to_str().is_some_and(|name| !wanted(name)) {
            program.set_autoload(false);
        }
    }
    for table in object.struct_ops() {
        let unwanted = table.callbacks.iter().filter(|(_, program)| !wanted(program));
        for offset in unwanted.filter_map(|(member, _)| table.place(member)) {
            // A table without this member is one without the program.
            let _ = plan::write(open, |name| name == table.name, offset, &[0; 8]);
        }
    }
}

/// The program that libbpf could not load.
fn culprit(printed: &str) -> Option<&str> {
    let line = printed.lines().find(|line| line.contains("': failed to load: "))?;
    line.split('\'').nth(1)
}

/// What makes any attempt futile. An object without a scheduler needs no sched_ext.
fn obvious(object: &Object, host: &Host) -> Option<Refusal> {
    let reason = refusal::obvious(host)?;
    (reason != Refusal::NoSchedExt || object.scheduler().is_some()).then_some(reason)
}

fn forbidden(printed: &str) -> bool {
    printed.contains("-EPERM")
}

fn other(printed: &str) -> EngineError {
    EngineError::Refused(Refusal::Other(refusal::words(printed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_culprit_is_found() {
        let printed = "libbpf: prog 'a': BPF program load failed: -EINVAL\n\
                       libbpf: prog 'a': failed to load: -EINVAL\nlibbpf: failed to load object\n";
        assert_eq!(culprit(printed), Some("a"));
        assert!(refusal::words(printed).ends_with("'a': failed to load: -EINVAL"));
        assert_eq!(culprit("libbpf: extern (func ksym) 'f': not found in kernel BTF\n"), None);
    }
}
