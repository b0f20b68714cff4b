// SPDX-License-Identifier: GPL-2.0-or-later
//! How much of its domain's cache a task holds, and would have to fill again elsewhere.
//!
//! Nobody counts that. It is no more than what can have been filled since the task came, at the rate
//! at which plans reckon with filling it again; nor more than the task's part of the cache, which
//! those who use it share by the time for which they do. So this is a bound from above: a task that
//! uses little memory holds less.

use rota_balance::Snapshot;

/// Sets the footprints of all tasks. For each domain, `cache_bytes` is the size of its cache, 0 if
/// nobody knows it.
pub(super) fn estimate(snapshot: &mut Snapshot, cache_bytes: &[u64], refill_ns_per_byte: f64) {
    let mut duties = vec![0.0; snapshot.domains.len()];
    for task in &snapshot.tasks {
        duties[task.domain] += task.entity.duty;
    }
    for task in &mut snapshot.tasks {
        let duty = task.entity.duty;
        let cache = cache_bytes.get(task.domain).copied().unwrap_or(0) as f64;
        let filled = task.stayed_ns as f64 * duty / refill_ns_per_byte;
        let part = if duty > 0.0 { cache * duty / duties[task.domain] } else { 0.0 };
        // Whole bytes, and none if neither is a number.
        task.footprint_bytes = filled.min(part) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_balance::{Domain, Entity, Task};

    fn footprints(tasks: &[(usize, f64, u64)], cache_bytes: &[u64], rate: f64) -> Vec<u64> {
        let domain = Domain { capacity: 4.0, strongest: 1.0, node: 0, other: 0.0 };
        let task = |(id, (domain, duty, stayed_ns)): (u64, &(usize, f64, u64))| Task {
            id,
            domain: *domain,
            entity: Entity { weight: 1.0, duty: *duty },
            allowed: None,
            footprint_bytes: 7,
            stayed_ns: *stayed_ns,
            pid: None,
        };
        let mut snapshot = Snapshot {
            domains: vec![domain; 2],
            distances: vec![vec![10]],
            sets: Vec::new(),
            tasks: (0..).zip(tasks).map(task).collect(),
        };
        estimate(&mut snapshot, cache_bytes, rate);
        snapshot.tasks.iter().map(|task| task.footprint_bytes).collect()
    }

    #[test]
    fn a_cache_is_shared_by_duty() {
        let long = 10_000_000_000;
        let tasks = [(0, 1.0, long), (0, 0.5, long), (0, 0.5, long), (1, 0.25, long)];
        assert_eq!(
            footprints(&tasks, &[1 << 20, 1 << 22], 0.1),
            [1 << 19, 1 << 18, 1 << 18, 1 << 22]
        );
    }

    #[test]
    fn who_just_came_has_filled_little() {
        let tasks = [(0, 1.0, 1000), (0, 0.5, 1000), (1, 1.0, 0), (1, 0.0, u64::MAX)];
        assert_eq!(footprints(&tasks, &[1 << 20; 2], 0.1), [10_000, 5_000, 0, 0]);
    }

    #[test]
    fn nothing_is_known_of_no_cache_and_all_is_filled_at_no_cost() {
        let tasks = [(0, 1.0, 1000), (1, 1.0, 1000), (1, 0.0, 0)];
        assert_eq!(footprints(&tasks, &[0], 0.1), [0, 0, 0]);
        assert_eq!(footprints(&tasks, &[9, 9], 0.0), [9, 9, 0]);
    }
}
