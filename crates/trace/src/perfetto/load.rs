// SPDX-License-Identifier: GPL-2.0-or-later
//! How busy CPUs are, how many tasks wait for one, and how many want one or have it, in windows of time.

use super::tracks::{Track, Value};
use rota_events::{CpuNumber, Event, TaskRef, What};
use std::collections::{BTreeMap, BTreeSet};

/// A window, in ns.
const WINDOW_NS: u64 = 10_000_000;

/// What a CPU did in the window until `until_ns`.
#[derive(Debug, Clone, Copy, Default)]
struct Cpu {
    /// Whether a task runs there; it is not known after a loss.
    busy: Option<bool>,
    until_ns: u64,
    busy_ns: u64,
    idle_ns: u64,
    told: Option<u64>,
}

/// Adds up times.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Where the window starts; the first one with the first event.
    start_ns: Option<u64>,
    cpus: BTreeMap<CpuNumber, Cpu>,
    waiting: BTreeSet<TaskRef>,
    /// How long tasks waited in the window until `until_ns`, all together.
    waited_ns: u128,
    until_ns: u64,
    /// What was told of waiting and of runnable tasks.
    told: [Option<f64>; 2],
}

impl Load {
    /// Takes an event, and adds what counters showed in windows that ended before it.
    pub(super) fn add(&mut self, event: &Event, shown: &mut Vec<(u64, Track, Value)>) {
        let (now_ns, task) = (event.time_ns, event.task);
        match event.what() {
            What::Switch { from, leaves } => {
                self.reach(now_ns, shown);
                let cpu = self.cpus.entry(event.cpu).or_default();
                cpu.reach(now_ns);
                cpu.busy = Some(task.is_some());
                self.wait_until(now_ns);
                self.waiting.remove(&task);
                if from.is_some() && leaves.is_runnable() && from != task {
                    self.waiting.insert(from);
                }
            }
            What::Waking { .. } | What::Wakeup { .. } => {
                self.reach(now_ns, shown);
                self.wait_until(now_ns);
                self.waiting.insert(task);
            }
            What::Exit => {
                self.wait_until(now_ns);
                self.waiting.remove(&task);
            }
            What::Lost { .. } | What::Hidden => {
                self.reach(now_ns, shown);
                let cpu = self.cpus.entry(event.cpu).or_default();
                cpu.reach(now_ns);
                cpu.busy = None;
            }
            _ => {}
        }
    }

    /// Ends the last window.
    pub(super) fn finish(&mut self, shown: &mut Vec<(u64, Track, Value)>) {
        let last_ns = self.cpus.values().map(|cpu| cpu.until_ns).fold(self.until_ns, u64::max);
        if let Some(start_ns) = self.start_ns {
            self.close(start_ns, last_ns, shown);
        }
    }

    /// Ends windows that ended before a time.
    fn reach(&mut self, now_ns: u64, shown: &mut Vec<(u64, Track, Value)>) {
        let Some(mut start_ns) = self.start_ns else {
            (self.start_ns, self.until_ns) = (Some(now_ns), now_ns);
            return;
        };
        let aligned_ns = now_ns - now_ns % WINDOW_NS;
        let end_ns = (start_ns - start_ns % WINDOW_NS).saturating_add(WINDOW_NS);
        if now_ns < end_ns {
            return;
        }
        self.close(start_ns, end_ns, shown);
        start_ns = end_ns;
        if start_ns < aligned_ns {
            // Nothing happened in these: they are as one.
            self.close(start_ns, aligned_ns, shown);
            start_ns = aligned_ns;
        }
        self.start_ns = Some(start_ns);
    }

    fn close(&mut self, start_ns: u64, end_ns: u64, shown: &mut Vec<(u64, Track, Value)>) {
        let mut ran_ns = 0;
        for (number, cpu) in &mut self.cpus {
            cpu.reach(end_ns);
            let (busy_ns, idle_ns) = (cpu.busy_ns, cpu.idle_ns);
            (cpu.busy_ns, cpu.idle_ns) = (0, 0);
            ran_ns += u128::from(busy_ns);
            let known_ns = u128::from(busy_ns) + u128::from(idle_ns);
            let Some(percent) = (u128::from(busy_ns) * 100 + known_ns / 2).checked_div(known_ns)
            else {
                continue;
            };
            let percent = percent as u64;
            if cpu.told.replace(percent) != Some(percent) {
                shown.push((start_ns, Track::BusyCpu(*number), Value::Whole(percent)));
            }
        }
        self.wait_until(end_ns);
        let waited_ns = std::mem::take(&mut self.waited_ns);
        let window_ns = u128::from(end_ns.saturating_sub(start_ns));
        let both = [(Track::Waiting, waited_ns), (Track::Runnable, waited_ns + ran_ns)];
        for (told, (track, ns)) in self.told.iter_mut().zip(both) {
            let Some(hundredths) = (ns * 100).checked_div(window_ns) else { return };
            let mean = hundredths as f64 / 100.0;
            if told.replace(mean) != Some(mean) {
                shown.push((start_ns, track, Value::Part(mean)));
            }
        }
    }

    fn wait_until(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.until_ns);
        self.waited_ns += self.waiting.len() as u128 * u128::from(passed_ns);
        self.until_ns = self.until_ns.max(now_ns);
    }
}

impl Cpu {
    fn reach(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.until_ns);
        match self.busy {
            Some(true) => self.busy_ns = self.busy_ns.saturating_add(passed_ns),
            Some(false) => self.idle_ns = self.idle_ns.saturating_add(passed_ns),
            None => {}
        }
        self.until_ns = self.until_ns.max(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::Leaves;

    #[test]
    fn windows_have_means() {
        let (mut load, mut shown) = (Load::default(), Vec::new());
        let mut at = |ms: u64, task, what| {
            load.add(&Event::new(ms * 1_000_000, CpuNumber(0), TaskRef(task), what), &mut shown);
        };
        let from =
            |task, runnable| What::Switch { from: TaskRef(task), leaves: Leaves::plain(runnable) };
        at(102, 1, from(0, true));
        at(104, 2, What::Waking { waker: TaskRef(1) });
        at(106, 2, from(1, false));
        // Two tasks wait from 112 on for the rest of the window.
        at(112, 0, from(2, false));
        at(112, 3, What::Waking { waker: TaskRef(0) });
        at(112, 4, What::Waking { waker: TaskRef(0) });
        at(151, 3, from(0, true));
        load.finish(&mut shown);
        let busy = |ms: u64, percent| {
            (ms * 1_000_000, Track::BusyCpu(CpuNumber(0)), Value::Whole(percent))
        };
        let waiting = |ms: u64, mean| (ms * 1_000_000, Track::Waiting, Value::Part(mean));
        let runnable = |ms: u64, mean| (ms * 1_000_000, Track::Runnable, Value::Part(mean));
        let expected = [
            busy(102, 100),
            waiting(102, 0.25),
            runnable(102, 1.25),
            busy(110, 20),
            waiting(110, 1.6),
            runnable(110, 1.8),
            busy(120, 0),
            waiting(120, 2.0),
            runnable(120, 2.0),
        ];
        // The last window ends with the last event, idle as the one before.
        assert_eq!(shown, expected);
    }
}
