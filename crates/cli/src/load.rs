// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota load`: a workload for real.

mod report;

use crate::args::duration;
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::power::many_files;
use crate::progress::Progress;
use crate::run::signals::Signals;
use crate::sim::input;
use anyhow::{Context, Result, bail};
use rota_events::CpuPlace;
use rota_kernel::Host;
use rota_load::stress_ng::StressNg;
use rota_load::{Job, Report};
use rota_sim::{Model, cpu_places};
use rota_topology::{CpuId, CpuMask};
use rota_workload::Workload;
use rustix::thread::CpuSet;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Arguments of `rota load`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota load periodic+cpu                       as rota sim, on this machine\n  \
    rota load web:load=40 --for 30s --seed 7     requests, and their latencies\n  \
    rota load video.json                         a file in rt-app's grammar\n  \
    rota load cpu:tasks=2 --cpus 0               two tasks on one CPU\n  \
    rota load cpu:tasks=8 --processes            eight processes\n  \
    rota load periodic --stress-ng '--switch 2'  with stress-ng beside it\n  \
    rota load messaging --format json            for programs\n\n\
    Workloads and their parameters are those of rota sim --help; docs/load.md says how each number\n\
    is measured. What a thread can't know of itself is \"-\". Ctrl-C ends it early, with the table.")]
pub(crate) struct Args {
    /// What to do: a workload by name, or a file in rt-app's grammar (.json); several with + between
    /// them, or one after the other
    #[arg(value_name = "PROFILE|FILE", value_hint = clap::ValueHint::FilePath)]
    #[arg(required_unless_present = "stress_ng")]
    workload: Vec<String>,
    /// How long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "10s")]
    run_for: u64,
    /// Seed of all random numbers: those of rota sim with the same seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only on these CPUs [default: all that this process may use]
    #[arg(long, value_name = "LIST", value_parser = CpuMask::from_list)]
    cpus: Option<CpuMask>,
    /// Each task in a process of its own, rather than a thread; tasks that wake or make each other
    /// share one
    #[arg(long)]
    processes: bool,
    /// One of these processes: told what to do on standard input.
    #[arg(long, hide = true, conflicts_with_all = ["processes", "stress_ng", "format"])]
    part: bool,
    /// Also start stress-ng, with these arguments, for as long
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    stress_ng: Option<String>,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What was done.
pub(crate) struct Outcome {
    /// The CPUs that could be used.
    cpus: CpuMask,
    /// The kernel's release.
    kernel: String,
    names: Vec<String>,
    report: Option<Report>,
    stressors: Vec<rota_load::stress_ng::Stressor>,
    elapsed_ns: u64,
}

/// Does the workload and shows what came of it.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if args.run_for == 0 {
        bail!("--for 0s: nothing can be done in no time");
    }
    let signals = Signals::catch().context("catching signals")?;
    let host = Host::default();
    let model = Model::of(host.topology()?.topology)?;
    let cpus = usable(&model, args.cpus.as_ref())?;
    let workload = match &args.workload[..] {
        [] => None,
        texts => {
            let last = cpus.last().map_or(0, |last| last.0 + 1);
            Some(input::workload_for("", texts, last, &model.capacity().only(&cpus))?)
        }
    };
    if let (true, Some(workload)) = (args.part, &workload) {
        return part(args, &model, &cpus, workload);
    }
    let stress = args.stress_ng.as_deref();
    let mut stress = stress.map(|words| StressNg::start(words, args.run_for)).transpose()?;
    let began = Instant::now();
    let report = match &workload {
        Some(workload) => Some(load(args, &model, &cpus, workload, &signals)?),
        None => None,
    };
    if let Some(stress) = &mut stress {
        wait_for(stress, workload.is_some(), args.run_for, &signals)?;
    }
    let elapsed_ns = began.elapsed().as_nanos() as u64;
    let stressors = stress.map(StressNg::finish).transpose()?.unwrap_or_default();
    let outcome = Outcome {
        cpus,
        kernel: host.proc_text("sys/kernel/osrelease").unwrap_or_default(),
        names: workload.iter().flat_map(|all| &all.groups).map(|it| it.name.clone()).collect(),
        elapsed_ns: report.as_ref().map_or(elapsed_ns, |report| report.elapsed_ns),
        report,
        stressors,
    };
    output::if_anyone_reads(report::print(args, &outcome))?;
    Ok(Exit::Done)
}

/// The CPUs that may be used: those that this process may, or some of them.
pub(crate) fn usable(model: &Model, wanted: Option<&CpuMask>) -> Result<CpuMask> {
    let set = rustix::thread::sched_getaffinity(None).context("asking which CPUs may be used")?;
    let mut own = CpuMask::default();
    let is_set = |cpu: &CpuId| (cpu.0 as usize) < CpuSet::MAX_CPU && set.is_set(cpu.0 as usize);
    for cpu in model.topology.online().iter().filter(is_set) {
        own.insert(cpu);
    }
    let Some(wanted) = wanted else { return Ok(own) };
    if wanted.is_empty() {
        bail!("--cpus: no CPU at all");
    }
    match wanted.is_subset(&own) {
        true => Ok(wanted.clone()),
        false => bail!("--cpus {wanted}: this process may use {own}"),
    }
}

fn load(
    args: &Args,
    model: &Model,
    cpus: &CpuMask,
    workload: &Workload,
    signals: &Signals,
) -> Result<Report> {
    let places = cpu_places(&model.topology);
    let mut progress = Progress::of("done");
    let done = execute(
        args.processes,
        &args.workload,
        &args.job(model, cpus, &places, workload),
        &mut |done_ns| {
            progress.show("", done_ns, args.run_for);
            signals.taken().is_none()
        },
    );
    progress.clear();
    done
}

impl Args {
    fn job<'a>(
        &self,
        model: &'a Model,
        cpus: &'a CpuMask,
        places: &'a [CpuPlace],
        workload: &'a Workload,
    ) -> Job<'a> {
        let topology = &model.topology;
        let (seed, run_ns, calibration) = (self.seed, self.run_for, None);
        Job { workload, seed, run_ns, cpus, topology, places, calibration }
    }
}

/// Does a workload that is called `texts`, with threads of this process or with processes.
pub(crate) fn execute(
    processes: bool,
    texts: &[String],
    job: &Job<'_>,
    look: &mut dyn FnMut(u64) -> bool,
) -> Result<Report> {
    if !processes {
        return Ok(rota_load::run(job, look)?);
    }
    for path in texts.iter().flat_map(|text| text.split('+')).filter(|it| it.ends_with(".json")) {
        if !Path::new(path.trim()).metadata().is_ok_and(|file| file.is_file()) {
            bail!("{path}: each of the --processes reads it: it has to be a plain file");
        }
    }
    // Each takes some pipes.
    many_files();
    let exe = std::env::current_exe().context("finding the program itself")?;
    let Job { seed, run_ns, cpus, .. } = job;
    let process = || {
        let mut command = Command::new(&exe);
        command.arg("load").args(texts).args(["--part", "--seed", &seed.to_string()]);
        command.args(["--for", &format!("{run_ns}ns"), "--cpus", &cpus.to_string()]);
        command
    };
    Ok(rota_load::run_in_processes(job, &process, look)?)
}

/// Is one of several processes that do a workload.
fn part(args: &Args, model: &Model, cpus: &CpuMask, workload: &Workload) -> Result<Exit> {
    let places = cpu_places(&model.topology);
    let input = BufReader::new(std::io::stdin());
    let job = args.job(model, cpus, &places, workload);
    rota_load::serve(&job, input, &mut std::io::stdout())?;
    Ok(Exit::Done)
}

/// Waits for stress-ng, which is told to end where there is nothing to wait for.
fn wait_for(
    stress: &mut StressNg,
    told_before: bool,
    run_ns: u64,
    signals: &Signals,
) -> Result<()> {
    let mut progress = Progress::of("done");
    let began = Instant::now();
    let mut told = told_before;
    if told {
        stress.stop();
    }
    while !stress.has_ended()? {
        if !told && signals.taken().is_some() {
            told = true;
            stress.stop();
        }
        progress.show("", (began.elapsed().as_nanos() as u64).min(run_ns), run_ns);
        std::thread::sleep(Duration::from_millis(20));
    }
    progress.clear();
    Ok(())
}

/// How many CPUs, in words.
pub(crate) fn cpus_in_words(cpus: &CpuMask) -> String {
    match cpus.count() {
        1 => format!("CPU {}", cpus.first().unwrap_or(CpuId(0)).0),
        count => format!("{count} CPUs"),
    }
}
