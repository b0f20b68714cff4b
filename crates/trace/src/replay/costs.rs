// SPDX-License-Identifier: GPL-2.0-or-later
//! What waking up and sleeping took of the run times of a recording.
//!
//! In a replay other tasks wake up and sleep than did in the recording. So what that took is taken out
//! of the run times where it was, and the replay takes it where it happens.

use super::messages::How;
use super::{Piece, Replay, Task};
use rota_workload::AWAY;
use std::collections::BTreeMap;

/// So many times have to be seen before a cost is believed.
pub(super) const SEEN_MIN: usize = 20;

/// What things took of the CPU time of those who did them, in ns, as medians; 0 where too few are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCosts {
    /// Waking up by a message who waits for it, of who sends: on the same CPU, on another one.
    pub wake_ns: [u32; 2],
    /// Waking up who waits for room to send, one of several, of who receives: on the same CPU, on
    /// another one; as above where too few are seen.
    pub free_ns: [u32; 2],
    /// Having slept until a message came, or room, from the same CPU, from another one, and by how long
    /// the task was [`away`](rota_workload::away) from the CPU: where too few are seen, as of the next
    /// kind in which they are, the shorter one first.
    pub sleep_ns: [[u32; AWAY]; 2],
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
        let mut frees: [Vec<u64>; 2] = Default::default();
        for task in self.tasks.values() {
            for passage in passages(task) {
                seen.entry((passage.sends, passage.met)).or_default().push(passage.ran_ns);
            }
            for pieces in task.pieces.windows(3) {
                if let [Piece::Free { how }, Piece::Run(ns), Piece::Free { .. }] = *pieces {
                    frees[usize::from(how.remote)].push(ns);
                }
            }
        }
        let mut ran = |sends, met| seen.remove(&(sends, met)).unwrap_or_default();
        let one = |remote, away| Met::One(How { remote, away });
        let mut alone = ran(true, Met::Nobody);
        let wake_ns = [false, true].map(|remote| {
            let mut all: Vec<u64> =
                (0..AWAY).flat_map(|away| ran(true, one(remote, away))).collect();
            short(excess(&mut all, &mut alone))
        });
        let free_ns = [0, 1].map(|at| median(&mut frees[at]).map_or(wake_ns[at], short));
        let alone = median(&mut ran(false, Met::Nobody));
        let sleep_ns = [false, true].map(|remote| {
            filled(std::array::from_fn(|away| {
                let slept = median(&mut ran(false, one(remote, away)))?;
                alone.map(|alone| short(slept.saturating_sub(alone)))
            }))
        });
        self.costs = ReplayCosts { wake_ns, free_ns, sleep_ns, ..self.costs };
        self.take_costs_out();
    }

    /// Takes these out where they were.
    fn take_costs_out(&mut self) {
        let ReplayCosts { wake_ns, free_ns, sleep_ns, .. } = self.costs;
        for task in self.tasks.values_mut() {
            for passage in passages(task) {
                for at in passage.meetings {
                    let took_ns = match task.pieces[at] {
                        Piece::Hand { how, .. } => wake_ns[usize::from(how.remote)],
                        Piece::Free { how } => free_ns[usize::from(how.remote)],
                        Piece::Expect { how, .. } | Piece::Room { how, .. } => {
                            sleep_ns[usize::from(how.remote)][how.away]
                        }
                        _ => continue,
                    };
                    let mut left = u64::from(took_ns);
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

fn short(ns: u64) -> u32 {
    u32::try_from(ns).unwrap_or(u32::MAX)
}

/// What is missing is as the next one that is there, the one before first.
fn filled(seen: [Option<u32>; AWAY]) -> [u32; AWAY] {
    std::array::from_fn(|at| {
        let before = seen[..=at].iter().rev().find_map(|ns| *ns);
        before.or_else(|| seen[at..].iter().find_map(|ns| *ns)).unwrap_or(0)
    })
}

/// Whom a task met from a message to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Nobody,
    /// By its message it woke somebody up, or was woken up by it.
    One(How),
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
            Piece::Hand { how, .. } | Piece::Expect { how, .. } => {
                met = if met == Met::Nobody { Met::One(*how) } else { Met::Others };
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
