// SPDX-License-Identifier: GPL-2.0-or-later
//! What `rota sim --help` says below the options.

use rota_workload::{COMMON, DISTRIBUTIONS, Parameter, WORKLOADS};
use std::fmt::Write;

const EXAMPLES: &str = "Examples:\n  \
    rota sim simple\n  \
    rota sim simple --fifo --machine 2s:4l:8c:2t --workload cpu+periodic\n  \
    rota sim simple:slice=5ms --workload burst --seed 7 --format json\n  \
    rota sim simple --workload web:rate=9000,service=lognormal/1ms/1.2\n  \
    rota sim simple --workload pingpong:pairs=8 --trace pairs.pftrace\n  \
    rota sim eevdf --replay trace.rota --nice make=10\n  \
    rota sim ./scx_mine.bpf.o --set nr_queues=4 --kernel 7.0";

/// Examples, and every workload with its parameters.
pub(super) fn text() -> String {
    let mut text = format!("{EXAMPLES}\n\nWorkloads, with defaults:\n");
    let width = |list: &[Parameter]| list.iter().map(|p| p.name.len() + p.default.len()).max();
    let lists = WORKLOADS.iter().map(|w| w.parameters).chain([&COMMON[..]]);
    let width = lists.filter_map(width).max().unwrap_or(0) + 3;
    let line = |text: &mut String, p: &Parameter| {
        let pair = format!("{}={}", p.name, p.default);
        // Writing to a string can't fail.
        let _ = writeln!(text, "    {pair:<width$}{}", p.help);
    };
    for workload in WORKLOADS {
        let alias = workload.alias.map_or(String::new(), |alias| format!(" (or {alias})"));
        let _ = writeln!(text, "  {}{alias}: {}", workload.name, workload.about);
        workload.parameters.iter().for_each(|p| line(&mut text, p));
    }
    text += "  all of them:\n";
    COMMON.iter().for_each(|p| line(&mut text, p));
    text += "  Numbers may be cpus, a multiple such as 4*cpus or a part such as cpus/4; CPUs are\n  \
             listed with slashes: 0-3/8-11. Times may be distributions:\n";
    for (_, usage) in DISTRIBUTIONS {
        let _ = writeln!(text, "    {usage}");
    }
    text.trim_end().to_owned()
}
