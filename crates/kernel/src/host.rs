// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel says about itself under `/sys` and `/proc`.

use rota_object::{CpuTime, EngineError};
use rota_topology::{Reading, Topology, Tree};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::path::{Path, PathBuf};

/// The monotonic clock, in nanoseconds: the clock of the live world.
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// When the machine began, in ns since 1970.
pub fn boot_ns() -> u64 {
    let ns = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    };
    ns(ClockId::Realtime).saturating_sub(ns(ClockId::Boottime))
}

/// A `/sys` and a `/proc`, the real ones unless a test brings its own.
#[derive(Debug, Clone)]
pub struct Host {
    sys: PathBuf,
    proc: PathBuf,
}

/// The state of sched_ext in a kernel that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedExt {
    /// `disabled`, `enabling`, `enabled` or `disabling`.
    pub state: String,
    /// Name of the scheduler that is attached.
    pub scheduler: Option<String>,
    /// Changes whenever a CPU comes or goes.
    pub hotplug_seq: u64,
}

impl Default for Host {
    fn default() -> Self {
        Self::new("/sys", "/proc")
    }
}

impl Tree for Host {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.sys.join(path)).ok()
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.sys.join(dir)).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().into_string().ok()).collect()
    }
}

impl Host {
    /// The host below these two folders.
    pub fn new(sys: impl AsRef<Path>, proc: impl AsRef<Path>) -> Self {
        Self { sys: sys.as_ref().into(), proc: proc.as_ref().into() }
    }

    /// A file below `/sys`, as text without the white space around it.
    pub fn sys_text(&self, path: &str) -> Option<String> {
        Some(fs::read_to_string(self.sys.join(path)).ok()?.trim().to_owned())
    }

    /// A file below `/proc`, as text without the white space around it.
    pub fn proc_text(&self, path: &str) -> Option<String> {
        Some(fs::read_to_string(self.proc.join(path)).ok()?.trim().to_owned())
    }

    /// Whether something exists below `/sys`.
    pub fn sys_has(&self, path: &str) -> bool {
        self.sys.join(path).exists()
    }

    /// Whether something exists below `/proc`.
    pub fn proc_has(&self, path: &str) -> bool {
        self.proc.join(path).exists()
    }

    /// The names in a folder below `/proc`; `None` if it can't be looked into.
    pub fn proc_names(&self, dir: &str) -> Option<Vec<String>> {
        let entries = fs::read_dir(self.proc.join(dir)).ok()?.flatten();
        Some(entries.filter_map(|e| e.file_name().into_string().ok()).collect())
    }

    /// The state of sched_ext; `None` if the kernel does not have it.
    pub fn sched_ext(&self) -> Option<SchedExt> {
        let state = self.sys_text("kernel/sched_ext/state")?;
        let scheduler = self.sys_text("kernel/sched_ext/root/ops").filter(|name| !name.is_empty());
        let seq = self.sys_text("kernel/sched_ext/hotplug_seq");
        let hotplug_seq = seq.and_then(|s| s.parse().ok()).unwrap_or(0);
        Some(SchedExt { state, scheduler, hotplug_seq })
    }

    /// The machine's topology, with what was missing or odd.
    ///
    /// # Errors
    /// [`EngineError::System`] if there is no list of CPUs at all.
    pub fn topology(&self) -> Result<Reading, EngineError> {
        Topology::from_sysfs(self).map_err(|e| EngineError::System {
            what: format!("reading the topology below {}", self.sys.display()),
            error: e.to_string(),
        })
    }

    /// What each online CPU spent since boot, from `/proc/stat` (in ticks of 10 ms there).
    ///
    /// # Errors
    /// [`EngineError::System`] if the file cannot be read.
    pub fn cpu_times(&self) -> Result<Vec<CpuTime>, EngineError> {
        let path = self.proc.join("stat");
        let text = fs::read_to_string(&path).map_err(|e| EngineError::System {
            what: format!("reading {}", path.display()),
            error: e.to_string(),
        })?;
        let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        Ok(text.lines().filter_map(|line| cpu_time(line, tick_ns)).collect())
    }
}

/// One line such as `cpu3 user nice system idle iowait irq softirq steal guest guest_nice`.
/// Guest time is contained in user time.
fn cpu_time(line: &str, tick_ns: u64) -> Option<CpuTime> {
    let mut words = line.split_ascii_whitespace();
    let cpu = words.next()?.strip_prefix("cpu")?.parse().ok()?;
    let ticks: Vec<u64> = words.take(8).map_while(|w| w.parse().ok()).collect();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    let all: u64 = ticks.iter().sum();
    Some(CpuTime { cpu, busy_ns: (all - idle) * tick_ns, idle_ns: idle * tick_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_stat() {
        let time = cpu_time("cpu3 1 2 3 100 20 4 5 6 7 8", 10).unwrap();
        assert_eq!(time, CpuTime { cpu: 3, busy_ns: 210, idle_ns: 1200 });
        assert_eq!(cpu_time("cpu  1 2 3 4", 10), None);
        assert_eq!(cpu_time("intr 5", 10), None);
    }

    #[test]
    fn this_machine_has_cpus() {
        let host = Host::default();
        assert!(!host.topology().unwrap().topology.cpus().is_empty());
        assert!(!host.cpu_times().unwrap().is_empty());
    }
}
