// SPDX-License-Identifier: GPL-2.0-or-later
//! What ran when in a short piece of a run, for the page.

use crate::sim::drive::Onlooker;
use anyhow::Result;
use rota_compare::{Lane, Span, Timeline};
use rota_events::{Event, Tables, TaskRef, What};
use std::collections::BTreeMap;

/// How long the piece is at most, in ns.
const LONG_NS: u64 = 40_000_000;
/// How many CPUs are shown.
const CPUS_MAX: usize = 64;

/// Watches a run, and keeps the piece in its middle.
pub(super) struct Recorder {
    /// How far into the run the piece begins and ends, in ns.
    from_ns: u64,
    to_ns: u64,
    /// When the run began, once that is known.
    began_ns: Option<u64>,
    /// What each CPU runs, and since when.
    now: BTreeMap<u32, (TaskRef, u64)>,
    found: BTreeMap<u32, Vec<(TaskRef, u64, u64)>>,
    spans: BTreeMap<u32, Vec<Span>>,
    cpus: u32,
}

impl Recorder {
    pub(super) fn new(run_ns: u64, cpus: u32) -> Self {
        let long_ns = LONG_NS.min(run_ns / 2);
        let from_ns = run_ns / 2;
        Self {
            from_ns,
            to_ns: from_ns + long_ns,
            began_ns: None,
            now: BTreeMap::new(),
            found: BTreeMap::new(),
            spans: BTreeMap::new(),
            cpus,
        }
    }

    /// The piece.
    pub(super) fn timeline(mut self) -> Timeline {
        let lanes = (0..self.cpus).take(CPUS_MAX);
        let lanes =
            lanes.map(|cpu| Lane { cpu, spans: self.spans.remove(&cpu).unwrap_or_default() });
        Timeline { start_ns: self.from_ns, end_ns: self.to_ns, lanes: lanes.collect() }
    }

    /// A task ran on a CPU from then on until now, as times of the run.
    fn ran(&mut self, cpu: u32, task: TaskRef, from_ns: u64, to_ns: u64) {
        let (from_ns, to_ns) = (from_ns.max(self.from_ns), to_ns.min(self.to_ns));
        if task.is_some() && from_ns < to_ns {
            self.found.entry(cpu).or_default().push((task, from_ns, to_ns));
        }
    }
}

impl Onlooker for Recorder {
    fn events(&mut self, tables: &Tables, events: &[Event]) -> Result<()> {
        for event in events {
            let began_ns = *self.began_ns.get_or_insert(event.time_ns);
            let now_ns = event.time_ns - began_ns;
            if now_ns >= self.to_ns && self.now.is_empty() {
                break;
            }
            if let What::Switch { .. } = event.what() {
                let before = self.now.insert(event.cpu.0, (event.task, now_ns));
                if let Some((task, since_ns)) = before {
                    self.ran(event.cpu.0, task, since_ns, now_ns);
                }
            }
            if now_ns >= self.to_ns {
                for (cpu, (task, since_ns)) in std::mem::take(&mut self.now) {
                    self.ran(cpu, task, since_ns, now_ns);
                }
            }
        }
        for (cpu, found) in std::mem::take(&mut self.found) {
            let spans = self.spans.entry(cpu).or_default();
            spans.extend(found.into_iter().map(|(task, from_ns, to_ns)| {
                let info = tables.task_of(task);
                let text = |text| tables.text_of(text).to_owned();
                let group = info.map_or(String::new(), |info| text(info.group));
                let task = info.map_or(String::new(), |info| text(info.name));
                Span { from_ns, to_ns, group, task }
            }));
        }
        Ok(())
    }

    fn progress(&mut self, _: u64) {}
}
