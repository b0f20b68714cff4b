// SPDX-License-Identifier: GPL-2.0-or-later
//! Parts of an experiment that ran elsewhere, as Parquet files, and joining them.
//!
//! A file has a row for each thing that is known, and its `kind` says what it is; what a kind does
//! not use is 0 or empty. So a question of a data tool is a filter:
//! `kind = 'value' and measure = 'latency_p99_ns'`.
//!
//! | kind | what it uses |
//! | --- | --- |
//! | `run` | `contestant`, `seed`, `scale`, as all rows do; it is the first of its run |
//! | `value` | `task_group`, `measure`, `value` |
//! | `times` | a distribution: `task_group`, `measure`, least and greatest (`from_ns`, `to_ns`), sum (`text`) |
//! | `bucket` | of the distribution before, and named like it: its largest value (`to_ns`), how many values it has (`count`) |
//! | `ended` | why the run did not get to its end (`text`) |
//! | `timeline` | `from_ns`, `to_ns` |
//! | `lane` | of the timeline before: `cpu` |
//! | `span` | of the lane before: `from_ns`, `to_ns`, `task_group`, and the task (`text`) |

use crate::experiment::{CostScale, Experiment, RunId, Shard};
use crate::measure::{Latency, Measure};
use crate::result::{Distribution, Results, ResultsError, RunResult, Value};
use crate::timeline::{Lane, Span, Timeline};
use rota_events::Histogram;
use rota_trace::{Column, Columns, ColumnsError, read_columns, write_columns};
use std::collections::BTreeMap;

/// Version of the form.
pub const PART_SCHEMA: &str = "rota-compare-part/2";

/// A part of an experiment that can't be written, read, or joined with the others.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PartError {
    /// The runs are not those of the shard.
    #[error("part {shard} has {found} runs, and has to have the {expected} of its shard, in order")]
    Runs {
        /// Which part.
        shard: Shard,
        /// How many runs it has.
        found: usize,
        /// How many it has to have.
        expected: usize,
    },
    /// A file can't be used as it is.
    #[error("{file}: {why}; {again}", again = again(.shard.as_deref()))]
    File {
        /// Its name.
        file: String,
        /// What is wrong.
        why: String,
        /// Which part it was to be, where that is known.
        shard: Option<String>,
    },
    /// Another version of Rota wrote it.
    #[error(
        "{file}: it has the form {found}, and this rota reads {PART_SCHEMA}; use the rota that wrote it"
    )]
    Version {
        /// Its name.
        file: String,
        /// The form it has.
        found: String,
    },
    /// There is nothing to join.
    #[error("no files to merge; give all parts of an experiment")]
    NoFiles,
    /// Two files are of different experiments.
    #[error(
        "{file} is of another experiment than {first}: {what}; merge parts of one experiment only"
    )]
    Other {
        /// The file.
        file: String,
        /// The one it is compared with.
        first: String,
        /// What differs.
        what: String,
    },
    /// Two files are of experiments that were divided differently.
    #[error(
        "{file} is part {shard} and {first} is part {first_shard}; all parts have to be of as many"
    )]
    Division {
        /// The file.
        file: String,
        /// Its part.
        shard: Shard,
        /// The one it is compared with.
        first: String,
        /// Its part.
        first_shard: Shard,
    },
    /// A part is there twice.
    #[error("{file} and {first} are both part {shard}; give one of them")]
    Doubled {
        /// The file.
        file: String,
        /// The one that has the same part.
        first: String,
        /// Which part.
        shard: Shard,
    },
    /// Parts are missing.
    #[error("missing: {}; run `rota compare` with --shard {} and the same arguments, and merge again", some(.0), .0[0])]
    Missing(Vec<String>),
    /// They can't be written.
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    /// Together they don't make the experiment.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// A part of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// All of the experiment.
    pub experiment: Experiment,
    /// Which part this is.
    pub shard: Shard,
    /// Its runs, in the order of [`Experiment::shard`].
    pub runs: Vec<RunResult>,
}

/// What to do about a file that can't be used.
fn again(shard: Option<&str>) -> String {
    match shard.filter(|shard| !shard.is_empty()) {
        Some(shard) => format!("run part {shard} again"),
        None => "give files that `rota compare --shard` wrote, or run their parts again".to_owned(),
    }
}

/// The first of a list that may be long.
fn some(list: &[String]) -> String {
    const SOME: usize = 10;
    let more = list.len().saturating_sub(SOME);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    list[..list.len().min(SOME)].join(", ") + &more
}

/// A row of a file.
#[derive(Default)]
struct Row {
    kind: &'static str,
    group: String,
    measure: &'static str,
    value: f64,
    from_ns: u64,
    to_ns: u64,
    count: u64,
    cpu: u32,
    text: String,
}

/// The rows of a run.
fn rows(run: &RunResult) -> Vec<Row> {
    let mut rows = vec![Row { kind: "run", ..Row::default() }];
    for Value { group, measure, value } in &run.values {
        let (group, measure) = (group.clone(), measure.name);
        rows.push(Row { kind: "value", group, measure, value: *value, ..Row::default() });
    }
    for Distribution { group, latency, histogram } in &run.distributions {
        let measure = latency.name();
        rows.push(Row {
            kind: "times",
            group: group.clone(),
            measure,
            from_ns: histogram.least(),
            to_ns: histogram.greatest(),
            text: histogram.sum().to_string(),
            ..Row::default()
        });
        rows.extend(histogram.buckets().map(|(to_ns, count)| {
            let group = group.clone();
            Row { kind: "bucket", group, measure, to_ns, count, ..Row::default() }
        }));
    }
    if let Some(text) = run.ended.clone() {
        rows.push(Row { kind: "ended", text, ..Row::default() });
    }
    if let Some(Timeline { start_ns, end_ns, lanes }) = &run.timeline {
        let (from_ns, to_ns) = (*start_ns, *end_ns);
        rows.push(Row { kind: "timeline", from_ns, to_ns, ..Row::default() });
        for Lane { cpu, spans } in lanes {
            rows.push(Row { kind: "lane", cpu: *cpu, ..Row::default() });
            rows.extend(spans.iter().map(|span| Row {
                kind: "span",
                group: span.group.clone(),
                from_ns: span.from_ns,
                to_ns: span.to_ns,
                text: span.task.clone(),
                ..Row::default()
            }));
        }
    }
    rows
}

/// Writes a part. The same runs give the same bytes.
pub fn write_part(part: &Part) -> Result<Vec<u8>, PartError> {
    let Part { experiment, shard, runs } = part;
    experiment.check().map_err(ResultsError::from)?;
    let expected = experiment.shard(*shard);
    if !runs.iter().map(|run| run.id).eq(expected.iter().copied()) {
        let (found, expected) = (runs.len(), expected.len());
        return Err(PartError::Runs { shard: *shard, found, expected });
    }
    let (mut who, mut seeds, mut scales) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = Vec::new();
    for run in runs {
        let rows = rows(run);
        let contestant = &experiment.contestants[run.id.contestant as usize];
        who.extend(std::iter::repeat_n(contestant.clone(), rows.len()));
        seeds.extend(std::iter::repeat_n(run.id.seed, rows.len()));
        let scale = experiment.scales[run.id.scale as usize].to_string();
        scales.extend(std::iter::repeat_n(scale, rows.len()));
        all.extend(rows);
    }
    let whole = |f: fn(&Row) -> u64| Column::Whole(all.iter().map(f).collect());
    let text = |f: fn(&Row) -> String| Column::Text(all.iter().map(f).collect());
    let columns = [
        ("contestant", Column::Text(who)),
        ("seed", Column::Whole(seeds)),
        ("scale", Column::Text(scales)),
        ("kind", text(|row| row.kind.to_owned())),
        ("task_group", text(|row| row.group.clone())),
        ("measure", text(|row| row.measure.to_owned())),
        ("value", Column::Number(all.iter().map(|row| row.value).collect())),
        ("from_ns", whole(|row| row.from_ns)),
        ("to_ns", whole(|row| row.to_ns)),
        ("count", whole(|row| row.count)),
        ("cpu", whole(|row| row.cpu.into())),
        ("text", text(|row| row.text.clone())),
    ];
    let columns = columns.map(|(name, column)| (name.to_owned(), column)).into();
    let about = [
        ("rota.schema", PART_SCHEMA.to_owned()),
        ("rota.experiment", experiment.canonical()),
        ("rota.shard", shard.to_string()),
    ];
    let about = about.map(|(key, text)| (key.to_owned(), text)).into();
    Ok(write_columns(&Columns { about, columns })?)
}

/// Reads a part. `file` is its name, for messages.
pub fn read_part(file: &str, bytes: &[u8]) -> Result<Part, PartError> {
    let mut shard = None;
    let read = read_columns(bytes).map_err(|error| error.to_string());
    let read = read.and_then(|table| {
        let about: BTreeMap<&str, &str> =
            table.about.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let about = |key: &str| about.get(key).copied().unwrap_or_default();
        if about("rota.schema") != PART_SCHEMA {
            let (file, found) = (file.to_owned(), about("rota.schema").to_owned());
            return Ok(Err(PartError::Version { file, found }));
        }
        shard = Some(about("rota.shard").to_owned());
        let experiment: Experiment =
            serde_json::from_str(about("rota.experiment")).map_err(|error| error.to_string())?;
        experiment.check().map_err(|error| error.to_string())?;
        let shard = about("rota.shard").parse::<Shard>().map_err(|error| error.to_string())?;
        let runs = runs(&experiment, &table).ok_or("its rows make no sense")?;
        let ids = runs.iter().map(|run| run.id);
        match ids.eq(experiment.shard(shard)) {
            true => Ok(Ok(Part { experiment, shard, runs })),
            false => Err("it does not have the runs of its part".to_owned()),
        }
    });
    read.unwrap_or_else(|why| Err(PartError::File { file: file.to_owned(), why, shard }))
}

/// The columns of a table, by name.
struct Reader<'a>(BTreeMap<&'a str, &'a Column>);

impl<'a> Reader<'a> {
    fn text(&self, name: &str, row: usize) -> Option<&'a str> {
        match self.0.get(name)? {
            Column::Text(values) => values.get(row).map(String::as_str),
            _ => None,
        }
    }

    fn whole(&self, name: &str, row: usize) -> Option<u64> {
        match self.0.get(name)? {
            Column::Whole(values) => values.get(row).copied(),
            _ => None,
        }
    }

    fn number(&self, name: &str, row: usize) -> Option<f64> {
        match self.0.get(name)? {
            Column::Number(values) => values.get(row).copied(),
            _ => None,
        }
    }
}

/// The runs of a table; none if its rows make no sense.
fn runs(experiment: &Experiment, table: &Columns) -> Option<Vec<RunResult>> {
    let columns = table.columns.iter().map(|(name, column)| (name.as_str(), column));
    let reader = Reader(columns.collect());
    let mut runs = Vec::<RunResult>::new();
    let mut row = 0;
    while let Some(kind) = reader.text("kind", row) {
        if kind == "run" {
            let (who, scale) = (reader.text("contestant", row)?, reader.text("scale", row)?);
            let scale: CostScale = scale.parse().ok()?;
            let contestant = experiment.contestants.iter().position(|name| name == who)? as u32;
            let scale = experiment.scales.iter().position(|other| *other == scale)? as u32;
            runs.push(RunResult::new(RunId {
                seed: reader.whole("seed", row)?,
                scale,
                contestant,
            }));
            row += 1;
        } else {
            row = add_row(&reader, row, kind, runs.last_mut()?)?;
        }
    }
    Some(runs)
}

/// Adds what a row, and those that belong to it, says of a run, and tells which row is next.
fn add_row(reader: &Reader<'_>, row: usize, kind: &str, run: &mut RunResult) -> Option<usize> {
    let is = |row: usize, kind: &str| reader.text("kind", row) == Some(kind);
    let mut next = row + 1;
    match kind {
        "value" => {
            let measure = Measure::named(reader.text("measure", row)?)?;
            run.add(reader.text("task_group", row)?, measure, reader.number("value", row)?);
        }
        "times" => {
            let group = reader.text("task_group", row)?.to_owned();
            let name = reader.text("measure", row)?;
            let latency = Latency::ALL.into_iter().find(|latency| latency.name() == name)?;
            let sum = reader.text("text", row)?.parse().ok()?;
            let mut buckets = Vec::new();
            while is(next, "bucket") {
                buckets.push((reader.whole("to_ns", next)?, reader.whole("count", next)?));
                next += 1;
            }
            let (least, greatest) = (reader.whole("from_ns", row)?, reader.whole("to_ns", row)?);
            let histogram = Histogram::from_buckets(&buckets, sum, least, greatest)?;
            run.distributions.push(Distribution { group, latency, histogram });
        }
        "ended" => run.ended = Some(reader.text("text", row)?.to_owned()),
        "timeline" => {
            let (start_ns, end_ns) = (reader.whole("from_ns", row)?, reader.whole("to_ns", row)?);
            run.timeline = Some(Timeline { start_ns, end_ns, lanes: Vec::new() });
        }
        "lane" => {
            let cpu = reader.whole("cpu", row)?.try_into().ok()?;
            run.timeline.as_mut()?.lanes.push(Lane { cpu, spans: Vec::new() });
        }
        "span" => {
            let span = Span {
                from_ns: reader.whole("from_ns", row)?,
                to_ns: reader.whole("to_ns", row)?,
                group: reader.text("task_group", row)?.to_owned(),
                task: reader.text("text", row)?.to_owned(),
            };
            run.timeline.as_mut()?.lanes.last_mut()?.spans.push(span);
        }
        _ => return None,
    }
    Some(next)
}

/// Joins all parts of an experiment, given as their names and bytes in any order. The result is
/// that of the experiment run as a whole, to the last bit.
pub fn merge(files: &[(String, Vec<u8>)]) -> Result<Results, PartError> {
    let mut parts = BTreeMap::<Shard, (&str, Part)>::new();
    let mut first: Option<(&str, Experiment, Shard)> = None;
    for (name, bytes) in files {
        let part = read_part(name, bytes)?;
        let shard = part.shard;
        let (first_file, experiment, first_shard) =
            first.get_or_insert_with(|| (name, part.experiment.clone(), shard));
        let (file, first) = (name.clone(), (*first_file).to_owned());
        if let Some(what) = differs(experiment, &part.experiment) {
            return Err(PartError::Other { file, first, what });
        }
        if first_shard.of() != shard.of() {
            return Err(PartError::Division { file, shard, first, first_shard: *first_shard });
        }
        if let Some((first, _)) = parts.get(&shard) {
            return Err(PartError::Doubled { file, first: (*first).to_owned(), shard });
        }
        parts.insert(shard, (name, part));
    }
    let (_, experiment, shard) = first.ok_or(PartError::NoFiles)?;
    let all = (1..=shard.of()).filter_map(|index| Shard::new(index, shard.of()).ok());
    let missing = all.filter(|shard| !parts.contains_key(shard));
    let missing: Vec<String> = missing.map(|shard| shard.to_string()).collect();
    if !missing.is_empty() {
        return Err(PartError::Missing(missing));
    }
    let runs = parts.into_values().flat_map(|(_, part)| part.runs).collect();
    Ok(Results::new(experiment, runs)?)
}

/// In what two experiments differ, in words.
fn differs(one: &Experiment, other: &Experiment) -> Option<String> {
    if one == other {
        return None;
    }
    let fields = |experiment| match serde_json::to_value(experiment) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (one, other) = (fields(one), fields(other));
    let found = other.iter().find(|(name, value)| one.get(*name) != Some(*value));
    let words = found.map(|(name, value)| {
        let before = one.get(name).cloned().unwrap_or_default();
        format!("its {name} is {value}, not {before}")
    });
    words.or_else(|| Some("nobody knows in what".to_owned()))
}
