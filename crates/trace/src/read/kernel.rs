// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel's tracepoints of scheduling and of frequencies say, whichever tool has written it down, as events.

use crate::FREQUENCY;
use rota_events::{CpuNumber, Event, Leaves, Paged, Tables, TaskInfo, TaskRef, What};
use std::collections::BTreeMap;

/// Something that a tracepoint said, or that is known to be missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traced<'a> {
    /// When, in ns.
    pub(super) time_ns: u64,
    /// Where.
    pub(super) cpu: u32,
    /// Who ran there; 0 is nobody.
    pub(super) current: i32,
    /// It was said in the middle of a hardware interrupt, so who ran there has nothing to do with
    /// it. Software interrupts are not counted: they are often the end of what a task asked for.
    pub(super) interrupt: bool,
    /// What.
    pub(super) point: Point<'a>,
}

/// A task as tracepoints name it: thread id, and name without its zeroes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) pid: i32,
    pub(super) name: &'a [u8],
}

/// What the tracepoints say that make events, by their names (kernel:
/// `include/trace/events/sched.h`, `task.h`, `power.h`). The CPU of a frequency need not be
/// the one that says it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Point<'a> {
    Switch { from: Named<'a>, leaves: Leaves, to: Named<'a> },
    Waking { task: Named<'a> },
    Wakeup { task: Named<'a>, on: u32 },
    WakeupNew { task: Named<'a>, on: u32 },
    Migrate { task: Named<'a>, from: u32, to: u32 },
    Fork { parent: Named<'a>, child: Named<'a> },
    Rename { task: Named<'a> },
    Exit { task: Named<'a> },
    Frequency { cpu: u32, khz: u64 },
    Lost { events: u64 },
}

/// What is known of who has a thread id; no task, if nobody has it.
#[derive(Debug, Clone, Default)]
struct Holder {
    task: TaskRef,
    tgid: i32,
    name: Vec<u8>,
}

/// Makes events of what tracepoints say, and knows who has which thread id.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    tables: Tables,
    holders: Paged<Holder>,
    /// Processes of threads that are about to be born.
    unborn: BTreeMap<i32, i32>,
}

impl Kernel {
    /// What numbers in the events stand for.
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Says which process a thread belongs to, if that is known, and what it may be called: a name
    /// that is not as good as one that tracepoints tell, but better than none.
    pub(super) fn thread(&mut self, pid: i32, tgid: Option<i32>, name: &[u8]) {
        let known = self.holders.entry(pid.cast_unsigned());
        let is_news = known.name.is_empty() && !name.is_empty();
        if known.task.is_some() && tgid.is_none_or(|tgid| tgid == known.tgid) && !is_news {
            return;
        }
        let name = if known.name.is_empty() { name } else { &[] };
        let task = self.task(Named { pid, name });
        let known = self.holders.entry(pid.cast_unsigned());
        if let (Some(tgid), Some(info)) = (tgid, self.tables.task_of(task).copied()) {
            known.tgid = tgid;
            self.tables.task(TaskInfo { tgid, ..info });
        }
    }

    /// Says which process a thread will belong to that is about to be born.
    pub(super) fn forked(&mut self, pid: i32, tgid: i32) {
        self.unborn.insert(pid, tgid);
    }

    /// Adds the event that this is.
    pub(super) fn add(&mut self, traced: &Traced<'_>, events: &mut Vec<Event>) {
        let &Traced { time_ns, cpu, current, interrupt, point } = traced;
        let waker = Named { pid: if interrupt { 0 } else { current }, name: &[] };
        let (task, what) = match point {
            Point::Switch { from, leaves, to } => {
                let from = self.task(from);
                (self.task(to), What::Switch { from, leaves })
            }
            Point::Waking { task } => (self.task(task), What::Waking { waker: self.task(waker) }),
            Point::Wakeup { task, on } | Point::WakeupNew { task, on } => {
                let what = What::Wakeup { on: CpuNumber(on), waker: self.task(waker) };
                (self.task(task), what)
            }
            Point::Migrate { task, from, to } => {
                (self.task(task), What::Migrate { from: CpuNumber(from), to: CpuNumber(to) })
            }
            Point::Fork { parent, child } => {
                let parent_pid = parent.pid;
                let parent = self.task(parent);
                // It begins with its parent's name.
                let name = self.holders.entry(parent_pid.cast_unsigned()).name.clone();
                let name = if child.name.is_empty() { &name } else { child.name };
                (self.born(Named { name, ..child }, time_ns), What::Fork { parent })
            }
            Point::Rename { task } => {
                self.task(task);
                return;
            }
            Point::Exit { task } => (self.task(task), What::Exit),
            Point::Frequency { cpu, khz } => {
                let what = What::Counter { name: self.tables.text(FREQUENCY), value: khz };
                events.push(Event::new(time_ns, CpuNumber(cpu), TaskRef::NONE, what));
                return;
            }
            Point::Lost { events } => (TaskRef::NONE, What::Lost { events }),
        };
        events.push(Event::new(time_ns, CpuNumber(cpu), task, what));
    }

    /// Who has a thread id, under this name from now on; an empty name says nothing.
    fn task(&mut self, named: Named<'_>) -> TaskRef {
        let Named { pid, name } = named;
        if pid == 0 {
            return TaskRef::NONE;
        }
        let known = self.holders.entry(pid.cast_unsigned());
        if !known.task.is_some() {
            return self.new_holder(named, pid, 0);
        }
        if !name.is_empty() && known.name != name {
            known.name = name.to_vec();
            let text = self.tables.text(&String::from_utf8_lossy(name));
            if let Some(info) = self.tables.task_of(known.task).copied() {
                self.tables.task(TaskInfo { name: text, ..info });
            }
        }
        known.task
    }

    /// Somebody new has a thread id. Whether it is a thread of its parent's process is not said: it
    /// is taken for a process until [`Kernel::thread`] tells.
    fn born(&mut self, child: Named<'_>, time_ns: u64) -> TaskRef {
        if child.pid == 0 {
            return TaskRef::NONE;
        }
        let tgid = self.unborn.remove(&child.pid).unwrap_or(child.pid);
        self.new_holder(child, tgid, time_ns)
    }

    fn new_holder(&mut self, named: Named<'_>, tgid: i32, start_ns: u64) -> TaskRef {
        let name = self.tables.text(&String::from_utf8_lossy(named.name));
        let info = TaskInfo { pid: named.pid, tgid, start_ns, name, ..TaskInfo::default() };
        let task = self.tables.task(info);
        let holder = Holder { task, tgid, name: named.name.to_vec() };
        *self.holders.entry(named.pid.cast_unsigned()) = holder;
        task
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pid: i32, name: &str) -> Named<'_> {
        Named { pid, name: name.as_bytes() }
    }

    #[test]
    fn who_has_an_id_has_its_latest_name_until_it_is_born_again() {
        let (mut kernel, mut events) = (Kernel::default(), Vec::new());
        let at = |time_ns, current, point| Traced {
            time_ns,
            cpu: 0,
            current,
            interrupt: current == 9,
            point,
        };
        kernel.add(&at(1, 7, Point::Waking { task: named(8, "a") }), &mut events);
        kernel.thread(8, Some(7), b"other");
        kernel.add(&at(2, 9, Point::Waking { task: named(8, "b") }), &mut events);
        let (first, info) = (events[0].task, *kernel.tables.task_of(events[0].task).unwrap());
        assert_eq!(
            (events[1].task, info.tgid, kernel.tables.task_name(first)),
            (first, 7, "b[8]".to_owned())
        );
        assert_eq!(events[1].what(), What::Waking { waker: TaskRef::NONE });
        let fork = Point::Fork { parent: named(7, "p"), child: named(8, "p") };
        kernel.add(&at(3, 7, fork), &mut events);
        kernel.add(&at(4, 7, Point::Wakeup { task: named(8, "p"), on: 1 }), &mut events);
        assert_ne!(events[2].task, first);
        assert_eq!(events[3].task, events[2].task);
        assert_eq!(kernel.tables.task_name(first), "b[8]");
    }
}
