// SPDX-License-Identifier: GPL-2.0-or-later
//! CPUs go and come.

use super::exit::{ACT_RESTART, RSN_HOTPLUG, UNREG_KERN};
use super::{Op, TaskId};
use crate::machine::Machine;
use crate::run::Stop;
use rota_events::What;
use rota_topology::CpuId;

impl Machine {
    /// A CPU goes, or comes.
    pub(crate) fn set_online(&mut self, cpu: u32, online: bool) -> Result<(), Stop> {
        self.cpu = cpu;
        self.record(None, What::Hotplug { online });
        self.set_powered(cpu, online);
        self.sched.hotplug_seq += 1;
        if online {
            self.sched.online.insert(CpuId(cpu));
            self.sched.rq(cpu).online = true;
            self.sched.fair.touch(cpu);
            self.sched.fair.groups.set_online(cpu, true, self.now_ns);
            self.show_online(cpu, true);
            self.sched.idle.set_online(&self.sched.online);
            self.refresh_idle_core(cpu);
            return self.tell_hotplug(cpu, online);
        }
        self.interrupt(cpu)?;
        self.tell_hotplug(cpu, online)?;
        self.sched.online.remove(CpuId(cpu));
        self.sched.rq(cpu).online = false;
        self.sched.fair.touch(cpu);
        self.sched.fair.groups.set_online(cpu, false, self.now_ns);
        self.show_online(cpu, false);
        self.refresh_idle(cpu, false);
        self.sched.idle.set_online(&self.sched.online);
        self.refresh_idle_core(cpu);
        for id in 0..self.sched.tasks.len() as u32 {
            let task = TaskId(id);
            if self.sched.tasks[id as usize].cpu == cpu {
                self.finish_fair(task);
            }
            let state = &self.sched.tasks[id as usize];
            let on_it = state.cpu == cpu && state.queued;
            let rqs = &self.sched.rqs;
            let to = state.allowed.iter().find(|to| rqs[to.0 as usize].online);
            if on_it && let Some(to) = to {
                self.migrate(task, to.0)?;
            }
        }
        Ok(())
    }

    /// The scheduler is told that a CPU came or went; one that does not want to hear ends (kernel:
    /// `handle_hotplug`).
    fn tell_hotplug(&mut self, cpu: u32, online: bool) -> Result<(), Stop> {
        let op = if online { Op::CpuOnline } else { Op::CpuOffline };
        if self.sched.ops.has(op) {
            return self.op(op, &[u64::from(cpu)]).map(drop);
        }
        let way = if online { "online" } else { "offline" };
        let text = format!("cpu {cpu} going {way}, exiting scheduler");
        self.end(UNREG_KERN, ACT_RESTART | RSN_HOTPLUG, text);
        Ok(())
    }
}
