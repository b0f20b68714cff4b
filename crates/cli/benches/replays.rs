// SPDX-License-Identifier: GPL-2.0-or-later
//! How true replays are, and what they predict: `cargo bench -p rota --bench replays`.
//!
//! As root, with perf, on a quiet machine with two CPUs or more: it makes the recordings of
//! docs/replay.md, in turn, replays them under `eevdf`, and prints the tables. `-- mixed`, `pipe`,
//! `messaging` or `predictions` choose one; `--times N` is how many recordings of each (ten),
//! `--in FOLDER` keeps them, or takes those that are there.
#![expect(clippy::print_stdout, reason = "it measures and tells")]

use rota_events::{Reader, What};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

const ROTA: &str = env!("CARGO_BIN_EXE_rota");
/// Nice values of `rcu_preempt`, which runs for some microseconds: as good as no change, and all that
/// follows is another story.
const STIRS: [i32; 5] = [0, 1, 3, 5, 7];
const MESSAGING: &str = "perf bench sched messaging";
/// Four times as long, it is much the same each time.
const LONG: &str = "perf bench sched messaging -l 400";
const GROUP: &str = "perf bench sched messaging -g 1 -l 1000";
const PIPE: &str = "perf bench sched pipe -l 20000";
/// Three hogs, two who nap, and a pipe.
const MIXED: &str = "loop='i=0; while [ $i -lt 600000 ]; do i=$((i+1)); done'
    for hog in 1 2 3; do sh -c \"$loop\" & done
    for nap in 1 2; do sh -c 'i=0; while [ $i -lt 150 ]; do sleep 0.01; i=$((i+1)); done' & done
    perf bench sched pipe -l 20000 & wait";
/// The same with names to tell the hogs by; `$PRE` goes before the first.
const HOGS: &str = "loop='i=0; while [ $i -lt 2500000 ]; do i=$((i+1)); done'
    $PRE ./hoga -c \"$loop\" & ./hogb -c \"$loop\" & ./hogc -c \"$loop\" &
    for nap in 1 2; do sh -c 'i=0; while [ $i -lt 150 ]; do sleep 0.01; i=$((i+1)); done' & done
    perf bench sched pipe -l 10000 & wait";

/// What is recorded.
struct Work {
    name: &'static str,
    script: &'static str,
    /// Before the first hog.
    prefix: &'static str,
    one_cpu: bool,
    messages: bool,
}

const PLAIN: Work = Work { name: "", script: HOGS, prefix: "", one_cpu: false, messages: false };
const TRUE: [Work; 5] = [
    Work { name: "mixed", script: MIXED, ..PLAIN },
    Work { name: "pipe", script: PIPE, ..PLAIN },
    Work { name: "messaging", script: MESSAGING, messages: true, ..PLAIN },
    Work { name: "long", script: LONG, messages: true, ..PLAIN },
    Work { name: "group", script: GROUP, messages: true, ..PLAIN },
];
const TWO: Work = Work { name: "two", ..PLAIN };
const ONE: Work = Work { name: "one", one_cpu: true, ..PLAIN };
const NICE_5: Work = Work { name: "nice5", prefix: "nice -n 5", one_cpu: true, ..PLAIN };
const NICE_10: Work = Work { name: "nice10", prefix: "nice -n 10", ..PLAIN };

/// Where recordings are, and how many of each work.
struct Bench {
    folder: PathBuf,
    times: usize,
}

/// Switches, and percentiles of latency in ns.
#[derive(Clone, Copy, PartialEq)]
struct Outcome {
    switches: f64,
    p50_ns: f64,
    p99_ns: f64,
}

/// A recording, and what came of replaying it.
struct Told {
    recorded: Outcome,
    replayed: Outcome,
    /// How much of the wake-ups by tasks became dependencies.
    share: f64,
}

impl Bench {
    fn file(&self, work: &Work, number: usize) -> PathBuf {
        self.folder.join(format!("{}-{number}.rota", work.name))
    }

    /// Records all of these works in turn, so that what else the machine does comes to all of them.
    fn record(&self, works: &[&Work]) {
        for hog in ["hoga", "hogb", "hogc"] {
            fs::copy("/bin/sh", self.folder.join(hog)).expect("a copy of the shell");
        }
        for number in 0..self.times {
            for work in works {
                let file = self.file(work, number);
                if file.exists() {
                    continue;
                }
                let mut command = Command::new(if work.one_cpu { "taskset" } else { ROTA });
                if work.one_cpu {
                    command.args(["-c", "0", ROTA]);
                }
                command.args(["record", "-o"]).arg(&file);
                if work.messages {
                    command.args(["--messages", "--buffer", "128MiB"]);
                }
                command.args(["--", "sh", "-c", work.script]).env("PRE", work.prefix);
                command.current_dir(&self.folder).stdin(Stdio::null());
                let output = command.output().expect("recording starts");
                if !output.status.success() {
                    // The next run is not to take it for a good one.
                    let _ = fs::remove_file(&file);
                    panic!("{}", String::from_utf8_lossy(&output.stderr));
                }
            }
        }
    }

    /// Replays each recording with each of these further arguments.
    fn replay(&self, work: &Work, arguments: &[Vec<String>]) -> Vec<Told> {
        let each = arguments.len();
        in_parallel(self.times * each, |at| {
            let mut command = Command::new(ROTA);
            command.args(["sim", "eevdf", "--format", "json", "--replay"]);
            command.arg(self.file(work, at / each)).args(&arguments[at % each]);
            let output = command.output().expect("rota starts");
            let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let replay = &json["replay"];
            let side = |side: &str| {
                let number = |what: &str| replay[side][what].as_f64().expect("a number");
                Outcome {
                    switches: number("switches"),
                    p50_ns: number("latency_p50"),
                    p99_ns: number("latency_p99"),
                }
            };
            let share = replay["share"].as_f64().expect("a number");
            Told { recorded: side("recorded"), replayed: side("replayed"), share }
        })
    }

    /// When tasks of each name are last seen in each recording.
    fn ends(&self, work: &Work) -> Vec<Ends> {
        in_parallel(self.times, |number| Ends::of(&self.file(work, number)))
    }

    /// The same in replays.
    fn predicted(&self, work: &Work, arguments: &[&str]) -> Vec<Ends> {
        in_parallel(self.times, |number| {
            let trace = self.folder.join(format!("replay-{number}.rota"));
            let mut command = Command::new(ROTA);
            command.args(["sim", "eevdf", "--for", "60s", "--replay"]);
            command.arg(self.file(work, number)).arg("--trace").arg(&trace).args(arguments);
            let output = command.output().expect("rota starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let ends = Ends::of(&trace);
            fs::remove_file(trace).expect("the trace was there");
            ends
        })
    }

    fn fidelity(&self, work: &Work) {
        self.record(&[work]);
        let stirs = |stir: &i32| vec!["--nice".to_owned(), format!("rcu_preempt={stir}")];
        let arguments: Vec<Vec<String>> =
            if work.messages { STIRS.iter().map(stirs).collect() } else { vec![Vec::new()] };
        let told = self.replay(work, &arguments);
        let recorded: Vec<Outcome> =
            told.iter().step_by(arguments.len()).map(|told| told.recorded).collect();
        let replayed: Vec<Outcome> = told.iter().map(|told| told.replayed).collect();
        println!("\n{}: {} recordings, {} replays", work.name, recorded.len(), replayed.len());
        row("switches", 1.0, &all(&recorded, |it| it.switches), &all(&replayed, |it| it.switches));
        row(
            "p50 latency, us",
            1e3,
            &all(&recorded, |it| it.p50_ns),
            &all(&replayed, |it| it.p50_ns),
        );
        row(
            "p99 latency, ms",
            1e6,
            &all(&recorded, |it| it.p99_ns),
            &all(&replayed, |it| it.p99_ns),
        );
        let share = told.iter().map(|told| told.share).fold(1.0, f64::min);
        println!("at least {:.2} % of the wake-ups by tasks became dependencies", 100.0 * share);
        let inside = replayed.iter().filter(|it| within(&recorded, it)).count();
        println!(
            "{inside} of {} 99th percentiles are within those of the recordings",
            replayed.len()
        );
        let pairs =
            |a: &Outcome| recorded.iter().filter(move |b| *b != a).map(|b| (*a, *b)).collect();
        let among: Vec<_> = recorded.iter().flat_map(|a| -> Vec<_> { pairs(a) }).collect();
        near("two recordings", &among);
        near(
            "recording, replay",
            &told.iter().map(|it| (it.recorded, it.replayed)).collect::<Vec<_>>(),
        );
    }

    fn predictions(&self) {
        self.record(&[&TWO, &ONE, &NICE_5, &NICE_10]);
        let hogs: &[&str] = &["hoga", "hogb", "hogc"];
        let compare = |title: &str,
                       work: &Work,
                       from: &Work,
                       arguments: &[&str],
                       rows: &[(&str, &[&str])]| {
            println!("\n{title}: measured, predicted, by {} recordings each", self.times);
            let (measured, predicted) = (self.ends(work), self.predicted(from, arguments));
            for (name, tasks) in rows {
                let last = |ends: &[Ends]| all(ends, |ends| ends.last(tasks));
                row(&format!("{name}, s"), 1.0, &last(&measured), &last(&predicted));
            }
            row(
                "switches",
                1.0,
                &all(&measured, |it| it.switches),
                &all(&predicted, |it| it.switches),
            );
        };
        let pipe: (&str, &[&str]) = ("pipe ends", &["sched-pipe"]);
        compare(
            "from 2 CPUs to 1",
            &ONE,
            &TWO,
            &["--machine", "1c"],
            &[("last hog ends", hogs), pipe],
        );
        let rows = [("it ends", &hogs[..1]), ("the others end", &hogs[1..]), pipe];
        compare("nice 5, 1 CPU", &NICE_5, &ONE, &["--nice", "hoga=5"], &rows);
        compare("nice 10, 2 CPUs", &NICE_10, &TWO, &["--nice", "hoga=10"], &rows);
    }
}

/// When tasks were last seen, in s after the first event, by name, and how many switches there were.
struct Ends {
    seconds: BTreeMap<String, f64>,
    switches: f64,
}

impl Ends {
    fn of(file: &Path) -> Self {
        let mut reader = Reader::open(BufReader::new(File::open(file).expect("a recording")))
            .expect("a recording");
        let (mut seconds, mut switches, mut first_ns) = (BTreeMap::new(), 0.0, None);
        while let Some(events) = reader.next_events().expect("a whole file") {
            for event in events {
                let first_ns = *first_ns.get_or_insert(event.time_ns);
                let What::Switch { from, .. } = event.what() else { continue };
                switches += 1.0;
                if let Some(task) = reader.tables().task_of(from) {
                    // The simulation numbers tasks of one name: `sleep/3`.
                    let name = reader.tables().text_of(task.name);
                    let name = name.split('/').next().unwrap_or_default();
                    let since_ns = event.time_ns.saturating_sub(first_ns);
                    seconds.insert(name.to_owned(), since_ns as f64 / 1e9);
                }
            }
        }
        Self { seconds, switches }
    }

    fn last(&self, names: &[&str]) -> f64 {
        names.iter().filter_map(|name| self.seconds.get(*name)).copied().fold(0.0, f64::max)
    }
}

fn within(recorded: &[Outcome], replayed: &Outcome) -> bool {
    let (least, _, most) = spread(&all(recorded, |it| it.p99_ns));
    (least..=most).contains(&replayed.p99_ns)
}

/// How many of the pairs are near each other.
fn near(name: &str, pairs: &[(Outcome, Outcome)]) {
    let share = |of: fn(&Outcome) -> f64, by: f64| {
        let near = pairs.iter().filter(|(a, b)| (of(b) / of(a) - 1.0).abs() <= by).count();
        100.0 * near as f64 / pairs.len().max(1) as f64
    };
    println!(
        "{name:<18} switches within 10 %: {:.0} %, within 25 %: {:.0} %; p50 within 25 %: {:.0} %",
        share(|it| it.switches, 0.1),
        share(|it| it.switches, 0.25),
        share(|it| it.p50_ns, 0.25),
    );
}

/// Median, with least and most, of what was measured and what was replayed; of means only the change.
fn row(name: &str, unit: f64, before: &[f64], after: &[f64]) {
    let text = |all: &[f64]| {
        let (least, median, most) = spread(all);
        format!("{:.2} ({:.2} to {:.2})", median / unit, least / unit, most / unit)
    };
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let change = |of: fn(&[f64]) -> f64| 100.0 * (of(after) / of(before) - 1.0);
    let by_median = change(|all| spread(all).1);
    println!(
        "{name:<18} {:>34} {:>34} {by_median:+.0} %, of means {:+.0} %",
        text(before),
        text(after),
        100.0 * (mean(after) / mean(before) - 1.0),
    );
}

fn all<T>(list: &[T], of: impl Fn(&T) -> f64) -> Vec<f64> {
    list.iter().map(of).collect()
}

/// Least, median, most.
fn spread(all: &[f64]) -> (f64, f64, f64) {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    let middle = (all[all.len() / 2] + all[(all.len() - 1) / 2]) / 2.0;
    (all[0], middle, all[all.len() - 1])
}

fn in_parallel<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (next, made) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    let one = make(at);
                    made.lock().unwrap_or_else(PoisonError::into_inner).insert(at, one);
                }
            });
        }
    });
    made.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        Some(words.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value")).clone())
    };
    let kept = value("--in").map(PathBuf::from);
    let own = std::env::temp_dir().join(format!("rota-bench-{}", std::process::id()));
    let folder = kept.clone().unwrap_or_else(|| own.clone());
    fs::create_dir_all(&folder).expect("the folder is made");
    let folder = folder.canonicalize().expect("the folder is there");
    let times = value("--times").map_or(10, |times| times.parse().expect("--times takes a number"));
    let bench = Bench { folder, times };
    let sessions = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    println!(
        "sessions (kernel.sched_autogroup_enabled): {}",
        sessions.as_deref().unwrap_or("-").trim()
    );
    let chosen = |name: &str| words.iter().any(|word| word == name);
    let any = TRUE.iter().any(|work| chosen(work.name)) || chosen("predictions");
    for work in TRUE.iter().filter(|work| !any || chosen(work.name)) {
        bench.fidelity(work);
    }
    if !any || chosen("predictions") {
        bench.predictions();
    }
    if kept.is_none() {
        fs::remove_dir_all(own).expect("the folder is there");
    }
}
