// SPDX-License-Identifier: GPL-2.0-or-later
//! How much larger or smaller a number of the second recording may be.

use super::read::Recording;
use crate::hist::{KindChoice, name};
use clap::ValueEnum;
use rota_events::hint;
use rota_trace::{hist_number, hist_numbers, short_ns};

/// A limit.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    text: String,
    /// Of which times.
    pub(super) kind: KindChoice,
    number: &'static str,
    /// Whether it must not be larger, rather than smaller.
    larger: bool,
    by: By,
}

#[derive(Debug, Clone, Copy)]
enum By {
    /// A part of the first one's.
    Percent(f64),
    /// A time in ns, or a count.
    Absolute(u64),
}

/// Reads a limit, such as `runq.p99>10%`.
pub(super) fn parse(text: &str) -> Result<Limit, String> {
    const FORM: &str = "a limit has the form KIND.NUMBER>LIMIT, such as runq.p99>10%";
    let sign = text.find(['>', '<']).ok_or(FORM)?;
    let (what, limit) = (text[..sign].trim(), text[sign + 1..].trim());
    let (kind, number) = what.split_once('.').ok_or(FORM)?;
    let kinds = KindChoice::value_variants();
    let names: Vec<String> = kinds.iter().map(name).collect();
    let place = names.iter().position(|name| name == kind);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let none = || format!("there are no times {kind}{}", hint(kind, &names));
    let kind = *place.and_then(|place| kinds.get(place)).ok_or_else(none)?;
    let numbers = hist_numbers();
    let none = || format!("there is no number {number}{}", hint(number, &numbers));
    let number = *numbers.iter().find(|each| **each == number).ok_or_else(none)?;
    let by = if let Some(percent) = limit.strip_suffix('%') {
        let percent = percent.parse().ok().filter(|percent: &f64| *percent >= 0.0);
        By::Percent(percent.filter(|p| p.is_finite()).ok_or("a percentage is 0 or more: 10%")?)
    } else if number == "count" {
        By::Absolute(limit.parse().map_err(|_| "a count is a whole number, or a part: 10%")?)
    } else {
        By::Absolute(crate::args::duration(limit)?)
    };
    Ok(Limit { text: text.to_owned(), kind, number, larger: text[sign..].starts_with('>'), by })
}

impl Limit {
    /// What to say if it is passed, or can't be looked at.
    pub(super) fn passed(&self, first: &Recording, second: &Recording) -> Option<String> {
        let number = |recording: &Recording| {
            let times = recording.of(self.kind)?.blocks.all();
            let some = times.count() > 0 || ["count", "sum"].contains(&self.number);
            hist_number(&times, self.number).filter(|_| some)
        };
        let (Some(a), Some(b)) = (number(first), number(second)) else {
            return Some(format!("{}: not both recordings have such times", self.text));
        };
        let (more, from) = if self.larger { (b, a) } else { (a, b) };
        let difference = more.checked_sub(from)?;
        let past = match self.by {
            By::Percent(percent) => difference as f64 > a as f64 * percent / 100.0,
            By::Absolute(limit) => difference > limit,
        };
        let shown = |value| match self.number {
            "count" => format!("{value}"),
            _ => short_ns(value),
        };
        past.then(|| format!("{}: {} became {}", self.text, shown(a), shown(b)))
    }
}
