// SPDX-License-Identifier: GPL-2.0-or-later
//! Links between our documents lead somewhere.

use super::{Problem, Source};

/// Checks the relative links of a Markdown file. `exists` is asked for paths from the root.
pub(super) fn check(
    source: &Source<'_>,
    exists: impl Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) {
    if !source.has_extension(&["md"]) {
        return;
    }
    let mut in_code = false;
    for (number, line) in source.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let reachable = resolve(source.path, target).is_some_and(|path| exists(&path));
            if !reachable {
                let what = format!("link to `{target}`, which is not there; correct it");
                problems.push(source.problem(number, what));
            }
        }
    }
}

/// The relative files that a line links to, without `#anchor` and title.
fn targets(line: &str) -> Vec<&str> {
    // The odd pieces between backticks are code.
    let prose = line.split('`').step_by(2);
    let inline = prose.flat_map(|text| text.split("](").skip(1));
    let inline = inline.filter_map(|rest| rest.split([')', ' ']).next());
    // A reference: `[name]: target`.
    let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    let reference = reference.and_then(|(_, rest)| rest.split_whitespace().next());
    let is_elsewhere = |target: &&str| target.contains("://") || target.starts_with("mailto:");
    let all = inline.chain(reference).filter(|target| !is_elsewhere(target));
    let files = all.filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty()).collect()
}

/// The path from the root of what `target` means in the file `from`; None if outside of the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_links(line: &str, expected: usize) {
        let mut problems = Vec::new();
        let files = ["README.md", "docs/book.md", "docs/why.md", "docs"];
        let source = Source { path: "docs/book.md", text: line };
        check(&source, |path| files.contains(&path), &mut problems);
        assert_eq!(problems.len(), expected, "{line}: {problems:?}");
    }

    #[test]
    fn good_links() {
        check_links("see [why](why.md#part), [top](../README.md \"title\"), [here](#part)\n", 0);
        check_links("see [all](.) and [web](https://docs.rs/none.md) and [us](mailto:a@b)\n", 0);
        check_links("code `[x](none.md)` is code\n```\n[x](none.md)\n```\n", 0);
        check_links("[why]: why.md \"title\"\n[root]: /README.md\n", 0);
    }

    #[test]
    fn broken_links() {
        check_links("see [why](wy.md) and [why](why.md)\n", 1);
        check_links("see [outside](../../README.md)\n", 1);
        check_links("```\ncode\n```\n[why]: wy.md\n", 1);
        check_links("`a` [x](none.md)\n", 1);
    }

    #[test]
    fn only_markdown() {
        let mut problems = Vec::new();
        check(&Source { path: "a.rs", text: "[x](none.md)\n" }, |_| false, &mut problems);
        assert!(problems.is_empty());
    }
}
