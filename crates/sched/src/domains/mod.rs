// SPDX-License-Identifier: GPL-2.0-or-later
//! The user half of `domains`: which CPUs are in which domain, which tasks change theirs, and what
//! weights are worth in each cgroup.

mod footprint;
mod groups;
mod machine;
mod reports;

use crate::half::{HalfError, UserHalf, Wake};
use crate::limits::{self, Limit, number};
use crate::plain::Plain;
use crate::registry::TextSetting;
use machine::Machine;
use rota_balance::{Policy, Snapshot, plan};
use rota_events::{Metric, MetricKind, Sample};
use rota_object::{Object, Setup, World};
use rota_programs::domains::DomainsOrder;
use std::collections::BTreeMap;
use zerocopy::{FromZeros, IntoBytes};

/// The setting that says which CPUs are a domain, if not those of a last-level cache.
pub(crate) const LISTS: TextSetting = TextSetting {
    flag: "domains",
    default: "llc",
    help: "the CPUs of each domain, as 0-3/4-7; llc is those of each last-level cache",
};

/// What it decides by, in ns.
#[derive(Default)]
struct Periods {
    half_life: u64,
    tune: u64,
    balance: u64,
}

struct Domains {
    plain: Plain,
    lists: Option<String>,
    machine: Machine,
    periods: Periods,
    policy: Policy,
    metrics: Vec<Metric>,
    balance_at_ns: u64,
    /// By how much weights count in each cgroup, by its place.
    factors: BTreeMap<u32, f64>,
    /// Slots with orders of the last plan.
    ordered: Vec<u32>,
    counts: Counts,
}

/// What happened so far.
#[derive(Default)]
struct Counts {
    planned: u64,
    without_plan: u64,
    imbalance: u64,
}

/// What settings may be. What is told and balanced is read one by one, and plans go by averages, so
/// nobody gains by less.
const LIMITS: [Limit; 6] = [
    Limit::new("slice_ns", 100_000, 10_000_000_000),
    Limit::new("slice_min_ns", 0, 10_000_000_000),
    Limit::new("half_life_ns", 1_000_000, 3_600_000_000_000),
    Limit::new("tune_ns", 1_000_000, 3_600_000_000_000),
    Limit::new("balance_ns", 10_000_000, 3_600_000_000_000),
    Limit::new("stay", 0, 2),
];
/// The half of `domains` with these settings.
pub(crate) fn new(
    object: &Object,
    settings: &[(String, String)],
) -> Result<Box<dyn UserHalf>, HalfError> {
    let lists = settings.iter().rev().find(|(name, _)| name == LISTS.flag);
    let lists = lists.map(|(_, text)| text.clone()).filter(|text| text != LISTS.default);
    let others: Vec<_> = settings.iter().filter(|(name, _)| name != LISTS.flag).cloned().collect();
    let plain = Plain::new(object, &others)?;
    let mut metrics = plain.metrics().to_vec();
    for (name, kind, unit, help) in [
        ("planned", MetricKind::Counter, "moves", "between domains that the balancer asked for"),
        ("plan_failed", MetricKind::Counter, "times", "that the balancer could make no plan"),
        ("imbalance", MetricKind::Gauge, "permille", "of all CPUs, by which domains differ"),
    ] {
        metrics.push(Metric::new(name, kind, unit, help));
    }
    Ok(Box::new(Domains {
        plain,
        lists,
        machine: Machine::default(),
        periods: Periods::default(),
        policy: Policy::default(),
        metrics,
        balance_at_ns: 0,
        factors: BTreeMap::new(),
        ordered: Vec::new(),
        counts: Counts::default(),
    }))
}

impl Domains {
    /// Makes weights count in each cgroup as they should.
    fn tune(
        &mut self,
        told: &[reports::Told],
        groups: &[groups::Cgroup],
        world: &mut dyn World,
    ) -> Result<(), HalfError> {
        let capacity = world.topology().online().count() as f64;
        let factors = groups::factors(groups, told, capacity);
        groups::tell(&factors, world)?;
        self.factors = factors;
        Ok(())
    }

    /// The machine and its tasks as they are now, and what CPUs have done so far.
    fn look(
        &self,
        now_ns: u64,
        told: &[reports::Told],
        world: &dyn World,
    ) -> Result<(Snapshot, machine::Asked), HalfError> {
        let (mut snapshot, asked) = self.machine.look(now_ns, world)?;
        reports::add(&mut snapshot, told, &self.factors, now_ns, world)?;
        let cache_bytes = self.machine.cache_bytes();
        footprint::estimate(&mut snapshot, &cache_bytes, self.policy.refill_ns_per_byte);
        Ok((snapshot, asked))
    }

    /// Plans moves, and tells BPF of them. Without a plan, tasks stay where they are.
    fn balance(
        &mut self,
        now_ns: u64,
        told: &[reports::Told],
        world: &mut dyn World,
    ) -> Result<(), HalfError> {
        let (snapshot, asked) = self.look(now_ns, told, world)?;
        self.machine.keep(asked);
        // Who was not there to hear of the last plan is no longer to follow it.
        for slot in std::mem::take(&mut self.ordered) {
            world.map_update(
                "orders",
                &slot.to_le_bytes(),
                DomainsOrder::new_zeroed().as_bytes(),
            )?;
        }
        let Ok(plan) = plan(&snapshot, &self.policy) else {
            self.counts.without_plan += 1;
            return Ok(());
        };
        let slots: BTreeMap<u64, u32> = told.iter().map(|told| (told.id, told.slot)).collect();
        for one in &plan.moves {
            let Some(slot) = slots.get(&one.id) else { continue };
            let order = DomainsOrder { task: one.id, domain: one.to as u32, reserved: 0 };
            world.map_update("orders", &slot.to_le_bytes(), order.as_bytes())?;
            self.ordered.push(*slot);
        }
        self.counts.planned += plan.moves.len() as u64;
        let capacity: f64 = snapshot.domains.iter().map(|domain| domain.capacity).sum();
        self.counts.imbalance = (1000.0 * plan.imbalance_before / capacity.max(1.0)) as u64;
        Ok(())
    }
}

impl UserHalf for Domains {
    fn configure(&mut self, setup: &mut dyn Setup) -> Result<(), HalfError> {
        self.plain.configure(setup)?;
        limits::check(setup, &LIMITS)?;
        self.machine = Machine::new(setup.topology(), self.lists.as_deref())?;
        self.machine.configure(setup)?;
        self.periods = Periods {
            half_life: number(&setup.read_global("half_life_ns")?),
            tune: number(&setup.read_global("tune_ns")?),
            balance: number(&setup.read_global("balance_ns")?),
        };
        let tasks = (number(&setup.read_global("tasks_max")?) as u32).max(1);
        for map in ["reports", "orders", "free_slots"] {
            setup.resize_map(map, tasks)?;
        }
        setup.resize_map("allowed", tasks.saturating_mul(self.machine.count().div_ceil(64)))?;
        let groups = (number(&setup.read_global("groups_max")?) as u32).max(1);
        for map in ["groups", "factors", "free_groups"] {
            setup.resize_map(map, groups)?;
        }
        Ok(())
    }

    fn prepare(&mut self, world: &mut dyn World) -> Result<(), HalfError> {
        self.machine.prepare(world)?;
        self.plain.prepare(world)
    }

    fn start(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Wake, HalfError> {
        // What CPUs did so far counts from here on.
        let (_, asked) = self.machine.look(now_ns, world)?;
        self.machine.keep(asked);
        self.balance_at_ns = now_ns + self.periods.balance;
        Ok(Wake::At(now_ns + self.periods.tune.min(self.periods.balance)))
    }

    fn step(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Wake, HalfError> {
        let groups = groups::read(world)?;
        let balances = now_ns >= self.balance_at_ns;
        // Where only one is left, its weights still count as they did beside others.
        let tunes = groups.len() > 1 || self.factors.values().any(|factor| *factor != 1.0);
        if balances || tunes {
            let told = reports::read(now_ns, self.periods.half_life, world)?;
            if tunes {
                self.tune(&told, &groups, world)?;
            }
            if balances {
                self.balance(now_ns, &told, world)?;
                self.balance_at_ns = now_ns + self.periods.balance;
            }
        }
        Ok(Wake::At(self.balance_at_ns.min(now_ns + self.periods.tune)))
    }

    fn plans_moves(&self) -> bool {
        true
    }

    fn snapshot(
        &self,
        now_ns: u64,
        world: &dyn World,
    ) -> Result<Option<(Snapshot, Policy)>, HalfError> {
        let told = reports::read(now_ns, self.periods.half_life, world)?;
        let (snapshot, _) = self.look(now_ns, &told, world)?;
        Ok(Some((snapshot, self.policy)))
    }

    fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    fn sample(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Sample, HalfError> {
        let mut sample = self.plain.sample(now_ns, world)?;
        let Counts { planned, without_plan, imbalance } = self.counts;
        sample.values.extend([planned, without_plan, imbalance]);
        Ok(sample)
    }
}
