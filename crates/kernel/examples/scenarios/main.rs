// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs scenarios on the running kernel, under the test scheduler that writes down its callbacks,
//! and prints what it saw: a line `== NAME` and the text of each. It needs the right to load
//! schedulers, so the tests in the virtual machine run it. `--object FILE` writes the object that it
//! loads into a file, and does nothing else.

mod cgroups;

use cgroups::{Cgroups, Done};
use rota_kernel::{Host, Live};
use rota_object::{Engine, KernelTypes, Object, Setup};
use rota_programs::test::WITNESS;
use rota_workload::{Command, Order, Record, Scenario, Witnessed};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Long enough for everything to come to rest, with slices of 20 ms, on a slow emulated machine.
const REST: Duration = Duration::from_millis(150);
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
    for file in args {
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let scenario = Scenario::from_toml(&std::fs::read_to_string(&file)?)?;
        writeln!(out, "== {name}\n{}", run(&scenario)?.text())?;
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

fn run(scenario: &Scenario) -> Result<Witnessed> {
    let mut object = Object::parse(WITNESS)?;
    object.leave_out_unknown_callbacks(&own_types()?);
    let mut cgroups = Cgroups::new(&scenario.cgroups)?;
    let mut world = Live::open(WITNESS, &object, &Host::default())?;
    for (name, value) in &scenario.settings {
        let size = world.read_global(name)?.len();
        world.write_global(name, &value.to_le_bytes()[..size])?;
    }
    if scenario.ops_flags != 0 {
        // The object's own: for tasks that ask for it only, with the kernel's idle masks.
        world.set_ops_member("flags", scenario.ops_flags | 1 | 1 << 3)?;
    }
    world.load()?;
    world.attach()?;
    let workers: Vec<Worker> = scenario.tasks.iter().map(Worker::start).collect::<Result<_>>()?;
    thread::sleep(REST);
    let mut seen = Witnessed::default();
    let mut early = Vec::new();
    world.ring_drain("records", &mut |bytes| early.extend(Record::from_bytes(bytes)))?;
    seen.records.extend(early.into_iter().filter(|r| r.callback.is_of_cgroup()));
    for (number, step) in scenario.steps.iter().enumerate() {
        for command in step {
            let done = obey(command, &workers, &mut cgroups)?;
            seen.refused.extend(done.err().map(|error| (number, error)));
        }
        thread::sleep(REST);
    }
    world.ring_drain("records", &mut |bytes| seen.records.extend(Record::from_bytes(bytes)))?;
    let own = workers.iter().zip(&scenario.tasks).filter(|(_, task)| !task.realtime);
    let named = own.map(|(worker, task)| (worker.tid, task.name.clone()));
    seen.names = named.collect();
    seen.cgroups = cgroups.names()?;
    if let Some(exit) = world.exit_info()? {
        return Err(format!("the scheduler ended: {} ({})", exit.reason, exit.msg).into());
    }
    if world.read_global("lost")?.iter().any(|b| *b != 0) {
        return Err("records were lost".into());
    }
    for worker in workers {
        worker.tell(&Order::Exit)?;
        worker.thread.join().map_err(|_| "a worker panicked")?;
    }
    world.detach()?;
    Ok(seen)
}

/// The types of the running kernel.
fn own_types() -> Result<KernelTypes> {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux")?;
    Ok(KernelTypes::from_bytes("this kernel", &bytes)?)
}

/// Does what a command says; or the number of the error that it was refused with.
fn obey(command: &Command, workers: &[Worker], cgroups: &mut Cgroups) -> Result<Done> {
    match command {
        Command::Task(task, order) => workers[*task].tell(order).map(Ok),
        Command::Cpu { cpu, online } => {
            let file = format!("/sys/devices/system/cpu/cpu{cpu}/online");
            std::fs::write(file, if *online { "1" } else { "0" })?;
            Ok(Ok(()))
        }
        Command::Cgroup(path, change) => Ok(cgroups.change(path, *change)?),
        Command::Move(task, path) => Ok(cgroups.take(task.map(|t| workers[t].tid), path)?),
    }
}

/// What a worker has been told last; 0 is to sleep.
mod word {
    pub(super) const SLEEP: u32 = 0;
    pub(super) const PULSE: u32 = 1;
    pub(super) const SPIN: u32 = 2;
    pub(super) const YIELD: u32 = 3;
    pub(super) const EXIT: u32 = 4;
}

/// A task of a scenario: a thread that does as it is told.
struct Worker {
    tid: i32,
    told: Arc<AtomicU32>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(task: &rota_workload::TaskSpec) -> Result<Self> {
        let told = Arc::new(AtomicU32::new(word::SLEEP));
        let (send, receive) = std::sync::mpsc::channel();
        let heard = Arc::clone(&told);
        let cpus: Vec<usize> = task.cpus.iter().map(|cpu| cpu.0 as usize).collect();
        let first = cpus[..1].to_vec();
        let thread = thread::Builder::new().name(task.name.clone()).spawn(move || {
            // It goes to its first CPU, and falls asleep there.
            let there = on_cpus(0, &first).is_ok();
            let _ = send.send(there.then(rustix::thread::gettid));
            work(&heard);
        })?;
        let tid = receive.recv()?.ok_or("a task can't be bound to its CPU")?;
        let tid = tid.as_raw_nonzero().get();
        // It sleeps now, so that it comes to the scheduler asleep.
        thread::sleep(Duration::from_millis(20));
        on_cpus(tid, &cpus)?;
        let (class, sched_priority) =
            if task.realtime { (libc::SCHED_FIFO, 1) } else { (SCHED_EXT, 0) };
        let parameter = libc::sched_param { sched_priority };
        // SAFETY: the kernel reads the parameter, which lives until the call returns.
        #[expect(unsafe_code, reason = "no library sets this class for another thread")]
        let done = unsafe { libc::sched_setscheduler(tid, class, &parameter) };
        if done != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(Self { tid, told, thread })
    }

    fn tell(&self, order: &Order) -> Result<()> {
        let (word, wake) = match order {
            Order::Pulse => (word::PULSE, true),
            Order::Spin => (word::SPIN, true),
            Order::Sleep => (word::SLEEP, false),
            Order::Yield => (word::YIELD, false),
            Order::Exit => (word::EXIT, true),
            Order::Nice(nice) => {
                let tid = rustix::process::Pid::from_raw(self.tid);
                return Ok(rustix::process::setpriority_process(tid, *nice)?);
            }
            Order::Cpus(cpus) => {
                let cpus: Vec<usize> = cpus.iter().map(|cpu| cpu.0 as usize).collect();
                return on_cpus(self.tid, &cpus);
            }
        };
        self.told.store(word, Ordering::SeqCst);
        if wake {
            self.thread.thread().unpark();
        }
        Ok(())
    }
}

/// Does what it is told until it is told to end.
fn work(told: &AtomicU32) {
    loop {
        match told.load(Ordering::SeqCst) {
            word::EXIT => return,
            word::SPIN => std::hint::spin_loop(),
            word::YIELD => {
                told.store(word::SPIN, Ordering::SeqCst);
                thread::yield_now();
            }
            word::PULSE => told.store(word::SLEEP, Ordering::SeqCst),
            _ => thread::park(),
        }
    }
}

/// Binds a thread to CPUs; 0 is the caller.
fn on_cpus(tid: i32, cpus: &[usize]) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    Ok(rustix::thread::sched_setaffinity(rustix::thread::Pid::from_raw(tid), &set)?)
}
