// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota hist`.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::recorder;
use crate::run::signals::Signals;
use crate::view::{is_called, open_recording, tell_problems, unknown_tasks};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rota_events::{CpuPlace, Event, Span, SpanKind, Spans, Tables, What};
use rota_kernel::{Host, Wanted, now_ns};
use rota_topology::{CpuId, CpuMask};
use rota_trace::{Hist, HistBy, TaskBy, hist_json, hist_plot, hist_text};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Memory for each CPU, in which events wait when this machine is looked at.
const RING_BYTES: u32 = 8 << 20;

/// How often a table is shown while this machine is looked at.
const SHOW_NS: u64 = 1_000_000_000;

/// Arguments of `rota hist`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota hist trace.rota runq                      how long tasks waited for a CPU\n  \
    rota hist trace.rota runq --by task            the same for each task\n  \
    rota hist trace.rota oncpu --task worker --plot  how long one task runs at a time, as bars\n  \
    rota hist trace.rota dsq --by dsq              how long tasks are in each queue of sched_ext\n  \
    rota hist --live runq --for 10s                of this machine, without a file\n\n\
    Quantiles are at most 3.2 % too large, and never too small; count, sum, mean and max are exact.\n\
    The exit code is 1 if the file is damaged: what can be read of it was counted.")]
pub(crate) struct Args {
    /// A recording, such as `rota sim --trace FILE` writes; - is standard input
    #[arg(value_hint = clap::ValueHint::FilePath, required_unless_present = "live")]
    file: Option<PathBuf>,
    /// Which times
    #[arg(value_enum)]
    kind: Option<KindChoice>,
    /// Times of this machine instead of a file, until Ctrl-C or for the time of --for
    #[arg(long, value_name = "KIND", value_enum, conflicts_with_all = ["file", "kind"])]
    live: Option<KindChoice>,
    /// How long to look at this machine
    #[arg(long = "for", value_name = "DURATION", requires = "live", value_parser = crate::args::duration)]
    for_ns: Option<u64>,
    /// What to put together
    #[arg(long, value_enum, default_value = "all")]
    by: ByChoice,
    /// Only times of this task, by its name or its thread id
    #[arg(long, value_name = "NAME|PID")]
    task: Vec<String>,
    /// Only times that end on these CPUs
    #[arg(long, value_name = "LIST", value_parser = CpuMask::from_list)]
    cpus: Option<CpuMask>,
    /// Only times that end at this time or later
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    from: Option<u64>,
    /// Only times that end before this time
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    to: Option<u64>,
    /// Bars below the table, for each row
    #[arg(long)]
    plot: bool,
    /// How many rows to show at most, in the table
    #[arg(long, value_name = "N", default_value_t = 40)]
    rows: usize,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Names of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum KindChoice {
    /// From waking up, or from losing the CPU while it still wants to run, to running
    Runq,
    /// From waking up to running
    Wake,
    /// From getting a CPU to leaving it
    Oncpu,
    /// From leaving a CPU to getting one again, whatever the reason
    Offcpu,
    /// From coming into a queue of sched_ext to leaving it
    Dsq,
    /// What is left of the slice when a task begins to run, under sched_ext
    Slice,
}

/// Names of what times are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ByChoice {
    /// All together
    All,
    /// The task
    Task,
    /// The name of the task
    Comm,
    /// The cgroup, or the part of the workload
    #[value(alias = "cgroup")]
    Group,
    /// The CPU where the time ends
    Cpu,
    /// The last-level cache of that CPU
    Llc,
    /// The queue; with the kind dsq
    Dsq,
}

impl KindChoice {
    /// All names, in words.
    fn names() -> String {
        let names: Vec<String> = Self::value_variants().iter().map(name).collect();
        names.join(", ")
    }

    /// What it is in a stream of events.
    pub(crate) fn kind(self) -> SpanKind {
        match self {
            Self::Runq => SpanKind::RunQueue,
            Self::Wake => SpanKind::Wake,
            Self::Oncpu => SpanKind::OnCpu,
            Self::Offcpu => SpanKind::OffCpu,
            Self::Dsq => SpanKind::Dsq,
            Self::Slice => SpanKind::Slice,
        }
    }
}

impl ByChoice {
    /// Whether times of these kinds have it.
    pub(crate) fn check(self, kinds: &[KindChoice]) -> Result<()> {
        if self == Self::Dsq && kinds.iter().any(|kind| *kind != KindChoice::Dsq) {
            bail!("--by dsq: only times in queues have one; ask for the kind dsq");
        }
        Ok(())
    }

    /// What it is for histograms.
    pub(crate) fn by(self) -> HistBy {
        match self {
            Self::All => HistBy::All,
            Self::Task => HistBy::Tasks(TaskBy::Task),
            Self::Comm => HistBy::Tasks(TaskBy::Comm),
            Self::Group => HistBy::Tasks(TaskBy::Group),
            Self::Cpu => HistBy::Cpu,
            Self::Llc => HistBy::Llc,
            Self::Dsq => HistBy::Dsq,
        }
    }
}

/// The name of a choice, as it is given.
pub(crate) fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Shows how times of a recording, or of this machine, are distributed.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let Some(kind) = args.live.or(args.kind) else {
        bail!("which times? {}; rota hist --help says what they are", KindChoice::names())
    };
    args.by.check(&[kind])?;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        bail!("--from is later than --to");
    }
    let Some(file) = &args.file else { return live(args, kind) };
    let mut reader = open_recording(file)?;
    let mut count = Count::new(args, kind, &reader.machine().cpus);
    while let Some(events) = reader.next_events()? {
        count.add(&events, reader.tables());
    }
    count.show(reader.tables())?;
    Ok(tell_problems(&file.display().to_string(), reader.problems()))
}

/// Counts what happens on this machine.
fn live(args: &Args, kind: KindChoice) -> Result<Exit> {
    let host = Host::default();
    let places = rota_sim::cpu_places(&host.topology()?.topology);
    let signals = Signals::catch().context("catching signals")?;
    let cpus = places.len() as u32;
    let mut recorder = recorder::start(&host, RING_BYTES, cpus, Wanted::default())?;
    recorder::hurry();
    let (started_ns, terminal) = (now_ns(), std::io::stdout().is_terminal());
    let mut count = Count::new(args, kind, &places);
    count.zero_ns = started_ns;
    let mut shown_ns = started_ns;
    loop {
        recorder::wait(&signals)?;
        let events = recorder.poll()?;
        count.add(&events, recorder.tables());
        let now_ns = now_ns();
        if args.for_ns.is_some_and(|most| now_ns - started_ns >= most) || signals.taken().is_some()
        {
            break;
        }
        if terminal && args.format == Format::Table && now_ns - shown_ns >= SHOW_NS {
            shown_ns = now_ns;
            // From the upper left corner on, and nothing below stays.
            output::text(&format!("\x1b[H\x1b[2J{}", count.table(recorder.tables())))?;
        }
    }
    let events = recorder.finish()?;
    count.add(&events, recorder.tables());
    if terminal && shown_ns != started_ns {
        output::text("\x1b[H\x1b[2J")?;
    }
    count.show(recorder.tables())?;
    Ok(if recorder.recorded().lost > 0 { Exit::Negative } else { Exit::Done })
}

/// What is counted.
struct Count<'a> {
    args: &'a Args,
    kind: KindChoice,
    spans: Spans,
    hist: Hist,
    lost: u64,
    /// What --from and --to count from.
    zero_ns: u64,
}

impl<'a> Count<'a> {
    fn new(args: &'a Args, kind: KindChoice, cpus: &[CpuPlace]) -> Self {
        let hist = Hist::new(args.by.by(), cpus);
        Self { args, kind, spans: Spans::default(), hist, lost: 0, zero_ns: 0 }
    }

    fn add(&mut self, events: &[Event], tables: &Tables) {
        let mut found = Vec::new();
        for event in events {
            if let What::Lost { events } = event.what() {
                self.lost = self.lost.saturating_add(events);
            }
            self.spans.add(event, &mut |span| found.push((event.time_ns, span)));
        }
        for (time_ns, span) in found {
            let time_ns = time_ns.saturating_sub(self.zero_ns);
            if span.kind == self.kind.kind() && wanted(self.args, time_ns, &span, tables) {
                self.hist.add(&span);
            }
        }
    }

    fn table(&self, tables: &Tables) -> String {
        table(self.args, self.kind, &self.hist.rows(tables))
    }

    /// Prints what came out.
    fn show(&self, tables: &Tables) -> Result<()> {
        match self.args.format {
            Format::Json => {
                let rows = self.hist.rows(tables);
                let (kind, by) = (name(&self.kind), name(&self.args.by));
                output::line(&hist_json(&kind, &by, self.lost, &rows).to_string())?;
            }
            Format::Table => output::text(&self.table(tables))?,
        }
        let unknown = unknown_tasks(&self.args.task, tables);
        unknown.iter().for_each(|words| output::error(words));
        if self.lost > 0 {
            let lost = self.lost;
            output::error(&format!(
                "{lost} events are lost: times that were under way are left out"
            ));
        }
        Ok(())
    }
}

fn wanted(args: &Args, time_ns: u64, span: &Span, tables: &Tables) -> bool {
    let task = || {
        let Some(info) = tables.task_of(span.task) else { return false };
        args.task.iter().any(|text| is_called(tables, info, text))
    };
    args.from.is_none_or(|from| time_ns >= from)
        && args.to.is_none_or(|to| time_ns < to)
        && args.cpus.as_ref().is_none_or(|cpus| cpus.contains(CpuId(span.cpu.0)))
        && (args.task.is_empty() || task())
}

fn table(args: &Args, kind: KindChoice, rows: &[(String, rota_events::Histogram)]) -> String {
    if rows.is_empty() {
        let why = match kind {
            KindChoice::Dsq | KindChoice::Slice => ": they need the events of sched_ext",
            _ => "",
        };
        return format!("no such times{why}\n");
    }
    let mut text = hist_text(rows, args.rows);
    if args.plot {
        for (name, times) in rows.iter().take(args.rows) {
            text += &format!("\n{name}\n{}", hist_plot(times));
        }
    }
    text
}
