// SPDX-License-Identifier: GPL-2.0-or-later
//! Results for people: one line a program, aligned, and what was rejected and why.

use crate::verify::compare::{Compared, Comparison};
use crate::verify::explain;
use crate::verify::figures::{FIGURES, Figure};
use crate::verify::{Row, Verdict};

/// The figures whose changes are shown.
const COMPARED: [Figure; 2] = [Figure::Insns, Figure::States];

/// All results as a table, compared to a saved result if there is one; with a column for the
/// kernel if wanted.
pub fn table(rows: &[Row], comparison: Option<&Comparison>, with_kernel: bool) -> String {
    let mut lines = match comparison {
        Some(comparison) => compared_lines(comparison),
        None => plain_lines(rows),
    };
    if !with_kernel {
        lines.iter_mut().for_each(|line| drop(line.remove(0)));
    }
    let left = if with_kernel { 4 } else { 3 };
    align(&lines, left) + &totals(rows, comparison)
}

/// Every rejection in words; an object that can't be loaded at all is told of once.
pub fn rejections(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut told = None;
    for row in rows {
        let Some(rejection) = &row.rejection else { continue };
        let object = (&row.kernel, &row.object);
        if rejection.whole_object && told.replace(object) == Some(object) {
            continue;
        }
        let what = if rejection.whole_object { "the whole object" } else { row.program.as_str() };
        let name = format!("{}: {what}", row.object);
        let name = if row.kernel.is_empty() { name } else { format!("{name} on {}", row.kernel) };
        let words = explain::text(&name, &rejection.message, rejection.cause, &rejection.steps);
        text += &format!("\n{words}");
    }
    text
}

fn first(row: &Row) -> Vec<String> {
    let kernel = row.kernel.split(['+', '-']).next().unwrap_or_default().to_owned();
    vec![kernel, row.object.clone(), row.program.clone(), row.verdict.word().to_owned()]
}

fn head() -> Vec<String> {
    ["kernel", "object", "program", "verdict"].map(str::to_owned).to_vec()
}

fn plain_lines(rows: &[Row]) -> Vec<Vec<String>> {
    let mut lines = vec![head()];
    lines[0].extend(FIGURES.iter().map(|info| info.header.to_owned()));
    lines[0].push(String::new());
    for row in rows {
        let mut line = first(row);
        line.extend(FIGURES.iter().map(|info| number(row.figures.get(info.figure))));
        line.push(format!("  {} {}", row.program_type, row.attach_type));
        lines.push(line);
    }
    lines
}

fn compared_lines(comparison: &Comparison) -> Vec<Vec<String>> {
    let mut lines = vec![head()];
    for figure in COMPARED {
        let name = FIGURES[figure as usize].header;
        lines[0].extend([name, "before", "diff", "diff %"].map(str::to_owned));
    }
    lines[0].push(String::new());
    for compared in &comparison.rows {
        let mut line = first(&compared.row);
        for figure in COMPARED {
            line.extend(change(compared, figure));
        }
        line.push(remark(compared));
        lines.push(line);
    }
    for saved in &comparison.removed {
        let kernel = saved.kernel.clone().unwrap_or_default();
        let mut line = vec![kernel, saved.object.clone(), saved.program.clone(), "-".to_owned()];
        for figure in COMPARED {
            line.extend(["-".into(), number(saved.figures.get(figure)), "-".into(), "-".into()]);
        }
        line.push("  gone".to_owned());
        lines.push(line);
    }
    lines
}

fn change(compared: &Compared, figure: Figure) -> [String; 4] {
    let after = number(compared.row.figures.get(figure));
    match compared.change(figure) {
        None => [after, "-".into(), "-".into(), "-".into()],
        Some(change) => {
            let percent = change.percent().map_or("-".into(), |share| format!("{share:+.1}"));
            [after, change.before.to_string(), format!("{:+}", change.diff()), percent]
        }
    }
}

fn remark(compared: &Compared) -> String {
    let was_rejected = compared.saved.as_ref().is_some_and(|s| s.verdict == Verdict::Failure);
    match (&compared.regressions[..], &compared.saved) {
        ([], None) => "  new".to_owned(),
        ([], Some(_)) if was_rejected && compared.row.verdict == Verdict::Success => {
            "  accepted now".to_owned()
        }
        ([], Some(_)) if was_rejected => "  rejected as before".to_owned(),
        ([], Some(_)) => String::new(),
        (found, _) => format!("  REGRESSION: {}", found.join(", ")),
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or("-".to_owned(), |v| v.to_string())
}

/// Columns of equal width; the first ones are texts, and so is the last.
fn align(lines: &[Vec<String>], left: usize) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut out = String::new();
        for (i, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let gap = if i == 0 || i + 1 == columns { "" } else { "  " };
            out += gap;
            out += &match i {
                _ if i + 1 == columns => cell.clone(),
                _ if i < left => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            };
        }
        text += out.trim_end();
        text.push('\n');
    }
    text
}

fn totals(rows: &[Row], comparison: Option<&Comparison>) -> String {
    let accepted = rows.iter().filter(|row| row.verdict == Verdict::Success).count();
    let sum = |figure| rows.iter().filter_map(|row| row.figures.get(figure)).sum::<u64>();
    let mut text = format!(
        "{accepted} accepted, {} rejected; {} insns, {} states, {} ms",
        rows.len() - accepted,
        sum(Figure::Insns),
        sum(Figure::States),
        sum(Figure::VerificationUs) / 1000,
    );
    if let Some(comparison) = comparison {
        let new = comparison.rows.iter().filter(|compared| compared.saved.is_none()).count();
        text += &format!(
            "; {} regressions, {new} new, {} gone",
            comparison.regressions(),
            comparison.removed.len()
        );
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::compare::{Limit, compare};
    use crate::verify::tests::row;
    use crate::verify::{Baseline, Cause, Rejection, to_csv};

    #[test]
    fn results() {
        let rows = [row("simple", "simple_enqueue", 66, 4), row("simple", "f", 4, 0)];
        let expected = "\
object  program         verdict  insns  states  peak  per insn  read  time us  size  jited  stack
simple  simple_enqueue  success     66       4     -         -     -        -     -      -      -  struct_ops enqueue
simple  f               success      4       0     -         -     -        -     -      -      -  struct_ops enqueue
2 accepted, 0 rejected; 70 insns, 4 states, 0 ms
";
        assert_eq!(table(&rows, None, false), expected);
        assert!(table(&rows, None, true).contains("\n7.3.4   simple  simple_enqueue  success"));
    }

    #[test]
    fn a_comparison() {
        let before = [row("a", "f", 100, 4), row("a", "gone", 5, 1), row("a", "zero", 1, 0)];
        let baseline = Baseline::parse(&to_csv(&before, false)).unwrap();
        let now = [row("a", "f", 150, 3), row("a", "new", 7, 7), row("a", "zero", 1, 2)];
        let limits = vec![(Figure::Insns, Limit::Percent(5.0))];
        let found = compare(&now, &baseline, &limits);
        let expected = "\
object  program  verdict  insns  before  diff  diff %  states  before  diff  diff %
a       f        success    150     100   +50   +50.0       3       4    -1   -25.0  REGRESSION: insns over +5%
a       new      success      7       -     -       -       7       -     -       -  new
a       zero     success      1       1    +0    +0.0       2       0    +2       -
a       gone     -            -       5     -       -       -       1     -       -  gone
3 accepted, 0 rejected; 158 insns, 12 states, 0 ms; 1 regressions, 1 new, 1 gone
";
        assert_eq!(table(&now, Some(&found), false), expected);
    }

    #[test]
    fn an_object_that_can_t_be_loaded_is_told_of_once() {
        let mut rows = [row("a", "f", 1, 1), row("a", "g", 1, 1)];
        for row in &mut rows {
            row.rejection = Some(Rejection {
                message: "no such function".into(),
                cause: Some(Cause::MissingFunction),
                steps: Vec::new(),
                whole_object: true,
            });
        }
        let text = rejections(&rows);
        assert_eq!(text.matches("was rejected: no such function").count(), 1);
        assert!(text.contains("a: the whole object on 7.3.4"));
        assert_eq!(rejections(&[row("a", "f", 1, 1)]), "");
    }
}
