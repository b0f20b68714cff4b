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
    let task = found.map_or(0, |task| task.address);
    machine.acquire_task(task);
    value(task)
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

/// `bpf_task_acquire(task)`: the task, or NULL if it is gone.
pub(super) fn acquire(machine: &mut Machine, [task, ..]: [u64; 5]) -> Result<Answer, Fault> {
    if machine.is_gone(check(machine, task)?) {
        return value(0);
    }
    machine.acquire_task(task);
    value(task)
}

/// `bpf_task_release(task)`.
pub(super) fn release(machine: &mut Machine, [task, ..]: [u64; 5]) -> Result<Answer, Fault> {
    check(machine, task)?;
    machine.release_task(task);
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
    let mut next = Some((((word >> 32) as u32).cast_signed(), (word as u32).cast_signed()));
    // One that was next may have ended meanwhile.
    while let Some((process, task)) = next.filter(|(_, task)| *task >= 0) {
        let found;
        (found, next) = step(machine, over, process, task);
        if let Some(found) = found {
            set_next(machine, it, next)?;
            return value(found);
        }
    }
    set_next(machine, it, None)?;
    value(0)
}

/// The address of a task, if it is still there, and the process and the task after it.
fn step(
    machine: &Machine,
    over: u64,
    process: i32,
    task: i32,
) -> (Option<u64>, Option<(i32, i32)>) {
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
    (found, next)
}

/// `bpf_iter_task_destroy(it)`.
pub(super) fn iter_destroy(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    set_next(machine, it, None)?;
    value(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Shape;
    use crate::maps::Contents;
    use crate::objects::What;
    use crate::tasks::NewTask;
    use rota_object::{KernelTypes, Object};
    use std::collections::BTreeSet;

    /// A machine whose programs keep something of tasks.
    fn machine() -> Machine {
        let types = KernelTypes::builtin("7.3").unwrap();
        let (_, bytes) =
            rota_programs::test::CASES.iter().find(|(name, _)| *name == "kfunc_task").unwrap();
        let image = Object::parse(bytes).unwrap().link(&types).unwrap();
        Machine::load(Shape::default(), &image, &types).unwrap()
    }

    fn make(machine: &mut Machine) -> u64 {
        let pid = machine.next_pid();
        let new = NewTask { pid, tgid: pid, comm: "a", kthread: false, cgroup: ROOT };
        machine.add_task(&new, None).unwrap()
    }

    /// What a function returns that is given one number.
    fn call(
        machine: &mut Machine,
        function: fn(&mut Machine, [u64; 5]) -> Result<Answer, Fault>,
        arg: u64,
    ) -> u64 {
        match function(machine, [arg, 0, 0, 0, 0]).unwrap() {
            Answer::Value(value) => value,
            _ => panic!(),
        }
    }

    #[test]
    fn structures_of_tasks_that_ended_are_used_again() {
        let mut machine = machine();
        let first = machine.next_pid();
        let mut places = BTreeSet::new();
        for _ in 0..300_000 {
            let task = make(&mut machine);
            places.insert(task);
            machine.remove_task(task);
        }
        assert!(places.len() < 100, "{}", places.len());
        assert_eq!(machine.next_pid(), first + 300_000, "their numbers are not");
        assert_eq!(call(&mut machine, from_pid, first as u64), 0);
    }

    #[test]
    fn a_task_that_a_program_holds_stays() {
        let mut machine = machine();
        let pid = machine.next_pid();
        let task = make(&mut machine);
        let value = machine.new_object(8, What::Value).unwrap();
        for map in &mut machine.maps {
            if let Contents::Storage(storage) = &mut map.contents {
                storage.set(task, value);
            }
        }
        assert_eq!(call(&mut machine, from_pid, pid as u64), task);
        assert_eq!(call(&mut machine, acquire, task), task);
        machine.remove_task(task);
        assert_eq!(call(&mut machine, from_pid, pid as u64), 0, "nobody finds it");
        call(&mut machine, release, task);
        assert_eq!(call(&mut machine, acquire, task), task);
        call(&mut machine, release, task);
        assert!(machine.what(value).is_some());
        for _ in 0..200 {
            let other = make(&mut machine);
            assert_ne!(other, task);
            machine.remove_task(other);
        }
        call(&mut machine, release, task);
        assert!(machine.what(value).is_none(), "what was kept of it is gone with it");
        assert_eq!(call(&mut machine, acquire, task), 0);
    }

    #[test]
    fn an_iterator_passes_over_a_task_that_has_ended() {
        let mut machine = machine();
        let tasks = [make(&mut machine), make(&mut machine), make(&mut machine)];
        let it = machine.new_object(24, What::Scratch).unwrap();
        iter_new(&mut machine, [it, 0, over::PROCESSES, 0, 0]).unwrap();
        while call(&mut machine, iter_next, it) != tasks[0] {}
        machine.remove_task(tasks[1]);
        assert_eq!(call(&mut machine, iter_next, it), tasks[2]);
        assert_eq!(call(&mut machine, iter_next, it), 0);
    }
}
