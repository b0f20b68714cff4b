// SPDX-License-Identifier: GPL-2.0-or-later
//! Recording what happens on a machine, for whoever wants to know.
//!
//! The core says what happens by `Machine::record`. While nobody listens, that is one comparison.
//! Whoever drives the machine takes the events away from time to time; until then they are kept.

use crate::machine::Machine;
use crate::sched::{Op, QueueId, TaskId, flags};
use rota_events::{
    CpuNumber, CpuPlace, DsqId, Event, MachineFacts, Tables, TaskInfo, TaskRef, TextRef, What,
};
use rota_object::{KernelTypes, Table};
use rota_topology::{CpuId, CpuMask, Topology};

/// What has been recorded.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    events: Vec<Event>,
    tables: Tables,
    /// What is known of each task, by its number for the scheduler.
    tasks: Vec<Known>,
}

/// What is known of a task.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Its number in the recording, once it was met.
    number: TaskRef,
    group: TextRef,
    /// When the scheduler was last told that it runs.
    running_since_ns: u64,
}

/// The place of each CPU of a machine, as a recording has it.
pub fn cpu_places(topology: &Topology) -> Vec<CpuPlace> {
    let last = topology.possible().last().map_or(0, |cpu| cpu.0);
    let place = |cpu| {
        let found = topology.place(CpuId(cpu));
        let place =
            |p: rota_topology::Place| CpuPlace { core: p.core.0, llc: p.llc.0, node: p.node.0 };
        found.map(place).unwrap_or_default()
    };
    (0..=last).map(place).collect()
}

/// The facts about a machine that stand in a recording: the kernel whose types it has, and where
/// its CPUs are.
pub fn machine_facts(types: &KernelTypes, topology: &Topology) -> MachineFacts {
    MachineFacts {
        kernel: types.name().to_owned(),
        clock: "virtual".to_owned(),
        cpus: cpu_places(topology),
        ..MachineFacts::default()
    }
}

/// The queue as recordings have it.
pub(crate) fn dsq(queue: QueueId) -> DsqId {
    match queue {
        QueueId::Local(cpu) => DsqId::local(CpuNumber(cpu)),
        QueueId::Global => DsqId::GLOBAL,
        QueueId::Bypass(cpu) => DsqId(crate::sched::BYPASS | u64::from(cpu) << 32),
        QueueId::User(id) => DsqId(id),
    }
}

/// How many CPUs a mask has, and the first 64 as bits.
pub(crate) fn affinity(cpus: &CpuMask) -> What {
    let bits = cpus.iter().take_while(|cpu| cpu.0 < 64).fold(0, |bits, cpu| bits | 1 << cpu.0);
    What::Affinity { cpus: cpus.count() as u32, first: bits }
}

impl Machine {
    /// Records events from now on, for [`Machine::take_events`].
    /// CPUs that are offline are told first, as if they went now.
    pub fn start_recording(&mut self) {
        if self.recorder.is_some() {
            return;
        }
        self.recorder = Some(Box::default());
        let here = self.cpu;
        for cpu in 0..self.shape.cpus {
            if !self.sched.online.contains(CpuId(cpu)) {
                self.cpu = cpu;
                self.record(None, What::Hotplug { online: false });
            }
        }
        self.cpu = here;
    }

    /// The events since the last call, or since the recording started. Take them often: all are
    /// kept until then.
    pub fn take_events(&mut self) -> Vec<Event> {
        let Some(recorder) = &mut self.recorder else { return Vec::new() };
        // There will be about as many again.
        let room = Vec::with_capacity(recorder.events.len());
        std::mem::replace(&mut recorder.events, room)
    }

    /// What the numbers in the events stand for; `None` if nothing is recorded.
    pub fn tables(&self) -> Option<&Tables> {
        self.recorder.as_ref().map(|recorder| &recorder.tables)
    }

    /// Records what happens on the CPU that executes, now.
    #[inline]
    pub(crate) fn record(&mut self, task: Option<TaskId>, what: What) {
        if self.recorder.is_some() {
            self.keep(task, what);
        }
    }

    #[cold]
    fn keep(&mut self, task: Option<TaskId>, what: What) {
        let number = self.recorded(task);
        let event = Event::new(self.now_ns, CpuNumber(self.cpu), number, what);
        if let Some(recorder) = &mut self.recorder {
            recorder.events.push(event);
        }
    }

    /// The number of a task in the recording, which meets it now if it has not before.
    pub(crate) fn recorded(&mut self, task: Option<TaskId>) -> TaskRef {
        let (Some(task), Some(recorder)) = (task, &self.recorder) else { return TaskRef::NONE };
        let known = recorder.tasks.get(task.0 as usize).copied().unwrap_or_default();
        if known.number.is_some() {
            return known.number;
        }
        self.meet(task, known)
    }

    /// A number of the scheduler stands for a new task.
    pub(crate) fn record_new(&mut self, task: TaskId, parent: Option<TaskId>) {
        if let Some(recorder) = &mut self.recorder {
            if let Some(known) = recorder.tasks.get_mut(task.0 as usize) {
                *known = Known::default();
            }
            let parent = self.recorded(parent);
            self.record(Some(task), What::Fork { parent, partners: 0 });
        }
    }

    /// A task has another name from now on.
    pub(crate) fn record_rename(&mut self, task: TaskId) {
        let known = self.recorder.as_ref().and_then(|r| r.tasks.get(task.0 as usize)).copied();
        if let Some(known) = known.filter(|known| known.number.is_some()) {
            self.meet(task, known);
        }
    }

    /// A task belongs to a group from now on.
    pub(crate) fn record_group(&mut self, task: TaskId, group: &str) {
        self.recorded(Some(task));
        if let Some(recorder) = &mut self.recorder {
            let group = recorder.tables.text(group);
            let known = &mut recorder.tasks[task.0 as usize];
            known.group = group;
            let known = *known;
            self.meet(task, known);
        }
    }

    /// A scheduler is put in charge.
    pub(crate) fn record_attach(&mut self, table: &Table, types: &KernelTypes) {
        let Some(recorder) = &mut self.recorder else { return };
        let member = crate::layout::ops_member(types, "name").ok();
        let name =
            member.and_then(|m| table.bytes.get(m.offset as usize..)?.get(..m.size as usize));
        let name = name.unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
        let scheduler = recorder.tables.text(&String::from_utf8_lossy(name));
        self.record(None, What::Attach { scheduler });
    }

    /// The scheduler ends.
    pub(crate) fn record_detach(&mut self, kind: u64, code: i64, message: &str) {
        if let Some(recorder) = &mut self.recorder {
            let message = recorder.tables.text(message);
            self.record(None, What::Detach { message, kind, code });
        }
    }

    /// Writes down who a task is.
    fn meet(&mut self, task: TaskId, known: Known) -> TaskRef {
        let (name, pid) = self.comm_and_pid(task);
        let (address, layout) = (self.sched.task(task).address, &self.layout.task);
        let word = |field: crate::layout::Field| field.get(&self.memory, address).unwrap_or(0);
        let (tgid, start_ns) = (word(layout.tgid), word(layout.start_time));
        let Some(recorder) = &mut self.recorder else { return TaskRef::NONE };
        let name = recorder.tables.text(&name);
        let (pid, tgid) = ((pid as u32).cast_signed(), (tgid as u32).cast_signed());
        let number =
            recorder.tables.task(TaskInfo { pid, tgid, start_ns, name, group: known.group });
        let at = task.0 as usize;
        if recorder.tasks.len() <= at {
            recorder.tasks.resize(at + 1, Known::default());
        }
        recorder.tasks[at] = Known { number, ..known };
        number
    }

    /// Records that a callback is called for a task, whether the scheduler has it or not.
    #[inline]
    pub(crate) fn record_op(&mut self, op: Op, task: TaskId, arg: u64) {
        if self.recorder.is_some()
            && let Some(what) = self.called(op, task, arg)
        {
            self.keep(Some(task), what);
        }
    }

    fn called(&mut self, op: Op, task: TaskId, arg: u64) -> Option<What> {
        self.recorded(Some(task));
        let (now, slice_ns) = (self.now_ns, self.slice(task));
        let known = self.recorder.as_mut()?.tasks.get_mut(task.0 as usize)?;
        Some(match op {
            Op::Runnable => What::Runnable { flags: arg },
            Op::Quiescent => What::Quiescent { flags: arg, sleeps: arg & flags::SLEEP != 0 },
            Op::Enqueue => What::Enqueue { flags: arg },
            Op::Dequeue => What::Dequeue { flags: arg },
            Op::Tick => What::Tick { slice_ns },
            Op::Running => {
                known.running_since_ns = now;
                What::Running { slice_ns }
            }
            Op::Stopping => {
                let ran_ns = now - known.running_since_ns;
                What::Stopping { ran_ns, runnable: arg != 0 }
            }
            _ => return None,
        })
    }
}
