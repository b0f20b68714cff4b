// SPDX-License-Identifier: GPL-2.0-or-later
//! Every input that is kept, through its target.

use rota_fuzz::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names in a folder, without what follows a dot.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn a_fuzzer_and_a_corpus_for_each_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder("targets")), targets);
    assert_eq!(names(&folder("corpus")), targets);
}

#[test]
fn every_input() {
    for (name, target) in TARGETS {
        let corpus = folder("corpus").join(name);
        let files = names(&corpus);
        assert!(files.len() > 10, "{name} has only {} inputs", files.len());
        for file in files {
            let data = fs::read(corpus.join(&file)).unwrap();
            let done = std::panic::catch_unwind(|| target(&data));
            assert!(
                done.is_ok(),
                "corpus/{name}/{file}; `cargo xtask fuzz {name} FILE` repeats it"
            );
        }
    }
}
