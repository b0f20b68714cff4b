// SPDX-License-Identifier: GPL-2.0-or-later
//! What was compared and who won, in two sentences.

use crate::measure::Better;
use crate::report::{Report, Row};
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
    format!(
        "{} on {} ({}, {}), {} for {} with {}",
        list(&experiment.contestants),
        experiment.machine,
        count(experiment.cpus as usize, "CPU"),
        experiment.kernel,
        experiment.workload.join(" + "),
        format_ns(experiment.run_ns),
        count(experiment.seeds.len(), "seed"),
    )
}

/// Who is best in what, on the whole machine.
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
    let titles = |of: &dyn Fn(&&&Row) -> bool| -> Vec<String> {
        rows.iter().filter(|row| of(row)).map(|row| row.measure.title.to_owned()).collect()
    };
    let all = count(rows.len(), "measure");
    let open = match titles(&|row| row.behind.is_empty()).len() {
        0 => String::new(),
        open => format!("; in {open} nobody differs beyond noise"),
    };
    let mut won: Vec<(usize, Vec<String>)> =
        (0..names.len()).map(|i| (i, titles(&|row| row.best == Some(i)))).collect();
    won.retain(|(_, titles)| !titles.is_empty());
    // The one with most first; of equals, in the order in which they were given.
    won.sort_by_key(|(_, titles)| std::cmp::Reverse(titles.len()));
    let Some((first, best)) = won.first() else {
        return format!(
            "{ended}no winner: in none of {all} is one of them best beyond noise{open}"
        );
    };
    let tie = won.get(1).is_some_and(|second| second.1.len() == best.len());
    let mut text = ended;
    text += if tie { "no single winner: " } else { "" };
    text += &format!("{} is best in {} of {all} ({})", names[*first], best.len(), best.join(", "));
    let behind = titles(&|row| row.behind.contains(first));
    if !behind.is_empty() {
        text += &format!(" and beaten in {} ({})", behind.len(), behind.join(", "));
    }
    for (who, best) in &won[1..] {
        text += &format!("; {} is best in {} ({})", names[*who], best.len(), best.join(", "));
    }
    text + &open
}

/// The rows of the whole machine that somebody can win.
pub(crate) fn counted(report: &Report) -> Vec<&Row> {
    let rows = report.groups.iter().filter(|group| group.name == crate::result::ALL);
    let rows = rows.flat_map(|group| &group.rows);
    let has = |row: &&Row| row.cells.iter().filter(|cell| cell.estimate.is_some()).count() > 1;
    rows.filter(|row| row.measure.better != Better::Neither).filter(has).collect()
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
