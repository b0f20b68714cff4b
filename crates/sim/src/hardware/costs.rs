// SPDX-License-Identifier: GPL-2.0-or-later
//! What things take on a simulated machine that would take time on a real one.

/// Times of a machine, in ns unless a name says otherwise. All but interrupts, which are waited for,
/// are CPU time of the task that runs, or runs next, on the CPU; a task that is told to run for 1 ms
/// has 1 ms for itself beside. They are those of the machine's strongest CPU; on a weaker one they
/// take longer, as work does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// A switch from one task to another: registers, stack, address space. Not what the caches
    /// lose.
    pub switch_ns: u64,
    /// From a CPU being told to choose again by another until it does: the interrupt. Leaving the
    /// idle state comes on top of it, see [`crate::IdleState`].
    pub interrupt_ns: u64,
    /// Telling another CPU to choose again, of who does that.
    pub kick_ns: u64,
    /// If not 0, it takes the place of `interrupt_ns` where somebody runs, who gets nothing done
    /// meanwhile: as on a virtual machine, whose host stops the CPU for it.
    pub kicked_ns: u64,
    /// A tick, without the scheduler's callback.
    pub tick_ns: u64,
    /// Calling a scheduler, beside what it executes.
    pub callback_ns: u64,
    /// A call of a helper or kernel function. By so much `bpf_ktime_get_ns()` moves on with each
    /// in a program, so that who waits for time to pass does not wait in vain.
    pub call_ns: u64,
    /// An instruction of a program, in ps.
    pub insn_ps: u64,
    /// Fetching a cache line that another CPU wrote last: another thread of the core, another core
    /// under its last-level cache, another such cache, another node.
    pub line_ns: [u64; 4],
    /// How long the lock of a queue is held for a task that comes or goes…
    pub dsq_ns: u64,
    /// …and how many lines have to be fetched for that: those of the queue, the task, its neighbour.
    pub dsq_lines: u64,
    /// What a task has to fetch anew when it runs on another CPU than before: another thread of
    /// its core, another core under its last-level cache, another such cache, another node.
    pub migration_ns: [u64; 4],
    /// What a task has to fetch anew on its own CPU, if others ran there for long enough to take
    /// everything from the core's caches; for less, as much less.
    pub refill_ns: u64,
    /// How long that is.
    pub refill_after_ns: u64,
    /// How fast a hardware thread is, in percent, while another one of its core is busy.
    pub smt_percent: u32,
}

impl Costs {
    /// Everything at once. Scenarios use it, since what they compare has no times in it.
    pub const NONE: Self = Self {
        switch_ns: 0,
        interrupt_ns: 0,
        kick_ns: 0,
        kicked_ns: 0,
        tick_ns: 0,
        callback_ns: 0,
        call_ns: 0,
        insn_ps: 0,
        line_ns: [0; 4],
        dsq_ns: 0,
        dsq_lines: 0,
        migration_ns: [0; 4],
        refill_ns: 0,
        refill_after_ns: 1,
        smt_percent: 100,
    };

    /// Whether queues cost something that CPUs share.
    pub(crate) fn queues_cost(&self) -> bool {
        self.dsq_ns > 0 || self.line_ns != [0; 4]
    }

    /// The same machine with all times `times / of` as long. How fast hardware threads of a core
    /// are, and how many lines a queue takes, is no time, and stays.
    #[must_use]
    pub fn scaled(&self, times: u64, of: u64) -> Self {
        let scale = |ns: u64| ns.saturating_mul(times) / of.max(1);
        Self {
            switch_ns: scale(self.switch_ns),
            interrupt_ns: scale(self.interrupt_ns),
            kick_ns: scale(self.kick_ns),
            kicked_ns: scale(self.kicked_ns),
            tick_ns: scale(self.tick_ns),
            callback_ns: scale(self.callback_ns),
            call_ns: scale(self.call_ns),
            insn_ps: scale(self.insn_ps),
            line_ns: self.line_ns.map(scale),
            dsq_ns: scale(self.dsq_ns),
            dsq_lines: self.dsq_lines,
            migration_ns: self.migration_ns.map(scale),
            refill_ns: scale(self.refill_ns),
            refill_after_ns: self.refill_after_ns,
            smt_percent: self.smt_percent,
        }
    }
}
