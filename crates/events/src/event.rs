// SPDX-License-Identifier: GPL-2.0-or-later
//! One event: a record of 40 bytes, and what it means.
//!
//! A record has a time, a CPU, a task, a kind, and three numbers whose meaning depends on the kind.
//! [`What`] gives them names; [`Event::new`] and [`Event::what`] go from one to the other.

use crate::hash::{BASIS, PRIME};
use crate::ids::{Cid, CpuNumber, DsqId, SchedulerRef, Target, TaskRef, TextRef};
use crate::leaves::Leaves;

/// Size of a record in bytes.
pub const EVENT_BYTES: usize = 40;

/// What an event is about. The numbers stand in files and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
#[expect(missing_docs, reason = "KINDS says what each means")]
pub enum Kind {
    Switch = 1,
    Waking,
    Wakeup,
    SelectCpu,
    Runnable,
    Quiescent,
    Enqueue,
    Dequeue,
    Dispatch,
    Insert,
    Remove,
    MoveToLocal,
    Running,
    Stopping,
    Yield,
    Tick,
    Kick,
    Idle,
    Busy,
    Migrate,
    Fork,
    Exit,
    Weight,
    Affinity,
    Group,
    Hotplug,
    Attach,
    Detach,
    Counter,
    Lost,
    Clock,
    Send,
    Receive,
    Hidden,
}

/// Every kind with its name and what it means, in the order of their numbers, which start at 1.
pub const KINDS: [(Kind, &str, &str); 34] = [
    (Kind::Switch, "switch", "the CPU goes on with the task, or with none"),
    (Kind::Waking, "waking", "somebody wants the task to wake up; an interrupt, if no task does"),
    (Kind::Wakeup, "wakeup", "the task has woken up, on a CPU"),
    (Kind::SelectCpu, "select_cpu", "a CPU was chosen for the task that wakes up"),
    (Kind::Runnable, "runnable", "the task joins those of a CPU that want to run"),
    (Kind::Quiescent, "quiescent", "the task leaves those that want to run"),
    (Kind::Enqueue, "enqueue", "the scheduler is asked where the task is to wait"),
    (Kind::Dequeue, "dequeue", "the task is taken back from the scheduler"),
    (Kind::Dispatch, "dispatch", "the CPU asks the scheduler for work; the task is what ran"),
    (Kind::Insert, "insert", "the task comes into a queue"),
    (Kind::Remove, "remove", "the task leaves a queue"),
    (Kind::MoveToLocal, "move_to_local", "the task is moved from a queue to the CPU's local one"),
    (Kind::Running, "running", "the task is about to run"),
    (Kind::Stopping, "stopping", "the task stops running"),
    (Kind::Yield, "yield", "the task gives way"),
    (Kind::Tick, "tick", "the CPU's tick, while the task runs"),
    (Kind::Kick, "kick", "a CPU is told to choose again"),
    (Kind::Idle, "idle", "the CPU is idle from now on"),
    (Kind::Busy, "busy", "the CPU is not idle any more"),
    (Kind::Migrate, "migrate", "the task changes its CPU"),
    (Kind::Fork, "fork", "the task is new"),
    (Kind::Exit, "exit", "the task ends"),
    (Kind::Weight, "weight", "the task's nice value changes"),
    (Kind::Affinity, "affinity", "the CPUs that the task may use change"),
    (Kind::Group, "group", "the task moves to another cgroup"),
    (Kind::Hotplug, "hotplug", "the CPU comes or goes"),
    (Kind::Attach, "attach", "a scheduler is put in charge"),
    (Kind::Detach, "detach", "a scheduler ends"),
    (Kind::Counter, "counter", "a number of the recorder or the scheduler"),
    (Kind::Lost, "lost", "events are missing here"),
    (Kind::Clock, "clock", "what another clock shows now"),
    (Kind::Send, "send", "the task has sent a message"),
    (Kind::Receive, "receive", "the task has received what was sent"),
    (
        Kind::Hidden,
        "hidden",
        "the task has left the CPU, and the kernel did not tell when and to whom",
    ),
];

impl Kind {
    /// The kind with a number.
    pub fn from_number(number: u16) -> Option<Self> {
        KINDS.get(usize::from(number).checked_sub(1)?).map(|kind| kind.0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        KINDS[self as usize - 1].1
    }
}

/// An event, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When, in ns, on the clock that the recording names.
    pub time_ns: u64,
    /// The CPU that it happens on.
    pub cpu: CpuNumber,
    /// The task that it is about.
    pub task: TaskRef,
    /// What it is about.
    pub kind: Kind,
    flags: u16,
    a: u32,
    b: u64,
    c: u64,
}

/// What happens, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "KINDS says what each means; what is not plain is said here")]
pub enum What {
    /// `from` ran until now, and `leaves` the CPU so.
    Switch {
        from: TaskRef,
        leaves: Leaves,
    },
    Waking {
        waker: TaskRef,
    },
    Wakeup {
        on: CpuNumber,
        waker: TaskRef,
    },
    /// `flags` are those of the wake-up.
    SelectCpu {
        chosen: CpuNumber,
        previous: CpuNumber,
        flags: u64,
    },
    /// `flags` are the kernel's for enqueueing and dequeueing, here and below.
    Runnable {
        flags: u64,
    },
    /// `sleeps`: it goes to sleep, or ends. Else it is put back after a change.
    Quiescent {
        flags: u64,
        sleeps: bool,
    },
    Enqueue {
        flags: u64,
    },
    Dequeue {
        flags: u64,
    },
    Dispatch,
    /// `depth` tasks are in the queue now. With a `vtime`, the queue is in that order.
    Insert {
        dsq: DsqId,
        depth: u32,
        vtime: Option<u64>,
        at_head: bool,
    },
    Remove {
        dsq: DsqId,
        depth: u32,
    },
    MoveToLocal {
        from: DsqId,
    },
    /// With what is left of its slice.
    Running {
        slice_ns: u64,
    },
    /// `ran_ns`: since it was last told to run. `runnable`: it still wants to run.
    Stopping {
        ran_ns: u64,
        runnable: bool,
    },
    Yield {
        to: TaskRef,
    },
    Tick {
        slice_ns: u64,
    },
    Kick {
        target: Target,
        flags: u64,
    },
    Idle,
    Busy,
    Migrate {
        from: CpuNumber,
        to: CpuNumber,
    },
    /// `partners`: how often its parent, and whoever made that, had woken up another task than the
    /// time before; halved each second (kernel: `wakee_flips`). 0 if it is not known.
    Fork {
        parent: TaskRef,
        partners: u32,
    },
    Exit,
    /// `weight` is 100 for nice 0. It is 0 for real-time, deadline and stop tasks, which come before
    /// those that have a nice value; their `nice` is the kernel's `normal_prio` less 120, so from -121
    /// to -21.
    Weight {
        nice: i32,
        weight: u32,
    },
    /// Their number, and those of the first 64 as bits.
    Affinity {
        cpus: u32,
        first: u64,
    },
    Group {
        group: TextRef,
        id: u64,
    },
    Hotplug {
        online: bool,
    },
    Attach {
        scheduler: TextRef,
    },
    /// `kind` and `code` are the kernel's.
    Detach {
        message: TextRef,
        kind: u64,
        code: i64,
    },
    Counter {
        name: TextRef,
        value: u64,
    },
    /// So many, of this CPU.
    Lost {
        events: u64,
    },
    Clock {
        clock: TextRef,
        now_ns: u64,
    },
    /// `channel` is what both ends have in common, and nobody else; numbers are the recorder's.
    Send {
        channel: u64,
        bytes: u32,
    },
    /// So much of what was sent first.
    Receive {
        channel: u64,
        bytes: u32,
    },
    /// Nothing else is missing: what is known of other tasks and CPUs still holds. Kernels in some
    /// sandboxes tell nothing of what their first process does.
    Hidden,
}

/// First flag of a kind: still wants to run, goes to sleep, is online, by vtime, is a cid.
const FIRST: u16 = 1;
/// Second flag: at the head of a queue.
const SECOND: u16 = 2;
/// The upper half of the flags is the scheduler.
const SCHEDULER_SHIFT: u32 = 8;

fn flag(set: bool) -> u16 {
    if set { FIRST } else { 0 }
}

impl What {
    /// Kind, flags and the three numbers.
    fn pack(self) -> (Kind, u16, u32, u64, u64) {
        match self {
            Self::Switch { from, leaves } => (Kind::Switch, leaves.pack(), from.0, 0, 0),
            Self::Waking { waker } => (Kind::Waking, 0, waker.0, 0, 0),
            Self::Wakeup { on, waker } => (Kind::Wakeup, 0, on.0, waker.0.into(), 0),
            Self::SelectCpu { chosen, previous, flags } => {
                (Kind::SelectCpu, 0, chosen.0, previous.0.into(), flags)
            }
            Self::Runnable { flags } => (Kind::Runnable, 0, 0, flags, 0),
            Self::Quiescent { flags, sleeps } => (Kind::Quiescent, flag(sleeps), 0, flags, 0),
            Self::Enqueue { flags } => (Kind::Enqueue, 0, 0, flags, 0),
            Self::Dequeue { flags } => (Kind::Dequeue, 0, 0, flags, 0),
            Self::Dispatch => (Kind::Dispatch, 0, 0, 0, 0),
            Self::Insert { dsq, depth, vtime, at_head } => {
                let flags = flag(vtime.is_some()) | if at_head { SECOND } else { 0 };
                (Kind::Insert, flags, depth, dsq.0, vtime.unwrap_or(0))
            }
            Self::Remove { dsq, depth } => (Kind::Remove, 0, depth, dsq.0, 0),
            Self::MoveToLocal { from } => (Kind::MoveToLocal, 0, 0, from.0, 0),
            Self::Running { slice_ns } => (Kind::Running, 0, 0, slice_ns, 0),
            Self::Stopping { ran_ns, runnable } => (Kind::Stopping, flag(runnable), 0, ran_ns, 0),
            Self::Yield { to } => (Kind::Yield, 0, to.0, 0, 0),
            Self::Tick { slice_ns } => (Kind::Tick, 0, 0, slice_ns, 0),
            Self::Kick { target: Target::Cpu(cpu), flags } => (Kind::Kick, 0, cpu.0, flags, 0),
            Self::Kick { target: Target::Cid(cid), flags } => (Kind::Kick, FIRST, cid.0, flags, 0),
            Self::Idle => (Kind::Idle, 0, 0, 0, 0),
            Self::Busy => (Kind::Busy, 0, 0, 0, 0),
            Self::Migrate { from, to } => (Kind::Migrate, 0, to.0, from.0.into(), 0),
            Self::Fork { parent, partners } => (Kind::Fork, 0, parent.0, partners.into(), 0),
            Self::Exit => (Kind::Exit, 0, 0, 0, 0),
            Self::Weight { nice, weight } => (Kind::Weight, 0, weight, nice as u64, 0),
            Self::Affinity { cpus, first } => (Kind::Affinity, 0, cpus, first, 0),
            Self::Group { group, id } => (Kind::Group, 0, group.0, id, 0),
            Self::Hotplug { online } => (Kind::Hotplug, flag(online), 0, 0, 0),
            Self::Attach { scheduler } => (Kind::Attach, 0, scheduler.0, 0, 0),
            Self::Detach { message, kind, code } => {
                (Kind::Detach, 0, message.0, kind, code.cast_unsigned())
            }
            Self::Counter { name, value } => (Kind::Counter, 0, name.0, value, 0),
            Self::Lost { events } => (Kind::Lost, 0, 0, events, 0),
            Self::Clock { clock, now_ns } => (Kind::Clock, 0, clock.0, now_ns, 0),
            Self::Send { channel, bytes } => (Kind::Send, 0, bytes, channel, 0),
            Self::Receive { channel, bytes } => (Kind::Receive, 0, bytes, channel, 0),
            Self::Hidden => (Kind::Hidden, 0, 0, 0, 0),
        }
    }
}

impl Event {
    /// An event of the root scheduler.
    pub fn new(time_ns: u64, cpu: CpuNumber, task: TaskRef, what: What) -> Self {
        let (kind, flags, a, b, c) = what.pack();
        Self { time_ns, cpu, task, kind, flags, a, b, c }
    }

    /// The same event of another scheduler.
    pub fn of_scheduler(self, scheduler: SchedulerRef) -> Self {
        let flags = self.flags & 0xff | u16::from(scheduler.0) << SCHEDULER_SHIFT;
        Self { flags, ..self }
    }

    /// The scheduler that it is about.
    pub fn scheduler(&self) -> SchedulerRef {
        SchedulerRef((self.flags >> SCHEDULER_SHIFT) as u8)
    }

    /// What happens.
    pub fn what(&self) -> What {
        let &Self { kind, flags, a, b, c, .. } = self;
        let first = flags & FIRST != 0;
        match kind {
            Kind::Switch => What::Switch { from: TaskRef(a), leaves: Leaves::unpack(flags) },
            Kind::Waking => What::Waking { waker: TaskRef(a) },
            Kind::Wakeup => What::Wakeup { on: CpuNumber(a), waker: TaskRef(b as u32) },
            Kind::SelectCpu => {
                let (chosen, previous) = (CpuNumber(a), CpuNumber(b as u32));
                What::SelectCpu { chosen, previous, flags: c }
            }
            Kind::Runnable => What::Runnable { flags: b },
            Kind::Quiescent => What::Quiescent { flags: b, sleeps: first },
            Kind::Enqueue => What::Enqueue { flags: b },
            Kind::Dequeue => What::Dequeue { flags: b },
            Kind::Dispatch => What::Dispatch,
            Kind::Insert => {
                let (vtime, at_head) = (first.then_some(c), flags & SECOND != 0);
                What::Insert { dsq: DsqId(b), depth: a, vtime, at_head }
            }
            Kind::Remove => What::Remove { dsq: DsqId(b), depth: a },
            Kind::MoveToLocal => What::MoveToLocal { from: DsqId(b) },
            Kind::Running => What::Running { slice_ns: b },
            Kind::Stopping => What::Stopping { ran_ns: b, runnable: first },
            Kind::Yield => What::Yield { to: TaskRef(a) },
            Kind::Tick => What::Tick { slice_ns: b },
            Kind::Kick if first => What::Kick { target: Target::Cid(Cid(a)), flags: b },
            Kind::Kick => What::Kick { target: Target::Cpu(CpuNumber(a)), flags: b },
            Kind::Idle => What::Idle,
            Kind::Busy => What::Busy,
            Kind::Migrate => What::Migrate { from: CpuNumber(b as u32), to: CpuNumber(a) },
            Kind::Fork => What::Fork { parent: TaskRef(a), partners: b as u32 },
            Kind::Exit => What::Exit,
            Kind::Weight => What::Weight { nice: b as i32, weight: a },
            Kind::Affinity => What::Affinity { cpus: a, first: b },
            Kind::Group => What::Group { group: TextRef(a), id: b },
            Kind::Hotplug => What::Hotplug { online: first },
            Kind::Attach => What::Attach { scheduler: TextRef(a) },
            Kind::Detach => What::Detach { message: TextRef(a), kind: b, code: c.cast_signed() },
            Kind::Counter => What::Counter { name: TextRef(a), value: b },
            Kind::Lost => What::Lost { events: b },
            Kind::Clock => What::Clock { clock: TextRef(a), now_ns: b },
            Kind::Send => What::Send { channel: b, bytes: a },
            Kind::Receive => What::Receive { channel: b, bytes: a },
            Kind::Hidden => What::Hidden,
        }
    }

    /// The record as five words: what files keep and what hashes are made of.
    pub fn to_words(&self) -> [u64; 5] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let kind = u32::from(self.kind as u16) | u32::from(self.flags) << 16;
        [self.time_ns, pair(self.cpu.0, self.task.0), pair(kind, self.a), self.b, self.c]
    }

    /// Reads five words; `None` for a kind that there is not.
    pub fn from_words([time_ns, place, kind, b, c]: [u64; 5]) -> Option<Self> {
        Some(Self {
            time_ns,
            cpu: CpuNumber(place as u32),
            task: TaskRef((place >> 32) as u32),
            kind: Kind::from_number(kind as u16)?,
            flags: (kind >> 16) as u16,
            a: (kind >> 32) as u32,
            b,
            c,
        })
    }

    /// The record in bytes, the lowest of each word first.
    pub fn to_bytes(&self) -> [u8; EVENT_BYTES] {
        let mut bytes = [0; EVENT_BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.to_words()) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a record; `None` for a kind that there is not.
    pub fn from_bytes(bytes: &[u8; EVENT_BYTES]) -> Option<Self> {
        let mut words = [0; 5];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self::from_words(words)
    }
}

/// A number for a whole stream of events: two streams with the same are the same.
///
/// It is FNV-1a, taken over the words of the records instead of over bytes, with the upper half
/// folded into the lower after each, since a product's low bits do not depend on high ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHash(u64);

impl Default for StreamHash {
    fn default() -> Self {
        Self(BASIS)
    }
}

impl StreamHash {
    /// Adds an event.
    pub fn add(&mut self, event: &Event) {
        for word in event.to_words() {
            let product = (self.0 ^ word).wrapping_mul(PRIME);
            self.0 = product ^ product >> 32;
        }
    }

    /// The hash of what was added so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_names_belong_together() {
        for (i, (kind, ..)) in KINDS.iter().enumerate() {
            assert_eq!((*kind as usize, Kind::from_number(i as u16 + 1)), (i + 1, Some(*kind)));
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(KINDS.len() as u16 + 1), None);
        assert_eq!(size_of::<Event>(), EVENT_BYTES);
    }

    #[test]
    fn a_hash_is_the_same_everywhere() {
        let mut hash = StreamHash::default();
        let what = What::Switch { from: TaskRef(3), leaves: Leaves::Runnable };
        hash.add(&Event::new(1, CpuNumber(2), TaskRef(4), what));
        // Computed once by other means.
        assert_eq!(hash.value(), 0xcc14_c789_1687_1b9c);
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            number in 1..=KINDS.len() as u16, cpu: u32, task: u32, flags: u16, a: u32, b: u64, c: u64,
        ) {
            let kind = Kind::from_number(number).unwrap();
            let (cpu, task) = (CpuNumber(cpu), TaskRef(task));
            let raw = Event { time_ns: 9, cpu, task, kind, flags, a, b, c };
            prop_assert_eq!(Event::from_bytes(&raw.to_bytes()), Some(raw));
            // What a kind does not use gets lost, and nothing else.
            let again = Event::new(9, cpu, task, raw.what()).of_scheduler(raw.scheduler());
            prop_assert_eq!(again.what(), raw.what());
            prop_assert_eq!(again.scheduler(), raw.scheduler());
        }
    }
}
