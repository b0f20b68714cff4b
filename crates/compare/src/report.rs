// SPDX-License-Identifier: GPL-2.0-or-later
//! What the results of an experiment say: rows of estimates, who is best, and whether that holds.

use crate::difference::{Difference, Verdict};
use crate::experiment::{CostScale, Experiment};
use crate::headline::Headline;
use crate::interval::Estimate;
use crate::measure::{Better, MEASURES, Measure};
use crate::noise::Noise;
use crate::result::{Results, RunResult};
use std::collections::BTreeMap;

/// Everything that tables, pages and JSON show.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What was compared.
    pub experiment: Experiment,
    /// What was compared, and who won.
    pub headline: Headline,
    /// Runs that did not get to their end, at any cost scale. They are in no statistics.
    pub ended: Vec<Ended>,
    /// The whole machine, then each group of tasks.
    pub groups: Vec<Group>,
    /// Rankings that do not hold at other cost scales.
    pub flips: Vec<Flip>,
    /// How well measurements repeat; none of simulations.
    pub noise: Option<Noise>,
    /// What readers have to know of contestants.
    pub notes: Vec<Note>,
}

/// What readers have to know of a contestant: that it is a model, or that no kernel has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its name.
    pub contestant: String,
    /// What it is, in a few words to stand behind its name.
    pub is: String,
    /// A sentence of one line.
    pub short: String,
    /// All that there is to know.
    pub text: String,
}

/// A run that did not get to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Place in [`Experiment::contestants`].
    pub contestant: usize,
    /// The seed.
    pub seed: u64,
    /// The cost scale.
    pub scale: CostScale,
    /// Why.
    pub why: String,
}

/// A group of tasks, or the whole machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What was measured, in the order of [`MEASURES`]; measures without any value are left out.
    pub rows: Vec<Row>,
}

/// One measure of all contestants, at the first cost scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What.
    pub measure: Measure,
    /// One for each contestant.
    pub cells: Vec<Cell>,
    /// Who is better than every other, beyond noise. Nobody who did not get to the end of every
    /// run, and nobody in a measure that is neither good nor bad.
    pub best: Option<usize>,
    /// Who is worse than some other, beyond noise.
    pub behind: Vec<usize>,
}

impl Row {
    /// Whether it is 0 in every run: then tables leave it out, and say so.
    pub fn is_nothing(&self) -> bool {
        self.cells.iter().flat_map(|cell| &cell.values).all(|(_, value)| *value == 0.0)
    }
}

/// One measure of one contestant.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The seed and the value of each run that got to its end and has one.
    pub values: Vec<(u64, f64)>,
    /// Of these values; none if there are none.
    pub estimate: Option<Estimate>,
    /// How it differs from the first contestant; none for that one itself, and if the two have no
    /// seed in common.
    pub difference: Option<Difference>,
}

/// A difference beyond noise that is not one at another cost scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Flip {
    /// Whose.
    pub group: String,
    /// Of what.
    pub measure: Measure,
    /// Who is better at the first scale, by its place among the contestants.
    pub better: usize,
    /// Who is worse there.
    pub worse: usize,
    /// Where that is otherwise.
    pub scale: CostScale,
    /// Whether the ranking is the other way round there, beyond noise; else there is no difference
    /// beyond noise.
    pub reversed: bool,
}

impl Report {
    /// Takes the statistics. `notes` tell of contestants what a model of the kernel leaves out, or
    /// that an object was never verified.
    pub fn new(results: &Results, notes: Vec<Note>) -> Self {
        let experiment = results.experiment().clone();
        let ended = ended(results);
        let mut groups = Vec::new();
        let mut flips = Vec::new();
        for name in results.groups() {
            let columns: Vec<Columns> =
                (0..experiment.scales.len()).map(|scale| columns(results, scale, name)).collect();
            let measures =
                MEASURES.iter().filter(|m| columns[0].iter().any(|c| !c[m.place()].is_empty()));
            let rows = measures.map(|measure| {
                flips.extend(flips_of(&experiment, name, *measure, &columns));
                row(results, *measure, &columns[0])
            });
            groups.push(Group { name: name.to_owned(), rows: rows.collect() });
        }
        groups.retain(|group| !group.rows.is_empty());
        let (headline, noise) = (Headline::default(), Noise::of(&experiment, &groups));
        let mut report = Self { experiment, headline, ended, groups, flips, noise, notes };
        report.headline = Headline::of(&report);
        report
    }

    /// How many runs of a contestant at the first scale did not get to their end.
    pub fn ended_of(&self, contestant: usize) -> usize {
        let first = self.experiment.scales.first();
        let counts = |e: &&Ended| e.contestant == contestant && Some(&e.scale) == first;
        self.ended.iter().filter(counts).count()
    }
}

/// The values of a contestant by the place of the measure, then by seed.
type Column = Vec<BTreeMap<u64, f64>>;
/// Those of each contestant.
type Columns = Vec<Column>;

/// The values of a group at a scale, of runs that got to their end.
fn columns(results: &Results, scale: usize, group: &str) -> Columns {
    let contestants = 0..results.experiment().contestants.len();
    let column = |contestant| {
        let mut column: Column = vec![BTreeMap::new(); MEASURES.len()];
        for run in results.of(contestant, scale).filter(|run| run.ended.is_none()) {
            for value in run.values.iter().filter(|value| value.group == group) {
                if let Some(values) = column.get_mut(value.measure.place()) {
                    values.insert(run.id.seed, value.value);
                }
            }
        }
        column
    };
    contestants.map(column).collect()
}

fn ended(results: &Results) -> Vec<Ended> {
    let scale = |run: &RunResult| results.experiment().scales[run.id.scale as usize];
    let ended = results.runs().iter().filter_map(|run| {
        let (contestant, seed) = (run.id.contestant as usize, run.id.seed);
        Some(Ended { contestant, seed, scale: scale(run), why: run.ended.clone()? })
    });
    ended.collect()
}

/// How the second differs from the first.
fn difference(columns: &Columns, measure: Measure, from: usize, to: usize) -> Option<Difference> {
    let (from, to) = (&columns[from][measure.place()], &columns[to][measure.place()]);
    let pairs: Vec<_> =
        from.iter().filter_map(|(seed, value)| Some((*value, *to.get(seed)?))).collect();
    Difference::of(measure, &pairs)
}

fn row(results: &Results, measure: Measure, columns: &Columns) -> Row {
    let all = 0..columns.len();
    let cell = |contestant: usize| {
        let values: Vec<_> = columns[contestant][measure.place()]
            .iter()
            .map(|(seed, value)| (*seed, *value))
            .collect();
        let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        let estimate = Estimate::of(&numbers);
        let difference =
            (contestant > 0).then(|| difference(columns, measure, 0, contestant)).flatten();
        Cell { values, estimate, difference }
    };
    let survived = |contestant: usize| results.of(contestant, 0).all(|run| run.ended.is_none());
    let has = |contestant: &usize| !columns[*contestant][measure.place()].is_empty();
    let beats = |one: usize, other: usize| {
        let verdict = difference(columns, measure, other, one).map(|d| d.verdict);
        verdict == Some(Verdict::Better)
    };
    let others = |one: usize| all.clone().filter(move |other| *other != one).filter(has);
    let mut best = all.clone().filter(|one| survived(*one) && others(*one).next().is_some());
    let best = best.find(|one| others(*one).all(|other| beats(*one, other)));
    let behind = all.clone().filter(|one| others(*one).any(|other| beats(other, *one))).collect();
    Row { measure, cells: all.clone().map(cell).collect(), best, behind }
}

/// The rankings of a measure that other scales don't confirm.
fn flips_of(
    experiment: &Experiment,
    group: &str,
    measure: Measure,
    columns: &[Columns],
) -> Vec<Flip> {
    let mut flips = Vec::new();
    let contestants = experiment.contestants.len();
    if measure.better == Better::Neither {
        return flips;
    }
    for (one, other) in (0..contestants).flat_map(|i| (i + 1..contestants).map(move |j| (i, j))) {
        let at = |scale: usize| difference(&columns[scale], measure, one, other).map(|d| d.verdict);
        let (better, worse, reversed) = match at(0) {
            Some(Verdict::Better) => (other, one, Verdict::Worse),
            Some(Verdict::Worse) => (one, other, Verdict::Better),
            _ => continue,
        };
        for (i, scale) in experiment.scales.iter().enumerate().skip(1) {
            let there = at(i);
            if there != at(0) {
                let (group, scale) = (group.to_owned(), *scale);
                let reversed = there == Some(reversed);
                flips.push(Flip { group, measure, better, worse, scale, reversed });
            }
        }
    }
    flips
}
