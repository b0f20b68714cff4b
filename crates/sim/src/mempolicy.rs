// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory policies of tasks: schedulers may look at them, and memory itself is not modelled.

use crate::machine::Machine;
use crate::objects::What;
use crate::simulation::Simulation;
use rota_topology::NodeId;

/// On which nodes a task wants its memory (kernel: `set_mempolicy(2)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryPolicy {
    /// On these if there is room (kernel: `MPOL_PREFERRED_MANY`).
    Prefers(Vec<NodeId>),
    /// On these only (kernel: `MPOL_BIND`).
    BoundTo(Vec<NodeId>),
}

impl MemoryPolicy {
    /// The kernel's number for its kind, and its nodes.
    fn parts(&self) -> (u64, &[NodeId]) {
        match self {
            Self::BoundTo(nodes) => (2, nodes),
            Self::Prefers(nodes) => (5, nodes),
        }
    }
}

impl Simulation {
    /// Gives the task with this number a memory policy, or takes it away. Its children will have
    /// the same. Whether there is such a task, on a kernel that has policies.
    pub fn set_memory_policy(&mut self, pid: u32, policy: Option<&MemoryPolicy>) -> bool {
        let Some(machine) = &mut self.machine else { return false };
        let machine = machine.get_mut();
        let task = machine.tasks.by_pid.get(&pid.cast_signed()).map(|task| task.address);
        task.is_some_and(|task| machine.set_policy(task, policy).is_some())
    }
}

impl Machine {
    /// Gives a task a policy. `None` if there can't be one.
    fn set_policy(&mut self, task: u64, policy: Option<&MemoryPolicy>) -> Option<()> {
        let at = match policy {
            None => 0,
            Some(policy) => {
                let layout = self.layout.mempolicy.clone()?;
                let (mode, named) = policy.parts();
                let mut nodes = vec![0; usize::try_from(layout.nodes.size).ok()?];
                for node in named {
                    *nodes.get_mut(node.0 as usize / 8)? |= 1_u8 << (node.0 % 8);
                }
                let at = self.new_object(layout.size, What::Scratch)?;
                layout.mode.set(&self.memory, at, mode).ok()?;
                self.memory.write(at + layout.nodes.offset, &nodes).ok()?;
                at
            }
        };
        self.put_policy(task, at)
    }

    /// A task has the policy at an address from now on, and what it had is gone.
    fn put_policy(&mut self, task: u64, at: u64) -> Option<()> {
        let field = self.layout.task.mempolicy?;
        let before = field.get(&self.memory, task).ok()?;
        field.set(&self.memory, task, at).ok()?;
        if before != 0 {
            // Nobody else has it.
            let _ = self.drop_owner(before);
        }
        Some(())
    }

    /// A new task has the policy of the one that made it.
    pub(crate) fn inherit_policy(&mut self, parent: u64, child: u64) -> Option<()> {
        let (field, layout) = (self.layout.task.mempolicy?, self.layout.mempolicy.as_ref()?);
        let size = layout.size;
        let theirs = field.get(&self.memory, parent).ok().filter(|at| *at != 0)?;
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        self.memory.read(theirs, &mut bytes).ok()?;
        let at = self.new_object(size, What::Scratch)?;
        self.memory.write(at, &bytes).ok()?;
        self.put_policy(child, at)
    }

    /// A task has ended, and its policy with it.
    pub(crate) fn end_policy(&mut self, task: u64) {
        // Where there are no policies, there is none to end.
        let _ = self.put_policy(task, 0);
    }
}
