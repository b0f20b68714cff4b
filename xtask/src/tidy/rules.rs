// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules that look at one file alone.

use super::{Problem, Source};

const LICENCE: &str = concat!("SPDX-License-", "Identifier: GPL-2.0-or-later");
const LINES_MAX: usize = 900;
const CRATES_WITH_UNSAFE: &[&str] = &["kernel", "bytecode"];

/// What must not stand in code, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("todo", "!("), "write it, or return an error that says what is missing"),
    (concat!("unimplemented", "!("), "write it, or return an error that says what is missing"),
    (concat!("#[", "ignore"), "a test runs or goes; assert the wrong behaviour and say why"),
    (concat!("dbg", "!("), "remove it"),
    (concat!("FIX", "ME"), "fix it, or open an issue and describe the behaviour"),
    (concat!("X", "XX"), "say it in a sentence, or open an issue"),
    (concat!("allow(", "dead_code"), "remove what is not used"),
    (concat!("allow(", "unused"), "remove what is not used"),
    (concat!("allow(", "clippy"), "follow the lint, or expect(…, reason = …) on the one item"),
];

/// Applies every rule of this file.
pub(super) fn check(source: &Source<'_>, problems: &mut Vec<Problem>) {
    licence(source, problems);
    white_space(source, problems);
    length(source, problems);
    forbidden(source, problems);
    copyright(source, problems);
    unsafe_code(source, problems);
}

fn licence(source: &Source<'_>, problems: &mut Vec<Problem>) {
    let applies = source.is_code() || source.file_name() == "Cargo.toml";
    let first = source.lines().map(|(_, line)| line).find(|line| !line.starts_with("#!/"));
    if applies && !first.unwrap_or_default().contains(LICENCE) {
        problems.push(source.problem(1, format!("no licence; the first line says {LICENCE}")));
    }
}

fn white_space(source: &Source<'_>, problems: &mut Vec<Problem>) {
    if !source.is_written() {
        return;
    }
    for (number, line) in source.lines() {
        if line.ends_with([' ', '\t', '\r']) {
            problems.push(source.problem(number, "white space at the end, remove it"));
        }
        if source.has_extension(&["rs"]) && line.contains('\t') {
            problems.push(source.problem(number, "a tab, use spaces (or \\t in a string)"));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        let last = source.lines().count();
        problems.push(source.problem(last, "no newline at the end of the file, add one"));
    }
}

fn length(source: &Source<'_>, problems: &mut Vec<Problem>) {
    let lines = source.lines().count();
    if source.is_code() && lines > LINES_MAX {
        let what = format!("{lines} lines, split it by concern (at most {LINES_MAX})");
        problems.push(source.problem(LINES_MAX + 1, what));
    }
}

fn forbidden(source: &Source<'_>, problems: &mut Vec<Problem>) {
    if !source.is_code() {
        return;
    }
    for (number, line) in source.lines() {
        for (pattern, instead) in FORBIDDEN {
            if contains_word(line, pattern) {
                problems.push(source.problem(number, format!("`{pattern}`: {instead}")));
            }
        }
    }
}

fn copyright(source: &Source<'_>, problems: &mut Vec<Problem>) {
    if !source.is_written() {
        return;
    }
    for (number, line) in source.lines() {
        if line.to_ascii_lowercase().contains(concat!("copyright", " (c)")) {
            let what = "a copyright line; git knows who wrote what, the licence line is enough";
            problems.push(source.problem(number, what));
        }
    }
}

fn unsafe_code(source: &Source<'_>, problems: &mut Vec<Problem>) {
    let Some((name, rest)) = source.path.strip_prefix("crates/").and_then(|p| p.split_once('/'))
    else {
        return;
    };
    if !source.has_extension(&["rs"])
        || !rest.starts_with("src/")
        || CRATES_WITH_UNSAFE.contains(&name)
    {
        return;
    }
    for (number, line) in source.lines() {
        let code = line.split("//").next().unwrap_or_default();
        if contains_word(code, "unsafe") || contains_word(code, "unsafe_code") {
            let crates = CRATES_WITH_UNSAFE.join(", ");
            let what =
                format!("`unsafe` outside of {crates}; use a safe library, or move it there");
            problems.push(source.problem(number, what));
        }
    }
}

/// Whether `word` stands in `line` without being a part of a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let opens = word.starts_with(is_part);
    let closes = word.ends_with(is_part);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !(opens && before.is_some_and(is_part) || closes && after.is_some_and(is_part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the problems that `rule` finds.
    fn check_rule(
        rule: fn(&Source<'_>, &mut Vec<Problem>),
        path: &str,
        text: &str,
        expected: &[usize],
    ) {
        let mut problems = Vec::new();
        rule(&Source { path, text }, &mut problems);
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, expected, "{path}: {text:?}: {problems:?}");
    }

    #[test]
    fn licence_line() {
        let good = format!("// {LICENCE}\nfn main() {{}}\n");
        check_rule(licence, "a.rs", &good, &[]);
        check_rule(licence, "a.rs", &format!("\n{good}"), &[1]);
        check_rule(licence, "a.h", "#pragma once\n", &[1]);
        check_rule(licence, "a.c", "", &[1]);
        check_rule(licence, "run", &format!("#!/bin/sh\n# {LICENCE}\n"), &[]);
        check_rule(licence, "run", "#!/bin/sh\n", &[1]);
        check_rule(licence, "x/Cargo.toml", "[package]\n", &[1]);
        check_rule(licence, "clippy.toml", "x = 1\n", &[]);
        check_rule(licence, "a.md", "text\n", &[]);
    }

    #[test]
    fn white_space_at_ends_of_lines() {
        check_rule(white_space, "a.md", "one\ntwo \nthree\t\n", &[2, 3]);
        check_rule(white_space, "a.rs", "one\n\ttwo\n", &[2]);
        check_rule(white_space, "a.c", "one\n\ttwo\n", &[]);
        check_rule(white_space, "a.c", "one\ntwo", &[2]);
        check_rule(white_space, "tests/a.expected", "one \n", &[]);
    }

    #[test]
    fn length_of_files() {
        check_rule(length, "a.rs", &"\n".repeat(LINES_MAX), &[]);
        check_rule(length, "a.rs", &"\n".repeat(LINES_MAX + 1), &[LINES_MAX + 1]);
        check_rule(length, "a.md", &"\n".repeat(LINES_MAX + 1), &[]);
    }

    #[test]
    fn forbidden_words() {
        for (pattern, _) in FORBIDDEN {
            check_rule(forbidden, "a.rs", &format!("ok\n  {pattern} x\n"), &[2]);
            check_rule(forbidden, "a.md", &format!("{pattern} x\n"), &[]);
        }
        // The templates of mktemp, and words that merely contain one.
        check_rule(forbidden, "a.sh", "mktemp a.XXXXXX\n", &[]);
        check_rule(forbidden, "a.rs", "my_todo!()\n", &[]);
        check_rule(forbidden, "a.rs", "let dbg = 1; allow(missing_docs)\n", &[]);
    }

    #[test]
    fn copyright_lines() {
        check_rule(copyright, "a.c", concat!("// Copyright", " (c) someone\n"), &[1]);
        check_rule(copyright, "a.c", "// the copyright law\n", &[]);
        check_rule(copyright, "LICENSE", concat!("Copyright", " (C) someone\n"), &[]);
    }

    #[test]
    fn unsafe_only_where_it_belongs() {
        check_rule(unsafe_code, "crates/sched/src/a/b.rs", "x\nunsafe { y }\n", &[2]);
        check_rule(unsafe_code, "crates/sched/src/a.rs", "#![allow(unsafe_code)]\n", &[1]);
        check_rule(unsafe_code, "crates/sched/src/a.rs", "// unsafe\nlet unsafely = 1;\n", &[]);
        check_rule(unsafe_code, "crates/kernel/src/a.rs", "unsafe {}\n", &[]);
        check_rule(unsafe_code, "crates/bytecode/src/a.rs", "unsafe {}\n", &[]);
        check_rule(unsafe_code, "crates/sim/src/a.rs", "unsafe {}\n", &[1]);
        check_rule(unsafe_code, "xtask/src/a.rs", "unsafe {}\n", &[]);
    }
}
