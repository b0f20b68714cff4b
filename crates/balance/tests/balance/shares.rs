// SPDX-License-Identifier: GPL-2.0-or-later
//! λ and shares of one machine.

use rota_balance::{CPUS_MAX, Entity, NumberError, Pool, Shares, SolveError, solve};

use crate::random::{Random, capacity, cases, entities};
use crate::reference::Exact;

fn many(count: usize, weight: f64) -> Vec<Entity> {
    vec![Entity { weight, duty: 1.0 }; count]
}

fn total(entities: &[Entity]) -> f64 {
    entities.iter().map(|entity| entity.duty).sum()
}

#[test]
fn golden_values() {
    for (count, cpus, lambda) in [(64, 32.0, 64.0 / 31.0), (7, 4.0, 7.0 / 3.0)] {
        let mut all = many(count, 1.0);
        all.extend(many(1, 10_000.0));
        let shares = solve(&all, cpus).unwrap();
        assert_eq!(shares.lambda, Some(lambda));
        assert_eq!(shares.load, count as f64 + lambda);
        assert_eq!(shares.infeasible, 1);
        assert_eq!(shares.share(all[count]), 1.0);
        assert_eq!(shares.share(all[0]), 1.0 / lambda);
    }
}

#[test]
fn who_has_room_gets_their_duty() {
    let all = [Entity { weight: 1.0, duty: 0.5 }, Entity { weight: 10_000.0, duty: 3.5 }];
    let shares = solve(&all, 4.0).unwrap();
    assert_eq!((shares.lambda, shares.infeasible), (None, 0));
    assert_eq!(all.map(|entity| shares.share(entity)), [0.5, 3.5]);
    assert_eq!(solve(&[], 0.0).unwrap().lambda, None);
    assert_eq!(solve(&[Entity { weight: 1.0, duty: -0.0 }], 0.0).unwrap().lambda, None);
}

#[test]
fn equal_weights_share_by_duty() {
    let all = [Entity { weight: 7.0, duty: 3.0 }, Entity { weight: 7.0, duty: 1.0 }];
    let shares = solve(&all, 2.0).unwrap();
    assert_eq!((shares.lambda, shares.infeasible), (Some(14.0), 0));
    assert_eq!(all.map(|entity| shares.share(entity)), [1.5, 0.5]);
}

/// The solver against bisection without rounding.
#[test]
fn equals_bisection() {
    cases(10_000, |random| {
        let all = entities(random);
        let capacity = capacity(random, total(&all));
        let (shares, exact) = (solve(&all, capacity).unwrap(), Exact::new(&all, capacity));
        assert_eq!(shares.lambda.is_some(), exact.is_full());
        let Some(lambda) = shares.lambda else {
            assert!(all.iter().all(|entity| shares.share(*entity) == entity.duty));
            return;
        };
        assert!(exact.error(lambda) <= 1e-15, "residual {}", exact.error(lambda));
        let wanted = exact.lambda();
        assert!((lambda / wanted - 1.0).abs() <= 1e-15, "{lambda} is not {wanted}");
        assert_eq!(shares.infeasible, exact.infeasible());
        assert!((shares.load / (wanted * capacity) - 1.0).abs() <= 1e-14);
        for entity in &all {
            let wanted = entity.duty * (entity.weight / wanted).min(1.0);
            assert!((shares.share(*entity) - wanted).abs() <= 1e-14 * wanted);
        }
    });
}

/// What everyone gets is what there is.
#[test]
fn shares_add_up() {
    cases(10_000, |random| {
        let all = entities(random);
        let capacity = capacity(random, total(&all));
        let shares = solve(&all, capacity).unwrap();
        let given: f64 = all.iter().map(|entity| shares.share(*entity)).sum();
        let wanted = total(&all).min(capacity);
        assert!((given - wanted).abs() <= 1e-12 * wanted, "{given} of {wanted}");
        let load: f64 = all.iter().map(|entity| shares.load(*entity)).sum();
        assert!((load - shares.load).abs() <= 1e-12 * load);
    });
}

fn same(a: &Shares, b: &Shares) {
    assert_eq!(a.lambda.map(f64::to_bits), b.lambda.map(f64::to_bits));
    assert_eq!((a.duty.to_bits(), a.load.to_bits()), (b.duty.to_bits(), b.load.to_bits()));
    assert_eq!(a.infeasible, b.infeasible);
}

#[test]
fn the_order_does_not_matter() {
    cases(10_000, |random| {
        let mut all = entities(random);
        let capacity = capacity(random, total(&all));
        let before = solve(&all, capacity).unwrap();
        random.shuffle(&mut all);
        same(&before, &solve(&all, capacity).unwrap());
    });
}

/// A doubled unit of weights doubles λ and changes no share; more capacity takes from nobody.
#[test]
fn units_and_more_capacity() {
    cases(10_000, |random| {
        let all = entities(random);
        let capacity = capacity(random, total(&all));
        let shares = solve(&all, capacity).unwrap();
        let double = |e: &Entity| Entity { weight: e.weight * 2.0, ..*e };
        let doubled: Vec<_> = all.iter().map(double).collect();
        assert_eq!(solve(&doubled, capacity).unwrap().lambda, shares.lambda.map(|x| x * 2.0));
        let more = solve(&all, (capacity * 1.1).min(CPUS_MAX)).unwrap();
        assert!(more.lambda.unwrap_or(0.0) <= shares.lambda.unwrap_or(0.0));
        assert!(all.iter().all(|e| more.share(*e) >= shares.share(*e)));
    });
}

/// There is no cliff where the machine becomes full: nobody loses more than what is missing.
#[test]
fn no_cliff() {
    cases(10_000, |random| {
        let all = entities(random);
        let duty = total(&all);
        if duty == 0.0 {
            return;
        }
        let missing = duty * random.magnitude(1e-12, 1e-3);
        let shares = solve(&all, (duty - missing).clamp(0.0, CPUS_MAX)).unwrap();
        let lost = |e: &Entity| e.duty - shares.share(*e);
        let allowed = (missing + (duty - CPUS_MAX).max(0.0)) * (1.0 + 1e-9) + 1e-9 * duty;
        assert!(all.iter().all(|e| lost(e) <= allowed));
    });
}

fn change(random: &mut Random, from: &[Entity]) -> (u64, Option<Entity>) {
    let entity = from[random.below(from.len() as u64) as usize];
    (random.below(40), if random.one_in(3) { None } else { Some(entity) })
}

/// Kept up to date or started anew, bit by bit.
#[test]
fn a_pool_is_what_a_fresh_start_gives() {
    cases(10_000, |random| {
        let from = entities(random);
        let mut pool = Pool::new(capacity(random, total(&from))).unwrap();
        for _ in 0..random.within(1..=12) {
            if random.one_in(4) {
                pool.set_capacity(capacity(random, total(&from))).unwrap();
            }
            let changes: Vec<_> = (0..random.below(8)).map(|_| change(random, &from)).collect();
            pool.apply(&changes).unwrap();
            let all: Vec<_> = pool.entities().values().copied().collect();
            same(&pool.shares().unwrap(), &solve(&all, pool.capacity()).unwrap());
        }
    });
}

#[test]
fn a_large_pool_is_what_a_fresh_start_gives() {
    let random = &mut Random::new(3);
    let mut pool = Pool::new(700.0).unwrap();
    for key in 0..20_000 {
        let entity = Entity { weight: random.magnitude(1.0, 1e4), duty: random.unit() };
        pool.set(key, Some(entity)).unwrap();
    }
    let all: Vec<_> = pool.entities().values().copied().collect();
    same(&pool.shares().unwrap(), &solve(&all, 700.0).unwrap());
    // All in one bucket of the first passes.
    let near = |i: u64| Entity { weight: 1.0 + i as f64 * f64::EPSILON, duty: 1.0 };
    let all: Vec<_> = (0..20_000).map(near).collect();
    let shares = solve(&all, 15_000.0).unwrap();
    let exact = Exact::new(&all, 15_000.0);
    assert!(exact.error(shares.lambda.unwrap()) < 1e-15);
}

#[test]
fn bad_numbers_are_refused_and_change_nothing() {
    let good = Entity { weight: 1.0, duty: 1.0 };
    let mut pool = Pool::new(1.0).unwrap();
    pool.apply(&[(1, Some(good)), (2, Some(good))]).unwrap();
    let before = pool.shares().unwrap();
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0];
    for number in bad.into_iter().chain([0.0, 1e-7, 2e12]) {
        let entity = Entity { weight: number, ..good };
        assert!(matches!(Entity::new(number, 1.0), Err(NumberError::Weight(_))));
        let error = pool.apply(&[(3, Some(good)), (1, None), (9, Some(entity))]).unwrap_err();
        assert!(matches!(error, SolveError::Entity { entity: 9, error: NumberError::Weight(_) }));
        let error = solve(&[good, entity], 1.0).unwrap_err();
        assert!(matches!(error, SolveError::Entity { entity: 1, error: NumberError::Weight(_) }));
    }
    for number in bad.into_iter().chain([CPUS_MAX * 2.0]) {
        assert!(matches!(Entity::new(1.0, number), Err(NumberError::Duty(_))));
        let entity = Entity { duty: number, ..good };
        pool.apply(&[(3, Some(good)), (9, Some(entity))]).unwrap_err();
        assert!(matches!(pool.set_capacity(number), Err(NumberError::Capacity(_))));
        assert!(matches!(solve(&[], number), Err(SolveError::Capacity(_))));
        Pool::new(number).unwrap_err();
    }
    same(&before, &pool.shares().unwrap());
    assert_eq!(pool.entities().keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(solve(&[good], 0.0), Err(SolveError::NoCapacity));
    pool.set_capacity(0.0).unwrap();
    assert_eq!(pool.shares(), Err(SolveError::NoCapacity));
}

#[test]
fn too_much_is_refused() {
    // A million entities of the largest duty are 2^44 CPUs.
    let all = vec![Entity { weight: 1.0, duty: CPUS_MAX }; 1 << 20];
    assert_eq!(solve(&all, 1.0), Err(SolveError::TooMuch));
    let shares = solve(&all[1..], 1.0).unwrap();
    assert_eq!(shares.lambda, Some((1_048_575.0) * CPUS_MAX));
}
