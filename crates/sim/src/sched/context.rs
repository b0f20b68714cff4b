// SPDX-License-Identifier: GPL-2.0-or-later
//! Which functions a callback may call. Up to 7.0 the kernel finds out when one is called, and
//! ends the scheduler; later the verifier does, so that no such program is loaded.

use super::Op;
use crate::machine::Machine;

/// Groups of functions that only some callbacks may call (kernel: `enum scx_kf_mask`).
pub(crate) mod group {
    pub(crate) const CPU_RELEASE: u32 = 1;
    pub(crate) const DISPATCH: u32 = 2;
    pub(crate) const ENQUEUE: u32 = 4;
    pub(crate) const SELECT_CPU: u32 = 8;
    /// What callbacks may call that run with a CPU's lock held: nothing of the above.
    pub(crate) const REST: u32 = 16;
}

impl Op {
    /// Whether it is about a task, its first argument.
    pub(super) fn is_about_task(self) -> bool {
        matches!(
            self,
            Self::SelectCpu
                | Self::Enqueue
                | Self::Dequeue
                | Self::Tick
                | Self::Runnable
                | Self::Running
                | Self::Stopping
                | Self::Quiescent
                | Self::Yield
                | Self::SetWeight
                | Self::SetCpumask
                | Self::ExitTask
                | Self::Enable
                | Self::Disable
                | Self::CgroupMove
        )
    }

    /// The groups of functions that it may call. None: it runs without a lock.
    pub(crate) fn groups(self) -> u32 {
        match self {
            Self::SelectCpu => group::ENQUEUE | group::SELECT_CPU,
            Self::Enqueue => group::ENQUEUE,
            Self::Dispatch => group::DISPATCH,
            Self::CpuRelease => group::CPU_RELEASE,
            Self::Dequeue
            | Self::Tick
            | Self::Runnable
            | Self::Running
            | Self::Stopping
            | Self::Quiescent
            | Self::Yield
            | Self::SetWeight
            | Self::SetCpumask
            | Self::UpdateIdle
            | Self::CpuAcquire
            | Self::ExitTask
            | Self::Enable
            | Self::Disable => group::REST,
            Self::CpuOnline
            | Self::CpuOffline
            | Self::InitTask
            | Self::Init
            | Self::Exit
            | Self::Dump
            | Self::DumpCpu
            | Self::DumpTask
            | Self::CgroupInit
            | Self::CgroupExit
            | Self::CgroupPrepMove
            | Self::CgroupMove
            | Self::CgroupCancelMove
            | Self::CgroupSetWeight
            | Self::CgroupSetBandwidth
            | Self::CgroupSetIdle => 0,
        }
    }
}

/// Whether a function may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    Yes,
    /// No, and the scheduler has been ended for it.
    No,
    /// The verifier does not let a program do this.
    Never,
}

impl Machine {
    /// Whether the callback that runs may call a function of one of these groups.
    pub(crate) fn allowed(&mut self, groups: u32) -> Allowed {
        let here = self.cpu;
        let callback = self.sched.rq(here).groups;
        // A callback that another one has led to.
        let inside = |group: u32| callback & !(2 * group - 1) != 0;
        let text = if callback & groups == 0 {
            if !self.sched.version.checks_context {
                return Allowed::Never;
            }
            format!(
                "kfunc with mask {groups:#x} called from an operation only allowing {callback:#x}"
            )
        } else if groups == group::CPU_RELEASE && inside(groups) {
            "cpu_release kfunc called from a nested operation".to_owned()
        } else if groups == group::DISPATCH && inside(groups) {
            "dispatch kfunc called from a nested operation".to_owned()
        } else {
            return Allowed::Yes;
        };
        self.error(text);
        Allowed::No
    }

    /// Whether no callback runs, or one that runs without a lock.
    pub(crate) fn unlocked(&mut self) -> bool {
        let here = self.cpu;
        self.sched.rq(here).groups == 0
    }

    /// Whether the callback that runs is about a task; else the scheduler has been ended for asking
    /// about it (kernel: `scx_kf_allowed_on_arg_tasks`).
    pub(crate) fn asks_about_its_task(&mut self, address: u64) -> bool {
        let any = 2 * group::REST - 1;
        if self.sched.version.checks_context && self.allowed(any) != Allowed::Yes {
            return false;
        }
        let about =
            self.sched.calling.is_some_and(|(op, arg)| op.is_about_task() && arg == address);
        if !about {
            self.error("called on a task not being operated on".to_owned());
        }
        about
    }

    /// Whether a callback runs on a task's time: it can't move meanwhile, as a program has to stay
    /// on its CPU (kernel: `migrate_disable`).
    pub(super) fn runs_callback(&self, task: super::TaskId) -> bool {
        let rq = &self.sched.rqs[self.cpu as usize];
        rq.groups != 0 && rq.current == Some(task)
    }

    /// The CPU whose run queue is locked while the callback runs (kernel: `scx_locked_rq`), or else the one that executes.
    pub(crate) fn locked_cpu(&self) -> u32 {
        self.locked_rq().unwrap_or(self.cpu)
    }

    /// The CPU whose local queue a callback means that counts its tasks or asks them back.
    pub(crate) fn local_cpu(&self) -> u32 {
        if self.sched.version.local_is_locked { self.locked_cpu() } else { self.cpu }
    }
}
