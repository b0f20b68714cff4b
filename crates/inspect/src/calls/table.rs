// SPDX-License-Identifier: GPL-2.0-or-later
//! How often and how long functions were called.

use super::{Call, Session, Shown};
use crate::text::columns;
use rota_events::Histogram;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Times of functions.
#[derive(Debug, Default)]
pub struct Times(BTreeMap<u32, Time>);

/// Times of a function.
#[derive(Debug, Default)]
struct Time {
    histogram: Histogram,
    errors: u64,
    /// Calls whose end was not seen.
    open: u64,
}

const HEAD: [&str; 9] =
    ["FUNCTION", "CALLS", "ERRORS", "TOTAL", "MEAN", "P50", "P99", "P99.9", "MAX"];

impl Times {
    /// Counts all calls of a session.
    pub fn add(&mut self, session: &Session, shown: &Shown<'_>) {
        self.count(&session.root, shown);
    }

    fn count(&mut self, call: &Call, shown: &Shown<'_>) {
        let time = self.0.entry(call.function).or_default();
        match shown.ns(call) {
            Some(ns) => time.histogram.add(ns),
            None => time.open += 1,
        }
        time.errors += u64::from(call.error(shown.functions).is_some());
        for call in &call.calls {
            self.count(call, shown);
        }
    }

    /// A table, what took longest first; in microseconds.
    pub fn text(&self, shown: &Shown<'_>) -> String {
        let us = |ns: u64| format!("{}.{:03}", ns / 1000, ns % 1000);
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by_key(|(function, time)| (std::cmp::Reverse(time.histogram.sum()), **function));
        let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
        for (function, time) in rows {
            let it = &time.histogram;
            let total = u64::try_from(it.sum()).unwrap_or(u64::MAX);
            let quantiles =
                [(1, 2), (99, 100), (999, 1000)].map(|(part, of)| us(it.quantile(part, of)));
            let [p50, p99, p999] = quantiles;
            let name = shown.functions.get(*function as usize).map_or("?", |it| &it.target.name);
            lines.push(vec![
                name.to_owned(),
                (it.count() + time.open).to_string(),
                time.errors.to_string(),
                us(total),
                us(it.mean()),
                p50,
                p99,
                p999,
                us(it.greatest()),
            ]);
        }
        columns(&lines) + "  TOTAL to MAX: microseconds\n"
    }

    /// Counts and times of each function, in ns.
    pub fn json(&self, shown: &Shown<'_>) -> Value {
        let function = |(function, time): (&u32, &Time)| {
            let it = &time.histogram;
            json!({
                "function": shown.functions.get(*function as usize).map(|it| &it.target.name),
                "calls": it.count() + time.open, "unfinished": time.open, "errors": time.errors,
                "total_ns": u64::try_from(it.sum()).unwrap_or(u64::MAX), "mean_ns": it.mean(),
                "p50_ns": it.quantile(1, 2), "p90_ns": it.quantile(9, 10),
                "p99_ns": it.quantile(99, 100), "p99_9_ns": it.quantile(999, 1000),
                "max_ns": it.greatest(),
                "buckets": it.buckets().collect::<Vec<_>>(),
            })
        };
        self.0.iter().map(function).collect()
    }
}
