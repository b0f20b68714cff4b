// SPDX-License-Identifier: GPL-2.0-or-later
//! How well measurements on a real machine repeat.

use crate::experiment::Experiment;
use crate::interval::Estimate;
use crate::measure::{LATENCY_P99, Measure, OTHERS, REQUEST_P99, Unit, WORK};
use crate::number;
use crate::report::{Cell, Group};

/// What makes runs differ that nobody wants to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// CPU time that others than the work took in a run, as a number of CPUs; over all runs.
    pub others: Option<Estimate>,
    /// By measure: half of all values are at most so far from the median of their scheduler and
    /// group, as a part of that median.
    pub spread: Vec<(Measure, f64)>,
}

impl Noise {
    /// Of measurements; simulations have none but what their seeds decide.
    pub(crate) fn of(experiment: &Experiment, groups: &[Group]) -> Option<Self> {
        experiment.live.as_ref()?;
        let others: Vec<f64> = cells(groups, OTHERS).flat_map(values).collect();
        let spread = [WORK, LATENCY_P99, REQUEST_P99].into_iter().filter_map(|measure| {
            let distances: Vec<f64> = cells(groups, measure).flat_map(distances).collect();
            Some((measure, Estimate::of(&distances)?.median))
        });
        Some(Self { others: Estimate::of(&others), spread: spread.collect() })
    }

    /// In a sentence or two.
    pub(crate) fn in_words(&self) -> String {
        let others = self.others.as_ref().map(|others| {
            format!("others than this work used {} CPUs", number::estimate(Unit::Cpus, others))
        });
        let spread = self
            .spread
            .iter()
            .map(|(measure, part)| format!("{} in {}", number::percent(*part), measure.title));
        let spread = spread.collect::<Vec<_>>().join(", ");
        let spread = (!spread.is_empty()).then(|| {
            format!(
                "with all noise, and what seeds differ in, half of all runs are within {spread} of the \
                 median of their scheduler"
            )
        });
        others.into_iter().chain(spread).collect::<Vec<_>>().join("; ")
    }
}

/// The cells of a measure, whoever's.
fn cells(groups: &[Group], measure: Measure) -> impl Iterator<Item = &Cell> {
    let rows = groups.iter().flat_map(|group| &group.rows);
    rows.filter(move |row| row.measure == measure).flat_map(|row| &row.cells)
}

fn values(cell: &Cell) -> impl Iterator<Item = f64> {
    cell.values.iter().map(|(_, value)| *value)
}

/// How far each value is from their median, as a part of that.
fn distances(cell: &Cell) -> Vec<f64> {
    let median = cell.estimate.as_ref().map_or(0.0, |estimate| estimate.median);
    match median > 0.0 && cell.values.len() > 1 {
        true => values(cell).map(|value| (value / median - 1.0).abs()).collect(),
        false => Vec::new(),
    }
}
