// SPDX-License-Identifier: GPL-2.0-or-later
//! The queries of the book, executed by DuckDB on what Rota writes: `cargo xtask test host`, which
//! has the Python that they need. `BLESS=1` writes their answers into the page.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn rota(folder: &Path, line: &str) -> String {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    let output = rota.args(line.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The answers to queries in a folder.
fn ask(folder: &Path, queries: &[&str]) -> Vec<Value> {
    let python = std::env::var_os("ROTA_PYTHON");
    let python = python.expect("ROTA_PYTHON is not set: run this test by cargo xtask test host");
    let mut command = Command::new(python);
    command.arg(repository("tests/python/queries.py").canonicalize().unwrap());
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let queries = serde_json::to_vec(queries).unwrap();
    child.stdin.take().unwrap().write_all(&queries).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the queries fail: their error is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The recordings of the page.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sim = "--machine 2l:4c --workload web+batch --for 1s --trace";
    rota(folder.path(), &format!("sim simple {sim} before.parquet"));
    rota(folder.path(), &format!("sim domains {sim} trace.rota"));
    rota(folder.path(), "view trace.rota --as parquet --output trace.parquet");
    folder
}

/// An answer as a table.
fn table(answer: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let row = |row: &Value| row.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    let mut rows = vec![row(&answer["columns"])];
    rows.extend(answer["rows"].as_array().unwrap().iter().map(row));
    let width = |i: usize| rows.iter().map(|row| row[i].len()).max().unwrap();
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let numeric = |i: usize| rows[1..].iter().all(|row| row[i].parse::<f64>().is_ok());
    let mut lines = String::new();
    for row in &rows {
        let cells = row.iter().enumerate().map(|(i, cell)| match numeric(i) {
            true => format!("{cell:>0$}", widths[i]),
            false => format!("{cell:<0$}", widths[i]),
        });
        lines += cells.collect::<Vec<_>>().join("  ").trim_end();
        lines.push('\n');
    }
    lines
}

#[test]
fn the_page_has_the_answers() {
    let page = repository("docs/queries.md");
    let text = fs::read_to_string(&page).unwrap();
    let blocks: Vec<&str> = text.split("```sql\n").collect();
    let queries = blocks[1..].iter().map(|block| block.split_once("```").unwrap().0);
    let queries: Vec<&str> = queries.collect();
    let folder = folder();
    let answers = ask(folder.path(), &queries);
    let mut expected = blocks[0].to_owned();
    for ((block, query), answer) in blocks[1..].iter().zip(&queries).zip(&answers) {
        assert!(!answer["rows"].as_array().unwrap().is_empty(), "no answer: {query}");
        let (_, rest) = block.split_once("```\n").unwrap();
        // The answer that stands there, if one does.
        let rest = match rest.trim_start().strip_prefix("```text\n") {
            Some(old) => old.split_once("```\n").unwrap().1,
            None => rest,
        };
        let rest = rest.trim_start();
        expected += &format!("```sql\n{query}```\n\n```text\n{}```\n", table(answer));
        expected += &if rest.is_empty() { String::new() } else { format!("\n{rest}") };
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(&page, &expected).unwrap();
    } else {
        assert_eq!(text, expected, "BLESS=1 writes what should stand there");
    }
}

/// What the table says of waits is what `rota hist` says of the recording.
#[test]
fn waits_are_those_of_rota_hist() {
    let folder = folder();
    let page = fs::read_to_string(repository("docs/queries.md")).unwrap();
    let (_, rest) = page.split_once("## How long tasks waited for a CPU").unwrap();
    let query = rest.split_once("```sql\n").unwrap().1.split_once("```").unwrap().0;
    // All tasks together, and not the first of them only.
    let all = query.replace("select comm, count(*)", "select count(*)");
    let all = all.split("group by comm order").next().unwrap();
    let answer = &ask(folder.path(), &[all])[0];
    let hist = rota(folder.path(), "hist trace.rota runq --format json");
    let hist: Value = serde_json::from_str(&hist).unwrap();
    let row = &hist["rows"][0];
    let column = |name: &str| {
        let at = answer["columns"].as_array().unwrap().iter().position(|column| column == name);
        answer["rows"][0][at.unwrap()].as_u64().unwrap()
    };
    assert!(column("total_ns") > 0);
    assert_eq!(answer["rows"][0][0], row["count"], "{row}");
    assert_eq!(
        (column("total_ns"), column("max_ns")),
        (row["sum_ns"].as_u64().unwrap(), row["max_ns"].as_u64().unwrap())
    );
}
