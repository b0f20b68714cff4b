// SPDX-License-Identifier: GPL-2.0-or-later
//! What a written snapshot has in it, whatever its syntax.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Domain, DomainSet, Entity, Policy, PolicyError, Snapshot, SnapshotError, Task};

/// The version of the form.
pub(crate) const SCHEMA: &str = "rota-balance-snapshot/1";
/// The most tasks and the most CPUs that a file may stand for.
const MANY: usize = 1_000_000;
/// The most nodes of a file.
const NODES_MAX: usize = 1024;

/// What is wrong with a file.
pub(crate) struct FormError {
    /// How many bytes stand before the place.
    pub(crate) at: usize,
    pub(crate) problem: String,
}

/// Something that was read, and how many bytes stand before it.
pub(crate) struct Placed<T> {
    pub(crate) at: usize,
    pub(crate) is: T,
}

impl<T> Placed<T> {
    fn error(&self, problem: impl Into<String>) -> FormError {
        FormError { at: self.at, problem: problem.into() }
    }
}

/// A file that was read.
pub(crate) struct Form {
    pub(crate) schema: Option<Placed<String>>,
    pub(crate) policy: Option<Placed<Policy>>,
    pub(crate) distances: Option<Placed<Vec<Vec<u32>>>>,
    pub(crate) domain: Vec<Placed<DomainTable>>,
    pub(crate) task: Vec<Placed<TaskTable>>,
}

/// A file to be written.
#[derive(Serialize)]
pub(crate) struct Written<'a> {
    schema: &'static str,
    policy: &'a Policy,
    distances: &'a [Vec<u32>],
    domain: Vec<DomainTable>,
    task: Vec<TaskTable>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DomainTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strengths: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strongest: Option<f64>,
    node: usize,
    other: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    domain: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    duty: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    domains: Option<Vec<usize>>,
    #[serde(default)]
    footprint_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stayed_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl<'a> Written<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Self {
        let domain = |domain: &Domain| DomainTable {
            capacity: Some(domain.capacity),
            strongest: Some(domain.strongest),
            node: domain.node,
            other: domain.other,
            ..DomainTable::default()
        };
        let task = |task: &Task| TaskTable {
            id: Some(task.id),
            count: None,
            domain: task.domain,
            weight: Some(task.entity.weight),
            duty: task.entity.duty,
            domains: task.allowed.map(|set| {
                let there_is = |domain: &usize| *domain < snapshot.domains.len();
                snapshot
                    .sets
                    .get(set)
                    .into_iter()
                    .flat_map(DomainSet::iter)
                    .filter(there_is)
                    .collect()
            }),
            footprint_bytes: task.footprint_bytes,
            stayed_ns: (task.stayed_ns != u64::MAX).then_some(task.stayed_ns),
            pid: task.pid,
        };
        Self {
            schema: SCHEMA,
            policy,
            distances: &snapshot.distances,
            domain: snapshot.domains.iter().map(domain).collect(),
            task: snapshot.tasks.iter().map(task).collect(),
        }
    }
}

/// Tasks and their sets, as they are told one after the other.
#[derive(Default)]
struct Tasks {
    all: Vec<Task>,
    sets: BTreeMap<DomainSet, usize>,
    /// The number of the next task that has none.
    next: u64,
    /// For each task where it is told.
    told: Vec<usize>,
}

impl Form {
    /// What the file stands for.
    pub(crate) fn read(&self) -> Result<(Snapshot, Policy), FormError> {
        if let Some(schema) = self.schema.as_ref().filter(|schema| schema.is != SCHEMA) {
            return Err(schema.error(format!("the schema is {}, expected {SCHEMA}", schema.is)));
        }
        let mut snapshot = Snapshot::default();
        for table in &self.domain {
            snapshot.domains.push(domain(table)?);
        }
        snapshot.distances = self.distances(&snapshot);
        let mut tasks = Tasks::default();
        for table in &self.task {
            tasks.add(table, snapshot.domains.len())?;
        }
        snapshot.tasks = tasks.all;
        snapshot.sets = vec![DomainSet::new(); tasks.sets.len()];
        for (set, number) in tasks.sets {
            snapshot.sets[number] = set;
        }
        let policy = self.policy.as_ref().map_or_else(Policy::default, |placed| placed.is);
        policy.check().map_err(|error: PolicyError| {
            let at = self.policy.as_ref().map_or(0, |placed| placed.at);
            FormError { at, problem: error.to_string() }
        })?;
        snapshot.check().map_err(|error: SnapshotError| {
            let at = self.place_of(&error, &snapshot, &tasks.told);
            FormError { at, problem: error.to_string() }
        })?;
        Ok((snapshot, policy))
    }

    /// What is given; else 10 within a node and 20 between two.
    fn distances(&self, snapshot: &Snapshot) -> Vec<Vec<u32>> {
        if let Some(distances) = &self.distances {
            return distances.is.clone();
        }
        let nodes = snapshot.domains.iter().map(|domain| domain.node + 1).max().unwrap_or(0);
        let row = |a| (0..nodes).map(|b| if a == b { 10 } else { 20 }).collect();
        (0..nodes).map(row).collect()
    }

    /// Where the text says what an error is about.
    fn place_of(&self, error: &SnapshotError, snapshot: &Snapshot, told: &[usize]) -> usize {
        let of_task = |id: u64| {
            // Of two with the same id, the second.
            let place = snapshot.tasks.iter().rposition(|task| task.id == id);
            place.and_then(|place| told.get(place)).copied()
        };
        let of_domain = |domain: usize| self.domain.get(domain).map(|table| table.at);
        let place = match error {
            SnapshotError::Task { id, .. }
            | SnapshotError::Place { id, .. }
            | SnapshotError::Set { id, .. }
            | SnapshotError::Twice { id } => of_task(*id),
            SnapshotError::Domain { domain, .. } | SnapshotError::Node { domain, .. } => {
                of_domain(*domain)
            }
            SnapshotError::Distances { .. } => self.distances.as_ref().map(|table| table.at),
            SnapshotError::Machine(_) | SnapshotError::TooMuch => None,
        };
        place.unwrap_or(0)
    }
}

fn domain(table: &Placed<DomainTable>) -> Result<Domain, FormError> {
    let DomainTable { cpus, strengths, capacity, strongest, node, other } = &table.is;
    let (capacity, strongest) = match (cpus, strengths, capacity, strongest) {
        (Some(cpus), None, None, None) if *cpus <= MANY => (*cpus as f64, 1.0),
        (Some(cpus), None, None, None) => {
            return Err(table.error(format!("{cpus} CPUs are too many")));
        }
        (None, Some(all), None, None) => {
            (all.iter().sum(), all.iter().copied().fold(0.0, f64::max))
        }
        (None, None, Some(capacity), Some(strongest)) => (*capacity, *strongest),
        _ => {
            let problem = "a domain has `cpus`, `strengths`, or `capacity` with `strongest`";
            return Err(table.error(problem));
        }
    };
    if let Some(bad) = strengths.iter().flatten().find(|s| s.is_nan() || **s < 0.0) {
        return Err(table.error(format!("a CPU's strength is {bad}, expected 0 or more")));
    }
    if *node >= NODES_MAX {
        return Err(table.error(format!("node {node} is too high, expected below {NODES_MAX}")));
    }
    Ok(Domain { capacity, strongest, node: *node, other: *other })
}

impl Tasks {
    fn add(&mut self, placed: &Placed<TaskTable>, domains: usize) -> Result<(), FormError> {
        let table = &placed.is;
        let count = table.count.unwrap_or(1);
        if count > MANY - self.all.len().min(MANY) {
            return Err(placed.error(format!("more than {MANY} tasks")));
        }
        let mut allowed = None;
        if let Some(may) = &table.domains {
            if let Some(bad) = may.iter().find(|domain| **domain >= domains) {
                let problem = format!("the task may use domain {bad}, which there is not");
                return Err(placed.error(problem));
            }
            let next = self.sets.len();
            let set = may.iter().copied().collect();
            allowed = Some(*self.sets.entry(set).or_insert(next));
        }
        let first = table.id.unwrap_or(self.next);
        for number in 0..count as u64 {
            let id = first.wrapping_add(number);
            self.next = self.next.max(id.wrapping_add(1));
            self.told.push(placed.at);
            self.all.push(Task {
                id,
                domain: table.domain,
                entity: Entity { weight: table.weight.unwrap_or(100.0), duty: table.duty },
                allowed,
                footprint_bytes: table.footprint_bytes,
                stayed_ns: table.stayed_ns.unwrap_or(u64::MAX),
                pid: table.pid,
            });
        }
        Ok(())
    }
}
