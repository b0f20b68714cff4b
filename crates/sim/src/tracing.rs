// SPDX-License-Identifier: GPL-2.0-or-later
//! Programs on the scheduler's tracepoints (kernel: `include/trace/events/sched.h`): what sits on
//! `tp_btf/sched_switch` or `raw_tp/sched_switch` is called with what the kernel gives it.

use crate::machine::Machine;
use crate::run::Stop;
use crate::sched::TaskId;
use rota_object::FunctionId;

/// A tracepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracepoint {
    /// `(preempt, prev, next, prev_state)`, before the switch.
    Switch,
    /// `(task)`: somebody wants it to wake up.
    Waking,
    /// `(task)`: it is awake.
    Wakeup,
    /// `(task)`: it is about to end.
    ProcessExit,
}

const NAMES: [(Tracepoint, &str); 4] = [
    (Tracepoint::Switch, "sched_switch"),
    (Tracepoint::Waking, "sched_waking"),
    (Tracepoint::Wakeup, "sched_wakeup"),
    (Tracepoint::ProcessExit, "sched_process_exit"),
];

/// Kinds of sections whose programs get a tracepoint's arguments as words.
const KINDS: [&str; 3] = ["tp_btf/", "raw_tp/", "raw_tracepoint/"];

impl Tracepoint {
    /// The one that a program of this section sits on, if it is simulated.
    fn of_section(section: &str) -> Option<Self> {
        let name = KINDS.iter().find_map(|kind| section.strip_prefix(kind))?;
        NAMES.iter().find(|(_, known)| *known == name).map(|(point, _)| *point)
    }
}

/// Whether a program of this section is called here once it is attached.
pub fn has_hook(section: &str) -> bool {
    Tracepoint::of_section(section).is_some()
}

/// What sits on each tracepoint.
#[derive(Debug, Default)]
pub(crate) struct Tracing {
    programs: [Vec<FunctionId>; NAMES.len()],
}

impl Tracing {
    /// Attaches a program of a section; whether there is what it sits on.
    pub(crate) fn attach(&mut self, section: &str, program: FunctionId) -> bool {
        let point = Tracepoint::of_section(section);
        if let Some(point) = point {
            self.programs[point as usize].push(program);
        }
        point.is_some()
    }
}

impl Machine {
    /// Something happens that programs may have asked to be told of.
    pub(crate) fn trace(&mut self, point: Tracepoint, words: &[u64]) -> Result<(), Stop> {
        let mut at = 0;
        while let Some(program) = self.tracing.programs[point as usize].get(at).copied() {
            self.run_with_context(program, words)?;
            at += 1;
        }
        Ok(())
    }

    /// The same for what is about one task.
    pub(crate) fn trace_task(&mut self, point: Tracepoint, task: TaskId) -> Result<(), Stop> {
        let address = self.sched.task(task).address;
        self.trace(point, &[address])
    }

    /// A CPU is about to switch; `None` is its idle task.
    pub(crate) fn trace_switch(
        &mut self,
        cpu: u32,
        previous: Option<TaskId>,
        next: Option<TaskId>,
    ) -> Result<(), Stop> {
        if self.tracing.programs[Tracepoint::Switch as usize].is_empty() {
            return Ok(());
        }
        let idle = self.tasks.idle.get(cpu as usize).copied().unwrap_or(0);
        let address = |task: Option<TaskId>| {
            task.map_or(idle, |task| self.sched.tasks[task.0 as usize].address)
        };
        // Until the switch it is the current task; where none of the scheduler's runs, the idle one
        // or who drives the machine, who goes to sleep then.
        let current = self.current();
        let runnable = match previous {
            Some(task) => self.sched.tasks[task.0 as usize].queued,
            None => current == idle,
        };
        // Its state: running, or asleep (kernel: `TASK_RUNNING`, `TASK_INTERRUPTIBLE`).
        let words = [u64::from(runnable), current, address(next), u64::from(!runnable)];
        self.trace(Tracepoint::Switch, &words)
    }
}
