// SPDX-License-Identifier: GPL-2.0-or-later
//! Things by the addresses where they start: found as fast as an element of an array.

use rota_bytecode::KERNEL;

/// Size of a page of the machine's memory in bytes.
const PAGE: u64 = 4096;

/// Something for each of the objects in the machine's memory, of which no two start in one page.
#[derive(Debug)]
pub(crate) struct Starts<T> {
    /// By page: where the object starts there, and what there is for it.
    pages: Vec<Option<(u64, T)>>,
}

impl<T> Default for Starts<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

fn page(address: u64) -> usize {
    (address.wrapping_sub(KERNEL) / PAGE) as usize
}

impl<T: Copy> Starts<T> {
    /// What there is for the object that starts at an address.
    pub(crate) fn get(&self, address: u64) -> Option<T> {
        match *self.pages.get(page(address))? {
            Some((start, found)) if start == address => Some(found),
            _ => None,
        }
    }

    /// Notes something for the object at an address of the machine's own memory.
    pub(crate) fn insert(&mut self, address: u64, thing: T) {
        let page = page(address);
        if self.pages.len() <= page {
            self.pages.resize(page + 1, None);
        }
        debug_assert!(self.pages[page].is_none_or(|(start, _)| start == address));
        self.pages[page] = Some((address, thing));
    }

    /// Forgets what there is for the object at an address; returns it.
    pub(crate) fn remove(&mut self, address: u64) -> Option<T> {
        let found = self.get(address)?;
        self.pages[page(address)] = None;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{KERNEL, PAGE, Starts};

    #[test]
    fn only_starts_are_found() {
        let mut starts = Starts::default();
        let (first, second) = (KERNEL + 5 * PAGE, KERNEL + 6 * PAGE + 64);
        starts.insert(second, 'b');
        starts.insert(first, 'a');
        assert_eq!([starts.get(first), starts.get(second)], [Some('a'), Some('b')]);
        for other in [0, first + 8, KERNEL, KERNEL + 7 * PAGE, KERNEL - 1, u64::MAX] {
            assert_eq!(starts.get(other), None);
        }
        assert_eq!(starts.remove(first + 8), None);
        assert_eq!(starts.remove(first), Some('a'));
        assert_eq!(starts.remove(first), None);
        starts.insert(first + 8, 'c');
        assert_eq!(starts.get(first + 8), Some('c'));
    }
}
