// SPDX-License-Identifier: GPL-2.0-or-later
//! What is compared of a recording.

use crate::exit::Exit;
use crate::hist::{ByChoice, KindChoice};
use crate::output;
use crate::view::{open_recording, tell_problems};
use anyhow::Result;
use rota_events::{Histogram, Span, Spans, StreamHash, What};
use rota_trace::{Blocks, Hist};
use std::collections::BTreeMap;
use std::path::Path;

/// A recording.
pub(super) struct Recording {
    pub(super) name: String,
    /// From its first event to its last, in ns.
    pub(super) long_ns: u64,
    pub(super) events: u64,
    pub(super) cpus: usize,
    /// The hash of all events.
    pub(super) hash: u64,
    /// How many events are missing.
    pub(super) lost: u64,
    /// Whether all of it could be read.
    pub(super) whole: bool,
    /// The times of each kind that was asked for.
    pub(super) times: Vec<Times>,
}

/// The times of a kind.
pub(super) struct Times {
    pub(super) kind: KindChoice,
    pub(super) blocks: Blocks,
    /// By what was asked for, such as the names of tasks.
    pub(super) names: BTreeMap<String, Histogram>,
}

impl Recording {
    /// The times of a kind.
    pub(super) fn of(&self, kind: KindChoice) -> Option<&Times> {
        self.times.iter().find(|times| times.kind == kind)
    }
}

/// Reads the times of these kinds.
pub(super) fn read(path: &Path, kinds: &[KindChoice], by: ByChoice) -> Result<Recording> {
    let name = path.display().to_string();
    let mut reader = open_recording(path)?;
    let cpus = reader.machine().cpus.clone();
    let empty = |kind: &KindChoice| (*kind, Blocks::default(), Hist::new(by.by(), &cpus));
    let mut times: Vec<_> = kinds.iter().map(empty).collect();
    let (mut spans, mut lost, mut events) = (Spans::default(), 0_u64, 0_u64);
    let (mut ends, mut hash): (Option<(u64, u64)>, _) = (None, StreamHash::default());
    while let Some(some) = reader.next_events()? {
        events += some.len() as u64;
        for event in &some {
            hash.add(event);
            let (first, last) = ends.unwrap_or((event.time_ns, event.time_ns));
            ends = Some((first, last.max(event.time_ns)));
            if let What::Lost { events } = event.what() {
                lost = lost.saturating_add(events);
            }
            spans.add(event, &mut |span: Span| {
                let of = times.iter_mut().filter(|(kind, ..)| kind.kind() == span.kind);
                for (_, blocks, names) in of {
                    blocks.add(event.time_ns, span.ns);
                    names.add(&span);
                }
            });
        }
    }
    if lost > 0 {
        output::error(&format!("{name}: {lost} events are lost: times under way are left out"));
    }
    let tables = reader.tables();
    let named = |(kind, blocks, names): (KindChoice, Blocks, Hist)| {
        let names = names.rows(tables).into_iter().collect();
        Times { kind, blocks, names }
    };
    let times = times.into_iter().map(named).collect();
    let whole = tell_problems(&name, reader.problems()) == Exit::Done;
    let (long_ns, hash) = (ends.map_or(0, |(first, last)| last - first), hash.value());
    Ok(Recording { name, long_ns, events, cpus: cpus.len(), hash, lost, whole, times })
}
