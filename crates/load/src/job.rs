// SPDX-License-Identifier: GPL-2.0-or-later
//! What is to be done, and whether it can be.

use crate::compute::{Calibration, Cpus};
use crate::error::LoadError;
use rota_events::CpuPlace;
use rota_kernel::{Host, ThreadPolicy, set_thread_policy};
use rota_topology::{CpuMask, Topology};
use rota_workload::{Step, Template, Workload};
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::thread;

/// The most threads that there can be, whatever the system allows.
pub const THREADS_MAX: u64 = 30_000;
/// The priority of real-time tasks: all are equal, as in the simulator.
pub(crate) const REALTIME: i32 = 1;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The tasks.
    pub workload: &'a Workload,
    /// Seed of all random numbers.
    pub seed: u64,
    /// For how long, in ns.
    pub run_ns: u64,
    /// The CPUs that threads may use, all of which this process may use.
    pub cpus: &'a CpuMask,
    /// The machine.
    pub topology: &'a Topology,
    /// Where its CPUs are, by their numbers.
    pub places: &'a [CpuPlace],
    /// How fast it computes; found out at the start if it is not known. Runs that are compared have
    /// the same.
    pub calibration: Option<Calibration>,
}

impl Job<'_> {
    /// Whether it can be done here: enough threads, CPUs, priorities.
    pub(crate) fn check(&self, host: &Host) -> Result<(), LoadError> {
        let Workload { starts, sources, templates, .. } = self.workload;
        if starts.is_empty() {
            return Err(LoadError::Nothing);
        }
        let threads = (starts.len() + sources.len()) as u64;
        if let Some((most, limit)) = limit(host).filter(|(most, _)| threads > *most) {
            return Err(LoadError::Threads { threads, most, limit });
        }
        templates.iter().try_for_each(|kind| self.check_cpus(kind))?;
        if let Some(kind) = templates.iter().find(|kind| kind.realtime) {
            apart(|| set_thread_policy(ThreadPolicy::Fifo(REALTIME))).map_err(|error| {
                LoadError::Realtime { name: kind.name.clone(), error: error.to_string() }
            })?;
        }
        self.check_nice()
    }

    fn check_cpus(&self, kind: &Template) -> Result<(), LoadError> {
        let program = &kind.program;
        let later = program.steps().iter().filter_map(|step| match step {
            Step::Cpus(place) => program.mask(*place),
            _ => None,
        });
        for cpus in kind.cpus.iter().chain(later) {
            if !cpus.intersects(self.cpus) {
                return Err(LoadError::Cpus {
                    name: kind.name.clone(),
                    wanted: cpus.to_string(),
                    allowed: self.cpus.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Tries the lowest nice value that is wanted, from the highest one.
    fn check_nice(&self) -> Result<(), LoadError> {
        let later = |kind: &Template| {
            let steps = kind.program.steps().iter();
            let values = steps.filter_map(|step| match step {
                Step::Nice(nice) => Some(*nice),
                _ => None,
            });
            values.collect::<Vec<_>>()
        };
        let values = self.workload.templates.iter().flat_map(|kind| {
            let own = std::iter::once(kind.nice);
            own.chain(later(kind)).collect::<Vec<_>>()
        });
        let values: Vec<i32> = values.collect();
        // Who has another value comes down to it only with leave.
        let most = values.iter().copied().max().unwrap_or(0).max(own_nice());
        let least = values.iter().copied().min().unwrap_or(0);
        if least >= most {
            return Ok(());
        }
        let tried = apart(move || {
            setpriority_process(None, most)?;
            setpriority_process(None, least)
        });
        tried.map_err(|error| LoadError::Nice {
            nice: least,
            limit: 20 - least,
            error: error.to_string(),
        })
    }

    /// What its CPUs can do, and where they are.
    pub(crate) fn machine(&self) -> Cpus {
        let last = self.topology.possible().last().map_or(0, |last| last.0 + 1);
        let capacity = |cpu: u32| {
            let found = self.topology.cpu(rota_topology::CpuId(cpu));
            found.map_or(0, |cpu| cpu.capacity)
        };
        Cpus { capacities: (0..last).map(capacity).collect(), places: self.places.to_vec() }
    }
}

/// The nice value of the calling thread.
pub(crate) fn own_nice() -> i32 {
    getpriority_process(None).unwrap_or(0)
}

/// Does something in a thread of its own, which it changes.
fn apart<E: Send + 'static>(
    what: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), E> {
    // A thread that is not made is told when those of the workload are.
    let thread = thread::Builder::new().spawn(what);
    thread.map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
}

/// The lowest of the limits of threads, and what says so.
fn limit(host: &Host) -> Option<(u64, String)> {
    let own = (THREADS_MAX, "rota load".to_owned());
    let files = ["sys/kernel/threads-max", "sys/kernel/pid_max"].into_iter();
    let system = files.filter_map(|file| {
        let most = host.proc_text(file)?.parse().ok()?;
        Some((most, format!("/proc/{file}")))
    });
    system.chain([own]).min()
}

/// Lets the calling thread run on these CPUs only.
pub(crate) fn run_on(cpus: &CpuMask) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    // The library's sets are not larger; the kernel refuses an empty one.
    let known = cpus.iter().map(|cpu| cpu.0 as usize).filter(|cpu| *cpu < CpuSet::MAX_CPU);
    known.for_each(|cpu| set.set(cpu));
    sched_setaffinity(None, &set)
}
