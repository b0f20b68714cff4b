// SPDX-License-Identifier: GPL-2.0-or-later
//! Scenarios: files in TOML that say which tasks there are and what they are told to do.

use rota_topology::CpuMask;
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
        "'{0}' is no command; there are: TASK pulse, spin, sleep, yield, exit, nice N, cpus LIST, \
         and cpu N offline or online"
    )]
    Command(String),
    /// A command for a task that there is not.
    #[error("'{0}': there is no such task")]
    Task(String),
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
    /// Flags of its table of callbacks, beside its own.
    pub ops_flags: u64,
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
    tasks: BTreeMap<String, String>,
    steps: Vec<String>,
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
        let step = |text: &String| text.split(';').map(|c| command(c.trim(), &tasks)).collect();
        let steps = raw.steps.iter().map(step).collect::<Result<Vec<_>, _>>()?;
        let Raw { about, machine, settings, ops_flags, .. } = raw;
        Ok(Self { about, machine, settings, ops_flags, tasks, steps })
    }
}

fn command(text: &str, tasks: &[TaskSpec]) -> Result<Command, ScenarioError> {
    let unknown = || ScenarioError::Command(text.to_owned());
    let words: Vec<&str> = text.split_whitespace().collect();
    if let ["cpu", cpu, state @ ("online" | "offline")] = words[..] {
        let cpu = cpu.parse().map_err(|_| unknown())?;
        return Ok(Command::Cpu { cpu, online: state == "online" });
    }
    let order = match words[..] {
        [_, "pulse"] => Order::Pulse,
        [_, "spin"] => Order::Spin,
        [_, "sleep"] => Order::Sleep,
        [_, "yield"] => Order::Yield,
        [_, "exit"] => Order::Exit,
        [_, "nice", value] => Order::Nice(value.parse().map_err(|_| unknown())?),
        [_, "cpus", list] => Order::Cpus(CpuMask::from_list(list).map_err(|_| unknown())?),
        _ => return Err(unknown()),
    };
    let found = words.first().and_then(|name| tasks.iter().position(|t| t.name == *name));
    found.map(|task| Command::Task(task, order)).ok_or(ScenarioError::Task(text.to_owned()))
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
    fn what_is_wrong_is_named() {
        assert_eq!(scenario("'A jump'"), Err(ScenarioError::Command("A jump".into())));
        assert_eq!(scenario("'C spin'"), Err(ScenarioError::Task("C spin".into())));
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
