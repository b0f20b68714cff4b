// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf` says of each program, map, link and set of types what bpftool says of it, field by field,
//! while the recorder's are there.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
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

/// The fields of an object, but for who holds it and what it has run meanwhile; lists in order.
fn fields(object: &Value) -> BTreeMap<String, Value> {
    let sorted = |value: &Value| match value {
        Value::Array(numbers) => {
            let mut numbers: Vec<_> = numbers.iter().filter_map(Value::as_u64).collect();
            numbers.sort_unstable();
            Value::from(numbers)
        }
        value => value.clone(),
    };
    let moves = ["pids", "run_cnt", "run_time_ns"];
    let fields = object.as_object().unwrap().iter().filter(|(name, _)| !moves.contains(&&***name));
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

/// A program and its maps, kept by a file in a file system of this test's own.
struct Pinned {
    folder: tempfile::TempDir,
}

impl Pinned {
    fn new() -> Self {
        let pinned = Self { folder: tempfile::tempdir().unwrap() };
        let mut mount = Command::new("mount");
        assert!(
            mount.args(["-t", "bpf", "none"]).arg(pinned.folder.path()).status().unwrap().success()
        );
        let object = tempfile::NamedTempFile::new().unwrap();
        fs::write(object.path(), rota_programs::test::VALUES).unwrap();
        let object = object.path().to_str().unwrap();
        pinned.bpftool(&["prog", "load", object, pinned.program().to_str().unwrap()]);
        let packet = tempfile::NamedTempFile::new().unwrap();
        fs::write(packet.path(), [0; 64]).unwrap();
        let (program, packet) = (pinned.program(), packet.path().to_str().unwrap());
        pinned.bpftool(&["prog", "run", "pinned", program.to_str().unwrap(), "data_in", packet]);
        pinned
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("a program")
    }

    fn bpftool(&self, line: &[&str]) -> String {
        let output = Command::new("bpftool").args(line).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The maps of the program, by their names.
    fn maps(&self) -> BTreeMap<String, Value> {
        let program = self.program();
        let program =
            list("progs").into_iter().find(|it| it["pinned"][0] == program.to_str().unwrap());
        let ids = program.expect("the program is listed")["map_ids"].clone();
        let ids = ids.as_array().unwrap();
        let own = list("maps").into_iter().filter(|map| ids.contains(&map["id"]));
        own.map(|map| (map["name"].as_str().unwrap().to_owned(), map)).collect()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        Command::new("umount").arg(self.folder.path()).status().unwrap();
    }
}

/// bpftool has the bits of bit-fields as text, without their sign.
fn bits_as_numbers(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(bits_as_numbers),
        Value::Object(fields) => {
            for (name, value) in fields {
                let bits = ["low", "middle", "signed_bits", "high"].contains(&name.as_str());
                match value.as_str().and_then(|text| text.strip_prefix("0x")) {
                    Some(digits) if bits => {
                        let number = i64::from_str_radix(digits, 16).unwrap();
                        let sign = name == "signed_bits" && number >= 16;
                        *value = Value::from(if sign { number - 32 } else { number });
                    }
                    _ => bits_as_numbers(value),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn maps_are_dumped_as_bpftool_dumps_them() {
    let pinned = Pinned::new();
    let maps = pinned.maps();
    assert_eq!(maps.len(), 6, "{:?}", maps.keys());
    for (name, map) in &maps {
        let id = map["id"].to_string();
        let theirs = pinned.bpftool(&["-j", "map", "dump", "id", &id]);
        let mut theirs: Value = serde_json::from_str(&theirs).unwrap();
        bits_as_numbers(&mut theirs);
        assert_eq!(Value::from(list(&format!("map dump {id}"))), theirs, "{name}");
    }
    let text = |name: &str| {
        let map = maps.iter().find(|(it, _)| it.ends_with(name)).unwrap().1;
        let output = rota(&format!("bpf map dump {}", map["id"]));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(text("colours"), "[0] = RED\n[1] = BLUE\n[2] = RED\n");
    assert_eq!(text("untyped"), "[0] = 00 00 00 00 00 00 00 00\n[1] = ff ff ff ff ff ff ff ff\n");
    assert_eq!(text(".rodata"), "least = -128\ngreeting = \"hello\"\n");
    let one = text("by_key");
    assert!(
        one.starts_with("[{ group = 9, kind = 200 }] = {\n  count = 7,\n  balance = -7,\n"),
        "{one}"
    );
    assert!(one.contains("\n  bytes = [ 111, 107, 0 (4 times) ],\n"), "{one}");
    // Where the program ran, and on no other CPU.
    let by_cpu = text("by_cpu");
    assert_eq!(by_cpu.matches("= { x = -128, y = 100 }\n").count(), 1, "{by_cpu}");
    assert!(by_cpu.starts_with("[18446744073709551615] on CPU 0 = "), "{by_cpu}");
}

#[test]
fn a_file_says_what_it_keeps() {
    let pinned = Pinned::new();
    let maps = pinned.maps();
    let file = pinned.folder.path().join("map");
    let id = maps["colours"]["id"].to_string();
    pinned.bpftool(&["map", "pin", "id", &id, file.to_str().unwrap()]);
    let file = file.to_str().unwrap();
    let dump = |map: &str| rota(&format!("bpf map dump {map}"));
    assert_eq!(dump(file).stdout, dump(&id).stdout);
    let table = String::from_utf8(rota(&format!("bpf maps {id}")).stdout).unwrap();
    assert!(table.contains(file), "{table}");
    // Of what can't be dumped it is said why.
    let folder = pinned.folder.path();
    for (map, code, words) in [
        ("no_such_map".to_owned(), 1, "there is no map 'no_such_map'"),
        (format!("{}/none", folder.display()), 2, "No such file"),
        ("/dev/null".to_owned(), 2, "/dev/null: "),
    ] {
        let output = dump(&map);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(
            output.stdout.is_empty() && said.contains(words) && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn costs_are_counted_while_it_looks() {
    let recorder = Recorder::start();
    let output = rota("bpf top --count 2 --interval 200ms --format json");
    let lines = String::from_utf8(output.stdout).unwrap();
    let looks: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(looks.len(), 2);
    for look in looks {
        assert_eq!(look["schema"], "rota-bpf-top/1");
        let programs = look["programs"].as_array().unwrap();
        let ns: Vec<_> = programs.iter().map(|it| it["cost"]["run_ns"].as_u64().unwrap()).collect();
        assert!(ns.is_sorted_by(|a, b| a >= b), "{ns:?}");
        let own = programs
            .iter()
            .find(|it| recorder.holds(&it["program"]) && it["program"]["name"] == "switches");
        let cost = &own.expect("the recorder's")["cost"];
        let (runs, ns) = (cost["runs"].as_u64().unwrap(), cost["run_ns"].as_u64().unwrap());
        // This test switches itself.
        assert!(runs > 0 && ns > 0 && cost["ns_per_run"] == ns / runs, "{cost}");
    }
    let table = String::from_utf8(rota("bpf top --count 1 --interval 50ms").stdout).unwrap();
    assert!(table.starts_with("PROGRAM  TYPE") && table.contains("switches"), "{table}");
    assert_eq!(rota("bpf sched --interval 0s").status.code(), Some(1));
}
