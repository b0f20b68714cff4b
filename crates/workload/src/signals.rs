// SPDX-License-Identifier: GPL-2.0-or-later
//! The state of an event: its signals, and who waits for it.
//!
//! A signal carries since when somebody waits for what comes of it: the present, or, if who
//! signals is in the midst of a piece of work, when that was asked for.

use crate::program::Event;
use std::collections::VecDeque;

/// An event, who waits for it, and the signals that nobody has waited for yet.
#[derive(Debug)]
pub struct Signals<T> {
    event: Event,
    kept: u32,
    /// Since when, for signals that are kept, and how many of each: those at the start are since
    /// time 0.
    since: VecDeque<(u64, u32)>,
    /// Who waits, the first to come in front.
    pub waiting: VecDeque<T>,
}

impl<T> Signals<T> {
    /// The event as it begins; nobody waits for it.
    pub fn new(event: Event) -> Self {
        let kept = event.initial.min(event.most);
        let since = (kept > 0).then_some((0, kept)).into_iter().collect();
        Self { event, kept, since, waiting: VecDeque::new() }
    }

    /// The event.
    pub fn event(&self) -> Event {
        self.event
    }

    /// How many signals are kept.
    pub fn kept(&self) -> u32 {
        self.kept
    }

    /// Keeps as many of some signals as it may.
    pub fn keep(&mut self, since_ns: u64, times: u32) {
        let times = times.min(self.event.most - self.kept);
        if times == 0 {
            return;
        }
        self.kept += times;
        match self.since.back_mut() {
            Some((since, count)) if *since == since_ns => *count += times,
            _ => self.since.push_back((since_ns, times)),
        }
    }

    /// Since when signals are kept, and how many of each.
    pub fn kept_since(&self) -> impl Iterator<Item = (u64, u32)> {
        self.since.iter().copied()
    }

    /// Takes the signal that was kept for longest: since when it is waited for, in ns.
    pub fn take(&mut self) -> Option<u64> {
        let (since, count) = self.since.front_mut()?;
        let since = *since;
        *count -= 1;
        if *count == 0 {
            self.since.pop_front();
        }
        self.kept -= 1;
        Some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, one signal at a time.
    struct Slow {
        most: usize,
        kept: VecDeque<u64>,
    }

    impl Slow {
        fn keep(&mut self, since_ns: u64, times: u32) {
            for _ in 0..times {
                if self.kept.len() < self.most {
                    self.kept.push_back(since_ns);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn signals_are_kept_in_order_and_not_too_many(
            initial in 0..4_u32,
            most in 0..20_u32,
            steps in prop::collection::vec((0..4_u64, 0..9_u32), 0..60),
        ) {
            let mut signals = Signals::<()>::new(Event { initial, most, ..Event::COUNTER });
            let mut slow = Slow { most: most as usize, kept: VecDeque::new() };
            slow.keep(0, initial);
            for (since_ns, times) in steps {
                if times == 0 || since_ns == 0 {
                    prop_assert_eq!(signals.take(), slow.kept.pop_front());
                } else {
                    signals.keep(since_ns, times);
                    slow.keep(since_ns, times);
                }
                prop_assert_eq!(signals.kept as usize, slow.kept.len());
            }
        }
    }
}
