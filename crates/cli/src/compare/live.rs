// SPDX-License-Identifier: GPL-2.0-or-later
//! Real schedulers on this machine: each is put in charge in turn, and threads do the work.

use super::{Args, limits, measure, show};
use crate::exit::Exit;
use crate::load::{execute, usable};
use crate::power::Own;
use crate::progress::Progress;
use crate::run::charge::{Charge, can_be_loaded, while_in_charge};
use crate::run::signals::Signals;
use crate::sim::contestant::Contestant;
use crate::sim::input;
use crate::{file, output};
use anyhow::{Context, Result, bail};
use rota_compare::{CostScale, Experiment, Live, Results, RunId, RunResult};
use rota_events::CpuPlace;
use rota_inspect::power::Packages;
use rota_kernel::Host;
use rota_load::{Calibration, Job, Report};
use rota_object::ExitInfo;
use rota_sim::{Model, cpu_places};
use rota_topology::CpuMask;
use rota_workload::Workload;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long each run takes unless it is said, in ns.
const RUN_NS: u64 = 3_000_000_000;
/// How long a scheduler that was ejected may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// Makes all runs and shows what they say.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let signals = Signals::catch().context("catching signals")?;
    let host = Host::default();
    let model = Model::of(host.topology()?.topology)?;
    let cpus = usable(&model, args.cpus.as_ref())?;
    let last = cpus.last().map_or(0, |last| last.0 + 1);
    let capacity = model.capacity().only(&cpus);
    let workload = input::workload_for("--workload ", &args.workload, last, &capacity)?;
    let contestants = args.scheds.iter().map(|name| Contestant::resolve(name, &[], &[]));
    let contestants = contestants.collect::<Result<Vec<_>>>()?;
    // What can't be run at all is said before the first run.
    for (name, contestant) in args.scheds.iter().zip(&contestants) {
        if let Some(choice) = contestant.choice() {
            choice.half()?;
            can_be_loaded(name, choice, &host)?;
        }
    }
    super::advise(args);
    let mut experiment = experiment(args, &host, &model, &workload, &contestants);
    experiment.check()?;
    args.html.as_deref().map_or(Ok(()), file::can_save)?;
    let mut rounds = Rounds {
        contestants: &contestants,
        workload: &workload,
        model: &model,
        cpus: &cpus,
        processes: args.processes,
        places: cpu_places(&model.topology),
        host: &host,
        signals: &signals,
        packages: Packages::find(Own::new(&host)),
        calibration: None,
        interrupted: false,
        remarks: BTreeMap::new(),
        progress: Progress::of("measured"),
        done: 0,
        done_ns: 0,
        experiment: &experiment,
    };
    let mut runs = Vec::new();
    let ended = rounds.all(&mut runs);
    rounds.progress.clear();
    let remarks = rounds.remarks;
    let wanted = experiment.seeds.len();
    let whole = runs.len() / contestants.len();
    if whole == 0 {
        ended?;
        bail!("interrupted before each scheduler had run once: there is nothing to compare");
    }
    experiment.seeds.truncate(whole);
    let notes = limits::notes(&experiment, &host, &remarks);
    let exit = show(args, &Results::new(experiment, runs)?, notes)?;
    if whole == wanted {
        return Ok(exit);
    }
    // What was measured is not lost.
    let why = ended.err().map_or("interrupted".to_owned(), |error| format!("{error:#}"));
    output::note(&format!("{why}: of {wanted} rounds, the {whole} that came to an end"));
    Ok(Exit::Negative)
}

/// What the work may use of this machine, and as what it runs.
fn machine_in_words(args: &Args) -> String {
    let cpus = args.cpus.as_ref().map(|cpus| format!(", work on CPUs {cpus}"));
    let processes = if args.processes { ", as processes" } else { "" };
    format!("this one{}{processes}", cpus.unwrap_or_default())
}

fn experiment(
    args: &Args,
    host: &Host,
    model: &Model,
    workload: &Workload,
    contestants: &[Contestant],
) -> Experiment {
    let mut inputs = super::inputs(&args.scheds, contestants, &model.topology, workload);
    if let Some(cpus) = &args.cpus {
        inputs.insert("cpus".to_owned(), cpus.to_string());
    }
    if args.processes {
        inputs.insert("tasks".to_owned(), "processes".to_owned());
    }
    Experiment {
        contestants: args.scheds.clone(),
        seeds: args.seeds.0.clone(),
        scales: vec![CostScale::ONE],
        machine: machine_in_words(args),
        machine_in_words: model.topology.in_words(),
        cpus: model.topology.online().count() as u32,
        kernel: host.proc_text("sys/kernel/osrelease").unwrap_or_default(),
        workload: args.workload.clone(),
        workload_in_words: workload.in_words(),
        run_ns: args.run_for.unwrap_or(RUN_NS),
        live: Some(Live { warm_up_ns: args.warm_up }),
        inputs,
    }
}

/// All that runs need, and what came of them so far.
struct Rounds<'a> {
    experiment: &'a Experiment,
    contestants: &'a [Contestant],
    workload: &'a Workload,
    model: &'a Model,
    cpus: &'a CpuMask,
    processes: bool,
    places: Vec<CpuPlace>,
    host: &'a Host,
    signals: &'a Signals,
    packages: Option<Packages<Own>>,
    /// All runs have that of the first.
    calibration: Option<Calibration>,
    interrupted: bool,
    /// What could not be done, by its first words: in how many runs, and how it was said last.
    remarks: BTreeMap<String, (usize, String)>,
    progress: Progress,
    /// Runs that came to an end, and how long they took with what came before them, in ns.
    done: usize,
    done_ns: u64,
}

/// What one run came to.
enum Ran {
    /// With the joules of packages.
    Done(Box<Report>, Option<f64>),
    Ejected(ExitInfo),
    Interrupted,
}

impl Rounds<'_> {
    /// All runs of whole rounds; fewer if it was interrupted, or something failed.
    fn all(&mut self, runs: &mut Vec<RunResult>) -> Result<()> {
        for (number, seed) in self.experiment.seeds.iter().enumerate() {
            let mut round = Vec::new();
            for contestant in self.experiment.turns(number) {
                let id = RunId { seed: *seed, scale: 0, contestant };
                let name = &self.experiment.contestants[contestant as usize];
                match self.one(id).with_context(|| format!("{name}, seed {seed}"))? {
                    Ran::Done(report, joules) => {
                        round.push(measure::of_load(id, &report, joules));
                        self.remember(*report);
                    }
                    Ran::Ejected(info) => round.push(measure::ejected(id, &info)),
                    Ran::Interrupted => return Ok(()),
                }
                self.done += 1;
                self.done_ns += self.run_ns();
            }
            runs.append(&mut round);
        }
        Ok(())
    }

    /// How long a run takes, with what comes before it.
    fn run_ns(&self) -> u64 {
        let warm_up_ns = self.experiment.live.map_or(0, |live| live.warm_up_ns);
        self.experiment.run_ns.saturating_add(warm_up_ns)
    }

    fn remember(&mut self, report: Report) {
        self.calibration = Some(report.calibration);
        for remark in report.warnings {
            let start = remark.split(':').next().unwrap_or_default().to_owned();
            let (runs, words) = self.remarks.entry(start).or_default();
            (*runs, *words) = (*runs + 1, remark);
        }
    }

    fn one(&mut self, id: RunId) -> Result<Ran> {
        self.nobody_else()?;
        let place = id.contestant as usize;
        let Contestant::Scheduler(choice, _) = &self.contestants[place] else {
            let ran = self.work(id.seed, &|| true)?;
            // It may have come at any time.
            self.nobody_else()?;
            return Ok(ran);
        };
        let name = self.experiment.contestants[place].clone();
        let charge = while_in_charge(&name, choice, |is_there| {
            if self.host.sys_text("kernel/sched_ext/switch_all").as_deref() == Some("0") {
                bail!("it schedules tasks only that ask for it, and threads of workloads do not");
            }
            self.work(id.seed, is_there)
        })?;
        Ok(match charge {
            Charge::Done(ran) => ran,
            Charge::Ended(info) => Ran::Ejected(info),
        })
    }

    /// Waits until no scheduler of sched_ext is in charge.
    fn nobody_else(&self) -> Result<()> {
        let began = Instant::now();
        while let Some(found) = self.host.sched_ext().filter(|it| it.state != "disabled") {
            if found.state == "enabled" || began.elapsed() > GONE {
                let name = found.scheduler.unwrap_or_else(|| found.state.clone());
                bail!(
                    "another scheduler is in charge: {name}; end it first (rota bpf sched names its process)"
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Does the work twice: to warm up, and to measure.
    fn work(&mut self, seed: u64, is_there: &dyn Fn() -> bool) -> Result<Ran> {
        let warm_up_ns = self.run_ns() - self.experiment.run_ns;
        if warm_up_ns > 0 {
            let report = self.load(seed, warm_up_ns, 0, is_there)?;
            self.calibration = Some(report.calibration);
        }
        let before = self.packages.as_mut().map(Packages::read);
        let report = self.load(seed, self.experiment.run_ns, warm_up_ns, is_there)?;
        let joules = self.packages.as_mut().zip(before).and_then(|(packages, before)| {
            let after = packages.read();
            packages.joules(&before, &after)
        });
        Ok(if self.interrupted { Ran::Interrupted } else { Ran::Done(Box::new(report), joules) })
    }

    /// Does it once, for so long, after something else for so long.
    fn load(
        &mut self,
        seed: u64,
        run_ns: u64,
        after_ns: u64,
        is_there: &dyn Fn() -> bool,
    ) -> Result<Report> {
        let job = Job {
            workload: self.workload,
            seed,
            run_ns,
            cpus: self.cpus,
            topology: &self.model.topology,
            places: &self.places,
            calibration: self.calibration,
        };
        let runs = self.experiment.seeds.len() * self.contestants.len();
        let all_ns = self.run_ns().saturating_mul(runs as u64);
        let before = format!("{} of {runs} runs, ", self.done);
        let (progress, interrupted, signals) =
            (&mut self.progress, &mut self.interrupted, self.signals);
        let began_ns = self.done_ns + after_ns;
        let texts = &self.experiment.workload;
        let report = execute(self.processes, texts, &job, &mut |done_ns| {
            progress.show(&before, began_ns + done_ns, all_ns);
            *interrupted |= signals.taken().is_some();
            !*interrupted && is_there()
        })?;
        Ok(report)
    }
}
