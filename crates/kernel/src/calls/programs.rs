// SPDX-License-Identifier: GPL-2.0-or-later
//! Attaches to BPF programs, to several at a time: for each, the kernel waits until no CPU is in what it
//! replaces, which takes longer than everything else.

use super::object::{Failed, load_for};
use super::{CallOptions, CallTarget, missing, system};
use crate::log;
use libbpf_rs::{Link, Object};
use rota_object::EngineError;
use std::thread;

/// How many at a time.
const AT_A_TIME: usize = 16;

/// An object with the two programs that trace another, and what keeps them attached.
type Attached = (Object, Vec<Link>);

/// Attaches to all BPF programs among these functions.
pub(super) fn attach<'a>(
    bytes: &[u8],
    targets: &'a [CallTarget],
    options: &CallOptions,
    first: &Object,
) -> Vec<(&'a CallTarget, Result<Attached, EngineError>)> {
    let wanted = targets.iter().enumerate();
    let wanted: Vec<_> = wanted.filter_map(|(at, it)| Some((at, it, it.program_id?))).collect();
    let one = |&(at, target, id): &(usize, &CallTarget, u32)| {
        let object = load_for(bytes, options, target.cookie(at), (id, &target.name), first)?;
        let links = pair(&object).map_err(Failed::Other)?;
        Ok::<Attached, Failed>((object, links))
    };
    let (attached, _) = log::capture(|| together(&wanted, |it| one(it).ok()));
    let attached = wanted.iter().zip(attached).map(|(it, attached)| {
        // Once more and alone, for what is printed about it.
        let alone = || {
            let (attached, printed) = log::capture(|| one(it));
            attached.map_err(|failed| with_printed(failed.explained(&printed), &printed))
        };
        (it.1, attached.map_or_else(alone, Ok))
    });
    attached.collect()
}

/// Does something with each, several at a time; the results in their order.
fn together<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> Option<R> + Sync) -> Vec<Option<R>> {
    let count = all.len().div_ceil(AT_A_TIME).max(1);
    let work = |some: &[T]| some.iter().map(&each).collect::<Vec<_>>();
    thread::scope(|scope| {
        let work = &work;
        let some = all.chunks(count);
        let threads = some.map(|some| (some.len(), scope.spawn(move || work(some))));
        let threads: Vec<_> = threads.collect();
        let join = |(count, thread): (usize, thread::ScopedJoinHandle<'_, Vec<Option<R>>>)| {
            thread.join().unwrap_or_else(|_| (0..count).map(|_| None).collect())
        };
        threads.into_iter().flat_map(join).collect()
    })
}

/// An error of the system with what libbpf printed.
fn with_printed(error: EngineError, printed: &str) -> EngineError {
    match error {
        EngineError::System { what, error } => EngineError::System {
            what,
            error: format!("{error} {}", printed.trim()).trim().to_owned(),
        },
        other => other,
    }
}

/// Attaches both programs of an object, that of ends first.
fn pair(object: &Object) -> Result<Vec<Link>, EngineError> {
    let mut links = Vec::new();
    for name in ["program_ends", "program_begins"] {
        let program = object.progs_mut().find(|program| program.name() == name);
        let program = program.ok_or_else(|| missing("a program"))?;
        links.push(program.attach_trace().map_err(|e| system("attaching", &e))?);
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stay_in_their_order() {
        for count in [0, 1, 15, 16, 17, 100] {
            let all: Vec<usize> = (0..count).collect();
            let odd = |it: &usize| (it % 2 == 1).then_some(it * 3);
            let expected: Vec<_> = all.iter().map(odd).collect();
            assert_eq!(together(&all, odd), expected);
        }
    }
}
