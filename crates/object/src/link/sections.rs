// SPDX-License-Identifier: GPL-2.0-or-later
//! What the sections of programs mean to a loader: the type of a program, and what it is attached
//! to.

/// First words of the sections that a loader knows a type of program for.
const KNOWN: [&str; 43] = [
    "action",
    "cgroup",
    "cgroup_skb",
    "classifier",
    "fentry",
    "fexit",
    "flow_dissector",
    "fmod_ret",
    "freplace",
    "fsession",
    "iter",
    "kprobe",
    "kretprobe",
    "kretsyscall",
    "ksyscall",
    "lirc_mode2",
    "lsm",
    "lsm_cgroup",
    "lwt_in",
    "lwt_out",
    "lwt_seg6local",
    "lwt_xmit",
    "netfilter",
    "netkit",
    "perf_event",
    "raw_tp",
    "raw_tracepoint",
    "sk_lookup",
    "sk_msg",
    "sk_reuseport",
    "sk_skb",
    "socket",
    "sockops",
    "struct_ops",
    "syscall",
    "tc",
    "tcx",
    "tp",
    "tp_btf",
    "tracepoint",
    "uprobe",
    "uretprobe",
    "xdp",
];

/// First words of programs that are attached to a function of the kernel, and what its name there
/// starts with.
const FUNCTIONS: [(&str, &str); 7] = [
    ("fentry", ""),
    ("fexit", ""),
    ("fmod_ret", ""),
    ("fsession", ""),
    ("iter", "bpf_iter_"),
    ("lsm", "bpf_lsm_"),
    ("lsm_cgroup", "bpf_lsm_"),
];

/// What the programs of a section are attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attachment {
    /// Nothing that has to be there when they are loaded.
    Nothing,
    /// A table of callbacks.
    Table,
    /// A tracepoint, by its name.
    Tracepoint(String),
    /// A function of the kernel, by its name.
    Function(String),
    /// It says nothing, and would have to.
    Missing,
    /// No loader knows such programs.
    Unknown,
}

/// What the programs of a section are attached to. A question mark before its name only says that
/// they are not loaded without being asked for.
pub(crate) fn attachment(section: &str) -> Attachment {
    let section = section.trim_start_matches('?');
    let (words, name) = section.split_once('/').unwrap_or((section, ""));
    let word = words.split('.').next().unwrap_or(words);
    // `vmlinux:` says that no module is meant, which none ever is here.
    let name = name.strip_prefix("vmlinux:").unwrap_or(name);
    let function = FUNCTIONS.iter().find(|(known, _)| *known == word);
    match (word, function) {
        ("tp_btf", _) | (_, Some(_)) if name.is_empty() => Attachment::Missing,
        // Who loads it has to say which program it replaces a function of.
        ("freplace", _) => Attachment::Missing,
        ("tp_btf", _) => Attachment::Tracepoint(name.to_owned()),
        (_, Some((_, prefix))) => Attachment::Function(format!("{prefix}{name}")),
        ("struct_ops", _) => Attachment::Table,
        _ if KNOWN.binary_search(&word).is_ok() => Attachment::Nothing,
        _ => Attachment::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections() {
        let function = |name: &str| Attachment::Function(name.into());
        for (section, expected) in [
            ("syscall", Attachment::Nothing),
            ("kprobe.multi/sched_*", Attachment::Nothing),
            ("struct_ops.s/init", Attachment::Table),
            ("?struct_ops", Attachment::Table),
            ("tp_btf/sched_switch", Attachment::Tracepoint("sched_switch".into())),
            ("?fentry/schedule", function("schedule")),
            ("fexit.s/vmlinux:schedule", function("schedule")),
            ("iter.s/task", function("bpf_iter_task")),
            ("lsm/bprm_check", function("bpf_lsm_bprm_check")),
            ("fentry", Attachment::Missing),
            ("tp_btf/", Attachment::Missing),
            ("freplace/function", Attachment::Missing),
            ("syscal", Attachment::Unknown),
            ("struct_opss/init", Attachment::Unknown),
        ] {
            assert_eq!(attachment(section), expected, "{section}");
        }
        assert!(KNOWN.is_sorted());
    }
}
