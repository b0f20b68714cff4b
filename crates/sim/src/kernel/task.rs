// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks (kernel: `kernel/bpf/helpers.c`, `task_iter.c`).

use super::{Answer, value};
use crate::cgroups::ROOT;
use crate::errno::Errno;
use crate::machine::Machine;
use rota_bytecode::Fault;
use std::ops::Bound;

/// Length of a task's name with the zero at its end.
const COMM_BYTES: u64 = 16;

/// `bpf_get_current_task()` and its kin: the task that executes.
pub(super) fn current(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(machine.current())
}

/// `bpf_get_current_pid_tgid()`: the process' number above the task's.
pub(super) fn current_numbers(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    let (task, layout) = (machine.current(), &machine.layout.task);
    let tgid = layout.tgid.get(&machine.memory, task)?;
    value(tgid << 32 | layout.pid.get(&machine.memory, task)?)
}

/// `bpf_get_current_uid_gid()`: everything belongs to root.
pub(super) fn current_user(_: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    value(0)
}

/// `bpf_get_current_comm(to, size)`.
pub(super) fn current_comm(
    machine: &mut Machine,
    [to, size, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let mut comm = [0; COMM_BYTES as usize];
    let from = machine.current() + machine.layout.task.comm.offset;
    machine.memory.read(from, &mut comm)?;
    let size = size & 0xffff_ffff;
    let mut bytes = vec![0; size.min(1 << 16) as usize];
    let copied = bytes.len().min(comm.len());
    bytes[..copied].copy_from_slice(&comm[..copied]);
    if let Some(last) = bytes.last_mut() {
        *last = 0;
    }
    machine.memory.write(to, &bytes)?;
    value(0)
}

/// `bpf_task_from_pid(pid)`: the task, or NULL.
pub(super) fn from_pid(machine: &mut Machine, [pid, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let found = machine.tasks.by_pid.get(&(pid as u32).cast_signed());
    value(found.map_or(0, |task| task.address))
}

/// What is no task is a bad pointer.
fn check(machine: &Machine, task: u64) -> Result<u64, Fault> {
    let bad = Fault { pointer: task, size: machine.layout.task.size, write: false };
    if machine.is_task(task) { Ok(task) } else { Err(bad) }
}

/// The number of the cgroup that a task is in.
pub(super) fn cgroup_of(machine: &Machine, task: u64) -> Result<u64, Fault> {
    check(machine, task)?;
    // Idle tasks are in the outermost.
    Ok(machine.task(task).map_or(ROOT, |task| task.cgroup))
}

/// `bpf_task_acquire(task)`.
pub(super) fn acquire(machine: &mut Machine, [task, ..]: [u64; 5]) -> Result<Answer, Fault> {
    value(check(machine, task)?)
}

/// `bpf_task_release(task)`.
pub(super) fn release(machine: &mut Machine, [task, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, task)?;
    value(0)
}

/// Which tasks an iterator goes over (kernel: `BPF_TASK_ITER_…`).
mod over {
    pub(super) const PROCESSES: u64 = 0;
    pub(super) const THREADS: u64 = 1;
    pub(super) const OF_PROCESS: u64 = 2;
}

/// Where an iterator keeps the process and the task that are next, -1 at the end, and what it
/// goes over.
const NEXT: u64 = 0;
const OVER: u64 = 8;

fn set_next(machine: &Machine, it: u64, next: Option<(i32, i32)>) -> Result<(), Fault> {
    let (process, task) = next.unwrap_or((-1, -1));
    let word = u64::from(process.cast_unsigned()) << 32 | u64::from(task.cast_unsigned());
    machine.memory.write_u64(it.wrapping_add(NEXT), word)
}

/// `bpf_iter_task_new(it, task, flags)`. The first of all tasks is the idle one of CPU 0.
pub(super) fn iter_new(
    machine: &mut Machine,
    [it, task, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let flags = flags & 0xffff_ffff;
    machine.memory.write_u64(it.wrapping_add(OVER), flags)?;
    let first = match flags {
        over::PROCESSES | over::THREADS => Some((0, 0)),
        over::OF_PROCESS if task == 0 => None,
        over::OF_PROCESS => {
            let layout = &machine.layout.task;
            let tgid = layout.tgid.get(&machine.memory, check(machine, task)?)?;
            let pid = layout.pid.get(&machine.memory, task)?;
            Some(((tgid as u32).cast_signed(), (pid as u32).cast_signed()))
        }
        _ => None,
    };
    set_next(machine, it, first)?;
    value(if first.is_some() { 0 } else { Errno::Invalid.value() })
}

/// All numbers after one.
fn after(number: i32) -> (Bound<i32>, Bound<i32>) {
    (Bound::Excluded(number), Bound::Unbounded)
}

/// `bpf_iter_task_next(it)`: a task, or NULL.
pub(super) fn iter_next(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let word = machine.memory.read_u64(it.wrapping_add(NEXT))?;
    let over = machine.memory.read_u64(it.wrapping_add(OVER))?;
    let (process, task) = (((word >> 32) as u32).cast_signed(), (word as u32).cast_signed());
    if task < 0 {
        return value(0);
    }
    let tasks = &machine.tasks;
    let found = match task {
        0 => tasks.idle.first().copied(),
        _ => tasks.by_pid.get(&task).map(|task| task.address),
    };
    let thread = match over {
        over::PROCESSES => None,
        _ => tasks.threads.get(&process).and_then(|all| all.range(after(task)).next()),
    };
    let next = match thread {
        Some(thread) => Some((process, *thread)),
        None if over == over::OF_PROCESS => None,
        None => {
            let next = tasks.threads.range(after(process)).next();
            next.and_then(|(process, all)| Some((*process, *all.first()?)))
        }
    };
    set_next(machine, it, next)?;
    value(found.unwrap_or(0))
}

/// `bpf_iter_task_destroy(it)`.
pub(super) fn iter_destroy(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    set_next(machine, it, None)?;
    value(0)
}
