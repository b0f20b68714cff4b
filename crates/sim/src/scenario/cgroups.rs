// SPDX-License-Identifier: GPL-2.0-or-later
//! The cgroups of a scenario.

use crate::cgroups::{Bandwidth, ROOT};
use crate::machine::Machine;
use crate::run::Stop;
use crate::sched::Done;
use rota_workload::CgroupChange;
use std::collections::BTreeMap;

/// Numbers of cgroups by their paths.
pub(super) struct Paths(BTreeMap<String, u64>);

impl Paths {
    /// Those of a machine that has the root only.
    pub(super) fn new() -> Self {
        Self(BTreeMap::from([("/".to_owned(), ROOT)]))
    }

    /// The number of a cgroup. A scenario names those only that it has made.
    pub(super) fn number(&self, path: &str) -> u64 {
        self.0.get(path).copied().unwrap_or(ROOT)
    }

    /// Makes a cgroup.
    pub(super) fn make(&mut self, machine: &mut Machine, path: &str) -> Result<Done, Stop> {
        let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
        let made = machine.create_cgroup(self.number(parent))?;
        Ok(made.map(|id| {
            self.0.insert(path.to_owned(), id);
        }))
    }

    /// Changes a cgroup.
    pub(super) fn change(
        &mut self,
        machine: &mut Machine,
        path: &str,
        change: CgroupChange,
    ) -> Result<Done, Stop> {
        let id = self.number(path);
        let bandwidth = machine.cgroup_bandwidth(id);
        match change {
            CgroupChange::Make => self.make(machine, path),
            CgroupChange::Remove => machine.remove_cgroup(id),
            CgroupChange::Weight(weight) => machine.set_cgroup_weight(id, weight),
            CgroupChange::Idle(idle) => machine.set_cgroup_idle(id, idle),
            CgroupChange::Max { quota_us, period_us } => {
                let burst_us = bandwidth.map_or(0, |b| b.burst_us);
                let quota_us = quota_us.unwrap_or(u64::MAX);
                machine.set_cgroup_bandwidth(id, Bandwidth { period_us, quota_us, burst_us })
            }
            CgroupChange::Burst(burst_us) => match bandwidth {
                Some(before) => machine.set_cgroup_bandwidth(id, Bandwidth { burst_us, ..before }),
                None => Ok(Ok(())),
            },
        }
    }

    /// Paths by numbers.
    pub(super) fn names(&self) -> BTreeMap<u64, String> {
        self.0.iter().map(|(path, id)| (*id, path.clone())).collect()
    }
}
