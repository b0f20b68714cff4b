// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers of fields, as Perfetto's `trace_packet.proto` and what it includes have them, by the
//! messages that have them. What is written and what is read goes by the same ones.

/// `Trace`.
pub(crate) mod trace {
    pub(crate) const PACKET: u32 = 1;
}

/// `TracePacket`.
pub(crate) mod packet {
    pub(crate) const FTRACE_EVENTS: u32 = 1;
    pub(crate) const PROCESS_TREE: u32 = 2;
    pub(crate) const CLOCK_SNAPSHOT: u32 = 6;
    pub(crate) const TIMESTAMP: u32 = 8;
    pub(crate) const SEQUENCE: u32 = 10;
    pub(crate) const TRACK_EVENT: u32 = 11;
    pub(crate) const INTERNED_DATA: u32 = 12;
    pub(crate) const SEQUENCE_FLAGS: u32 = 13;
    pub(crate) const FTRACE_STATS: u32 = 34;
    /// Packets of the same writer are missing before this one, or it is the first.
    pub(crate) const DROPPED: u32 = 42;
    pub(crate) const SYSTEM_INFO: u32 = 45;
    pub(crate) const COMPRESSED: u32 = 50;
    pub(crate) const TRACK_DESCRIPTOR: u32 = 60;
}

/// `ClockSnapshot` and its `Clock`.
pub(crate) mod clock {
    pub(crate) const CLOCKS: u32 = 1;
    pub(crate) const PRIMARY: u32 = 2;
    pub(crate) const ID: u32 = 1;
    pub(crate) const TIMESTAMP: u32 = 2;
}

/// `SystemInfo` and its `Utsname`.
pub(crate) mod system {
    pub(crate) const UTSNAME: u32 = 1;
    pub(crate) const CPUS: u32 = 8;
    pub(crate) const SYSNAME: u32 = 1;
    pub(crate) const RELEASE: u32 = 3;
}

/// `ProcessTree`, its `Process` and its `Thread`.
pub(crate) mod tree {
    pub(crate) const PROCESSES: u32 = 1;
    pub(crate) const THREADS: u32 = 2;
    pub(crate) const PROCESS_PID: u32 = 1;
    pub(crate) const PROCESS_CMDLINE: u32 = 3;
    pub(crate) const THREAD_TID: u32 = 1;
    pub(crate) const THREAD_NAME: u32 = 2;
    pub(crate) const THREAD_TGID: u32 = 3;
}

/// `FtraceEventBundle`.
pub(crate) mod bundle {
    pub(crate) const CPU: u32 = 1;
    pub(crate) const EVENT: u32 = 2;
    pub(crate) const LOST: u32 = 3;
    pub(crate) const COMPACT: u32 = 4;
}

/// `CompactSched`, the switches and wakings of a bundle as columns.
pub(crate) mod compact {
    pub(crate) const NAMES: u32 = 5;
    pub(crate) const SWITCH_TIME: u32 = 1;
    pub(crate) const SWITCH_STATE: u32 = 2;
    pub(crate) const SWITCH_PID: u32 = 3;
    pub(crate) const SWITCH_PRIO: u32 = 4;
    pub(crate) const SWITCH_NAME: u32 = 6;
    pub(crate) const WAKING_TIME: u32 = 7;
    pub(crate) const WAKING_PID: u32 = 8;
    pub(crate) const WAKING_CPU: u32 = 9;
    pub(crate) const WAKING_PRIO: u32 = 10;
    pub(crate) const WAKING_NAME: u32 = 11;
    pub(crate) const WAKING_FLAGS: u32 = 12;
}

/// `FtraceEvent`.
pub(crate) mod event {
    pub(crate) const TIMESTAMP: u32 = 1;
    pub(crate) const PID: u32 = 2;
    pub(crate) const FLAGS: u32 = 5;
    pub(crate) const SWITCH: u32 = 4;
    pub(crate) const FREQUENCY: u32 = 11;
    pub(crate) const WAKEUP: u32 = 17;
    pub(crate) const WAKING: u32 = 20;
    pub(crate) const WAKEUP_NEW: u32 = 114;
    pub(crate) const NEW_TASK: u32 = 235;
    pub(crate) const RENAME: u32 = 236;
    pub(crate) const EXIT: u32 = 238;
    pub(crate) const FORK: u32 = 239;
    pub(crate) const MIGRATE: u32 = 491;
}

/// `SchedSwitchFtraceEvent`.
pub(crate) mod switch {
    pub(crate) const FROM_NAME: u32 = 1;
    pub(crate) const FROM_PID: u32 = 2;
    pub(crate) const FROM_PRIO: u32 = 3;
    pub(crate) const FROM_STATE: u32 = 4;
    pub(crate) const TO_NAME: u32 = 5;
    pub(crate) const TO_PID: u32 = 6;
    pub(crate) const TO_PRIO: u32 = 7;
}

/// What names a task first: `SchedWakingFtraceEvent` and those of other wake-ups,
/// `SchedMigrateTaskFtraceEvent`, `SchedProcessExitFtraceEvent`.
pub(crate) mod task {
    pub(crate) const NAME: u32 = 1;
    pub(crate) const PID: u32 = 2;
    /// Of wake-ups and moves.
    pub(crate) const PRIO: u32 = 3;
    /// Of wake-ups.
    pub(crate) const SUCCESS: u32 = 4;
    pub(crate) const TARGET_CPU: u32 = 5;
    /// Of moves.
    pub(crate) const MOVE_FROM: u32 = 4;
    pub(crate) const MOVE_TO: u32 = 5;
    /// Of ends.
    pub(crate) const EXIT_TGID: u32 = 3;
    pub(crate) const EXIT_PRIO: u32 = 4;
}

/// `TaskNewtaskFtraceEvent`, `TaskRenameFtraceEvent`.
pub(crate) mod life {
    pub(crate) const PID: u32 = 1;
    pub(crate) const NEW_NAME: u32 = 2;
    pub(crate) const CLONE_FLAGS: u32 = 3;
    pub(crate) const RENAMED_NAME: u32 = 3;
}

/// `SchedProcessForkFtraceEvent`.
pub(crate) mod fork {
    pub(crate) const PARENT_NAME: u32 = 1;
    pub(crate) const PARENT_PID: u32 = 2;
    pub(crate) const CHILD_NAME: u32 = 3;
    pub(crate) const CHILD_PID: u32 = 4;
}

/// `FtraceStats`, its phase at the end of a recording, and its `FtraceCpuStats`.
pub(crate) mod stats {
    pub(crate) const PHASE: u32 = 1;
    pub(crate) const CPU_STATS: u32 = 2;
    pub(crate) const AT_END: u64 = 2;
    pub(crate) const CPU: u32 = 1;
    pub(crate) const OVERRUN: u32 = 3;
    pub(crate) const COMMIT_OVERRUN: u32 = 4;
    pub(crate) const DROPPED: u32 = 8;
}

/// `CpuFrequencyFtraceEvent`.
pub(crate) mod frequency {
    pub(crate) const KHZ: u32 = 1;
    pub(crate) const CPU: u32 = 2;
}

/// `TrackDescriptor`, its `ThreadDescriptor` and its `CounterDescriptor`.
pub(crate) mod track {
    pub(crate) const UUID: u32 = 1;
    pub(crate) const NAME: u32 = 2;
    pub(crate) const THREAD: u32 = 4;
    pub(crate) const PARENT: u32 = 5;
    pub(crate) const COUNTER: u32 = 8;
    pub(crate) const THREAD_PID: u32 = 1;
    pub(crate) const THREAD_TID: u32 = 2;
    pub(crate) const THREAD_NAME: u32 = 5;
    pub(crate) const UNIT_NAME: u32 = 6;
}

/// `TrackEvent`.
pub(crate) mod track_event {
    pub(crate) const ANNOTATION: u32 = 4;
    pub(crate) const TYPE: u32 = 9;
    /// The number of a name that was told before.
    pub(crate) const NAME_NUMBER: u32 = 10;
    pub(crate) const TRACK: u32 = 11;
    /// What a counter shows from now on, beside what happens on the track, and which counter.
    pub(crate) const BESIDE_VALUE: u32 = 12;
    pub(crate) const BESIDE_TRACK: u32 = 31;
    pub(crate) const NAME: u32 = 23;
    pub(crate) const COUNTER_VALUE: u32 = 30;
    pub(crate) const COUNTER_DOUBLE: u32 = 44;
    pub(crate) const FLOW: u32 = 47;
    pub(crate) const FLOW_ENDS: u32 = 48;
}

/// `InternedData`, and its `EventName`.
pub(crate) mod interned {
    pub(crate) const EVENT_NAMES: u32 = 2;
    pub(crate) const NUMBER: u32 = 1;
    pub(crate) const NAME: u32 = 2;
}

/// `DebugAnnotation`.
pub(crate) mod annotation {
    pub(crate) const TEXT: u32 = 6;
    pub(crate) const NAME: u32 = 10;
}

/// Clocks that Perfetto knows by numbers, with the names of recordings.
pub(crate) const CLOCKS: [(u64, &str); 6] = [
    (1, "realtime"),
    (3, "monotonic"),
    (5, "monotonic_raw"),
    (BOOTTIME, "boottime"),
    (9, "tsc"),
    (10, "perf"),
];
/// The clock of traces that do not say which one they have, and of what the kernel's tracing wrote.
pub(crate) const BOOTTIME: u64 = 6;

/// Bit of an event's flags: it was made in a hardware interrupt.
pub(crate) const IN_INTERRUPT: u64 = 0x08;
/// Bit of the flags of a clone: a thread of the same process.
pub(crate) const CLONE_THREAD: u64 = 0x1_0000;
