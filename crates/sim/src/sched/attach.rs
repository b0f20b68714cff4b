// SPDX-License-Identifier: GPL-2.0-or-later
//! How a scheduler comes into charge (kernel: `scx_enable`).

use super::exit::{ACT_RESTART, RSN_HOTPLUG, UNREG_KERN};
use super::ops::{AttachError, Called, OPS, Op, Ops, ops_flags};
use super::task::Stage;
use super::{
    CpuLoad, CpuSets, Due, Fair, Phase, Queue, Rq, Sched, TaskId, Version, idle::Idle,
    queue::Queues,
};
use crate::agenda::Agenda;
use crate::machine::Machine;
use crate::run::Stop;
use rota_object::{Image, KernelTypes};
use rota_topology::{CpuId, CpuMask, Topology};
use std::collections::BTreeMap;

/// The errors that the kernel makes of what it refuses (kernel: `EINVAL`, `EBUSY`).
const INVALID: i32 = 22;
const BUSY: i32 = 16;

impl Sched {
    /// A machine without a scheduler.
    pub(crate) fn none(cpus: u32, types: &KernelTypes) -> Self {
        let fair = Fair::of(types, cpus);
        let (slice_ns, rules) = (fair.slice_ns, fair.rules);
        let rq = |_| Rq {
            online: true,
            fair: Queue::new(slice_ns, rules),
            fair_load: CpuLoad::new(rules),
            ..Rq::default()
        };
        Self {
            rqs: (0..cpus).map(rq).collect(),
            fair,
            queues: Queues::new(cpus),
            cursors: BTreeMap::new(),
            idle: Idle::none(cpus),
            online: CpuMask::range(CpuId(0), CpuId(cpus.saturating_sub(1))),
            // Each but the first has come up once.
            hotplug_seq: u64::from(cpus.saturating_sub(1)),
            ..Self::empty(Version::of(types))
        }
    }

    /// Nothing, on the same kernel.
    pub(crate) fn hollow(&self) -> Self {
        Self::empty(self.version)
    }

    fn empty(version: Version) -> Self {
        Self {
            ops: Ops::default(),
            version,
            phase: Phase::Off,
            rqs: Vec::new(),
            tasks: Vec::new(),
            entities: Vec::new(),
            fair: Fair::none(),
            queues: Queues::default(),
            idle: Idle::default(),
            agenda: Agenda::default(),
            cursors: BTreeMap::new(),
            online: CpuMask::default(),
            cpu_sets: CpuSets::default(),
            called: [Called::default(); OPS],
            cgroups: false,
            calling: None,
            events: Default::default(),
            dumping: None,
            bypass_depth: 0,
            bypass_since_ns: 0,
            runnables: 0,
            switches: 0,
            hotplug_seq: 0,
            exit: None,
        }
    }
}

impl Machine {
    /// Puts the object's scheduler in charge. As with the kernel, it may have ended when this
    /// returns; then there is an exit.
    pub(crate) fn attach(
        &mut self,
        image: &Image,
        types: &KernelTypes,
        topology: &Topology,
    ) -> Result<(), AttachStop> {
        if self.sched.phase != Phase::Off {
            return Err(AttachError::Busy.into());
        }
        let table = image.tables.iter().find(|table| table.kernel_type == "sched_ext_ops");
        let cid_form = image.tables.iter().any(|t| t.kernel_type == "sched_ext_ops_cid");
        let none = if cid_form { AttachError::CidForm } else { AttachError::NoTable };
        let table = table.ok_or(none)?;
        self.sched.ops = Ops::new(table, types)?;
        self.record_attach(table, types);
        self.sched.phase = Phase::Enabling;
        self.sched.exit = None;
        self.sched.events = Default::default();
        self.sched.queues = Queues::new(self.shape.cpus);
        self.sched.cgroups = false;
        let per_node = self.sched.ops.flags & ops_flags::BUILTIN_IDLE_PER_NODE != 0;
        let started = self.sched.idle.start(&self.memory, topology, per_node);
        started.map_err(|e| Stop::memory(&e))?;
        for cpu in 0..self.shape.cpus {
            let rq = self.sched.rq(cpu);
            rq.released = false;
            let idle = rq.online;
            self.refresh_idle(cpu, idle);
        }
        let error = match self.enable()? {
            0 if self.sched.exit.is_some() => -BUSY,
            error => error,
        };
        if error == 0 {
            self.sched.phase = Phase::On;
            return Ok(());
        }
        let function = self.sched.version.enable_function;
        self.error(format!("{function}() failed ({error})"));
        self.disable()?;
        Ok(())
    }

    /// All that may fail of coming into charge; the error number.
    fn enable(&mut self) -> Result<i32, Stop> {
        let returned = self.op_at_the_ends(Op::Init, &[])?;
        let error = self.sanitized("init", returned);
        if error != 0 {
            self.error(format!("ops.init() failed ({error})"));
            return Ok(error);
        }
        self.sched.ops.call(true);
        if !self.expects_hotplug_seq() && self.sched.version.hotplug_seq_refuses {
            return Ok(-BUSY);
        }
        if !self.validate() {
            return Ok(-INVALID);
        }
        let half = self.sched.ops.timeout_ns / 2;
        self.sched.agenda.add(self.now_ns + half, Due::Watchdog);
        self.bypass(true)?;
        self.sched.ops.call(false);
        self.init_cgroups()?;
        if !self.sched.cgroups {
            return Ok(-INVALID);
        }
        for id in 0..self.sched.tasks.len() as u32 {
            let task = TaskId(id);
            if self.sched.task(task).stage == Stage::Dead {
                continue;
            }
            let error = self.init_task(task, false)?;
            if error != 0 {
                let (comm, pid) = self.comm_and_pid(task);
                self.error(format!("ops.init_task() failed ({error}) for {comm}[{pid}]"));
                return Ok(error);
            }
            self.set_stage(task, Stage::Ready);
        }
        self.sched.phase = Phase::Switching;
        for id in 0..self.sched.tasks.len() as u32 {
            let task = TaskId(id);
            if self.sched.task(task).stage == Stage::Ready {
                self.adopt(task)?;
            }
        }
        self.bypass(false)?;
        Ok(0)
    }

    /// Whether as many CPUs have come and gone as the scheduler expects.
    fn expects_hotplug_seq(&mut self) -> bool {
        let (expected, actual) = (self.sched.ops.hotplug_seq, self.sched.hotplug_seq);
        let good = expected == 0 || expected == actual;
        if !good {
            let text = format!("expected hotplug seq {expected} did not match actual {actual}");
            self.end(UNREG_KERN, ACT_RESTART | RSN_HOTPLUG, text);
        }
        good
    }

    /// Whether callbacks and flags go together (kernel: `scx_validate_ops`).
    fn validate(&mut self) -> bool {
        let ops = &self.sched.ops;
        let has = |flag: u64| ops.flags & flag != 0;
        if has(ops_flags::ENQ_LAST) && !ops.names(Op::Enqueue) {
            self.error("SCX_OPS_ENQ_LAST requires ops.enqueue() to be implemented".to_owned());
            return false;
        }
        if has(ops_flags::BUILTIN_IDLE_PER_NODE) && !self.sched.keeps_idle_masks() {
            let text = "SCX_OPS_BUILTIN_IDLE_PER_NODE requires CPU idle selection enabled";
            self.error(text.to_owned());
            return false;
        }
        true
    }
}

/// Why no scheduler was put in charge.
#[derive(Debug, thiserror::Error)]
pub enum AttachStop {
    /// Its table can't be used.
    #[error(transparent)]
    Table(#[from] AttachError),
    /// It was stopped.
    #[error(transparent)]
    Stop(#[from] Stop),
}

#[cfg(test)]
mod tests {
    use crate::layout::ops_member;
    use crate::machine::{Machine, Shape};
    use rota_object::{Image, KernelTypes, Object};
    use rota_programs::test::WITNESS;
    use rota_topology::Spec;

    /// What attaching the test scheduler on 7.3 comes to, with its image changed.
    fn attach(change: impl FnOnce(&mut Image, &KernelTypes)) -> String {
        let types = KernelTypes::builtin("7.3").unwrap();
        let mut image = Object::parse(WITNESS).unwrap().link(&types).unwrap();
        change(&mut image, &types);
        let topology = "4c".parse::<Spec>().unwrap().topology();
        let mut machine = Machine::load(Shape::default(), &image, &types).unwrap();
        machine.attach(&image, &types, &topology).map_or_else(|e| e.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_not_modelled_is_said() {
        assert_eq!(attach(|_, _| {}), "");
        let cid =
            attach(|image, _| "sched_ext_ops_cid".clone_into(&mut image.tables[0].kernel_type));
        assert!(cid.ends_with("the cid form is not modelled"), "{cid}");
        let sub = attach(|image, types| {
            let field = ops_member(types, "sub_cgroup_id").unwrap();
            image.tables[0].bytes[field.offset as usize] = 7;
        });
        assert!(sub.ends_with("sub-schedulers are not modelled"), "{sub}");
        let sub = attach(|image, _| {
            let function = image.entries[0].function;
            image.tables[0].callbacks.insert("sub_attach".to_owned(), function);
        });
        assert!(sub.contains("it has sub_attach"), "{sub}");
    }
}
