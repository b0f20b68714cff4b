// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers that are drawn have the distributions that their texts name: tests of Kolmogorov and
//! Smirnov against the distributions' own formulas, with fixed seeds.

use rota_workload::{DISTRIBUTIONS, Random, Span};

const COUNT: usize = 100_000;
/// What the statistic exceeds once in a thousand times (Kolmogorov's distribution).
const CRITICAL: f64 = 1.949;
const MS: f64 = 1e6;

fn samples(text: &str, seed: u64) -> Vec<f64> {
    let span = Span::parse(text).unwrap();
    let mut random = Random::stream(seed, 1);
    let mut drawn: Vec<f64> = (0..COUNT).map(|_| span.draw(&mut random) as f64).collect();
    drawn.sort_by(f64::total_cmp);
    drawn
}

/// The greatest distance between what was drawn, in order, and a distribution; times √n.
fn statistic(sorted: &[f64], distribution: impl Fn(f64) -> f64) -> f64 {
    let n = sorted.len() as f64;
    let distance = sorted.iter().enumerate().map(|(i, x)| {
        let expected = distribution(*x);
        (expected - i as f64 / n).abs().max(((i + 1) as f64 / n - expected).abs())
    });
    distance.fold(0.0, f64::max) * n.sqrt()
}

/// The standard normal distribution.
fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The distribution that a text names, at a time in ns, stretched by a factor.
fn formula(name: &str, x: f64, stretch: f64) -> f64 {
    let x = x / MS / stretch;
    match name {
        "uniform" => ((x - 1.0) / 2.0).clamp(0.0, 1.0),
        "exponential" => 1.0 - (-x).exp(),
        "normal" => normal(x - 5.0),
        // Of mean 1 and with 0.8 for the logarithm.
        "lognormal" => normal((x.ln() + 0.8 * 0.8 / 2.0) / 0.8),
        "pareto" => 1.0 - (1.0 / 3.0 / x).min(1.0).powf(1.5),
        other => panic!("{other}"),
    }
}

#[test]
fn samples_follow_their_formulas() {
    for (name, usage) in DISTRIBUTIONS {
        if ["fixed", "bimodal"].contains(&name) {
            continue;
        }
        let example = usage.split(':').next().unwrap();
        for seed in 1..=5 {
            let drawn = samples(example, seed);
            let found = statistic(&drawn, |x| formula(name, x, 1.0));
            assert!(found < CRITICAL, "{example}, seed {seed}: {found}");
            // And the test would notice times that are 3 % longer.
            let wrong = statistic(&drawn, |x| formula(name, x, 1.03));
            assert!(wrong > CRITICAL, "{example}, seed {seed}: {wrong}");
        }
    }
}

#[test]
fn one_of_two_comes_as_often_as_it_says() {
    for (text, percent) in [("bimodal/1ms/100ms/0.5", 0.5), ("bimodal/1ms/100ms/40", 40.0)] {
        let long = samples(text, 3).iter().filter(|ns| **ns > 50.0 * MS).count() as f64;
        let share: f64 = percent / 100.0;
        let deviation = (COUNT as f64 * share * (1.0 - share)).sqrt();
        assert!((long - COUNT as f64 * share).abs() < 4.0 * deviation, "{text}: {long}");
    }
    assert!(samples("fixed/3ms", 1).iter().all(|ns| *ns == 3.0 * MS));
}

#[test]
fn the_mean_is_what_stands_first() {
    // With the standard deviation of each, in ms.
    let cases = [
        ("uniform/1ms/3ms", 2.0, 2.0 / 12_f64.sqrt()),
        ("exponential/1ms", 1.0, 1.0),
        ("normal/5ms/1ms", 5.0, 1.0),
        ("lognormal/1ms/0.8", 1.0, (0.64_f64.exp() - 1.0).sqrt()),
        ("pareto/1ms/3.5", 1.0, (1.0 / (3.5 * 1.5_f64)).sqrt()),
        ("bimodal/1ms/100ms/0.5", 1.495, 99.0 * (0.005 * 0.995_f64).sqrt()),
    ];
    for (text, mean, deviation) in cases {
        let span = Span::parse(text).unwrap();
        assert!((span.mean_ns() as f64 - mean * MS).abs() <= 1.0, "{text}");
        let found = samples(text, 7).iter().sum::<f64>() / COUNT as f64 / MS;
        let error = deviation / (COUNT as f64).sqrt();
        assert!((found - mean).abs() < 4.0 * error, "{text}: {found} and not {mean}");
    }
}

/// The same on every machine, to the last bit.
#[test]
fn seeds_mean_the_same_everywhere() {
    let first = |text: &str| {
        let span = Span::parse(text).unwrap();
        let mut random = Random::stream(1, 1);
        [0; 3].map(|_| span.draw(&mut random))
    };
    let found = ["normal/5ms/1ms", "lognormal/1ms/0.8", "pareto/1ms/1.5"].map(first);
    let expected = [
        [5_297_367, 5_498_840, 5_123_261],
        [921_174, 1_082_282, 801_403],
        [450_360, 386_585, 372_678],
    ];
    assert_eq!(found, expected);
}
