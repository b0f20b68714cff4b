// SPDX-License-Identifier: GPL-2.0-or-later
//! Reports as JSON, on their way from one process to another.

use crate::compute::Calibration;
use crate::report::{GroupUse, Known, Report};
use rota_events::{Histogram, TaskUse};
use rota_workload::Pieces;
use serde::{Deserialize, Serialize};

/// A histogram: its buckets, the sum as text, the least and the greatest value.
#[derive(Debug, Serialize, Deserialize)]
struct Times(Vec<(u64, u64)>, String, u64, u64);

impl Times {
    fn of(histogram: &Histogram) -> Self {
        let sum = histogram.sum().to_string();
        Self(histogram.buckets().collect(), sum, histogram.least(), histogram.greatest())
    }

    fn histogram(&self) -> Option<Histogram> {
        let Self(buckets, sum, least, greatest) = self;
        match buckets.is_empty() {
            true => Some(Histogram::default()),
            false => Histogram::from_buckets(buckets, sum.parse().ok()?, *least, *greatest),
        }
    }
}

/// What tasks used, without what nobody knows of threads.
#[derive(Debug, Serialize, Deserialize)]
struct Used {
    run_ns: u64,
    wait_ns: u64,
    latency: Times,
    wakeups: u64,
    switches: u64,
    preemptions: u64,
    yields: u64,
    migrations: [u64; 5],
}

impl Used {
    fn of(used: &TaskUse) -> Self {
        Self {
            run_ns: used.run_ns,
            wait_ns: used.wait_ns,
            latency: Times::of(&used.latency),
            wakeups: used.wakeups,
            switches: used.switches,
            preemptions: used.preemptions,
            yields: used.yields,
            migrations: used.migrations,
        }
    }

    fn task_use(&self) -> Option<TaskUse> {
        Some(TaskUse {
            run_ns: self.run_ns,
            wait_ns: self.wait_ns,
            latency: self.latency.histogram()?,
            wakeups: self.wakeups,
            switches: self.switches,
            preemptions: self.preemptions,
            yields: self.yields,
            migrations: self.migrations,
            ..TaskUse::default()
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Group {
    name: String,
    tasks: u64,
    used: Used,
    done: u64,
    late: u64,
    deadline_ns: Option<u64>,
    latency: Times,
    open: Times,
}

impl Group {
    fn of(group: &GroupUse) -> Self {
        let Pieces { group: name, done, latency, deadline_ns, late, open } = &group.pieces;
        Self {
            name: name.clone(),
            tasks: group.tasks,
            used: Used::of(&group.used),
            done: *done,
            late: *late,
            deadline_ns: *deadline_ns,
            latency: Times::of(latency),
            open: Times::of(open),
        }
    }

    fn group(self) -> Option<GroupUse> {
        let pieces = Pieces {
            done: self.done,
            latency: self.latency.histogram()?,
            deadline_ns: self.deadline_ns,
            late: self.late,
            open: self.open.histogram()?,
            group: self.name,
        };
        Some(GroupUse { tasks: self.tasks, used: self.used.task_use()?, pieces })
    }
}

/// A report, without what is known of the machine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    elapsed_ns: u64,
    groups: Vec<Group>,
    sources: (u64, Used),
    switches: bool,
    warnings: Vec<String>,
}

impl Told {
    pub(crate) fn of(report: &Report) -> Self {
        Self {
            elapsed_ns: report.elapsed_ns,
            groups: report.groups.iter().map(Group::of).collect(),
            sources: (report.sources.0, Used::of(&report.sources.1)),
            switches: report.known.switches,
            warnings: report.warnings.clone(),
        }
    }

    /// The report; `None` if histograms make no sense.
    pub(crate) fn report(self, calibration: Calibration) -> Option<Report> {
        Some(Report {
            elapsed_ns: self.elapsed_ns,
            groups: self.groups.into_iter().map(Group::group).collect::<Option<_>>()?,
            sources: (self.sources.0, self.sources.1.task_use()?),
            known: Known { switches: self.switches },
            machine: None,
            calibration,
            warnings: self.warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_workload::Workload;

    #[test]
    fn a_report_comes_back() {
        let workload = Workload::parse("web:deadline=5ms", 4).unwrap();
        let mut pieces = Pieces::new(&workload.groups[0]);
        for ns in [0, 1, 999, 1_000_000, 77_000_000] {
            pieces.add(Some(ns));
            pieces.add_open(ns, 2);
        }
        let mut used = TaskUse { run_ns: 5, wait_ns: 6, wakeups: 7, ..TaskUse::default() };
        (used.switches, used.preemptions, used.yields, used.migrations) =
            (8, 9, 10, [1, 2, 3, 4, 5]);
        (0..1000).for_each(|n| used.latency.add(n * n * 1000));
        let group = GroupUse { tasks: 3, used: used.clone(), pieces };
        let calibration = Calibration { loops_per_ms: 1, cpu_clock_ns: 2, turn_ns: 3 };
        let report = Report {
            elapsed_ns: 12,
            groups: vec![group],
            sources: (2, used),
            known: Known { switches: true },
            machine: None,
            calibration,
            warnings: vec!["what".to_owned()],
        };
        let text = serde_json::to_string(&Told::of(&report)).unwrap();
        let told: Told = serde_json::from_str(&text).unwrap();
        assert_eq!(told.report(calibration), Some(report));
    }
}
