// SPDX-License-Identifier: GPL-2.0-or-later
//! perf.data of either byte order, as files and as pipes, written by a small encoder of its own. What
//! perf itself writes is read in `crates/cli/tests/perf.rs`.

#[path = "perf/encoder.rs"]
mod encoder;

use encoder::{Bytes, SWITCH, WAKING, attribute, head_of_pipe, names, record, tracing};
use proptest::prelude::*;
use rota_events::{Event, Tables, What};
use rota_trace::{Input, ReadError, Recording};
use std::io::Cursor;

/// What was recorded, in a few words each.
#[derive(Debug, Clone, PartialEq)]
enum Made {
    Switch { from: u64, state: u64, to: u64 },
    Waking { by: u64, task: u64, interrupt: bool },
    Lost(u64),
    Round,
}

/// A record of the data.
fn data(big: bool, time_ns: u64, cpu: u64, made: &Made) -> Vec<u8> {
    let sample = |current: u64, raw: Bytes| {
        let mut raw = raw.bytes;
        raw.resize(raw.len().next_multiple_of(8) + 4, 0);
        let head = Bytes::new(big).u32(current).u32(current).u64(time_ns).u32(cpu).u32(0);
        record(big, 9, &head.u32(raw.len() as u64).raw(&raw))
    };
    let common = |id: u64, flags: u8, pid: u64| Bytes::new(big).u16(id).raw(&[flags, 0]).u32(pid);
    let name = |pid: u64| if pid == 0 { "swapper".to_owned() } else { format!("task {pid}") };
    match *made {
        Made::Switch { from, state, to } => {
            let raw = common(SWITCH, 0, from).padded(&name(from), 16).u32(from).u32(120);
            sample(from, raw.u64(state).padded(&name(to), 16).u32(to))
        }
        Made::Waking { by, task, interrupt } => {
            let raw = common(WAKING, if interrupt { 9 } else { 1 }, by);
            sample(by, raw.padded(&name(task), 16).u32(task).u32(120).u32(cpu))
        }
        Made::Lost(lost) => {
            let trailer = Bytes::new(big).u64(1).u64(lost).u32(0).u32(0).u64(time_ns);
            record(big, 2, &trailer.u32(cpu).u32(0))
        }
        Made::Round => record(big, 68, &Bytes::new(big)),
    }
}

fn pipe(big: bool, all: &[(u64, u64, Made)]) -> Vec<u8> {
    let mut bytes = Bytes::new(big).raw(&head_of_pipe(big));
    for (time_ns, cpu, made) in all {
        bytes = bytes.raw(&data(big, *time_ns, *cpu, made));
    }
    bytes.bytes
}

fn file(big: bool, all: &[(u64, u64, Made)]) -> Vec<u8> {
    let attributes = [SWITCH, WAKING].iter().flat_map(|id| attribute(big, *id).u64(0).u64(0).bytes);
    file_with(big, all, &attributes.collect::<Vec<u8>>())
}

fn file_with(big: bool, all: &[(u64, u64, Made)], attributes: &[u8]) -> Vec<u8> {
    let magic: &[u8] = if big { b"2ELIFREP" } else { b"PERFILE2" };
    let mut records = names(big);
    records.extend(all.iter().flat_map(|(time_ns, cpu, made)| data(big, *time_ns, *cpu, made)));
    let text = |text: &str| {
        let size = text.len() + 1;
        Bytes::new(big).u32(size as u64).padded(text, size).bytes
    };
    // Features 1, 4 and 7: descriptions, the kernel, how many CPUs.
    let features = [tracing(big), text("6.99-test"), Bytes::new(big).u32(4).u32(4).bytes];
    let (head, data_at) = (104, 104 + attributes.len() as u64);
    let mut at = data_at + records.len() as u64 + 16 * features.len() as u64;
    let mut table = Bytes::new(big);
    for feature in &features {
        table = table.u64(at).u64(feature.len() as u64);
        at += feature.len() as u64;
    }
    let bytes = Bytes::new(big).raw(magic).u64(head).u64(64 + 16);
    let bytes = bytes.u64(head).u64(attributes.len() as u64);
    let bytes = bytes.u64(data_at).u64(records.len() as u64).u64(0).u64(0);
    let bytes = bytes.u64(1 << 1 | 1 << 4 | 1 << 7).u64(0).u64(0).u64(0);
    bytes.raw(attributes).raw(&records).raw(&table.bytes).raw(&features.concat()).bytes
}

fn open(bytes: &[u8]) -> Result<Recording, ReadError> {
    Recording::open(Input::file(Cursor::new(bytes.to_vec())))
}

fn read(bytes: &[u8]) -> (Tables, Vec<Event>, Vec<String>, String) {
    let mut recording = open(bytes).unwrap();
    let mut events = Vec::new();
    while let Some(some) = recording.next_events().unwrap() {
        events.extend(some);
    }
    let problems = recording.problems().list().iter().map(ToString::to_string).collect();
    (recording.tables().clone(), events, problems, recording.machine().kernel.clone())
}

/// An event as it was made, with its time and CPU.
fn told(event: &Event, tables: &Tables) -> (u64, u64, String) {
    let name = |task| tables.task_name(task);
    let what = match event.what() {
        What::Switch { from, leaves } => {
            format!("{} {} {}", name(from), leaves.letter(), name(event.task))
        }
        What::Waking { waker } => format!("{} wakes {}", name(waker), name(event.task)),
        What::Lost { events } => format!("lost {events}"),
        other => format!("{other:?}"),
    };
    (event.time_ns, event.cpu.0.into(), what)
}

fn expected((time_ns, cpu, made): &(u64, u64, Made)) -> Option<(u64, u64, String)> {
    let name = |pid: u64| if pid == 0 { "idle".to_owned() } else { format!("task {pid}[{pid}]") };
    let what = match *made {
        Made::Switch { from, state, to } => {
            let letter = match state {
                256.. => "R+",
                0 => "R",
                state if state & 1 != 0 => "S",
                state if state & 2 != 0 => "D",
                _ => "?",
            };
            format!("{} {letter} {}", name(from), name(to))
        }
        Made::Waking { by, task, interrupt } => {
            format!("{} wakes {}", name(if interrupt { 0 } else { by }), name(task))
        }
        Made::Lost(lost) => format!("lost {lost}"),
        Made::Round => return None,
    };
    Some((*time_ns, *cpu, what))
}

/// Rounds as perf writes them: in each, what one CPU did and then what the others did, none of it
/// older than the end of the round before the last.
fn rounds() -> impl Strategy<Value = Vec<(u64, u64, Made)>> {
    let made = prop_oneof![
        4 => (0..5_u64, prop_oneof![0..4_u64, Just(256), Just(64)], 0..5_u64)
            .prop_map(|(from, state, to)| Made::Switch { from, state, to }),
        3 => (0..5_u64, 1..5_u64, any::<bool>())
            .prop_map(|(by, task, interrupt)| Made::Waking { by, task, interrupt }),
        1 => (1..99_u64).prop_map(Made::Lost),
    ];
    let round = prop::collection::vec((0..1000_u64, 0..3_u64, made), 0..20);
    prop::collection::vec(round, 1..8).prop_map(|rounds| {
        let mut all = Vec::new();
        for (i, mut round) in (1_u64..).zip(rounds) {
            // Times of a round reach back into the one before. No two are equal.
            for (place, item) in (0_u64..).zip(&mut round) {
                item.0 = (i * 700 + item.0) * 1000 + i * 50 + place;
            }
            round.sort_by_key(|(time_ns, cpu, _)| (*cpu, *time_ns));
            all.extend(round);
            all.push((0, 0, Made::Round));
        }
        all
    })
}

proptest! {
    #[test]
    fn either_byte_order_and_either_form(all in rounds(), big: bool) {
        let mut wanted: Vec<_> = all.iter().filter_map(expected).collect();
        wanted.sort_by_key(|(time_ns, ..)| *time_ns);
        for bytes in [pipe(big, &all), file(big, &all)] {
            let (tables, events, problems, _) = read(&bytes);
            prop_assert_eq!(problems, Vec::<String>::new());
            let found: Vec<_> = events.iter().map(|event| told(event, &tables)).collect();
            prop_assert_eq!(&found, &wanted);
        }
        prop_assert_eq!(read(&file(big, &all)).3, "6.99-test");
    }

    #[test]
    fn damage_does_no_harm(
        all in rounds(), big: bool, piped: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9), cut: prop::sample::Index,
    ) {
        let mut bytes = if piped { pipe(big, &all) } else { file(big, &all) };
        for (at, byte) in changes {
            let at = 8 + at.index(bytes.len() - 8);
            bytes[at] = byte;
        }
        bytes.truncate(16 + cut.index(bytes.len()));
        let Ok(mut recording) = open(&bytes) else { return Ok(()) };
        let mut events = 0;
        while let Some(some) = recording.next_events().unwrap() {
            events += some.len();
        }
        // Each takes forty bytes of the file at least.
        prop_assert!(events <= bytes.len() / 40 + 1);
    }
}

#[test]
fn what_is_missing_is_said() {
    let why = |bytes: &[u8]| match open(bytes) {
        Err(ReadError::Unusable(why)) => why,
        _ => panic!("it is read"),
    };
    assert!(why(b"PERFILE2").contains("ends before its data"));
    assert!(why(b"PERFILE2\x10\0\0\0\0\0\0\0").contains("no tracepoints"));
    let whole = file(false, &[]);
    // Without its last parts, nothing says what records mean.
    assert!(why(&whole[..300]).contains("description"));
}

/// Found by the fuzzer `reader`: a record too short for what it should begin with.
#[test]
fn short_records_do_no_harm() {
    for big in [false, true] {
        for kind in 0..100 {
            for bytes in 0..24 {
                let record = record(big, kind, &Bytes::new(big).raw(&vec![1; bytes]));
                read(&[head_of_pipe(big), record].concat());
            }
        }
    }
}

/// Each of a million events may name the whole file for its numbers.
#[test]
fn more_events_than_there_can_be_take_little_time() {
    let switch = Made::Switch { from: 1, state: 1, to: 2 };
    let one = attribute(false, SWITCH).u64(0).u64(u64::MAX).bytes;
    let bytes = file_with(false, &[(1000, 0, switch)], &one.repeat(1_000_000));
    let (_, events, problems, _) = read(&bytes);
    assert_eq!(events.len(), 1);
    assert!(problems[0].contains("an attribute that can't be read"), "{problems:?}");
}

/// What can't be read may be anything: what was under way before is not to be believed after it.
#[test]
fn a_hole_is_a_loss() {
    let switch = Made::Switch { from: 1, state: 1, to: 2 };
    let part = |ns| [data(false, ns, 0, &switch), data(false, 0, 0, &Made::Round)].concat();
    let head = head_of_pipe(false);
    let losses = |bytes: &[u8]| {
        let (_, events, problems, _) = read(bytes);
        let lost = events.iter().filter(|event| matches!(event.what(), What::Lost { .. }));
        (events.len(), lost.count(), problems.len())
    };
    assert_eq!(losses(&[&head[..], &part(1000), &part(2000)].concat()), (2, 0, 0));
    // A record of no size, then the end of a round, from which reading goes on.
    let hole = [vec![0; 16], part(3000), part(4000)].concat();
    assert_eq!(losses(&[&head[..], &part(1000), &hole].concat()), (3, 1, 1));
}
