// SPDX-License-Identifier: GPL-2.0-or-later
//! Metrics of tasks and CPUs, from a stream of events.
//!
//! This is where each of them is defined:
//!
//! * **run time**: from the switch to a task to the switch away from it.
//! * **scheduling latency**: from becoming runnable (a wake-up, or a switch away from a task that
//!   still wants to run) to running, that is to the switch to it. A wake-up counts from when it
//!   is asked for (`waking`), which includes choosing a CPU. A wake-up of a task that is runnable
//!   is none.
//! * **waiting time**: the sum of all scheduling latencies, and of the waits that have not ended
//!   when the stream does. These are in no distribution of latencies, so the longest is told
//!   beside it.
//! * **preemption**: a switch away from a task that still wants to run and has not yielded.
//! * **migration**: a switch to a task on another CPU than the one that it ran on last.
//! * **busy**: a CPU runs a task; **idle**: it runs none and is online. Before the first switch on
//!   a CPU it did what that switch says that it ends; a CPU without any is idle.
//! * **lost idle time**: at each moment as many CPUs as are idle while as many tasks wait, added up.
//!   The time that an idle CPU needs to wake up is part of it.
//! * **ideal share**: what a task would have got if the CPUs had been shared by weight at every moment
//!   while it wanted to run (see `shares.rs`), but at most what it used until it went to sleep: a task
//!   that sleeps had all that it wanted, if late, which latencies tell. **Unfairness** is what tasks
//!   fell short of that.
//!
//! Tasks that may not use every CPU, now or at an earlier moment of the stream, are in neither of the
//! last two: what they can get depends on who else is bound to the same CPUs. Tasks that were put into
//! a cgroup are not in the ideal shares: these know no weights but the tasks' own.
//!
//! Where events are lost on a CPU, its time until the next switch is unknown, and no wait that had
//! begun anywhere ends in a latency, since a wake-up may be among what is lost.

use crate::event::{Event, KINDS, Kind, What};
use crate::file::CpuPlace;
use crate::histogram::Histogram;
use crate::ids::{CpuNumber, TaskRef};
use crate::shares::{Shares, WEIGHT};
use crate::tables::Tables;
use std::collections::BTreeMap;

/// The number of the outermost cgroup.
const ROOT: u64 = 1;

/// How far a task moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Distance {
    /// To another thread of its core.
    Core,
    /// To another core under the same last-level cache.
    Llc,
    /// To another cache of the same node.
    Node,
    /// To another node.
    Remote,
    /// Nothing is known of one of the CPUs.
    Unknown,
}

impl Distance {
    /// All of them, the nearest first.
    pub const ALL: [Self; 5] = [Self::Core, Self::Llc, Self::Node, Self::Remote, Self::Unknown];

    /// Its name.
    pub fn name(self) -> &'static str {
        ["core", "llc", "node", "remote", "unknown"][self as usize]
    }

    /// How far it is from one CPU to another, of those with these places.
    pub fn between(cpus: &[CpuPlace], from: CpuNumber, to: CpuNumber) -> Self {
        let place = |cpu: CpuNumber| cpus.get(cpu.0 as usize).copied();
        Self::of(place(from), place(to))
    }

    /// How far it is from one place to another, if both are known.
    pub fn of(from: Option<CpuPlace>, to: Option<CpuPlace>) -> Self {
        match (from, to) {
            (Some(from), Some(to)) if from.core == to.core => Self::Core,
            (Some(from), Some(to)) if from.llc == to.llc => Self::Llc,
            (Some(from), Some(to)) if from.node == to.node => Self::Node,
            (Some(_), Some(_)) => Self::Remote,
            _ => Self::Unknown,
        }
    }
}

/// What a task, or several together, did and had to bear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskUse {
    /// Time in which it ran, in ns.
    pub run_ns: u64,
    /// Time in which it wanted to and did not, in ns.
    pub wait_ns: u64,
    /// CPU time that it would have got by its weight, in ns; what it had, if it may not use every
    /// CPU.
    pub ideal_ns: u64,
    /// What it fell short of that, in ns.
    pub short_ns: u64,
    /// The longest wait that has not ended with the stream, in ns; part of `wait_ns`.
    pub waiting_ns: u64,
    /// Scheduling latencies, in ns.
    pub latency: Histogram,
    /// How often it woke up.
    pub wakeups: u64,
    /// How often a CPU switched to it.
    pub switches: u64,
    /// How often it was switched away from while it wanted to run, and had not yielded.
    pub preemptions: u64,
    /// How often it yielded.
    pub yields: u64,
    /// How often it changed its CPU, by [`Distance`].
    pub migrations: [u64; 5],
}

impl TaskUse {
    /// The longest latency, or wait that has not ended, in ns.
    pub fn longest_ns(&self) -> u64 {
        self.latency.greatest().max(self.waiting_ns)
    }

    /// How often it changed its CPU.
    pub fn migrations_all(&self) -> u64 {
        self.migrations.iter().sum()
    }

    /// Adds what another one did.
    pub fn merge(&mut self, other: &Self) {
        // A stream that makes no sense can have more time than there is.
        self.run_ns = self.run_ns.saturating_add(other.run_ns);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
        self.ideal_ns = self.ideal_ns.saturating_add(other.ideal_ns);
        self.short_ns = self.short_ns.saturating_add(other.short_ns);
        self.waiting_ns = self.waiting_ns.max(other.waiting_ns);
        self.latency.merge(&other.latency);
        self.wakeups += other.wakeups;
        self.switches += other.switches;
        self.preemptions += other.preemptions;
        self.yields += other.yields;
        self.migrations.iter_mut().zip(other.migrations).for_each(|(sum, more)| *sum += more);
    }
}

/// What a CPU did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuUse {
    /// Time in which it ran tasks, in ns.
    pub busy_ns: u64,
    /// Time in which it ran none, in ns.
    pub idle_ns: u64,
    /// Time of which nothing is known, in ns.
    pub unknown_ns: u64,
    /// How often it switched.
    pub switches: u64,
}

impl CpuUse {
    /// The part of the known time that it was busy, from 0 to 1.
    pub fn utilisation(&self) -> f64 {
        self.busy_ns as f64 / self.busy_ns.saturating_add(self.idle_ns).max(1) as f64
    }

    /// Adds what another one did.
    pub fn merge(&mut self, other: &Self) {
        self.busy_ns = self.busy_ns.saturating_add(other.busy_ns);
        self.idle_ns = self.idle_ns.saturating_add(other.idle_ns);
        self.unknown_ns = self.unknown_ns.saturating_add(other.unknown_ns);
        self.switches += other.switches;
    }
}

/// How many events there were of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindCounts([u64; KINDS.len()]);

impl Default for KindCounts {
    fn default() -> Self {
        Self([0; KINDS.len()])
    }
}

impl KindCounts {
    fn add(&mut self, kind: Kind) {
        self.0[kind as usize - 1] += 1;
    }

    /// Those of each kind, in the order of [`KINDS`].
    pub fn each(self) -> [u64; KINDS.len()] {
        self.0
    }

    /// All events.
    pub fn total(self) -> u64 {
        self.0.iter().sum()
    }
}

/// All metrics of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The first moment of the stream, in ns.
    pub start_ns: u64,
    /// The last.
    pub end_ns: u64,
    /// What each task did that ran or woke up.
    pub tasks: BTreeMap<TaskRef, TaskUse>,
    /// What each CPU did.
    pub cpus: BTreeMap<CpuNumber, CpuUse>,
    /// How many events there were of each kind.
    pub kinds: KindCounts,
    /// How many events are known to be missing.
    pub lost: u64,
    /// CPU time lost while CPUs were idle and tasks waited, in ns.
    pub lost_idle_ns: u64,
}

impl Summary {
    /// CPU time that tasks fell short of their ideal shares, as a part of all, from 0 on.
    pub fn unfairness(&self) -> f64 {
        let total = self.total();
        total.short_ns as f64 / total.run_ns.max(1) as f64
    }

    /// All tasks together.
    pub fn total(&self) -> TaskUse {
        let mut total = TaskUse::default();
        self.tasks.values().for_each(|task| total.merge(task));
        total
    }

    /// All CPUs together.
    pub fn machine(&self) -> CpuUse {
        let mut all = CpuUse::default();
        self.cpus.values().for_each(|cpu| all.merge(cpu));
        all
    }

    /// The tasks of each group together, by its name, and how many they are. Tasks count for the
    /// group that they were in last.
    pub fn groups(&self, tables: &Tables) -> BTreeMap<String, (u64, TaskUse)> {
        let mut groups = BTreeMap::<String, (u64, TaskUse)>::new();
        for (task, used) in &self.tasks {
            let info = tables.task_of(*task);
            let group = info.map_or("", |info| tables.text_of(info.group)).to_owned();
            let (tasks, sum) = groups.entry(group).or_default();
            *tasks += 1;
            sum.merge(used);
        }
        groups
    }
}

/// What a CPU does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// What the next switch says that it ends.
    Untold,
    /// Nobody knows.
    Unknown,
    /// It runs this task, or none.
    Running(TaskRef),
    Offline,
}

impl Doing {
    fn is_idle(self) -> bool {
        match self {
            Self::Untold => true,
            Self::Running(task) => !task.is_some(),
            Self::Unknown | Self::Offline => false,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct CpuNow {
    doing: Doing,
    since_ns: u64,
}

#[derive(Debug)]
struct TaskNow {
    runnable_since_ns: Option<u64>,
    weight: u32,
    /// Whether it may not use every CPU.
    bound: bool,
    /// Whether it is in a cgroup.
    grouped: bool,
    /// While it wants to run: what its weight had got when it began to, in ns.
    began_ns: Option<f64>,
    /// What it would have got since it last slept, before that, in ns.
    awake_ns: f64,
    /// What it would have got before it last slept, in ns, and what it had run until then.
    ideal_ns: f64,
    slept_run_ns: u64,
    running: bool,
    yielded: bool,
    last_cpu: Option<CpuNumber>,
    used: TaskUse,
}

impl Default for TaskNow {
    fn default() -> Self {
        Self {
            runnable_since_ns: None,
            weight: WEIGHT,
            bound: false,
            grouped: false,
            began_ns: None,
            awake_ns: 0.0,
            ideal_ns: 0.0,
            slept_run_ns: 0,
            running: false,
            yielded: false,
            last_cpu: None,
            used: TaskUse::default(),
        }
    }
}

impl TaskNow {
    /// It wants to run from now on, or not any more.
    fn want(&mut self, wants: bool, shares: &mut Shares) {
        match (self.began_ns, wants && !self.bound && !self.grouped) {
            (None, true) => self.began_ns = Some(shares.begin(self.weight)),
            (Some(began_ns), false) => {
                self.awake_ns += shares.end(self.weight) - began_ns;
                self.began_ns = None;
            }
            _ => {}
        }
    }

    /// It sleeps: so it had all that it wanted.
    fn sleep(&mut self, shares: &mut Shares) {
        self.want(false, shares);
        let ran_ns = self.used.run_ns.saturating_sub(self.slept_run_ns);
        self.ideal_ns += self.awake_ns.min(ran_ns as f64);
        (self.awake_ns, self.slept_run_ns) = (0.0, self.used.run_ns);
    }

    /// It waits since then, or not any more; since when it did.
    fn wait(&mut self, since_ns: Option<u64>, shares: &mut Shares) -> Option<u64> {
        let before = std::mem::replace(&mut self.runnable_since_ns, since_ns);
        if !self.bound {
            shares.waiting += u64::from(since_ns.is_some());
            shares.waiting -= u64::from(before.is_some());
        }
        before
    }

    /// It has another weight from now on, other CPUs, or is in a cgroup.
    fn change(&mut self, shares: &mut Shares, change: impl FnOnce(&mut Self)) {
        let (wanted, since_ns) =
            (self.running || self.runnable_since_ns.is_some(), self.wait(None, shares));
        self.want(false, shares);
        change(self);
        self.wait(since_ns, shares);
        self.want(wanted, shares);
    }
}

/// Computes the metrics of a stream as it goes by, in memory for the tasks and CPUs in it.
#[derive(Debug, Default)]
pub struct Activity {
    places: Vec<CpuPlace>,
    start_ns: Option<u64>,
    now_ns: u64,
    tasks: BTreeMap<TaskRef, TaskNow>,
    cpus: BTreeMap<CpuNumber, (CpuNow, CpuUse)>,
    kinds: KindCounts,
    lost: u64,
    shares: Shares,
}

impl Activity {
    /// For a machine whose CPUs are at these places, by their numbers. All of them are told of,
    /// also those that no event names.
    pub fn new(places: &[CpuPlace]) -> Self {
        Self { places: places.to_vec(), ..Self::default() }
    }

    /// Takes the next event. Times should not fall; what is earlier than what was before it is
    /// taken to happen at the same time.
    pub fn add(&mut self, event: &Event) {
        if self.start_ns.is_none() {
            self.start(event.time_ns);
        }
        self.now_ns = self.now_ns.max(event.time_ns);
        self.shares.advance(self.now_ns);
        self.kinds.add(event.kind);
        let (now, cpu, task) = (self.now_ns, event.cpu, event.task);
        match event.what() {
            What::Switch { from, leaves } => self.switch(cpu, from, leaves.is_runnable(), task),
            What::Waking { .. } | What::Wakeup { .. } if task.is_some() => {
                let state = self.tasks.entry(task).or_default();
                if !state.running && state.runnable_since_ns.is_none() {
                    state.wait(Some(now), &mut self.shares);
                    state.want(true, &mut self.shares);
                    state.used.wakeups += 1;
                }
            }
            What::Yield { .. } if task.is_some() => {
                let state = self.tasks.entry(task).or_default();
                state.yielded = true;
                state.used.yields += 1;
            }
            // It went on after a yield.
            What::Tick { .. } => {
                if let Some(state) = self.tasks.get_mut(&task) {
                    state.yielded = false;
                }
            }
            What::Fork { parent, .. } if task.is_some() => self.inherit(task, parent),
            What::Exit => {
                if let Some(state) = self.tasks.get_mut(&task) {
                    state.wait(None, &mut self.shares);
                    state.want(state.running, &mut self.shares);
                }
            }
            // Who comes before all others has no weight, and counts as nice 0 in the ideal shares.
            What::Weight { weight, .. } if task.is_some() && weight > 0 => {
                self.change(task, |state| state.weight = weight);
            }
            What::Affinity { cpus, .. } if task.is_some() => {
                let bound = (cpus as usize) < self.cpus.len();
                self.change(task, |state| state.bound |= bound);
            }
            What::Group { id, .. } if task.is_some() => {
                self.change(task, |state| state.grouped |= id != ROOT);
            }
            What::Hotplug { online } => {
                let doing = if online { Doing::Running(TaskRef::NONE) } else { Doing::Offline };
                self.go_on(cpu, doing);
            }
            What::Lost { events } => {
                self.lost = self.lost.saturating_add(events);
                self.go_on(cpu, Doing::Unknown);
                let waits = self.tasks.values_mut();
                waits.for_each(|task| {
                    task.wait(None, &mut self.shares);
                    task.want(task.running, &mut self.shares);
                });
            }
            What::Hidden => self.hide(cpu, task),
            _ => {}
        }
    }

    /// A task has left a CPU since it came there: what the CPU did since then is not known.
    fn hide(&mut self, cpu: CpuNumber, task: TaskRef) {
        let (now, _) = self.cpu(cpu);
        let before = std::mem::replace(&mut now.doing, Doing::Unknown);
        self.shares.idle -= u64::from(before.is_idle());
        self.go_on(cpu, Doing::Unknown);
        // By now it may have another one.
        let left = |state: &&mut TaskNow| state.last_cpu == Some(cpu);
        if let Some(state) = self.tasks.get_mut(&task).filter(left) {
            state.running = false;
            state.want(false, &mut self.shares);
        }
    }

    /// A new task has of its parent what is known of that.
    fn inherit(&mut self, task: TaskRef, parent: TaskRef) {
        let Some(parent) = self.tasks.get(&parent) else { return };
        let (weight, bound, grouped) = (parent.weight, parent.bound, parent.grouped);
        self.change(task, |state| {
            (state.weight, state.bound, state.grouped) = (weight, bound, grouped);
        });
    }

    /// Something about a task is different from now on.
    fn change(&mut self, task: TaskRef, change: impl FnOnce(&mut TaskNow)) {
        self.tasks.entry(task).or_default().change(&mut self.shares, change);
    }

    fn start(&mut self, now_ns: u64) {
        self.start_ns = Some(now_ns);
        self.now_ns = now_ns;
        for cpu in 0..self.places.len() as u32 {
            let now = CpuNow { doing: Doing::Untold, since_ns: now_ns };
            self.cpus.insert(CpuNumber(cpu), (now, CpuUse::default()));
            self.shares.idle += 1;
        }
        self.shares.advance(now_ns);
        self.shares.lost_ns = 0;
        self.shares.add_cpus(self.places.len() as i64);
    }

    fn cpu(&mut self, cpu: CpuNumber) -> &mut (CpuNow, CpuUse) {
        let since_ns = self.start_ns.unwrap_or(self.now_ns);
        let untold = CpuNow { doing: Doing::Untold, since_ns };
        let shares = &mut self.shares;
        self.cpus.entry(cpu).or_insert_with(|| {
            shares.idle += 1;
            shares.add_cpus(1);
            (untold, CpuUse::default())
        })
    }

    /// A CPU does something else from now on; what it did until now is counted.
    fn go_on(&mut self, cpu: CpuNumber, doing: Doing) {
        let now = CpuNow { doing, since_ns: self.now_ns };
        let before = std::mem::replace(&mut self.cpu(cpu).0, now);
        self.shares.idle += u64::from(doing.is_idle());
        self.shares.idle -= u64::from(before.doing.is_idle());
        if (doing == Doing::Offline) != (before.doing == Doing::Offline) {
            self.shares.add_cpus(if doing == Doing::Offline { -1 } else { 1 });
        }
        let time = self.now_ns - before.since_ns;
        let (_, used) = self.cpu(cpu);
        match before.doing {
            Doing::Running(task) if task.is_some() => {
                used.busy_ns += time;
                let state = self.tasks.entry(task).or_default();
                state.used.run_ns = state.used.run_ns.saturating_add(time);
                state.running = false;
            }
            Doing::Untold | Doing::Running(_) => used.idle_ns += time,
            Doing::Unknown => used.unknown_ns += time,
            Doing::Offline => {}
        }
    }

    fn switch(&mut self, cpu: CpuNumber, from: TaskRef, runnable: bool, to: TaskRef) {
        let now = self.now_ns;
        let (state, _) = self.cpu(cpu);
        if state.doing == Doing::Untold && from.is_some() {
            state.doing = Doing::Running(from);
            self.shares.idle -= 1;
        }
        self.go_on(cpu, Doing::Running(to));
        self.cpu(cpu).1.switches += 1;
        if from.is_some() {
            let state = self.tasks.entry(from).or_default();
            state.running = false;
            state.last_cpu = Some(cpu);
            let yielded = std::mem::take(&mut state.yielded);
            state.wait(runnable.then_some(now), &mut self.shares);
            if !runnable {
                state.sleep(&mut self.shares);
            }
            state.used.preemptions += u64::from(runnable && !yielded);
        }
        if to.is_some() {
            let state = self.tasks.entry(to).or_default();
            if let Some(since) = state.wait(None, &mut self.shares) {
                state.used.wait_ns += now - since;
                state.used.latency.add(now - since);
            }
            state.running = true;
            state.want(true, &mut self.shares);
            state.used.switches += 1;
            if let Some(last) = state.last_cpu.replace(cpu).filter(|last| *last != cpu) {
                let distance = Distance::between(&self.places, last, cpu);
                state.used.migrations[distance as usize] += 1;
            }
        }
    }

    /// The metrics so far, as of a moment, or of the last event if that was later.
    pub fn summary(&self, end_ns: u64) -> Summary {
        let end_ns = end_ns.max(self.now_ns);
        let mut later = self.shares.clone();
        later.advance(end_ns);
        let mut summary = Summary {
            start_ns: self.start_ns.unwrap_or(end_ns),
            end_ns,
            kinds: self.kinds,
            lost: self.lost,
            lost_idle_ns: later.lost_ns,
            ..Summary::default()
        };
        for (task, state) in &self.tasks {
            let mut used = state.used.clone();
            if let Some(since) = state.runnable_since_ns {
                used.waiting_ns = end_ns - since;
                used.wait_ns += used.waiting_ns;
            }
            let began = state.began_ns.map(|began| later.got_ns(state.weight) - began);
            used.ideal_ns = (state.ideal_ns + state.awake_ns + began.unwrap_or(0.0)) as u64;
            summary.tasks.insert(*task, used);
        }
        for (cpu, (now, used)) in &self.cpus {
            let mut used = *used;
            let time = end_ns - now.since_ns;
            match now.doing {
                Doing::Running(task) if task.is_some() => {
                    used.busy_ns += time;
                    let task = summary.tasks.entry(task).or_default();
                    task.run_ns = task.run_ns.saturating_add(time);
                }
                Doing::Untold | Doing::Running(_) => used.idle_ns += time,
                Doing::Unknown => used.unknown_ns += time,
                Doing::Offline => {}
            }
            summary.cpus.insert(*cpu, used);
        }
        for (task, used) in &mut summary.tasks {
            if self.tasks.get(task).is_none_or(|state| state.bound || state.grouped) {
                used.ideal_ns = used.run_ns;
            }
            used.short_ns = used.ideal_ns.saturating_sub(used.run_ns);
        }
        summary
    }
}
