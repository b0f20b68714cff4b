// SPDX-License-Identifier: GPL-2.0-or-later
//! The runs of an experiment, on as many cores as there are. Each is on its own, so how many work
//! at once changes nothing but the time that it takes.

use super::measure;
use super::timeline::Recorder;
use crate::progress::Progress;
use crate::sim::contestant::Contestant;
use crate::sim::drive::{Job, Onlooker};
use anyhow::{Context, Result, anyhow};
use rota_bytecode::Mode;
use rota_compare::{Experiment, RunId, RunResult};
use rota_object::KernelTypes;
use rota_sim::Model;
use rota_workload::Workload;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// What the runs of an experiment are made of.
pub(super) struct Parts<'a> {
    pub(super) experiment: &'a Experiment,
    /// Who schedules, in the order of the experiment.
    pub(super) contestants: &'a [Contestant],
    pub(super) kernel: &'a KernelTypes,
    pub(super) model: &'a Model,
    pub(super) workload: &'a Workload,
}

impl Parts<'_> {
    /// Makes these runs, so many at a time; their results in the same order.
    pub(super) fn run(&self, runs: &[RunId], jobs: usize) -> Result<Vec<RunResult>> {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        let mut results: Vec<Option<RunResult>> = vec![None; runs.len()];
        thread::scope(|scope| {
            for _ in 0..jobs.min(runs.len()) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || self.work(runs, next, &sender));
            }
            drop(sender);
            let mut progress = Progress::new();
            let mut done = 0;
            for (at, result) in receiver {
                if result.is_err() {
                    // Nobody begins another one.
                    next.store(runs.len(), Ordering::Relaxed);
                    progress.clear();
                }
                results[at] = Some(result?);
                done += 1;
                let left = progress.left(done, runs.len() as u64);
                progress.show(|| format!("{done} of {} runs{left}", runs.len()));
            }
            progress.clear();
            anyhow::Ok(())
        })?;
        let all: Option<Vec<RunResult>> = results.into_iter().collect();
        all.ok_or_else(|| anyhow!("a run came to no end"))
    }

    /// One run after the other, as long as there are some.
    fn work(
        &self,
        runs: &[RunId],
        next: &AtomicUsize,
        results: &mpsc::Sender<(usize, Result<RunResult>)>,
    ) {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(at) else { return };
            let result =
                self.one(*run).with_context(|| format!("{}, seed {}", self.name(*run), run.seed));
            if results.send((at, result)).is_err() {
                return;
            }
        }
    }

    /// Who schedules in a run.
    fn name(&self, run: RunId) -> &str {
        &self.experiment.contestants[run.contestant as usize]
    }

    fn one(&self, id: RunId) -> Result<RunResult> {
        let scale = self.experiment.scales[id.scale as usize];
        let model = self.model.scaled(scale.times.into(), scale.over.into());
        let job = Job {
            contestant: &self.contestants[id.contestant as usize],
            kernel: self.kernel,
            model: &model,
            workload: self.workload,
            seed: id.seed,
            run_ns: self.experiment.run_ns,
            interleave: None,
            mode: Mode::Jit,
            half_cost_ns: None,
        };
        let first = self.experiment.seeds.first() == Some(&id.seed) && id.scale == 0;
        let cpus = self.model.topology.online().iter().map(|cpu| cpu.0);
        let mut recorder = first.then(|| Recorder::new(job.run_ns, cpus));
        let outcome = match &mut recorder {
            Some(recorder) => job.drive(job.open()?, recorder as &mut dyn Onlooker)?,
            None => job.drive(job.open()?, &mut ())?,
        };
        let mut result = measure::result(id, &outcome);
        result.timeline = recorder.map(Recorder::timeline);
        Ok(result)
    }
}
