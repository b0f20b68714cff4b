// SPDX-License-Identifier: GPL-2.0-or-later
//! Sets of CPUs in words, one bit for each CPU of the machine, as the kernel has them.

use rota_topology::{CpuId, CpuMask};
use std::ops::Range;
use std::rc::Rc;

/// CPUs of a word.
const BITS: usize = 64;

/// How many words a set has on a machine with so many CPUs.
pub(crate) fn words(cpus: u32) -> usize {
    (cpus as usize).div_ceil(BITS)
}

/// Word and bit of a CPU.
pub(crate) fn place(cpu: u32) -> (usize, u64) {
    (cpu as usize / BITS, 1 << (cpu as usize % BITS))
}

/// Whether a set has a CPU.
pub(crate) fn has(set: &[u64], cpu: u32) -> bool {
    let (word, bit) = place(cpu);
    set.get(word).is_some_and(|word| word & bit != 0)
}

/// The first CPU behind another one, round and round, of the set whose words are told; it has
/// none but in a range of words (kernel: `find_next_and_bit_wrap`).
pub(crate) fn next_round(
    range: Range<usize>,
    after: u32,
    word: impl Fn(usize) -> u64,
) -> Option<u32> {
    let (turn, bit) = place(after + 1);
    let behind = !(bit - 1);
    let found =
        |at: usize, word: u64| (word != 0).then(|| (at * BITS) as u32 + word.trailing_zeros());
    let cut = |at: usize| if at == turn { word(at) & behind } else { word(at) };
    let before = |at: usize| if at == turn { word(at) & !behind } else { word(at) };
    let (start, end) = (range.start, range.end);
    (start.max(turn)..end)
        .find_map(|at| found(at, cut(at)))
        .or_else(|| (start..end.min(turn + 1)).find_map(|at| found(at, before(at))))
}

/// A set that does not change, shared by those that have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CpuSet {
    words: Rc<[u64]>,
    count: u32,
}

/// Makes sets, of which those made one after the other are mostly the same.
#[derive(Debug, Default)]
pub(crate) struct CpuSets {
    last: Option<(CpuMask, CpuSet)>,
}

impl CpuSets {
    /// The set of a mask, as far as the machine has these CPUs.
    pub(crate) fn make(&mut self, mask: &CpuMask, cpus: u32) -> CpuSet {
        match &self.last {
            Some((last, set)) if last == mask => set.clone(),
            _ => {
                let set = CpuSet::new(mask, cpus);
                self.last = Some((mask.clone(), set.clone()));
                set
            }
        }
    }
}

impl CpuSet {
    /// Of a mask, as far as the machine has these CPUs.
    pub(crate) fn new(mask: &CpuMask, cpus: u32) -> Self {
        let mut set = vec![0; words(cpus)];
        for cpu in mask.iter().filter(|cpu| cpu.0 < cpus) {
            let (word, bit) = place(cpu.0);
            set[word] |= bit;
        }
        let count = set.iter().map(|word: &u64| word.count_ones()).sum();
        Self { words: set.into(), count }
    }

    /// The set's words.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Number of its CPUs.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Whether it has a CPU.
    pub(crate) fn contains(&self, cpu: CpuId) -> bool {
        has(&self.words, cpu.0)
    }

    /// Its CPUs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = CpuId> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let bits = (0..BITS).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| CpuId((at * BITS + bit) as u32))
        })
    }

    /// Its first CPU.
    pub(crate) fn first(&self) -> Option<CpuId> {
        self.iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::{CpuSet, next_round};
    use proptest::prelude::*;
    use rota_topology::{CpuId, CpuMask};

    fn set(cpus: &[u32]) -> CpuSet {
        let mut mask = CpuMask::new();
        cpus.iter().for_each(|cpu| {
            mask.insert(CpuId(*cpu));
        });
        CpuSet::new(&mask, 320)
    }

    proptest! {
        /// Against a walk from CPU to CPU.
        #[test]
        fn goes_round(cpus in prop::collection::vec(0..320_u32, 0..6), after in 0..320_u32) {
            let set = set(&cpus);
            let slow = (after + 1..320).chain(0..=after).find(|cpu| set.contains(CpuId(*cpu)));
            prop_assert_eq!(next_round(0..5, after, |at| set.words()[at]), slow);
            let within = (after + 1..320).chain(0..=after);
            let slow = within.filter(|cpu| (64..192).contains(cpu));
            let slow = slow.into_iter().find(|cpu| set.contains(CpuId(*cpu)));
            prop_assert_eq!(next_round(1..3, after, |at| set.words()[at]), slow);
            prop_assert_eq!(set.iter().count() as u32, set.count());
            prop_assert_eq!(set.first().map(|cpu| cpu.0), cpus.iter().min().copied());
        }
    }
}
