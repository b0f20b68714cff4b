// SPDX-License-Identifier: GPL-2.0-or-later
//! What is missing in a trace: each bundle says whether something is before it; packets of a writer
//! may be missing; and at the end it may be told how much the kernel lost, CPU by CPU.

use crate::perfetto::field::stats;
use crate::protobuf::{Fields, Held};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Writers of bundles.
    writers: BTreeSet<u64>,
    /// CPUs that had bundles, with how many losses were told.
    cpus: BTreeMap<u32, u64>,
    /// CPUs of which a bundle may be missing since their last one.
    open: BTreeSet<u32>,
    /// What the kernel had lost when it began.
    at_start: BTreeMap<u32, u64>,
}

impl Losses {
    /// Takes a packet: who wrote it, whether packets of that one are missing before it, and whether it
    /// is a bundle. Those that are missing can have been of any CPU. Before its first packet nothing is
    /// missing, though it says so.
    pub(super) fn packet(&mut self, writer: u64, dropped: bool, is_bundle: bool) {
        if dropped && self.writers.contains(&writer) {
            self.open.extend(self.cpus.keys());
        }
        if is_bundle {
            self.writers.insert(writer);
        }
    }

    /// Whether something is missing before a bundle of a CPU, which may say so itself.
    pub(super) fn is_before(&mut self, cpu: u32, says: bool) -> bool {
        *self.cpus.entry(cpu).or_default() += u64::from(says);
        self.open.remove(&cpu) || says
    }

    /// CPUs of which something may be missing at the end.
    pub(super) fn open(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.open)
    }

    /// Takes an `FtraceStats`; if it is one of the end, how much more than was told is missing.
    pub(super) fn stats(&mut self, bytes: &[u8]) -> Option<Vec<(u32, u64)>> {
        let (mut phase, mut lost) = (0, BTreeMap::new());
        for field in Fields::new(bytes) {
            match field.ok()? {
                (stats::PHASE, Held::Number(number)) => phase = number,
                (stats::CPU_STATS, Held::Bytes(bytes)) => {
                    let (cpu, events) = cpu_stats(bytes)?;
                    lost.insert(cpu, events);
                }
                _ => {}
            }
        }
        if phase != stats::AT_END {
            self.at_start.extend(lost);
            return Some(Vec::new());
        }
        // Without the numbers of the start those of the end say nothing.
        let before = std::mem::take(&mut self.at_start);
        let rest = lost.into_iter().filter_map(|(cpu, events)| {
            let told = self.cpus.entry(cpu).or_default();
            let rest = events.saturating_sub(*before.get(&cpu)?).saturating_sub(*told);
            *told = told.saturating_add(rest);
            (rest > 0).then_some((cpu, rest))
        });
        Some(rest.collect())
    }
}

/// A CPU, and how many events it lost so far: overwritten before they were read, or not written.
fn cpu_stats(bytes: &[u8]) -> Option<(u32, u64)> {
    let (mut cpu, mut lost) = (0, 0_u64);
    for field in Fields::new(bytes) {
        match field.ok()? {
            (stats::CPU, Held::Number(number)) => cpu = number as u32,
            (stats::OVERRUN | stats::COMMIT_OVERRUN | stats::DROPPED, Held::Number(number)) => {
                lost = lost.saturating_add(number);
            }
            _ => {}
        }
    }
    Some((cpu, lost))
}
