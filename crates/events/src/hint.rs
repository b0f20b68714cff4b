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

/// The same with a sentence more behind it.
pub fn hint_and(given: &str, known: &[&str], more: &str) -> String {
    let hint = hint(given, known);
    let stop = if hint.ends_with('?') { "" } else { "." };
    format!("{hint}{stop} {more}")
}

/// The word that somebody may have meant.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let nearest = known.iter().map(|name| (distance(given, name), *name)).min();
    // Some letter of it has to be the same.
    let near = |far: usize| far <= 1 + given.len() / 4 && far < given.chars().count();
    nearest.filter(|(far, _)| near(*far)).map(|(_, name)| name)
}

/// How many letters have to be added, removed, replaced or swapped with their neighbour to get from
/// one word to another.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // For the first letters of `a`, one more in each row, and those of `b`.
    let mut rows = [vec![0; b.len() + 1], vec![0; b.len() + 1], (0..=b.len()).collect()];
    for i in 1..=a.len() {
        rows.rotate_left(1);
        let [two_before, before, row] = &mut rows;
        row[0] = i;
        for j in 1..=b.len() {
            let replaced = before[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(before[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(two_before[j - 2] + 1);
            }
        }
    }
    rows[2][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_begins_a_sentence() {
        let known = ["laptop", "server"];
        assert_eq!(hint_and("labtop", &known, "Or a file."), "; did you mean laptop? Or a file.");
        assert_eq!(hint_and("x", &known, "Or a file."), "; there are: laptop, server. Or a file.");
    }

    #[test]
    fn distances() {
        let cases = [
            ("", "abc", 3),
            ("run", "run", 0),
            ("peroid", "period", 1),
            ("tsk", "task", 1),
            ("rnu", "run", 1),
        ];
        for (a, b, far) in cases {
            assert_eq!(distance(a, b), far, "{a} {b}");
        }
    }
}
