// SPDX-License-Identifier: GPL-2.0-or-later
//! The example schedulers of the kernel tree on a simulated machine, as they are, with what their
//! loaders would set given on the command line. No kernel takes part but by its types.

use crate::guest::{Guest, ensure, target_dir};
use crate::sched_ext;
use libtest_mimic::Failed;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// What runs: something of everything.
const LOAD: &str = "periodic+cpu:tasks=4+forkstorm+pingpong:pairs=2+burst";
const MACHINE: [&str; 8] =
    ["--machine", "8c", "--for", "3s", "--workload", LOAD, "--format", "json"];

/// What none of them has a use for: forms of functions for older kernels, and ends.
const NEVER: [&str; 5] = [
    "scx_bpf_dsq_insert",
    "scx_bpf_dsq_insert_vtime",
    "scx_bpf_dsq_move_to_local",
    "scx_bpf_error_bstr",
    "exit",
];

/// An example: its name, what its loader sets on a machine of eight CPUs, and the callbacks and
/// kernel functions that this load has no use for beside those: it moves and removes no cgroup.
type Example = (&'static str, &'static [&'static str], &'static [&'static str]);

const EXAMPLES: [Example; 6] = [
    ("scx_simple", &[], &[]),
    ("scx_cpu0", &[], &[]),
    (
        "scx_central",
        &[
            "nr_cpu_ids=8",
            "central_cpu=0",
            "slice_ns=20ms",
            "cpu_gimme_task=8*0",
            "cpu_started_at=8*0",
        ],
        &[],
    ),
    (
        "scx_flatcg",
        &["nr_cpus=8", "cgrp_slice_ns=20ms"],
        &[
            "bpf_cgroup_ancestor",
            "bpf_obj_drop_impl",
            "cgroup_exit",
            "cgroup_move",
            "cgroup_set_weight",
            "scx_bpf_destroy_dsq",
        ],
    ),
    (
        "scx_pair",
        &[
            "nr_cpu_ids=8",
            "pair_batch_dur_ns=20ms",
            "pair_cpu=4,5,6,7,0,1,2,3",
            "pair_id=0,1,2,3,0,1,2,3",
            "in_pair_idx=0,0,0,0,1,1,1,1",
        ],
        &["cgroup_exit"],
    ),
    ("scx_sdt", &[], &[]),
];
/// What is done to the maps of one of them.
const PAIR_MAPS: [&str; 4] = ["--map-entries", "pair_ctx=4", "--map-inner", "cgrp_q_arr=64"];

pub(crate) fn run_on_a_simulated_machine(guest: &mut Guest) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut wrong = Vec::new();
    for (name, bytes) in sched_ext::objects(&guest.cache)? {
        let file = folder.path().join(format!("{name}.bpf.o"));
        std::fs::write(&file, bytes)?;
        if name == "scx_qmap" {
            let output = sim(&file, &[], &[])?;
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            let told =
                output.status.code() == Some(2) && error.contains("the cid form is not modelled");
            ensure(told, || error)?;
        }
        let Some((_, set, unused)) = EXAMPLES.iter().find(|example| example.0 == name) else {
            continue;
        };
        let maps: &[&str] = if name == "scx_pair" { &PAIR_MAPS } else { &[] };
        let problem = judge(&sim(&file, set, maps)?, unused);
        wrong.extend(problem.map(|problem| format!("{name}: {problem}")));
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

fn sim(file: &Path, set: &[&str], maps: &[&str]) -> Result<Output, Failed> {
    let mut rota = Command::new(target_dir()?.join("rota"));
    rota.arg("sim").arg(file).args(MACHINE).args(maps);
    set.iter().for_each(|pair| _ = rota.args(["--set", pair]));
    Ok(rota.output()?)
}

/// What is wrong with a run, if anything.
fn judge(output: &Output, unused: &[&str]) -> Option<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    let Ok(found) = serde_json::from_slice::<Value>(&output.stdout) else {
        return Some(error.into_owned());
    };
    if output.status.code() != Some(0) {
        return Some(format!("{}", found["exit"]));
    }
    for group in found["groups"].as_array().into_iter().flatten() {
        // One of them runs everything on one CPU: there it may take a while, but not this long.
        let waits = group["waiting_ns"].as_u64().unwrap_or(u64::MAX);
        if group["work"].as_u64().unwrap_or(0) == 0 || waits > 1_000_000_000 {
            return Some(format!("a task is lost: {group}"));
        }
    }
    let idle = |list: &str| -> Vec<String> {
        let all = found[list].as_array().into_iter().flatten();
        let never = all.filter(|f| f["calls"].as_u64().unwrap_or(0) == 0);
        never.filter_map(|f| f["name"].as_str().map(str::to_owned)).collect()
    };
    let idle = [idle("kfuncs"), idle("callbacks")].concat();
    let expected = |name: &str| NEVER.contains(&name) || unused.contains(&name);
    let unexpected: Vec<_> = idle.iter().filter(|name| !expected(name)).collect();
    (!unexpected.is_empty()).then(|| format!("never called: {unexpected:?}"))
}
