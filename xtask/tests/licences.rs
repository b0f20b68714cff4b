// SPDX-License-Identifier: GPL-2.0-or-later
//! Every dependency has a licence under which Rota can be given away as GPL-2.0-or-later.

use std::path::Path;

use cargo_metadata::{CargoOpt, MetadataCommand};

/// Licences that we may combine with ours. Apache-2.0 asks for version 3 of the GPL, which "or
/// later" allows.
const GOOD: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "GPL-2.0-or-later",
    "ISC",
    "LGPL-2.1",
    "LGPL-2.1-only",
    "MIT",
    "MIT-0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an expression such as `MIT OR (Apache-2.0 AND Zlib)` can be met.
fn is_good(licence: &str) -> bool {
    let spaced = licence.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>) -> bool {
    let mut good = all(words);
    while words.next_if_eq(&"OR").is_some() {
        good |= all(words);
    }
    good
}

fn all(words: &mut Words<'_>) -> bool {
    let mut good = one(words);
    while words.next_if_eq(&"AND").is_some() {
        good &= one(words);
    }
    good
}

fn one(words: &mut Words<'_>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let good = any(words);
        return words.next() == Some(")") && good;
    }
    let good = words.next().is_some_and(|word| GOOD.contains(&word));
    // An exception only ever adds permissions.
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    good
}

#[test]
fn expressions() {
    for good in ["MIT", "MIT OR Nasty", "Nasty OR (MIT AND Zlib)", "(Nasty) OR MIT"] {
        assert!(is_good(good), "{good}");
    }
    assert!(is_good("MIT/Apache-2.0"));
    assert!(is_good("Apache-2.0 WITH LLVM-exception OR Nasty"));
    for bad in ["", "Nasty", "MIT AND Nasty", "(MIT", "MIT MIT", "MIT AND (Nasty OR Worse)"] {
        assert!(!is_good(bad), "{bad}");
    }
}

#[test]
fn every_dependency_has_a_good_licence() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).other_options(["--filter-platform".to_owned(), host]);
    let metadata = command.features(CargoOpt::AllFeatures).exec().unwrap();
    let mut bad = Vec::new();
    for package in &metadata.packages {
        let licence = package.license.as_deref().unwrap_or_default();
        if !is_good(licence) {
            bad.push(format!("{} {}: `{licence}`", package.name, package.version));
        }
    }
    assert!(bad.is_empty(), "licences that don't go with ours: {bad:#?}");
    assert!(metadata.packages.len() > 20, "only {} packages seen", metadata.packages.len());
}
