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
/// What takes more than so many times the median is other work, or was interrupted.
const USUAL: u64 = 8;

/// What things took of the CPU time of those who did them, in ns; 0 where too few are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCosts {
    /// Waking up by a message who waits for it, of who sends: on the same CPU, on another one. The mean
    /// of what was taken out of run times, as the next two.
    pub wake_ns: [u32; 2],
    /// Waking up who waits for room to send, one of several, of who receives: on the same CPU, on
    /// another one; as above where too few are seen.
    pub free_ns: [u32; 2],
    /// Having slept until a message came, or room, from the same CPU, from another one, and by how long
    /// the task was [`away`](rota_workload::away) from the CPU: where too few are seen, as of the next
    /// kind in which they are, the shorter one first.
    pub sleep_ns: [[u32; AWAY]; 2],
    /// Interrupting another CPU for who was woken up, as a median.
    pub kick_ns: u64,
    /// Being interrupted for that, until who was woken up runs, as a median.
    pub kicked_ns: u64,
}

/// The median, of enough numbers.
pub(super) fn median(numbers: &mut [u64]) -> Option<u64> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().filter(|_| numbers.len() >= SEEN_MIN)
}

/// The mean of those that are not above a limit, of enough numbers.
fn mean(numbers: &[u64], limit: u64) -> Option<u64> {
    let usual = || numbers.iter().filter(|ns| **ns <= limit);
    let sum: u128 = usual().map(|ns| u128::from(*ns)).sum();
    let enough = Some(usual().count()).filter(|count| *count >= SEEN_MIN);
    enough.map(|count| (sum / count as u128) as u64)
}

/// By how much the mean of what took as long as usual is above that of others; without others, that
/// mean.
fn excess(with: &mut [u64], without: Option<&[u64]>) -> Option<u64> {
    let limit = median(with)?.saturating_mul(USUAL);
    let without = without.map_or(Some(0), |without| mean(without, limit))?;
    Some(mean(with, limit)?.saturating_sub(without))
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
        let ran = |sends, met| seen.get(&(sends, met)).cloned().unwrap_or_default();
        let one = |remote, away| Met::One(How { remote, away });
        let (sends, receives) = (ran(true, Met::Nobody), ran(false, Met::Nobody));
        let mut known = Known::default();
        for from in [0, 1] {
            let all = (0..AWAY).flat_map(|away| ran(true, one(from == 1, away)));
            known.learn(Cost::Wake(from), excess(&mut all.collect::<Vec<_>>(), Some(&sends)));
            known.learn(Cost::Free(from), excess(&mut frees[from], None));
            for away in 0..AWAY {
                let mut slept = ran(false, one(from == 1, away));
                known.learn(Cost::Sleep(from, away), excess(&mut slept, Some(&receives)));
            }
        }
        self.take_costs_out(&mut known);
        let of = |cost: fn(usize) -> Cost| [0, 1].map(|from| known.of(cost(from)));
        let (wake_ns, free_ns) = (of(Cost::Wake), of(Cost::Free));
        let sleep_ns =
            [0, 1].map(|from| std::array::from_fn(|away| known.of(Cost::Sleep(from, away))));
        self.costs = ReplayCosts { wake_ns, free_ns, sleep_ns, ..self.costs };
    }

    /// Takes these out where they were, as far as there was as much; of who met several the first one's
    /// first. What was taken, in the mean, is what they are from then on.
    fn take_costs_out(&mut self, known: &mut Known) {
        let mut taken: BTreeMap<Cost, (u64, u64)> = BTreeMap::new();
        for task in self.tasks.values_mut() {
            for passage in passages(task) {
                for at in passage.meetings {
                    let cost = Cost::of(&task.pieces[at]).and_then(|cost| known.instead(cost));
                    let Some(cost) = cost else { continue };
                    let mut left = known.0[&cost];
                    let (sum, count) = taken.entry(cost).or_default();
                    *count += 1;
                    // First of what came after it, then of what was before.
                    let before = (passage.begin..at).rev();
                    for place in (at + 1..passage.end).chain(before) {
                        if left == 0 {
                            break;
                        }
                        let ns = task.pieces[place].take(left);
                        left -= ns;
                        *sum += ns;
                    }
                }
            }
        }
        known.0.extend(taken.into_iter().map(|(cost, (sum, count))| (cost, sum / count)));
    }
}

/// What costs: the first number says whether it was from the same CPU or from another one, the second
/// for how long the task was [`away`](rota_workload::away).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Wake(usize),
    Free(usize),
    Sleep(usize, usize),
}

impl Cost {
    fn of(piece: &Piece) -> Option<Self> {
        Some(match piece {
            Piece::Hand { how, .. } => Self::Wake(how.remote.into()),
            Piece::Free { how } => Self::Free(how.remote.into()),
            Piece::Expect { how, .. } | Piece::Room { how, .. } => {
                Self::Sleep(how.remote.into(), how.away)
            }
            _ => return None,
        })
    }
}

/// Costs in ns, of which enough is seen.
#[derive(Debug, Default)]
struct Known(BTreeMap<Cost, u64>);

impl Known {
    fn learn(&mut self, cost: Cost, ns: Option<u64>) {
        self.0.extend(ns.map(|ns| (cost, ns)));
    }

    /// The known one that stands for a cost, itself if it is.
    fn instead(&self, cost: Cost) -> Option<Cost> {
        let is_known = |cost: &Cost| self.0.contains_key(cost);
        match cost {
            Cost::Wake(_) => Some(cost).filter(is_known),
            Cost::Free(from) => [cost, Cost::Wake(from)].into_iter().find(is_known),
            Cost::Sleep(from, away) => {
                let nearest = (0..=away).rev().chain(away + 1..AWAY);
                nearest.map(|away| Cost::Sleep(from, away)).find(is_known)
            }
        }
    }

    fn of(&self, cost: Cost) -> u32 {
        let ns = self.instead(cost).map_or(0, |cost| self.0[&cost]);
        u32::try_from(ns).unwrap_or(u32::MAX)
    }
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
