// SPDX-License-Identifier: GPL-2.0-or-later
//! A made-up experiment whose outcome is known, and random numbers that are the same everywhere.

use rota_compare::*;
use rota_events::Histogram;
use std::collections::BTreeMap;

/// Random numbers (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to 1.
    pub(crate) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Three schedulers on a small machine.
pub(crate) fn experiment(seeds: u64) -> Experiment {
    Experiment {
        contestants: ["simple", "simple:fifo", "eevdf"].map(str::to_owned).to_vec(),
        seeds: (1..=seeds).collect(),
        scales: vec![CostScale::ONE, CostScale::HALF, CostScale::TWICE],
        machine: "desktop16".to_owned(),
        machine_in_words: "16 CPUs, 2 last-level caches".to_owned(),
        cpus: 16,
        kernel: "Linux 7.3".to_owned(),
        workload: vec!["web:rps=2000".to_owned(), "batch:tasks=16".to_owned()],
        workload_in_words: "web (64 tasks) + batch (16 tasks)".to_owned(),
        run_ns: 2_000_000_000,
        live: None,
        inputs: BTreeMap::from([("object simple".to_owned(), "9f86d081884c7d65".to_owned())]),
    }
}

/// What a made-up run gives. `eevdf` has the shorter latencies, `simple` does a little more work,
/// and `simple:fifo` is `simple` with other noise.
pub(crate) fn run(experiment: &Experiment, id: RunId) -> RunResult {
    // The seed's own noise, the same for all, and that of the run.
    let mut shared = Random(id.seed * 7919);
    let mut own = Random(id.seed * 104_729 + u64::from(id.contestant) * 31 + u64::from(id.scale));
    let cost = experiment.scales[id.scale as usize];
    let cost = f64::from(cost.times) / f64::from(cost.over);
    let eevdf = id.contestant == 2;
    let mut result = RunResult::new(id);
    let seed_noise = 1.0 + 0.2 * shared.part();
    let noise = seed_noise * (1.0 + 0.002 * own.part());
    let mut all = Histogram::default();
    let groups = [("web", 2000.0, 80_000.0), ("batch", 1200.0, 6_000_000.0)];
    for (group, work, latency) in groups {
        let mut histogram = Histogram::default();
        for _ in 0..2000 {
            let part = own.part().max(1e-9);
            let tail = if part < 0.02 { 8.0 } else { 1.0 };
            let size = if eevdf { 0.6 } else { 1.0 } * latency * seed_noise * tail;
            histogram.add((size * (0.3 + 1.4 * part)) as u64);
        }
        all.merge(&histogram);
        let eevdf_cost = if eevdf { 0.02 * cost } else { 0.0 };
        result.add(group, measure::WORK, work * noise * (1.0 - eevdf_cost));
        result.add(group, measure::CPUS, if group == "web" { 3.2 } else { 12.1 });
        if group == "web" {
            let mut request = Histogram::default();
            histogram.buckets().for_each(|(ns, _)| request.add(ns + 400_000));
            result.add_latencies(group, Latency::Request, request, 0);
        }
        result.add_latencies(group, Latency::Scheduling, histogram, 0);
    }
    result.add(ALL, measure::WORK, 3200.0 * noise * (1.0 - if eevdf { 0.02 * cost } else { 0.0 }));
    result.add(ALL, measure::CPUS, 15.3);
    result.add_latencies(ALL, Latency::Scheduling, all, 26_000_000);
    // Cheap moves are worth it, dear ones are not: a ranking that costs reverse.
    let unfair = if eevdf { 2.0 * cost } else { 3.0 };
    result.add(ALL, measure::UNFAIRNESS, unfair * noise);
    result.add(ALL, measure::IDLE_WAITING, 0.4 * own.part());
    result.add(ALL, measure::SWITCHES, 31_000.0 * noise / if eevdf { 0.5 } else { 1.0 });
    result.add(ALL, measure::MIGRATIONS_LLC, 410.0 * noise);
    result.add(ALL, measure::MIGRATIONS_NODE, 0.0);
    result.add(ALL, measure::JOULES, 61.0 * noise);
    result.add(ALL, measure::WORK_JOULES, 0.0095 * noise);
    if id.seed == experiment.seeds[0] && id.scale == 0 {
        result.timeline = Some(timeline(&mut own));
    }
    result
}

/// 20 ms of 16 CPUs.
fn timeline(random: &mut Random) -> Timeline {
    let (start_ns, end_ns) = (500_000_000, 520_000_000);
    let lane = |cpu| {
        let mut lane = Lane { cpu, spans: Vec::new() };
        let mut at = start_ns;
        while at < end_ns {
            let long = random.next().is_multiple_of(3);
            let length = random.next() % if long { 6_000_000 } else { 300_000 };
            let to_ns = (at + length + 10_000).min(end_ns);
            let (group, task) = if long { ("batch", "batch") } else { ("web", "web") };
            let task = format!("{task}/{}", random.next() % 16);
            lane.spans.push(Span { from_ns: at, to_ns, group: group.to_owned(), task });
            at = to_ns + random.next() % 200_000;
        }
        lane
    };
    Timeline { start_ns, end_ns, lanes: (0..16).map(lane).collect() }
}

/// All of its results.
pub(crate) fn results(seeds: u64) -> Results {
    let experiment = experiment(seeds);
    let runs = experiment.runs().into_iter().map(|id| run(&experiment, id)).collect();
    Results::new(experiment, runs).unwrap()
}

/// What a model leaves out.
pub(crate) fn notes() -> Vec<Note> {
    vec![Note {
        contestant: "eevdf".to_owned(),
        is: "a model".to_owned(),
        short: "eevdf is a model; it leaves out 2 things".to_owned(),
        text: "eevdf is a model; it leaves out: bandwidth limits, core scheduling".to_owned(),
    }]
}
