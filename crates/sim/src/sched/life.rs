// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks come and go, and come to a scheduler and leave it.

use super::ext::flags;
use super::ops::ops_flags;
use super::task::{Class, Owner, Stage};
use super::{CpuSet, Entity, Op, Orders, Phase, SLICE_DEFAULT_NS, TaskId, TaskState};
use crate::cgroups::ROOT;
use crate::machine::Machine;
use crate::recorder::affinity;
use crate::run::{Stop, StopKind};
use crate::tasks::NewTask;
use crate::tracing::Tracepoint;
use rota_bytecode::MemoryError;
use rota_events::What;
use rota_topology::CpuMask;

/// A task that ends (kernel: `PF_EXITING`).
const EXITING: u64 = 4;
/// The wake-up of a new task (kernel: `WF_FORK`).
const FORK: u64 = 4;

impl Machine {
    /// Makes a task that sleeps on the first CPU that it may run on, and asks for a class; `None`
    /// if the scheduler refuses.
    pub(crate) fn spawn(
        &mut self,
        comm: &str,
        allowed: &CpuMask,
        class: Class,
    ) -> Result<Option<TaskId>, Stop> {
        // Until it gives itself a name, it has that of who made it.
        let maker = self.name_at(self.caller()).0;
        let set = self.sched.cpu_sets.make(allowed, self.shape.cpus);
        let made = self.new_task(&maker, set, None);
        let id = made.map_err(|error| self.no_task(comm.to_owned(), &error))?;
        let cpu = allowed.first().map_or(0, |cpu| cpu.0);
        self.set_cpu(id, cpu);
        if !self.introduce(id)? {
            return Ok(None);
        }
        self.rename(id, comm);
        if allowed.count() < self.shape.cpus as usize {
            self.record(Some(id), affinity(allowed));
        }
        self.sched.task(id).policy = class;
        self.adopt(id)?;
        Ok(Some(id))
    }

    /// A task makes another one like itself, which is to do something; `None` if the scheduler
    /// refuses.
    pub(crate) fn fork(&mut self, parent: TaskId, orders: Orders) -> Result<Option<TaskId>, Stop> {
        let state = self.sched.task(parent);
        let (cpu, policy, allowed) = (state.cpu, state.policy, state.allowed.clone());
        let comm = self.comm_and_pid(parent).0;
        let made = self.new_task(&comm, allowed, Some(parent));
        let id = made.map_err(|error| self.no_task(format!("a child of {comm}"), &error))?;
        self.set_cpu(id, cpu);
        let class = self.class_of(policy);
        self.sched.task(id).policy = policy;
        self.sched.task(id).orders = orders;
        self.show_policy(id);
        if !self.introduce(id)? {
            return Ok(None);
        }
        self.sched.task(id).class = class;
        if class == Class::Ext {
            self.enable_task(id)?;
        }
        self.wake_up_new(id, FORK)?;
        Ok(Some(id))
    }

    /// A running task makes others, which end as soon as they run.
    pub(super) fn fork_storm(&mut self, cpu: u32, task: TaskId, count: u32) -> Result<(), Stop> {
        let comm = self.comm_and_pid(task).0;
        for i in 0..count {
            if let Some(child) = self.fork(task, Orders::Exit)? {
                self.rename(child, &format!("{comm}.{i}"));
            }
        }
        self.sched.task(task).orders = Orders::Sleep;
        self.schedule(cpu, Some(flags::SLEEP | flags::NO_CLOCK))
    }

    /// The number of the next task to be made.
    pub(crate) fn next_pid(&self) -> i32 {
        self.tasks.last_pid + 1
    }

    /// Whether a task has ended.
    pub(crate) fn is_dead(&self, task: TaskId) -> bool {
        self.sched.tasks[task.0 as usize].stage == Stage::Dead
    }

    /// A task's structure and state, before anybody hears of it.
    fn new_task(
        &mut self,
        comm: &str,
        allowed: CpuSet,
        parent: Option<TaskId>,
    ) -> Result<TaskId, MemoryError> {
        let pid = self.next_pid();
        // It has its parent's nice value, and is in its cgroup.
        let (nice, cgroup) = parent.map_or((0, ROOT), |parent| {
            let TaskState { nice, address, .. } = self.sched.tasks[parent.0 as usize];
            (nice, self.task(address).map_or(ROOT, |task| task.cgroup))
        });
        let new = NewTask { pid, tgid: pid, comm, kthread: false, cgroup };
        let id = TaskId(self.sched.tasks.len() as u32);
        let address = self.add_task(&new, Some(id))?;
        if let Some(parent) = parent {
            self.inherit_policy(self.sched.tasks[parent.0 as usize].address, address);
        }
        self.sched.tasks.push(TaskState {
            address,
            class: Class::Fair,
            policy: Class::Fair,
            stage: Stage::None,
            nice,
            cpu: 0,
            allowed,
            queued: false,
            owner: Owner::Core,
            round: 0,
            in_custody: false,
            queue: None,
            direct: None,
            immediate: false,
            repeats: 0,
            holding: None,
            tired: false,
            moving: false,
            charged_at_ns: 0,
            runnable_at_ns: self.now_ns,
            runnable_number: 0,
            waits_anew: true,
            selected_cpu: 0,
            ran_ns: 0,
            worked: 0,
            settled_at_ns: 0,
            left: None,
            orders: Orders::Sleep,
            run: 0,
        });
        let weight = super::change::load_weight(nice);
        let group = self.fair_group(cgroup);
        let entity = Entity::new(weight).in_group(group);
        let entities = &mut self.sched.entities;
        entities.push(match parent {
            Some(parent) => entity.made_by(&entities[parent.0 as usize]),
            None => entity,
        });
        self.record_new(id, parent);
        self.show_allowed(id);
        self.set_slice(id, SLICE_DEFAULT_NS);
        Ok(id)
    }

    /// Why a task could not be made.
    fn no_task(&self, task: String, error: &MemoryError) -> Stop {
        let (tasks, bytes) = (self.tasks.by_pid.len(), self.layout.task.size);
        match error {
            MemoryError::Full(_) => Stop::new(StopKind::Tasks { task, tasks, bytes }, None),
            _ => Stop::memory(error),
        }
    }

    /// Tells the scheduler of a new task, if it hears of them; whether there is such a task then.
    fn introduce(&mut self, task: TaskId) -> Result<bool, Stop> {
        if self.tells_tasks() {
            if self.init_task(task, true)? != 0 {
                self.bury(task);
                return Ok(false);
            }
            self.set_stage(task, Stage::Ready);
        }
        Ok(true)
    }

    /// Whether the scheduler hears of tasks that come.
    fn tells_tasks(&self) -> bool {
        !matches!(self.sched.phase, Phase::Off)
    }

    /// The class of tasks that ask for one.
    fn class_of(&self, policy: Class) -> Class {
        let all = self.sched.ops.flags & ops_flags::SWITCH_PARTIAL == 0;
        // One that is about to end gets no more.
        let on =
            matches!(self.sched.phase, Phase::Switching | Phase::On) && self.sched.exit.is_none();
        match policy {
            Class::Realtime => Class::Realtime,
            Class::Ext if on => Class::Ext,
            Class::Fair if on && all => Class::Ext,
            _ => Class::Fair,
        }
    }

    /// Gives a task the class that it asks for.
    pub(crate) fn adopt(&mut self, task: TaskId) -> Result<(), Stop> {
        let policy = self.sched.task(task).policy;
        self.show_policy(task);
        let class = self.class_of(policy);
        let slice = self.default_slice();
        self.set_slice(task, slice);
        if class == self.sched.task(task).class {
            return Ok(());
        }
        let more = flags::MOVE | self.sched.version.class_change;
        self.change_class(task, class, more)
    }

    /// Tells the scheduler of a task; the error number (kernel: `scx_init_task`).
    pub(super) fn init_task(&mut self, task: TaskId, fork: bool) -> Result<i32, Stop> {
        let address = self.sched.task(task).address;
        let mut members = vec![(self.layout.init_task.fork, u64::from(fork))];
        let cgroup = self.cgroup_of(address);
        members.extend(self.layout.init_task_cgroup.map(|field| (field, cgroup)));
        let _ = self.layout.task.disallow.set(&self.memory, address, 0);
        let size = self.layout.init_task.size;
        let returned = self.op_with(Op::InitTask, &[address], size, &members)?;
        let error = self.sanitized("init_task", returned);
        if error != 0 {
            return Ok(error);
        }
        if self.layout.task.disallow.get(&self.memory, address).unwrap_or(0) != 0 {
            self.disallow(task, fork);
        }
        Ok(0)
    }

    /// The scheduler does not want a task.
    fn disallow(&mut self, task: TaskId, fork: bool) {
        let (comm, pid) = self.comm_and_pid(task);
        if fork {
            let what = "ops.init_task() set task->scx.disallow for";
            self.error(format!("{what} {comm}[{pid}] during fork"));
        } else if self.sched.task(task).policy == Class::Ext {
            self.sched.task(task).policy = Class::Fair;
        }
    }

    /// Tells the scheduler that a task is its own now (kernel: `scx_enable_task`).
    fn enable_task(&mut self, task: TaskId) -> Result<(), Stop> {
        let weight = super::change::weight(self.sched.task(task).nice);
        self.show_weight(task, weight);
        self.task_op(Op::Enable, task, 0)?;
        self.set_stage(task, Stage::Enabled);
        self.task_op(Op::SetWeight, task, weight)
    }

    /// Changes a task's class.
    pub(super) fn change_class(
        &mut self,
        task: TaskId,
        class: Class,
        more: u64,
    ) -> Result<(), Stop> {
        let from = self.sched.task(task).class;
        self.finish_fair(task);
        let change = |machine: &mut Self| {
            machine.sched.task(task).class = class;
            if class == Class::Ext {
                machine.enable_task(task)?;
                let mask = machine.show_allowed(task);
                machine.task_op(Op::SetCpumask, task, mask)?;
            }
            Ok(())
        };
        self.change(task, change, more)?;
        if from == Class::Ext {
            self.disable_task(task)?;
        }
        let cpu = self.sched.task(task).cpu;
        if self.sched.task(task).queued && self.sched.rq(cpu).current != Some(task) {
            self.resched(cpu);
        }
        Ok(())
    }

    /// Tells the scheduler that a task is its own no more (kernel: `scx_disable_task`).
    fn disable_task(&mut self, task: TaskId) -> Result<(), Stop> {
        if self.sched.task(task).stage != Stage::Enabled {
            return Ok(());
        }
        self.task_op(Op::Disable, task, 0)?;
        self.set_stage(task, Stage::Ready);
        let vtime = self.layout.task.dsq_vtime;
        let _ = vtime.set(&self.memory, self.sched.task(task).address, 0);
        if self.sched.version.disable_resets {
            self.set_slice(task, 0);
        }
        self.sched.task(task).waits_anew = true;
        Ok(())
    }

    /// Tells the scheduler that a task is gone, or that the scheduler is (kernel:
    /// `scx_exit_task`).
    pub(super) fn leave_scheduler(&mut self, task: TaskId) -> Result<(), Stop> {
        let stage = self.sched.task(task).stage;
        if stage == Stage::None || stage == Stage::Dead {
            return Ok(());
        }
        self.disable_task(task)?;
        let address = self.sched.task(task).address;
        let members = [(self.layout.exit_task.cancelled, 0)];
        let size = self.layout.exit_task.size;
        self.op_with(Op::ExitTask, &[address], size, &members)?;
        self.set_stage(task, Stage::None);
        Ok(())
    }

    /// A running task ends.
    pub(crate) fn exit_task(&mut self, cpu: u32, task: TaskId) -> Result<(), Stop> {
        let field = self.layout.task.flags;
        let address = self.sched.task(task).address;
        let flags = field.get(&self.memory, address).unwrap_or(0);
        let _ = field.set(&self.memory, address, flags | EXITING);
        // It leaves its group of tasks first.
        self.change(task, |_| Ok(()), flags::MOVE)?;
        let dead = self.sched.version.dead;
        self.schedule(cpu, Some(flags::SLEEP | flags::NO_CLOCK | dead))?;
        self.record(Some(task), What::Exit);
        self.trace_task(Tracepoint::ProcessExit, task)?;
        self.leave_scheduler(task)?;
        self.leave_cpu(task);
        self.bury(task);
        Ok(())
    }

    /// A task has ended, and nobody finds it any more.
    fn bury(&mut self, task: TaskId) {
        self.set_stage(task, Stage::Dead);
        self.remove_task(self.task_address(task));
    }

    /// Whether a task is about to end.
    pub(super) fn is_exiting(&self, task: TaskId) -> bool {
        let address = self.sched.tasks[task.0 as usize].address;
        let flags = self.layout.task.flags.get(&self.memory, address).unwrap_or(0);
        flags & EXITING != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Stage, TaskId};
    use crate::machine::{Machine, Shape};
    use rota_object::{KernelTypes, Object};
    use rota_programs::test::WITNESS;
    use rota_topology::Spec;
    use rota_workload::Workload;

    /// The mistake of the test scheduler to refuse a task named A, once.
    const REFUSES: u32 = 66;

    #[test]
    fn a_task_that_the_scheduler_refuses_does_not_come_to_be() {
        let types = KernelTypes::builtin("7.3").unwrap();
        let object = Object::parse(WITNESS).unwrap();
        let image = object.link(&types).unwrap();
        let mut machine = Machine::load(Shape::default(), &image, &types).unwrap();
        let mistake = object.globals().find(|global| global.name == "mistake").unwrap();
        machine.data_write(&mistake.section, mistake.offset, &REFUSES.to_le_bytes()).unwrap();
        machine.attach(&image, &types, &"4c".parse::<Spec>().unwrap().topology()).unwrap();
        // Who makes them lends them its name.
        let comm = machine.caller() + machine.layout.task.comm.offset;
        machine.memory.write(comm, b"A\0").unwrap();
        let first = machine.next_pid();
        machine.add_work(Workload::parse("cpu:tasks=2", 4).unwrap()).unwrap();
        machine.schedule_until(10_000_000).unwrap();
        assert!(machine.is_dead(TaskId(0)));
        assert_eq!(machine.sched.task(TaskId(1)).stage, Stage::Enabled);
        assert_eq!(
            [first, first + 1].map(|pid| machine.tasks.by_pid.contains_key(&pid)),
            [false, true]
        );
        assert_eq!(machine.comm_and_pid(TaskId(1)).0, "cpu/0");
    }
}
