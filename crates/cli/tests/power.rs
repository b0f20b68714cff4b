// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota power` on this machine, whatever that has: how busy it is can be had everywhere.

use serde_json::Value;
use std::fs;
use std::process::{Command, Output};

fn rota(line: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rota")).arg("power").args(line).output().unwrap()
}

fn lines(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn intervals_are_objects_on_lines() {
    let output = rota(&["--format", "json", "--interval", "50ms", "--for", "1s", "--summary"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let lines = lines(&output.stdout);
    assert_eq!(lines[0]["schema"], "rota-power/1");
    let sources = lines[0]["sources"].as_array().unwrap();
    assert!(sources.iter().all(|it| it["from"].is_string() || it["why"].is_string()));
    let intervals = &lines[1..];
    assert!(intervals.len() >= 3, "{intervals:?}");
    for interval in intervals {
        assert_eq!(interval["kind"], "interval");
        assert!(interval["seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(interval["rows"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_command_is_measured_and_its_output_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("power.json");
    let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done";
    let line = ["--latency", "--work", "10", "--format", "json", "-o", file.to_str().unwrap()];
    let output = rota(&[line.as_slice(), &["--", "sh", "-c", busy]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"done\n");
    let lines = lines(&fs::read(&file).unwrap());
    assert_eq!(lines.len(), 2);
    let whole = &lines[1];
    assert_eq!((&whole["kind"], &whole["work"]), (&Value::from("whole"), &Value::from(10)));
    let busy = whole["rows"][0]["Busy%"].as_f64().unwrap();
    assert!(busy > 10.0 && busy <= 100.0, "{busy}");
    assert!(whole["latency_ns"]["count"].as_u64().unwrap() > 0);
    assert!(whole["latency_ns"]["p50"].as_u64() <= whole["latency_ns"]["p99"].as_u64());
}

#[test]
fn a_file_stays_if_the_command_cant_be_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("power.txt");
    fs::write(&file, "old").unwrap();
    let line = ["-o", file.to_str().unwrap(), "--"];
    assert_eq!(rota(&[line.as_slice(), &["/nowhere/program"]].concat()).status.code(), Some(2));
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(rota(&[line.as_slice(), &["true"]].concat()).status.code(), Some(0));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("busy: ") && text.contains("Busy%"), "{text}");
}

#[test]
fn wrong_calls_are_told() {
    assert_eq!(rota(&["--", "false"]).status.code(), Some(1));
    for (line, word) in [
        (&["--interval", "1ms"][..], "at least 10ms"),
        (&["--work", "3"], "COMMAND"),
        (&["-o", "-"], "./-"),
        (&["-o", "/nowhere/file", "--", "true"], "/nowhere/file"),
        (&["--", "/nowhere/program"], "/nowhere/program"),
    ] {
        let output = rota(line);
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(word), "{said}");
    }
}
