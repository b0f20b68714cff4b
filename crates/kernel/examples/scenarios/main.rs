// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs scenarios on the running kernel, under the test scheduler that writes down its callbacks,
//! and prints what it saw: a line `== NAME` and the text of each. It needs the right to load
//! schedulers, so the tests in the virtual machine run it. `--object FILE` writes the object that it
//! loads into a file, and does nothing else.

mod cgroups;
mod worker;

use cgroups::{Cgroups, Done};
use rota_kernel::{Host, Live};
use rota_object::{Engine, EngineError, ExitInfo, KernelTypes, Object, Refusal, Setup};
use rota_programs::test::WITNESS;
use rota_workload::{Command, End, Record, Scenario, Witnessed};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use worker::Worker;

/// How long a scheduler may take to end at most, and how often it is looked whether it has.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The scheduling class of sched_ext (kernel: `SCHED_EXT`).
const SCHED_EXT: i32 = 7;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut out = std::io::stdout();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [option, file] = &args[..]
        && option == "--object"
    {
        return Ok(std::fs::write(file, WITNESS)?);
    }
    on_cpus(0, &[0])?;
    quiet();
    let types = own_types()?;
    for file in args {
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let scenario = Scenario::from_toml(&std::fs::read_to_string(&file)?)?;
        writeln!(out, "== {name}\n{}", run(&scenario, &types)?.text())?;
    }
    Ok(())
}

/// Keeps the kernel's own work off the CPUs of the scenarios, as far as it lets itself be told.
fn quiet() {
    for (file, value) in [
        ("/sys/devices/virtual/workqueue/cpumask", "1"),
        ("/proc/sys/vm/stat_interval", "3600"),
        ("/proc/sys/kernel/watchdog", "0"),
    ] {
        // What a kernel does not have can't disturb.
        let _ = std::fs::write(file, value);
    }
}

fn run(scenario: &Scenario, types: &KernelTypes) -> Result<Witnessed> {
    let mut object = Object::parse(WITNESS)?;
    object.leave_out_unknown_callbacks(types);
    object.leave_out_callbacks(|name| scenario.without.iter().any(|n| n == name));
    let mut cgroups = Cgroups::new(&scenario.cgroups)?;
    let mut world = Live::open(WITNESS, &object, &Host::default())?;
    for (name, value) in &scenario.settings {
        let size = world.read_global(name)?.len();
        world.write_global(name, &value.to_le_bytes()[..size])?;
    }
    if scenario.ops_flags != 0 {
        let known = types.enumerator("SCX_OPS_ALL_FLAGS").map_or(u64::MAX, i64::cast_unsigned);
        // The object's own: for tasks that ask for it only, with the kernel's idle masks.
        world.set_ops_member("flags", scenario.ops_flags & known | 1 | 1 << 3)?;
    }
    for (name, value) in &scenario.ops {
        world.set_ops_member(name, *value)?;
    }
    world.load()?;
    if !scenario.attaches_late() {
        world.attach()?;
    }
    let workers: Vec<Worker> = scenario.tasks.iter().map(Worker::start).collect::<Result<_>>()?;
    thread::sleep(Duration::from_millis(scenario.rest_ms));
    let mut seen = Witnessed { hide_cpus: scenario.hide_cpus, ..Witnessed::default() };
    let ran = run_steps(scenario, &mut world, &workers, &mut cgroups, &mut seen);
    seen.cgroups = cgroups.names()?;
    for (worker, task) in workers.iter().zip(&scenario.tasks) {
        let names = if task.realtime { &mut seen.higher } else { &mut seen.names };
        names.insert(worker.tid, task.name.clone());
        names.extend(worker.children().map(|(i, tid)| (tid, format!("{}.{i}", task.name))));
    }
    if world.read_global("lost")?.iter().any(|b| *b != 0) {
        return Err("records were lost".into());
    }
    // What the scheduler may still keep to itself can end only without it.
    world.detach()?;
    workers.into_iter().try_for_each(Worker::end)?;
    ran?;
    for step in &scenario.steps {
        for command in step {
            if let Command::Cpu { cpu, online: false } = command {
                set_online(*cpu, true)?;
            }
        }
    }
    Ok(seen)
}

fn run_steps(
    scenario: &Scenario,
    world: &mut Live,
    workers: &[Worker],
    cgroups: &mut Cgroups,
    seen: &mut Witnessed,
) -> Result<()> {
    let mut early = Vec::new();
    world.ring_drain("records", &mut |bytes| early.extend(Record::from_bytes(bytes)))?;
    seen.records.extend(early.into_iter().filter(|r| r.callback.is_of_cgroup()));
    let counted = if scenario.counters { counters()? } else { Vec::new() };
    for (number, step) in scenario.steps.iter().enumerate() {
        let before = seen.records.len();
        for command in step {
            let done = obey(command, world, workers, cgroups)?;
            seen.refused.extend(done.err().map(|error| (number, error)));
        }
        thread::sleep(Duration::from_millis(scenario.rest_ms));
        let mut exit = exit_info(world)?;
        let asked = Instant::now();
        let is_to_end = scenario.ends && number + 1 == scenario.steps.len();
        while is_to_end && exit.is_none() && asked.elapsed() < ENDS_WITHIN {
            thread::sleep(LOOK_AGAIN);
            exit = exit_info(world)?;
        }
        let records = &mut seen.records;
        world.ring_drain("records", &mut |bytes| records.extend(Record::from_bytes(bytes)))?;
        if let Some(exit) = exit {
            let ExitInfo { kind, code, cpu, reason, msg, dump } = exit;
            if !scenario.ends {
                return Err(format!("the scheduler ended: {reason} ({msg})").into());
            }
            seen.end = Some(End { kind, code, cpu, reason, msg, dump, before });
            return Ok(());
        }
    }
    if scenario.ends {
        return Err("the scheduler did not end".into());
    }
    if scenario.counters {
        let now = counters()?.into_iter().zip(counted);
        let more = now.map(|((name, now), (_, before))| (name, now - before));
        // Time is not the same in two runs.
        let kept = more.filter(|(name, count)| *count > 0 && !name.ends_with("DURATION"));
        seen.counters = kept.collect();
    }
    Ok(())
}

/// The types of the running kernel.
fn own_types() -> Result<KernelTypes> {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux")?;
    Ok(KernelTypes::from_bytes("this kernel", &bytes)?)
}

/// What the object recorded of its end, if it has.
fn exit_info(world: &Live) -> Result<Option<ExitInfo>> {
    Ok(world.exit_info()?.filter(|exit| exit.kind != 0))
}

/// What the core has counted.
fn counters() -> Result<Vec<(String, u64)>> {
    let text = std::fs::read_to_string("/sys/kernel/sched_ext/root/events")?;
    let counter = |line: &str| {
        let (name, count) = line.split_once(' ').ok_or("no counter")?;
        Ok((name.to_owned(), count.trim().parse()?))
    };
    text.lines().map(counter).collect()
}

/// Does what a command says; or the number of the error that it was refused with.
fn obey(
    command: &Command,
    world: &mut Live,
    workers: &[Worker],
    cgroups: &mut Cgroups,
) -> Result<Done> {
    match command {
        Command::Task(task, order) => workers[*task].tell(order)?,
        Command::Cpu { cpu, online } => set_online(*cpu, *online)?,
        Command::Wait(ms) => thread::sleep(Duration::from_millis(*ms)),
        Command::Attach => match world.attach() {
            // The object has recorded it.
            Err(EngineError::Refused(Refusal::Exit(_))) => {}
            attached => attached?,
        },
        Command::Detach => world.detach()?,
        Command::Sysrq => std::fs::write("/proc/sysrq-trigger", "S")?,
        Command::Cgroup(path, change) => return Ok(cgroups.change(path, *change)?),
        Command::Move(task, path) => {
            return Ok(cgroups.take(task.map(|t| workers[t].tid), path)?);
        }
    }
    Ok(Ok(()))
}

fn set_online(cpu: u32, online: bool) -> Result<()> {
    let file = format!("/sys/devices/system/cpu/cpu{cpu}/online");
    Ok(std::fs::write(file, if online { "1" } else { "0" })?)
}

/// Binds a thread to CPUs; 0 is the caller.
fn on_cpus(tid: i32, cpus: &[usize]) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    Ok(rustix::thread::sched_setaffinity(rustix::thread::Pid::from_raw(tid), &set)?)
}
