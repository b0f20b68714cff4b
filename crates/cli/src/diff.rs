// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota diff`.

mod limit;
mod read;
mod show;

use crate::exit::Exit;
use crate::hist::{ByChoice, KindChoice};
use crate::output::{self, Format};
use anyhow::{Result, bail};
use limit::Limit;
use std::path::PathBuf;

/// Arguments of `rota diff`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota diff before.rota after.rota                    latencies and turns on CPUs side by side\n  \
    rota diff before.rota after.rota --kind dsq --by dsq  the time in each queue\n  \
    rota diff before.rota after.rota --fail-if 'runq.p99>10%'  a check for CI\n\n\
    A limit names a kind of times, a number of them (count, sum, mean, p50, p90, p99, p99.9, p99.99,\n\
    max), and by how much the second recording's may be larger (>) or smaller (<): a part of the\n\
    first one's, as 10%, or a time.\n\n\
    The exit code is 1 if a limit is passed, or a file is damaged.")]
pub(crate) struct Args {
    /// The first recording, such as rota sim --trace FILE writes
    #[arg(value_name = "A", value_hint = clap::ValueHint::FilePath)]
    first: PathBuf,
    /// The second
    #[arg(value_name = "B", value_hint = clap::ValueHint::FilePath)]
    second: PathBuf,
    /// Which times; several by saying it again
    #[arg(long, value_enum, value_name = "KIND", default_values = ["runq", "oncpu"])]
    kind: Vec<KindChoice>,
    /// What to look at for changes, beside all of it
    #[arg(long, value_enum, default_value = "comm")]
    by: ByChoice,
    /// How many of these to show, those that changed most
    #[arg(long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// A limit: if it is passed, the exit code is 1
    #[arg(long, value_name = "KIND.NUMBER>LIMIT", value_parser = limit::parse)]
    fail_if: Vec<Limit>,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Compares two recordings.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if [&args.first, &args.second].iter().all(|file| file.as_os_str() == "-") {
        bail!("standard input can't be both recordings");
    }
    let mut kinds = args.kind.clone();
    kinds.extend(args.fail_if.iter().map(|limit| limit.kind));
    kinds.sort();
    kinds.dedup();
    args.by.check(&kinds)?;
    let (first, second) =
        (read::read(&args.first, &kinds, args.by)?, read::read(&args.second, &kinds, args.by)?);
    let passed: Vec<String> =
        args.fail_if.iter().filter_map(|limit| limit.passed(&first, &second)).collect();
    match args.format {
        Format::Json => {
            let json = show::json(args.by, &first, &second, args.rows, &passed);
            output::line(&json.to_string())?;
        }
        Format::Table => output::text(&show::text(args.by, &first, &second, args.rows))?,
    }
    passed.iter().for_each(|words| output::error(words));
    let whole = first.whole && second.whole;
    Ok(if passed.is_empty() && whole { Exit::Done } else { Exit::Negative })
}
