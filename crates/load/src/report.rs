// SPDX-License-Identifier: GPL-2.0-or-later
//! What came of a run.

use crate::compute::Calibration;
use crate::machine::MachineUse;
use rota_events::TaskUse;
use rota_workload::Pieces;

/// What the kernel counts of threads here; numbers of what it does not are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Waiting time and switches.
    pub switches: bool,
}

/// What the threads of a group did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupUse {
    /// How many there were.
    pub tasks: u64,
    /// What they used. Ideal shares are not known of threads, and are 0.
    pub used: TaskUse,
    /// Their pieces of work.
    pub pieces: Pieces,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How long it took, in ns: as long as it was to, or until all threads had ended, or until it
    /// was told to end.
    pub elapsed_ns: u64,
    /// The groups of the workload, in its order.
    pub groups: Vec<GroupUse>,
    /// The threads that are what comes from outside: how many, and what they used.
    pub sources: (u64, TaskUse),
    /// What is known of threads.
    pub known: Known,
    /// What the machine as a whole did, where it tells.
    pub machine: Option<MachineUse>,
    /// How fast it computes.
    pub calibration: Calibration,
    /// What was left out, or could not be done.
    pub warnings: Vec<String>,
}

impl Report {
    /// All that the threads used together.
    pub fn total(&self) -> TaskUse {
        let mut total = self.sources.1.clone();
        self.groups.iter().for_each(|group| total.merge(&group.used));
        total
    }
}
