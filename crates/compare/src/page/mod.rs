// SPDX-License-Identifier: GPL-2.0-or-later
//! The report as one page: no script, nothing from a network, for light and dark, wide and narrow.

mod curves;
mod dots;
mod lanes;
mod svg;
mod table;

pub use lanes::LANES_MAX;

use crate::headline::{count, counted};
use crate::measure::Latency;
use crate::report::{Group, Report};
use crate::result::{ALL, Results};
use crate::text::{Signs, ended_line, flip_line, lost_name};
use std::fmt::Write;
use svg::escape;

/// How everything looks.
const STYLE: &str = include_str!("style.css");

/// What tables of a page have where those of a terminal have signs.
const SIGNS: Signs = Signs {
    to: " – ",
    best: "best",
    noise: "within noise",
    equal: "equal",
    too_few: "too few seeds",
    no_value: "no value",
};

/// So many colours there are; then they come again.
const COLOURS: usize = 8;

/// The number of a colour.
fn colour(place: usize) -> usize {
    place % COLOURS
}

/// The colour of a contestant, beside its name.
fn swatch(contestant: usize) -> String {
    format!("<i class='swatch c{}' aria-hidden=true></i>", colour(contestant))
}

/// What people call a group.
fn group_name(name: &str) -> String {
    if name == ALL { "the whole machine".to_owned() } else { name.to_owned() }
}

/// Writes the page. `report` has to be that of these results.
pub fn page(results: &Results, report: &Report) -> String {
    let experiment = &report.experiment;
    let title =
        format!("{} on {}", crate::headline::list(&experiment.contestants), experiment.machine);
    let who = report.headline.outcome.join("; ");
    let (first, rest) = who.split_once("; ").map_or((who.as_str(), None), |(a, b)| (a, Some(b)));
    let what: Vec<String> = report.headline.compared.iter().map(|line| escape(line)).collect();
    let mut page = format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content='width=device-width,initial-scale=1'>\
         <meta name=generator content='rota compare'><meta name=color-scheme content='light dark'>\
         <link rel=icon href='data:,'><title>{0}</title><style>{STYLE}</style></head><body>\
         <header><p class=brand>rota compare</p><h1>{1}</h1>{2}<p class=what>{3}</p></header><main>",
        escape(&title),
        escape(first),
        rest.map_or_else(String::new, |rest| format!("<p class=rest>{}</p>", escape(rest))),
        what.join("<br>"),
    );
    page += &scores(report);
    page += &warnings(report);
    page += &section("Measures", "measures", &tables(report));
    page += &section("Latencies", "latencies", &curves(results, report));
    page += &section("Every seed", "seeds", &dots(report));
    page += &section("What ran when", "timelines", &lanes(results));
    page += &section("What the numbers mean", "meanings", &meanings(report));
    page + "</main></body></html>\n"
}

/// A section, unless it is empty.
fn section(title: &str, id: &str, content: &str) -> String {
    match content.is_empty() {
        true => String::new(),
        false => format!("<section id={id}><h2>{title}</h2>{content}</section>"),
    }
}

/// Each contestant in a box: in how many main measures it is best, or beaten.
fn scores(report: &Report) -> String {
    let (rows, _) = counted(report);
    let names = report.experiment.contestants.iter().enumerate();
    let boxes = names.map(|(i, name)| {
        let best = rows.iter().filter(|it| it.row.best == Some(i)).count();
        let behind = rows.iter().filter(|it| it.row.behind.contains(&i)).count();
        let ended = match report.ended_of(i) {
            0 => String::new(),
            runs => format!(
                "<p class='pill worse'>ejected in {runs} of {}</p>",
                count(report.experiment.seeds.len(), "run")
            ),
        };
        format!(
            "<div class='card score'><h3>{}{}</h3><p><b>{best}</b> best of {}</p><p><b>{behind}</b> beaten</p>\
             <p><b>{}</b> level</p>{ended}</div>",
            swatch(i),
            escape(name),
            rows.len(),
            rows.len() - best - behind,
        )
    });
    format!("<div class=scores>{}</div>", boxes.collect::<String>())
}

/// What to beware of.
fn warnings(report: &Report) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines
        .extend(report.ended.iter().map(|ended| format!("ejected: {}", ended_line(report, ended))));
    let reversed = report.flips.iter().filter(|flip| flip.reversed);
    lines.extend(reversed.map(|flip| format!("depends on costs: {}", flip_line(report, flip))));
    let lost: Vec<String> = report
        .flips
        .iter()
        .filter(|flip| !flip.reversed)
        .map(|flip| format!("within noise at other costs: {}", lost_name(report, flip)))
        .collect();
    lines.extend(lost);
    list("warnings", "warnings", &lines)
}

/// A list of lines with a label, the later ones folded away.
fn list(class: &str, label: &str, lines: &[String]) -> String {
    const OPEN: usize = 6;
    let items = |lines: &[String]| -> String {
        lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect()
    };
    if lines.is_empty() {
        return String::new();
    }
    let (first, more) = lines.split_at(lines.len().min(OPEN));
    let mut text = format!("<ul class={class} aria-label={label}>{}</ul>", items(first));
    if !more.is_empty() {
        let _ = write!(
            text,
            "<details><summary>{} more</summary><ul class={class}>{}</ul></details>",
            more.len(),
            items(more)
        );
    }
    text
}

/// What is of the whole machine is open, groups of tasks are folded away.
fn folded(report: &Report, content: impl Fn(usize, &Group) -> String) -> String {
    let parts = report.groups.iter().enumerate().map(|(i, group)| {
        let (content, name) = (content(i, group), escape(&group_name(&group.name)));
        match (content.is_empty(), i) {
            (true, _) => String::new(),
            (false, 0) => content,
            (false, _) => format!("<details><summary>{name}</summary>{content}</details>"),
        }
    });
    parts.collect()
}

fn tables(report: &Report) -> String {
    folded(report, |_, group| format!("<div class=card>{}</div>", table::table(report, group)))
}

/// The contestants with their colours.
fn key(report: &Report) -> String {
    let names = report.experiment.contestants.iter().enumerate();
    let items = names.map(|(i, name)| format!("<li>{}{}</li>", swatch(i), escape(name)));
    format!("<ul class=key aria-label=contestants>{}</ul>", items.collect::<String>())
}

fn dots(report: &Report) -> String {
    let plots = folded(report, |i, group| {
        let rows = group.rows.iter().enumerate();
        let plots: String =
            rows.filter_map(|(j, row)| dots::plot(report, row, &format!("d{i}-{j}"))).collect();
        if plots.is_empty() { plots } else { format!("<div class=plots>{plots}</div>") }
    });
    match plots.is_empty() {
        true => plots,
        false => format!(
            "<p class=muted>A dot is a run, the upright line the median, the bar its interval. What \
             is the same in all runs is not shown.</p>{plots}"
        ),
    }
}

fn curves(results: &Results, report: &Report) -> String {
    let groups = report.groups.iter().enumerate();
    let plots = groups.flat_map(|(i, group)| {
        Latency::ALL.into_iter().filter_map(move |latency| {
            curves::plot(results, &group.name, latency, &format!("l{i}-{}", latency.name()))
        })
    });
    let plots: String = plots.collect();
    match plots.is_empty() {
        true => plots,
        false => format!(
            "{}<p class=muted>Which part of all times is at most so long, all seeds together. Both \
             axes are logarithmic, so the tail can be seen; further left is better.</p>\
             <div class=plots>{plots}</div>",
            key(report)
        ),
    }
}

fn lanes(results: &Results) -> String {
    let runs = results.runs().iter().filter(|run| run.timeline.is_some());
    let groups = lanes::groups(results.runs());
    let mut text = String::new();
    for (i, run) in runs.enumerate() {
        let Some(timeline) = &run.timeline else { continue };
        let contestant = &results.experiment().contestants[run.id.contestant as usize];
        let scale = results.experiment().scales[run.id.scale as usize];
        let name = match scale == results.experiment().scales[0] {
            true => format!("{contestant}, seed {}", run.id.seed),
            false => format!("{contestant}, seed {}, costs times {scale}", run.id.seed),
        };
        text += &lanes::plot(timeline, results.experiment().cpus, &name, &groups, &format!("t{i}"));
    }
    if text.is_empty() {
        return text;
    }
    let items = groups.iter().enumerate().map(|(i, group)| {
        format!("<li><i class='swatch g{}' aria-hidden=true></i>{}</li>", colour(i), escape(group))
    });
    format!("<ul class=key aria-label=groups>{}</ul>{text}", items.collect::<String>())
}

fn meanings(report: &Report) -> String {
    let mut text = String::from("<div class=card><dl>");
    let mut told = Vec::new();
    for row in report.groups.iter().flat_map(|group| &group.rows) {
        if !told.contains(&row.measure.name) {
            told.push(row.measure.name);
            let (title, meaning) = (escape(row.measure.title), escape(row.measure.meaning));
            let _ = write!(text, "<dt>{title}</dt><dd>{meaning}</dd>");
        }
    }
    text += "</dl><p>";
    text += &escape(&crate::text::legend(report, &SIGNS, true).join(". "));
    text += ".</p>";
    let noise = report.noise.as_ref().map(|noise| format!("noise: {}", noise.in_words()));
    let notes = report.notes.iter().map(|note| note.text.clone());
    let notes: Vec<String> = noise.into_iter().chain(notes).collect();
    text += &list("notes", "notes", &notes);
    let experiment = serde_json::to_string_pretty(&report.experiment).unwrap_or_default();
    let _ = write!(
        text,
        "<details><summary>experiment {}</summary><pre tabindex=0>{}</pre></details></div>",
        report.experiment.hash(),
        escape(&experiment)
    );
    text
}
