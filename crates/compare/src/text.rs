// SPDX-License-Identifier: GPL-2.0-or-later
//! The report as text for a terminal.

use crate::difference::Verdict;
use crate::experiment::{CostScale, Experiment};
use crate::headline::{count, counted, list};
use crate::measure::{MEASURES, Measure};
use crate::number;
use crate::report::{Cell, Ended, Flip, Group, Report, Row};
use crate::result::ALL;
use std::fmt::Write;

/// The width where nobody says another. A table keeps to its width unless one contestant alone needs
/// more.
pub const WIDTH: usize = 100;
/// No text is made for less.
const WIDTH_MIN: usize = 60;

/// So many of the runs that ended are told one by one.
const ENDED_MAX: usize = 5;

/// How the report is written.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// The measures that matter most, else all.
    short: bool,
    /// The longest line.
    width: usize,
    /// Whether cells have the intervals of their medians.
    intervals: bool,
}

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

/// Writes the headline, the tables, what they mean, what to beware of, and again who won. If not all
/// contestants fit beside each other in less than [`WIDTH`], cells go without intervals.
pub fn text(report: &Report, width: usize) -> String {
    written(report, Form { short: false, width: width.max(WIDTH_MIN), intervals: true })
}

/// The same with the measures that matter most.
pub fn short_text(report: &Report, width: usize) -> String {
    let form = Form { short: true, width: width.max(WIDTH_MIN), intervals: true };
    written(&shortened(report), form)
}

fn written(report: &Report, mut form: Form) -> String {
    let contestants = 0..report.experiment.contestants.len();
    let columns = |form: &Form| -> Vec<Column> {
        contestants.clone().map(|i| column(report, form, i)).collect()
    };
    let titles = report.groups.iter().flat_map(rows).map(|row| row.measure.title.len());
    let names = report.groups.iter().map(|group| group.name.chars().count());
    let first = titles.chain(names).max().unwrap_or(0);
    let all_fit = |columns: &[Column], width| fitting(first, columns, width) == columns.len();
    form.intervals = form.width >= WIDTH || all_fit(&columns(&form), form.width);
    let columns = columns(&form);
    let lines = |lines: &[String]| -> String {
        lines.iter().map(|line| wrapped("", line, form.width)).collect()
    };
    let mut outcome = report.headline.outcome.clone();
    if let Some(first) = outcome.first_mut() {
        first.insert_str(0, "verdict: ");
    }
    // The others are in the second line, and in the table only if it is the long one.
    if let (true, Some(others)) = (form.short, outcome.get_mut(1)) {
        *others += " (--full shows them)";
    }
    let mut text = lines(&report.headline.compared) + "\n" + &lines(&outcome);
    for ended in report.ended.iter().take(ENDED_MAX) {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {}", ended_line(report, ended));
    }
    if report.ended.len() > ENDED_MAX {
        let _ = writeln!(text, "  … and {} more", report.ended.len() - ENDED_MAX);
    }
    let mut from = 0;
    while from < columns.len() {
        let to = fitting(first, &columns[from..], form.width) + from;
        table(&mut text, report, first, &columns[from..to]);
        from = to;
    }
    text.push('\n');
    text += &lines(&legend(report, &TERMINAL, form.intervals));
    text += &warnings(report, form);
    if let Some(noise) = &report.noise {
        text += &wrapped("noise: ", &noise.in_words(), form.width);
    }
    for note in &report.notes {
        text += &wrapped("note: ", if form.short { &note.short } else { &note.text }, form.width);
    }
    text.push('\n');
    text += &wrapped("", &report.headline.reminder, form.width);
    text + &lines(&outcome)
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

fn column(report: &Report, form: &Form, contestant: usize) -> Column {
    let shown = |row: &Row| Shown {
        mark: if row.best == Some(contestant) { '*' } else { ' ' },
        estimate: estimate(report, form, row.measure, contestant, &row.cells[contestant]),
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
fn estimate(
    report: &Report,
    form: &Form,
    measure: Measure,
    contestant: usize,
    cell: &Cell,
) -> String {
    let Some(estimate) = &cell.estimate else { return "-".to_owned() };
    let text = match form.intervals {
        true => number::estimate(measure.unit, estimate),
        false => number::parts(measure.unit, estimate).0,
    };
    let runs = report.experiment.seeds.len() - report.ended_of(contestant);
    match estimate.n == runs {
        true => text,
        false => format!("{text} (of {})", estimate.n),
    }
}

/// How many of these columns fit beside each other; at least one.
fn fitting(first: usize, columns: &[Column], width: usize) -> usize {
    let mut used = first;
    let fits = columns.iter().take_while(|column| {
        used += 2 + column.width();
        used <= width
    });
    fits.count().max(1)
}

fn table(text: &mut String, report: &Report, first: usize, columns: &[Column]) {
    let shown = |(_, group): &(usize, &Group)| rows(group).next().is_some();
    for (i, group) in report.groups.iter().enumerate().filter(shown) {
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

/// The signs of a table.
pub(crate) struct Signs {
    /// Between the ends of an interval.
    pub(crate) to: &'static str,
    /// Better than all others.
    pub(crate) best: &'static str,
    pub(crate) noise: &'static str,
    pub(crate) equal: &'static str,
    pub(crate) too_few: &'static str,
    pub(crate) no_value: &'static str,
}

/// Those of a terminal.
const TERMINAL: Signs =
    Signs { to: "..", best: "*", noise: "~", equal: "=", too_few: "?", no_value: "-" };

/// What cells and signs mean, a sentence each; of those signs that are there.
pub(crate) fn legend(report: &Report, signs: &Signs, intervals: bool) -> Vec<String> {
    let experiment = &report.experiment;
    let seeds = experiment.seeds.len();
    let mut median = format!("cells: median of {}", count(seeds, "run"));
    match crate::interval::rank(seeds) {
        Some((_, coverage)) if intervals => {
            let percent = (1000.0 * coverage).floor() / 10.0;
            median += &format!(
                ", then low{}high: the true median is in there, {percent:.1} % sure",
                signs.to
            );
        }
        Some(_) => median += "; a wider terminal shows where the true median may be",
        None => median += "; from 6 runs on, where the true median may be",
    }
    let mut lines = vec![median];
    let shown: Vec<&Row> = report.groups.iter().flat_map(rows).collect();
    let has = |verdict: Verdict| {
        let mut all = shown.iter().flat_map(|row| &row.cells).filter_map(|cell| cell.difference);
        all.any(|difference| difference.verdict == verdict)
    };
    let same = format!("{}: the same with every seed", signs.equal);
    let better = match (experiment.contestants.as_slice(), seeds) {
        ([first, _, ..], 6..) => format!("better, worse: than {first}, seed by seed"),
        _ => String::new(),
    };
    let both = [better, if has(Verdict::Equal) { same } else { String::new() }];
    let both: Vec<String> = both.into_iter().filter(|words| !words.is_empty()).collect();
    lines.extend((!both.is_empty()).then(|| both.join("; ")));
    if has(Verdict::Noise) {
        let half = "half a percent, or 0.01 % of all CPU time";
        lines.push(format!("{}: within noise, or too small to matter (up to {half})", signs.noise));
    }
    if has(Verdict::TooFew) {
        lines.push(format!("{}: too few runs to tell a difference from noise", signs.too_few));
    }
    if shown.iter().any(|row| row.best.is_some()) {
        lines.push(format!("{}: better than all others, beyond noise", signs.best));
    }
    if experiment.contestants.len() > 1 && seeds >= 6 {
        let (main, _) = counted(report);
        let titles = MEASURES.iter().filter(|m| main.iter().any(|it| it.row.measure == **m));
        let titles: Vec<String> = titles.map(|measure| measure.title.to_owned()).collect();
        if !titles.is_empty() {
            lines.push(format!("main measures: {}, of all and each group", list(&titles)));
        }
    }
    if shown.iter().flat_map(|row| &row.cells).any(|cell| cell.estimate.is_none()) {
        lines
            .push(format!("{}: there is none, or too few to tell such a quantile", signs.no_value));
    }
    lines.extend(words(report));
    let nothing = nothing(report);
    if !nothing.is_empty() {
        lines.push(format!("0 in every run: {}", list(&nothing)));
    }
    lines
}

/// So many groups are named of which something is 0; of more, their number is told.
const NAMED_MAX: usize = 4;

/// What is 0 in every run, in words.
fn nothing(report: &Report) -> Vec<String> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for group in &report.groups {
        for row in group.rows.iter().filter(|row| row.is_nothing()) {
            let title = row.measure.title;
            match found.iter_mut().find(|(known, _)| *known == title) {
                Some((_, groups)) => groups.push(&group.name),
                None => found.push((title, vec![&group.name])),
            }
        }
    }
    let told = |(title, groups): (&str, Vec<&str>)| match groups.len() {
        ..=NAMED_MAX => groups.iter().map(|group| format!("{title} of {group}")).collect(),
        many if groups.contains(&ALL) => vec![format!("{title} of all and {} groups", many - 1)],
        many => vec![format!("{title} of {many} groups")],
    };
    found.into_iter().flat_map(told).collect::<Vec<String>>()
}

/// What the words mean that people from elsewhere may not know.
fn words(report: &Report) -> Option<String> {
    let has = |start: &str| {
        let titles = report.groups.iter().flat_map(rows).map(|row| row.measure.title);
        titles.into_iter().any(|title| title.starts_with(start))
    };
    let latency = match report.experiment.live {
        // No thread can tell when it was preempted.
        Some(_) => "latency: from being woken, or the time of a timer, to running",
        None => "latency: from ready to running",
    };
    let words = [
        ("latency", latency),
        ("request", "request: from arrival to answer"),
        ("latency p99", "p99: 99 % take at most this"),
    ];
    let words = words.iter().filter(|(start, _)| has(start)).map(|(_, words)| *words);
    let words = words.collect::<Vec<_>>().join("; ");
    (!words.is_empty()).then_some(words)
}

/// A run that ended, in a line.
pub(crate) fn ended_line(report: &Report, ended: &Ended) -> String {
    let Ended { contestant, seed, scale, why } = ended;
    let name = &report.experiment.contestants[*contestant];
    format!("{name}, seed {seed}, cost scale {scale}: {why}")
}

fn warnings(report: &Report, form: Form) -> String {
    let (reversed, lost): (Vec<&Flip>, Vec<&Flip>) =
        report.flips.iter().partition(|flip| flip.reversed);
    let mut text = String::new();
    for flip in &reversed {
        text += &wrapped("warning: ", &flip_line(report, flip), form.width);
    }
    if !lost.is_empty() && !form.short {
        let names: Vec<String> = lost.iter().map(|flip| lost_name(report, flip)).collect();
        let line = format!("within noise when costs are other ones: {}", list(&names));
        text += &wrapped("warning: ", &line, form.width);
    }
    let Experiment { scales, seeds, contestants, .. } = &report.experiment;
    if reversed.is_empty() && scales.len() > 1 && contestants.len() > 1 && seeds.len() >= 6 {
        // The table beside it is then not that of the machine as it is.
        let stated = if scales[0] == CostScale::ONE { "" } else { " as the machine states" };
        let scales: Vec<String> = scales[1..].iter().map(|scale| times(*scale)).collect();
        let named = if form.short { " (--full says which)" } else { "" };
        let lost = match lost.len() {
            0 => String::new(),
            1 => format!("; 1 gets lost in noise{named}"),
            lost => format!("; {lost} get lost in noise{named}"),
        };
        let line = format!(
            "if switches, wake-ups, … took {} as long{stated}, no ranking is reversed{lost}",
            scales.join(" or ")
        );
        text += &wrapped("", &line, form.width);
    }
    text
}

/// How long what costs something takes at a scale.
fn times(scale: CostScale) -> String {
    match scale {
        CostScale::ONE => "just".to_owned(),
        CostScale::HALF => "half".to_owned(),
        CostScale::TWICE => "twice".to_owned(),
        other => format!("{other} times"),
    }
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

/// Lines of at most `width`, the later ones indented.
fn wrapped(start: &str, text: &str, width: usize) -> String {
    let options = textwrap::Options::new(width)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false)
        .subsequent_indent("  ");
    textwrap::fill(&format!("{start}{text}"), options) + "\n"
}
