// SPDX-License-Identifier: GPL-2.0-or-later
//! How deep CPUs sleep: what was asked for (cpuidle), and what the hardware did (events of perf, or
//! registers).

use super::{At, Hardware, Pmu, number, text};
use rota_topology::Tree;

/// What cpuidle says of a state of a CPU: how often it was entered, and for how many us in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) name: String,
    pub(super) entered: u64,
    pub(super) us: u64,
}

/// All states of a CPU, shallowest first.
pub(super) fn states(sys: &dyn Tree, cpu: u32) -> Vec<State> {
    let folder = format!("devices/system/cpu/cpu{cpu}/cpuidle");
    let mut places: Vec<u32> = sys
        .list(&folder)
        .iter()
        .filter_map(|name| name.strip_prefix("state")?.parse().ok())
        .collect();
    places.sort_unstable();
    let state = |place| {
        let file = |name: &str| format!("{folder}/state{place}/{name}");
        Some(State {
            name: text(sys, &file("name"))?,
            entered: number(sys, &file("usage"))?,
            us: number(sys, &file("time"))?,
        })
    };
    places.into_iter().filter_map(state).collect()
}

/// A counter of time that the hardware spends in a state, in ticks of the TSC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Residency {
    pub(super) column: &'static str,
    /// Whether each core has one, or each package.
    pub(super) of_cores: bool,
    pub(super) at: At,
}

/// Columns, the events of `cstate_core` and `cstate_pkg`, and Intel's registers (kernel:
/// `arch/x86/include/asm/msr-index.h`).
const COUNTERS: [(&str, bool, &str, u32); 7] = [
    ("CPU%c3", true, "c3-residency", 0x3fc),
    ("CPU%c6", true, "c6-residency", 0x3fd),
    ("CPU%c7", true, "c7-residency", 0x3fe),
    ("Pkg%pc2", false, "c2-residency", 0x60d),
    ("Pkg%pc3", false, "c3-residency", 0x3f8),
    ("Pkg%pc6", false, "c6-residency", 0x3f9),
    ("Pkg%pc7", false, "c7-residency", 0x3fa),
];

/// All counters that a CPU has, where they are from, and why others can't be read.
pub(super) fn residencies(
    hardware: &mut dyn Hardware,
    cpu: u32,
) -> (Vec<Residency>, Option<&'static str>, Vec<String>) {
    let of_events = |hardware: &dyn Hardware, of_cores: bool, event: &str| {
        let name = if of_cores { "cstate_core" } else { "cstate_pkg" };
        let pmu = Pmu { sys: hardware.sys(), name };
        Some(At::Event { kind: pmu.kind()?, config: pmu.config(event)? })
    };
    let mut whys = Vec::new();
    for source in ["perf", "MSR"] {
        let mut found = Vec::new();
        let mut why = format!("{source}: no such counters");
        for (column, of_cores, event, number) in COUNTERS {
            let at = match source {
                "perf" => of_events(hardware, of_cores, event),
                _ => Some(At::Register(number)),
            };
            let Some(at) = at else { continue };
            match at.read(hardware, cpu) {
                Ok(_) => found.push(Residency { column, of_cores, at }),
                Err(error) => why = format!("{source}: {error}"),
            }
        }
        if !found.is_empty() {
            return (found, Some(source), whys);
        }
        whys.push(why);
    }
    (Vec::new(), None, whys)
}
