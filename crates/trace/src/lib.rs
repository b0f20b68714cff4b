// SPDX-License-Identifier: GPL-2.0-or-later
//! Recordings in other forms.
//!
//! * [`Output`] writes a stream of events in one of several [`Form`]s: the event file itself, text
//!   for people, JSON lines for programs, or a trace for Perfetto.
//! * [`summary_text`] and [`summary_json`] show the metrics of a stream.
//! * [`Hist`] shows how times are distributed, by task, CPU and the like.
//! * [`Effect`] compares the times of two recordings.
//! * [`Timehist`] has a row for each time that a task leaves a CPU, as `perf sched timehist` does.
//! * [`Top`] has what a machine does at the moment.
//! * [`write_columns`] and [`read_columns`] keep tables of results in Parquet files.
//!
//! The first two take events as they come, in memory for the tables and one piece of the stream.
//! What metrics mean is defined in `rota-events`, not here.

mod columns;
mod effect;
mod event_table;
mod fields;
mod ftrace;
mod hist;
mod json;
mod map;
mod nullable;
mod output;
mod perfetto;
mod protobuf;
mod read;
mod replay;
mod summary;
mod task_by;
mod text;
mod timehist;
mod top;

/// The counter with the frequency of the CPU that its event names, in kHz.
const FREQUENCY: &str = "cpu_frequency";

pub use columns::{Column, Columns, ColumnsError, read_columns, write_columns};
pub use effect::{Blocks, Effect};
pub use event_table::EVENT_TABLE_SCHEMA;
pub use hist::{
    HIST_SCHEMA, Hist, HistBy, hist_json, hist_number, hist_numbers, hist_plot, hist_text,
    numbers_json,
};
pub use json::EVENTS_SCHEMA;
pub use map::Map;
pub use output::{Form, Output};
pub use perfetto::{CallTrace, Caller};
pub use read::{Input, ReadError, Recording, Seekable, Spool};
pub use replay::{Replay, ReplayCosts, ReplayCounts, ReplayError, ReplayOptions};
pub use summary::{
    QUANTILES, SUMMARY_SCHEMA, aligned, histogram_json, short_ns, summary_json, summary_text,
    task_use_json,
};
pub use task_by::TaskBy;
pub use timehist::{
    CpuSums, Ran, Row, RowKind, Sums, TIMEHIST_SCHEMA, Timehist, TimehistColumns, TimehistLines,
    TimehistSummary, csv_header, csv_row, json_row, timehist_header,
};
pub use top::{CpuLook, DsqLook, Look, TaskLook, Top};
