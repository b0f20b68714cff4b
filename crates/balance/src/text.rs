// SPDX-License-Identifier: GPL-2.0-or-later
//! Snapshots as text: in TOML, for people who want to try something, and in JSON, for programs. What
//! stands there is the same.

use serde::Deserialize;
use serde_json::value::RawValue;
use toml::Spanned;

use crate::form::{DomainTable, Form, FormError, Placed, TaskTable, Written};
use crate::{Policy, Snapshot};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct TextError {
    /// Its line, from 1 on.
    pub line: usize,
    /// Its column in that line, in characters from 1 on.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

impl TextError {
    fn new(text: &str, error: FormError) -> Self {
        let mut at = error.at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: error.problem,
        }
    }
}

/// Reads a snapshot and, where the file has some, settings of the policy. It is TOML, or JSON if it
/// begins with `{`: what [`write()`] gives, or anything that has that as its `snapshot`, such as what
/// [`report`](crate::report()) gives. `rota balance explain --help` says what a file has.
///
/// # Errors
///
/// The text is neither, has a key that is none, or says something that can't be.
pub fn read(text: &str) -> Result<(Snapshot, Policy), TextError> {
    let is_json = text.trim_start().starts_with('{');
    let form = if is_json { from_json(text) } else { from_toml(text) };
    form.and_then(|form| form.read()).map_err(|error| TextError::new(text, error))
}

/// Writes a snapshot and the settings of a policy, in one line of JSON. Reading it gives the same
/// numbers, to the last bit.
pub fn write(snapshot: &Snapshot, policy: &Policy) -> String {
    serde_json::to_string(&Written::new(snapshot, policy)).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    schema: Option<Spanned<String>>,
    policy: Option<Spanned<Policy>>,
    distances: Option<Spanned<Vec<Vec<u32>>>>,
    #[serde(default)]
    domain: Vec<Spanned<DomainTable>>,
    #[serde(default)]
    task: Vec<Spanned<TaskTable>>,
}

fn from_toml(text: &str) -> Result<Form, FormError> {
    fn placed<T>(spanned: Spanned<T>) -> Placed<T> {
        Placed { at: spanned.span().start, is: spanned.into_inner() }
    }
    let toml: Toml = toml::from_str(text).map_err(|error| FormError {
        at: error.span().map_or(0, |span| span.start),
        problem: error.message().lines().collect::<Vec<_>>().join(", "),
    })?;
    Ok(Form {
        schema: toml.schema.map(placed),
        policy: toml.policy.map(placed),
        distances: toml.distances.map(placed),
        domain: toml.domain.into_iter().map(placed).collect(),
        task: toml.task.into_iter().map(placed).collect(),
    })
}

/// What has a snapshot in it, if anything does.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    snapshot: Option<&'a RawValue>,
}

/// Its parts are read one by one, as each is where its text is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    #[serde(borrow)]
    policy: Option<&'a RawValue>,
    #[serde(borrow)]
    distances: Option<&'a RawValue>,
    #[serde(borrow, default)]
    domain: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    task: Vec<&'a RawValue>,
}

fn from_json(text: &str) -> Result<Form, FormError> {
    fn all<'a, T: Deserialize<'a>>(
        text: &'a str,
        parts: Vec<&'a RawValue>,
    ) -> Result<Vec<Placed<T>>, FormError> {
        parts.into_iter().map(|part| json(text, part.get())).collect()
    }
    let outer: Placed<Outer<'_>> = json(text, text)?;
    let part = outer.is.snapshot.map_or(text, RawValue::get);
    let Json { schema, policy, distances, domain, task } = json(text, part)?.is;
    Ok(Form {
        schema: schema.map(|part| json(text, part.get())).transpose()?,
        policy: policy.map(|part| json(text, part.get())).transpose()?,
        distances: distances.map(|part| json(text, part.get())).transpose()?,
        domain: all(text, domain)?,
        task: all(text, task)?,
    })
}

/// Reads a part of a text.
fn json<'a, T: Deserialize<'a>>(text: &'a str, part: &'a str) -> Result<Placed<T>, FormError> {
    let at = part.as_ptr().addr() - text.as_ptr().addr();
    let is = serde_json::from_str(part).map_err(|error| {
        let lines = part.split_inclusive('\n').take(error.line().saturating_sub(1));
        let line: usize = lines.map(str::len).sum();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let words = error.to_string();
        FormError {
            at: at + line + error.column().saturating_sub(1),
            problem: words.strip_suffix(&place).unwrap_or(&words).to_owned(),
        }
    })?;
    Ok(Placed { at, is })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Domain, Entity};

    const TOML: &str = "\
        distances = [[10, 30], [30, 10]]\n\
        policy = { moves_max = 3, rest_ns = 5_000_000 }\n\
        [[domain]]\ncpus = 4\n\
        [[domain]]\nstrengths = [0.5, 1, 0.5]\nnode = 1\nother = 0.25\n\
        [[task]]\ncount = 2\ndomain = 0\nduty = 1\n\
        [[task]]\nid = 9\ndomain = 1\nduty = 0.5\nweight = 3\ndomains = [1]\nstayed_ns = 7\n";

    const JSON: &str = r#"{
        "distances": [[10, 30], [30, 10]],
        "policy": {"moves_max": 3, "rest_ns": 5000000},
        "domain": [
            {"cpus": 4},
            {"capacity": 2, "strongest": 1.0, "node": 1, "other": 0.25}
        ],
        "task": [
            {"count": 2, "domain": 0, "duty": 1},
            {"id": 9, "domain": 1, "duty": 0.5,
             "weight": 3, "domains": [1], "stayed_ns": 7}
        ]
    }"#;

    #[test]
    fn a_file() {
        let (snapshot, policy) = read(TOML).unwrap();
        assert_eq!((policy.moves_max, policy.rest_ns, policy.start), (3, 5_000_000, 0.05));
        let domain = Domain { capacity: 2.0, strongest: 1.0, node: 1, other: 0.25 };
        assert_eq!((snapshot.domains.len(), snapshot.domains[1]), (2, domain));
        assert_eq!(snapshot.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [0, 1, 9]);
        let task = snapshot.tasks[2];
        assert_eq!(task.entity, Entity { weight: 3.0, duty: 0.5 });
        assert_eq!((task.allowed, task.stayed_ns), (Some(0), 7));
        assert_eq!(snapshot.distance(0, 1), 30);
        assert_eq!(read("").unwrap().0, Snapshot::default());
        assert_eq!(read(JSON).unwrap(), (snapshot.clone(), policy));
        let written = write(&snapshot, &policy);
        assert_eq!(read(&written).unwrap(), (snapshot.clone(), policy));
        let inside = format!("\n {{\"schema\": 7, \"snapshot\": {written}, \"moves\": 2}}");
        assert_eq!(read(&inside).unwrap(), (snapshot, policy));
    }

    fn wrong(good: &str, from: &str, to: &str, expected: &str) {
        assert!(good.contains(from));
        let error = read(&good.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn mistakes_in_toml_have_their_place() {
        let wrong = |from: &str, to: &str, expected: &str| wrong(TOML, from, to, expected);
        wrong("duty = 1\n", "duty = -1\n", "9:1: task 0: duty -1 is not");
        wrong("duty = 1\n", "duty = \n", "12:8: ");
        wrong("duty = 1\n", "", "9:1: missing field `duty`");
        wrong("weight = 3", "wait = 3", "17:1: unknown field `wait`");
        wrong("weight = 3", "weight = nan", "13:1: task 9: weight NaN");
        wrong("domains = [1]", "domains = [2]", "13:1: the task may use domain 2");
        wrong("id = 9", "id = 1", "13:1: there are two tasks 1");
        wrong("count = 2", "count = 2000000", "9:1: more than 1000000 tasks");
        wrong("domain = 1", "domain = 2", "13:1: task 9 is in domain 2");
        wrong("cpus = 4\n", "", "3:1: a domain has `cpus`, `strengths`, or");
        wrong("cpus = 4\n", "capacity = 4\n", "3:1: a domain has `cpus`, `strengths`, or");
        wrong("node = 1", "node = 5000", "5:1: node 5000 is too high");
        wrong("node = 1", "node = 2", "5:1: domain 1 is on node 2");
        wrong("[0.5, 1, 0.5]", "[0.5, -1]", "5:1: a CPU's strength is -1");
        wrong("[30, 10]]", "[30]]", "1:13: node 1 has 1 distances");
        wrong("moves_max = 3", "start = 0.01", "2:10: stop is 0.025");
        wrong("moves_max = 3", "starts = 0.01", "2:12: unknown field `starts`");
        wrong("dist", "schema = 'x/1'\ndist", "1:10: the schema is x/1, expected rota-balance-");
    }

    #[test]
    fn mistakes_in_json_have_their_place() {
        let wrong = |from: &str, to: &str, expected: &str| wrong(JSON, from, to, expected);
        wrong("\"duty\": 1}", "\"duty\": -1}", "9:13: task 0: duty -1 is not");
        wrong("\"duty\": 1}", "\"duty\": }", "9:47: expected value");
        wrong("\"duty\": 1}", "\"count\": 2}", "9:45: duplicate field `count`");
        wrong(", \"duty\": 1}", "}", "9:37: missing field `duty`");
        wrong("\"weight\"", "\"wait\"", "11:19: unknown field `wait`, expected one of `id`");
        wrong("\"weight\": 3", "\"weight\": 0", "10:13: task 9: weight 0");
        wrong("[1]", "[2]", "10:13: the task may use domain 2");
        wrong("[1]", "[-1]", "11:40: invalid value: integer `-1`");
        wrong("\"capacity\": 2", "\"cpus\": 2", "6:13: a domain has `cpus`, `strengths`, or");
        wrong("\"node\": 1", "\"node\": 2", "6:13: domain 1 is on node 2");
        wrong("[30, 10]]", "[30]]", "2:22: node 1 has 1 distances");
        wrong("\"moves_max\": 3", "\"start\": 0.01", "3:19: stop is 0.025");
        wrong("\"task\"", "\"tasks\"", "8:15: unknown field `tasks`, expected one of");
        wrong("{\n", "{ \"schema\": 7,\n", "1:13: invalid type: integer `7`");
        wrong("{\n", "{ \"schema\": \"x/1\",\n", "1:13: the schema is x/1, expected rota-");
        wrong("7}\n        ]\n    }", "7}\n        ]\n", "13:1: EOF while parsing");
        let error = read("{\"snapshot\":\n[]}").unwrap_err().to_string();
        assert!(error.starts_with("2:"), "{error}");
    }

    #[test]
    fn ids_go_on_from_the_highest() {
        let text = "[[domain]]\ncpus = 1\n[[task]]\nid = 7\ndomain = 0\nduty = 1\n\
                    [[task]]\nid = 2\ndomain = 0\nduty = 1\n[[task]]\ncount = 2\ndomain = 0\nduty = 1\n";
        let (snapshot, _) = read(text).unwrap();
        assert_eq!(snapshot.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [7, 2, 8, 9]);
    }
}
