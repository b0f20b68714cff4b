// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf sched`.

use crate::exit::Exit;
use crate::output::{self, Format};
use anyhow::{Context, Result};
use rota_inspect::bpf::{Costs, Objects};
use rota_kernel::{BpfProgram, bpf_programs, bpf_run_stats, now_ns};
use serde_json::{Value, json};
use std::time::Duration;

/// Version of the JSON form.
const SCHEMA: &str = "rota-bpf-sched/1";

/// Arguments of `rota bpf sched`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota bpf sched                     what it costs, measured for a second\n  \
    rota bpf sched --interval 10s      for longer\n  \
    rota bpf sched --interval 0s       at once, without costs\n\n\
    It takes root. The exit code is 1 if no scheduler of sched_ext is loaded. While it measures,\n\
    each run of any program of BPF takes a little longer.")]
pub(super) struct Args {
    /// Only schedulers with this name
    name: Option<String>,
    /// How long to measure what callbacks cost
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = crate::args::duration)]
    interval: u64,
    /// A tree for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Prints the schedulers.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let kernel = super::kernel_types()?;
    let (objects, costs) = measured(Duration::from_nanos(args.interval))?;
    let mut schedulers = super::schedulers(&objects, &kernel);
    schedulers.retain(|it| args.name.as_ref().is_none_or(|name| *name == it.name));
    let text = match args.format {
        Format::Table => {
            let trees: Vec<_> = schedulers.iter().map(|it| objects.to_tree(it, &costs)).collect();
            trees.join("\n")
        }
        Format::Json => {
            let trees: Value = schedulers.iter().map(|it| objects.tree_json(it, &costs)).collect();
            json!({ "schema": SCHEMA, "schedulers": trees }).to_string() + "\n"
        }
    };
    output::text(&text)?;
    if schedulers.is_empty() {
        let named = args.name.as_ref().map(|name| format!(" '{name}'")).unwrap_or_default();
        output::error(&format!(
            "no scheduler of sched_ext{named} is loaded; 'rota run' loads one, 'rota bpf struct_ops' \
             lists all tables of callbacks"
        ));
        return Ok(Exit::Negative);
    }
    Ok(Exit::Done)
}

/// All that there is, with what programs cost in a time up to now.
fn measured(interval: Duration) -> Result<(Objects, Costs)> {
    if interval.is_zero() {
        return Ok((super::objects()?, Costs::default()));
    }
    let _stats = bpf_run_stats().context("letting the kernel measure programs: root may")?;
    let (began, before) = look()?;
    std::thread::sleep(interval);
    let (ended, after) = look()?;
    let costs = Costs::between(&before, &after, ended - began);
    Ok((super::objects()?, costs))
}

/// Programs as they are now.
fn look() -> Result<(u64, Vec<BpfProgram>)> {
    let now = now_ns();
    Ok((now, bpf_programs().context("root may list them")?))
}
