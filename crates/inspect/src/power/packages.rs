// SPDX-License-Identifier: GPL-2.0-or-later
//! The energy of all packages and nothing else, which is cheap to read.

use super::Hardware;
use super::energy::{self, Counter, Domain};
use super::sample::places;

/// Counters of the energy of all packages.
pub struct Packages<H> {
    hardware: H,
    counters: Vec<Counter>,
}

impl<H: Hardware> Packages<H> {
    /// Those of a machine; `None` where no source has them.
    pub fn find(mut hardware: H) -> Option<Self> {
        let places = places(hardware.sys());
        let (mut counters, ..) = energy::find(&mut hardware, &|cpu| places.get(&cpu).copied());
        counters.retain(|counter| counter.domain == Domain::Package);
        (!counters.is_empty()).then_some(Self { hardware, counters })
    }

    /// All counters as they are now.
    pub fn read(&mut self) -> Vec<Option<u64>> {
        self.counters.iter().map(|counter| counter.read(&mut self.hardware)).collect()
    }

    /// Joules between two readings; `None` if one of them was in vain.
    pub fn joules(&self, before: &[Option<u64>], after: &[Option<u64>]) -> Option<f64> {
        let both = before.iter().zip(after);
        let each = self.counters.iter().zip(both);
        each.map(|(counter, (before, after))| Some(counter.joules((*before)?, (*after)?))).sum()
    }
}
