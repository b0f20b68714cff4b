// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota power`.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::record;
use crate::recorder::{self, wait};
use crate::run::signals::Signals;
use anyhow::{Context, Result, bail};
use rota_events::{Event, Histogram, SpanKind, Spans};
use rota_inspect::power::{Choice, Hardware, Interval, Meter, Sample};
use rota_kernel::{Counters, Host, Recorder, Wanted, now_ns};
use rota_topology::Tree;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};

/// Version of the JSON form.
const SCHEMA: &str = "rota-power/1";
/// Memory for each CPU, in which events wait to be counted.
const RING_BYTES: u32 = 8 << 20;

/// Arguments of `rota power`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota power                                   once a second, until Ctrl-C\n  \
    rota power --interval 5s --for 1m --summary  the machine only\n  \
    rota power -- make -j8                       joules and watts of a command\n  \
    rota power --work 1000 -- ./serve 1000       joules for each request\n\n\
    Columns are named as turbostat names them; docs/power.md has the formulas. What can't be had is\n\
    named with the reason. The exit code is 1 if the command failed,\n\
    or if events were lost with --latency.")]
pub(crate) struct Args {
    /// How long each interval is [default: 1s; with a command, as long as that runs]
    #[arg(short, long, value_name = "DURATION", value_parser = interval)]
    interval: Option<u64>,
    /// How long to measure [default: until the command ends, or Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::args::duration)]
    for_ns: Option<u64>,
    /// Only the machine as a whole
    #[arg(short = 'S', long)]
    summary: bool,
    /// Joules instead of watts
    #[arg(short = 'J', long)]
    joules: bool,
    /// How many units of work the command does, for joules of each
    #[arg(long, value_name = "N", requires = "command", value_parser = clap::value_parser!(u64).range(1..))]
    work: Option<u64>,
    /// Also record how long tasks wait for a CPU, of all tasks
    #[arg(long)]
    latency: bool,
    /// Where to write [default: standard output; with a command standard error]
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// A table for people, or JSON: what it is from, then an object for each interval
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// A command to measure
    #[arg(last = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// An interval that is not too short for any counter.
fn interval(text: &str) -> Result<u64, String> {
    let ns = crate::args::duration(text)?;
    match ns >= 10_000_000 {
        true => Ok(ns),
        false => Err("counters are not that fine: at least 10ms".to_owned()),
    }
}

/// This machine.
pub(crate) struct Own {
    host: Host,
    counters: Counters,
}

impl Own {
    pub(crate) fn new(host: &Host) -> Self {
        Self { host: host.clone(), counters: Counters::default() }
    }
}

impl Hardware for Own {
    fn sys(&self) -> &dyn Tree {
        &self.host
    }

    fn proc(&self, path: &str) -> Option<String> {
        self.host.proc_text(path)
    }

    fn now_ns(&self) -> u64 {
        now_ns()
    }

    fn register(&mut self, cpu: u32, number: u32) -> Result<u64, String> {
        self.counters.register(cpu, number)
    }

    fn event(&mut self, cpu: u32, kind: u32, config: u64) -> Result<u64, String> {
        self.counters.event(cpu, kind, config)
    }
}

/// How long tasks waited for a CPU.
struct Latency {
    recorder: Recorder,
    spans: Spans,
    waits: Histogram,
}

impl Latency {
    fn start(host: &Host) -> Result<Self> {
        let cpus = rota_sim::cpu_places(&host.topology()?.topology).len() as u32;
        let recorder = recorder::start(host, RING_BYTES, cpus, Wanted::default())?;
        Ok(Self { recorder, spans: Spans::default(), waits: Histogram::default() })
    }

    fn take(&mut self) -> Result<()> {
        let events = self.recorder.poll()?;
        self.add(&events);
        Ok(())
    }

    /// How many events were lost, which waits may miss.
    fn finish(&mut self) -> Result<u64> {
        let events = self.recorder.finish()?;
        self.add(&events);
        Ok(self.recorder.recorded().lost)
    }

    fn add(&mut self, events: &[Event]) {
        let waits = &mut self.waits;
        for event in events {
            self.spans.add(event, &mut |span| {
                if span.kind == SpanKind::RunQueue {
                    waits.add(span.ns);
                }
            });
        }
    }
}

struct Measuring<'a> {
    args: &'a Args,
    meter: Meter<Own>,
    latency: Option<Latency>,
    out: Box<dyn Write>,
    /// When it began, and all counters then.
    started_ns: u64,
    first: Sample,
}

/// Measures until it is over.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let host = Host::default();
    let signals = Signals::catch().context("catching signals")?;
    let file = args.output.as_deref().map(open).transpose()?;
    let files = many_files();
    let mut meter = Meter::new(Own::new(&host));
    let latency = args.latency.then(|| Latency::start(&host)).transpose()?;
    let first = meter.sample();
    let started_ns = now_ns();
    // Commands have as many files as ever.
    setrlimit(Resource::Nofile, files)?;
    let mut child = record::start(&args.command)?;
    many_files();
    let out = match file {
        Some(file) => file.set_len(0).map(|()| Box::new(file) as Box<dyn Write>),
        None if args.command.is_empty() => Ok(Box::new(std::io::stdout()) as _),
        None => Ok(Box::new(std::io::stderr()) as _),
    };
    let ended = out.context("emptying the file").and_then(|out| {
        let mut measuring = Measuring { args, meter, latency, out, started_ns, first };
        measuring.begin()?;
        measuring.go_on(child.as_mut(), &signals)
    });
    // A command does not outlive what measures it.
    let status = child.map(record::end).transpose()?;
    let (ended, lost) = ended?;
    let failed = ended.and(status).is_some_and(|status| !status.success());
    Ok(if failed || lost > 0 { Exit::Negative } else { Exit::Done })
}

/// The file to write, as it is: it is emptied when the command has started.
fn open(path: &Path) -> Result<File> {
    if path == Path::new("-") {
        bail!("-o -: without -o, standard output is written; ./- is a file of that name");
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    file.with_context(|| format!("writing {}", path.display()))
}

/// Allows as many open files as may be had: there are several for each CPU. Gives what was allowed before.
pub(crate) fn many_files() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    // It goes on with fewer: what can't be opened then is told.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
    before
}

impl Measuring<'_> {
    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.out, "{line}")?;
        Ok(self.out.flush()?)
    }

    /// Says where everything is from.
    fn begin(&mut self) -> Result<()> {
        let sources = self.meter.sources().to_vec();
        match (self.args.format, &self.args.output) {
            (Format::Json, _) => {
                self.line(&json!({ "schema": SCHEMA, "sources": sources }).to_string())
            }
            (Format::Table, None) => {
                sources.iter().for_each(|source| output::note(&source.to_string()));
                Ok(())
            }
            (Format::Table, Some(_)) => {
                sources.iter().try_for_each(|source| self.line(&source.to_string()))
            }
        }
    }

    /// How long an interval is; `None` if there is one only.
    fn every_ns(&self) -> Option<u64> {
        let whole = !self.args.command.is_empty();
        self.args.interval.or((!whole).then_some(1_000_000_000))
    }

    /// Until a command ends, if there is one; how, if it did, and how many events were lost.
    fn go_on(
        &mut self,
        mut child: Option<&mut Child>,
        signals: &Signals,
    ) -> Result<(Option<ExitStatus>, u64)> {
        let mut before = self.first.clone();
        let mut next_ns = self.every_ns().map(|ns| self.started_ns.saturating_add(ns));
        loop {
            wait(signals)?;
            if let Some(latency) = &mut self.latency {
                latency.take()?;
            }
            let status = child.as_mut().map(|child| child.try_wait()).transpose()?.flatten();
            let now_ns = now_ns();
            let late = self.args.for_ns.is_some_and(|most| now_ns - self.started_ns >= most);
            let over = status.is_some() || late || signals.taken().is_some();
            let is_next = next_ns.is_some_and(|next| now_ns >= next);
            if !over && !is_next {
                continue;
            }
            let after = self.meter.sample();
            if next_ns.is_some() {
                self.show(&Interval::between(&self.meter, &before, &after))?;
            }
            if over {
                let whole = Interval::between(&self.meter, &self.first, &after);
                return Ok((status, self.finish(&whole)?));
            }
            before = after;
            // Who was kept from it for long does not measure again at once.
            next_ns = next_ns
                .zip(self.every_ns())
                .map(|(next, ns)| next.saturating_add(ns).max(now_ns.saturating_add(ns / 2)));
        }
    }

    fn choice(&self) -> Choice {
        Choice { summary: self.args.summary, joules: self.args.joules }
    }

    fn show(&mut self, interval: &Interval) -> Result<()> {
        let text = match self.args.format {
            Format::Table => interval.to_table(self.choice()),
            Format::Json => with("interval", interval.to_json(self.choice())),
        };
        self.line(&text)
    }

    /// Of all the time: joules, those of a unit of work, and latencies. How many events were lost.
    fn finish(&mut self, whole: &Interval) -> Result<u64> {
        let lost = self.latency.as_mut().map(Latency::finish).transpose()?.unwrap_or(0);
        if self.every_ns().is_some() && self.args.command.is_empty() && self.latency.is_none() {
            return Ok(lost);
        }
        let work = self.args.work;
        let waits = self.latency.as_ref().map(|it| &it.waits);
        let waits = waits.map(|it| [it.count(), it.quantile(1, 2), it.quantile(99, 100)]);
        if self.args.format == Format::Json {
            let mut json = whole.to_json(self.choice());
            json["joules"] = json!(whole.joules());
            json["work"] = json!(work);
            json["latency_ns"] = json!(waits.map(|[n, p50, p99]| {
                json!({ "count": n, "p50": p50, "p99": p99, "lost_events": lost })
            }));
            self.line(&with("whole", json))?;
            return Ok(lost);
        }
        let mut text = whole.to_table(self.choice());
        for (name, joules) in whole.joules() {
            let each = |work| format!(", {:.6} J for each of {work}", joules / work as f64);
            let each = work.map_or(String::new(), each);
            text += &format!("\n{name}: {joules:.2} J in {:.3} s{each}", whole.seconds);
        }
        if let Some([count, p50, p99]) = waits {
            let (p50, p99) = (p50 as f64 / 1e6, p99 as f64 / 1e6);
            text += &format!("\nlatency of {count} waits: p50 {p50:.3} ms, p99 {p99:.3} ms");
        }
        if lost > 0 {
            text += &format!("\n{lost} events were lost, with waits that are not in these");
        }
        self.line(text.trim_end())?;
        Ok(lost)
    }
}

/// An object on a line, with its kind.
fn with(kind: &str, mut json: Value) -> String {
    json["kind"] = json!(kind);
    json.to_string()
}
