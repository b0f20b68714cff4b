// SPDX-License-Identifier: GPL-2.0-or-later
//! Distributions of times: which part of them is at most so long.
//!
//! Times are on a logarithmic axis, and so is the part that is longer: from 0 over 90 % and 99 % to
//! the greatest, each nine is as high as the one before, so the tail can be seen.

use super::svg::{Axis, at, escape};
use crate::measure::{Latency, Unit};
use crate::result::Results;
use rota_events::Histogram;
use std::fmt::Write;

/// Widths and heights in pixels.
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 318.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 192.0;

/// Parts that are marked: the text, and one in how many is longer.
const MARKS: [(&str, f64); 6] = [
    ("50%", 2.0),
    ("90%", 10.0),
    ("99%", 100.0),
    ("99.9%", 1e3),
    ("99.99%", 1e4),
    ("99.999%", 1e5),
];

/// Lines are told apart by their dashes too.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// All seeds of a contestant together, of runs that got to their end at the first cost scale.
fn together(results: &Results, contestant: usize, group: &str, latency: Latency) -> Histogram {
    let mut all = Histogram::default();
    for run in results.of(contestant, 0).filter(|run| run.ended.is_none()) {
        let found = run.distributions.iter();
        let found = found.filter(|found| found.group == group && found.latency == latency);
        found.for_each(|found| all.merge(&found.histogram));
    }
    all
}

/// The plot of a group, with a heading; none if there are no times.
pub(super) fn plot(results: &Results, group: &str, latency: Latency, id: &str) -> Option<String> {
    let names = &results.experiment().contestants;
    let all: Vec<Histogram> =
        (0..names.len()).map(|i| together(results, i, group, latency)).collect();
    let has = all.iter().filter(|histogram| histogram.count() > 0);
    // Times of 0 are at the left end.
    let least = has.clone().map(|histogram| histogram.least().max(100)).min()?;
    let greatest = has.clone().map(Histogram::greatest).max()?.max(least + 1);
    let most = has.map(Histogram::count).max()? as f64;
    let x = Axis::logarithmic(least as f64, greatest as f64, LEFT, RIGHT);
    let y = Axis::logarithmic(1.0, most.clamp(100.0, 1e5), BOTTOM, TOP);
    let what = match latency {
        Latency::Scheduling => "scheduling latency",
        Latency::Request => "request time",
    };
    let title = format!("{what} of {}", super::group_name(group));
    let mut svg = format!(
        "<figure class=card><figcaption><b>{0}</b></figcaption><svg viewBox='0 0 {WIDTH} {HEIGHT}' \
         role=img aria-labelledby='{id}-t'><title id='{id}-t'>{0}, cumulative: {1}</title>",
        escape(&title),
        escape(&words(names, &all)),
    );
    for (text, over) in MARKS.iter().filter(|mark| mark.1 <= most.clamp(100.0, 1e5)) {
        let y = y.place(*over);
        // Writing to a string can't fail.
        let _ = write!(
            svg,
            "<path class=grid d='M{LEFT} {0}H{RIGHT}'/><text class=tick x={1} y={2} text-anchor=end>{text}</text>",
            at(y),
            LEFT - 5.0,
            at(y + 3.5),
        );
    }
    for (value, text) in x.ticks(Unit::Ns, 5) {
        let _ = write!(
            svg,
            "<path class=grid d='M{0} {TOP}V{BOTTOM}'/><text class=tick x={0} y={1} text-anchor=middle>{text}</text>",
            at(x.place(value)),
            BOTTOM + 16.0,
        );
    }
    for (i, histogram) in all.iter().enumerate().filter(|(_, h)| h.count() > 0) {
        let _ = write!(
            svg,
            "<path class='curve c{}' stroke-dasharray='{}' d='{}'><title>{}</title></path>",
            super::colour(i),
            DASHES[i % DASHES.len()],
            line(histogram, &x, &y),
            escape(&names[i]),
        );
    }
    Some(svg + "</svg></figure>")
}

/// The line of a histogram: up at the end of each bucket. Steps that can't be seen are left out.
fn line(histogram: &Histogram, x: &Axis, y: &Axis) -> String {
    let count = histogram.count() as f64;
    let mut path = format!("M{} {}", at(x.place(histogram.least() as f64)), at(y.place(1.0)));
    let mut below = 0;
    let mut last = (0.0, 0.0);
    for (value, times) in histogram.buckets() {
        below += times;
        let longer = histogram.count() - below;
        // The last value is as high as there are values.
        let over = if longer == 0 { count } else { count / longer as f64 };
        let (x, y) = (x.place(value.min(histogram.greatest()) as f64), y.place(over));
        if longer == 0 || (x - last.0).abs() + (y - last.1).abs() >= 0.7 {
            let _ = write!(path, "L{} {}", at(x), at(y));
            last = (x, y);
        }
    }
    path
}

/// The plot in words, for who does not see it.
fn words(names: &[String], all: &[Histogram]) -> String {
    let words = names.iter().zip(all).map(|(name, histogram)| {
        let quantile = |part| crate::number::show(Unit::Ns, histogram.quantile(part, 1000) as f64);
        match histogram.count() {
            0 => format!("{name} none"),
            _ => format!(
                "{name} p50 {}, p99 {}, p99.9 {}",
                quantile(500),
                quantile(990),
                quantile(999)
            ),
        }
    });
    words.collect::<Vec<_>>().join("; ")
}
