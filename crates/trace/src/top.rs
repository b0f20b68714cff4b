// SPDX-License-Identifier: GPL-2.0-or-later
//! What a machine does at the moment: what happened from one look to the next.

use rota_events::{CpuNumber, DsqId, Event, Histogram, SpanKind, Spans, TaskRef, TextRef, What};
use std::collections::BTreeMap;

/// Collects what happens between two looks, in memory for tasks, CPUs and queues.
#[derive(Debug, Default)]
pub struct Top {
    spans: Spans,
    look: Look,
    /// Who runs on each CPU, and since when in this look; unknown after a loss.
    running: BTreeMap<CpuNumber, (TaskRef, u64)>,
    depths: BTreeMap<DsqId, u32>,
    counters: BTreeMap<TextRef, u64>,
    scheduler: Option<TextRef>,
}

/// What happened from one look to the next. Times are in ns.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// When it begins and ends, on the clock of the recording.
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
    /// How many events there were, and how many were lost.
    pub events: u64,
    /// Of them, those that are lost.
    pub lost: u64,
    /// Each CPU that is known.
    pub cpus: BTreeMap<CpuNumber, CpuLook>,
    /// Each queue that is known.
    pub dsqs: BTreeMap<DsqId, DsqLook>,
    /// Each task that did something.
    pub tasks: BTreeMap<TaskRef, TaskLook>,
    /// The last values of counters.
    pub counters: BTreeMap<TextRef, u64>,
    /// The scheduler in charge, if events told.
    pub scheduler: Option<TextRef>,
}

/// What a CPU did.
#[derive(Debug, Clone, Default)]
pub struct CpuLook {
    /// How long it ran tasks.
    pub busy_ns: u64,
    /// Who runs there now; none if it is idle, nothing if that is not known.
    pub task: Option<TaskRef>,
    /// How often it changed from one to another.
    pub switches: u64,
}

/// What happened in a queue.
#[derive(Debug, Clone, Default)]
pub struct DsqLook {
    /// How many tasks are in it now.
    pub depth: u32,
    /// How many came.
    pub inserted: u64,
    /// How long those that left had been in it.
    pub waits: Histogram,
}

/// What a task did.
#[derive(Debug, Clone, Default)]
pub struct TaskLook {
    /// How long it ran.
    pub run_ns: u64,
    /// How long it waited for a CPU, each time that it then got one.
    pub waits: Histogram,
    /// How often it was woken up.
    pub wakeups: u64,
    /// How often it got a CPU.
    pub runs: u64,
}

impl Top {
    /// Takes the next event.
    pub fn add(&mut self, event: &Event) {
        let (cpu, task, now_ns) = (event.cpu, event.task, event.time_ns);
        let look = &mut self.look;
        if look.from_ns == 0 {
            look.from_ns = now_ns;
        }
        look.to_ns = look.to_ns.max(now_ns);
        look.events += 1;
        self.spans.add(event, &mut |span| match span.kind {
            SpanKind::RunQueue => look.tasks.entry(span.task).or_default().waits.add(span.ns),
            SpanKind::Dsq => {
                let queue = span.dsq.map(|dsq| look.dsqs.entry(dsq).or_default());
                queue.into_iter().for_each(|queue| queue.waits.add(span.ns));
            }
            _ => {}
        });
        match event.what() {
            What::Switch { from, .. } => {
                self.ran(cpu, Some(from), now_ns);
                self.running.insert(cpu, (task, now_ns));
                self.look.cpus.entry(cpu).or_default().switches += 1;
                if task.is_some() {
                    self.look.tasks.entry(task).or_default().runs += 1;
                }
            }
            What::Waking { .. } => look.tasks.entry(task).or_default().wakeups += 1,
            What::Insert { dsq, depth, .. } => {
                self.depths.insert(dsq, depth);
                look.dsqs.entry(dsq).or_default().inserted += 1;
            }
            What::Remove { dsq, depth } => {
                self.depths.insert(dsq, depth);
            }
            What::Counter { name, value } => {
                self.counters.insert(name, value);
            }
            What::Attach { scheduler } => self.scheduler = Some(scheduler),
            What::Detach { .. } => self.scheduler = None,
            What::Lost { events } => {
                look.lost = look.lost.saturating_add(events);
                self.running.remove(&cpu);
            }
            What::Hidden => drop(self.running.remove(&cpu)),
            _ => {}
        }
    }

    /// Counts what ran on a CPU until now; somebody else than was known if something is missing.
    fn ran(&mut self, cpu: CpuNumber, from: Option<TaskRef>, now_ns: u64) {
        let Some((task, since_ns)) = self.running.remove(&cpu) else { return };
        if task.is_some() && from.is_none_or(|from| from == task) {
            let ns = now_ns.saturating_sub(since_ns);
            self.look.cpus.entry(cpu).or_default().busy_ns += ns;
            self.look.tasks.entry(task).or_default().run_ns += ns;
        }
    }

    /// What happened since the last look, up to now; the next one begins.
    pub fn look(&mut self, now_ns: u64) -> Look {
        let now_ns = now_ns.max(self.look.to_ns);
        for (cpu, (task, _)) in self.running.clone() {
            self.ran(cpu, None, now_ns);
            self.running.insert(cpu, (task, now_ns));
            self.look.cpus.entry(cpu).or_default().task = Some(task);
        }
        for (dsq, depth) in &self.depths {
            self.look.dsqs.entry(*dsq).or_default().depth = *depth;
        }
        self.look.to_ns = now_ns;
        self.look.counters = self.counters.clone();
        self.look.scheduler = self.scheduler;
        // What is known stays, empty until something happens.
        let cpus = self.look.cpus.keys().map(|cpu| (*cpu, CpuLook::default())).collect();
        let next = Look { from_ns: now_ns, to_ns: now_ns, cpus, ..Look::default() };
        std::mem::replace(&mut self.look, next)
    }
}

impl Look {
    /// How long it is, in ns; at least one.
    pub fn long_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rota_events::Leaves;

    fn switch(time_ns: u64, cpu: u32, from: u32, to: u32) -> Event {
        let what = What::Switch { from: TaskRef(from), leaves: Leaves::Sleeping };
        Event::new(time_ns, CpuNumber(cpu), TaskRef(to), what)
    }

    #[test]
    fn a_task_that_runs_through_a_look_is_counted_in_each() {
        let mut top = Top::default();
        top.add(&switch(1_000, 0, 0, 7));
        let first = top.look(3_000);
        assert_eq!((first.long_ns(), first.cpus[&CpuNumber(0)].busy_ns), (2_000, 2_000));
        let second = top.look(4_500);
        assert_eq!((second.tasks[&TaskRef(7)].run_ns, second.events), (1_500, 0));
        top.add(&switch(5_000, 0, 7, 0));
        let third = top.look(6_000);
        assert_eq!(third.tasks[&TaskRef(7)].run_ns, 500);
        assert_eq!(third.cpus[&CpuNumber(0)].task, Some(TaskRef::NONE));
        assert_eq!(top.look(7_000).cpus[&CpuNumber(0)].busy_ns, 0);
    }

    proptest! {
        /// However often somebody looks, the sums are those of one look.
        #[test]
        fn looks_add_up(steps in prop::collection::vec((1..1_000_u64, 0..3_u32, 0..5_u32), 1..80), every in 1..20_usize) {
            let (mut now, mut on, mut events) = (1, [0; 3], Vec::new());
            for (ns, cpu, to) in steps {
                now += ns;
                let place = cpu as usize;
                // A task is on one CPU.
                let to = if on.contains(&to) { 0 } else { to };
                events.push(switch(now, cpu, on[place], to));
                on[place] = to;
            }
            let (mut one, mut many) = (Top::default(), Top::default());
            let (mut runs, mut busy, mut waits) = (BTreeMap::new(), 0, 0);
            let mut count = |look: Look| {
                for (task, found) in &look.tasks {
                    *runs.entry(*task).or_insert(0) += found.run_ns;
                    waits += found.waits.count();
                }
                busy += look.cpus.values().map(|cpu| cpu.busy_ns).sum::<u64>();
            };
            for (i, event) in events.iter().enumerate() {
                one.add(event);
                many.add(event);
                if i % every == 0 {
                    count(many.look(event.time_ns));
                }
            }
            count(many.look(now));
            let all = one.look(now);
            let expected = all.tasks.iter().map(|(task, found)| (*task, found.run_ns)).collect();
            prop_assert_eq!(runs, expected);
            prop_assert_eq!(busy, all.cpus.values().map(|cpu| cpu.busy_ns).sum::<u64>());
            prop_assert_eq!(waits, all.tasks.values().map(|task| task.waits.count()).sum::<u64>());
        }
    }
}
