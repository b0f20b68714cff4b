// SPDX-License-Identifier: GPL-2.0-or-later
//! Dependencies point downward only, and what is heavy has one owner.
//!
//! The tables are the design; a new edge is a change of the design and belongs here first. The
//! table of `ARCHITECTURE.md` has the rows of those packages that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// A package, its layer, and the packages of ours that it may use (build scripts included).
/// Tests may use anything. Layer 9 is for what is not part of the product.
const LAYERS: &[(&str, u32, &[&str])] = &[
    ("rota-topology", 0, &[]),
    ("rota-events", 0, &[]),
    ("rota-workload", 1, &["rota-topology", "rota-events"]),
    ("rota-object", 1, &["rota-events", "rota-topology"]),
    ("rota-balance", 1, &["rota-topology"]),
    ("rota-bytecode", 2, &["rota-object"]),
    ("rota-programs", 2, &["rota-object"]),
    ("rota-trace", 2, &["rota-events", "rota-topology", "rota-workload"]),
    ("rota-compare", 3, &["rota-events", "rota-trace"]),
    (
        "rota-sched",
        3,
        &["rota-object", "rota-programs", "rota-topology", "rota-balance", "rota-events"],
    ),
    ("rota-kernel", 3, &["rota-object", "rota-topology", "rota-events"]),
    (
        "rota-sim",
        3,
        &["rota-object", "rota-bytecode", "rota-topology", "rota-events", "rota-workload"],
    ),
    (
        "rota-inspect",
        4,
        &[
            "rota-kernel",
            "rota-object",
            "rota-programs",
            "rota-topology",
            "rota-events",
            "rota-workload",
        ],
    ),
    ("rota-load", 4, &["rota-kernel", "rota-topology", "rota-events", "rota-workload"]),
    ("rota", 5, ALL),
    ("rota-vmtest", 9, &[]),
    (
        "rota-fuzz",
        9,
        &[
            "rota-topology",
            "rota-object",
            "rota-bytecode",
            "rota-programs",
            "rota-sim",
            "rota-inspect",
            "rota-workload",
            "rota-events",
            "rota-trace",
        ],
    ),
    ("xtask", 9, &[]),
];

/// What the binary may use: everything, the virtual machines included.
const ALL: &[&str] = &[
    "rota-topology",
    "rota-events",
    "rota-object",
    "rota-workload",
    "rota-balance",
    "rota-bytecode",
    "rota-programs",
    "rota-trace",
    "rota-compare",
    "rota-sched",
    "rota-kernel",
    "rota-sim",
    "rota-inspect",
    "rota-load",
    "rota-vmtest",
];

/// The start of a dependency's name, and the one package that may use it.
const OWNERS: &[(&str, &str)] = &[
    ("cranelift", "rota-bytecode"),
    ("corosensei", "rota-bytecode"),
    ("libbpf", "rota-kernel"),
    ("clang", "rota-programs"),
    ("libfuzzer", "rota-fuzz"),
    ("parquet", "rota-trace"),
    ("arrow", "rota-trace"),
];

/// A dependency, of a package of ours on anything.
type Edge<'a> = (&'a str, &'a str);

/// What is wrong with these edges between these packages of ours.
fn violations<'a>(packages: &BTreeSet<&'a str>, edges: &[Edge<'a>]) -> Vec<String> {
    let row = |name: &str| LAYERS.iter().find(|(known, ..)| *known == name);
    let mut found = Vec::new();
    for package in packages {
        if row(package).is_none() {
            found.push(format!("{package} has no layer; add it to LAYERS"));
        }
    }
    for (from, to) in edges {
        let allowed = row(from).is_none_or(|(_, _, allowed)| allowed.contains(to));
        if packages.contains(to) && !allowed {
            found.push(format!("{from} → {to}: not an edge of the design"));
        }
        let owner = OWNERS.iter().find(|(start, _)| to.starts_with(start));
        if let Some((start, owner)) = owner.filter(|(_, owner)| owner != from) {
            found.push(format!("{from} → {to}: only {owner} may use {start}…"));
        }
    }
    found
}

#[test]
fn dependencies_point_downward() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    let packages: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    assert!(packages.contains("rota") && packages.contains("xtask"), "{packages:?}");
    let mut edges = Vec::new();
    for package in &metadata.packages {
        let kinds = [DependencyKind::Normal, DependencyKind::Build];
        let used = package.dependencies.iter().filter(|used| kinds.contains(&used.kind));
        edges.extend(used.map(|used| (package.name.as_str(), used.name.as_str())));
    }
    assert_eq!(violations(&packages, &edges), Vec::<String>::new());
}

/// A package's layer, and what it may use.
type Row = (u32, BTreeSet<String>);

/// The packages that the table of a text has.
fn written(text: &str) -> BTreeMap<String, Row> {
    let (_, text) = text.split_once("\n## Layers\n").unwrap();
    let (text, _) = text.split_once("\n## ").unwrap();
    let mut rows = BTreeMap::new();
    let mut everything = BTreeSet::new();
    for line in text.lines().filter(|line| line.contains("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, layer, names, uses, _] = cells.as_slice() else { panic!("no row: {line}") };
        let mut uses = packages_in(uses);
        if *names == "`cli` (package `rota`)" {
            uses.append(&mut everything.clone());
        }
        for name in packages_in(names) {
            everything.insert(name.clone());
            rows.insert(name, (layer.parse().unwrap_or(9), uses.clone()));
        }
    }
    rows
}

/// The packages that a cell names.
fn packages_in(cell: &str) -> BTreeSet<String> {
    let package = |name: &str| match name {
        "cli" | "rota" => "rota".to_owned(),
        "xtask" => name.to_owned(),
        _ => format!("rota-{name}"),
    };
    cell.split('`').skip(1).step_by(2).map(package).collect()
}

#[test]
fn the_map_has_the_same_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec();
    let metadata = metadata.unwrap();
    let exists = |name: &str| metadata.packages.iter().any(|package| package.name == name);
    let rows = LAYERS.iter().filter(|row| exists(row.0)).map(|(name, layer, allowed)| {
        let allowed = allowed.iter().filter(|name| exists(name)).map(|name| (*name).to_owned());
        ((*name).to_owned(), (*layer, allowed.collect()))
    });
    assert_eq!(written(&text), rows.collect::<BTreeMap<String, Row>>());
}

#[test]
fn the_table_itself_points_downward() {
    let layer = |name: &str| LAYERS.iter().find(|row| row.0 == name).map(|row| row.1);
    for (from, from_layer, allowed) in LAYERS {
        for to in *allowed {
            let to_layer = layer(to).unwrap_or_else(|| panic!("{to} has no row"));
            // The harness stands beside the layers, and the binary starts it for `verify --vm`.
            let downward = to_layer < *from_layer || *to == "rota-vmtest";
            assert!(downward, "{from} ({from_layer}) → {to} ({to_layer})");
        }
    }
}

#[test]
fn made_up_edges_are_caught() {
    let packages = LAYERS.iter().map(|row| row.0).collect();
    let check = |edge: Edge<'_>, expected: &[&str]| {
        assert_eq!(violations(&packages, &[edge]), expected);
    };
    check(("rota-kernel", "rota-object"), &[]);
    check(("rota", "rota-vmtest"), &[]);
    check(("rota-object", "serde"), &[]);
    // Upward, sideways, and past the harness.
    check(("rota-object", "rota-sim"), &["rota-object → rota-sim: not an edge of the design"]);
    check(("rota-kernel", "rota-sched"), &["rota-kernel → rota-sched: not an edge of the design"]);
    check(("rota-inspect", "rota"), &["rota-inspect → rota: not an edge of the design"]);
    check(("xtask", "rota-object"), &["xtask → rota-object: not an edge of the design"]);
    // Downward, but not in the design.
    check(
        ("rota-sched", "rota-workload"),
        &["rota-sched → rota-workload: not an edge of the design"],
    );
    check(("rota", "libbpf-rs"), &["rota → libbpf-rs: only rota-kernel may use libbpf…"]);
}

#[test]
fn a_new_package_needs_a_layer() {
    let packages = BTreeSet::from(["rota-news"]);
    let expected = ["rota-news has no layer; add it to LAYERS"];
    assert_eq!(violations(&packages, &[("rota-news", "serde")]), expected);
}
