// SPDX-License-Identifier: GPL-2.0-or-later
//! What is compared: contestants, seeds and cost scales, on one machine under one workload.

use rota_events::fnv1a;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An experiment that can't be made, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// A list that must have something in it has nothing.
    #[error("nothing to compare: there are no {0}")]
    Nothing(&'static str),
    /// Something stands twice in a list.
    #[error("{what} {which} stands twice; a run would be counted twice")]
    Twice {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        which: String,
    },
    /// Too much of something.
    #[error("{0} are too many; the most are {1}")]
    TooMany(String, usize),
    /// Not the form of a cost scale.
    #[error("`{0}` is no cost scale; write a number above 0, or a fraction such as 1/2")]
    Scale(String),
    /// Not the form of a shard.
    #[error("`{0}` is no shard; write which of how many, such as 1/4, counted from 1")]
    Shard(String),
}

/// How many times as much as usual everything costs that a machine makes a scheduler pay for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CostScale {
    /// So many times…
    pub times: u32,
    /// …over so many.
    pub over: u32,
}

impl CostScale {
    /// What the machine says.
    pub const ONE: Self = Self { times: 1, over: 1 };
    /// Half of it.
    pub const HALF: Self = Self { times: 1, over: 2 };
    /// Twice as much.
    pub const TWICE: Self = Self { times: 2, over: 1 };
}

impl fmt::Display for CostScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.over {
            1 => write!(f, "{}", self.times),
            over => write!(f, "{}/{over}", self.times),
        }
    }
}

impl std::str::FromStr for CostScale {
    type Err = ExperimentError;

    fn from_str(text: &str) -> Result<Self, ExperimentError> {
        let (times, over) = text.split_once('/').unwrap_or((text, "1"));
        match (times.parse(), over.parse()) {
            (Ok(times), Ok(over)) if times > 0 && over > 0 => {
                // One form for each, so that none stands twice.
                let (mut a, mut b): (u32, u32) = (times, over);
                while b > 0 {
                    (a, b) = (b, a % b);
                }
                Ok(Self { times: times / a, over: over / a })
            }
            _ => Err(ExperimentError::Scale(text.to_owned())),
        }
    }
}

impl TryFrom<String> for CostScale {
    type Error = ExperimentError;

    fn try_from(text: String) -> Result<Self, ExperimentError> {
        text.parse()
    }
}

impl From<CostScale> for String {
    fn from(scale: CostScale) -> Self {
        scale.to_string()
    }
}

/// What is compared. Two experiments are the same if all of it is equal; then, and only then,
/// their runs may stand in one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The schedulers, as they were given, settings included. Differences are told relative to
    /// the first.
    pub contestants: Vec<String>,
    /// Runs with the same seed have the same workload and the same noise, whoever schedules.
    pub seeds: Vec<u64>,
    /// The first is the one that is reported; the others show whether its rankings hold.
    pub scales: Vec<CostScale>,
    /// As it was given.
    pub machine: String,
    /// Its CPUs and what they share: `16 CPUs, 2 last-level caches`.
    pub machine_in_words: String,
    /// Its online CPUs.
    pub cpus: u32,
    /// Whose kernel's types and behaviour.
    pub kernel: String,
    /// As they were given; all of them run at once.
    pub workload: Vec<String>,
    /// The groups of tasks that all of them are: `web (64 tasks) + batch (16 tasks)`.
    pub workload_in_words: String,
    /// How long each run takes, in ns of the machine's time.
    pub run_ns: u64,
    /// How real schedulers were measured, if it is no simulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// What else decides results: hashes of files by their role, such as
    /// `object simple → 9f86d081…`, versions, options.
    pub inputs: BTreeMap<String, String>,
}

/// How schedulers are measured on a real machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// How long the work runs before each measurement, in ns.
    pub warm_up_ns: u64,
}

/// One run of an experiment: who, with which seed, at what cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId {
    /// The seed itself.
    pub seed: u64,
    /// Place in [`Experiment::scales`].
    pub scale: u32,
    /// Place in [`Experiment::contestants`].
    pub contestant: u32,
}

/// Which part of an experiment's runs, of how many. Written `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// All runs.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// The part with this number, counted from 1, of so many: at most a million.
    pub fn new(index: u32, of: u32) -> Result<Self, ExperimentError> {
        match index >= 1 && index <= of && of as usize <= RUNS_MAX {
            true => Ok(Self { index, of }),
            false => Err(ExperimentError::Shard(format!("{index}/{of}"))),
        }
    }

    /// Its number, counted from 1.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> u32 {
        self.of
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl std::str::FromStr for Shard {
    type Err = ExperimentError;

    fn from_str(text: &str) -> Result<Self, ExperimentError> {
        let wrong = || ExperimentError::Shard(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let (index, of) = (index.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
        Self::new(index, of).map_err(|_| wrong())
    }
}

/// The most runs of an experiment.
const RUNS_MAX: usize = 1_000_000;

impl Experiment {
    /// Says what is wrong with it, if anything. Everything that takes an experiment from outside
    /// calls this.
    pub fn check(&self) -> Result<(), ExperimentError> {
        check_list("contestants", "the contestant", &self.contestants)?;
        check_list("seeds", "the seed", &self.seeds)?;
        check_list("cost scales", "the cost scale", &self.scales)?;
        let runs = self.seeds.len().saturating_mul(self.scales.len());
        let runs = runs.saturating_mul(self.contestants.len());
        if runs > RUNS_MAX {
            return Err(ExperimentError::TooMany(format!("{runs} runs"), RUNS_MAX));
        }
        Ok(())
    }

    /// All runs, in the order in which results are kept: by seed, scale and contestant.
    pub fn runs(&self) -> Vec<RunId> {
        let mut runs = Vec::new();
        for seed in &self.seeds {
            for scale in 0..self.scales.len() as u32 {
                let of = |contestant| RunId { seed: *seed, scale, contestant };
                runs.extend((0..self.contestants.len() as u32).map(of));
            }
        }
        runs
    }

    /// Who runs first, second… in a round in which each contestant runs once, by their places. From
    /// round to round another one begins, and every second round goes backwards: in twice as many
    /// rounds as there are contestants, each runs twice at each place, and as often after one
    /// neighbour as after the other.
    pub fn turns(&self, round: usize) -> Vec<u32> {
        let count = self.contestants.len();
        let mut turns: Vec<u32> = (0..count).map(|at| ((round / 2 + at) % count) as u32).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        turns
    }

    /// The runs of one part: neighbours, so that each part has about as many of each contestant.
    /// All parts together have each run once. A part of more parts than runs may be empty.
    pub fn shard(&self, shard: Shard) -> Vec<RunId> {
        let runs = self.runs();
        let place = |part: u32| {
            let place = runs.len() as u128 * u128::from(part) / u128::from(shard.of);
            place as usize
        };
        runs[place(shard.index - 1)..place(shard.index)].to_vec()
    }

    /// Its one text: JSON with the fields in a fixed order. Equal experiments have equal texts.
    pub fn canonical(&self) -> String {
        // Texts, numbers and lists of them always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// 16 digits that name it: FNV-1a of its text. For people and for names of files; whether two
    /// experiments are the same is decided by the whole text.
    pub fn hash(&self) -> String {
        format!("{:016x}", fnv1a(self.canonical().as_bytes()))
    }
}

/// A list must have something in it, and nothing twice.
fn check_list<T: Ord + ToString>(
    what: &'static str,
    one: &'static str,
    list: &[T],
) -> Result<(), ExperimentError> {
    if list.is_empty() {
        return Err(ExperimentError::Nothing(what));
    }
    let mut seen = BTreeSet::new();
    match list.iter().find(|item| !seen.insert(*item)) {
        Some(item) => Err(ExperimentError::Twice { what: one, which: item.to_string() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn experiment(contestants: usize, seeds: u64) -> Experiment {
        Experiment {
            contestants: (0..contestants).map(|i| format!("c{i}")).collect(),
            seeds: (1..=seeds).collect(),
            scales: vec![CostScale::ONE, CostScale::HALF, CostScale::TWICE],
            machine: "4c".to_owned(),
            machine_in_words: "4 CPUs".to_owned(),
            cpus: 4,
            kernel: "7.3".to_owned(),
            workload: vec!["cpu".to_owned()],
            workload_in_words: "cpu (4 tasks)".to_owned(),
            run_ns: 1_000_000_000,
            live: None,
            inputs: BTreeMap::from([("object c0".to_owned(), "00ff".to_owned())]),
        }
    }

    #[test]
    fn its_text_comes_back_and_tells_all_apart() {
        let one = experiment(2, 3);
        let again: Experiment = serde_json::from_str(&one.canonical()).unwrap();
        assert_eq!((&again, again.hash()), (&one, one.hash()));
        let mut other = one.clone();
        other.inputs.insert("object c0".to_owned(), "00fe".to_owned());
        assert_ne!((one.canonical(), one.hash()), (other.canonical(), other.hash()));
        assert!(serde_json::from_str::<Experiment>("{\"contestants\":[]}").is_err());
    }

    #[test]
    fn mistakes_are_told() {
        let said = |experiment: &Experiment| experiment.check().unwrap_err().to_string();
        assert_eq!(said(&experiment(0, 3)), "nothing to compare: there are no contestants");
        assert_eq!(said(&experiment(1, 0)), "nothing to compare: there are no seeds");
        let mut twice = experiment(2, 2);
        twice.seeds = vec![7, 7];
        assert_eq!(said(&twice), "the seed 7 stands twice; a run would be counted twice");
        assert!(said(&experiment(1, 400_000)).starts_with("1200000 runs are too many"));
        for text in ["0/4", "5/4", "1", "a/4", "1/", "-1/4"] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no shard")), "{error}");
        }
        for text in ["", "1/0", "1/2/3", "0.5", "-1"] {
            assert!(text.parse::<CostScale>().is_err(), "{text}");
        }
        assert_eq!("1/2".parse(), Ok(CostScale::HALF));
        assert_eq!(CostScale::TWICE.to_string().parse(), Ok(CostScale::TWICE));
    }

    #[test]
    fn nobody_has_a_better_place_than_others() {
        for contestants in 1..6_usize {
            let experiment = experiment(contestants, 1);
            let mut times = vec![vec![0; contestants]; contestants];
            let mut after = vec![vec![0_i32; contestants]; contestants];
            for round in 0..2 * contestants {
                let turns = experiment.turns(round);
                for (place, who) in turns.iter().enumerate() {
                    times[*who as usize][place] += 1;
                }
                for pair in turns.windows(2) {
                    after[pair[0] as usize][pair[1] as usize] += 1;
                }
            }
            assert!(times.iter().flatten().all(|times| *times == 2), "{times:?}");
            for (one, row) in after.iter().enumerate() {
                row.iter().enumerate().for_each(|(other, times)| {
                    assert_eq!(*times, after[other][one], "{one} before {other}");
                });
            }
        }
    }

    proptest! {
        #[test]
        fn shards_have_each_run_once(contestants in 1..5_usize, seeds in 1..9_u64, of in 1..40_u32) {
            let experiment = experiment(contestants, seeds);
            let parts: Vec<_> =
                (1..=of).map(|i| experiment.shard(Shard::new(i, of).unwrap())).collect();
            prop_assert_eq!(parts.concat(), experiment.runs());
            let (least, most) = (parts.iter().map(Vec::len).min(), parts.iter().map(Vec::len).max());
            prop_assert!(most.unwrap() - least.unwrap() <= 1);
        }
    }
}
