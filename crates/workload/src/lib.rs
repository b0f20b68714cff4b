// SPDX-License-Identifier: GPL-2.0-or-later
//! What runs on a machine, real or simulated.
//!
//! A [`Workload`] is tasks, each with a small program of what it does, as data; some have names
//! and parameters ([`WORKLOADS`]), others come from files ([`rtapp`]). Their random numbers ([`Random`]) come from a seed.
//!
//! A [`Scenario`] is a few tasks that are told, step by step, what to do, under a test scheduler
//! that writes down each of its callbacks. The same scenario runs on a real kernel and on the
//! simulated machine; [`Witnessed::text`] is what both must agree on.

mod benchmarks;
mod capacity;
mod cgroup;
mod desktop;
mod named;
mod pieces;
mod plain;
mod program;
mod random;
pub mod rtapp;
mod scenario;
mod service;
mod signals;
mod span;
mod witnessed;

pub use capacity::Capacity;
pub use cgroup::CgroupChange;
pub use named::{COMMON, Named, Parameter, ParameterKind, TASKS_MAX, WORKLOADS, WorkloadError};
pub use pieces::Pieces;
pub use program::{
    AWAY, Cgroup, Event, EventId, Group, Period, Program, STEPS_MAX, Source, Step, Template,
    TemplateId, Timer, Workload, away,
};
pub use random::Random;
pub use scenario::{Command, Order, Scenario, ScenarioError, TaskSpec};
pub use signals::Signals;
pub use span::{DISTRIBUTIONS, Span, THOUSAND};
pub use witnessed::{Callback, End, Record, Witnessed};
