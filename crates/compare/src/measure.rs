// SPDX-License-Identifier: GPL-2.0-or-later
//! What is measured of a run. A measure more is a line more in [`MEASURES`].

/// What a value counts, which decides how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Something each second of the machine's time.
    PerSecond,
    /// A time, in ns.
    Ns,
    /// A number of CPUs.
    Cpus,
    /// From 0 to 100.
    Percent,
    /// Energy, in joules.
    Joules,
}

/// Which values of a measure are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// It explains others, and is neither good nor bad.
    Neither,
}

/// Something that is measured of each run.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Its name in JSON and in files: snake_case, with the unit at its end.
    pub name: &'static str,
    /// The name that people see, at most 13 characters.
    pub title: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Which values are good.
    pub better: Better,
    /// What it is, in one line.
    pub meaning: &'static str,
}

impl PartialEq for Measure {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Measure {}

/// Makes a constant of each line, and the list of all.
macro_rules! measures {
    ($($constant:ident = $name:literal, $title:literal, $unit:ident, $better:ident, $meaning:literal;)*) => {
        $(
            #[doc = concat!($meaning, ".")]
            pub const $constant: Measure = Measure {
                name: $name, title: $title, unit: Unit::$unit, better: Better::$better, meaning: $meaning,
            };
        )*
        /// All measures, in the order in which they are shown.
        pub const MEASURES: &[Measure] = &[$($constant),*];
    };
}

#[rustfmt::skip]
measures! {
    WORK = "work_per_s", "work/s", PerSecond, Higher, "pieces of work done each second; what a piece is, the workload says";
    UTILISATION = "utilisation_percent", "utilisation", Percent, Neither, "time that CPUs ran tasks, as a part of all";
    CPUS = "cpus", "CPUs used", Cpus, Neither, "CPU time that tasks had, as a number of CPUs";
    LATENCY_P50 = "latency_p50_ns", "latency p50", Ns, Lower, "scheduling latency, from becoming runnable to running: half of all are at most this";
    LATENCY_P99 = "latency_p99_ns", "latency p99", Ns, Lower, "99 % of all scheduling latencies are at most this";
    LATENCY_P999 = "latency_p999_ns", "latency p99.9", Ns, Lower, "99.9 % of all scheduling latencies are at most this";
    LATENCY_MAX = "latency_max_ns", "latency max", Ns, Lower, "the longest scheduling latency, or wait that has not ended";
    REQUEST_P50 = "request_p50_ns", "request p50", Ns, Lower, "from a request's arrival to its answer: half of all take at most this";
    REQUEST_P99 = "request_p99_ns", "request p99", Ns, Lower, "99 % of all requests take at most this; who has no answer yet counts with the time until now";
    REQUEST_P999 = "request_p999_ns", "request p99.9", Ns, Lower, "99.9 % of all requests take at most this";
    REQUEST_MAX = "request_max_ns", "request max", Ns, Lower, "the longest request";
    LATE = "late_per_s", "late/s", PerSecond, Lower, "requests that took longer than they may, or have no answer after that time";
    UNFAIRNESS = "unfairness_percent", "unfairness", Percent, Lower, "CPU time that tasks fell short of their ideal weighted shares, as a part of what all tasks had";
    IDLE_WAITING = "idle_while_waiting_percent", "wasted idle", Percent, Lower, "time that CPUs were idle while a task waited that could have run there, as a part of all";
    OTHERS = "others_cpus", "others' CPUs", Cpus, Neither, "CPU time that others than the work took meanwhile, as a number of CPUs: other programs, the kernel, who runs a virtual machine; measured on real machines only";
    SWITCHES = "switches_per_s", "switches/s", PerSecond, Neither, "switches to a task";
    PREEMPTIONS = "preemptions_per_s", "preemptions/s", PerSecond, Neither, "switches away from a task that still wanted to run, and had not yielded";
    MIGRATIONS_CORE = "migrations_core_per_s", "migr/s core", PerSecond, Neither, "moves of a task to another thread of its core";
    MIGRATIONS_LLC = "migrations_llc_per_s", "migr/s LLC", PerSecond, Neither, "moves to another core under the same last-level cache";
    MIGRATIONS_NODE = "migrations_node_per_s", "migr/s node", PerSecond, Neither, "moves to another last-level cache of the same node";
    MIGRATIONS_REMOTE = "migrations_remote_per_s", "migr/s remote", PerSecond, Neither, "moves to another node";
    MEASURED_JOULES = "measured_joules", "joules", Joules, Neither, "energy that the processor's packages used, with everything that ran, where the machine tells it; measured on real machines only";
    MEASURED_WORK_JOULES = "measured_per_work_joules", "J/work", Joules, Lower, "the same for each piece of work done";
    JOULES = "modelled_joules", "joules, model", Joules, Neither, "energy that the machine's energy model says was used; modelled, not measured";
    WORK_JOULES = "modelled_per_work_joules", "model J/work", Joules, Lower, "the same for each piece of work done; modelled, not measured";
}

impl Measure {
    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        MEASURES.iter().find(|measure| measure.name == name).copied()
    }

    /// How much too large a value can be, as a part of the true one: quantiles come from the
    /// buckets of a histogram, other measures are exact.
    pub fn error(self) -> f64 {
        let quantiles = Latency::ALL.map(|latency| latency.measures().0);
        let coarse = quantiles.iter().flatten().any(|(_, measure)| *measure == self);
        if coarse { 1.0 / 32.0 } else { 0.0 }
    }

    /// Differences from a value up to this don't matter, in the measure's unit, however sure they
    /// are: half a percent of it, and a ten-thousandth of all CPU time.
    pub fn trifle(self, value: f64) -> f64 {
        let least = if self.unit == Unit::Percent { 0.01 } else { 0.0 };
        (0.005 * value.abs()).max(least)
    }

    /// Whether it stands in the short table.
    pub fn is_brief(self) -> bool {
        let of_all = [UTILISATION, UNFAIRNESS, IDLE_WAITING, OTHERS, JOULES, MEASURED_JOULES];
        [WORK, LATENCY_P99, REQUEST_P99, LATE].contains(&self) || of_all.contains(&self)
    }

    /// Its place in [`MEASURES`].
    pub(crate) fn place(self) -> usize {
        MEASURES.iter().position(|other| *other == self).unwrap_or(MEASURES.len())
    }
}

/// What a distribution of times is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latency {
    /// From becoming runnable to running.
    Scheduling,
    /// From a request's arrival to its answer.
    Request,
}

impl Latency {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Scheduling, Self::Request];

    /// Its name in JSON and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduling => "latency",
            Self::Request => "request",
        }
    }

    /// The measures that come of it: the quantile in 1000, and the greatest.
    pub(crate) fn measures(self) -> ([(u64, Measure); 3], Measure) {
        match self {
            Self::Scheduling => {
                ([(500, LATENCY_P50), (990, LATENCY_P99), (999, LATENCY_P999)], LATENCY_MAX)
            }
            Self::Request => {
                ([(500, REQUEST_P50), (990, REQUEST_P99), (999, REQUEST_P999)], REQUEST_MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_once_and_fits() {
        for (i, measure) in MEASURES.iter().enumerate() {
            assert_eq!((Measure::named(measure.name), measure.place()), (Some(*measure), i));
            assert!(measure.title.len() <= 13, "{}", measure.title);
            let end = match measure.unit {
                Unit::PerSecond => "_per_s",
                Unit::Ns => "_ns",
                Unit::Cpus => "cpus",
                Unit::Percent => "_percent",
                Unit::Joules => "_joules",
            };
            assert!(measure.name.ends_with(end), "{}", measure.name);
        }
        assert_eq!(Measure::named("speed"), None);
    }
}
