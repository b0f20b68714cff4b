// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota sim` from outside: what it prints, how it ends, and what it says to bad input.

use rota_events::Reader;
use rota_programs::test;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

fn rota(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rota")).arg("sim").args(words).output().unwrap()
}

/// The same, split at blanks.
fn sim(line: &str) -> Output {
    rota(&line.split_whitespace().collect::<Vec<_>>())
}

fn stdout(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(line: &str) -> Value {
    serde_json::from_str(&stdout(&sim(&format!("{line} --format json")))).unwrap()
}

/// A file with these bytes in a folder of the test's own.
fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_table_tells_what_was_done() {
    let text = stdout(&sim("simple --machine 4c --workload periodic:tasks=8,run=1ms --for 1s"));
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    let words = |start: &str| line(start).split_whitespace().collect::<Vec<_>>();
    assert!(text.starts_with("simple on a simulated machine: 4c, 4 CPUs, Linux 7.3, seed 1, "));
    assert_eq!(words("periodic")[1], "8");
    let work: f64 = words("periodic")[2].parse().unwrap();
    assert!((792.0..=800.0).contains(&work), "{text}");
    assert!(line("utilisation 2").contains("switches/s"), "{text}");
    assert!(words("enqueue").len() == 3 && words("running").len() == 3, "{text}");
    assert!(text.contains("direct_share"), "the scheduler's own statistics: {text}");
}

#[test]
fn json_has_all_of_it() {
    let found =
        json("simple:fifo --machine 2c --workload cpu:tasks=4,name=hogs --for 1s --no-noise");
    assert_eq!(found["schema"], "rota-sim/1");
    assert_eq!((&found["cpus"], &found["simulated_ns"]), (&2.into(), &1_000_000_000_u64.into()));
    assert_eq!(found["settings"]["fifo"], "true");
    let group = &found["groups"][0];
    assert_eq!((group["group"].as_str(), group["tasks"].as_u64()), (Some("hogs"), Some(4)));
    let run_ns = group["run_ns"].as_u64().unwrap();
    assert_eq!(run_ns, found["busy_ns"].as_u64().unwrap());
    let all = run_ns + found["idle_ns"].as_u64().unwrap();
    assert!((1_999_000_000..=2_000_000_000).contains(&all), "{found}");
    let latency = &group["latency"];
    assert!(latency["p50_ns"].as_u64() <= latency["p99_9_ns"].as_u64());
    let kfuncs = found["kfuncs"].as_array().unwrap();
    let calls = |name: &str| kfuncs.iter().find(|k| k["name"] == name).unwrap()["calls"].as_u64();
    assert!(calls("scx_bpf_dsq_insert___v2") > Some(50) && calls("scx_bpf_create_dsq") == Some(1));
    assert!(found["exit"].is_null() && found["callbacks"].as_array().unwrap().len() > 4);
}

#[test]
fn the_same_words_give_the_same_run() {
    let words = "simple --workload forkstorm+burst+pingpong:pairs=3+periodic --for 200ms";
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    let other = command.arg("sim").args(words.split_whitespace());
    let other = other.env("A_LONG_VARIABLE", "x".repeat(5000)).output().unwrap();
    let first = stdout(&sim(words));
    assert_eq!(first, stdout(&other));
    assert_eq!(first, stdout(&sim(&format!("{words} --engine interp"))));
    assert_ne!(json(words)["events_hash"], json(&format!("{words} --seed 2"))["events_hash"]);
}

#[test]
fn settings_and_globals_are_set() {
    let shares = |settings: &str| {
        let line =
            format!("simple {settings} --machine 1c --no-noise --workload cpu:tasks=2 --for 1s");
        json(&line)["switches"].as_u64().unwrap()
    };
    let (long, short) = (shares(""), shares("--slice 2ms"));
    // Both end at ticks of 4 ms; the first switch begins the first turn.
    assert_eq!(short - 1, 5 * (long - 1), "{short} {long}");
    assert_eq!(short, shares("--set slice=2ms"));
    assert_eq!(short, shares("--set slice_ns=2000000"));
    // A global variable that is no setting: the present, in virtual time.
    let hash = |set: &str| json(&format!("simple {set} --for 50ms"))["events_hash"].clone();
    assert_eq!(hash(""), hash("--set vtime_now=0"));
    assert_ne!(hash(""), hash("--set vtime_now=0x7000000000"));
}

#[test]
fn maps_are_filled() {
    let dir = tempfile::tempdir().unwrap();
    let stats = file(&dir, "stats.json", br#"[{"key": 0, "value": [100, 0, 0, 0, 0, 0, 0, 0]}]"#);
    let direct = |map: &str| {
        let line = format!("simple --machine 4c --workload cpu --for 10ms {map}");
        json(&line)["statistics"]["direct"].as_u64().unwrap()
    };
    // Each of the four CPUs has a value of its own.
    assert_eq!(direct(&format!("--map stats={}", stats.display())), direct("") + 400);
}

#[test]
fn a_trace_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.rota");
    let found = json(&format!("simple --for 100ms --trace {}", path.display()));
    let mut reader = Reader::open(fs::File::open(&path).unwrap()).unwrap();
    let mut events = 0;
    while let Some(some) = reader.next_events().unwrap() {
        events += some.len() as u64;
    }
    assert_eq!(reader.problems().count(), 0);
    let text = dir.path().join("run.txt");
    stdout(&sim(&format!("simple --for 100ms --trace {}", text.display())));
    let lines = fs::read_to_string(&text).unwrap().lines().count() as u64;
    assert!((events..events + 20).contains(&lines), "a line an event: {lines} of {events}");
    assert_eq!(Some(events), found["events"].as_u64());
}

#[test]
fn an_ejection_is_told_as_by_run() {
    let dir = tempfile::tempdir().unwrap();
    let stall = file(&dir, "stall.bpf.o", test::STALL);
    let words = "--machine 2c --workload cpu:name=victim,tasks=1 --for 20s";
    let output = sim(&format!("{} {words}", stall.display()));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(15), "{text}");
    assert!(text.contains("stall ended: victim/0 (pid "), "{text}");
    assert!(text.contains("was ready to run and did not get a CPU in time"), "{text}");
    let words_on_error = String::from_utf8_lossy(&output.stderr);
    assert!(words_on_error.contains("stall is unverified"), "{words_on_error}");
    let give_up = file(&dir, "give_up.bpf.o", test::GIVE_UP);
    let output = sim(&format!("{} --format json", give_up.display()));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &found["exit"]["exit_code"]), (Some(14), &14.into()));
    assert_eq!(found["verified"], false);
}

#[test]
fn bad_input_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let doors = file(&dir, "doors.bpf.o", test::DOORS);
    let odd = file(&dir, "odd", b"12345");
    let nowhere = dir.path().join("missing/run.rota");
    for (line, words) in [
        ("simpel", "no scheduler 'simpel'; did you mean simple? A compiled"),
        (
            "simple --workload cpu:tasks=60000+cpu:tasks=60000",
            "120000 tasks in all; a machine can have 100000",
        ),
        ("missing.bpf.o", "missing.bpf.o: No such file"),
        (doors.to_str().unwrap(), "no sched_ext scheduler in it"),
        ("simple --machine 3z", "machine \"3z\", at offset 1: expected one of 's' (sockets)"),
        ("simple --machine 0c", "machine \"0c\", at offset 0: 0 cores"),
        ("simple --machine dektop16", "no machine 'dektop16'; did you mean desktop16?"),
        ("simple --machine 100s:100c", "a machine of 10000 CPUs; it has 1 to 8192"),
        ("simple --machine missing.json", "missing.json: No such file"),
        ("simple --workload perodic", "did you mean periodic?"),
        ("simple --workload cpu:tasks=-1", "workload cpu: tasks: '-1'"),
        ("simple --for 0s", "nothing to see in no time"),
        ("simple --kernel 6.1", "there are those of 6.16, 6.18, 7.0, 7.3"),
        ("simple --btf /dev/null", "not a file with the types of a kernel"),
        ("simple --set colour=red", "no setting 'colour'"),
        ("simple --set slice=5", "setting slice: '5' has no unit"),
        ("simple --set fifo=hex:0102030405060708090a", "setting fifo: 'hex:"),
        ("simple --map-entries none=3", "--map-entries none: the object has no map 'none'"),
        ("simple --map-inner stats=3", "--map-inner stats: the object has no map of maps 'stats'"),
        ("simple --set vtime_now=x", "--set vtime_now: 'x' is no number"),
        ("simple --colour red", "has no setting '--colour'"),
        ("eevdf --slice 5ms", "rota: --slice: eevdf has no settings"),
        ("eevdf --set slice=5ms", "rota: --set slice: eevdf has no settings"),
        ("eevdf --snapshot x", "--snapshot: eevdf plans no moves"),
        ("simple --map queue=x", "--map queue: the object has no such map; there are: "),
        (&format!("simple --map stats={}", odd.display()), "5 bytes are neither JSON nor values"),
        (&format!("simple --trace {}", nowhere.display()), "run.rota: No such file"),
    ] {
        let output = sim(line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
        assert!(output.stdout.is_empty(), "{line}");
        assert!(error.contains(words) && error.lines().count() == 1, "{line}: {error}");
    }
}

#[test]
fn help_teaches() {
    let text = stdout(&rota(&["--help"]));
    for words in
        ["Examples:", "pingpong:pairs=8", "cpu (or hog)", "--slice", "15  a task was ready"]
    {
        assert!(text.contains(words), "{words}");
    }
    assert!(stdout(&rota(&["-h"])).len() < text.len());
}

#[test]
fn workload_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let text = br#"{ "tasks" : { "a" : { "run" : 1000, "sleep" : 1000, "mem" : 5 } } }"#;
    let path = file(&dir, "a.json", text);
    let line = format!("simple --machine 4c --workload {} --for 1s", path.display());
    let output = sim(&line);
    let remark = String::from_utf8_lossy(&output.stderr);
    assert!(remark.contains("a.json:1:53: mem is not modelled: it takes no time"), "{remark}");
    let found = json(&line);
    assert_eq!(found["groups"][0]["group"], "a");
    assert!((450..=500).contains(&found["groups"][0]["work"].as_u64().unwrap()), "{found}");
    let path = file(&dir, "b.json", br#"{ "tasks" : { "a" : { "rnu" : 1000 } } }"#);
    let output = sim(&format!("simple --workload {}", path.display()));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("b.json:1:23: a task has no 'rnu'; did you mean run?"), "{error}");
}

/// On a slow core of a laptop, what computes takes longer, and what is busy does not.
#[test]
fn slow_cores_show_in_workload_files() {
    let dir = tempfile::tempdir().unwrap();
    let text = br#"{ "tasks" : {
        "run" : { "cpus" : [ 8 ], "run" : 1000, "sleep" : 1000 },
        "busy" : { "cpus" : [ 10 ], "runtime" : 1000, "sleep" : 1000 } } }"#;
    let path = file(&dir, "a.json", text);
    let line = "simple --machine laptop --for 2s --workload";
    let found = json(&format!("{line} {}", path.display()));
    let work = |group: usize| found["groups"][group]["work"].as_u64().unwrap();
    // A capacity of 640 of 1024, and a little for wake-ups and switches.
    assert!((680..=775).contains(&work(0)), "{}", work(0));
    assert!((850..=1000).contains(&work(1)), "{}", work(1));
}
