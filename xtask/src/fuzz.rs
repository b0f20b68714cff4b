// SPDX-License-Identifier: GPL-2.0-or-later
//! `fuzz`: libFuzzer on the targets of the package `fuzz`, with stable Rust.
//!
//! libFuzzer wants to know where an input led. A pass of LLVM puts the counters in, and rustc runs
//! it when told to; `fuzz/instrument` tells it, for our own crates. What leads somewhere new is kept
//! in the target folder at first. In the end the smallest inputs that lead everywhere are chosen
//! from old and new ones, and become the corpus, which is committed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::fuzz_status::{Row, Status, table};
use crate::install::{self, Purpose};
use crate::output::{complain, say};
use crate::process::{build, cargo, succeeds};
use crate::workspace::{self, Workspace};

/// How long a target runs unless told otherwise.
const SECONDS: u64 = 60;
/// An input that takes longer is one that hangs.
const INPUT_SECONDS: u64 = 30;
/// More memory than this is a bug as well.
const MEMORY_MB: u64 = 4096;
/// Bytes of inputs that are committed for a target. Whole objects are large; of those, the smaller
/// ones are kept.
const CORPUS_BYTES: u64 = 400 << 10;
/// How often progress is told.
const TELL: Duration = Duration::from_secs(60);

/// `cargo xtask fuzz [TARGET...] [--seconds N]`, or `cargo xtask fuzz TARGET FILE...`.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<Outcome> {
    let all = targets(workspace)?;
    let request = Request::parse(args, &all)?;
    let _lock = workspace.lock_target()?;
    let Some(fuzzers) = Fuzzers::build(workspace)? else { return Ok(Outcome::Failed) };
    if let ([target], false) = (request.targets.as_slice(), request.files.is_empty()) {
        let ok = succeeds(fuzzers.command(target).args(request.files))?;
        return Ok(if ok { Outcome::Done } else { Outcome::Failed });
    }
    fuzzers.run(&request.targets, request.seconds, Corpus::Rewritten)
}

/// What happens to the committed inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corpus {
    /// They become the smallest that lead wherever old and new ones lead.
    Rewritten,
    /// Nothing.
    Left,
}

struct Request {
    targets: Vec<String>,
    files: Vec<String>,
    seconds: u64,
}

impl Request {
    fn parse(args: &[String], all: &[String]) -> Result<Self> {
        let mut request = Self { targets: Vec::new(), files: Vec::new(), seconds: SECONDS };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--seconds" {
                request.seconds = number(arg, args.next())?;
            } else if all.contains(arg) {
                request.targets.push(arg.clone());
            } else if request.targets.len() == 1 && Path::new(arg).is_file() {
                request.files.push(arg.clone());
            } else {
                bail!("there is no target or file `{arg}`; targets are {}", all.join(", "));
            }
        }
        if request.targets.is_empty() {
            request.targets = all.to_vec();
        }
        Ok(request)
    }
}

/// The value of an option that takes a number.
pub(crate) fn number(option: &str, value: Option<&String>) -> Result<u64> {
    let value = value.with_context(|| format!("{option} needs a number"))?;
    value.parse().with_context(|| format!("{option} needs a number, not `{value}`"))
}

/// The targets, by the names of their files.
pub(crate) fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let files = workspace.files()?.into_iter();
    let name =
        |file: String| Some(file.strip_prefix("fuzz/targets/")?.strip_suffix(".rs")?.to_owned());
    Ok(files.filter_map(name).collect())
}

/// The fuzzers, built.
pub(crate) struct Fuzzers {
    /// Where the programs are.
    programs: PathBuf,
    /// Where each target has its folder.
    work: PathBuf,
    corpus: PathBuf,
}

impl Fuzzers {
    /// Builds them; `None` if that fails.
    pub(crate) fn build(workspace: &Workspace) -> Result<Option<Self>> {
        install::ensure(Purpose::Demo)?;
        // With a target named, build scripts are told from what they build.
        let host = workspace::host();
        let mut cargo = cargo(workspace);
        cargo.args(["build", "--package", "rota-fuzz", "--features", "libfuzzer", "--bins"]);
        cargo.args(["--profile", "soak", "--target", &host]);
        cargo.env("RUSTC_WORKSPACE_WRAPPER", workspace.root.join("fuzz/instrument"));
        let fuzzers = Self {
            programs: workspace.target.join(host).join("soak"),
            work: workspace.target.join("fuzz"),
            corpus: workspace.root.join("fuzz/corpus"),
        };
        Ok(build(&mut cargo)?.ok.then_some(fuzzers))
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(self.programs.join(format!("fuzz-{target}")));
        command.arg(format!("-timeout={INPUT_SECONDS}"));
        command.arg(format!("-rss_limit_mb={MEMORY_MB}"));
        // Longer inputs sooner than by default: the short ones of most targets say nothing.
        command.arg("-len_control=10");
        command.stdin(Stdio::null());
        command
    }

    /// Runs targets, one after the other, and prints what came of it.
    pub(crate) fn run(&self, targets: &[String], seconds: u64, corpus: Corpus) -> Result<Outcome> {
        let mut rows = Vec::new();
        for target in targets {
            say(&format!("== {target}, {seconds} seconds"));
            let work = self.work.join(target);
            fs::create_dir_all(work.join("found")).with_context(|| work.display().to_string())?;
            let status = self.campaign(target, &work, seconds)?;
            if corpus == Corpus::Rewritten {
                self.rewrite(target, &work)?;
            }
            let kept = files(&self.corpus.join(target))?;
            let bytes = kept.iter().filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum();
            rows.push(Row { target: target.clone(), status, files: kept.len() as u64, bytes });
        }
        say(&table(&rows));
        let ok = rows.iter().all(|row| row.status.ok);
        Ok(if ok { Outcome::Done } else { Outcome::Failed })
    }

    /// Lets a fuzzer look for inputs.
    fn campaign(&self, target: &str, work: &Path, seconds: u64) -> Result<Status> {
        let mut command = self.command(target);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/bad-", work.display()));
        command.arg("-print_final_stats=1");
        command.arg(work.join("found")).arg(self.corpus.join(target));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = work.join("log");
        let mut copy = File::create(&log).with_context(|| log.display().to_string())?;
        let mut status = Status::default();
        let mut told = Instant::now();
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).into_owned();
                writeln!(copy, "{line}")?;
                status.read(&line);
                if told.elapsed() > TELL {
                    say(&status.to_string());
                    told = Instant::now();
                }
            }
        }
        status.ok = child.wait()?.success();
        if !status.ok {
            complain(&format!("{target} found something; {} says what:", log.display()));
            fs::read_to_string(&log)?.lines().filter(|line| tells(line)).for_each(complain);
        }
        Ok(status)
    }

    /// Chooses from all inputs the smallest that lead everywhere, and makes them the corpus.
    fn rewrite(&self, target: &str, work: &Path) -> Result<()> {
        let (merged, kept) = (work.join("merged"), self.corpus.join(target));
        if merged.exists() {
            fs::remove_dir_all(&merged)?;
        }
        fs::create_dir_all(&merged)?;
        fs::create_dir_all(&kept)?;
        let mut merge = self.command(target);
        // Which places are reached counts, not how often: that would be ten times as many files.
        merge.args(["-merge=1", "-use_counters=0"]);
        merge.arg(&merged).arg(&kept).arg(work.join("found"));
        let log = File::create(work.join("merge-log"))?;
        if !succeeds(merge.stdout(Stdio::null()).stderr(log))? {
            bail!("the inputs of {target} were not merged; see {}/merge-log", work.display());
        }
        let chosen = smallest(files(&merged)?, CORPUS_BYTES)?;
        for old in files(&kept)? {
            fs::remove_file(old)?;
        }
        for file in chosen {
            let name = file.file_name().context("an input without a name")?;
            fs::copy(&file, kept.join(name))?;
        }
        Ok(())
    }
}

/// Whether a line of a fuzzer's log says what it found: a panic, or where the input is.
fn tells(line: &str) -> bool {
    ["panicked", "assertion", "SUMMARY", "ERROR", "Test unit", "left:", "right:"]
        .iter()
        .any(|word| line.contains(word))
}

/// The smallest files, as many as have so many bytes.
fn smallest(files: Vec<PathBuf>, bytes: u64) -> Result<Vec<PathBuf>> {
    let size = |file: PathBuf| Ok((file.metadata()?.len(), file));
    let mut sizes = files.into_iter().map(size).collect::<Result<Vec<_>>>()?;
    sizes.sort();
    let mut left = bytes;
    let fits = |(size, file): (u64, PathBuf)| {
        left = left.checked_sub(size)?;
        Some(file)
    };
    Ok(sizes.into_iter().map_while(fits).collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Request> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        Request::parse(&args, &["btf".to_owned(), "elf".to_owned()])
    }

    #[test]
    fn requests() {
        let all = parse(&[]).unwrap();
        assert_eq!((all.targets.len(), all.seconds), (2, SECONDS));
        let one = parse(&["elf", "--seconds", "5"]).unwrap();
        assert_eq!((one.targets, one.seconds), (vec!["elf".to_owned()], 5));
        let file = parse(&["elf", file!().trim_start_matches("xtask/")]).unwrap();
        assert_eq!(file.files.len(), 1);
        for wrong in [&["text"][..], &["--seconds"], &["--seconds", "x"], &["elf", "none"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn as_many_as_fit() {
        let folder = tempfile::tempdir().unwrap();
        for (name, size) in [("a", 30), ("b", 10), ("c", 15)] {
            fs::write(folder.path().join(name), vec![0; size]).unwrap();
        }
        let kept = smallest(files(folder.path()).unwrap(), 40).unwrap();
        assert_eq!(kept, ["b", "c"].map(|name| folder.path().join(name)));
    }

    #[test]
    fn lines_that_say_what_was_found() {
        assert!(tells("thread '<unnamed>' panicked at crates/x.rs:1:2:"));
        assert!(tells("artifact_prefix='x'; Test unit written to x"));
        assert!(!tells("#12\tNEW    cov: 12 ft: 13"));
    }
}
