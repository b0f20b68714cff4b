// SPDX-License-Identifier: GPL-2.0-or-later
//! `mutate`: spoils the model of the kernel on purpose, in one place at a time, and looks whether
//! a scenario notices. A scenario that notices nothing shows nothing.
//!
//! `tests/mutations.txt` says what is spoiled and how. Each is tried on a copy of the work tree,
//! with a target folder of its own, by the one test that compares the model with real kernels.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::output::{complain, say};
use crate::process::cargo;
use crate::workspace::Workspace;

/// Where the mutations stand.
const LIST: &str = "tests/mutations.txt";
/// The test that has to notice, and its name.
const TEST: [&str; 5] = ["test", "--package", "rota-sim", "--test", "scenarios"];
const NAME: &str = "every_scenario_is_as_on_real_kernels";
/// A model that does not come to its end within this has been noticed too.
const LIMIT: Duration = Duration::from_secs(300);

/// One way to spoil the model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mutation {
    /// What is wrong then.
    about: String,
    file: String,
    text: String,
    replacement: String,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// This scenario noticed first, and so many in all.
    Caught(String, usize),
    /// The test ended in another way.
    Broke(&'static str),
    Survived,
    /// It is not even a program.
    NotBuilt(String),
}

impl Fate {
    fn is_good(&self) -> bool {
        matches!(self, Self::Caught(..) | Self::Broke(_))
    }

    fn words(&self) -> String {
        match self {
            Self::Caught(first, 1) => format!("`{first}`"),
            Self::Caught(first, all) => format!("`{first}` and {} more", all - 1),
            Self::Broke(how) => (*how).to_owned(),
            Self::Survived => "NOBODY".to_owned(),
            Self::NotBuilt(_) => "NOT BUILT".to_owned(),
        }
    }
}

/// Reads the list: what is wrong, behind `#`; the file; the text, each line behind `-`; and what
/// takes its place, each behind `+`.
fn parse(list: &str) -> Result<Vec<Mutation>> {
    let mut found = Vec::new();
    for part in list.split("\n\n").map(str::trim_end).filter(|part| !part.trim().is_empty()) {
        if part.lines().all(|line| line.starts_with("//")) {
            continue;
        }
        let marked = |mark: &str| -> Vec<&str> {
            part.lines().filter_map(|line| line.strip_prefix(mark)).collect()
        };
        let about = marked("# ").join(" ");
        let is_file = |line: &&str| !line.starts_with(['#', '-', '+']);
        let file = part.trim_start().lines().find(is_file).unwrap_or_default().to_owned();
        let (text, replacement) = (marked("-").join("\n"), marked("+").join("\n"));
        if about.is_empty() || file.is_empty() || text.is_empty() {
            bail!("{LIST}: something is missing in:\n{part}");
        }
        found.push(Mutation { about, file, text, replacement });
    }
    Ok(found)
}

/// A file with the mutation in it. Its text has to stand there once.
fn spoiled(mutation: &Mutation, original: &str) -> Result<String> {
    let count = original.matches(&mutation.text).count();
    if count != 1 {
        let Mutation { about, file, text, .. } = mutation;
        bail!("{LIST}: '{about}': {file} has {count} times, not once:\n{text}");
    }
    Ok(original.replacen(&mutation.text, &mutation.replacement, 1))
}

/// All mutations of a work tree, if each fits it.
fn all(root: &Path) -> Result<Vec<Mutation>> {
    let list = std::fs::read_to_string(root.join(LIST)).context(LIST)?;
    let mutations = parse(&list)?;
    for mutation in &mutations {
        let file = root.join(&mutation.file);
        let original = std::fs::read_to_string(&file).with_context(|| mutation.file.clone())?;
        spoiled(mutation, &original)?;
    }
    Ok(mutations)
}

/// `cargo xtask mutate [WORD...]`: all mutations, or those with one of these words in what they
/// are about.
pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<Outcome> {
    let chosen = |m: &Mutation| words.is_empty() || words.iter().any(|w| m.about.contains(w));
    let mutations: Vec<_> = all(&workspace.root)?.into_iter().filter(chosen).collect();
    if mutations.is_empty() {
        bail!("{LIST} has no such mutation");
    }
    let folder = workspace.target.join("mutants");
    let tree = copy(workspace, &folder.join("tree"))?;
    if let Fate::NotBuilt(words) = fate(&tree)? {
        bail!("the model itself is not built:\n{words}");
    }
    let mut table = String::from("| what is spoiled | where | noticed by |\n| --- | --- | --- |\n");
    let mut survived = 0;
    for mutation in &mutations {
        let file = tree.root.join(&mutation.file);
        let original = std::fs::read_to_string(&file)?;
        std::fs::write(&file, spoiled(mutation, &original)?)?;
        let fate = fate(&tree);
        std::fs::write(&file, original)?;
        let fate = fate?;
        if let Fate::NotBuilt(words) = &fate {
            complain(words);
        }
        survived += usize::from(!fate.is_good());
        let short = mutation.file.trim_start_matches("crates/sim/src/");
        say(&format!("{}: {}", mutation.about, fate.words()));
        let _ = writeln!(table, "| {} | `{short}` | {} |", mutation.about, fate.words());
    }
    say(&format!("\n{table}\n{} mutations, {survived} not noticed", mutations.len()));
    Ok(if survived == 0 { Outcome::Done } else { Outcome::Failed })
}

/// Copies the work tree, with a target folder of its own beside it. What is the same stays as it
/// is, so that it is not built again; what an earlier copy had and the work tree has not goes.
fn copy(workspace: &Workspace, to: &Path) -> Result<Workspace> {
    let files: BTreeSet<String> = workspace.files()?.into_iter().collect();
    remove_others(to, to, &files)?;
    for name in files {
        let (from, to) = (workspace.root.join(&name), to.join(&name));
        let bytes = std::fs::read(&from).with_context(|| from.display().to_string())?;
        if std::fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&to, bytes).with_context(|| to.display().to_string())?;
    }
    let target = to.with_file_name("target");
    Ok(Workspace { root: to.to_owned(), target, cache: workspace.cache.clone() })
}

/// Removes what is in a folder of a tree and is none of these files.
fn remove_others(folder: &Path, tree: &Path, files: &BTreeSet<String>) -> Result<()> {
    let Ok(entries) = folder.read_dir() else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, tree, files)?;
        } else if !path.strip_prefix(tree)?.to_str().is_some_and(|name| files.contains(name)) {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Builds the test in a tree and runs it.
fn fate(tree: &Workspace) -> Result<Fate> {
    let mut build = cargo(tree);
    build.args(TEST).args(["--no-run", "--quiet"]);
    let built = build.stdin(Stdio::null()).output().context("cannot start cargo")?;
    if !built.status.success() {
        return Ok(Fate::NotBuilt(String::from_utf8_lossy(&built.stderr).into_owned()));
    }
    let mut test = cargo(tree);
    test.args(TEST).args(["--quiet", "--", "--exact", NAME]);
    let Some((ok, output)) = within(&mut test, LIMIT)? else {
        return Ok(Fate::Broke("no end"));
    };
    let caught = noticed(&output);
    Ok(match caught.first() {
        _ if ok => Fate::Survived,
        Some(first) => Fate::Caught(first.clone(), caught.len()),
        None => Fate::Broke("a panic"),
    })
}

/// The scenarios that a failed test names, each with its kernel, once.
fn noticed(output: &str) -> Vec<String> {
    let named = output.lines().filter_map(|line| {
        let (scenario, rest) = line.split_once(" on ")?;
        let (kernel, _) = rest.split_once(" by Jit:")?;
        let name = scenario.rsplit('/').next()?;
        Some(format!("{name} on {kernel}"))
    });
    let mut names: Vec<String> = named.collect();
    names.sort();
    names.dedup();
    names
}

/// Runs a command, unless it takes longer than it may: whether it succeeded, and what it printed.
fn within(command: &mut Command, limit: Duration) -> Result<Option<(bool, String)>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What can't be read any more is the end.
            let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            bytes
        })
    };
    let out = read(out.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let err = read(err.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = |reader: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    Ok(Some((status.success(), text(out) + &text(err))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutation_fits_the_tree_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mutations = all(&root).unwrap_or_else(|e| panic!("{e:#}"));
        assert!(mutations.len() >= 25, "only {} mutations", mutations.len());
        let mut about: Vec<_> = mutations.iter().map(|m| &m.about).collect();
        about.sort();
        about.dedup();
        assert_eq!(about.len(), mutations.len());
        assert!(mutations.iter().all(|m| m.text != m.replacement));
    }

    #[test]
    fn a_list_is_read() {
        let list =
            "// A line about the list.\n\n# a sign is wrong\na/b.rs\n-x = 1;\n-y = 2;\n+x = 3;\n";
        let found = parse(list).unwrap();
        assert_eq!(found.len(), 1);
        let one = &found[0];
        assert_eq!((one.about.as_str(), one.file.as_str()), ("a sign is wrong", "a/b.rs"));
        assert_eq!((one.text.as_str(), one.replacement.as_str()), ("x = 1;\ny = 2;", "x = 3;"));
        assert_eq!(spoiled(one, "a;\nx = 1;\ny = 2;\n").unwrap(), "a;\nx = 3;\n");
        let error = spoiled(one, "x = 1;").unwrap_err().to_string();
        assert!(error.contains("a/b.rs has 0 times"), "{error}");
        assert!(parse("# nothing more\n").is_err());
    }

    #[test]
    fn who_noticed_is_read_from_the_test() {
        let output = "1 right, 3 wrong:\n/x/tests/scenarios/exit on 6.16 by Jit:\ntask A\n\
                      /x/tests/scenarios/exit on 6.16 by Interpreter:\n\
                      /x/tests/scenarios/exit on 7.3 by Jit:\n";
        assert_eq!(noticed(output), ["exit on 6.16", "exit on 7.3"]);
        let fate = Fate::Caught("exit on 6.16".into(), 2);
        assert_eq!(fate.words(), "`exit on 6.16` and 1 more");
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let limit = Duration::from_millis(200);
        assert_eq!(within(Command::new("sleep").arg("60"), limit).unwrap(), None);
        let done = within(Command::new("echo").arg("x"), Duration::from_secs(60)).unwrap();
        assert_eq!(done, Some((true, "x\n".to_owned())));
    }
}
