// SPDX-License-Identifier: GPL-2.0-or-later
//! How a thread sleeps until somebody wakes it, or until a time.

use rota_kernel::now_ns;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// The longest sleep at a time, in ns: far ends need not be exact.
const SLEEP_NS_MAX: u64 = 3_600_000_000_000;

/// A thread that may sleep, as others see it.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    thread: OnceLock<Thread>,
    woken: AtomicBool,
    woken_ns: AtomicU64,
    asked_ns: AtomicU64,
}

/// That somebody woke a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Woken {
    /// When, by the clock of who did.
    pub(crate) at_ns: u64,
    /// Since when what comes of it is waited for.
    pub(crate) asked_ns: u64,
    /// Whether it slept until then.
    pub(crate) slept: bool,
}

impl Sleeper {
    /// It is the calling thread from now on.
    pub(crate) fn is_me(&self) {
        // Only one thread ever says so.
        let _ = self.thread.set(thread::current());
    }

    /// From now on it can be woken, once. Only the thread itself says so.
    pub(crate) fn arm(&self) {
        self.woken.store(false, Ordering::Relaxed);
    }

    /// Wakes it, for what is waited for since then.
    pub(crate) fn wake(&self, at_ns: u64, asked_ns: u64) {
        self.woken_ns.store(at_ns, Ordering::Relaxed);
        self.asked_ns.store(asked_ns, Ordering::Relaxed);
        self.woken.store(true, Ordering::Release);
        self.nudge();
    }

    /// Has it look whether the end has come.
    pub(crate) fn nudge(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Waits until it is woken; `None` if the end comes before. `end` tells when that is.
    pub(crate) fn wait(&self, end: impl Fn() -> u64) -> Option<Woken> {
        let mut slept = false;
        loop {
            if self.woken.load(Ordering::Acquire) {
                return Some(Woken {
                    at_ns: self.woken_ns.load(Ordering::Relaxed),
                    asked_ns: self.asked_ns.load(Ordering::Relaxed),
                    slept,
                });
            }
            let (now, end) = (now_ns(), end());
            if now >= end {
                return None;
            }
            thread::park_timeout(Duration::from_nanos((end - now).min(SLEEP_NS_MAX)));
            slept = true;
        }
    }

    /// Sleeps until a time; when it is up, or `None` if the end comes before.
    pub(crate) fn sleep(until_ns: u64, end: impl Fn() -> u64) -> Option<u64> {
        loop {
            let (now, end) = (now_ns(), end());
            if now >= end {
                return None;
            }
            if now >= until_ns {
                return Some(now);
            }
            let left_ns = until_ns.min(end) - now;
            thread::park_timeout(Duration::from_nanos(left_ns.min(SLEEP_NS_MAX)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn who_is_woken_before_it_waits_does_not_sleep() {
        let sleeper = Sleeper::default();
        sleeper.is_me();
        sleeper.arm();
        sleeper.wake(7, 3);
        let woken = sleeper.wait(|| u64::MAX);
        assert_eq!(woken, Some(Woken { at_ns: 7, asked_ns: 3, slept: false }));
        sleeper.arm();
        // What is left of the first time is no second one.
        let soon = now_ns() + 1_000_000;
        assert_eq!(sleeper.wait(|| soon), None);
        assert!(now_ns() >= soon);
    }

    #[test]
    fn another_thread_wakes_it() {
        let sleeper = Arc::new(Sleeper::default());
        let other = Arc::clone(&sleeper);
        let thread = thread::spawn(move || {
            other.is_me();
            other.wait(|| u64::MAX)
        });
        sleeper.wake(5, 5);
        // It may have been woken before it said who it is; then it does not sleep at all.
        let woken = thread.join().unwrap().unwrap();
        assert_eq!((woken.at_ns, woken.asked_ns), (5, 5));
    }

    #[test]
    fn sleeps_end_in_time() {
        let until = now_ns() + 2_000_000;
        assert!(Sleeper::sleep(until, || u64::MAX).unwrap() >= until);
        assert_eq!(Sleeper::sleep(u64::MAX, || 0), None);
    }
}
