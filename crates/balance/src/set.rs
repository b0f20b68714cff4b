// SPDX-License-Identifier: GPL-2.0-or-later
//! Sets of domains.

/// A set of domains, by their numbers: where an entity may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainSet {
    /// The last word is not 0, so that equal sets are equal.
    words: Vec<u64>,
}

impl DomainSet {
    /// No domain.
    pub fn new() -> Self {
        Self::default()
    }

    /// The domains 0 to `count` − 1.
    pub fn all(count: usize) -> Self {
        (0..count).collect()
    }

    /// Adds a domain.
    pub fn insert(&mut self, domain: usize) {
        if self.words.len() <= domain / 64 {
            self.words.resize(domain / 64 + 1, 0);
        }
        self.words[domain / 64] |= 1 << (domain % 64);
    }

    /// Whether this domain is in the set.
    #[inline]
    pub fn contains(&self, domain: usize) -> bool {
        self.words.get(domain / 64).is_some_and(|word| word >> (domain % 64) & 1 == 1)
    }

    /// The domains, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (self.words.iter().enumerate()).flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }

    /// The highest number in the set.
    pub fn last(&self) -> Option<usize> {
        let word = self.words.last()?;
        Some(self.words.len() * 64 - 1 - word.leading_zeros() as usize)
    }

    /// How many domains are in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }
}

impl FromIterator<usize> for DomainSet {
    fn from_iter<T: IntoIterator<Item = usize>>(domains: T) -> Self {
        let mut set = Self::new();
        domains.into_iter().for_each(|domain| set.insert(domain));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let set: DomainSet = [3, 64, 200, 3].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 64, 200]);
        assert_eq!((set.count(), set.last()), (3, Some(200)));
        assert!(set.contains(64) && !set.contains(65) && !set.contains(100_000));
        assert_eq!(DomainSet::all(65).count(), 65);
        assert_eq!(DomainSet::new().last(), None);
    }
}
