// SPDX-License-Identifier: GPL-2.0-or-later
//! One run: the machine, the scheduler's user half and whoever looks at the events, in turns.

use super::contestant::Contestant;
use anyhow::{Context, Result};
use rota_balance::{Policy, Snapshot};
use rota_bytecode::Mode;
use rota_events::{Activity, Event, Metric, Sample, StreamHash, Summary, Tables};
use rota_object::{Engine, EngineError, ExitInfo, KernelTypes, Refusal};
use rota_sched::{HalfError, Session, Wake};
use rota_sim::{Called, Model, Pause, Shape, Simulation};
use rota_workload::{Pieces, Workload};
use std::sync::Arc;

/// Events are taken away after so much of the machine's time, in ns.
const TURN_NS: u64 = 10_000_000;
/// Since when the machine is up: schedulers take it for granted that this is not nothing.
const START_NS: u64 = 60_000_000_000;

/// A run that is to be.
pub(crate) struct Job<'a> {
    /// Who schedules.
    pub(crate) contestant: &'a Contestant,
    /// The kernel of the machine.
    pub(crate) kernel: &'a KernelTypes,
    /// The machine.
    pub(crate) model: &'a Model,
    /// What runs there.
    pub(crate) workload: &'a Workload,
    /// Seed of all random numbers.
    pub(crate) seed: u64,
    /// How long, in the machine's time, in ns.
    pub(crate) run_ns: u64,
    /// The seed of interleaving, if CPUs are interleaved.
    pub(crate) interleave: Option<u64>,
    /// Whether events have messages.
    pub(crate) messages: bool,
    /// What executes objects.
    pub(crate) mode: Mode,
    /// What each step of the user half costs, in ns, if it is a task.
    pub(crate) half_cost_ns: Option<u64>,
}

/// Who looks on while a machine runs.
pub(crate) trait Onlooker {
    /// These events have happened since the last call.
    fn events(&mut self, tables: &Tables, events: &[Event]) -> Result<()>;
    /// The run is over.
    fn end(&mut self, _tables: &Tables) {}
    /// So much of the machine's time has gone by, in ns.
    fn progress(&mut self, _done_ns: u64) {}
}

/// What came of a run.
pub(crate) struct Outcome {
    /// What was measured, from the moment that the scheduler was in charge.
    pub(crate) summary: Summary,
    /// What the events name.
    pub(crate) tables: Tables,
    /// The workload's groups, with the pieces of work that each has done.
    pub(crate) pieces: Vec<Pieces>,
    /// The energy used, in J, as the machine models it.
    pub(crate) joules: f64,
    /// Callbacks by name.
    pub(crate) callbacks: Vec<(&'static str, Called)>,
    /// Kernel functions by name, with their calls; `None` if one is not simulated.
    pub(crate) kfuncs: Vec<(String, Option<u64>)>,
    /// The scheduler's own statistics, at the start and at the end.
    pub(crate) statistics: (Vec<Metric>, Sample, Sample),
    /// What the user half would plan moves between domains from at the end, if it plans any.
    pub(crate) snapshot: Option<(Snapshot, Policy)>,
    /// A number that two runs share only if all their events are equal.
    pub(crate) hash: u64,
    /// Why the scheduler ended before it was asked to.
    pub(crate) exit: Option<ExitInfo>,
}

impl Job<'_> {
    /// Puts the scheduler on the machine.
    pub(crate) fn open(&self) -> Result<Simulation> {
        let shape = Shape {
            seed: self.seed,
            mode: self.mode,
            costs: self.model.costs,
            platform: Arc::new(self.model.platform.clone()),
            start_ns: START_NS,
            interleave: self.interleave,
            messages: self.messages,
            ..Shape::default()
        };
        self.contestant.open(self.kernel, &self.model.topology, &shape)
    }

    /// Runs it to the end.
    pub(crate) fn drive(
        &self,
        mut world: Simulation,
        onlooker: &mut dyn Onlooker,
    ) -> Result<Outcome> {
        world.start_recording();
        let activity = Activity::new(&world.machine_facts().cpus);
        let mut run = Run { activity, hash: StreamHash::default(), onlooker };
        let mut session = match self.start(&mut world) {
            Ok(session) => session,
            Err(HalfError::Engine(EngineError::Refused(Refusal::Exit(info)))) => {
                run.take_events(&mut world)?;
                return Ok(run.outcome(&mut world, <_>::default(), None, Some(*info), 0));
            }
            Err(error) => return Err(error).with_context(|| self.contestant.name().to_owned()),
        };
        let stopped = || format!("{} was stopped", self.contestant.name());
        if let Some(cost_ns) = self.half_cost_ns {
            world.add_half(cost_ns).with_context(stopped)?;
        }
        let drawn_pj = world.energy_pj();
        let first = sample(&mut session, &mut world)?;
        world.add(self.workload).with_context(stopped)?;
        world.add_noise().with_context(stopped)?;
        let exit = self.turns(&mut world, &mut session, &mut run).with_context(stopped)?;
        let last = sample(&mut session, &mut world)?;
        let snapshot = match &session {
            Some(session) => session.snapshot(world.now_ns(), &world)?,
            None => None,
        };
        let metrics = session.map_or(Vec::new(), |session| session.metrics().to_vec());
        Ok(run.outcome(&mut world, (metrics, first, last), snapshot, exit, drawn_pj))
    }

    /// Puts the scheduler in charge, if it is one of sched_ext.
    fn start(&self, world: &mut Simulation) -> Result<Option<Session>, HalfError> {
        let Some(choice) = self.contestant.choice() else { return Ok(None) };
        Session::start(choice.half()?, world.now_ns(), world).map(Some)
    }

    /// Machine and user half in turns, until the time is over or the scheduler ends; why it did.
    fn turns(
        &self,
        world: &mut Simulation,
        session: &mut Option<Session>,
        run: &mut Run<'_>,
    ) -> Result<Option<ExitInfo>> {
        let begin_ns = world.now_ns();
        let end_ns = begin_ns.saturating_add(self.run_ns);
        let mut half_runs = false;
        loop {
            let now = world.now_ns();
            let wake_ns = match session.as_ref().map(Session::wake) {
                Some(Wake::At(ns)) if !half_runs => ns,
                _ => u64::MAX,
            };
            let turn_ns = now.saturating_add(TURN_NS).min(end_ns).min(wake_ns.max(now));
            let pause = world.run_until(turn_ns)?;
            run.take_events(world)?;
            let now = world.now_ns();
            match (pause, session.as_mut()) {
                (Pause::Exit, _) => return Ok(world.exit_info()?),
                (Pause::Half, Some(session)) => {
                    half_runs = false;
                    session.step(now, world)?;
                }
                (Pause::Time, Some(session)) if now >= wake_ns => match world.wake_half()? {
                    true => half_runs = true,
                    false => session.step(now, world)?,
                },
                _ => {}
            }
            if now >= end_ns {
                return Ok(None);
            }
            run.onlooker.progress(now - begin_ns);
        }
    }
}

/// The scheduler's statistics at the moment.
fn sample(session: &mut Option<Session>, world: &mut Simulation) -> Result<Sample, HalfError> {
    let now_ns = world.now_ns();
    session.as_mut().map_or(Ok(Sample::default()), |session| session.sample(now_ns, world))
}

/// What looks on while the machine runs.
struct Run<'a> {
    activity: Activity,
    hash: StreamHash,
    onlooker: &'a mut dyn Onlooker,
}

impl Run<'_> {
    fn take_events(&mut self, world: &mut Simulation) -> Result<()> {
        let events = world.take_events();
        for event in &events {
            self.activity.add(event);
            self.hash.add(event);
        }
        match world.tables() {
            Some(tables) => self.onlooker.events(tables, &events),
            None => Ok(()),
        }
    }

    fn outcome(
        self,
        world: &mut Simulation,
        statistics: (Vec<Metric>, Sample, Sample),
        snapshot: Option<(Snapshot, Policy)>,
        exit: Option<ExitInfo>,
        drawn_pj: u64,
    ) -> Outcome {
        if let Some(tables) = world.tables() {
            self.onlooker.end(tables);
        }
        Outcome {
            summary: self.activity.summary(world.now_ns()),
            tables: world.tables().cloned().unwrap_or_default(),
            pieces: world.pieces(),
            joules: world.energy_pj().saturating_sub(drawn_pj) as f64 / 1e12,
            callbacks: world.callbacks(),
            kfuncs: world.kfuncs(),
            statistics,
            snapshot,
            hash: self.hash.value(),
            exit,
        }
    }
}
