// SPDX-License-Identifier: GPL-2.0-or-later
//! How a scheduler comes into charge (kernel: `scx_enable`).

use super::ops::{AttachError, Op, Ops, ops_flags};
use super::{Due, Rq, Sched, Version, idle::Idle, queue::Queues};
use crate::agenda::Agenda;
use crate::machine::Machine;
use crate::run::Stop;
use rota_object::{Image, KernelTypes};
use rota_topology::{CpuId, CpuMask, Topology};

impl Sched {
    /// A machine without a scheduler.
    pub(crate) fn none(cpus: u32, types: &KernelTypes) -> Self {
        let rq = |_| Rq { online: true, ..Rq::default() };
        Self {
            ops: Ops::default(),
            version: Version::of(types),
            rqs: (0..cpus).map(rq).collect(),
            tasks: Vec::new(),
            queues: Queues::new(cpus),
            idle: Idle::none(cpus),
            agenda: Agenda::default(),
            online: CpuMask::range(CpuId(0), CpuId(cpus.saturating_sub(1))),
            called: Default::default(),
            cgroups: false,
            calling: None,
            exit: None,
        }
    }
}

impl Sched {
    /// Nothing, on the same kernel.
    pub(crate) fn hollow(&self) -> Self {
        Self {
            ops: Ops::default(),
            version: self.version,
            rqs: Vec::new(),
            tasks: Vec::new(),
            queues: Queues::default(),
            idle: Idle::default(),
            agenda: Agenda::default(),
            online: CpuMask::default(),
            exit: None,
            called: Default::default(),
            calling: None,
            cgroups: false,
        }
    }
}

impl Machine {
    /// Puts the object's scheduler in charge.
    pub(crate) fn attach(
        &mut self,
        image: &Image,
        types: &KernelTypes,
        topology: &Topology,
    ) -> Result<(), AttachStop> {
        let table = image.tables.iter().find(|table| table.kernel_type == "sched_ext_ops");
        let cid_form = image.tables.iter().any(|t| t.kernel_type == "sched_ext_ops_cid");
        let none = if cid_form { AttachError::CidForm } else { AttachError::NoTable };
        let table = table.ok_or(none)?;
        self.sched.ops = Ops::new(table, types)?;
        self.record_attach(table, types);
        let per_node = self.sched.ops.flags & ops_flags::BUILTIN_IDLE_PER_NODE != 0;
        let started = self.sched.idle.start(&self.memory, topology, per_node);
        started.map_err(|e| Stop::memory(&e))?;
        for cpu in 0..self.shape.cpus {
            self.refresh_idle(cpu, true);
        }
        self.op(Op::Init, &[])?;
        self.init_cgroups()?;
        let half = self.sched.ops.timeout_ns / 2;
        self.sched.agenda.add(self.now_ns + half, Due::Watchdog);
        Ok(())
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
