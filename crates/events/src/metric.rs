// SPDX-License-Identifier: GPL-2.0-or-later
//! Definitions and values.

/// Whether a number adds up or is a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows; what tells something is its increase.
    Counter,
    /// It is a level at one moment.
    Gauge,
}

/// What a number means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name, in snake case.
    pub name: String,
    /// Counter or gauge.
    pub kind: MetricKind,
    /// Its unit, such as `tasks` or `ns`.
    pub unit: String,
    /// What it counts, in one line.
    pub help: String,
}

impl Metric {
    /// A definition.
    pub fn new(name: &str, kind: MetricKind, unit: &str, help: &str) -> Self {
        Self { name: name.into(), kind, unit: unit.into(), help: help.into() }
    }

    /// Whether it counts time, which is then shown as a number of CPUs.
    pub(crate) fn is_cpu_time(&self) -> bool {
        self.kind == MetricKind::Counter && self.unit == "ns"
    }

    /// The name without its unit: `ran_ns` counts what has run.
    pub(crate) fn stem(&self) -> &str {
        let suffix = self.name.strip_suffix(&self.unit).and_then(|s| s.strip_suffix('_'));
        suffix.unwrap_or(&self.name)
    }
}

/// The values of a list of metrics at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// When, on the clock of the world that it came from.
    pub at_ns: u64,
    /// One value for each metric, in the same order; counters since the start.
    pub values: Vec<u64>,
}

impl Sample {
    /// The increase of value `i` since an earlier sample; 0 if it fell, as after a reload.
    pub(crate) fn increase(&self, before: &Self, i: usize) -> u64 {
        self.values[i].saturating_sub(before.values.get(i).copied().unwrap_or(0))
    }

    pub(crate) fn interval_ns(&self, before: &Self) -> u64 {
        self.at_ns.saturating_sub(before.at_ns)
    }
}
