// SPDX-License-Identifier: GPL-2.0-or-later
//! What is known of the scheduler of sched_ext without tracing: when it comes and goes, and what its
//! callbacks take.

use super::said::Said;
use crate::bpf_values::bpf_run_stats;
use crate::host::{Host, now_ns};
use libbpf_rs::ProgramType;
use libbpf_rs::query::ProgInfoIter;
use rota_events::{Tables, What};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// How often to look, in ns.
const LOOK_NS: u64 = 100_000_000;
/// How often to tell of callbacks, in ns.
const TELL_NS: u64 = 1_000_000_000;

/// Watches the scheduler.
#[derive(Debug)]
pub(super) struct Scheduler {
    host: Host,
    looked_ns: u64,
    told_ns: u64,
    attached: Option<String>,
    said: Said,
    /// The kernel measures programs as long as this is open.
    measures: Option<OwnedFd>,
    /// Runs and ns of each program, by its id, when measuring began.
    before: BTreeMap<u32, (u64, u64)>,
    /// Whether there was one at any time.
    pub(super) seen: Option<String>,
}

impl Scheduler {
    pub(super) fn new(host: &Host) -> Self {
        Self {
            host: host.clone(),
            looked_ns: 0,
            told_ns: 0,
            attached: None,
            said: Said::new(),
            measures: None,
            before: BTreeMap::new(),
            seen: None,
        }
    }

    /// Looks, if it is time to, and says what is new since when, in ns; `last` tells everything.
    pub(super) fn look(
        &mut self,
        now_ns: u64,
        last: bool,
        tables: &mut Tables,
    ) -> Vec<(u64, What)> {
        let mut news = Vec::new();
        if now_ns.saturating_sub(self.looked_ns) < LOOK_NS && !last {
            return news;
        }
        self.looked_ns = now_ns;
        let name = match self.host.sched_ext() {
            Some(ext) if ext.state == "enabled" => ext.scheduler,
            // Why it ends is told when it has ended.
            Some(ext) if ext.state == "disabling" => self.attached.clone(),
            _ => None,
        };
        if self.attached.is_some() && (last || name != self.attached || self.is_due(now_ns)) {
            self.told_ns = now_ns;
            self.tell(tables, &mut news);
        }
        if name != self.attached {
            if let Some(ended) = self.attached.as_ref().map(|name| self.said.ended(name)) {
                let message = tables.text(&ended.message);
                news.push((now_ns, What::Detach { message, kind: ended.kind, code: 0 }));
                self.measures = None;
            }
            if let Some(name) = &name {
                news.push((now_ns, What::Attach { scheduler: tables.text(name) }));
                self.seen = Some(name.clone());
                self.before = programs().map(|program| (program.id, program.spent)).collect();
                self.measures = bpf_run_stats().ok();
                self.told_ns = now_ns;
            }
            self.attached = name;
        }
        news
    }

    fn is_due(&self, now_ns: u64) -> bool {
        now_ns - self.told_ns >= TELL_NS
    }

    /// Says how often each callback ran so far, and how long.
    fn tell(&self, tables: &mut Tables, news: &mut Vec<(u64, What)>) {
        if self.measures.is_none() {
            return;
        }
        for Program { time_ns, id, name, spent: (runs, ns) } in programs() {
            let (runs_before, ns_before) = self.before.get(&id).copied().unwrap_or_default();
            let runs = runs.saturating_sub(runs_before);
            if runs > 0 {
                let counted = tables.text(&format!("callback {name} count"));
                let spent = tables.text(&format!("callback {name} ns"));
                let ns = ns.saturating_sub(ns_before);
                news.push((time_ns, What::Counter { name: counted, value: runs }));
                news.push((time_ns, What::Counter { name: spent, value: ns }));
            }
        }
    }
}

/// A program that is a callback.
struct Program {
    /// When this was read.
    time_ns: u64,
    id: u32,
    name: String,
    /// How often it ran, and for how many ns.
    spent: (u64, u64),
}

/// Every program that is a callback.
fn programs() -> impl Iterator<Item = Program> {
    let all = ProgInfoIter::default().filter(|about| about.ty == ProgramType::StructOps);
    all.map(|about| Program {
        time_ns: now_ns(),
        id: about.id,
        name: about.name.to_string_lossy().into_owned(),
        spent: (about.run_cnt, about.run_time_ns),
    })
}
