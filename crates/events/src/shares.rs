// SPDX-License-Identifier: GPL-2.0-or-later
//! What tasks would have got if the CPUs had been shared by weight at every moment, and what was
//! lost while a CPU was idle and a task waited.
//!
//! The ideal is generalised processor sharing (Parekh and Gallager, 1993) on several CPUs, where
//! no task can use more than one: at each moment, of the tasks that want to run, those whose part
//! by weight would be more than a CPU get a whole one, and the others share the rest by weight.
//! With 2 CPUs and three tasks of weights 300, 100 and 100, the first gets a CPU, and the others
//! half a one each.
//!
//! A task gets this only while it wants to run, so who sleeps saves up nothing. What it would have
//! got over the whole time is compared with what it had: moments of too much and too little cancel
//! each other out.
//!
//! All tasks of a weight get the same at a moment, so one sum for each weight is enough.

use std::collections::BTreeMap;

/// The weight of nice 0, which tasks have of which nothing is told.
pub(crate) const WEIGHT: u32 = 100;

/// Tasks of one weight.
#[derive(Debug, Clone, Default)]
struct Class {
    tasks: u64,
    /// What one that always wanted to run would have got so far, in ns.
    got_ns: f64,
    /// What it gets now, as a part of a CPU.
    rate: f64,
}

/// The ideal, as time goes by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shares {
    now_ns: u64,
    classes: BTreeMap<u32, Class>,
    /// CPUs that are there.
    cpus: u64,
    /// Whether rates have to be worked out anew.
    stale: bool,
    pub(crate) idle: u64,
    pub(crate) waiting: u64,
    /// CPU time lost so far, in ns: as many idle CPUs as tasks waited, or the other way round.
    pub(crate) lost_ns: u64,
}

impl Shares {
    /// Time goes on.
    pub(crate) fn advance(&mut self, now_ns: u64) {
        let ns = now_ns.saturating_sub(self.now_ns);
        if ns == 0 {
            return;
        }
        self.now_ns = now_ns;
        self.lost_ns = self.lost_ns.saturating_add(ns.saturating_mul(self.idle.min(self.waiting)));
        if std::mem::take(&mut self.stale) {
            self.find_rates();
        }
        for class in self.classes.values_mut().filter(|class| class.tasks > 0) {
            class.got_ns += ns as f64 * class.rate;
        }
    }

    /// What each weight gets: the heaviest first, as only they can be worth more than a CPU.
    fn find_rates(&mut self) {
        let mut weight: f64 =
            self.classes.iter().map(|(w, c)| f64::from(*w) * c.tasks as f64).sum();
        let mut cpus = self.cpus as f64;
        for (own, class) in self.classes.iter_mut().rev().filter(|(_, class)| class.tasks > 0) {
            let (own, tasks) = (f64::from(*own), class.tasks as f64);
            class.rate = if weight > 0.0 { (own * cpus / weight).clamp(0.0, 1.0) } else { 0.0 };
            if class.rate >= 1.0 {
                cpus -= tasks;
                weight -= own * tasks;
            }
        }
    }

    /// So many CPUs more or less are there.
    pub(crate) fn add_cpus(&mut self, more: i64) {
        self.cpus = self.cpus.saturating_add_signed(more);
        self.stale = true;
    }

    /// A task of a weight begins to want to run; what its weight has got until now, in ns.
    pub(crate) fn begin(&mut self, weight: u32) -> f64 {
        self.stale = true;
        let class = self.classes.entry(weight).or_default();
        class.tasks += 1;
        class.got_ns
    }

    /// It does not want to run any more; what its weight has got until now, in ns.
    pub(crate) fn end(&mut self, weight: u32) -> f64 {
        self.stale = true;
        let class = self.classes.entry(weight).or_default();
        class.tasks = class.tasks.saturating_sub(1);
        class.got_ns
    }

    /// What a weight has got until now, in ns.
    pub(crate) fn got_ns(&self, weight: u32) -> f64 {
        self.classes.get(&weight).map_or(0.0, |class| class.got_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What tasks of these weights get of so many CPUs, found by giving away small pieces: the
    /// next one to whoever has least for its weight and no whole CPU yet.
    fn slowly(cpus: u64, weights: &[u32]) -> Vec<f64> {
        const PIECES: u64 = 2_000;
        let mut had = vec![0_u64; weights.len()];
        for _ in 0..cpus * PIECES {
            let least = |at: &usize| had[*at] as f64 / f64::from(weights[*at]);
            let open = (0..weights.len()).filter(|at| had[*at] < PIECES);
            let Some(next) = open.min_by(|a, b| least(a).total_cmp(&least(b))) else { break };
            had[next] += 1;
        }
        had.into_iter().map(|pieces| pieces as f64 / PIECES as f64).collect()
    }

    fn rates(cpus: u64, weights: &[u32]) -> Vec<f64> {
        let mut shares = Shares::default();
        shares.add_cpus(cpus as i64);
        for weight in weights {
            shares.begin(*weight);
        }
        shares.advance(1_000);
        weights.iter().map(|weight| shares.got_ns(*weight) / 1_000.0).collect()
    }

    #[test]
    fn the_worked_case() {
        assert_eq!(rates(2, &[300, 100, 100]), [1.0, 0.5, 0.5]);
        assert_eq!(rates(4, &[300, 100, 100]), [1.0, 1.0, 1.0]);
        assert_eq!(rates(1, &[300, 100]), [0.75, 0.25]);
        assert_eq!(rates(3, &[]), [0.0; 0]);
    }

    #[test]
    fn what_is_lost_is_the_smaller_of_both() {
        let mut shares = Shares::default();
        (shares.idle, shares.waiting) = (3, 2);
        shares.advance(10);
        shares.waiting = 5;
        shares.advance(14);
        assert_eq!(shares.lost_ns, 2 * 10 + 3 * 4);
    }

    proptest! {
        #[test]
        fn rates_are_those_of_giving_away_piece_by_piece(
            cpus in 1..5_u64,
            weights in prop::collection::vec(1..2_000_u32, 1..9),
        ) {
            for (found, expected) in rates(cpus, &weights).iter().zip(slowly(cpus, &weights)) {
                prop_assert!((found - expected).abs() < 2e-3, "{found} {expected} {weights:?}");
            }
        }
    }
}
