// SPDX-License-Identifier: GPL-2.0-or-later
//! What is looked at, as plain data.

use super::types::Candidate;
use rota_kernel::{BpfProbe, Capabilities, Holders, Host, maps_of_kernel_type, probe_bpf};
use rota_object::{Btf, BtfError};
use rota_topology::{Reading, Tree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Where the kernel's own type information lies, below `/sys`.
const BTF_PATH: &str = "kernel/btf/vmlinux";

/// Functions of the kernel that tell which features were built in.
const SYMBOLS: [&str; 5] = [
    "register_kprobe",
    "register_fprobe_ips",
    "register_ftrace_direct",
    "bpf_trampoline_link_prog",
    "ringbuf_map_alloc",
];

/// Everything that [`super::examine`] judges.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Release of the kernel, as `uname -r` prints it.
    pub release: Option<String>,
    /// Whether `/sys` is there at all.
    pub sysfs: bool,
    /// The state of sched_ext, in a kernel that has it.
    pub sched_ext: Option<SchedExtFacts>,
    /// The options that the kernel was built with, where they can be read.
    pub config: Option<KernelConfig>,
    /// Whether the kernel carries its options itself, compressed, in `/proc/config.gz`.
    pub config_gz: bool,
    /// The kernel's type information.
    pub btf: KernelBtf,
    /// Rota's own schedulers.
    pub schedulers: Vec<Candidate>,
    /// The caller's effective capabilities.
    pub capabilities: Option<Capabilities>,
    /// The caller's effective user id.
    pub uid: Option<u32>,
    /// Whether the caller is in a user namespace, where capabilities do not count for BPF.
    pub user_namespace: bool,
    /// What bpf(2) allowed when tried; tried only by those who have the capabilities.
    pub bpf: Option<BpfProbe>,
    /// `/proc/sys/kernel/unprivileged_bpf_disabled`, which is there if bpf(2) is.
    pub unprivileged_bpf: Option<String>,
    /// `/proc/sys/net/core/bpf_jit_enable`, which only the host's network namespace has.
    pub jit: Option<String>,
    /// `/sys/kernel/security/lockdown`.
    pub lockdown: Option<String>,
    /// Who holds the tables of callbacks, while a scheduler is attached.
    pub holders: Holders,
    /// Tracing features.
    pub tracing: TracingFacts,
    /// Mount point of the cgroup v2 hierarchy.
    pub cgroup2: Option<String>,
    /// The controllers of its root.
    pub cgroup2_controllers: Option<String>,
    /// Whether the cpu controller belongs to a cgroup v1 hierarchy.
    pub cgroup1_cpu: bool,
    /// CPUs, caches and nodes, or why they cannot be read.
    pub topology: Option<Result<Reading, String>>,
    /// What `rota load` needs.
    pub load: LoadFacts,
}

/// What workloads need that run for real.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadFacts {
    /// The highest real-time priority that the caller may take without a capability.
    pub realtime_limit: Option<u64>,
    /// Whether the caller may write to the root of the cgroup v2 hierarchy.
    pub cgroup2_writable: bool,
    /// Whether the kernel counts how long threads wait.
    pub schedstat: bool,
}

/// The state of sched_ext.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchedExtFacts {
    /// `disabled`, `enabling`, `enabled` or `disabling`.
    pub state: String,
    /// The scheduler that is attached.
    pub scheduler: Option<String>,
    /// How many schedulers were attached since boot.
    pub enable_seq: Option<u64>,
    /// How many tasks a scheduler refused to take.
    pub nr_rejected: Option<u64>,
}

/// The options that a kernel was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelConfig {
    /// The file they were read from.
    pub path: String,
    options: BTreeMap<String, String>,
}

/// The kernel's type information.
#[derive(Debug, Clone, Default)]
pub enum KernelBtf {
    /// There is none.
    #[default]
    Absent,
    /// There is some, which this user cannot read.
    Unreadable,
    /// It cannot be understood.
    Damaged {
        /// Its size in bytes.
        bytes: usize,
        /// What is wrong with it.
        error: BtfError,
    },
    /// It was read.
    Read {
        /// Its size in bytes.
        bytes: usize,
        /// The types.
        btf: Btf,
    },
}

/// What there is to trace with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TracingFacts {
    /// Where tracefs is mounted.
    pub tracefs: Option<String>,
    /// Whether this user can look into it.
    pub tracefs_readable: bool,
    /// Whether it has the scheduler's tracepoints.
    pub sched_events: bool,
    /// Whether kprobes can be made through it.
    pub kprobe_events: bool,
    /// Which of the telling functions the kernel has; `None` without `/proc/kallsyms`.
    pub symbols: Option<BTreeSet<&'static str>>,
    /// `/proc/sys/kernel/perf_event_paranoid`, which is there if perf is.
    pub paranoid: Option<String>,
    /// The processor's counting units.
    pub counters: Vec<String>,
    /// Where energy may be counted: those sources of `rota power` that are there.
    pub energy: Vec<&'static str>,
}

impl Facts {
    /// Looks at a host. Nothing is changed: the one attempt that is made, for those who have the
    /// capabilities, is to create a BPF map, which is gone at once.
    ///
    /// The kernel's options are taken from `config` if given, else looked for in `/boot`.
    pub fn collect(host: &Host, config: Option<KernelConfig>) -> Self {
        let release = host.proc_text("sys/kernel/osrelease");
        let capabilities = host.capabilities();
        let may_load = capabilities.is_some_and(Capabilities::may_load);
        let mounts = host.proc_text("self/mountinfo").unwrap_or_default();
        let cgroup2 = mount_point(&mounts, "cgroup2", |_| true);
        let sched_ext = sched_ext(host);
        let btf = read_btf(host);
        let holders = sched_ext.as_ref().filter(|s| s.state != "disabled");
        Self {
            sysfs: host.sys_has("kernel"),
            config: config.or_else(|| boot_config(release.as_deref()?)),
            config_gz: host.proc_has("config.gz"),
            schedulers: rota_programs::ALL
                .iter()
                .map(|(name, object)| Candidate::of_object(name, object))
                .collect(),
            uid: uid(host),
            user_namespace: host.proc_text("self/uid_map").is_some_and(|m| is_nested(&m)),
            bpf: may_load.then(probe_bpf),
            unprivileged_bpf: host.proc_text("sys/kernel/unprivileged_bpf_disabled"),
            jit: host.proc_text("sys/net/core/bpf_jit_enable"),
            lockdown: host.sys_text("kernel/security/lockdown"),
            holders: holders.map(|_| holders_of_schedulers(host, &btf)).unwrap_or_default(),
            tracing: TracingFacts::collect(host, &mounts),
            cgroup2_controllers: cgroup2
                .as_deref()
                .and_then(|m| text_at(host, &format!("{m}/cgroup.controllers"))),
            cgroup1_cpu: mount_point(&mounts, "cgroup", |o| o.split(',').any(|o| o == "cpu"))
                .is_some(),
            load: LoadFacts::collect(host, cgroup2.as_deref()),
            topology: Some(host.topology().map_err(|e| e.to_string())),
            release,
            sched_ext,
            btf,
            capabilities,
            cgroup2,
        }
    }
}

impl LoadFacts {
    fn collect(host: &Host, cgroup2: Option<&str>) -> Self {
        let limits = host.proc_text("self/limits");
        // `RUN_NS WAIT_NS SWITCHES`: who runs has been switched to, where that is counted.
        let switched = host.proc_text("self/schedstat");
        let switched = switched.and_then(|text| text.split(' ').nth(2)?.parse::<u64>().ok());
        let opens = |root: &str| {
            let options = fs::OpenOptions::new().write(true).open(format!("{root}/cgroup.procs"));
            options.is_ok()
        };
        Self {
            realtime_limit: limits.as_deref().and_then(realtime_limit),
            cgroup2_writable: cgroup2.is_some_and(opens),
            schedstat: switched.is_some_and(|switches| switches > 0),
        }
    }
}

/// The soft limit in the line `Max realtime priority     SOFT HARD` of `/proc/self/limits`.
fn realtime_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max realtime priority"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

impl KernelConfig {
    /// Reads lines such as `CONFIG_BPF=y`.
    pub fn parse(path: impl Into<String>, text: &str) -> Self {
        let options = text.lines().filter_map(|l| l.strip_prefix("CONFIG_")?.split_once('='));
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { path: path.into(), options }
    }

    /// Whether an option is built in (or a module).
    pub fn has(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(|v| v == "y" || v == "m")
    }
}

impl TracingFacts {
    fn collect(host: &Host, mounts: &str) -> Self {
        let tracefs = mount_point(mounts, "tracefs", |_| true);
        let has = |file: &str| {
            tracefs.as_deref().is_some_and(|dir| text_at(host, &format!("{dir}/{file}")).is_some())
        };
        Self {
            tracefs_readable: has("available_tracers"),
            sched_events: has("events/sched/sched_switch/id"),
            kprobe_events: has("kprobe_events"),
            symbols: host.proc_text("kallsyms").filter(|t| !t.is_empty()).map(|t| telling(&t)),
            paranoid: host.proc_text("sys/kernel/perf_event_paranoid"),
            counters: counters(host),
            energy: energy(host),
            tracefs,
        }
    }

    /// Whether the kernel has one of the telling functions; `None` if it does not say.
    pub fn symbol(&self, name: &str) -> Option<bool> {
        self.symbols.as_ref().map(|s| s.contains(name))
    }
}

fn sched_ext(host: &Host) -> Option<SchedExtFacts> {
    let number = |file: &str| host.sys_text(&format!("kernel/sched_ext/{file}"))?.parse().ok();
    let found = host.sched_ext()?;
    Some(SchedExtFacts {
        state: found.state,
        scheduler: found.scheduler,
        enable_seq: number("enable_seq"),
        nr_rejected: number("nr_rejected"),
    })
}

fn read_btf(host: &Host) -> KernelBtf {
    let Some(blob) = host.read(BTF_PATH) else {
        return if host.sys_has(BTF_PATH) { KernelBtf::Unreadable } else { KernelBtf::Absent };
    };
    let bytes = blob.len();
    match Btf::parse(&blob) {
        Ok(btf) => KernelBtf::Read { bytes, btf },
        Err(error) => KernelBtf::Damaged { bytes, error },
    }
}

fn boot_config(release: &str) -> Option<KernelConfig> {
    let path = format!("/boot/config-{release}");
    let text = fs::read_to_string(&path).ok()?;
    Some(KernelConfig::parse(path, &text))
}

/// Those who hold a sched_ext scheduler; where the kernel does not tell which tables are
/// schedulers, those who hold any table.
fn holders_of_schedulers(host: &Host, btf: &KernelBtf) -> Holders {
    let mut holders = host.struct_ops_holders();
    let KernelBtf::Read { btf, .. } = btf else { return holders };
    let table = btf.find_struct("bpf_struct_ops_sched_ext_ops");
    let maps = table.map(|(id, _)| maps_of_kernel_type(id.0)).unwrap_or_default();
    if !maps.is_empty() {
        holders.found.retain(|holder| maps.iter().any(|(id, _)| *id == holder.map_id));
    }
    holders
}

/// The effective user id: the second number after `Uid:`.
fn uid(host: &Host) -> Option<u32> {
    let status = host.proc_text("self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether a `uid_map` is not the initial namespace's, which maps all 2^32-1 ids to themselves.
fn is_nested(uid_map: &str) -> bool {
    let words: Vec<_> = uid_map.split_ascii_whitespace().collect();
    words != ["0", "0", "4294967295"]
}

/// Where a file system of this type is mounted, according to `/proc/self/mountinfo`.
///
/// A line is `id parent dev root POINT options [fields…] - TYPE source SUPER_OPTIONS`.
fn mount_point(mounts: &str, kind: &str, options: impl Fn(&str) -> bool) -> Option<String> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let found = right.next()? == kind && options(right.nth(1).unwrap_or_default());
        found.then(|| left.split(' ').nth(4).map(str::to_owned))?
    })
}

/// A file by its absolute path; what lies below `/sys` is looked for in the host's.
fn text_at(host: &Host, path: &str) -> Option<String> {
    match path.strip_prefix("/sys/") {
        Some(below) => host.sys_text(below),
        None => Some(fs::read_to_string(path).ok()?.trim().to_owned()),
    }
}

/// The telling functions among the lines `address kind name [module]`.
fn telling(kallsyms: &str) -> BTreeSet<&'static str> {
    let names = kallsyms.lines().filter_map(|l| l.split_ascii_whitespace().nth(2));
    names.filter_map(|name| SYMBOLS.iter().find(|s| **s == name).copied()).collect()
}

/// Sources of energy. Whether there are registers of it is known when they are read.
fn energy(host: &Host) -> Vec<&'static str> {
    let events = host.list("bus/event_source/devices/power/events");
    let zones = host.list("class/powercap");
    let sources = [
        ("perf", events.iter().any(|event| event.starts_with("energy-"))),
        ("powercap", zones.iter().any(|zone| zone.starts_with("intel-rapl:"))),
        ("hwmon", crate::power::has_sensors(host)),
        ("perhaps MSR", host.sys_has("class/msr/msr0")),
    ];
    sources.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

/// The processor's counting units: `cpu`, on hybrid machines `cpu_core` and `cpu_atom`, on Arm
/// `armv8_…`.
fn counters(host: &Host) -> Vec<String> {
    let mut units = host.list("bus/event_source/devices");
    units.retain(|n| n == "cpu" || n.starts_with("cpu_") || n.starts_with("armv"));
    units.sort();
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime shared:7 - sysfs sysfs rw
33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate";

    #[test]
    fn the_limit_of_real_time_priorities() {
        let limits = |soft| format!("Limit  Soft\nMax realtime priority     {soft}   0   \n");
        assert_eq!(realtime_limit(&limits("95")), Some(95));
        assert_eq!(realtime_limit(&limits("unlimited")), Some(u64::MAX));
        assert_eq!(realtime_limit("nonsense"), None);
    }

    #[test]
    fn mounts_are_found_by_type_and_option() {
        let point = |kind, option: &str| mount_point(MOUNTS, kind, |o| o.contains(option));
        assert_eq!(point("cgroup2", ""), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(point("cgroup", ",cpu,"), Some("/sys/fs/cgroup/cpu".into()));
        assert_eq!(point("tracefs", ""), None);
    }

    #[test]
    fn user_namespaces_are_told_by_their_map() {
        assert!(!is_nested("0          0 4294967295"));
        assert!(is_nested("0 100000 65536"));
        assert!(is_nested("0 1000 1\n1 100000 65536"));
    }

    #[test]
    fn options_of_a_kernel() {
        let text = "# Linux\nCONFIG_BPF=y\n# CONFIG_KPROBES is not set\nCONFIG_NF=m\nCONFIG_HZ=250";
        let config = KernelConfig::parse("x", text);
        assert!(config.has("BPF") && config.has("NF"));
        assert!(!config.has("KPROBES") && !config.has("HZ"));
    }

    #[test]
    fn functions_of_a_kernel() {
        let text = "ffff t ringbuf_map_alloc\n0 T register_kprobe2\n0 T register_kprobe [x]\n0 t";
        assert_eq!(telling(text), BTreeSet::from(["register_kprobe", "ringbuf_map_alloc"]));
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let facts = Facts::collect(&Host::default(), None);
        assert!(facts.release.is_some() && facts.capabilities.is_some() && facts.uid.is_some());
        assert_eq!(facts.schedulers.len(), rota_programs::ALL.len());
    }

    #[test]
    fn an_empty_machine_can_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let facts = Facts::collect(&Host::new(dir.path(), dir.path()), None);
        assert!(facts.release.is_none() && facts.bpf.is_none() && !facts.sysfs);
        assert!(matches!(facts.btf, KernelBtf::Absent));
        assert!(!super::super::examine(&facts).can_run);
    }
}
