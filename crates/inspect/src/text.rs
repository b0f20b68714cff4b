// SPDX-License-Identifier: GPL-2.0-or-later
//! Text for people, in lines that fit.

use std::fmt::Write as _;

/// Appends words in lines of at most `width` columns: the first starts with a text, the others
/// are indented.
pub(crate) fn push(text: &mut String, (head, indent): (&str, usize), words: &str, width: usize) {
    let mut line = head.to_owned();
    let mut empty = true;
    for word in words.split_ascii_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Lines of words in columns, two spaces apart, as wide as their longest word.
pub(crate) fn columns(lines: &[Vec<String>]) -> String {
    let most = lines.iter().map(Vec::len).max().unwrap_or(0);
    let long =
        |at: usize| lines.iter().filter_map(|line| Some(line.get(at)?.chars().count())).max();
    let widths: Vec<usize> = (0..most).map(|at| long(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let words = line.iter().zip(&widths).map(|(word, width)| format!("{word:width$}"));
        let _ = writeln!(text, "{}", words.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// A size in memory, short.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
