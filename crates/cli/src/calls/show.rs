// SPDX-License-Identifier: GPL-2.0-or-later
//! Shows calls as they end.

use super::Args;
use super::keep::Kept;
use crate::output::{self, Format};
use anyhow::Result;
use rota_inspect::calls::{Filter, Function, Lines, Session, Sessions, Shown, Symbols, Times};
use rota_kernel::{CallRecord, boot_ns};
use serde_json::json;

/// Version of the JSON form.
const SCHEMA: &str = "rota-fn/1";

/// What is shown of calls, and what there was so far.
pub(super) struct Show<'a> {
    args: &'a Args,
    shown: Shown<'a>,
    filter: Filter,
    sessions: Sessions,
    times: Times,
    /// The file of `--output`.
    pub(super) kept: Kept,
    /// Nobody reads what is printed.
    quiet: bool,
    seen: u64,
    told: u64,
}

impl<'a> Show<'a> {
    pub(super) fn new(
        args: &'a Args,
        (functions, symbols, lines): (&'a [Function], &'a Symbols, &'a Lines),
        cost_ns: u64,
    ) -> Result<Self> {
        let filter = Filter {
            successes: args.successes || args.hist,
            errors: args.error.clone(),
            not_errors: args.not_error.clone(),
            least_ns: args.longer.unwrap_or(0),
            names: args.name.clone(),
        };
        let shown =
            Shown { functions, symbols, lines, boot_ns: boot_ns(), cost_ns, args: args.args };
        if args.format == Format::Json {
            let functions = functions.iter().map(|it| &it.target.name);
            let functions: Vec<_> = functions.collect();
            let head = json!({ "schema": SCHEMA, "functions": functions, "cost_ns": cost_ns });
            output::line(&head.to_string())?;
        }
        let (sessions, times) = (Sessions::default(), Times::default());
        let kept = Kept::begin(args.output.as_deref())?;
        Ok(Self { args, shown, filter, sessions, times, kept, quiet: false, seen: 0, told: 0 })
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
        self.kept.session(session, &self.shown);
        if self.args.hist {
            self.times.add(session, &self.shown);
        }
        if self.args.hist || self.quiet {
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

    /// Prints no more, and keeps what is left.
    pub(super) fn keep_rest(&mut self, records: Vec<CallRecord>) -> Result<()> {
        self.quiet = true;
        self.records(records)?;
        for session in std::mem::take(&mut self.sessions).finish() {
            self.session(&session)?;
        }
        self.kept.finish();
        Ok(())
    }

    /// Shows what is left.
    pub(super) fn finish(&mut self, missing: u64) -> Result<()> {
        for session in std::mem::take(&mut self.sessions).finish() {
            self.session(&session)?;
        }
        self.kept.finish();
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
