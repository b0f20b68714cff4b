// SPDX-License-Identifier: GPL-2.0-or-later
//! What a kernel and a user allow, and in plain words why something can't work.
//!
//! [`Facts`] are collected from a [`Host`]; [`examine`] judges them and touches nothing, so every
//! judgement is tested with facts made by hand. A [`Finding`] says what was seen, what follows
//! from it and what to do. Those that keep every scheduler from being loaded say so in
//! [`Finding::blocks`], and the verdict is made of these.

mod facts;
mod kernel;
mod load;
mod machine;
mod proto;
mod render;
mod tracing;
mod types;
mod user;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tiny_btf;

pub use facts::{Facts, KernelBtf, KernelConfig, LoadFacts, SchedExtFacts, TracingFacts};
pub use types::{Candidate, Extern};

use rota_kernel::Host;
use serde::Serialize;

/// How a finding turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Something to know; schedulers run all the same.
    Warn,
    /// Not there, or unusable; what needs it cannot work.
    Missing,
    /// This user, or this kernel, does not tell.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at; never renamed.
    pub id: String,
    /// How it turned out.
    pub status: Status,
    /// What was seen.
    pub found: String,
    /// What follows from it.
    pub means: String,
    /// What to do; `None` if there is nothing to do.
    pub advice: Option<String>,
    /// Why no scheduler can be loaded, if this is a reason.
    pub blocks: Option<String>,
}

/// Everything that was found, and the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// `rota-doctor/1`.
    pub schema: &'static str,
    /// Whether a scheduler can be loaded, as far as can be known without trying.
    pub can_run: bool,
    /// The same in words, with the reasons.
    pub verdict: String,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: Option<String>,
    /// The scheduler that is attached.
    pub scheduler: Option<String>,
    /// The findings, in a fixed order.
    pub findings: Vec<Finding>,
}

/// Judges what was collected.
///
/// As JSON (through serde) a diagnosis is, in this order:
///
/// | field | type | meaning |
/// | --- | --- | --- |
/// | `schema` | string | `rota-doctor/1` |
/// | `can_run` | bool | whether a scheduler can be loaded; a scheduler already attached does not count against it |
/// | `verdict` | string | the first line of the table |
/// | `kernel` | string or null | release of the kernel |
/// | `scheduler` | string or null | the scheduler that is attached |
/// | `findings` | array | objects as below |
///
/// and a finding:
///
/// | field | type | meaning |
/// | --- | --- | --- |
/// | `id` | string | what was looked at; never renamed, new ones may come |
/// | `status` | string | `ok`, `warn`, `missing` or `unknown` |
/// | `found` | string | what was seen |
/// | `means` | string | what follows from it |
/// | `advice` | string or null | what to do |
/// | `blocks` | string or null | why no scheduler can be loaded, if this is a reason |
///
/// The ids are `kernel_version`, `sched_ext`, `kernel_config`, `btf`, `kfunc_prototypes`,
/// `scheduler_NAME` for each scheduler of Rota, `capabilities`, `bpf_syscall`,
/// `unprivileged_bpf`, `bpf_jit`, `lockdown`, `attached_scheduler`, `sched_ext_history`,
/// `tracefs`, `tracepoints`, `kprobes`, `kprobe_multi`, `fentry`, `perf_events`,
/// `hardware_counters`, `ring_buffer`, `cgroup2`, `cgroup_scheduling`, `topology`,
/// `load_realtime`, `load_weights` and `load_counters`.
pub fn examine(facts: &Facts) -> Diagnosis {
    let mut findings = kernel::findings(facts);
    findings.extend(types::findings(facts));
    findings.extend(user::findings(facts));
    findings.extend(tracing::findings(facts));
    findings.extend(machine::findings(facts));
    findings.extend(load::findings(facts));
    let scheduler = facts.sched_ext.as_ref().and_then(|s| s.scheduler.clone());
    let (can_run, verdict) = verdict(&findings, scheduler.as_deref());
    let kernel = facts.release.clone();
    Diagnosis { schema: "rota-doctor/1", can_run, verdict, kernel, scheduler, findings }
}

/// Why no scheduler can be loaded on this host, as a sentence without a full stop, and what to do
/// about it; `None` if nothing is in the way.
///
/// The sentence is the one that the engine's refusal prints where there is such a refusal. This
/// reads the kernel's type information, which takes a moment: ask it once loading has failed.
pub fn why_not(host: &Host) -> Option<(String, String)> {
    let diagnosis = examine(&Facts::collect(host, None));
    let mut findings = diagnosis.findings.into_iter();
    findings.find_map(|f| Some((f.blocks?, f.advice.unwrap_or(f.means))))
}

/// What is left to those who can't run schedulers.
const STILL: &str = "rota sim and rota compare work here all the same, on simulated machines";

fn verdict(findings: &[Finding], scheduler: Option<&str>) -> (bool, String) {
    let reasons: Vec<_> = findings.iter().filter_map(|f| f.blocks.as_deref()).collect();
    if !reasons.is_empty() {
        let only_user = findings.iter().all(|f| f.blocks.is_none() || f.id == "capabilities");
        let who = if only_user { "this user" } else { "this machine" };
        let reasons = reasons.join("; besides, ");
        return (false, format!("{who} can't run schedulers: {reasons}. {STILL}"));
    }
    let mut text = String::from("this machine can run schedulers");
    if let Some(name) = scheduler {
        text += &format!("; the one attached now, {name}, has to be taken off first");
    }
    (true, text)
}

impl Finding {
    fn new(id: &str, status: Status, found: impl Into<String>, means: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            status,
            found: found.into(),
            means: means.into(),
            advice: None,
            blocks: None,
        }
    }

    fn ok(id: &str, found: impl Into<String>, means: impl Into<String>) -> Self {
        Self::new(id, Status::Ok, found, means)
    }

    fn warn(id: &str, found: impl Into<String>, means: impl Into<String>) -> Self {
        Self::new(id, Status::Warn, found, means)
    }

    fn missing(id: &str, found: impl Into<String>, means: impl Into<String>) -> Self {
        Self::new(id, Status::Missing, found, means)
    }

    fn unknown(id: &str, found: impl Into<String>, means: impl Into<String>) -> Self {
        Self::new(id, Status::Unknown, found, means)
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    fn block(mut self, reason: impl Into<String>) -> Self {
        self.blocks = Some(reason.into());
        self
    }
}

/// `1 thing`, `2 things`, `2 processes`.
fn count(number: usize, thing: &str) -> String {
    let plural = if thing.ends_with('s') { "es" } else { "s" };
    format!("{number} {thing}{}", if number == 1 { "" } else { plural })
}

/// The first few of a list, and how many more there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
