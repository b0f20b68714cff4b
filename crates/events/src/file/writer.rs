// SPDX-License-Identifier: GPL-2.0-or-later
//! Writing an event file.

use super::checksum::checksum;
use super::{
    CHUNK, EVENTS_A_CHUNK, MAGIC, MachineFacts, PAYLOAD_MAX, TASK_BYTES, VERSION, chunk, columns,
};
use crate::event::{Event, StreamHash};
use crate::ids::{TaskRef, TextRef};
use crate::tables::{Tables, TaskInfo};
use std::io::{self, Write};

/// Writes an event file, in pieces.
///
/// Nothing is lost but what was not yet written if the writer goes away; [`Writer::finish`] writes
/// the rest, and an end by which a reader knows that nothing is missing.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Number of the next chunk.
    sequence: u32,
    /// The last text, and how many tasks, that were told.
    last_text: TextRef,
    tasks_told: usize,
    /// Events that wait for their chunk, with how many went before them.
    waiting: Vec<Event>,
    events_before: u64,
    hash: StreamHash,
}

impl<W: Write> Writer<W> {
    /// Starts a file.
    ///
    /// # Errors
    /// What the writer `out` says, here and below.
    pub fn new(mut out: W, machine: &MachineFacts) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let mut writer = Self {
            out,
            sequence: 0,
            last_text: TextRef::EMPTY,
            tasks_told: 0,
            waiting: Vec::new(),
            events_before: 0,
            hash: StreamHash::default(),
        };
        writer.chunk(chunk::MACHINE, machine.to_json().as_bytes())?;
        Ok(writer)
    }

    /// Writes events. `tables` has what their numbers stand for, and grows from call to call.
    pub fn write(&mut self, tables: &Tables, events: &[Event]) -> io::Result<()> {
        self.tell_texts(tables)?;
        self.tell_tasks(tables)?;
        for event in events {
            self.hash.add(event);
            self.waiting.push(*event);
            if self.waiting.len() == EVENTS_A_CHUNK {
                self.write_waiting()?;
            }
        }
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_waiting()?;
        let end = [self.events_before.to_le_bytes(), self.hash.value().to_le_bytes()].concat();
        self.chunk(chunk::END, &end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn tell_texts(&mut self, tables: &Tables) -> io::Result<()> {
        let mut payload = Vec::new();
        for (number, text) in tables.texts_after(self.last_text) {
            let mut most = text.len().min(PAYLOAD_MAX / 2);
            while !text.is_char_boundary(most) {
                most -= 1;
            }
            if payload.len() + most > PAYLOAD_MAX / 2 {
                self.chunk(chunk::TEXTS, &std::mem::take(&mut payload))?;
            }
            payload.extend(number.0.to_le_bytes());
            payload.extend((most as u32).to_le_bytes());
            payload.extend(&text.as_bytes()[..most]);
            self.last_text = number;
        }
        if payload.is_empty() { Ok(()) } else { self.chunk(chunk::TEXTS, &payload) }
    }

    fn tell_tasks(&mut self, tables: &Tables) -> io::Result<()> {
        let news = tables.told().get(self.tasks_told..).unwrap_or_default();
        if news.is_empty() {
            return Ok(());
        }
        // A task may have another name from now on, not before.
        self.write_waiting()?;
        for some in news.chunks(PAYLOAD_MAX / TASK_BYTES) {
            let known = some.iter().filter_map(|task| Some((*task, tables.task_of(*task)?)));
            let payload: Vec<u8> = known.flat_map(|(task, info)| task_bytes(task, info)).collect();
            self.chunk(chunk::TASKS, &payload)?;
        }
        self.tasks_told = tables.told().len();
        Ok(())
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut payload = self.events_before.to_le_bytes().to_vec();
        payload.extend((self.waiting.len() as u32).to_le_bytes());
        payload.extend(columns::pack(&self.waiting));
        self.events_before += self.waiting.len() as u64;
        self.waiting.clear();
        self.chunk(chunk::EVENTS, &payload)
    }

    fn chunk(&mut self, kind: u16, payload: &[u8]) -> io::Result<()> {
        let mut head = CHUNK.to_vec();
        head.extend(u32::from(kind).to_le_bytes());
        head.extend(self.sequence.to_le_bytes());
        head.extend((payload.len() as u32).to_le_bytes());
        head.extend(checksum(payload).to_le_bytes());
        head.extend(checksum(&head).to_le_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.out.write_all(&head)?;
        self.out.write_all(payload)
    }
}

fn task_bytes(task: TaskRef, info: &TaskInfo) -> [u8; TASK_BYTES] {
    let numbers = [
        task.0,
        info.name.0,
        info.group.0,
        info.pid.cast_unsigned(),
        info.tgid.cast_unsigned(),
        0,
        info.start_ns as u32,
        (info.start_ns >> 32) as u32,
    ];
    let mut bytes = [0; TASK_BYTES];
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}
