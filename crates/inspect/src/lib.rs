// SPDX-License-Identifier: GPL-2.0-or-later
//! Verifier statistics, energy, and what a kernel allows.

pub mod bpf;
pub mod calls;
mod doctor;
pub mod object;
pub mod power;
mod text;
pub mod verify;

pub use doctor::{
    Candidate, Diagnosis, Extern, Facts, Finding, KernelBtf, KernelConfig, LoadFacts,
    SchedExtFacts, Status, TracingFacts, examine, why_not,
};
pub use verify::{Explanation, explain, rejection_text};
