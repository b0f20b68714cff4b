// SPDX-License-Identifier: GPL-2.0-or-later
//! Control groups and CPUs.

use super::facts::{Facts, KernelBtf};
use super::{Finding, count, few};
use rota_topology::{Reading, Topology};

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![cgroup2(facts)];
    findings.extend(cgroup_scheduling(facts));
    findings.extend(facts.topology.as_ref().map(|reading| topology(reading.as_ref())));
    findings
}

fn cgroup2(facts: &Facts) -> Finding {
    const ID: &str = "cgroup2";
    let Some(at) = &facts.cgroup2 else {
        return Finding::missing(
            ID,
            "not mounted",
            "Schedulers that work by cgroup see the root group only.",
        )
        .advise("mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd's unified hierarchy");
    };
    let Some(controllers) = &facts.cgroup2_controllers else {
        return Finding::unknown(
            ID,
            format!("at {at}; its controllers cannot be read"),
            "It cannot be told whether weights and limits of groups work.",
        );
    };
    if controllers.split(' ').any(|c| c == "cpu") {
        return Finding::ok(
            ID,
            format!("at {at}, with the cpu controller"),
            "Weights and limits of groups can be set.",
        );
    }
    let (found, advice) = if facts.cgroup1_cpu {
        ("whose cpu controller belongs to cgroup v1", "Boot with cgroup_no_v1=all.")
    } else {
        ("without a cpu controller", "Boot a kernel built with CONFIG_CGROUP_SCHED.")
    };
    let means = "Groups exist, but their cpu.weight and cpu.max do not.";
    Finding::warn(ID, format!("at {at}, {found}"), means).advise(advice)
}

/// Only where the kernel has sched_ext, and its types tell.
fn cgroup_scheduling(facts: &Facts) -> Option<Finding> {
    const ID: &str = "cgroup_scheduling";
    let KernelBtf::Read { btf, .. } = &facts.btf else { return None };
    let (_, members) = btf.find_struct("sched_ext_ops")?;
    if members.iter().any(|m| btf.text(m.name) == "cgroup_init") {
        return Some(Finding::ok(
            ID,
            "in the kernel",
            "Schedulers are told about groups and their weights.",
        ));
    }
    let finding = Finding::missing(
        ID,
        "not built in (CONFIG_EXT_GROUP_SCHED)",
        "Schedulers are told nothing about groups.",
    );
    Some(finding.advise("Boot a kernel built with this option, if you need that."))
}

fn topology(reading: Result<&Reading, &String>) -> Finding {
    const ID: &str = "topology";
    let reading = match reading {
        Ok(reading) => reading,
        Err(error) => {
            return Finding::missing(ID, error.as_str(), "Schedulers cannot place tasks.")
                .advise("Mount /sys.");
        }
    };
    let found = shape(&reading.topology);
    if reading.warnings.is_empty() {
        return Finding::ok(ID, found, "Every CPU says where it sits.");
    }
    let warnings: Vec<_> = reading.warnings.iter().map(ToString::to_string).collect();
    Finding::warn(
        ID,
        found,
        format!("Something was assumed where the kernel does not tell: {}.", few(&warnings)),
    )
    .advise("Compare `rota topology` with the machine; usual in virtual machines.")
}

fn shape(topology: &Topology) -> String {
    let mut parts = vec![format!("{} online", count(topology.online().count(), "CPU"))];
    let offline = topology.offline();
    if !offline.is_empty() {
        parts.push(format!("{} offline ({offline})", offline.count()));
    }
    parts.push(count(topology.cores().len(), "core"));
    if topology.threads_max() > 1 {
        parts.push(format!("up to {} a core", count(topology.threads_max(), "thread")));
    }
    parts.push(count(topology.llcs().len(), "LLC"));
    parts.push(count(topology.nodes().len(), "node"));
    if topology.is_hybrid() {
        parts.push("hybrid".into());
    }
    parts.join(", ")
}
