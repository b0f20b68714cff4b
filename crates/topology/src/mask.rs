// SPDX-License-Identifier: GPL-2.0-or-later
//! A set of CPUs of any width.
//!
//! Only words that are not zero are kept, each with its index, in ascending order. So a mask has
//! exactly one representation (comparing is comparing words), a mask of CPU 60,000 is as small as
//! one of CPU 0, and the masks of all cores of a large machine together stay small:
//!
//! ```text
//! 0,1,130   ->   (word 0, 0b11) (word 2, 0b100)
//! ```

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{CpuId, MaskError};

const BITS: u32 = u64::BITS;

/// A set of CPUs. `Display` and `FromStr` use the cpulist form (`0-3,8`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuMask {
    /// Word index and word; ascending, no word is zero.
    words: Vec<(u32, u64)>,
}

/// The CPUs of a mask in ascending order.
#[derive(Clone, Debug)]
pub struct Cpus<'a> {
    rest: std::slice::Iter<'a, (u32, u64)>,
    word: (u32, u64),
}

impl CpuMask {
    /// One above the highest CPU number that a mask takes. Far above any machine; a wrong digit in
    /// a text must not make gigabytes of mask.
    pub const LIMIT: u32 = 1 << 20;

    /// The empty mask.
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// A mask of one CPU. Panics like [`CpuMask::insert`].
    pub fn of(cpu: CpuId) -> Self {
        let mut mask = Self::new();
        mask.insert(cpu);
        mask
    }

    /// All CPUs from `first` to `last`, both included; empty if `first` is above `last`. Panics
    /// like [`CpuMask::insert`].
    pub fn range(first: CpuId, last: CpuId) -> Self {
        let mut mask = Self::new();
        mask.insert_range(first, last);
        mask
    }

    /// Parses the cpulist form: `0-3,8,10-12`, and with groups `0-10:2/4` (of every four CPUs from
    /// 0 to 10 the first two: `0-1,4-5,8-9`). White space around an entry and at the end is
    /// skipped. The empty text is the empty mask.
    pub fn from_list(text: &str) -> Result<Self, MaskError> {
        crate::mask_text::parse_list(text)
    }

    /// Parses the hexadecimal form: 32-bit words separated by commas, highest first
    /// (`ff,ffffffff`), as the kernel prints it. A leading `0x` is skipped, and a text without
    /// commas may have any number of digits.
    pub fn from_hex(text: &str) -> Result<Self, MaskError> {
        crate::mask_text::parse_hex(text)
    }

    /// The hexadecimal form, without leading zeros: `1,00000000` for CPU 32, `0` for none.
    pub fn to_hex(&self) -> String {
        crate::mask_text::print_hex(self, 0)
    }

    /// The hexadecimal form as a kernel with `cpus` possible CPUs prints it, with leading zeros.
    pub fn to_hex_padded(&self, cpus: u32) -> String {
        crate::mask_text::print_hex(self, cpus)
    }

    /// Whether the mask has no CPU.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many CPUs the mask has.
    pub fn count(&self) -> usize {
        self.words.iter().map(|(_, bits)| bits.count_ones() as usize).sum()
    }

    /// Whether `cpu` is in the mask.
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.word(cpu.0 / BITS) & (1 << (cpu.0 % BITS)) != 0
    }

    /// Adds `cpu`; whether it was absent.
    ///
    /// # Panics
    ///
    /// If `cpu` is not below [`CpuMask::LIMIT`].
    pub fn insert(&mut self, cpu: CpuId) -> bool {
        let absent = !self.contains(cpu);
        self.insert_range(cpu, cpu);
        absent
    }

    /// Adds all CPUs from `first` to `last`, both included. Panics like [`CpuMask::insert`].
    pub fn insert_range(&mut self, first: CpuId, last: CpuId) {
        if first > last {
            return;
        }
        assert!(last.0 < Self::LIMIT, "CPU {last} is not below the limit of {}", Self::LIMIT);
        for index in first.0 / BITS..=last.0 / BITS {
            let low = first.0.saturating_sub(index * BITS).min(BITS - 1);
            let high = (last.0 - index * BITS).min(BITS - 1);
            self.or_word(index, (u64::MAX << low) & (u64::MAX >> (BITS - 1 - high)));
        }
    }

    /// Removes `cpu`; whether it was present.
    pub fn remove(&mut self, cpu: CpuId) -> bool {
        if !self.contains(cpu) {
            return false;
        }
        if let Ok(at) = self.find(cpu.0 / BITS) {
            self.words[at].1 &= !(1 << (cpu.0 % BITS));
            if self.words[at].1 == 0 {
                self.words.remove(at);
            }
        }
        true
    }

    /// The lowest CPU.
    pub fn first(&self) -> Option<CpuId> {
        self.words.first().map(|&(index, bits)| CpuId(index * BITS + bits.trailing_zeros()))
    }

    /// The highest CPU.
    pub fn last(&self) -> Option<CpuId> {
        self.words
            .last()
            .map(|&(index, bits)| CpuId(index * BITS + (BITS - 1 - bits.leading_zeros())))
    }

    /// The lowest CPU above `cpu`.
    pub fn next_after(&self, cpu: CpuId) -> Option<CpuId> {
        let from = cpu.0.checked_add(1)?;
        let at = self.words.partition_point(|&(index, _)| index < from / BITS);
        let &(index, bits) = self.words.get(at)?;
        let low = if index == from / BITS { from % BITS } else { 0 };
        match bits & (u64::MAX << low) {
            0 => self.words.get(at + 1).map(|&(i, b)| CpuId(i * BITS + b.trailing_zeros())),
            bits => Some(CpuId(index * BITS + bits.trailing_zeros())),
        }
    }

    /// The CPUs in ascending order.
    pub fn iter(&self) -> Cpus<'_> {
        Cpus { rest: self.words.iter(), word: (0, 0) }
    }

    /// CPUs in either mask.
    pub fn union(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.words.iter().peekable(), other.words.iter().peekable());
        let mut words = Vec::with_capacity(self.words.len().max(other.words.len()));
        loop {
            let index = match (a.peek(), b.peek()) {
                (None, None) => return Self { words },
                (Some(&&(i, _)), None) | (None, Some(&&(i, _))) => i,
                (Some(&&(i, _)), Some(&&(j, _))) => i.min(j),
            };
            let left = a.next_if(|word| word.0 == index).map_or(0, |word| word.1);
            let right = b.next_if(|word| word.0 == index).map_or(0, |word| word.1);
            words.push((index, left | right));
        }
    }

    /// CPUs in both masks.
    pub fn intersection(&self, other: &Self) -> Self {
        // By the shorter one: a core's mask against that of all CPUs is the usual case.
        let (short, long) =
            if self.words.len() <= other.words.len() { (self, other) } else { (other, self) };
        short.map_words(|index, bits| bits & long.word(index))
    }

    /// CPUs in this mask and not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        self.map_words(|index, bits| bits & !other.word(index))
    }

    /// Whether the masks have a CPU in common.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().any(|&(index, bits)| bits & other.word(index) != 0)
    }

    /// Whether every CPU of this mask is in the other.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.iter().all(|&(index, bits)| bits & !other.word(index) == 0)
    }

    pub(crate) fn or_word(&mut self, index: u32, bits: u64) {
        if bits == 0 {
            return;
        }
        match self.find(index) {
            Ok(at) => self.words[at].1 |= bits,
            Err(at) => self.words.insert(at, (index, bits)),
        }
    }

    /// The 64 CPUs from `index * 64` on.
    pub(crate) fn word(&self, index: u32) -> u64 {
        self.find(index).map_or(0, |at| self.words[at].1)
    }

    fn find(&self, index: u32) -> Result<usize, usize> {
        // Most masks are built in ascending order, so the end is the likely place.
        match self.words.last() {
            Some(&(last, _)) if last < index => Err(self.words.len()),
            _ => self.words.binary_search_by_key(&index, |&(i, _)| i),
        }
    }

    fn map_words(&self, op: impl Fn(u32, u64) -> u64) -> Self {
        let words = self.words.iter().map(|&(index, bits)| (index, op(index, bits)));
        Self { words: words.filter(|&(_, bits)| bits != 0).collect() }
    }
}

impl Iterator for Cpus<'_> {
    type Item = CpuId;

    fn next(&mut self) -> Option<CpuId> {
        if self.word.1 == 0 {
            self.word = *self.rest.next()?;
        }
        let bit = self.word.1.trailing_zeros();
        self.word.1 &= self.word.1 - 1;
        Some(CpuId(self.word.0 * BITS + bit))
    }
}

impl<'a> IntoIterator for &'a CpuMask {
    type Item = CpuId;
    type IntoIter = Cpus<'a>;

    fn into_iter(self) -> Cpus<'a> {
        self.iter()
    }
}

impl FromIterator<CpuId> for CpuMask {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> Self {
        let mut mask = Self::new();
        mask.extend(cpus);
        mask
    }
}

impl Extend<CpuId> for CpuMask {
    fn extend<I: IntoIterator<Item = CpuId>>(&mut self, cpus: I) {
        for cpu in cpus {
            self.insert(cpu);
        }
    }
}

impl BitOr for &CpuMask {
    type Output = CpuMask;

    fn bitor(self, other: Self) -> CpuMask {
        self.union(other)
    }
}

impl BitAnd for &CpuMask {
    type Output = CpuMask;

    fn bitand(self, other: Self) -> CpuMask {
        self.intersection(other)
    }
}

impl Sub for &CpuMask {
    type Output = CpuMask;

    fn sub(self, other: Self) -> CpuMask {
        self.difference(other)
    }
}

impl fmt::Display for CpuMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&crate::mask_text::print_list(self))
    }
}

impl std::str::FromStr for CpuMask {
    type Err = MaskError;

    fn from_str(text: &str) -> Result<Self, MaskError> {
        Self::from_list(text)
    }
}

impl Serialize for CpuMask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CpuMask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_list(&text).map_err(de::Error::custom)
    }
}
