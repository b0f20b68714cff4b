// SPDX-License-Identifier: GPL-2.0-or-later
//! Scenarios: files in TOML that say which tasks there are and what they are told to do.

use crate::cgroup::CgroupChange;
use rota_topology::{CpuId, CpuMask, Spec, SpecError};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Why a scenario can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or has other fields.
    #[error("{0}")]
    Toml(String),
    /// A task's CPUs are no list.
    #[error("task {task}: '{list}' is no list of CPUs; write it like 0,2-3 or realtime 0,2-3")]
    Cpus {
        /// The task.
        task: String,
        /// What stands there.
        list: String,
    },
    /// A command that there is not.
    #[error(
        "'{0}' is no command; there are: TASK pulse, spin, sleep, yield, exit, fork N, nice N, \
         cpus LIST, cgroup NAME; all cgroup NAME; cpu N offline or online; cgroup NAME make, \
         remove, weight N, max QUOTA PERIOD, burst N, idle 0 or 1; wait N (ms); and attach, \
         detach, sysrq"
    )]
    Command(String),
    /// A command for a task that there is not.
    #[error("'{0}': there is no such task")]
    Task(String),
    /// Something is about a CPU that the machine has not.
    #[error("{what}: the machine {machine} has no CPU {cpu}")]
    NoCpu {
        /// The task or the command.
        what: String,
        /// The machine.
        machine: String,
        /// The CPU.
        cpu: u32,
    },
    /// The machine is none.
    #[error(transparent)]
    Machine(#[from] SpecError),
    /// A command for a cgroup that there is not.
    #[error("'{0}': there is no such cgroup")]
    Cgroup(String),
}

/// What a task is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// To wake up and go to sleep again at once.
    Pulse,
    /// To wake up and run until it is told something else.
    Spin,
    /// To stop running and go to sleep.
    Sleep,
    /// To give way once, and go on running.
    Yield,
    /// To end.
    Exit,
    /// To wake up, make so many tasks like itself that end at once, and go to sleep.
    Fork(u32),
    /// Nothing: its nice value is changed from outside.
    Nice(i32),
    /// Nothing: the CPUs that it may run on are changed from outside.
    Cpus(CpuMask),
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A task, by its place in [`Scenario::tasks`], is told something.
    Task(usize, Order),
    /// A CPU goes, or comes.
    Cpu {
        /// The CPU.
        cpu: u32,
        /// Whether it comes.
        online: bool,
    },
    /// A cgroup changes, by its path.
    Cgroup(String, CgroupChange),
    /// A task, or all of them at once, are moved into a cgroup, by its path; `/` is the root.
    Move(Option<usize>, String),
    /// Nothing happens for so many ms.
    Wait(u64),
    /// The test scheduler comes into charge. In a scenario without this it does so before the
    /// tasks are made.
    Attach,
    /// Its owner takes it off.
    Detach,
    /// Somebody presses SysRq-S.
    Sysrq,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// Its name.
    pub name: String,
    /// The CPUs that it may run on. It sleeps on the first of them at the start.
    pub cpus: CpuMask,
    /// Whether it is a task of the real-time class, above all of sched_ext.
    pub realtime: bool,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// What it is about, in one line.
    pub about: String,
    /// The machine, in the short form of topologies.
    pub machine: String,
    /// The settings of the test scheduler.
    pub settings: BTreeMap<String, u64>,
    /// Flags of its table of callbacks, beside its own. One that a kernel does not know is left out.
    pub ops_flags: u64,
    /// Callbacks that its table does not have.
    pub without: Vec<String>,
    /// Paths of the cgroups that there are when the test scheduler comes, each before those in it.
    pub cgroups: Vec<String>,
    /// Numbers in its table of callbacks.
    pub ops: BTreeMap<String, u64>,
    /// Whether the scheduler ends in it, and how is to be seen.
    pub ends: bool,
    /// Whether what CPUs do is not to be seen: while a scheduler comes into charge, it is up to the
    /// kernel which CPU does that.
    pub hide_cpus: bool,
    /// Whether the core's counters are to be seen.
    pub counters: bool,
    /// How long a step is given to come to rest, in ms.
    pub rest_ms: u64,
    /// Its tasks. All sleep at first.
    pub tasks: Vec<TaskSpec>,
    /// What happens: the commands of a step at once, and between steps time enough for everything
    /// to come to rest.
    pub steps: Vec<Vec<Command>>,
}

/// The file as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    about: String,
    machine: String,
    #[serde(default)]
    settings: BTreeMap<String, u64>,
    #[serde(default)]
    ops_flags: u64,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    cgroups: Vec<String>,
    #[serde(default)]
    ops: BTreeMap<String, u64>,
    #[serde(default)]
    ends: bool,
    #[serde(default)]
    hide_cpus: bool,
    #[serde(default)]
    counters: bool,
    #[serde(default = "rest_ms")]
    rest_ms: u64,
    tasks: BTreeMap<String, String>,
    steps: Vec<String>,
}

/// Enough where no slice runs out, on a slow emulated machine.
fn rest_ms() -> u64 {
    50
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] names what can't be used.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let raw: Raw = toml::from_str(text).map_err(|e| ScenarioError::Toml(e.to_string()))?;
        let task = |(name, text): (String, String)| {
            let list = text.strip_prefix("realtime ");
            let realtime = list.is_some();
            match CpuMask::from_list(list.unwrap_or(&text)) {
                Ok(cpus) => Ok(TaskSpec { name, cpus, realtime }),
                Err(_) => Err(ScenarioError::Cpus { task: name, list: text }),
            }
        };
        let tasks = raw.tasks.into_iter().map(task).collect::<Result<Vec<_>, _>>()?;
        let cpus = raw.machine.parse::<Spec>()?.topology().possible().clone();
        let check = |what: &str, wanted: Vec<CpuId>| {
            let (what, machine) = (what.to_owned(), raw.machine.clone());
            match wanted.into_iter().find(|cpu| !cpus.contains(*cpu)) {
                Some(cpu) => Err(ScenarioError::NoCpu { what, machine, cpu: cpu.0 }),
                None => Ok(()),
            }
        };
        for task in &tasks {
            check(&format!("task {}", task.name), task.cpus.iter().collect())?;
        }
        let mut known = raw.cgroups.clone();
        let mut steps = Vec::new();
        for text in &raw.steps {
            let commands = text.split(';').map(|c| command(c.trim(), &tasks, &mut known));
            let commands: Vec<Command> = commands.collect::<Result<_, _>>()?;
            for command in &commands {
                match command {
                    Command::Task(_, Order::Cpus(cpus)) => check(text, cpus.iter().collect())?,
                    Command::Cpu { cpu, .. } => check(text, vec![CpuId(*cpu)])?,
                    _ => {}
                }
            }
            steps.push(commands);
        }
        let Raw {
            about,
            machine,
            settings,
            ops_flags,
            without,
            ops,
            cgroups,
            ends,
            hide_cpus,
            counters,
            rest_ms,
            ..
        } = raw;
        Ok(Self {
            about,
            machine,
            settings,
            ops_flags,
            without,
            ops,
            cgroups,
            ends,
            hide_cpus,
            counters,
            rest_ms,
            tasks,
            steps,
        })
    }

    /// Whether the test scheduler comes into charge in one of the steps.
    pub fn attaches_late(&self) -> bool {
        self.steps.iter().flatten().any(|command| *command == Command::Attach)
    }
}

/// Reads a command. `cgroups` are the paths of all that there were so far.
fn command(
    text: &str,
    tasks: &[TaskSpec],
    cgroups: &mut Vec<String>,
) -> Result<Command, ScenarioError> {
    let unknown = || ScenarioError::Command(text.to_owned());
    let words: Vec<&str> = text.split_whitespace().collect();
    if let ["cgroup", path, change @ ..] = &words[..] {
        let change = CgroupChange::from_words(change).ok_or_else(unknown)?;
        if change == CgroupChange::Make {
            cgroups.push((*path).to_owned());
        }
        let path = known(text, path, cgroups)?;
        return Ok(Command::Cgroup(path, change));
    }
    if let ["all", "cgroup", path] = words[..] {
        return Ok(Command::Move(None, known(text, path, cgroups)?));
    }
    if let ["cpu", cpu, state @ ("online" | "offline")] = words[..] {
        let cpu = cpu.parse().map_err(|_| unknown())?;
        return Ok(Command::Cpu { cpu, online: state == "online" });
    }
    match words[..] {
        ["attach"] => return Ok(Command::Attach),
        ["detach"] => return Ok(Command::Detach),
        ["sysrq"] => return Ok(Command::Sysrq),
        ["wait", ms] => return Ok(Command::Wait(ms.parse().map_err(|_| unknown())?)),
        _ => {}
    }
    let task = words.first().and_then(|name| tasks.iter().position(|t| t.name == *name));
    let task = || task.ok_or_else(|| ScenarioError::Task(text.to_owned()));
    if let [_, "cgroup", path] = words[..] {
        return Ok(Command::Move(Some(task()?), known(text, path, cgroups)?));
    }
    let order = match words[..] {
        [_, "pulse"] => Order::Pulse,
        [_, "spin"] => Order::Spin,
        [_, "sleep"] => Order::Sleep,
        [_, "yield"] => Order::Yield,
        [_, "exit"] => Order::Exit,
        [_, "fork", count] => Order::Fork(count.parse().map_err(|_| unknown())?),
        [_, "nice", value] => Order::Nice(value.parse().map_err(|_| unknown())?),
        [_, "cpus", list] => Order::Cpus(CpuMask::from_list(list).map_err(|_| unknown())?),
        _ => return Err(unknown()),
    };
    Ok(Command::Task(task()?, order))
}

/// The path of a cgroup that there was so far, or of the root.
fn known(command: &str, path: &str, cgroups: &[String]) -> Result<String, ScenarioError> {
    let there = path == "/" || cgroups.iter().any(|known| known == path);
    there.then(|| path.to_owned()).ok_or_else(|| ScenarioError::Cgroup(command.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(steps: &str) -> Result<Scenario, ScenarioError> {
        Scenario::from_toml(&format!(
            "about = 'x'\nmachine = '2c'\nsteps = [{steps}]\n[tasks]\nA = '1'\nB = '0-1'\n"
        ))
    }

    #[test]
    fn steps_have_commands() {
        let found = scenario("'A spin; B pulse', 'B nice -5', 'cpu 1 offline'").unwrap();
        let spin = Command::Task(0, Order::Spin);
        let pulse = Command::Task(1, Order::Pulse);
        assert_eq!(found.steps[0], [spin, pulse]);
        assert_eq!(found.steps[1], [Command::Task(1, Order::Nice(-5))]);
        assert_eq!(found.steps[2], [Command::Cpu { cpu: 1, online: false }]);
    }

    #[test]
    fn cgroups_are_made_before_they_are_used() {
        let found = scenario("'cgroup G make; A cgroup G', 'cgroup G max 5 10', 'all cgroup /'");
        let found = found.unwrap();
        let make = Command::Cgroup("G".into(), CgroupChange::Make);
        let max = CgroupChange::Max { quota_us: Some(5), period_us: 10 };
        assert_eq!(found.steps[0], [make, Command::Move(Some(0), "G".into())]);
        assert_eq!(found.steps[1], [Command::Cgroup("G".into(), max)]);
        assert_eq!(found.steps[2], [Command::Move(None, "/".into())]);
        let command = "A cgroup G".to_owned();
        assert_eq!(scenario("'A cgroup G'"), Err(ScenarioError::Cgroup(command)));
        let command = "cgroup G idle 2".to_owned();
        assert_eq!(scenario("'cgroup G idle 2'"), Err(ScenarioError::Command(command)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(scenario("'A jump'"), Err(ScenarioError::Command("A jump".into())));
        assert_eq!(scenario("'C spin'"), Err(ScenarioError::Task("C spin".into())));
        for (steps, cpu) in [("'A spin', 'A cpus 0,2'", 2), ("'cpu 4294967295 offline'", u32::MAX)]
        {
            let error = scenario(steps).unwrap_err().to_string();
            assert!(error.ends_with(&format!(": the machine 2c has no CPU {cpu}")), "{error}");
        }
        let text = Scenario::from_toml("about = 3").unwrap_err().to_string();
        assert!(text.contains("line 1"), "{text}");
        let text = "about = 'x'\nmachine = '1c'\nsteps = []\ntasks = { A = 'first' }\n";
        let error = Scenario::from_toml(text).unwrap_err().to_string();
        assert_eq!(
            error,
            "task A: 'first' is no list of CPUs; write it like 0,2-3 or realtime 0,2-3"
        );
    }
}
