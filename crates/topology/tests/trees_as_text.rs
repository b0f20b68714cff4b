// SPDX-License-Identifier: GPL-2.0-or-later
//! The tree that people read.

use rota_topology::{MemoryTree, Spec, Topology};

fn check(machine: &Topology, expected: &str) {
    let text = machine.tree();
    assert_eq!(text.trim_end(), expected.trim(), "\n{text}");
}

fn read(text: &str) -> Topology {
    let tree = MemoryTree::from_text(text).expect("well-formed");
    Topology::from_sysfs(&tree).expect("a machine").topology
}

fn spec(text: &str) -> Topology {
    text.parse::<Spec>().expect("a machine").topology()
}

#[test]
fn small() {
    check(
        &spec("1c"),
        "
1 CPU online (0): 1 package, 1 node, 1 LLC, 1 core, 1 thread a core
package 0: CPU 0
  node 0: CPU 0
    LLC 0 (L3): CPU 0
      core 0: CPU 0
",
    );
}

#[test]
fn two_llcs() {
    check(
        &spec("2l:2c:2t"),
        "
8 CPUs online (0-7): 1 package, 1 node, 2 LLCs, 4 cores, 2 threads a core
package 0: CPUs 0-7
  node 0: CPUs 0-7
    LLC 0 (L3): CPUs 0-3
      core 0: CPUs 0,1
      core 1: CPUs 2,3
    LLC 1 (L3): CPUs 4-7
      core 2: CPUs 4,5
      core 3: CPUs 6,7
",
    );
}

#[test]
fn a_few_words_have_what_there_is_more_than_one_of() {
    for (machine, words) in [
        ("1c", "1 CPU"),
        ("2l:8c", "16 CPUs, 2 last-level caches"),
        ("2s:2l:4c:2t", "32 CPUs, 2 threads a core, 4 last-level caches, 2 nodes"),
    ] {
        assert_eq!(spec(machine).in_words(), words);
    }
}

#[test]
fn thousand_cpus() {
    check(
        &spec("2s:4n:8l:8c:2t"),
        "
1024 CPUs online (0-1023): 2 packages, 8 nodes, 64 LLCs, 512 cores, 2 threads a core
package 0: CPUs 0-511
  node 0: CPUs 0-127
    LLCs 0-7 (L3), 8 cores each: CPUs 0-127
      cores 0-63: CPUs 0,1 2,3 … 126,127
  node 1: CPUs 128-255
    LLCs 8-15 (L3), 8 cores each: CPUs 128-255
      cores 64-127: CPUs 128,129 130,131 … 254,255
  node 2: CPUs 256-383
    LLCs 16-23 (L3), 8 cores each: CPUs 256-383
      cores 128-191: CPUs 256,257 258,259 … 382,383
  node 3: CPUs 384-511
    LLCs 24-31 (L3), 8 cores each: CPUs 384-511
      cores 192-255: CPUs 384,385 386,387 … 510,511
package 1: CPUs 512-1023
  node 4: CPUs 512-639
    LLCs 32-39 (L3), 8 cores each: CPUs 512-639
      cores 256-319: CPUs 512,513 514,515 … 638,639
  node 5: CPUs 640-767
    LLCs 40-47 (L3), 8 cores each: CPUs 640-767
      cores 320-383: CPUs 640,641 642,643 … 766,767
  node 6: CPUs 768-895
    LLCs 48-55 (L3), 8 cores each: CPUs 768-895
      cores 384-447: CPUs 768,769 770,771 … 894,895
  node 7: CPUs 896-1023
    LLCs 56-63 (L3), 8 cores each: CPUs 896-1023
      cores 448-511: CPUs 896,897 898,899 … 1022,1023
node distances:
          0    1    2    3    4    5    6    7
     0   10   12   12   12   20   20   20   20
     1   12   10   12   12   20   20   20   20
     2   12   12   10   12   20   20   20   20
     3   12   12   12   10   20   20   20   20
     4   20   20   20   20   10   12   12   12
     5   20   20   20   20   12   10   12   12
     6   20   20   20   20   12   12   10   12
     7   20   20   20   20   12   12   12   10
",
    );
}

#[test]
fn hybrid() {
    check(
        &read(include_str!("trees/hybrid.txt")),
        "
24 CPUs online (0-23): 1 package, 1 node, 1 LLC, 10 clusters, 16 cores, 1 to 2 threads a core
package 0: CPUs 0-23
  node 0: CPUs 0-23
    LLC 0 (L3 30 MiB): CPUs 0-23
      cores 0-3 (performance, capacity 992, up to 5.1 GHz): CPUs 0,1 2,3 … 6,7
      core 4 (performance, capacity 1024, up to 5.2 GHz): CPUs 8,9
      core 5 (performance, capacity 1024, up to 5.2 GHz): CPUs 10,11
      core 6 (performance, capacity 992, up to 5.1 GHz): CPUs 12,13
      core 7 (performance, capacity 992, up to 5.1 GHz): CPUs 14,15
      cores 8-11 (efficiency, capacity 576, up to 3.9 GHz, cluster 8): CPUs 16-19
      cores 12-15 (efficiency, capacity 576, up to 3.9 GHz, cluster 9): CPUs 20-23
core types from: cpu_core and cpu_atom
capacities from: acpi_cppc/highest_perf
",
    );
}

#[test]
fn arm() {
    check(
        &read(include_str!("trees/arm.txt")),
        "
8 CPUs online (0-7): 1 package, 1 node, 1 LLC, 8 cores, 1 thread a core
package 0: CPUs 0-7
  node 0: CPUs 0-7
    LLC 0 (L3): CPUs 0-7
      cores 0-3 (efficiency, capacity 250, up to 1.8 GHz): CPUs 0-3
      cores 4-6 (performance, capacity 760, up to 2.42 GHz): CPUs 4-6
      core 7 (performance, capacity 1024, up to 2.842 GHz): CPU 7
core types from: cpu_capacity
capacities from: cpu_capacity
",
    );
}

#[test]
fn holes() {
    check(
        &read(include_str!("trees/holes.txt")),
        "
7 CPUs online (0-2,4-5,8,12): 1 package, 2 nodes, 1 LLC, 5 cores, 1 to 2 threads a core
package 0: CPUs 0-2,4-5,8,12
  node 0: CPUs 0-2,4-5,8,12
    LLC 0 (L3 16 MiB): CPUs 0-2,4-5,8,12
      core 0: CPUs 0,1
      core 1: CPU 2
      core 2: CPUs 4,5
      core 3: CPU 8
      core 4: CPU 12
node 2: memory only
offline: CPUs 3,9,13 (the kernel does not tell where they sit)
node distances:
          0    2
     0   10   40
     2   40   10
",
    );
}

/// One node of a server with siblings far apart, and the line for LLCs that are alike.
#[test]
fn amd() {
    let mut tree = MemoryTree::from_text(include_str!("trees/amd.txt")).expect("well-formed");
    let text = Topology::from_sysfs(&tree).expect("a machine").topology.tree();
    let node = "  node 5: CPUs 80-95,208-223
    LLC 10 (L3 32 MiB): CPUs 80-87,208-215
      cores 80-87: CPUs 80,208 81,209 … 87,215
    LLC 11 (L3 32 MiB): CPUs 88-95,216-223
      cores 88-95: CPUs 88,216 89,217 … 95,223
";
    assert!(text.contains(node), "{text}");

    tree.remove("devices/system/node");
    let text = Topology::from_sysfs(&tree).expect("a machine").topology.tree();
    let package = "package 1: CPUs 64-127,192-255
  node 0 (part): CPUs 64-127,192-255
    LLCs 8-15 (L3 32 MiB each), 8 cores each: CPUs 64-127,192-255
      cores 64-127: CPUs 64,192 65,193 … 127,255
";
    assert!(text.ends_with(package), "{text}");
}

/// Firmware may number CPUs in turn over the sockets; then lists are long and are cut.
#[test]
fn interleaved() {
    let text = "
        devices/system/cpu/online = 0-63
        devices/system/cpu/cpu{0-62:1/2}/topology/package_cpus_list = 0-62:1/2
        devices/system/cpu/cpu{1-63:1/2}/topology/package_cpus_list = 1-63:1/2
        devices/system/cpu/cpu{0-63}/topology/core_cpus_list = {}
        devices/system/cpu/cpu{0-63}/cache/index3/level = 3
        devices/system/cpu/cpu{0-62:1/2}/cache/index3/shared_cpu_list = 0-62:1/2
        devices/system/cpu/cpu{1-63:1/2}/cache/index3/shared_cpu_list = 1-63:1/2";
    check(
        &read(text),
        "
64 CPUs online (0-63): 2 packages, 1 node, 2 LLCs, 64 cores, 1 thread a core
package 0: CPUs 0,2,4 … 62 (32 CPUs)
  node 0 (part): CPUs 0,2,4 … 62 (32 CPUs)
    LLC 0 (L3): CPUs 0,2,4 … 62 (32 CPUs)
      cores 0,2 … 62: CPUs 0 2 … 62
package 1: CPUs 1,3,5 … 63 (32 CPUs)
  node 0 (part): CPUs 1,3,5 … 63 (32 CPUs)
    LLC 1 (L3): CPUs 1,3,5 … 63 (32 CPUs)
      cores 1,3 … 63: CPUs 1 3 … 63
",
    );
}
