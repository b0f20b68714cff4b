// SPDX-License-Identifier: GPL-2.0-or-later
//! What it costs to look at a long recording, beside perf: `cargo bench -p rota --bench recordings`.
//!
//! As root, it records twelve million samples of `perf bench sched messaging` with `perf sched
//! record`, 1.3 GB in the temporary folder; or give a file: `-- FILE`. Each command is run in turn with the
//! others; CPU time is user and system time, memory is the peak; medians, with the least and most.
#![expect(clippy::print_stdout, reason = "it measures and tells")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

const ROTA: &str = env!("CARGO_BIN_EXE_rota");
const RUNS: usize = 5;
/// Clock ticks of `/proc` in a second.
const TICKS: f64 = 100.0;

/// A command and what came out: CPU times in s, and peaks of memory in MB.
struct Contestant {
    name: &'static str,
    line: String,
    seconds: Vec<f64>,
    megabytes: Vec<f64>,
}

/// User and system time of all children that have ended, in s.
fn children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Fields 16 and 17; the first after the name is the third.
    fields[13..15].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

impl Contestant {
    fn new(name: &'static str, line: String) -> Self {
        Self { name, line, seconds: Vec::new(), megabytes: Vec::new() }
    }

    fn run(&mut self) {
        let before = children();
        let mut shell = Command::new("sh");
        // The program takes the place of the shell, so that its memory is what is looked at.
        shell.args(["-c", &format!("exec {}", self.line)]).stdin(Stdio::null());
        let mut child = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0_f64;
        let ended = loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes =
                line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            peak = peak.max(kilobytes.unwrap_or(0.0) / 1024.0);
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert!(ended.success(), "{}", self.line);
        self.seconds.push(children() - before);
        self.megabytes.push(peak);
    }

    fn seconds(&self) -> f64 {
        let mut all = self.seconds.clone();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }
}

fn spread(all: &[f64]) -> (f64, f64) {
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    (least, all.iter().copied().fold(0.0, f64::max))
}

fn main() {
    let given = std::env::args().skip(1).find(|word| !word.starts_with("--"));
    let folder = std::env::temp_dir().join(format!("rota-bench-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let file = given.clone().unwrap_or_else(|| {
        let file = folder.join("perf.data").display().to_string();
        let record = format!(
            "perf sched record -m 4M -o {file} -- perf bench sched messaging -g 10 -l 42000"
        );
        println!("{record}");
        let quiet = Command::new("sh").args(["-c", &format!("{record} >/dev/null 2>&1")]).status();
        assert!(quiet.unwrap().success(), "recording needs root and perf");
        file
    });
    measure(&file, &folder);
    fs::remove_dir_all(&folder).unwrap();
}

fn measure(file: &str, folder: &Path) {
    let stats = Command::new("perf").args(["report", "--stats", "-i", file]).output().unwrap();
    let stats = String::from_utf8_lossy(&stats.stdout).into_owned();
    let count = |line: &str| line.split_whitespace().nth(2).and_then(|n| n.parse::<f64>().ok());
    let samples = stats.lines().find(|line| line.contains("SAMPLE events:")).and_then(count);
    let samples = samples.expect("perf counts the samples");
    let megabytes = fs::metadata(file).unwrap().len() as f64 / 1e6;
    println!("{samples} samples, {megabytes:.0} MB, {RUNS} runs of each in turn");
    let out = |name: &str| folder.join(name).display().to_string();
    let (rows, sums, trace) = (out("rows"), out("sums"), out("trace.pftrace"));
    let view = format!("{ROTA} view {file} --as");
    let mut all = [
        Contestant::new("rota view --as timehist", format!("{view} timehist -o {rows}")),
        Contestant::new("perf sched timehist", format!("perf sched timehist -i {file} > {rows}")),
        Contestant::new("rota view --as timehist -s", format!("{view} timehist -s -o {sums}")),
        Contestant::new(
            "perf sched timehist -s",
            format!("perf sched timehist -s -i {file} > {sums}"),
        ),
        Contestant::new("rota view --as perfetto", format!("{view} perfetto -o {trace}")),
        Contestant::new("rota view --as summary", format!("{view} summary -o {sums}")),
    ];
    for _ in 0..RUNS {
        all.iter_mut().for_each(Contestant::run);
    }
    for contestant in &all {
        let (seconds, (least, most)) = (contestant.seconds(), spread(&contestant.seconds));
        let memory = spread(&contestant.megabytes).1;
        let rate = samples / seconds / 1e6;
        println!(
            "{:28} {seconds:6.2} s ({least:.2} to {most:.2}), {rate:5.1} M samples/s, {memory:6.0} MB",
            contestant.name
        );
    }
    let ratio = |ours: usize, theirs: usize| all[ours].seconds() / all[theirs].seconds();
    println!("rows: {:.2} of perf's CPU time; sums: {:.2}", ratio(0, 1), ratio(2, 3));
    let bytes = fs::metadata(&trace).unwrap().len() as f64;
    println!("Perfetto: {:.1} bytes a sample", bytes / samples);
}
