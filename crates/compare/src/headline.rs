// SPDX-License-Identifier: GPL-2.0-or-later
//! What was compared and who won, in a few lines.

use crate::experiment::{CostScale, Experiment};
use crate::measure::{Better, Measure};
use crate::report::{Report, Row};
use crate::result::ALL;
use rota_events::format_ns;
use rota_trace::short_ns;

/// What a reader has to know first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headline {
    /// What was compared: the machine, the work, and the schedulers.
    pub compared: Vec<String>,
    /// The machine and the work in a line, for where `compared` is out of sight.
    pub reminder: String,
    /// Who won: in the main measures, and in the others.
    pub outcome: Vec<String>,
}

impl Headline {
    pub(crate) fn of(report: &Report) -> Self {
        Self { compared: compared(report), reminder: reminder(report), outcome: outcome(report) }
    }
}

/// A list as people write it: `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A number and what it counts: `1 seed`, `2 seeds`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What all costs were multiplied with, if that is not one.
fn costs(experiment: &Experiment) -> String {
    let scale = experiment.scales.first().filter(|scale| **scale != CostScale::ONE);
    scale.map_or(String::new(), |scale| format!(", all costs times {scale}"))
}

/// The workloads as they were given.
fn work(experiment: &Experiment) -> String {
    let parts = experiment.workload.iter().flat_map(|text| text.split('+')).map(str::trim);
    parts.collect::<Vec<_>>().join(" + ")
}

fn reminder(report: &Report) -> String {
    let experiment = &report.experiment;
    let (machine, costs, work) = (&experiment.machine, costs(experiment), work(experiment));
    format!("{} machine: {machine}{costs}; work: {work}", kind(experiment))
}

/// What kind of machine it is.
fn kind(experiment: &Experiment) -> &'static str {
    if experiment.live.is_some() { "real" } else { "simulated" }
}

/// How many runs there are, how long, and how they are made.
fn runs(experiment: &Experiment) -> String {
    // That of a recording is no round number.
    let (exact, short) = (format_ns(experiment.run_ns), short_ns(experiment.run_ns));
    let long = if exact.len() <= short.len() { exact } else { short };
    let runs = match experiment.seeds.len() {
        1 => format!("1 run (seed) of {long}"),
        runs => format!("{runs} runs (seeds) of {long} each"),
    };
    match &experiment.live {
        None => runs,
        Some(live) if live.warm_up_ns == 0 => format!("{runs}, taking turns"),
        Some(live) => {
            format!("{runs}, taking turns, {} of warm-up before", format_ns(live.warm_up_ns))
        }
    }
}

fn compared(report: &Report) -> Vec<String> {
    let experiment = &report.experiment;
    let (costs, runs) = (costs(experiment), runs(experiment));
    let machine = format!(
        "{} machine: {} ({}, {}){costs}, {runs}",
        kind(experiment),
        experiment.machine,
        experiment.machine_in_words,
        kernel(&experiment.kernel),
    );
    let work = work(experiment);
    let groups = &experiment.workload_in_words;
    let names = groups.split(" + ").map(|group| group.split(" (").next().unwrap_or_default());
    let work = match names.collect::<Vec<_>>().join(" + ") == work {
        true => format!("work: {groups}"),
        false => format!("work: {work} = {groups}"),
    };
    let schedulers = experiment.contestants.iter().map(|name| {
        let note = report.notes.iter().find(|note| note.contestant == *name);
        note.map_or_else(|| name.clone(), |note| format!("{name} ({})", note.is))
    });
    let schedulers = format!("schedulers: {}", list(&schedulers.collect::<Vec<_>>()));
    vec![machine, work, schedulers]
}

/// A kernel's version with its name.
fn kernel(kernel: &str) -> String {
    let version = kernel.starts_with(|c: char| c.is_ascii_digit());
    if version { format!("Linux {kernel}") } else { kernel.to_owned() }
}

/// Who is best in what.
fn outcome(report: &Report) -> Vec<String> {
    let experiment = &report.experiment;
    let names = &experiment.contestants;
    let seeds = experiment.seeds.len();
    let ended = ended(report);
    if names.len() == 1 {
        return vec![format!("{ended}nobody to compare {} with", names[0])];
    }
    if seeds < 6 {
        return vec![format!(
            "{ended}no winner: with {} nobody can tell a difference from noise; it takes 6",
            count(seeds, "seed")
        )];
    }
    let (main, others) = counted(report);
    if main.is_empty() && others.is_empty() {
        return vec![format!(
            "{ended}no winner: there is nothing that two of them have a result in"
        )];
    }
    let winners = winners(&main, names.len());
    let mut lines = vec![ended + &of_main(names, &main, &winners)];
    if !others.is_empty() {
        lines.push(of_others(names, &others, winners.first().map(|(first, _)| *first)));
    }
    lines
}

/// Who is best in the main measures.
fn of_main(
    names: &[String],
    main: &[Counted<'_>],
    winners: &[(usize, Vec<Counted<'_>>)],
) -> String {
    if main.is_empty() {
        return "no winner: in no main measure have two of them a result".to_owned();
    }
    let all = count(main.len(), "main measure");
    let Some(((first, best), rest)) = winners.split_first() else {
        return format!("no winner: in none of {all} is one of them best beyond noise");
    };
    let tie = rest.first().is_some_and(|second| second.1.len() == best.len());
    let mut text = format!(
        "{}{} is best in {} of {all} ({})",
        if tie { "no single winner: " } else { "" },
        names[*first],
        best.len(),
        in_words(best, main)
    );
    let behind = those(main, &|row| row.behind.contains(first));
    if !behind.is_empty() {
        text += &format!(" and beaten in {} ({})", behind.len(), in_words(&behind, main));
    }
    for (who, best) in rest {
        text += &format!("; {} is best in {} ({})", names[*who], best.len(), in_words(best, main));
    }
    let none = (0..names.len()).filter(|i| winners.iter().all(|(who, _)| who != i));
    let none: Vec<String> = none.map(|i| names[i].clone()).collect();
    if !none.is_empty() {
        text += &format!("; {} in none", list(&none));
    }
    match those(main, &|row| row.best.is_none()).len() {
        0 => text,
        open => text + &format!("; in {open} nobody is best beyond noise"),
    }
}

/// Who is best in the other measures: named are those that somebody else wins.
fn of_others(names: &[String], others: &[Counted<'_>], first: Option<usize>) -> String {
    let winners = winners(others, names.len());
    let of = format!("of {}", count(others.len(), "other measure"));
    let each = winners.iter().map(|(who, best)| match Some(*who) == first {
        true => format!("{} is best in {}", names[*who], best.len()),
        false => format!("{} is best in {} ({})", names[*who], best.len(), in_words(best, others)),
    });
    match winners.is_empty() {
        true => format!("{of}, nobody is best in any"),
        false => {
            let each = each.collect::<Vec<_>>().join("; ");
            match those(others, &|row| row.best.is_none()).len() {
                0 => format!("{of}, {each}"),
                open => format!("{of}, {each}; nobody in {open}"),
            }
        }
    }
}

/// A row that somebody can win, and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'a> {
    group: &'a str,
    pub(crate) row: &'a Row,
}

/// Rows that somebody can win, and that tables show: of the main measures, and of the others.
pub(crate) fn counted(report: &Report) -> (Vec<Counted<'_>>, Vec<Counted<'_>>) {
    let rows = report
        .groups
        .iter()
        .flat_map(|group| group.rows.iter().map(|row| Counted { group: group.name.as_str(), row }));
    let has = |row: &Row| row.cells.iter().filter(|cell| cell.estimate.is_some()).count() > 1;
    let rows = rows.filter(|counted| {
        let row = counted.row;
        row.measure.better != Better::Neither && !row.is_nothing() && has(row)
    });
    rows.partition(|counted| counted.row.measure.is_brief())
}

fn those<'a>(rows: &[Counted<'a>], of: &dyn Fn(&Row) -> bool) -> Vec<Counted<'a>> {
    rows.iter().copied().filter(|counted| of(counted.row)).collect()
}

/// Who is best in something, and in what: the one with most first; of equals, in the order in which
/// they were given.
fn winners<'a>(rows: &[Counted<'a>], contestants: usize) -> Vec<(usize, Vec<Counted<'a>>)> {
    let mut won: Vec<(usize, Vec<Counted<'_>>)> =
        (0..contestants).map(|i| (i, those(rows, &|row| row.best == Some(i)))).collect();
    won.retain(|(_, won)| !won.is_empty());
    won.sort_by_key(|(_, won)| std::cmp::Reverse(won.len()));
    won
}

/// Names of rows, those of a measure together: `latency p99 of all/web, unfairness`.
fn in_words(some: &[Counted<'_>], all: &[Counted<'_>]) -> String {
    let groups = |rows: &[Counted<'_>], measure: Measure| -> Vec<String> {
        let rows = rows.iter().filter(|it| it.row.measure == measure);
        rows.map(|it| it.group.to_owned()).collect()
    };
    let mut names: Vec<String> = Vec::new();
    let mut told = Vec::new();
    for measure in some.iter().map(|it| it.row.measure) {
        if told.contains(&measure.name) {
            continue;
        }
        told.push(measure.name);
        // Of what only the whole machine has, nobody asks whose it is.
        names.push(match groups(all, measure) == [ALL] {
            true => measure.title.to_owned(),
            false => format!("{} of {}", measure.title, groups(some, measure).join("/")),
        });
    }
    names.join(", ")
}

/// Who did not get to the end, as the start of a sentence.
fn ended(report: &Report) -> String {
    let seeds = report.experiment.seeds.len();
    let ended = report.experiment.contestants.iter().enumerate().filter_map(|(i, name)| {
        let runs = report.ended_of(i);
        (runs > 0).then(|| format!("{name} was ejected in {runs} of {}; ", count(seeds, "run")))
    });
    ended.collect()
}
