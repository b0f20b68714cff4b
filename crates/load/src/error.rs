// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a workload can't be done here, with what to do about it.

/// Why a workload can't be done here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// More threads than there can be.
    #[error(
        "{threads} threads are too many here: {limit} allows {most}; take fewer tasks, or raise it"
    )]
    Threads {
        /// How many there would be.
        threads: u64,
        /// How many there can be.
        most: u64,
        /// What says so.
        limit: String,
    },
    /// More processes than there can be.
    #[error("{processes} processes are too many: {most} is the most; take fewer tasks, or threads")]
    Processes {
        /// How many there would be.
        processes: usize,
        /// How many there can be.
        most: usize,
    },
    /// A thread, or a process, could not be made.
    #[error(
        "only {made} of {wanted} could be made ({error}); take fewer tasks, or raise `ulimit -u` and `ulimit -n`"
    )]
    Spawn {
        /// How many were made.
        made: usize,
        /// How many there should be.
        wanted: usize,
        /// The kernel's answer.
        error: String,
    },
    /// Real-time tasks are not allowed.
    #[error(
        "{name} is a real-time task, which this user may not have ({error}); run as root, with \
         CAP_SYS_NICE, or after `ulimit -r 1`"
    )]
    Realtime {
        /// The kind of task.
        name: String,
        /// The kernel's answer.
        error: String,
    },
    /// A nice value is not allowed.
    #[error(
        "a nice value of {nice} is wanted, which this user may not set ({error}); run as root, \
         with CAP_SYS_NICE, or after `ulimit -e {limit}`"
    )]
    Nice {
        /// The nice value.
        nice: i32,
        /// What `ulimit -e` has to be for it.
        limit: i32,
        /// The kernel's answer.
        error: String,
    },
    /// CPUs are wanted of which none may be used.
    #[error(
        "{name} is to run on CPUs {wanted}, none of which this process may use: it has {allowed}"
    )]
    Cpus {
        /// The kind of task.
        name: String,
        /// The CPUs.
        wanted: String,
        /// The CPUs that there are.
        allowed: String,
    },
    /// It was told to end before all was there.
    #[error("interrupted before it began")]
    Interrupted,
    /// There is nothing to do.
    #[error("the workload has no tasks")]
    Nothing,
    /// A call that has no reason to fail.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        error: String,
    },
}
