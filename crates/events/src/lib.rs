// SPDX-License-Identifier: GPL-2.0-or-later
//! What happens in scheduling, and what numbers about it mean.
//!
//! * Events: a [`Event`] is one thing that happened, [`Tables`] has the names in it. Simulations
//!   and recordings of live systems give the same events. [`Writer`] and [`Reader`] keep them in
//!   files, which survive damage.
//! * Metrics of events: [`Activity`] turns a stream of events into run times, waiting times and
//!   latencies. What each of them is, is defined there and nowhere else.
//! * Statistics of schedulers: a [`Metric`] is defined once, beside the code that counts it; a
//!   [`Sample`] holds the values of one moment. Tables, JSON lines and OpenMetrics text are made
//!   here from the two, for live systems and simulations alike.
//!
//! And what texts of people and for people need everywhere: durations and sizes, and [`hint()`], which
//! finds the word that was meant.

mod activity;
mod event;
mod file;
mod hash;
mod hint;
mod histogram;
mod ids;
mod leaves;
mod metric;
mod nice;
mod number;
mod paged;
mod problems;
mod report;
mod shares;
mod spans;
mod tables;
mod window;

pub use activity::{Activity, CpuUse, Distance, KindCounts, Summary, TaskUse};
pub use event::{EVENT_BYTES, Event, KINDS, Kind, StreamHash, What};
pub use file::{CpuPlace, MAGIC as FILE_MAGIC, MachineFacts, OpenError, Reader, Writer};
pub use hash::fnv1a;
pub use hint::{hint, hint_and, nearest};
pub use histogram::Histogram;
pub use ids::{Cid, CpuNumber, DsqId, SchedulerRef, Target, TaskRef, TextRef};
pub use leaves::Leaves;
pub use metric::{Metric, MetricKind, Sample};
pub use nice::{IDLE_LOAD, load_weight, nice_load};
pub use number::{Duration, format_ns, parse_bytes, parse_ns};
pub use paged::Paged;
pub use problems::{Problem, Problems};
pub use report::{
    STATS_SCHEMA, describe, json_line, open_metrics, table_header, table_row, table_with_meanings,
};
pub use spans::{Span, SpanKind, Spans};
pub use tables::{Tables, TaskInfo};
pub use window::Window;
