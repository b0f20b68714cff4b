// SPDX-License-Identifier: GPL-2.0-or-later
//! Distributions of times by task, CPU and the like: as a table, as a plot, and as JSON.

use crate::summary::{aligned, more, short_ns};
use crate::task_by::TaskBy;
use rota_events::{CpuPlace, Histogram, Span, Tables, TaskRef};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Version of the JSON form.
pub const HIST_SCHEMA: &str = "rota-hist/1";

/// The quantiles that are shown: the name, and how many in 10,000.
const QUANTILES: [(&str, u64); 5] =
    [("p50", 5000), ("p90", 9000), ("p99", 9900), ("p99.9", 9990), ("p99.99", 9999)];

/// So many columns has a plot at most, and so wide is its longest bar.
const BARS: usize = 24;
const BAR_WIDTH: u64 = 50;

/// What times are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistBy {
    /// All together.
    All,
    /// The task, or what it belongs to.
    Tasks(TaskBy),
    /// The CPU where the time ends.
    Cpu,
    /// The last-level cache of that CPU.
    Llc,
    /// The queue.
    Dsq,
}

/// Whose times they are: its name, after a number to sort by.
type Key = (u64, String);

/// Distributions, as they are collected.
#[derive(Debug)]
pub struct Hist {
    by: HistBy,
    places: Vec<CpuPlace>,
    /// Tasks by their numbers, since their names may still come.
    tasks: BTreeMap<TaskRef, Histogram>,
    others: BTreeMap<Key, Histogram>,
}

impl Hist {
    /// For a machine whose CPUs are at these places.
    pub fn new(by: HistBy, places: &[CpuPlace]) -> Self {
        let (tasks, others) = (BTreeMap::new(), BTreeMap::new());
        Self { by, places: places.to_vec(), tasks, others }
    }

    /// Adds a time.
    pub fn add(&mut self, span: &Span) {
        let key = match self.by {
            HistBy::Tasks(_) => {
                self.tasks.entry(span.task).or_default().add(span.ns);
                return;
            }
            HistBy::All => (0, "all".to_owned()),
            HistBy::Cpu => (span.cpu.0.into(), format!("CPU {}", span.cpu.0)),
            HistBy::Llc => match self.places.get(span.cpu.0 as usize) {
                Some(place) => (place.llc.into(), format!("LLC {}", place.llc)),
                None => (u64::MAX, "unknown".to_owned()),
            },
            HistBy::Dsq => match span.dsq {
                Some(dsq) => (dsq.0, dsq.to_string()),
                None => (u64::MAX, "none".to_owned()),
            },
        };
        self.others.entry(key).or_default().add(span.ns);
    }

    /// The distributions with their names: those of tasks by their sums, the largest first, others by
    /// their numbers.
    pub fn rows(&self, tables: &Tables) -> Vec<(String, Histogram)> {
        let mut by_name = BTreeMap::<String, Histogram>::new();
        if let HistBy::Tasks(by) = self.by {
            for (task, times) in &self.tasks {
                by_name.entry(by.name(*task, tables)).or_default().merge(times);
            }
        }
        let mut rows: Vec<_> = by_name.into_iter().collect();
        rows.sort_by_key(|(_, times)| Reverse(times.sum()));
        rows.extend(self.others.iter().map(|((_, name), times)| (name.clone(), times.clone())));
        rows
    }
}

/// A number of a distribution by its name: `count`, `sum`, `mean`, a quantile such as `p99.9`, or
/// `max`; all but the first in ns. None if there is no such number.
pub fn hist_number(times: &Histogram, name: &str) -> Option<u64> {
    let quantile = || {
        let found = QUANTILES.iter().find(|(quantile, _)| *quantile == name)?;
        Some(times.quantile(found.1, 10_000))
    };
    match name {
        "count" => Some(times.count()),
        "sum" => Some(u64::try_from(times.sum()).unwrap_or(u64::MAX)),
        "mean" => Some(times.mean()),
        "max" => Some(times.greatest()),
        _ => quantile(),
    }
}

/// The names of the numbers of a distribution, in the order of the table.
pub fn hist_numbers() -> Vec<&'static str> {
    let names = ["count", "sum", "mean"].into_iter();
    names.chain(QUANTILES.map(|(name, _)| name)).chain(["max"]).collect()
}

/// The distributions as a table for people; of `rows_max` rows, the first.
pub fn hist_text(rows: &[(String, Histogram)], rows_max: usize) -> String {
    let head = [""].into_iter().chain(hist_numbers());
    let mut lines = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    for (name, times) in rows.iter().take(rows_max) {
        let shown = |(name, value): (&str, u64)| match name {
            "count" => value.to_string(),
            _ => short_ns(value),
        };
        let numbers = hist_numbers().into_iter();
        let numbers = numbers.filter_map(|name| Some(shown((name, hist_number(times, name)?))));
        lines.push([name.clone()].into_iter().chain(numbers).collect());
    }
    aligned(&lines) + &more(rows.len().saturating_sub(rows_max), "rows")
}

/// A distribution as bars of equal ratio, from the least time to the greatest.
pub fn hist_plot(times: &Histogram) -> String {
    let buckets: Vec<(u64, u64)> = times.buckets().collect();
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return String::new();
    };
    // The width of a bar in eighths of a doubling, the least that is enough.
    let eighths = |ns: u64| ((ns.max(1) as f64).log2() * 8.0).floor() as u64;
    let (low, high) = (eighths(first.0), eighths(last.0));
    let width = [1, 2, 4, 8, 16, 32].into_iter().find(|width| (high - low) / width < BARS as u64);
    let width = width.unwrap_or(64);
    let mut bars = vec![0_u64; ((high - low) / width + 1) as usize];
    for (ns, count) in buckets {
        if let Some(bar) = bars.get_mut(((eighths(ns) - low) / width) as usize) {
            *bar += count;
        }
    }
    let most = bars.iter().copied().max().unwrap_or(1).max(1);
    let mut lines = Vec::new();
    for (place, count) in bars.iter().enumerate() {
        let below = 2_f64.powf((low + (place as u64 + 1) * width) as f64 / 8.0) as u64;
        lines.push((
            short_ns(below),
            count,
            "█".repeat((count * BAR_WIDTH).div_ceil(most) as usize),
        ));
    }
    let line = |(below, count, bar)| {
        format!("below {below:>7} {count:>9} {bar}").trim_end().to_owned() + "\n"
    };
    lines.into_iter().map(line).collect()
}

/// The distributions as one JSON object, with what was asked for.
pub fn hist_json(kind: &str, by: &str, lost: u64, rows: &[(String, Histogram)]) -> Value {
    let row = |(name, times): &(String, Histogram)| {
        let mut row = numbers_json(times);
        row.insert("name".to_owned(), name.as_str().into());
        row.insert("min_ns".to_owned(), times.least().into());
        let buckets: Vec<Value> = times.buckets().map(|(ns, count)| json!([ns, count])).collect();
        row.insert("buckets".to_owned(), buckets.into());
        Value::Object(row)
    };
    json!({
        "schema": HIST_SCHEMA,
        "kind": kind,
        "by": by,
        "lost_events": lost,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// The numbers of a distribution: `count`, and the others with `_ns` behind their names.
pub fn numbers_json(times: &Histogram) -> Map<String, Value> {
    let named = |name: &str| match name {
        "count" => name.to_owned(),
        _ => format!("{}_ns", name.replace('.', "_")),
    };
    let numbers = hist_numbers().into_iter();
    numbers.filter_map(|name| Some((named(name), hist_number(times, name)?.into()))).collect()
}
