// SPDX-License-Identifier: GPL-2.0-or-later
//! What `rota load` needs for workloads that want more than time on CPUs.

use super::Finding;
use super::facts::Facts;
use rota_kernel::Capability;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    vec![realtime(facts), weights(facts), counters(facts)]
}

fn realtime(facts: &Facts) -> Finding {
    const ID: &str = "load_realtime";
    let may = facts.capabilities.is_some_and(|held| held.has(Capability::SysNice));
    let limit = facts.load.realtime_limit.unwrap_or(0);
    if may || limit > 0 {
        let found = match may {
            true => format!("allowed, by {}", Capability::SysNice.name()),
            false => format!("allowed up to priority {limit}"),
        };
        return Finding::ok(ID, found, "Workloads with real-time tasks run with rota load.");
    }
    Finding::warn(
        ID,
        format!("not allowed: no {}, and a limit of 0", Capability::SysNice.name()),
        "rota load refuses workloads with real-time tasks or negative nice values.",
    )
    .advise("Run as root, or raise the limits rtprio and nice (ulimit -r, ulimit -e).")
}

fn weights(facts: &Facts) -> Finding {
    const ID: &str = "load_weights";
    let controllers = facts.cgroup2_controllers.as_deref().unwrap_or_default();
    let has_cpu = controllers.split(' ').any(|name| name == "cpu");
    let means = "rota load leaves weights of cgroups out, and says so.";
    match (has_cpu, facts.load.cgroup2_writable) {
        (true, true) => Finding::ok(
            ID,
            "cgroups can be made at the root of the hierarchy",
            "Workloads with weights run as they say with rota load.",
        ),
        (true, false) => Finding::warn(ID, "this user can't make cgroups", means)
            .advise("Run as root, outside of a container that mounts cgroups read-only."),
        (false, _) => Finding::warn(ID, "no cgroup v2 with the cpu controller", means)
            .advise("See cgroup2 above."),
    }
}

fn counters(facts: &Facts) -> Finding {
    const ID: &str = "load_counters";
    if facts.load.schedstat {
        return Finding::ok(
            ID,
            "waits and switches of threads are counted",
            "rota load tells them for each group.",
        );
    }
    Finding::warn(
        ID,
        "no /proc/self/schedstat (CONFIG_SCHED_INFO)",
        "rota load shows no switches, and how long threads waited is unknown.",
    )
    .advise("Boot a kernel built with CONFIG_SCHEDSTATS, if you need that.")
}
