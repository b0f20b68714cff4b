// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading an event file.

use super::checksum::checksum;
use super::{
    CHUNK, CHUNK_HEAD, EVENTS_MAX, MAGIC, MachineFacts, PAYLOAD_MAX, TASK_BYTES, VERSION, chunk,
    columns,
};
use crate::event::{Event, StreamHash};
use crate::ids::{TaskRef, TextRef};
use crate::problems::Problems;
use crate::tables::{Tables, TaskInfo};
use crate::window::Window;
use std::io::{self, Read};

/// Why a file can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is no event file.
    #[error("not an event file of Rota")]
    Magic,
    /// It is of a version that is not known here.
    #[error("an event file of version {0}; this program reads version {VERSION}")]
    Version(u32),
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads an event file, chunk after chunk, in memory for one chunk.
///
/// Of a damaged or truncated file it gives every event that is whole, and [`Reader::problems`]
/// says what is missing.
pub struct Reader<R> {
    input: Window<R>,
    machine: MachineFacts,
    tables: Tables,
    problems: Problems,
    next_sequence: u32,
    events_seen: u64,
    hash: StreamHash,
    ended: bool,
    done: bool,
}

impl<R: Read> Reader<R> {
    /// Starts to read a file.
    ///
    /// # Errors
    /// [`OpenError`], if it is no event file of a version that is known here.
    pub fn open(input: R) -> Result<Self, OpenError> {
        let mut reader = Self {
            input: Window::new(input, 0),
            machine: MachineFacts::default(),
            tables: Tables::default(),
            problems: Problems::default(),
            next_sequence: 0,
            events_seen: 0,
            hash: StreamHash::default(),
            ended: false,
            done: false,
        };
        reader.input.fill(MAGIC.len() + 4)?;
        let version = reader.input.bytes().strip_prefix(&MAGIC).and_then(|rest| number(rest, 0));
        match version.ok_or(OpenError::Magic)? {
            VERSION => reader.input.skip(MAGIC.len() + 4),
            version => return Err(OpenError::Version(version)),
        }
        // The machine comes first. A file without it is damaged, as the next call notices.
        if let Some((kind, _)) = reader.peek()?
            && kind == chunk::MACHINE
        {
            reader.next_chunk()?;
        }
        Ok(reader)
    }

    /// The machine; empty if that part of the file is damaged.
    pub fn machine(&self) -> &MachineFacts {
        &self.machine
    }

    /// What numbers of the events read so far stand for.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What was wrong so far.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// The hash of the events read so far.
    pub fn hash(&self) -> StreamHash {
        self.hash
    }

    /// The next events; `None` at the end.
    ///
    /// # Errors
    /// What the reader `input` says. Damage is no error.
    pub fn next_events(&mut self) -> io::Result<Option<Vec<Event>>> {
        while !self.done {
            if let Some(events) = self.next_chunk()? {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }

    fn problem(&mut self, what: String) {
        self.problems.add(self.input.at(), what);
    }

    /// Kind and length of the whole chunk that is next, if one is.
    fn peek(&mut self) -> io::Result<Option<(u16, usize)>> {
        if !self.input.fill(CHUNK_HEAD)? || !self.input.bytes().starts_with(&CHUNK) {
            return Ok(None);
        }
        let head = self.input.bytes()[..CHUNK_HEAD].to_vec();
        let word = |at| number(&head, at).unwrap_or(0);
        // A head that is no head costs nothing more.
        if checksum(&head[..CHUNK_HEAD - 4]) != word(20) {
            return Ok(None);
        }
        let length = word(12) as usize;
        if length > PAYLOAD_MAX || !self.input.fill(CHUNK_HEAD + length)? {
            return Ok(None);
        }
        let payload = &self.input.bytes()[CHUNK_HEAD..CHUNK_HEAD + length];
        let whole = checksum(payload) == word(16);
        Ok(whole.then_some((word(4) as u16, length)))
    }

    /// Takes the next chunk; its events, if it has any.
    fn next_chunk(&mut self) -> io::Result<Option<Vec<Event>>> {
        let Some((kind, length)) = self.peek()? else {
            self.resume()?;
            return Ok(None);
        };
        let sequence = number(self.input.bytes(), 8).unwrap_or(0);
        if sequence != self.next_sequence {
            self.problem(format!(
                "chunk {} is missing before chunk {sequence}",
                self.next_sequence
            ));
        }
        self.next_sequence = sequence.wrapping_add(1);
        let payload = self.input.bytes()[CHUNK_HEAD..CHUNK_HEAD + length].to_vec();
        let found = match kind {
            chunk::MACHINE => {
                match MachineFacts::from_json(&payload) {
                    Some(machine) => self.machine = machine,
                    None => self.problem("what is said of the machine can't be read".to_owned()),
                }
                None
            }
            chunk::TEXTS => self.take_texts(&payload),
            chunk::TASKS => self.take_tasks(&payload),
            chunk::EVENTS => Some(self.take_events(&payload)),
            chunk::END => self.take_end(&payload),
            other => {
                self.problem(format!("a chunk of kind {other}, which is not known here"));
                None
            }
        };
        self.input.skip(CHUNK_HEAD + length);
        Ok(found)
    }

    /// After damage, or at the end: goes on at the next whole chunk.
    fn resume(&mut self) -> io::Result<()> {
        if !self.input.fill(1)? {
            if !self.ended {
                self.problem("the file ends before the recording does".to_owned());
            }
            self.done = true;
            return Ok(());
        }
        let what = if self.ended { "something follows after the end" } else { "damaged" };
        self.problem(what.to_owned());
        let from = self.input.at();
        self.input.skip(1);
        while self.input.fill(1)? {
            let far = self.input.bytes().iter().position(|byte| *byte == CHUNK[0]);
            self.input.skip(far.unwrap_or(self.input.bytes().len()));
            if far.is_some() {
                if self.peek()?.is_some() {
                    break;
                }
                self.input.skip(1);
            }
        }
        let bytes = self.input.at() - from;
        if let Some(last) = self.problems.last_mut().filter(|last| last.at == from) {
            last.what += &format!(" ({bytes} bytes that can't be read)");
        }
        Ok(())
    }

    fn take_texts(&mut self, payload: &[u8]) -> Option<Vec<Event>> {
        let mut rest = payload;
        while !rest.is_empty() {
            let text = number(rest, 4).and_then(|length| rest.get(8..8 + length as usize));
            let (Some(text), Some(of)) = (text, number(rest, 0)) else {
                self.problem("texts that are cut off".to_owned());
                break;
            };
            rest = &rest[8 + text.len()..];
            self.tables.set_text(TextRef(of), &String::from_utf8_lossy(text));
        }
        None
    }

    fn take_tasks(&mut self, payload: &[u8]) -> Option<Vec<Event>> {
        let (tasks, rest) = payload.as_chunks::<TASK_BYTES>();
        for task in tasks {
            let word = |i: usize| number(task, 4 * i).unwrap_or(0);
            let info = TaskInfo {
                name: TextRef(word(1)),
                group: TextRef(word(2)),
                pid: word(3).cast_signed(),
                tgid: word(4).cast_signed(),
                start_ns: u64::from(word(6)) | u64::from(word(7)) << 32,
            };
            self.tables.set_task(TaskRef(word(0)), info);
        }
        if !rest.is_empty() {
            self.problem("tasks that are cut off".to_owned());
        }
        None
    }

    fn take_events(&mut self, payload: &[u8]) -> Vec<Event> {
        let before = payload.first_chunk().copied().map(u64::from_le_bytes);
        let (Some(before), Some(count)) = (before, number(payload, 8)) else {
            self.problem("events that are cut off".to_owned());
            return Vec::new();
        };
        let missing = before.saturating_sub(self.events_seen);
        if missing > 0 {
            self.problem(format!("{missing} events are missing before this"));
        }
        self.events_seen = before.saturating_add(count.into());
        let count = (count as usize).min(EVENTS_MAX);
        let Some(records) = columns::unpack(&payload[12..], count) else {
            self.problem(format!("{count} events that can't be unpacked"));
            return Vec::new();
        };
        let events: Vec<Event> = records.iter().filter_map(|r| Event::from_words(*r)).collect();
        let unknown = records.len() - events.len();
        if unknown > 0 {
            self.problem(format!("{unknown} events of kinds that are not known here"));
        }
        events.iter().for_each(|event| self.hash.add(event));
        events
    }

    fn take_end(&mut self, payload: &[u8]) -> Option<Vec<Event>> {
        self.ended = true;
        let word = |at: usize| Some(u64::from_le_bytes(*payload.get(at..)?.first_chunk()?));
        let (Some(count), Some(hash)) = (word(0), word(8)) else {
            self.problem("the end is cut off".to_owned());
            return None;
        };
        if count > self.events_seen {
            let missing = count - self.events_seen;
            self.problem(format!("{missing} events are missing before the end"));
        } else if self.problems.count() == 0 && hash != self.hash.value() {
            self.problem("the hash of all events is not the one of when it was written".to_owned());
        }
        None
    }
}

/// The number of four bytes at a place.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
