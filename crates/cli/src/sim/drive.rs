// SPDX-License-Identifier: GPL-2.0-or-later
//! One run: the machine, the scheduler's user half and whoever looks at the events, in turns.

use super::Args;
use super::trace::Trace;
use crate::{file, output};
use anyhow::{Context, Result};
use rota_bytecode::Mode;
use rota_events::{Activity, MachineFacts, Metric, Sample, StreamHash, Summary, Tables};
use rota_object::{Engine, EngineError, ExitInfo, KernelTypes, Refusal};
use rota_sched::{Choice, HalfError, Session, Wake};
use rota_sim::{Called, Model, Pause, Shape, Simulation};
use rota_workload::Workload;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events are taken away after so much of the machine's time, in ns.
const TURN_NS: u64 = 10_000_000;
/// Since when the machine is up: schedulers take it for granted that this is not nothing.
const START_NS: u64 = 60_000_000_000;
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(200);

/// What came of a run.
pub(super) struct Outcome {
    /// What was measured, from the moment that the scheduler was in charge.
    pub(super) summary: Summary,
    /// What the events name.
    pub(super) tables: Tables,
    /// Names of the workload's groups, with the pieces of work that each has done.
    pub(super) work: Vec<(String, u64)>,
    /// Callbacks by name.
    pub(super) callbacks: Vec<(&'static str, Called)>,
    /// Kernel functions by name, with their calls; `None` if one is not simulated.
    pub(super) kfuncs: Vec<(String, Option<u64>)>,
    /// The scheduler's own statistics, at the start and at the end.
    pub(super) statistics: (Vec<Metric>, Sample, Sample),
    /// A number that two runs share only if all their events are equal.
    pub(super) hash: u64,
    /// Why the scheduler ended before it was asked to.
    pub(super) exit: Option<ExitInfo>,
}

/// Opens the object on its machine.
pub(super) fn open(
    args: &Args,
    choice: &Choice,
    kernel: &KernelTypes,
    model: &Model,
) -> Result<Simulation> {
    let mode = match args.engine {
        super::EngineChoice::Jit => Mode::Jit,
        super::EngineChoice::Interp => Mode::Interpreter,
    };
    let shape = Shape {
        seed: args.seed,
        mode,
        costs: model.costs,
        platform: Arc::new(model.platform.clone()),
        start_ns: START_NS,
        interleave: args.interleaving(),
        ..Shape::default()
    };
    let opened = Simulation::new(&choice.object, kernel, &model.topology, &shape);
    opened.map_err(|errors| {
        // One line; `rota object` shows all of them.
        let more = errors.0.len().saturating_sub(1);
        let more =
            if more > 0 { format!(" (and {more} more: rota object)") } else { String::new() };
        let first = errors.0.first().map(ToString::to_string).unwrap_or_default();
        anyhow::anyhow!("{}: {first}{more}", args.sched)
    })
}

/// Runs the scheduler to the end.
pub(super) fn drive(
    args: &Args,
    choice: &Choice,
    mut world: Simulation,
    workload: &Workload,
    facts: &MachineFacts,
) -> Result<Outcome> {
    for written in args.trace.iter().chain(&args.dump) {
        file::not_over(Path::new(&args.sched), written)?;
    }
    world.start_recording();
    let mut run = Run {
        activity: Activity::new(&facts.cpus),
        hash: StreamHash::default(),
        trace: args.trace.as_deref().map(|path| Trace::create(path, facts)).transpose()?,
        progress: Progress::new(args.run_for),
    };
    let started = Session::start(choice.half()?, world.now_ns(), &mut world);
    let mut session = match started {
        Ok(session) => session,
        Err(HalfError::Engine(EngineError::Refused(Refusal::Exit(info)))) => {
            return run.outcome(
                &mut world,
                (Vec::new(), Sample::default(), Sample::default()),
                Some(*info),
            );
        }
        Err(error) => return Err(error).with_context(|| choice.name.clone()),
    };
    let stopped = || format!("{} was stopped", choice.name);
    if let Some(cost_ns) = args.half_cost {
        world.add_half(cost_ns).with_context(stopped)?;
    }
    let begin_ns = world.now_ns();
    let first = session.sample(begin_ns, &mut world)?;
    world.add(workload).with_context(stopped)?;
    world.add_noise().with_context(stopped)?;
    let end_ns = begin_ns.saturating_add(args.run_for);
    let mut exit = None;
    let mut half_runs = false;
    loop {
        let now = world.now_ns();
        let wake_ns = match session.wake() {
            Wake::At(ns) if !half_runs => ns,
            _ => u64::MAX,
        };
        let turn_ns = now.saturating_add(TURN_NS).min(end_ns).min(wake_ns.max(now));
        let pause = world.run_until(turn_ns).with_context(stopped)?;
        run.take_events(&mut world)?;
        let now = world.now_ns();
        match pause {
            Pause::Exit => {
                exit = world.exit_info()?;
                break;
            }
            Pause::Half => {
                half_runs = false;
                session.step(now, &mut world)?;
            }
            Pause::Time if now >= wake_ns => match world.wake_half().with_context(stopped)? {
                true => half_runs = true,
                false => session.step(now, &mut world)?,
            },
            Pause::Time => {}
        }
        if now >= end_ns {
            break;
        }
        run.progress.show(now - begin_ns);
    }
    run.progress.clear();
    let last = session.sample(world.now_ns(), &mut world)?;
    let statistics = (session.metrics().to_vec(), first, last);
    run.outcome(&mut world, statistics, exit)
}

/// What looks on while the machine runs.
struct Run {
    activity: Activity,
    hash: StreamHash,
    trace: Option<Trace>,
    progress: Progress,
}

impl Run {
    fn take_events(&mut self, world: &mut Simulation) -> Result<()> {
        let events = world.take_events();
        for event in &events {
            self.activity.add(event);
            self.hash.add(event);
        }
        if let (Some(trace), Some(tables)) = (&mut self.trace, world.tables()) {
            trace.write(tables, &events)?;
        }
        Ok(())
    }

    fn outcome(
        mut self,
        world: &mut Simulation,
        statistics: (Vec<Metric>, Sample, Sample),
        exit: Option<ExitInfo>,
    ) -> Result<Outcome> {
        self.take_events(world)?;
        if let Some(trace) = self.trace.take() {
            trace.finish()?;
        }
        Ok(Outcome {
            summary: self.activity.summary(world.now_ns()),
            tables: world.tables().cloned().unwrap_or_default(),
            work: world.work_done(),
            callbacks: world.callbacks(),
            kfuncs: world.kfuncs(),
            statistics,
            hash: self.hash.value(),
            exit,
        })
    }
}

/// How far a long run is, on a terminal.
struct Progress {
    all_ns: u64,
    started: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    fn new(all_ns: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { all_ns, started: Instant::now(), shown: None, terminal }
    }

    fn show(&mut self, done_ns: u64) {
        let since = self.shown.unwrap_or(self.started);
        if !self.terminal || since.elapsed() < PROGRESS {
            return;
        }
        self.shown = Some(Instant::now());
        let percent = u128::from(done_ns) * 100 / u128::from(self.all_ns.max(1));
        let (done, all) = (done_ns as f64 / 1e9, self.all_ns as f64 / 1e9);
        output::over(&format!("{done:.1} of {all:.1} s simulated ({percent} %)"));
    }

    fn clear(&self) {
        if self.shown.is_some() {
            output::over("");
        }
    }
}
