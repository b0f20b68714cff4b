// SPDX-License-Identifier: GPL-2.0-or-later
//! A comparison as a job array of Slurm, on a cluster of one node, with the scripts of the book.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EXPERIMENT: &str =
    "simple eevdf --machine 2l:2c --workload web+batch --seeds 6 --for 50ms --costs 1,2";

/// A command that finds the `rota` of this build, in a folder.
fn command(program: &Path, dir: &Path) -> Command {
    let rota = Path::new(env!("CARGO_BIN_EXE_rota")).parent().unwrap();
    let mut path = vec![rota.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new(program);
    command.env("PATH", std::env::join_paths(path).unwrap()).current_dir(dir);
    command
}

fn stdout(output: &Output) -> String {
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{}", said.concat());
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_job_array_gives_the_same_table() {
    let dir = tempfile::tempdir().unwrap();
    let rota = |line: &str| {
        let words = line.split_whitespace();
        stdout(&command(Path::new("rota"), dir.path()).arg("compare").args(words).output().unwrap())
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/slurm");
    let script = |name: &str| -> PathBuf { scripts.join(name) };
    let mut cluster = command(&script("one-machine.sh"), dir.path());
    cluster.args(["sbatch", "--wait", "--array=1-4", "--output=said-%a"]).arg(script("part.sh"));
    stdout(&cluster.args(EXPERIMENT.split_whitespace()).output().unwrap());
    for part in 1..=4 {
        let said = std::fs::read_to_string(dir.path().join(format!("said-{part}"))).unwrap();
        let expected = format!("part {part}/4: 6 runs in part-{part}.parquet");
        assert!(said.contains(&expected), "{said}");
    }
    let merged = rota("--merge part-1.parquet part-2.parquet part-3.parquet part-4.parquet");
    assert_eq!(merged, rota(EXPERIMENT));
}
