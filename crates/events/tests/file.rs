// SPDX-License-Identifier: GPL-2.0-or-later
//! Event files: what is written is read, and of a damaged one what is whole.

use proptest::prelude::*;
use rota_events::{
    CpuNumber, CpuPlace, Event, Leaves, MachineFacts, OpenError, Reader, Tables, TaskInfo, TaskRef,
    What, Writer,
};
use std::io::{self, Read};

fn machine() -> MachineFacts {
    let cpus = vec![CpuPlace { core: 0, llc: 0, node: 0 }, CpuPlace { core: 1, llc: 0, node: 0 }];
    let command = ["rota", "sim", "a b"].map(str::to_owned).to_vec();
    let settings = [("seed".to_owned(), "7".to_owned())].into();
    MachineFacts { kernel: "7.3".to_owned(), clock: "virtual".to_owned(), cpus, command, settings }
}

fn event(time_ns: u64) -> Event {
    let what = What::Switch { from: TaskRef(2), leaves: Leaves::plain(time_ns.is_multiple_of(3)) };
    Event::new(time_ns, CpuNumber(1), TaskRef(1), what)
}

fn tables() -> Tables {
    let mut tables = Tables::default();
    let (name, group) = (tables.text("näme"), tables.text("/group"));
    tables.task(TaskInfo { pid: 7, tgid: -1, start_ns: 1 << 40, name, group });
    tables.task(TaskInfo { pid: 8, ..TaskInfo::default() });
    tables
}

/// A file with so many events, a task more in the middle.
fn file(events: u64) -> (Vec<u8>, Tables, Vec<Event>) {
    let mut tables = tables();
    let events: Vec<Event> = (0..events).map(event).collect();
    let mut writer = Writer::new(Vec::new(), &machine()).unwrap();
    let (first, second) = events.split_at(events.len() / 2);
    writer.write(&tables, first).unwrap();
    let name = tables.text("late");
    tables.task(TaskInfo { pid: 9, name, ..TaskInfo::default() });
    writer.write(&tables, second).unwrap();
    (writer.finish().unwrap(), tables, events)
}

struct Whole {
    machine: MachineFacts,
    tables: Tables,
    events: Vec<Event>,
    problems: Vec<String>,
}

fn read(input: impl Read) -> Whole {
    let mut reader = Reader::open(input).unwrap();
    let mut events = Vec::new();
    while let Some(some) = reader.next_events().unwrap() {
        events.extend(some);
    }
    let problems = reader.problems().list().iter().map(ToString::to_string).collect();
    let (machine, tables) = (reader.machine().clone(), reader.tables().clone());
    Whole { machine, tables, events, problems }
}

/// A reader that gives a few bytes at a time, and says now and then that it was interrupted.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = into.len().min(self.0.len()).min(self.1 % 19 + 1);
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn what_is_written_is_read() {
    for count in [0, 1, 5000, 20_000] {
        let (bytes, tables, events) = file(count);
        let found = read(&bytes[..]);
        assert_eq!(found.problems, Vec::<String>::new());
        assert_eq!((found.machine, found.tables), (machine(), tables));
        assert!(found.events == events);
        let slowly = read(Slow(&bytes, 0));
        assert!(slowly.events == events && slowly.problems.is_empty());
    }
}

#[test]
fn what_is_no_file_is_said() {
    let open = |bytes: &[u8]| Reader::open(bytes).err().unwrap().to_string();
    for bytes in [&b""[..], b"\x89ROTAev", b"PK\x03\x04 and so on and on"] {
        assert_eq!(open(bytes), "not an event file of Rota");
    }
    let (mut bytes, ..) = file(1);
    bytes[8] = 3;
    assert!(matches!(Reader::open(&bytes[..]), Err(OpenError::Version(3))));
    assert_eq!(open(&bytes), "an event file of version 3; this program reads version 2");
}

#[test]
fn a_truncated_file_gives_its_start() {
    let (bytes, _, events) = file(9000);
    for cut in 1..40 {
        let end = bytes.len() * cut / 40;
        let found = read(&bytes[..end.max(12)]);
        assert!(events.starts_with(&found.events));
        assert!(!found.problems.is_empty(), "cut at {end}");
    }
    // Only the last chunk is missing.
    let found = read(&bytes[..bytes.len() - 1]);
    assert!(found.events == events);
    assert_eq!(found.problems.len(), 2, "{:?}", found.problems);
    assert!(found.problems[1].ends_with("the file ends before the recording does"));
}

/// Where chunks begin.
fn heads(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"\xb5Chk")).collect()
}

#[test]
fn damage_costs_one_chunk() {
    let (mut bytes, tables, events) = file(12_000);
    // Machine, texts, tasks, then events.
    let at = heads(&bytes)[3] + 30;
    bytes[at] ^= 0x10;
    let found = read(&bytes[..]);
    // The first half is a chunk of 4096 events and one of 1904.
    assert!(found.events == events[4096..]);
    assert_eq!(found.tables, tables);
    assert_eq!(found.problems.len(), 3, "{:?}", found.problems);
    assert!(found.problems[0].contains("damaged ("), "{:?}", found.problems);
    assert!(found.problems[1].contains("chunk 3 is missing before chunk 4"));
    assert!(found.problems[2].ends_with("4096 events are missing before this"));
}

#[test]
fn what_is_lost_at_the_end_is_counted() {
    let (bytes, ..) = file(6000);
    // The second half is one chunk of 3000 events; then comes the end.
    let heads = heads(&bytes);
    let [.., last, end] = heads[..] else { panic!("{heads:?}") };
    let without = [&bytes[..last], &bytes[end..]];
    let found = read(&without.concat()[..]);
    assert_eq!(found.events.len(), 3000);
    assert!(found.problems[1].ends_with("3000 events are missing before the end"));
}

#[test]
fn what_follows_is_noticed() {
    let (mut bytes, _, events) = file(10);
    bytes.extend(b"more");
    let found = read(&bytes[..]);
    assert!(found.events == events);
    assert!(
        found.problems[0].ends_with("something follows after the end (4 bytes that can't be read)")
    );
}

proptest! {
    #[test]
    fn damage_never_ends_in_a_panic(
        count in 0_u64..300,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let (mut bytes, _, events) = file(count);
        let whole = bytes.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len() - 12) + 12;
            bytes[at] = byte;
        }
        if cuts {
            bytes.remove(cut.index(bytes.len() - 12) + 12);
        }
        let found = read(&bytes[..]);
        prop_assert_eq!(found.problems.is_empty(), bytes == whole);
        // What is read was written, in this order.
        let mut rest = events.iter();
        prop_assert!(found.events.iter().all(|event| rest.any(|written| written == event)));
    }
}

#[test]
fn the_book_has_every_kind() {
    let book = include_str!("../../../docs/formats.md");
    for (i, (_, name, meaning)) in rota_events::KINDS.iter().enumerate() {
        let row = format!("\n| {} | `{name}` | {meaning} |", i + 1);
        assert!(book.contains(&row), "docs/formats.md lacks {row}");
    }
}
