// SPDX-License-Identifier: GPL-2.0-or-later
//! A table by numbers that mostly are small or close together, such as those of tasks and CPUs.

use std::collections::BTreeMap;

/// Entries that are made together.
const PAGE: usize = 64;
/// Pages that are found by their place: those of all thread ids that a kernel gives.
const NEAR: usize = (1 << 22) / PAGE;

/// A table with an entry for each number, most of which are as they were made.
///
/// An entry is found at once if its number is below 2^22, else in a sorted map. It takes memory for 64
/// entries at most for each that is used.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    pages: Vec<Vec<T>>,
    /// Where each page is, plus one; 0 if it is not there.
    near: Vec<u32>,
    far: BTreeMap<usize, u32>,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), near: Vec::new(), far: BTreeMap::new() }
    }
}

impl<T: Default + Clone> Paged<T> {
    fn page(&self, page: usize) -> Option<usize> {
        let place = match self.near.get(page) {
            Some(place) => *place,
            None if page < NEAR => 0,
            None => self.far.get(&page).copied().unwrap_or(0),
        };
        (place as usize).checked_sub(1)
    }

    /// An entry, if it or one near it was used.
    pub fn get(&self, number: u32) -> Option<&T> {
        let number = number as usize;
        Some(&self.pages[self.page(number / PAGE)?][number % PAGE])
    }

    /// An entry, to be changed, if it or one near it was used.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let number = number as usize;
        let page = self.page(number / PAGE)?;
        Some(&mut self.pages[page][number % PAGE])
    }

    /// An entry, to be changed.
    pub fn entry(&mut self, number: u32) -> &mut T {
        let number = number as usize;
        let page = self.page(number / PAGE).unwrap_or_else(|| self.make(number / PAGE));
        &mut self.pages[page][number % PAGE]
    }

    #[cold]
    fn make(&mut self, page: usize) -> usize {
        self.pages.push(vec![T::default(); PAGE]);
        let place = self.pages.len() as u32;
        if page < NEAR {
            if self.near.len() <= page {
                self.near.resize(page + 1, 0);
            }
            self.near[page] = place;
        } else {
            self.far.insert(page, place);
        }
        place as usize - 1
    }

    /// All entries that are used, or are near such a one, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let near = self.near.iter().enumerate().filter(|(_, place)| **place > 0);
        let pages = near.chain(self.far.iter().map(|(page, place)| (*page, place)));
        pages.flat_map(|(page, place)| {
            let entries = self.pages[*place as usize - 1].iter();
            entries.enumerate().map(move |(i, entry)| ((page * PAGE + i) as u32, entry))
        })
    }

    /// The same in any order, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pages.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_has_what_a_map_has(
            changes in prop::collection::vec((prop_oneof![0..300_u32, Just(u32::MAX), (1 << 22) - 2..(1 << 22) + 200_u32, any::<u32>()], 1..9_u64), 0..60),
        ) {
            let (mut table, mut map) = (Paged::default(), BTreeMap::new());
            for (number, value) in changes {
                *table.entry(number) += value;
                *map.entry(number).or_insert(0) += value;
                prop_assert_eq!(table.get(number), map.get(&number));
                prop_assert_eq!(table.get_mut(number).copied(), map.get(&number).copied());
            }
            let found: Vec<_> = table.iter().filter(|(_, value)| **value > 0).map(|(n, v)| (n, *v)).collect();
            prop_assert_eq!(found, map.iter().map(|(n, v)| (*n, *v)).collect::<Vec<_>>());
            prop_assert_eq!(table.values_mut().map(|value| *value).sum::<u64>(), map.values().sum::<u64>());
            prop_assert!(table.pages.len() <= map.len());
        }
    }
}
