// SPDX-License-Identifier: GPL-2.0-or-later
//! Which tasks to move between domains.
//!
//! # One unit of load
//!
//! The load of a task is its fair share of the whole machine, in CPUs: `d·min(1, w/λ)`. While the
//! machine has room, that is its duty; as it fills up, light tasks begin to count less, without
//! any step. All loads together are what the machine gives, so if each domain is as busy as all
//! others, each can give all of its tasks what they should get.
//!
//! # What a move brings
//!
//! A domain of capacity C with load L is busy by U = L/C. Let a task of load `a` go from a domain that
//! is busier by Δ to another one. That brings
//!
//! ```text
//! gain = a·(Δ − a/2·(1/C₁ + 1/C₂))
//! ```
//!
//! CPUs: its load times how much less busy the place is, on average over the move. It is largest
//! if both are equally busy afterwards, and below 0 if their order is turned by more than they
//! differed. It is also half of what Σ C·(U − mean)² loses. So each move makes that sum smaller, by
//! `2·gain_min` or more, and as long as loads stay as they are, no sequence of plans comes back
//! to where it was, and all of them end.
//!
//! A move costs the time to fill the caches again, by footprint and distance, in relation to the
//! time in which it has to pay: CPUs as well. What is left has to be at least `gain_min`. Nor may the sum
//! of all |L − target| become larger. From a domain without capacity a move brings all of the load, and
//! whatever it brings and costs, it is made: nobody can run there.
//!
//! An example: two domains of 4 CPUs on one node, in the first six tasks that never sleep, in the second
//! two. They are busy by 1.5 and 0.5, so Δ is 1 and a move brings 1·(1 − 1/2·(1/4 + 1/4)) = 0.75
//! CPUs; with 2 MiB in its cache it costs (20 µs + 2097152·0.1 ns)/2 s = 0.000115. After it they are
//! busy by 1.25 and 0.75, Δ is 0.5, and another move brings 0.25. Then they are equal.
//!
//! # The order of moves
//!
//! The busiest domain gives first. For each set of domains that tasks may use and each place where
//! they could go, it looks at the 16 tasks above and the 16 below the load that would make both
//! equally busy, and takes what brings most beyond its cost. Only if none of these may move it looks
//! at all. With equal footprints and equally strong CPUs nothing that its domain could give brings
//! more; else a task with a small footprint and a load further away may.
//!
//! The first move needs a domain that is less busy by `start`, all others one that is less busy by
//! `stop`, so that small changes set off little. A task moves once, and only after its rest.
//! Everything is decided by numbers of tasks and domains, so the order in which they are given does
//! not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::balance::{Balance, Worth};
use crate::{DomainSet, Policy, PolicyError, Snapshot, SnapshotError};

/// How many tasks above the best load, and how many below, are looked at for one place.
const LOOKED_AT: usize = 16;

/// Moves, and what they lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The moves, in their order.
    pub moves: Vec<Move>,
    /// The λ by which loads are counted; none if everyone can have their duty.
    pub lambda: Option<f64>,
    /// For each task of the snapshot its load, in CPUs.
    pub task_loads: Vec<f64>,
    /// For each domain its load before, in CPUs.
    pub before: Vec<f64>,
    /// For each domain its load after all moves, in CPUs.
    pub after: Vec<f64>,
    /// For each domain what it would have if all were equally busy, in CPUs.
    pub targets: Vec<f64>,
    /// The sum of what domains have above or below their targets before, in CPUs.
    pub imbalance_before: f64,
    /// The same after all moves.
    pub imbalance_after: f64,
}

/// A task that is to move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    /// The task's id.
    pub id: u64,
    /// Where it is.
    pub from: usize,
    /// Where it is to be.
    pub to: usize,
    /// Its load, in CPUs.
    pub load: f64,
    /// What the move brings, in CPUs.
    pub gain: f64,
    /// What it costs, in CPUs.
    pub cost: f64,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The snapshot can't be used.
    #[error("{0}")]
    Snapshot(#[from] SnapshotError),
    /// The policy can't be used.
    #[error("{0}")]
    Policy(#[from] PolicyError),
}

/// Plans moves.
///
/// # Errors
///
/// The snapshot or the policy can't be used.
pub fn plan(snapshot: &Snapshot, policy: &Policy) -> Result<Plan, PlanError> {
    policy.check()?;
    snapshot.check()?;
    let balance = Balance::new(snapshot, policy)?;
    let loads = |balance: &Balance<'_>| {
        (0..snapshot.domains.len()).map(|domain| balance.load(domain)).collect()
    };
    let (before, imbalance_before) = (loads(&balance), balance.imbalance());
    let mut planner = Planner::new(balance, policy);
    let moves = planner.run();
    let balance = planner.balance;
    Ok(Plan {
        moves,
        lambda: balance.shares.and_then(|shares| shares.lambda),
        before,
        after: loads(&balance),
        imbalance_before,
        imbalance_after: balance.imbalance(),
        targets: balance.target,
        task_loads: balance.share,
    })
}

/// Domains that only differ in how busy they are.
///
/// How busy each is, as bits, which have the order of the numbers; and its number.
type Kind = BTreeSet<(u64, usize)>;

/// The tasks of a domain that may use the same domains, by load and id.
type Class = BTreeMap<(u64, u64), usize>;

struct Planner<'a> {
    balance: Balance<'a>,
    policy: &'a Policy,
    kinds: Vec<Kind>,
    /// For each domain its kind; none without capacity, where nobody goes.
    kind: Vec<Option<usize>>,
    /// Who may still give, by how busy they are.
    givers: BTreeSet<(u64, usize)>,
    /// Whether there is a move already.
    begun: bool,
    /// The places of the tasks of each domain.
    tasks: Vec<Vec<usize>>,
    /// For each set the first one that has the same domains of those that there are.
    same: Vec<usize>,
    /// For each domain that was looked at, its tasks that may move, by their set.
    classes: BTreeMap<usize, BTreeMap<Option<usize>, Class>>,
}

/// A move that could be made.
#[derive(Clone, Copy)]
struct Candidate {
    place: usize,
    id: u64,
    to: usize,
    worth: Worth,
}

impl Candidate {
    /// Whether it is to be preferred.
    fn beats(&self, other: Option<Self>) -> bool {
        other.is_none_or(|other| {
            let order = self.worth.net().total_cmp(&other.worth.net());
            order.then(other.id.cmp(&self.id)).then(other.to.cmp(&self.to)).is_gt()
        })
    }
}

/// For each set of a snapshot the first one that has the same domains of those that there are: a
/// plan goes by what sets mean, not by how they are told.
fn same(snapshot: &Snapshot) -> Vec<usize> {
    let mut first = BTreeMap::new();
    let there_is = |domain: &usize| *domain < snapshot.domains.len();
    let of = |(number, set): (usize, &DomainSet)| {
        let set: DomainSet = set.iter().filter(there_is).collect();
        *first.entry(set).or_insert(number)
    };
    snapshot.sets.iter().enumerate().map(of).collect()
}

impl<'a> Planner<'a> {
    fn new(balance: Balance<'a>, policy: &'a Policy) -> Self {
        let domains = &balance.snapshot.domains;
        let mut numbers = BTreeMap::new();
        let mut kinds: Vec<Kind> = Vec::new();
        let mut kind = Vec::new();
        for (number, domain) in domains.iter().enumerate() {
            let key = (domain.node, domain.capacity.to_bits(), domain.strongest.to_bits());
            if domain.capacity == 0.0 {
                kind.push(None);
                continue;
            }
            let of = *numbers.entry(key).or_insert(kinds.len());
            if of == kinds.len() {
                kinds.push(Kind::new());
            }
            kinds[of].insert((balance.busy(number).to_bits(), number));
            kind.push(Some(of));
        }
        let busy = |number: usize| (balance.busy(number).to_bits(), number);
        let givers = (0..domains.len()).map(busy).collect();
        let mut tasks = vec![Vec::new(); domains.len()];
        for (place, task) in balance.snapshot.tasks.iter().enumerate() {
            tasks[task.domain].push(place);
        }
        let same = same(balance.snapshot);
        let classes = BTreeMap::new();
        Self { balance, policy, kinds, kind, givers, begun: false, tasks, same, classes }
    }

    fn run(&mut self) -> Vec<Move> {
        let mut moves = Vec::new();
        while moves.len() < self.policy.moves_max {
            let Some((_, from)) = self.givers.last().copied() else { break };
            // First those of like load, then all.
            let found = self.best(from, LOOKED_AT).or_else(|| self.best(from, usize::MAX));
            let Some(found) = found else {
                self.givers.pop_last();
                continue;
            };
            moves.push(Move {
                id: found.id,
                from,
                to: found.to,
                load: self.balance.share[found.place],
                gain: found.worth.gain,
                cost: found.worth.cost,
            });
            self.apply(from, found);
        }
        moves
    }

    fn apply(&mut self, from: usize, found: Candidate) {
        if !std::mem::replace(&mut self.begun, true) {
            // Those that were passed over have a lower bar now.
            let busy = |number: usize| (self.balance.busy(number).to_bits(), number);
            self.givers = (0..self.kind.len()).map(busy).collect();
        }
        if let Some(classes) = self.classes.get_mut(&from) {
            let set = self.balance.snapshot.tasks[found.place].allowed.map(|set| self.same[set]);
            let key = (self.balance.share[found.place].to_bits(), found.id);
            classes.get_mut(&set).and_then(|class| class.remove(&key));
        }
        let old = [from, found.to].map(|domain| (self.balance.busy(domain).to_bits(), domain));
        self.balance.apply(found.place, found.to);
        for key in old {
            let new = (self.balance.busy(key.1).to_bits(), key.1);
            if let Some(kind) = self.kind[key.1] {
                self.kinds[kind].remove(&key);
                self.kinds[kind].insert(new);
            }
            if self.givers.remove(&key) {
                self.givers.insert(new);
            }
        }
    }

    /// The best of the moves away from a domain. `limit` is how many tasks above and below the best
    /// load are looked at.
    fn best(&mut self, from: usize, limit: usize) -> Option<Candidate> {
        self.sort_tasks(from);
        let mut best = None;
        for (set, class) in self.classes.get(&from)? {
            if class.is_empty() {
                continue;
            }
            for to in self.places(from, set.map(|set| &self.balance.snapshot.sets[set])) {
                self.look(class, from, to, limit, &mut best);
            }
        }
        best
    }

    /// Sorts a domain's tasks that may move, once.
    fn sort_tasks(&mut self, from: usize) {
        let Self { classes, balance, policy, tasks, same, .. } = self;
        classes.entry(from).or_insert_with(|| {
            let mut lists: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for place in &tasks[from] {
                let task = &balance.snapshot.tasks[*place];
                let share = balance.share[*place];
                if (share > 0.0 || balance.is_closed(from)) && task.stayed_ns >= policy.rest_ns {
                    let set = task.allowed.map(|set| same[set]);
                    let list: &mut Vec<_> = lists.entry(set).or_default();
                    list.push(((share.to_bits(), task.id), *place));
                }
            }
            lists.into_iter().map(|(set, list)| (set, list.into_iter().collect())).collect()
        });
    }

    /// Where tasks of a set could go: of all domains that are alike and equally far, the least busy
    /// one, if it is less busy by enough. Whatever a task brings elsewhere, it brings more there.
    fn places(&self, from: usize, set: Option<&DomainSet>) -> Vec<usize> {
        let needed = if self.begun { self.policy.stop } else { self.policy.start };
        let busy = self.balance.busy(from);
        let good = |to: &usize| {
            *to != from && self.kind[*to].is_some() && busy - self.balance.busy(*to) >= needed
        };
        let mut places = Vec::new();
        match set {
            Some(set) if set.count() <= self.kinds.len() => {
                let there = set.iter().filter(|to| *to < self.kind.len());
                there.filter(good).for_each(|to| self.keep_least(from, to, &mut places));
            }
            _ => {
                let may = |to: usize| to != from && set.is_none_or(|set| set.contains(to));
                let least =
                    |kind: &Kind| kind.iter().map(|(_, to)| *to).find(|to| may(*to)).filter(good);
                let found = self.kinds.iter().filter_map(least);
                found.for_each(|to| self.keep_least(from, to, &mut places));
            }
        }
        places
    }

    /// Adds a place, or puts it where a busier one that is alike and equally far was.
    fn keep_least(&self, from: usize, to: usize, places: &mut Vec<usize>) {
        let Snapshot { domains, .. } = self.balance.snapshot;
        let like = |to: usize| {
            let domain = &domains[to];
            let distance = self.balance.snapshot.distance(from, to);
            (distance, domain.capacity.to_bits(), domain.strongest.to_bits())
        };
        let order = |to: usize| (self.balance.busy(to).to_bits(), to);
        match places.iter_mut().find(|place| like(**place) == like(to)) {
            Some(place) if order(*place) > order(to) => *place = to,
            Some(_) => {}
            None => places.push(to),
        }
    }

    /// Looks for a better move from one domain to another: from the best load up and down, until
    /// the gain alone is not enough.
    fn look(
        &self,
        class: &Class,
        from: usize,
        to: usize,
        limit: usize,
        best: &mut Option<Candidate>,
    ) {
        let balance = &self.balance;
        let ideal = balance.ideal(from, to);
        let most = balance.gain(ideal, from, to);
        let needed =
            |best: Option<Candidate>| best.map_or(balance.bar(from), |best| best.worth.net());
        if most < needed(*best) {
            return;
        }
        let start = (ideal.to_bits(), 0);
        let mut look = |found: &mut dyn Iterator<Item = (&(u64, u64), &usize)>| {
            for ((bits, id), place) in found.take(limit) {
                let gain = balance.gain(f64::from_bits(*bits), from, to);
                if gain < needed(*best) {
                    break;
                }
                let worth = balance.worth(*place, to);
                let candidate = Candidate { place: *place, id: *id, to, worth };
                if candidate.beats(*best) && balance.accepts(*place, to) {
                    *best = Some(candidate);
                }
            }
        };
        look(&mut class.range(start..));
        look(&mut class.range(..start).rev());
    }
}
