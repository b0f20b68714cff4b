// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages: who waits for what was sent, and for room to send.
//!
//! A receiver that is late finds messages without having slept, and one that is early sleeps where it
//! did not in the recording. So where messages are recorded, a receiver waits for each at the place
//! where it received it, and the wake-ups by which the kernel handed them over are taken out: they
//! follow from the messages. The same holds for senders that slept until there was room again.
//!
//! Messages of a channel are received in the order in which they were sent, byte by byte.

use super::{Piece, Task};
use rota_events::TaskRef;
use std::collections::{BTreeMap, VecDeque};

/// How somebody was woken up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct How {
    /// By another CPU than the one on which the task ran then.
    pub(super) remote: bool,
    /// How long the task was [`away`](rota_workload::away) from the CPU.
    pub(super) away: usize,
}

/// A wake-up by a task: when the sleep began, and when it ended, in ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wake {
    pub(super) asleep_ns: u64,
    pub(super) woke_ns: u64,
    pub(super) how: How,
}

/// What somebody received before it was seen that it was sent: by whom, which of their pieces, when,
/// and bytes. `waker` had woken them up, and has done nothing since: so it was about to send.
#[derive(Debug, Clone, Copy)]
struct Debt {
    task: TaskRef,
    at: usize,
    waker: Option<TaskRef>,
    when_ns: u64,
    bytes: u64,
}

/// Who receives: a task, its next piece, and who woke it up and has done nothing since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receiving {
    pub(super) task: TaskRef,
    pub(super) at: usize,
    pub(super) waker: Option<TaskRef>,
}

/// A sender needs so much CPU time at most, in ns, from when its message can be received until it is
/// seen that it was sent.
const SENDING_NS: u64 = 50_000;
/// So many debts are kept.
const DEBTS_MAX: usize = 64;

/// A message on its way: who sent it, by which of their pieces, how many bytes are not received yet,
/// and whether others are.
#[derive(Debug, Clone, Copy)]
struct Message {
    task: TaskRef,
    at: usize,
    bytes: u64,
    begun: bool,
}

/// What one socket receives. If events are missing, later messages are taken for earlier ones, and
/// nobody waits for what is not sent.
#[derive(Debug, Default)]
pub(super) struct Channel {
    queue: VecDeque<Message>,
    debts: VecDeque<Debt>,
    /// When messages were sent and received.
    sent_ns: Vec<u64>,
    received_ns: Vec<u64>,
    pub(super) room: Option<Room>,
}

/// Senders wait when so many messages are on their way, until so many more have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Room {
    pub(super) messages: u32,
    pub(super) wakes_at: u32,
}

/// How long a sender has been at it: since when it does nothing else, and since when it runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    pub(super) since_ns: u64,
    pub(super) runs_ns: u64,
    pub(super) now_ns: u64,
}

impl Sending {
    /// Whether what a task sends could be received then. Who woke the receiver up by it may have been
    /// interrupted for however long.
    fn covers(self, debt: &Debt, sender: TaskRef) -> bool {
        let soon = self.now_ns - self.runs_ns.max(debt.when_ns) <= SENDING_NS;
        self.since_ns <= debt.when_ns && (soon || debt.waker == Some(sender))
    }
}

impl Channel {
    /// A message is sent by a piece of a task. Returns who had it before: whose piece is to become a
    /// wait for it.
    pub(super) fn send(
        &mut self,
        bytes: u32,
        (task, at): (TaskRef, usize),
        sending: Sending,
    ) -> Option<(TaskRef, usize)> {
        self.sent_ns.push(sending.now_ns);
        let mut left = u64::from(bytes);
        let mut early = None;
        while let Some(place) = self.debts.iter().position(|debt| sending.covers(debt, task)) {
            let debt = &mut self.debts[place];
            early.get_or_insert((debt.task, debt.at));
            let paid = left.min(debt.bytes);
            (debt.bytes, left) = (debt.bytes - paid, left - paid);
            if debt.bytes == 0 {
                self.debts.remove(place);
            }
            if left == 0 {
                break;
            }
        }
        if left > 0 {
            self.queue.push_back(Message { task, at, bytes: left, begun: early.is_some() });
        }
        if early.is_some() {
            self.received_ns.push(sending.now_ns);
        }
        early
    }

    /// A task receives. Returns how many messages it needs for that of which nothing was received
    /// before.
    pub(super) fn receive(&mut self, bytes: u32, by: Receiving, now_ns: u64) -> u32 {
        let (mut left, mut messages) = (u64::from(bytes), 0);
        while left > 0 {
            let Some(message) = self.queue.front_mut() else {
                let Receiving { task, at, waker } = by;
                self.debts.push_back(Debt { task, at, waker, when_ns: now_ns, bytes: left });
                if self.debts.len() > DEBTS_MAX {
                    self.debts.pop_front();
                }
                break;
            };
            if !std::mem::replace(&mut message.begun, true) {
                messages += 1;
                self.received_ns.push(now_ns);
            }
            let taken = left.min(message.bytes);
            (message.bytes, left) = (message.bytes - taken, left - taken);
            if message.bytes == 0 {
                self.queue.pop_front();
            }
        }
        messages
    }

    /// Messages that were on their way then.
    fn waiting(&self, now_ns: u64) -> u64 {
        let until = |times: &[u64]| times.partition_point(|time| *time <= now_ns) as u64;
        until(&self.sent_ns).saturating_sub(until(&self.received_ns))
    }

    /// The room that senders slept for. Some have it already and have not sent yet, so that fewer
    /// messages are on their way than there is room for: those of a tenth of the sleeps with the most
    /// count.
    fn find_room(&mut self, sleeps: &[Wake]) {
        let mut sleeps: Vec<_> = sleeps
            .iter()
            .map(|wake| (self.waiting(wake.asleep_ns), self.waiting(wake.woke_ns)))
            .collect();
        sleeps.sort_unstable();
        let Some((full, left)) = sleeps.get(sleeps.len() * 9 / 10) else { return };
        let messages = (*full).clamp(1, u32::MAX.into()) as u32;
        let wakes_at = full.saturating_sub(*left).clamp(1, messages.into()) as u32;
        self.room = Some(Room { messages, wakes_at });
    }

    /// Where nobody slept for room there is as much as elsewhere, and nowhere less than was taken.
    fn has_room(&mut self, usual: Room) {
        let room = self.room.get_or_insert(usual);
        let Room { messages, wakes_at } = *room;
        let taken = self.sent_ns.iter().map(|time| self.waiting(*time)).max().unwrap_or(0);
        let more = (taken.min(u32::MAX.into()) as u32).saturating_sub(messages);
        self.room = Some(Room { messages: messages + more, wakes_at: wakes_at + more });
    }
}

/// What a task does with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Sends(u32),
    Receives(u32),
}

/// What the kernel hands over by a wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Message(u32),
    Room(u32),
}

/// For each wake-up, what it hands over: whoever is woken up receives next what the other one is
/// about to send, or sends after the other one has received.
fn links(tasks: &BTreeMap<TaskRef, Task>, wakes: usize) -> Vec<Option<Link>> {
    let mut deeds = vec![(None, None); wakes];
    for task in tasks.values() {
        let mut next = None;
        for piece in task.pieces.iter().rev() {
            match piece {
                Piece::Signal { wake, .. } => deeds[*wake as usize].0 = next,
                Piece::Wait(wake) => deeds[*wake as usize].1 = next,
                Piece::Run(_) | Piece::Nice(_) | Piece::Cpus(_) | Piece::Nothing => {}
                Piece::Send(channel) => next = Some(Deed::Sends(*channel)),
                Piece::Receive { channel, messages } if *messages > 0 => {
                    next = Some(Deed::Receives(*channel));
                }
                _ => next = None,
            }
        }
    }
    let link = |pair| match pair {
        (Some(Deed::Sends(to)), Some(Deed::Receives(from))) if to == from => {
            Some(Link::Message(to))
        }
        (Some(Deed::Receives(from)), Some(Deed::Sends(to))) if to == from => Some(Link::Room(to)),
        _ => None,
    };
    deeds.into_iter().map(link).collect()
}

/// Takes messages out that nobody receives: they would need room for ever.
pub(super) fn drop_unreceived(tasks: &mut BTreeMap<TaskRef, Task>, channels: &[Channel]) {
    for message in channels.iter().flat_map(|channel| &channel.queue).filter(|m| !m.begun) {
        if let Some(task) = tasks.get_mut(&message.task) {
            task.pieces[message.at] = Piece::Nothing;
        }
    }
}

/// Takes wake-ups out by which messages or room are handed over, and finds how much room there is.
/// Returns how many messages were received by somebody whom they did not wake up.
pub(super) fn link(
    tasks: &mut BTreeMap<TaskRef, Task>,
    wakes: &[Wake],
    channels: &mut [Channel],
) -> u64 {
    let links = links(tasks, wakes.len());
    let mut sleeps = vec![Vec::new(); channels.len()];
    for (wake, link) in wakes.iter().zip(&links) {
        if let Some(Link::Room(channel)) = link {
            sleeps[*channel as usize].push(*wake);
        }
    }
    for (channel, sleeps) in channels.iter_mut().zip(&sleeps) {
        channel.find_room(sleeps);
    }
    let mut rooms: Vec<Room> = channels.iter().filter_map(|channel| channel.room).collect();
    rooms.sort_unstable();
    if let Some(usual) = rooms.get(rooms.len() / 2) {
        channels.iter_mut().for_each(|channel| channel.has_room(*usual));
    }
    let (mut received, mut woken) = (0_u64, 0);
    for piece in tasks.values_mut().flat_map(|task| &mut task.pieces) {
        let how = |wake: u32| wakes[wake as usize].how;
        let becomes = match *piece {
            Piece::Receive { messages, .. } => {
                received += u64::from(messages);
                None
            }
            Piece::Wait(wake) => links[wake as usize].map(|link| match link {
                Link::Message(channel) => {
                    woken += 1;
                    Piece::Expect { channel, how: how(wake) }
                }
                Link::Room(channel) => Piece::Room { channel, how: how(wake) },
            }),
            Piece::Signal { wake, .. } => links[wake as usize].map(|link| match link {
                Link::Message(channel) => Piece::Hand { channel, how: how(wake) },
                Link::Room(_) => Piece::Free { how: how(wake) },
            }),
            _ => None,
        };
        *piece = becomes.unwrap_or(*piece);
    }
    received.saturating_sub(woken)
}
