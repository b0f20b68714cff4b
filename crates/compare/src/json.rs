// SPDX-License-Identifier: GPL-2.0-or-later
//! The report as JSON.

use crate::difference::Difference;
use crate::interval::Estimate;
use crate::measure::{Better, Unit};
use crate::report::{Cell, Report, Row};
use serde_json::{Map, Value, json};

/// Version of the JSON form.
pub const COMPARE_SCHEMA: &str = "rota-compare/1";

/// All that the report says. Numbers of a measure are in the unit at the end of its name.
pub fn json(report: &Report) -> Value {
    let Report { experiment, headline, ended, groups, flips, noise, notes } = report;
    let name = |contestant: usize| &experiment.contestants[contestant];
    let ended = ended.iter().map(|ended| {
        json!({
            "contestant": name(ended.contestant),
            "seed": ended.seed,
            "scale": ended.scale,
            "why": ended.why,
        })
    });
    let groups = groups.iter().map(|group| {
        let measures: Vec<Value> = group.rows.iter().map(|row| measure(report, row)).collect();
        json!({ "group": group.name, "measures": measures })
    });
    let flips = flips.iter().map(|flip| {
        json!({
            "group": flip.group,
            "measure": flip.measure.name,
            "better": name(flip.better),
            "worse": name(flip.worse),
            "scale": flip.scale,
            "reversed": flip.reversed,
        })
    });
    let noise = noise.as_ref().map(|noise| {
        let spread = noise.spread.iter().map(|it| {
            let about = json!({ "group": it.group, "part": it.part });
            (it.measure.name.to_owned(), about)
        });
        json!({
            "others_cpus": estimate(noise.others.as_ref()),
            "spread": Value::Object(spread.collect()),
        })
    });
    json!({
        "schema": COMPARE_SCHEMA,
        "compared": headline.compared.join("; "),
        "outcome": headline.outcome.join("; "),
        "experiment": experiment,
        "experiment_hash": experiment.hash(),
        "ended": ended.collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "flips": flips.collect::<Vec<_>>(),
        "noise": noise,
        "notes": notes.iter().map(|note| &note.text).collect::<Vec<_>>(),
    })
}

fn measure(report: &Report, row: &Row) -> Value {
    let name = |contestant: usize| &report.experiment.contestants[contestant];
    let unit = match row.measure.unit {
        Unit::PerSecond => "1/s",
        Unit::Ns => "ns",
        Unit::Cpus => "CPUs",
        Unit::Percent => "%",
        Unit::Joules => "J",
    };
    let better = match row.measure.better {
        Better::Higher => "higher",
        Better::Lower => "lower",
        Better::Neither => "neither",
    };
    let cells = row.cells.iter().enumerate();
    json!({
        "measure": row.measure.name,
        "unit": unit,
        "better": better,
        "meaning": row.measure.meaning,
        "best": row.best.map(name),
        "behind": row.behind.iter().map(|behind| name(*behind)).collect::<Vec<_>>(),
        "contestants": cells.map(|(i, cell)| self::cell(name(i), cell)).collect::<Vec<_>>(),
    })
}

fn cell(name: &str, cell: &Cell) -> Value {
    let values = cell.values.iter().map(|(seed, value)| json!({ "seed": seed, "value": value }));
    let mut members = estimate(cell.estimate.as_ref());
    members.insert("contestant".to_owned(), json!(name));
    members.insert("values".to_owned(), values.collect());
    let difference = cell.difference.map(|Difference { estimate: found, relative, verdict }| {
        let mut members = estimate(Some(&found));
        members.insert("relative".to_owned(), json!(relative));
        members.insert("verdict".to_owned(), json!(verdict.name()));
        members
    });
    members.insert("difference_to_first".to_owned(), json!(difference));
    Value::Object(members)
}

fn estimate(estimate: Option<&Estimate>) -> Map<String, Value> {
    let interval = estimate.and_then(|estimate| estimate.interval);
    let members = [
        ("runs", json!(estimate.map_or(0, |estimate| estimate.n))),
        ("median", json!(estimate.map(|estimate| estimate.median))),
        ("low", json!(interval.map(|interval| interval.low))),
        ("high", json!(interval.map(|interval| interval.high))),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
