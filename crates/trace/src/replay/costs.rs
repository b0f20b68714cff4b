// SPDX-License-Identifier: GPL-2.0-or-later
//! What waking up and sleeping took of the run times of a recording.
//!
//! In a replay other tasks wake up and sleep than did in the recording. So what that took is taken out
//! of the run times where it was, and the replay takes it where it happens.

use super::{Piece, Replay, Task};
use std::collections::BTreeMap;

/// So many times have to be seen before a cost is believed.
pub(super) const SEEN_MIN: usize = 20;

/// What things took of the CPU time of those who did them, in ns, as medians; 0 where too few are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCosts {
    /// Waking up by a message who waits for it, of who sends: on the same CPU, on another one. It counts
    /// for wake-ups of those who wait for room to send, too, and so does the next.
    pub wake_ns: [u32; 2],
    /// Having slept until a message came, from the same CPU, from another one.
    pub sleep_ns: [u32; 2],
    /// Interrupting another CPU for who was woken up.
    pub kick_ns: u64,
    /// Being interrupted for that, until who was woken up runs.
    pub kicked_ns: u64,
}

/// The median, of enough numbers.
pub(super) fn median(numbers: &mut [u64]) -> Option<u64> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().filter(|_| numbers.len() >= SEEN_MIN)
}

/// By how much the median of some numbers is above that of others.
pub(super) fn excess(with: &mut [u64], without: &mut [u64]) -> u64 {
    median(with).zip(median(without)).map_or(0, |(with, without)| with.saturating_sub(without))
}

impl Piece {
    /// Takes so much out of a run, or what there is; returns that.
    pub(super) fn take(&mut self, ns: u64) -> u64 {
        let Self::Run(run_ns) = self else { return 0 };
        let taken = ns.min(*run_ns);
        *run_ns -= taken;
        taken
    }
}

impl Replay {
    /// Takes out what waking up by messages, and sleeping until they came, took.
    pub(super) fn take_meetings_out(&mut self) {
        let mut seen: BTreeMap<(bool, Met), Vec<u64>> = BTreeMap::new();
        for passage in self.tasks.values().flat_map(passages) {
            seen.entry((passage.sends, passage.met)).or_default().push(passage.ran_ns);
        }
        let mut of = |sends| {
            let mut ran = |met| seen.remove(&(sends, met)).unwrap_or_default();
            let mut alone = ran(Met::Nobody);
            [Met::Here, Met::Elsewhere].map(|met| {
                let ns = excess(&mut ran(met), &mut alone);
                u32::try_from(ns).unwrap_or(u32::MAX)
            })
        };
        let (wake_ns, sleep_ns) = (of(true), of(false));
        (self.costs.wake_ns, self.costs.sleep_ns) = (wake_ns, sleep_ns);
        for task in self.tasks.values_mut() {
            for passage in passages(task) {
                for at in passage.meetings {
                    let (costs, remote) = match task.pieces[at] {
                        Piece::Hand { remote, .. } | Piece::Free { remote } => (wake_ns, remote),
                        Piece::Expect { remote, .. } | Piece::Room { remote, .. } => {
                            (sleep_ns, remote)
                        }
                        _ => continue,
                    };
                    let mut left = u64::from(costs[usize::from(remote)]);
                    // First of what came after it, then of what was before.
                    let before = (passage.begin..at).rev();
                    for place in (at + 1..passage.end).chain(before) {
                        if left == 0 {
                            break;
                        }
                        left -= task.pieces[place].take(left);
                    }
                }
            }
        }
    }
}

/// Whom a task met from a message to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Nobody,
    /// By its message it woke up somebody on the same CPU, or was woken up from there.
    Here,
    /// The same with another CPU.
    Elsewhere,
    /// Several, or it did something else.
    Others,
}

/// What a task does from a message to the next one.
struct Passage {
    /// Whether it sends that message, or receives it.
    sends: bool,
    /// Its pieces, without the messages.
    begin: usize,
    end: usize,
    ran_ns: u64,
    met: Met,
    /// The pieces by which it woke somebody up, or slept.
    meetings: Vec<usize>,
}

fn passages(task: &Task) -> Vec<Passage> {
    let mut all = Vec::new();
    let (mut begin, mut ran_ns, mut met, mut meetings) = (0, 0_u64, Met::Nobody, Vec::new());
    for (at, piece) in task.pieces.iter().enumerate() {
        match piece {
            Piece::Run(ns) => ran_ns = ran_ns.saturating_add(*ns),
            Piece::Hand { remote, .. } | Piece::Expect { remote, .. } => {
                met = match (met, remote) {
                    (Met::Nobody, false) => Met::Here,
                    (Met::Nobody, true) => Met::Elsewhere,
                    _ => Met::Others,
                };
                meetings.push(at);
            }
            Piece::Room { .. } | Piece::Free { .. } => {
                met = Met::Others;
                meetings.push(at);
            }
            Piece::Send(_) | Piece::Receive { .. } => {
                let sends = matches!(piece, Piece::Send(_));
                let meetings = std::mem::take(&mut meetings);
                all.push(Passage { sends, begin, end: at, ran_ns, met, meetings });
                (begin, ran_ns, met) = (at + 1, 0, Met::Nobody);
            }
            _ => met = Met::Others,
        }
    }
    all
}
