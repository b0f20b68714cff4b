// SPDX-License-Identifier: GPL-2.0-or-later
//! Statistics: what a number means, and how a set of numbers is printed.
//!
//! A [`Metric`] is defined once, beside the code that counts it; a [`Sample`] holds the values of
//! one moment. Tables, JSON lines and OpenMetrics text are made here from the two, for live
//! systems and simulations alike.

mod metric;
mod report;

pub use metric::{Metric, MetricKind, Sample};
pub use report::{STATS_SCHEMA, describe, json_line, open_metrics, table_header, table_row};
