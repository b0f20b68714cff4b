// SPDX-License-Identifier: GPL-2.0-or-later
//! What a kernel decided about CPUs, decided once more by the model, which knows what the kernel
//! knew.
//!
//! * [`trace`]: the text of a recording; [`seen`], [`clock`]: what a decision reads of it.

mod clock;
mod seen;
mod trace;

pub use trace::{Decisions, DecisionsError};

use super::super::TaskId;
use super::balance::{By, FindBusy, Imbalance, Puller};
use super::domains::{Domain, Domains, Kind};
use super::entity::Entity;
use super::pull::{Pull, Pulled};
use super::select::Select;
use super::when::{Level, Outcome, When};
use super::{NICE_0, SYNC, WAKE};
use clock::Clock;
use rota_topology::Topology;
use seen::{Seen, TASK};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::rc::Rc;
use trace::{Balancing, CPUS, Decision, Line, Pulling, State};

/// How the model's decisions and a kernel's compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionsAgreement {
    /// Domains of CPUs that were compared.
    pub domains: usize,
    /// Wake-ups for which a CPU was chosen.
    pub wakes: usize,
    /// New tasks for which one was.
    pub forks: usize,
    /// How often a CPU asked whether it is to balance.
    pub turns: usize,
    /// How often an imbalance was looked for, and how often one was found.
    pub searches: usize,
    /// See [`Self::searches`].
    pub found: usize,
    /// How often a CPU to take tasks from was chosen.
    pub sources: usize,
    /// How often tasks of a CPU were looked at, how many tasks that were, and how many were moved.
    pub pulls: usize,
    /// See [`Self::pulls`].
    pub looks: usize,
    /// See [`Self::pulls`].
    pub moves: usize,
    /// How often the next time to balance, and what has failed, was noted.
    pub ends: usize,
    /// How often a CPU balanced the domains whose time had come, looked for work before it went idle
    /// or did not, and called one that slept at a tick or did not.
    pub periods: usize,
    /// See [`Self::periods`].
    pub before_idle: usize,
    /// See [`Self::periods`].
    pub ticks: usize,
    /// Decisions that rest on what the model leaves out.
    pub left_out: usize,
    /// Comparisons that came out otherwise, while another CPU changed what they are about: of each
    /// kind of decision, by the names of the numbers above.
    pub raced: BTreeMap<&'static str, usize>,
    /// Decisions that came out otherwise, each in words.
    pub disagreements: Vec<String>,
}

/// A flag of wake-ups that are to stay with who wakes (kernel: `WF_CURRENT_CPU`).
const STAYS: u64 = 0x40;
/// The capacity of a CPU that has nothing but tasks of this class.
const FULL: i64 = 1024;
/// What was recorded of balancing: all tasks were pinned (kernel: `LBF_ALL_PINNED`).
const ALL_PINNED: u64 = 1;
/// What was recorded of other CPUs: one of them balances several nodes.
const OTHERS_NODES: u64 = 2;
/// Flags of domains (kernel: `SD_SHARE_CPUCAPACITY`, `SD_SHARE_LLC`, `SD_NUMA`).
const THREADS: i64 = 0x80;
const SHARES_CACHE: i64 = 0x200;
const NODES: i64 = 0x2000;

impl Decisions {
    /// Lets the model decide all of it. No recording is of a machine with more than eight CPUs; that
    /// it is one is then the only disagreement.
    #[must_use]
    pub fn replay(&self, topology: &Topology) -> DecisionsAgreement {
        let mut agreement = DecisionsAgreement::default();
        let cpus = topology.possible().count();
        if cpus > CPUS {
            agreement.disagreements = vec![format!("{cpus} CPUs, and {CPUS} can be recorded")];
            return agreement;
        }
        let domains = Rc::new(Domains::new(topology, cpus as u32));
        let mut replay = Replay { domains, agreement, kind: "" };
        for line in &self.domains {
            replay.domain(line);
        }
        for decision in &self.all {
            match decision {
                Decision::Wake(line) => replay.wake(line),
                Decision::Fork(line, state) => replay.fork(line, state),
                Decision::Balance(balancing) => replay.balance(balancing),
                Decision::When(line) => replay.when(line),
            }
        }
        replay.agreement
    }
}

/// CPUs as bits.
fn mask(cpus: &[u32]) -> u64 {
    cpus.iter().fold(0, |mask, cpu| mask | 1 << cpu)
}

struct Replay {
    domains: Rc<Domains>,
    agreement: DecisionsAgreement,
    /// What is compared at the moment.
    kind: &'static str,
}

impl Replay {
    /// Compares what was decided; `raced` says that something changed in the midst.
    fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        line: &impl Display,
        raced: bool,
        (kernel, model): (T, T),
    ) {
        if kernel == model {
            return;
        }
        if raced {
            *self.agreement.raced.entry(self.kind).or_default() += 1;
            return;
        }
        let text = format!("{what}: {kernel:?} in the kernel, {model:?} in the model: {line}");
        self.agreement.disagreements.push(text);
    }

    fn domain(&mut self, line: &Line) {
        self.kind = "domains";
        self.agreement.domains += 1;
        let (cpu, level) = (line.cpu("cpu") as usize, line.count("level") as usize);
        let domains = Rc::clone(&self.domains);
        let number = domains.of.get(cpu).and_then(|chain| chain.get(level));
        let Some(domain) = number.map(|number| &domains.all[*number]) else {
            self.same("a domain", line, false, (true, false));
            return;
        };
        let own = domain.group_of(cpu as u32);
        let groups = domain.groups.iter().cycle().skip(own).take(4);
        let groups: Vec<(u64, u64)> =
            groups.map(|group| (mask(&group.cpus), u64::from(group.cores))).collect();
        let group = |number: usize| {
            let name = |what: &str| format!("{what}{number}");
            (line.count(&name("group")), line.count(&name("cores")))
        };
        let flags = line.get("flags");
        let kernel = (
            line.count("cpus"),
            line.count("percent"),
            line.count("tries"),
            (flags & THREADS != 0, flags & SHARES_CACHE != 0, flags & NODES != 0),
            (0..4).map(group).collect::<Vec<_>>(),
        );
        let model = (
            domain.cpus.len() as u64,
            domain.imbalance_percent(),
            u64::from(domain.tries()),
            (
                domain.kind == Kind::Core,
                domain.kind <= Kind::Cache,
                matches!(domain.kind, Kind::Nodes(_)),
            ),
            groups,
        );
        self.same("a domain", line, false, (kernel, model));
        if let Kind::Nodes(_) = domain.kind {
            self.same("room between nodes", line, false, (line.get("spared"), domain.spared));
        }
        let (least, most) = (line.count("least"), line.count("most"));
        let cpus = domain.cpus.len() as u64;
        self.same("intervals", line, false, ((least, most), (cpus, 2 * cpus)));
    }

    fn wake(&mut self, line: &Line) {
        let (here, there) = (line.cpu("here"), line.cpu("there"));
        let known = here.max(there) < self.domains.of.len() as u32;
        let flags = line.count("flags");
        let bound = line.is("bound") && here == there && line.get("count") <= 1;
        let weak = line.get("capacity_here") != FULL || line.get("capacity_there") != FULL;
        if !known || bound || weak || flags & STAYS != 0 {
            self.agreement.left_out += 1;
            return;
        }
        self.kind = "wakes";
        self.agreement.wakes += 1;
        let mut seen = Seen::wake(&self.domains, line);
        let sync = if line.is("sync") { SYNC } else { 0 };
        let chosen = seen.select(TASK, here, there, WAKE | sync);
        let raced = line.is("raced");
        self.same("a wake-up", line, raced, (line.cpu("chosen"), chosen));
        if line.cpu("chosen") == chosen {
            self.after_wake(line, &mut seen, (here, there), raced);
        }
    }

    /// What a wake-up leaves behind.
    fn after_wake(&mut self, line: &Line, seen: &mut Seen, cpus: (u32, u32), raced: bool) {
        use super::view::View;
        let flips = u64::from(seen.company_on(cpus.0).flips);
        self.same("changes of partner", line, raced, (line.count("then_flips"), flips));
        let recent = *seen.recent_cpu(TASK);
        self.same("the CPU used before", line, raced, (line.cpu("then_recent"), recent));
        for (cpu, name) in [(cpus.0, "then_cores_here"), (cpus.1, "then_cores_there")] {
            if let Some(domain) = self.domains.cache(cpu).filter(|_| self.domains.smt) {
                let cores = seen.cache(domain).idle_cores;
                // Another CPU may have found one meanwhile.
                let raced = raced || line.is(name);
                self.same("idle cores", line, raced, (line.is(name), cores));
            }
        }
    }

    fn fork(&mut self, line: &Line, state: &State) {
        let known = line.cpu("here").max(line.cpu("there")) < self.domains.of.len() as u32;
        if !known || state.len() < self.domains.of.len() || is_weak(state) {
            self.agreement.left_out += 1;
            return;
        }
        self.kind = "forks";
        self.agreement.forks += 1;
        let mut seen = Seen::state(&self.domains, state, line.count("allowed"));
        let chosen = seen.select(TASK, line.cpu("here"), line.cpu("there"), 0);
        self.same("a new task", line, line.is("raced"), (line.cpu("chosen"), chosen));
        let flips = Entity::new(NICE_0).made_by(&Seen::maker(line)).company.flips;
        // Who makes it may have woken others up before this, if only in an interrupt.
        let raced = !line.is("same_partner");
        let both = (line.count("task_flips"), u64::from(flips));
        self.same("a new task's partners", line, raced, both);
    }

    /// Who balances: a CPU, a level, and how; without CPUs that are not among these.
    fn puller(&self, line: &Line, cpus: u64) -> Option<Puller> {
        let (cpu, level) = (line.cpu("cpu"), line.count("level") as usize);
        let domain = *self.domains.of.get(cpu as usize)?.get(level)?;
        let all = 0..self.domains.of.len() as u32;
        let without = all.filter(|cpu| cpus >> cpu & 1 == 0).collect();
        let (idle, newly) = (line.is("idle"), line.get("idle") == 2);
        Some(Puller { without, ..Puller::new(cpu, (domain, level), idle, newly) })
    }

    fn domain_of(&self, puller: &Puller) -> &Domain {
        &self.domains.all[puller.domain]
    }

    fn balance(&mut self, balancing: &Balancing) {
        let end = &balancing.end;
        let Some(puller) = self.puller(end, u64::MAX) else {
            self.agreement.left_out += 1;
            return;
        };
        self.kind = "turns";
        self.agreement.turns += 1;
        let turn = Seen::turn(&self.domains, end).is_to_balance(&puller);
        // One CPU at a time balances several nodes.
        let taken = matches!(self.domain_of(&puller).kind, Kind::Nodes(_))
            && end.count("others") & OTHERS_NODES != 0;
        // A task may have come to the CPU.
        let counts = end.count("counts") >> (4 * puller.cpu) & 0xf;
        let came = puller.newly && counts != end.count("count");
        let raced = end.is("raced") || taken || came;
        self.same("whose turn it is", end, raced, (end.is("looked"), turn));
        let mut source = None;
        for (line, state) in &balancing.found {
            source = self.search(line, state, balancing);
        }
        for (number, pulling) in balancing.pulls.iter().enumerate() {
            self.pull(pulling, balancing.pulls.get(number + 1));
        }
        self.end(&puller, balancing, source);
    }

    /// An imbalance is looked for; the CPU that tasks are then taken from.
    fn search(&mut self, line: &Line, state: &State, balancing: &Balancing) -> Option<u32> {
        use super::view::View;
        let mut puller = self.puller(line, line.count("cpus"))?;
        if state.len() < self.domains.of.len() || is_weak(state) {
            self.agreement.left_out += 1;
            return None;
        }
        self.kind = "searches";
        self.agreement.searches += 1;
        let mut seen = Seen::state(&self.domains, state, 0);
        let found = seen.find_imbalance(&mut puller);
        let group = |i: Imbalance| mask(&self.domain_of(&puller).groups[i.group].cpus);
        let model = found.map(|i| (group(i), measure(i.by), i.amount));
        let kernel = line
            .is("group")
            .then(|| (line.count("group"), line.get("measure"), line.get("amount")));
        self.agreement.found += usize::from(kernel.is_some());
        let raced = line.is("raced");
        self.same("an imbalance", line, raced, (kernel, model));
        if line.get("scans") >= 0 && !puller.newly {
            let scans = u64::from(seen.cache(puller.domain).scans);
            let raced = raced || line.is("others");
            self.same(
                "how far idle CPUs are looked for",
                line,
                raced,
                (line.count("scans"), scans),
            );
        }
        if puller.level + 1 == self.domains.of[puller.cpu as usize].len() {
            let model = seen.overloaded;
            // Who gets a second task says so at once.
            let raced = raced || line.is("overloaded");
            self.same("whether a CPU has several", line, raced, (line.is("overloaded"), model));
        }
        if kernel != model {
            return None;
        }
        let from = seen.busiest_cpu(&puller, &found?);
        let pull = balancing.pulls.iter().find(|pull| pull.line.get("cpus") == line.get("cpus"));
        self.kind = "sources";
        self.agreement.sources += 1;
        let counts = balancing.end.count("counts");
        let now = |cpu: u32| counts >> (4 * cpu) & 0xf;
        let switched = balancing.end.is("switched");
        let changed = switched
            || (0..self.domains.of.len() as u32)
                .any(|cpu| now(cpu) != u64::from(seen.count_on(cpu)));
        match (pull.map(|pull| pull.line.cpu("from")), from) {
            // The kernel does not look at the tasks of a CPU that has no other than the running one.
            (None, Some(cpu)) if seen.count_on(cpu) <= 1 => {}
            both => self.same("which CPU has most", line, raced || changed, both),
        }
        from
    }

    /// Tasks of a CPU are moved to another one, and then maybe to a `next` one.
    fn pull(&mut self, pulling: &Pulling, next: Option<&Pulling>) {
        let line = &pulling.line;
        let by = match line.get("measure") {
            0 => By::Load,
            1 => By::Use,
            2 => By::Tasks,
            _ => return self.agreement.left_out += 1,
        };
        let Some(puller) = self.puller(line, line.count("cpus")) else { return };
        if line.cpu("from") >= self.domains.of.len() as u32 {
            return;
        }
        self.kind = "pulls";
        self.agreement.pulls += 1;
        self.agreement.looks += pulling.looks.len();
        self.agreement.moves += pulling.moves.len();
        let mut seen = Seen::pull(&self.domains, pulling);
        let mut pulled = Pulled { left: line.get("amount"), ..Pulled::default() };
        let (from, most) = (line.cpu("from"), line.small("most"));
        if seen.pull_to(&puller, (from, most), by, &mut pulled).is_err() {
            return;
        }
        let moved = |line: &Line| (TaskId(line.count("task") as u32), line.cpu("to"));
        let kernel: Vec<(TaskId, u32)> = pulling.moves.iter().map(moved).collect();
        // A task may have come after it was decided how many are looked at.
        let raced = most < line.count("count").min(32) as u32;
        self.same("what is moved", line, raced, (kernel, seen.moved));
        if let Some(last) = pulling.moves.last() {
            self.same("what is left", line, raced, (last.get("left"), pulled.left));
        }
        let to = |next: &Pulling| (next.line.cpu("from") == from).then(|| next.line.cpu("cpu"));
        let instead = pulled.instead.filter(|_| pulled.left > 0);
        // The next CPU is not told if there is nothing to be looked at any more.
        if next.is_some() || instead.is_none() {
            self.same("who gets tasks instead", line, raced, (next.and_then(to), instead));
        }
    }

    /// When the domain is balanced next.
    fn end(&mut self, puller: &Puller, balancing: &Balancing, source: Option<u32>) {
        let Some(outcome) = self.outcome(puller, balancing, source) else { return };
        let end = &balancing.end;
        self.kind = "ends";
        self.agreement.ends += 1;
        let mut level = Level::new(self.domain_of(puller).cpus.len() as u64);
        (level.failed, level.interval_ms) = (end.small("failed"), end.count("interval"));
        level.settle(puller.newly, outcome);
        let model = (u64::from(level.failed), level.interval_ms);
        let kernel = (end.count("then_failed"), end.count("then_interval"));
        let raced = end.is("raced") || end.is("others");
        self.same(&format!("what follows from {outcome:?}"), end, raced, (kernel, model));
    }

    /// When domains are balanced.
    fn when(&mut self, line: &Line) {
        let chain = self.domains.of.get(line.cpu("cpu") as usize);
        let known = chain.is_some_and(|chain| !chain.is_empty());
        if !known || line.letter() == "n" && line.is("pending") {
            self.agreement.left_out += 1;
            return;
        }
        match line.letter() {
            "p" => self.period(line),
            "n" => self.before_idle(line),
            _ => self.tick(line),
        }
    }

    /// Domains of a CPU are balanced for which it is time.
    fn period(&mut self, line: &Line) {
        self.kind = "periods";
        self.agreement.periods += 1;
        let cpu = line.cpu("cpu");
        let mut clock = Clock::new(&self.domains, line);
        if clock.balance_levels(cpu, line.get("idle") == 1).is_err() {
            return;
        }
        let lasts = ["then_last0", "then_last1", "then_last2"].map(|name| line.get(name));
        let kernel = (line.get("levels"), line.get("then_next"), lasts);
        let model = (clock.balanced, clock.next(cpu), clock.lasts(cpu));
        self.same("what is balanced when", line, line.is("raced"), (kernel, model));
    }

    /// A CPU is about to go idle.
    fn before_idle(&mut self, line: &Line) {
        let cpu = line.cpu("cpu");
        let decide = |took_ns| {
            let mut clock = Clock::new(&self.domains, line);
            clock.took_ns = took_ns;
            let result = clock.seek_work(cpu);
            result.ok().map(|()| (clock.balanced, clock.next(cpu), clock.tries(cpu)))
        };
        // The kernel looked twice, as a task came and went.
        let twice = (0..3).any(|level| {
            let calls = |name: &str| line.get(&format!("{name}{level}"));
            calls("then_calls") > calls("calls").saturating_add(1)
        });
        // What looking took is known for all levels together only.
        let Some(model) = decide(0) else { return };
        if twice || decide(line.count("took_ns")) != Some(model) {
            self.agreement.left_out += 1;
            return;
        }
        self.kind = "before_idle";
        self.agreement.before_idle += 1;
        let names = [
            ("then_calls0", "then_found0"),
            ("then_calls1", "then_found1"),
            ("then_calls2", "then_found2"),
        ];
        let tries = names.map(|(calls, found)| (line.get(calls), line.get(found)));
        let kernel = (line.get("levels"), line.get("then_next"), tries);
        self.same("where work is looked for", line, line.is("raced"), (kernel, model));
    }

    /// At a tick, a CPU that sleeps is called to balance, or not.
    fn tick(&mut self, line: &Line) {
        self.kind = "ticks";
        self.agreement.ticks += 1;
        let (cpu, idle) = (line.cpu("cpu"), line.is("idle"));
        let mut clock = Clock::new(&self.domains, line);
        let sleeper = if clock.somebody_sleeps() { clock.sleeper_to_call(cpu, idle) } else { None };
        let raced = line.is("raced");
        let next = line.get("then_next");
        self.same("when one is called next", line, raced, (next, clock.next_call_in()));
        let (before, after) = (line.count("called"), line.count("then_called"));
        let called = before | sleeper.map_or(0, |sleeper| 1 << sleeper);
        // Who is called may have answered already.
        if after & !before != 0 || sleeper.is_none() {
            self.same("who is called", line, raced, (after | before, called));
        }
    }

    /// What came of balancing, if that is known.
    fn outcome(
        &self,
        puller: &Puller,
        balancing: &Balancing,
        source: Option<u32>,
    ) -> Option<Outcome> {
        let end = &balancing.end;
        if end.is("moved") {
            return Some(Outcome::Moved);
        }
        if end.get("looked") <= 1 && !end.is("found") {
            return Some(Outcome::Balanced);
        }
        if source.is_none() || end.get("looked") != 1 {
            return None;
        }
        if end.count("flags") & ALL_PINNED != 0 && !balancing.pulls.is_empty() {
            return Some(Outcome::Pinned);
        }
        let tasks = balancing.found.first()?.0.get("measure") == measure(By::Tasks);
        let failed = end.count("failed") + u64::from(!puller.newly);
        let active = tasks && failed > u64::from(self.domain_of(puller).tries() + 2);
        let alone = balancing.pulls.is_empty();
        if alone && end.is("switched") {
            // The CPU may have had nothing any more.
            return None;
        }
        if !active {
            return Some(Outcome::Failed { stays: false, alone });
        }
        let runs = balancing.pulls.last()?.tasks.iter().find(|task| task.is("runs"))?;
        let stays = runs.count("allowed") >> puller.cpu & 1 == 0;
        Some(Outcome::Failed { stays, alone })
    }
}

/// How the kernel calls a measure.
fn measure(by: By) -> i64 {
    match by {
        By::Load => 0,
        By::Use => 1,
        By::Tasks => 2,
    }
}

/// Whether a CPU has less capacity than others, for tasks of other classes take it.
fn is_weak(state: &State) -> bool {
    state.iter().any(|line| line.get("capacity") != FULL)
}
