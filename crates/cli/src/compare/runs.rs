// SPDX-License-Identifier: GPL-2.0-or-later
//! The runs of an experiment, on as many cores as there are. Each is on its own, so how many work
//! at once changes nothing but the time that it takes.

use super::measure;
use super::timeline::Recorder;
use crate::progress::{EVERY, Progress};
use crate::sim::contestant::Contestant;
use crate::sim::drive::{Job, Onlooker};
use anyhow::{Context, Result, anyhow};
use rota_bytecode::Mode;
use rota_compare::{Experiment, RunId, RunResult};
use rota_events::{Event, Tables};
use rota_object::KernelTypes;
use rota_sim::Model;
use rota_workload::Workload;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
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

/// How far runs are.
#[derive(Default)]
struct Counts {
    /// The run that is begun next, by its place.
    next: AtomicUsize,
    /// How much of their machines' time has gone by, in ns.
    done_ns: AtomicU64,
}

impl Parts<'_> {
    /// Makes these runs, so many at a time; their results in the same order.
    pub(super) fn run(&self, runs: &[RunId], jobs: usize) -> Result<Vec<RunResult>> {
        let counts = Counts::default();
        let (sender, receiver) = mpsc::channel();
        let mut results: Vec<Option<RunResult>> = vec![None; runs.len()];
        thread::scope(|scope| {
            for _ in 0..jobs.min(runs.len()) {
                let (sender, counts) = (sender.clone(), &counts);
                scope.spawn(move || self.work(runs, counts, &sender));
            }
            drop(sender);
            let mut progress = Progress::new();
            let all_ns = self.experiment.run_ns.saturating_mul(runs.len() as u64);
            let mut done = 0;
            loop {
                match receiver.recv_timeout(EVERY) {
                    Ok((at, result)) => {
                        if result.is_err() {
                            // Nobody begins another one.
                            counts.next.store(runs.len(), Ordering::Relaxed);
                            progress.clear();
                        }
                        results[at] = Some(result?);
                        done += 1;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                let done_ns = counts.done_ns.load(Ordering::Relaxed);
                progress.show(&format!("{done} of {} runs, ", runs.len()), done_ns, all_ns);
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
        counts: &Counts,
        results: &mpsc::Sender<(usize, Result<RunResult>)>,
    ) {
        loop {
            let at = counts.next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(at) else { return };
            let result = self
                .one(*run, &counts.done_ns)
                .with_context(|| format!("{}, seed {}", self.name(*run), run.seed));
            if results.send((at, result)).is_err() {
                return;
            }
        }
    }

    /// Who schedules in a run.
    fn name(&self, run: RunId) -> &str {
        &self.experiment.contestants[run.contestant as usize]
    }

    fn one(&self, id: RunId, done_ns: &AtomicU64) -> Result<RunResult> {
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
            messages: false,
            mode: Mode::Jit,
            half_cost_ns: None,
        };
        let first = self.experiment.seeds.first() == Some(&id.seed) && id.scale == 0;
        let cpus = self.model.topology.online().iter().map(|cpu| cpu.0);
        let recorder = first.then(|| Recorder::new(job.run_ns, cpus));
        let mut watch = Watch { recorder, counted_ns: 0, done_ns };
        let outcome = job.drive(job.open()?, &mut watch)?;
        // A scheduler that was ejected ran for less.
        watch.progress(job.run_ns);
        let mut result = measure::result(id, &outcome);
        result.timeline = watch.recorder.map(Recorder::timeline);
        Ok(result)
    }
}

/// Counts the time of one run among that of all, and keeps its timeline if it is to have one.
struct Watch<'a> {
    recorder: Option<Recorder>,
    /// What of the time of this run is counted.
    counted_ns: u64,
    done_ns: &'a AtomicU64,
}

impl Onlooker for Watch<'_> {
    fn events(&mut self, tables: &Tables, events: &[Event]) -> Result<()> {
        self.recorder.as_mut().map_or(Ok(()), |recorder| recorder.events(tables, events))
    }

    fn end(&mut self, tables: &Tables) {
        if let Some(recorder) = &mut self.recorder {
            recorder.end(tables);
        }
    }

    fn progress(&mut self, done_ns: u64) {
        let more_ns = done_ns.saturating_sub(self.counted_ns);
        self.counted_ns += more_ns;
        self.done_ns.fetch_add(more_ns, Ordering::Relaxed);
    }
}
