// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel's tracepoints of scheduling and of frequencies say, whichever tool has written it down, as events.

use crate::FREQUENCY;
use rota_events::{CpuNumber, Event, Leaves, Paged, Tables, TaskInfo, TaskRef, TextRef, What};
use std::collections::BTreeMap;

/// Something that a tracepoint said, or that is known to be missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traced<T> {
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
    pub(super) point: Point<T>,
}

/// A task as tracepoints name it: thread id, and name without its zeroes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) pid: i32,
    pub(super) name: &'a [u8],
}

/// The same with a name that is in the tables: small enough to wait for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) pid: i32,
    name: TextRef,
}

/// What the tracepoints say that make events, by their names (kernel:
/// `include/trace/events/sched.h`, `task.h`, `power.h`), of tasks that are [`Named`] or [`Known`].
/// The CPU of a frequency need not be the one that says it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Point<T> {
    Switch { from: T, leaves: Leaves, to: T },
    Waking { task: T },
    Wakeup { task: T, on: u32 },
    WakeupNew { task: T, on: u32 },
    Migrate { task: T, from: u32, to: u32 },
    Fork { parent: T, child: T },
    Rename { task: T },
    Exit { task: T },
    Frequency { cpu: u32, khz: u64 },
    Lost { events: u64 },
}

/// What is known of who has a thread id; no task, if nobody has it.
#[derive(Debug, Clone, Copy, Default)]
struct Holder {
    task: TaskRef,
    tgid: i32,
    name: TextRef,
}

/// Makes events of what tracepoints say, and knows who has which thread id.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    tables: Tables,
    recent: Recent,
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
        let known = *self.holders.entry(pid.cast_unsigned());
        let is_nameless = known.name == TextRef::EMPTY;
        let is_news = is_nameless && !name.is_empty();
        if known.task.is_some() && tgid.is_none_or(|tgid| tgid == known.tgid) && !is_news {
            return;
        }
        let name = self.known(Named { pid, name: if is_nameless { name } else { &[] } });
        let task = self.task(name);
        if let (Some(tgid), Some(info)) = (tgid, self.tables.task_of(task).copied()) {
            self.holders.entry(pid.cast_unsigned()).tgid = tgid;
            self.tables.task(TaskInfo { tgid, ..info });
        }
    }

    /// Says which process a thread will belong to that is about to be born.
    pub(super) fn forked(&mut self, pid: i32, tgid: i32) {
        self.unborn.insert(pid, tgid);
    }

    /// What was said, without a hold on where it was said.
    pub(super) fn keep(&mut self, point: &Point<Named<'_>>) -> Point<Known> {
        match *point {
            Point::Switch { from, leaves, to } => {
                Point::Switch { from: self.known(from), leaves, to: self.known(to) }
            }
            Point::Waking { task } => Point::Waking { task: self.known(task) },
            Point::Wakeup { task, on } => Point::Wakeup { task: self.known(task), on },
            Point::WakeupNew { task, on } => Point::WakeupNew { task: self.known(task), on },
            Point::Migrate { task, from, to } => {
                Point::Migrate { task: self.known(task), from, to }
            }
            Point::Fork { parent, child } => {
                Point::Fork { parent: self.known(parent), child: self.known(child) }
            }
            Point::Rename { task } => Point::Rename { task: self.known(task) },
            Point::Exit { task } => Point::Exit { task: self.known(task) },
            Point::Frequency { cpu, khz } => Point::Frequency { cpu, khz },
            Point::Lost { events } => Point::Lost { events },
        }
    }

    fn known(&mut self, named: Named<'_>) -> Known {
        Known { pid: named.pid, name: self.recent.number(named.name, &mut self.tables) }
    }

    /// Adds the event that this is.
    pub(super) fn add(&mut self, traced: &Traced<Named<'_>>, events: &mut Vec<Event>) {
        let &Traced { time_ns, cpu, current, interrupt, ref point } = traced;
        let point = self.keep(point);
        self.add_kept(&Traced { time_ns, cpu, current, interrupt, point }, events);
    }

    /// Adds the event of what was kept.
    pub(super) fn add_kept(&mut self, traced: &Traced<Known>, events: &mut Vec<Event>) {
        let &Traced { time_ns, cpu, current, interrupt, point } = traced;
        let waker = Known { pid: if interrupt { 0 } else { current }, name: TextRef::EMPTY };
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
                let inherited = self.holders.entry(parent_pid.cast_unsigned()).name;
                let name = if child.name == TextRef::EMPTY { inherited } else { child.name };
                (self.born(Known { name, ..child }, time_ns), What::Fork { parent, partners: 0 })
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
    fn task(&mut self, known: Known) -> TaskRef {
        let Known { pid, name } = known;
        if pid == 0 {
            return TaskRef::NONE;
        }
        let holder = self.holders.entry(pid.cast_unsigned());
        if !holder.task.is_some() {
            return self.new_holder(known, pid, 0);
        }
        if name != TextRef::EMPTY && holder.name != name {
            holder.name = name;
            if let Some(info) = self.tables.task_of(holder.task).copied() {
                self.tables.task(TaskInfo { name, ..info });
            }
        }
        holder.task
    }

    /// Somebody new has a thread id. Whether it is a thread of its parent's process is not said: it
    /// is taken for a process until [`Kernel::thread`] tells.
    fn born(&mut self, child: Known, time_ns: u64) -> TaskRef {
        if child.pid == 0 {
            return TaskRef::NONE;
        }
        let tgid = self.unborn.remove(&child.pid).unwrap_or(child.pid);
        self.new_holder(child, tgid, time_ns)
    }

    fn new_holder(&mut self, known: Known, tgid: i32, start_ns: u64) -> TaskRef {
        let Known { pid, name } = known;
        let task = self.tables.task(TaskInfo { pid, tgid, start_ns, name, ..TaskInfo::default() });
        *self.holders.entry(pid.cast_unsigned()) = Holder { task, tgid, name };
        task
    }
}

/// The longest names that are found at once: those of the kernel have a byte less.
const SHORT: usize = 16;
/// So many names are found at once, unless they get into each other's way.
const RECENT: usize = 256;

/// A short name: how it begins and ends, which overlap, and its length.
type Short = (u64, u64, usize);

/// Numbers of names that were met lately. Many tasks have the same one.
#[derive(Debug)]
struct Recent(Vec<(Short, TextRef)>);

impl Default for Recent {
    fn default() -> Self {
        Self(vec![((0, 0, 0), TextRef::EMPTY); RECENT])
    }
}

impl Recent {
    /// The number of a name.
    fn number(&mut self, name: &[u8], tables: &mut Tables) -> TextRef {
        let Some(short) = short(name) else { return tables.text(&String::from_utf8_lossy(name)) };
        // The golden ratio spreads what differs little (Knuth, 6.4).
        let mixed = (short.0 ^ short.1.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.0[(mixed >> 56) as usize % RECENT];
        if place.0 != short {
            *place = (short, tables.text(&String::from_utf8_lossy(name)));
        }
        place.1
    }
}

/// A name, unless it is too long.
fn short(name: &[u8]) -> Option<Short> {
    let word = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
    let ends = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) if name.len() <= SHORT => (word(*first), word(*last)),
        (None, None) => {
            let mut bytes = [0; 8];
            bytes[..name.len()].copy_from_slice(name);
            (word(bytes), 0)
        }
        _ => return None,
    };
    Some((ends.0, ends.1, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pid: i32, name: &str) -> Named<'_> {
        Named { pid, name: name.as_bytes() }
    }

    #[test]
    fn names_that_look_alike_are_told_apart() {
        let (mut recent, mut tables) = (Recent::default(), Tables::default());
        // The same ends, lengths that differ, and one that is too long.
        let names = ["aaaaaaaa", "aaaaaaaaa", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "aaa", ""];
        let more: Vec<String> = (0..1000).map(|i| format!("worker {i}")).collect();
        let all = || names.into_iter().chain(more.iter().map(String::as_str));
        for name in all().chain(all()) {
            let number = recent.number(name.as_bytes(), &mut tables);
            assert_eq!(tables.text_of(number), name);
        }
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
