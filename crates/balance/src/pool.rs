// SPDX-License-Identifier: GPL-2.0-or-later
//! Shares that are kept up to date.

use std::collections::BTreeMap;

use crate::entity::{bounded, capacity_units};
use crate::exact::Sums;
use crate::level::{Item, SHIFTS, Search};
use crate::{Entity, NumberError, Shares, SolveError};

/// The entities of one machine. To change one or to find λ takes a time that hardly grows with how
/// many there are, and λ is that of [`solve`](crate::solve), bit by bit.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    capacity: f64,
    entities: BTreeMap<u64, Entity>,
    total: Sums,
    /// For each pass of the search the buckets that are not empty, by their lowest weight.
    buckets: [BTreeMap<u64, Sums>; SHIFTS.len()],
}

impl Pool {
    /// Nothing yet, on a machine of this capacity, in CPUs.
    ///
    /// # Errors
    ///
    /// The capacity can't be used.
    pub fn new(capacity: f64) -> Result<Self, NumberError> {
        capacity_units(capacity).map(|_| Self { capacity, ..Self::default() })
    }

    /// The capacity, in CPUs.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    /// Another capacity, in CPUs.
    ///
    /// # Errors
    ///
    /// The capacity can't be used; the old one stays.
    pub fn set_capacity(&mut self, capacity: f64) -> Result<(), NumberError> {
        capacity_units(capacity).map(|_| self.capacity = capacity)
    }

    /// The entities by their keys.
    pub fn entities(&self) -> &BTreeMap<u64, Entity> {
        &self.entities
    }

    /// Puts in an entity, changes it or, with `None`, takes it out.
    ///
    /// # Errors
    ///
    /// As [`Pool::apply`].
    pub fn set(&mut self, key: u64, entity: Option<Entity>) -> Result<(), SolveError> {
        self.apply(&[(key, entity)])
    }

    /// Makes several changes, in their order: all or, with an error, none.
    ///
    /// # Errors
    ///
    /// A number can't be used, or all duties together would be too many.
    pub fn apply(&mut self, changes: &[(u64, Option<Entity>)]) -> Result<(), SolveError> {
        let mut last = BTreeMap::new();
        for (key, entity) in changes {
            let checked = entity.map_or(Ok(()), Entity::check);
            checked.map_err(|error| SolveError::Entity { entity: *key, error })?;
            last.insert(*key, *entity);
        }
        let mut duty = self.total.duty;
        for entity in last.keys().filter_map(|key| self.entities.get(key)) {
            duty -= Item::from(*entity).duty;
        }
        for entity in last.values().flatten() {
            duty = duty.saturating_add(Item::from(*entity).duty);
        }
        bounded(Sums { duty, ..Sums::default() })?;
        for (key, entity) in last {
            self.replace(key, entity);
        }
        Ok(())
    }

    /// Who gets how much.
    ///
    /// # Errors
    ///
    /// There is work, but the capacity is 0.
    pub fn shares(&self) -> Result<Shares, SolveError> {
        let capacity = capacity_units(self.capacity).map_err(SolveError::Capacity)?;
        if self.total.duty <= capacity {
            return Ok(Shares::new(self.total, self.capacity, None));
        }
        if capacity == 0 {
            return Err(SolveError::NoCapacity);
        }
        let mut search = Search::new(self.total, capacity);
        let mut inside = 0..=u64::MAX;
        for (buckets, shift) in self.buckets.iter().zip(SHIFTS) {
            let buckets = buckets.range(inside).rev();
            let Some(low) = search.walk(buckets.map(|(low, sums)| (*low, *sums))) else { break };
            inside = low..=low | ((1 << shift) - 1);
        }
        Ok(Shares::new(self.total, self.capacity, Some(search)))
    }

    fn replace(&mut self, key: u64, entity: Option<Entity>) {
        let old = match entity {
            Some(entity) => self.entities.insert(key, entity),
            None => self.entities.remove(&key),
        };
        for (entity, comes) in [(entity, true), (old, false)] {
            let Some(item) = entity.map(Item::from) else { continue };
            let change = |sums: Sums| {
                if comes { sums.plus(item.sums()) } else { sums.minus(item.sums()) }
            };
            self.total = change(self.total);
            for (buckets, shift) in self.buckets.iter_mut().zip(SHIFTS) {
                let low = item.weight.to_bits() >> shift << shift;
                let sums = buckets.entry(low).or_default();
                *sums = change(*sums);
                if sums.count == 0 {
                    buckets.remove(&low);
                }
            }
        }
    }
}
