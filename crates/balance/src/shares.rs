// SPDX-License-Identifier: GPL-2.0-or-later
//! Who gets how much of one machine.

use crate::entity::capacity_units;
use crate::exact::{Sums, cpus};
use crate::level::{self, Item, Search};
use crate::{Entity, SolveError};

/// How the capacity of one machine is shared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// The weight above which weights are infeasible; none if everyone gets their duty.
    pub lambda: Option<f64>,
    /// The capacity, in CPUs.
    pub capacity: f64,
    /// The sum of all duties, in CPUs.
    pub duty: f64,
    /// The sum of all loads, `min(weight, λ)·duty`: λ times the capacity, if there is a λ.
    pub load: f64,
    /// How many entities have a weight above λ.
    pub infeasible: u64,
}

impl Shares {
    /// The weight that counts: at most λ.
    pub fn weight(&self, weight: f64) -> f64 {
        self.lambda.map_or(weight, |lambda| weight.min(lambda))
    }

    /// The load of an entity, `min(weight, λ)·duty`, in weights times CPUs.
    pub fn load(&self, entity: Entity) -> f64 {
        self.weight(entity.weight) * entity.duty
    }

    /// What an entity gets, in CPUs: its duty if its weight is at least λ, else `duty·weight/λ`.
    pub fn share(&self, entity: Entity) -> f64 {
        share(self.lambda, entity)
    }

    pub(crate) fn new(total: Sums, capacity: f64, search: Option<Search>) -> Self {
        Self {
            lambda: search.map(|search| search.lambda()),
            capacity,
            duty: cpus(total.duty),
            load: search.map_or_else(|| total.load.value(), |search| search.load()),
            infeasible: search.map_or(0, |search| search.infeasible()),
        }
    }
}

/// What an entity gets at this λ.
pub(crate) fn share(lambda: Option<f64>, entity: Entity) -> f64 {
    match lambda {
        Some(lambda) if entity.weight < lambda => entity.duty * (entity.weight / lambda),
        _ => entity.duty,
    }
}

/// Shares a machine of this capacity, in CPUs. The result does not depend on the order.
///
/// # Errors
///
/// A number can't be used, all duties together are too many, or there is nothing to share.
pub fn solve(entities: &[Entity], capacity: f64) -> Result<Shares, SolveError> {
    let units = capacity_units(capacity).map_err(SolveError::Capacity)?;
    for (entity, checked) in (0..).zip(entities.iter().map(|entity| entity.check())) {
        checked.map_err(|error| SolveError::Entity { entity, error })?;
    }
    let items = entities.iter().map(|entity| Item::from(*entity));
    let (total, search) = level::search(items, units)?;
    Ok(Shares::new(total, capacity, search))
}
