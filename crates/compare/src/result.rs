// SPDX-License-Identifier: GPL-2.0-or-later
//! What came of runs.

use crate::experiment::{Experiment, ExperimentError, RunId};
use crate::measure::{Latency, Measure};
use crate::timeline::Timeline;
use rota_events::Histogram;

/// The group that is the whole machine.
pub const ALL: &str = "all";

/// One measured thing of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Whose: a group of tasks, or [`ALL`].
    pub group: String,
    /// What.
    pub measure: Measure,
    /// How much, in the measure's unit.
    pub value: f64,
}

/// How the times of one kind were distributed in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Whose: a group of tasks, or [`ALL`].
    pub group: String,
    /// Of what.
    pub latency: Latency,
    /// The times, in ns.
    pub histogram: Histogram,
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// Which run it was.
    pub id: RunId,
    /// What was measured, each once. Groups are shown in the order in which they first appear.
    pub values: Vec<Value>,
    /// Distributions, each once.
    pub distributions: Vec<Distribution>,
    /// Why the scheduler was ejected, or else did not get to the end. The values of such a run are
    /// kept, and are in no statistics.
    pub ended: Option<String>,
    /// What ran when, for a page; one seed of each contestant is enough.
    pub timeline: Option<Timeline>,
}

impl RunResult {
    /// A run of which nothing is known yet.
    pub fn new(id: RunId) -> Self {
        let (values, distributions) = (Vec::new(), Vec::new());
        Self { id, values, distributions, ended: None, timeline: None }
    }

    /// Adds a measured value.
    pub fn add(&mut self, group: &str, measure: Measure, value: f64) {
        self.values.push(Value { group: group.to_owned(), measure, value });
    }

    /// Adds a distribution, and the measures that come of it: p50, p99, p99.9 and the greatest.
    /// `unended_ns` is the longest time that had begun and not ended with the run, which is in no
    /// distribution; 0 if there is none. Without any time, nothing is added.
    pub fn add_latencies(
        &mut self,
        group: &str,
        latency: Latency,
        histogram: Histogram,
        unended_ns: u64,
    ) {
        let (quantiles, greatest) = latency.measures();
        if histogram.count() > 0 {
            // Of fewer values than that, it is the greatest one by another name.
            let enough = |part: u64| histogram.count() >= 1000 / (1000 - part);
            for (part, measure) in quantiles.into_iter().filter(|(part, _)| enough(*part)) {
                self.add(group, measure, histogram.quantile(part, 1000) as f64);
            }
        }
        let longest = histogram.greatest().max(unended_ns);
        if histogram.count() > 0 || longest > 0 {
            self.add(group, greatest, longest as f64);
        }
        if histogram.count() > 0 {
            self.distributions.push(Distribution { group: group.to_owned(), latency, histogram });
        }
    }
}

/// Results that don't make an experiment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResultsError {
    /// The experiment itself is wrong.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A run has no result.
    #[error("there is no result of {0}")]
    Missing(String),
    /// A run has two results.
    #[error("there are two results of {0}")]
    Doubled(String),
    /// A result is of no run of the experiment.
    #[error("there is a result of {0}, which is no run of the experiment")]
    Stranger(String),
    /// A value that can't be reckoned with.
    #[error("{run}: {group} has {what}")]
    Value {
        /// Which run.
        run: String,
        /// Whose.
        group: String,
        /// What is wrong.
        what: String,
    },
}

/// An experiment with the results of all its runs, in the order of [`Experiment::runs`].
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    experiment: Experiment,
    runs: Vec<RunResult>,
}

impl Results {
    /// Takes results in any order. Each run has to have one, and each value has to be a number.
    pub fn new(experiment: Experiment, mut runs: Vec<RunResult>) -> Result<Self, ResultsError> {
        experiment.check()?;
        let place = places(&experiment);
        runs.sort_by_key(|run| place(run.id));
        let mut found = runs.iter();
        for expected in experiment.runs() {
            match found.next().map(|run| run.id) {
                Some(id) if id == expected => {}
                Some(id) if place(id).is_none() => {
                    return Err(ResultsError::Stranger(name(&experiment, id)));
                }
                // What is sorted and comes again has its place before what is expected.
                Some(id) if place(id) < place(expected) => {
                    return Err(ResultsError::Doubled(name(&experiment, id)));
                }
                _ => return Err(ResultsError::Missing(name(&experiment, expected))),
            }
        }
        if let Some(more) = found.next() {
            return Err(ResultsError::Doubled(name(&experiment, more.id)));
        }
        runs.iter().try_for_each(|run| check_values(&experiment, run))?;
        Ok(Self { experiment, runs })
    }

    /// What was compared.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// What came of it, in the order of [`Experiment::runs`].
    pub fn runs(&self) -> &[RunResult] {
        &self.runs
    }

    /// The runs of one contestant at one scale, in the order of the seeds.
    pub(crate) fn of(&self, contestant: usize, scale: usize) -> impl Iterator<Item = &RunResult> {
        let Experiment { contestants, scales, .. } = &self.experiment;
        let first = scale * contestants.len() + contestant;
        self.runs.iter().skip(first).step_by(contestants.len() * scales.len())
    }

    /// The groups: [`ALL`], then the others in the order in which they first appear.
    pub(crate) fn groups(&self) -> Vec<&str> {
        let mut groups = vec![ALL];
        for run in &self.runs {
            for value in &run.values {
                if !groups.contains(&value.group.as_str()) {
                    groups.push(&value.group);
                }
            }
        }
        groups
    }
}

/// Tells the place of a run in [`Experiment::runs`], strangers having none, which comes first.
fn places(experiment: &Experiment) -> impl Fn(RunId) -> Option<(usize, u32, u32)> + use<> {
    let seeds: std::collections::BTreeMap<u64, usize> =
        experiment.seeds.iter().enumerate().map(|(i, seed)| (*seed, i)).collect();
    let (scales, contestants) = (experiment.scales.len(), experiment.contestants.len());
    move |id| {
        let known = (id.scale as usize) < scales && (id.contestant as usize) < contestants;
        let seed = seeds.get(&id.seed).filter(|_| known)?;
        Some((*seed, id.scale, id.contestant))
    }
}

/// A run in words.
pub(crate) fn name(experiment: &Experiment, id: RunId) -> String {
    let contestant = experiment.contestants.get(id.contestant as usize);
    let contestant = contestant.map_or_else(|| format!("no. {}", id.contestant), Clone::clone);
    let scale = experiment.scales.get(id.scale as usize);
    let scale = scale.map_or_else(|| format!("no. {}", id.scale), ToString::to_string);
    format!("{contestant} with seed {} at cost scale {scale}", id.seed)
}

/// Values are finite, and none stands twice.
fn check_values(experiment: &Experiment, run: &RunResult) -> Result<(), ResultsError> {
    let wrong = |group: &str, what| {
        let (run, group) = (name(experiment, run.id), group.to_owned());
        Err(ResultsError::Value { run, group, what })
    };
    let mut seen = std::collections::BTreeSet::new();
    for Value { group, measure, value } in &run.values {
        if !value.is_finite() {
            return wrong(group, format!("{value} for {}", measure.title));
        }
        if !seen.insert((group, measure.name)) {
            return wrong(group, format!("two values of {}", measure.title));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for Distribution { group, latency, .. } in &run.distributions {
        if !seen.insert((group, *latency)) {
            return wrong(group, format!("two distributions of {}", latency.name()));
        }
    }
    Ok(())
}
