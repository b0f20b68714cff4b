// SPDX-License-Identifier: GPL-2.0-or-later
//! The functions that are wanted, of those that this kernel can trace.

use super::Args;
use crate::bpf;
use anyhow::{Context, Result, bail};
use rota_inspect::calls::{Function, Pattern, Symbols, Wanted};
use rota_kernel::Host;
use std::fs;

/// Where the kernel lists what it can trace.
const TRACEABLE: [&str; 2] = [
    "kernel/tracing/available_filter_functions",
    "kernel/debug/tracing/available_filter_functions",
];

/// Chooses functions; the first pattern that takes none.
pub(super) fn select(args: &Args) -> Result<Result<Vec<Function>, Pattern>> {
    let wanted = Wanted {
        entries: args.entries.clone(),
        allowed: args.allow.clone(),
        denied: args.deny.clone(),
    };
    let host = Host::default();
    let kernel = bpf::kernel_types()?;
    let traceable = match wanted.needs_functions() {
        true => traceable(&host)?,
        false => String::new(),
    };
    let (objects, schedulers) = match wanted.needs_programs() {
        true => {
            let objects = bpf::objects()?;
            let schedulers = bpf::schedulers(&objects, &kernel);
            (objects, schedulers)
        }
        false => Default::default(),
    };
    Ok(wanted.choose(&traceable, &kernel, &objects, &schedulers))
}

/// Names of addresses. To be read when everything is attached, which adds some.
pub(super) fn symbols() -> Result<Symbols> {
    const PATH: &str = "/proc/kallsyms";
    Ok(Symbols::parse(&fs::read_to_string(PATH).context(PATH)?))
}

/// A line for each function of the kernel that can be traced.
fn traceable(host: &Host) -> Result<String> {
    if let Some(text) = TRACEABLE.iter().find_map(|path| host.sys_text(path)) {
        return Ok(text);
    }
    if host.proc_text("filesystems").is_some_and(|text| text.contains("\ttracefs")) {
        bail!(
            "there is no list of what can be traced: mount it with 'mount -t tracefs tracefs \
             /sys/kernel/tracing', as root"
        );
    }
    bail!(
        "this kernel can't trace its functions (CONFIG_FUNCTION_TRACER, CONFIG_FPROBE or \
         CONFIG_KPROBES are missing); bpf:GLOB and ops:GLOB trace BPF programs"
    )
}
