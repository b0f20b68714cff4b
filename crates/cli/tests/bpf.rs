// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf` says of each program, map, link and set of types what bpftool says of it, field by field,
//! while the recorder's are there.

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Child, Command, Output};
use std::time::Duration;

fn rota(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rota")).args(line.split(' ')).output().unwrap()
}

fn list(what: &str) -> Vec<Value> {
    let output = rota(&format!("bpf {what} --format json"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A recorder of this test, as long as this lives.
struct Recorder {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Recorder {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
        rota.args(["record", "--for", "1min", "-o"]).arg(folder.path().join("file"));
        let recorder = Self { child: rota.spawn().unwrap(), _folder: folder };
        let attached = || list("links").iter().filter(|link| recorder.holds(link)).count() >= 8;
        for _ in 0..200 {
            if attached() {
                return recorder;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nothing is attached");
    }

    fn holds(&self, object: &Value) -> bool {
        let pids = object["pids"].as_array().into_iter().flatten();
        pids.into_iter().any(|holder| holder["pid"] == self.child.id())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The fields of an object, but for who holds it; lists in order.
fn fields(object: &Value) -> BTreeMap<String, Value> {
    let sorted = |value: &Value| match value {
        Value::Array(numbers) => {
            let mut numbers: Vec<_> = numbers.iter().filter_map(Value::as_u64).collect();
            numbers.sort_unstable();
            Value::from(numbers)
        }
        value => value.clone(),
    };
    let fields = object.as_object().unwrap().iter().filter(|(name, _)| *name != "pids");
    fields.map(|(name, value)| (name.clone(), sorted(value))).collect()
}

#[test]
fn lists_are_those_of_bpftool() {
    let recorder = Recorder::start();
    let lists = [("progs", "prog", 8), ("maps", "map", 5), ("links", "link", 8), ("btf", "btf", 1)];
    for (ours, theirs, least) in lists {
        let own: Vec<_> = list(ours).into_iter().filter(|it| recorder.holds(it)).collect();
        assert!(own.len() >= least, "{ours}: {own:?}");
        for object in own {
            // One by one: its list of maps tells types of the map before, where one has none.
            let id = object["id"].to_string();
            let line = ["-j", theirs, "show", "id", &id];
            let output = Command::new("bpftool").args(line).output().unwrap();
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            let told = if let Value::Array(one) = &told { &one[0] } else { &told };
            assert_eq!(fields(&object), fields(told), "{ours} {id}");
        }
    }
}

#[test]
fn tables_have_a_line_each_and_names_choose() {
    let recorder = Recorder::start();
    for what in ["progs", "maps", "links", "btf"] {
        let table = String::from_utf8(rota(&format!("bpf {what}")).stdout).unwrap();
        let own = format!("({})", recorder.child.id());
        let lines = table.lines().filter(|line| line.contains(&own)).count();
        assert_eq!(lines, list(what).iter().filter(|it| recorder.holds(it)).count(), "{table}");
    }
    let lost = list("maps lost");
    assert!(lost.iter().all(|map| map["name"] == "lost"));
    let mine = lost.iter().find(|map| recorder.holds(map)).unwrap();
    assert_eq!(mine["type"], "percpu_array");
    assert_eq!(list(&format!("maps {}", mine["id"])), [mine.clone()]);
    let output = rota("bpf maps lost no_such_map");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no_such_map"));
}
