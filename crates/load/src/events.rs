// SPDX-License-Identifier: GPL-2.0-or-later
//! Events by which threads wait for each other, and wake each other.
//!
//! Each does under a lock of its own what the simulator does in one step. Who is to be woken is
//! taken from the queue under the lock and woken behind it.

use crate::sleeper::Sleeper;
use rota_kernel::now_ns;
use rota_workload::{Event, Signals};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An event that threads share.
#[derive(Debug)]
pub(crate) struct SharedEvent {
    event: Event,
    signals: Mutex<Signals<Arc<Sleeper>>>,
}

impl SharedEvent {
    pub(crate) fn new(event: Event) -> Self {
        Self { event, signals: Mutex::new(Signals::new(event)) }
    }

    fn lock(&self) -> MutexGuard<'_, Signals<Arc<Sleeper>>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a signal, and tells since when what comes of it is waited for; else it is among those
    /// who wait.
    pub(crate) fn wait_for(&self, who: &Arc<Sleeper>) -> Option<u64> {
        let mut signals = self.lock();
        match signals.take() {
            Some(since_ns) => Some(self.asked(since_ns)),
            None => {
                who.arm();
                signals.waiting.push_back(Arc::clone(who));
                None
            }
        }
    }

    /// Whether all who wait look again for a signal when they are woken.
    pub(crate) fn looks_again(&self) -> bool {
        self.event.wakes_at > 0
    }

    /// Is among those who wait until so many do; whether it waits. The last one wakes the others.
    pub(crate) fn gather(&self, who: &Arc<Sleeper>, count: u32) -> bool {
        let mut signals = self.lock();
        if signals.waiting.len() + 1 < count as usize {
            who.arm();
            signals.waiting.push_back(Arc::clone(who));
            return true;
        }
        let waiting = std::mem::take(&mut signals.waiting);
        drop(signals);
        waiting.iter().for_each(|other| self.wake(other, now_ns()));
        false
    }

    /// Signals so many times, for what is waited for since then.
    pub(crate) fn signal(&self, times: u32, since_ns: u64) {
        if self.looks_again() {
            let mut signals = self.lock();
            signals.keep(since_ns, times);
            if signals.kept() < self.event.wakes_at {
                return;
            }
            let waiting = std::mem::take(&mut signals.waiting);
            drop(signals);
            waiting.iter().rev().for_each(|other| self.wake(other, since_ns));
            return;
        }
        for n in 0..times {
            let mut signals = self.lock();
            let Some(other) = signals.waiting.pop_front() else {
                signals.keep(since_ns, times - n);
                return;
            };
            drop(signals);
            self.wake(&other, since_ns);
        }
    }

    /// Wakes all who wait now.
    pub(crate) fn broadcast(&self, since_ns: u64) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.iter().for_each(|other| self.wake(other, since_ns));
    }

    /// Since when signals are kept, and how many of each.
    pub(crate) fn kept_since(&self) -> Vec<(u64, u32)> {
        self.lock().kept_since().collect()
    }

    fn wake(&self, who: &Sleeper, since_ns: u64) {
        who.wake(now_ns(), self.asked(since_ns));
    }

    /// What there is from the start is leave to do something, which nobody has asked for before.
    fn asked(&self, since_ns: u64) -> u64 {
        if self.event.initial > 0 { now_ns() } else { since_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleepers<const N: usize>() -> [Arc<Sleeper>; N] {
        std::array::from_fn(|_| Arc::new(Sleeper::default()))
    }

    fn woken(sleeper: &Sleeper) -> Option<u64> {
        sleeper.wait(|| 0).map(|woken| woken.asked_ns)
    }

    #[test]
    fn the_first_to_come_is_woken_first() {
        let (event, [a, b, c]) = (SharedEvent::new(Event::COUNTER), sleepers());
        for who in [&a, &b, &c] {
            assert_eq!(event.wait_for(who), None);
        }
        event.signal(2, 5);
        assert_eq!([&a, &b, &c].map(|who| woken(who)), [Some(5), Some(5), None]);
        event.signal(3, 6);
        assert_eq!(woken(&c), Some(6));
        assert_eq!(event.kept_since(), [(6, 2)]);
        assert_eq!(event.wait_for(&a), Some(6));
    }

    #[test]
    fn a_condition_keeps_nothing_and_a_flag_one() {
        let [a] = sleepers();
        let (condition, flag) = (SharedEvent::new(Event::CONDITION), SharedEvent::new(Event::FLAG));
        condition.signal(1, 5);
        flag.signal(3, 5);
        assert_eq!(condition.wait_for(&a), None);
        condition.broadcast(8);
        assert_eq!(woken(&a), Some(8));
        assert_eq!((flag.wait_for(&a), flag.wait_for(&a)), (Some(5), None));
    }

    #[test]
    fn a_lock_is_handed_on() {
        let (lock, [a, b, c]) = (SharedEvent::new(Event::LOCK), sleepers());
        let before = now_ns();
        assert!(lock.wait_for(&a).is_some_and(|asked| asked >= before));
        assert_eq!((lock.wait_for(&b), lock.wait_for(&c)), (None, None));
        lock.signal(1, 5);
        // Who waited for it has asked for nothing before it had the lock.
        assert!(woken(&b).is_some_and(|asked| asked >= before));
        assert_eq!(woken(&c), None);
    }

    #[test]
    fn those_who_look_again_are_woken_together() {
        let event = Event { wakes_at: 2, ..Event::COUNTER };
        let (event, [a, b]) = (SharedEvent::new(event), sleepers());
        assert_eq!((event.wait_for(&a), event.wait_for(&b)), (None, None));
        event.signal(1, 5);
        assert_eq!((woken(&a), woken(&b)), (None, None));
        event.signal(1, 6);
        assert_eq!((woken(&a), woken(&b)), (Some(6), Some(6)));
        assert_eq!((event.wait_for(&a), event.wait_for(&b)), (Some(5), Some(6)));
    }

    #[test]
    fn the_last_wakes_those_who_gather() {
        let (event, [a, b, c]) = (SharedEvent::new(Event::CONDITION), sleepers());
        assert!(event.gather(&a, 3) && event.gather(&b, 3) && !event.gather(&c, 3));
        assert!(woken(&a).is_some() && woken(&b).is_some());
        assert!(!event.gather(&a, 1));
    }
}
