// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace for Perfetto, taken apart again by a reader of protocol buffers that shares nothing
//! with what wrote it.

use proptest::prelude::*;
use rota_events::{CpuNumber, DsqId, Event, Leaves, MachineFacts, Tables, TaskInfo, TaskRef, What};
use rota_trace::{Form, Output};
use std::collections::BTreeMap;

/// A field of a message.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A message: its fields, in order.
#[derive(Debug, Clone, PartialEq)]
struct Message(Vec<(u32, Value)>);

impl Message {
    fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes.iter().copied();
        let mut fields = Vec::new();
        while let Some(key) = varint(&mut rest) {
            let value = match key & 7 {
                0 => Value::Number(varint(&mut rest).unwrap()),
                1 => {
                    let bytes: Vec<u8> = rest.by_ref().take(8).collect();
                    Value::Number(u64::from_le_bytes(bytes.try_into().unwrap()))
                }
                2 => {
                    let length = varint(&mut rest).unwrap() as usize;
                    let bytes: Vec<u8> = rest.by_ref().take(length).collect();
                    assert_eq!(bytes.len(), length);
                    Value::Bytes(bytes)
                }
                other => panic!("wire type {other}"),
            };
            fields.push(((key >> 3) as u32, value));
        }
        Self(fields)
    }

    fn all(&self, field: u32) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |(number, _)| *number == field).map(|(_, value)| value)
    }

    fn number(&self, field: u32) -> Option<u64> {
        self.all(field).find_map(|value| match value {
            Value::Number(number) => Some(*number),
            Value::Bytes(_) => None,
        })
    }

    fn messages(&self, field: u32) -> Vec<Message> {
        let bytes = self.all(field).filter_map(|value| match value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) => None,
        });
        bytes.map(|bytes| Message::parse(bytes)).collect()
    }

    /// The numbers of a packed field.
    fn column(&self, field: u32) -> Vec<u64> {
        let bytes = self.all(field).filter_map(|value| match value {
            Value::Bytes(bytes) => Some(bytes.iter().copied()),
            Value::Number(_) => None,
        });
        let mut bytes = bytes.flatten();
        std::iter::from_fn(|| varint(&mut bytes)).collect()
    }

    fn text(&self, field: u32) -> Option<String> {
        self.all(field).find_map(|value| match value {
            Value::Bytes(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            Value::Number(_) => None,
        })
    }
}

fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    panic!("a number that is too long");
}

fn tables() -> Tables {
    let mut tables = Tables::default();
    for (pid, name) in [(11, "one"), (12, "two"), (13, "three")] {
        let name = tables.text(name);
        tables.task(TaskInfo { pid, tgid: 11, start_ns: 0, name, ..TaskInfo::default() });
    }
    tables
}

fn packets(events: &[Event]) -> Vec<Message> {
    let machine = MachineFacts::default();
    let mut output = Output::new(Form::Perfetto, Vec::new(), &machine).unwrap();
    for some in events.chunks(50) {
        output.write(&tables(), some).unwrap();
    }
    let bytes = output.finish().unwrap();
    let trace = Message::parse(&bytes);
    assert!(trace.0.iter().all(|(field, _)| *field == 1), "a trace has packets only");
    trace.messages(1)
}

fn at(time: u64, cpu: u32, task: u32, what: What) -> Event {
    Event::new(time, CpuNumber(cpu), TaskRef(task), what)
}

#[test]
fn threads_queues_and_the_scheduler_are_named() {
    let insert =
        |time, dsq, depth| at(time, 0, 1, What::Insert { dsq, depth, vtime: None, at_head: false });
    let local = DsqId::local(CpuNumber(1));
    let events = [
        insert(5, DsqId(0x42), 1),
        insert(6, local, 1),
        at(7, 1, 1, What::Remove { dsq: DsqId(0x42), depth: 0 }),
        at(8, 1, 0, What::Hotplug { online: false }),
        at(9, 1, 0, What::Lost { events: 3 }),
    ];
    let packets = packets(&events);
    let threads: Vec<_> =
        packets.iter().flat_map(|p| p.messages(2)).flat_map(|t| t.messages(2)).collect();
    let threads: Vec<_> = threads.iter().map(|t| (t.number(1), t.text(2), t.number(3))).collect();
    let thread = |tid, name: &str| (Some(tid), Some(name.to_owned()), Some(11));
    assert_eq!(threads, [thread(11, "one"), thread(12, "two"), thread(13, "three")]);
    let tracks: BTreeMap<_, _> = packets
        .iter()
        .flat_map(|p| p.messages(60))
        .map(|track| (track.number(1).unwrap(), track.text(2).unwrap()))
        .collect();
    let names: Vec<_> = tracks.values().map(String::as_str).collect();
    let expected = [
        "dispatch queues",
        "in DSQ 0x42",
        "DSQ 0x42",
        "in DSQ local 1",
        "DSQ local 1",
        "scheduler",
    ];
    assert_eq!(names, expected);
    // Slices have the counter beside them.
    let counters: Vec<_> = packets
        .iter()
        .flat_map(|p| p.messages(11).into_iter().map(move |event| (p.number(8), event)))
        .filter_map(|(time, event)| Some((time?, event.number(31)?, event.number(12)?)))
        .map(|(time, track, value)| (time, tracks[&track].as_str(), value))
        .collect();
    assert_eq!(counters, [(5, "DSQ 0x42", 1), (6, "DSQ local 1", 1), (7, "DSQ 0x42", 0)]);
    let instants: Vec<_> = packets
        .iter()
        .flat_map(|p| p.messages(11))
        .filter(|event| event.number(9) == Some(3))
        .map(|event| event.text(23).unwrap())
        .collect();
    assert_eq!(instants, ["CPU 1 offline", "3 events lost on CPU 1"]);
    let lost: Vec<_> = packets.iter().flat_map(|p| p.messages(1)).map(|b| b.number(3)).collect();
    assert_eq!(lost, [Some(1)]);
    // Which clock it is stands first, and whose numbers of states.
    assert_eq!(packets[0].messages(6)[0].number(2), Some(6));
    let info = &packets[1].messages(45)[0].messages(1)[0];
    assert_eq!(info.text(3).unwrap(), "6.12-unknown");
}

/// A switch or a waking: when, whether it is a waking, who was there or wakes, who comes or is woken,
/// and the state at a switch.
type Words = (u64, bool, u64, u64, u64);

/// What a CPU did, by all pieces of it. Columns do not say who was there: it is who came last.
fn replay(bundles: &[Message]) -> Vec<Words> {
    /// With nobody who was there.
    type Short = (u64, bool, Option<u64>, u64, u64);
    let mut short = Vec::<Short>::new();
    for bundle in bundles {
        for event in bundle.messages(2) {
            let (time, by) = (event.number(1).unwrap(), event.number(2).unwrap());
            match (&event.messages(4)[..], &event.messages(20)[..]) {
                ([switch], []) => {
                    assert_eq!(switch.number(2), Some(by));
                    let (to, state) = (switch.number(6).unwrap(), switch.number(4).unwrap());
                    short.push((time, false, Some(by), to, state));
                }
                ([], [waking]) => short.push((time, true, Some(by), waking.number(2).unwrap(), 0)),
                other => panic!("{other:?}"),
            }
        }
        for columns in bundle.messages(4) {
            let [times, states, pids, prios, names] = [1, 2, 3, 4, 6].map(|f| columns.column(f));
            assert!([&states, &pids, &prios, &names].iter().all(|c| c.len() == times.len()));
            let mut now = 0;
            for (i, step) in times.iter().enumerate() {
                now += step;
                short.push((now, false, None, pids[i], states[i]));
            }
            let [times, pids, cpus, prios, woken, flags] =
                [7, 8, 9, 10, 11, 12].map(|f| columns.column(f));
            let others = [&pids, &cpus, &prios, &woken, &flags];
            assert!(others.iter().all(|column| column.len() == times.len()));
            let mut now = 0;
            for (i, step) in times.iter().enumerate() {
                now += step;
                let by = (flags[i] & 8 != 0).then_some(0);
                short.push((now, true, by, pids[i], 0));
            }
            let known = columns.all(5).count() as u64;
            assert!(names.iter().chain(&woken).all(|name| *name < known));
        }
    }
    short.sort_unstable();
    let mut running = None;
    let words = short.into_iter().map(|(time, waking, by, task, state)| {
        let by = by.or(running).expect("who is there is known");
        if !waking {
            running = Some(task);
        }
        (time, waking, by, task, state)
    });
    words.collect()
}

/// What happens at the time of a whole event is whole as well, but for what comes after moves: these stand
/// before the columns.
#[test]
fn moved_and_switched_to_at_once() {
    let come = |time, task, from| {
        at(time, 0, task, What::Switch { from: TaskRef(from), leaves: Leaves::Sleeping })
    };
    let moved =
        |time, task| at(time, 0, task, What::Migrate { from: CpuNumber(1), to: CpuNumber(0) });
    // The first switch is always whole, as nobody knows who ran.
    let standing = |rest: &[Event]| {
        let events = [&[come(3, 1, 0)], rest].concat();
        let packets = packets(&events);
        let bundle = packets.iter().flat_map(|packet| packet.messages(1)).next().unwrap();
        let fields: Vec<String> = bundle
            .0
            .iter()
            .map(|(field, value)| match (field, value) {
                (2, Value::Bytes(bytes)) if Message::parse(bytes).messages(491).is_empty() => {
                    "whole".into()
                }
                (2, _) => "move".into(),
                (4, Value::Bytes(bytes)) => {
                    format!("{} in columns", Message::parse(bytes).column(1).len())
                }
                _ => String::new(),
            })
            .filter(|word: &String| !word.is_empty())
            .collect();
        fields.join(", ")
    };
    assert_eq!(standing(&[moved(5, 2), come(5, 2, 1)]), "move, 1 in columns, whole");
    assert_eq!(
        standing(&[moved(5, 3), moved(5, 2), come(5, 2, 1)]),
        "move, move, 1 in columns, whole"
    );
    assert_eq!(standing(&[come(5, 2, 1), moved(5, 1)]), "1 in columns, whole, move");
    assert_eq!(standing(&[moved(3, 2), come(3, 2, 1)]), "whole, move, whole");
}

proptest! {
    #[test]
    fn switches_and_wakeups_come_back(
        steps in prop::collection::vec((1_u64..1000, 0_u32..4, 0_u32..4, 0_u32..4, any::<bool>(), any::<bool>()), 1..120),
    ) {
        let (mut time, mut running) = (0, [TaskRef::NONE; 4]);
        let events: Vec<Event> = steps
            .into_iter()
            .map(|(step, cpu, task, other, flag, plain)| {
                time += step;
                let there = &mut running[cpu as usize];
                // Mostly it is as it is on a machine.
                let other = if plain { *there } else { TaskRef(other) };
                match (task > 0, flag) {
                    (true, true) => at(time, cpu, task, What::Waking { waker: other }),
                    _ => {
                        *there = TaskRef(task);
                        at(time, cpu, task, What::Switch { from: other, leaves: Leaves::plain(flag) })
                    }
                }
            })
            .collect();
        let pid = |task: TaskRef| if task.is_some() { u64::from(task.0) + 10 } else { 0 };
        let mut expected = BTreeMap::<u64, Vec<Words>>::new();
        for event in &events {
            let words = match event.what() {
                What::Switch { from, leaves } => {
                    let sleeps = u64::from(!leaves.is_runnable() && from.is_some());
                    (event.time_ns, false, pid(from), pid(event.task), sleeps)
                }
                What::Waking { waker } => (event.time_ns, true, pid(waker), pid(event.task), 0),
                other => panic!("{other:?}"),
            };
            expected.entry(event.cpu.0.into()).or_default().push(words);
        }
        let mut bundles = BTreeMap::<u64, Vec<Message>>::new();
        for bundle in packets(&events).iter().flat_map(|packet| packet.messages(1)) {
            bundles.entry(bundle.number(1).unwrap()).or_default().push(bundle);
        }
        let found: BTreeMap<_, _> = bundles.iter().map(|(cpu, all)| (*cpu, replay(all))).collect();
        prop_assert_eq!(found, expected);
    }
}
