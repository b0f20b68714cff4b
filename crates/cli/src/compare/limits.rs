// SPDX-License-Identifier: GPL-2.0-or-later
//! What readers of measurements have to know: what kind of machine it was, what could not be done.

use crate::sim::contestant::EEVDF;
use rota_compare::{Experiment, Note};
use rota_kernel::Host;
use std::collections::BTreeMap;

/// The word by which a virtual machine of `cargo xtask vm` says that it counts instructions.
const COUNTED: &str = "rota.icount=";

/// All notes; `remarks` by their first words: in how many runs, and one of them.
pub(super) fn notes(
    experiment: &Experiment,
    host: &Host,
    remarks: &BTreeMap<String, (usize, String)>,
) -> Vec<Note> {
    let runs = experiment.seeds.len() * experiment.contestants.len();
    let words = "eevdf is the kernel's default scheduler, with no scheduler of sched_ext";
    let own = experiment.contestants.iter().any(|name| name == EEVDF).then(|| Note {
        contestant: EEVDF.to_owned(),
        is: "the kernel's default scheduler".to_owned(),
        ..of_all(words, "")
    });
    let text = |path| host.proc_text(path).unwrap_or_default();
    let limits = limits(&text("cmdline"), &text("cpuinfo"));
    let remarks = remarks
        .values()
        .map(|(in_runs, words)| of_all(&format!("in {in_runs} of {runs} runs: {words}"), ""));
    own.into_iter().chain(limits).chain(remarks).collect()
}

/// A note that is of no contestant; `more` is for those who want to know all.
fn of_all(short: &str, more: &str) -> Note {
    let (contestant, is) = (String::new(), String::new());
    Note { contestant, is, short: short.to_owned(), text: format!("{short}{more}") }
}

/// What of a machine's numbers is not that of real hardware, by the kernel's command line and what
/// it says of its CPUs.
fn limits(cmdline: &str, cpuinfo: &str) -> Option<Note> {
    let has = |word: &str| cpuinfo.lines().any(|line| line.contains(word));
    if cmdline.split_ascii_whitespace().any(|word| word.starts_with(COUNTED)) {
        return Some(of_all(
            "an emulated machine that counts instructions instead of time: it repeats well, and \
             ranks nothing for real hardware",
            ": its CPUs take turns, so nothing runs at the same time; caches, memory and idle states \
             cost nothing; what one CPU does takes time of all others, and of several CPUs one may be \
             left out for as long as half a second. It is good for comparing a \
             scheduler with another version of itself, and for what its instructions cost",
        ));
    }
    if has("QEMU TCG") {
        return Some(of_all(
            "an emulated machine: the host takes its CPUs away at any time, which no number here \
             shows; it ranks nothing for real hardware",
            "",
        ));
    }
    let hypervisor = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    let hypervisor = hypervisor.flat_map(str::split_ascii_whitespace).any(|it| it == "hypervisor");
    hypervisor.then(|| {
        of_all(
            "a virtual machine: what else its host does is noise, of which only stolen time shows",
            "",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::limits;

    #[test]
    fn kinds_of_machines_are_told_apart() {
        let said = |cmdline, cpuinfo| limits(cmdline, cpuinfo).map(|note| note.short);
        let emulated = "model name : QEMU TCG CPU version 2.5+\nflags : fpu hypervisor lm\n";
        let virtual_one = "model name : Intel(R) Xeon(R)\nflags : fpu hypervisor lm\n";
        let own = "model name : my hypervisor\nflags : fpu lm\n";
        let counted = said("quiet rota.icount=0", emulated).unwrap();
        assert!(counted.contains("counts instructions"), "{counted}");
        assert!(said("quiet", emulated).unwrap().starts_with("an emulated machine: "));
        assert!(said("quiet", virtual_one).unwrap().starts_with("a virtual machine"));
        assert_eq!(said("", own), None);
        assert_eq!(said("", ""), None);
    }
}
