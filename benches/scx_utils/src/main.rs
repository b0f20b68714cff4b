// SPDX-License-Identifier: GPL-2.0-or-later
//! `scx_utils::LoadAggregator` and `rota_balance`, side by side, on the same input.
//!
//! Both start from a list of domain, weight and duty, and come to λ and, for each domain, the sum of
//! its duties and the sum of its clamped loads. The published solver takes each weight once in a
//! domain only, so the input has that; ours does not make use of it.

#[path = "../../../crates/balance/tests/balance/numbers.rs"]
mod numbers;

use std::hint::black_box;
use std::time::Instant;

use numbers::Random;
use rota_balance::{Entity, solve};
use scx_utils::LoadAggregator;

const RUNS: usize = 15;

/// Where it is, and what it wants.
struct Row {
    domain: usize,
    weight: usize,
    duty: f64,
}

/// λ, and for each domain the sums of duties and loads.
type Result = (f64, Vec<(f64, f64)>);

/// So many rows over so many domains, in random order; no weight twice in a domain.
fn rows(count: usize, domains: usize) -> Vec<Row> {
    let random = &mut Random(1);
    let mut rows = Vec::new();
    let each = count / domains;
    for domain in 0..domains {
        let mut weights: Vec<usize> = (1..=10_000.max(each)).collect();
        for i in 0..each {
            let other = i + random.below((weights.len() - i) as u64) as usize;
            weights.swap(i, other);
        }
        let row = |weight| Row { domain, weight, duty: random.unit() };
        rows.extend(weights[..each].iter().copied().map(row));
    }
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.below(i as u64 + 1) as usize);
    }
    rows
}

fn theirs(rows: &[Row], cpus: usize) -> Result {
    let mut aggregator = LoadAggregator::new(cpus, false);
    for row in rows {
        aggregator.record_dom_load(row.domain, row.weight, row.duty).expect("each weight once");
    }
    let ledger = aggregator.calculate();
    let sums = ledger.dom_dcycle_sums().iter().copied().zip(ledger.dom_load_sums().iter().copied());
    (ledger.effective_max_weight(), sums.collect())
}

fn ours(rows: &[Row], cpus: usize, domains: usize) -> Result {
    let entity = |row: &Row| Entity { weight: row.weight as f64, duty: row.duty };
    let entities: Vec<_> = rows.iter().map(entity).collect();
    let shares = solve(&entities, cpus as f64).expect("good numbers");
    let mut sums = vec![(0.0, 0.0); domains];
    for (row, entity) in rows.iter().zip(&entities) {
        let sum = &mut sums[row.domain];
        sum.0 += entity.duty;
        sum.1 += shares.load(*entity);
    }
    // What the other one says if no weight is clamped.
    let lambda = shares.lambda.filter(|_| shares.infeasible > 0);
    (lambda.unwrap_or(10_000.0), sums)
}

fn time(run: &mut dyn FnMut() -> Result) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64() * 1e6
}

fn main() {
    let domains = 64;
    println!("entities      CPUs   scx_utils us (least to most)   rota us (least to most)   times");
    for count in [1_000, 10_000, 100_000, 600_000] {
        let rows = rows(count, domains);
        // Full machines of several sizes: many entities infeasible, some, few.
        for cpus in [count / 4, count / 10, count / 50] {
            let (a, b) = (theirs(&rows, cpus), ours(&rows, cpus, domains));
            assert!((a.0 / b.0 - 1.0).abs() < 1e-4, "λ {} and {}", a.0, b.0);
            assert!(a.1.iter().zip(&b.1).all(|(a, b)| (a.1 / b.1 - 1.0).abs() < 1e-4));
            // In turns, so that what disturbs one disturbs the other.
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..RUNS {
                times[0].push(time(&mut || theirs(&rows, cpus)));
                times[1].push(time(&mut || ours(&rows, cpus, domains)));
            }
            times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
            let show =
                |t: &[f64]| format!("{:10.1} ({:.1} to {:.1})", t[RUNS / 2], t[0], t[RUNS - 1]);
            let factor = times[0][RUNS / 2] / times[1][RUNS / 2];
            let (theirs, ours) = (show(&times[0]), show(&times[1]));
            println!("{count:8}  {cpus:8}  {theirs:32}  {ours:28}  {factor:.1}");
        }
    }
}
