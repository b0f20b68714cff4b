// SPDX-License-Identifier: GPL-2.0-or-later
//! Event files, and what is made of their events.

use crate::input::Input;
use rota_events::{Activity, Event, MachineFacts, Reader, Tables, Writer};
use rota_trace::{Form, Output, summary_json, summary_text};

/// Even first byte: the rest is a file. Odd: it is the chunks of one, each with its kind, its
/// length and what it holds, and gets the right checksums; events are columns that are not
/// compressed. What can be read of it is shown in every form, and written and read again.
pub fn recording(data: &[u8]) {
    let mut input = Input(data);
    let Some(kind) = input.byte() else { return };
    let made;
    let file = if kind % 2 == 0 {
        input.0
    } else {
        made = file(input);
        &made
    };
    let Ok(mut reader) = Reader::open(file) else { return };
    let machine = reader.machine().clone();
    let mut activity = Activity::new(&machine.cpus);
    let mut all = Vec::new();
    while let Some(events) = reader.next_events().expect("reading memory works") {
        events.iter().for_each(|event| activity.add(event));
        show(&machine, reader.tables(), &events);
        all.extend(events);
    }
    let (summary, tables) = (activity.summary(0), reader.tables());
    assert_ne!(summary_text(&summary, tables, &machine), "");
    assert!(summary_json(&summary, tables, &machine).is_object());
    again(&machine, tables, &all);
}

fn show(machine: &MachineFacts, tables: &Tables, events: &[Event]) {
    for form in [Form::Text, Form::Json, Form::Perfetto] {
        let mut output = Output::new(form, Vec::new(), machine).expect("writing memory works");
        output.write(tables, events).expect("writing memory works");
        output.finish().expect("writing memory works");
    }
}

/// Writes events and reads them again.
fn again(machine: &MachineFacts, tables: &Tables, events: &[Event]) {
    let mut writer = Writer::new(Vec::new(), machine).expect("writing memory works");
    writer.write(tables, events).expect("writing memory works");
    let file = writer.finish().expect("writing memory works");
    let mut reader = Reader::open(&file[..]).expect("it was written so");
    let mut found = Vec::new();
    while let Some(some) = reader.next_events().expect("reading memory works") {
        found.extend(some);
    }
    assert_eq!(reader.problems().list(), []);
    assert_eq!((reader.machine(), found.as_slice()), (machine, events));
    let tasks = |tables: &Tables| {
        tables.tasks().map(|(task, _)| tables.task_name(task)).collect::<Vec<_>>()
    };
    assert_eq!(tasks(reader.tables()), tasks(tables));
}

/// A file with these chunks.
fn file(mut input: Input<'_>) -> Vec<u8> {
    let mut file = b"\x89ROTAev\n\x02\0\0\0".to_vec();
    let mut number = 0_u32;
    while let (Some(kind), Some(length)) = (input.byte(), input.short()) {
        let held = input.take(length);
        let held = if u16::from(kind) == EVENTS { &stored(held) } else { held };
        let mut head = b"\xb5Chk".to_vec();
        let words = [u32::from(kind), number, held.len() as u32, checksum(held)];
        head.extend(words.into_iter().flat_map(u32::to_le_bytes));
        head.extend(checksum(&head).to_le_bytes());
        file.extend(head);
        file.extend(held);
        number += 1;
    }
    file
}

/// The number of chunks with events.
const EVENTS: u16 = 4;

/// Events with their columns as Deflate has what it can't compress.
fn stored(held: &[u8]) -> Vec<u8> {
    let (counts, columns) = held.split_at(held.len().min(12));
    let length = columns.len() as u16;
    [counts, &[1], &length.to_le_bytes(), &(!length).to_le_bytes(), columns].concat()
}

/// CRC-32, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        let shift = |sum: u32, _| sum >> 1 ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1));
        (0..8).fold(sum ^ u32::from(*byte), shift)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_make_a_file() {
        // A machine, a text, a task, an event of it, and the end.
        let text = [&[1, 0, 0, 0, 1, 0, 0, 0][..], b"x"].concat();
        let task = [&[1, 0, 0, 0, 1, 0, 0, 0][..], &[0; 24]].concat();
        // One event: time, CPU, kind, task, flags, a, b, c.
        let event = [&[0; 8][..], &[1, 0, 0, 0], &[2, 0, 19, 2, 0, 0, 0, 0]].concat();
        let chunks = [(1, b"{\"kernel\":\"k\"}".to_vec()), (2, text), (3, task), (4, event)];
        let mut data = vec![1];
        for (kind, held) in chunks {
            data.extend([kind, held.len() as u8, 0]);
            data.extend(held);
        }
        recording(&data);
        let file = file(Input(&data[1..]));
        let mut reader = Reader::open(&file[..]).unwrap();
        assert_eq!(reader.next_events().unwrap().unwrap().len(), 1);
        assert_eq!((reader.machine().kernel.as_str(), reader.problems().list()), ("k", &[][..]));
        assert_eq!(reader.tables().task_name(rota_events::TaskRef(1)), "x[0]");
    }
}
