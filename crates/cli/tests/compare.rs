// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota compare`, as somebody types it.

use rota_programs::test;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn rota(dir: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.arg("compare").args(line.split_whitespace()).current_dir(dir).output().unwrap()
}

fn stdout(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

const EXPERIMENT: &str =
    "simple simple:fifo eevdf --machine 2l:2c --workload web+batch --seeds 7 --for 100ms";

/// On one core or two, as a whole or in four parts that are joined in another order.
#[test]
fn how_it_is_run_changes_no_digit() {
    let dir = tempfile::tempdir().unwrap();
    let run = |more: &str| stdout(&rota(dir.path(), &format!("{EXPERIMENT} {more}")));
    let whole = run("--jobs 1 --format json");
    assert_eq!(whole, run("--jobs 2 --format json"));
    assert_eq!(whole, run("--jobs 7 --format json"));
    for part in 1..=4 {
        run(&format!("--shard {part}/4 --out part-{part}.parquet --jobs {}", part % 2 + 1));
    }
    let files = "part-3.parquet part-1.parquet part-4.parquet part-2.parquet";
    let merge = |more: &str| stdout(&rota(dir.path(), &format!("--merge {files} {more}")));
    assert_eq!(whole, merge("--format json"));
    assert_eq!(run(""), merge(""));
    let found: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(found["schema"], "rota-compare/1");
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let small = "simple eevdf --machine 2c --workload cpu --for 10ms --costs 1";
    for (seeds, part) in [("2", "1/2"), ("2", "2/2"), ("3", "2/2")] {
        let out = format!("{seeds}-{}.parquet", &part[..1]);
        let line = format!("{small} --seeds {seeds} --shard {part} --out {out}");
        stdout(&rota(dir.path(), &line));
    }
    let bytes = fs::read(dir.path().join("2-1.parquet")).unwrap();
    fs::write(dir.path().join("cut.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    for (files, words) in [
        ("2-1.parquet", "2/2"),
        ("2-1.parquet 2-1.parquet", "2-1.parquet"),
        ("2-1.parquet 3-2.parquet", "3-2.parquet"),
        ("2-1.parquet cut.parquet", "cut.parquet"),
        ("2-1.parquet missing.parquet", "missing.parquet: No such file"),
    ] {
        let output = rota(dir.path(), &format!("--merge {files}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
        assert!(error.contains(words) && output.stdout.is_empty(), "{files}: {error}");
    }
}

#[test]
fn a_scheduler_that_is_ejected_is_no_winner() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("stall.bpf.o"), test::STALL).unwrap();
    let line =
        "./stall.bpf.o simple --machine 2c --workload cpu:name=victim --for 8s --seeds 2 --costs 1";
    let output = rota(dir.path(), line);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("failed to run for"), "{text}");
}

#[test]
fn bad_input_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.toml"), "about = \"x\"\ntopology = \"2c\"\n[cots]\n").unwrap();
    for (line, words) in [
        ("simpel eevdf", "no scheduler 'simpel'; did you mean simple? A compiled"),
        ("simple eevfd", "no scheduler 'eevfd'; did you mean eevdf? A compiled"),
        ("fastest eevdf", "no scheduler 'fastest'; there are: domains, simple, eevdf. A compiled"),
        ("simple:slcie=5ms eevdf", "no setting 'slcie'; did you mean slice?"),
        ("domains:domians=0-3 eevdf", "no setting 'domians'; did you mean domains?"),
        ("simple simple", "simple stands twice"),
        ("simple eevdf:fifo", "eevdf has no settings"),
        ("simple:colour=red eevdf", "no setting 'colour'"),
        ("simple eevdf --machine dektop16", "did you mean desktop16? Or describe"),
        ("simple eevdf --machine m.toml", "m.toml:3:2: no key 'cots'; did you mean costs?"),
        ("simple eevdf --workload wep", "no workload 'wep'; did you mean web?"),
        ("simple eevdf --workload web+", "--workload web+: a workload is missing"),
        ("simple eevdf --workload cpu:name=all+periodic", "a group called 'all'"),
        ("simple eevdf --workload cpu:name=noise", "a group called 'noise'"),
        ("simple eevdf --costs 1,2/2", "the cost scale 1 stands twice"),
        ("simple eevdf --for 0s", "nothing to see in no time"),
        ("simple eevdf --kernel 6.1", "there are those of 6.16, 6.18, 7.0, 7.3"),
        ("simple eevdf --slice 5ms", "settings belong to a scheduler: write simple:slice=5ms"),
        ("simple domains:balance=0ms", "balance: '0s' is not from 10ms to 1h"),
        ("simple domains:stay=7", "stay: '7' is not from 0 to 2"),
        ("simple eevdf --seeds 3,3", "the seed 3 stands twice"),
        ("simple --shard 1/2 --out /proc/none/part", "/proc/none"),
    ] {
        let output = rota(dir.path(), line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
        assert!(error.contains(words) && error.lines().count() == 1, "{line}: {error}");
    }
    let alone =
        rota(dir.path(), "simple --machine 2c --workload cpu --for 10ms --seeds 1 --costs 1");
    let said = String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.success() && said.contains("name two schedulers: "), "{said}");
    assert!(said.ends_with("compare simple eevdf\n"), "{said}");
    for line in [
        "",
        "simple --seeds x",
        "simple --seeds 9-3",
        "simple --shard 3/2 --out x",
        "simple --shard 1/2",
        "simple --merge x",
    ] {
        assert_eq!(rota(dir.path(), line).status.code(), Some(2), "{line}");
    }
}
