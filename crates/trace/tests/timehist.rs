// SPDX-License-Identifier: GPL-2.0-or-later
//! Rows and sums of timehist are what the definitions say, worked out slowly from all events.

use proptest::prelude::*;
use rota_events::{CpuNumber, DsqId, Event, Leaves, Tables, TaskInfo, TaskRef, What};
use rota_trace::{
    Ran, Row, RowKind, Timehist, TimehistColumns, TimehistLines, TimehistSummary, csv_header,
    csv_row, json_row, timehist_header,
};
use std::collections::BTreeMap;

const NONE: TaskRef = TaskRef::NONE;
const CPUS: u32 = 3;

/// Events that need not make sense together.
fn stream() -> impl Strategy<Value = Vec<Event>> {
    let leaves = prop::sample::select(vec!["S", "R", "R+", "D", "Z"]);
    let one = (0..40_u64, 0..CPUS, 0..5_u32, 0..5_u32, 0..12_u8, leaves, 0..3_u64, 0..30_u8);
    prop::collection::vec(one, 0..150).prop_map(|all| {
        let (mut time, mut on) = (1000, [NONE; CPUS as usize]);
        let mut events = Vec::new();
        for (step, cpu, task, other, kind, leaves, queue, rare) in all {
            time += step;
            let (task, other) = (TaskRef(task), TaskRef(other));
            let dsq = if queue == 0 { DsqId::local(CpuNumber(cpu)) } else { DsqId(queue) };
            let ran = std::mem::replace(&mut on[cpu as usize], task);
            let what = match kind {
                // Most switches leave who runs; a few leave another one.
                0..5 => What::Switch {
                    from: if rare == 0 { other } else { ran },
                    leaves: Leaves::from_letter(leaves),
                },
                5 => What::Waking { waker: other },
                6 => What::Wakeup { on: CpuNumber(other.0), waker: other },
                7 => What::Migrate { from: CpuNumber(cpu), to: CpuNumber(other.0) },
                8 => What::Enqueue { flags: 0 },
                9 => What::Insert { dsq, depth: 1, vtime: None, at_head: false },
                10 => What::Remove { dsq, depth: 0 },
                _ if rare < 5 => What::Lost { events: 3 },
                _ => What::Idle,
            };
            if !matches!(what, What::Switch { .. }) {
                on[cpu as usize] = ran;
            }
            // Now and then one is told late.
            let at = if rare == 7 { time - 5 } else { time };
            events.push(Event::new(at, CpuNumber(cpu), task, what));
        }
        events
    })
}

/// Looks at all events for each question.
struct Slow<'a>(&'a [Event]);

impl Slow<'_> {
    fn now(&self, i: usize) -> u64 {
        self.0[..=i].iter().map(|event| event.time_ns).max().unwrap()
    }

    fn latest(&self, before: usize, is: impl Fn(&Event) -> bool) -> Option<usize> {
        (0..before).rev().find(|i| is(&self.0[*i]))
    }

    /// The latest switch on a CPU, unless events are lost there since.
    fn switch_on(&self, before: usize, cpu: CpuNumber) -> Option<usize> {
        let found =
            self.latest(before, |event| event.cpu == cpu && (is_switch(event) || is_lost(event)));
        found.filter(|i| is_switch(&self.0[*i]))
    }

    fn touches(event: &Event, task: TaskRef) -> bool {
        matches!(event.what(), What::Switch { from, .. } if from == task || event.task == task)
    }

    /// Wait and scheduling latency of a task that gets a CPU with event `at`.
    fn waits(&self, at: usize, task: TaskRef) -> (Option<(Leaves, u64)>, Option<u64>) {
        let now = self.now(at);
        if let What::Switch { from, leaves } = self.0[at].what()
            && from == task
        {
            return (Some((leaves, 0)), leaves.is_runnable().then_some(0));
        }
        let touched = self.latest(at, |event| Self::touches(event, task));
        let lost = self.latest(at, is_lost);
        let runs = touched.is_some_and(|i| {
            let (event, cpu) = (&self.0[i], self.0[i].cpu);
            let gone = self.latest(at, |event| is_lost(event) && event.cpu == cpu);
            event.task == task && gone.is_none_or(|gone| gone < i)
        });
        let from = touched.max(lost);
        let out = touched.filter(|i| Some(*i) == from && self.0[*i].task != task);
        let out = out.and_then(|i| match self.0[i].what() {
            What::Switch { leaves, .. } => Some((leaves, now - self.now(i))),
            _ => None,
        });
        let wake = (from.map_or(0, |i| i + 1)..at).find(|i| {
            let wakes = matches!(self.0[*i].what(), What::Waking { .. } | What::Wakeup { .. });
            wakes && self.0[*i].task == task && !runs
        });
        let ready = out.filter(|(leaves, _)| leaves.is_runnable()).map(|(_, ns)| ns);
        (out, ready.or(wake.map(|i| now - self.now(i))))
    }

    /// The last queue that is not local, else the last, since the task was enqueued.
    fn queue(&self, at: usize, task: TaskRef) -> Option<(DsqId, u64)> {
        if matches!(self.0[at].what(), What::Switch { from, .. } if from == task) {
            return None;
        }
        let from = self.latest(at, |event| {
            let enqueued = matches!(event.what(), What::Enqueue { .. }) && event.task == task;
            is_lost(event) || enqueued || Self::touches(event, task)
        });
        let mut taken = Vec::new();
        for i in from.map_or(0, |i| i + 1)..at {
            let What::Remove { dsq, .. } = self.0[i].what() else { continue };
            if self.0[i].task != task {
                continue;
            }
            let put = self.latest(i, |event| {
                let queues = matches!(event.what(), What::Insert { .. } | What::Remove { .. });
                is_lost(event) || queues && event.task == task
            });
            if let Some(put) = put
                && matches!(self.0[put].what(), What::Insert { dsq: into, .. } if into == dsq)
            {
                taken.push((dsq, self.now(i) - self.now(put)));
            }
        }
        let shared = taken.iter().rfind(|(dsq, _)| dsq.cpu().is_none());
        shared.or(taken.last()).copied()
    }

    /// What event `i` shows of a window.
    fn row(&self, i: usize, from_ns: u64, to_ns: u64) -> Option<Row> {
        let (event, now) = (&self.0[i], self.now(i));
        let (cpu, task) = (event.cpu, event.task);
        let inside = from_ns <= now && now < to_ns;
        let what = match event.what() {
            What::Switch { from, leaves } => return self.ran(i, from, leaves, from_ns, to_ns),
            What::Waking { waker } if task != NONE => RowKind::Awakened { waker, task },
            What::Wakeup { waker, .. } if task != NONE => {
                let before = self
                    .latest(i, |event| {
                        let wakes =
                            matches!(event.what(), What::Waking { .. } | What::Wakeup { .. });
                        is_lost(event) || wakes && event.task == task || Self::touches(event, task)
                    })
                    .map(|i| self.0[i].what());
                if matches!(before, Some(What::Waking { .. })) {
                    return None;
                }
                RowKind::Awakened { waker, task }
            }
            What::Migrate { from, to } if task != NONE => {
                let by = self.switch_on(i, cpu).map(|i| self.0[i].task);
                RowKind::Migrated { by, task, from, to }
            }
            What::Lost { events } => RowKind::Lost(events),
            _ => return None,
        };
        inside.then_some(Row { time_ns: now, cpu, what })
    }

    fn ran(
        &self,
        i: usize,
        task: TaskRef,
        leaves: Leaves,
        from_ns: u64,
        to_ns: u64,
    ) -> Option<Row> {
        let (now, cpu, next) = (self.now(i), self.0[i].cpu, self.0[i].task);
        let began = self.switch_on(i, cpu).filter(|i| self.0[*i].task == task);
        let since = began.map_or(now, |i| self.now(i));
        if now < from_ns || since >= to_ns {
            return None;
        }
        let time_ns = now.min(to_ns);
        let before = began.and_then(|i| match self.0[i].what() {
            What::Switch { from, .. } => Some(from),
            _ => None,
        });
        let run_ns = began.map(|_| time_ns - since.max(from_ns));
        let mut ran =
            Ran { task, next, before, leaves, run_ns, wait: None, delay_ns: None, dsq: None };
        if let Some(at) = began.filter(|_| since >= from_ns) {
            if task == NONE {
                let idle = self.latest(at + 1, |event| {
                    let leaves = matches!(event.what(), What::Switch { from: NONE, .. });
                    event.cpu == cpu && (leaves || is_lost(event))
                });
                let idle = idle.filter(|i| is_switch(&self.0[*i]));
                ran.wait = idle.map(|i| (Leaves::Sleeping, since - self.now(i)));
            } else {
                (ran.wait, ran.delay_ns) = self.waits(at, task);
                ran.dsq = self.queue(at, task);
            }
        }
        Some(Row { time_ns, cpu, what: RowKind::Ran(ran) })
    }

    /// What a CPU did in a ns, if that is known.
    fn at(&self, cpu: CpuNumber, time_ns: u64) -> Option<TaskRef> {
        let on = |i: &usize| {
            let event = &self.0[*i];
            event.cpu == cpu && (is_switch(event) || is_lost(event))
        };
        let after = (0..self.0.len()).filter(on).find(|i| self.now(*i) > time_ns);
        let ends = after.map(|i| self.0[i].what());
        let left = match ends {
            Some(What::Switch { from, .. }) => Some(from),
            _ => None,
        };
        match self.latest(after.unwrap_or(self.0.len()), |event| {
            event.cpu == cpu && (is_switch(event) || is_lost(event))
        }) {
            None => left,
            Some(i) if is_lost(&self.0[i]) => None,
            // What is lost at its end was not told, nor was who leaves if another one came.
            Some(i) if after.is_some() => left.filter(|task| *task == self.0[i].task),
            Some(i) => Some(self.0[i].task),
        }
    }
}

fn is_switch(event: &Event) -> bool {
    matches!(event.what(), What::Switch { .. })
}

fn is_lost(event: &Event) -> bool {
    matches!(event.what(), What::Lost { .. })
}

fn rows(events: &[Event], from_ns: u64, to_ns: u64) -> (Vec<Row>, TimehistSummary) {
    let mut timehist = Timehist::new(from_ns, to_ns);
    let mut sums = TimehistSummary::new(from_ns, to_ns, false);
    let mut rows = Vec::new();
    for event in events {
        sums.event(event);
        let row = timehist.add(event);
        row.iter().for_each(|row| sums.row(row, true));
        rows.extend(row);
    }
    sums.finish(&timehist);
    (rows, sums)
}

/// Run, sleep, iowait, preempt, delay of each task.
fn totals(rows: &[Row]) -> BTreeMap<TaskRef, [u64; 5]> {
    let mut all: BTreeMap<_, [u64; 5]> = BTreeMap::new();
    for row in rows {
        let RowKind::Ran(ran) = row.what else { continue };
        if ran.task == NONE {
            continue;
        }
        let wait =
            |is: fn(Leaves) -> bool| ran.wait.map_or(0, |(l, ns)| if is(l) { ns } else { 0 });
        let disk = |leaves| leaves == Leaves::Uninterruptible;
        let times = [
            ran.run_ns.unwrap_or(0),
            wait(|leaves| !matches!(leaves.letter(), "R" | "R+" | "D")),
            wait(disk),
            wait(|leaves| matches!(leaves.letter(), "R" | "R+")),
            ran.delay_ns.unwrap_or(0),
        ];
        let sum = all.entry(ran.task).or_default();
        sum.iter_mut().zip(times).for_each(|(sum, ns)| *sum += ns);
    }
    all
}

proptest! {
    #[test]
    fn every_row_is_what_the_definitions_say(
        events in stream(), from in 0..5000_u64, length in 0..4000_u64, all: bool,
    ) {
        let (from, to) = if all { (0, u64::MAX) } else { (from, from + length) };
        let slow = Slow(&events);
        let mut timehist = Timehist::new(from, to);
        for (i, event) in events.iter().enumerate() {
            prop_assert_eq!(timehist.add(event), slow.row(i, from, to), "event {}", i);
        }
    }

    #[test]
    fn sums_are_those_of_the_rows(events in stream(), from in 0..3000_u64, length in 0..4000_u64) {
        let to = from + length;
        let (rows, sums) = rows(&events, from, to);
        let expected = totals(&rows);
        let found: BTreeMap<_, _> = sums.tasks().map(|(task, sums)| {
            (task, [sums.run_ns, sums.sleep_ns, sums.iowait_ns, sums.preempt_ns, sums.delay_ns])
        }).collect();
        prop_assert_eq!(&found, &expected);
        for (task, sums) in sums.tasks() {
            let runs: Vec<u64> = rows.iter().filter_map(|row| match row.what {
                RowKind::Ran(ran) if ran.task == task => ran.run_ns,
                _ => None,
            }).collect();
            prop_assert_eq!(sums.runs, runs.len() as u64);
            prop_assert_eq!(sums.run_ns_min, runs.iter().copied().min().unwrap_or(0));
            prop_assert_eq!(sums.run_ns_max, runs.iter().copied().max().unwrap_or(0));
            let n = runs.len() as f64;
            let mean = sums.run_ns as f64 / n.max(1.0);
            let squares: f64 = runs.iter().map(|ns| (*ns as f64 - mean).powi(2)).sum();
            let error = if n < 2.0 || mean == 0.0 { 0.0 } else {
                100.0 * (squares / (n - 1.0)).sqrt() / n.sqrt() / mean
            };
            prop_assert!((sums.stddev_percent() - error).abs() < 1e-6 * (1.0 + error));
        }
    }

    #[test]
    fn cpus_are_busy_and_idle_as_they_were(events in stream()) {
        let (_, sums) = rows(&events, 0, u64::MAX);
        let slow = Slow(&events);
        let Some(last) = events.len().checked_sub(1).map(|last| slow.now(last)) else {
            return Ok(());
        };
        for (cpu, sums) in sums.cpus() {
            let did: Vec<_> = (events[0].time_ns..last).map(|ns| slow.at(cpu, ns)).collect();
            let idle = did.iter().filter(|task| **task == Some(NONE)).count() as u64;
            let busy = did.iter().flatten().count() as u64 - idle;
            let lost = events.iter().any(is_lost);
            // Of what runs until a loss, it is not known until when.
            if !lost {
                prop_assert_eq!((sums.busy_ns, sums.idle_ns), (busy, idle));
            }
            prop_assert!(sums.busy_ns <= busy && sums.idle_ns <= idle);
        }
    }

    #[test]
    fn windows_side_by_side_add_up(events in stream(), cut in 1000..4000_u64) {
        let whole = totals(&rows(&events, 0, u64::MAX).0);
        let mut sum: BTreeMap<TaskRef, [u64; 5]> = BTreeMap::new();
        for (from, to) in [(0, cut), (cut, u64::MAX)] {
            for (task, times) in totals(&rows(&events, from, to).0) {
                let all = sum.entry(task).or_default();
                all.iter_mut().zip(times).for_each(|(sum, ns)| *sum += ns);
            }
        }
        prop_assert_eq!(sum, whole);
    }
}

/// Two tasks: one wakes the other, which waits in a queue, runs on another CPU, and comes over.
fn recording() -> (Tables, Vec<Event>) {
    let mut tables = Tables::default();
    let mut task = |pid, tgid, name: &str| {
        let name = tables.text(name);
        tables.task(TaskInfo { pid, tgid, start_ns: 1, name, ..TaskInfo::default() })
    };
    let (a, b) = (task(5, 5, "waker"), task(6, 5, "sleeper"));
    let at = |us: u64, cpu, task, what| Event::new(us * 1000, CpuNumber(cpu), task, what);
    let shared = DsqId(0x10);
    let switch = |from, letter| What::Switch { from, leaves: Leaves::from_letter(letter) };
    let events = vec![
        at(500, 1, NONE, switch(b, "D")),
        at(1_000, 0, a, switch(NONE, "R")),
        at(2_000, 0, b, What::Waking { waker: a }),
        at(2_000, 0, b, What::Insert { dsq: shared, depth: 1, vtime: None, at_head: false }),
        at(2_000, 0, b, What::Wakeup { on: CpuNumber(1), waker: a }),
        at(3_000, 1, b, What::Remove { dsq: shared, depth: 0 }),
        at(3_250, 1, b, switch(NONE, "R")),
        at(9_000, 1, NONE, switch(b, "R+")),
        at(9_250, 0, b, What::Migrate { from: CpuNumber(1), to: CpuNumber(0) }),
        at(9_500, 0, b, switch(a, "Z")),
        at(9_600, 0, NONE, What::Lost { events: 7 }),
        at(12_345, 0, a, switch(b, "S")),
    ];
    (tables, events)
}

#[test]
fn golden_text() {
    let (tables, events) = recording();
    let (rows, sums) = rows(&events, 0, u64::MAX);
    let columns = TimehistColumns { cpus: 2, state: true, next: true, dsq: true };
    let mut text = timehist_header(&columns);
    let mut lines = TimehistLines::new(columns);
    rows.iter().for_each(|row| text += str::from_utf8(lines.row(row, &tables)).unwrap());
    text += &sums.text(&tables, false);
    text += &sums.text(&tables, true);
    assert_eq!(text, include_str!("timehist.txt"));
}

#[test]
fn golden_data() {
    let (tables, events) = recording();
    let (rows, sums) = rows(&events, 0, u64::MAX);
    let mut text = String::new();
    rows.iter().for_each(|row| text += &format!("{}\n", json_row(row, &tables)));
    sums.json(&tables).iter().for_each(|object| text += &format!("{object}\n"));
    text += &csv_header();
    rows.iter().for_each(|row| text += &csv_row(row, &tables));
    text += &sums.csv(&tables);
    assert_eq!(text, include_str!("timehist-data.txt"));
}
