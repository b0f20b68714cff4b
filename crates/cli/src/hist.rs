// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota hist`.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::view::{is_called, open_recording, tell_problems, unknown_tasks};
use anyhow::{Result, bail};
use clap::ValueEnum;
use rota_events::{Span, SpanKind, Spans, Tables, What};
use rota_topology::{CpuId, CpuMask};
use rota_trace::{Hist, HistBy, TaskBy, hist_json, hist_plot, hist_text};
use std::path::PathBuf;

/// Arguments of `rota hist`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota hist trace.rota runq                      how long tasks waited for a CPU\n  \
    rota hist trace.rota runq --by task            the same for each task\n  \
    rota hist trace.rota oncpu --task worker --plot  how long one task runs at a time, as bars\n  \
    rota hist trace.rota dsq --by dsq              how long tasks are in each queue of sched_ext\n\n\
    Quantiles are at most 3.2 % too large, and never too small; count, sum, mean and max are exact.\n\
    The exit code is 1 if the file is damaged: what can be read of it was counted.")]
pub(crate) struct Args {
    /// A recording, such as `rota sim --trace FILE` writes; - is standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Which times
    #[arg(value_enum)]
    kind: KindChoice,
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

/// Shows how times of a recording are distributed.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    args.by.check(&[args.kind])?;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        bail!("--from is later than --to");
    }
    let mut reader = open_recording(&args.file)?;
    let (mut spans, mut found) = (Spans::default(), Vec::new());
    let mut hist = Hist::new(args.by.by(), &reader.machine().cpus);
    let mut lost = 0_u64;
    while let Some(events) = reader.next_events()? {
        for event in &events {
            if let What::Lost { events } = event.what() {
                lost = lost.saturating_add(events);
            }
            spans.add(event, &mut |span| found.push((event.time_ns, span)));
        }
        for (time_ns, span) in found.drain(..) {
            if wanted(args, time_ns, &span, reader.tables()) {
                hist.add(&span);
            }
        }
    }
    let rows = hist.rows(reader.tables());
    match args.format {
        Format::Json => {
            output::line(&hist_json(&name(&args.kind), &name(&args.by), lost, &rows).to_string())?;
        }
        Format::Table => output::text(&table(args, &rows))?,
    }
    let unknown = unknown_tasks(&args.task, reader.tables());
    unknown.iter().for_each(|words| output::error(words));
    if lost > 0 {
        output::error(&format!("{lost} events are lost: times that were under way are left out"));
    }
    Ok(tell_problems(&args.file.display().to_string(), reader.problems()))
}

fn wanted(args: &Args, time_ns: u64, span: &Span, tables: &Tables) -> bool {
    let task = || {
        let Some(info) = tables.task_of(span.task) else { return false };
        args.task.iter().any(|text| is_called(tables, info, text))
    };
    span.kind == args.kind.kind()
        && args.from.is_none_or(|from| time_ns >= from)
        && args.to.is_none_or(|to| time_ns < to)
        && args.cpus.as_ref().is_none_or(|cpus| cpus.contains(CpuId(span.cpu.0)))
        && (args.task.is_empty() || task())
}

fn table(args: &Args, rows: &[(String, rota_events::Histogram)]) -> String {
    if rows.is_empty() {
        let why = match args.kind {
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
