// SPDX-License-Identifier: GPL-2.0-or-later
//! perf.data, as `perf record` writes it to files and to pipes, in the byte order of any machine
//! (kernel: `tools/perf/Documentation/perf.data-file-format.txt`, `include/uapi/linux/perf_event.h`).

mod attribute;
mod features;
pub(super) mod queue;
mod session;
mod unpack;

use super::input::{SECTION_MAX, section};
use super::order::Order;
use super::{Input, ReadError, Seekable, Source};
use rota_events::{Event, MachineFacts, Problems, Tables, Window};
use session::{FINISHED_ROUND, Next, Session};
use std::collections::VecDeque;
use std::io::{self, Read, SeekFrom};
use unpack::Unpacker;

/// How a file begins, by its byte order.
const LITTLE: &[u8] = b"PERFILE2";
const BIG: &[u8] = b"2ELIFREP";
/// Bytes of the head of a file, of that of a pipe, and of the head of a record.
const FILE_HEAD: usize = 104;
const PIPE_HEAD: usize = 16;
const RECORD_HEAD: usize = 8;
/// A record that says that a round is over: after damage, reading goes on there.
const ROUND_LITTLE: [u8; 8] = [68, 0, 0, 0, 0, 0, 8, 0];
const ROUND_BIG: [u8; 8] = [0, 0, 0, 68, 0, 0, 0, 8];
/// What the numbers of all events may take together, in bytes: one for each event on each CPU. A file
/// may name the same ones again and again.
const IDS_BYTES_MAX: u64 = 8 << 20;
/// So many events are handed over at once, or a few more.
const EVENTS_AT_ONCE: usize = 1 << 14;

/// Whether the start of a file is that of perf.
pub(super) fn is_perf(head: &[u8]) -> bool {
    head.starts_with(LITTLE) || head.starts_with(BIG)
}

/// Reads perf.data.
pub(super) struct PerfData {
    session: Session,
    window: Window<Box<dyn Read>>,
    unpacker: Option<Unpacker>,
    /// Records that were compressed, and not taken yet.
    unpacked: Vec<u8>,
    /// How many bytes of them were taken, and where among them rounds were over.
    taken: u64,
    rounds: VecDeque<u64>,
    done: bool,
}

impl PerfData {
    pub(super) fn open(mut input: Input) -> Result<Self, ReadError> {
        let head = input.peek(FILE_HEAD)?;
        let order = if head.starts_with(LITTLE) { Order::Little } else { Order::Big };
        let is_file = order.u64(head, 8) != Some(PIPE_HEAD as u64);
        let mut session = Session::new(order);
        let window = if is_file {
            let file = input.into_seekable()?;
            open_file(file, &mut session)?
        } else {
            let mut window = Window::new(input.into_stream(), 0);
            window.fill(PIPE_HEAD)?;
            window.skip(PIPE_HEAD);
            window
        };
        let mut perf = Self {
            session,
            window,
            unpacker: None,
            unpacked: Vec::new(),
            taken: 0,
            rounds: VecDeque::new(),
            done: false,
        };
        // A pipe says what there is in its first records.
        while !is_file && perf.session.unusable().is_some() && !perf.done {
            perf.step()?;
        }
        match perf.session.unusable() {
            Some(why) => Err(ReadError::Unusable(why)),
            None => Ok(perf),
        }
    }

    /// Takes the next record of the file.
    fn step(&mut self) -> io::Result<()> {
        let at = self.window.at();
        let Some((kind, size)) = self.head()? else { return self.resume() };
        if kind == FINISHED_ROUND && self.round_of_packed(at) {
            return self.skip(size as u64);
        }
        let next = self.session.record(kind, &self.window.bytes()[RECORD_HEAD..size], at);
        let mut skip = size as u64;
        match next {
            Next::Record => {}
            Next::Skip(more) => skip = skip.saturating_add(more),
            Next::Tracing(bytes) => {
                if bytes as u64 <= SECTION_MAX && self.window.fill(size + bytes)? {
                    self.session.tracing(&self.window.bytes()[size..size + bytes]);
                }
                skip += bytes as u64;
            }
            Next::Compressed(from, to) => {
                let unpacker = self.unpacker.get_or_insert_with(Unpacker::new);
                unpacker.add(&self.window.bytes()[RECORD_HEAD + from..RECORD_HEAD + to]);
                self.unpack(at, false);
            }
        }
        self.skip(skip)
    }

    /// Rounds are not compressed, but what was recorded in them is, and comes later. Whether it does.
    fn round_of_packed(&mut self, at: u64) -> bool {
        let Some(unpacker) = &self.unpacker else { return false };
        // Until enough has come, it can't be told where the round ends. One less does no harm.
        self.rounds.extend(unpacker.end());
        self.unpack(at, false);
        true
    }

    /// Kind and size of the whole record that is next, if one is.
    fn head(&mut self) -> io::Result<Option<(u32, usize)>> {
        if !self.window.fill(RECORD_HEAD)? {
            return Ok(None);
        }
        let (kind, size) = record_head(self.window.bytes(), self.session.order);
        Ok((size >= RECORD_HEAD && self.window.fill(size)?).then_some((kind, size)))
    }

    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            if !self.window.fill(1)? {
                let at = self.window.at();
                self.session.problems.add(at, "the file ends in the middle of something");
                break;
            }
            let some = bytes.min(self.window.bytes().len() as u64);
            self.window.skip(some as usize);
            bytes -= some;
        }
        Ok(())
    }

    /// At the end, or after damage: goes on where a round is over.
    fn resume(&mut self) -> io::Result<()> {
        let from = self.window.at();
        if !self.window.fill(1)? {
            self.unpack(from, true);
            self.session.finish(from);
            self.done = true;
            return Ok(());
        }
        let round = if self.session.order == Order::Little { ROUND_LITTLE } else { ROUND_BIG };
        // Records are aligned in the file.
        self.window.skip(8);
        while self.window.fill(8)? && !self.window.bytes().starts_with(&round) {
            self.window.skip(8);
        }
        if !self.window.fill(8)? {
            self.window.skip(8);
        }
        let bytes = self.window.at() - from;
        self.session.hole();
        let what = if self.window.fill(1)? { "damaged" } else { "cut off" };
        self.session.problems.add(from, format!("{what} ({bytes} bytes that can't be read)"));
        Ok(())
    }

    /// Takes records that were compressed, as far as they are there.
    fn unpack(&mut self, at: u64, last: bool) {
        let Some(unpacker) = &mut self.unpacker else { return };
        loop {
            let stepped = match unpacker.step(&mut self.unpacked) {
                Ok(false) if last => unpacker.finish(&mut self.unpacked).map(|()| false),
                other => other,
            };
            let mut start = 0;
            while let Some(rest) =
                self.unpacked.get(start..).filter(|rest| rest.len() >= RECORD_HEAD)
            {
                if self.rounds.pop_front_if(|end| *end <= self.taken).is_some() {
                    self.session.record(FINISHED_ROUND, &[], at);
                    continue;
                }
                let (kind, size) = record_head(rest, self.session.order);
                if size < RECORD_HEAD {
                    self.session.problems.add(at, "a compressed record without a size");
                    self.session.hole();
                    self.taken += (self.unpacked.len() - start) as u64;
                    start = self.unpacked.len();
                    break;
                }
                let Some(record) = rest.get(RECORD_HEAD..size) else { break };
                self.session.record(kind, record, at);
                start += size;
                self.taken += size as u64;
            }
            self.unpacked.drain(..start);
            match stepped {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    self.session.problems.add(at, format!("compressed records: {why}"));
                    self.session.hole();
                    // Whatever comes next begins anew.
                    (self.unpacker, self.taken) = (None, 0);
                    self.unpacked.clear();
                    self.rounds.clear();
                    return;
                }
            }
        }
    }
}

/// Kind and size of a record.
fn record_head(bytes: &[u8], order: Order) -> (u32, usize) {
    (order.u32(bytes, 0).unwrap_or(0), order.u16(bytes, 6).unwrap_or(0).into())
}

/// Reads what stands beside the data, and begins with those.
fn open_file(
    mut file: Box<dyn Seekable>,
    session: &mut Session,
) -> Result<Window<Box<dyn Read>>, ReadError> {
    let cut = || ReadError::Unusable("it ends before its data begin".to_owned());
    let order = session.order;
    let head = section(&mut file, 0, FILE_HEAD as u64)?;
    let number = |at| order.u64(&head, at).ok_or_else(cut);
    let (entry, attributes) = (number(16)?, (number(24)?, number(32)?));
    let (data_at, data_size) = (number(40)?, number(48)?);
    let attributes = section(&mut file, attributes.0, attributes.1)?;
    let entry =
        usize::try_from(entry).unwrap_or(usize::MAX).max(attribute::ATTRIBUTE_BYTES_MIN + 16);
    let mut ids_left = IDS_BYTES_MAX;
    for (i, bytes) in (0_u64..).zip(attributes.chunks_exact(entry)) {
        let (attribute, ids) = bytes.split_at(bytes.len() - 16);
        let ids = (order.u64(ids, 0).unwrap_or(0), order.u64(ids, 8).unwrap_or(0));
        let ids = section(&mut file, ids.0, ids.1.min(ids_left))?;
        ids_left -= ids.len() as u64;
        if session.attribute(attribute, &ids).is_none() {
            session.problems.add(i * entry as u64, "an attribute that can't be read");
        }
    }
    let mut place = data_at.saturating_add(data_size);
    for feature in (0..256).filter(|feature| has_feature(&head, order, *feature)) {
        let entry = section(&mut file, place, 16)?;
        place = place.saturating_add(16);
        let (Some(at), Some(size)) = (order.u64(&entry, 0), order.u64(&entry, 8)) else {
            session.problems.add(place, "cut off: what the file says of the machine is missing");
            break;
        };
        if features::WANTED.contains(&feature) {
            let bytes = section(&mut file, at, size)?;
            match feature {
                features::TRACING_DATA => session.tracing(&bytes),
                _ => features::take(feature, &bytes, order, &mut session.machine),
            }
        }
    }
    let is_there = i64::try_from(data_at).is_ok();
    file.seek(if is_there { SeekFrom::Start(data_at) } else { SeekFrom::End(0) })?;
    // Who was stopped while it recorded did not say how much there is.
    let size = if data_size == 0 { u64::MAX } else { data_size };
    Ok(Window::new(Box::new(file.take(size)), data_at))
}

/// Whether a file has a feature: bits in four words of eight bytes.
fn has_feature(head: &[u8], order: Order, feature: u32) -> bool {
    let word = order.u64(head, 72 + feature as usize / 64 * 8).unwrap_or(0);
    word >> (feature % 64) & 1 != 0
}

impl Source for PerfData {
    fn machine(&self) -> &MachineFacts {
        &self.session.machine
    }

    fn tables(&self) -> &Tables {
        self.session.kernel.tables()
    }

    fn problems(&self) -> &Problems {
        &self.session.problems
    }

    fn next_events(&mut self) -> io::Result<Option<Vec<Event>>> {
        while !self.done && self.session.events.len() < EVENTS_AT_ONCE {
            self.step()?;
        }
        let events = std::mem::take(&mut self.session.events);
        Ok((!self.done || !events.is_empty()).then_some(events))
    }
}
