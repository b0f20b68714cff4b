// SPDX-License-Identifier: GPL-2.0-or-later
//! What ran when on each CPU, in a short piece of a run.

/// A piece of a run, a few tens of ms long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Its start, in ns of the machine's time.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
    /// What the CPUs did, in the order in which they are shown.
    pub lanes: Vec<Lane>,
}

/// What one CPU did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lane {
    /// The CPU.
    pub cpu: u32,
    /// What it ran, one after the other; it was idle in between.
    pub spans: Vec<Span>,
}

/// One stay of a task on a CPU, as far as it is within the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// From when, in ns of the machine's time.
    pub from_ns: u64,
    /// Until when.
    pub to_ns: u64,
    /// The group of the task, which has a colour.
    pub group: String,
    /// The name of the task.
    pub task: String,
}
