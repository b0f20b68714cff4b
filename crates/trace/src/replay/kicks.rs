// SPDX-License-Identifier: GPL-2.0-or-later
//! Wake-ups of tasks on other CPUs, and the interrupts by which those learn of them.

use super::costs::{SEEN_MIN, median};
use super::messages::How;
use super::{Piece, Replay};
use rota_events::{CpuNumber, TaskRef};
use rota_workload::away;
use std::collections::BTreeSet;

/// Who takes a CPU from somebody so much later than another one woke it up, in ns, does not do so at
/// once.
const REMOTE_AT_ONCE_NS: u64 = 100_000;
/// Who gives way lazily does so after so much at the latest, in ns: the longest tick there is.
const TICK_NS: u64 = 10_000_000;

/// What takes longer, in ns, is no interrupt.
const KICK_MAX_NS: u64 = 1_000_000;

/// How a task was woken up: by which CPU, when in ns, and by whom: by which of their pieces, and the
/// number of the wake-up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Woken {
    pub(super) on: CpuNumber,
    pub(super) at_ns: u64,
    pub(super) by: Option<(TaskRef, usize, u32)>,
}

/// A wake-up for which another CPU was interrupted.
#[derive(Debug, Clone, Copy)]
struct Kick {
    /// Who woke up, and by which of their pieces.
    waker: (TaskRef, usize),
    /// Who ran there, up to which of their pieces, and how long after the wake-up, in ns.
    victim: Option<(TaskRef, usize, u64)>,
}

/// What is seen of other CPUs being interrupted.
#[derive(Debug, Default)]
pub(super) struct Kicks {
    seen: Vec<Kick>,
    /// How many tasks that were woken up on one CPU took another one from somebody at once, and how
    /// many did within a tick, while no scheduler of sched_ext was in charge.
    at_once: u64,
    late: u64,
}

impl Replay {
    /// Whether tasks that are woken up from another CPU take theirs from somebody at once, as in
    /// kernels that do not preempt lazily. In others, one in forty would do so within 100 us of who
    /// computes, by chance; it has to be one in five, and twenty at least. Who makes system calls all
    /// the time gives way soon in both.
    pub fn preempts_at_once(&self) -> bool {
        self.kicks.at_once >= 20 && 4 * self.kicks.at_once >= self.kicks.late
    }

    /// A task comes to a CPU after somebody, and takes it from them or does not: how late, if it was
    /// woken up from another one. A scheduler of sched_ext preempts when it likes.
    pub(super) fn note_kick(
        &mut self,
        cpu: CpuNumber,
        task: TaskRef,
        (from, preempts): (TaskRef, bool),
    ) {
        let Some(woken) = self.of(task).woken.take() else { return };
        let remote = woken.on != cpu;
        if let Some((.., wake)) = woken.by {
            let wake = &mut self.wakes[wake as usize];
            wake.how = How { remote, away: away(self.now_ns - wake.asleep_ns) };
        }
        if !remote {
            return;
        }
        let after_ns = self.now_ns - woken.at_ns;
        let at_once = preempts && after_ns <= REMOTE_AT_ONCE_NS;
        if preempts && !self.attached {
            self.kicks.at_once += u64::from(at_once);
            self.kicks.late += u64::from(!at_once && after_ns < TICK_NS);
        }
        let Some((waker, piece, _)) = woken.by else { return };
        if at_once || !from.is_some() {
            let victim =
                at_once.then(|| (from, self.of(from).pieces.len().saturating_sub(1), after_ns));
            self.kicks.seen.push(Kick { waker: (waker, piece), victim });
        }
    }

    /// Takes out what interrupts between CPUs took: of who woke somebody up, what they ran after it
    /// beyond what others did, and of who was interrupted, all since then.
    pub(super) fn take_kicks_out(&mut self) {
        let kicks = std::mem::take(&mut self.kicks.seen);
        let kicked: BTreeSet<_> = kicks.iter().map(|kick| kick.waker).collect();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (number, task) in &self.tasks {
            for (at, pair) in task.pieces.windows(2).enumerate() {
                if let [Piece::Signal { wake, .. }, Piece::Run(ns)] = *pair
                    && self.wakes[wake as usize].how.remote
                {
                    let of = if kicked.contains(&(*number, at)) { &mut with } else { &mut without };
                    of.push(ns);
                }
            }
        }
        let interrupts = self.preempts_at_once();
        let mut take = |task: TaskRef, at: usize, ns| {
            let piece = self.tasks.get_mut(&task).and_then(|task| task.pieces.get_mut(at));
            piece.map_or(0, |piece| piece.take(ns))
        };
        let medians = median(&mut with).zip(median(&mut without));
        let kick_ns = medians.map_or(0, |(with, without)| with.saturating_sub(without));
        self.costs.kick_ns = kick_ns.min(KICK_MAX_NS);
        for (task, at) in kicked {
            take(task, at + 1, self.costs.kick_ns);
        }
        let victims: Vec<_> = kicks.iter().filter_map(|kick| kick.victim).collect();
        if interrupts && victims.len() >= SEEN_MIN {
            let took = victims.into_iter().map(|(task, at, ns)| take(task, at, ns));
            self.costs.kicked_ns = median(&mut took.collect::<Vec<_>>()).unwrap_or(0);
        }
    }
}
