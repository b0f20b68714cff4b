// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota view --as timehist`.

use super::{Args, View, is_called, open, unknown_tasks};
use crate::output;
use anyhow::{Result, bail};
use rota_events::{Event, Kind, Tables, TaskRef};
use rota_topology::CpuId;
use rota_trace::{
    Recording, Row, RowKind, TIMEHIST_SCHEMA, Timehist, TimehistColumns, TimehistLines,
    TimehistSummary, csv_header, csv_row, json_row, timehist_header,
};
use serde_json::json;
use std::io::Write;

const HEADING: &str = "With --as timehist, as perf has them";

/// So many CPUs are in a picture at most.
const CPUS_MAX: usize = 1024;

/// Options of timehist.
#[derive(clap::Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct Options {
    /// A picture of the CPUs in each row
    #[arg(long, short = 'V')]
    cpu_visual: bool,
    /// Rows for wake-ups, of who wakes
    #[arg(long, short)]
    wakeups: bool,
    /// Rows for tasks that change their CPU
    #[arg(long, short = 'M')]
    migrations: bool,
    /// Who runs next
    #[arg(long, short)]
    next: bool,
    /// How the task leaves its CPU: R, R+, S, D, T, t, X, Z, P, I; in summaries, its waits
    #[arg(long)]
    state: bool,
    /// The queue that the task was taken from, also if the recording seems to have none
    #[arg(long)]
    dsq: bool,
    /// Only sums: of tasks, and of the idle time of CPUs
    #[arg(long, short)]
    summary: bool,
    /// Sums after the rows
    #[arg(long, short = 'S')]
    with_summary: bool,
    /// Only rows and sums of idle time, after which task it comes
    #[arg(long, short = 'I')]
    idle_hist: bool,
    /// Only from one time until before another, in seconds; either may be empty
    #[arg(long, value_name = "START,STOP", value_parser = window, conflicts_with_all = ["from", "to"])]
    time: Option<(u64, u64)>,
    /// Only tasks of these processes
    #[arg(long, short, value_name = "PID,…", value_delimiter = ',')]
    pid: Vec<i32>,
    /// Only these tasks, by their thread ids
    #[arg(long, short, value_name = "TID,…", value_delimiter = ',')]
    tid: Vec<i32>,
}

impl Options {
    /// Whether any of them is given.
    pub(super) fn given(&self) -> bool {
        let Self { cpu_visual, wakeups, migrations, next, state, dsq, .. } = self;
        let Self { summary, with_summary, idle_hist, time, pid, tid, .. } = self;
        [cpu_visual, wakeups, migrations, next, state, dsq, summary, with_summary, idle_hist]
            .into_iter()
            .any(|given| *given)
            || time.is_some()
            || !pid.is_empty()
            || !tid.is_empty()
    }
}

/// Reads `START,STOP`, in seconds with up to nine decimals.
fn window(text: &str) -> Result<(u64, u64), String> {
    let expected = || format!("'{text}' is no START,STOP in seconds, such as 1.5,2 or 1.5, or ,2");
    let (start, stop) = text.split_once(',').ok_or_else(expected)?;
    let time = |text: &str, empty| match text {
        "" => Ok(empty),
        text => rota_events::parse_ns(&format!("{text}s")).map_err(|_| expected()),
    };
    let (start, stop) = (time(start, 0)?, time(stop, u64::MAX)?);
    if start > stop { Err(format!("'{text}' ends before it starts")) } else { Ok((start, stop)) }
}

/// What goes together is asked for.
pub(super) fn check(args: &Args) -> Result<()> {
    if !args.event.is_empty() {
        bail!("--event is for text and JSON; --as timehist has --wakeups and --migrations");
    }
    if args.form == View::TimehistCsv && args.timehist.with_summary {
        bail!("one CSV has either rows or sums: --summary has the sums");
    }
    Ok(())
}

/// Shows what each CPU did.
pub(super) fn run(args: &Args, reader: &mut Recording) -> Result<()> {
    let options = &args.timehist;
    let (from, to) = options.time.unwrap_or((args.from.unwrap_or(0), args.to.unwrap_or(u64::MAX)));
    let mut rows = Timehist::new(from, to);
    let mut sums = (options.summary || options.with_summary)
        .then(|| TimehistSummary::new(from, to, options.idle_hist));
    let mut out = open(args.output.as_deref())?;
    let (mut lines, mut shown, mut lost) = (None, 0_u64, false);
    while let Some(events) = reader.next_events()? {
        let cpus = reader.machine().cpus.len();
        if lines.is_none() {
            let columns = columns_of(options, cpus, &events);
            out.write_all(head(args, &columns).as_bytes())?;
            lines = Some(TimehistLines::new(columns));
        }
        let (tables, lines) = (reader.tables(), lines.get_or_insert_default());
        for event in &events {
            lost |= event.kind == Kind::Lost;
            if let Some(sums) = &mut sums {
                sums.event(event);
            }
            let Some(row) = rows.add(event) else { continue };
            let wanted = wanted(args, &row, tables);
            if let Some(sums) = &mut sums {
                sums.row(&row, wanted);
            }
            if wanted && is_shown(options, &row) {
                shown += 1;
                match args.form {
                    View::TimehistJson => writeln!(out, "{}", json_row(&row, tables))?,
                    View::TimehistCsv => out.write_all(csv_row(&row, tables).as_bytes())?,
                    _ => out.write_all(lines.row(&row, tables))?,
                }
            }
        }
    }
    if let Some(mut sums) = sums {
        sums.finish(&rows);
        out.write_all(summary(args, &sums, reader.tables()).as_bytes())?;
    }
    out.flush()?;
    let unknown = unknown_tasks(&args.task, reader.tables());
    unknown.iter().for_each(|words| output::error(words));
    if unknown.is_empty() && shown == 0 && !options.summary {
        output::error("no time on a CPU is as these options want it");
    }
    if lost {
        output::error("events are lost: what they would have begun or ended is not told");
    }
    Ok(())
}

fn columns_of(options: &Options, cpus: usize, events: &[Event]) -> TimehistColumns {
    let seen = events.iter().map(|event| event.cpu.0 as usize + 1).max().unwrap_or(0);
    let cpus = if options.cpu_visual { cpus.max(seen).min(CPUS_MAX) } else { 0 };
    let queues = [Kind::Attach, Kind::Insert, Kind::Enqueue];
    let dsq = options.dsq || events.iter().any(|event| queues.contains(&event.kind));
    TimehistColumns { cpus, state: options.state, next: options.next, dsq }
}

/// What is before the rows.
fn head(args: &Args, columns: &TimehistColumns) -> String {
    match args.form {
        View::TimehistJson => format!("{}\n", json!({ "schema": TIMEHIST_SCHEMA })),
        _ if args.timehist.summary => String::new(),
        View::TimehistCsv => csv_header(),
        _ => timehist_header(columns),
    }
}

fn summary(args: &Args, sums: &TimehistSummary, tables: &Tables) -> String {
    match args.form {
        View::TimehistJson => {
            sums.json(tables).into_iter().map(|object| format!("{object}\n")).collect()
        }
        View::TimehistCsv => sums.csv(tables),
        _ => sums.text(tables, args.timehist.state),
    }
}

/// Whether rows of its kind are asked for.
fn is_shown(options: &Options, row: &Row) -> bool {
    !options.summary
        && match row.what {
            RowKind::Ran(ran) => !options.idle_hist || !ran.task.is_some(),
            RowKind::Awakened { .. } => options.wakeups && !options.idle_hist,
            RowKind::Migrated { .. } => options.migrations && !options.idle_hist,
            RowKind::Lost(_) => true,
        }
}

/// Whether it is about what is asked for: one of its tasks is enough, but whoever runs next does not
/// count.
fn wanted(args: &Args, row: &Row, tables: &Tables) -> bool {
    let is = |task: TaskRef| {
        let Some(info) = tables.task_of(task) else { return false };
        args.task.iter().any(|text| is_called(tables, info, text))
            || args.timehist.tid.contains(&info.pid)
            || args.timehist.pid.contains(&info.tgid)
    };
    let all = args.task.is_empty() && args.timehist.tid.is_empty() && args.timehist.pid.is_empty();
    let about = || match row.what {
        RowKind::Ran(ran) if args.timehist.idle_hist => ran.before.is_some_and(is),
        RowKind::Ran(ran) => is(ran.task),
        RowKind::Awakened { waker, task } => is(waker) || is(task),
        RowKind::Migrated { by, task, .. } => by.is_some_and(is) || is(task),
        RowKind::Lost(_) => true,
    };
    args.cpus.as_ref().is_none_or(|cpus| cpus.contains(CpuId(row.cpu.0))) && (all || about())
}
