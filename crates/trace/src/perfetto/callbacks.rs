// SPDX-License-Identifier: GPL-2.0-or-later
//! Callbacks of the scheduler: that they are called, and how long a call takes.
//!
//! Events say when a callback is called, and not when it returns. What calls take, a recorder tells
//! now and then, as two counters for each callback: how many there were so far, and their time.

use rota_events::Kind;
use std::collections::BTreeMap;

/// Whether events of a kind are calls.
pub(super) fn is_call(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::SelectCpu
            | Kind::Runnable
            | Kind::Quiescent
            | Kind::Enqueue
            | Kind::Dequeue
            | Kind::Dispatch
            | Kind::Running
            | Kind::Stopping
            | Kind::Yield
            | Kind::Tick
    )
}

/// What counters told of a callback: calls so far; calls and ns when both were told before.
#[derive(Debug, Default)]
struct Told {
    calls: u64,
    before: (u64, u64),
}

/// What calls take.
#[derive(Debug, Default)]
pub(super) struct Costs(BTreeMap<String, Told>);

impl Costs {
    /// Takes a counter; how many ns a call took since it was told before, if it tells that.
    pub(super) fn mean_ns(&mut self, counter: &str, value: u64) -> Option<f64> {
        let (name, says) = counter.strip_prefix("callback ")?.rsplit_once(' ')?;
        if says == "count" {
            self.0.entry(name.to_owned()).or_default().calls = value;
            return None;
        }
        let told = self.0.get_mut(name).filter(|_| says == "ns")?;
        let (calls_before, ns_before) = std::mem::replace(&mut told.before, (told.calls, value));
        // Another scheduler counts anew.
        let calls = told.calls.checked_sub(calls_before).unwrap_or(told.calls);
        let ns = value.checked_sub(ns_before).unwrap_or(value);
        (calls > 0).then(|| ns as f64 / calls as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_what_was_counted_between_two_tellings() {
        let mut costs = Costs::default();
        let mut told = |calls, ns| {
            let none = costs.mean_ns("callback x_enqueue count", calls);
            (none, costs.mean_ns("callback x_enqueue ns", ns))
        };
        assert_eq!(told(10, 2500), (None, Some(250.0)));
        assert_eq!(told(14, 3500), (None, Some(250.0)));
        assert_eq!(told(14, 3500), (None, None));
        assert_eq!(told(16, 3600), (None, Some(50.0)));
        // From the start again.
        assert_eq!(told(2, 100), (None, Some(50.0)));
        assert_eq!(costs.mean_ns("callback y ns", 5), None);
        assert_eq!(costs.mean_ns("joules ns", 5), None);
    }
}
