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
