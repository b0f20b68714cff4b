// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota view --as map` and `--as svg`.

use std::path::Path;
use std::process::{Command, Output};

fn rota(folder: &Path, line: &str) -> Output {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(line.split(' ')).current_dir(folder).output().unwrap()
}

fn stdout(folder: &Path, line: &str) -> String {
    let output = rota(folder, line);
    assert_eq!(output.status.code(), Some(0), "{line}");
    String::from_utf8(output.stdout).unwrap()
}

/// Four tasks that always run, on eight CPUs.
fn recording() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line =
        "sim simple --machine 8c --workload cpu:tasks=4 --for 100ms --no-noise --trace t.rota";
    stdout(folder.path(), line);
    folder
}

#[test]
fn who_runs_has_the_letter() {
    let folder = recording();
    let text = stdout(folder.path(), "view t.rota --as map --by task --width 40");
    let rows: Vec<&str> = text.lines().skip(2).take(8).collect();
    // A task that has a CPU to itself stays there, but for what comes before its first turn.
    let full = rows.iter().filter(|row| row.contains("AAAAAAAA") || row.contains("BBBBBBBB"));
    assert!(full.count() >= 1, "{text}");
    let busy = rows.iter().filter(|row| row.contains(|letter: char| letter.is_ascii_uppercase()));
    assert_eq!(busy.count(), 4, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("cpu/")).count(), 4, "{text}");
    assert!(rows.iter().all(|row| row.chars().count() <= 45), "{text}");
    let some = stdout(folder.path(), "view t.rota --as map --cpus 2-3 --to 60050ms");
    assert_eq!(some.lines().skip(2).take_while(|line| !line.is_empty()).count(), 2, "{some}");
    assert!(some.starts_with("50.00ms from 60.000000 s on"), "{some}");
}

#[test]
fn a_picture_is_xml() {
    let folder = recording();
    let svg = stdout(folder.path(), "view t.rota --as svg");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0) {
        let name = tag.trim_matches('/').split([' ', '\n']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
    assert!(svg.contains("CPU 7") && svg.contains("cpu/0"));
}

#[test]
fn wrong_calls_are_said() {
    let folder = recording();
    for (line, words) in [
        ("view t.rota --as map --task cpu/0", "a map shows all tasks"),
        ("view t.rota --as map --width 1", "--width: 2 to"),
        ("view t.rota --width 50", "need --as map"),
        ("view t.rota --as map -V", "needs --as timehist"),
    ] {
        let output = rota(folder.path(), line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(words), "{line}: {said}");
    }
}
