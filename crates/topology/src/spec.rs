// SPDX-License-Identifier: GPL-2.0-or-later
//! The short form of a machine: `2s:4l:8c:2t`.
//!
//! Each part is a number and a letter, and says how many of it the level before has:
//!
//! | letter | counts | within each |
//! | --- | --- | --- |
//! | `s` | sockets (packages) | machine |
//! | `n` | NUMA nodes | socket |
//! | `l` | last-level caches | node |
//! | `c` | cores | LLC |
//! | `t` | hardware threads | core |
//!
//! What is left out is 1. So `2s:4l:8c:2t` has 2 sockets, each one node with 4 LLCs of 8 cores of
//! 2 threads, 128 CPUs; `16c` is sixteen cores on one LLC; `2s:4n:2l:8c` has 8 nodes.
//!
//! Siblings are neighbours, as QEMU numbers them: with `2c:2t` core 0 is CPUs 0 and 1, core 1 is
//! CPUs 2 and 3. LLCs, nodes and sockets follow one after the other likewise. (Real x86 machines
//! often number the first threads of all cores first; take a snapshot where that matters.)
//!
//! Distances are 10 within a node, 12 between the nodes of a socket, 20 between sockets. All CPUs
//! are online, possible and equal; every LLC is an L3 of unstated size.

use std::fmt;

use crate::assemble::Parts;
use crate::model::{Core, Cpu, Llc, LlcOrigin, Node, Package, Source};
use crate::{CPUS_MAX, CoreId, CpuId, CpuMask, LlcId, NODES_MAX, NodeId, PackageId, Topology};

const LETTERS: [char; 5] = ['s', 'n', 'l', 'c', 't'];
const NAMES: [&str; 5] = ["sockets", "nodes", "LLCs", "cores", "threads"];

/// A machine in the short form; see the letters there. Never above [`CPUS_MAX`] CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spec {
    counts: [u32; 5],
}

/// Why a text is no short form, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("machine {text:?}, at offset {offset}: {kind}")]
pub struct SpecError {
    /// The text.
    pub text: String,
    /// Byte offset in the text.
    pub offset: usize,
    /// What is wrong there.
    pub kind: SpecErrorKind,
}

/// What is wrong with a short form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecErrorKind {
    /// Something else stands where this was needed.
    #[error("expected {expected}, found {}", found.map_or("the end".to_owned(), |c| format!("{c:?}")))]
    Expected {
        /// What was needed.
        expected: String,
        /// What stands there; nothing at the end of the text.
        found: Option<char>,
    },
    /// None of something.
    #[error("0 {name} make no machine, expected at least 1")]
    Zero {
        /// What there is none of.
        name: &'static str,
    },
    /// The whole machine is too large.
    #[error("the machine would have more than {CPUS_MAX} CPUs or {NODES_MAX} nodes")]
    TooLarge,
}

impl Spec {
    /// A machine of so many sockets, NUMA nodes in each socket, LLCs in each node, cores in each
    /// LLC and threads in each core; `None` if one is zero or the whole is too large.
    pub fn new(sockets: u32, nodes: u32, llcs: u32, cores: u32, threads: u32) -> Option<Self> {
        let counts = [sockets, nodes, llcs, cores, threads];
        (!counts.contains(&0) && fits(&counts)).then_some(Self { counts })
    }

    /// Sockets of the machine.
    pub fn sockets(&self) -> u32 {
        self.counts[0]
    }

    /// NUMA nodes of each socket.
    pub fn nodes(&self) -> u32 {
        self.counts[1]
    }

    /// LLCs of each node.
    pub fn llcs(&self) -> u32 {
        self.counts[2]
    }

    /// Cores of each LLC.
    pub fn cores(&self) -> u32 {
        self.counts[3]
    }

    /// Hardware threads of each core.
    pub fn threads(&self) -> u32 {
        self.counts[4]
    }

    /// CPUs of the whole machine.
    pub fn cpus(&self) -> u32 {
        self.counts.iter().product()
    }

    /// The machine.
    pub fn topology(&self) -> Topology {
        let [sockets, nodes, llcs, cores, _] = self.counts;
        let node_count = sockets * nodes;
        let distance = |a: u32, b: u32| match (a == b, a / nodes == b / nodes) {
            (true, _) => 10,
            (_, true) => 12,
            _ => 20,
        };
        let parts = Parts {
            possible: CpuMask::range(CpuId(0), CpuId(self.cpus() - 1)),
            cpus: (0..self.cpus()).map(|id| Cpu::unknown(CpuId(id), true)).collect(),
            cores: self.split(node_count * llcs * cores, |id, cpus| Core {
                id: CoreId(id),
                cpus,
                kernel_id: None,
            }),
            clusters: Vec::new(),
            llcs: self.split(node_count * llcs, |id, cpus| Llc {
                id: LlcId(id),
                cpus,
                origin: LlcOrigin::Cache,
                level: Some(3),
                size_bytes: None,
                kernel_id: None,
            }),
            packages: self.split(sockets, |id, cpus| Package {
                id: PackageId(id),
                cpus,
                kernel_id: None,
            }),
            nodes: self.split(node_count, |id, cpus| Node {
                id: NodeId(id),
                cpus,
                distances: (0..node_count).map(|to| distance(id, to)).collect(),
            }),
            capacity_source: Source::Stated,
            core_type_source: Source::Stated,
        };
        parts.build().expect("equal, consecutive groups are always a machine")
    }

    /// Cuts the machine into `count` equal runs of CPUs.
    fn split<T>(&self, count: u32, make: impl Fn(u32, CpuMask) -> T) -> Vec<T> {
        let size = self.cpus() / count;
        let run = |id| CpuMask::range(CpuId(id * size), CpuId(id * size + size - 1));
        (0..count).map(|id| make(id, run(id))).collect()
    }
}

impl std::str::FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let fail = |offset, kind| SpecError { text: text.to_owned(), offset, kind };
        let expected = |offset: usize, expected: String| {
            let found = text[offset..].chars().next();
            fail(offset, SpecErrorKind::Expected { expected, found })
        };
        let mut counts = [1; 5];
        let mut next = 0;
        let mut at = 0;
        loop {
            let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(expected(at, "a number".to_owned()));
            }
            let count = text[at..at + digits].parse::<u32>().unwrap_or(u32::MAX);
            let letter = text[at + digits..].chars().next();
            let Some(part) = (next..5).find(|&part| Some(LETTERS[part]) == letter) else {
                return Err(expected(at + digits, letters_from(next)));
            };
            if count == 0 {
                return Err(fail(at, SpecErrorKind::Zero { name: NAMES[part] }));
            }
            counts[part] = count;
            if !fits(&counts) {
                return Err(fail(at, SpecErrorKind::TooLarge));
            }
            next = part + 1;
            at += digits + 1;
            match text[at..].chars().next() {
                None => return Ok(Self { counts }),
                Some(':') if next < 5 => at += 1,
                Some(_) if next < 5 => return Err(expected(at, "':' or the end".to_owned())),
                Some(_) => return Err(expected(at, "the end (threads come last)".to_owned())),
            }
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .counts
            .iter()
            .zip(LETTERS)
            .filter(|&(&count, _)| count > 1)
            .map(|(count, letter)| format!("{count}{letter}"))
            .collect();
        f.pad(&if parts.is_empty() { "1c".to_owned() } else { parts.join(":") })
    }
}

/// `one of s (sockets), n (nodes), ...`, from a part on, as the parts have a fixed order.
fn letters_from(part: usize) -> String {
    let letters: Vec<String> =
        (part..5).map(|i| format!("'{}' ({})", LETTERS[i], NAMES[i])).collect();
    match letters.as_slice() {
        [one] => one.clone(),
        _ => format!("one of {}", letters.join(", ")),
    }
}

fn fits(counts: &[u32; 5]) -> bool {
    let product = |counts: &[u32]| counts.iter().try_fold(1u32, |all, &n| all.checked_mul(n));
    let below = |product: Option<u32>, most: usize| product.is_some_and(|n| n as usize <= most);
    below(product(counts), CPUS_MAX) && below(product(&counts[..2]), NODES_MAX)
}
