// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of a group of tasks.

use super::SIGNS;
use super::svg::escape;
use crate::difference::Verdict;
use crate::measure::{Better, Measure};
use crate::number;
use crate::report::{Cell, Group, Report, Row};
use std::fmt::Write;

/// A row for each measure, a column for each contestant.
pub(super) fn table(report: &Report, group: &Group) -> String {
    let mut text = format!(
        "<table><caption class=hidden>Measures of {}</caption><thead><tr><th scope=col>measure</th>",
        escape(&super::group_name(&group.name))
    );
    for (i, name) in report.experiment.contestants.iter().enumerate() {
        // Writing to a string can't fail.
        let _ = write!(text, "<th scope=col>{}{}</th>", super::swatch(i), escape(name));
    }
    text += "</tr></thead><tbody>";
    for row in group.rows.iter().filter(|row| !row.is_nothing()) {
        let _ = write!(
            text,
            "<tr><th scope=row title='{}'>{}{}</th>",
            escape(row.measure.meaning),
            escape(row.measure.title),
            goal(row.measure),
        );
        for (i, cell) in row.cells.iter().enumerate() {
            text += &self::cell(report, row, i, cell);
        }
        text += "</tr>";
    }
    text + "</tbody></table>"
}

fn goal(measure: Measure) -> &'static str {
    match measure.better {
        Better::Higher => {
            " <span class=muted title='more is better' aria-label='more is better'>↑</span>"
        }
        Better::Lower => {
            " <span class=muted title='less is better' aria-label='less is better'>↓</span>"
        }
        Better::Neither => "",
    }
}

fn cell(report: &Report, row: &Row, contestant: usize, cell: &Cell) -> String {
    let name = escape(&report.experiment.contestants[contestant]);
    let Some(estimate) = &cell.estimate else {
        return format!("<td data-name='{name}'><div class=muted>{}</div></td>", SIGNS.no_value);
    };
    let (median, interval) = number::parts(row.measure.unit, estimate);
    let best = if row.best == Some(contestant) { " class=best" } else { "" };
    let mut text = format!("<td data-name='{name}'{best}><div><span class=median>{median}</span>");
    if let Some((low, high)) = interval {
        let _ = write!(text, " <span class=range>{low}{}{high}</span>", SIGNS.to);
    }
    if estimate.n != report.experiment.seeds.len() {
        let _ = write!(text, " <span class=muted>of {}</span>", super::count(estimate.n, "run"));
    }
    if let Some(difference) = &cell.difference {
        let class = match difference.verdict {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            _ => "same",
        };
        let words = match difference.verdict {
            Verdict::Noise => SIGNS.noise.to_owned(),
            Verdict::Equal => SIGNS.equal.to_owned(),
            Verdict::TooFew => SIGNS.too_few.to_owned(),
            _ => number::difference(row.measure.unit, difference),
        };
        let _ = write!(text, " <span class='pill {class}'>{words}</span>");
    }
    if row.best == Some(contestant) {
        let _ = write!(text, " <span class='pill won'>{}</span>", SIGNS.best);
    }
    text + "</div></td>"
}
