// SPDX-License-Identifier: GPL-2.0-or-later
//! Drawing: texts that can't become markup, coordinates, and axes.

use crate::measure::Unit;
use crate::number::{self, Shape};

/// A text as the content or the attribute of an element.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            // These have no place in a page.
            c if c.is_control() && c != '\n' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A coordinate, to a tenth of a pixel.
pub(super) fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Where values are along an axis.
pub(super) struct Axis {
    logarithmic: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// From which ratio of the greatest to the least value an axis is logarithmic.
const MANY_TIMES: f64 = 30.0;

impl Axis {
    /// An axis from one place to another that has room for these values: logarithmic if they are
    /// positive and of very different sizes.
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let greatest = values.fold(f64::NEG_INFINITY, f64::max);
        if least > 0.0 && greatest / least > MANY_TIMES {
            return Self::logarithmic(least / 1.2, greatest * 1.2, from, to);
        }
        // A little room at both ends, also if there is one value only.
        let room = match greatest - least {
            0.0 => (greatest.abs() / 10.0).max(0.5),
            wide => wide / 20.0,
        };
        let low = if least >= 0.0 { (least - room).max(0.0) } else { least - room };
        Self { logarithmic: false, low, high: greatest + room, from, to }
    }

    /// A logarithmic axis from one positive value to another.
    pub(super) fn logarithmic(least: f64, greatest: f64, from: f64, to: f64) -> Self {
        let (low, high) = (libm::log10(least.max(1e-300)), libm::log10(greatest.max(1e-300)));
        let high = if high > low { high } else { low + 1.0 };
        Self { logarithmic: true, low, high, from, to }
    }

    /// Where a value is.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic { libm::log10(value.max(1e-300)) } else { value };
        let part = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + part * (self.to - self.from)
    }

    /// Round values along it, with their texts: about so many.
    pub(super) fn ticks(&self, unit: Unit, about: usize) -> Vec<(f64, String)> {
        match self.logarithmic {
            true if self.high - self.low >= 1.0 => {
                self.powers(about).into_iter().map(|value| (value, tick(unit, value))).collect()
            }
            true => steps(unit, libm::pow(10.0, self.low), libm::pow(10.0, self.high), about),
            false => steps(unit, self.low, self.high, about),
        }
    }

    /// Powers of ten, every second, third… of them if they are many; with 2 and 5 times them if
    /// they are few.
    fn powers(&self, about: usize) -> Vec<f64> {
        let inside = libm::floor(self.high + 1e-9) - libm::ceil(self.low - 1e-9) + 1.0;
        let every = (inside.max(0.0) as usize).div_ceil(about.max(1)).max(1);
        let times: &[f64] = match self.high - self.low {
            few if few < 2.0 => &[1.0, 2.0, 5.0],
            few if few < 3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        // A power below, whose multiples may be inside.
        let first = libm::floor(self.low) as i32 + i32::from(every > 1);
        let powers = (first..=libm::ceil(self.high) as i32).step_by(every);
        let powers = powers.map(|power| libm::pow(10.0, power.into()));
        let values = powers.flat_map(|power| times.iter().map(move |times| times * power));
        let (low, high) = (self.low - 1e-9, self.high + 1e-9);
        values.filter(|value| (low..=high).contains(&libm::log10(*value))).collect()
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, and their texts.
fn steps(unit: Unit, low: f64, high: f64, about: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / about.max(1) as f64;
    let power = libm::pow(10.0, libm::floor(libm::log10(rough.max(1e-300))));
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let (first, last) = (libm::ceil(low / step), libm::floor(high / step));
    let count = (last - first).clamp(0.0, 20.0) as u32;
    let shape = Shape::of_steps(unit, (last * step).abs().max((first * step).abs()), step);
    let values = (0..=count).map(|i| (first + f64::from(i)) * step);
    values.map(|value| (value, shape.show(value))).collect()
}

/// A round value, without the digits that are zero.
fn tick(unit: Unit, value: f64) -> String {
    let text = number::show(unit, value);
    let end = text.find(|c: char| c.is_alphabetic() || c == '%').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    match digits.contains('.') {
        true => format!("{}{unit}", digits.trim_end_matches('0').trim_end_matches('.')),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        assert_eq!(escape("<b a='\"'>&\u{1b}"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}");
    }

    #[test]
    fn axes_are_round() {
        let texts = |axis: &Axis, unit| -> Vec<String> {
            axis.ticks(unit, 4).into_iter().map(|tick| tick.1).collect()
        };
        let axis = Axis::of([120.0, 300.0].into_iter(), 0.0, 100.0);
        assert_eq!(texts(&axis, Unit::PerSecond), ["150", "200", "250", "300"]);
        let close = Axis::of([141.7, 142.2].into_iter(), 0.0, 100.0);
        assert_eq!(texts(&close, Unit::Joules), ["141.8J", "142.0J", "142.2J"]);
        let wide = Axis::of([2900.0, 10_050.0].into_iter(), 0.0, 100.0);
        assert_eq!(texts(&wide, Unit::PerSecond), ["4k", "6k", "8k", "10k"]);
        let decades = Axis::logarithmic(0.0002, 0.2, 0.0, 100.0);
        assert_eq!(texts(&decades, Unit::Percent), ["0.001%", "0.01%", "0.1%"]);
        assert!(axis.place(120.0) > 0.0 && axis.place(300.0) < 100.0);
        let axis = Axis::logarithmic(1e3, 1e6, 0.0, 90.0);
        assert_eq!(texts(&axis, Unit::Ns), ["1us", "10us", "100us", "1ms"]);
        assert_eq!([axis.place(1e3), axis.place(1e6)], [0.0, 90.0]);
        for same in [0.0, 5.0, -3.0] {
            let place = Axis::of([same].into_iter(), 0.0, 100.0).place(same);
            assert!((0.0..=100.0).contains(&place), "{same} is at {place}");
        }
    }
}
