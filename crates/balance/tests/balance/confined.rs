// SPDX-License-Identifier: GPL-2.0-or-later
//! Shares with affinity and CPUs of different strength.

use rota_balance::{
    Confined, ConfinedError, DomainSet, Entity, Grant, Machine, NumberError, SolveError, solve,
    solve_confined,
};
use rota_topology::{Spec, Topology};

use crate::lp;
use crate::random::{Random, bisect, cases};

/// A random case; on small ones the references are quick enough.
struct Case {
    domains: Vec<Vec<f64>>,
    sets: Vec<DomainSet>,
    entities: Vec<Confined>,
}

impl Case {
    fn random(random: &mut Random, equal: bool, confined: bool) -> Self {
        let domains = random.within(1..=4) as usize;
        let strengths = [1.0, 0.6, 0.3];
        let mut strength = || if equal { 1.0 } else { strengths[random.below(3) as usize] };
        let domains: Vec<Vec<f64>> =
            (0..domains).map(|at| (0..1 + at % 3).map(|_| strength()).collect()).collect();
        let mut sets = vec![DomainSet::all(domains.len())];
        for _ in 0..random.within(1..=3) {
            let first = random.below(domains.len() as u64) as usize;
            let mut set: DomainSet = (0..domains.len()).filter(|_| random.one_in(2)).collect();
            set.insert(first);
            sets.push(set);
        }
        let entity = |random: &mut Random| {
            let threads = random.within(1..=3) as u32;
            let part = if random.one_in(2) { 1.0 } else { random.unit().max(1e-6) };
            let weight = [1.0, 1.0 + random.unit(), random.magnitude(1.0, 1e4)];
            Confined {
                entity: Entity {
                    weight: weight[random.below(3) as usize],
                    duty: f64::from(threads) * part,
                },
                threads,
                domains: if confined { random.below(sets.len() as u64) as usize } else { 0 },
            }
        };
        let entities = (0..random.within(1..=7)).map(|_| entity(random)).collect();
        Self { domains, sets, entities }
    }

    fn solve(&self) -> Vec<Grant> {
        let machine = Machine::new(self.domains.clone()).unwrap();
        solve_confined(&machine, &self.sets, &self.entities).unwrap()
    }

    /// The most that can be given to the entities with a bit set: in each layer, some of them are
    /// limited by their threads and the others by the CPUs that they may use.
    fn most(&self, set: usize) -> f64 {
        let mut strengths: Vec<f64> = self.domains.iter().flatten().copied().collect();
        strengths.sort_by(f64::total_cmp);
        strengths.dedup();
        let mut below = 0.0;
        let mut sum = 0.0;
        for strength in strengths {
            let count = |domain: &Vec<f64>| domain.iter().filter(|c| **c >= strength).count();
            let mut least = f64::INFINITY;
            // All subsets of the set.
            let mut by_threads = set;
            loop {
                let members = |bits: usize| {
                    self.entities.iter().enumerate().filter(move |(i, _)| bits >> i & 1 == 1)
                };
                let threads: f64 = members(by_threads).map(|(_, e)| f64::from(e.threads)).sum();
                let uses = |domain: usize| {
                    let may = |e: &Confined| self.sets[e.domains].contains(domain);
                    members(set & !by_threads).any(|(_, e)| may(e))
                };
                let cpus = self.domains.iter().enumerate().filter(|(domain, _)| uses(*domain));
                let cpus: f64 = cpus.map(|(_, domain)| count(domain) as f64).sum();
                least = least.min(threads + cpus);
                if by_threads == 0 {
                    break;
                }
                by_threads = (by_threads - 1) & set;
            }
            sum += (strength - below) * least;
            below = strength;
        }
        sum
    }

    /// What an entity takes when everyone's part is this.
    fn takes(&self, i: usize, part: f64) -> f64 {
        let entity = self.entities[i].entity;
        entity.duty * (entity.weight * part).min(1.0)
    }

    /// Shares by filling up step by step, with all sets of entities looked at in each step.
    fn reference(&self) -> Vec<f64> {
        let n = self.entities.len();
        let most: Vec<f64> = (0..1 << n).map(|set| self.most(set)).collect();
        let mut shares = vec![None; n];
        while shares.iter().any(Option::is_none) {
            let open: Vec<_> = (0..n).filter(|i| shares[*i].is_none()).collect();
            let wants = |set: usize, part: f64| -> f64 {
                let one = |i: usize| shares[i].unwrap_or_else(|| self.takes(i, part));
                (0..n).filter(|i| set >> i & 1 == 1).map(one).sum()
            };
            let tight = |set: usize| {
                let is_open = open.iter().any(|i| set >> i & 1 == 1);
                if !is_open || wants(set, f64::MAX) <= most[set] * (1.0 + 1e-13) {
                    return f64::INFINITY;
                }
                bisect(2.0, |part| wants(set, part) <= most[set])
            };
            let parts: Vec<_> = (0..1_usize << n).map(tight).collect();
            let first = parts.iter().copied().fold(f64::INFINITY, f64::min);
            for (set, part) in parts.iter().enumerate() {
                for i in &open {
                    let in_it = set >> i & 1 == 1 && *part <= first * (1.0 + 1e-12);
                    if first.is_infinite() || in_it {
                        shares[*i] = Some(self.takes(*i, first));
                    }
                }
            }
        }
        shares.into_iter().map(Option::unwrap).collect()
    }

    /// Which part of the shares a schedule can give: the time of each entity on each CPU, as a
    /// linear program.
    fn schedule(&self, shares: &[f64]) -> f64 {
        let cpus: Vec<_> = (self.domains.iter().enumerate())
            .flat_map(|(domain, cpus)| cpus.iter().map(move |strength| (domain, *strength)))
            .collect();
        let (n, m) = (shares.len(), cpus.len());
        let variable = |i: usize, cpu: usize| i * m + cpu;
        let (mut rows, mut limits) = (Vec::new(), Vec::new());
        for (i, share) in shares.iter().enumerate() {
            let (mut work, mut time) = (vec![0.0; n * m + 1], vec![0.0; n * m + 1]);
            for (cpu, (domain, strength)) in cpus.iter().enumerate() {
                let may = self.sets[self.entities[i].domains].contains(*domain);
                work[variable(i, cpu)] = if may { -strength } else { 0.0 };
                time[variable(i, cpu)] = 1.0;
            }
            work[n * m] = *share;
            rows.extend([work, time]);
            limits.extend([0.0, f64::from(self.entities[i].threads)]);
        }
        for cpu in 0..m {
            let mut row = vec![0.0; n * m + 1];
            (0..n).for_each(|i| row[variable(i, cpu)] = 1.0);
            rows.push(row);
            limits.push(1.0);
        }
        let mut goal = vec![0.0; n * m + 1];
        goal[n * m] = 1.0;
        lp::maximum(&goal, &rows, &limits)
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn compare(case: &Case) {
    let (grants, wanted) = (case.solve(), case.reference());
    for (i, (grant, wanted)) in grants.iter().zip(&wanted).enumerate() {
        assert!(near(grant.share, *wanted), "entity {i} gets {}, not {wanted}", grant.share);
    }
}

#[test]
fn equals_filling_up_on_equal_cpus() {
    cases(10_000, |random| compare(&Case::random(random, true, true)));
}

#[test]
fn equals_filling_up_on_different_cpus() {
    cases(10_000, |random| compare(&Case::random(random, false, true)));
}

/// Promises can be kept: there is a schedule, in the two cases that are exact.
#[test]
fn a_schedule_exists() {
    cases(10_000, |random| {
        let equal = random.one_in(2);
        let case = Case::random(random, equal, equal);
        let shares: Vec<_> = case.solve().iter().map(|grant| grant.share).collect();
        let part = case.schedule(&shares);
        assert!(part >= 1.0 - 1e-9, "only {part} of the shares can be had");
    });
}

/// Everywhere on equal CPUs is one machine.
#[test]
fn without_confinement_it_is_one_machine() {
    cases(10_000, |random| {
        let case = Case::random(random, true, false);
        let entities: Vec<_> = case.entities.iter().map(|one| one.entity).collect();
        let cpus = case.domains.iter().flatten().count() as f64;
        let shares = solve(&entities, cpus).unwrap();
        for (one, grant) in entities.iter().zip(case.solve()) {
            assert!(near(grant.share, shares.share(*one)));
            let infeasible = |lambda| one.weight >= lambda;
            assert!(grant.lambda == shares.lambda || shares.lambda.is_some_and(infeasible));
        }
    });
}

#[test]
fn the_order_does_not_matter() {
    cases(10_000, |random| {
        let equal = random.one_in(2);
        let mut case = Case::random(random, equal, true);
        let mut places: Vec<_> = (0..case.entities.len()).collect();
        random.shuffle(&mut places);
        let before = case.solve();
        case.entities = places.iter().map(|place| case.entities[*place]).collect();
        let shuffled: Vec<_> = places.iter().map(|place| before[*place]).collect();
        assert_eq!(case.solve(), shuffled);
    });
}

fn busy(weight: f64, domains: usize) -> Confined {
    Confined { entity: Entity { weight, duty: 1.0 }, threads: 1, domains }
}

fn shares(domains: &[&[f64]], sets: &[&[usize]], entities: &[Confined]) -> Vec<f64> {
    let sets: Vec<DomainSet> = sets.iter().map(|set| set.iter().copied().collect()).collect();
    let domains = domains.iter().map(|cpus| cpus.to_vec()).collect();
    let grants = solve_confined(&Machine::new(domains).unwrap(), &sets, entities).unwrap();
    grants.iter().map(|grant| grant.share).collect()
}

fn all_near(found: &[f64], wanted: &[f64]) {
    let good = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| near(*a, *b));
    assert!(good, "{found:?} is not {wanted:?}");
}

/// The example of the module.
#[test]
fn the_confined_are_a_bottleneck() {
    let mut all = vec![busy(1.0, 1); 5];
    all.extend([busy(1.0, 0), busy(1.0, 0), busy(2.0, 0)]);
    let found = shares(&[&[1.0, 1.0], &[1.0, 1.0]], &[&[0, 1], &[0]], &all);
    all_near(&found, &[0.4, 0.4, 0.4, 0.4, 0.4, 0.5, 0.5, 1.0]);
}

/// One strong CPU and two weak ones: the heaviest has the strong one, the two after it can't both
/// have more than a weak one.
#[test]
fn the_k_strongest_cpus() {
    let cpus: &[f64] = &[1.0, 0.5, 0.5];
    all_near(&shares(&[cpus], &[&[0]], &[busy(1.0, 0)]), &[1.0]);
    all_near(&shares(&[cpus], &[&[0]], &[busy(1.0, 0); 2]), &[0.75, 0.75]);
    all_near(&shares(&[cpus], &[&[0]], &[busy(9.0, 0), busy(1.0, 0)]), &[1.0, 0.5]);
    let found = shares(&[cpus], &[&[0]], &[busy(9.0, 0), busy(1.0, 0), busy(1.0, 0)]);
    all_near(&found, &[1.0, 0.5, 0.5]);
    let two = Confined { entity: Entity { weight: 1.0, duty: 2.0 }, threads: 2, domains: 0 };
    all_near(&shares(&[cpus], &[&[0]], &[two]), &[1.5]);
    // It may use weak ones only; the load of a task counts by what it wants, not by what it gets.
    let found = shares(&[&[1.0], &[0.5, 0.5]], &[&[0, 1], &[1]], &[busy(1.0, 1), busy(1.0, 0)]);
    all_near(&found, &[0.5, 1.0]);
}

/// Different CPUs and confinement at once: the layers promise 0.1 from the one CPU and 0.9 from the
/// other to a task, at the same time as 0.9 of the first to another. That is too much, as the
/// documentation says; no schedule gives more than 0.95 of it.
#[test]
fn both_differences_are_a_bound_from_above() {
    let case = Case {
        domains: vec![vec![1.0], vec![0.9]],
        sets: vec![DomainSet::all(2), [0].into_iter().collect()],
        entities: vec![busy(1.0, 0), busy(0.9, 1)],
    };
    let shares: Vec<_> = case.solve().iter().map(|grant| grant.share).collect();
    all_near(&shares, &[1.0, 0.9]);
    let part = case.schedule(&shares);
    assert!(part > 0.9 && part < 0.999, "{part}");
}

#[test]
fn no_cpus_no_shares() {
    let found = shares(&[&[], &[1.0]], &[&[0], &[0, 1]], &[busy(1.0, 0), busy(1.0, 1)]);
    all_near(&found, &[0.0, 1.0]);
    all_near(&shares(&[&[0.0]], &[&[0]], &[busy(1.0, 0)]), &[0.0]);
    assert_eq!(shares(&[], &[], &[]), Vec::<f64>::new());
}

#[test]
fn bad_input() {
    let machine = Machine::equal(&[1, 1]).unwrap();
    let sets = [[0].into_iter().collect(), DomainSet::new(), [2].into_iter().collect()];
    let error = |one: Confined| solve_confined(&machine, &sets, &[busy(1.0, 0), one]).unwrap_err();
    for set in [1, 2, 3] {
        assert_eq!(error(busy(1.0, set)), ConfinedError::Domains { entity: 1 });
    }
    let wide = Confined { entity: Entity { weight: 1.0, duty: 1.5 }, threads: 1, domains: 0 };
    assert_eq!(error(wide), ConfinedError::Threads { entity: 1, duty: 1.5, threads: 1 });
    let bad = NumberError::Weight(-1.0);
    let bad = SolveError::Entity { entity: 1, error: bad };
    assert_eq!(error(busy(-1.0, 0)), ConfinedError::Number(bad));
    for strength in [f64::NAN, -1.0, f64::INFINITY] {
        Machine::new(vec![vec![1.0], vec![strength]]).unwrap_err();
    }
    Machine::equal(&[usize::MAX, 2]).unwrap_err();
}

#[test]
fn machines_of_a_topology() {
    let topology = "2l:3c".parse::<Spec>().unwrap().topology();
    assert_eq!(Machine::of(&topology), Machine::equal(&[3, 3]).unwrap());
    let hybrid = include_str!("../../../../data/machines/laptop.json");
    let machine = Machine::of(&Topology::from_json(hybrid).unwrap());
    assert!(machine.domains()[0].first() > machine.domains()[0].last());
}

/// Many sets on many domains: each of 64 domains has a set of its own, and neighbours share.
#[test]
fn many_bottlenecks() {
    let machine = Machine::equal(&[4; 64]).unwrap();
    let sets: Vec<DomainSet> = (0..64).map(|d| [d, (d + 1) % 64].into_iter().collect()).collect();
    let random = &mut Random::new(5);
    let all: Vec<_> = (0..5000)
        .map(|_| Confined {
            entity: Entity { weight: random.magnitude(1.0, 1e4), duty: random.unit() },
            threads: 1,
            // Half of them in the first sets.
            domains: (random.below(64) * random.below(64) / 64) as usize,
        })
        .collect();
    let grants = solve_confined(&machine, &sets, &all).unwrap();
    let given: f64 = grants.iter().map(|grant| grant.share).sum();
    assert!(given <= 256.0 * (1.0 + 1e-9) && given > 200.0);
    let mut lambdas: Vec<_> = grants.iter().filter_map(|grant| grant.lambda).collect();
    lambdas.sort_by(f64::total_cmp);
    lambdas.dedup();
    assert!(lambdas.len() > 10, "{} bottlenecks", lambdas.len());
}
