// SPDX-License-Identifier: GPL-2.0-or-later
//! The functions of sched_ext (kernel: `kernel/sched/ext.c`, `idle.c`).
//!
//! * [`queues`]: queues as such; [`dispatch`]: inserting tasks into them; [`iter`]: going through
//!   them; [`reenqueue`]: tasks go back.
//! * [`cpu`]: CPUs; [`facts`]: what they are; [`idle`]: which of them are idle; [`mod@task`]: tasks.
//! * [`mod@exit`]: how a scheduler ends itself; [`report`]: counters and dumps.

mod cpu;
mod dispatch;
mod exit;
pub(super) mod facts;
pub(super) mod idle;
pub(super) mod iter;
mod queues;
pub(super) mod reenqueue;
mod report;
mod task;

pub(super) use cpu::{kick_cpu, now, nr_cpu_ids};
pub(super) use dispatch::{
    cancel, insert, insert_vtime, insert_vtime_args, move_to_local, move_to_local_with, nr_slots,
};
pub(super) use exit::{error, exit};
pub(super) use queues::{create_dsq, destroy_dsq, nr_queued, peek};
pub(super) use report::{dump, events};
pub(super) use task::{set_slice, set_vtime, task_cpu, task_running};

use super::Answer;
use crate::machine::Machine;
use crate::references::Misuse;
use crate::run::Stop;
use crate::sched::{Allowed, TaskId};
use rota_bytecode::Fault;

/// What a function that called the scheduler back comes to.
fn done(result: Result<u64, Stop>) -> Result<Answer, Fault> {
    Ok(result.map_or_else(Answer::Stop, Answer::Value))
}

/// The task with this address. What is none is a bad pointer.
fn task(machine: &Machine, address: u64) -> Result<TaskId, Fault> {
    let size = machine.layout.task.size;
    machine.scheduled(address).ok_or(Fault { pointer: address, size, write: false })
}

/// What a function answers that the callback which runs must not call: one of these groups.
fn refused(machine: &mut Machine, groups: u32) -> Option<Answer> {
    match machine.allowed(groups) {
        Allowed::Yes => None,
        Allowed::No => Some(Answer::Value(0)),
        Allowed::Never => Some(Answer::Misuse(Misuse::Context)),
    }
}
