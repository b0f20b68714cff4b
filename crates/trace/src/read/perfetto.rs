// SPDX-License-Identifier: GPL-2.0-or-later
//! Traces of Perfetto: what the kernel's tracing of scheduling wrote into them, as whole events and
//! as columns (`compact_sched`), packet after packet.

mod bundle;
mod losses;
mod session;

use super::{Input, ReadError, Source};
use crate::perfetto::field::{packet, trace};
use crate::protobuf::{Fields, Held};
use rota_events::{Event, MachineFacts, Problems, Tables, Window};
use session::Session;
use std::io::{self, Read};

/// No packet has more bytes, whether compressed or not: what is longer is damage.
const PACKET_MAX: usize = 64 << 20;
/// Bytes of the head of a packet: what it is, and its length.
const HEAD_MAX: usize = 11;
/// So many packets may come before the first that tells events.
const PACKETS_BEFORE: usize = 1 << 12;
/// So many events are handed over at once, or a few more.
const EVENTS_AT_ONCE: usize = 1 << 14;
/// So far is looked for the next packet at once, after damage.
const LOOK_BYTES: usize = 1 << 16;
/// Packets have fields with numbers up to this; a few of others have far higher ones.
const FIELD_MAX: u32 = 2000;

/// Whether the start of a file is a packet of Perfetto, and what follows too, as far as it is there.
pub(super) fn is_perfetto(head: &[u8]) -> bool {
    let Some((start, length)) = packet_head(head) else { return false };
    match head.get(start..start + length) {
        Some(first) => {
            let next = head.get(start + length);
            length > 0 && is_packet(first) && next.is_none_or(|byte| *byte == PACKET_TAG)
        }
        // It is longer than what is there.
        None => {
            let mut fields = Fields::new(&head[start..]);
            let first = fields.next();
            let known = |field| (1..=FIELD_MAX).contains(&field);
            matches!(first, Some(Ok((field, _))) if known(field))
                || first_is_long(&head[start..], length)
        }
    }
}

/// Whether a packet starts with a field that is longer than what is there of it, and no longer than
/// the packet.
fn first_is_long(bytes: &[u8], length: usize) -> bool {
    let Some((key, after)) = crate::protobuf::varint(bytes, 0) else { return false };
    let Some((held, start)) = crate::protobuf::varint(bytes, after) else { return false };
    let (field, wire) = (key >> 3, key & 7);
    wire == 2
        && (1..=u64::from(FIELD_MAX)).contains(&field)
        && held.checked_add(start as u64).is_some_and(|end| end <= length as u64)
        && bytes.len() > 64
}

/// The byte that each packet of a trace begins with.
const PACKET_TAG: u8 = (trace::PACKET << 3 | 2) as u8;

/// Where what a packet holds starts, and its length.
fn packet_head(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.first() != Some(&PACKET_TAG) {
        return None;
    }
    let (length, start) = crate::protobuf::varint(bytes, 1)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= PACKET_MAX)?;
    Some((start, length))
}

/// Whether bytes can be a packet.
fn is_packet(bytes: &[u8]) -> bool {
    Fields::new(bytes).all(|field| matches!(field, Ok((1..=FIELD_MAX, _))))
}

/// Reads a trace.
pub(super) struct Trace<R> {
    window: Window<R>,
    session: Session,
    done: bool,
}

impl Trace<Box<dyn Read>> {
    /// Starts to read.
    pub(super) fn open(input: Input) -> Result<Self, ReadError> {
        let window = Window::new(input.into_stream(), 0);
        let mut trace = Self { window, session: Session::default(), done: false };
        // Which kernel it was and which clock, the first packets say.
        for _ in 0..PACKETS_BEFORE {
            if trace.done || trace.session.has_begun() {
                break;
            }
            trace.step()?;
        }
        Ok(trace)
    }
}

impl<R: Read> Trace<R> {
    /// Takes the next packet.
    fn step(&mut self) -> io::Result<()> {
        let at = self.window.at();
        self.window.fill(HEAD_MAX)?;
        if self.window.bytes().is_empty() {
            self.done = true;
            self.session.finish(at);
            return Ok(());
        }
        let Some((start, length)) = packet_head(self.window.bytes()) else {
            self.session.problems.add(at, "here should be a packet");
            return self.resume();
        };
        if !self.window.fill(start + length)? {
            self.session.problems.add(at, "a packet that is cut off");
            return self.resume();
        }
        let bytes = &self.window.bytes()[start..start + length];
        if take(&mut self.session, bytes, at, true).is_none() {
            self.session.problems.add(at, "a packet that is damaged");
        }
        self.window.skip(start + length);
        Ok(())
    }

    /// After damage, finds the next packet, if there is one: it must be whole, and another one or the
    /// end must follow.
    fn resume(&mut self) -> io::Result<()> {
        self.window.skip(self.window.bytes().len().min(1));
        loop {
            self.window.fill(LOOK_BYTES)?;
            let bytes = self.window.bytes();
            if bytes.is_empty() {
                return Ok(());
            }
            let Some(next) = bytes.iter().position(|byte| *byte == PACKET_TAG) else {
                self.window.skip(bytes.len());
                continue;
            };
            self.window.skip(next);
            self.window.fill(HEAD_MAX)?;
            // A packet of some size: a short one may be anything.
            if let Some((start, length)) = packet_head(self.window.bytes())
                && (4..LOOK_BYTES << 4).contains(&length)
            {
                let followed = self.window.fill(start + length + 1)?;
                let bytes = self.window.bytes();
                if let Some(packet) = bytes.get(start..start + length)
                    && (!followed || bytes[start + length] == PACKET_TAG)
                    && is_packet(packet)
                {
                    return Ok(());
                }
            }
            self.window.skip(1);
        }
    }
}

/// Takes what a packet holds; nothing if it is damaged.
fn take(session: &mut Session, bytes: &[u8], at: u64, may_hold_packets: bool) -> Option<()> {
    head(session, bytes);
    for field in Fields::new(bytes) {
        match field.ok()? {
            (packet::FTRACE_EVENTS, Held::Bytes(bytes)) => session.bundle(bytes, at)?,
            (packet::PROCESS_TREE, Held::Bytes(bytes)) => session.tree(bytes)?,
            (packet::CLOCK_SNAPSHOT, Held::Bytes(bytes)) => session.clocks(bytes)?,
            (packet::SYSTEM_INFO, Held::Bytes(bytes)) => session.system(bytes)?,
            (packet::FTRACE_STATS, Held::Bytes(bytes)) => session.stats(bytes)?,
            (packet::COMPRESSED, Held::Bytes(bytes)) if may_hold_packets => {
                let unpacked =
                    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(bytes, PACKET_MAX);
                for field in Fields::new(&unpacked.ok()?) {
                    if let (trace::PACKET, Held::Bytes(bytes)) = field.ok()? {
                        take(session, bytes, at, false)?;
                    }
                }
            }
            _ => {}
        }
    }
    Some(())
}

/// Takes what a packet says of itself, which may stand behind what it holds.
fn head(session: &mut Session, bytes: &[u8]) {
    let (mut writer, mut dropped, mut is_bundle) = (0, false, false);
    for field in Fields::new(bytes).map_while(Result::ok) {
        match field {
            (packet::SEQUENCE, Held::Number(number)) => writer = number,
            (packet::DROPPED, Held::Number(number)) => dropped = number != 0,
            (packet::FTRACE_EVENTS, _) => is_bundle = true,
            _ => {}
        }
    }
    session.losses.packet(writer, dropped, is_bundle);
}

impl<R: Read> Source for Trace<R> {
    fn machine(&self) -> &MachineFacts {
        &self.session.machine
    }

    fn tables(&self) -> &Tables {
        self.session.tables()
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
