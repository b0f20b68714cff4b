// SPDX-License-Identifier: GPL-2.0-or-later
//! The tasks of a machine, as the kernel's own structures in its memory.

use crate::layout::Field;
use crate::machine::Machine;
use crate::maps::Owner;
use crate::sched::TaskId;
use crate::starts::Starts;
use rota_bytecode::{HUGE, MemoryError, Protection};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// A kernel thread (kernel: `PF_KTHREAD`).
const KTHREAD: u64 = 0x0020_0000;
/// For how many tasks memory is taken at first, and at most, at once.
const TASKS_FIRST: u64 = 64;
const TASKS_MOST: u64 = 8192;
/// For how many address spaces memory is taken at once, how far they are from each other, and how
/// much of one can be read. They overlap: nothing in them is ever set.
const SPACES_AT_A_TIME: u64 = 1024;
const SPACE_STEP: u64 = 64;
const SPACE_BYTES: u64 = 4096;
/// So many structures of tasks that are gone wait before the first of them is used again: who may
/// still look at one has done so by then.
const GONE_MOST: usize = 64;
/// Longest name of a task, in bytes.
const COMM_MAX: usize = 15;

/// A name as a task's structure has it.
pub(crate) fn comm(name: &str) -> [u8; COMM_MAX + 1] {
    let mut comm = [0; COMM_MAX + 1];
    comm.iter_mut().zip(name.bytes().take(COMM_MAX)).for_each(|(to, byte)| *to = byte);
    comm
}

/// A task.
pub(crate) struct Task {
    /// Its `struct task_struct`.
    pub(crate) address: u64,
    /// The cgroup that it is in.
    pub(crate) cgroup: u64,
    /// The same for the scheduler, which is a moment behind when it moves (kernel:
    /// `sched_task_group`).
    pub(crate) group: u64,
}

/// What a task's structure stands for.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// The number for the scheduler, if it is scheduled.
    id: Option<TaskId>,
    /// How often programs have acquired the task, and not released it.
    acquired: u64,
    /// Whether the task has ended.
    ended: bool,
}

impl Standing {
    fn new(id: Option<TaskId>) -> Self {
        Self { id, acquired: 0, ended: false }
    }

    /// Whether nobody may come to hold it any more.
    fn is_gone(self) -> bool {
        self.ended && self.acquired == 0
    }
}

/// The tasks of a machine.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Every task but the idle ones and those that have ended, by its number.
    pub(crate) by_pid: BTreeMap<i32, Task>,
    /// The numbers of each process' tasks, by its number.
    pub(crate) threads: BTreeMap<i32, BTreeSet<i32>>,
    /// The idle task of each CPU.
    pub(crate) idle: Vec<u64>,
    /// The number of the newest task.
    pub(crate) last_pid: i32,
    /// What is known of every task, by its structure.
    standing: Starts<Standing>,
    /// Structures of tasks that are gone, the oldest first.
    gone: VecDeque<u64>,
    /// Who tells the machine what to do, and runs `syscall` programs: it counts as running on
    /// CPU 0 while nothing that is scheduled does.
    caller: u64,
    /// Memory for the structures of tasks to come.
    room: Range<u64>,
    /// Addresses for the address spaces of processes to come.
    spaces: Range<u64>,
}

/// What a new task is like.
pub(crate) struct NewTask<'a> {
    pub(crate) pid: i32,
    pub(crate) tgid: i32,
    pub(crate) comm: &'a str,
    pub(crate) kthread: bool,
    pub(crate) cgroup: u64,
}

impl Machine {
    /// Makes an idle task for each CPU, the first process, and the one that runs `syscall`
    /// programs, which CPU 0 then executes.
    pub(crate) fn make_first_tasks(&mut self) -> Result<(), MemoryError> {
        let cgroup = self.make_cgroup(None)?;
        for cpu in 0..self.shape.cpus {
            let comm = format!("swapper/{cpu}");
            let idle = NewTask { pid: 0, tgid: 0, comm: &comm, kthread: true, cgroup };
            let idle = self.make_task(&idle)?;
            self.tasks.idle.push(idle);
            self.tasks.standing.insert(idle, Standing::new(None));
            self.show_rq(cpu, self.layout.rq.idle, idle);
            self.show_rq(cpu, self.layout.rq.curr, idle);
        }
        for (pid, comm) in [(1, "init"), (2, "rota")] {
            let task = NewTask { pid, tgid: pid, comm, kthread: false, cgroup };
            self.tasks.caller = self.add_task(&task, None)?;
        }
        Ok(())
    }

    /// Makes a task; its address.
    pub(crate) fn add_task(
        &mut self,
        new: &NewTask<'_>,
        id: Option<TaskId>,
    ) -> Result<u64, MemoryError> {
        let address = self.make_task(new)?;
        let task = Task { address, cgroup: new.cgroup, group: new.cgroup };
        self.tasks.last_pid = new.pid;
        self.tasks.by_pid.insert(new.pid, task);
        self.tasks.standing.insert(address, Standing::new(id));
        self.tasks.threads.entry(new.tgid).or_default().insert(new.pid);
        Ok(address)
    }

    /// Memory for the structure of a task: all zero, but that it may have an address space.
    fn task_room(&mut self) -> Result<u64, MemoryError> {
        let size = self.layout.task.size.next_multiple_of(64);
        if self.tasks.gone.len() > GONE_MOST
            && let Some(task) = self.tasks.gone.pop_front()
        {
            if let Some(TaskId(id)) = self.scheduled(task) {
                // What still happens to the task that is gone concerns no other.
                self.sched.tasks[id as usize].address = 0;
            }
            // A process' address space is as good for the next one.
            let layout = &self.layout.task;
            let word = |field: Field| field.get(&self.memory, task).unwrap_or(0);
            let space = if word(layout.pid) == word(layout.tgid) { word(layout.mm) } else { 0 };
            let zeroed = self.memory.write(task, &vec![0; size as usize]);
            let written = zeroed.and_then(|()| layout.mm.set(&self.memory, task, space));
            return written.map(|()| task).map_err(|fault| MemoryError::Pointer(fault.pointer));
        }
        if self.tasks.room.is_empty() {
            // Many at a time, and ever more: memory is in a limited number of pieces, and the host
            // finds things faster in big ones.
            let count = (self.tasks.by_pid.len() as u64).clamp(TASKS_FIRST, TASKS_MOST);
            let align = if count * size < HUGE { 64 } else { HUGE };
            let start = self.memory.alloc(count * size, align, Protection::ReadWrite)?;
            self.tasks.room = start..start + count * size;
        }
        let task = self.tasks.room.start;
        self.tasks.room.start += size;
        Ok(task)
    }

    /// Fills in the structure of a task; its address.
    fn make_task(&mut self, new: &NewTask<'_>) -> Result<u64, MemoryError> {
        let css_set = self.css_set(new.cgroup)?;
        let task = self.task_room()?;
        let layout = &self.layout.task;
        let leader = self.tasks.by_pid.get(&new.tgid).map_or(task, |leader| leader.address);
        let init = self.tasks.by_pid.get(&1).map_or(task, |init| init.address);
        let mask = task + layout.cpus_mask.offset;
        // Threads of a process share it; the kernel's own have none.
        let mm = match self.tasks.by_pid.get(&new.tgid) {
            _ if new.kthread => 0,
            Some(leader) => layout.mm.get(&self.memory, leader.address).unwrap_or(0),
            None => match layout.mm.get(&self.memory, task) {
                Ok(space) if space != 0 => space,
                _ => self.make_address_space()?,
            },
        };
        let layout = &self.layout.task;
        let numbers = [
            (layout.pid, new.pid as u64),
            (layout.tgid, new.tgid as u64),
            (layout.flags, if new.kthread { KTHREAD } else { 0 }),
            (layout.group_leader, leader),
            (layout.real_parent, init),
            (layout.cgroups, css_set),
            (layout.cpus_ptr, mask),
            (layout.nr_cpus_allowed, u64::from(self.shape.cpus)),
            (layout.start_time, self.now_ns),
            (layout.mm, mm),
        ];
        let written = numbers
            .into_iter()
            .try_for_each(|(field, value)| field.set(&self.memory, task, value))
            .and_then(|()| self.memory.write(task + layout.comm.offset, &comm(new.comm)))
            .and_then(|()| crate::kernel::fill_mask(self, mask));
        written.map_err(|fault| MemoryError::Pointer(fault.pointer))?;
        Ok(task)
    }

    /// The address space of a process: an address of its own, where all that programs can read is
    /// zero.
    fn make_address_space(&mut self) -> Result<u64, MemoryError> {
        if self.tasks.spaces.is_empty() {
            let room = SPACES_AT_A_TIME * SPACE_STEP;
            let start = self.memory.alloc(room + SPACE_BYTES, 64, Protection::ReadWrite)?;
            self.tasks.spaces = start..start + room;
        }
        let space = self.tasks.spaces.start;
        self.tasks.spaces.start += SPACE_STEP;
        Ok(space)
    }

    /// Who tells the machine what to do.
    pub(crate) fn caller(&self) -> u64 {
        self.tasks.caller
    }

    /// The task that executes.
    pub(crate) fn current(&self) -> u64 {
        let scheduled = self.sched.rqs.get(self.cpu as usize).and_then(|rq| rq.current);
        match scheduled {
            Some(task) => self.sched.tasks[task.0 as usize].address,
            None if self.cpu == 0 => self.tasks.caller,
            None => self.tasks.idle.get(self.cpu as usize).copied().unwrap_or(0),
        }
    }

    /// The task with this address, if there is one that is not idle.
    pub(crate) fn task(&self, address: u64) -> Option<&Task> {
        let pid = self.layout.task.pid.get(&self.memory, address).ok()?;
        self.tasks.by_pid.get(&(pid as u32).cast_signed()).filter(|task| task.address == address)
    }

    /// The same, to be changed.
    pub(crate) fn task_mut(&mut self, address: u64) -> Option<&mut Task> {
        let pid = self.layout.task.pid.get(&self.memory, address).ok()?;
        let found = self.tasks.by_pid.get_mut(&(pid as u32).cast_signed());
        found.filter(|task| task.address == address)
    }

    /// Whether there is a task at this address.
    pub(crate) fn is_task(&self, address: u64) -> bool {
        self.tasks.standing.get(address).is_some()
    }

    /// Whether there was a task at this address that has ended, and that nobody holds.
    pub(crate) fn is_gone(&self, address: u64) -> bool {
        self.tasks.standing.get(address).is_some_and(Standing::is_gone)
    }

    /// The number for the scheduler of the task at this address, if there is one that is scheduled.
    pub(crate) fn scheduled(&self, address: u64) -> Option<TaskId> {
        self.tasks.standing.get(address)?.id
    }

    /// A program acquires a task.
    pub(crate) fn acquire_task(&mut self, address: u64) {
        self.change_standing(address, |standing| standing.acquired += 1);
    }

    /// A program gives a task back that it acquired; whether it is one.
    pub(crate) fn release_task(&mut self, address: u64) -> bool {
        self.change_standing(address, |s| s.acquired = s.acquired.saturating_sub(1))
    }

    /// A task has ended. Its structure stays for as long as a program holds it.
    pub(crate) fn remove_task(&mut self, address: u64) {
        let layout = &self.layout.task;
        // A task's structure is the machine's own memory.
        let number = |field: Field| field.get(&self.memory, address).unwrap_or(0) as i32;
        let (pid, tgid) = (number(layout.pid), number(layout.tgid));
        self.tasks.by_pid.remove(&pid);
        if let Some(threads) = self.tasks.threads.get_mut(&tgid) {
            threads.remove(&pid);
            if threads.is_empty() {
                self.tasks.threads.remove(&tgid);
            }
        }
        self.end_policy(address);
        self.change_standing(address, |standing| standing.ended = true);
    }

    /// Changes what is known of a task; whether it is one. Once it is gone, so is what programs
    /// keep of it, and its structure is used again.
    fn change_standing(&mut self, address: u64, change: impl FnOnce(&mut Standing)) -> bool {
        let Some(before) = self.tasks.standing.get(address) else { return false };
        let mut after = before;
        change(&mut after);
        self.tasks.standing.insert(address, after);
        if after.is_gone() && !before.is_gone() {
            // All maps are the machine's own memory.
            let _ = crate::kernel::end_storage(self, Owner::Task, address);
            self.tasks.gone.push_back(address);
        }
        true
    }
}
