// SPDX-License-Identifier: GPL-2.0-or-later
//! Snapshots as TOML, for people who want to try something.

use serde::Deserialize;
use toml::Spanned;

use crate::{Domain, DomainSet, Entity, Policy, PolicyError, Snapshot, SnapshotError, Task};

/// The most tasks and the most CPUs that a file may stand for.
const MANY: usize = 1_000_000;
/// The most nodes of a file.
const NODES_MAX: usize = 1024;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: Option<Spanned<PolicyTable>>,
    distances: Option<Spanned<Vec<Vec<u32>>>>,
    #[serde(default)]
    domain: Vec<Spanned<DomainTable>>,
    #[serde(default)]
    task: Vec<Spanned<TaskTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    moves_max: Option<usize>,
    start: Option<f64>,
    stop: Option<f64>,
    gain_min: Option<f64>,
    rest_ms: Option<u64>,
    horizon_ms: Option<f64>,
    move_ns: Option<f64>,
    refill_ns_per_byte: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DomainTable {
    cpus: Option<usize>,
    strengths: Option<Vec<f64>>,
    #[serde(default)]
    node: usize,
    #[serde(default)]
    other: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskTable {
    id: Option<u64>,
    count: Option<usize>,
    domain: usize,
    weight: Option<f64>,
    duty: f64,
    domains: Option<Vec<usize>>,
    #[serde(default)]
    footprint_bytes: u64,
    stayed_ms: Option<u64>,
}

struct Place<'a> {
    text: &'a str,
    at: usize,
}

impl Place<'_> {
    fn error(&self, problem: impl Into<String>) -> TextError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        TextError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: problem.into(),
        }
    }
}

/// Reads a snapshot and, where the file has some, settings of the policy. `rota balance explain
/// --help` says what a file has.
///
/// # Errors
///
/// The text is no TOML, has a key that is none, or says something that can't be.
pub fn read(text: &str) -> Result<(Snapshot, Policy), TextError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Place { text, at }.error(error.message().lines().collect::<Vec<_>>().join(", "))
    })?;
    let mut snapshot = Snapshot::default();
    for domain in &file.domain {
        let place = Place { text, at: domain.span().start };
        snapshot.domains.push(self::domain(domain.as_ref(), &place)?);
    }
    snapshot.distances = distances(&file, &snapshot);
    // Where each task is told.
    let mut told = Vec::new();
    for task in &file.task {
        let place = Place { text, at: task.span().start };
        tasks(task.as_ref(), &mut snapshot, &place)?;
        told.resize(snapshot.tasks.len(), task.span().start);
    }
    let policy = file.policy.as_ref().map_or_else(Policy::default, |table| policy(table.as_ref()));
    policy.check().map_err(|error: PolicyError| {
        let at = file.policy.as_ref().map_or(0, |table| table.span().start);
        Place { text, at }.error(error.to_string())
    })?;
    let wrong = |error: SnapshotError| {
        let at = place_of(&error, &file, &snapshot, &told);
        Place { text, at }.error(error.to_string())
    };
    snapshot.check().map_err(wrong)?;
    Ok((snapshot, policy))
}

/// Where the text says what an error is about.
fn place_of(error: &SnapshotError, file: &File, snapshot: &Snapshot, told: &[usize]) -> usize {
    let of_task = |id: u64| {
        // Of two with the same id, the second.
        let place = snapshot.tasks.iter().rposition(|task| task.id == id);
        place.and_then(|place| told.get(place)).copied()
    };
    let of_domain = |domain: usize| file.domain.get(domain).map(|table| table.span().start);
    let place = match error {
        SnapshotError::Task { id, .. }
        | SnapshotError::Place { id, .. }
        | SnapshotError::Set { id, .. }
        | SnapshotError::Twice { id } => of_task(*id),
        SnapshotError::Domain { domain, .. } | SnapshotError::Node { domain, .. } => {
            of_domain(*domain)
        }
        SnapshotError::Distances { .. } => file.distances.as_ref().map(|table| table.span().start),
        SnapshotError::Machine(_) | SnapshotError::TooMuch => None,
    };
    place.unwrap_or(0)
}

fn domain(table: &DomainTable, place: &Place<'_>) -> Result<Domain, TextError> {
    let DomainTable { node, other, .. } = *table;
    let (capacity, strongest) = match (table.cpus, &table.strengths) {
        (Some(cpus), None) if cpus <= MANY => (cpus as f64, 1.0),
        (Some(cpus), None) => return Err(place.error(format!("{cpus} CPUs are too many"))),
        (None, Some(all)) => (all.iter().sum(), all.iter().copied().fold(0.0, f64::max)),
        _ => return Err(place.error("a domain has either `cpus` or `strengths`")),
    };
    if let Some(bad) = table.strengths.iter().flatten().find(|s| s.is_nan() || **s < 0.0) {
        return Err(place.error(format!("a CPU's strength is {bad}, expected 0 or more")));
    }
    if node >= NODES_MAX {
        return Err(place.error(format!("node {node} is too high, expected below {NODES_MAX}")));
    }
    Ok(Domain { capacity, strongest, node, other })
}

/// What is given; else 10 within a node and 20 between two.
fn distances(file: &File, snapshot: &Snapshot) -> Vec<Vec<u32>> {
    if let Some(distances) = &file.distances {
        return distances.as_ref().clone();
    }
    let nodes = snapshot.domains.iter().map(|domain| domain.node + 1).max().unwrap_or(0);
    let row = |a| (0..nodes).map(|b| if a == b { 10 } else { 20 }).collect();
    (0..nodes).map(row).collect()
}

fn tasks(table: &TaskTable, snapshot: &mut Snapshot, place: &Place<'_>) -> Result<(), TextError> {
    let count = table.count.unwrap_or(1);
    if count > MANY - snapshot.tasks.len().min(MANY) {
        return Err(place.error(format!("more than {MANY} tasks")));
    }
    let mut allowed = None;
    if let Some(domains) = &table.domains {
        if let Some(bad) = domains.iter().find(|domain| **domain >= snapshot.domains.len()) {
            return Err(place.error(format!("the task may use domain {bad}, which there is not")));
        }
        let set: DomainSet = domains.iter().copied().collect();
        let known = snapshot.sets.iter().position(|known| *known == set);
        allowed = Some(known.unwrap_or(snapshot.sets.len()));
        if known.is_none() {
            snapshot.sets.push(set);
        }
    }
    let next = snapshot.tasks.iter().map(|task| task.id).max().map_or(0, |id| id.wrapping_add(1));
    let first = table.id.unwrap_or(next);
    for number in 0..count as u64 {
        snapshot.tasks.push(Task {
            id: first.wrapping_add(number),
            domain: table.domain,
            entity: Entity { weight: table.weight.unwrap_or(100.0), duty: table.duty },
            allowed,
            footprint_bytes: table.footprint_bytes,
            stayed_ns: table.stayed_ms.map_or(u64::MAX, |ms| ms.saturating_mul(1_000_000)),
        });
    }
    Ok(())
}

fn policy(table: &PolicyTable) -> Policy {
    let default = Policy::default();
    Policy {
        moves_max: table.moves_max.unwrap_or(default.moves_max),
        start: table.start.unwrap_or(default.start),
        stop: table.stop.unwrap_or(default.stop),
        gain_min: table.gain_min.unwrap_or(default.gain_min),
        rest_ns: table.rest_ms.map_or(default.rest_ns, |ms| ms.saturating_mul(1_000_000)),
        horizon_ns: table.horizon_ms.map_or(default.horizon_ns, |ms| ms * 1e6),
        move_ns: table.move_ns.unwrap_or(default.move_ns),
        refill_ns_per_byte: table.refill_ns_per_byte.unwrap_or(default.refill_ns_per_byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
        distances = [[10, 30], [30, 10]]\n\
        policy = { moves_max = 3, rest_ms = 5 }\n\
        [[domain]]\ncpus = 4\n\
        [[domain]]\nstrengths = [0.5, 1, 0.5]\nnode = 1\nother = 0.25\n\
        [[task]]\ncount = 2\ndomain = 0\nduty = 1\n\
        [[task]]\nid = 9\ndomain = 1\nduty = 0.5\nweight = 3\ndomains = [1]\nstayed_ms = 7\n";

    #[test]
    fn a_file() {
        let (snapshot, policy) = read(GOOD).unwrap();
        assert_eq!((policy.moves_max, policy.rest_ns, policy.start), (3, 5_000_000, 0.05));
        let domain = Domain { capacity: 2.0, strongest: 1.0, node: 1, other: 0.25 };
        assert_eq!((snapshot.domains.len(), snapshot.domains[1]), (2, domain));
        assert_eq!(snapshot.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [0, 1, 9]);
        let task = snapshot.tasks[2];
        assert_eq!(task.entity, Entity { weight: 3.0, duty: 0.5 });
        assert_eq!((task.allowed, task.stayed_ns), (Some(0), 7_000_000));
        assert_eq!(snapshot.distance(0, 1), 30);
        assert_eq!(read("").unwrap().0, Snapshot::default());
    }

    #[test]
    fn mistakes_have_their_place() {
        let wrong = |from: &str, to: &str, expected: &str| {
            assert!(GOOD.contains(from));
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        wrong("duty = 1\n", "duty = -1\n", "9:1: task 0: duty -1 is not");
        wrong("duty = 1\n", "duty = \n", "12:8: ");
        wrong("duty = 1\n", "", "9:1: missing field `duty`");
        wrong("weight = 3", "wait = 3", "17:1: unknown field `wait`");
        wrong("weight = 3", "weight = nan", "13:1: task 9: weight NaN");
        wrong("domains = [1]", "domains = [2]", "13:1: the task may use domain 2");
        wrong("id = 9", "id = 1", "13:1: there are two tasks 1");
        wrong("count = 2", "count = 2000000", "9:1: more than 1000000 tasks");
        wrong("domain = 1", "domain = 2", "13:1: task 9 is in domain 2");
        wrong("cpus = 4\n", "", "3:1: a domain has either");
        wrong("node = 1", "node = 5000", "5:1: node 5000 is too high");
        wrong("node = 1", "node = 2", "5:1: domain 1 is on node 2");
        wrong("[0.5, 1, 0.5]", "[0.5, -1]", "5:1: a CPU's strength is -1");
        wrong("[30, 10]]", "[30]]", "1:13: node 1 has 1 distances");
        wrong("moves_max = 3", "start = 0.01", "2:10: stop is 0.025");
    }
}
