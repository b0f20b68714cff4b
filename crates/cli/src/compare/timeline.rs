// SPDX-License-Identifier: GPL-2.0-or-later
//! What ran when in a short piece of a run, for the page.

use crate::sim::drive::Onlooker;
use anyhow::Result;
use rota_compare::{LANES_MAX, Lane, Span, Timeline};
use rota_events::{Event, Tables, TaskRef, What};
use std::collections::BTreeMap;

/// How long the piece is at most, in ns.
const LONG_NS: u64 = 40_000_000;

/// Watches a run, and keeps the piece in its middle. All times are those since the run began.
pub(super) struct Recorder {
    from_ns: u64,
    to_ns: u64,
    /// When the run began, on the machine's clock, once that is known.
    began_ns: Option<u64>,
    /// What each CPU runs, and since when.
    now: BTreeMap<u32, (TaskRef, u64)>,
    /// What has run in the piece, on each CPU that is shown.
    lanes: BTreeMap<u32, Vec<Span>>,
}

impl Recorder {
    /// For a run that takes so long, on these CPUs.
    pub(super) fn new(run_ns: u64, cpus: impl Iterator<Item = u32>) -> Self {
        let from_ns = run_ns / 2;
        let lanes = cpus.take(LANES_MAX).map(|cpu| (cpu, Vec::new()));
        Self {
            from_ns,
            to_ns: from_ns + LONG_NS.min(run_ns / 2),
            began_ns: None,
            now: BTreeMap::new(),
            lanes: lanes.collect(),
        }
    }

    /// The piece.
    pub(super) fn timeline(self) -> Timeline {
        let lanes = self.lanes.into_iter().map(|(cpu, spans)| Lane { cpu, spans });
        Timeline { start_ns: self.from_ns, end_ns: self.to_ns, lanes: lanes.collect() }
    }

    /// A CPU runs something else from now on, or none.
    fn switch(&mut self, tables: &Tables, cpu: u32, to: TaskRef, now_ns: u64) {
        let before = self.now.insert(cpu, (to, now_ns));
        let Some((task, since_ns)) = before.filter(|(task, _)| task.is_some()) else { return };
        let (from_ns, to_ns) = (since_ns.max(self.from_ns), now_ns.min(self.to_ns));
        if let Some(lane) = self.lanes.get_mut(&cpu).filter(|_| from_ns < to_ns) {
            let info = tables.task_of(task).copied().unwrap_or_default();
            let text = |text| tables.text_of(text).to_owned();
            lane.push(Span { from_ns, to_ns, group: text(info.group), task: text(info.name) });
        }
    }
}

impl Onlooker for Recorder {
    fn events(&mut self, tables: &Tables, events: &[Event]) -> Result<()> {
        for event in events {
            let now_ns = event.time_ns - *self.began_ns.get_or_insert(event.time_ns);
            if let What::Switch { .. } = event.what() {
                self.switch(tables, event.cpu.0, event.task, now_ns);
            }
        }
        Ok(())
    }

    fn end(&mut self, tables: &Tables) {
        for cpu in self.now.keys().copied().collect::<Vec<_>>() {
            self.switch(tables, cpu, TaskRef::NONE, self.to_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::{CpuNumber, Leaves, TaskInfo};

    #[test]
    fn the_piece_has_what_ran_in_it_and_what_still_runs_at_its_end() {
        let mut tables = Tables::default();
        let name = tables.text("worker");
        let task = tables.task(TaskInfo { pid: 1, name, ..TaskInfo::default() });
        let switch = |time_ns, cpu, from, to| {
            Event::new(time_ns, CpuNumber(cpu), to, What::Switch { from, leaves: Leaves::Sleeping })
        };
        let none = TaskRef::NONE;
        let mut recorder = Recorder::new(100, [0, 4].into_iter());
        let first = [switch(1000, 0, none, task), switch(1060, 0, task, none)];
        let later = [switch(1055, 4, none, task), switch(1010, 1, none, task)];
        recorder.events(&tables, &first).unwrap();
        recorder.events(&tables, &later).unwrap();
        recorder.end(&tables);
        let found = recorder.timeline();
        assert_eq!((found.start_ns, found.end_ns, found.lanes.len()), (50, 100, 2));
        let span =
            |lane: usize| (found.lanes[lane].spans[0].from_ns, found.lanes[lane].spans[0].to_ns);
        assert_eq!((span(0), span(1)), ((50, 60), (55, 100)));
        assert_eq!((found.lanes[1].cpu, found.lanes[1].spans[0].task.as_str()), (4, "worker"));
    }
}
