// SPDX-License-Identifier: GPL-2.0-or-later
//! Work that uses the CPU, for so long.
//!
//! The unit is CPU time of the fastest CPU, as in the simulator: on a CPU of half its capacity,
//! as the kernel states capacities, a piece of work takes twice the CPU time. A loop computes, and
//! the thread's own CPU clock says when it is enough. That clock is a system call, so it is read
//! now and then: [`calibrate`] finds out how fast the loop is and what reading the clock takes, by
//! which the loop runs for a sixty-fourth of a piece of work at a time, but for eight readings of
//! the clock at least. Who has computed a little too long owes that much less the next time. What
//! is shorter than two of the shortest turns of the loop is not measured but counted in loops.

use rota_events::{CpuNumber, CpuPlace, Distance};
use rota_kernel::now_ns;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

/// The longest turn of the loop between two looks at the clock, in ns.
const TURN_NS_MAX: u64 = 100_000;
/// Into so many turns a piece of work is divided.
const TURNS: u64 = 64;
/// A turn is at least so many readings of the clock.
const READINGS: u64 = 8;
/// How long each measurement of the loop is at least, in ns, and how many there are.
const MEASURED_NS: u64 = 1_000_000;
const MEASUREMENTS: u32 = 12;
/// The capacity of the fastest CPU.
pub(crate) const FULL: u64 = rota_topology::CAPACITY_FULL as u64;

/// How fast this machine computes, and reads its clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// Loops in a ms of CPU time.
    pub loops_per_ms: u64,
    /// What a thread needs to read its CPU clock, in ns.
    pub cpu_clock_ns: u64,
    /// The shortest turn of the loop, in ns.
    pub turn_ns: u64,
}

/// CPU time of the calling thread, in ns.
pub(crate) fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Computes: each loop needs the one before.
#[inline(never)]
fn compute(loops: u64) {
    let mut value = black_box(1_u64);
    for _ in 0..loops {
        value = value.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    }
    black_box(value);
}

/// Finds out how fast the calling thread's CPU computes, in some 20 ms of CPU time: the fastest of
/// several measurements counts, since whatever disturbs one makes it slower.
pub fn calibrate() -> Calibration {
    let mut loops = 1024;
    let measure = |loops| {
        let before = cpu_ns();
        compute(loops);
        (cpu_ns() - before).max(1)
    };
    while measure(loops) < MEASURED_NS {
        loops *= 2;
    }
    let least = (0..MEASUREMENTS).map(|_| measure(loops)).min().unwrap_or(1);
    let loops_per_ms = (u128::from(loops) * 1_000_000 / u128::from(least)).max(1) as u64;
    const READ: u64 = 64;
    let clock = || {
        let before = cpu_ns();
        for _ in 1..READ {
            black_box(cpu_ns());
        }
        (cpu_ns() - before) / READ
    };
    let cpu_clock_ns = (0..MEASUREMENTS).map(|_| clock()).min().unwrap_or(0).max(1);
    Calibration { loops_per_ms, cpu_clock_ns, turn_ns: (READINGS * cpu_clock_ns).min(TURN_NS_MAX) }
}

/// What CPUs can do, and where they are, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// Capacities, of [`FULL`].
    pub(crate) capacities: Vec<u32>,
    /// Places.
    pub(crate) places: Vec<CpuPlace>,
}

/// A thread at work: how much it has computed too much, and where it is.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    calibration: Calibration,
    cpus: &'a Cpus,
    /// Work done beyond what was wanted, in ns: less is done the next time.
    ahead_ns: u64,
    cpu: u32,
    /// How often it found itself on another CPU, by distance.
    pub(crate) migrations: [u64; 5],
}

impl<'a> Worker<'a> {
    pub(crate) fn new(calibration: Calibration, cpus: &'a Cpus) -> Self {
        let cpu = rustix::thread::sched_getcpu() as u32;
        Self { calibration, cpus, ahead_ns: 0, cpu, migrations: [0; 5] }
    }

    /// Looks where it is.
    pub(crate) fn look(&mut self) {
        let cpu = rustix::thread::sched_getcpu() as u32;
        if cpu != self.cpu {
            let (from, to) = (CpuNumber(self.cpu), CpuNumber(cpu));
            self.migrations[Distance::between(&self.cpus.places, from, to) as usize] += 1;
            self.cpu = cpu;
        }
    }

    fn loops(&self, ns: u64) -> u64 {
        (u128::from(ns) * u128::from(self.calibration.loops_per_ms) / 1_000_000) as u64
    }

    fn capacity(&self) -> u64 {
        let capacity = self.cpus.capacities.get(self.cpu as usize).copied();
        capacity.filter(|capacity| *capacity > 0).map_or(FULL, u64::from)
    }

    /// Computes what takes the fastest CPU so many ns, unless the end comes before; whether it
    /// did not.
    pub(crate) fn work(&mut self, ns: u64, end: impl Fn(u64) -> bool) -> bool {
        let paid = self.ahead_ns.min(ns);
        self.ahead_ns -= paid;
        let ns = ns - paid;
        let turn_ns = (ns / TURNS).clamp(self.calibration.turn_ns, TURN_NS_MAX);
        if ns <= 2 * turn_ns {
            compute(self.loops(ns));
            return !end(now_ns());
        }
        let (mut done, mut before) = (0, cpu_ns());
        // In parts of a ns by capacity, so that nothing is rounded away.
        let wanted = ns.saturating_mul(FULL);
        while done < wanted {
            let left = (wanted - done).div_ceil(FULL);
            compute(self.loops(left.min(turn_ns)).max(1));
            self.look();
            let after = cpu_ns();
            done += after.saturating_sub(before).saturating_mul(self.capacity());
            before = after;
            if end(now_ns()) {
                return false;
            }
        }
        self.ahead_ns = (done - wanted) / FULL;
        true
    }

    /// Computes until a point in time, on the monotonic clock.
    pub(crate) fn busy(&mut self, until_ns: u64, end: impl Fn(u64) -> bool) -> bool {
        loop {
            let now = now_ns();
            if end(now) {
                return false;
            }
            if now >= until_ns {
                return true;
            }
            compute(self.loops((until_ns - now).min(self.calibration.turn_ns)).max(1));
            self.look();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the thread's own clock, so that it does not matter how busy the machine is.
    #[test]
    fn work_takes_as_much_cpu_time() {
        let (calibration, cpus) = (calibrate(), Cpus::default());
        let mut worker = Worker::new(calibration, &cpus);
        let before = cpu_ns();
        for _ in 0..100 {
            assert!(worker.work(500_000, |_| false));
        }
        // A hypervisor may have taken the CPU in the last turn.
        let took = cpu_ns() - before - worker.ahead_ns;
        assert!(took.abs_diff(50_000_000) < 2_500_000, "{took} {calibration:?}");
    }

    #[test]
    fn a_weak_cpu_takes_longer() {
        let cpus = Cpus { capacities: vec![512; 4096], places: Vec::new() };
        let mut worker = Worker::new(calibrate(), &cpus);
        let before = cpu_ns();
        for _ in 0..10 {
            assert!(worker.work(1_000_000, |_| false));
        }
        let took = cpu_ns() - before - 2 * worker.ahead_ns;
        assert!(took.abs_diff(20_000_000) < 2_000_000, "{took}");
    }

    #[test]
    fn the_end_ends_it() {
        let cpus = Cpus::default();
        let mut worker = Worker::new(calibrate(), &cpus);
        assert!(!worker.work(u64::MAX, |_| true));
        assert!(!worker.busy(u64::MAX, |_| true));
        assert!(worker.busy(0, |_| false));
        assert!(worker.work(1, |_| false));
    }
}
