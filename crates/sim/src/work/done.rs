// SPDX-License-Identifier: GPL-2.0-or-later
//! The pieces of work of a machine.

use crate::machine::Machine;
use rota_workload::Pieces;

impl Machine {
    /// The pieces of work of each group, those among them that are not done.
    pub(crate) fn pieces(&self) -> Vec<Pieces> {
        let mut all = self.work.done.clone();
        let now = self.now_ns;
        let mut open = |group: u32, since_ns: u64, count: u32| {
            let Some(pieces) = all.get_mut(group as usize) else { return };
            pieces.add_open(now.saturating_sub(since_ns), count);
        };
        for progress in self.work.progress.iter().flatten() {
            if let Some(since_ns) = progress.begun_ns {
                open(progress.group, since_ns, 1);
            }
        }
        // What comes from outside waits for those who take it.
        let workload = &self.work.workload;
        for source in &workload.sources {
            let Some(group) = workload.group_that_takes(source.event) else { continue };
            let signals = &self.work.events[source.event.0 as usize];
            signals.kept_since().for_each(|(since_ns, count)| open(group, since_ns, count));
        }
        all
    }
}
