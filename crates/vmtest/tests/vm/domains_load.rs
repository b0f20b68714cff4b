// SPDX-License-Identifier: GPL-2.0-or-later
//! The scheduler `domains` under load that never sleeps, on a real kernel, on 8 CPUs of two caches
//! and two nodes: who gets how much, and where.

use crate::guest::{Guest, ensure, say};
use crate::run::script;
use libtest_mimic::Failed;

/// By how much what somebody gets may be off: a part of it.
const TOLERANCE: f64 = 0.10;
/// Weights of nice -20, 0 and 5 (kernel: `sched_prio_to_weight`).
const NICE_0: f64 = 1024.0;
const NICE_5: f64 = 335.0;

/// Starts tasks that always run: `hogs COUNT NICE`, in the cgroup `$group` if that is set. Their
/// numbers go to `$pids`. `shares SECONDS` prints for each what it ran in that time, in ns.
const HOGS: &str = r#"
pids= group=
hogs() {
    for i in $(seq $1); do
        nice -n $2 sh -c '[ -z "$0" ] || echo $$ >/sys/fs/cgroup/$0/cgroup.procs
                          while :; do :; done' "$group" & pids="$pids $!"
    done
}
clocks() { for p in $pids; do read -r ran rest </proc/$p/schedstat; echo $ran; done; }
up_for() { read -r seconds rest </proc/uptime; echo up for $seconds; }
shares() { up_for; clocks; sleep $1; up_for; clocks; }
"#;

/// What groups of tasks of these sizes get, in CPUs, after `setup` has started them under `domains`.
fn cpus(guest: &mut Guest, sizes: &[usize], setup: &str) -> Result<Vec<f64>, Failed> {
    let text = guest.expect(
        0,
        &script(&format!(
            "{HOGS}
             rota run domains >/tmp/out 2>&1 & pid=$!; up domains
             {setup}
             sleep 6; shares 10
             kill $pids; kill -INT $pid; wait $pid || {{ cat /tmp/out; exit 3; }}; down"
        )),
    )?;
    let ran: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let count: usize = sizes.iter().sum();
    ensure(ran.len() == 2 * count, || text.clone())?;
    let spent: Vec<f64> = ran[count..].iter().zip(&ran).map(|(after, b)| after - b).collect();
    let up: Vec<f64> =
        text.lines().filter_map(|line| line.strip_prefix("up for ")?.parse().ok()).collect();
    ensure(up.len() == 2 && up[0] < up[1], || text.clone())?;
    let time_ns = (up[1] - up[0]) * 1e9;
    let mut rest = spent.as_slice();
    let mut cpus = Vec::new();
    for size in sizes {
        let (group, others) = rest.split_at(*size);
        cpus.push(group.iter().sum::<f64>() / time_ns);
        rest = others;
    }
    Ok(cpus)
}

fn near(guest: &Guest, what: &str, cpus: &[f64], right: &[f64]) -> Result<(), Failed> {
    say(&format!("{}: {what}: {cpus:.3?} CPUs of {right:.3?}", guest.series));
    let near = cpus.iter().zip(right).all(|(cpus, right)| (cpus / right - 1.0).abs() <= TOLERANCE);
    ensure(near, || format!("{what}: {cpus:.4?} CPUs, expected {right:.4?}"))
}

/// One task of nice -20 can use one CPU, however large its weight; all others share the rest by
/// theirs, in whatever domain they are.
pub(crate) fn infeasible_weights(guest: &mut Guest) -> Result<(), Failed> {
    let cpus = cpus(guest, &[1, 12, 6], "hogs 1 -20; hogs 12 0; hogs 6 5")?;
    let others = (cpus[1] + cpus[2]) / (12.0 * NICE_0 + 6.0 * NICE_5);
    let right = [1.0, 12.0 * NICE_0 * others, 6.0 * NICE_5 * others];
    near(guest, "nice -20, 0 and 5", &cpus, &right)
}

/// Groups within groups: one of 3 parts of 4, in which two share by 1 to 2; and one of the fourth.
pub(crate) fn nested_cgroups(guest: &mut Guest) -> Result<(), Failed> {
    let cpus = cpus(
        guest,
        &[12, 6, 10],
        "cd /sys/fs/cgroup; echo +cpu >cgroup.subtree_control; mkdir -p a b
         echo +cpu >a/cgroup.subtree_control; mkdir -p a/x a/y
         echo 300 >a/cpu.weight; echo 50 >a/x/cpu.weight; echo 100 >a/y/cpu.weight
         group=a/x; hogs 12 0; group=a/y; hogs 6 0; group=b; hogs 10 0",
    )?;
    let all: f64 = cpus.iter().sum();
    near(guest, "cgroups", &cpus, &[0.25 * all, 0.5 * all, 0.25 * all])
}

/// How often of 60 looks tasks whose memory is bound to the second node are on its CPUs, after they
/// started on the first one and may go everywhere. They are six, of which two wait at any time; two
/// CPUs of the first node have nothing to do.
fn looks_there(guest: &mut Guest, settings: &str) -> Result<usize, Failed> {
    // 238 is set_mempolicy, of which 2 binds to the nodes of a mask.
    let bound =
        "my $nodes = pack(\"Q\", 2); syscall(238, 2, $nodes, 64) == 0 or die $!; 1 while 1;";
    let bound = guest.put("bound.pl", bound.as_bytes())?;
    let text = guest.expect(
        0,
        &script(&format!(
            "{HOGS}
             rota run domains {settings} >/tmp/out 2>&1 & pid=$!; up domains
             hogs 2 0
             for i in 1 2 3 4 5 6; do taskset -c 0 perl {bound} & own=\"$own $!\"; done
             sleep 1; for p in $own; do taskset -p ff $p >/dev/null || exit 4; done
             sleep 2
             for i in 1 2 3 4 5 6 7 8 9 10; do
                 for p in $own; do
                     read -r line </proc/$p/stat; set -- $line; shift 38; echo cpu $1
                 done
                 sleep 0.2
             done
             kill $pids $own; kill -INT $pid; wait $pid || {{ cat /tmp/out; exit 3; }}; down"
        )),
    )?;
    let cpus: Vec<u32> =
        text.lines().filter_map(|line| line.strip_prefix("cpu ")?.parse().ok()).collect();
    ensure(cpus.len() == 60, || text.clone())?;
    let there = cpus.iter().filter(|cpu| **cpu >= 4).count();
    say(&format!("{}: memory of the second node {settings}: {there} of 60 there", guest.series));
    Ok(there)
}

/// Tasks whose memory is bound to a node come to its CPUs as soon as they may, without ever sleeping,
/// and stay there, though CPUs of the other one are idle; unless that is switched off.
pub(crate) fn memory_policy(guest: &mut Guest) -> Result<(), Failed> {
    let there = looks_there(guest, "--stay 1")?;
    ensure(there == 60, || format!("{there} of 60 times on CPUs 4 to 7"))?;
    let there = looks_there(guest, "--stay 0")?;
    ensure(there < 60, || format!("{there} of 60 times on CPUs 4 to 7 with nothing to keep them"))?;
    guest.kernel_is_well()
}
