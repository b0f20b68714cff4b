// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said about wrong workload files, and where: `wrong/expected.txt`, which `BLESS=1`
//! rewrites. The machine has four CPUs.
#![expect(clippy::disallowed_methods, reason = "a test reads the files")]

use rota_workload::rtapp::{RtApp, RtAppError};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong")
}

/// Every remark on a file, as a line with its name in front.
fn remarks(name: &str) -> String {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let found = RtApp::parse(&text).and_then(|file| file.workload(4));
    let RtAppError(remarks) = found.expect_err(name);
    remarks.iter().map(|remark| format!("{name}:{remark}\n")).collect()
}

#[test]
fn mistakes_are_told_where_they_are() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    assert!(names.len() >= 30);
    let found: String = names.iter().map(|name| remarks(name)).collect();
    let expected = folder().join("expected.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&expected, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&expected).unwrap();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found, expected);
}

/// Nothing that is cut off, or has a byte changed, is a panic; what is wrong is in the file.
#[test]
fn damaged_files_are_told_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/workloads");
    let mut damaged = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines = text.lines().count() as u32;
        for end in 0..text.len() {
            for letter in ["", "\"", "}", "{", "0", "x", "-", ",", "\n"] {
                let changed = format!("{}{letter}{}", &text[..end], &text[end + 1..]);
                for text in [&text[..end], &changed] {
                    let found = RtApp::parse(text).and_then(|file| file.workload(4));
                    let Err(RtAppError(remarks)) = found else { continue };
                    damaged += 1;
                    assert!(!remarks.is_empty());
                    assert!(remarks.iter().all(|r| (1..=lines + 1).contains(&r.at.line)));
                }
            }
        }
    }
    assert!(damaged > 10_000, "{damaged}");
}
