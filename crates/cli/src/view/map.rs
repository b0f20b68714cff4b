// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota view --as map` and `--as svg`.

use super::{Args, View, open};
use crate::output;
use anyhow::{Result, bail};
use rota_topology::CpuId;
use rota_trace::{Map, Recording, TaskBy};
use std::io::Write;

const HEADING: &str = "With --as map or --as svg";

/// So many columns there are where nobody says how wide the terminal is.
const WIDTH: usize = 100;
/// More than this is no picture.
const WIDTH_MAX: usize = 10_000;

/// Options of maps.
#[derive(clap::Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct MapOptions {
    /// How many columns at most; without it, what fits the terminal
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// What is told apart
    #[arg(long, value_enum, value_name = "BY")]
    by: Option<By>,
}

/// Names of what is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Each task
    Task,
    /// The name of the task
    Comm,
    /// The cgroup, or the part of the workload
    #[value(alias = "cgroup")]
    Group,
}

impl MapOptions {
    /// Whether any of them is given.
    pub(super) fn given(&self) -> bool {
        self.width.is_some() || self.by.is_some()
    }
}

/// What goes together is asked for.
pub(super) fn check(args: &Args) -> Result<()> {
    if !args.task.is_empty() || !args.event.is_empty() {
        bail!("a map shows all tasks; --cpus, --from and --to choose a part of it");
    }
    if args.map.width.is_some_and(|width| !(2..=WIDTH_MAX).contains(&width)) {
        bail!("--width: 2 to {WIDTH_MAX} columns");
    }
    Ok(())
}

/// Shows who ran where when.
pub(super) fn run(args: &Args, reader: &mut Recording) -> Result<()> {
    let fits = output::width(WIDTH + 5).saturating_sub(5).max(20);
    let by = match args.map.by.unwrap_or(By::Comm) {
        By::Task => TaskBy::Task,
        By::Comm => TaskBy::Comm,
        By::Group => TaskBy::Group,
    };
    let wanted = |cpu: u32| args.cpus.as_ref().is_none_or(|cpus| cpus.contains(CpuId(cpu)));
    let cpus = (0..reader.machine().cpus.len() as u32).filter(|cpu| wanted(*cpu));
    let map = Map::new(args.map.width.unwrap_or(fits), by, cpus);
    let mut map = map.within(args.from, args.to);
    while let Some(events) = reader.next_events()? {
        events.iter().filter(|event| wanted(event.cpu.0)).for_each(|event| map.add(event));
    }
    let text = match args.form {
        View::Svg => map.svg(reader.tables()),
        _ => map.text(reader.tables()),
    };
    let mut out = open(args.output.as_deref())?;
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
