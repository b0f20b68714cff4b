// SPDX-License-Identifier: GPL-2.0-or-later
//! Shows calls as they end.

use super::Args;
use crate::output::{self, Format};
use anyhow::{Context, Result};
use rota_events::MachineFacts;
use rota_inspect::calls::{Call, Filter, Function, Session, Sessions, Shown, Symbols, Times};
use rota_kernel::{CallRecord, Host, boot_ns, now_ns};
use rota_trace::{CallTrace, Caller};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

/// Version of the JSON form.
const SCHEMA: &str = "rota-fn/1";

/// What is shown of calls, and what there was so far.
pub(super) struct Show<'a> {
    args: &'a Args,
    shown: Shown<'a>,
    filter: Filter,
    sessions: Sessions,
    times: Times,
    trace: Option<CallTrace<BufWriter<File>>>,
    seen: u64,
    told: u64,
}

impl<'a> Show<'a> {
    pub(super) fn new(
        args: &'a Args,
        (functions, symbols): (&'a [Function], &'a Symbols),
        cost_ns: u64,
    ) -> Result<Self> {
        let filter = Filter {
            successes: args.successes || args.hist,
            errors: args.error.clone(),
            not_errors: args.not_error.clone(),
            least_ns: args.longer.unwrap_or(0),
            names: args.name.clone(),
        };
        let shown = Shown { functions, symbols, boot_ns: boot_ns(), cost_ns, args: args.args };
        if args.format == Format::Json {
            let functions = functions.iter().map(|it| &it.target.name);
            let functions: Vec<_> = functions.collect();
            let head = json!({ "schema": SCHEMA, "functions": functions, "cost_ns": cost_ns });
            output::line(&head.to_string())?;
        }
        let (sessions, times) = (Sessions::default(), Times::default());
        let trace = args.output.as_deref().map(trace).transpose()?;
        Ok(Self { args, shown, filter, sessions, times, trace, seen: 0, told: 0 })
    }

    /// Takes records, and shows the sessions that are complete by them.
    pub(super) fn records(&mut self, records: Vec<CallRecord>) -> Result<()> {
        for record in records {
            if let Some(session) = self.sessions.add(record) {
                self.session(&session)?;
            }
        }
        Ok(())
    }

    fn session(&mut self, session: &Session) -> Result<()> {
        self.seen += 1;
        if !self.filter.takes(session, &self.shown) {
            return Ok(());
        }
        self.told += 1;
        if let Some(trace) = &mut self.trace {
            let (pid, tgid, comm, cpu) = (session.pid, session.tgid, &*session.comm, session.cpu);
            let caller = Caller { pid, tgid, comm, cpu };
            keep(trace, caller, &session.root, &self.shown).with_context(|| place(self.args))?;
        }
        if self.args.hist {
            self.times.add(session, &self.shown);
            return Ok(());
        }
        let text = match self.args.format {
            Format::Json => self.shown.json(session).to_string() + "\n",
            Format::Table => {
                let trace = match self.args.trace || self.args.args {
                    true => self.shown.trace(session) + "\n",
                    false => String::new(),
                };
                self.shown.head(session) + "\n" + &trace + &self.shown.stack(session) + "\n"
            }
        };
        Ok(output::text(&text)?)
    }

    /// Shows what is left.
    pub(super) fn finish(&mut self, missing: u64) -> Result<()> {
        for session in std::mem::take(&mut self.sessions).finish() {
            self.session(&session)?;
        }
        if let Some(trace) = self.trace.take() {
            trace.finish().with_context(|| place(self.args))?;
        }
        let (seen, told) = (self.seen, self.told);
        match (self.args.hist, self.args.format) {
            (true, Format::Table) => output::text(&self.times.text(&self.shown))?,
            (true, Format::Json) => {
                let functions = self.times.json(&self.shown);
                output::line(&json!({ "functions": functions, "missing": missing }).to_string())?;
            }
            (false, Format::Json) => {
                let end = json!({ "sessions": seen, "told": told, "missing": missing });
                output::line(&end.to_string())?;
            }
            (false, Format::Table) => {}
        }
        let rest = if told < seen { "; -S tells those that did not fail, too" } else { "" };
        let rest = if self.filter.successes { "" } else { rest };
        output::note(&format!("{told} of {seen} sessions were told{rest}"));
        Ok(())
    }
}

fn place(args: &Args) -> String {
    args.output.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
}

/// Begins a trace for Perfetto.
fn trace(path: &Path) -> Result<CallTrace<BufWriter<File>>> {
    let place = || path.display().to_string();
    let kernel = Host::default().proc_text("sys/kernel/osrelease").unwrap_or_default();
    let clock = "monotonic".to_owned();
    let machine = MachineFacts { kernel, clock, ..MachineFacts::default() };
    let out = BufWriter::new(File::create(path).with_context(place)?);
    CallTrace::new(out, &machine, now_ns()).with_context(place)
}

/// Writes a call and those within it.
fn keep(
    trace: &mut CallTrace<BufWriter<File>>,
    caller: Caller<'_>,
    call: &Call,
    shown: &Shown<'_>,
) -> io::Result<()> {
    trace.begins(caller, call.began_ns, shown.name(call), &shown.known(call))?;
    for inner in &call.calls {
        keep(trace, caller, inner, shown)?;
    }
    trace.ends(caller, shown.end_ns(call))
}
