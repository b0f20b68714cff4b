// SPDX-License-Identifier: GPL-2.0-or-later
//! CPUs and tasks as a kernel was recorded to see them when it decided.

use super::super::super::TaskId;
use super::super::averages::FULL;
use super::super::balance::Puller;
use super::super::domains::Domains;
use super::super::entity::Entity;
use super::super::select::Company;
use super::super::stats::Sums;
use super::super::view::View;
use super::super::{Cache, NICE_0};
use super::trace::{Line, Pulling, State};
use crate::run::Stop;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Who wakes a task that wakes up.
const WAKER: TaskId = TaskId(0);
/// The task that is decided about.
pub(super) const TASK: TaskId = TaskId(1);

/// What is known of a CPU.
#[derive(Debug, Clone, Copy, Default)]
struct Cpu {
    idle: bool,
    count: u32,
    queued: u32,
    runnable: u32,
    load: u64,
    wanted: u64,
    used: u64,
    since_ns: u64,
    /// A bit for its group on each level.
    imbalanced: u32,
}

/// What is known of a task.
#[derive(Debug, Clone, Default)]
struct Task {
    allowed: u64,
    delayed: bool,
    /// Whether its virtual time counts for the average of its queue.
    queued: bool,
    vruntime: i128,
    weight: i128,
    ago_ns: u64,
    load: u64,
    used: u64,
    recent: u32,
    company: Company,
    runs: bool,
}

/// What a decision may read.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    domains: Rc<Domains>,
    caches: Vec<Cache>,
    cpus: Vec<Cpu>,
    tasks: BTreeMap<TaskId, Task>,
    /// The tasks of the CPU that is looked at, and which CPU that is.
    list: Vec<TaskId>,
    pub(super) from: u32,
    pub(super) failed: u32,
    tick: u64,
    pub(super) overloaded: bool,
    /// Tasks that were moved, and where.
    pub(super) moved: Vec<(TaskId, u32)>,
}

impl Seen {
    fn new(domains: &Rc<Domains>) -> Self {
        Self {
            domains: Rc::clone(domains),
            caches: vec![Cache::default(); domains.all.len()],
            cpus: vec![Cpu::default(); domains.of.len()],
            tasks: BTreeMap::new(),
            list: Vec::new(),
            from: u32::MAX,
            failed: 0,
            tick: 0,
            overloaded: false,
            moved: Vec::new(),
        }
    }

    fn task(&self, task: TaskId) -> &Task {
        &self.tasks[&task]
    }

    fn task_mut(&mut self, task: TaskId) -> &mut Task {
        self.tasks.entry(task).or_default()
    }

    fn all_idle(&mut self, mask: i64) {
        for (cpu, known) in self.cpus.iter_mut().enumerate() {
            known.idle = mask >> cpu & 1 != 0;
        }
    }

    /// As a task wakes up.
    pub(super) fn wake(domains: &Rc<Domains>, line: &Line) -> Self {
        let mut seen = Self::new(domains);
        let (here, there) = (line.cpu("here"), line.cpu("there"));
        seen.all_idle(line.get("idle"));
        for (cpu, load, cores, scans) in [
            (there, "load_there", "cores_there", "scans_there"),
            (here, "load_here", "cores_here", "scans_here"),
        ] {
            seen.cpus[cpu as usize].load = line.count(load);
            if let Some(domain) = domains.cache(cpu) {
                let (idle_cores, scans) = (line.is(cores), line.small(scans));
                seen.caches[domain] = Cache { idle_cores, scans };
            }
        }
        let (count, delayed) = (line.small("count"), line.small("delayed"));
        let own = &mut seen.cpus[here as usize];
        (own.count, own.queued, own.runnable) = (count, count, count - delayed.min(count));
        seen.tick = line.count("flips_ticks");
        let last = line.is("same").then_some(TASK);
        let flips = line.small("flips");
        let company = Company { flips, last, halved_tick: 0 };
        let load = line.count("waker_load");
        *seen.task_mut(WAKER) = Task { load, company, runs: true, ..Task::default() };
        let flips = line.small("task_flips");
        *seen.task_mut(TASK) = Task {
            allowed: line.count("allowed"),
            load: line.count("task_load"),
            recent: line.cpu("recent"),
            company: Company { flips, ..Company::default() },
            ..Task::default()
        };
        seen
    }

    /// Who makes a task.
    pub(super) fn maker(line: &Line) -> Entity {
        let company = Company { flips: line.small("flips"), ..Company::default() };
        Entity { company, ..Entity::new(NICE_0) }
    }

    /// With what is known of all CPUs, and a task that may use these.
    pub(super) fn state(domains: &Rc<Domains>, state: &State, allowed: u64) -> Self {
        let mut seen = Self::new(domains);
        for (cpu, line) in seen.cpus.iter_mut().zip(state) {
            *cpu = Cpu {
                idle: line.is("idle"),
                count: line.small("count"),
                queued: line.small("queued"),
                runnable: line.small("runnable"),
                load: line.count("load"),
                wanted: line.count("wanted"),
                used: line.count("used").max(line.count("estimate")).min(FULL),
                since_ns: line.count("since"),
                imbalanced: line.small("imbalanced"),
            };
        }
        *seen.task_mut(TASK) = Task { allowed, ..Task::default() };
        seen
    }

    /// As a CPU asks itself whether it is to balance.
    pub(super) fn turn(domains: &Rc<Domains>, line: &Line) -> Self {
        let mut seen = Self::new(domains);
        seen.all_idle(line.get("idle_cpus"));
        seen.cpus[line.cpu("cpu") as usize].count =
            line.small("count") + u32::from(line.is("pending"));
        seen
    }

    /// As the tasks of a CPU are looked at.
    pub(super) fn pull(domains: &Rc<Domains>, pulling: &Pulling) -> Self {
        let mut seen = Self::new(domains);
        let line = &pulling.line;
        seen.from = line.cpu("from");
        seen.failed = line.small("failed");
        for (cpu, name) in QUEUED.iter().enumerate().take(seen.cpus.len()) {
            seen.cpus[cpu].queued = line.small(name);
        }
        seen.cpus[seen.from as usize].count = line.small("count");
        for task in &pulling.tasks {
            let id = TaskId(task.count("task") as u32);
            *seen.task_mut(id) = Task {
                allowed: task.count("allowed"),
                // A thread of the kernel that belongs to its CPU is as little looked at.
                delayed: task.is("delayed") || task.is("bound"),
                queued: task.is("queued"),
                vruntime: task.get("vruntime").into(),
                weight: task.count("weight").into(),
                ago_ns: task.count("ago"),
                runs: task.is("runs"),
                ..Task::default()
            };
            seen.list.push(id);
        }
        // What a task loads and uses is what it did when it was looked at the last time.
        for look in &pulling.looks {
            let task = seen.task_mut(TaskId(look.count("task") as u32));
            (task.load, task.used) = (look.count("load"), look.count("use"));
        }
        seen
    }
}

/// The numbers of tasks in the queue of each CPU.
const QUEUED: [&str; 8] =
    ["queued0", "queued1", "queued2", "queued3", "queued4", "queued5", "queued6", "queued7"];

impl View for Seen {
    fn domains(&self) -> Rc<Domains> {
        Rc::clone(&self.domains)
    }

    fn cache(&mut self, domain: usize) -> &mut Cache {
        &mut self.caches[domain]
    }

    fn is_imbalanced(&self, domain: usize, group: usize) -> bool {
        let cpu = self.domains.all[domain].groups[group].cpus[0] as usize;
        let level = self.domains.of[cpu].iter().position(|each| *each == domain);
        level.is_some_and(|level| self.cpus[cpu].imbalanced >> level & 1 != 0)
    }

    fn set_overloaded(&mut self, overloaded: bool) {
        self.overloaded = overloaded;
    }

    fn failures(&self, _: &Puller) -> u32 {
        self.failed
    }

    fn has_nothing(&self, cpu: u32) -> bool {
        self.cpus[cpu as usize].idle
    }

    fn count_on(&self, cpu: u32) -> u32 {
        self.cpus[cpu as usize].count
    }

    fn queued_on(&self, cpu: u32) -> u32 {
        self.cpus[cpu as usize].queued
    }

    fn runnable_on(&self, cpu: u32) -> u32 {
        self.cpus[cpu as usize].runnable
    }

    fn load_of(&mut self, cpu: u32) -> u64 {
        self.cpus[cpu as usize].load
    }

    fn wanted_of(&mut self, cpu: u32) -> u64 {
        self.cpus[cpu as usize].wanted
    }

    fn used_of(&mut self, cpu: u32) -> u64 {
        self.cpus[cpu as usize].used
    }

    fn sums(&mut self, domain: usize, group: usize) -> Sums {
        let domains = Rc::clone(&self.domains);
        Sums::of(self, domains.all[domain].groups[group].cpus.iter())
    }

    fn idle_since_ns(&self, cpu: u32) -> u64 {
        self.cpus[cpu as usize].since_ns
    }

    fn current(&self, cpu: u32) -> Option<TaskId> {
        let runs = |(id, task): (&TaskId, &Task)| task.runs.then_some(*id);
        let looked_at = self.from == u32::MAX || self.from == cpu;
        self.tasks.iter().filter(|_| looked_at).find_map(runs)
    }

    fn company_on(&mut self, _: u32) -> &mut Company {
        &mut self.task_mut(WAKER).company
    }

    fn oldest(&self, _: u32) -> Option<TaskId> {
        self.list.first().copied()
    }

    fn tick(&self) -> u64 {
        self.tick
    }

    fn may_use(&self, task: TaskId, cpu: u32) -> bool {
        self.task(task).allowed >> cpu & 1 != 0
    }

    fn task_load(&mut self, task: TaskId) -> u64 {
        self.task(task).load
    }

    fn task_use(&mut self, task: TaskId) -> u64 {
        self.task(task).used
    }

    fn company_of(&self, task: TaskId) -> &Company {
        &self.task(task).company
    }

    fn recent_cpu(&mut self, task: TaskId) -> &mut u32 {
        &mut self.task_mut(task).recent
    }

    fn place_of(&self, _: TaskId) -> u32 {
        self.from
    }

    fn is_delayed(&self, task: TaskId) -> bool {
        self.task(task).delayed
    }

    fn is_eligible(&mut self, task: TaskId) -> bool {
        let queued = || self.tasks.values().filter(|task| task.queued);
        let weighted: i128 = queued().map(|task| task.vruntime * task.weight).sum();
        let weight: i128 = queued().map(|task| task.weight).sum();
        self.task(task).vruntime * weight <= weighted
    }

    fn ran_ago_ns(&self, task: TaskId) -> u64 {
        self.task(task).ago_ns
    }

    fn look_later(&mut self, _: u32, task: TaskId) {
        self.list.retain(|other| *other != task);
        self.list.push(task);
    }

    fn move_fair(&mut self, task: TaskId, to: u32) -> Result<(), Stop> {
        self.list.retain(|other| *other != task);
        self.moved.push((task, to));
        self.task_mut(task).queued = false;
        // Who runs is charged when another one leaves.
        for runs in self.tasks.values_mut().filter(|task| task.runs && task.weight > 0) {
            let ran = i128::from(std::mem::take(&mut runs.ago_ns));
            runs.vruntime += ran * i128::from(NICE_0) / runs.weight;
        }
        let from = &mut self.cpus[self.from as usize];
        (from.count, from.queued) = (from.count.saturating_sub(1), from.queued.saturating_sub(1));
        self.cpus[to as usize].queued += 1;
        Ok(())
    }
}
