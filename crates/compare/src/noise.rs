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
    /// How far values are from repeating, of the group in which that is worst.
    pub spread: Vec<Spread>,
}

/// How far the values of a measure are from repeating.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Of what.
    pub measure: Measure,
    /// Whose.
    pub group: String,
    /// Half of all values are at most so far from the median of their scheduler, as a part of that.
    pub part: f64,
}

impl Noise {
    /// Of measurements; simulations have none but what their seeds decide.
    pub(crate) fn of(experiment: &Experiment, groups: &[Group]) -> Option<Self> {
        experiment.live.as_ref()?;
        let others = groups.iter().flat_map(|group| cells(group, OTHERS)).flat_map(values);
        let others: Vec<f64> = others.collect();
        let worst = |measure: Measure| {
            let each = groups.iter().filter_map(|group| spread(group, measure));
            each.max_by(|a, b| a.part.total_cmp(&b.part))
        };
        let spread = [WORK, LATENCY_P99, REQUEST_P99].into_iter().filter_map(worst).collect();
        Some(Self { others: Estimate::of(&others), spread })
    }

    /// In a sentence or two.
    pub(crate) fn in_words(&self) -> String {
        let others = self.others.as_ref().map(|others| {
            format!("others than this work used {} CPUs", number::estimate(Unit::Cpus, others))
        });
        let words = |it: &Spread| {
            format!("{} in {} of {}", number::percent(it.part), it.measure.title, it.group)
        };
        let spread = self.spread.iter().map(words).collect::<Vec<_>>().join(", ");
        let spread = (!spread.is_empty()).then(|| {
            format!(
                "with all noise, and what seeds differ in, half of all runs are within {spread} of \
                 the median of their scheduler; other groups are nearer"
            )
        });
        others.into_iter().chain(spread).collect::<Vec<_>>().join("; ")
    }
}

/// The cells of a measure.
fn cells(group: &Group, measure: Measure) -> impl Iterator<Item = &Cell> {
    group.rows.iter().filter(move |row| row.measure == measure).flat_map(|row| &row.cells)
}

fn values(cell: &Cell) -> impl Iterator<Item = f64> {
    cell.values.iter().map(|(_, value)| *value)
}

/// How far the values of a group are from the medians of their schedulers.
fn spread(group: &Group, measure: Measure) -> Option<Spread> {
    let distances: Vec<f64> = cells(group, measure).flat_map(distances).collect();
    let part = Estimate::of(&distances)?.median;
    Some(Spread { measure, group: group.name.clone(), part })
}

/// How far each value is from their median, as a part of that.
fn distances(cell: &Cell) -> Vec<f64> {
    let median = cell.estimate.as_ref().map_or(0.0, |estimate| estimate.median);
    match median > 0.0 && cell.values.len() > 1 {
        true => values(cell).map(|value| (value / median - 1.0).abs()).collect(),
        false => Vec::new(),
    }
}
