// SPDX-License-Identifier: GPL-2.0-or-later
//! Who should get how much CPU time, when weights can't all be honoured.
//!
//! # The problem
//!
//! An [`Entity`] has a weight `w` and a duty `d`, the CPU time that it could use each second if
//! nobody was in its way. Its load is `w·d`. If a machine of `P` CPUs was shared by load, each
//! would get `P·w·d / Σ(w·d)`. For a heavy entity that may be more than `d`, more than it can use:
//! its weight is *infeasible*, and what others are promised is too little.
//!
//! An example: 7 tasks of weight 1 and one of weight 10,000, none of which ever sleeps, on 4 CPUs.
//! By load, the heavy one is to get 4·10000/10007 = 3.997 CPUs and each of the others 0.0004. But
//! a task runs on one CPU. So it gets 1, the others share 3, and each gets 3/7.
//!
//! # The answer
//!
//! There is a weight λ above which weights do not count: everyone gets `d·min(1, w/λ)`, where
//!
//! ```text
//! Σ min(w, λ)·d = λ·P
//! ```
//!
//! In the example λ is 7/3: 7·1 + 7/3 = 7/3·4. The heavy entity gets its duty, each other one
//! 1/(7/3) = 3/7, and the sum of loads is 28/3.
//!
//! **There is exactly one.** Let Σd > P > 0, and g(λ) = Σ min(w, λ)·d − λ·P. Up to the least weight
//! g(λ) = λ·(Σd − P), which is above 0. From the greatest weight on it falls by P for each 1. Between
//! two weights it is a straight line, whose slope gets less at each weight. Such a function has one
//! root above 0. If Σd ≤ P, g is never above 0 before the greatest weight: everyone gets their duty,
//! and λ is none.
//!
//! **It is the weighted max-min fair one**: nobody's part of their load, `x/(w·d)`, can be made
//! larger without making that of somebody smaller whose part is not larger. At λ, those with
//! `w ≥ λ` have `x = d`, more than which they can't use. All others have the same part, 1/λ, and no
//! CPU is free (Σx = P); those who have their duty have a part of `1/w`, at most 1/λ. So whatever
//! one of the others gets more, somebody with a part of 1/λ or less loses.
//!
//! **It has no cliff.** When Σd goes through P, λ starts at the least weight. So the shares of
//! who has it begin to shrink from their duties, and no others. Shares in CPUs are a unit of
//! load that is right at any use of the machine.
//!
//! # How it is found
//!
//! Sums are exact ([`solve`] says of what range), so the result depends on no order, and λ is exact but
//! for two roundings and a division. Whether λ is above a weight is the sign of g there. One pass
//! puts weights into buckets by their first bits, and a walk from the heaviest down finds the bucket;
//! the next pass looks only at that one. That takes time in proportion to how many there are. A
//! [`Pool`] keeps the buckets, so that a change and a new λ take no such pass.
//!
//! # Beyond one machine of equal CPUs
//!
//! * [`solve_confined`]: domains with their own capacities, CPUs of different strength, entities that
//!   may use some domains only.
//! * [`solve_groups`]: groups within groups, whose unused shares flow to their siblings.
//! * [`plan()`]: which tasks to move between domains, so that shares can be had; [`explain`] says why
//!   each moves or stays.
//!
//! Absent on purpose: files, clocks, threads, and anything that knows a kernel.

mod balance;
mod confined;
mod entity;
mod exact;
mod flow;
mod form;
mod groups;
mod level;
mod machine;
mod plan;
mod policy;
mod pool;
mod report;
mod set;
mod shares;
mod snapshot;
mod text;
mod verdict;

pub use confined::{Confined, ConfinedError, Grant, solve_confined};
pub use entity::{CPUS_MAX, Entity, NumberError, SolveError, WEIGHTS};
pub use groups::{Group, GroupError, Node, solve_groups};
pub use machine::Machine;
pub use plan::{Move, Plan, PlanError, plan};
pub use policy::{Policy, PolicyError};
pub use pool::Pool;
pub use report::report;
pub use set::DomainSet;
pub use shares::{Shares, solve};
pub use snapshot::{Domain, Snapshot, SnapshotError, Task};
pub use text::{TextError, read, write};
pub use verdict::{Verdict, explain};
