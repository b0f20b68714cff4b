// SPDX-License-Identifier: GPL-2.0-or-later
//! Scenarios (`tests/scenarios`) on a real kernel: what the test scheduler saw is what stands in
//! the file beside each. `cargo xtask bless vm` writes these files anew, from what most of several
//! runs saw.

use crate::guest::{Guest, build, ensure, say, target_dir};
use libtest_mimic::Failed;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A scenario may be disturbed by what else a kernel does, in ways that its text does not leave
/// out; who is right once is right. Some disturbances last as long as the machine.
const TRIES: usize = 6;
const TRIES_OF_A_MACHINE: usize = 3;
/// How many runs decide when files are written anew.
const RUNS_TO_BLESS: usize = 3;

/// How many a command runs: all of them take a slow machine longer than a command may take.
const AT_ONCE: usize = 20;

/// The machines of scenarios, as they stand there; a test boots each.
const MACHINES: &[&str] = &["4c", "2s:2c:2t", "2s:2l:2c", "3s:2c"];

/// Every scenario of a machine, which the guest is, on this kernel.
pub(crate) fn every_one(guest: &mut Guest, machine: &str) -> Result<(), Failed> {
    build(&["--workspace", "--example", "scenarios"])?;
    let mut wanted = names(machine)?;
    if std::env::var_os("BLESS").is_some() {
        return bless(guest, &wanted);
    }
    let mut wrong = String::new();
    for turn in 0..TRIES {
        if turn == TRIES_OF_A_MACHINE {
            say(&format!("{machine} on {}: a new machine for {wanted:?}", guest.series));
            guest.reboot()?;
        }
        wrong.clear();
        for (name, text) in run(guest, &wanted)? {
            let file = expectation(&name, &guest.series);
            let expected = std::fs::read_to_string(&file).unwrap_or_default();
            if text == expected {
                wanted.retain(|w| *w != name);
            } else {
                let _ =
                    writeln!(wrong, "{name}:\n{text}instead of {}:\n{expected}", file.display());
            }
        }
        if wanted.is_empty() {
            break;
        }
    }
    ensure(wanted.is_empty(), || format!("{TRIES} times otherwise than expected: {wrong}"))
}

/// The simulator and the kernel get the very same object.
pub(crate) fn the_same_bytes(guest: &mut Guest) -> Result<(), Failed> {
    build(&["--workspace", "--example", "scenarios"])?;
    let program = target_dir()?.join("examples").join("scenarios");
    let (here, there) = guest.dir("same_bytes")?;
    let (program, file) = (program.display(), format!("{there}/loaded.bpf.o"));
    let loaded = guest.expect(0, &format!("{program} --object {file} && sha256sum < {file}"))?;
    // What the scenarios' test of the simulator runs.
    let simulated = here.join("simulated.bpf.o");
    std::fs::write(&simulated, rota_programs::test::WITNESS)?;
    let output = Command::new("sha256sum").stdin(File::open(&simulated)?).output()?;
    let simulated = String::from_utf8(output.stdout)?;
    ensure(simulated.len() > 64 && loaded == simulated, || {
        format!("the kernel loads {loaded}the simulator runs {simulated}")
    })
}

fn bless(guest: &mut Guest, names: &[String]) -> Result<(), Failed> {
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for _ in 0..RUNS_TO_BLESS {
        for run in run(guest, names)? {
            *seen.entry(run).or_default() += 1;
        }
    }
    for name in names {
        let texts = seen.iter().filter(|((n, _), _)| n == name);
        let ((_, text), _) = texts.max_by_key(|(_, count)| **count).ok_or("a scenario is gone")?;
        std::fs::write(expectation(name, &guest.series), text)?;
    }
    Ok(())
}

/// Runs scenarios, several in one process; name and text of each.
fn run(guest: &mut Guest, names: &[String]) -> Result<Vec<(String, String)>, Failed> {
    let program = target_dir()?.join("examples").join("scenarios");
    let mut found = Vec::new();
    for some in names.chunks(AT_ONCE) {
        let mut script = program.display().to_string();
        for name in some {
            let _ = write!(script, " {}", folder().join(format!("{name}.toml")).display());
        }
        let output = guest.expect(0, &script)?;
        let parts = output.split("== ").filter(|part| !part.is_empty());
        found.extend(parts.map(|part| {
            let (name, text) = part.split_once('\n').unwrap_or((part, ""));
            (name.to_owned(), format!("{}\n", text.trim_end()))
        }));
    }
    Ok(found)
}

fn folder() -> PathBuf {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    tree.canonicalize().unwrap_or(tree).join("tests/scenarios")
}

/// The file that says what is to be seen on a kernel.
fn expectation(name: &str, series: &str) -> PathBuf {
    folder().join(format!("{name}.{series}.txt"))
}

/// The scenarios of a machine.
fn names(machine: &str) -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for path in std::fs::read_dir(folder())?.map(|entry| Ok(entry?.path())) {
        let path: PathBuf = path.map_err(|e: std::io::Error| e)?;
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let wanted = text.lines().find_map(|line| line.strip_prefix("machine = "));
        let wanted = wanted.unwrap_or("").trim_matches('"');
        ensure(MACHINES.contains(&wanted), || format!("{}: no test boots it", path.display()))?;
        if wanted == machine {
            names.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    names.sort();
    ensure(!names.is_empty(), || format!("no scenario of {machine}"))?;
    Ok(names)
}
