// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel counted of a thread.

use crate::compute::cpu_ns;
use rota_kernel::thread_switches;
use std::fs;

/// What the kernel has counted of the calling thread so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time, in ns.
    pub(crate) run_ns: u64,
    /// While it was ready to run and did not, in ns, and how often a CPU switched to it; `None`
    /// where the kernel does not count that.
    pub(crate) waited: Option<(u64, u64)>,
    /// How often it was switched away from while it wanted to go on, or yielded.
    pub(crate) involuntary: u64,
}

impl Usage {
    /// Of the calling thread.
    pub(crate) fn now() -> Self {
        // First, so that the rest is not in it.
        let run_ns = cpu_ns();
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok();
        let waited = text.as_deref().and_then(waited);
        Self { run_ns, waited, involuntary: thread_switches().involuntary }
    }

    /// What came to it since then.
    pub(crate) fn since(self, before: Self) -> Self {
        let both = self.waited.zip(before.waited);
        Self {
            run_ns: self.run_ns - before.run_ns,
            waited: both.map(|(now, then)| (now.0 - then.0, now.1 - then.1)),
            involuntary: self.involuntary - before.involuntary,
        }
    }

    /// Of a thread that is new.
    pub(crate) fn none() -> Self {
        Self { waited: Some((0, 0)), ..Self::default() }
    }
}

/// `RUN_NS WAIT_NS SWITCHES`, of a kernel that counts them: one that does not has zeros, which a
/// thread that runs can't have.
fn waited(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
    let (_, wait_ns, switches) = (words.next()??, words.next()??, words.next()??);
    (switches > 0).then_some((wait_ns, switches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_schedstat() {
        assert_eq!(waited("220073 1868253 2\n"), Some((1_868_253, 2)));
        assert_eq!(waited("0 0 0\n"), None);
        assert_eq!(waited("1 2\n"), None);
        assert_eq!(waited("a b c\n"), None);
    }

    #[test]
    fn it_grows() {
        let before = Usage::now();
        std::thread::sleep(std::time::Duration::from_millis(1));
        let used = Usage::now().since(before);
        assert!(used.run_ns > 0 && used.run_ns < 1_000_000_000, "{used:?}");
        assert!(used.waited.is_none_or(|(_, switches)| switches >= 1), "{used:?}");
    }
}
