// SPDX-License-Identifier: GPL-2.0-or-later
//! Does a workload for real: what the simulator does with tasks of its own, here threads do.
//!
//! [`run()`] makes a thread for each task of a [`Workload`](rota_workload::Workload), each of which
//! executes its program step by step until the time is over, and gathers what they tell of
//! themselves ([`Report`]). Random numbers are those of the simulator: task by task, the same seed
//! gives the same spans.
//!
//! A thread knows little of how it is scheduled. What is measured, and how:
//!
//! | number | measured by |
//! | --- | --- |
//! | CPU time | the thread's clock (`CLOCK_THREAD_CPUTIME_ID`) |
//! | waiting time, switches | `/proc/thread-self/schedstat` |
//! | preemptions | involuntary switches of `getrusage`, without those of yields |
//! | migrations | the CPU that it finds itself on, after each sleep and within its work |
//! | latency | a clock reading by who wakes it, or the time that a timer was set to, to its own first reading |
//! | pieces of work | its program |
//!
//! [`run_in_processes`] does the same with several processes, each of which calls [`serve`]: a task is in
//! one with those that it has something in common with. [`stress_ng`] does the same with another generator of load.

mod cgroups;
mod compute;
mod error;
mod events;
mod job;
mod machine;
mod parts;
mod process;
mod processes;
mod report;
mod run;
mod sleeper;
mod source;
pub mod stress_ng;
mod task;
mod usage;
mod wire;
mod world;

pub use compute::{Calibration, calibrate};
pub use error::LoadError;
pub use job::{Job, THREADS_MAX};
pub use machine::MachineUse;
pub use parts::{Part, parts};
pub use process::serve;
pub use processes::{PROCESSES_MAX, run_in_processes};
pub use report::{GroupUse, Known, Report};
pub use run::run;
