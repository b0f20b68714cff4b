// SPDX-License-Identifier: GPL-2.0-or-later
//! A diagnosis as text for people.

use super::{Diagnosis, Finding, Status};
use crate::text;

const STATUS_WIDTH: usize = 8;
/// Lines are never made narrower than this.
const WIDTH_MIN: usize = 60;

impl Diagnosis {
    /// The verdict, an empty line, and a line for each finding: status, what was looked at, what
    /// was found. Below those that are not ok: what follows, and after an arrow what to do.
    ///
    /// Lines are broken at `width` columns.
    pub fn to_table(&self, width: usize) -> String {
        let width = width.max(WIDTH_MIN);
        let mut text = String::new();
        text::push(&mut text, ("verdict: ", 0), &self.verdict, width);
        text.push('\n');
        let names = self.findings.iter().map(|f| f.id.len()).max().unwrap_or(0);
        for finding in &self.findings {
            push_finding(&mut text, finding, names, width);
        }
        text
    }
}

impl Status {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Missing => "MISSING",
            Self::Unknown => "unknown",
        }
    }
}

fn push_finding(text: &mut String, finding: &Finding, names: usize, width: usize) {
    let name = finding.id.replace('_', " ");
    let head = format!("{:STATUS_WIDTH$} {name:names$}  ", finding.status.word());
    let indent = head.len();
    text::push(text, (&head, indent), &finding.found, width);
    if finding.status == Status::Ok {
        return;
    }
    let below = " ".repeat(indent);
    text::push(text, (&below, indent), &finding.means, width);
    if let Some(advice) = &finding.advice {
        text::push(text, (&format!("{below}-> "), indent + 3), advice, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_and_indented() {
        let finding = |id: &str, status, advice: Option<&str>| Finding {
            id: id.into(),
            status,
            found: "one two three four five six seven eight nine ten".into(),
            means: "So it is.".into(),
            advice: advice.map(str::to_owned),
            blocks: None,
        };
        let diagnosis = Diagnosis {
            schema: "rota-doctor/1",
            can_run: false,
            verdict: "no".into(),
            kernel: None,
            scheduler: None,
            findings: vec![
                finding("a_long_name", Status::Ok, Some("Nothing.")),
                finding("b", Status::Missing, Some("Do this.")),
            ],
        };
        let expected = "\
verdict: no

ok       a long name  one two three four five six seven
                      eight nine ten
MISSING  b            one two three four five six seven
                      eight nine ten
                      So it is.
                      -> Do this.
";
        assert_eq!(diagnosis.to_table(0), expected);
    }
}
