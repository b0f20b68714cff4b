// SPDX-License-Identifier: GPL-2.0-or-later
//! The scheduler `domains` on a real kernel, on 8 CPUs of two caches and two nodes.

use crate::guest::{Guest, contains, ensure, say, target_dir};
use crate::restored::{planned, tasks_alone};
use crate::run::script;
use libtest_mimic::Failed;
use rota_balance::{Snapshot, read, write};
use rota_topology::Topology;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// A CPU comes that was not there when it was loaded: it is loaded again. Then under load for a minute,
/// while CPUs go and come, one by one and all of a cache: it stays in charge, and the kernel has nothing
/// to say.
pub(crate) fn survives_hotplug(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "cpus=/sys/devices/system/cpu; echo 0 >$cpus/cpu3/online || exit 2
             rota run domains --stats 5s >/tmp/out 2>&1 & pid=$!; up domains
             echo 1 >$cpus/cpu3/online; sleep 1; up domains
             taskset -c 3 true || exit 9
             grep -q 'CPU 3 is in no domain yet' /tmp/out || { cat /tmp/out; exit 10; }
             stress-ng --cpu 6 --switch 2 --fork 2 --pipe 2 --timeout 60 --temp-path /tmp \
                 >/tmp/stress 2>&1 & load=$!
             n=0
             while kill -0 $load 2>/dev/null; do
                 cpu=$cpus/cpu$((n % 7 + 1))/online
                 echo 0 >$cpu || exit 3; sleep 0.2; echo 1 >$cpu || exit 4; sleep 0.1
                 n=$((n + 1))
                 [ $((n % 10)) = 0 ] || continue
                 for i in 4 5 6 7; do echo 0 >$cpus/cpu$i/online || exit 7; done; sleep 1
                 for i in 5 7 4 6; do echo 1 >$cpus/cpu$i/online || exit 8; done; sleep 0.5
             done
             wait $load || { cat /tmp/stress; exit 5; }
             [ \"$(state) $(ops)\" = 'enabled domains' ] || { cat /tmp/out; exit 6; }
             kill -INT $pid; wait $pid; echo status $?; echo went and came $n times; cat /tmp/out; down",
        ),
    )?;
    contains(
        &text,
        &[
            "status 0",
            "domains schedules 7 CPUs of Linux",
            "is loaded again",
            "was taken off",
            "Ctrl-C",
        ],
    )?;
    guest.kernel_is_well()
}

/// How many tasks there are that always run.
const HOGS: usize = 14;

/// All of them are held in the first domain until they count as busy and may move. Then they may go,
/// and at that moment the scheduler is asked what it would do; 7 s later, where they are. Only the
/// balancer moves tasks.
const LET_GO: &str = r#"
rota run domains --spill-margin 1000000 --balance 3s --stats 0s >/tmp/out 2>&1 & pid=$!; up domains
rota topology --save $dir/topology.json >/dev/null || exit 2
hogs=; for i in $(seq $hogs_wanted); do
    taskset -c 0-3 sh -c 'while :; do :; done' & hogs="$hogs $!"
done
echo $hogs >$dir/hogs
let_go='my $all = pack("Q", 0xff);
        for (@ARGV) { syscall(203, $_ + 0, 8, $all) == 0 or die "$_: $!" }'
for try in 1 2 3 4 5; do
    for hog in $hogs; do taskset -pc 0-3 $hog >/dev/null || exit 3; done
    sleep 4
    perl -e "$let_go" $hogs || exit 4
    rota balance explain --live --format json >$dir/now.json || exit 5
    grep -q '"moves": 0' $dir/now.json || break
done
sleep 7
rota balance explain --live --format json >$dir/later.json || exit 6
kill $hogs; kill -INT $pid; wait $pid; echo status $?; cat /tmp/out; down
"#;

/// The moves of a plan as `rota balance explain` prints them: where each task is to go.
fn moves_of(report: &str) -> Result<BTreeMap<u64, usize>, Failed> {
    let report: Value = serde_json::from_str(report)?;
    let tasks = report["tasks"].as_array().ok_or("no tasks")?;
    let moves = tasks.iter().filter(|task| task["verdict"] == "moves");
    let to = |task: &Value| Some((task["task"].as_u64()?, task["to"].as_u64()? as usize));
    Ok(moves.filter_map(to).collect())
}

/// How many tasks of some processes are in each of two domains, after these moves.
fn places(snapshot: &Snapshot, pids: &[u32], moves: &BTreeMap<u64, usize>) -> [usize; 2] {
    let mut places = [0; 2];
    for task in &snapshot.tasks {
        if task.pid.is_some_and(|pid| pids.contains(&pid)) {
            places[*moves.get(&task.id).unwrap_or(&task.domain)] += 1;
        }
    }
    places
}

/// What was seen on the machine gives the same plan there, in `rota` on the host, and in the user half
/// on a simulated machine; and then tasks are where it wanted them.
pub(crate) fn plans_as_simulated(guest: &mut Guest) -> Result<(), Failed> {
    let (here, there) = guest.dir("plans")?;
    let text = guest.expect(0, &script(&format!("dir={there}; hogs_wanted={HOGS}\n{LET_GO}")))?;
    contains(&text, &["status 0", "Ctrl-C"])?;
    let file = |name: &str| fs::read_to_string(here.join(name));
    let rota = target_dir()?.join("rota");
    let explain = |name: &str| -> Result<String, Failed> {
        let words = ["balance", "explain", name, "--format", "json"];
        let output = Command::new(&rota).args(words).current_dir(&here).output()?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let (now, later) = (file("now.json")?, file("later.json")?);
    let again = explain("now.json")?;
    ensure(again == now, || format!("on the host:\n{again}\nin the machine:\n{now}"))?;
    let (before, policy) = read(&now)?;
    let alone = tasks_alone(before.clone());
    fs::write(here.join("alone.json"), write(&alone, &policy))?;
    let told = explain("alone.json")?;
    let simulated = planned(&alone, &Topology::from_json(&file("topology.json")?)?);
    ensure(simulated.report == told.trim_end(), || {
        format!("simulated:\n{}\non the host:\n{told}", simulated.report)
    })?;
    let ordered = moves_of(&told)?;
    ensure(simulated.orders == ordered, || {
        format!("{:?} ordered, {ordered:?} planned", simulated.orders)
    })?;
    let moves = moves_of(&now)?;
    ensure(!moves.is_empty(), || format!("nobody was to move:\n{now}"))?;
    let pids = file("hogs")?.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
    let (wanted, found) =
        (places(&before, &pids, &moves), places(&read(&later)?.0, &pids, &BTreeMap::new()));
    say(&format!(
        "domains::plans_as_simulated: {} moves, {wanted:?} planned, {found:?} found",
        moves.len()
    ));
    let is_near = wanted[0].abs_diff(found[0]) <= 1 && found[0] + found[1] == HOGS;
    ensure(is_near, || format!("planned {wanted:?}, found {found:?}\n{now}\n{later}"))?;
    guest.kernel_is_well()
}

/// Settings that are text reach a kernel, and where there is no place for all tasks and cgroups, those
/// without one are counted, and run like all others.
pub(crate) fn settings_and_few_places(guest: &mut Guest) -> Result<(), Failed> {
    let wrong = guest.run("rota run domains --domains 0-3/3-7 2>&1")?;
    ensure(wrong.status == 2, || format!("{}: {}", wrong.status, wrong.stdout))?;
    contains(&wrong.stdout, &["CPU 3 is in two domains"])?;
    let text = guest.expect(
        0,
        &script(
            "cd /sys/fs/cgroup; echo +cpu >cgroup.subtree_control; mkdir -p p q r; cd /
             rota run domains --domains 0-1/2-7 --tasks-max 6 --groups-max 2 --format json \
                 --stats 1s >/tmp/out 2>&1 & pid=$!; up domains
             hogs=; for i in $(seq 4); do for group in p q r; do
                 sh -c 'echo $$ >/sys/fs/cgroup/$0/cgroup.procs; while :; do :; done' $group &
                 hogs=\"$hogs $!\"
             done; done
             clocks() { for p in $hogs; do read -r ran rest </proc/$p/schedstat; echo $1 $ran; done; }
             sleep 3; clocks before; sleep 6; clocks after
             rota balance explain --live --format json >/tmp/now.json || exit 4
             kill $hogs; kill -INT $pid; wait $pid || { cat /tmp/out; exit 3; }; down
             echo now; cat /tmp/now.json; echo; echo out; cat /tmp/out",
        ),
    )?;
    let (clocks, rest) = text.split_once("now\n").ok_or("no snapshot")?;
    let (now, out) = rest.split_once("\nout\n").ok_or("no statistics")?;
    let ran = |word: &str| -> Vec<u64> {
        clocks.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
    };
    let (before, after) = (ran("before"), ran("after"));
    let grown: Vec<u64> = before.iter().zip(&after).map(|(before, after)| after - before).collect();
    let mean_ns = grown.iter().sum::<u64>() / 12;
    let least_ns = grown.iter().copied().min().unwrap_or(0);
    ensure(grown.len() == 12 && after.len() == 12 && 3 * least_ns > mean_ns, || {
        format!("{grown:?}: {clocks}")
    })?;
    let (snapshot, _) = read(now)?;
    let capacities: Vec<f64> = snapshot.domains.iter().map(|domain| domain.capacity).collect();
    ensure(capacities == [2.0, 6.0] && snapshot.tasks.len() == 6, || now.to_owned())?;
    let mut lines = out.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = lines.find(|value| value["schema"] == "rota-stats/1");
    let total = |name: &str| last.as_ref().and_then(|last| last["totals"][name].as_u64());
    let (left_out, unweighted) = (total("left_out"), total("unweighted"));
    say(&format!(
        "domains::settings_and_few_places: {left_out:?} tasks left out, {unweighted:?} cgroups; \
         the one that ran least: {least_ns} ns, of {mean_ns} on average"
    ));
    ensure(left_out > Some(12) && unweighted >= Some(2), || out.to_owned())?;
    guest.kernel_is_well()
}
