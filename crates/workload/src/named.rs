// SPDX-License-Identifier: GPL-2.0-or-later
//! Workloads by name, with parameters: `periodic:tasks=32,period=10ms,run=2ms`, and several at
//! once with `+` between them.
//!
//! Each has a table of its parameters, which says what they mean, what they are if nobody says,
//! and what values they take. The table is the only place that knows: it drives reading, messages
//! and help.

use crate::capacity::Capacity;
use crate::program::Workload;
use crate::span::{Span, TIME_MAX_NS};
use crate::{benchmarks, desktop, plain, service};
use rota_events::{format_ns, hint, parse_ns};
use rota_topology::{CAPACITY_FULL, CpuMask};
use std::collections::BTreeMap;

/// The most tasks that a machine has, and the largest number that a parameter takes.
pub const TASKS_MAX: u64 = 100_000;
/// The most that happens in a second.
const RATE_MAX: u64 = 100_000_000;
/// The longest name: tasks get a number behind it, and have 15 bytes in all.
const NAME_MAX: usize = 10;

/// Why a text is no workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// There is nothing where a workload should be.
    #[error("a workload is missing; write NAME or NAME:KEY=VALUE,..., several with + between them")]
    Missing,
    /// No workload has this name.
    #[error("no workload '{name}'{hint}")]
    Unknown {
        /// The name.
        name: String,
        /// What was meant, or what there is.
        hint: String,
    },
    /// The workload has no such parameter.
    #[error("workload {workload} has no parameter '{key}'{hint}")]
    Key {
        /// The workload.
        workload: &'static str,
        /// The parameter.
        key: String,
        /// What was meant, or what there is.
        hint: String,
    },
    /// Something that is no parameter with its value.
    #[error("workload {workload}: '{text}' is not KEY=VALUE{hint}")]
    Pair {
        /// The workload.
        workload: &'static str,
        /// What stands there.
        text: String,
        /// What there is.
        hint: String,
    },
    /// A parameter is given twice.
    #[error("workload {workload}: {key} is given twice")]
    Twice {
        /// The workload.
        workload: &'static str,
        /// The parameter.
        key: String,
    },
    /// Each number may be, but not all of them together.
    #[error("workload {workload}: {tasks} tasks; there can be {TASKS_MAX}")]
    Tasks {
        /// The workload.
        workload: &'static str,
        /// How many there would be.
        tasks: u64,
    },
    /// A value that the parameter does not take.
    #[error("workload {workload}: {key}: {problem}")]
    Value {
        /// The workload.
        workload: &'static str,
        /// The parameter.
        key: String,
        /// What is wrong, and what is expected.
        problem: String,
    },
}

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// A number from 1 on; `cpus` is one for each CPU of the machine, `4*cpus` four, and `cpus/4`
    /// one for four of them.
    Count,
    /// Such a number, or 0.
    CountOrNone,
    /// How often something happens in a second, which may depend on the CPUs as well.
    Rate,
    /// The same, or 0.
    RateOrNone,
    /// A duration, from 1 ns to an hour.
    Time,
    /// A duration that may be nothing: `0s`.
    TimeOrNone,
    /// A duration, or a [distribution](crate::DISTRIBUTIONS) of durations.
    Span,
    /// A number of hundredths, 0 to 100.
    Percent,
    /// A nice value, -20 to 19.
    Nice,
    /// `cpu.weight` of a cgroup, 1 to 10000, or `none` for no cgroup.
    Weight,
    /// A name of letters, digits, dashes and underscores; empty for that of the workload.
    Name,
    /// CPUs: `0-3`, `5`, or `0-3/8-11` with slashes between; `all` for no restriction.
    Cpus,
}

/// A parameter of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: ParameterKind,
    /// What it is if nobody says.
    pub default: &'static str,
    /// What it means.
    pub help: &'static str,
}

impl Parameter {
    pub(crate) const fn new(
        name: &'static str,
        kind: ParameterKind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind, default, help }
    }
}

/// A workload that has a name.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// Another name for it.
    pub alias: Option<&'static str>,
    /// What it does, in a line.
    pub about: &'static str,
    /// Its own parameters.
    pub parameters: &'static [Parameter],
    /// How many tasks there will be at the start.
    pub(crate) tasks: fn(&Values<'_>) -> u64,
    pub(crate) make: fn(&Values<'_>) -> Workload,
}

/// Parameters that every workload has.
pub const COMMON: [Parameter; 4] = [
    Parameter::new("name", ParameterKind::Name, "", "name of its group, and of its main tasks"),
    Parameter::new("nice", ParameterKind::Nice, "0", "nice value of its tasks"),
    Parameter::new("weight", ParameterKind::Weight, "none", "weight of a cgroup that they are in"),
    Parameter::new("cpus", ParameterKind::Cpus, "all", "the CPUs that its tasks may run on"),
];

/// Every workload that has a name.
pub const WORKLOADS: &[Named] = &[
    plain::PERIODIC,
    plain::CPU,
    plain::PINGPONG,
    plain::FORKSTORM,
    plain::BURST,
    plain::SKEWED,
    benchmarks::MESSAGING,
    benchmarks::PIPE,
    benchmarks::SCHBENCH,
    service::WEB,
    service::BATCH,
    service::MIXED,
    desktop::COMPILE,
    desktop::GAME,
];

impl Named {
    fn find(name: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|w| w.name == name || w.alias == Some(name))
    }

    /// Its parameters, those that all have among them.
    pub fn all_parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().chain(&COMMON)
    }

    /// The text that gives every parameter its default.
    pub fn defaults(&self) -> String {
        let pair = |p: &Parameter| format!("{}={}", p.name, p.default);
        format!("{}:{}", self.name, self.parameters.iter().map(pair).collect::<Vec<_>>().join(","))
    }
}

/// The values of all parameters of one workload.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    workload: &'static Named,
    given: BTreeMap<&'a str, &'a str>,
    machine: &'a Capacity,
}

impl Workload {
    /// Reads a workload, for a machine with so many CPUs that are all alike.
    ///
    /// # Errors
    /// [`WorkloadError`] names the workload and the parameter, and what there is instead.
    pub fn parse(text: &str, cpus: u32) -> Result<Self, WorkloadError> {
        Self::parse_for(text, &Capacity::alike(cpus))
    }

    /// The same for a machine whose CPUs can do so much.
    ///
    /// # Errors
    /// Those of [`Workload::parse`].
    pub fn parse_for(text: &str, machine: &Capacity) -> Result<Self, WorkloadError> {
        let mut all = Self::default();
        for part in text.split('+') {
            let values = Values::parse(part.trim(), machine)?;
            let tasks = (values.workload.tasks)(&values);
            if tasks > TASKS_MAX {
                return Err(WorkloadError::Tasks { workload: values.workload.name, tasks });
            }
            let made = (values.workload.make)(&values);
            all = all.joined(match values.weight() {
                Some(weight) => made.within(weight),
                None => made,
            });
        }
        Ok(all)
    }
}

impl<'a> Values<'a> {
    fn parse(text: &'a str, machine: &'a Capacity) -> Result<Self, WorkloadError> {
        let (name, pairs) = text.split_once(':').unwrap_or((text, ""));
        if name.is_empty() {
            return Err(WorkloadError::Missing);
        }
        let workload = Named::find(name).ok_or_else(|| {
            let names: Vec<_> = WORKLOADS.iter().map(|w| w.name).collect();
            WorkloadError::Unknown { name: name.to_owned(), hint: hint(name, &names) }
        })?;
        let names: Vec<_> = workload.all_parameters().map(|p| p.name).collect();
        let workload_name = workload.name;
        let mut given = BTreeMap::new();
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| WorkloadError::Pair {
                workload: workload_name,
                text: pair.to_owned(),
                hint: hint(pair, &names),
            })?;
            let (key, value) = (key.trim(), value.trim());
            let parameter = workload.all_parameters().find(|p| p.name == key);
            let parameter = parameter.ok_or_else(|| WorkloadError::Key {
                workload: workload_name,
                key: key.to_owned(),
                hint: hint(key, &names),
            })?;
            check(parameter.kind, value, machine.cpus()).map_err(|problem| {
                WorkloadError::Value { workload: workload_name, key: key.to_owned(), problem }
            })?;
            if given.insert(key, value).is_some() {
                return Err(WorkloadError::Twice { workload: workload_name, key: key.to_owned() });
            }
        }
        Ok(Self { workload, given, machine })
    }

    /// What is given for a parameter, or its default.
    pub(crate) fn text(&self, name: &str) -> &str {
        let default = self.workload.all_parameters().find(|p| p.name == name);
        self.given.get(name).copied().unwrap_or_else(|| default.map_or("", |p| p.default))
    }

    /// The name of the workload, or the one that it is given.
    pub(crate) fn name(&self) -> &str {
        match self.text("name") {
            "" => self.workload.name,
            name => name,
        }
    }

    /// A number of tasks or the like. All values have been checked.
    pub(crate) fn count(&self, name: &str) -> u32 {
        count(self.text(name), self.machine(), 0, TASKS_MAX).unwrap_or(1) as u32
    }

    /// Several of these, multiplied.
    pub(crate) fn product(&self, names: &[&str]) -> u64 {
        names.iter().fold(1, |all, name| u64::from(self.count(name)).saturating_mul(all))
    }

    /// How often something happens in a second.
    pub(crate) fn rate(&self, name: &str) -> u64 {
        count(self.text(name), self.machine(), 0, RATE_MAX).unwrap_or(1)
    }

    /// A time or a distribution of times.
    pub(crate) fn span(&self, name: &str) -> Span {
        Span::parse(self.text(name)).unwrap_or(Span::Fixed(0))
    }

    /// How many CPUs the machine has.
    pub(crate) fn machine(&self) -> u32 {
        self.machine.cpus()
    }

    /// How often a second something that takes so long can be done, with so many hundredths of what
    /// its CPUs can do.
    pub(crate) fn rate_of_load(&self, percent: u64, each_ns: u64) -> u64 {
        let capacity = u128::from(self.machine.of(self.cpus().as_ref()));
        let load = u128::from(percent) * capacity * 1_000_000_000;
        let one = 100 * u128::from(CAPACITY_FULL) * u128::from(each_ns.max(1));
        (load / one).clamp(1, RATE_MAX.into()) as u64
    }

    /// The workload of a text, for one that is made of others; nothing if the text is none.
    pub(crate) fn part(&self, text: &str) -> Workload {
        Workload::parse_for(text, self.machine).unwrap_or_default()
    }

    /// A time in ns.
    pub(crate) fn time(&self, name: &str) -> u64 {
        parse_ns(self.text(name)).unwrap_or(0)
    }

    /// A number of hundredths.
    pub(crate) fn percent(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// The nice value.
    pub(crate) fn nice(&self) -> i32 {
        self.text("nice").parse().unwrap_or(0)
    }

    /// The weight of the cgroup, if there is one.
    fn weight(&self) -> Option<u64> {
        self.text("weight").parse().ok()
    }

    /// The CPUs, if they are restricted.
    pub(crate) fn cpus(&self) -> Option<CpuMask> {
        cpus(self.text("cpus"), self.machine()).unwrap_or_default()
    }
}

fn check(kind: ParameterKind, text: &str, machine: u32) -> Result<(), String> {
    let number = |least: i64, most: i64| match text.parse::<i64>() {
        Ok(n) if (least..=most).contains(&n) => Ok(()),
        _ => Err(format!("'{text}' is no number from {least} to {most}")),
    };
    match kind {
        ParameterKind::Count => count(text, machine, 1, TASKS_MAX).map(drop),
        ParameterKind::CountOrNone => count(text, machine, 0, TASKS_MAX).map(drop),
        ParameterKind::Rate => count(text, machine, 1, RATE_MAX).map(drop),
        ParameterKind::RateOrNone => count(text, machine, 0, RATE_MAX).map(drop),
        ParameterKind::Span => Span::parse(text).map(drop),
        ParameterKind::Percent => number(0, 100),
        ParameterKind::Nice => number(-20, 19),
        ParameterKind::Weight if text == "none" => Ok(()),
        ParameterKind::Weight => number(1, 10_000),
        ParameterKind::Cpus => cpus(text, machine).map(drop),
        ParameterKind::Name => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            match (0..=NAME_MAX).contains(&text.len()) && text.chars().all(plain) {
                true => Ok(()),
                false => Err(format!(
                    "'{text}' is no name of at most {NAME_MAX} letters, digits, - and _"
                )),
            }
        }
        ParameterKind::Time | ParameterKind::TimeOrNone => {
            let least = u64::from(kind == ParameterKind::Time);
            match parse_ns(text)? {
                ns if (least..=TIME_MAX_NS).contains(&ns) => Ok(()),
                _ => Err(format!("'{text}' is not from {} to 1h", format_ns(least))),
            }
        }
    }
}

/// A number, which may depend on the number of CPUs.
fn count(text: &str, cpus: u32, least: u64, most: u64) -> Result<u64, String> {
    let wrong = || {
        format!(
            "'{text}' is no number from {least} to {most}, nor cpus, a multiple like 4*cpus or a \
             part like cpus/4"
        )
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let all = u64::from(cpus);
    let found = if let Some(parts) = text.strip_prefix("cpus/") {
        all.checked_div(number(parts)?).ok_or_else(wrong)?.max(1)
    } else {
        match text.strip_suffix("cpus") {
            Some("") => all,
            Some(times) => number(times.trim_end_matches('*'))?.saturating_mul(all),
            None => number(text)?,
        }
    };
    if (least..=most).contains(&found) { Ok(found) } else { Err(wrong()) }
}

fn cpus(text: &str, machine: u32) -> Result<Option<CpuMask>, String> {
    if text == "all" {
        return Ok(None);
    }
    let found = CpuMask::from_list(&text.replace('/', ","));
    let found = found.map_err(|_| format!("'{text}' is no list of CPUs like 0-3 or 0-3/8-11"))?;
    match found.last() {
        None => Err("no CPU at all".to_owned()),
        Some(last) if last.0 >= machine => {
            Err(format!("there is no CPU {}; the machine has {machine}", last.0))
        }
        Some(_) => Ok(Some(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Workload::parse(text, 4).unwrap_err().to_string()
    }

    #[test]
    fn groups_are_told_with_their_tasks() {
        for (text, expected) in [
            ("cpu:tasks=1,name=hog", "hog (1 task)"),
            ("mixed", "web (64 tasks) + batch (16 tasks) + periodic (8 tasks)"),
            ("forkstorm", "forkstorm (1 task at the start)"),
        ] {
            assert_eq!(Workload::parse(text, 16).unwrap().in_words(), expected);
        }
        assert_eq!(Workload::default().in_words(), "");
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        assert_eq!(message("peroidic"), "no workload 'peroidic'; did you mean periodic?");
        assert!(message("x").starts_with("no workload 'x'; there are: periodic, cpu, "));
        for text in ["", "web+", "+web", "web++cpu"] {
            assert!(message(text).starts_with("a workload is missing; write NAME"), "{text}");
        }
        assert_eq!(
            message("periodic:task=3"),
            "workload periodic has no parameter 'task'; did you mean tasks?"
        );
        assert_eq!(
            message("cpu:colour=red"),
            "workload cpu has no parameter 'colour'; there are: tasks, run, name, nice, weight, \
             cpus"
        );
        assert_eq!(
            message("cpu:tasks"),
            "workload cpu: 'tasks' is not KEY=VALUE; did you mean tasks?"
        );
        assert_eq!(message("cpu:tasks=1,tasks=2"), "workload cpu: tasks is given twice");
        assert_eq!(
            message("cpu:tasks=0"),
            "workload cpu: tasks: '0' is no number from 1 to 100000, nor cpus, a multiple like \
             4*cpus or a part like cpus/4"
        );
        assert!(message("cpu:tasks=1000000").contains("no number from 1 to 100000"));
        assert_eq!(
            message("periodic:period=5"),
            "workload periodic: period: '5' has no unit; expected a duration such as 20ms, 1.5s \
             or 250us"
        );
        assert_eq!(message("cpu:run=2h"), "workload cpu: run: '2h' is not from 1ns to 1h");
        assert_eq!(message("cpu:nice=20"), "workload cpu: nice: '20' is no number from -20 to 19");
        assert_eq!(
            message("cpu:weight=0"),
            "workload cpu: weight: '0' is no number from 1 to 10000"
        );
        assert_eq!(
            message("cpu:cpus=0-4"),
            "workload cpu: cpus: there is no CPU 4; the machine has 4"
        );
        assert_eq!(
            message("messaging:groups=100000,fds=100000"),
            "workload messaging: 20000000000 tasks; there can be 100000"
        );
    }

    #[test]
    fn counts_may_depend_on_the_machine() {
        let tasks = |text: &str| Workload::parse(text, 4).unwrap().starts.len();
        assert_eq!(tasks("cpu"), 4);
        assert_eq!(tasks("hog:tasks=3*cpus"), 12);
        assert_eq!((tasks("cpu:tasks=cpus/2"), tasks("cpu:tasks=cpus/9")), (2, 1));
        assert!(message("cpu:tasks=cpus/0").contains("no number from 1"));
        assert_eq!(tasks("cpu:tasks=3,nice=-5,cpus=0-1/3 + periodic:tasks=2"), 5);
        let all = Workload::parse("cpu:cpus=0-1/3+cpu", 4).unwrap();
        assert_eq!(
            all.groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(),
            ["cpu", "cpu#2"]
        );
        let named = Workload::parse("cpu:name=db", 4).unwrap();
        let names = (named.groups[0].name.as_str(), named.templates[0].name.as_str());
        assert_eq!(names, ("db", "db"));
        assert!(message("cpu:name=a/b").contains("no name of at most 10"));
        assert_eq!(all.templates[0].cpus, Some(CpuMask::from_list("0-1,3").unwrap()));
    }

    #[test]
    fn a_weight_makes_a_cgroup() {
        let all = Workload::parse("cpu:weight=300+mixed:weight=50+cpu:weight=none", 4).unwrap();
        assert_eq!(all.cgroups.iter().map(|c| c.weight).collect::<Vec<_>>(), [300, 50]);
        let of: Vec<_> = all.templates.iter().map(|template| template.cgroup).collect();
        assert_eq!(of, [Some(0), Some(1), Some(1), Some(1), None]);
    }

    #[test]
    fn every_default_is_a_value() {
        for workload in WORKLOADS {
            let found = Workload::parse(&workload.defaults(), 4).unwrap();
            assert_eq!(found, Workload::parse(workload.name, 4).unwrap());
            assert!(!found.starts.is_empty() && !found.groups.is_empty());
            let machine = Capacity::alike(4);
            let values = Values::parse(workload.name, &machine).unwrap();
            assert_eq!((workload.tasks)(&values), found.starts.len() as u64, "{}", workload.name);
        }
    }

    #[test]
    fn a_load_is_a_share_of_what_the_cpus_can_do() {
        let every = |text: &str, machine: &Capacity| {
            let found = Workload::parse_for(text, machine).unwrap();
            (found.sources[0].every, found.sources.len())
        };
        let exponential = Span::Exponential;
        // 60 % of 4 CPUs with 1 ms each are 2400 a second, 600 for each.
        let alike = Capacity::alike(4);
        assert_eq!(every("web", &alike), (exponential(1_666_666), 4));
        assert_eq!(every("web:load=30", &alike), (exponential(3_333_333), 4));
        assert_eq!(every("web:service=2ms", &alike), (exponential(3_333_333), 4));
        assert_eq!(every("web:rate=4000", &alike), (exponential(1_000_000), 4));
        assert_eq!(every("web:io=1ms,parse=1ms", &alike), (exponential(3_333_333), 4));
        // Two of the same, a thread of which each has half a core, and a weak one.
        let other = Capacity::new(vec![512, 512, 256, 0]);
        assert_eq!(every("web:load=50,cpus=0-1", &other), (exponential(4_000_000), 2));
        assert_eq!(every("web:load=100,cpus=2", &other), (exponential(4_000_000), 1));
    }
}
