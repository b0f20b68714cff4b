// SPDX-License-Identifier: GPL-2.0-or-later
//! Damaged sysfs trees: whatever is removed or overwritten, reading ends with a machine that
//! holds together, or with an error, and never with a panic.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use rota_topology::{CpuMask, Level, MemoryTree, SYSFS_PATHS, SysfsError, Topology, Tree};

const HYBRID: &str = include_str!("trees/hybrid.txt");
const AMD: &str = include_str!("trees/amd.txt");
const ARM: &str = include_str!("trees/arm.txt");
const HOLES: &str = include_str!("trees/holes.txt");

fn tree(text: &str) -> MemoryTree {
    MemoryTree::from_text(text).expect("the trees of the tests are well-formed")
}

/// What may happen to a file or to the folder it is in.
#[derive(Clone, Debug)]
enum Damage {
    Remove,
    RemoveFolder,
    Bytes(Vec<u8>),
    Text(&'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let texts = [
        "",
        "0",
        "-1",
        "0-1",
        "3,1",
        "0-1048575",
        "1048576",
        "4294967296",
        "65535",
        "0 0 0",
        "(null)",
        "99999999999999999999",
        "10 20",
        "16M",
        "7-3",
        "0-255",
        "ffffffff,ffffffff",
        "Instruction",
    ];
    prop_oneof![
        Just(Damage::Remove),
        Just(Damage::RemoveFolder),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Damage::Bytes),
        prop::sample::select(texts.to_vec()).prop_map(Damage::Text),
    ]
}

/// Every online CPU is in exactly one group of each kind, and snapshot and tree work.
fn check_sound(machine: &Topology) {
    for level in [Level::Core, Level::Llc, Level::Package, Level::Node] {
        let groups = machine.groups(level);
        let total: usize = groups.iter().map(CpuMask::count).sum();
        assert_eq!(total, machine.online().count(), "{level}");
        let union = groups.iter().fold(CpuMask::new(), |all, group| &all | group);
        assert_eq!(&union, machine.online(), "{level}");
    }
    assert_eq!(Topology::from_json(&machine.to_json()).ok().as_ref(), Some(machine));
    assert!(machine.tree().lines().count() >= 4);
}

/// A tree without a CPU is refused; a contradiction would be a hole in the fallbacks.
fn check_reading(tree: &MemoryTree) {
    match Topology::from_sysfs(tree) {
        Ok(reading) => check_sound(&reading.topology),
        Err(error) => assert_eq!(error, SysfsError::NoCpus),
    }
}

fn check_damaged(text: &str, damages: &[(prop::sample::Index, Damage)]) {
    let mut tree = tree(text);
    for (at, damage) in damages {
        let paths: Vec<String> = tree.files().map(|(path, _)| path.to_owned()).collect();
        if paths.is_empty() {
            break;
        }
        let path = &paths[at.index(paths.len())];
        match damage {
            Damage::Remove => tree.remove(path),
            Damage::RemoveFolder => tree.remove(path.rsplit_once('/').map_or("", |(dir, _)| dir)),
            Damage::Bytes(bytes) => tree.insert(path.clone(), bytes.clone()),
            Damage::Text(text) => tree.insert(path.clone(), *text),
        }
    }
    check_reading(&tree);
}

fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, Damage)>> {
    prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..30)
}

proptest! {
    #[test]
    fn hybrid(damages in damages()) {
        check_damaged(HYBRID, &damages);
    }

    #[test]
    fn arm(damages in damages()) {
        check_damaged(ARM, &damages);
    }

    #[test]
    fn holes(damages in damages()) {
        check_damaged(HOLES, &damages);
    }

    #[test]
    fn text_form_round_trip(files in prop::collection::btree_map("[a-z]{1,3}(/[a-z0-9]{1,3}){0,2}", prop::collection::vec(any::<u8>(), 0..10), 0..8)) {
        let mut tree = MemoryTree::new();
        for (path, mut bytes) in files {
            bytes.push(b'\n');
            tree.insert(path, bytes);
        }
        prop_assert_eq!(MemoryTree::from_text(&tree.to_text()), Ok(tree));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn amd(damages in damages()) {
        check_damaged(AMD, &damages);
    }
}

/// Every single file removed, overwritten with nothing, and with nonsense.
#[test]
fn each_file_of_a_small_tree() {
    let whole = tree(HOLES);
    for (path, _) in whole.files() {
        for value in [None, Some(""), Some("\u{0}\u{1}"), Some("0-1048575")] {
            let mut tree = whole.clone();
            match value {
                None => tree.remove(path),
                Some(value) => tree.insert(path, value),
            }
            check_reading(&tree);
        }
    }
}

struct Recorder {
    tree: MemoryTree,
    seen: RefCell<BTreeSet<String>>,
}

impl Tree for Recorder {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let bytes = self.tree.read(path)?;
        self.seen.borrow_mut().insert(path.to_owned());
        Some(bytes)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.tree.list(dir)
    }
}

/// `SYSFS_PATHS` is all that is read, so a collected tree gives the same machine.
#[test]
fn collected_trees_are_complete() {
    for text in [HYBRID, AMD, ARM, HOLES] {
        let mut tree = tree(text);
        tree.insert("devices/system/cpu/cpu0/cpuidle/state0/name", "POLL\n");
        let recorder = Recorder { tree, seen: RefCell::default() };
        let reading = Topology::from_sysfs(&recorder).expect("a machine");
        let copy = MemoryTree::collect(&recorder.tree);
        assert_eq!(Topology::from_sysfs(&copy).as_ref(), Ok(&reading));
        assert_eq!(MemoryTree::from_text(&copy.to_text()), Ok(copy.clone()));
        for path in recorder.seen.into_inner() {
            assert!(copy.read(&path).is_some(), "{path} is not among {SYSFS_PATHS:?}");
        }
        assert!(copy.read("devices/system/cpu/cpu0/cpuidle/state0/name").is_none());
    }
}

#[test]
fn tree_text_errors() {
    let check = |text: &str, expected: &str| {
        let error = MemoryTree::from_text(text).expect_err("nonsense").to_string();
        assert_eq!(error, expected);
    };
    check("# fine\n\nonline", "line 3: expected `path = value`, found no '='");
    check("cpu{0-/a = 1", "line 1: a '{' in the path has no '}'");
    // Few bytes that stand for many.
    let many = "cpu{0-1048575}/a = 1\n".repeat(4);
    check(&many, "line 4: the braces stand for more files than any machine has");
    check(
        "cpu{0-}/a = 1",
        "line 1: CPU mask, at offset 2: expected the last CPU of the range, found the end",
    );
    check("cpu{0}/a = {x}", "line 1: `{x}` is no shift like {+2}");
    check("a = \\q", "line 1: after '\\' expected '\\' or 'x' and two hexadecimal digits");
}
