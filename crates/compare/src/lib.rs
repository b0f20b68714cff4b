// SPDX-License-Identifier: GPL-2.0-or-later
//! Compares schedulers by the results of many runs.
//!
//! * An [`Experiment`] says what is compared; [`Experiment::runs`] lists its runs, and
//!   [`Experiment::shard`] those of a part. Who carries them out makes a [`RunResult`] of each.
//! * [`Results`] are an experiment with the results of all its runs; [`Report`] is what they say:
//!   estimates, differences beyond noise, and rankings that other costs reverse. [`text()`],
//!   [`json()`] and [`page()`] show it.
//! * A [`Part`] of an experiment is a file, and [`merge`] joins all of them.
//! * What is measured is a table, [`MEASURES`].
//!
//! It runs nothing and opens nothing. All of it is decided by the results, to the last digit.

mod difference;
mod experiment;
mod headline;
mod interval;
mod json;
pub mod measure;
mod noise;
mod number;
mod page;
mod part;
mod report;
mod result;
mod text;
mod timeline;

pub use difference::{Difference, Verdict};
pub use experiment::{CostScale, Experiment, ExperimentError, Live, RunId, Shard};
pub use headline::Headline;
pub use interval::{COVERAGE, Estimate, Interval, rank};
pub use json::{COMPARE_SCHEMA, json};
pub use measure::{Better, Latency, MEASURES, Measure, Unit};
pub use noise::{Noise, Spread};
pub use page::{LANES_MAX, page};
pub use part::{PART_SCHEMA, Part, PartError, merge, read_part, write_part};
pub use report::{Cell, Ended, Flip, Group, Note, Report, Row};
pub use result::{ALL, Distribution, Results, ResultsError, RunResult, Value};
pub use text::{WIDTH, short_text, text};
pub use timeline::{Lane, Span, Timeline};
