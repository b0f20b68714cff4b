// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls of functions as a trace for Perfetto: slices within slices on the tracks of their threads.

use super::field::{annotation, packet, track, track_event};
use super::packets;
use super::tracks::{BEGIN, END};
use crate::protobuf::Message;
use rota_events::MachineFacts;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The thread; 0 for the idle task of a CPU.
    pub pid: i32,
    /// Its process.
    pub tgid: i32,
    /// Its name.
    pub comm: &'a str,
    /// The CPU, which tells idle tasks from each other.
    pub cpu: u16,
}

/// Writes a trace of calls. What a thread calls is to be written in its order: where a call begins, the
/// calls within it, where it ends.
#[derive(Debug)]
pub struct CallTrace<W> {
    out: W,
    /// Numbers of tracks, by threads; idle tasks by their CPUs.
    tracks: BTreeMap<(i32, u16), u64>,
}

impl<W: Write> CallTrace<W> {
    /// Begins a trace. `now_ns` is the present time by the machine's clock.
    ///
    /// # Errors
    /// Those of writing, here and below.
    pub fn new(mut out: W, machine: &MachineFacts, now_ns: u64) -> io::Result<Self> {
        packets::start(&mut out, machine, now_ns)?;
        Ok(Self { out, tracks: BTreeMap::new() })
    }

    /// A call begins. What is known of it stands beside it: names and values.
    pub fn begins(
        &mut self,
        caller: Caller<'_>,
        time_ns: u64,
        function: &str,
        known: &[(String, String)],
    ) -> io::Result<()> {
        let mut begins = self.event(caller, BEGIN)?.text(track_event::NAME, function);
        for (name, value) in known {
            let value =
                Message::default().text(annotation::NAME, name).text(annotation::TEXT, value);
            begins = begins.message(track_event::ANNOTATION, &value);
        }
        self.write(time_ns, &begins)
    }

    /// The call that began last ends.
    pub fn ends(&mut self, caller: Caller<'_>, time_ns: u64) -> io::Result<()> {
        let ends = self.event(caller, END)?;
        self.write(time_ns, &ends)
    }

    /// Ends the trace, and returns where it was written.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn event(&mut self, caller: Caller<'_>, kind: u64) -> io::Result<Message> {
        let track = self.track(caller)?;
        Ok(Message::default().number(track_event::TYPE, kind).number(track_event::TRACK, track))
    }

    fn write(&mut self, time_ns: u64, event: &Message) -> io::Result<()> {
        let at = packets::own().number(packet::TIMESTAMP, time_ns);
        packets::write(&mut self.out, &at.message(packet::TRACK_EVENT, event))
    }

    /// The number of a thread's track, which is described when it is seen first.
    fn track(&mut self, caller: Caller<'_>) -> io::Result<u64> {
        let key = (caller.pid, if caller.pid == 0 { caller.cpu } else { 0 });
        if let Some(number) = self.tracks.get(&key) {
            return Ok(*number);
        }
        let number = self.tracks.len() as u64 + 1;
        self.tracks.insert(key, number);
        let described = Message::default().number(track::UUID, number);
        // Perfetto has one thread 0 for all CPUs.
        let described = match caller.pid {
            0 => described.text(track::NAME, caller.comm),
            _ => {
                let thread = Message::default()
                    .signed(track::THREAD_PID, caller.tgid.into())
                    .signed(track::THREAD_TID, caller.pid.into())
                    .text(track::THREAD_NAME, caller.comm);
                described.message(track::THREAD, &thread)
            }
        };
        let packet = packets::own().message(packet::TRACK_DESCRIPTOR, &described);
        packets::write(&mut self.out, &packet)?;
        Ok(number)
    }
}
