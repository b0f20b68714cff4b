// SPDX-License-Identifier: GPL-2.0-or-later
//! Samples as a table, as JSON lines and as OpenMetrics text.

use crate::metric::{Metric, MetricKind, Sample};
use std::fmt::Write;

/// Version of the JSON form. A new member does not change it; another meaning does.
pub const STATS_SCHEMA: &str = "rota-stats/1";

const WIDTH: usize = 12;

/// Two lines over the columns of [`table_row`]: names, and units.
pub fn table_header(metrics: &[Metric]) -> String {
    let mut names = format!("{:>9}", "time");
    let mut units = format!("{:>9}", "s");
    for metric in metrics {
        let _ = write!(names, " {:>WIDTH$}", metric.stem());
        let _ = write!(units, " {:>WIDTH$}", unit(metric));
    }
    format!("{names}\n{units}")
}

/// One line: rates of the counters since the sample before, and levels. Time is counted from
/// `start_ns`. CPU time per time is a number of CPUs.
pub fn table_row(metrics: &[Metric], start_ns: u64, before: &Sample, now: &Sample) -> String {
    let elapsed = now.at_ns.saturating_sub(start_ns) as f64 / 1e9;
    let mut line = format!("{elapsed:>9.1}");
    for (i, metric) in metrics.iter().enumerate() {
        let _ = write!(line, " {:>WIDTH$}", cell(metric, i, before, now));
    }
    line
}

/// The same with a line for each metric, and what it means: for one sample, and for people who
/// have not seen it before.
pub fn table_with_meanings(metrics: &[Metric], before: &Sample, now: &Sample) -> String {
    let names = metrics.iter().map(|metric| metric.stem().len()).max().unwrap_or(0);
    let units = metrics.iter().map(|metric| unit(metric).len()).max().unwrap_or(0);
    let mut text = String::new();
    for (i, metric) in metrics.iter().enumerate() {
        let (name, cell, unit) = (metric.stem(), cell(metric, i, before, now), unit(metric));
        let _ = writeln!(text, "  {name:<names$} {cell:>10} {unit:<units$}  {}", metric.help);
    }
    text
}

/// What the numbers of the tables are of.
fn unit(metric: &Metric) -> String {
    match metric.kind {
        _ if metric.is_cpu_time() => "CPUs".to_owned(),
        MetricKind::Counter => format!("{}/s", metric.unit),
        MetricKind::Gauge => metric.unit.clone(),
    }
}

/// The rate of a counter since the sample before, or a level.
fn cell(metric: &Metric, i: usize, before: &Sample, now: &Sample) -> String {
    let interval = now.interval_ns(before).max(1) as f64 / 1e9;
    let increase = now.increase(before, i) as f64;
    match metric.kind {
        _ if metric.is_cpu_time() => format!("{:.2}", increase / 1e9 / interval),
        MetricKind::Counter => format!("{:.0}", increase / interval),
        MetricKind::Gauge => now.values[i].to_string(),
    }
}

/// One JSON object on one line: totals since the start (of gauges, the level), and the increase of
/// counters since `before`.
pub fn json_line(scheduler: &str, metrics: &[Metric], before: &Sample, now: &Sample) -> String {
    let members = |levels: bool, value: &dyn Fn(usize) -> u64| {
        let pairs = metrics.iter().enumerate();
        let pairs = pairs.filter(|(_, m)| levels || m.kind == MetricKind::Counter);
        let pairs = pairs.map(|(i, m)| (m.name.clone(), value(i).into()));
        serde_json::Value::Object(pairs.collect())
    };
    serde_json::json!({
        "schema": STATS_SCHEMA,
        "scheduler": scheduler,
        "time_ns": now.at_ns,
        "interval_ns": now.interval_ns(before),
        "totals": members(true, &|i| now.values[i]),
        "increase": members(false, &|i| now.increase(before, i)),
    })
    .to_string()
}

/// What each number means, as one JSON object on one line.
pub fn describe(scheduler: &str, metrics: &[Metric]) -> String {
    let list: Vec<_> = metrics
        .iter()
        .map(|m| {
            let kind = match m.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
            };
            serde_json::json!({ "name": m.name, "kind": kind, "unit": m.unit, "help": m.help })
        })
        .collect();
    serde_json::json!({ "schema": STATS_SCHEMA, "scheduler": scheduler, "metrics": list })
        .to_string()
}

/// The sample in the OpenMetrics text format, version 1.0.0, closing line included.
///
/// Time is given in seconds, as that format asks for.
pub fn open_metrics(scheduler: &str, metrics: &[Metric], now: &Sample) -> String {
    let mut text = String::new();
    for (metric, value) in metrics.iter().zip(&now.values) {
        let (unit, value) = match metric.unit.as_str() {
            "ns" => ("seconds", format!("{}.{:09}", value / 1_000_000_000, value % 1_000_000_000)),
            "%" => ("percent", value.to_string()),
            other => (other, value.to_string()),
        };
        let name = if unit.is_empty() {
            metric.stem().to_owned()
        } else {
            format!("{}_{unit}", metric.stem())
        };
        let name = metric_name(&name);
        let (kind, suffix) = match metric.kind {
            MetricKind::Counter => ("counter", "_total"),
            MetricKind::Gauge => ("gauge", ""),
        };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {}", plain(unit));
        }
        let _ = writeln!(text, "# HELP {name} {}", escape(&metric.help));
        let _ = writeln!(text, "{name}{suffix}{{scheduler=\"{}\"}} {value}", escape(scheduler));
    }
    text + "# EOF\n"
}

/// A name as OpenMetrics allows it.
fn metric_name(name: &str) -> String {
    format!("rota_{}", plain(name))
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Vec<Metric> {
        vec![
            Metric::new("queued", MetricKind::Counter, "tasks", "put into the \"queue\""),
            Metric::new("ran_ns", MetricKind::Counter, "ns", "CPU time"),
            Metric::new("waiting", MetricKind::Gauge, "tasks", "in the queue now"),
        ]
    }

    fn samples() -> (Sample, Sample) {
        (
            Sample { at_ns: 1_000_000_000, values: vec![10, 0, 3] },
            Sample { at_ns: 3_000_000_000, values: vec![30, 5_000_000_001, 1] },
        )
    }

    #[test]
    fn a_table_shows_rates_and_levels() {
        let (before, now) = samples();
        let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let header = table_header(&metrics());
        let (names, units) = header.split_once('\n').unwrap();
        assert_eq!(columns(names), ["time", "queued", "ran", "waiting"]);
        assert_eq!(columns(units), ["s", "tasks/s", "CPUs", "tasks"]);
        let row = table_row(&metrics(), 0, &before, &now);
        assert_eq!(columns(&row), ["3.0", "10", "2.50", "1"]);
        assert_eq!(names.len(), row.len());
    }

    #[test]
    fn a_restart_is_no_negative_rate() {
        let (before, now) = samples();
        assert_eq!(before.increase(&now, 0), 0);
        assert!(table_row(&metrics(), 0, &now, &before).contains(" 0 "));
    }

    #[test]
    fn json_is_one_line_with_totals_and_increase() {
        let (before, now) = samples();
        let line = json_line("simple", &metrics(), &before, &now);
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["schema"], STATS_SCHEMA);
        assert_eq!(value["interval_ns"], 2_000_000_000u64);
        assert_eq!(value["totals"]["queued"], 30);
        assert_eq!(value["increase"]["queued"], 20);
        assert_eq!(
            (&value["totals"]["waiting"], value["increase"].get("waiting")),
            (&1.into(), None)
        );
    }

    #[test]
    fn odd_units_give_no_odd_names() {
        let odd = [
            Metric::new("wakes", MetricKind::Gauge, "tasks/s", ""),
            Metric::new("level", MetricKind::Gauge, "", ""),
        ];
        let text = open_metrics("x", &odd, &Sample { at_ns: 0, values: vec![1, 2] });
        assert!(text.contains("\nrota_wakes_tasks_s{scheduler=\"x\"} 1\n"), "{text}");
        assert!(text.contains("\nrota_level{scheduler=\"x\"} 2\n"), "{text}");
        assert!(!text.contains("# UNIT rota_level"), "{text}");
    }

    #[test]
    fn open_metrics_text() {
        let (_, now) = samples();
        let text = open_metrics("simple", &metrics(), &now);
        assert!(text.contains("# TYPE rota_queued_tasks counter\n"));
        assert!(text.contains("# HELP rota_queued_tasks put into the \\\"queue\\\"\n"));
        assert!(text.contains("\nrota_ran_seconds_total{scheduler=\"simple\"} 5.000000001\n"));
        assert!(text.contains("\nrota_waiting_tasks{scheduler=\"simple\"} 1\n"));
        assert!(text.ends_with("# EOF\n"));
    }
}
