// SPDX-License-Identifier: GPL-2.0-or-later
//! Cgroups as the scheduler is told of them (kernel: `kernel/sched/ext.c`, and of `core.c` what
//! the controller `cpu` does with them).

use super::ext::flags;
use super::fair::{GroupId, TOP};
use super::{Class, NICE_0, Op, TaskId};
use crate::cgroups::{Bandwidth, Knobs};
use crate::errno::Errno;
use crate::machine::Machine;
use crate::maps::Owner;
use crate::objects::What;
use crate::run::Stop;

/// What is asked of cgroups comes to: nothing more, or the number of an error.
pub(crate) type Done = Result<(), i32>;

/// The largest number of an error (kernel: `MAX_ERRNO`).
const ERRNO_MAX: i32 = 4095;
/// A callback that returns no such number (kernel: `EPROTO`).
const PROTOCOL: i32 = 71;
/// Weights of cgroups (kernel: `CGROUP_WEIGHT_MIN` and `CGROUP_WEIGHT_MAX`).
const WEIGHT_MIN: u64 = 1;
const WEIGHT_MAX: u64 = 10_000;
/// What an idle cgroup weighs for the fair class (kernel: `WEIGHT_IDLEPRIO`).
const WEIGHT_IDLE: i64 = 3 * (NICE_0 / 1024);
/// Shortest and longest period, and the smallest quota, in µs.
const PERIOD_MIN_US: u64 = 1_000;
const PERIOD_MAX_US: u64 = 1_000_000;

fn refused(error: Errno) -> Done {
    Err(error as i32)
}

/// What `cpu.weight` is for the fair class: 100 is as much as a task of nice 0 weighs (kernel:
/// `sched_weight_from_cgroup`).
fn fair_weight(weight: u64) -> i64 {
    ((weight * 1024 + 50) / 100).cast_signed() * (NICE_0 / 1024)
}

impl Machine {
    /// What a cgroup is for the fair class.
    pub(crate) fn fair_group(&self, id: u64) -> GroupId {
        let cgroup = self.cgroups.get(id);
        debug_assert!(cgroup.is_some(), "there is no cgroup {id}");
        cgroup.map_or(TOP, |cgroup| cgroup.group)
    }

    fn cgroup_address(&self, id: u64) -> u64 {
        self.cgroups.get(id).map_or(0, |cgroup| cgroup.address)
    }

    fn knobs(&self, id: u64) -> Option<Knobs> {
        self.cgroups.there(id).map(|cgroup| cgroup.knobs)
    }

    /// Tells a scheduler that comes of the cgroups that there are, each before those in it.
    pub(crate) fn init_cgroups(&mut self) -> Result<(), Stop> {
        for id in self.cgroups.below(crate::cgroups::ROOT, true) {
            let returned = self.init_cgroup(id)?;
            if returned != 0 {
                self.error(format!("ops.cgroup_init() failed ({returned})"));
                return Ok(());
            }
        }
        self.sched.cgroups = true;
        Ok(())
    }

    /// Tells the scheduler of one cgroup; what it returned.
    fn init_cgroup(&mut self, id: u64) -> Result<i32, Stop> {
        let Some(knobs) = self.knobs(id) else { return Ok(0) };
        let layout = self.layout.cgroup_init_args.clone();
        let Some(args) = self.new_object(layout.size, What::Scratch) else {
            return Ok(-(Errno::NoMemory as i32));
        };
        let Bandwidth { period_us, quota_us, burst_us } = knobs.bandwidth;
        let newer = [
            (layout.period_us, period_us),
            (layout.quota_us, quota_us),
            (layout.burst_us, burst_us),
            (layout.idle, u64::from(knobs.idle)),
        ];
        let newer = newer.into_iter().filter_map(|(field, number)| Some((field?, number)));
        for (field, number) in newer.chain([(layout.weight, knobs.weight)]) {
            // It has just been allocated: it can be written, and given back.
            let _ = field.set(&self.memory, args, number);
        }
        let returned = self.op(Op::CgroupInit, &[self.cgroup_address(id), args]);
        let _ = self.drop_owner(args);
        let returned = returned?.unwrap_or(0) as i32;
        if let Some(cgroup) = self.cgroups.get_mut(id) {
            cgroup.initialised = returned == 0;
        }
        Ok(returned)
    }

    /// Tells a scheduler that goes that it has no cgroups any more, those in others first.
    pub(crate) fn exit_cgroups(&mut self) -> Result<(), Stop> {
        self.sched.cgroups = false;
        for id in self.cgroups.below(crate::cgroups::ROOT, false) {
            let told = self.cgroups.get_mut(id).map(|c| std::mem::take(&mut c.initialised));
            if told == Some(true) {
                self.op_at_the_ends(Op::CgroupExit, &[self.cgroup_address(id)])?;
            }
        }
        Ok(())
    }

    /// What a callback returned, if it is an error. What is no error's number is one itself.
    fn checked(&mut self, name: &str, returned: i32) -> Done {
        match returned {
            0 => Ok(()),
            errno if (-ERRNO_MAX..0).contains(&errno) => Err(-errno),
            errno => {
                self.error(format!("ops.{name}() returned an invalid errno {errno}"));
                Err(PROTOCOL)
            }
        }
    }

    /// Makes a cgroup in another; its number.
    pub(crate) fn create_cgroup(&mut self, parent: u64) -> Result<Result<u64, i32>, Stop> {
        let id = self.make_cgroup(Some(parent)).map_err(|e| Stop::memory(&e))?;
        if !self.sched.cgroups {
            return Ok(Ok(id));
        }
        let returned = self.init_cgroup(id)?;
        let done = self.checked("cgroup_init", returned);
        if done.is_err() {
            self.cgroups.remove(id);
        }
        Ok(done.map(|()| id))
    }

    /// Removes a cgroup, if nothing is in it.
    pub(crate) fn remove_cgroup(&mut self, id: u64) -> Result<Done, Stop> {
        let mut tasks = self.tasks.by_pid.values();
        if tasks.any(|task| task.cgroup == id) || !self.cgroups.inside(id).is_empty() {
            return Ok(refused(Errno::Busy));
        }
        let address = self.cgroup_address(id);
        self.cgroups.remove(id);
        let told = self.cgroups.get_mut(id).is_some_and(|c| std::mem::take(&mut c.initialised));
        if told && self.sched.cgroups {
            self.op(Op::CgroupExit, &[address])?;
        }
        // What programs keep of a cgroup goes with it.
        let _ = crate::kernel::end_storage(self, Owner::Cgroup, address);
        Ok(Ok(()))
    }

    /// Moves tasks into a cgroup: all, or none.
    pub(crate) fn move_to_cgroup(&mut self, tasks: &[TaskId], to: u64) -> Result<Done, Stop> {
        let mut moving: Vec<(TaskId, [u64; 3])> = Vec::new();
        for &task in tasks {
            let address = self.sched.task(task).address;
            let from = self.task(address).map_or(to, |task| task.group);
            if from == to {
                continue;
            }
            let args = [address, self.cgroup_address(from), self.cgroup_address(to)];
            let told = if self.sched.cgroups { self.op(Op::CgroupPrepMove, &args)? } else { None };
            if let Err(errno) = self.checked("cgroup_prep_move", told.unwrap_or(0) as i32) {
                for (_, args) in moving {
                    self.op(Op::CgroupCancelMove, &args)?;
                }
                return Ok(Err(errno));
            }
            moving.push((task, args));
        }
        let css_set = self.css_set(to).map_err(|e| Stop::memory(&e))?;
        for (_, [address, ..]) in &moving {
            // A task's structure is the machine's own memory.
            let _ = self.layout.task.cgroups.set(&self.memory, *address, css_set);
            if let Some(task) = self.task_mut(*address) {
                task.cgroup = to;
            }
        }
        for (task, args) in moving {
            self.move_task_group(task, to, args)?;
        }
        Ok(Ok(()))
    }

    /// A task that is in another cgroup already comes to be there for the scheduler (kernel:
    /// `sched_move_task()`).
    fn move_task_group(&mut self, task: TaskId, to: u64, args: [u64; 3]) -> Result<(), Stop> {
        // The machine's cgroups have no names.
        let group = rota_events::TextRef::EMPTY;
        self.record(Some(task), rota_events::What::Group { group, id: to });
        let change = |machine: &mut Self| {
            if let Some(task) = machine.task_mut(args[0]) {
                task.group = to;
            }
            let group = machine.fair_group(to);
            machine.regroup_fair(task, group);
            if machine.sched.cgroups { machine.op(Op::CgroupMove, &args).map(drop) } else { Ok(()) }
        };
        let class = self.sched.task(task).class;
        if class == Class::Realtime {
            return change(self);
        }
        self.change(task, change, flags::MOVE)?;
        let state = self.sched.task(task);
        let (cpu, queued) = (state.cpu, state.queued);
        if self.sched.rq(cpu).current == Some(task) {
            self.resched(cpu);
        } else if class == Class::Fair && queued {
            self.preempt(cpu, task);
        }
        Ok(())
    }

    /// Changes what is set of a cgroup, and tells the scheduler of the change.
    fn set_knobs(&mut self, id: u64, knobs: Knobs, op: Op, args: &[u64]) -> Result<Done, Stop> {
        let Some(before) = self.knobs(id) else { return Ok(refused(Errno::NoDevice)) };
        let again = op == Op::CgroupSetIdle && self.sched.version.tells_idle_again;
        if self.sched.cgroups && (knobs != before || again) {
            let address = self.cgroup_address(id);
            let all: Vec<u64> = std::iter::once(address).chain(args.iter().copied()).collect();
            self.op(op, &all)?;
        }
        if let Some(cgroup) = self.cgroups.get_mut(id) {
            cgroup.knobs = knobs;
        }
        Ok(Ok(()))
    }

    /// Sets `cpu.weight` of a cgroup.
    pub(crate) fn set_cgroup_weight(&mut self, id: u64, weight: u64) -> Result<Done, Stop> {
        let Some(knobs) = self.knobs(id) else { return Ok(refused(Errno::NoDevice)) };
        if !(WEIGHT_MIN..=WEIGHT_MAX).contains(&weight) {
            return Ok(refused(Errno::Range));
        }
        if knobs.idle {
            return Ok(refused(Errno::Invalid));
        }
        self.set_group_weight(self.fair_group(id), fair_weight(weight));
        self.set_knobs(id, Knobs { weight, ..knobs }, Op::CgroupSetWeight, &[weight])
    }

    /// Sets `cpu.idle` of a cgroup.
    pub(crate) fn set_cgroup_idle(&mut self, id: u64, idle: bool) -> Result<Done, Stop> {
        let Some(knobs) = self.knobs(id) else { return Ok(refused(Errno::NoDevice)) };
        if idle != knobs.idle {
            let weight = if idle { WEIGHT_IDLE } else { NICE_0 };
            self.set_group_weight(self.fair_group(id), weight);
        }
        self.set_knobs(id, Knobs { idle, ..knobs }, Op::CgroupSetIdle, &[u64::from(idle)])
    }

    /// Sets `cpu.max` and `cpu.max.burst` of a cgroup.
    pub(crate) fn set_cgroup_bandwidth(
        &mut self,
        id: u64,
        bandwidth: Bandwidth,
    ) -> Result<Done, Stop> {
        let Some(knobs) = self.knobs(id) else { return Ok(refused(Errno::NoDevice)) };
        let Bandwidth { period_us, quota_us, burst_us } = bandwidth;
        let unlimited = quota_us == u64::MAX;
        let fits = (PERIOD_MIN_US..=PERIOD_MAX_US).contains(&period_us)
            && quota_us >= PERIOD_MIN_US
            && (unlimited || burst_us <= quota_us);
        if !fits {
            return Ok(refused(Errno::Invalid));
        }
        let args = [period_us, quota_us, burst_us];
        self.set_knobs(id, Knobs { bandwidth, ..knobs }, Op::CgroupSetBandwidth, &args)
    }

    /// What `cpu.max` and `cpu.max.burst` of a cgroup say.
    pub(crate) fn cgroup_bandwidth(&self, id: u64) -> Option<Bandwidth> {
        self.knobs(id).map(|knobs| knobs.bandwidth)
    }
}
