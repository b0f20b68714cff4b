// SPDX-License-Identifier: GPL-2.0-or-later
//! λ, the weight above which weights are infeasible.
//!
//! Let g(λ) = Σ min(w, λ)·d − λ·P. It is 0 at 0, rises first if Σd > P, bends down at each weight,
//! and falls in the end: it has one root above 0. Whether the root is at a number or above is the
//! sign of g there, which exact sums give. So weights are put into buckets by their first bits, one
//! walk finds the bucket, and the same is done with that bucket's entities and the next bits.

use crate::entity::bounded;
use crate::exact::{Load, Sums, TOO_MANY, cpus, units};
use crate::{Entity, SolveError, WEIGHTS};

/// How many bits of a weight the buckets leave, from one pass to the next. A weight has 60 possible
/// exponents; with the first 6 bits after it that makes 3,840 buckets, and 4,096 or less later.
pub(crate) const SHIFTS: [u32; 5] = [46, 34, 22, 10, 0];
/// Fewer entities than this are sorted.
const FEW: usize = 1024;

/// An entity inside the solver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) weight: f64,
    /// In units.
    pub(crate) duty: i128,
}

impl From<Entity> for Item {
    #[inline]
    fn from(entity: Entity) -> Self {
        Self { weight: entity.weight, duty: units(entity.duty) }
    }
}

impl Item {
    #[inline]
    pub(crate) fn entity(self) -> Entity {
        Entity { weight: self.weight, duty: cpus(self.duty) }
    }

    #[inline]
    pub(crate) fn sums(self) -> Sums {
        Sums::one(self.weight, self.duty)
    }
}

/// Where a walk from the heaviest weights down ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Search {
    /// Of all entities.
    total: Sums,
    /// Of those that are known to be infeasible.
    above: Sums,
    /// In units.
    capacity: i128,
}

impl Search {
    /// There has to be more duty than capacity, and some capacity.
    pub(crate) fn new(total: Sums, capacity: i128) -> Self {
        Self { total, above: Sums::default(), capacity }
    }

    /// Whether g(weight) ≥ 0, where `above` is of all entities with at least this weight.
    fn reaches(&self, weight: f64, above: Sums) -> bool {
        let below = self.total.load.minus(above.load);
        !below.plus(Load::product(weight, above.duty - self.capacity)).is_negative()
    }

    /// Walks buckets in falling order of weights; each is its lowest weight, as bits, with its
    /// sums. The bucket in which the root is; none if it is below all of them.
    pub(crate) fn walk(&mut self, buckets: impl Iterator<Item = (u64, Sums)>) -> Option<u64> {
        for (low, sums) in buckets.filter(|(_, sums)| sums.count > 0) {
            let with = self.above.plus(sums);
            if self.reaches(f64::from_bits(low), with) {
                return Some(low);
            }
            self.above = with;
        }
        None
    }

    /// λ, once all that is infeasible is above: exact but for one division and two roundings.
    pub(crate) fn lambda(&self) -> f64 {
        let load = self.total.load.minus(self.above.load);
        load.value() / cpus(self.capacity - self.above.duty)
    }

    /// How many entities have more than λ.
    pub(crate) fn infeasible(&self) -> u64 {
        self.above.count
    }

    /// Σ min(w, λ)·d.
    pub(crate) fn load(&self) -> f64 {
        let load = self.total.load.minus(self.above.load);
        load.value() + self.lambda() * cpus(self.above.duty)
    }
}

/// The sums of all entities, and where the search for λ ended; no search if everyone gets their
/// duty.
pub(crate) fn search(
    items: impl ExactSizeIterator<Item = Item> + Clone,
    capacity: i128,
) -> Result<(Sums, Option<Search>), SolveError> {
    let few = items.len() < FEW;
    let table = if few { Vec::new() } else { table(items.clone(), 0)? };
    let total = if few {
        items.clone().try_fold(Sums::default(), |sum, item| bounded(sum.plus(item.sums())))?
    } else {
        table.iter().fold(Sums::default(), |sum, bucket| sum.plus(*bucket))
    };
    if total.duty <= capacity {
        return Ok((total, None));
    }
    if capacity == 0 {
        return Err(SolveError::NoCapacity);
    }
    let mut search = Search::new(total, capacity);
    let inside = if few { Some(items.collect()) } else { inside(&mut search, items, &table, 0) };
    if let Some(items) = inside {
        narrow(&mut search, items)?;
    }
    Ok((total, Some(search)))
}

/// Finds the root among these entities, which have one bucket of the first pass, or are few.
fn narrow(search: &mut Search, mut items: Vec<Item>) -> Result<(), SolveError> {
    for pass in 1..SHIFTS.len() {
        if items.len() < FEW {
            break;
        }
        let table = table(items.iter().copied(), pass)?;
        match inside(search, items.iter().copied(), &table, pass) {
            Some(next) => items = next,
            None => return Ok(()),
        }
    }
    items.sort_unstable_by_key(|item| std::cmp::Reverse(item.weight.to_bits()));
    let equal = items.chunk_by(|a, b| a.weight == b.weight);
    let sums =
        |chunk: &[Item]| chunk.iter().fold(Sums::default(), |sum, item| sum.plus(item.sums()));
    search.walk(equal.map(|chunk| (chunk[0].weight.to_bits(), sums(chunk))));
    Ok(())
}

/// The lowest number of a bucket that a weight can have, and how many buckets there are. After the
/// first pass all weights have the same bits before those of the pass.
fn range(pass: usize) -> (u64, usize) {
    if pass > 0 {
        return (0, 1 << (SHIFTS[pass - 1] - SHIFTS[pass]));
    }
    let (start, end) = (WEIGHTS.start().to_bits(), WEIGHTS.end().to_bits());
    (start >> SHIFTS[0], ((end >> SHIFTS[0]) - (start >> SHIFTS[0]) + 1) as usize)
}

/// The number of a weight's bucket.
fn bucket(weight: f64, pass: usize) -> usize {
    let (first, len) = range(pass);
    let bits = weight.to_bits() >> SHIFTS[pass];
    if pass > 0 { bits as usize & (len - 1) } else { (bits - first) as usize }
}

/// The sums of each bucket.
fn table(items: impl Iterator<Item = Item>, pass: usize) -> Result<Vec<Sums>, SolveError> {
    let mut table = vec![Sums::default(); range(pass).1];
    let mut duty = 0;
    for item in items {
        let sums = &mut table[bucket(item.weight, pass)];
        *sums = sums.plus(item.sums());
        duty += item.duty;
        if duty >= TOO_MANY {
            return Err(SolveError::TooMuch);
        }
    }
    Ok(table)
}

/// The entities of the bucket in which the root is; none if it is below all of them.
fn inside(
    search: &mut Search,
    items: impl Iterator<Item = Item> + Clone,
    table: &[Sums],
    pass: usize,
) -> Option<Vec<Item>> {
    // What comes before the bits of the pass, the same for all.
    let any = items.clone().next()?.weight.to_bits();
    let before = if pass > 0 { any >> SHIFTS[pass - 1] << SHIFTS[pass - 1] } else { 0 };
    let first = range(pass).0;
    let low = |number: usize| before | (first + number as u64) << SHIFTS[pass];
    let buckets = table.iter().enumerate().rev();
    let found = search.walk(buckets.map(|(number, sums)| (low(number), *sums)))?;
    let number = bucket(f64::from_bits(found), pass);
    Some(items.filter(|item| bucket(item.weight, pass) == number).collect())
}
