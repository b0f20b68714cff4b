// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota view`.

mod map;
mod serve;
mod timehist;

use crate::exit::Exit;
use crate::{file, output};
use anyhow::{Context, Result, anyhow, bail};
use rota_events::{
    Activity, Event, Kind, Problems, StreamHash, Tables, TaskInfo, TaskRef, What, hint, nearest,
};
use rota_topology::{CpuId, CpuMask};
use rota_trace::{Form, Input, Output, ReadError, Recording, summary_json, summary_text};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Arguments of `rota view`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota view trace.rota | less                    every event, a line each\n  \
    rota view trace.rota --as summary              run times, latencies, utilisation\n  \
    rota view trace.rota --task worker --cpus 0-3  what concerns one task, on some CPUs\n  \
    rota view trace.rota --event switch --event waking --to 60100ms\n  \
    rota view trace.rota --as timehist -MVw        what each CPU did, as perf sched timehist shows it\n  \
    rota view trace.rota --as map --by group       who ran on which CPU when, by letters\n  \
    rota view trace.rota --as perfetto --output trace.pftrace   for https://ui.perfetto.dev\n  \
    rota view trace.rota --as perfetto --open      in Perfetto, in a browser\n\n\
    The exit code is 1 if the file is damaged: what can be read of it was shown.")]
pub(crate) struct Args {
    /// An event file, such as `rota sim --trace FILE` writes; - is standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// In which form to show it
    #[arg(long = "as", value_enum, default_value = "text", value_name = "FORM")]
    form: View,
    /// Write to this file instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only events about this task, by its name or its thread id
    #[arg(
        long,
        value_name = "NAME|PID",
        help_heading = "Only some events, as text, JSON or timehist"
    )]
    task: Vec<String>,
    /// Only events on these CPUs
    #[arg(long, short = 'C', visible_alias = "cpu", value_name = "LIST", value_parser = CpuMask::from_list)]
    #[arg(help_heading = "Only some events, as text, JSON or timehist")]
    cpus: Option<CpuMask>,
    /// Only events of this kind, such as switch or enqueue
    #[arg(long, value_name = "KIND", value_parser = kind)]
    #[arg(help_heading = "Only some events, as text, JSON or timehist")]
    event: Vec<Kind>,
    /// Only events from this time on
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    #[arg(help_heading = "Only some events, as text, JSON or timehist")]
    from: Option<u64>,
    /// Only events before this time
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    #[arg(help_heading = "Only some events, as text, JSON or timehist")]
    to: Option<u64>,
    /// In a trace for Perfetto, arrows from who wakes to who then runs; it gets several times as large
    #[arg(long)]
    arrows: bool,
    /// In a trace for Perfetto, each call of a callback of sched_ext; it gets several times as large
    #[arg(long)]
    callbacks: bool,
    /// Hand the trace for Perfetto to its page, <https://ui.perfetto.dev>, in a browser, from port 9001 of this machine
    #[arg(long)]
    open: bool,
    /// With --open: only say what to open
    #[arg(long, requires = "open")]
    no_browser: bool,
    #[command(flatten)]
    timehist: timehist::Options,
    #[command(flatten)]
    map: map::MapOptions,
}

/// How a recording is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum View {
    /// A line an event
    Text,
    /// A JSON object an event, one a line
    Json,
    /// A trace for Perfetto
    Perfetto,
    /// The text of the kernel's own tracing, for tools that read that
    Ftrace,
    /// A table with a row an event, in a Parquet file, for DuckDB and other data tools
    Parquet,
    /// Metrics of tasks, groups and CPUs
    Summary,
    /// The same as a JSON object
    SummaryJson,
    /// What each CPU did, a row for each time that a task leaves it, as perf sched timehist
    Timehist,
    /// The same as CSV
    TimehistCsv,
    /// The same as JSON, an object a line
    TimehistJson,
    /// A picture in letters: who ran on which CPU when
    Map,
    /// The same as a picture in SVG
    Svg,
}

impl View {
    fn is_timehist(self) -> bool {
        matches!(self, Self::Timehist | Self::TimehistCsv | Self::TimehistJson)
    }

    fn is_map(self) -> bool {
        matches!(self, Self::Map | Self::Svg)
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let found = rota_events::KINDS.iter().find(|(_, name, _)| *name == text);
    let names = rota_events::KINDS.map(|(_, name, _)| name);
    let none = || format!("there is no such kind of event{}", hint(text, &names));
    found.map(|(kind, ..)| *kind).ok_or_else(none)
}

/// Shows a recording.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let name = args.file.display().to_string();
    if args.map.given() && !args.form.is_map() {
        bail!("--width and --by need --as map or --as svg");
    }
    if args.timehist.given() && !args.form.is_timehist() {
        bail!("an option of timehist needs --as timehist, timehist-csv or timehist-json");
    }
    if args.form.is_timehist() {
        timehist::check(args)?;
    } else if args.form.is_map() {
        map::check(args)?;
    } else if filters(args) && !matches!(args.form, View::Text | View::Json) {
        bail!("some events only are shown with --as text or --as json; metrics need all of them");
    }
    if (args.arrows || args.callbacks || args.open) && args.form != View::Perfetto {
        bail!("--arrows, --callbacks and --open need --as perfetto");
    }
    let binary = matches!(args.form, View::Perfetto | View::Parquet);
    if binary && args.output.is_none() && !args.open && io::stdout().is_terminal() {
        bail!(
            "a trace for Perfetto, or a table, is not for a terminal; give a file with --output FILE"
        );
    }
    if let Some(output) = &args.output {
        file::not_over(&args.file, output)?;
    }
    let mut reader = open_recording(&args.file)?;
    check(args, reader.machine().cpus.len())?;
    match args.form {
        View::Text => stream(args, &mut reader, Form::Text)?,
        View::Json => stream(args, &mut reader, Form::Json)?,
        View::Perfetto if args.open => serve(args, &mut reader)?,
        View::Perfetto => stream(args, &mut reader, Form::Perfetto)?,
        View::Ftrace => stream(args, &mut reader, Form::Ftrace)?,
        View::Parquet => stream(args, &mut reader, Form::Parquet)?,
        View::Summary | View::SummaryJson => summarise(args, &mut reader)?,
        View::Timehist | View::TimehistCsv | View::TimehistJson => {
            timehist::run(args, &mut reader)?;
        }
        View::Map | View::Svg => map::run(args, &mut reader)?,
    }
    Ok(tell_problems(&name, reader.problems()))
}

/// Opens a recording; `-` is standard input.
pub(crate) fn open_recording(path: &Path) -> Result<Recording> {
    let name = path.display().to_string();
    let input = match path.to_str() {
        Some("-") => Input::stream(io::stdin().lock(), tempfile::tempfile),
        _ => {
            let file = File::open(path).with_context(|| name.clone())?;
            // A pipe with a name can't go back either.
            match file.metadata().with_context(|| name.clone())?.is_file() {
                true => Input::file(file),
                false => Input::stream(file, tempfile::tempfile),
            }
        }
    };
    Recording::open(input).map_err(|error| unreadable(&name, error))
}

/// Says what is wrong with a recording, and how to end.
pub(crate) fn tell_problems(name: &str, problems: &Problems) -> Exit {
    for problem in problems.list() {
        output::error(&format!("{name}: {problem}"));
    }
    let more = problems.count() - problems.list().len() as u64;
    if more > 0 {
        output::error(&format!("{name}: and {more} more problems"));
    }
    if problems.count() > 0 { Exit::Negative } else { Exit::Done }
}

/// Why it is not read: what Rota writes for others has the same name as they give it.
fn unreadable(name: &str, error: ReadError) -> anyhow::Error {
    let again = output::command(&["sim", "SCHED", "--trace", "FILE.rota"]);
    match (&error, Form::of_name(name)) {
        (ReadError::Unknown, Form::Text | Form::Json) => anyhow!(
            "{name}: text or JSON, which rota writes but does not read. For rota view keep an event \
             file: {again}"
        ),
        _ => anyhow::Error::new(error).context(name.to_owned()),
    }
}

/// Whether the filters can let anything through, as far as that is known before.
fn check(args: &Args, cpus: usize) -> Result<()> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        bail!("--from is later than --to");
    }
    let none = args.cpus.iter().flat_map(CpuMask::iter).find(|cpu| cpu.0 as usize >= cpus);
    match none {
        Some(cpu) if cpus > 0 => {
            bail!("--cpus: the recording has no CPU {}, but 0-{}", cpu.0, cpus - 1)
        }
        _ => Ok(()),
    }
}

/// Whether only some events are asked for.
fn filters(args: &Args) -> bool {
    let Args { task, cpus, event, from, to, .. } = args;
    !task.is_empty() || !event.is_empty() || cpus.is_some() || from.is_some() || to.is_some()
}

/// Where the result goes.
fn open(path: Option<&Path>) -> Result<Box<dyn Write>> {
    Ok(match path {
        None => Box::new(BufWriter::with_capacity(1 << 16, io::stdout().lock())),
        Some(path) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            // Much is written, and each call costs.
            Box::new(BufWriter::with_capacity(1 << 18, file))
        }
    })
}

/// Shows events as they are read.
fn stream(args: &Args, reader: &mut Recording, form: Form) -> Result<()> {
    stream_to(args, reader, form, open(args.output.as_deref())?)
}

/// Hands a trace to the page of Perfetto.
fn serve(args: &Args, reader: &mut Recording) -> Result<()> {
    let trace = match &args.output {
        None => tempfile::tempfile().context("a temporary file")?,
        Some(path) => {
            let mut file = File::options();
            let file = file.read(true).write(true).create(true).truncate(true).open(path);
            file.with_context(|| path.display().to_string())?
        }
    };
    let out = trace.try_clone().context("the trace")?;
    stream_to(args, reader, Form::Perfetto, Box::new(BufWriter::new(out)))?;
    serve::serve(trace, !args.no_browser)
}

fn stream_to(args: &Args, reader: &mut Recording, form: Form, out: Box<dyn Write>) -> Result<()> {
    let mut output = Output::new(form, out, reader.machine())?;
    if args.arrows {
        output = output.with_arrows();
    }
    if args.callbacks {
        output = output.with_callbacks();
    }
    let (mut shown, mut lost) = (0, 0_u64);
    while let Some(mut events) = reader.next_events()? {
        let tables = reader.tables();
        // Asked of the kind first: there are many events, and few losses.
        for event in events.iter().filter(|event| event.kind == Kind::Lost) {
            if let What::Lost { events } = event.what() {
                lost = lost.saturating_add(events);
            }
        }
        events.retain(|event| wanted(args, event, tables));
        shown += events.len();
        output.write(tables, &events)?;
    }
    output.finish()?;
    if lost > 0 {
        let events = if lost == 1 { "event was" } else { "events were" };
        output::note(&format!("{lost} {events} lost when it was recorded"));
    }
    if filters(args) {
        missing(args, reader.tables(), shown).iter().for_each(|words| output::error(words));
    }
    Ok(())
}

/// What was asked for and is not there: tasks of no such name, else events at all.
fn missing(args: &Args, tables: &Tables, shown: usize) -> Vec<String> {
    let mut missing = unknown_tasks(&args.task, tables);
    if missing.is_empty() && shown == 0 {
        missing.push("no event is as these options want it".to_owned());
    }
    missing
}

/// For each of these tasks that there is not, words that say so.
pub(crate) fn unknown_tasks(tasks: &[String], tables: &Tables) -> Vec<String> {
    let mut told = BTreeSet::new();
    let names = tables.tasks().map(|(_, info)| tables.text_of(info.name));
    let names: Vec<&str> = names.filter(|name| told.insert(*name)).collect();
    let there = |task: &&String| tables.tasks().any(|(_, info)| is_called(tables, info, task));
    let unknown = tasks.iter().filter(|task| !there(task));
    unknown.map(|task| format!("no task {task}{}", like(task, &names))).collect()
}

/// Whether it has this name or thread id.
pub(crate) fn is_called(tables: &Tables, info: &TaskInfo, task: &str) -> bool {
    tables.text_of(info.name) == task || task.parse() == Ok(info.pid)
}

/// Which task may have been meant: one with nearly that name, else one whose name begins so, else
/// some that there are.
fn like(task: &str, names: &[&str]) -> String {
    const SOME: usize = 6;
    let start = names.iter().find(|name| name.starts_with(task)).copied();
    match start.or_else(|| nearest(task, names)) {
        Some(name) => format!("; did you mean {name}?"),
        None if names.is_empty() => "; the recording has none".to_owned(),
        None => {
            let more = if names.len() > SOME { ", …" } else { "" };
            format!("; there are: {}{more}", names[..names.len().min(SOME)].join(", "))
        }
    }
}

fn wanted(args: &Args, event: &Event, tables: &Tables) -> bool {
    let is = |task: TaskRef| {
        let Some(info) = tables.task_of(task) else { return false };
        args.task.iter().any(|text| is_called(tables, info, text))
    };
    let about = || match event.what() {
        // It is as much about what ran until then.
        What::Switch { from, .. } => is(from) || is(event.task),
        _ => is(event.task),
    };
    args.from.is_none_or(|from| event.time_ns >= from)
        && args.to.is_none_or(|to| event.time_ns < to)
        && args.cpus.as_ref().is_none_or(|cpus| cpus.contains(CpuId(event.cpu.0)))
        && (args.event.is_empty() || args.event.contains(&event.kind))
        && (args.task.is_empty() || about())
}

/// Shows the metrics of all events.
fn summarise(args: &Args, reader: &mut Recording) -> Result<()> {
    let mut activity = Activity::new(&reader.machine().cpus);
    let mut hash = StreamHash::default();
    while let Some(events) = reader.next_events()? {
        for event in &events {
            activity.add(event);
            hash.add(event);
        }
    }
    let (summary, tables, machine) = (activity.summary(0), reader.tables(), reader.machine());
    let hash = format!("{:016x}", hash.value());
    let text = if args.form == View::Summary {
        format!("{}\nhash of all events: {hash}\n", summary_text(&summary, tables, machine))
    } else {
        let mut json = summary_json(&summary, tables, machine);
        json["events_hash"] = hash.into();
        format!("{json}\n")
    };
    let mut out = open(args.output.as_deref())?;
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
