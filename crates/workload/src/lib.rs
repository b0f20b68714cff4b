// SPDX-License-Identifier: GPL-2.0-or-later
//! What runs on a machine, real or simulated.
//!
//! A [`Scenario`] is a few tasks that are told, step by step, what to do, under a test scheduler
//! that writes down each of its callbacks. The same scenario runs on a real kernel and on the
//! simulated machine; [`Witnessed::text`] is what both must agree on.

mod scenario;
mod witnessed;

pub use scenario::{Command, Order, Scenario, ScenarioError, TaskSpec};
pub use witnessed::{Callback, Record, Witnessed};
