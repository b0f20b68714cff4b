// SPDX-License-Identifier: GPL-2.0-or-later
//! What programs cost between two looks.

use rota_kernel::BpfProgram;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a program cost in a time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// How often it ran.
    pub runs: u64,
    /// How long it ran, in ns.
    pub ns: u64,
    /// The time, in ns.
    pub of_ns: u64,
}

/// Costs of programs by their numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs(BTreeMap<u32, Cost>);

impl Costs {
    /// What programs cost from one look to the next, `of_ns` later. A program that was not there
    /// before began with nothing.
    pub fn between(before: &[BpfProgram], after: &[BpfProgram], of_ns: u64) -> Self {
        let before: BTreeMap<_, _> =
            before.iter().map(|it| (it.id, (it.runs, it.run_time_ns))).collect();
        let cost = |it: &BpfProgram| {
            let (runs, ns) = before.get(&it.id).copied().unwrap_or_default();
            let (runs, ns) = (it.runs.saturating_sub(runs), it.run_time_ns.saturating_sub(ns));
            (it.id, Cost { runs, ns, of_ns })
        };
        Self(after.iter().map(cost).collect())
    }

    /// What a program cost.
    pub fn of(&self, id: u32) -> Cost {
        self.0.get(&id).copied().unwrap_or_default()
    }
}

impl Cost {
    /// The cost of two together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let of_ns = self.of_ns.max(other.of_ns);
        Self { runs: self.runs + other.runs, ns: self.ns + other.ns, of_ns }
    }

    /// Share of one CPU, 0 to 1; several CPUs at once are more than 1.
    pub fn share(self) -> Option<f64> {
        (self.of_ns > 0).then(|| self.ns as f64 / self.of_ns as f64)
    }

    /// Runs a second.
    pub fn rate(self) -> Option<f64> {
        (self.of_ns > 0).then(|| self.runs as f64 * 1e9 / self.of_ns as f64)
    }

    /// Runs a second, ns of each and the share of a CPU in words; `-` without any.
    pub(super) fn words(self) -> [String; 3] {
        let none = || "-".to_owned();
        let rate = self.rate().map_or_else(none, |rate| format!("{rate:.0}"));
        let each = self.ns.checked_div(self.runs).map_or_else(none, |ns| ns.to_string());
        let share = self.share().map_or_else(none, |share| format!("{:.3}", share * 100.0));
        [rate, each, share]
    }

    pub(super) fn json(self) -> Value {
        json!({
            "runs": self.runs, "run_ns": self.ns, "interval_ns": self.of_ns,
            "runs_per_s": self.rate(), "ns_per_run": self.ns.checked_div(self.runs),
            "cpu_share": self.share(),
        })
    }
}
