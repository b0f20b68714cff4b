// SPDX-License-Identifier: GPL-2.0-or-later
//! Traces for Perfetto: what is written is read again, and what is damaged as far as it is whole.

use proptest::prelude::*;
use rota_events::{CpuNumber, Event, Leaves, MachineFacts, Tables, TaskInfo, TaskRef, What};
use rota_trace::{Form, Input, Output, Recording};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

struct Found {
    machine: MachineFacts,
    tables: Tables,
    events: Vec<Event>,
    problems: Vec<String>,
}

fn read(bytes: &[u8]) -> Found {
    let mut recording = Recording::open(Input::file(Cursor::new(bytes.to_vec()))).unwrap();
    let mut events = Vec::new();
    while let Some(some) = recording.next_events().unwrap() {
        events.extend(some);
    }
    let problems = recording.problems().list().iter().map(ToString::to_string).collect();
    let (machine, tables) = (recording.machine().clone(), recording.tables().clone());
    Found { machine, tables, events, problems }
}

fn machine() -> MachineFacts {
    let (kernel, clock) = ("6.18.1-x".to_owned(), "monotonic".to_owned());
    MachineFacts { kernel, clock, ..MachineFacts::default() }
}

fn write(tables: &Tables, events: &[Event]) -> Vec<u8> {
    let mut output = Output::new(Form::Perfetto, Vec::new(), &machine()).unwrap();
    for some in events.chunks(13) {
        output.write(tables, some).unwrap();
    }
    output.finish().unwrap()
}

/// What each CPU did, in words that do not depend on tables. A trace has no number of what was lost,
/// nor a time.
fn told(tables: &Tables, events: &[Event]) -> BTreeMap<u32, Vec<String>> {
    let name = |task| {
        let tgid = tables.task_of(task).map_or(0, |info| info.tgid);
        format!("{} of {tgid}", tables.task_name(task))
    };
    let mut cpus = BTreeMap::<u32, Vec<String>>::new();
    for event in events {
        let what = match event.what() {
            What::Switch { from, leaves } => format!("switch {} {}", name(from), leaves.letter()),
            What::Waking { waker } => format!("waking {}", name(waker)),
            What::Wakeup { on, waker } => format!("wakeup {} {}", on.0, name(waker)),
            What::Migrate { from, to } => format!("migrate {} {}", from.0, to.0),
            What::Fork { parent, .. } => format!("fork {}", name(parent)),
            What::Exit => "exit".to_owned(),
            What::Lost { .. } => "lost".to_owned(),
            What::Counter { name, value } => format!("{} {value}", tables.text_of(name)),
            other => panic!("{other:?}"),
        };
        let list = cpus.entry(event.cpu.0).or_default();
        match event.what() {
            // What is lost once more is lost.
            What::Lost { .. } if list.last() == Some(&what) => {}
            What::Lost { .. } => list.push(what),
            _ => list.push(format!("{} {} {what}", event.time_ns, name(event.task))),
        }
    }
    cpus
}

/// Without wake-ups that were asked for: the asking tells them.
fn without_wakeups(events: &[Event]) -> Vec<Event> {
    let mut asked = BTreeSet::new();
    let is_told = |event: &&Event| match event.what() {
        What::Waking { .. } => {
            asked.insert(event.task);
            true
        }
        What::Switch { .. } | What::Exit => {
            asked.remove(&event.task);
            true
        }
        What::Wakeup { .. } => !asked.remove(&event.task),
        _ => true,
    };
    events.iter().filter(is_told).copied().collect()
}

fn recordings() -> impl Strategy<Value = (Tables, Vec<Event>)> {
    let one = (0..17_u8, 0..4_u32, 0..8_u32, 0..8_u32, 0..10_usize, 0..3_u64);
    let recordings = prop::collection::vec(one, 1..100).prop_map(|all| {
        let mut tables = Tables::default();
        for (i, name) in
            ["a", "b c", "d\u{e9}", "e/1", "f", "fifteen bytes ", "a"].iter().enumerate()
        {
            let (name, pid) = (tables.text(name), i as i32 + 10);
            let tgid = if i < 4 { 10 } else { pid };
            tables.task(TaskInfo { pid, tgid, name, ..TaskInfo::default() });
        }
        let letters = ["S", "R", "D", "R+", "T", "t", "X", "Z", "P", "I"];
        let (mut now, mut events, mut born) = (5, Vec::new(), 100);
        let mut running = BTreeMap::new();
        for (kind, cpu, a, b, letter, ns) in all {
            now += ns;
            let (cpu, mut task, other) = (CpuNumber(cpu), TaskRef(a), TaskRef(b));
            // Mostly it is as it is on a machine.
            let there = running.get(&cpu).copied().unwrap_or(other);
            let leaves = |from: TaskRef| {
                Leaves::from_letter(if from.is_some() { letters[letter] } else { "R" })
            };
            let what = match kind {
                0 => What::Switch { from: other, leaves: leaves(other) },
                1..=5 => What::Switch { from: there, leaves: leaves(there) },
                6 => What::Waking { waker: other },
                7..=9 => What::Waking { waker: there },
                10 => What::Wakeup { on: CpuNumber(b), waker: other },
                11 => What::Migrate { from: cpu, to: CpuNumber(b) },
                12 => What::Exit,
                13 => {
                    task = TaskRef::NONE;
                    running.remove(&cpu);
                    What::Lost { events: 7 }
                }
                14 => {
                    task = TaskRef::NONE;
                    What::Counter { name: tables.text("cpu_frequency"), value: ns * 400_000 }
                }
                _ => {
                    born += 1;
                    let name = tables.text("born");
                    let parent = tables.task_of(other).map_or(0, |info| info.tgid);
                    let tgid = if kind == 15 && parent > 0 { parent } else { born };
                    let start_ns = now;
                    let info = TaskInfo { pid: born, tgid, start_ns, name, ..TaskInfo::default() };
                    task = tables.task(info);
                    What::Fork { parent: other, partners: 0 }
                }
            };
            let of_nobody =
                matches!(what, What::Switch { .. } | What::Lost { .. } | What::Counter { .. });
            if task.is_some() || of_nobody {
                if let What::Switch { .. } = what {
                    running.insert(cpu, task);
                }
                events.push(Event::new(now, cpu, task, what));
            }
        }
        (tables, events)
    });
    // Of nothing that happens, nothing is told.
    recordings.prop_filter("events", |(_, events)| !events.is_empty())
}

proptest! {
    #[test]
    fn what_is_written_is_read((tables, events) in recordings()) {
        let found = read(&write(&tables, &events));
        prop_assert_eq!(found.problems, Vec::<String>::new());
        prop_assert_eq!(told(&found.tables, &found.events), told(&tables, &without_wakeups(&events)));
        let times: Vec<u64> = found.events.iter().map(|event| event.time_ns).collect();
        prop_assert!(times.is_sorted());
        prop_assert_eq!((found.machine.kernel, found.machine.clock), (machine().kernel, machine().clock));
        // Every task is there, whether anything happens to it or not.
        let names = |tables: &Tables| -> BTreeSet<String> {
            tables.tasks().map(|(task, _)| tables.task_name(task)).collect()
        };
        prop_assert_eq!(names(&found.tables), names(&tables));
    }

    #[test]
    fn of_a_damaged_trace_the_rest_is_read(
        (tables, events) in recordings(), at in 0.0..1.0_f64, byte: u8, cut: bool,
    ) {
        let mut bytes = write(&tables, &events);
        // The first bytes say what it is.
        let at = 40 + ((bytes.len() - 40) as f64 * at) as usize;
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= byte;
        }
        // It ends, and never with more than there was.
        let found = read(&bytes);
        prop_assert!(found.events.len() <= events.len() + bytes.len());
    }
}

/// Pieces after damage are read, and the damage is told with its place.
#[test]
fn reading_goes_on_after_damage() {
    let mut tables = Tables::default();
    let name = tables.text("task");
    let task = tables.task(TaskInfo { pid: 5, tgid: 5, name, ..TaskInfo::default() });
    let at =
        |time, cpu| Event::new(time, CpuNumber(cpu), task, What::Waking { waker: TaskRef::NONE });
    let whole = write(&tables, &[at(1, 0), at(2, 1), at(3, 2)]);
    // Each CPU has a piece of its own, all of one length, before the end.
    let found = read(&whole);
    assert_eq!((found.events.len(), found.problems), (3, vec![]));
    let cut = read(&whole[..whole.len() - 1]);
    assert_eq!((cut.events.len(), cut.problems.len()), (2, 1), "{:?}", cut.problems);
    // The second piece does not start as a packet does.
    let is_piece =
        |at: &usize| whole[*at] == 0x0a && whole[*at + 2..].starts_with(&[0x50, 1, 0x0a]);
    let pieces: Vec<usize> = (0..whole.len() - 5).filter(is_piece).collect();
    assert_eq!(pieces.len(), 3);
    let mut damaged = whole.clone();
    damaged[pieces[1]] = 0xff;
    let found = read(&damaged);
    assert_eq!(found.events.iter().map(|event| event.time_ns).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(found.problems, [format!("byte {}: here should be a packet", pieces[1])]);
}

/// What a field holds.
enum Has {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A message with these fields.
fn message(fields: Vec<(u32, Has)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let number = |bytes: &mut Vec<u8>, mut number: u64| {
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    };
    for (field, has) in fields {
        match has {
            Has::Number(value) => {
                number(&mut bytes, u64::from(field) << 3);
                number(&mut bytes, value);
            }
            Has::Bytes(held) => {
                number(&mut bytes, u64::from(field) << 3 | 2);
                number(&mut bytes, held.len() as u64);
                bytes.extend(held);
            }
        }
    }
    bytes
}

fn number(field: u32, value: u64) -> (u32, Has) {
    (field, Has::Number(value))
}

fn held(field: u32, fields: Vec<(u32, Has)>) -> (u32, Has) {
    (field, Has::Bytes(message(fields)))
}

fn text(field: u32, text: &str) -> (u32, Has) {
    (field, Has::Bytes(text.as_bytes().to_vec()))
}

/// A packet of a writer.
fn packet(writer: u64, mut fields: Vec<(u32, Has)>) -> (u32, Has) {
    fields.push(number(10, writer));
    held(1, fields)
}

/// What a CPU did: something by thread 10.
fn bundle(cpu: u64, time: u64, kind: u32, says: Vec<(u32, Has)>) -> (u32, Has) {
    let event = held(2, vec![number(1, time), number(2, 10), held(kind, says)]);
    held(1, vec![number(1, cpu), event])
}

fn waking(cpu: u64, time: u64) -> (u32, Has) {
    bundle(cpu, time, 20, vec![text(1, "w"), number(2, 7)])
}

/// The kernel tells a birth by `task_newtask`, which says of which process, and by
/// `sched_process_fork`; a recording has one of them or both.
#[test]
fn a_birth_is_told_once() {
    let new = |time, child, flags| {
        bundle(0, time, 235, vec![number(1, child), text(2, "p"), number(3, flags)])
    };
    let fork = |time, child| {
        let says = vec![text(1, "p"), number(2, 10), text(3, "c"), number(4, child)];
        bundle(0, time, 239, says)
    };
    let thread = |tid, tgid| held(2, vec![number(1, tid), number(3, tgid)]);
    let trace = message(vec![
        packet(1, vec![held(2, vec![thread(10, 9), thread(23, 9)])]),
        packet(1, vec![new(1, 20, 0x1_0000)]),
        packet(1, vec![fork(2, 20)]),
        packet(1, vec![new(3, 21, 0)]),
        packet(1, vec![fork(4, 21)]),
        packet(1, vec![fork(5, 22)]),
        packet(1, vec![fork(6, 23)]),
        // Somebody else with the same number.
        packet(1, vec![fork(7, 20)]),
    ]);
    let found = read(&trace);
    let born: Vec<_> = found
        .events
        .iter()
        .map(|event| {
            assert!(matches!(event.what(), What::Fork { .. }));
            let info = found.tables.task_of(event.task).unwrap();
            (event.time_ns, found.tables.task_name(event.task), info.tgid)
        })
        .collect();
    let expected =
        [(1, "p[20]", 9), (3, "p[21]", 21), (5, "c[22]", 22), (6, "c[23]", 9), (7, "c[20]", 9)];
    let expected = expected.map(|(time, name, tgid)| (time, name.to_owned(), tgid));
    assert_eq!((born, found.problems), (expected.to_vec(), vec![]));
}

#[test]
fn what_is_missing_is_a_loss() {
    let stats = |phase, cpus: &[(u64, u64, u64)]| {
        let mut fields = vec![number(1, phase)];
        for (cpu, overrun, dropped) in cpus {
            fields.push(held(2, vec![number(1, *cpu), number(3, *overrun), number(8, *dropped)]));
        }
        packet(3, vec![held(34, fields)])
    };
    let lost = |cpu, time| {
        let (field, Has::Bytes(mut bytes)) = waking(cpu, time) else { panic!() };
        bytes.extend(message(vec![number(3, 1)]));
        (field, Has::Bytes(bytes))
    };
    let dropped = || number(42, 1);
    let trace = message(vec![
        stats(1, &[(0, 5, 0), (1, 3, 0)]),
        // A writer's first packet says so always.
        packet(1, vec![dropped(), waking(0, 10)]),
        packet(1, vec![waking(1, 11)]),
        packet(1, vec![waking(2, 12)]),
        // Of somebody who writes no bundles.
        packet(2, vec![dropped()]),
        packet(2, vec![dropped()]),
        packet(1, vec![waking(0, 15)]),
        packet(1, vec![waking(0, 20), dropped()]),
        packet(1, vec![waking(1, 21)]),
        packet(1, vec![waking(1, 22)]),
        packet(1, vec![lost(0, 30)]),
        stats(2, &[(0, 11, 1), (1, 3, 0), (9, 4, 0)]),
    ]);
    let found = read(&trace);
    let losses: Vec<_> = found
        .events
        .iter()
        .filter_map(|event| match event.what() {
            What::Lost { events } => Some((event.time_ns, event.cpu.0, events)),
            _ => None,
        })
        .collect();
    // One of seven was told before; of CPU 2 something may be missing at its end.
    assert_eq!(losses, [(20, 0, 1), (21, 1, 1), (30, 0, 1), (30, 0, 6), (30, 2, 1)]);
    assert_eq!((found.events.len(), found.problems), (13, vec![]));
}
