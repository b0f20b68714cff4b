// SPDX-License-Identifier: GPL-2.0-or-later
//! What somebody may have meant who wrote a word that there is not.

/// What somebody may have meant by a name that nobody knows, or what there is; to be put behind a
/// message.
pub fn hint(given: &str, known: &[&str]) -> String {
    match nearest(given, known) {
        Some(name) => format!("; did you mean {name}?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}

/// The word that somebody may have meant.
pub(crate) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let nearest = known.iter().map(|name| (distance(given, name), *name)).min();
    nearest.filter(|(far, _)| *far <= 1 + given.len() / 4).map(|(_, name)| name)
}

/// How many letters have to be added, removed or replaced to get from one word to another.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let replaced = before + usize::from(letter != *other);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases =
            [("", "abc", 3), ("run", "run", 0), ("peroid", "period", 2), ("tsk", "task", 1)];
        for (a, b, far) in cases {
            assert_eq!(distance(a, b), far, "{a} {b}");
        }
    }
}
