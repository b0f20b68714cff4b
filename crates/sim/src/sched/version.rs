// SPDX-License-Identifier: GPL-2.0-or-later
//! In what the supported kernels differ.

use rota_object::KernelTypes;

/// What a kernel does, where kernels differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    /// `dequeue` is called whenever a task leaves the scheduler's custody, not only when it is
    /// taken away while it waits for the scheduler itself. After 7.0 (seen on 7.3).
    pub(crate) custody: bool,
    /// A task that `ENQ_LAST` puts into the local queue makes its CPU choose again; before, the
    /// CPU went idle with the task in its queue. After 7.0 (seen on 7.3).
    pub(crate) last_runs: bool,
    /// Whether the kernel itself finds out that a callback calls what it must not; later the
    /// verifier does. Up to 7.0.
    pub(crate) checks_context: bool,
    /// Slice and virtual time are set as soon as a program inserts a task, not when the insertion
    /// is made. Up to 7.0.
    pub(crate) applies_at_call: bool,
    /// A task that is moved out of a queue into the local queue of the CPU that it is on wakes this
    /// CPU, and may preempt. After 6.16 (seen on 6.18; scenario `move_preempt`).
    pub(crate) move_wakes: bool,
    /// Flags above bit 31, such as to preempt, reach the other CPU with a task that moves to it.
    /// After 6.18 (seen on 7.0; scenario `kept_preempt`).
    pub(crate) move_keeps_flags: bool,
    /// A task that goes back to the scheduler too often ends it, and its flags say why it goes.
    /// After 7.0 (read in 7.3).
    pub(crate) limits_reenqueues: bool,
    /// The flags of a move between queues are looked at. After 7.0 (read in 7.3).
    pub(crate) vets_moves: bool,
    /// A dequeue for a change of the task says so. After 7.0 (seen on 7.3).
    pub(crate) change: u64,
    /// A task that runs is put back past all that could refuse it. After 7.0 (seen on 7.3).
    pub(crate) restore_running: u64,
    /// Whether a task may stay on its CPU is asked of the CPUs that it may use, not only of those
    /// that the choice is limited to. After 6.18 (seen on 7.0; `select_and_previous`).
    pub(crate) stays_where_allowed: bool,
    /// An idle CPU of the same core is preferred. After 7.0 (seen on 7.3; `idle_sibling`).
    pub(crate) prefers_sibling: bool,
    /// The CPU of a waker that is about to sleep does not count as idle any more. After 7.0 (read
    /// in 7.3).
    pub(crate) sync_takes: bool,
    /// Of a task with one CPU, that CPU counts, not the one that the scheduler names. After 7.0
    /// (seen on 7.3; `only_cpu_previous`).
    pub(crate) only_cpu_counts: bool,
    /// A task that a callback is not about can't be asked about. After 7.0 (read in 7.3).
    pub(crate) asks_about_others: bool,
    /// Functions look for their scheduler first. Not in 6.16, in 6.18.
    pub(crate) asks_for_scheduler: bool,
    /// Tasks that go past a scheduler wait in queues of their CPUs, with a slice of their own, and
    /// a scheduler that has ended has its other queues left alone. Before Linux 6.19 they wait in
    /// the global queue, with the default slice.
    pub(crate) bypass_queues: bool,
    /// A task that wakes up past a scheduler stays on its CPU. After 7.0 (seen on 7.3).
    pub(crate) bypass_stays: bool,
    /// A scheduler hears of CPUs that went idle while it was bypassed. After 7.0 (seen on 7.3).
    pub(crate) bypass_tells_idle: bool,
    /// What the function is called that puts a scheduler in charge, in messages.
    pub(crate) enable_function: &'static str,
    /// A scheduler that expects other hotplug events is refused at once. After 6.18 (seen on
    /// 7.0; `hotplug_seq`).
    pub(crate) hotplug_seq_refuses: bool,
    /// A dump begins with the scheduler's name, and names that of each task. After 7.0 (seen on
    /// 7.3).
    pub(crate) dump_names: bool,
    /// Who counts the tasks of the local queue, or asks them back, means that of the CPU whose run
    /// queue is locked. After 7.0 (seen on 7.3; `count`, `back_own`).
    pub(crate) local_is_locked: bool,
    /// A scheduler is told that a cgroup is idle also if it was before. In 7.0 only, not in 6.18
    /// and 7.3 (`cgroup_knobs`).
    pub(crate) tells_idle_again: bool,
    /// A scheduler that ends itself with a message that can't be made has ended itself all the
    /// same. After 7.0 (seen on 7.3; `mistake_format`).
    pub(crate) ends_without_message: bool,
    /// A CPU that is idle or runs a task of the scheduler asks it for work also if a higher class
    /// has some. Before Linux 6.19 (seen on 6.16 and 6.18; `realtime_local`).
    pub(crate) looks_first: bool,
    /// The message about a queue that there is not names the task. Until 7.0 (seen on 6.16).
    pub(crate) names_task: bool,
    /// A task that leaves a scheduler has no slice left. After 7.0 (seen on 7.3).
    pub(crate) disable_resets: bool,
    /// The number of the stage in which a task is initialised; the next is that it is enabled.
    pub(crate) stage_ready: u64,
    /// Bits of the kernel's own flags, which have no names in its types.
    pub(crate) migrated: u64,
    pub(crate) dead: u64,
    pub(crate) initial: u64,
    pub(crate) class_change: u64,
    /// Bits with names.
    pub(crate) head: u64,
    pub(crate) preempt: u64,
    pub(crate) last: u64,
    pub(crate) reenqueue: u64,
    /// To run at once or not at all: none before 7.1.
    pub(crate) immediate: u64,
    /// Past what CPUs a scheduler below another one may use: none before 7.1.
    pub(crate) rescue: u64,
    /// Bits that a program must not set.
    pub(crate) internal: u64,
    pub(crate) selected: u64,
}

impl Version {
    /// Looks up what a kernel does.
    pub(crate) fn of(types: &KernelTypes) -> Self {
        let flag =
            |name: &str, default: u64| types.enumerator(name).map_or(default, i64::cast_unsigned);
        let has = |of: &str, member: &str| crate::layout::has_member(types, of, member);
        let version = types.configuration().version;
        let newer = version >= [7, 1, 0];
        let after_first = types.configuration().version >= [6, 17, 0];
        // The kernel's own flags moved up when sched_ext's got the lower half (after 7.0).
        let moved = flag("SCX_ENQ_HEAD", 0x10) != 0x10;
        Self {
            custody: newer,
            last_runs: newer,
            checks_context: has("sched_ext_entity", "kf_mask"),
            move_wakes: version >= [6, 18, 0],
            move_keeps_flags: version >= [7, 0, 0],
            limits_reenqueues: types.enumerator("SCX_REENQ_MAX_REPEAT").is_some(),
            vets_moves: newer,
            applies_at_call: !has("sched_ext_entity", "ddsp_slice"),
            change: if newer { flag("SCX_DEQ_SCHED_CHANGE", 1 << 33) } else { 0 },
            restore_running: flag("SCX_ENQ_IGNORE_CAPS", 0),
            stays_where_allowed: types.configuration().version >= [7, 0, 0],
            prefers_sibling: newer,
            sync_takes: newer,
            only_cpu_counts: newer,
            asks_about_others: newer,
            asks_for_scheduler: after_first,
            bypass_queues: types.configuration().version >= [6, 19, 0],
            bypass_stays: newer,
            bypass_tells_idle: newer,
            enable_function: if newer { "scx_root_enable" } else { "scx_enable" },
            hotplug_seq_refuses: version >= [7, 0, 0],
            dump_names: newer,
            local_is_locked: newer,
            tells_idle_again: version >= [6, 19, 0] && !newer,
            ends_without_message: newer,
            looks_first: version < [6, 19, 0],
            names_task: !newer,
            disable_resets: newer,
            stage_ready: flag("SCX_TASK_READY", 2 << 8) >> 8,
            initial: if moved { 0x8_0000 } else { 0x80 },
            class_change: if moved { 0x40 } else { 0 },
            migrated: if moved { 0x4_0000 } else { 0x40 },
            dead: if moved { 0x1_0000 } else { 0x10 },
            head: flag("SCX_ENQ_HEAD", 0x10),
            preempt: flag("SCX_ENQ_PREEMPT", 1 << 32),
            last: flag("SCX_ENQ_LAST", 1 << 41),
            reenqueue: flag("SCX_ENQ_REENQ", 1 << 40),
            immediate: flag("SCX_ENQ_IMMED", 0),
            rescue: flag("SCX_ENQ_RESCUE", 0),
            internal: flag("__SCX_ENQ_INTERNAL_MASK", 0xff << 56),
            selected: flag("SCX_ENQ_CPU_SELECTED", 1 << 10),
        }
    }
}
