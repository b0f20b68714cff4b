// SPDX-License-Identifier: GPL-2.0-or-later
//! From libbpf's errors and log to a reason.

use crate::host::Host;
use rota_object::Refusal;

const LOG_BEGIN: &str = "-- BEGIN PROG LOAD LOG --\n";
const LOG_END: &str = "-- END PROG LOAD LOG --";

/// The program and the verifier's log inside what libbpf printed about a failed load.
fn verifier_log(printed: &str) -> Option<(String, String)> {
    let begin = printed.find(LOG_BEGIN)?;
    let line = printed[..begin].rsplit('\n').next()?;
    let program = line.split('\'').nth(1)?.to_owned();
    let rest = &printed[begin + LOG_BEGIN.len()..];
    let end = rest.find(LOG_END).unwrap_or(rest.len());
    let log = rest[..end].trim_end_matches("libbpf: ").trim_end();
    let log = log.strip_suffix(&format!("libbpf: prog '{program}':")).unwrap_or(log);
    Some((program, log.trim_end().to_owned()))
}

/// Why loading failed.
pub(crate) fn of_load(host: &Host, error: &libbpf_rs::Error, printed: &str) -> Refusal {
    if let Some((program, log)) = verifier_log(printed).filter(|(_, log)| !log.is_empty()) {
        return Refusal::Verifier { program, log };
    }
    if let Some(obvious) = obvious(host) {
        return obvious;
    }
    if error.kind() == libbpf_rs::ErrorKind::PermissionDenied {
        return Refusal::Permission;
    }
    Refusal::Other(told(error, printed))
}

/// Why attaching failed.
pub(crate) fn of_attach(host: &Host, error: &libbpf_rs::Error, printed: &str) -> Refusal {
    let attached = host.sched_ext().and_then(|s| s.scheduler);
    // Writing over an attached scheduler is refused with EBUSY, whose kind libbpf-rs has no
    // name for.
    if attached.is_some() || format!("{error:#}").contains("busy") {
        return Refusal::Busy(attached);
    }
    obvious(host).unwrap_or_else(|| Refusal::Other(told(error, printed)))
}

/// What makes any attempt futile.
pub(crate) fn obvious(host: &Host) -> Option<Refusal> {
    if !host.sys_has("kernel/btf/vmlinux") {
        return Some(Refusal::NoBtf);
    }
    if host.sched_ext().is_none() {
        return Some(Refusal::NoSchedExt);
    }
    let lacks = host.capabilities().is_some_and(|c| !c.may_load());
    lacks.then_some(Refusal::Permission)
}

/// What libbpf printed, or else its error.
fn told(error: &libbpf_rs::Error, printed: &str) -> String {
    let printed = words(printed);
    if printed.is_empty() { format!("{error:#}") } else { printed }
}

/// libbpf's own words, without its prefix; the last line that names something is the reason.
pub(crate) fn words(printed: &str) -> String {
    let lines = printed.lines().filter_map(|l| l.strip_prefix("libbpf: "));
    let telling: Vec<_> = lines.filter(|l| !l.starts_with("failed to load object")).collect();
    telling.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_cut_out() {
        let printed = "libbpf: prog 'mine_enqueue': BPF program load failed: -EINVAL\n\
                       libbpf: prog 'mine_enqueue': -- BEGIN PROG LOAD LOG --\n\
                       0: R1=ctx()\nR0 invalid mem access\n\
                       -- END PROG LOAD LOG --\nlibbpf: prog 'mine_enqueue': failed to load\n";
        let (program, log) = verifier_log(printed).unwrap();
        assert_eq!(program, "mine_enqueue");
        assert_eq!(log, "0: R1=ctx()\nR0 invalid mem access");
        assert_eq!(verifier_log("libbpf: nothing of the kind\n"), None);
    }
}
