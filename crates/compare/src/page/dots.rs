// SPDX-License-Identifier: GPL-2.0-or-later
//! A measure of all contestants: a dot for each seed, the median, and its interval.

use super::svg::{Axis, at, escape};
use crate::measure::{Better, Unit};
use crate::number;
use crate::report::{Cell, Report, Row};
use std::fmt::Write;

/// Widths and heights in pixels.
const WIDTH: f64 = 340.0;
const LANE: f64 = 36.0;
const MARGIN: f64 = 10.0;

/// So many dots of a contestant are shown.
const DOTS_MAX: usize = 200;
/// So many letters of a name are shown.
const NAME_MAX: usize = 24;

/// The plot of a row, with a heading; none if all runs have the same value, since there is nothing
/// to see. `id` is unique on the page.
pub(super) fn plot(report: &Report, row: &Row, id: &str) -> Option<String> {
    let values = row.cells.iter().flat_map(|cell| &cell.values).map(|(_, value)| *value);
    let first = values.clone().next()?;
    if values.clone().all(|value| value == first) {
        return None;
    }
    let axis = Axis::of(values, MARGIN, WIDTH - MARGIN);
    let names = &report.experiment.contestants;
    let bottom = LANE * names.len() as f64 + 4.0;
    let height = bottom + 20.0;
    let title = escape(row.measure.title);
    let goal = match row.measure.better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
        Better::Neither => "",
    };
    let mut svg = format!(
        "<figure class=card><figcaption><b>{title}</b> <span class=muted>{goal}</span></figcaption>\
         <svg viewBox='0 0 {WIDTH} {}' role=img aria-labelledby='{id}-t'><title id='{id}-t'>{title}: {}</title>",
        at(height),
        escape(&words(report, row)),
    );
    let ticks = axis.ticks(row.measure.unit, 4).into_iter();
    let ticks = ticks.map(|(value, text)| (axis.place(value), text));
    // At the very ends there is no room for a text.
    for (x, text) in ticks.filter(|(x, _)| (18.0..=WIDTH - 18.0).contains(x)) {
        // Writing to a string can't fail.
        let _ = write!(
            svg,
            "<path class=grid d='M{0} 4V{1}'/><text class=tick x={0} y={2} text-anchor=middle>{text}</text>",
            at(x),
            at(bottom),
            at(bottom + 14.0),
        );
    }
    for (i, cell) in row.cells.iter().enumerate() {
        lane(&mut svg, row.measure.unit, &axis, i, &names[i], cell);
    }
    Some(svg + "</svg></figure>")
}

/// The lane of a contestant.
fn lane(svg: &mut String, unit: Unit, axis: &Axis, i: usize, name: &str, cell: &Cell) {
    let top = LANE * i as f64;
    let (label, y) = (top + 13.0, top + 25.0);
    let _ = write!(svg, "<text class=lane x=2 y={}>{}</text>", at(label), escape(&short(name)));
    let Some(estimate) = &cell.estimate else {
        let _ = write!(svg, "<text class=tick x={MARGIN} y={}>no value</text>", at(y + 4.0));
        return;
    };
    let _ = write!(
        svg,
        "<text class=value x={} y={} text-anchor=end>{}</text><g class='c c{}'>",
        WIDTH - 2.0,
        at(label),
        escape(&number::estimate(unit, estimate)),
        super::colour(i),
    );
    for (seed, value) in few(&cell.values) {
        let _ = write!(
            svg,
            "<circle cx={} cy={} r=3><title>seed {seed}: {}</title></circle>",
            at(axis.place(value)),
            at(y),
            number::show(unit, value),
        );
    }
    if let Some(interval) = estimate.interval {
        let (low, high) = (axis.place(interval.low), axis.place(interval.high));
        let _ = write!(svg, "<path class=interval d='M{} {}H{}'/>", at(low), at(y), at(high));
    }
    let x = at(axis.place(estimate.median));
    let _ = write!(svg, "<path class=median d='M{x} {}V{}'/></g>", at(y - 6.0), at(y + 6.0));
}

/// Not more dots than can be seen: of more, those at even places in order of value.
fn few(values: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
    let every = sorted.len().div_ceil(DOTS_MAX).max(1);
    sorted.into_iter().step_by(every).collect()
}

/// A name that leaves room for the numbers beside it.
fn short(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The plot in words, for who does not see it.
fn words(report: &Report, row: &Row) -> String {
    let names = report.experiment.contestants.iter().zip(&row.cells);
    let words = names.map(|(name, cell)| match &cell.estimate {
        Some(estimate) => format!("{name} {}", number::estimate(row.measure.unit, estimate)),
        None => format!("{name} no value"),
    });
    words.collect::<Vec<_>>().join(", ")
}
