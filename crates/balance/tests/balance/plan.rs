// SPDX-License-Identifier: GPL-2.0-or-later
//! What must hold of every plan.

use std::collections::BTreeMap;

use rota_balance::{
    Domain, DomainSet, Entity, Plan, Policy, Snapshot, Task, Verdict, explain, plan, read, report,
    solve, write,
};

use crate::random::{Random, cases};

fn random_domains(random: &mut Random, snapshot: &mut Snapshot) {
    let nodes = random.within(1..=3) as usize;
    let distance = |a: usize, b: usize| if a == b { 10 } else { 10 + 10 * a.abs_diff(b) as u32 };
    snapshot.distances = (0..nodes).map(|a| (0..nodes).map(|b| distance(a, b)).collect()).collect();
    let equal = random.one_in(2);
    for number in 0..random.within(1..=8) as usize {
        let strongest = if equal || random.one_in(2) { 1.0 } else { 0.5 };
        let cpus = if equal { 4 } else { random.below(8) };
        snapshot.domains.push(Domain {
            capacity: strongest * cpus as f64,
            strongest,
            node: number % nodes,
            other: if random.one_in(6) { random.unit() * 2.0 } else { 0.0 },
        });
    }
}

/// Tasks of many kinds, spread evenly, unevenly, or all in one place.
fn random_snapshot(random: &mut Random, policy: &Policy) -> Snapshot {
    let mut snapshot = Snapshot::default();
    random_domains(random, &mut snapshot);
    let domains = snapshot.domains.len() as u64;
    for _ in 0..random.below(4) {
        snapshot.sets.push((0..domains as usize + 1).filter(|_| random.one_in(2)).collect());
    }
    let (skew, confined) = (random.below(3), random.one_in(2));
    for id in 0..random.below(80) {
        let domain = match skew {
            0 => 0,
            1 => random.below(domains) * random.below(domains) / domains,
            _ => random.below(domains),
        };
        let duty = [1.0, random.unit(), random.magnitude(1e-6, 1.0), 0.0];
        let sets = snapshot.sets.len() as u64;
        let magnitude = random.below(30);
        snapshot.tasks.push(Task {
            id: id * 7919 % 1009,
            domain: domain as usize,
            entity: Entity {
                weight: if random.one_in(2) { 100.0 } else { random.magnitude(1.0, 1e4) },
                duty: duty[(random.below(7) / 2) as usize],
            },
            allowed: (confined && sets > 0).then(|| random.below(sets) as usize),
            footprint_bytes: random.below(1 << magnitude),
            stayed_ns: if random.one_in(5) {
                random.below(2 * policy.rest_ns + 1)
            } else {
                u64::MAX
            },
            pid: random.one_in(3).then(|| random.below(1 << 22) as u32),
        });
    }
    snapshot
}

fn random_policy(random: &mut Random) -> Policy {
    let start = random.unit() * 0.2;
    let moves_max = random.within(1..=40) as usize;
    let gain_min = random.magnitude(1e-6, 1e-2);
    Policy { moves_max, start, stop: start * random.unit(), gain_min, ..Policy::default() }
}

/// Loads of all domains by the definition: fair shares of tasks, and what else is there.
fn loads(snapshot: &Snapshot) -> Vec<f64> {
    let mut loads: Vec<f64> = snapshot.domains.iter().map(|domain| domain.other).collect();
    let free: f64 = snapshot.domains.iter().map(|d| (d.capacity - d.other).max(0.0)).sum();
    let entities: Vec<_> = snapshot.tasks.iter().map(|task| task.entity).collect();
    if let Ok(shares) = solve(&entities, free) {
        for task in &snapshot.tasks {
            loads[task.domain] += shares.share(task.entity);
        }
    }
    loads
}

fn targets(snapshot: &Snapshot) -> Vec<f64> {
    let capacity: f64 = snapshot.domains.iter().map(|domain| domain.capacity).sum();
    let mean = if capacity > 0.0 { loads(snapshot).iter().sum::<f64>() / capacity } else { 0.0 };
    snapshot.domains.iter().map(|domain| domain.capacity * mean).collect()
}

/// The sum of |load − target|.
fn imbalance(snapshot: &Snapshot) -> f64 {
    loads(snapshot).iter().zip(targets(snapshot)).map(|(load, target)| (load - target).abs()).sum()
}

/// The sum of C·(U − mean)², where there is capacity.
fn spread(snapshot: &Snapshot) -> f64 {
    let off = loads(snapshot).into_iter().zip(targets(snapshot)).map(|(load, t)| load - t);
    let pairs = off.zip(&snapshot.domains).filter(|(_, domain)| domain.capacity > 0.0);
    pairs.map(|(off, domain)| off * off / domain.capacity).sum()
}

fn apply(snapshot: &mut Snapshot, plan: &Plan) {
    let to: BTreeMap<_, _> = plan.moves.iter().map(|one| (one.id, one.to)).collect();
    for task in &mut snapshot.tasks {
        task.domain = *to.get(&task.id).unwrap_or(&task.domain);
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs())
}

/// Each move is allowed, brings what it says, and makes nothing worse.
#[test]
fn every_move_is_good() {
    cases(10_000, |random| {
        let policy = random_policy(random);
        let mut snapshot = random_snapshot(random, &policy);
        let plan = plan(&snapshot, &policy).unwrap();
        assert!(plan.moves.len() <= policy.moves_max);
        assert!(plan.before.iter().zip(loads(&snapshot)).all(|(a, b)| near(*a, b)));
        assert!(plan.targets.iter().zip(targets(&snapshot)).all(|(a, b)| near(*a, b)));
        assert!(near(plan.imbalance_before, imbalance(&snapshot)));
        let mut moved = Vec::new();
        for one in &plan.moves {
            let place = snapshot.tasks.iter().position(|task| task.id == one.id).unwrap();
            let task = snapshot.tasks[place];
            assert!(!moved.contains(&one.id), "moved twice");
            moved.push(one.id);
            assert_eq!(one.from, task.domain);
            assert_ne!(one.from, one.to);
            assert!(snapshot.allows(&task, one.to), "affinity");
            assert!(task.stayed_ns >= policy.rest_ns, "rest");
            let [from, to] = [one.from, one.to].map(|domain| snapshot.domains[domain]);
            assert!(to.capacity > 0.0);
            if from.capacity > 0.0 {
                assert!(one.load <= to.strongest || to.strongest >= from.strongest);
                assert!(one.gain - one.cost >= policy.gain_min);
                let needed = if moved.len() == 1 { policy.start } else { policy.stop };
                let loads = loads(&snapshot);
                let less = loads[one.from] / from.capacity - loads[one.to] / to.capacity;
                assert!(less >= needed - 1e-9, "less busy by {less} only");
            }
            let before = (imbalance(&snapshot), spread(&snapshot));
            snapshot.tasks[place].domain = one.to;
            assert!(imbalance(&snapshot) <= before.0 + 1e-9, "imbalance grows");
            if from.capacity > 0.0 {
                let smaller = before.1 - spread(&snapshot);
                assert!((smaller - 2.0 * one.gain).abs() <= 1e-9 * (1.0 + before.1));
            }
        }
        assert!(plan.after.iter().zip(loads(&snapshot)).all(|(a, b)| near(*a, b)));
        assert!(near(plan.imbalance_after, imbalance(&snapshot)));
    });
}

/// What a plan knows between its moves, worked out by the definitions.
struct Now<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    targets: Vec<f64>,
    loads: Vec<f64>,
    moved: Vec<u64>,
}

impl Now<'_> {
    /// What moving so much load brings, and by how much the sum of imbalances grows.
    fn change(&self, load: f64, from: usize, to: usize) -> (f64, f64) {
        let (mut gain, mut more) = (0.0, 0.0);
        for (domain, change) in [(from, -load), (to, load)] {
            let off = self.loads[domain] - self.targets[domain];
            let after = off + change;
            gain += (off * off - after * after) / self.snapshot.domains[domain].capacity / 2.0;
            more += after.abs() - off.abs();
        }
        if self.snapshot.domains[from].capacity > 0.0 { (gain, more) } else { (load, more) }
    }

    /// What moving a task there would bring beyond its cost, if it may be done.
    fn net(&self, task: &Task, load: f64, to: usize) -> Option<f64> {
        let from = task.domain;
        let capacity = |domain: usize| self.snapshot.domains[domain].capacity;
        if self.moved.contains(&task.id)
            || task.stayed_ns < self.policy.rest_ns
            || to == from
            || !self.snapshot.allows(task, to)
            || capacity(to) == 0.0
        {
            return None;
        }
        let far = f64::from(self.snapshot.distance(from, to)) / 10.0;
        let refill = task.footprint_bytes as f64 * self.policy.refill_ns_per_byte * far;
        let (gain, more) = self.change(load, from, to);
        let net = gain - (refill + self.policy.move_ns) / self.policy.horizon_ns;
        let needed = if self.moved.is_empty() { self.policy.start } else { self.policy.stop };
        let less = self.loads[from] / capacity(from) - self.loads[to] / capacity(to);
        let pays = load > 0.0 && net >= self.policy.gain_min + 1e-9;
        let good = pays && less >= needed + 1e-9 && more <= 0.0;
        (capacity(from) == 0.0 || good).then_some(net)
    }
}

/// With equal footprints and equally strong CPUs no other move from the same domain brings more than
/// the one that is made: all are tried here.
#[test]
fn the_best_of_a_domain_moves() {
    cases(10_000, |random| {
        let policy = random_policy(random);
        let mut snapshot = random_snapshot(random, &policy);
        snapshot.domains.iter_mut().for_each(|domain| domain.strongest = 1.0);
        snapshot.tasks.iter_mut().for_each(|task| task.footprint_bytes = 1 << 20);
        let plan = plan(&snapshot, &policy).unwrap();
        let mut now = Now {
            snapshot: &snapshot,
            policy: &policy,
            targets: targets(&snapshot),
            loads: loads(&snapshot),
            moved: Vec::new(),
        };
        for one in &plan.moves {
            for (task, load) in snapshot.tasks.iter().zip(&plan.task_loads) {
                for to in 0..snapshot.domains.len() {
                    let net = now.net(task, *load, to).filter(|_| task.domain == one.from);
                    let most = one.gain - one.cost + 1e-9;
                    assert!(net.is_none_or(|net| net <= most), "{} to {to}: {net:?}", task.id);
                }
            }
            now.loads[one.from] -= one.load;
            now.loads[one.to] += one.load;
            now.moved.push(one.id);
        }
    });
}

/// Where footprints differ that does not hold: of many tasks of like load only some are looked at.
#[test]
fn the_cheapest_of_a_domain_may_stay() {
    let mut snapshot = domains(2, 8.0);
    add(&mut snapshot, 0, 39, 100.0, 0.2);
    snapshot.tasks.iter_mut().for_each(|task| task.footprint_bytes = 1 << 30);
    add(&mut snapshot, 0, 1, 100.0, 0.19);
    let all = plan(&snapshot, &Policy::default()).unwrap().moves;
    snapshot.tasks.drain(..30);
    let few = plan(&snapshot, &Policy::default()).unwrap().moves;
    assert_eq!((all[0].id, few[0].id), (23, 39));
}

/// Nobody stays where there are no CPUs, however small the load and however large the footprint.
#[test]
fn tiny_and_zero_loads_leave_a_domain_without_capacity() {
    let mut snapshot = domains(3, 4.0);
    snapshot.domains[0].capacity = 0.0;
    snapshot.domains[2].strongest = 0.25;
    for duty in [1.0, 1e-9, 0.0] {
        add(&mut snapshot, 0, 2, 100.0, duty);
    }
    snapshot.tasks[1].footprint_bytes = 1 << 50;
    snapshot.sets.push([0, 2].into_iter().collect());
    snapshot.sets.push([0].into_iter().collect());
    snapshot.tasks[0].allowed = Some(0);
    let policy = Policy::default();
    let left = |snapshot: &Snapshot| {
        let plan = plan(snapshot, &policy).unwrap();
        let mut left: Vec<_> = plan.moves.iter().map(|one| one.id).collect();
        left.sort_unstable();
        left
    };
    assert_eq!(left(&snapshot), [0, 1, 2, 3, 4, 5]);
    // Nor if nobody gets anything, since others take all that there is.
    snapshot.domains.iter_mut().for_each(|domain| domain.other = 8.0);
    assert_eq!(left(&snapshot), [0, 1, 2, 3, 4, 5]);
    snapshot.tasks[3].allowed = Some(1);
    snapshot.tasks[4].stayed_ns = 0;
    assert_eq!(left(&snapshot), [0, 1, 2, 5]);
    let verdicts = explain(&snapshot, &policy, &plan(&snapshot, &policy).unwrap()).unwrap();
    assert_eq!((verdicts[3].word(), verdicts[4].word()), ("pinned", "rests"));
    snapshot.domains[0].capacity = 4.0;
    assert!(left(&snapshot).is_empty());
}

#[test]
fn the_order_of_tasks_does_not_matter() {
    cases(10_000, |random| {
        let policy = random_policy(random);
        let mut snapshot = random_snapshot(random, &policy);
        let before = plan(&snapshot, &policy).unwrap();
        random.shuffle(&mut snapshot.tasks);
        let after = plan(&snapshot, &policy).unwrap();
        assert_eq!(after.moves, before.moves);
        assert_eq!(after.after, before.after);
    });
}

/// A plan goes by what sets mean: a set may be told twice, and with domains that there are not.
#[test]
fn how_sets_are_told_does_not_matter() {
    cases(10_000, |random| {
        let policy = random_policy(random);
        let mut snapshot = random_snapshot(random, &policy);
        let before = plan(&snapshot, &policy).unwrap();
        let (sets, domains) = (snapshot.sets.len(), snapshot.domains.len());
        for set in 0..sets {
            let mut again = snapshot.sets[set].clone();
            again.insert(domains + random.below(70) as usize);
            snapshot.sets.push(again);
        }
        for task in &mut snapshot.tasks {
            task.allowed = task.allowed.map(|set| set + random.below(2) as usize * sets);
        }
        assert_eq!(plan(&snapshot, &policy).unwrap(), before);
    });
}

/// Applied again and again, with nobody ever resting, plans end soon: after as many as the limit of
/// moves asks for, and a few more.
#[test]
fn plans_converge() {
    cases(10_000, |random| {
        let policy = Policy { rest_ns: 0, ..random_policy(random) };
        let mut snapshot = random_snapshot(random, &policy);
        let (mut rounds, mut moves) = (0, 0);
        loop {
            let next = plan(&snapshot, &policy).unwrap();
            if next.moves.is_empty() {
                break;
            }
            rounds += 1;
            moves += next.moves.len();
            apply(&mut snapshot, &next);
            assert!(rounds <= 6 + moves.div_ceil(policy.moves_max), "{moves} moves so far");
        }
        let tasks = snapshot.tasks.len();
        assert!(moves <= 6 + 2 * tasks, "{moves} of {tasks} tasks");
    });
}

/// If a plan has no move, there is none: each task and each place is looked at here, by what the
/// move would do to the spread.
#[test]
fn no_plan_means_no_move() {
    cases(10_000, |random| {
        let policy = Policy { rest_ns: 0, ..random_policy(random) };
        let mut snapshot = random_snapshot(random, &policy);
        for round in 0.. {
            assert!(round <= 6 + 2 * snapshot.tasks.len(), "plans do not end");
            let next = plan(&snapshot, &policy).unwrap();
            if next.moves.is_empty() {
                break;
            }
            apply(&mut snapshot, &next);
        }
        let (loads, spread_now, imbalance_now) =
            (loads(&snapshot), spread(&snapshot), imbalance(&snapshot));
        let busy = |d: usize| loads[d] / snapshot.domains[d].capacity;
        for place in 0..snapshot.tasks.len() {
            let task = snapshot.tasks[place];
            for to in 0..snapshot.domains.len() {
                let [from, there] = [task.domain, to].map(|d| snapshot.domains[d]);
                let may = snapshot.allows(&task, to) && to != task.domain && there.capacity > 0.0;
                assert!(!may || from.capacity > 0.0, "task {} can leave", task.id);
                if !may || busy(task.domain) - busy(to) < policy.start + 1e-9 {
                    continue;
                }
                let mut after = snapshot.clone();
                after.tasks[place].domain = to;
                let gain = (spread_now - spread(&after)) / 2.0;
                let distance = f64::from(snapshot.distance(task.domain, to)) / 10.0;
                let refill = task.footprint_bytes as f64 * policy.refill_ns_per_byte * distance;
                let cost = (policy.move_ns + refill) / policy.horizon_ns;
                let load = loads[task.domain] - self::loads(&after)[task.domain];
                let fits = load <= there.strongest || there.strongest >= from.strongest;
                let keeps = imbalance(&after) < imbalance_now - 1e-9;
                let good = gain - cost >= policy.gain_min + 1e-9 && fits && keeps;
                assert!(!good, "task {} to {to} brings {gain} for {cost}", task.id);
            }
        }
    });
}

/// Each task has a verdict, and it is the plan's.
#[test]
fn verdicts_agree_with_plans() {
    cases(10_000, |random| {
        let policy = random_policy(random);
        let snapshot = random_snapshot(random, &policy);
        let plan = plan(&snapshot, &policy).unwrap();
        let verdicts = explain(&snapshot, &policy, &plan).unwrap();
        assert_eq!(verdicts.len(), snapshot.tasks.len());
        let moves: BTreeMap<_, _> = plan.moves.iter().map(|one| (one.id, one.to)).collect();
        for (task, verdict) in snapshot.tasks.iter().zip(&verdicts) {
            let to = if let Verdict::Moves { to, .. } = verdict { Some(*to) } else { None };
            assert_eq!(moves.get(&task.id).copied(), to);
            if let Verdict::Rests { left_ns } = verdict {
                assert_eq!(task.stayed_ns + left_ns, policy.rest_ns);
            }
        }
        let later = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Later { .. }));
        assert!(!later || !plan.moves.is_empty());
    });
}

/// What is written is read as it was: numbers to the last bit, and so the same comes of it.
#[test]
fn what_is_written_gives_the_same_plan() {
    cases(10_000, |random| {
        let policy = random_policy(random);
        let snapshot = random_snapshot(random, &policy);
        let all = |snapshot: &Snapshot, policy: &Policy| {
            let plan = plan(snapshot, policy).unwrap();
            report(snapshot, policy, &plan, &explain(snapshot, policy, &plan).unwrap()).to_string()
        };
        let written = write(&snapshot, &policy);
        let (again, same) = read(&written).unwrap();
        assert_eq!((&again.domains, &again.distances), (&snapshot.domains, &snapshot.distances));
        assert_eq!((write(&again, &same), same), (written, policy));
        let told = all(&snapshot, &policy);
        assert_eq!(all(&again, &same), told);
        let (again, same) = read(&told).unwrap();
        assert_eq!(all(&again, &same), told);
    });
}

/// A machine of equal domains on one node.
fn domains(count: usize, cpus: f64) -> Snapshot {
    let domain = Domain { capacity: cpus, strongest: 1.0, node: 0, other: 0.0 };
    Snapshot {
        domains: vec![domain; count],
        distances: vec![vec![10]],
        sets: Vec::new(),
        tasks: Vec::new(),
    }
}

fn add(snapshot: &mut Snapshot, domain: usize, count: usize, weight: f64, duty: f64) {
    for _ in 0..count {
        snapshot.tasks.push(Task {
            id: snapshot.tasks.len() as u64,
            domain,
            entity: Entity { weight, duty },
            allowed: None,
            footprint_bytes: 1 << 20,
            stayed_ns: u64::MAX,
            pid: None,
        });
    }
}

/// The example of the module.
#[test]
fn six_and_two() {
    let mut snapshot = domains(2, 4.0);
    add(&mut snapshot, 0, 6, 100.0, 1.0);
    add(&mut snapshot, 1, 2, 100.0, 1.0);
    snapshot.tasks.iter_mut().for_each(|task| task.footprint_bytes = 2 << 20);
    let plan = plan(&snapshot, &Policy::default()).unwrap();
    assert_eq!(plan.moves.iter().map(|one| one.gain).collect::<Vec<_>>(), [0.75, 0.25]);
    assert!((plan.moves[0].cost - 0.000_114_857_6).abs() < 1e-12);
    assert_eq!((plan.after, plan.lambda), (vec![4.0, 4.0], None));
}

#[test]
fn balanced_input_stays() {
    cases(10_000, |random| {
        let policy = random_policy(random);
        let mut snapshot = domains(random.within(1..=6) as usize, 4.0);
        for _ in 0..random.below(20) {
            let (weight, duty) = (random.magnitude(1.0, 1e4), random.unit());
            (0..snapshot.domains.len()).for_each(|d| add(&mut snapshot, d, 1, weight, duty));
        }
        assert_eq!(plan(&snapshot, &policy).unwrap().moves, []);
    });
}

/// Loads that change by less than `start − stop` of a domain set off nothing once a plan is done.
#[test]
fn small_changes_set_off_nothing() {
    cases(10_000, |random| {
        let policy = Policy { moves_max: 1000, ..Policy::default() };
        let mut snapshot = domains(random.within(2..=6) as usize, 8.0);
        for _ in 0..random.within(100..=200) {
            let domain = random.below(snapshot.domains.len() as u64) as usize;
            add(&mut snapshot, domain, 1, 100.0, random.unit() * 0.1);
        }
        let done = plan(&snapshot, &policy).unwrap();
        if done.moves.is_empty() {
            return;
        }
        apply(&mut snapshot, &done);
        for _ in 0..5 {
            for task in &mut snapshot.tasks {
                task.entity.duty *= 0.99 + 0.02 * random.unit();
            }
            assert_eq!(plan(&snapshot, &policy).unwrap().moves, []);
        }
    });
}

/// Where domains differ by less than `stop` and have some room, 1 % sets off nothing, whatever the
/// machine and its tasks.
#[test]
fn one_percent_sets_off_nothing_where_there_is_room() {
    cases(10_000, |random| {
        let policy = Policy::default();
        let mut snapshot = Snapshot::default();
        random_domains(random, &mut snapshot);
        snapshot.domains.retain(|domain| domain.capacity > 0.0);
        let floor = random.unit() * (0.99 - policy.stop);
        let busy: Vec<_> =
            snapshot.domains.iter().map(|_| floor + 0.999 * policy.stop * random.unit()).collect();
        for (number, busy) in busy.iter().enumerate() {
            let domain = &mut snapshot.domains[number];
            let load = busy * domain.capacity;
            domain.other = domain.other.min(load);
            let mut left = load - domain.other;
            for _ in 0..random.below(8) {
                let duty = left * random.unit();
                left -= duty;
                add(&mut snapshot, number, 1, random.magnitude(1.0, 1e4), duty);
            }
            add(&mut snapshot, number, 1, 100.0, left);
        }
        // The busiest up and all others down is the worst.
        let up = (0..busy.len()).max_by(|a, b| busy[*a].total_cmp(&busy[*b]));
        for task in &mut snapshot.tasks {
            task.entity.duty *= if Some(task.domain) == up { 1.01 } else { 0.99 };
        }
        assert_eq!(plan(&snapshot, &policy).unwrap().moves, []);
    });
}

/// All tasks start in one domain. After as many plans as the limit asks for, each domain is off by
/// at most the larger of 5 % of it and one task.
#[test]
fn a_skewed_start() {
    cases(10_000, |random| {
        let policy = Policy { moves_max: random.within(1..=50) as usize, ..Policy::default() };
        let mut snapshot = domains(random.within(2..=16) as usize, 8.0);
        let most = if random.one_in(8) { 300 } else { 60 };
        let (count, heavy) = (random.within(20..=most) as usize, random.one_in(2));
        for _ in 0..count {
            let weight = if heavy { random.magnitude(1.0, 1e4) } else { 100.0 };
            add(&mut snapshot, 0, 1, weight, random.unit());
        }
        for _ in 0..count.div_ceil(policy.moves_max) {
            let next = plan(&snapshot, &policy).unwrap();
            apply(&mut snapshot, &next);
        }
        let last = plan(&snapshot, &policy).unwrap();
        assert_eq!(last.moves, [], "more rounds than the limit asks for");
        let largest = last.task_loads.iter().copied().fold(0.0, f64::max);
        for (load, target) in last.after.iter().zip(targets(&snapshot)) {
            assert!((load - target).abs() <= largest.max(0.05 * 8.0) + 1e-9);
        }
    });
}

/// Weights begin to count without a step: a little more work than the machine can do changes loads
/// by no more than that.
#[test]
fn weights_come_in_smoothly() {
    let policy = Policy::default();
    let make = |more: f64| {
        let mut snapshot = domains(4, 4.0);
        for domain in 0..4 {
            add(&mut snapshot, domain, 2, 1.0, 1.0);
            add(&mut snapshot, domain, 1, 100.0, 1.0);
            add(&mut snapshot, domain, 1, 10_000.0, 1.0);
        }
        add(&mut snapshot, 0, 1, 1.0, more);
        plan(&snapshot, &policy).unwrap()
    };
    let mut last = make(0.0);
    assert_eq!(last.lambda, None);
    for step in 1..200 {
        let next = make(f64::from(step) * 1e-3);
        assert!(next.lambda.is_some());
        for (a, b) in last.task_loads.iter().zip(&next.task_loads).take(16) {
            assert!((a - b).abs() <= 3e-3);
        }
        last = next;
    }
}

#[test]
fn strong_and_weak_domains_get_what_they_can_do() {
    let mut snapshot = domains(2, 4.0);
    snapshot.domains[1] = Domain { capacity: 2.0, strongest: 0.5, ..snapshot.domains[1] };
    add(&mut snapshot, 0, 48, 100.0, 0.1);
    let next = plan(&snapshot, &Policy::default()).unwrap();
    let off = next.after[0] / 4.0 - next.after[1] / 2.0;
    assert!(off.abs() < 0.05, "{:?}", next.after);
    // A task that needs a strong CPU does not go to a weak one.
    let mut snapshot = domains(2, 1.0);
    snapshot.domains[1].strongest = 0.5;
    add(&mut snapshot, 0, 3, 100.0, 0.6);
    let policy = Policy::default();
    let next = plan(&snapshot, &policy).unwrap();
    assert_eq!(next.moves, []);
    let verdicts = explain(&snapshot, &policy, &next).unwrap();
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::TooWeak { to: 1 }));
}

#[test]
fn the_near_place_and_the_small_footprint() {
    let mut snapshot = domains(3, 4.0);
    snapshot.distances = vec![vec![10, 30], vec![30, 10]];
    snapshot.domains[1].node = 1;
    add(&mut snapshot, 0, 8, 100.0, 0.5);
    for (task, footprint) in snapshot.tasks.iter_mut().zip([9, 8, 7, 6, 1, 5, 4, 3]) {
        task.footprint_bytes = footprint << 24;
    }
    let policy = Policy { moves_max: 1, ..Policy::default() };
    let next = plan(&snapshot, &policy).unwrap();
    assert_eq!((next.moves[0].id, next.moves[0].to), (4, 2));
    let words = |snapshot: &Snapshot, policy: &Policy| -> Vec<_> {
        let verdicts = explain(snapshot, policy, &plan(snapshot, policy).unwrap()).unwrap();
        verdicts.iter().map(|verdict| verdict.word().to_owned()).collect()
    };
    assert_eq!(words(&snapshot, &policy)[3..5], ["later", "moves"]);
    // What costs more than it brings is not done.
    let dear = Policy { refill_ns_per_byte: 1e4, ..Policy::default() };
    assert!(words(&snapshot, &dear).iter().all(|word| word == "too little"));
    snapshot.tasks.iter_mut().for_each(|task| task.stayed_ns = 0);
    assert!(words(&snapshot, &policy).iter().all(|word| word == "rests"));
    snapshot.sets.push([0].into_iter().collect());
    snapshot.tasks.iter_mut().for_each(|task| task.allowed = Some(0));
    assert!(words(&snapshot, &policy).iter().all(|word| word == "pinned"));
}

/// A domain whose CPUs are all offline is left, and nobody goes there.
#[test]
fn a_domain_without_capacity_is_left() {
    let mut snapshot = domains(3, 4.0);
    snapshot.domains[1].capacity = 0.0;
    add(&mut snapshot, 1, 6, 100.0, 0.5);
    add(&mut snapshot, 0, 2, 100.0, 0.5);
    snapshot.sets.push(DomainSet::all(2));
    snapshot.tasks[0].allowed = Some(0);
    let next = plan(&snapshot, &Policy::default()).unwrap();
    assert_eq!(next.after, [2.0, 0.0, 2.0]);
    assert_eq!(next.moves.iter().find(|one| one.id == 0).unwrap().to, 0);
    snapshot.domains.iter_mut().for_each(|domain| domain.capacity = 0.0);
    assert_eq!(plan(&snapshot, &Policy::default()).unwrap().moves, []);
}
