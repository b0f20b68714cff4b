// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota compare`: several schedulers on the same machine, under the same work, with several seeds.

mod limits;
mod live;
mod measure;
mod runs;
mod timeline;

use crate::args::duration;
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::sim::MACHINE;
use crate::sim::contestant::{self, Contestant, EEVDF};
use crate::sim::input;
use crate::{file, machine, replay};
use anyhow::{Result, bail};
use rota_compare::{CostScale, Experiment, Note, Part, Report, Results, Shard, WIDTH};
use rota_events::fnv1a;
use rota_object::KernelTypes;
use rota_sim::{EEVDF_LEAVES_OUT, Model, Noise};
use rota_topology::CpuMask;
use rota_workload::{WORKLOADS, Workload};
use runs::Parts;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

/// What follows the options in the long help.
const EXAMPLES: &str = "Examples:\n  \
    rota compare simple eevdf                             a desktop, web server and more\n  \
    rota compare simple simple:slice=5ms simple:fifo      settings of one scheduler\n  \
    rota compare simple ./mine.bpf.o eevdf --workload game --html page.html\n  \
    rota compare simple eevdf --machine machine.json --workload work.json\n  \
    rota compare simple domains eevdf --replay trace.rota  what a machine did, with others\n  \
    rota compare simple eevdf --seeds 100 --shard 1/4 --out part-1.parquet\n  \
    rota compare --merge part-*.parquet\n  \
    rota compare --live simple eevdf --workload web        measured on this machine";

/// Examples, and what machines and workloads there are.
pub(crate) fn after_help() -> String {
    let machines = Model::names()
        .filter_map(|name| Some(format!("\n  {name:<10}  {}", Model::named(name)?.ok()?.about)));
    let workloads = WORKLOADS.iter().map(|it| format!("\n  {:<10}  {}", it.name, short(it.about)));
    format!(
        "{EXAMPLES}\n\nMachines, by name:{}\n\nWorkloads, by name; rota sim --help says more, \
         and has their parameters:{}\n\ndocs/compare.md explains every number.",
        machines.collect::<String>(),
        workloads.collect::<String>()
    )
}

const WORKLOAD: &str =
    "What runs on it; several at once with + between them, or by saying it again";

/// As much as tells a workload from the others.
fn short(about: &str) -> String {
    const COLUMNS: usize = 64;
    let start = |about: &str| about.split([',', ':', '(']).next().unwrap_or_default().to_owned();
    let alike = WORKLOADS.iter().filter(|other| start(other.about) == start(about));
    if alike.count() < 2 || about.len() <= COLUMNS {
        return start(about);
    }
    let end = about.char_indices().take(COLUMNS).filter(|(_, c)| *c == ' ').last();
    format!("{} …", &about[..end.map_or(0, |(at, _)| at)])
}

/// Arguments of `rota compare`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Schedulers: of `rota list`, with settings if you like (simple:fifo), compiled objects, or
    /// eevdf, a model of the kernel's own. Differences are told to the first
    #[arg(value_name = "SCHED|FILE.bpf.o|eevdf", value_hint = clap::ValueHint::FilePath, required_unless_present = "merge")]
    scheds: Vec<String>,
    /// The machine: laptop, desktop16, server256 or server1024, a machine file (.toml), a short
    /// form such as 2s:4l:8c:2t, a snapshot of `rota topology --save`, or a sysfs tree [default:
    /// desktop16]
    #[arg(long, value_name = "NAME|SPEC|FILE", value_hint = clap::ValueHint::AnyPath)]
    machine: Option<String>,
    #[arg(long, help = format!("{WORKLOAD}; --help lists them"), long_help = format!("{WORKLOAD}; they are listed below"))]
    #[arg(value_name = "NAME[:KEY=VALUE,...]", default_value = "mixed")]
    workload: Vec<String>,
    /// How many seeds, or which: 10, or 11-20, or 1,5,9. Each scheduler meets the same work and the
    /// same noise with a seed; fewer than 6 can't tell a difference from noise
    #[arg(long, value_name = "N|LIST", default_value = "10", value_parser = seeds)]
    seeds: Seeds,
    #[command(flatten)]
    replay: replay::ReplayArgs,
    /// How long each run takes, in the machine's own time [default: 1s; 3s with --live]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    run_for: Option<u64>,
    /// How many times as much as the machine says everything costs: the first is shown, the others
    /// tell whether its rankings hold
    #[arg(long, value_name = "LIST", default_value = "1,1/2,2", value_delimiter = ',')]
    costs: Vec<CostScale>,
    /// Measure on this machine and its kernel: each scheduler is put in charge in turn, and threads do
    /// the work. eevdf is the kernel's own then
    #[arg(long, conflicts_with_all = ["machine", "replay", "costs", "no_noise", "kernel", "btf", "jobs", "shard", "out", "merge"])]
    live: bool,
    /// How long the work runs before each measurement, with --live
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration, allow_hyphen_values = true, requires = "live")]
    warm_up: u64,
    /// The CPUs that the work may use, with --live [default: all that this process may use]
    #[arg(long, value_name = "LIST", value_parser = CpuMask::from_list, requires = "live")]
    cpus: Option<CpuMask>,
    /// Each task in a process of its own, with --live; tasks that wake or make each other share one
    #[arg(long, requires = "live")]
    processes: bool,
    /// Without the noise of the machine: interrupts, late timers, kernel workers, real-time tasks
    #[arg(long)]
    no_noise: bool,
    #[command(flatten)]
    kernel: input::KernelArgs,
    /// How many runs at a time; by default one on each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Show every measure: more quantiles, switches, migrations
    #[arg(long, conflicts_with = "shard")]
    full: bool,
    /// Write a page with the table, distributions of latencies, every seed, and what ran when; one
    /// file that needs nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "shard", value_hint = clap::ValueHint::FilePath)]
    html: Option<PathBuf>,
    /// Make only a part of the runs, such as 2/4, and keep their results in the file of --out
    #[arg(long, value_name = "I/N", requires = "out")]
    shard: Option<Shard>,
    /// Where the results of --shard are kept, as Parquet
    #[arg(long, value_name = "FILE", requires = "shard", conflicts_with_all = ["format"], value_hint = clap::ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Run nothing; join the parts in these files, in any order, and show what all of them say
    #[arg(long, value_name = "FILES", num_args = 1.., value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["scheds", "machine", "workload", "replay", "seeds", "run_for", "costs", "no_noise", "kernel", "btf", "jobs", "shard"])]
    merge: Vec<PathBuf>,
}

/// How long each run takes unless it is said, in ns.
const RUN_NS: u64 = 1_000_000_000;

/// The largest file of a part that is read, and the largest file of types.
const PART_BYTES_MAX: u64 = 1 << 30;

/// Seeds of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seeds(Vec<u64>);

/// Seeds: how many, or which.
fn seeds(text: &str) -> Result<Seeds, String> {
    let wrong = || format!("'{text}' is no number of seeds, nor a list such as 1,5,9 or 11-20");
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    if let Ok(count) = text.parse::<u64>() {
        let all = (1..=100_000).contains(&count).then(|| Seeds((1..=count).collect()));
        return all.ok_or_else(wrong);
    }
    let mut all = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => all.push(number(part)?),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last || last - first > 100_000 {
                    return Err(wrong());
                }
                all.extend(first..=last);
            }
        }
    }
    Ok(Seeds(all))
}

/// 16 digits that stand for something which decides results.
fn fingerprint(bytes: impl AsRef<[u8]>) -> String {
    format!("{:016x}", fnv1a(bytes.as_ref()))
}

/// What decides results besides what an experiment says in words: versions, and fingerprints of the
/// machine, the work and the objects.
fn inputs(
    scheds: &[String],
    contestants: &[Contestant],
    machine: &dyn Debug,
    workload: &Workload,
) -> BTreeMap<String, String> {
    let objects = scheds.iter().zip(contestants).filter_map(|(name, contestant)| {
        Some((format!("object {name}"), fingerprint(&contestant.choice()?.bytes)))
    });
    let others = [
        ("rota".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("machine".to_owned(), fingerprint(format!("{machine:?}"))),
        ("workload".to_owned(), fingerprint(format!("{workload:?}"))),
    ];
    others.into_iter().chain(objects).collect()
}

/// What readers have to know of the contestants.
fn notes(experiment: &Experiment) -> Vec<Note> {
    let note = |name: &String| match name.as_str() {
        EEVDF => Some(Note {
            contestant: name.clone(),
            is: contestant::EEVDF_IS.to_owned(),
            short: format!(
                "eevdf leaves out {} things that the kernel has; --full and docs/eevdf.md list them",
                EEVDF_LEAVES_OUT.len()
            ),
            text: contestant::eevdf_note(),
        }),
        _ if name.contains(['/', '.']) => {
            let text = format!(
                "{name} is unverified: no kernel has been asked whether it would load it (rota \
                 verify)"
            );
            let (contestant, is) = (name.clone(), "unverified".to_owned());
            Some(Note { contestant, is, short: text.clone(), text })
        }
        _ => None,
    };
    experiment.contestants.iter().filter_map(note).collect()
}

/// How many runs at a time.
fn jobs(args: &Args) -> usize {
    args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        |jobs| jobs as usize,
    )
}

/// Whoever names one scheduler wants to compare it with another.
fn advise(args: &Args) {
    if let ([alone], None) = (args.scheds.as_slice(), args.shard) {
        let other = if alone == EEVDF { "simple" } else { EEVDF };
        let live: &[&str] = if args.live { &["--live"] } else { &[] };
        let two = output::command(&[&["compare"], live, &[alone, other]].concat());
        output::note(&format!("rota: to compare, name two schedulers: {two}"));
    }
}

/// The machine and what runs on it: by their names, or as a recording has them.
struct Stage {
    machine: String,
    kernel: KernelTypes,
    /// Whether all of the recording, if it is one, could be read.
    whole: bool,
    model: Model,
    /// The workload as it was given.
    given: Vec<String>,
    workload: Workload,
    run_ns: u64,
}

impl Stage {
    fn set(args: &Args) -> Result<Self> {
        let replayed = args.replay.load()?;
        let recorded = replayed.as_ref().map(|replayed| replayed.machine.as_str());
        let machine = args.machine.as_deref().or(recorded).unwrap_or(MACHINE).to_owned();
        let recorded = replayed.as_ref().map(|replayed| replayed.kernel.as_str());
        let kernel = args.kernel.types(recorded)?;
        let mut model = machine::read(&machine)?;
        if args.no_noise {
            model.platform.noise = Noise::default();
        }
        let (Some(replayed), Some(path)) = (replayed, &args.replay.file) else {
            let workload = input::workload(&args.workload, &model)?;
            let (given, run_ns) = (args.workload.clone(), args.run_for.unwrap_or(RUN_NS));
            return Ok(Self { machine, kernel, whole: true, model, given, workload, run_ns });
        };
        let workload = replayed.prepare(&mut model);
        let with = match &args.replay.nice[..] {
            [] => String::new(),
            nice => format!(" with nice {nice:?}"),
        };
        let given = vec![format!("replay of {}{with}", path.display())];
        let run_ns = args.run_for.unwrap_or(replayed.length_ns.max(1));
        let whole = replayed.whole;
        Ok(Self { machine, kernel, whole, model, given, workload, run_ns })
    }
}

/// Makes all runs, or a part of them, or joins parts; and shows what they say.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if !args.merge.is_empty() {
        let files = args
            .merge
            .iter()
            .map(|path| Ok((path.display().to_string(), file::read(path, PART_BYTES_MAX)?)));
        return modelled(args, &rota_compare::merge(&files.collect::<Result<Vec<_>>>()?)?);
    }
    if args.run_for == Some(0) {
        bail!("--for 0s: there is nothing to see in no time");
    }
    if args.live {
        return live::run(args);
    }
    let Stage { machine, kernel, whole, model, given, workload, run_ns } = Stage::set(args)?;
    let contestants = args.scheds.iter().map(|name| Contestant::resolve(name, &[], &[]));
    let contestants = contestants.collect::<Result<Vec<_>>>()?;
    let mut inputs = inputs(&args.scheds, &contestants, &model, &workload);
    if let Some(path) = &args.kernel.btf {
        inputs.insert("types".to_owned(), fingerprint(file::read(path, PART_BYTES_MAX)?));
    }
    advise(args);
    let experiment = Experiment {
        contestants: args.scheds.clone(),
        seeds: args.seeds.0.clone(),
        scales: args.costs.clone(),
        machine: match args.no_noise {
            true => format!("{machine} without noise"),
            false => machine,
        },
        machine_in_words: model.topology.in_words(),
        cpus: model.topology.online().count() as u32,
        kernel: kernel.shown_name(),
        workload: given,
        workload_in_words: workload.in_words(),
        run_ns,
        live: None,
        inputs,
    };
    experiment.check()?;
    let jobs = jobs(args);
    let parts = Parts {
        experiment: &experiment,
        contestants: &contestants,
        kernel: &kernel,
        model: &model,
        workload: &workload,
    };
    if let (Some(shard), Some(out)) = (args.shard, &args.out) {
        file::can_save(out)?;
        let runs = parts.run(&experiment.shard(shard), jobs)?;
        let said = format!("part {shard}: {} runs in {}", runs.len(), out.display());
        let bytes = rota_compare::write_part(&Part { experiment, shard, runs })?;
        file::save(out, &bytes)?;
        output::note(&said);
        return Ok(if whole { Exit::Done } else { Exit::Negative });
    }
    args.html.as_deref().map_or(Ok(()), file::can_save)?;
    let runs = parts.run(&experiment.runs(), jobs)?;
    let exit = modelled(args, &Results::new(experiment, runs)?)?;
    Ok(if whole { exit } else { Exit::Negative })
}

/// Shows what simulations say.
fn modelled(args: &Args, results: &Results) -> Result<Exit> {
    show(args, results, notes(results.experiment()))
}

/// Shows what the results say, and what readers have to know.
fn show(args: &Args, results: &Results, notes: Vec<Note>) -> Result<Exit> {
    let report = Report::new(results, notes);
    let text = match args.format {
        Format::Table if args.full => rota_compare::text(&report, output::width(WIDTH)),
        Format::Table => rota_compare::short_text(&report, output::width(WIDTH)),
        Format::Json => format!("{}\n", rota_compare::json(&report)),
    };
    if let Some(path) = &args.html {
        file::save(path, rota_compare::page(results, &report))?;
    }
    output::if_anyone_reads(output::text(&text).map_err(Into::into))?;
    if let (Some(path), Format::Table) = (&args.html, args.format) {
        output::note(&format!("the same as a page, for a browser: {}", path.display()));
    }
    Ok(if report.ended.is_empty() { Exit::Done } else { Exit::Negative })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_told_apart_in_a_line() {
        let mut lines: Vec<String> = WORKLOADS.iter().map(|it| short(it.about)).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 66), "{lines:?}");
        lines.sort();
        let all = lines.len();
        lines.dedup();
        assert_eq!(lines.len(), all);
    }
}
