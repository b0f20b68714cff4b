// SPDX-License-Identifier: GPL-2.0-or-later
//! What was compared and who won, in two sentences.

use crate::experiment::CostScale;
use crate::measure::Better;
use crate::report::{Report, Row};
use crate::result::ALL;
use rota_events::format_ns;

/// The sentences.
pub(crate) fn of(report: &Report) -> [String; 2] {
    [what(report), who(report)]
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

fn what(report: &Report) -> String {
    let experiment = &report.experiment;
    let scale = experiment.scales.first().filter(|scale| **scale != CostScale::ONE);
    let costs = scale.map_or(String::new(), |scale| format!(", all costs times {scale}"));
    format!(
        "{} on {} ({}, {}), {} for {} with {}{costs}",
        list(&experiment.contestants),
        experiment.machine,
        count(experiment.cpus as usize, "CPU"),
        kernel(&experiment.kernel),
        experiment.workload.join(" + "),
        format_ns(experiment.run_ns),
        count(experiment.seeds.len(), "seed"),
    )
}

/// A kernel's version with its name.
fn kernel(kernel: &str) -> String {
    let version = kernel.starts_with(|c: char| c.is_ascii_digit());
    if version { format!("Linux {kernel}") } else { kernel.to_owned() }
}

/// Who is best in what.
fn who(report: &Report) -> String {
    let experiment = &report.experiment;
    let names = &experiment.contestants;
    let seeds = experiment.seeds.len();
    let ended = ended(report);
    if names.len() == 1 {
        return format!("{ended}nobody to compare {} with", names[0]);
    }
    if seeds < 6 {
        return format!(
            "{ended}no winner: of {} nobody can tell a difference from noise; it takes 6",
            count(seeds, "seed")
        );
    }
    let rows = counted(report);
    if rows.is_empty() {
        return format!("{ended}no winner: there is nothing that two of them have a result in");
    }
    let all = count(rows.len(), "measure");
    let those = |of: &dyn Fn(&Row) -> bool| -> Vec<Counted<'_>> {
        rows.iter().copied().filter(|counted| of(counted.row)).collect()
    };
    let open = match those(&|row| row.best.is_none()).len() {
        0 => String::new(),
        open => format!("; in {open} nobody is best beyond noise"),
    };
    let mut won: Vec<(usize, Vec<Counted<'_>>)> =
        (0..names.len()).map(|i| (i, those(&|row| row.best == Some(i)))).collect();
    won.retain(|(_, won)| !won.is_empty());
    // The one with most first; of equals, in the order in which they were given.
    won.sort_by_key(|(_, won)| std::cmp::Reverse(won.len()));
    let Some((first, best)) = won.first() else {
        return format!(
            "{ended}no winner: in none of {all} is one of them best beyond noise{open}"
        );
    };
    let tie = won.get(1).is_some_and(|second| second.1.len() == best.len());
    let mut text = ended;
    text += if tie { "no single winner: " } else { "" };
    text += &format!(
        "{} is best in {} of {all} ({})",
        names[*first],
        best.len(),
        in_words(best, &rows)
    );
    let behind = those(&|row| row.behind.contains(first));
    if !behind.is_empty() {
        text += &format!(" and beaten in {} ({})", behind.len(), in_words(&behind, &rows));
    }
    for (who, best) in &won[1..] {
        text += &format!("; {} is best in {} ({})", names[*who], best.len(), in_words(best, &rows));
    }
    text + &open
}

/// A row that somebody can win, and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'a> {
    group: &'a str,
    pub(crate) row: &'a Row,
}

impl<'a> Counted<'a> {
    /// What it is called without its quantile, and the quantile.
    fn family(self) -> (&'a str, &'static str, &'static str) {
        let title = self.row.measure.title;
        let (family, quantile) = match title.split_once(' ') {
            Some((family @ ("latency" | "request"), quantile)) => (family, quantile),
            _ => (title, ""),
        };
        (self.group, family, quantile)
    }
}

/// Rows that somebody can win: those of the whole machine, and those of groups that the whole
/// machine does not have, since pieces of different work can't be added up.
pub(crate) fn counted(report: &Report) -> Vec<Counted<'_>> {
    let rows = report
        .groups
        .iter()
        .flat_map(|group| group.rows.iter().map(|row| Counted { group: group.name.as_str(), row }));
    let has = |row: &Row| row.cells.iter().filter(|cell| cell.estimate.is_some()).count() > 1;
    let rows: Vec<Counted<'_>> = rows
        .filter(|counted| counted.row.measure.better != Better::Neither && has(counted.row))
        .collect();
    let of_all = |measure| rows.iter().any(|it| it.group == ALL && it.row.measure == measure);
    let counts = |it: &Counted<'_>| it.group == ALL || !of_all(it.row.measure);
    rows.iter().copied().filter(counts).collect()
}

/// Names of rows, of quantiles together: `latency p99/max`, or `latency` if it is all of them.
fn in_words(some: &[Counted<'_>], all: &[Counted<'_>]) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut told = Vec::new();
    for (group, family, _) in some.iter().map(|it| it.family()) {
        if told.contains(&(group, family)) {
            continue;
        }
        told.push((group, family));
        let quantiles = |rows: &[Counted<'_>]| -> Vec<&str> {
            let rows = rows.iter().map(|it| it.family());
            rows.filter(|it| (it.0, it.1) == (group, family)).map(|it| it.2).collect()
        };
        let (has, there_are) = (quantiles(some), quantiles(all));
        let quantiles = match has.len() == there_are.len() {
            true => String::new(),
            false => format!(" {}", has.join("/")),
        };
        let of = if group == ALL { String::new() } else { format!(" of {group}") };
        names.push(format!("{family}{quantiles}{of}"));
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
