// SPDX-License-Identifier: GPL-2.0-or-later
//! Two recordings side by side, for people and for programs.

use super::read::{Recording, Times};
use crate::hist::{ByChoice, name};
use rota_events::Histogram;
use rota_trace::{Effect, aligned, hist_number, hist_numbers, numbers_json, short_ns};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Version of the JSON form.
const SCHEMA: &str = "rota-diff/1";

/// Tables for people.
pub(super) fn text(by: ByChoice, first: &Recording, second: &Recording, rows: usize) -> String {
    let mut text = format!("A: {}\nB: {}\n", about(first), about(second));
    if (first.hash, first.events) == (second.hash, second.events) {
        text += "They have the same events.\n";
    }
    for (a, b) in first.times.iter().zip(&second.times) {
        let all = [a.blocks.all(), b.blocks.all()];
        text += &format!("\n{}\n", aligned(&numbers(&name(&a.kind), &all)));
        text += &effect_in_words(Effect::of(&a.blocks, &b.blocks));
        let changed = changes(a, b);
        if !changed.is_empty() && rows > 0 {
            text += &format!("\n{}", aligned(&changed_rows(&name(&by), &changed, rows)));
            let more = changed.len().saturating_sub(rows);
            if more > 0 {
                text += &format!("and {more} more rows\n");
            }
        }
    }
    text
}

fn about(recording: &Recording) -> String {
    let Recording { name, long_ns, events, cpus, lost, .. } = recording;
    let lost = if *lost > 0 { format!(", {lost} LOST") } else { String::new() };
    // Some files do not say which CPUs there are.
    let cpus = if *cpus == 0 { String::new() } else { format!("{cpus} CPUs, ") };
    format!("{name}, {cpus}{}, {events} events{lost}", short_ns(*long_ns))
}

/// The numbers of both, and how much larger those of the second are.
fn numbers(kind: &str, all: &[Histogram; 2]) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&str) -> String| {
        [name.to_owned()].into_iter().chain(hist_numbers().into_iter().map(cell)).collect()
    };
    let of = |times: &Histogram, name: &str| hist_number(times, name).unwrap_or(0);
    let shown = |times: &Histogram, name: &str| match (name, times.count()) {
        ("count", count) => count.to_string(),
        (_, 0) => "-".to_owned(),
        _ => short_ns(of(times, name)),
    };
    vec![
        row(kind, &|name| name.to_owned()),
        row("A", &|name| shown(&all[0], name)),
        row("B", &|name| shown(&all[1], name)),
        row("B to A", &|name| percent(of(&all[0], name), of(&all[1], name))),
    ]
}

/// How much larger the second is, in percent of the first.
fn percent(first: u64, second: u64) -> String {
    match first {
        0 if second == 0 => "0%".to_owned(),
        0 => "-".to_owned(),
        _ => format!("{:+.1}%", (second as f64 / first as f64 - 1.0) * 100.0),
    }
}

fn effect_in_words(effect: Option<Effect>) -> String {
    let part = |value: f64| format!("{:.1}%", value * 100.0);
    match effect {
        None => "One of them has no such times.\n".to_owned(),
        Some(Effect { longer, interval: None }) => {
            let longer = part(longer);
            format!(
                "A time of B is longer than one of A with {longer}; too short to say how sure\n"
            )
        }
        Some(effect @ Effect { longer, interval: Some((low, high)) }) => {
            let verdict = match (effect.is_sure(), longer > 0.5) {
                (false, _) => "no difference beyond noise",
                (true, true) => "B takes longer",
                (true, false) => "A takes longer",
            };
            format!(
                "A time of B is longer than one of A with {} ({} to {}): {verdict}\n",
                part(longer),
                part(low),
                part(high)
            )
        }
    }
}

/// How the times of a row changed.
struct Change {
    name: String,
    all: [Histogram; 2],
}

impl Change {
    fn sums(&self) -> [u64; 2] {
        [0, 1].map(|i: usize| u64::try_from(self.all[i].sum()).unwrap_or(u64::MAX))
    }
}

/// All rows, those first whose sum changed most.
fn changes(a: &Times, b: &Times) -> Vec<Change> {
    let names: BTreeSet<&String> = a.names.keys().chain(b.names.keys()).collect();
    let of = |times: &Times, name: &String| times.names.get(name).cloned().unwrap_or_default();
    let change = |name: &String| Change { name: name.clone(), all: [of(a, name), of(b, name)] };
    let mut changes: Vec<Change> = names.into_iter().map(change).collect();
    changes.sort_by_key(|change| {
        let [a, b] = change.sums();
        Reverse(a.abs_diff(b))
    });
    changes
}

fn changed_rows(by: &str, changes: &[Change], most: usize) -> Vec<Vec<String>> {
    let head = [by, "count A", "B", "sum A", "B", "mean A", "B", "p99 A", "B", "sum"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for change in changes.iter().take(most) {
        let [a, b] = &change.all;
        let mut row = vec![change.name.clone()];
        row.extend([a.count(), b.count()].map(|count| count.to_string()));
        for number in ["sum", "mean", "p99"] {
            let shown = |times| hist_number(times, number).map_or_else(String::new, short_ns);
            row.extend([a, b].map(shown));
        }
        let [a, b] = change.sums();
        row.push(percent(a, b));
        rows.push(row);
    }
    rows
}

/// One JSON object.
pub(super) fn json(
    by: ByChoice,
    first: &Recording,
    second: &Recording,
    most: usize,
    passed: &[String],
) -> Value {
    let recording = |recording: &Recording| {
        json!({
            "file": recording.name,
            "duration_ns": recording.long_ns,
            "cpus": recording.cpus,
            "events": recording.events,
            "events_hash": format!("{:016x}", recording.hash),
            "lost_events": recording.lost,
        })
    };
    let both = |all: &[Histogram; 2]| json!([numbers_json(&all[0]), numbers_json(&all[1])]);
    let kind = |(a, b): (&Times, &Times)| {
        let effect = Effect::of(&a.blocks, &b.blocks);
        let interval = effect.and_then(|effect| effect.interval);
        let changes = changes(a, b);
        let rows: Vec<Value> = changes
            .iter()
            .take(most)
            .map(|change| json!({ "name": change.name, "times": both(&change.all) }))
            .collect();
        json!({
            "kind": name(&a.kind),
            "times": both(&[a.blocks.all(), b.blocks.all()]),
            "second_longer": effect.map(|effect| effect.longer),
            "interval": interval.map(|(low, high)| [low, high]),
            "beyond_noise": effect.map(|effect| effect.is_sure()),
            "rows": rows,
        })
    };
    json!({
        "schema": SCHEMA,
        "by": name(&by),
        "recordings": [recording(first), recording(second)],
        "kinds": first.times.iter().zip(&second.times).map(kind).collect::<Vec<_>>(),
        "passed": passed,
    })
}
