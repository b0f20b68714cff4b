// SPDX-License-Identifier: GPL-2.0-or-later
//! What there is to record, trace and count with. None of it is needed to run a scheduler.

use super::Finding;
use super::facts::{Facts, KernelBtf};
use rota_kernel::{Capabilities, Capability};

const KPROBES: &str = "kprobes";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    vec![
        tracefs(facts),
        tracepoints(facts),
        kprobes(facts),
        kprobe_multi(facts),
        fentry(facts),
        perf_events(facts),
        hardware_counters(facts),
        energy(facts),
        ring_buffer(facts),
    ]
}

fn may_trace(held: Option<Capabilities>) -> bool {
    held.is_some_and(|c| c.has(Capability::Perfmon) || c.has(Capability::SysAdmin))
}

fn tracefs(facts: &Facts) -> Finding {
    const ID: &str = "tracefs";
    match (&facts.tracing.tracefs, facts.tracing.tracefs_readable) {
        (Some(at), true) => Finding::ok(ID, format!("at {at}"), "Events can be listed and read."),
        (Some(at), false) => Finding::warn(
            ID,
            format!("at {at}, closed to this user"),
            "Formats and lists of events cannot be read.",
        )
        .advise("Run as root."),
        (None, _) => Finding::missing(
            ID,
            "not mounted",
            "Formats and lists of events cannot be read; BPF tracing by type does without.",
        )
        .advise("As root: mount -t tracefs tracefs /sys/kernel/tracing"),
    }
}

fn tracepoints(facts: &Facts) -> Finding {
    const ID: &str = "tracepoints";
    let typed = has_type(facts, "btf_trace_sched_switch");
    if facts.tracing.sched_events || typed == Some(true) {
        return Finding::ok(
            ID,
            "the scheduler's are there",
            "Switches and wake-ups can be recorded.",
        );
    }
    if typed == Some(false) && facts.tracing.tracefs_readable {
        return Finding::missing(
            ID,
            "the kernel has none of the scheduler",
            "Switches and wake-ups cannot be recorded.",
        )
        .advise("Boot a kernel built with CONFIG_TRACEPOINTS and CONFIG_EVENT_TRACING.");
    }
    Finding::unknown(ID, "neither tracefs nor the kernel's types tell", "It cannot be told.")
        .advise("As root: mount -t tracefs tracefs /sys/kernel/tracing")
}

/// Whether the kernel's types have a typedef (the one that each tracepoint leaves).
fn has_type(facts: &Facts, wanted: &str) -> Option<bool> {
    let KernelBtf::Read { btf, .. } = &facts.btf else { return None };
    let mut types = btf.iter();
    Some(types.any(|(_, ty)| match ty {
        rota_object::Type::Typedef { name, .. } => btf.text(*name) == wanted,
        _ => false,
    }))
}

/// Whether the kernel has a function, by its symbols, or else an option.
fn built_in(facts: &Facts, symbol: &str, option: &str) -> Option<bool> {
    let configured = facts.config.as_ref().map(|c| c.has(option));
    facts.tracing.symbol(symbol).or(configured)
}

/// A feature that is there if the kernel has a function.
struct Feature {
    id: &'static str,
    symbol: &'static str,
    option: &'static str,
    with: &'static str,
    without: &'static str,
}

fn feature(facts: &Facts, feature: &Feature) -> Finding {
    let Feature { id, symbol, option, with, without } = *feature;
    let seen = id == KPROBES && facts.tracing.kprobe_events;
    match built_in(facts, symbol, option).or(seen.then_some(true)) {
        Some(true) if may_trace(facts.capabilities) => Finding::ok(id, "in the kernel", with),
        Some(true) => Finding::warn(
            id,
            "in the kernel, but not for this user",
            "Tracing takes CAP_PERFMON or CAP_SYS_ADMIN.",
        )
        .advise("Run as root."),
        Some(false) => Finding::missing(id, format!("not built in (CONFIG_{option})"), without)
            .advise("Boot a kernel built with this option, if you need that."),
        None => Finding::unknown(id, "/proc/kallsyms does not tell", "It cannot be told."),
    }
}

fn kprobes(facts: &Facts) -> Finding {
    feature(
        facts,
        &Feature {
            id: KPROBES,
            symbol: "register_kprobe",
            option: "KPROBES",
            with: "Any instruction of the kernel can be probed.",
            without: "Single functions can be traced by type only (fentry).",
        },
    )
}

fn kprobe_multi(facts: &Facts) -> Finding {
    feature(
        facts,
        &Feature {
            id: "kprobe_multi",
            symbol: "register_fprobe_ips",
            option: "FPROBE",
            with: "Thousands of functions can be traced at once.",
            without: "Functions are traced one by one, which takes long to attach.",
        },
    )
}

fn fentry(facts: &Facts) -> Finding {
    let direct = built_in(facts, "register_ftrace_direct", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS");
    let trampolines = built_in(facts, "bpf_trampoline_link_prog", "BPF_JIT");
    let id = "fentry";
    if trampolines == Some(false) || direct.is_some() {
        return feature(
            facts,
            &Feature {
                id,
                symbol: if trampolines == Some(false) {
                    "bpf_trampoline_link_prog"
                } else {
                    "register_ftrace_direct"
                },
                option: "DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
                with: "Functions and BPF programs can be traced by type, at little cost.",
                without: "Functions of the kernel cannot be traced by type.",
            },
        );
    }
    Finding::unknown(id, "/proc/kallsyms does not tell", "It cannot be told.")
}

fn perf_events(facts: &Facts) -> Finding {
    const ID: &str = "perf_events";
    let Some(text) = &facts.tracing.paranoid else {
        return Finding::missing(
            ID,
            "no perf events in this kernel",
            "Nothing can be counted or sampled.",
        )
        .advise("Boot a kernel built with CONFIG_PERF_EVENTS, and mount /proc.");
    };
    let found = format!("kernel.perf_event_paranoid={text}");
    if may_trace(facts.capabilities) {
        return Finding::ok(ID, found, "This user is not bound by it: everything can be counted.");
    }
    match text.parse::<i32>() {
        Ok(level) if level < 0 => Finding::ok(ID, found, "Every user may count everything."),
        Ok(0 | 1) => Finding::warn(
            ID,
            found,
            "This user may count its own processes, the kernel's part included, and no others.",
        )
        .advise("Run as root for the whole machine."),
        _ => Finding::warn(
            ID,
            found,
            "This user may count its own processes at most, without the kernel's part.",
        )
        .advise("Run as root, or lower kernel.perf_event_paranoid."),
    }
}

fn energy(facts: &Facts) -> Finding {
    const ID: &str = "energy";
    if facts.tracing.energy.is_empty() {
        return Finding::missing(
            ID,
            "no source (usual in virtual machines)",
            "rota power tells how busy CPUs are, but no watts and joules.",
        )
        .advise("On real hardware: modprobe intel_rapl_msr, or modprobe msr.");
    }
    let found = facts.tracing.energy.join(", ");
    let means = "Root can ask these for watts and joules, by rota power.";
    // Of registers alone it is not known.
    let sure = facts.tracing.energy.iter().any(|source| !source.starts_with("perhaps"));
    if sure { Finding::ok(ID, found, means) } else { Finding::unknown(ID, found, means) }
}

fn hardware_counters(facts: &Facts) -> Finding {
    const ID: &str = "hardware_counters";
    if facts.tracing.counters.is_empty() {
        return Finding::missing(
            ID,
            "the processor offers none (usual in virtual machines)",
            "Cycles, instructions and cache misses cannot be counted; times still can.",
        )
        .advise("Use real hardware, or give the virtual machine a counting unit.");
    }
    Finding::ok(
        ID,
        facts.tracing.counters.join(", "),
        "Cycles, instructions and cache misses can be counted.",
    )
}

fn ring_buffer(facts: &Facts) -> Finding {
    const ID: &str = "ring_buffer";
    let made = facts.bpf.filter(|b| b.works).map(|b| b.ring_buffer);
    match made.or_else(|| facts.tracing.symbol("ringbuf_map_alloc")) {
        Some(true) => Finding::ok(ID, "in the kernel", "Events can be recorded in order."),
        Some(false) => Finding::missing(ID, "not in this kernel", "Events cannot be recorded.")
            .advise("Boot a kernel from 5.8 on, built with CONFIG_BPF_SYSCALL."),
        None => Finding::unknown(ID, "/proc/kallsyms does not tell", "It cannot be told."),
    }
}
