// SPDX-License-Identifier: GPL-2.0-or-later
//! What the fair class knows of a task while it is in a queue, or between queues (kernel:
//! `struct sched_entity`).

use super::super::TaskId;
use super::averages::Averages;
use super::groups::GroupId;
use super::load::TaskLoad;
use super::select::Company;

/// The weight of nice 0 (kernel: `NICE_0_LOAD`).
pub(crate) const NICE_0: i64 = 1 << 20;

/// A task's account. Virtual times are in ns of a task of nice 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entity {
    pub(super) vruntime: i64,
    pub(super) deadline: i64,
    /// How far it was behind the average when it left a queue; what others owe it.
    pub(super) vlag: i64,
    /// Until when others do not take its place while it runs.
    pub(super) protected: i64,
    /// Its weight among all of its CPU; that of nice 0 is [`NICE_0`].
    pub(super) weight: i64,
    /// Its weight in its group, and the group.
    pub(super) own_weight: i64,
    pub(super) group: GroupId,
    /// Whether it is in a queue, running or not.
    pub(super) on_rq: bool,
    /// Whether it has gone to sleep, and stays in the queue only to work off what it owes.
    pub(super) delayed: bool,
    /// Whether the deadline counts from its virtual time, not from zero.
    pub(super) relative_deadline: bool,
    pub(super) links: Links,
    pub(super) load: TaskLoad,
    pub(super) company: Company,
    /// A CPU that it was on before the one where it was last.
    pub(super) recent_cpu: u32,
    /// When it last ran where it is, in ns.
    pub(super) ran_ns: u64,
    /// Its place among the tasks of its CPU: who ran last is last.
    pub(super) turn: u64,
}

/// Its place in the tree of those that wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Links {
    pub(super) left: Option<TaskId>,
    pub(super) right: Option<TaskId>,
    /// Which insertion it was: of equal deadlines, the first inserted comes first.
    pub(super) number: u64,
    /// The least virtual time of all below it and itself.
    pub(super) vruntime_min: i64,
}

impl Entity {
    /// Of a new task, in no group.
    pub(crate) fn new(weight: i64) -> Self {
        let averages = Averages::new((weight / (NICE_0 / 1024)).cast_unsigned());
        let load = TaskLoad { averages, ..TaskLoad::default() };
        Self { weight, own_weight: weight, load, ..Self::default() }
    }

    /// The same, in a group.
    pub(crate) fn in_group(self, group: GroupId) -> Self {
        Self { group, ..self }
    }

    /// The same, made by a task: it knows the same others as that one (kernel: `dup_task_struct`
    /// copies all, and nothing sets this back).
    pub(crate) fn made_by(self, parent: &Self) -> Self {
        Self { company: parent.company, ..self }
    }

    /// How much virtual time so much time is for it (kernel: `calc_delta_fair`).
    pub(super) fn virtual_of(&self, ns: i64) -> i64 {
        if self.weight == NICE_0 {
            return ns;
        }
        (i128::from(ns) * i128::from(NICE_0) / i128::from(self.weight)) as i64
    }

    /// What its place in the order is.
    pub(super) fn key(&self) -> (i64, u64) {
        (self.deadline, self.links.number)
    }

    /// Whether it has run for less than it is protected for.
    pub(super) fn is_protected(&self) -> bool {
        self.vruntime < self.protected
    }
}
