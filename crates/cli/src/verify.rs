// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota verify`: what the kernel's verifier says about schedulers, without running them.

mod files;
mod subject;
mod vm;

use crate::args::name_value;
use crate::exit::Exit;
use crate::verify::subject::Subject;
use crate::{doctor, output};
use anyhow::{Result, bail};
use rota_inspect::verify::{self as results, Comparison, FIGURES, Figure, Limit, Limits, Row};
use rota_kernel::{Host, Plan, Verbosity};
use rota_object::EngineError;
use rota_sched::SCHEDULERS;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs, in the columns of veristat.
    Csv,
    /// For programs, with the reasons of rejections.
    Json,
}

const EXAMPLES: &str = "Examples:\n  \
    rota verify                                     every scheduler, on this kernel\n  \
    rota verify simple:fifo ./mine.bpf.o            settings are part of what is verified\n  \
    rota verify --vm                                on every supported kernel, in VMs\n  \
    rota verify mine.bpf.o --vm 6.16 7.3 --format csv\n  \
    rota verify --vm --save 'base/{kernel}.csv'   keep the results\n  \
    rota verify --vm --baseline 'base/{kernel}.csv' --max-insns +10%";

/// Arguments of `rota verify`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
pub(crate) struct Args {
    /// Schedulers of `rota list`, with settings if you like (simple:fifo), or compiled objects
    /// [default: every scheduler]
    #[arg(value_name = "SCHED|FILE.bpf.o", value_hint = clap::ValueHint::FilePath)]
    objects: Vec<String>,
    /// Set a setting by its name, for all of them
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// A table for people, CSV in veristat's columns, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Compare with a result that was saved before, by --save, as JSON or by veristat; {kernel}
    /// stands for the kernel's series. A regression is the exit code 1
    #[arg(long, value_name = "FILE")]
    baseline: Option<String>,
    /// By how much the verifier's work on a program may grow: +5%, or +200 instructions
    #[arg(long, value_name = "LIMIT", default_value = "+5%", requires = "baseline")]
    max_insns: Limit,
    /// By how much the states that the verifier keeps may grow [default: no limit]
    #[arg(long, value_name = "LIMIT", requires = "baseline")]
    max_states: Option<Limit>,
    /// By how much the stack of a program may grow, in bytes or percent [default: no limit]
    #[arg(long, value_name = "LIMIT", requires = "baseline")]
    max_stack: Option<Limit>,
    /// Save the result for later comparisons, as JSON if the name ends in .json, else as CSV;
    /// {kernel} stands for the kernel's series
    #[arg(long, value_name = "FILE")]
    save: Option<String>,
    /// Verify in virtual machines with these kernels (a series, a version, or the path of an
    /// image) [without any: all supported kernels]
    #[arg(long, value_name = "VERSION", num_args = 0..)]
    vm: Option<Vec<String>>,
    /// Show libbpf's log
    #[arg(short, long)]
    verbose: bool,
}

fn long_help() -> String {
    let mut text = format!("{EXAMPLES}\n\nColumns:\n");
    for info in FIGURES {
        text += &format!("  {:<9} {}\n", info.header, info.help);
    }
    text += "\nPrograms are loaded as `rota run` would: with the settings given, in one object.\n\
             A rejected program hides no others, and is explained. What isn't told is a dash.\n\n\
             Exit codes: 0 all accepted, or with --baseline: nothing got worse; 1 a program was\n\
             rejected, or got worse; 2 nothing could be verified.";
    text
}

/// Verifies, compares, prints and saves.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if args.verbose {
        rota_kernel::set_verbosity(Verbosity::Verbose);
    }
    let (kernels, more) = vm::kernels(args.vm.as_deref());
    let mut names: Vec<&str> = args.objects.iter().map(String::as_str).collect();
    names.extend(more);
    if names.is_empty() {
        names.extend(SCHEDULERS.iter().map(|entry| entry.name));
    }
    let subjects = names.iter().map(|name| Subject::resolve(name, &args.set));
    let subjects = subjects.collect::<Result<Vec<_>>>()?;
    files::check(args.baseline.as_deref(), args.save.as_deref(), kernels.as_deref())?;
    let rows = match &kernels {
        Some(kernels) => vm::rows(kernels, &subjects)?,
        None => here(&subjects)?,
    };
    if rows.is_empty() {
        bail!("no program in {}", names.join(", "));
    }
    let baseline = args.baseline.as_deref().map(|name| files::baseline(name, &rows)).transpose()?;
    let comparison = baseline.map(|b| results::compare(&rows, &b, &limits(args)));
    if comparison.as_ref().is_some_and(|c| c.rows.iter().all(|row| row.saved.is_none())) {
        let file = args.baseline.as_deref().unwrap_or_default();
        bail!("{file}: no result of these objects in it, so nothing can be compared");
    }
    if let Some(name) = &args.save {
        files::save(name, &rows)?;
    }
    let printed = print(args.format, &rows, comparison.as_ref(), kernels.is_some());
    output::if_anyone_reads(printed)?;
    let bad = match &comparison {
        Some(comparison) => comparison.regressions() > 0,
        None => rows.iter().any(|row| row.rejection.is_some()),
    };
    Ok(if bad { Exit::Negative } else { Exit::Done })
}

fn limits(args: &Args) -> Limits {
    let mut limits = vec![(Figure::Insns, args.max_insns)];
    limits.extend(args.max_states.map(|limit| (Figure::States, limit)));
    limits.extend(args.max_stack.map(|limit| (Figure::StackBytes, limit)));
    limits
}

/// Verifies on the running kernel.
fn here(subjects: &[Subject]) -> Result<Vec<Row>> {
    let host = Host::default();
    let mut rows = Vec::new();
    for subject in subjects {
        let mut plan = Plan::new(subject.object(), &host)?;
        subject.configure(&mut plan)?;
        let found = results::verify(&subject.label, subject.bytes(), &plan);
        rows.extend(found.map_err(|error| explained(&host, subject, error))?);
    }
    Ok(rows)
}

/// An error in the words that `rota doctor` uses.
fn explained(host: &Host, subject: &Subject, error: EngineError) -> anyhow::Error {
    let words = match &error {
        EngineError::Refused(refusal) if subject.is_scheduler() => {
            doctor::explained(host, refusal, None)
        }
        _ => None,
    };
    match words {
        Some(words) => anyhow::anyhow!(words),
        None => anyhow::Error::from(error).context(subject.label.clone()),
    }
}

fn print(
    format: Format,
    rows: &[Row],
    comparison: Option<&Comparison>,
    with_kernel: bool,
) -> Result<()> {
    match format {
        Format::Table => {
            output::text(&results::table(rows, comparison, with_kernel))?;
            output::text(&results::rejections(rows))?;
        }
        Format::Csv => {
            output::text(&results::to_csv(rows, with_kernel))?;
            for compared in comparison.iter().flat_map(|c| &c.rows) {
                if !compared.regressions.is_empty() {
                    let row = &compared.row;
                    let what = compared.regressions.join(", ");
                    let place = format!("{} {} on {}", row.object, row.program, row.kernel);
                    output::note(&format!("rota: regression: {place}: {what}"));
                }
            }
        }
        Format::Json => output::text(&results::to_json(rows, comparison))?,
    }
    Ok(())
}
