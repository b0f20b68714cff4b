// SPDX-License-Identifier: GPL-2.0-or-later
//! What things take on a simulated machine that would take time on a real one.

/// Times of a machine, in ns unless a name says otherwise. All of it is CPU time of the task that
/// runs, or runs next, on the CPU; a task that is told to run for 1 ms has 1 ms for itself beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// A switch from one task to another: registers, stack, address space. Not what the caches
    /// lose.
    pub switch_ns: u64,
    /// From a CPU being told to choose again until it does, if it is idle or another one told it:
    /// the interrupt, and leaving the idle state.
    pub interrupt_ns: u64,
    /// A tick, without the scheduler's callback.
    pub tick_ns: u64,
    /// Calling a scheduler, beside what it executes.
    pub callback_ns: u64,
    /// A call of a helper or kernel function. By so much `bpf_ktime_get_ns()` moves on with each
    /// in a program, so that who waits for time to pass does not wait in vain.
    pub call_ns: u64,
    /// An instruction of a program, in ps.
    pub insn_ps: u64,
}

impl Costs {
    /// Everything at once. Scenarios use it, since what they compare has no times in it.
    pub const NONE: Self =
        Self { switch_ns: 0, interrupt_ns: 0, tick_ns: 0, callback_ns: 0, call_ns: 0, insn_ps: 0 };

    /// A server of today, in round numbers.
    pub const SERVER: Self = Self {
        // `perf bench sched pipe` takes 2 to 5 us for a round trip of two switches and two
        // wake-ups through a pipe; of that, about 1 us is a switch.
        switch_ns: 1_000,
        // An interrupt between CPUs takes about 1 us, leaving a shallow idle state (C1) 1 to 2 us
        // (`/sys/devices/system/cpu/cpu*/cpuidle/state1/latency`).
        interrupt_ns: 2_000,
        // An estimate: the timer interrupt, timekeeping and accounting.
        tick_ns: 1_000,
        // An estimate: the trampoline, finding the scheduler, and its read section.
        callback_ns: 20,
        // An estimate: a lookup in a map takes some 10 ns, an insertion into a queue with its lock
        // some 50 ns.
        call_ns: 25,
        // An estimate: 2.5 instructions of compiled BPF a ns, about one a cycle.
        insn_ps: 400,
    };
}

impl Default for Costs {
    fn default() -> Self {
        Self::SERVER
    }
}
