// SPDX-License-Identifier: GPL-2.0-or-later
//! The text of the kernel's own tracing, for the tools that read it: what `trace` of tracefs shows
//! with the option `record-tgid`, and times in ns.
//!
//! It has what the kernel has tracepoints for: switches, wake-ups, migrations, forks, ends,
//! frequencies, and losses. Queues and callbacks of sched_ext are not in it.

use crate::FREQUENCY;
use rota_events::{CpuNumber, Event, Leaves, Tables, TaskInfo, TaskRef, What};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// The lines over the events, by which tools know the columns.
pub(crate) const HEADER: &str = "\
# tracer: nop
#
# entries-in-buffer/entries-written: 0/0   #P:0
#
#           TASK-PID       TGID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |            |        |   |||||     |         |
";

/// The kernel's priority of nice 0.
const PRIORITY: i64 = 120;

/// Writes events as text of the kernel.
#[derive(Debug, Default)]
pub(crate) struct Ftrace {
    running: BTreeMap<CpuNumber, TaskRef>,
    /// Tasks that were born, and were not woken up yet.
    born: BTreeSet<TaskRef>,
    /// Where each task was last.
    places: BTreeMap<TaskRef, CpuNumber>,
    /// Nice values, as far as they are told.
    nice: BTreeMap<TaskRef, i32>,
}

impl Ftrace {
    /// Writes those of the events that the kernel has tracepoints for.
    pub(crate) fn write(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        events: &[Event],
    ) -> io::Result<()> {
        for event in events {
            match event.what() {
                What::Lost { events } => {
                    self.running.remove(&event.cpu);
                    writeln!(out, "CPU:{} [LOST {events} EVENTS]", event.cpu.0)?;
                }
                What::Weight { nice, .. } => {
                    self.nice.insert(event.task, nice);
                }
                _ => self.one(out, tables, event)?,
            }
        }
        Ok(())
    }

    fn one(&mut self, out: &mut dyn Write, tables: &Tables, event: &Event) -> io::Result<()> {
        let name = |task| Name::of(task, event.cpu, tables);
        let (task, prio) = (name(event.task), self.priority(event.task));
        let running = self.running.get(&event.cpu).copied().unwrap_or_default();
        // Who is on the CPU, whether in an interrupt, and what is said.
        let (on, interrupt, says) = match event.what() {
            What::Switch { from, leaves } => {
                self.running.insert(event.cpu, event.task);
                self.places.insert(event.task, event.cpu);
                let (before, before_prio) = (name(from), self.priority(from));
                // The idle task always wants to run.
                let state = if from.is_some() { leaves } else { Leaves::Runnable }.letter();
                let says = format!(
                    "sched_switch: prev_comm={} prev_pid={} prev_prio={before_prio} \
                     prev_state={state} ==> next_comm={} next_pid={} next_prio={prio}",
                    before.comm, before.pid, task.comm, task.pid
                );
                (from, false, says)
            }
            What::Waking { waker } => {
                let on = if waker.is_some() { waker } else { running };
                let place = self.places.get(&event.task).copied().unwrap_or(event.cpu);
                let says = woken("sched_waking", &task, prio, place);
                (on, waker != on, says)
            }
            What::Wakeup { on: at, waker } => {
                let is_new = self.born.remove(&event.task);
                let says = if is_new { "sched_wakeup_new" } else { "sched_wakeup" };
                self.places.insert(event.task, at);
                let on = if waker.is_some() { waker } else { running };
                (on, waker != on, woken(says, &task, prio, at))
            }
            What::Migrate { from, to } => {
                self.places.insert(event.task, to);
                let says = format!(
                    "sched_migrate_task: comm={} pid={} prio={prio} orig_cpu={} dest_cpu={}",
                    task.comm, task.pid, from.0, to.0
                );
                (running, false, says)
            }
            What::Fork { parent, .. } => {
                self.born.insert(event.task);
                let from = name(parent);
                let says = format!(
                    "sched_process_fork: comm={} pid={} child_comm={} child_pid={}",
                    from.comm, from.pid, task.comm, task.pid
                );
                (parent, false, says)
            }
            What::Exit => {
                let says = format!(
                    "sched_process_exit: comm={} pid={} prio={prio} group_dead={}",
                    task.comm,
                    task.pid,
                    task.pid == task.tgid
                );
                (event.task, false, says)
            }
            What::Counter { name, value } if tables.text_of(name) == FREQUENCY => {
                let says = format!("cpu_frequency: state={value} cpu_id={}", event.cpu.0);
                (running, false, says)
            }
            _ => return Ok(()),
        };
        line(out, event, &name(on), interrupt, &says)
    }

    fn priority(&self, task: TaskRef) -> i64 {
        PRIORITY + i64::from(self.nice.get(&task).copied().unwrap_or(0))
    }
}

/// Writes a line: who is on the CPU, whether in an interrupt, and what is said.
fn line(
    out: &mut dyn Write,
    event: &Event,
    on: &Name,
    interrupt: bool,
    says: &str,
) -> io::Result<()> {
    let flags = if interrupt { "d.h2." } else { "d..2." };
    let (seconds, rest) = (event.time_ns / 1_000_000_000, event.time_ns % 1_000_000_000);
    let cpu = event.cpu.0;
    let comm = if on.pid == 0 { "<idle>" } else { on.comm.as_str() };
    writeln!(
        out,
        "{comm:>16}-{:<7} ({:>7}) [{cpu:03}] {flags} {seconds:>5}.{rest:09}: {says}",
        on.pid, on.tgid
    )
}

fn woken(event: &str, task: &Name, prio: i64, on: CpuNumber) -> String {
    format!("{event}: comm={} pid={} prio={prio} target_cpu={:03}", task.comm, task.pid, on.0)
}

/// How the kernel names a task.
struct Name {
    comm: String,
    pid: i32,
    tgid: i32,
}

impl Name {
    fn of(task: TaskRef, cpu: CpuNumber, tables: &Tables) -> Self {
        match tables.task_of(task) {
            Some(&TaskInfo { pid, tgid, name, .. }) => {
                // A line break would end the line.
                let comm = tables.text_of(name).replace(['\n', '\r'], "?");
                Self { comm, pid, tgid }
            }
            None if task.is_some() => {
                Self { comm: "<...>".to_owned(), pid: task.0.cast_signed(), tgid: 0 }
            }
            None => Self { comm: format!("swapper/{}", cpu.0), pid: 0, tgid: 0 },
        }
    }
}
