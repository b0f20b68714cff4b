// SPDX-License-Identifier: GPL-2.0-or-later
//! How long the solvers and the planner take, with growing input.
//!
//! Each number is the median of so many runs, with the least and the most.
#![expect(clippy::print_stdout, reason = "it measures and tells")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::hint::black_box;
use std::time::Instant;

use rota_balance::{
    Confined, Domain, DomainSet, Entity, Machine, Policy, Pool, Snapshot, Task, plan, solve,
    solve_confined,
};

#[path = "../tests/balance/numbers.rs"]
mod numbers;

use numbers::Random;

impl Random {
    /// One of so many places.
    fn place(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }

    /// A weight from 1 to 10,000, each magnitude as likely as another.
    fn entity(&mut self) -> Entity {
        Entity { weight: 10_f64.powf(4.0 * self.unit()), duty: self.unit() }
    }
}

/// Times something, and tells in microseconds.
fn time<T>(what: &str, runs: usize, mut run: impl FnMut() -> T) {
    black_box(run());
    let once = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed().as_secs_f64() * 1e6
    };
    let mut times: Vec<f64> = (0..runs).map(once).collect();
    times.sort_by(f64::total_cmp);
    let (median, least, most) = (times[runs / 2], times[0], times[runs - 1]);
    println!("{what:44} {median:11.1} us ({least:.1} to {most:.1})");
}

fn solver(random: &mut Random) {
    for exponent in 3..=7 {
        let entities: Vec<_> = (0..10_usize.pow(exponent)).map(|_| random.entity()).collect();
        let capacity = entities.len() as f64 * 0.2;
        let runs = if exponent < 7 { 9 } else { 5 };
        time(&format!("solve, 10^{exponent} entities"), runs, || solve(&entities, capacity));
    }
}

fn pool(random: &mut Random) {
    let mut pool = Pool::new(20_000.0).unwrap();
    let all: Vec<_> = (0..100_000).map(|key| (key, Some(random.entity()))).collect();
    pool.apply(&all).unwrap();
    let mut changed = 0;
    time("pool of 10^5, one change and new shares", 99, || {
        changed = (changed + 7919) % 100_000;
        pool.set(changed, Some(random.entity())).unwrap();
        pool.shares()
    });
}

fn confined(random: &mut Random) {
    for (domains, count) in [(64, 100_000), (256, 100_000)] {
        let machine = Machine::equal(&vec![8; domains]).unwrap();
        let some = |random: &mut Random| (0..4).map(|_| random.place(domains)).collect();
        let mut sets: Vec<DomainSet> = (0..domains).map(|_| some(random)).collect();
        sets.push(DomainSet::all(domains));
        let one = |random: &mut Random| Confined {
            entity: random.entity(),
            threads: 1,
            domains: random.place(sets.len()).max(random.place(sets.len())),
        };
        let all: Vec<_> = (0..count).map(|_| one(random)).collect();
        let what = format!("confined, {domains} domains and sets, {count}");
        time(&what, 5, || solve_confined(&machine, &sets, &all));
    }
}

/// Domains of 8 CPUs, 8 domains a node.
fn snapshot(random: &mut Random, domains: usize, tasks: usize, skewed: bool) -> Snapshot {
    let nodes = domains.div_ceil(8);
    let distance = |a: usize, b: usize| if a == b { 10 } else { 20 };
    let domain =
        |number: usize| Domain { capacity: 8.0, strongest: 1.0, node: number / 8, other: 0.0 };
    let task = |id: usize| Task {
        id: id as u64,
        domain: if skewed { 0 } else { random.place(domains) },
        entity: random.entity(),
        allowed: None,
        footprint_bytes: random.next() % (1 << 21),
        stayed_ns: u64::MAX,
        pid: None,
    };
    Snapshot {
        domains: (0..domains).map(domain).collect(),
        distances: (0..nodes).map(|a| (0..nodes).map(|b| distance(a, b)).collect()).collect(),
        sets: Vec::new(),
        tasks: (0..tasks).map(task).collect(),
    }
}

fn planner(random: &mut Random) {
    for (moves_max, skewed) in [(256, false), (256, true), (4096, false), (4096, true)] {
        let policy = Policy { moves_max, ..Policy::default() };
        for domains in [64, 256, 1024] {
            let snapshot = snapshot(random, domains, domains * 100_000 / 1024, skewed);
            let found = plan(&snapshot, &policy).unwrap().moves.len();
            let start = if skewed { "skewed" } else { "random" };
            let tasks = snapshot.tasks.len();
            let what = format!("plan, {domains} domains, {tasks} tasks, {start}: {found}");
            time(&what, 9, || plan(&snapshot, &policy));
        }
    }
}

fn main() {
    let random = &mut Random(1);
    solver(random);
    pool(random);
    planner(random);
    confined(random);
}
