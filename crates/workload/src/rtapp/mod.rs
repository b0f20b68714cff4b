// SPDX-License-Identifier: GPL-2.0-or-later
//! Workload files in rt-app's grammar (<https://github.com/scheduler-tools/rt-app>): tasks, each a
//! sequence of phases, each a sequence of actions.
//!
//! [`RtApp::parse`] keeps what the file says, so that the same file can be run for real;
//! [`RtApp::workload`] makes tasks for a simulated machine of it. What is wrong is told with its
//! line and column, and so is what can't be modelled.

mod json;
mod read;
mod tasks;

use rota_topology::CpuMask;
use std::collections::BTreeMap;
use std::fmt;

/// A place in a file, counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

/// What is wrong at a place of a file, or not modelled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Where.
    pub at: Position,
    /// What.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.at.line, self.at.column, self.text)
    }
}

/// Everything that is wrong with a file, in the order of places: at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RtAppError(pub Vec<Remark>);

impl fmt::Display for RtAppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, more) = (self.0.first(), self.0.len().saturating_sub(1));
        first.map_or(Ok(()), |first| write!(f, "{first}"))?;
        if more > 0 { write!(f, " (and {more} more)") } else { Ok(()) }
    }
}

/// A scheduling policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// `SCHED_OTHER`.
    Other,
    /// `SCHED_BATCH`.
    Batch,
    /// `SCHED_IDLE`.
    Idle,
    /// `SCHED_FIFO`.
    Fifo,
    /// `SCHED_RR`.
    RoundRobin,
    /// `SCHED_DEADLINE`.
    Deadline,
}

/// What holds for all tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// For how long it all runs, in s; `None` until everybody has ended.
    pub duration_s: Option<u64>,
    /// The policy of tasks that have none of their own.
    pub policy: Policy,
    /// What `run` is measured by, in ns for each loop, if it is not to be found out.
    pub calibration_ns: Option<u64>,
    /// Whether locks inherit priority.
    pub inherits_priority: bool,
    /// The file that `iorun` writes to.
    pub io_device: String,
    /// The size of the memory that `mem` writes to, in bytes.
    pub mem_buffer_bytes: u64,
}

/// How often something is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loops {
    /// So many times.
    Times(u32),
    /// Without end.
    Forever,
}

/// How a task is scheduled; what is not said stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The policy.
    pub policy: Option<Policy>,
    /// The nice value, or the priority of a real-time task.
    pub priority: Option<i32>,
    /// The CPUs that it may run on.
    pub cpus: Option<CpuMask>,
    /// Runtime, period and deadline of a deadline task, in µs.
    pub deadline_us: [Option<u64>; 3],
    /// The least and the greatest utilisation that it counts as, in parts of 1024.
    pub clamp: [Option<u32>; 2],
    /// Its cgroup.
    pub group: Option<String>,
    /// The nodes that its memory comes from.
    pub memory_nodes: Option<Vec<u32>>,
    /// Where each of these is said, by its key.
    pub places: BTreeMap<String, Position>,
}

/// What a task does. Times are in µs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Computes what takes so long on the fastest CPU.
    Run(u64),
    /// Is busy for so long.
    Runtime(u64),
    /// Sleeps.
    Sleep(u64),
    /// Sleeps until a timer fires.
    Timer {
        /// The timer.
        name: String,
        /// From one time to the next.
        period_us: u64,
        /// Whether each task has such a timer of its own.
        unique: bool,
        /// Whether it fires as if it had never been late.
        absolute: bool,
    },
    /// Locks a mutex.
    Lock(String),
    /// Unlocks it.
    Unlock(String),
    /// Waits for a condition, while a mutex is unlocked.
    Wait(String, String),
    /// Signals a condition.
    Signal(String),
    /// Wakes all who wait for a condition.
    Broadcast(String),
    /// Signals a condition and waits for it, while a mutex is unlocked.
    Sync(String, String),
    /// Waits until all whom the barrier concerns are there.
    Barrier(String),
    /// Waits to be resumed, by the name of its task if it gives no other.
    Suspend(Option<String>),
    /// Resumes those who wait by a name.
    Resume(String),
    /// Gives way.
    Yield,
    /// Starts a task of another kind.
    Fork(String),
    /// Counts a semaphore up.
    Post(String),
    /// Counts a semaphore down, or waits.
    Take(String),
    /// Writes so many bytes to memory.
    Memory(u64),
    /// Writes so many bytes to the device.
    Io(u64),
    /// Reads, writes or follows pointers in memory: how, the size in bytes, and how often.
    MemoryRun(String, u64, u64),
}

/// A sequence of actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// How often they are done.
    pub loops: Loops,
    /// What changes before they are.
    pub settings: Settings,
    /// The actions, each with its place.
    pub actions: Vec<(Position, Action)>,
    /// Where it stands.
    pub at: Position,
}

/// A kind of task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// How many there are from the start.
    pub instances: u32,
    /// How long they wait before they begin, in µs.
    pub delay_us: u64,
    /// How they are scheduled.
    pub settings: Settings,
    /// How often the phases are gone through.
    pub loops: Loops,
    /// The phases.
    pub phases: Vec<Phase>,
    /// Where it stands.
    pub at: Position,
}

/// A workload file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtApp {
    /// What holds for all tasks.
    pub global: Global,
    /// The kinds of tasks.
    pub tasks: Vec<Task>,
    /// What may not be what was meant.
    pub warnings: Vec<Remark>,
}
