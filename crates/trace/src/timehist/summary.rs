// SPDX-License-Identifier: GPL-2.0-or-later
//! Sums of rows, for each task and CPU.

use super::data::csv_line;
use super::text::{ms, name};
use super::{Ran, Row, RowKind, Timehist};
use crate::summary::aligned;
use rota_events::{CpuNumber, Event, Paged, Tables, TaskRef, What};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Sums of a task's rows. Times are in ns.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// How many there are.
    pub rows: u64,
    /// Of how many the run is known.
    pub runs: u64,
    /// The runs together.
    pub run_ns: u64,
    /// The shortest.
    pub run_ns_min: u64,
    /// The longest.
    pub run_ns_max: u64,
    /// Mean, and the sum of the squares of what runs differ from it (Welford).
    mean: f64,
    squares: f64,
    /// Waits in sleep.
    pub sleep_ns: u64,
    /// Waits in which no signal wakes up.
    pub iowait_ns: u64,
    /// Waits of one who still wanted to run.
    pub preempt_ns: u64,
    /// Scheduling latencies.
    pub delay_ns: u64,
    /// Changes of the CPU.
    pub migrations: u64,
}

impl Sums {
    fn add(&mut self, ran: &Ran) {
        self.rows += 1;
        if let Some(ns) = ran.run_ns {
            self.runs += 1;
            self.run_ns = self.run_ns.saturating_add(ns);
            self.run_ns_min = if self.runs == 1 { ns } else { self.run_ns_min.min(ns) };
            self.run_ns_max = self.run_ns_max.max(ns);
            let off = ns as f64 - self.mean;
            self.mean += off / self.runs as f64;
            self.squares += off * (ns as f64 - self.mean);
        }
        let add = |sum: &mut u64, ns: Option<u64>| *sum = sum.saturating_add(ns.unwrap_or(0));
        add(&mut self.sleep_ns, ran.sleep_ns());
        add(&mut self.iowait_ns, ran.iowait_ns());
        add(&mut self.preempt_ns, ran.preempt_ns());
        add(&mut self.delay_ns, ran.delay_ns);
    }

    /// The mean run, in ns, if any is known.
    pub fn run_ns_mean(&self) -> Option<u64> {
        (self.runs > 0).then(|| (self.run_ns as f64 / self.runs as f64) as u64)
    }

    /// The standard error of the mean run in percent of it, which is what perf calls `stddev`; 0 for
    /// less than two runs.
    pub fn stddev_percent(&self) -> f64 {
        if self.runs < 2 || self.mean == 0.0 {
            return 0.0;
        }
        let runs = self.runs as f64;
        100.0 * (self.squares / (runs - 1.0) / runs).sqrt() / self.mean
    }
}

/// What a CPU did, in ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuSums {
    /// It ran tasks.
    pub busy_ns: u64,
    /// It ran none.
    pub idle_ns: u64,
    /// Switches on it that are in the window.
    pub switches: u64,
    /// A switch or a loss was seen.
    seen: bool,
    /// The switch that is the first thing seen is this one.
    opening: bool,
}

/// Sums over a stream, or a window of it.
#[derive(Debug, Clone)]
pub struct TimehistSummary {
    /// Sum up the idle time that follows each task, not the task's own.
    idle: bool,
    from_ns: u64,
    to_ns: u64,
    /// First and last event.
    times_ns: Option<(u64, u64)>,
    lost: u64,
    parents: BTreeMap<TaskRef, TaskRef>,
    tasks: Paged<Sums>,
    cpus: Paged<Option<CpuSums>>,
}

impl TimehistSummary {
    /// Sums of the window from one time until before another, in ns: of what tasks did or, with
    /// `idle`, of how long CPUs were idle after each.
    pub fn new(from_ns: u64, to_ns: u64, idle: bool) -> Self {
        let (parents, tasks, cpus) = (BTreeMap::new(), Paged::default(), Paged::default());
        Self { idle, from_ns, to_ns, times_ns: None, lost: 0, parents, tasks, cpus }
    }

    /// Takes every event: before the row that it makes.
    pub fn event(&mut self, event: &Event) {
        let (first, last) = self.times_ns.unwrap_or((event.time_ns, event.time_ns));
        self.times_ns = Some((first, last.max(event.time_ns)));
        match event.what() {
            What::Fork { parent, .. } if parent.is_some() => {
                self.parents.insert(event.task, parent);
            }
            What::Lost { .. } | What::Hidden => {
                if let What::Lost { events } = event.what() {
                    self.lost = self.lost.saturating_add(events);
                }
                let cpu = self.cpus.entry(event.cpu.0).get_or_insert_default();
                (cpu.seen, cpu.opening) = (true, false);
            }
            What::Switch { .. } => {
                let cpu = self.cpus.entry(event.cpu.0).get_or_insert_default();
                (cpu.opening, cpu.seen) = (!cpu.seen, true);
            }
            _ => {}
        }
    }

    /// Takes every row. Tasks get those that are `wanted`, CPUs get all.
    pub fn row(&mut self, row: &Row, wanted: bool) {
        let ran = match row.what {
            RowKind::Ran(ran) => ran,
            RowKind::Migrated { task, .. } if wanted => {
                self.tasks.entry(task.0).migrations += 1;
                return;
            }
            _ => return,
        };
        let start = self.window().0;
        let cpu = self.cpus.entry(row.cpu.0).get_or_insert_default();
        cpu.switches += 1;
        // Before its first switch it did what that switch ends.
        let before = cpu.opening.then(|| row.time_ns.saturating_sub(start));
        cpu.add(ran.task, ran.run_ns.or(before).unwrap_or(0));
        let task = match (self.idle, ran.task.is_some()) {
            (false, true) => Some(ran.task),
            (true, false) => ran.before.filter(|task| task.is_some()),
            _ => None,
        };
        if let Some(task) = task.filter(|_| wanted) {
            self.tasks.entry(task.0).add(&ran);
        }
    }

    /// At the end: what CPUs do that have not switched since.
    pub fn finish(&mut self, rows: &Timehist) {
        let (start, end) = self.window();
        for (cpu, task, since) in rows.running() {
            self.cpus
                .entry(cpu.0)
                .get_or_insert_default()
                .add(task, end.saturating_sub(since.max(start)));
        }
    }

    /// The window, as far as there are events.
    fn window(&self) -> (u64, u64) {
        let (first, last) = self.times_ns.unwrap_or_default();
        let start = first.max(self.from_ns);
        (start, last.min(self.to_ns).max(start))
    }

    /// Each task that has rows, with its sums.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskRef, &Sums)> {
        let tasks = self.tasks.iter().filter(|(_, sums)| sums.rows > 0);
        tasks.map(|(task, sums)| (TaskRef(task), sums))
    }

    /// Each CPU that has switches, with its sums.
    pub fn cpus(&self) -> impl Iterator<Item = (CpuNumber, &CpuSums)> {
        self.cpus.iter().filter_map(|(cpu, sums)| Some((CpuNumber(cpu), sums.as_ref()?)))
    }

    /// The process of a task's parent, if it was recorded.
    fn parent(&self, task: TaskRef, tables: &Tables) -> Option<i32> {
        self.parents.get(&task).and_then(|parent| tables.task_of(*parent)).map(|info| info.tgid)
    }

    /// As tables for people: waits instead of how runs are distributed, if they are asked for.
    pub fn text(&self, tables: &Tables, waits: bool) -> String {
        let (title, names) = match (self.idle, waits) {
            (true, _) => ("Idle-time summary", ["idle-time", "min-idle", "avg-idle", "max-idle"]),
            (false, true) => ("Wait-time summary", ["run-time", "sleep", "iowait", "preempt"]),
            (false, false) => ("Runtime summary", ["run-time", "min-run", "avg-run", "max-run"]),
        };
        let waits = waits && !self.idle;
        let last = if waits { ["delay", "migrations", ""] } else { ["stddev%", "migrations", ""] };
        let count = if self.idle { "sched-out" } else { "sched-in" };
        let head = ["comm", "parent", count].into_iter().chain(names).chain(last);
        let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
        for (task, sums) in self.tasks() {
            let parent = self.parent(task, tables).map_or("-".to_owned(), |pid| pid.to_string());
            let mut cells = vec![name(task, tables), parent, sums.rows.to_string()];
            cells.extend(if waits { sums.waits() } else { sums.runs() });
            cells.extend([sums.migrations.to_string(), String::new()]);
            rows.push(cells);
        }
        let mut text = format!("\n{title}, times in msec\n{}", aligned(&rows));
        if rows.len() == 1 {
            text += "no task\n";
        }
        text + &self.cpus_text() + &self.totals_text()
    }

    fn cpus_text(&self) -> String {
        let (start, end) = self.window();
        let mut text = "\nIdle stats:\n".to_owned();
        for (cpu, sums) in self.cpus() {
            let span = end - start;
            let percent = sums.idle_ns as f64 * 100.0 / span.max(1) as f64;
            let unknown = span.saturating_sub(sums.idle_ns).saturating_sub(sums.busy_ns);
            let idle = ms(Some(sums.idle_ns));
            let _ =
                write!(text, "    CPU {:>2} idle for {idle:>10} msec  ({percent:>6.2}%)", cpu.0);
            if unknown > 0 {
                let _ = write!(text, ", unknown for {} msec", ms(Some(unknown)));
            }
            text.push('\n');
        }
        text
    }

    fn totals_text(&self) -> String {
        let (start, end) = self.window();
        let (tasks, switches, run) = self.totals();
        let mut text = format!(
            "\n    Total number of unique tasks: {tasks}\nTotal number of context switches: {switches}\n\
            \x20          Total run time (msec): {}\n    Total scheduling time (msec): {} (x {})\n",
            ms(Some(run)),
            ms(Some(end - start)),
            self.cpus().count(),
        );
        if self.lost > 0 {
            let _ = writeln!(text, "                     LOST events: {}", self.lost);
        }
        text
    }

    /// Tasks, switches, and the time that tasks ran, or that CPUs were idle after them.
    fn totals(&self) -> (usize, u64, u64) {
        let run = self.tasks().fold(0_u64, |sum, (_, task)| sum.saturating_add(task.run_ns));
        (self.tasks().count(), self.cpus().map(|(_, cpu)| cpu.switches).sum(), run)
    }

    /// As JSON objects: each task, each CPU, and all.
    pub fn json(&self, tables: &Tables) -> Vec<Value> {
        let mut all: Vec<Value> =
            self.tasks().map(|(task, sums)| self.task_json(task, sums, tables)).collect();
        let (start, end) = self.window();
        for (cpu, sums) in self.cpus() {
            let unknown = (end - start).saturating_sub(sums.idle_ns).saturating_sub(sums.busy_ns);
            all.push(json!({
                "row": "cpu", "cpu": cpu.0, "busy_ns": sums.busy_ns, "idle_ns": sums.idle_ns,
                "unknown_ns": unknown, "switches": sums.switches,
            }));
        }
        let (tasks, switches, run) = self.totals();
        all.push(json!({
            "row": "total", "tasks": tasks, "switches": switches, "run_ns": run, "start_ns": start,
            "end_ns": end, "lost_events": self.lost,
        }));
        all
    }

    fn task_json(&self, task: TaskRef, sums: &Sums, tables: &Tables) -> Value {
        let info = tables.task_of(task);
        json!({
            "row": "task",
            "comm": info.map_or("", |info| tables.text_of(info.name)),
            "tid": info.map(|info| info.pid),
            "pid": info.map(|info| info.tgid),
            "parent": self.parent(task, tables),
            "rows": sums.rows,
            "runs": sums.runs,
            "run_ns": sums.run_ns,
            "run_ns_min": sums.run_ns_min,
            "run_ns_mean": sums.run_ns_mean(),
            "run_ns_max": sums.run_ns_max,
            "stddev_percent": sums.stddev_percent(),
            "sleep_ns": sums.sleep_ns,
            "iowait_ns": sums.iowait_ns,
            "preempt_ns": sums.preempt_ns,
            "delay_ns": sums.delay_ns,
            "migrations": sums.migrations,
        })
    }

    /// The tasks as CSV, with the names that they have in JSON.
    pub fn csv(&self, tables: &Tables) -> String {
        let mut text = String::new();
        for (task, sums) in self.tasks() {
            let Value::Object(object) = self.task_json(task, sums, tables) else { continue };
            if text.is_empty() {
                text = csv_line(object.keys().map(|key| key.as_str().into()));
            }
            text += &csv_line(object.into_iter().map(|(_, value)| value));
        }
        text
    }
}

impl CpuSums {
    fn add(&mut self, task: TaskRef, ns: u64) {
        let sum = if task.is_some() { &mut self.busy_ns } else { &mut self.idle_ns };
        *sum = sum.saturating_add(ns);
    }
}

impl Sums {
    fn runs(&self) -> [String; 5] {
        let known = |ns| (self.runs > 0).then_some(ns);
        let stddev = format!("{:.2}", self.stddev_percent());
        let [run, min, max] = [self.run_ns, self.run_ns_min, self.run_ns_max].map(known).map(ms);
        [run, min, ms(self.run_ns_mean()), max, stddev]
    }

    fn waits(&self) -> [String; 5] {
        let times = [self.run_ns, self.sleep_ns, self.iowait_ns, self.preempt_ns, self.delay_ns];
        times.map(|ns| ms(Some(ns)))
    }
}
