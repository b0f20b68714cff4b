// SPDX-License-Identifier: GPL-2.0-or-later
//! What the caller may do, what the kernel lets BPF do, and who is there already.

use super::facts::{Facts, SchedExtFacts};
use super::kernel::words;
use super::{Finding, count, few};
use rota_kernel::{Capability, Holder};
use rota_object::Refusal;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![
        capabilities(facts),
        bpf_syscall(facts),
        unprivileged(facts),
        jit(facts),
        lockdown(facts),
    ];
    if let Some(state) = &facts.sched_ext {
        findings.push(attached(facts, state));
        findings.push(history(state));
    }
    findings
}

fn capabilities(facts: &Facts) -> Finding {
    const ID: &str = "capabilities";
    let Some(held) = facts.capabilities else {
        return Finding::unknown(ID, "/proc/self/status cannot be read", "It cannot be told.")
            .advise("Mount /proc.");
    };
    let who = match facts.uid {
        Some(0) => "root".to_owned(),
        Some(uid) => format!("user {uid}"),
        None => "this user".to_owned(),
    };
    let (with, without): (Vec<_>, Vec<_>) = Capability::ALL.into_iter().partition(|&c| held.has(c));
    let found = match (&with[..], &without[..]) {
        ([], _) => format!("{who}, without any of {}", names(&without)),
        (_, []) => format!("{who}, with {}", names(&with)),
        _ => format!("{who}, with {}; without {}", names(&with), names(&without)),
    };
    if facts.user_namespace && held.may_load() {
        return in_user_namespace(facts, &found);
    }
    if !held.may_load() {
        return Finding::missing(ID, found, "This user cannot load schedulers.")
            .advise("Run as root, or give the program CAP_BPF and CAP_PERFMON.")
            .block(words(Refusal::Permission));
    }
    if !held.has(Capability::SysAdmin) {
        return Finding::warn(
            ID,
            found,
            "Schedulers can be loaded. Without CAP_SYS_ADMIN nobody else's BPF objects can be \
             listed, nor kernel modules searched for functions.",
        )
        .advise("Run as root for these.");
    }
    Finding::ok(ID, found, "Schedulers can be loaded.")
}

fn in_user_namespace(facts: &Facts, found: &str) -> Finding {
    let finding = Finding::missing(
        "capabilities",
        format!("{found}; but inside a user namespace"),
        "Capabilities of a user namespace do not count for loading schedulers.",
    )
    .advise("Run on the host, or in a container without user namespaces.");
    // A token may have been delegated to the namespace; the attempt knows better.
    if facts.bpf.is_some_and(|b| b.works) {
        return finding;
    }
    finding.block("this is a user namespace, whose capabilities do not count for bpf(2)")
}

fn names(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ")
}

fn bpf_syscall(facts: &Facts) -> Finding {
    const ID: &str = "bpf_syscall";
    let configured = facts.config.as_ref().map(|c| c.has("BPF_SYSCALL"));
    match (facts.bpf, facts.unprivileged_bpf.is_some() || configured == Some(true)) {
        (Some(probe), _) if probe.works => {
            Finding::ok(ID, "bpf(2) works: a map was made and dropped", "BPF can be used.")
        }
        (Some(_), true) => Finding::missing(
            ID,
            "bpf(2) refuses to make a map, despite the capabilities",
            "A security module, a seccomp filter or a container forbids it.",
        )
        .advise("Run on the host, or relax the filter; with systemd, see SystemCallFilter=.")
        .block("something forbids bpf(2) here"),
        (None, true) => Finding::unknown(
            ID,
            "in the kernel; not tried without the capabilities",
            "It cannot be told whether a filter forbids it.",
        ),
        (None, false) if facts.release.is_none() => {
            Finding::unknown(ID, "/proc cannot be read", "It cannot be told.")
        }
        (_, false) => Finding::missing(
            ID,
            "no bpf(2) in this kernel",
            "No BPF program can be loaded, so no scheduler.",
        )
        .advise("Boot a kernel built with CONFIG_BPF_SYSCALL.")
        .block("this kernel was built without bpf(2) (CONFIG_BPF_SYSCALL)"),
    }
}

fn unprivileged(facts: &Facts) -> Finding {
    const ID: &str = "unprivileged_bpf";
    let privileged = "Schedulers take capabilities in any case.";
    match facts.unprivileged_bpf.as_deref() {
        Some("0") => Finding::warn(
            ID,
            "allowed to every user (kernel.unprivileged_bpf_disabled=0)",
            format!("{privileged} But any user may probe the verifier and the processor with it."),
        )
        .advise("sysctl kernel.unprivileged_bpf_disabled=2"),
        Some("1") => Finding::ok(ID, "off until the next boot", privileged),
        Some("2") => Finding::ok(ID, "off", privileged),
        Some(other) => Finding::unknown(ID, format!("'{other}'"), privileged),
        None => Finding::unknown(ID, "not told", privileged),
    }
}

fn jit(facts: &Facts) -> Finding {
    const ID: &str = "bpf_jit";
    let needs = "Schedulers need it: without it the kernel cannot call a function of the kernel \
                 from BPF.";
    let built_in = facts.config.as_ref().is_some_and(|c| c.has("BPF_JIT_ALWAYS_ON"));
    match facts.jit.as_deref() {
        Some("0") => Finding::missing(ID, "off (net.core.bpf_jit_enable=0)", needs)
            .advise("sysctl net.core.bpf_jit_enable=1")
            .block("the kernel's BPF compiler is off (net.core.bpf_jit_enable=0)"),
        Some("1") => Finding::ok(ID, "on", "Programs run as machine code."),
        Some("2") => Finding::warn(
            ID,
            "on, printing the machine code of every program to the kernel's log",
            "Programs run as machine code, but loading is slow.",
        )
        .advise("sysctl net.core.bpf_jit_enable=1"),
        _ if built_in => Finding::ok(ID, "always on", "Programs run as machine code."),
        Some(other) => Finding::unknown(ID, format!("'{other}'"), needs),
        None if facts.config.as_ref().is_some_and(|c| !c.has("BPF_JIT")) => {
            Finding::missing(ID, "not built in (CONFIG_BPF_JIT)", needs)
                .advise("Boot a kernel built with this option.")
                .block("this kernel was built without a compiler for BPF (CONFIG_BPF_JIT)")
        }
        None => Finding::unknown(
            ID,
            "no /proc/sys/net/core/bpf_jit_enable: not built in, or hidden by a container",
            needs,
        )
        .advise("On the host: sysctl net.core.bpf_jit_enable"),
    }
}

fn lockdown(facts: &Facts) -> Finding {
    const ID: &str = "lockdown";
    let current = |text: &str| {
        let (_, rest) = text.split_once('[')?;
        Some(rest.split_once(']')?.0.to_owned())
    };
    let mode = facts.lockdown.as_deref().and_then(current);
    match mode.as_deref() {
        Some("none") => Finding::ok(ID, "none", "The kernel keeps nothing from root."),
        Some("integrity") => Finding::ok(
            ID,
            "integrity",
            "Schedulers and tracers work; model-specific registers and /dev/mem are closed.",
        ),
        Some("confidentiality") => Finding::missing(
            ID,
            "confidentiality",
            "BPF may not read kernel memory, so the verifier refuses every program that calls \
             bpf_probe_read_kernel; the exit reports of Rota's schedulers do. Tracing is closed.",
        )
        .advise("Boot without lockdown=confidentiality.")
        .block("the kernel is locked down (confidentiality), so that BPF may not read its memory"),
        Some(other) => Finding::unknown(ID, other, "This mode is not known to Rota."),
        None => Finding::ok(
            ID,
            "no /sys/kernel/security/lockdown: not built in, or securityfs is not mounted",
            "If BPF is used here at all, lockdown is no obstacle short of confidentiality.",
        ),
    }
}

fn attached(facts: &Facts, state: &SchedExtFacts) -> Finding {
    const ID: &str = "attached_scheduler";
    let Some(name) = &state.scheduler else {
        if state.state == "disabled" {
            return Finding::ok(
                ID,
                "none",
                "The way is free; the kernel's own scheduler is in charge.",
            );
        }
        return Finding::warn(
            ID,
            format!("none named, but the state is {}", state.state),
            "One is coming or going right now.",
        )
        .advise("Try again in a moment.");
    };
    Finding::warn(
        ID,
        format!("{name}, {}", by_whom(facts)),
        "Only one scheduler can be attached: the next is refused until this one is taken off.",
    )
    .advise(how_to_take_off(facts))
}

fn holders(facts: &Facts) -> Vec<&Holder> {
    // Whoever holds the link keeps it attached; a map alone matters where there is no link.
    let all = &facts.holders.found;
    let links: Vec<_> = all.iter().filter(|h| h.link).collect();
    if links.is_empty() { all.iter().collect() } else { links }
}

fn by_whom(facts: &Facts) -> String {
    let holders = holders(facts);
    if !holders.is_empty() {
        let who: Vec<_> = holders.iter().map(|h| format!("{} (pid {})", h.comm, h.pid)).collect();
        return format!("held by {}", few(&who));
    }
    if facts.holders.hidden > 0 {
        return format!(
            "by whom cannot be told: {} hidden from this user",
            count(facts.holders.hidden, "process")
        );
    }
    "registered without an owning process: it is pinned, or was attached without a link".into()
}

fn how_to_take_off(facts: &Facts) -> String {
    match holders(facts).first() {
        Some(holder) => format!("End it: kill -INT {}; in an emergency, SysRq-S.", holder.pid),
        None if facts.holders.hidden > 0 => {
            "Run `rota doctor` as root to see who holds it; in an emergency, SysRq-S.".into()
        }
        None => "Look for a pin (bpftool link show -f, /sys/fs/bpf) and remove it; in an \
                 emergency, SysRq-S."
            .into(),
    }
}

fn history(state: &SchedExtFacts) -> Finding {
    const ID: &str = "sched_ext_history";
    let attached = state.enable_seq.map_or("an unknown number of schedulers".into(), |n| {
        count(usize::try_from(n).unwrap_or(usize::MAX), "scheduler")
    });
    let rejected = state.nr_rejected.unwrap_or(0);
    if rejected > 0 {
        return Finding::warn(
            ID,
            format!("{attached} attached since boot; {rejected} times a task was turned away"),
            "A scheduler set a task's `disallow` while it was being initialised: these tasks stay \
             with the kernel's own scheduler.",
        )
        .advise("Ask the scheduler's author whether that is meant.");
    }
    Finding::ok(ID, format!("{attached} attached since boot"), "No task was ever turned away.")
}
