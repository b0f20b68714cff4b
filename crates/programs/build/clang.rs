// SPDX-License-Identifier: GPL-2.0-or-later
//! Finds a clang that can compile for BPF, and runs it.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the compiler to use.
pub(crate) const VARIABLE: &str = "ROTA_CLANG";
const OLDEST: u32 = 16;
/// The last one looked for by its number.
const NEWEST_TRIED: u32 = 30;

/// The flags of every object. They stand in the book too, for objects built by hand.
const FLAGS: [&str; 7] =
    ["-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter"];

/// Which instructions may be used.
#[derive(Clone, Copy)]
pub(crate) enum InsnSet {
    /// What every supported kernel takes on every machine: for schedulers.
    V3,
    /// All there are: for tests of the instructions.
    V4,
}

pub(crate) struct Compiler {
    program: String,
}

/// The compiler that the variable names, else the one the tests use, else any new enough.
pub(crate) fn find() -> Result<Compiler, Box<dyn Error>> {
    if let Ok(program) = env::var(VARIABLE) {
        return match major_version(&program) {
            Some(v) if v >= OLDEST => Ok(Compiler { program }),
            Some(v) => {
                Err(format!("{VARIABLE}={program} is clang {v}; {OLDEST} or later is needed")
                    .into())
            }
            None => Err(format!("{VARIABLE}={program} can't be run").into()),
        };
    }
    let by_number = (OLDEST..=NEWEST_TRIED).rev().map(|v| format!("clang-{v}"));
    ["clang-19".to_owned(), "clang".to_owned()]
        .into_iter()
        .chain(by_number)
        .find(|p| major_version(p).is_some_and(|v| v >= OLDEST))
        .map(|program| Compiler { program })
        .ok_or_else(|| {
            format!(
                "no clang {OLDEST} or later found; install it (`cargo xtask demo` does on Debian), or name it in {VARIABLE}"
            )
            .into()
        })
}

fn major_version(program: &str) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, version) = text.split_once("clang version ")?;
    version.split('.').next()?.parse().ok()
}

impl Compiler {
    /// Compiles one translation unit into the folder and returns the object.
    ///
    /// The paths in it are relative to the source tree, so that two trees give the same bytes.
    pub(crate) fn compile(
        &self,
        bpf: &Path,
        file: &Path,
        out: &Path,
        set: InsnSet,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let object = out.join(file.file_name().ok_or("no name")?).with_extension("o");
        // Run from the root of the tree, clang can open every file by its shortened name, so the
        // text of each line gets into the line information.
        let tree = bpf.parent().ok_or("the folder bpf lies nowhere")?;
        let prefix = format!("-ffile-prefix-map={}/=", tree.display());
        let status = Command::new(&self.program)
            .current_dir(tree)
            .args(FLAGS)
            .arg(match set {
                InsnSet::V3 => "-mcpu=v3",
                InsnSet::V4 => "-mcpu=v4",
            })
            .args(["-Werror", &prefix, "-ffile-compilation-dir=.", "-I"])
            .arg(bpf.join("include"))
            .arg("-c")
            .arg(file)
            .arg("-o")
            .arg(&object)
            .status()?;
        if !status.success() {
            return Err(format!("{} could not compile {}", self.program, file.display()).into());
        }
        Ok(object)
    }
}
