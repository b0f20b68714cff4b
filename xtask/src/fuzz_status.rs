// SPDX-License-Identifier: GPL-2.0-or-later
//! What libFuzzer prints while it runs, and the table of it.

use std::fmt::{self, Write};

/// Where a fuzzer stands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// Whether it found nothing wrong; known at the end.
    pub(crate) ok: bool,
    executions: u64,
    per_second: u64,
    /// Places reached, of all that are counted.
    reached: u64,
    places: u64,
    /// Places with how often, and comparisons with how near.
    features: u64,
}

impl Status {
    /// Takes from a line what it says.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some((_, rest)) = line.split_once("INFO: Loaded ") {
            // `INFO: Loaded 1 modules   (88 inline 8-bit counters): …`
            let count = rest.split_once('(').map(|(_, rest)| rest);
            set(&mut self.places, count);
        } else if let Some(rest) = line.strip_prefix("stat::number_of_executed_units:") {
            set(&mut self.executions, Some(rest));
        } else if let Some(rest) = line.strip_prefix("stat::average_exec_per_sec:") {
            set(&mut self.per_second, Some(rest));
        } else if let Some(rest) = line.strip_prefix('#') {
            // `#88  NEW    cov: 88 ft: 88 corp: 88/8b lim: 8 exec/s: 88 rss: 88Mb …`
            let after = |word| rest.split_once(word).map(|(_, rest)| rest);
            if let Some(cov) = after(" cov: ") {
                set(&mut self.executions, Some(rest));
                set(&mut self.reached, Some(cov));
                set(&mut self.features, after(" ft: "));
                set(&mut self.per_second, after(" exec/s: "));
            }
        }
    }
}

/// Sets a number to the one that a text starts with, if there is one.
fn set(number: &mut u64, text: Option<&str>) {
    let text = text.unwrap_or_default().trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if let Ok(found) = text[..end].parse() {
        *number = found;
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, per_second, reached, places, features, .. } = self;
        write!(
            f,
            "{executions} inputs, {per_second} a second; {reached} of {places} places, \
             {features} features"
        )
    }
}

/// A target, and what came of it.
pub(crate) struct Row {
    pub(crate) target: String,
    pub(crate) status: Status,
    /// Inputs that are kept, and their bytes.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// All of it as Markdown, as `docs/testing.md` has it.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text =
        "\n| target | inputs | a second | places reached | features | corpus | found |\n\
                    | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for Row { target, status, files, bytes } in rows {
        let Status { ok, executions, per_second, reached, places, features } = status;
        let (kib, found) = (bytes.div_ceil(1024), if *ok { "nothing" } else { "SOMETHING" });
        let _ = writeln!(
            text,
            "| `{target}` | {executions} | {per_second} | {reached} of {places} | {features} | \
             {files} files, {kib} KiB | {found} |"
        );
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libfuzzer_prints() {
        let mut status = Status::default();
        let lines = [
            "INFO: Loaded 1 modules   (17 inline 8-bit counters): 17 [0x1, 0x2), ",
            "INFO: Loaded 1 PC tables (17 PCs): 17 [0x1,0x2), ",
            "#2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#512\tpulse  cov: 9 ft: 12 corp: 7/88b lim: 4096 exec/s: 256 rss: 31Mb",
            "Done 600 runs in 2 second(s)",
            "stat::number_of_executed_units: 600",
            "stat::average_exec_per_sec:     300",
        ];
        lines.iter().for_each(|line| status.read(line));
        let expected = Status {
            ok: false,
            executions: 600,
            per_second: 300,
            reached: 9,
            places: 17,
            features: 12,
        };
        assert_eq!(status, expected);
        let row = Row { target: "elf".into(), status, files: 7, bytes: 1025 };
        let line = "| `elf` | 600 | 300 | 9 of 17 | 12 | 7 files, 2 KiB | SOMETHING |";
        assert!(table(&[row]).ends_with(line));
    }
}
