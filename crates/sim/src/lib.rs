// SPDX-License-Identifier: GPL-2.0-or-later
//! A simulated machine that runs linked objects: their memory, their maps, and what the kernel
//! does for them.
//!
//! * [`Machine`] holds one object's instance: CPUs, a clock, maps, everything a program can reach.
//! * [`Machine::run`] calls a function. Helpers and kernel functions are answered from two tables,
//!   `kernel::HELPERS` and `kernel::KFUNCS`; what is in neither stops the run by name.
//! * A third table, in `effects`, says what functions take and give back. What a program keeps is
//!   reported when it ends.
//! * [`Machine::advance_to`] lets time go on, and runs the timers that become due.
//! * What the user half of a scheduler does to maps, arenas and rings are methods of [`Machine`]
//!   too, as the trait `Engine` has them.
//! * CPUs can be interleaved within callbacks, by a seed (`interleave`); without it, what a CPU does
//!   happens at once.
//!
//! The same object, machine and seed give the same results, whatever executes them.

mod agenda;
mod cgroups;
mod containers;
mod effects;
mod errno;
mod hardware;
mod interleave;
mod kernel;
mod layout;
mod machine;
mod maps;
mod mempolicy;
mod objects;
mod pool;
mod recorder;
mod references;
mod run;
mod scenario;
mod sched;
mod simulation;
mod starts;
mod tasks;
mod timers;
mod tracing;
mod unset;
mod user;
mod variables;
mod work;
mod world;

pub use hardware::{
    CorePower, Costs, FindTopology, IdleState, Model, ModelError, NOISE, Noise, Platform, Power,
    Stated,
};
pub use layout::LayoutError;
pub use machine::{LoadError, Machine, Shape};
pub use mempolicy::MemoryPolicy;
pub use pool::FreeError;
pub use recorder::{cpu_places, machine_facts};
pub use references::Misuse;
pub use run::{Stop, StopKind};
pub use scenario::{Recording, ScenarioStop, record_scenario, run_scenario};
pub use sched::{
    Agreement, Decisions, DecisionsAgreement, DecisionsError, Disagreement, EEVDF_LEAVES_OUT,
    FairTrace, TraceError,
};
pub use sched::{AttachError, AttachStop, Called};
pub use simulation::{Pause, Simulation};
pub use tracing::has_hook;
pub use unset::unset_fields;
