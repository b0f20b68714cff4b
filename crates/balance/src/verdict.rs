// SPDX-License-Identifier: GPL-2.0-or-later
//! Why each task moves or stays.

use std::fmt;

use crate::balance::Balance;
use crate::{Plan, PlanError, Policy, Snapshot, Task};

/// What a plan does with a task, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It moves.
    Moves {
        /// Where to.
        to: usize,
        /// What that brings, in CPUs.
        gain: f64,
        /// What it costs, in CPUs.
        cost: f64,
    },
    /// It has no load, so moving it changes nothing. Where there are CPUs, that is.
    NoLoad,
    /// It may use no other domain.
    Pinned,
    /// It came to its domain only a while ago.
    Rests {
        /// How long it still has to stay, in ns.
        left_ns: u64,
    },
    /// After all moves, no domain that it may use is less busy by enough.
    Balanced {
        /// By how much the least busy of them is less busy; below 0 if it is busier.
        less: f64,
    },
    /// It would be more than a CPU there can do.
    TooWeak {
        /// The domain where it would bring most.
        to: usize,
    },
    /// After all moves, moving it brings too little beyond its cost.
    TooLittle {
        /// The domain where it would bring most.
        to: usize,
        /// What that would bring, in CPUs; below 0 if that domain had too much then.
        gain: f64,
        /// What it would cost, in CPUs.
        cost: f64,
    },
    /// Moving it would make the sum of all imbalances larger.
    TooLarge {
        /// The domain where it would bring most.
        to: usize,
    },
    /// The next plan may move it: this one has all the moves that it may have, or its domain was
    /// looked at before others became less busy.
    Later {
        /// The domain where it would bring most.
        to: usize,
        /// What that would bring, in CPUs.
        gain: f64,
        /// What it would cost, in CPUs.
        cost: f64,
    },
}

impl Verdict {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Moves { .. } => "moves",
            Self::NoLoad => "no load",
            Self::Pinned => "pinned",
            Self::Rests { .. } => "rests",
            Self::Balanced { .. } => "balanced",
            Self::TooWeak { .. } => "too weak",
            Self::TooLittle { .. } => "too little",
            Self::TooLarge { .. } => "too large",
            Self::Later { .. } => "later",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moves { to, gain, cost } => {
                write!(f, "moves to {to}: brings {gain:.4}, costs {cost:.4} CPUs")
            }
            Self::NoLoad => write!(f, "has no load"),
            Self::Pinned => write!(f, "may use no other domain"),
            Self::Rests { left_ns } => {
                write!(f, "came only now, stays {:.3} s longer", *left_ns as f64 / 1e9)
            }
            Self::Balanced { less } => {
                let what = "the least busy domain it may use is";
                match *less {
                    less if less >= 0.0005 => write!(f, "{what} only {less:.3} less busy"),
                    less if less <= -0.0005 => write!(f, "{what} busier by {:.3}", -less),
                    _ => write!(f, "{what} no less busy"),
                }
            }
            Self::TooWeak { to } => write!(f, "no CPU of {to} is strong enough"),
            Self::TooLittle { to, gain, cost } => {
                write!(f, "to {to} would bring {gain:.4}, cost {cost:.4} CPUs: too little")
            }
            Self::TooLarge { to } => write!(f, "is too large: {to} would be too busy with it"),
            Self::Later { to, gain, cost } => {
                write!(f, "to {to} would bring {gain:.4}, cost {cost:.4} CPUs: the next plan's")
            }
        }
    }
}

/// Why each task of the snapshot moves or stays in a plan that was made of it, by the same policy. It
/// looks at each domain that a task may use, so it takes longer than the plan. A move of a task or to a
/// domain that there is not counts for nothing.
///
/// # Errors
///
/// The snapshot or the policy can't be used.
pub fn explain(
    snapshot: &Snapshot,
    policy: &Policy,
    plan: &Plan,
) -> Result<Vec<Verdict>, PlanError> {
    policy.check()?;
    snapshot.check()?;
    let mut balance = Balance::new(snapshot, policy)?;
    let mut order: Vec<_> = (0..snapshot.tasks.len()).collect();
    order.sort_by_key(|place| snapshot.tasks[*place].id);
    let mut verdicts = vec![None; snapshot.tasks.len()];
    for one in &plan.moves {
        let found = order.binary_search_by_key(&one.id, |place| snapshot.tasks[*place].id);
        if let Ok(at) = found
            && one.to < snapshot.domains.len()
        {
            balance.apply(order[at], one.to);
            let verdict = Verdict::Moves { to: one.to, gain: one.gain, cost: one.cost };
            verdicts[order[at]] = Some(verdict);
        }
    }
    let needed = if plan.moves.is_empty() { policy.start } else { policy.stop };
    let stays = |(place, verdict): (usize, Option<Verdict>)| {
        verdict.unwrap_or_else(|| stays(&balance, policy, place, needed))
    };
    Ok(verdicts.into_iter().enumerate().map(stays).collect())
}

/// Why a task stays, by the loads after all moves.
fn stays(balance: &Balance<'_>, policy: &Policy, place: usize, needed: f64) -> Verdict {
    let snapshot = balance.snapshot;
    let task: &Task = &snapshot.tasks[place];
    if balance.share[place] == 0.0 && !balance.is_closed(task.domain) {
        return Verdict::NoLoad;
    }
    let others = || {
        let may = |to: &usize| *to != task.domain && snapshot.allows(task, *to);
        let open = |to: &usize| snapshot.domains[*to].capacity > 0.0;
        (0..snapshot.domains.len()).filter(may).filter(open)
    };
    let less = |to: usize| balance.busy(task.domain) - balance.busy(to);
    let Some(most) = others().map(less).max_by(f64::total_cmp) else { return Verdict::Pinned };
    if task.stayed_ns < policy.rest_ns {
        return Verdict::Rests { left_ns: policy.rest_ns - task.stayed_ns };
    }
    let worth = |to: usize| (to, balance.worth(place, to));
    let places = || others().filter(|to| less(*to) >= needed);
    let best = |found: &mut dyn Iterator<Item = usize>| {
        found.map(worth).max_by(|a, b| a.1.net().total_cmp(&b.1.net()))
    };
    if let Some((to, worth)) = best(&mut places().filter(|to| balance.accepts(place, *to))) {
        return Verdict::Later { to, gain: worth.gain, cost: worth.cost };
    }
    match best(&mut places()) {
        None => Verdict::Balanced { less: most },
        Some((to, _)) if !balance.fits(place, to) => Verdict::TooWeak { to },
        Some((to, worth)) if worth.net() >= policy.gain_min => Verdict::TooLarge { to },
        Some((to, worth)) => Verdict::TooLittle { to, gain: worth.gain, cost: worth.cost },
    }
}
