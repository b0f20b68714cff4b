// SPDX-License-Identifier: GPL-2.0-or-later
//! What a trace said so far.

use super::bundle::{Birth, Entry, entries};
use super::losses::Losses;
use crate::perfetto::field::{BOOTTIME, CLOCKS, clock, system, tree};
use crate::protobuf::{Fields, Held};
use crate::read::kernel::{Kernel, Named, Point, Traced};
use crate::read::perf::queue::{Kept, Queue, Waiting};
use rota_events::{Event, Leaves, MachineFacts, Problems, Tables};
use std::collections::{BTreeMap, BTreeSet};

/// Stands for who runs on the CPU, of whom columns say nothing. No thread has this id.
pub(super) const WHO_RUNS: i32 = -1;

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) machine: MachineFacts,
    pub(super) problems: Problems,
    pub(super) events: Vec<Event>,
    kernel: Kernel,
    queue: Queue,
    begun: bool,
    /// States have the numbers of kernels before 4.14.
    old_states: bool,
    /// Thread ids with what the trace says of their processes and names.
    told: BTreeMap<i32, (Option<i32>, Vec<u8>)>,
    seen: BTreeSet<i32>,
    running: BTreeMap<u32, i32>,
    /// Who was born last of each task, by thread ids.
    newborn: BTreeMap<i32, i32>,
    pub(super) losses: Losses,
    last_ns: u64,
    late: u64,
}

impl Session {
    /// Whether events came already.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) fn tables(&self) -> &Tables {
        self.kernel.tables()
    }

    /// Takes a `ClockSnapshot`.
    pub(super) fn clocks(&mut self, bytes: &[u8]) -> Option<()> {
        for field in Fields::new(bytes) {
            if let (clock::PRIMARY, Held::Number(primary)) = field.ok()? {
                let known = CLOCKS.iter().find(|(id, _)| *id == primary);
                self.machine.clock = known
                    .map_or_else(|| format!("clock {primary}"), |(_, name)| (*name).to_owned());
            }
        }
        Some(())
    }

    /// Takes a `SystemInfo`.
    pub(super) fn system(&mut self, bytes: &[u8]) -> Option<()> {
        for field in Fields::new(bytes) {
            let (system::UTSNAME, Held::Bytes(bytes)) = field.ok()? else { continue };
            for field in Fields::new(bytes) {
                if let (system::RELEASE, Held::Bytes(release)) = field.ok()? {
                    let release = String::from_utf8_lossy(release).into_owned();
                    let mut numbers = release.split(['.', '-']).map_while(|n| n.parse().ok());
                    let version = (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0));
                    self.old_states = version < (4, 14);
                    // So Rota says that it is not known.
                    if !release.ends_with("-unknown") {
                        self.machine.kernel = release;
                    }
                }
            }
        }
        Some(())
    }

    /// Takes a `ProcessTree`.
    pub(super) fn tree(&mut self, bytes: &[u8]) -> Option<()> {
        for field in Fields::new(bytes) {
            let (list, Held::Bytes(bytes)) = field.ok()? else { continue };
            let (id, name, tgid) = match list {
                tree::PROCESSES => (tree::PROCESS_PID, tree::PROCESS_CMDLINE, tree::PROCESS_PID),
                tree::THREADS => (tree::THREAD_TID, tree::THREAD_NAME, tree::THREAD_TGID),
                _ => continue,
            };
            let (mut pid, mut process, mut called) = (0, None, None);
            for field in Fields::new(bytes) {
                match field.ok()? {
                    (field, Held::Number(number)) => {
                        let number = number as i32;
                        pid = if field == id { number } else { pid };
                        process = if field == tgid { Some(number) } else { process };
                    }
                    // Of a command line, the first word.
                    (field, Held::Bytes(bytes)) if field == name => called = called.or(Some(bytes)),
                    _ => {}
                }
            }
            if pid == 0 {
                continue;
            }
            let told = self.told.entry(pid).or_default();
            told.0 = process.or(told.0);
            // A thread's own name is better than its process's command line.
            if let Some(name) = called
                && (told.1.is_empty() || list == tree::THREADS)
            {
                told.1 = name.to_vec();
            }
            if self.seen.contains(&pid) {
                self.kernel.thread(pid, told.0, &told.1);
            }
        }
        Some(())
    }

    /// Takes an `FtraceEventBundle`.
    pub(super) fn bundle(&mut self, bytes: &[u8], at: u64) -> Option<()> {
        self.begun = true;
        if self.machine.clock.is_empty() {
            self.clock_of_ftrace();
        }
        let (found, whole) = entries(bytes, self.old_states);
        let youngest_ns = self.queue.youngest_ns();
        if self.losses.is_before(found.cpu, found.lost) {
            let time_ns = found.entries.iter().map(|entry| entry.time_ns).min();
            self.lost(time_ns.unwrap_or(youngest_ns), found.cpu, 1);
        }
        for Entry { time_ns, by, interrupt, birth, point } in found.entries {
            let (cpu, pid) = (found.cpu, birth.number());
            let kept = Kept::Point(self.kernel.keep(&point));
            self.queue.add(Waiting { time_ns, cpu, tid: by, pid, interrupt, kept });
        }
        if let Some(what) = found.wrong {
            self.problems.add(at, what);
        }
        if self.queue.is_full() {
            let ready = self.queue.half();
            self.emit(ready);
        }
        whole.then_some(())
    }

    fn lost(&mut self, time_ns: u64, cpu: u32, events: u64) {
        let kept = Kept::lost(events);
        self.queue.add(Waiting { time_ns, cpu, tid: 0, pid: 0, interrupt: false, kept });
    }

    /// Takes an `FtraceStats`: of what is missing on the whole, the rest is told here.
    pub(super) fn stats(&mut self, bytes: &[u8]) -> Option<()> {
        let rest = self.losses.stats(bytes)?;
        let now_ns = self.queue.youngest_ns();
        rest.into_iter().for_each(|(cpu, events)| self.lost(now_ns, cpu, events));
        Some(())
    }

    fn clock_of_ftrace(&mut self) {
        let name = CLOCKS.iter().find(|(id, _)| *id == BOOTTIME).map_or("", |(_, name)| *name);
        name.clone_into(&mut self.machine.clock);
    }

    /// At the end of the file.
    pub(super) fn finish(&mut self, at: u64) {
        let now_ns = self.queue.youngest_ns();
        self.losses.open().into_iter().for_each(|cpu| self.lost(now_ns, cpu, 1));
        let ready = self.queue.finish();
        self.emit(ready);
        let rest: Vec<i32> = self.told.keys().copied().collect();
        rest.into_iter().for_each(|pid| self.meet(pid));
        if self.late > 0 {
            self.problems.add(at, format!("{} events stand after younger ones", self.late));
        }
    }

    /// Makes events of what has its turn.
    fn emit(&mut self, ready: Vec<Waiting>) {
        for &Waiting { time_ns, cpu, tid, pid, interrupt, kept } in &ready {
            let runs = self.running.get(&cpu).copied();
            let current = if tid == WHO_RUNS { runs.unwrap_or(0) } else { tid };
            let Kept::Point(mut point) = kept else { continue };
            match &mut point {
                Point::Switch { from, leaves, to } => {
                    if from.pid == WHO_RUNS {
                        // Who leaves first is not known.
                        from.pid = runs.unwrap_or(0);
                        *leaves = if runs.is_some() { *leaves } else { Leaves::Runnable };
                    }
                    self.running.insert(cpu, to.pid);
                    let (from, to) = (from.pid, to.pid);
                    self.meet(from);
                    self.meet(to);
                }
                Point::Fork { parent, child } => {
                    if !self.fork(parent.pid, child.pid, Birth::of_number(pid)) {
                        continue;
                    }
                }
                Point::Waking { task }
                | Point::Wakeup { task, .. }
                | Point::WakeupNew { task, .. }
                | Point::Migrate { task, .. }
                | Point::Rename { task }
                | Point::Exit { task } => {
                    let task = task.pid;
                    self.meet(task);
                    self.meet(current);
                }
                Point::Frequency { .. } => {}
                Point::Lost { .. } => {
                    self.running.remove(&cpu);
                }
            }
            if !matches!(point, Point::Rename { .. }) {
                self.late += u64::from(time_ns < self.last_ns);
                self.last_ns = self.last_ns.max(time_ns);
            }
            let traced = Traced { time_ns, cpu, current, interrupt, point };
            self.kernel.add_kept(&traced, &mut self.events);
        }
        self.queue.recycle(ready);
    }

    /// Takes a birth; false if it was told already: the kernel tells it twice, with and without
    /// whether it is a thread of the same process.
    fn fork(&mut self, parent: i32, child: i32, birth: Birth) -> bool {
        if birth == Birth::Either {
            if self.newborn.remove(&parent) == Some(child) {
                return false;
            }
        } else {
            self.newborn.insert(parent, child);
        }
        self.meet(parent);
        let tgid = match birth {
            Birth::Process => child,
            Birth::Thread => self.told.get(&parent).and_then(|told| told.0).unwrap_or(parent),
            // The process tree may know.
            Birth::Either => self.told.get(&child).and_then(|told| told.0).unwrap_or(child),
        };
        self.seen.insert(child);
        self.told.entry(child).or_default().0 = Some(tgid);
        self.kernel.forked(child, tgid);
        true
    }

    /// Whoever is met first is told of, if the trace says anything.
    fn meet(&mut self, pid: i32) {
        if pid != 0
            && self.seen.insert(pid)
            && let Some((tgid, name)) = self.told.get(&pid)
        {
            self.kernel.thread(pid, *tgid, name);
        }
    }
}

/// Nobody of whom more is known than the thread id.
pub(super) fn nameless(pid: i32) -> Named<'static> {
    Named { pid, name: &[] }
}
