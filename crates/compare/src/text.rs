// SPDX-License-Identifier: GPL-2.0-or-later
//! The report as text for a terminal.

use crate::experiment::Experiment;
use crate::headline::{count, list};
use crate::measure::Measure;
use crate::number;
use crate::report::{Cell, Ended, Flip, Group, Report, Row};
use std::fmt::Write;

/// The width that a table keeps to, unless one contestant alone needs more.
pub const WIDTH: usize = 100;

/// So many of the runs that ended are told one by one.
const ENDED_MAX: usize = 5;

/// What a column shows of a row: its mark, the estimate, the difference to the first contestant.
struct Shown {
    mark: char,
    estimate: String,
    difference: String,
}

/// A contestant's column of the table.
struct Column {
    name: String,
    estimate_width: usize,
    difference_width: usize,
    /// By group, then by row.
    cells: Vec<Vec<Shown>>,
}

impl Column {
    fn width(&self) -> usize {
        let difference = if self.difference_width > 0 { 1 + self.difference_width } else { 0 };
        self.name.chars().count().max(1 + self.estimate_width + difference)
    }
}

/// Writes the headline, the tables, what they mean, and what to beware of.
pub fn text(report: &Report) -> String {
    written(report, false)
}

/// The same with the measures that matter most.
pub fn short_text(report: &Report) -> String {
    written(&shortened(report), true)
}

fn written(report: &Report, short: bool) -> String {
    let [what, who] = &report.headline;
    let mut text = wrapped("", what) + &wrapped("", who);
    for ended in report.ended.iter().take(ENDED_MAX) {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {}", ended_line(report, ended));
    }
    if report.ended.len() > ENDED_MAX {
        let _ = writeln!(text, "  … and {} more", report.ended.len() - ENDED_MAX);
    }
    let contestants = 0..report.experiment.contestants.len();
    let columns: Vec<Column> = contestants.map(|i| column(report, i)).collect();
    let titles = report.groups.iter().flat_map(rows).map(|row| row.measure.title.len());
    let names = report.groups.iter().map(|group| group.name.chars().count());
    let first = titles.chain(names).max().unwrap_or(0);
    let mut from = 0;
    while from < columns.len() {
        let to = fitting(first, &columns[from..]) + from;
        table(&mut text, report, first, &columns[from..to]);
        from = to;
    }
    text += &legend(report);
    text += &warnings(report, short);
    report.notes.iter().for_each(|note| text += &wrapped("note: ", note));
    text
}

/// The report with the measures that matter most, and without groups of which nothing is left.
fn shortened(report: &Report) -> Report {
    let mut short = report.clone();
    for group in &mut short.groups {
        group.rows.retain(|row| row.measure.is_brief());
    }
    short.groups.retain(|group| !group.rows.is_empty());
    short
}

/// The rows that are shown.
fn rows(group: &Group) -> impl Iterator<Item = &Row> {
    group.rows.iter().filter(|row| !row.is_nothing())
}

fn column(report: &Report, contestant: usize) -> Column {
    let shown = |row: &Row| Shown {
        mark: if row.best == Some(contestant) { '*' } else { ' ' },
        estimate: estimate(report, row.measure, contestant, &row.cells[contestant]),
        difference: row.cells[contestant].difference.map_or_else(String::new, |difference| {
            number::difference(row.measure.unit, &difference)
        }),
    };
    let cells: Vec<Vec<Shown>> =
        report.groups.iter().map(|group| rows(group).map(shown).collect()).collect();
    let widest = |f: fn(&Shown) -> &str| {
        cells.iter().flatten().map(|shown| f(shown).chars().count()).max().unwrap_or(0)
    };
    Column {
        name: report.experiment.contestants[contestant].clone(),
        estimate_width: widest(|shown| &shown.estimate),
        difference_width: widest(|shown| &shown.difference),
        cells,
    }
}

/// The estimate, and of how many runs if it is not of all that got to their end.
fn estimate(report: &Report, measure: Measure, contestant: usize, cell: &Cell) -> String {
    let Some(estimate) = &cell.estimate else { return "-".to_owned() };
    let text = number::estimate(measure.unit, estimate);
    let runs = report.experiment.seeds.len() - report.ended_of(contestant);
    match estimate.n == runs {
        true => text,
        false => format!("{text} (of {})", estimate.n),
    }
}

/// How many of these columns fit beside each other; at least one.
fn fitting(first: usize, columns: &[Column]) -> usize {
    let mut width = first;
    let fits = columns.iter().take_while(|column| {
        width += 2 + column.width();
        width <= WIDTH
    });
    fits.count().max(1)
}

fn table(text: &mut String, report: &Report, first: usize, columns: &[Column]) {
    for (i, group) in report.groups.iter().enumerate() {
        let _ = write!(text, "\n{:<first$}", group.name);
        for column in columns {
            // The name stands over the numbers, behind the place of the mark.
            let width = column.width() - 1;
            let _ = write!(text, "   {:<width$}", column.name);
        }
        trim_end(text);
        for (j, row) in rows(group).enumerate() {
            let _ = write!(text, "\n{:<first$}", row.measure.title);
            for column in columns {
                let Shown { mark, estimate, difference } = &column.cells[i][j];
                let width = column.estimate_width;
                let cell = format!("{mark}{estimate:<width$} {difference}");
                let width = column.width();
                let _ = write!(text, "  {cell:<width$}");
            }
            trim_end(text);
        }
        text.push('\n');
    }
}

fn trim_end(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
}

/// What the marks mean.
pub(crate) fn legend(report: &Report) -> String {
    let experiment = &report.experiment;
    let seeds = experiment.seeds.len();
    let mut text = format!("\nmedians of {}", count(seeds, "seed"));
    match crate::interval::rank(seeds) {
        Some((_, coverage)) => {
            let _ = write!(
                text,
                ", and where the true median is, with {:.1} % certainty",
                (1000.0 * coverage).floor() / 10.0
            );
        }
        None => text += "; for intervals it takes 6",
    }
    text.push('\n');
    if experiment.contestants.len() > 1 && seeds >= 6 {
        let _ = writeln!(
            text,
            "better, worse, more, less: than {}, seed by seed, beyond noise; ~: within noise; =: equal",
            experiment.contestants[0],
        );
        text += "*: better than all others, beyond noise\n";
    }
    let nothing = report.groups.iter().flat_map(|group| {
        let rows = group.rows.iter().filter(|row| row.is_nothing());
        rows.map(|row| format!("{} of {}", row.measure.title, group.name))
    });
    let nothing: Vec<String> = nothing.collect();
    if !nothing.is_empty() {
        text += &wrapped("", &format!("0 in every run: {}", list(&nothing)));
    }
    text
}

/// A run that ended, in a line.
pub(crate) fn ended_line(report: &Report, ended: &Ended) -> String {
    let Ended { contestant, seed, scale, why } = ended;
    let name = &report.experiment.contestants[*contestant];
    format!("{name}, seed {seed}, cost scale {scale}: {why}")
}

fn warnings(report: &Report, short: bool) -> String {
    let (reversed, lost): (Vec<&Flip>, Vec<&Flip>) =
        report.flips.iter().partition(|flip| flip.reversed);
    let mut text = String::new();
    for flip in &reversed {
        text += &wrapped("warning: ", &flip_line(report, flip));
    }
    if !lost.is_empty() && short {
        let _ = writeln!(
            text,
            "{} within noise when costs are other ones",
            count(lost.len(), "ranking")
        );
    } else if !lost.is_empty() {
        let names: Vec<String> = lost.iter().map(|flip| lost_name(report, flip)).collect();
        let line = format!("within noise when costs are other ones: {}", list(&names));
        text += &wrapped("warning: ", &line);
    }
    let Experiment { scales, seeds, contestants, .. } = &report.experiment;
    if reversed.is_empty() && scales.len() > 1 && contestants.len() > 1 && seeds.len() >= 6 {
        let scales: Vec<String> = scales[1..].iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "no ranking is reversed with all costs times {}", list(&scales));
    }
    text
}

/// A reversed ranking, in words.
pub(crate) fn flip_line(report: &Report, flip: &Flip) -> String {
    let Flip { group, measure, better, worse, scale, .. } = flip;
    let names = &report.experiment.contestants;
    format!(
        "{} of {group}: {} is better than {}, but worse with all costs times {scale}",
        measure.title, names[*better], names[*worse]
    )
}

/// A ranking that gets lost in noise, as an item of a list.
pub(crate) fn lost_name(report: &Report, flip: &Flip) -> String {
    let Flip { group, measure, better, worse, scale, .. } = flip;
    let (better, worse) =
        (&report.experiment.contestants[*better], &report.experiment.contestants[*worse]);
    format!("{} of {group}, {better} before {worse} (times {scale})", measure.title)
}

/// Lines of at most [`WIDTH`], the later ones indented.
fn wrapped(start: &str, text: &str) -> String {
    let mut lines = String::from(start);
    let mut width = start.chars().count();
    for (i, word) in text.split(' ').enumerate() {
        let long = word.chars().count();
        if i > 0 && width + 1 + long > WIDTH {
            lines += "\n  ";
            width = 2;
        } else if i > 0 {
            lines.push(' ');
            width += 1;
        }
        lines += word;
        width += long;
    }
    lines + "\n"
}
