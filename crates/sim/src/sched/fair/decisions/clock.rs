// SPDX-License-Identifier: GPL-2.0-or-later
//! When a kernel balanced, with what it knew of times and of earlier attempts.

use super::super::domains::Domains;
use super::super::when::{Balance, When};
use super::trace::Line;
use crate::run::Stop;
use std::rc::Rc;

/// The present tick, so far from zero that times before it can be told.
const NOW: u64 = 1 << 46;
/// Levels that are recorded.
const LEVELS: usize = 3;
/// The names of what is recorded of each.
const NAMES: [[&str; 6]; LEVELS] = [
    ["last0", "interval0", "cost0", "worth0", "calls0", "found0"],
    ["last1", "interval1", "cost1", "worth1", "calls1", "found1"],
    ["last2", "interval2", "cost2", "worth2", "calls2", "found2"],
];

/// What such a decision may read.
pub(super) struct Clock<'a> {
    domains: Rc<Domains>,
    line: &'a Line,
    balance: Balance,
    next_call: u64,
    /// Levels that were balanced, as bits.
    pub(super) balanced: i64,
    /// What looking for work took in all.
    pub(super) took_ns: u64,
    level: usize,
}

fn tick(from_now: i64) -> u64 {
    NOW.saturating_add_signed(from_now.clamp(-(1 << 44), 1 << 44))
}

fn from_now(tick: u64) -> i64 {
    tick.cast_signed() - NOW.cast_signed()
}

impl<'a> Clock<'a> {
    pub(super) fn new(domains: &Rc<Domains>, line: &'a Line) -> Self {
        let chain = &domains.of[line.cpu("cpu") as usize];
        let sizes = chain.iter().map(|domain| domains.all[*domain].cpus.len());
        let mut balance = Balance::new(sizes.take(LEVELS));
        let before_idle = line.letter() == "n";
        let levels = balance.levels.iter_mut().zip(NAMES).filter(|_| line.letter() != "k");
        for (level, [last, interval, cost, worth, calls, found]) in levels {
            level.last_tick = tick(line.get(last));
            level.interval_ms = line.small(interval).max(1).into();
            if before_idle {
                level.cost_ns = line.count(cost);
                (level.worth, level.calls) = (line.small(worth), line.small(calls));
                level.found = line.small(found);
            }
        }
        if before_idle {
            balance.idle_ns = line.count("idle_ns");
        }
        let next_call = tick(if line.letter() == "p" { 0 } else { line.get("next") });
        balance.next_tick = next_call;
        let domains = Rc::clone(domains);
        Self { domains, line, balance, next_call, balanced: 0, took_ns: 0, level: 0 }
    }

    /// When the CPU balances next, in ticks from now.
    pub(super) fn next(&self, _: u32) -> i64 {
        from_now(self.balance.next_tick)
    }

    /// When each level was last balanced.
    pub(super) fn lasts(&self, _: u32) -> [i64; LEVELS] {
        let mut lasts = [0; LEVELS];
        for (last, level) in lasts.iter_mut().zip(&self.balance.levels) {
            *last = from_now(level.last_tick);
        }
        lasts
    }

    /// How often work was looked for on each level, and how often found.
    pub(super) fn tries(&self, _: u32) -> [(i64, i64); LEVELS] {
        let mut tries = [(0, 0); LEVELS];
        for (each, level) in tries.iter_mut().zip(&self.balance.levels) {
            *each = (level.calls.into(), level.found.into());
        }
        tries
    }

    /// When a CPU that sleeps may be called next.
    pub(super) fn next_call_in(&self) -> i64 {
        from_now(self.next_call)
    }

    /// Whether a CPU sleeps but the one whose tick it is, which does no more.
    pub(super) fn somebody_sleeps(&self) -> bool {
        self.line.count("asleep") & !(1 << self.line.cpu("cpu")) != 0
    }

    fn has(&self, name: &str, level: usize) -> bool {
        self.line.count(name) >> level & 1 != 0
    }
}

impl When for Clock<'_> {
    fn tick_number(&self) -> u64 {
        NOW
    }

    fn time_ns(&self) -> u64 {
        0
    }

    fn cpu_count(&self) -> u32 {
        self.domains.of.len() as u32
    }

    fn balance_of(&mut self, _: u32) -> &mut Balance {
        &mut self.balance
    }

    fn balance_level(
        &mut self,
        _: u32,
        level: usize,
        _: bool,
        _: bool,
    ) -> Result<(u32, bool), Stop> {
        self.balanced |= 1 << level;
        self.level = level + 1;
        // What the interval is afterwards was decided by balancing.
        let names = ["then_interval0", "then_interval1", "then_interval2"];
        if self.line.letter() == "p" {
            self.balance.levels[level].interval_ms = self.line.small(names[level]).max(1).into();
        }
        let moved = u32::from(self.has("moved", level));
        Ok((moved, !self.has("others_turn", level)))
    }

    fn is_idle(&self, cpu: u32) -> bool {
        match self.line.letter() {
            "k" => self.has("idle_cpus", cpu as usize),
            // After the level that was balanced last.
            _ => self.has("then_idle", self.level.saturating_sub(1)),
        }
    }

    fn is_asleep(&self, cpu: u32) -> bool {
        cpu != self.line.cpu("cpu") && self.has("asleep", cpu as usize)
    }

    fn awake_near(&self, cpu: u32) -> usize {
        // The CPU itself is awake from this tick on.
        let slept = self.has("asleep", cpu as usize);
        self.line.small("awake") as usize + usize::from(slept)
    }

    fn core(&self, cpu: u32) -> Vec<u32> {
        self.domains.siblings[cpu as usize].clone()
    }

    fn tasks_on(&self, _: u32) -> u32 {
        self.line.small("count")
    }

    fn next_call(&mut self) -> &mut u64 {
        &mut self.next_call
    }

    fn is_overloaded(&self) -> bool {
        self.line.is("overloaded")
    }

    fn dice(&mut self) -> u32 {
        // It was good enough if the level was then balanced. Levels are tried one after the other.
        let level = self.level;
        self.level += 1;
        if self.has("levels", level) { 0 } else { 1023 }
    }

    fn cost_ns(&self, _: u32, _: usize) -> u64 {
        self.took_ns
    }
}
