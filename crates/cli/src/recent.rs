// SPDX-License-Identifier: GPL-2.0-or-later
//! The last seconds of what happens, in bounded memory.

use rota_events::{EVENT_BYTES, Event};
use std::collections::VecDeque;

/// So many bytes of events are kept at most.
pub(crate) const MOST_BYTES: usize = 512 << 20;

/// Keeps events that are not older than a time.
#[derive(Debug)]
pub(crate) struct Recent {
    long_ns: u64,
    most: usize,
    events: VecDeque<Event>,
    /// Whether any were dropped for lack of room, though young enough.
    pub(crate) is_short: bool,
}

impl Recent {
    pub(crate) fn new(long_ns: u64) -> Self {
        let most = MOST_BYTES / EVENT_BYTES;
        Self { long_ns, most, events: VecDeque::new(), is_short: false }
    }

    /// Takes the next events, and drops what is too old.
    pub(crate) fn add(&mut self, events: &[Event]) {
        self.events.extend(events);
        let last_ns = self.events.back().map_or(0, |event| event.time_ns);
        let oldest_ns = last_ns.saturating_sub(self.long_ns);
        let old = |event: &Event| event.time_ns < oldest_ns;
        while self.events.len() > self.most || self.events.front().is_some_and(old) {
            let dropped = self.events.pop_front();
            self.is_short |= dropped.is_some_and(|event| !old(&event));
        }
    }

    /// What there is, the oldest first.
    pub(crate) fn events(&mut self) -> &[Event] {
        self.events.make_contiguous()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::{CpuNumber, TaskRef, What};

    #[test]
    fn what_is_too_old_or_too_much_is_dropped() {
        let event = |time_ns| Event::new(time_ns, CpuNumber(0), TaskRef::NONE, What::Exit);
        let times = |recent: &mut Recent| -> Vec<u64> {
            recent.events().iter().map(|event| event.time_ns).collect()
        };
        let mut recent = Recent { most: 3, ..Recent::new(10) };
        recent.add(&[event(1), event(5)]);
        recent.add(&[event(12)]);
        assert_eq!((times(&mut recent), recent.is_short), (vec![5, 12], false));
        recent.add(&[event(13), event(14)]);
        assert_eq!((times(&mut recent), recent.is_short), (vec![12, 13, 14], true));
    }
}
