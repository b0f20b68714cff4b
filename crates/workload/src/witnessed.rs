// SPDX-License-Identifier: GPL-2.0-or-later
//! What the test scheduler of scenarios saw, and the text that two runs of a scenario must agree
//! on.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A callback of the test scheduler, by its number in the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the callbacks")]
pub enum Callback {
    SelectCpu,
    Enqueue,
    Dequeue,
    Dispatch,
    Runnable,
    Running,
    Stopping,
    Quiescent,
    SetWeight,
    SetCpumask,
    UpdateIdle,
    Enable,
    Disable,
    CpuOnline,
    CpuOffline,
    CgroupInit,
    CgroupExit,
    CgroupPrepMove,
    CgroupMove,
    CgroupCancelMove,
    CgroupSetWeight,
    CgroupSetBandwidth,
    CgroupSetIdle,
    /// No callback: which CPUs are idle, and above bit 32 those of idle cores.
    IdleCpus,
    /// Nor this: the CPU that the test scheduler chose.
    Choice,
    InitTask,
    ExitTask,
    CpuAcquire,
    CpuRelease,
    /// No callback: what follows may end the scheduler.
    Mistake,
    /// No callback: something that the test scheduler found.
    Note,
}

/// All of them, in the order of their numbers, which start at 1.
const CALLBACKS: [(Callback, &str); 31] = [
    (Callback::SelectCpu, "select_cpu"),
    (Callback::Enqueue, "enqueue"),
    (Callback::Dequeue, "dequeue"),
    (Callback::Dispatch, "dispatch"),
    (Callback::Runnable, "runnable"),
    (Callback::Running, "running"),
    (Callback::Stopping, "stopping"),
    (Callback::Quiescent, "quiescent"),
    (Callback::SetWeight, "set_weight"),
    (Callback::SetCpumask, "set_cpumask"),
    (Callback::UpdateIdle, "update_idle"),
    (Callback::Enable, "enable"),
    (Callback::Disable, "disable"),
    (Callback::CpuOnline, "cpu_online"),
    (Callback::CpuOffline, "cpu_offline"),
    (Callback::CgroupInit, "cgroup_init"),
    (Callback::CgroupExit, "cgroup_exit"),
    (Callback::CgroupPrepMove, "cgroup_prep_move"),
    (Callback::CgroupMove, "cgroup_move"),
    (Callback::CgroupCancelMove, "cgroup_cancel_move"),
    (Callback::CgroupSetWeight, "cgroup_set_weight"),
    (Callback::CgroupSetBandwidth, "cgroup_set_bandwidth"),
    (Callback::CgroupSetIdle, "cgroup_set_idle"),
    (Callback::IdleCpus, "idle"),
    (Callback::Choice, "chooses"),
    (Callback::InitTask, "init_task"),
    (Callback::ExitTask, "exit_task"),
    (Callback::CpuAcquire, "cpu_acquire"),
    (Callback::CpuRelease, "cpu_release"),
    (Callback::Mistake, "mistake"),
    (Callback::Note, "note"),
];

impl Callback {
    /// The callback with a number.
    pub fn from_number(number: u32) -> Option<Self> {
        CALLBACKS.get((number as usize).checked_sub(1)?).map(|c| c.0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        CALLBACKS.iter().find(|c| c.0 == self).map_or("", |c| c.1)
    }

    /// Whether it is about a cgroup and no task.
    pub fn is_of_cgroup(self) -> bool {
        use Callback::{
            CgroupExit, CgroupInit, CgroupSetBandwidth, CgroupSetIdle, CgroupSetWeight,
        };
        matches!(
            self,
            CgroupInit | CgroupExit | CgroupSetWeight | CgroupSetBandwidth | CgroupSetIdle
        )
    }
}

/// One call of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When, in ns.
    pub time_ns: u64,
    /// The CPU that made the call.
    pub cpu: u32,
    /// What was called.
    pub callback: Callback,
    /// The task that it is about; 0 if none.
    pub pid: i32,
    /// The CPU that it is about, or a weight.
    pub number: i32,
    /// Flags of the call.
    pub flags: u64,
    /// The number of the cgroup that it is about, or that the task is in or moves into; 0 if it
    /// was not written down.
    pub cgroup: u64,
    /// Of a cgroup, the period, the quota and the burst, in µs; of a move, the number of the
    /// cgroup that the task was in.
    pub values: [u64; 3],
}

impl Record {
    /// Reads a record as the test scheduler writes it (`struct witness_record`), in little-endian
    /// bytes; `None` for what is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let wide = |at: usize| Some(u64::from(word(at)?) | u64::from(word(at + 4)?) << 32);
        Some(Self {
            time_ns: wide(0)?,
            cpu: word(8)?,
            callback: Callback::from_number(word(12)?)?,
            pid: word(16)?.cast_signed(),
            number: word(20)?.cast_signed(),
            flags: wide(24)?,
            cgroup: wide(32)?,
            values: [wide(40)?, wide(48)?, wide(56)?],
        })
    }
}

/// What happened in a run of a scenario.
#[derive(Debug, Clone, Default)]
pub struct Witnessed {
    /// The scenario's tasks by their numbers.
    pub names: BTreeMap<i32, String>,
    /// The scenario's cgroups by their numbers.
    pub cgroups: BTreeMap<u64, String>,
    /// What was refused: the number of the step, from 0, and the error's.
    pub refused: Vec<(usize, i32)>,
    /// Its tasks of higher classes.
    pub higher: BTreeMap<i32, String>,
    /// Every callback, in order.
    pub records: Vec<Record>,
    /// How the scheduler ended, if it did.
    pub end: Option<End>,
    /// Whether what CPUs do is left out of the text.
    pub hide_cpus: bool,
    /// What the core has counted, by the names of the counters.
    pub counters: Vec<(String, u64)>,
}

/// How a scheduler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Number of the kind, and the code.
    pub kind: u64,
    /// The exit code.
    pub code: i64,
    /// The CPU, where the kernel tells.
    pub cpu: Option<u32>,
    /// The kernel's word for the kind.
    pub reason: String,
    /// The message.
    pub msg: String,
    /// The dump.
    pub dump: String,
    /// How many records there were when the step began in which it ended.
    pub before: usize,
}

impl End {
    /// A line, without numbers that no two runs share: of tasks, and of what took how long.
    fn text(&self, hide_cpu: bool) -> String {
        let Self { kind, code, cpu, reason, msg, .. } = self;
        let on = cpu.filter(|_| !hide_cpu).map_or(String::new(), |cpu| format!(" on CPU {cpu}"));
        let msg = without_numbers(msg);
        format!("ended{on}: kind {kind} code {code:#x}: {reason} ({msg})")
    }
}

/// A message without the numbers of tasks, of hotplug events, and without how long it took.
fn without_numbers(msg: &str) -> String {
    let mut text = String::new();
    let mut rest = msg;
    while let Some(at) = rest.find(['[', ' ']) {
        let (start, tail) = rest.split_at(at + 1);
        text.push_str(start);
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let after = &tail[digits..];
        let seconds =
            after.strip_prefix('.').map(|t| t.trim_start_matches(|c: char| c.is_ascii_digit()));
        rest = match seconds.and_then(|tail| tail.strip_prefix('s')) {
            _ if digits == 0 => tail,
            Some(tail) => {
                text.push_str("TIME");
                tail
            }
            None if start.ends_with('[') && after.starts_with(']') => {
                text.push_str("PID");
                after
            }
            None if start.ends_with("actual ") || start.ends_with("seq ") => {
                text.push('N');
                after
            }
            None => tail,
        };
    }
    text + rest
}

impl Witnessed {
    /// The callbacks of each task and of each cgroup, and what ran on each CPU.
    ///
    /// What a machine does beside the scenario is left out: other tasks; a task that is put aside
    /// by another class and goes on on the same CPU, if need be by way of the scheduler's queue; a
    /// search for work after which the same task goes on, or nobody.
    pub fn text(&self) -> String {
        let records = self.undisturbed();
        let mut text = String::new();
        if let Some(end) = &self.end {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{}", end.text(self.hide_cpus));
        }
        for (name, count) in &self.counters {
            let _ = writeln!(text, "{name} {count}");
        }
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, name)| *name);
        for (pid, name) in names {
            let _ = writeln!(text, "task {name}");
            for record in records.iter().filter(|r| r.pid == *pid) {
                if record.callback != Callback::Dispatch {
                    let _ = writeln!(text, "  {}", self.of_task(record));
                }
            }
        }
        for (step, errno) in &self.refused {
            let _ = writeln!(text, "step {step} refused with error {errno}");
        }
        // The root is in every scenario.
        let cgroups = if self.cgroups.len() > 1 { Some(&self.cgroups) } else { None };
        for (id, name) in cgroups.into_iter().flatten() {
            let of_it = |r: &&Record| r.callback.is_of_cgroup() && r.cgroup == *id;
            for (i, record) in records.iter().filter(of_it).enumerate() {
                if i == 0 {
                    let _ = writeln!(text, "cgroup {name}");
                }
                let _ = writeln!(text, "  {}", of_cgroup(record));
            }
        }
        let mut cpus: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for (i, record) in records.iter().enumerate() {
            let rest = records.get(i + 1..).unwrap_or(&[]);
            if let Some(line) = self.of_cpu(record, rest) {
                cpus.entry(record.cpu).or_default().push(line);
            }
        }
        for (cpu, lines) in cpus.into_iter().filter(|_| !self.hide_cpus) {
            let _ = writeln!(text, "cpu {cpu}");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    /// The records of the scenario's own tasks and of CPUs, without those of a task that is put
    /// aside and goes on.
    fn undisturbed(&self) -> Vec<Record> {
        let mut kept: Vec<Record> = Vec::new();
        let told = self.told();
        for (i, record) in self.records.iter().enumerate() {
            let lasts = is_of_life(record.callback) || record.callback.is_of_cgroup();
            if i >= told && !lasts {
                continue;
            }
            let known =
                self.names.contains_key(&record.pid) || self.higher.contains_key(&record.pid);
            if record.pid != 0 && !known {
                continue;
            }
            if record.callback == Callback::Running
                && let Some(aside) = put_aside(&kept, record)
            {
                // What others did meanwhile stays.
                let mut at = 0;
                kept.retain(|r| {
                    at += 1;
                    at <= aside || r.pid != record.pid
                });
                continue;
            }
            kept.push(*record);
        }
        kept
    }

    /// Up to which record every run is the same. While a scheduler ends, tasks go on, and nobody
    /// can say how far they get; so what counts is what was before the mistake, or before the step
    /// in which it ended.
    fn told(&self) -> usize {
        let Some(end) = &self.end else { return usize::MAX };
        let mistake = self.records.iter().position(|r| r.callback == Callback::Mistake);
        mistake.map_or(end.before, |at| at + 1)
    }

    fn name(&self, pid: i32) -> &str {
        self.names.get(&pid).map_or("nobody", String::as_str)
    }

    fn cgroup(&self, id: u64) -> &str {
        self.cgroups.get(&id).map_or("elsewhere", String::as_str)
    }

    fn of_task(&self, record: &Record) -> String {
        let line = self.of_task_alone(record);
        match record.callback {
            Callback::CgroupPrepMove | Callback::CgroupMove | Callback::CgroupCancelMove => line,
            _ if record.cgroup != 0 => format!("{line} in {}", self.cgroup(record.cgroup)),
            Callback::Runnable | Callback::Running | Callback::Stopping | Callback::Quiescent
                if record.values[0] != 0 =>
            {
                format!("{line}, {}", facts(record.values))
            }
            _ => line,
        }
    }

    fn of_task_alone(&self, record: &Record) -> String {
        let Record { callback, number, flags, .. } = record;
        let name = callback.name();
        match callback {
            Callback::CgroupPrepMove | Callback::CgroupMove | Callback::CgroupCancelMove => {
                let [from, ..] = record.values;
                format!("{name} from {} to {}", self.cgroup(from), self.cgroup(record.cgroup))
            }
            Callback::SelectCpu => format!("{name} from {number} flags {flags:#x}"),
            Callback::Stopping if *flags == 1 => format!("{name} on {number}, runnable"),
            Callback::Stopping | Callback::Running => format!("{name} on {number}"),
            Callback::SetWeight | Callback::Enable => format!("{name} {number}"),
            Callback::SetCpumask => format!("{name} {flags:#x}"),
            Callback::Dequeue => format!("{name} flags {flags:#x}"),
            Callback::Note => format!("{name} {number} {flags:#x}"),
            Callback::IdleCpus => {
                format!("{name} {:#x}, cores {:#x}", flags & 0xffff_ffff, flags >> 32)
            }
            Callback::Choice => format!("{name} {number}"),
            Callback::InitTask if *flags == 1 => format!("{name}, forked"),
            Callback::ExitTask if *flags == 1 => format!("{name}, cancelled"),
            Callback::Disable | Callback::InitTask | Callback::ExitTask => name.to_owned(),
            Callback::Mistake => format!("{name} {number}"),
            _ => format!("{name} on {number} flags {flags:#x}"),
        }
    }

    /// A line about what a CPU does, if the record is about that.
    fn of_cpu(&self, record: &Record, rest: &[Record]) -> Option<String> {
        let name = self.name(record.pid);
        match record.callback {
            Callback::Running => Some(format!("runs {name}")),
            Callback::Stopping => Some(format!("stops {name}")),
            Callback::CpuRelease => {
                let name = self.higher.get(&record.pid)?;
                Some(format!("cpu_release to {name}, reason {}", record.flags))
            }
            Callback::CpuOnline | Callback::CpuOffline => {
                Some(format!("{} {}", record.callback.name(), record.number))
            }
            Callback::Dispatch => {
                // What follows, but for a CPU that is idle no more.
                let next = rest.iter().find(|r| {
                    r.cpu == record.cpu
                        && match r.callback {
                            Callback::Running | Callback::Stopping | Callback::Dispatch => true,
                            Callback::UpdateIdle => r.flags == 1,
                            _ => false,
                        }
                })?;
                let queued = if record.flags == 0 { "" } else { ", queued" };
                let leads = match next.callback {
                    Callback::Running => next.pid != record.pid,
                    Callback::Stopping => next.pid == record.pid && next.flags == 1,
                    _ => false,
                };
                leads.then(|| format!("looks for work after {name}{queued}"))
            }
            _ => None,
        }
    }
}

/// What the kernel knows of a task.
fn facts([priorities, place, _]: [u64; 3]) -> String {
    let part = |word: u64, at: u32, bits: u32| (word >> at) & ((1 << bits) - 1);
    let [normal, own, effective, policy] = [0, 16, 32, 48].map(|at| part(priorities, at, 16));
    let [on_cpu, on_rq, mm] = [0, 8, 16].map(|at| part(place, at, 8));
    format!(
        "policy {policy} prio {effective} of {own} and {normal}, on_rq {on_rq} on_cpu {on_cpu} mm {mm}"
    )
}

/// A line about a cgroup.
fn of_cgroup(record: &Record) -> String {
    let Record { callback, number, flags, values: [period, quota, burst], .. } = record;
    let name = callback.name();
    let quota = if *quota == u64::MAX { "max".to_owned() } else { quota.to_string() };
    let bandwidth = format!("max {quota} {period} burst {burst}");
    match callback {
        // Older kernels do not tell of bandwidth.
        Callback::CgroupInit if *period == 0 => format!("{name} weight {number}"),
        Callback::CgroupInit => format!("{name} weight {number} {bandwidth} idle {flags}"),
        Callback::CgroupSetWeight => format!("{name} {number}"),
        Callback::CgroupSetBandwidth => format!("{name} {bandwidth}"),
        Callback::CgroupSetIdle => format!("{name} {flags}"),
        _ => name.to_owned(),
    }
}

/// Whether a callback is about a task's coming to the scheduler, or its leaving.
fn is_of_life(callback: Callback) -> bool {
    use Callback::{Disable, Enable, ExitTask, InitTask};
    matches!(callback, InitTask | Enable | Disable | ExitTask)
}

/// If a task that starts to run had only been put aside on this CPU, where: nobody else of the
/// scenario ran there since.
fn put_aside(before: &[Record], running: &Record) -> Option<usize> {
    let stopped = before.iter().rposition(|r| {
        r.pid == running.pid && matches!(r.callback, Callback::Stopping | Callback::Running)
    })?;
    let Record { callback, flags, cpu, .. } = before[stopped];
    let since = &before[stopped + 1..];
    let only_queued = |r: &Record| match r.callback {
        Callback::Enqueue | Callback::Dequeue => r.flags == 0,
        Callback::Dispatch => true,
        _ => false,
    };
    let aside = callback == Callback::Stopping
        && flags == 1
        && cpu == running.cpu
        && since.iter().filter(|r| r.pid == running.pid).all(only_queued)
        && !since.iter().any(|r| r.cpu == cpu && r.callback == Callback::Running);
    aside.then_some(stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(callback: Callback, pid: i32, number: i32, flags: u64) -> Record {
        Record { time_ns: 0, cpu: 1, callback, pid, number, flags, cgroup: 0, values: [0; 3] }
    }

    fn text(records: &[Record]) -> String {
        let names = BTreeMap::from([(7, "A".to_owned())]);
        Witnessed { names, records: records.to_vec(), ..Witnessed::default() }.text()
    }

    #[test]
    fn a_wake_up() {
        let found = text(&[
            record(Callback::SelectCpu, 7, 1, 8),
            record(Callback::Enqueue, 7, 1, 1),
            record(Callback::Enqueue, 99, 1, 1),
            record(Callback::Dispatch, 0, 1, 0),
            record(Callback::Running, 7, 1, 0),
            record(Callback::Stopping, 7, 1, 0),
        ]);
        let expected = "task A\n  select_cpu from 1 flags 0x8\n  enqueue on 1 flags 0x1\n  \
                        running on 1\n  stopping on 1\ncpu 1\n  looks for work after nobody\n  \
                        runs A\n  stops A\n";
        assert_eq!(found, expected);
    }

    #[test]
    fn what_only_disturbs_is_left_out() {
        let start = [record(Callback::Running, 7, 1, 0)];
        let more = [
            record(Callback::Dispatch, 7, 1, 1),
            record(Callback::Stopping, 7, 1, 1),
            record(Callback::Running, 7, 1, 0),
            record(Callback::Dispatch, 0, 1, 0),
            record(Callback::Stopping, 7, 1, 1),
            record(Callback::Enqueue, 7, 1, 0),
            record(Callback::Dispatch, 0, 1, 0),
            record(Callback::Dequeue, 7, 0, 0),
            record(Callback::Running, 7, 1, 0),
        ];
        assert_eq!(text(&start), text(&[&start[..], &more].concat()));
        let last = [
            record(Callback::Stopping, 7, 1, 1),
            record(Callback::Enqueue, 7, 1, 1 << 41),
            record(Callback::Running, 7, 1, 0),
        ];
        assert_ne!(text(&start), text(&[&start[..], &last].concat()));
    }

    #[test]
    fn cgroups_and_moves_between_them() {
        let cgroups = BTreeMap::from([(1, "/".to_owned()), (9, "G".to_owned())]);
        let mut made = record(Callback::CgroupInit, 0, 100, 0);
        (made.cgroup, made.values) = (9, [100_000, u64::MAX, 0]);
        let mut moved = record(Callback::CgroupMove, 7, 0, 0);
        (moved.cgroup, moved.values) = (9, [1, 0, 0]);
        let mut other = made;
        other.cgroup = 8;
        let names = BTreeMap::from([(7, "A".to_owned())]);
        let (records, refused) = (vec![made, moved, other], vec![(2, 11)]);
        let seen = Witnessed { names, cgroups, records, refused, ..Witnessed::default() };
        let expected = "task A\n  cgroup_move from / to G\n\
                        step 2 refused with error 11\ncgroup G\n  \
                        cgroup_init weight 100 max max 100000 burst 0 idle 0\n";
        assert_eq!(seen.text(), expected);
    }

    #[test]
    fn records_are_read_as_they_are_written() {
        let mut bytes = [0; 64];
        (bytes[0], bytes[8], bytes[12]) = (9, 3, 6);
        bytes[16..20].copy_from_slice(&7_i32.to_le_bytes());
        bytes[20..24].copy_from_slice(&(-2_i32).to_le_bytes());
        (bytes[31], bytes[32], bytes[56]) = (1, 5, 6);
        let read = Record::from_bytes(&bytes).unwrap();
        let expected = Record {
            time_ns: 9,
            cpu: 3,
            callback: Callback::Running,
            pid: 7,
            number: -2,
            flags: 1 << 56,
            cgroup: 5,
            values: [0, 0, 6],
        };
        assert_eq!(read, expected);
        assert_eq!(Record::from_bytes(&bytes[..63]), None);
        bytes[12] = 99;
        assert_eq!(Record::from_bytes(&bytes), None);
    }

    #[test]
    fn messages_lose_what_no_two_runs_share() {
        let stall = "A[12] failed to run for 1.004s";
        assert_eq!(without_numbers(stall), "A[PID] failed to run for TIME");
        let cpu = "SCX_DSQ_LOCAL[_ON] target CPU 3 not allowed for A[7]";
        assert_eq!(without_numbers(cpu), "SCX_DSQ_LOCAL[_ON] target CPU 3 not allowed for A[PID]");
        let seq = "expected hotplug seq 99 did not match actual 4";
        assert_eq!(without_numbers(seq), "expected hotplug seq N did not match actual N");
    }

    #[test]
    fn numbers_and_names_belong_together() {
        for (i, (callback, name)) in CALLBACKS.iter().enumerate() {
            assert_eq!(Callback::from_number(i as u32 + 1), Some(*callback));
            assert_eq!(callback.name(), *name);
        }
        assert_eq!(Callback::from_number(0), None);
        assert_eq!(Callback::from_number(32), None);
    }
}
