// SPDX-License-Identifier: GPL-2.0-or-later
//! What a plan is made from.

use crate::entity::capacity_units;
use crate::{DomainSet, Entity, NumberError};

/// A machine's domains and tasks at one moment. Domains and nodes are numbered by their place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The domains.
    pub domains: Vec<Domain>,
    /// How far each node is from each other one, as firmware says: 10 is the node itself.
    pub distances: Vec<Vec<u32>>,
    /// Sets of domains that tasks may use.
    pub sets: Vec<DomainSet>,
    /// The tasks, in any order.
    pub tasks: Vec<Task>,
}

/// CPUs among which tasks move freely, such as those of one last-level cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Domain {
    /// What all of its CPUs give together, in CPUs of strength 1. A domain of capacity 0 is left by
    /// all tasks that may use another one and have had their rest, whatever their load.
    pub capacity: f64,
    /// The strength of its strongest CPU.
    pub strongest: f64,
    /// The node that it is on.
    pub node: usize,
    /// CPUs that are busy with what is no task of the snapshot, and stays where it is.
    pub other: f64,
}

/// A task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    /// What tells it from all others.
    pub id: u64,
    /// Where it is.
    pub domain: usize,
    /// What it wants.
    pub entity: Entity,
    /// The place of the set of domains that it may use; none if it may use all.
    pub allowed: Option<usize>,
    /// How much of a cache it would have to fill again elsewhere, in bytes.
    pub footprint_bytes: u64,
    /// How long ago it came to its domain, in ns.
    pub stayed_ns: u64,
    /// By which people know it; no plan looks at it.
    pub pid: Option<u32>,
}

/// What is wrong with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    /// A number of a task can't be used.
    #[error("task {id}: {error}")]
    Task {
        /// The task.
        id: u64,
        /// What is wrong.
        error: NumberError,
    },
    /// A number of a domain can't be used.
    #[error("domain {domain}: {error}")]
    Domain {
        /// The domain.
        domain: usize,
        /// What is wrong.
        error: NumberError,
    },
    /// All domains together are too large.
    #[error("all domains together: {0}")]
    Machine(NumberError),
    /// A domain is on a node that has no distances.
    #[error("domain {domain} is on node {node}, of which no distances are given")]
    Node {
        /// The domain.
        domain: usize,
        /// Its node.
        node: usize,
    },
    /// Not each node has a distance to each.
    #[error("node {node} has {found} distances, expected {expected}")]
    Distances {
        /// The node.
        node: usize,
        /// How many it has.
        found: usize,
        /// How many nodes there are.
        expected: usize,
    },
    /// A task is in no domain of the snapshot.
    #[error("task {id} is in domain {domain}, which there is not")]
    Place {
        /// The task.
        id: u64,
        /// Its domain.
        domain: usize,
    },
    /// A task may use a set that is not given.
    #[error("task {id} may use set {set}, which there is not")]
    Set {
        /// The task.
        id: u64,
        /// The place of the set.
        set: usize,
    },
    /// Two tasks have the same id.
    #[error("there are two tasks {id}")]
    Twice {
        /// The id.
        id: u64,
    },
    /// All duties together are 2⁴⁴ CPUs or more.
    #[error("all duties together are 2^44 CPUs or more")]
    TooMuch,
}

impl Snapshot {
    /// Whether a plan can be made from it.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SnapshotError> {
        let expected = self.distances.len();
        for (node, distances) in self.distances.iter().enumerate() {
            if distances.len() != expected {
                return Err(SnapshotError::Distances { node, found: distances.len(), expected });
            }
        }
        for (number, domain) in self.domains.iter().enumerate() {
            let wrong = |error| SnapshotError::Domain { domain: number, error };
            for value in [domain.capacity, domain.strongest, domain.other] {
                capacity_units(value).map_err(wrong)?;
            }
            if domain.node >= expected {
                return Err(SnapshotError::Node { domain: number, node: domain.node });
            }
        }
        let capacity = self.domains.iter().map(|domain| domain.capacity).sum();
        capacity_units(capacity).map_err(SnapshotError::Machine)?;
        for task in &self.tasks {
            self.check_task(task)?;
        }
        let mut ids: Vec<_> = self.tasks.iter().map(|task| task.id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(SnapshotError::Twice { id: pair[0] }),
            None => Ok(()),
        }
    }

    fn check_task(&self, task: &Task) -> Result<(), SnapshotError> {
        let id = task.id;
        task.entity.check().map_err(|error| SnapshotError::Task { id, error })?;
        if task.domain >= self.domains.len() {
            return Err(SnapshotError::Place { id, domain: task.domain });
        }
        match task.allowed.filter(|set| *set >= self.sets.len()) {
            Some(set) => Err(SnapshotError::Set { id, set }),
            None => Ok(()),
        }
    }

    /// How far it is from one domain to another.
    pub fn distance(&self, from: usize, to: usize) -> u32 {
        self.distances[self.domains[from].node][self.domains[to].node]
    }

    /// Whether a task may use a domain.
    pub fn allows(&self, task: &Task, domain: usize) -> bool {
        task.allowed.is_none_or(|set| self.sets[set].contains(domain))
    }
}
