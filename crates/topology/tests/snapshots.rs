// SPDX-License-Identifier: GPL-2.0-or-later
//! Snapshots: what is saved is loaded again, and nonsense is refused in words.

use proptest::prelude::*;
use rota_topology::{MemoryTree, ModelError, SnapshotError, Spec, Topology};

const TREES: [&str; 4] = [
    include_str!("trees/hybrid.txt"),
    include_str!("trees/amd.txt"),
    include_str!("trees/arm.txt"),
    include_str!("trees/holes.txt"),
];

fn small() -> String {
    "2l:2c:2t".parse::<Spec>().expect("a machine").topology().to_json()
}

#[test]
fn trees_survive() {
    for text in TREES {
        let tree = MemoryTree::from_text(text).expect("well-formed");
        let machine = Topology::from_sysfs(&tree).expect("a machine").topology;
        let json = machine.to_json();
        assert_eq!(Topology::from_json(&json).expect("a snapshot"), machine);
    }
}

#[test]
fn the_text() {
    let machine = "2t".parse::<Spec>().expect("a machine").topology();
    let expected = r#"{
  "schema": "rota-topology/1",
  "possible": "0-1",
  "capacity_source": "stated",
  "core_type_source": "stated",
  "packages": [
    {"package":0,"cpus":"0-1"}
  ],
  "nodes": [
    {"node":0,"cpus":"0-1","distances":[10]}
  ],
  "llcs": [
    {"llc":0,"cpus":"0-1","origin":"cache","level":3}
  ],
  "clusters": [],
  "cores": [
    {"core":0,"cpus":"0-1"}
  ],
  "cpus": [
    {"cpu":0,"online":true,"core":0,"llc":0,"package":0,"node":0,"capacity":1024,"core_type":"uniform"},
    {"cpu":1,"online":true,"core":0,"llc":0,"package":0,"node":0,"capacity":1024,"core_type":"uniform"}
  ]
}
"#;
    assert_eq!(machine.to_json(), expected);
}

/// What a CPU repeats of its groups, and its defaults, may be left out; an offline CPU may have a
/// place or none.
#[test]
fn by_hand() {
    let text = r#"{"schema": "rota-topology/1", "possible": "0-7",
        "capacity_source": "assumed", "core_type_source": "assumed",
        "packages": [{"package": 0, "cpus": "0-1"}],
        "nodes": [{"node": 3, "cpus": "0-1", "distances": [10]}],
        "llcs": [{"llc": 0, "cpus": "0-1", "origin": "package"}],
        "cores": [{"core": 0, "cpus": "0-1"}],
        "cpus": [{"cpu": 0, "online": true}, {"cpu": 1, "online": false}, {"cpu": 5, "online": false}]}"#;
    let machine = Topology::from_json(text).expect("a snapshot");
    assert_eq!(machine.offline().to_string(), "1,5");
    assert_eq!(machine.cpus()[1].place.map(|place| place.thread), Some(1));
    assert_eq!(machine.cpus()[2].place, None);
}

fn check(change: (&str, &str), expected: &str) {
    let text = small();
    assert!(text.contains(change.0), "{:?} is not in {text}", change.0);
    let text = text.replacen(change.0, change.1, 1);
    let error = Topology::from_json(&text).expect_err("nonsense");
    assert_eq!(error.to_string(), format!("topology snapshot: {expected}"));
}

#[test]
fn nonsense() {
    check(
        ("rota-topology/1", "rota-topology/2"),
        "the schema is \"rota-topology/2\", expected \"rota-topology/1\"",
    );
    check(("\"schema\"", "\"scheme\""), "the schema is \"\", expected \"rota-topology/1\"");
    check(("\"cpu\":5", "\"cpu\":4"), "CPU 4 comes twice or out of order");
    check(("\"cpu\":7", "\"cpu\":8"), "CPU 8 is present but not in the mask of possible CPUs");
    check(
        ("{\"llc\":0,\"cpus\":\"0-3\"", "{\"llc\":0,\"cpus\":\"0-4\""),
        "CPU 4 is in LLC 0 and in LLC 1",
    );
    check(("{\"llc\":0,\"cpus\":\"0-3\"", "{\"llc\":0,\"cpus\":\"0-2\""), "CPU 3 is in no LLC");
    check(("{\"llc\":0,\"cpus\":\"0-3\"", "{\"llc\":0,\"cpus\":\"\""), "LLC 0 has no CPU");
    check(
        ("{\"llc\":0,\"cpus\":\"0-3\"", "{\"llc\":0,\"cpus\":\"0-3,9\""),
        "LLC 0 has CPU 9, which is not present",
    );
    check(
        ("{\"llc\":0,\"cpus\":\"0-3\"", "{\"llc\":0,\"cpus\":\"0-3;\""),
        "llcs[0].cpus: CPU mask, at offset 3: expected ',' or the end, found ';'",
    );
    check(("\"core\":1,\"llc\":0", "\"core\":1,\"llc\":7"), "CPU 2 says LLC 7, but LLC 0 lists it");
    check(
        ("{\"core\":1,", "{\"core\":5,"),
        "core 5 stands where core 1 belongs: numbers are dense, in the order of the lowest CPU",
    );
    check(
        ("\"distances\":[10]", "\"distances\":[10,20]"),
        "node 0 has 2 distances, but there are 1 nodes",
    );
    check(
        ("\"distances\":[10]", "\"distances\":[0]"),
        "a distance of node 0 is 0, expected 1 to 255",
    );
    check(
        ("\"node\":0,\"cpus\"", "\"node\":4000000,\"cpus\""),
        "number of node 4000000 is 4000000, expected 0 to 1023",
    );
    check(
        ("\"capacity\":1024", "\"capacity\":4096"),
        "capacity of CPU 0 is 4096, expected 1 to 1024",
    );
    check(
        ("\"level\":3", "\"level\":3,\"size_bytes\":9999999999999"),
        "size in bytes of LLC 0 is 9999999999999, expected 1 to 1099511627776",
    );
    check(
        ("\"possible\": \"0-7\"", "\"possible\": \"0-9999999\""),
        "possible: CPU mask, at offset 2: CPU numbers end at 1048575",
    );
    check(
        ("\"origin\"", "\"orgin\""),
        "unknown field `orgin`, expected one of `llc`, `cpus`, `origin`, `level`, `size_bytes`, `kernel_id` at line 13 column 33",
    );
}

#[test]
fn split_cores() {
    let text = small()
        .replace("{\"llc\":0,\"cpus\":\"0-3\"", "{\"llc\":0,\"cpus\":\"0-2\"")
        .replace("{\"llc\":1,\"cpus\":\"4-7\"", "{\"llc\":1,\"cpus\":\"3-7\"");
    let error = Topology::from_json(&text).expect_err("nonsense");
    assert!(matches!(error, SnapshotError::Model(ModelError::SplitCore { .. })), "{error}");
}

#[test]
fn truncated() {
    let text = small();
    let lines: Vec<&str> = text.lines().take(8).collect();
    let error = Topology::from_json(&lines.join("\n")).expect_err("truncated");
    assert_eq!(
        error.to_string(),
        "topology snapshot: EOF while parsing a value at line 8 column 4"
    );
    for end in 0..text.trim_end().len() {
        assert!(Topology::from_json(&text[..end]).is_err());
    }
}

#[test]
fn absurd_sizes() {
    let cpus: Vec<String> =
        (0..65537).map(|id| format!("{{\"cpu\":{id},\"online\":true}}")).collect();
    let text = small();
    let from = text.find("\"cpus\": [").expect("the list of CPUs");
    let text = format!("{}\"cpus\": [{}]}}", &text[..from], cpus.join(","));
    let error = Topology::from_json(&text).expect_err("too large").to_string();
    assert_eq!(error, "topology snapshot: 65537 entries in cpus, at most 65536 are taken");
    let error = Topology::from_json(&" ".repeat((64 << 20) + 1)).expect_err("too long");
    assert!(matches!(error, SnapshotError::TooLong { .. }), "{error}");
}

proptest! {
    /// Machines of the short form with some CPUs off and some values changed.
    #[test]
    fn round_trip(
        s in 1..3u32, n in 1..3u32, l in 1..3u32, c in 1..4u32, t in 1..3u32,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1..1024u32, any::<bool>()), 0..8),
    ) {
        let json = Spec::new(s, n, l, c, t).expect("small enough").topology().to_json();
        let (head, cpus) = json.split_at(json.find("\"cpus\": [").expect("the list of CPUs"));
        let mut lines: Vec<String> = cpus.lines().map(str::to_owned).collect();
        let count = lines.len() - 3;
        for (at, capacity, off) in changes {
            let line = &mut lines[1 + at.index(count)];
            *line = line.replace(
                "\"capacity\":1024,\"core_type\":\"uniform\"",
                &format!("\"capacity\":{capacity},\"core_type\":\"efficiency\",\"freq_max_khz\":{capacity}000"),
            );
            if off {
                *line = line.replace("true", "false");
            }
        }
        let text = format!("{head}{}", lines.join("\n"));
        match Topology::from_json(&text) {
            Ok(machine) => {
                prop_assert_eq!(machine.to_json(), format!("{text}\n"));
                prop_assert_eq!(Topology::from_json(&machine.to_json()).ok(), Some(machine));
            }
            Err(error) => {
                let none_left = matches!(error, SnapshotError::Model(ModelError::NoneOnline));
                prop_assert!(none_left, "{}", error);
            }
        }
    }

    /// One byte changed: taken or refused, never a panic.
    #[test]
    fn damaged(at in any::<prop::sample::Index>(), byte in b' '..b'~') {
        let mut bytes = small().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(machine) = Topology::from_json(&String::from_utf8_lossy(&bytes)) {
            prop_assert!(!machine.tree().is_empty());
        }
    }
}
