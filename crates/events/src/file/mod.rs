// SPDX-License-Identifier: GPL-2.0-or-later
//! Event files: `docs/formats.md` has every field.
//!
//! A file is a magic number and a version, then chunks, each with its length and a checksum. What
//! a number stands for is told before the first event that has it, so a file can be read while it
//! is written, and a damaged one up to the damage and on from the next whole chunk.

mod checksum;
mod columns;
mod reader;
mod writer;

pub use reader::{OpenError, Reader};
pub use writer::Writer;

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The first bytes of a file. The first of them is in no text, the last is damaged by whatever
/// changes ends of lines.
pub const MAGIC: [u8; 8] = *b"\x89ROTAev\n";
/// Version of the format.
const VERSION: u32 = 2;
/// The first bytes of a chunk.
const CHUNK: [u8; 4] = *b"\xb5Chk";
/// Bytes before what a chunk holds.
const CHUNK_HEAD: usize = 24;
/// The most that a chunk holds, in bytes: what is longer is damage.
const PAYLOAD_MAX: usize = 1 << 22;
/// So many events are written in one chunk.
const EVENTS_A_CHUNK: usize = 4096;

/// The most events that are read from one chunk.
const EVENTS_MAX: usize = 1 << 16;

/// What chunks hold.
mod chunk {
    pub(super) const MACHINE: u16 = 1;
    pub(super) const TEXTS: u16 = 2;
    pub(super) const TASKS: u16 = 3;
    pub(super) const EVENTS: u16 = 4;
    pub(super) const END: u16 = 5;
}

/// Bytes of a task in a file.
const TASK_BYTES: usize = 32;

/// Where a CPU is: two CPUs with the same number share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuPlace {
    /// Its core.
    pub core: u32,
    /// Its last-level cache.
    pub llc: u32,
    /// Its NUMA node.
    pub node: u32,
}

/// The machine of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// The kernel, as `uname -r` prints it, or that whose types were used.
    pub kernel: String,
    /// Whose time events have: `virtual` in a simulation, else `monotonic`.
    pub clock: String,
    /// The place of each CPU, by the kernel's numbers; empty if it is not known.
    pub cpus: Vec<CpuPlace>,
    /// The command that made the recording, in words; empty if it is not known.
    pub command: Vec<String>,
    /// What a simulation began with; empty in recordings of live systems. With these, and the
    /// command, it can be run again.
    pub settings: BTreeMap<String, String>,
}

impl MachineFacts {
    fn to_json(&self) -> String {
        let place = |p: &CpuPlace| json!([p.core, p.llc, p.node]);
        let cpus: Vec<Value> = self.cpus.iter().map(place).collect();
        json!({
            "kernel": self.kernel,
            "clock": self.clock,
            "cpus": cpus,
            "command": self.command,
            "settings": self.settings,
        })
        .to_string()
    }

    /// Reads what it can; what is missing is empty.
    fn from_json(text: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let number = |place: &Value, i: usize| place[i].as_u64().unwrap_or(0) as u32;
        let cpus = value["cpus"].as_array().map_or(&[][..], Vec::as_slice);
        let place =
            |p: &Value| CpuPlace { core: number(p, 0), llc: number(p, 1), node: number(p, 2) };
        let words = |words: &Vec<Value>| {
            words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
        };
        let pair =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Some(Self {
            kernel: text("kernel"),
            clock: text("clock"),
            cpus: cpus.iter().map(place).collect(),
            command: value["command"].as_array().map(words).unwrap_or_default(),
            settings: value["settings"]
                .as_object()
                .map(|pairs| pairs.iter().filter_map(pair).collect())
                .unwrap_or_default(),
        })
    }
}
