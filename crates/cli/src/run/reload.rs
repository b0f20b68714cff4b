// SPDX-License-Identifier: GPL-2.0-or-later
//! How often a scheduler may be loaded again.

use std::collections::VecDeque;

/// Allows a number of reloads within a span of time.
pub(crate) struct Reloads {
    most: usize,
    within_ns: u64,
    at_ns: VecDeque<u64>,
}

impl Reloads {
    /// At most so many within so many nanoseconds.
    pub(crate) fn new(most: usize, within_ns: u64) -> Self {
        Self { most, within_ns, at_ns: VecDeque::new() }
    }

    /// Whether one more is allowed now; if so, it counts.
    pub(crate) fn allow(&mut self, now_ns: u64) -> bool {
        while self.at_ns.front().is_some_and(|&at| now_ns - at >= self.within_ns) {
            self.at_ns.pop_front();
        }
        let allowed = self.at_ns.len() < self.most;
        if allowed {
            self.at_ns.push_back(now_ns);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_within_a_span() {
        let mut reloads = Reloads::new(2, 100);
        assert!(reloads.allow(0));
        assert!(reloads.allow(99));
        assert!(!reloads.allow(99));
        assert!(reloads.allow(100));
        assert!(!reloads.allow(198));
        assert!(reloads.allow(199));
        assert!(!Reloads::new(0, 100).allow(5));
    }
}
