// SPDX-License-Identifier: GPL-2.0-or-later
//! When load is balanced: from time to time on busy CPUs and, by one of them, for those that
//! sleep; and whenever a CPU is about to go idle (kernel: `sched_balance_domains`,
//! `nohz_balancer_kick`, `sched_balance_newidle`).

use super::super::{Due, Phase, TICK_NS};
use super::balance::Puller;
use super::pull::HOT_NS;
use crate::machine::Machine;
use crate::run::Stop;

/// The longest time between two balances that fail by affinity, in ms.
const PINNED_MS: u64 = 512;
/// A busy CPU balances that many times more seldom.
const BUSY: u64 = 16;
/// The longest time between two balances, in ticks, for each CPU but one (kernel: a tenth of a
/// second).
const TICKS_MOST: u64 = 1_000_000_000 / TICK_NS / 10;
/// What looking for work takes a CPU that is about to go idle, for each CPU looked at, in ns: an
/// estimate. It decides only whether it is worth it; nobody spends it.
const LOOK_NS: u64 = 50;
/// That cost is forgotten by 1 % in so many ticks.
const FORGET_TICKS: u64 = 1_000_000_000 / TICK_NS;

/// CPUs that sleep have the averages of groups brought up to date so seldom (kernel:
/// `nohz.next_blocked`, 32 ms).
const AGING_TICKS: u64 = 32_000_000 / TICK_NS;

/// What a CPU knows of one of its domains.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    /// CPUs of the domain: it is balanced once in so many ms, or half of that, if idle.
    cpus: u64,
    pub(super) interval_ms: u64,
    pub(super) failed: u32,
    pub(super) last_tick: u64,
    /// Of the last tries to find work before going idle: how many, how many with success, and of
    /// 1024 how many are worth it.
    pub(super) calls: u32,
    pub(super) found: u32,
    pub(super) worth: u32,
    counted_ns: u64,
    pub(super) cost_ns: u64,
    cost_tick: u64,
}

/// What came of an attempt to balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is nothing to move, or it is for another CPU to see.
    Balanced,
    /// None of the tasks may run here.
    Pinned,
    /// Tasks were moved.
    Moved,
    /// They could not be: whether the running one should and may not be pushed, and whether there
    /// was no other.
    Failed { stays: bool, alone: bool },
}

/// What a CPU knows of balancing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Balance {
    pub(super) levels: Vec<Level>,
    pub(super) next_tick: u64,
    /// Since when it is idle, and how long it usually is, in ns.
    pub(super) idle_since_ns: u64,
    pub(super) idle_ns: u64,
    cost_ns: u64,
    /// Whether its ticks have stopped, as it is idle.
    asleep: bool,
    /// Whether it is to balance for all that sleep.
    called: bool,
    /// Whether it is to give a task away.
    pub(super) pushes: bool,
}

impl Level {
    pub(super) fn new(cpus: u64) -> Self {
        Self {
            cpus,
            interval_ms: cpus,
            failed: 0,
            last_tick: 0,
            calls: 512,
            found: 256,
            worth: 512,
            counted_ns: 0,
            cost_ns: 0,
            cost_tick: 0,
        }
    }

    /// Notes an attempt to balance: when the next one is, and how many have failed (kernel: the end
    /// of `sched_balance_rq`).
    pub(super) fn settle(&mut self, newly: bool, outcome: Outcome) {
        self.failed = match outcome {
            Outcome::Failed { .. } => self.failed + u32::from(!newly),
            Outcome::Balanced | Outcome::Pinned | Outcome::Moved => 0,
        };
        let pinned = match outcome {
            Outcome::Moved | Outcome::Failed { stays: false, .. } => {
                self.interval_ms = self.cpus;
                return;
            }
            Outcome::Balanced => false,
            Outcome::Pinned => true,
            Outcome::Failed { alone, .. } => alone,
        };
        let longer = pinned && self.interval_ms < PINNED_MS || self.interval_ms < 2 * self.cpus;
        if longer && !newly {
            self.interval_ms *= 2;
        }
    }

    /// Ticks until the next balance.
    fn interval(&self, busy: bool, cpus: u64) -> u64 {
        let ms = self.interval_ms * if busy { BUSY } else { 1 };
        let ticks = (ms * 1_000_000).div_ceil(TICK_NS) - u64::from(busy);
        // The kernel counts the CPUs before the last one is one of them.
        ticks.clamp(1, TICKS_MOST * cpus.saturating_sub(1).max(1))
    }

    /// When it is balanced next, as a number of ticks.
    fn due(&self, busy: bool, cpus: u64) -> u64 {
        self.last_tick + self.interval(busy, cpus)
    }

    /// Notes a try to find work, which counts for so many.
    fn note(&mut self, found: u32, now_ns: u64) {
        self.calls += 1;
        self.found += found;
        if self.calls >= 1024 {
            let ns = now_ns - std::mem::replace(&mut self.counted_ns, now_ns);
            self.worth = ((ns >> 22) as u32).saturating_add(self.found).min(1024);
            self.calls /= 2;
            self.found /= 2;
        }
    }

    fn note_cost(&mut self, ns: u64, tick: u64) {
        if ns > self.cost_ns {
            (self.cost_ns, self.cost_tick) = (ns, tick);
        } else if tick > self.cost_tick + FORGET_TICKS {
            (self.cost_ns, self.cost_tick) = (self.cost_ns * 253 / 256, tick);
        }
    }
}

impl Balance {
    /// Of a CPU whose domains have so many CPUs each.
    pub(super) fn new(sizes: impl Iterator<Item = usize>) -> Self {
        let levels = sizes.map(|size| Level::new(size as u64)).collect();
        Self { levels, idle_ns: 2 * HOT_NS, cost_ns: HOT_NS, asleep: true, ..Self::default() }
    }
}

/// When what is balanced: what that rests on, of a simulated machine or of a recording.
pub(super) trait When: Sized {
    /// The present time as a number of ticks, and in ns.
    fn tick_number(&self) -> u64;
    /// See [`Self::tick_number`].
    fn time_ns(&self) -> u64;
    /// How many CPUs there are.
    fn cpu_count(&self) -> u32;
    /// What a CPU knows of balancing.
    fn balance_of(&mut self, cpu: u32) -> &mut Balance;
    /// Balances the domain of a CPU on a level: how many tasks came, and whether it is this CPU's
    /// turn.
    ///
    /// # Errors
    /// The run stops.
    fn balance_level(
        &mut self,
        cpu: u32,
        level: usize,
        idle: bool,
        newly: bool,
    ) -> Result<(u32, bool), Stop>;
    /// Whether a CPU has nothing to do.
    fn is_idle(&self, cpu: u32) -> bool;
    /// Whether a CPU sleeps without ticks.
    fn is_asleep(&self, cpu: u32) -> bool;
    /// How many CPUs of its cache do not.
    fn awake_near(&self, cpu: u32) -> usize;
    /// The threads of its core.
    fn core(&self, cpu: u32) -> Vec<u32>;
    /// How many tasks it has.
    fn tasks_on(&self, cpu: u32) -> u32;
    /// When a CPU that sleeps is next called to balance, as a number of ticks.
    fn next_call(&mut self) -> &mut u64;
    /// Whether a CPU has more than one task.
    fn is_overloaded(&self) -> bool;
    /// A random number below 1024.
    fn dice(&mut self) -> u32;
    /// What looking for work on a level of a CPU takes, in ns.
    fn cost_ns(&self, cpu: u32, level: usize) -> u64;

    /// Balances those domains of a CPU for which it is time (kernel: `sched_balance_domains`).
    ///
    /// # Errors
    /// The run stops.
    fn balance_levels(&mut self, cpu: u32, mut idle: bool) -> Result<(), Stop> {
        let (now, cpus) = (self.tick_number(), u64::from(self.cpu_count()));
        let mut next = now + 60 * FORGET_TICKS;
        for level in 0..self.balance_of(cpu).levels.len() {
            self.balance_of(cpu).levels[level].note_cost(0, now);
            let mut due = self.balance_of(cpu).levels[level].due(!idle, cpus);
            let mut goes_on = true;
            if now >= due {
                let (moved, is_it) = self.balance_level(cpu, level, idle, false)?;
                goes_on = is_it;
                if moved > 0 {
                    idle = self.is_idle(cpu);
                }
                let state = &mut self.balance_of(cpu).levels[level];
                state.last_tick = now;
                due = state.due(!idle, cpus);
            }
            next = next.min(due);
            if !goes_on {
                break;
            }
        }
        self.balance_of(cpu).next_tick = next;
        Ok(())
    }

    /// Looks for work for a CPU that is about to go idle, level by level (kernel:
    /// `sched_balance_newidle`).
    ///
    /// # Errors
    /// The run stops.
    fn seek_work(&mut self, cpu: u32) -> Result<(), Stop> {
        let (now_ns, tick) = (self.time_ns(), self.tick_number());
        let latest = tick + FORGET_TICKS;
        let balance = self.balance_of(cpu);
        balance.next_tick = balance.next_tick.min(latest);
        self.balance_sooner(cpu, 0);
        let balance = self.balance_of(cpu);
        let (idle_ns, mut spent_ns) = (balance.idle_ns, 0);
        let first_ns = balance.levels[0].cost_ns;
        if !self.is_overloaded() || idle_ns < first_ns {
            return Ok(());
        }
        for level in 0..self.balance_of(cpu).levels.len() {
            self.balance_sooner(cpu, level);
            let state = &mut self.balance_of(cpu).levels[level];
            if idle_ns < spent_ns + state.cost_ns {
                break;
            }
            let mut weight = 1;
            if state.worth < 1024 {
                weight = 1 + state.worth;
                if self.dice() > weight {
                    self.balance_of(cpu).levels[level].note(0, now_ns);
                    continue;
                }
                weight = (1024 + weight / 2) / weight;
            }
            let (moved, goes_on) = self.balance_level(cpu, level, true, true)?;
            let cost_ns = self.cost_ns(cpu, level);
            spent_ns += cost_ns;
            let state = &mut self.balance_of(cpu).levels[level];
            state.note(if moved > 0 { weight } else { 0 }, now_ns);
            state.note_cost(cost_ns, tick);
            if moved > 0 || !goes_on {
                break;
            }
        }
        let balance = self.balance_of(cpu);
        balance.cost_ns = balance.cost_ns.max(spent_ns);
        Ok(())
    }

    /// A CPU will be idle, so a level's turn comes sooner.
    fn balance_sooner(&mut self, cpu: u32, level: usize) {
        let cpus = u64::from(self.cpu_count());
        let balance = self.balance_of(cpu);
        balance.next_tick = balance.next_tick.min(balance.levels[level].due(false, cpus));
    }

    /// At a tick of a CPU: one that sleeps, and is to be called to balance for all that do, if this
    /// one has more than it should (kernel: `nohz_balancer_kick`).
    fn sleeper_to_call(&mut self, cpu: u32, idle: bool) -> Option<u32> {
        let tick = self.tick_number();
        let several = self.tasks_on(cpu) >= 2 || self.awake_near(cpu) > 1;
        if idle || tick < *self.next_call() || !several {
            return None;
        }
        *self.next_call() = tick + 1;
        let mut found = None;
        for cpu in 0..self.cpu_count() {
            if !self.is_asleep(cpu) || !self.is_idle(cpu) {
                continue;
            }
            if self.core(cpu).into_iter().all(|thread| self.is_idle(thread)) {
                return Some(cpu);
            }
            found = found.or(Some(cpu));
        }
        found
    }
}

impl When for Machine {
    fn tick_number(&self) -> u64 {
        self.now_ns / TICK_NS
    }

    fn time_ns(&self) -> u64 {
        self.now_ns
    }

    fn cpu_count(&self) -> u32 {
        self.shape.cpus
    }

    fn balance_of(&mut self, cpu: u32) -> &mut Balance {
        &mut self.sched.rq(cpu).balance
    }

    fn balance_level(
        &mut self,
        cpu: u32,
        level: usize,
        idle: bool,
        newly: bool,
    ) -> Result<(u32, bool), Stop> {
        let domain = self.sched.fair.domains.of[cpu as usize][level];
        self.balance(Puller::new(cpu, (domain, level), idle, newly))
    }

    fn is_idle(&self, cpu: u32) -> bool {
        self.has_nothing(cpu)
    }

    fn is_asleep(&self, cpu: u32) -> bool {
        self.sched.rqs[cpu as usize].balance.asleep
    }

    fn awake_near(&self, cpu: u32) -> usize {
        let domains = &self.sched.fair.domains;
        let cache = domains.cache(cpu).map(|domain| &domains.all[domain].cpus);
        cache.into_iter().flatten().filter(|cpu| !self.is_asleep(**cpu)).count()
    }

    fn core(&self, cpu: u32) -> Vec<u32> {
        self.sched.fair.domains.siblings[cpu as usize].clone()
    }

    fn tasks_on(&self, cpu: u32) -> u32 {
        self.count_on(cpu)
    }

    fn next_call(&mut self) -> &mut u64 {
        &mut self.sched.fair.next_call_tick
    }

    fn is_overloaded(&self) -> bool {
        self.sched.fair.overloaded
    }

    fn dice(&mut self) -> u32 {
        (self.sched.fair.random.next() % 1024) as u32
    }

    fn cost_ns(&self, cpu: u32, level: usize) -> u64 {
        let domains = &self.sched.fair.domains;
        LOOK_NS * domains.all[domains.of[cpu as usize][level]].cpus.len() as u64
    }
}

impl Machine {
    /// What the CPU that balances knows of the domain.
    pub(super) fn level(&mut self, puller: &Puller) -> &mut Level {
        &mut self.sched.rq(puller.cpu).balance.levels[puller.level]
    }

    /// Whether tasks of this class are balanced: not if a scheduler has all of them.
    fn balances(&self) -> bool {
        let partial = self.sched.ops.flags & super::super::ops::ops_flags::SWITCH_PARTIAL != 0;
        self.sched.phase == Phase::Off || partial
    }

    /// The tick of a CPU: it balances if it is time, and calls one that sleeps to do so.
    pub(crate) fn balance_at_tick(&mut self, cpu: u32) -> Result<(), Stop> {
        if !self.balances() || self.sched.rq(cpu).balance.levels.is_empty() {
            return Ok(());
        }
        let idle = self.sched.rq(cpu).current.is_none();
        self.sched.rq(cpu).balance.asleep = idle;
        if self.tick_number() >= self.sched.rq(cpu).balance.next_tick {
            self.balance_levels(cpu, idle)?;
        }
        if !idle {
            self.age_sleepers();
        }
        if let Some(sleeper) = self.sleeper_to_call(cpu, idle) {
            self.call_sleeper(sleeper);
        }
        Ok(())
    }

    /// What groups have on CPUs that sleep gets less, of which nobody there tells them.
    fn age_sleepers(&mut self) {
        let now = self.tick_number();
        if !self.sched.fair.groups.are_any() || now < self.sched.fair.next_aging_tick {
            return;
        }
        self.sched.fair.next_aging_tick = now + AGING_TICKS;
        for cpu in 0..self.shape.cpus {
            if self.sched.rqs[cpu as usize].balance.asleep {
                self.age_all_groups(cpu);
            }
        }
    }

    /// Calls a CPU that sleeps to balance for all that do.
    fn call_sleeper(&mut self, sleeper: u32) {
        if !std::mem::replace(&mut self.sched.rq(sleeper).balance.called, true) {
            let interrupt_ns = self.shape.costs.interrupt_ns;
            self.sched.agenda.add(self.now_ns + interrupt_ns, Due::Balance(sleeper));
        }
    }

    /// A CPU that sleeps balances for all that do, itself last.
    pub(crate) fn balance_sleepers(&mut self, here: u32) -> Result<(), Stop> {
        self.sched.rq(here).balance.called = false;
        if !self.balances() || self.sched.rq(here).current.is_some() {
            return Ok(());
        }
        let (cpus, now) = (self.shape.cpus, self.tick_number());
        let mut next = now + 60 * FORGET_TICKS;
        for cpu in (here + 1..cpus).chain(0..=here) {
            if !self.sched.rq(cpu).balance.asleep || !self.has_nothing(cpu) {
                continue;
            }
            if !self.has_nothing(here) {
                return Ok(());
            }
            if now >= self.sched.rq(cpu).balance.next_tick {
                self.balance_levels(cpu, true)?;
            }
            next = next.min(self.sched.rq(cpu).balance.next_tick);
        }
        self.sched.fair.next_call_tick = next;
        Ok(())
    }

    /// A CPU is about to go idle: it looks for work elsewhere. Whether it found some.
    pub(crate) fn balance_before_idle(&mut self, cpu: u32) -> Result<bool, Stop> {
        self.sched.rq(cpu).balance.idle_since_ns = self.now_ns;
        if !self.balances() || self.sched.rq(cpu).balance.levels.is_empty() {
            return Ok(false);
        }
        self.seek_work(cpu)?;
        Ok(self.sched.rq(cpu).fair.queued > 0)
    }

    /// A CPU that was idle is not any more.
    pub(crate) fn idle_is_over(&mut self, cpu: u32) {
        let now_ns = self.now_ns;
        let balance = &mut self.sched.rq(cpu).balance;
        let slept_ns = now_ns.saturating_sub(balance.idle_since_ns);
        // An average of which each new one is an eighth.
        let more = (slept_ns as i64 - balance.idle_ns as i64) / 8;
        let idle_ns = balance.idle_ns.saturating_add_signed(more);
        balance.idle_ns = idle_ns.min(2 * balance.cost_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Outcome};

    /// What is noted of an attempt: failures and interval of a domain of 8 CPUs, before and after.
    fn check(outcome: Outcome, newly: bool, before: (u32, u64), after: (u32, u64)) {
        let mut level = Level::new(8);
        (level.failed, level.interval_ms) = before;
        level.settle(newly, outcome);
        let what = format!("{outcome:?}, newly {newly}, from {before:?}");
        assert_eq!((level.failed, level.interval_ms), after, "{what}");
    }

    #[test]
    fn what_comes_of_balancing_says_when_to_try_again() {
        let failed = |stays, alone| Outcome::Failed { stays, alone };
        // Who succeeds, or has only to try harder, tries again soon.
        check(Outcome::Moved, false, (3, 16), (0, 8));
        check(failed(false, false), false, (3, 16), (4, 8));
        check(failed(false, true), false, (3, 16), (4, 8));
        // Balance is looked at half as often, and no more seldom.
        check(Outcome::Balanced, false, (3, 8), (0, 16));
        check(Outcome::Balanced, false, (3, 16), (0, 16));
        // If affinity is in the way, more seldom still; so too if the running task may not be pushed,
        // but only if it is alone.
        check(Outcome::Pinned, false, (3, 16), (0, 32));
        check(Outcome::Pinned, false, (3, 512), (0, 512));
        check(failed(true, false), false, (3, 8), (4, 16));
        check(failed(true, false), false, (3, 16), (4, 16));
        check(failed(true, true), false, (3, 16), (4, 32));
        check(failed(true, true), false, (3, 512), (4, 512));
    }

    #[test]
    fn who_is_about_to_go_idle_counts_no_failures_and_does_not_wait_longer() {
        let failed = |stays, alone| Outcome::Failed { stays, alone };
        check(Outcome::Moved, true, (3, 16), (0, 8));
        check(failed(false, false), true, (3, 16), (3, 8));
        check(Outcome::Balanced, true, (3, 8), (0, 8));
        check(Outcome::Pinned, true, (3, 16), (0, 16));
        check(failed(true, true), true, (3, 16), (3, 16));
    }
}
