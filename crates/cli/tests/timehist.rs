// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota view --as timehist`, of a simulation: rows, sums and what other commands say agree.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

fn rota(args: &str, file: &Path) -> Output {
    let args = args.replace("FILE", file.to_str().unwrap());
    Command::new(env!("CARGO_BIN_EXE_rota")).args(args.split_whitespace()).output().unwrap()
}

fn shown(args: &str, file: &Path) -> String {
    let output = rota(args, file);
    let (out, err) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && err.is_empty(), "{args}: {err}");
    String::from_utf8(out).unwrap()
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_simulation_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rota");
    let sim = rota("sim simple --machine 4c --for 200ms --trace FILE", &file);
    assert!(sim.status.success());
    let all = objects(&shown("view FILE --as timehist-json -S", &file));
    assert_eq!(all[0]["schema"], "rota-timehist/1");
    let of = |kind: &'static str| all.iter().filter(move |object| object["row"] == kind);
    // The rows of each task add up to its sums.
    let mut runs: BTreeMap<i64, [u64; 3]> = BTreeMap::new();
    for row in of("ran").filter(|row| row["tid"] != 0) {
        let sum = runs.entry(row["tid"].as_i64().unwrap()).or_default();
        for (sum, name) in sum.iter_mut().zip(["run_ns", "delay_ns", "preempt_ns"]) {
            *sum += row[name].as_u64().unwrap_or(0);
        }
    }
    let sums = of("task").map(|task| {
        let sums = ["run_ns", "delay_ns", "preempt_ns"].map(|name| task[name].as_u64().unwrap());
        (task["tid"].as_i64().unwrap(), sums)
    });
    assert!(runs.len() > 5);
    assert_eq!(sums.collect::<BTreeMap<_, _>>(), runs);
    // What other code counts.
    let hist = objects(&shown("hist FILE oncpu --format json", &file));
    let total = of("total").next().unwrap();
    assert_eq!(total["run_ns"], hist[0]["rows"][0]["sum_ns"]);
    assert!(of("ran").any(|row| row["dsq"].is_string() && row["dsq_wait_ns"].as_u64() > Some(0)));
    // Two halves are as much as the whole.
    let run = |window: &str| {
        let text = shown(&format!("view FILE --as timehist-json -s {window}"), &file);
        objects(&text).last().unwrap()["run_ns"].as_u64().unwrap()
    };
    let whole = total["run_ns"].as_u64().unwrap();
    assert_eq!(run("--time ,60.1") + run("--time 60.1,"), whole);
    assert_eq!(run("--to 60100ms") + run("--from 60100ms"), whole);
    // CSV has the same rows.
    let csv = shown("view FILE --as timehist-csv", &file);
    assert_eq!(csv.lines().count() - 1, of("ran").count());
}

#[test]
fn options_choose_rows_and_columns() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rota");
    let sim = rota("sim simple --machine 2c --for 50ms --trace FILE", &file);
    assert!(sim.status.success());
    let text = shown("view FILE --as timehist -MVwn --state", &file);
    for words in [" awakened: ", " next: ", " sch delay ", "<idle>", " dsq wait ", "  01  "] {
        assert!(text.contains(words), "{words} is missing in {text}");
    }
    let plain = shown("view FILE --as timehist", &file);
    assert!(!plain.contains("awakened: ") && !plain.contains("migrated: "));
    let one = shown("view FILE --as timehist -C 1", &file);
    assert!(one.lines().skip(3).all(|line| line.contains("[0001]")), "{one}");
    let idle = shown("view FILE --as timehist -I", &file);
    assert!(idle.lines().skip(3).all(|line| line.contains("<idle>")), "{idle}");
    let sums = shown("view FILE --as timehist -s --state", &file);
    assert!(sums.contains("Wait-time summary") && sums.contains("Idle stats:"), "{sums}");
    for (args, words) in [
        ("view FILE -w", "needs --as timehist"),
        ("view FILE --as timehist --event switch", "--event is for text and JSON"),
        ("view FILE --as timehist-csv -S", "either rows or sums"),
        ("view FILE --as timehist --time 1", "START,STOP in seconds"),
        ("view FILE --as timehist --time 2,1", "ends before it starts"),
    ] {
        let output = rota(args, &file);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(words), "{args}: {text}");
    }
}
