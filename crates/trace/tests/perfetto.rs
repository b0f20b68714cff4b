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
    assert_eq!(names, ["scheduler", "dispatch queues", "DSQ 0x42", "DSQ local 1"]);
    let counters: Vec<_> = packets
        .iter()
        .flat_map(|p| p.messages(11).into_iter().map(move |event| (p.number(8), event)))
        .filter(|(_, event)| event.number(9) == Some(4))
        .map(|(time, event)| (time.unwrap(), &tracks[&event.number(11).unwrap()], event.number(30)))
        .map(|(time, track, value)| (time, track.as_str(), value.unwrap()))
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
}

proptest! {
    #[test]
    fn switches_and_wakeups_come_back(
        steps in prop::collection::vec((0_u64..1000, 0_u32..4, 0_u32..4, 0_u32..4, any::<bool>()), 1..120),
    ) {
        let mut time = 0;
        let events: Vec<Event> = steps
            .into_iter()
            .map(|(step, cpu, task, other, flag)| {
                time += step;
                let other = TaskRef(other);
                match (task > 0, flag) {
                    (true, true) => at(time, cpu, task, What::Waking { waker: other }),
                    _ => at(time, cpu, task, What::Switch { from: other, leaves: Leaves::plain(flag) }),
                }
            })
            .collect();
        let pid = |task: TaskRef| if task.is_some() { u64::from(task.0) + 10 } else { 0 };
        // In a bundle, events are in the order of time; bundles of a CPU are as well.
        let mut expected = BTreeMap::<u64, Vec<_>>::new();
        for event in &events {
            let words = match event.what() {
                What::Switch { from, leaves } => {
                    let sleeps = u64::from(!leaves.is_runnable() && from.is_some());
                    (event.time_ns, 4, pid(from), pid(event.task), sleeps)
                }
                What::Waking { waker } => (event.time_ns, 20, pid(waker), pid(event.task), 0),
                other => panic!("{other:?}"),
            };
            expected.entry(event.cpu.0.into()).or_default().push(words);
        }
        let mut found = BTreeMap::<u64, Vec<_>>::new();
        for bundle in packets(&events).iter().flat_map(|packet| packet.messages(1)) {
            for event in bundle.messages(2) {
                let (time, by) = (event.number(1).unwrap(), event.number(2).unwrap());
                let words = match (&event.messages(4)[..], &event.messages(20)[..]) {
                    ([switch], []) => {
                        prop_assert_eq!(switch.number(2), Some(by));
                        (time, 4, by, switch.number(6).unwrap(), switch.number(4).unwrap())
                    }
                    ([], [waking]) => (time, 20, by, waking.number(2).unwrap(), 0),
                    other => panic!("{other:?}"),
                };
                found.entry(bundle.number(1).unwrap()).or_default().push(words);
            }
        }
        prop_assert_eq!(found, expected);
    }
}
