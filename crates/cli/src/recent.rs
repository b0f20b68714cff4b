// SPDX-License-Identifier: GPL-2.0-or-later
//! The last seconds of what happens, in bounded memory.

use rota_events::{EVENT_BYTES, Event, Kind, TaskRef};
use std::collections::{BTreeMap, VecDeque};

/// So many bytes of events are kept at most.
pub(crate) const MOST_BYTES: usize = 512 << 20;

/// So many events share a piece of memory, so that what is kept never needs to be copied for more room.
const BLOCK: usize = 4096;

/// Keeps events that are not older than a time.
#[derive(Debug)]
pub(crate) struct Recent {
    long_ns: u64,
    most: usize,
    blocks: VecDeque<Vec<Event>>,
    /// So many of the first block are no longer kept.
    dropped: usize,
    /// What was told last of nice values and of CPUs that tasks may use, and is too old to be kept.
    told: BTreeMap<(TaskRef, Kind), Event>,
    /// Whether any were dropped for lack of room, though young enough.
    pub(crate) is_short: bool,
}

impl Recent {
    pub(crate) fn new(long_ns: u64) -> Self {
        let most = MOST_BYTES / EVENT_BYTES;
        let (blocks, told) = (VecDeque::new(), BTreeMap::new());
        Self { long_ns, most, blocks, dropped: 0, told, is_short: false }
    }

    /// Takes the next events, and drops what is too old.
    pub(crate) fn add(&mut self, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let oldest_ns = last.time_ns.saturating_sub(self.long_ns);
        for event in events {
            match self.blocks.back_mut().filter(|block| block.len() < BLOCK) {
                Some(block) => block.push(*event),
                None => {
                    let mut block = Vec::with_capacity(BLOCK);
                    block.push(*event);
                    self.blocks.push_back(block);
                }
            }
            if self.count() > self.most {
                self.is_short |= self.drop_first().is_some_and(|event| event.time_ns >= oldest_ns);
            }
        }
        let first = |recent: &Self| Some(recent.blocks.front()?.get(recent.dropped)?.time_ns);
        while first(self).is_some_and(|time_ns| time_ns < oldest_ns) {
            self.drop_first();
        }
    }

    /// How many there are.
    fn count(&self) -> usize {
        let last = self.blocks.back().map_or(0, Vec::len);
        (self.blocks.len().saturating_sub(1) * BLOCK + last).saturating_sub(self.dropped)
    }

    fn drop_first(&mut self) -> Option<Event> {
        let block = self.blocks.front()?;
        let event = *block.get(self.dropped)?;
        self.dropped += 1;
        if self.dropped == block.len() {
            self.blocks.pop_front();
            self.dropped = 0;
        }
        match event.kind {
            Kind::Weight | Kind::Affinity => {
                self.told.insert((event.task, event.kind), event);
            }
            Kind::Exit => {
                for kind in [Kind::Weight, Kind::Affinity] {
                    self.told.remove(&(event.task, kind));
                }
            }
            _ => (),
        }
        Some(event)
    }

    /// What there is in pieces, the oldest first, after the nice values and CPUs of those days.
    pub(crate) fn into_blocks(mut self) -> impl Iterator<Item = Vec<Event>> {
        let mut first = Vec::new();
        if let Some(block) = self.blocks.pop_front() {
            let kept = block.get(self.dropped..).unwrap_or_default();
            let time_ns = kept.first().map_or(0, |event| event.time_ns);
            first.extend(self.told.into_values());
            first.iter_mut().for_each(|told: &mut Event| told.time_ns = time_ns);
            first.extend(kept);
        }
        std::iter::once(first).chain(self.blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::{CpuNumber, TaskRef, What};

    #[test]
    fn what_is_too_old_or_too_much_is_dropped() {
        let event = |time_ns| Event::new(time_ns, CpuNumber(0), TaskRef::NONE, What::Exit);
        let kept = |batches: &[&[u64]]| {
            let mut recent = Recent { most: 3, ..Recent::new(10) };
            for batch in batches {
                recent.add(&batch.iter().copied().map(event).collect::<Vec<_>>());
            }
            let is_short = recent.is_short;
            let times: Vec<_> = recent.into_blocks().flatten().map(|event| event.time_ns).collect();
            (times, is_short)
        };
        assert_eq!(kept(&[]), (vec![], false));
        assert_eq!(kept(&[&[1, 5], &[12], &[]]), (vec![5, 12], false));
        assert_eq!(kept(&[&[1, 5], &[12], &[13, 14]]), (vec![12, 13, 14], true));
        assert_eq!(kept(&[&[1, 5], &[12], &[13, 16]]), (vec![12, 13, 16], false));
    }

    #[test]
    fn no_more_memory_is_taken_than_for_what_is_kept() {
        let event = |time_ns| Event::new(time_ns, CpuNumber(0), TaskRef::NONE, What::Exit);
        let most = 5 * BLOCK + 7;
        let mut recent = Recent { most, ..Recent::new(u64::MAX) };
        for batch in 0..100 {
            let batch: Vec<_> = (0..1000).map(|number| event(batch * 1000 + number)).collect();
            recent.add(&batch);
            let room: usize = recent.blocks.iter().map(Vec::capacity).sum();
            assert!(room <= most + 2 * BLOCK, "{room}");
        }
        let times: Vec<_> = recent.into_blocks().flatten().map(|event| event.time_ns).collect();
        assert!(times.iter().copied().eq(100_000 - most as u64..100_000), "{}", times.len());
    }

    #[test]
    fn nice_values_and_cpus_are_kept() {
        let event = |time_ns, task, what| Event::new(time_ns, CpuNumber(0), TaskRef(task), what);
        let weight = |time_ns, task, nice| event(time_ns, task, What::Weight { nice, weight: 100 });
        let mut recent = Recent::new(10);
        let cpus = |time_ns, task| event(time_ns, task, What::Affinity { cpus: 1, first: 1 });
        recent.add(&[weight(1, 1, 3), weight(2, 2, 4), weight(3, 1, 5), weight(4, 3, 6)]);
        recent.add(&[cpus(4, 1), cpus(4, 2)]);
        recent.add(&[event(5, 2, What::Exit), weight(15, 3, 7), event(20, 1, What::Idle)]);
        let told = [weight(15, 1, 5), cpus(15, 1), weight(15, 3, 6)];
        let kept = [weight(15, 3, 7), event(20, 1, What::Idle)];
        let found: Vec<_> = recent.into_blocks().flatten().collect();
        assert_eq!(found, [&told[..], &kept].concat());
    }
}
