// SPDX-License-Identifier: GPL-2.0-or-later
//! Compares schedulers by the results of many runs.
//!
//! * An [`Experiment`] says what is compared; [`Experiment::runs`] lists its runs, and
//!   [`Experiment::shard`] those of a part. Who carries them out makes a [`RunResult`] of each.
//! * [`Results`] are an experiment with the results of all its runs; [`Report`] is what they say:
//!   estimates, differences beyond noise, and rankings that other costs reverse. [`text`] shows it.
//! * What is measured is a table, [`MEASURES`].
//!
//! It runs nothing and opens nothing. All of it is decided by the results, to the last digit.

mod difference;
mod experiment;
mod headline;
mod interval;
pub mod measure;
mod number;
mod report;
mod result;
mod text;
mod timeline;

pub use difference::{Difference, Verdict};
pub use experiment::{CostScale, Experiment, ExperimentError, RunId, Shard};
pub use interval::{COVERAGE, Estimate, Interval, rank};
pub use measure::{Better, Latency, MEASURES, Measure, Unit};
pub use report::{Cell, Ended, Flip, Group, Report, Row};
pub use result::{ALL, Distribution, Results, ResultsError, RunResult, Value};
pub use text::{WIDTH, text};
pub use timeline::{Lane, Span, Timeline};
