// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota sim`: a scheduler on a simulated machine, under a workload.

pub(crate) mod contestant;
pub(crate) mod drive;
mod help;
pub(crate) mod input;
mod preload;
mod report;
mod trace;
mod value;

use crate::args::{duration, name_value};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::replay::{self, Replayed};
use crate::{file, machine};
use anyhow::{Result, bail};
use contestant::Contestant;
use drive::{Job, Onlooker, Outcome};
use rota_bytecode::Mode;
use rota_events::{Event, MachineFacts, Tables};
use rota_sim::{Costs, Noise};
use std::path::{Path, PathBuf};
use trace::Trace;

/// Arguments of `rota sim`.
#[derive(Clone, clap::Args)]
pub(crate) struct Args {
    /// A scheduler of `rota list`, with settings if you like (simple:fifo), a compiled object, or
    /// eevdf, a model of the kernel's own scheduler
    #[arg(value_name = "SCHED|FILE.bpf.o|eevdf", value_hint = clap::ValueHint::FilePath)]
    sched: String,
    /// The machine: laptop, desktop16, server256 or server1024, a machine file (.toml), a short
    /// form such as 2s:4l:8c:2t, a snapshot of `rota topology --save`, or a sysfs tree [default:
    /// desktop16]
    #[arg(long, value_name = "NAME|SPEC|FILE", value_hint = clap::ValueHint::AnyPath)]
    machine: Option<String>,
    /// What runs on it; several at once with + between them, or by saying it again
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]", default_value = "periodic+cpu")]
    workload: Vec<String>,
    #[command(flatten)]
    replay: replay::ReplayArgs,
    /// How long, in the machine's own time [default: 10s]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    run_for: Option<u64>,
    /// Seed of all random numbers: the same seed gives the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Interleave CPUs within callbacks, so that races and deadlocks can show: each seed is another
    /// run. Without a seed, that of the run
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true)]
    interleave: Option<Option<u64>>,
    #[command(flatten)]
    kernel: input::KernelArgs,
    /// Keep everything that happened in this file: as an event file or, if its name ends so, as
    /// text (.txt), JSON lines (.json) or for Perfetto (.pftrace, .perfetto-trace)
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    trace: Option<PathBuf>,
    /// Have messages from task to task in that file, so that a replay knows who waits for whom
    #[arg(long, requires = "trace")]
    messages: bool,
    /// Keep the kernel's debug dump here if the scheduler is ejected for an error
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    dump: Option<PathBuf>,
    /// Keep in this file what the scheduler would plan moves between domains from at the end, for
    /// rota balance explain
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    snapshot: Option<PathBuf>,
    /// Set a setting of the scheduler, or any global variable of the object
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// Fill a map from a file before the scheduler starts
    #[arg(long, value_name = "NAME=FILE", value_parser = name_value)]
    map: Vec<(String, String)>,
    /// Set how many entries a map has
    #[arg(long, value_name = "NAME=N", value_parser = input::name_number)]
    map_entries: Vec<(String, u32)>,
    /// Fill the first slots of a map of maps with empty maps
    #[arg(long, value_name = "NAME=N", value_parser = input::name_number)]
    map_inner: Vec<(String, u32)>,
    /// CPU time that each step of the scheduler's user half takes, as a task of the machine;
    /// without it, the half costs nothing
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    half_cost: Option<u64>,
    /// What switches, interrupts, migrations, ticks and callbacks take
    #[arg(long, value_enum, default_value = "machine")]
    costs: CostsChoice,
    /// Without the noise of the machine: interrupts, late timers, kernel workers, real-time tasks
    #[arg(long)]
    no_noise: bool,
    /// Machine code, or the interpreter that checks it: results are the same
    #[arg(long, value_enum, default_value = "jit")]
    engine: EngineChoice,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The settings that were given as flags of their own.
    #[arg(skip)]
    pub(crate) settings: Vec<(String, String)>,
}

/// Names of costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CostsChoice {
    /// What the machine says.
    Machine,
    /// Everything at once.
    None,
}

/// Names of engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum EngineChoice {
    /// Machine code.
    Jit,
    /// The interpreter.
    Interp,
}

impl EngineChoice {
    fn mode(self) -> Mode {
        match self {
            Self::Jit => Mode::Jit,
            Self::Interp => Mode::Interpreter,
        }
    }
}

/// The machine, unless another is given.
pub(crate) const MACHINE: &str = "desktop16";
/// How long a run takes unless it is said, in ns.
const RUN_NS: u64 = 10_000_000_000;

impl Args {
    /// The machine as it was given, or the default.
    fn machine(&self) -> &str {
        self.machine.as_deref().unwrap_or(MACHINE)
    }

    /// The same with what a recording says where nothing else was given.
    fn replaying(&self, path: &Path, replayed: &Replayed) -> Self {
        Self {
            machine: Some(self.machine.clone().unwrap_or_else(|| replayed.machine.clone())),
            run_for: Some(self.run_for.unwrap_or(replayed.length_ns.max(1))),
            workload: vec![format!("replay of {}", path.display())],
            ..self.clone()
        }
    }

    /// The seed of interleaving, if CPUs are interleaved.
    fn interleaving(&self) -> Option<u64> {
        self.interleave.map(|seed| seed.unwrap_or(self.seed))
    }
}

/// What follows the options in the long help.
pub(crate) fn after_help() -> String {
    help::text()
}

/// Runs the scheduler and shows what came of it.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if args.run_for == Some(0) {
        bail!("--for 0s: there is nothing to see in no time");
    }
    let contestant = Contestant::resolve(&args.sched, &args.set, &args.settings)?;
    if args.snapshot.is_some() && !contestant.plans_moves()? {
        bail!("--snapshot: {} plans no moves between domains", contestant.name());
    }
    let replayed = args.replay.load()?;
    let recorded = replayed.as_ref().map(|replayed| replayed.kernel.as_str());
    let kernel = args.kernel.types(recorded)?;
    let filled = args.replay.file.as_deref().zip(replayed.as_ref());
    let filled = filled.map(|(path, replayed)| args.replaying(path, replayed));
    let args = filled.as_ref().unwrap_or(args);
    let run_ns = args.run_for.unwrap_or(RUN_NS);
    let mut model = machine::read(args.machine())?;
    let replay = replayed.as_ref().map(|replayed| replayed.prepare(&mut model));
    if args.costs == CostsChoice::None {
        model.costs = Costs::NONE;
        model.platform.idle.clear();
    }
    if args.no_noise {
        model.platform.noise = Noise::default();
    }
    let workload = match replay {
        Some(workload) => workload,
        None => input::workload(&args.workload, &model)?,
    };
    let job = Job {
        contestant: &contestant,
        kernel: &kernel,
        model: &model,
        workload: &workload,
        seed: args.seed,
        run_ns,
        interleave: args.interleaving(),
        messages: args.messages,
        mode: args.engine.mode(),
        half_cost_ns: args.half_cost,
    };
    let mut setup = job.open()?;
    preload::resize(&mut setup, &args.map_entries, &args.map_inner)?;
    preload::fill(&mut setup, &args.map)?;
    for warning in input::warnings(&contestant, &kernel, &setup) {
        output::note(&format!("rota: {warning}"));
    }
    for written in args.trace.iter().chain(&args.dump).chain(&args.snapshot) {
        file::not_over(Path::new(&args.sched), written)?;
    }
    let facts = MachineFacts {
        command: output::own_command(),
        settings: trace::began_with(args, &contestant),
        ..setup.machine_facts()
    };
    let trace = args.trace.as_deref().map(|path| Trace::create(path, &facts)).transpose()?;
    let mut watch = Watch { trace, progress: Progress::new(), all_ns: run_ns };
    let outcome = job.drive(setup, &mut watch)?;
    watch.finish()?;
    let about = report::About { args, job: &job, replayed: replayed.as_ref() };
    output::if_anyone_reads(report::print(&about, &outcome))?;
    keep(args, contestant.name(), &outcome)?;
    let read =
        if replayed.is_none_or(|replayed| replayed.whole) { Exit::Done } else { Exit::Negative };
    Ok(outcome.exit.as_ref().map_or(read, |info| Exit::Ejected(info.cause())))
}

/// Keeps what the scheduler would plan moves from, and its dump, if they are asked for.
fn keep(args: &Args, name: &str, outcome: &Outcome) -> Result<()> {
    if let Some(path) = &args.snapshot {
        let Some((snapshot, policy)) = &outcome.snapshot else {
            bail!("--snapshot: {name} was gone at the end");
        };
        file::save(path, rota_balance::write(snapshot, policy) + "\n")?;
    }
    if let (Some(path), Some(info)) = (&args.dump, &outcome.exit)
        && let Some(kept) = crate::run::report::keep_dump(name, info, Some(path))
    {
        output::note(&kept);
    }
    Ok(())
}

/// Keeps the trace, and shows how far the run is.
struct Watch {
    trace: Option<Trace>,
    progress: Progress,
    all_ns: u64,
}

impl Onlooker for Watch {
    fn events(&mut self, tables: &Tables, events: &[Event]) -> Result<()> {
        self.trace.as_mut().map_or(Ok(()), |trace| trace.write(tables, events))
    }

    fn progress(&mut self, done_ns: u64) {
        self.progress.show("", done_ns, self.all_ns);
    }
}

impl Watch {
    fn finish(self) -> Result<()> {
        self.progress.clear();
        self.trace.map_or(Ok(()), Trace::finish)
    }
}
