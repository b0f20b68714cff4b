// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines read from sysfs trees, against what is known of them by hand.
//!
//! The trees in `tests/trees` were written for this test from the documented layout of sysfs.

use rota_topology::*;

const HYBRID: &str = include_str!("trees/hybrid.txt");
const AMD: &str = include_str!("trees/amd.txt");
const ARM: &str = include_str!("trees/arm.txt");
const HOLES: &str = include_str!("trees/holes.txt");

fn tree(text: &str) -> MemoryTree {
    MemoryTree::from_text(text).expect("the trees of the tests are well-formed")
}

fn read(tree: &MemoryTree) -> (Topology, Vec<String>) {
    let reading = Topology::from_sysfs(tree).expect("the trees of the tests are machines");
    let warnings = reading.warnings.iter().map(ToString::to_string).collect();
    (reading.topology, warnings)
}

/// Reads a complete tree.
fn read_clean(text: &str) -> Topology {
    let (topology, warnings) = read(&tree(text));
    assert_eq!(warnings, Vec::<String>::new());
    topology
}

fn groups(topology: &Topology, level: Level) -> String {
    let groups: Vec<String> = topology.groups(level).iter().map(ToString::to_string).collect();
    groups.join(" ")
}

fn cpu(topology: &Topology, id: u32) -> &Cpu {
    topology.cpu(CpuId(id)).expect("the CPU is present")
}

fn place(topology: &Topology, id: u32) -> Place {
    topology.place(CpuId(id)).expect("the CPU is placed")
}

#[test]
fn hybrid() {
    let machine = read_clean(HYBRID);
    assert_eq!(
        groups(&machine, Level::Core),
        "0-1 2-3 4-5 6-7 8-9 10-11 12-13 14-15 16 17 18 19 20 21 22 23"
    );
    assert_eq!(
        groups(&machine, Level::Cluster),
        "0-1 2-3 4-5 6-7 8-9 10-11 12-13 14-15 16-19 20-23"
    );
    assert_eq!(groups(&machine, Level::Llc), "0-23");
    let llc = &machine.llcs()[0];
    assert_eq!((llc.level, llc.size_bytes), (Some(3), Some(30 << 20)));
    assert_eq!(machine.cores()[7].kernel_id, Some(28));
    assert_eq!(machine.cores()[8].kernel_id, Some(32));
    assert_eq!(machine.clusters()[9].kernel_id, Some(72));
    assert!(machine.is_hybrid());
    assert_eq!(machine.core_type_source(), Source::IntelPmu);
    assert_eq!(machine.capacity_source(), Source::HighestPerf);
    for id in 0..24 {
        let (kind, capacity) = match id {
            8..=11 => (CoreType::Performance, 1024),
            0..=15 => (CoreType::Performance, 992),
            _ => (CoreType::Efficiency, 576),
        };
        assert_eq!((cpu(&machine, id).core_type, cpu(&machine, id).capacity), (kind, capacity));
    }
    assert_eq!(cpu(&machine, 8).freq_max_khz, Some(5_200_000));
    assert_eq!(cpu(&machine, 23).freq_base_khz, Some(2_400_000));
    assert_eq!(machine.siblings(CpuId(3)).map(ToString::to_string), Some("2-3".to_owned()));
    assert_eq!((place(&machine, 2).thread, place(&machine, 3).thread), (0, 1));
}

#[test]
fn hybrid_without_stated_types_is_still_hybrid() {
    let mut tree = tree(HYBRID);
    tree.remove("devices/cpu_core");
    tree.remove("devices/cpu_atom");
    let (machine, _) = read(&tree);
    assert_eq!(machine.core_type_source(), Source::HighestPerf);
    assert_eq!(cpu(&machine, 0).core_type, CoreType::Performance);
    assert_eq!(cpu(&machine, 16).core_type, CoreType::Efficiency);

    for id in 0..24 {
        tree.remove(&format!("devices/system/cpu/cpu{id}/acpi_cppc"));
    }
    let (machine, warnings) = read(&tree);
    assert_eq!(machine.core_type_source(), Source::FreqMax);
    assert_eq!(machine.capacity_source(), Source::FreqMax);
    assert_eq!(cpu(&machine, 16).capacity, 3_900_000 * 1024 / 5_200_000);
    assert!(warnings[0].contains("guessed from frequencies"), "{warnings:?}");
}

/// Favoured cores of one kind reach from 166 to 236 in small steps: no hybrid machine.
#[test]
fn favoured_cores_are_of_one_kind() {
    let mut tree = tree(AMD);
    for id in 0..256u32 {
        let perf = 166 + 5 * (id % 15);
        tree.insert(
            format!("devices/system/cpu/cpu{id}/acpi_cppc/highest_perf"),
            format!("{perf}\n"),
        );
    }
    let (machine, warnings) = read(&tree);
    assert!(!machine.is_hybrid() && warnings.is_empty());
    assert!(machine.cpus().iter().all(|cpu| cpu.capacity == CAPACITY_FULL));
}

#[test]
fn amd() {
    let machine = read_clean(AMD);
    assert_eq!(machine.online().count(), 256);
    assert_eq!(machine.cores().len(), 128);
    assert_eq!(groups(&machine, Level::Package), "0-63,128-191 64-127,192-255");
    let llcs = machine.groups(Level::Llc);
    assert_eq!(llcs.len(), 16);
    for (n, llc) in llcs.iter().enumerate() {
        assert_eq!(
            llc.to_string(),
            format!("{}-{},{}-{}", 8 * n, 8 * n + 7, 128 + 8 * n, 128 + 8 * n + 7)
        );
    }
    assert_eq!(machine.llcs()[8].kernel_id, Some(16));
    assert!(machine.llcs().iter().all(|llc| llc.size_bytes == Some(32 << 20)));
    assert_eq!(machine.nodes().len(), 8);
    assert_eq!(machine.nodes()[5].cpus.to_string(), "80-95,208-223");
    assert_eq!(machine.distance(NodeId(0), NodeId(3)), Some(12));
    assert_eq!(machine.distance(NodeId(0), NodeId(4)), Some(32));
    assert!(machine.clusters().is_empty());
    assert!(!machine.is_hybrid());
    // Both sockets have a core id 3; the dense numbers differ.
    assert_eq!(machine.cores()[3].kernel_id, machine.cores()[67].kernel_id);
    let sibling = place(&machine, 67 + 128);
    assert_eq!(sibling.core, CoreId(67));
    assert_eq!((sibling.thread, sibling.llc, sibling.node), (1, LlcId(8), NodeId(4)));
    assert_eq!(sibling.package, PackageId(1));
}

#[test]
fn arm() {
    let machine = read_clean(ARM);
    assert_eq!(groups(&machine, Level::Core), "0 1 2 3 4 5 6 7");
    assert_eq!(groups(&machine, Level::Llc), "0-7");
    let llc = &machine.llcs()[0];
    assert_eq!((llc.level, llc.size_bytes, llc.kernel_id), (Some(3), None, None));
    assert_eq!(llc.origin, LlcOrigin::Cache);
    assert!(machine.clusters().is_empty());
    assert_eq!(machine.nodes().len(), 1);
    assert_eq!(machine.nodes()[0].id, NodeId(0));
    assert_eq!(machine.capacity_source(), Source::CpuCapacity);
    assert_eq!(machine.core_type_source(), Source::CpuCapacity);
    assert_eq!(cpu(&machine, 3).core_type, CoreType::Efficiency);
    assert_eq!(cpu(&machine, 4).core_type, CoreType::Performance);
    assert_eq!((cpu(&machine, 0).capacity, cpu(&machine, 4).capacity), (250, 760));
}

/// Without an L3 the shared L2 is the LLC; where no L2 is shared, the package is.
#[test]
fn arm_without_l3() {
    let mut tree = tree(ARM);
    for id in 0..8 {
        tree.remove(&format!("devices/system/cpu/cpu{id}/cache/index3"));
    }
    let (machine, warnings) = read(&tree);
    assert_eq!(groups(&machine, Level::Llc), "0-7");
    assert_eq!(machine.llcs()[0].origin, LlcOrigin::Package);
    assert_eq!(machine.llcs()[0].level, None);
    assert!(warnings.iter().any(|w| w.contains("no cache is shared")), "{warnings:?}");

    for id in 0..8 {
        let list = if id < 4 { "0-3\n" } else { "4-7\n" };
        tree.insert(format!("devices/system/cpu/cpu{id}/cache/index2/shared_cpu_list"), list);
    }
    let (machine, warnings) = read(&tree);
    assert_eq!(groups(&machine, Level::Llc), "0-3 4-7");
    assert_eq!(machine.llcs()[0].level, Some(2));
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn holes() {
    let machine = read_clean(HOLES);
    assert_eq!(machine.possible().to_string(), "0-15");
    assert_eq!(machine.present().to_string(), "0-5,8-9,12-13");
    assert_eq!(machine.offline().to_string(), "3,9,13");
    assert_eq!(groups(&machine, Level::Core), "0-1 2 4-5 8 12");
    assert_eq!(machine.cores()[3].kernel_id, Some(4));
    assert_eq!(groups(&machine, Level::Llc), "0-2,4-5,8,12");
    assert_eq!(cpu(&machine, 3).place, None);
    assert!(!cpu(&machine, 3).online);
    assert_eq!(machine.cpu(CpuId(6)), None);
    let nodes: Vec<String> =
        machine.nodes().iter().map(|node| format!("{}:{}", node.id, node.cpus)).collect();
    assert_eq!(nodes, ["0:0-2,4-5,8,12", "2:"]);
    assert_eq!(machine.distance(NodeId(2), NodeId(0)), Some(40));
    assert_eq!(machine.distance(NodeId(1), NodeId(0)), None);
}

/// A virtual machine may tell nothing but which CPUs are online.
#[test]
fn bare() {
    let text = "devices/system/cpu/online = 0-3\ndevices/system/cpu/cpu{0-3}/uevent =";
    let (machine, warnings) = read(&tree(text));
    assert_eq!(groups(&machine, Level::Core), "0 1 2 3");
    assert_eq!(groups(&machine, Level::Llc), "0-3");
    assert_eq!(groups(&machine, Level::Package), "0-3");
    assert_eq!(groups(&machine, Level::Node), "0-3");
    assert_eq!(machine.capacity_source(), Source::Assumed);
    assert_eq!(
        warnings,
        [
            "devices/system/cpu/cpu*/cache: missing for CPUs 0-3: \
             no shared cache, so packages are taken as LLCs",
            "devices/system/cpu/cpu*/topology/core_cpus_list: missing for CPUs 0-3: \
             taken as a core of its own",
            "devices/system/cpu/cpu*/topology/physical_package_id: missing for CPUs 0-3: \
             all CPUs are taken as one package",
            "devices/system/cpu/possible: missing: the present CPUs are taken instead",
            "devices/system/cpu/present: missing: the cpuN folders are taken instead",
        ]
    );
}

/// Old kernels have ids but no lists, and no list of what is online.
#[test]
fn ids_only() {
    let text = "
        devices/system/cpu/cpu{0-15}/online = 1
        devices/system/cpu/cpu15/online = 0
        devices/system/cpu/cpu{0-7}/topology/physical_package_id = 0
        devices/system/cpu/cpu{8-15}/topology/physical_package_id = 1
        devices/system/cpu/cpu{0-1,4-5,8-9,12-13}/topology/core_id = 0
        devices/system/cpu/cpu{2-3,6-7,10-11,14-15}/topology/core_id = 1
        devices/system/cpu/cpu{0-3,8-11}/topology/die_id = 0
        devices/system/cpu/cpu{4-7,12-15}/topology/die_id = 1
        devices/system/cpu/cpu{0-15}/cache/index3/level = 3
        devices/system/cpu/cpu{0-3}/cache/index3/id = 0
        devices/system/cpu/cpu{4-7}/cache/index3/id = 1
        devices/system/cpu/cpu{8-15}/cache/index3/shared_cpu_map = 0000ff00
        devices/system/cpu/cpu{0-15}/node1 =";
    let (machine, _) = read(&tree(text));
    assert_eq!(groups(&machine, Level::Package), "0-7 8-14");
    assert_eq!(groups(&machine, Level::Core), "0-1 2-3 4-5 6-7 8-9 10-11 12-13 14");
    assert_eq!(groups(&machine, Level::Llc), "0-3 4-7 8-14");
    assert_eq!(machine.nodes()[0].id, NodeId(1));
    assert_eq!(machine.offline().to_string(), "15");
}

/// With sub-NUMA clustering an LLC spans nodes; without NUMA a node spans packages.
#[test]
fn llc_and_node_need_not_nest() {
    let mut spec = tree(
        "devices/system/cpu/online = 0-7
         devices/system/cpu/cpu{0-3}/topology/package_cpus_list = 0-3
         devices/system/cpu/cpu{4-7}/topology/package_cpus_list = 4-7
         devices/system/cpu/cpu{0-7}/topology/core_cpus_list = {}
         devices/system/cpu/cpu{0-7}/cache/index3/level = 3
         devices/system/cpu/cpu{0-3}/cache/index3/shared_cpu_list = 0-3
         devices/system/cpu/cpu{4-7}/cache/index3/shared_cpu_list = 4-7",
    );
    let (machine, _) = read(&spec);
    assert_eq!(groups(&machine, Level::Node), "0-7");
    assert_eq!(groups(&machine, Level::Package), "0-3 4-7");
    assert!(machine.tree().contains("node 0 (part): CPUs 4-7"), "{}", machine.tree());

    spec.insert("devices/system/node/node0/cpulist", "0-1,4-7\n");
    spec.insert("devices/system/node/node1/cpulist", "2-3\n");
    let (machine, _) = read(&spec);
    assert_eq!(groups(&machine, Level::Node), "0-1,4-7 2-3");
    assert_eq!(groups(&machine, Level::Llc), "0-3 4-7");
    assert!(machine.tree().contains("LLC 0 (L3) (part): CPUs 2-3"), "{}", machine.tree());
}

/// Damage to one CPU's files costs at most what the others don't say.
#[test]
fn damage_is_repaired_from_the_others() {
    let whole = read_clean(AMD);
    let mut tree = tree(AMD);
    for file in ["topology", "cache", "online"] {
        tree.remove(&format!("devices/system/cpu/cpu17/{file}"));
    }
    tree.insert("devices/system/cpu/cpu17/uevent", "");
    tree.insert("devices/system/cpu/cpu33/cache/index3/shared_cpu_list", "#$%\n");
    tree.insert("devices/system/cpu/cpu34/cache/index3/size", "large\n");
    let (machine, warnings) = read(&tree);
    for level in [Level::Core, Level::Llc, Level::Package, Level::Node] {
        assert_eq!(machine.groups(level), whole.groups(level), "{level}");
    }
    assert_eq!(
        warnings,
        [
            "devices/system/cpu/cpu*/cache/index3/shared_cpu_list: unreadable for CPU 33: \
             CPU mask, at offset 0: expected a CPU number, found '#'",
            "devices/system/cpu/cpu*/cache/index3/size: unreadable for CPU 34: \
             ignored, expected a number and K, M or G",
        ]
    );
}

#[test]
fn contradictions_are_told() {
    let mut tree = tree(ARM);
    tree.insert("devices/system/cpu/cpu5/topology/core_cpus_list", "4-5\n");
    tree.insert("devices/system/cpu/cpu6/topology/core_cpus_list", "4-5\n");
    tree.insert("devices/system/cpu/online", "0-9\n");
    let (machine, warnings) = read(&tree);
    assert_eq!(machine.online().to_string(), "0-7");
    assert_eq!(groups(&machine, Level::Core), "0 1 2 3 4 5 6 7");
    assert_eq!(
        warnings,
        [
            "devices/system/cpu/cpu*: missing for CPUs 8-9: \
             in the list of present or online CPUs, but left out",
            "devices/system/cpu/cpu*/topology/core_cpus_list: inconsistent for CPU 4: \
             differs from the lists of other CPUs in it",
            "devices/system/cpu/cpu*/topology/core_cpus_list: inconsistent for CPU 6: \
             ignored, the CPU itself is missing",
        ]
    );
}

#[test]
fn no_machine() {
    assert_eq!(Topology::from_sysfs(&MemoryTree::new()), Err(SysfsError::NoCpus));
    let tree = tree("devices/system/cpu/cpu{0-65536}/online = 1");
    assert_eq!(Topology::from_sysfs(&tree), Err(SysfsError::TooManyCpus { count: 65537 }));
}
