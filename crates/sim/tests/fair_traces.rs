// SPDX-License-Identifier: GPL-2.0-or-later
//! The model of the fair class against what kernels were seen to do.
#![expect(clippy::disallowed_methods, reason = "a test may read files")]

use rota_sim::FairTrace;
use std::path::Path;

/// Does the recordings of a folder to the model, with the rules of a kernel.
fn agrees(folder: &str, series: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fair").join(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "txt"));
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let trace = FairTrace::parse(&text).unwrap();
        match trace.replay(series) {
            Ok(agreement) => {
                let summary = agreement.to_string();
                let first = text.lines().next().unwrap_or_default();
                assert_eq!(first, format!("# {summary}"), "{}", path.display());
            }
            Err(disagreement) => panic!("{}: {disagreement}", path.display()),
        }
    }
}

#[test]
fn the_model_does_what_a_kernel_did() {
    agrees("", "7.3");
}

#[test]
fn the_model_does_what_kernels_did_before() {
    agrees("6.18", "6.18");
}
