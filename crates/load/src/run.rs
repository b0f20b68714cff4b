// SPDX-License-Identifier: GPL-2.0-or-later
//! A run, from making the threads to gathering what they tell.

use crate::cgroups::Cgroups;
use crate::compute::{Calibration, calibrate};
use crate::error::LoadError;
use crate::job::{self, Job, REALTIME};
use crate::machine::MachineUse;
use crate::parts::Part;
use crate::report::{Known, Report};
use crate::sleeper::Sleeper;
use crate::source;
use crate::task::Task;
use crate::usage::Usage;
use crate::world::{World, lock};
use rota_kernel::{Host, ThreadPolicy, now_ns, set_thread_policy};
use rota_topology::{CAPACITY_FULL, CpuMask};
use rota_workload::{Template, TemplateId};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Memory for the stack of each thread: what it does is small.
const STACK_BYTES: usize = 256 << 10;
/// How often who watches is asked whether to go on.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
/// How long threads may take to end after the end: they need a CPU for that.
pub(crate) const LEAVE: Duration = Duration::from_secs(30);
/// How late signals from outside may be, as a p99 in ns, without a word about it.
const LATE_NS: u64 = 1_000_000;

/// Does the workload. `look` is told now and then how much of the time has gone by, in ns, and says
/// whether to go on.
///
/// # Errors
/// [`LoadError`] if it can't be done here; nothing runs any more then.
pub fn run(job: &Job<'_>, look: &mut dyn FnMut(u64) -> bool) -> Result<Report, LoadError> {
    let host = Host::default();
    job.check(&host)?;
    let mut warnings = Vec::new();
    let calibration = calibrated(job)?;
    let cgroups = cgroups(job, &host, &mut warnings);
    let part = Part::whole(job.workload);
    let world = Arc::new(World::new(job, calibration, cgroups, part.forks_from));
    let begun = make_all(&world, &part).map(|()| {
        let before = MachineUse::now(&host);
        world.start(now_ns(), job.run_ns);
        (watch(&world, LOOK, look), MachineUse::now(&host).zip(before))
    });
    let mut report = end(&world, begun.as_ref().map_or(0, |(elapsed_ns, _)| *elapsed_ns));
    if let Some(cgroups) = &world.cgroups {
        cgroups.close();
    }
    report.machine = begun?.1.map(|(now, then)| now.since(then));
    report.warnings.splice(0..0, warnings);
    Ok(report)
}

/// The cgroups of the workload, if it has any and they can be made.
pub(crate) fn cgroups(job: &Job<'_>, host: &Host, warnings: &mut Vec<String>) -> Option<Cgroups> {
    let cgroups = &job.workload.cgroups;
    let made = (!cgroups.is_empty()).then(|| Cgroups::make(host, cgroups))?;
    made.map_err(|why| warnings.push(format!("weights of cgroups are left out: {why}"))).ok()
}

/// How fast the machine computes: as is known, or is found out now.
pub(crate) fn calibrated(job: &Job<'_>) -> Result<Calibration, LoadError> {
    job.calibration.map_or_else(|| on_the_fastest(job), Ok)
}

/// Ends all threads, and gathers what they tell.
pub(crate) fn end(world: &World, elapsed_ns: u64) -> Report {
    world.stop();
    let left = leave(world);
    let mut report = gather(world, elapsed_ns);
    report.warnings.splice(0..0, left);
    report
}

/// Calibrates on the CPU that can do most.
fn on_the_fastest(job: &Job<'_>) -> Result<Calibration, LoadError> {
    let capacity = |cpu| job.topology.cpu(cpu).map_or(CAPACITY_FULL, |cpu| cpu.capacity);
    let most = job.cpus.iter().map(capacity).max();
    let mut fastest = CpuMask::default();
    job.cpus.iter().filter(|cpu| Some(capacity(*cpu)) == most).for_each(|cpu| {
        fastest.insert(cpu);
    });
    let thread = thread::Builder::new().name("calibrate".to_owned()).spawn(move || {
        // Where it may not go there, it measures where it is.
        let _ = job::run_on(&fastest);
        calibrate()
    });
    let system = |error: String| LoadError::System { what: "calibrating".to_owned(), error };
    let thread = thread.map_err(|error| system(error.to_string()))?;
    thread.join().map_err(|_| system("the thread ended early".to_owned()))
}

/// Makes all threads of a part that there are from the start, which then wait for it.
pub(crate) fn make_all(world: &Arc<World>, part: &Part) -> Result<(), LoadError> {
    let (send, ready) = channel();
    let wanted = part.threads();
    let failed =
        |made, error: std::io::Error| LoadError::Spawn { made, wanted, error: error.to_string() };
    let mut made = 0;
    for number in &part.starts {
        let template = world.workload.starts[*number as usize];
        let made_it = make(world, template, u64::from(*number), Some(send.clone()));
        made_it.map_err(|error| failed(made, error))?;
        made += 1;
    }
    for place in &part.sources {
        make_source(world, u64::from(*place), send.clone()).map_err(|error| failed(made, error))?;
        made += 1;
    }
    drop(send);
    all_ready(&ready, wanted)
}

/// Whether a thread could be set up as it is to be.
type Ready = Result<(), String>;

fn all_ready(ready: &Receiver<Ready>, wanted: usize) -> Result<(), LoadError> {
    for _ in 0..wanted {
        let system = |error: String| LoadError::System { what: "a thread".to_owned(), error };
        match ready.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(system(error)),
            Err(_) => return Err(system("it ended before it began".to_owned())),
        }
    }
    Ok(())
}

/// Makes the thread of a task. With `ready` it says so there when it is set up, and waits for the
/// start; without, it begins at once.
fn make(
    world: &Arc<World>,
    template: TemplateId,
    number: u64,
    ready: Option<Sender<Ready>>,
) -> std::io::Result<()> {
    let sleeper = world.new_task(number);
    let kind = &world.workload.templates[template.0 as usize];
    let name = format!("{}/{number}", kind.name);
    let (own, forked_ns) = (Arc::clone(world), now_ns());
    let made = thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
        sleeper.is_me();
        be(&own, template, number, sleeper, ready, forked_ns);
        own.task_gone(number);
    });
    made.map(drop).inspect_err(|_| world.task_gone(number))
}

/// The life of a task's thread.
fn be(
    world: &Arc<World>,
    template: TemplateId,
    number: u64,
    sleeper: Arc<Sleeper>,
    ready: Option<Sender<Ready>>,
    forked_ns: u64,
) {
    let kind = &world.workload.templates[template.0 as usize];
    let set_up = set_up(world, kind);
    let Some(ready) = ready else {
        if let Err(error) = set_up {
            lock(&world.changes_failed).add(&error);
        }
        let mut task = Task::new(world, template, number, sleeper);
        task.execute(forked_ns, forked_ns);
        task.finish(Usage::none());
        return;
    };
    sleeper.arm();
    let before = Usage::now();
    let told = ready.send(set_up);
    drop(ready);
    let woken = sleeper.wait(|| world.end_ns());
    if let (Ok(()), Some(woken)) = (told, woken) {
        let mut task = Task::new(world, template, number, sleeper);
        task.execute(world.start_ns(), woken.at_ns);
        task.finish(before);
    }
}

/// Has the calling thread be scheduled as its kind is; whatever it has from who made it goes.
fn set_up(world: &World, kind: &Template) -> Ready {
    let told =
        |what: &str, error: &dyn ToString| format!("{}: {what}: {}", kind.name, error.to_string());
    let cpus = kind.cpus.as_ref().map(|cpus| cpus.intersection(&world.allowed));
    job::run_on(cpus.as_ref().unwrap_or(&world.allowed)).map_err(|e| told("its CPUs", &e))?;
    if let Some((cgroups, place)) = world.cgroups.as_ref().zip(kind.cgroup) {
        cgroups.enter(place).map_err(|error| told("its cgroup", &error))?;
    }
    // Where nobody is of real time, all stay what the program was started as.
    if world.workload.templates.iter().any(|kind| kind.realtime) {
        let policy = if kind.realtime { ThreadPolicy::Fifo(REALTIME) } else { ThreadPolicy::Other };
        set_thread_policy(policy).map_err(|error| told("its policy", &error))?;
    }
    if job::own_nice() != kind.nice {
        let set = rustix::process::setpriority_process(None, kind.nice);
        set.map_err(|error| told("its nice value", &error))?;
    }
    Ok(())
}

/// The thread of what comes from outside.
fn make_source(world: &Arc<World>, place: u64, ready: Sender<Ready>) -> std::io::Result<()> {
    let (own, sleeper) = (Arc::clone(world), world.new_source(place));
    let name = format!("source/{place}");
    let made = thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
        sleeper.is_me();
        sleeper.arm();
        source::signal(&own, place, &sleeper, || {
            // Nobody hears it if others could not be made.
            let _ = ready.send(Ok(()));
        });
        own.source_gone(place);
    });
    made.map(drop).inspect_err(|_| world.source_gone(place))
}

/// A task makes another one. Nothing happens if there can be no more.
pub(crate) fn fork(world: &Arc<World>, template: TemplateId) {
    if let Err(error) = make(world, template, world.next_number(), None) {
        lock(&world.forks_failed).add(&error);
    }
}

/// Waits until it is over: by time, by word, or since all tasks have ended. How long it took. Between
/// two looks there is such a pause, at most.
pub(crate) fn watch(world: &World, pause: Duration, look: &mut dyn FnMut(u64) -> bool) -> u64 {
    let start_ns = world.start_ns();
    loop {
        let until_end = Duration::from_nanos(world.end_ns().saturating_sub(now_ns()));
        let left = world.wait_for_tasks(pause.min(until_end));
        let (now, end_ns) = (now_ns(), world.end_ns());
        if now >= end_ns {
            return end_ns.saturating_sub(start_ns);
        }
        if left == 0 || !look(now - start_ns) {
            world.stop();
            return world.end_ns().saturating_sub(start_ns);
        }
    }
}

/// Waits until all threads have ended; who did not.
fn leave(world: &World) -> Option<String> {
    let left = world.wait_for_tasks(LEAVE) + world.wait_for_sources(LEAVE);
    (left > 0).then(|| {
        format!("{left} threads got no CPU to end on in time: what they did is in no figure")
    })
}

/// What all threads told.
fn gather(world: &World, elapsed_ns: u64) -> Report {
    let mut warnings = Vec::new();
    let mut groups: Vec<_> = world.groups.iter().map(|group| lock(group).clone()).collect();
    // What came from outside waits for those who take it.
    let end_ns = world.start_ns().saturating_add(elapsed_ns);
    for source in &world.workload.sources {
        let group = world.workload.group_that_takes(source.event);
        let Some(group) = group.and_then(|group| groups.get_mut(group as usize)) else { continue };
        for (since_ns, count) in world.event(source.event).kept_since() {
            group.pieces.add_open(end_ns.saturating_sub(since_ns), count);
        }
    }
    let sources = lock(&world.outside).clone();
    let late_ns = sources.1.latency.quantile(990, 1000);
    if late_ns > LATE_NS {
        let ms = late_ns as f64 / 1e6;
        warnings.push(format!("signals from outside came late: p99 {ms:.1} ms"));
    }
    warnings.extend(lock(&world.forks_failed).told("threads could not be made"));
    warnings.extend(lock(&world.changes_failed).told("nice values or CPUs could not be set"));
    let known = Known { switches: world.counted.load(Ordering::Relaxed) };
    let (machine, calibration) = (None, world.calibration);
    Report { elapsed_ns, groups, sources, known, machine, calibration, warnings }
}
