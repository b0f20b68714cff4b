// SPDX-License-Identifier: GPL-2.0-or-later
//! Records as `bpf/trace/record.h` has them.

use rota_events::{IDLE_LOAD, Leaves, What, load_weight, nice_load};

/// A record, and the CPU that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) time_ns: u64,
    pub(super) cpu: u32,
    /// How many records of this CPU had been lost by then; the count wraps.
    pub(super) lost: u32,
    pub(super) pid: i32,
    pub(super) about: About,
}

/// A nice value, and what a task weighs: 100 for nice 0. Below -20 and 0 for who comes before all who
/// have one, as [`What::Weight`] has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nice {
    pub(super) nice: i32,
    pub(super) weight: u32,
}

impl Nice {
    /// From a task's `normal_prio`, which is 120 for a nice value of 0, by its policy (kernel:
    /// include/uapi/linux/sched.h). The threads that stop CPUs have the policy FIFO.
    fn new(normal_prio: u32, policy: u32) -> Option<Self> {
        const NORMAL: u32 = 0;
        const FIFO: u32 = 1;
        const RR: u32 = 2;
        const BATCH: u32 = 3;
        const IDLE: u32 = 5;
        const DEADLINE: u32 = 6;
        const EXT: u32 = 7;
        let nice = normal_prio.cast_signed().wrapping_sub(120);
        let (valid, weight) = match policy {
            NORMAL | BATCH | EXT => (-20..=19, load_weight(nice_load(nice))),
            IDLE => (-20..=19, load_weight(IDLE_LOAD)),
            FIFO | RR | DEADLINE => (-121..=-21, 0),
            _ => return None,
        };
        valid.contains(&nice).then_some(Self { nice, weight })
    }
}

/// On how many CPUs a task may run, and the first 64 as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Affinity {
    pub(super) cpus: u32,
    pub(super) first: u64,
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Told {
        tgid: i32,
        start_ns: u64,
        name: [u8; 16],
        group: u64,
        nice: Option<Nice>,
        cpus: Affinity,
    },
    Switch {
        from: i32,
        leaves: Leaves,
    },
    Waking {
        waker: i32,
    },
    WakeupNew {
        waker: i32,
        on: u32,
    },
    Migrate {
        from: u32,
        to: u32,
    },
    Fork {
        parent: i32,
        partners: u32,
    },
    Exit,
    /// The thread, or its whole process, is in another cgroup now.
    Group {
        whole: bool,
        group: u64,
    },
    Insert {
        depth: u32,
        dsq: u64,
        vtime: Option<u64>,
        at_head: bool,
    },
    Remove {
        depth: u32,
        dsq: u64,
    },
    MoveToLocal {
        from: u64,
    },
    Running {
        slice_ns: u64,
    },
    Stopping {
        runnable: bool,
    },
    /// `socket` is the address of that which the message comes to.
    Sent {
        socket: u64,
        bytes: u32,
    },
    Received {
        socket: u64,
        bytes: u32,
    },
    /// No record: what user space has seen.
    Seen(What),
}

/// The flags with which a task comes into a queue (kernel: `enum scx_enq_flags`).
const HEAD: u64 = 1 << 4;
const BY_VTIME: u64 = 1 << 57;

impl Raw {
    /// Reads a record; `None` for what is none.
    pub(super) fn read(cpu: u32, bytes: &[u8]) -> Option<Self> {
        let kind = u32_at(bytes, 8)?;
        let (pid, other) = (u32_at(bytes, 16)?.cast_signed(), u32_at(bytes, 20)?);
        let value = u64_at(bytes, 24)?;
        let by = other.cast_signed();
        let about = match kind {
            1 => {
                let name = bytes.get(32..48)?.try_into().ok()?;
                let (group, prio, policy) =
                    (u64_at(bytes, 48)?, u32_at(bytes, 56)?, u32_at(bytes, 60)?);
                let nice = Nice::new(prio, policy);
                let cpus = Affinity { cpus: u32_at(bytes, 64)?, first: u64_at(bytes, 72)? };
                About::Told { tgid: by, start_ns: value, name, group, nice, cpus }
            }
            2 => About::Switch { from: by, leaves: leaves(by, value) },
            3 => About::Waking { waker: by },
            4 => About::WakeupNew { waker: by, on: value as u32 },
            5 => About::Migrate { from: value as u32, to: other },
            6 => About::Fork { parent: by, partners: value as u32 },
            7 => About::Exit,
            8 => About::Group { whole: other != 0, group: value },
            9 => {
                let (vtime, flags) = (u64_at(bytes, 32)?, u64_at(bytes, 40)?);
                let vtime = (flags & BY_VTIME != 0).then_some(vtime);
                About::Insert { depth: other, dsq: value, vtime, at_head: flags & HEAD != 0 }
            }
            10 => About::Remove { depth: other, dsq: value },
            11 => About::MoveToLocal { from: value },
            12 => About::Running { slice_ns: value },
            13 => About::Stopping { runnable: value != 0 },
            14 => About::Sent { socket: value, bytes: other },
            15 => About::Received { socket: value, bytes: other },
            _ => return None,
        };
        Some(Self { time_ns: u64_at(bytes, 0)?, cpu, lost: u32_at(bytes, 12)?, pid, about })
    }
}

/// How a task leaves, from its state with that of its end, and above 32 bits whether it was
/// preempted (kernel: include/linux/sched.h, `TASK_*` and `EXIT_*`). Of several the highest counts.
fn leaves(pid: i32, value: u64) -> Leaves {
    /// A sleep that no signal ends and that is no load.
    const IDLE: u64 = 0x402;
    let state = value & 0xffff_ffff;
    if value >> 32 != 0 && pid != 0 {
        return Leaves::Preempted;
    }
    if state & IDLE == IDLE {
        return Leaves::Idle;
    }
    match (state & 0x7f).checked_ilog2() {
        // Waits of the kernel's own, and the last moment of a task, have bits further up.
        None if state & 0x80 != 0 => Leaves::Dead,
        None if state & 0x9000 != 0 => Leaves::Uninterruptible,
        None => Leaves::Runnable,
        Some(0) => Leaves::Sleeping,
        Some(1) => Leaves::Uninterruptible,
        Some(2) => Leaves::Stopped,
        Some(3) => Leaves::Traced,
        Some(4) => Leaves::Dead,
        Some(5) => Leaves::Zombie,
        Some(6) => Leaves::Parked,
        Some(_) => Leaves::Other,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_letters() {
        let letter = |state| leaves(1, state).letter();
        let states = [0, 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x402, 0x102, 0x80, 0x1000, 1 << 32];
        let letters = ["R", "S", "D", "T", "t", "X", "Z", "P", "I", "D", "X", "D", "R+"];
        assert_eq!(states.map(letter), letters);
        assert_eq!(leaves(0, 1 << 32), Leaves::Runnable);
    }

    #[test]
    fn policies_have_nice_values_or_come_first() {
        let nice = |prio, policy| Nice::new(prio, policy).map(|nice| (nice.nice, nice.weight));
        let found = [0, 1, 2, 3, 5, 6, 7].map(|policy| nice(125, policy));
        let five = Some((5, 33));
        assert_eq!(found, [five, None, None, five, Some((5, 1)), None, five]);
        let first =
            [(0, 1), (98, 2), (99, 1), (u32::MAX, 6)].map(|(prio, policy)| nice(prio, policy));
        assert_eq!(first, [-120, -22, -21, -121].map(|nice| Some((nice, 0))));
        assert_eq!([nice(100, 1), nice(u32::MAX - 1, 6)], [None; 2]);
        assert_eq!([nice(100, 0), nice(139, 0)], [Some((-20, 8668)), Some((19, 1))]);
        assert_eq!([nice(99, 0), nice(140, 0), nice(u32::MAX, 0)], [None; 3]);
    }

    #[test]
    fn what_is_cut_is_no_record() {
        let mut bytes = [0u8; 80];
        bytes[8] = 1;
        assert!(Raw::read(0, &bytes).is_some());
        assert_eq!(Raw::read(0, &bytes[..79]), None);
        bytes[8] = 7;
        assert!(Raw::read(0, &bytes[..32]).is_some());
        assert_eq!(Raw::read(0, &bytes[..31]), None);
        bytes[8] = 9;
        assert!(Raw::read(0, &bytes[..48]).is_some());
        assert_eq!(Raw::read(0, &bytes[..47]), None);
        bytes[8] = 16;
        assert_eq!(Raw::read(0, &bytes), None);
    }
}
