// SPDX-License-Identifier: GPL-2.0-or-later
//! What ends a scheduler that asks for idle CPUs in a wrong way: the words of 6.16 and 7.3, as the
//! same scheduler saw them there.

use rota_object::{KernelTypes, Object};
use rota_programs::test::WITNESS;
use rota_sim::{Shape, run_scenario};
use rota_workload::Scenario;

/// Flags of the table of callbacks: each node has masks of its own.
const PER_NODE: u64 = 64;

/// Settings of the test scheduler, flags of its table, and what the kernel says.
const WRONG: &[(&[&str], u64, &str)] = &[
    (&[], PER_NODE, "SCX_OPS_BUILTIN_IDLE_PER_NODE enabled"),
    (&["masks_of_nodes = 1"], 0, "per-node idle tracking is disabled"),
    (&["masks_of_nodes = 1", "pick = 2"], PER_NODE, "per-node idle tracking is enabled"),
    (&["masks_of_nodes = 1", "pick = 3"], PER_NODE, "per-node idle tracking is enabled"),
    (&["masks_of_nodes = 1", "pick_node = 9"], PER_NODE, "invalid node 9"),
    (&["masks_of_nodes = 1", "pick_node = 0xfffffffe"], PER_NODE, "invalid node -2"),
    (&["pick = 6"], 0, "per-node idle tracking is disabled"),
    (&["pick = 4", "pick_cpus = 0"], 0, "invalid CPU 6"),
    (&["pick_previous = 100"], 0, "invalid CPU 99"),
];

#[test]
fn words_are_the_kernels() {
    let object = Object::parse(WITNESS).unwrap();
    for kernel in ["6.16", "7.3"] {
        let types = KernelTypes::builtin(kernel).unwrap();
        for (settings, flags, expected) in WRONG {
            let text = format!(
                "about = 'x'\nmachine = '3s:2c'\nops_flags = {flags}\nsteps = ['A pulse']\n\
                 [settings]\nchoose = 1\n{}\n[tasks]\nA = '1-5'\n",
                settings.join("\n")
            );
            let scenario = Scenario::from_toml(&text).unwrap();
            let ended = run_scenario(&object, &types, &scenario, &Shape::default());
            let ended = ended.map_or_else(|stop| stop.to_string(), |seen| seen.text());
            let expected = format!("the scheduler ended: runtime error ({expected})");
            assert_eq!(ended, expected, "{settings:?} on {kernel}");
        }
    }
}
