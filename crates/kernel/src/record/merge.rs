// SPDX-License-Identifier: GPL-2.0-or-later
//! From the records of many CPUs to one stream of events.

use super::groups::Groups;
use super::raw::{About, Affinity, Nice, Raw};
use rota_events::{CpuNumber, DsqId, Event, Tables, TaskInfo, TaskRef, What};
use std::collections::BTreeMap;
use std::ops::Range;

/// The id that stands for all tasks that are not wanted (bpf/trace/record.h).
const OTHERS: i32 = -1;

/// Puts records in order, and names what is in them.
#[derive(Debug)]
pub(super) struct Merge {
    groups: Groups,
    waiting: Vec<Raw>,
    /// Who has a thread id at the moment.
    tasks: BTreeMap<i32, TaskRef>,
    /// The count of lost records of each CPU, as far as it was told.
    lost: BTreeMap<u32, u32>,
    /// Who runs on each CPU, as far as its switches tell.
    running: BTreeMap<u32, i32>,
    /// Nice values, as they were told.
    nices: BTreeMap<TaskRef, Nice>,
    /// How many CPUs the machine may have, and on which tasks may run, as they were told.
    cpus: u32,
    affinities: BTreeMap<TaskRef, Affinity>,
    /// Since when tasks run, as the scheduler of sched_ext is told.
    runs: BTreeMap<i32, u64>,
    /// A number for each socket that messages come to, instead of its address.
    channels: BTreeMap<u64, u64>,
    /// When all programs were at work: before and after, a part of what happened is missing.
    pub(super) whole: Range<u64>,
    last_ns: u64,
    /// Switches that the kernel did not tell: somebody else left the CPU than came last.
    pub(super) hidden: u64,
    /// Records that came too late for their place.
    pub(super) late: u64,
}

impl Merge {
    pub(super) fn new(groups: Groups, cpus: u32) -> Self {
        Self {
            groups,
            cpus,
            affinities: BTreeMap::new(),
            waiting: Vec::new(),
            tasks: BTreeMap::new(),
            lost: BTreeMap::new(),
            running: BTreeMap::new(),
            nices: BTreeMap::new(),
            runs: BTreeMap::new(),
            channels: BTreeMap::new(),
            whole: 0..u64::MAX,
            last_ns: 0,
            hidden: 0,
            late: 0,
        }
    }

    /// Takes a record.
    pub(super) fn add(&mut self, raw: Raw) {
        self.waiting.push(raw);
    }

    /// Hands over all that happened before a time: the caller knows that nothing older can come.
    pub(super) fn until(&mut self, time_ns: u64, tables: &mut Tables, events: &mut Vec<Event>) {
        // Stable: the order in which a CPU made its records stays.
        self.waiting.sort_by_key(|raw| raw.time_ns);
        let ready = self.waiting.partition_point(|raw| raw.time_ns < time_ns);
        let rest = self.waiting.split_off(ready);
        for raw in std::mem::replace(&mut self.waiting, rest) {
            self.late += u64::from(raw.time_ns < self.last_ns);
            self.last_ns = self.last_ns.max(raw.time_ns);
            if let About::Seen(what) = raw.about {
                events.push(Event::new(raw.time_ns, CpuNumber(raw.cpu), TaskRef::NONE, what));
                continue;
            }
            self.tell_lost(raw.cpu, raw.lost, raw.time_ns, events);
            let names = matches!(raw.about, About::Told { .. } | About::Group { .. });
            if !names && !self.whole.contains(&raw.time_ns) {
                continue;
            }
            self.tell_hidden(&raw, tables, events);
            self.turn(&raw, tables, events);
        }
    }

    /// Says how many records of a CPU are missing, if there are more than before.
    pub(super) fn tell_lost(&mut self, cpu: u32, lost: u32, now_ns: u64, events: &mut Vec<Event>) {
        let known = self.lost.insert(cpu, lost).unwrap_or(0);
        let more = lost.wrapping_sub(known);
        if more != 0 {
            self.running.remove(&cpu);
            let what = What::Lost { events: more.into() };
            events.push(Event::new(now_ns, CpuNumber(cpu), TaskRef::NONE, what));
        }
    }

    /// Says that a switch is missing, if somebody else leaves the CPU than came last.
    fn tell_hidden(&mut self, raw: &Raw, tables: &mut Tables, events: &mut Vec<Event>) {
        let About::Switch { from, .. } = raw.about else { return };
        let last = self.running.insert(raw.cpu, raw.pid).filter(|last| *last != from);
        if let Some(last) = last {
            // Of those that are not wanted, not even all are recorded.
            let other = |pid: i32| pid == 0 || pid == OTHERS;
            self.hidden += u64::from(!other(last) || !other(from));
            let (task, cpu) = (self.task(last, tables), CpuNumber(raw.cpu));
            events.push(Event::new(raw.time_ns, cpu, task, What::Hidden));
        }
    }

    fn turn(&mut self, raw: &Raw, tables: &mut Tables, events: &mut Vec<Event>) {
        let mut of = |pid| self.task(pid, tables);
        let what = match raw.about {
            About::Told { tgid, start_ns, name, group, nice, cpus } => {
                let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                let name = String::from_utf8_lossy(name.get(..end).unwrap_or(&[]));
                let name = tables.text(&name);
                let group = tables.text(self.groups.path(group));
                let info = TaskInfo { pid: raw.pid, tgid, start_ns, name, group };
                let task = tables.task(info);
                self.tasks.insert(raw.pid, task);
                self.tell_nice(raw, task, nice, events);
                self.tell_affinity(raw, task, cpus, events);
                return;
            }
            About::Group { whole, group } => {
                self.change_group(raw, whole, group, tables, events);
                return;
            }
            About::Seen(_) => return,
            About::Switch { from, leaves } => What::Switch { from: of(from), leaves },
            About::Waking { waker } => What::Waking { waker: of(waker) },
            About::WakeupNew { waker, on } => What::Wakeup { on: CpuNumber(on), waker: of(waker) },
            About::Migrate { from, to } => {
                What::Migrate { from: CpuNumber(from), to: CpuNumber(to) }
            }
            About::Fork { parent, partners } => What::Fork { parent: of(parent), partners },
            About::Exit => What::Exit,
            About::Insert { depth, dsq, vtime, at_head } => {
                What::Insert { dsq: DsqId(dsq), depth, vtime, at_head }
            }
            About::Remove { depth, dsq } => What::Remove { dsq: DsqId(dsq), depth },
            About::MoveToLocal { from } => What::MoveToLocal { from: DsqId(from) },
            About::Running { slice_ns } => {
                self.runs.insert(raw.pid, raw.time_ns);
                What::Running { slice_ns }
            }
            About::Sent { socket, bytes } => What::Send { channel: self.channel(socket), bytes },
            About::Received { socket, bytes } => {
                What::Receive { channel: self.channel(socket), bytes }
            }
            About::Stopping { runnable } => {
                let since = self.runs.remove(&raw.pid).unwrap_or(raw.time_ns);
                What::Stopping { ran_ns: raw.time_ns.saturating_sub(since), runnable }
            }
        };
        let (task, cpu) = (self.task(raw.pid, tables), CpuNumber(raw.cpu));
        events.push(Event::new(raw.time_ns, cpu, task, what));
    }

    /// Tells the nice value of a task when it is seen first, and when it has changed.
    fn tell_nice(&mut self, raw: &Raw, task: TaskRef, nice: Option<Nice>, events: &mut Vec<Event>) {
        let Some(now) = nice else { return };
        if self.nices.insert(task, now) != nice {
            let what = What::Weight { nice: now.nice, weight: now.weight };
            events.push(Event::new(raw.time_ns, CpuNumber(raw.cpu), task, what));
        }
    }

    /// Tells on which CPUs a task may run: when it is seen first, if those are not all, and when they have
    /// changed.
    fn tell_affinity(&mut self, raw: &Raw, task: TaskRef, now: Affinity, events: &mut Vec<Event>) {
        let changed = match self.affinities.insert(task, now) {
            Some(before) => before != now,
            None => now.cpus < self.cpus,
        };
        if changed {
            let what = What::Affinity { cpus: now.cpus, first: now.first };
            events.push(Event::new(raw.time_ns, CpuNumber(raw.cpu), task, what));
        }
    }

    /// Tells the cgroup of a task, or of all of its process, that was told of.
    fn change_group(
        &mut self,
        raw: &Raw,
        whole: bool,
        id: u64,
        tables: &mut Tables,
        events: &mut Vec<Event>,
    ) {
        let first = self.task(raw.pid, tables);
        let tgid = tables.task_of(first).map(|info| info.tgid);
        let group = tables.text(self.groups.path(id));
        for task in self.tasks.values().copied() {
            let Some(info) = tables.task_of(task).copied() else { continue };
            if task == first || whole && Some(info.tgid) == tgid {
                tables.task(TaskInfo { group, ..info });
                let what = What::Group { group, id };
                events.push(Event::new(raw.time_ns, CpuNumber(raw.cpu), task, what));
            }
        }
    }

    /// The number of a socket.
    fn channel(&mut self, socket: u64) -> u64 {
        let next = self.channels.len() as u64 + 1;
        *self.channels.entry(socket).or_insert(next)
    }

    /// Who has a thread id; somebody without a name if the name got lost.
    fn task(&mut self, pid: i32, tables: &mut Tables) -> TaskRef {
        if pid == 0 {
            return TaskRef::NONE;
        }
        *self.tasks.entry(pid).or_insert_with(|| {
            let name = tables.text(if pid == OTHERS { "others" } else { "" });
            tables.task(TaskInfo { pid, tgid: pid, name, ..TaskInfo::default() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::{Kind, Leaves};

    const ALL: Affinity = Affinity { cpus: 4, first: 15 };

    fn merge() -> Merge {
        Merge::new(Groups::new("/no/such/folder".as_ref()), 4)
    }

    fn raw(time_ns: u64, cpu: u32, lost: u32, pid: i32, about: About) -> Raw {
        Raw { time_ns, cpu, lost, pid, about }
    }

    #[test]
    fn order_is_that_of_time_and_ids_are_used_again() {
        let (mut merge, mut tables, mut events) = (merge(), Tables::default(), Vec::new());
        let told = |start_ns, name: u8| About::Told {
            tgid: 7,
            start_ns,
            name: [name; 16],
            group: 0,
            nice: None,
            cpus: ALL,
        };
        merge.add(raw(30, 0, 0, 7, About::Exit));
        merge.add(raw(40, 0, 0, 7, told(35, b'b')));
        merge.add(raw(41, 0, 0, 7, About::Fork { parent: 0, partners: 0 }));
        merge.add(raw(10, 1, 0, 7, told(5, b'a')));
        merge.add(raw(11, 1, 0, 7, About::Waking { waker: 9 }));
        merge.until(41, &mut tables, &mut events);
        assert_eq!(events.iter().map(|e| e.time_ns).collect::<Vec<_>>(), [11, 30]);
        merge.until(u64::MAX, &mut tables, &mut events);
        let names: Vec<_> = events.iter().map(|e| tables.task_name(e.task)).collect();
        assert_eq!(names, ["aaaaaaaaaaaaaaaa[7]", "aaaaaaaaaaaaaaaa[7]", "bbbbbbbbbbbbbbbb[7]"]);
        assert_eq!(events[0].what(), What::Waking { waker: TaskRef(2) });
        assert_eq!(merge.late, 0);
        merge.add(raw(20, 0, 0, 7, About::Exit));
        merge.until(u64::MAX, &mut tables, &mut events);
        assert_eq!(merge.late, 1);
    }

    #[test]
    fn before_all_programs_are_at_work_only_names_count() {
        let (mut merge, mut tables, mut events) = (merge(), Tables::default(), Vec::new());
        merge.whole = 20..30;
        let (name, nice, cpus) = ([b'a'; 16], None, ALL);
        let told = About::Told { tgid: 7, start_ns: 5, name, group: 0, nice, cpus };
        merge.add(raw(10, 0, 0, 7, told));
        for at in [10, 19, 20, 29, 30] {
            merge.add(raw(at, 0, 0, 7, About::Exit));
        }
        merge.until(99, &mut tables, &mut events);
        let found: Vec<_> = events.iter().map(|e| (e.time_ns, tables.task_name(e.task))).collect();
        let name = || "aaaaaaaaaaaaaaaa[7]".to_owned();
        assert_eq!(found, [(20, name()), (29, name())]);
    }

    #[test]
    fn nice_values_are_told_once_and_again_when_they_change() {
        let (mut merge, mut tables, mut events) = (merge(), Tables::default(), Vec::new());
        let told = |time_ns, cpu, nice: Option<i32>| {
            let nice = nice.map(|nice| Nice { nice, weight: 100 });
            let (name, cpus) = ([b'a'; 16], ALL);
            let about = About::Told { tgid: 7, start_ns: 0, name, group: 0, nice, cpus };
            raw(time_ns, cpu, 0, 7, about)
        };
        for (at, nice) in (1..).zip([Some(0), Some(0), Some(7), None, Some(7), Some(0)]) {
            merge.add(told(at, at as u32 % 2, nice));
        }
        merge.until(9, &mut tables, &mut events);
        let found: Vec<_> = events.iter().map(|event| (event.time_ns, event.what())).collect();
        let weight = |nice| What::Weight { nice, weight: 100 };
        assert_eq!(found, [(1, weight(0)), (3, weight(7)), (6, weight(0))]);
    }

    #[test]
    fn cpus_are_told_if_they_are_not_all_or_have_changed() {
        let (mut merge, mut tables, mut events) = (merge(), Tables::default(), Vec::new());
        let some = |first: u64| Affinity { cpus: first.count_ones(), first };
        let told = |time_ns, pid, cpus| {
            let (name, nice) = ([b'a'; 16], None);
            let about = About::Told { tgid: pid, start_ns: 0, name, group: 0, nice, cpus };
            raw(time_ns, 0, 0, pid, about)
        };
        for (at, cpus) in (1..).zip([ALL, ALL, some(6), some(6), some(9), ALL, ALL]) {
            merge.add(told(at, 7, cpus));
        }
        merge.add(told(9, 8, some(1)));
        merge.until(99, &mut tables, &mut events);
        let found: Vec<_> = events.iter().map(|event| (event.time_ns, event.what())).collect();
        let affinity = |cpus, first| What::Affinity { cpus, first };
        let expected =
            [(3, affinity(2, 6)), (5, affinity(2, 9)), (6, affinity(4, 15)), (9, affinity(1, 1))];
        assert_eq!(found, expected);
    }

    #[test]
    fn who_leaves_is_who_came_last() {
        let (mut merge, mut tables, mut events) = (merge(), Tables::default(), Vec::new());
        let switch = |time_ns, cpu, lost, from, to| {
            raw(time_ns, cpu, lost, to, About::Switch { from, leaves: Leaves::Sleeping })
        };
        // One is missing on CPU 0, between 2 and 3. On CPU 1 it is told what is missing.
        merge.add(switch(1, 0, 0, 9, 7));
        merge.add(switch(2, 0, 0, 7, 8));
        merge.add(switch(3, 0, 0, 7, 9));
        merge.add(switch(4, 0, 0, 9, 0));
        merge.add(switch(1, 1, 0, 5, 6));
        merge.add(switch(5, 1, 2, 0, 5));
        merge.until(9, &mut tables, &mut events);
        let of = |kind| events.iter().filter(move |event| event.kind == kind);
        let lost: Vec<_> = of(Kind::Lost).map(|e| (e.time_ns, e.cpu.0, e.what())).collect();
        assert_eq!(lost, [(5, 1, What::Lost { events: 2 })]);
        let hidden: Vec<_> = of(Kind::Hidden)
            .map(|e| (e.time_ns, e.cpu.0, tables.task_of(e.task).unwrap().pid))
            .collect();
        assert_eq!((hidden, merge.hidden), (vec![(3, 0, 8)], 1));
    }

    #[test]
    fn who_ran_before_all_programs_did_is_not_hidden() {
        let (mut merge, mut tables, mut events) = (merge(), Tables::default(), Vec::new());
        merge.whole = 2..u64::MAX;
        let switch = |time_ns, from, to| {
            raw(time_ns, 0, 0, to, About::Switch { from, leaves: Leaves::Runnable })
        };
        merge.add(switch(1, 9, 7));
        merge.add(switch(2, 8, 9));
        merge.until(9, &mut tables, &mut events);
        let kinds: Vec<_> = events.iter().map(|e| (e.time_ns, e.kind)).collect();
        assert_eq!((kinds, merge.hidden), (vec![(2, Kind::Switch)], 0));
    }

    #[test]
    fn what_is_lost_is_told_where_it_is_missing() {
        let (mut merge, mut tables, mut events) = (merge(), Tables::default(), Vec::new());
        merge.add(raw(1, 0, u32::MAX, 1, About::Exit));
        merge.add(raw(2, 0, 1, 1, About::Exit));
        merge.add(raw(3, 1, 0, 1, About::Exit));
        merge.until(9, &mut tables, &mut events);
        let whats: Vec<_> = events.iter().map(|e| (e.cpu.0, e.what())).collect();
        let lost = |events| What::Lost { events };
        let exit = What::Exit;
        let first = lost(u32::MAX.into());
        assert_eq!(whats, [(0, first), (0, exit), (0, lost(2)), (0, exit), (1, exit)]);
    }
}
