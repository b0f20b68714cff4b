// SPDX-License-Identifier: GPL-2.0-or-later
//! Lengths of time, and the distributions that they are drawn from.
//!
//! Written as `2ms`, or as the name of a distribution with its numbers behind slashes:
//! `lognormal/2ms/0.8`. The first number is the mean wherever one number can be; so the load that
//! a workload puts on a machine does not depend on the distribution.

use crate::Random;
use rota_events::{hint, parse_ns};

/// One, in the fixed-point numbers of a [`Span`].
pub const THOUSAND: u32 = 1000;
/// The longest time that a text may ask for, in ns: an hour.
pub(crate) const TIME_MAX_NS: u64 = 3_600_000_000_000;

/// Names of distributions, with what stands behind each.
pub const DISTRIBUTIONS: [(&str, &str); 7] = [
    ("fixed", "fixed/1ms: always the same, as 1ms alone is"),
    ("uniform", "uniform/1ms/3ms: from one to another, each equally likely"),
    ("exponential", "exponential/1ms: by the mean"),
    ("normal", "normal/5ms/1ms: by mean and standard deviation; what is below nothing is nothing"),
    ("lognormal", "lognormal/1ms/0.8: by the mean, and the standard deviation of the logarithm"),
    ("pareto", "pareto/1ms/1.5: by the mean, and the exponent of the tail, above 1"),
    ("bimodal", "bimodal/1ms/100ms/0.5: short, long, and how many are long, in percent"),
];

/// A length of time, in ns, or the distribution that it is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Always the same.
    Fixed(u64),
    /// From one to another, each equally likely.
    Uniform(u64, u64),
    /// Exponential, with this mean.
    Exponential(u64),
    /// Normal, with mean and standard deviation; what would be below nothing is nothing.
    Normal(u64, u64),
    /// Its logarithm is normal: the mean of the times themselves, and the standard deviation of
    /// the logarithm in thousandths.
    LogNormal(u64, u32),
    /// Pareto: the mean, and the exponent of the tail in thousandths, above one.
    Pareto(u64, u32),
    /// One of two: the short and the long one, and how many are long, in thousandths of a percent.
    Bimodal(u64, u64, u32),
}

/// A number of (0, 1], of 53 bits: none of it is rounded.
fn unit(random: &mut Random) -> f64 {
    ((random.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// A number of the standard normal distribution (Box and Muller 1958).
fn standard_normal(random: &mut Random) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(unit(random)));
    radius * libm::cos(std::f64::consts::TAU * unit(random))
}

impl Span {
    /// Draws a time. A step never takes no time at all: it is at least 1 ns.
    pub fn draw(self, random: &mut Random) -> u64 {
        let thousandths = |n: u32| f64::from(n) / f64::from(THOUSAND);
        // Too small is 0 then, and too large the largest number.
        let whole = |ns: f64| libm::round(ns) as u64;
        let ns = match self {
            Self::Fixed(ns) => ns,
            Self::Uniform(least, most) => random.between(least, most),
            Self::Exponential(mean) => random.exponential(mean),
            Self::Normal(mean, deviation) => {
                whole(mean as f64 + deviation as f64 * standard_normal(random))
            }
            Self::LogNormal(mean, sigma) => {
                let sigma = thousandths(sigma);
                let exponent = sigma * standard_normal(random) - sigma * sigma / 2.0;
                whole(mean as f64 * libm::exp(exponent))
            }
            Self::Pareto(mean, alpha) => {
                let alpha = thousandths(alpha);
                let least = mean as f64 * (alpha - 1.0) / alpha;
                whole(least * libm::exp(-libm::log(unit(random)) / alpha))
            }
            Self::Bimodal(short, long, percent) => {
                let is_long = random.below(100 * u64::from(THOUSAND)) < percent.into();
                if is_long { long } else { short }
            }
        };
        ns.max(1)
    }

    /// The mean, in ns: of a normal distribution without regard to what is cut off at nothing.
    pub fn mean_ns(self) -> u64 {
        match self {
            Self::Fixed(mean)
            | Self::Exponential(mean)
            | Self::Normal(mean, _)
            | Self::LogNormal(mean, _)
            | Self::Pareto(mean, _) => mean,
            Self::Uniform(least, most) => least + most.saturating_sub(least) / 2,
            Self::Bimodal(short, long, percent) => {
                let (all, percent) = (100 * u128::from(THOUSAND), u128::from(percent));
                let both = u128::from(short) * (all - percent) + u128::from(long) * percent;
                (both / all) as u64
            }
        }
    }

    /// A time and so many percent more or less.
    pub fn around(ns: u64, percent: u64) -> Self {
        let part = (u128::from(ns) * u128::from(percent.min(100)) / 100) as u64;
        match part {
            0 => Self::Fixed(ns),
            _ => Self::Uniform(ns - part, ns.saturating_add(part)),
        }
    }

    /// Reads a time, or a distribution with its numbers.
    ///
    /// # Errors
    /// What is wrong, and what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, numbers) = match text.split_once('/') {
            Some((name, rest)) => (name, rest.split('/').collect::<Vec<_>>()),
            None => ("fixed", vec![text]),
        };
        let Some((_, usage)) = DISTRIBUTIONS.iter().find(|(known, _)| *known == name) else {
            let names = DISTRIBUTIONS.map(|(name, _)| name);
            return Err(format!("no distribution '{name}'{}", hint(name, &names)));
        };
        let span = match (name, &numbers[..]) {
            ("fixed", [ns]) => Self::Fixed(time(ns)?),
            ("uniform", [least, most]) => Self::Uniform(time(least)?, time(most)?),
            ("exponential", [mean]) => Self::Exponential(time(mean)?),
            ("normal", [mean, deviation]) => Self::Normal(time(mean)?, time(deviation)?),
            ("lognormal", [mean, sigma]) => Self::LogNormal(time(mean)?, decimal(sigma)?),
            ("pareto", [mean, alpha]) => Self::Pareto(time(mean)?, decimal(alpha)?),
            ("bimodal", [short, long, percent]) => {
                Self::Bimodal(time(short)?, time(long)?, decimal(percent)?)
            }
            _ => return Err(format!("'{text}' is not like {usage}")),
        };
        match span {
            Self::Uniform(least, most) if least > most => {
                Err(format!("'{text}': the first time is the lesser one"))
            }
            Self::LogNormal(_, sigma) if sigma > 5 * THOUSAND => {
                Err(format!("'{text}': the logarithm's standard deviation is at most 5"))
            }
            Self::Pareto(_, alpha) if alpha <= THOUSAND => {
                Err(format!("'{text}': a tail whose exponent is not above 1 has no mean"))
            }
            Self::Bimodal(_, _, percent) if percent > 100 * THOUSAND => {
                Err(format!("'{text}': more than 100 percent are long"))
            }
            span => Ok(span),
        }
    }
}

fn time(text: &str) -> Result<u64, String> {
    match parse_ns(text)? {
        ns if ns <= TIME_MAX_NS => Ok(ns),
        _ => Err(format!("'{text}' is more than 1h")),
    }
}

/// A number with at most three digits behind the point, in thousandths.
fn decimal(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is no number like 2 or 0.125");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 3 {
        return Err(wrong());
    }
    let number: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u32 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
    number.checked_mul(THOUSAND).and_then(|n| n.checked_add(part)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let cases = [
            ("2ms", Span::Fixed(2_000_000)),
            ("fixed/2ms", Span::Fixed(2_000_000)),
            ("uniform/1us/3us", Span::Uniform(1000, 3000)),
            ("exponential/1us", Span::Exponential(1000)),
            ("normal/5us/1us", Span::Normal(5000, 1000)),
            ("lognormal/1us/0.85", Span::LogNormal(1000, 850)),
            ("pareto/1us/1.5", Span::Pareto(1000, 1500)),
            ("bimodal/1us/1ms/0.5", Span::Bimodal(1000, 1_000_000, 500)),
        ];
        for (text, span) in cases {
            assert_eq!(Span::parse(text), Ok(span), "{text}");
        }
        assert_eq!(Span::Bimodal(1000, 1_000_000, 500).mean_ns(), 5995);
        for (name, usage) in DISTRIBUTIONS {
            let example = usage.split(':').next().unwrap();
            assert!(Span::parse(example).is_ok() && example.starts_with(name), "{example}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("exponental/1ms", "no distribution 'exponental'; did you mean exponential?"),
            ("5", "'5' has no unit; expected a duration such as 20ms, 1.5s or 250us"),
            (
                "pareto/1ms",
                "'pareto/1ms' is not like pareto/1ms/1.5: by the mean, and the exponent of the tail, above 1",
            ),
            ("pareto/1ms/1", "'pareto/1ms/1': a tail whose exponent is not above 1 has no mean"),
            ("uniform/2ms/1ms", "'uniform/2ms/1ms': the first time is the lesser one"),
            ("lognormal/1ms/x", "'x' is no number like 2 or 0.125"),
            ("lognormal/1ms/1.2345", "'1.2345' is no number like 2 or 0.125"),
            ("fixed/2h", "'2h' is more than 1h"),
        ];
        for (text, problem) in cases {
            assert_eq!(Span::parse(text).unwrap_err(), problem);
        }
    }

    #[test]
    fn spans() {
        let mut random = Random::new(1);
        assert_eq!(Span::around(100, 0), Span::Fixed(100));
        assert_eq!(Span::around(1000, 20), Span::Uniform(800, 1200));
        assert_eq!(Span::Fixed(0).draw(&mut random), 1);
        assert!((0..100).all(|_| (800..=1200).contains(&Span::around(1000, 20).draw(&mut random))));
    }
}
