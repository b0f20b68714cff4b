// SPDX-License-Identifier: GPL-2.0-or-later
//! Recordings of perf, against what perf itself says of them: `cargo xtask test host`, as root.
//!
//! A slow and independent computation takes its times from the text of `perf script`; every number
//! of timehist must be the same, to the printed digit. What perf's own reports print must be the
//! same too, where perf defines it alike: docs/view.md lists where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROTA: &str = env!("CARGO_BIN_EXE_rota");

/// Sleepers, and more that always run than there are CPUs.
const MIX: &str = "for i in 1 2 3; do timeout 0.5 sh -c 'while :; do :; done' & done; \
                   naps() { for i in $(seq 50); do sleep 0.01; done; }; naps & naps; wait";

/// What a program prints. perf says much on standard error that is of no interest.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Records what `command` does.
fn record(folder: &Path, name: &str, options: &[&str], command: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let mut perf = Command::new("perf");
    perf.args(["sched", "record"]).args(options).stdin(Stdio::null()).stderr(Stdio::null());
    if options.contains(&"-o") {
        perf.stdout(File::create(&file).unwrap());
    } else {
        perf.arg("-o").arg(&file).stdout(Stdio::null());
    }
    assert!(perf.arg("--").args(command).status().unwrap().success());
    file
}

/// An event of `perf script`.
#[derive(Debug)]
struct Said {
    ns: u64,
    cpu: u32,
    event: String,
    fields: String,
}

impl Said {
    fn number(&self, name: &str) -> i64 {
        let (_, rest) = self.fields.rsplit_once(name).unwrap_or_else(|| panic!("{name}: {self:?}"));
        let word = rest.split_whitespace().next().unwrap();
        word.parse().unwrap_or_else(|_| panic!("{name}: {self:?}"))
    }
}

fn script(file: &Path) -> Vec<Said> {
    let fields = ["script", "--ns", "-F", "cpu,time,event,trace", "-i"];
    let text = printed("perf", &[&fields[..], &[file.to_str().unwrap()]].concat());
    let line = |line: &str| {
        let (cpu, rest) = line.trim().strip_prefix('[').unwrap().split_once(']').unwrap();
        let (time, rest) = rest.trim().split_once(": ").unwrap();
        let (event, fields) = rest.trim().split_once(": ").unwrap();
        let (seconds, ns) = time.split_once('.').unwrap();
        Said {
            ns: seconds.parse::<u64>().unwrap() * 1_000_000_000 + ns.parse::<u64>().unwrap(),
            cpu: cpu.parse().unwrap(),
            event: event.trim_start_matches("sched:").to_owned(),
            fields: fields.trim().to_owned(),
        }
    };
    text.lines().map(line).collect()
}

/// A time that a task was on a CPU, and what was before it.
#[derive(Debug, Clone, PartialEq)]
struct Turn {
    out_ns: u64,
    cpu: u32,
    tid: i64,
    wait_ns: Option<u64>,
    delay_ns: Option<u64>,
    run_ns: Option<u64>,
    /// It had lost its CPU before.
    preempted: bool,
}

/// From the definitions, looking back through the list for each switch.
fn turns(said: &[Said]) -> Vec<Turn> {
    let switches: Vec<usize> =
        (0..said.len()).filter(|i| said[*i].event == "sched_switch").collect();
    let wakes = |event: &str| ["sched_waking", "sched_wakeup", "sched_wakeup_new"].contains(&event);
    let mut all = Vec::new();
    for (place, &i) in switches.iter().enumerate() {
        let out = &said[i];
        let tid = out.number(" prev_pid=");
        let before = |wanted: &dyn Fn(&Said) -> bool, end: usize| {
            switches[..end].iter().rev().find(|j| wanted(&said[**j])).copied()
        };
        let came =
            before(&|s| s.cpu == out.cpu, place).filter(|j| said[*j].number("next_pid=") == tid);
        let mut turn = Turn {
            out_ns: out.ns,
            cpu: out.cpu,
            tid,
            wait_ns: None,
            delay_ns: None,
            run_ns: came.map(|j| out.ns - said[j].ns),
            preempted: false,
        };
        if let Some(came) = came {
            let end = switches.binary_search(&came).unwrap();
            let on_cpu = |s: &Said| tid != 0 || s.cpu == out.cpu;
            let left = before(&|s| s.number(" prev_pid=") == tid && on_cpu(s), end);
            turn.wait_ns = left.map(|left| said[came].ns - said[left].ns);
            if tid != 0 {
                let state = left.map(|left| said[left].fields.contains("prev_state=R"));
                turn.preempted = state == Some(true);
                let since = left.map_or(0, |left| left + 1);
                let woken =
                    said[since..came].iter().find(|s| wakes(&s.event) && s.number(" pid=") == tid);
                let ready = match state {
                    Some(true) => left.map(|left| said[left].ns),
                    _ => woken.map(|s| s.ns),
                };
                turn.delay_ns = ready.map(|ready| said[came].ns - ready);
            }
        }
        all.push(turn);
    }
    all
}

fn ms(ns: Option<u64>) -> String {
    ns.map_or("-".to_owned(), |ns| format!("{}.{:03}", ns / 1_000_000, ns / 1000 % 1000))
}

/// Time, CPU, thread id and the three times of each row, as they are printed.
fn rows(text: &str) -> Vec<[String; 6]> {
    let row = |line: &str| {
        let (time, rest) = line.trim().split_once(' ')?;
        let (cpu, rest) = rest.trim().strip_prefix('[')?.split_once(']')?;
        let times: Vec<&str> = rest.split_whitespace().rev().take(3).collect();
        let rest = rest.trim();
        let tid = match rest.starts_with("<idle>") {
            true => "0",
            false => {
                let (_, id) = rest.rsplit_once('[')?;
                id.split_once(']')?.0.split('/').next()?
            }
        };
        time.parse::<f64>().ok()?;
        let cpu = cpu.parse::<u32>().ok()?.to_string();
        let [run, delay, wait] = times.as_slice() else { return None };
        Some([time, &cpu, tid, wait, delay, run].map(str::to_owned))
    };
    text.lines().filter_map(row).collect()
}

/// What must hold of every recording.
fn same_as_perf(file: &Path, reported: bool) {
    let path = file.to_str().unwrap();
    let said = script(file);
    let turns = turns(&said);
    // Of the smallest recording, the hundred naps of MIX: each goes to sleep and ends.
    assert!(turns.len() >= 200, "{path}: a recording of {} switches shows nothing", turns.len());
    let expected: Vec<[String; 6]> = turns
        .iter()
        .map(|turn| {
            let time =
                format!("{}.{:06}", turn.out_ns / 1_000_000_000, turn.out_ns / 1000 % 1_000_000);
            let (cpu, tid) = (turn.cpu.to_string(), turn.tid.to_string());
            [time, cpu, tid, ms(turn.wait_ns), ms(turn.delay_ns), ms(turn.run_ns)]
        })
        .collect();
    let found = rows(&printed(ROTA, &["view", path, "--as", "timehist"]));
    assert_eq!(found.len(), expected.len(), "{path}");
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "{path}: row {i}, {:?}", turns[i]);
    }
    counts(path, &said, reported);
}

/// perf counts as many events as there are in ours.
fn counts(path: &str, said: &[Said], reported: bool) {
    let mut found = BTreeMap::<String, u64>::new();
    for line in printed(ROTA, &["view", path, "--as", "json"]).lines().skip(1) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        *found.entry(event["event"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    // Of what it wrote to a pipe, perf's report fails.
    let stats = reported.then(|| printed("perf", &["report", "--stats", "-i", path]));
    let of_perf = |event: &str| -> u64 {
        let Some(stats) = &stats else {
            return said.iter().filter(|s| s.event == event).count() as u64;
        };
        let (_, rest) = stats.split_once(&format!("sched:{event} stats:")).unwrap_or(("", ""));
        let line = rest.lines().find(|line| line.contains("SAMPLE events:"));
        line.map_or(0, |line| line.split_whitespace().last().unwrap().parse().unwrap())
    };
    for (kind, events) in [
        ("switch", &["sched_switch"][..]),
        ("waking", &["sched_waking"]),
        ("wakeup", &["sched_wakeup", "sched_wakeup_new"]),
        ("migrate", &["sched_migrate_task"]),
        ("fork", &["sched_process_fork"]),
    ] {
        let counted: u64 = events.iter().map(|event| of_perf(event)).sum();
        assert_eq!(found.get(kind).copied().unwrap_or(0), counted, "{path}: {kind}");
        let listed = said.iter().filter(|s| events.contains(&s.event.as_str())).count() as u64;
        assert_eq!(counted, listed, "{path}: {kind}");
    }
}

/// perf's own timehist, where it defines times as we do and nothing is hidden from it.
fn same_as_timehist(file: &Path) {
    let path = file.to_str().unwrap();
    let turns = turns(&script(file));
    let of_perf = rows(&printed("perf", &["sched", "timehist", "-i", path]));
    let ours = rows(&printed(ROTA, &["view", path, "--as", "timehist"]));
    assert_eq!(of_perf.len(), ours.len());
    // Once a task has ended, perf does not know it any more when it leaves its CPU.
    let ending = |i: usize| turns[i + 1..].iter().filter(|t| t.tid == turns[i].tid).count() < 3;
    let same = |i: usize, perf: &str, ours: &str| {
        assert!(perf == ours || ending(i), "row {i}: {perf} {ours}");
        u32::from(perf == ours)
    };
    let (mut times, mut delays) = (0, 0);
    for (i, ((perf, ours), turn)) in of_perf.iter().zip(&ours).zip(&turns).enumerate() {
        // perf forgets who it was that has ended.
        let known = if perf[2] == "-1" { 2 } else { 3 };
        assert_eq!(perf[..known], ours[..known], "row {i}");
        for (perf, ours) in [3, 5].map(|i| (&perf[i], &ours[i])) {
            if ours != "-" {
                times += same(i, perf, ours);
            }
        }
        // perf 6.1 knows no delay of a task that had lost its CPU.
        if ours[4] != "-" && !turn.preempted {
            delays += same(i, &perf[4], &ours[4]);
        }
    }
    assert!(times > 300 && delays > 100, "{times} {delays}");
}

/// `perf sched latency` has delays of tasks that are new or had lost their CPU; of those, perf 6.1 does
/// not know `R+`. Of others it counts from the wake-up, which we do from who wakes on.
fn same_as_latency(file: &Path) {
    let path = file.to_str().unwrap();
    let mut delays = BTreeMap::<i64, Vec<u64>>::new();
    let mut left = BTreeMap::new();
    let made = script(file).into_iter().filter(|s| s.event == "sched_wakeup_new");
    let made: BTreeSet<i64> = made.map(|s| s.number(" pid=")).collect();
    for line in printed(ROTA, &["view", path, "--as", "timehist-json"]).lines().skip(1) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let (Some(tid), Some(state)) = (row["tid"].as_i64(), row["state"].as_str()) else {
            continue;
        };
        let before = left.insert(tid, state.to_owned());
        let counts = before.map_or(made.contains(&tid), |state| state == "R");
        if let Some(delay) = row["delay_ns"].as_u64().filter(|_| counts) {
            delays.entry(tid).or_default().push(delay);
        }
    }
    let mut compared = 0;
    for line in printed("perf", &["sched", "latency", "-p", "-i", path]).lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(tid) = cells[0].rsplit_once(':').and_then(|(_, tid)| tid.parse::<i64>().ok())
        else {
            continue;
        };
        let Some(max) = cells.get(4).and_then(|cell| cell.strip_prefix("max:")) else { continue };
        let max: f64 = max.trim().trim_end_matches(" ms").parse().unwrap();
        let ours = delays.get(&tid).and_then(|all| all.iter().max()).copied().unwrap_or(0);
        if max > 0.0 && ours > 0 {
            assert!((ours as f64 / 1e6 - max).abs() < 0.00051, "{line}: {ours}");
            compared += 1;
        }
    }
    assert!(compared >= 5, "{compared} tasks");
}

#[test]
fn files_pipes_and_compressed_files_say_what_perf_says() {
    let folder = tempfile::tempdir().unwrap();
    let messaging = ["perf", "bench", "sched", "messaging", "-g", "1", "-l", "50"];
    let file = record(folder.path(), "file.data", &[], &messaging);
    same_as_perf(&file, true);
    same_as_timehist(&file);
    let pipe = ["perf", "bench", "sched", "pipe", "-l", "1000"];
    same_as_perf(&record(folder.path(), "pipe.data", &["-o", "-"], &pipe), false);
    let mix = record(folder.path(), "mix.data", &["-z"], &["sh", "-c", MIX]);
    same_as_perf(&mix, true);
    same_as_latency(&mix);
    // Standard input is as good as a file.
    let input = Command::new("cat").arg(&file).stdout(Stdio::piped()).spawn().unwrap();
    let mut rota = Command::new(ROTA);
    let rota = rota.args(["view", "-", "--as", "timehist"]).stdin(input.stdout.unwrap());
    let piped = String::from_utf8(rota.output().unwrap().stdout).unwrap();
    assert_eq!(piped, printed(ROTA, &["view", file.to_str().unwrap(), "--as", "timehist"]));
}

#[test]
fn every_loss_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let messaging = ["perf", "bench", "sched", "messaging", "-g", "4", "-l", "300"];
    let file = record(folder.path(), "lost.data", &["-m", "1"], &messaging);
    let path = file.to_str().unwrap();
    let lost = printed("perf", &["script", "--show-lost-events", "-i", path]);
    let sum = |text: &str, words: &str| -> u64 {
        let rests = text.lines().filter_map(|line| line.split_once(words));
        rests.filter_map(|(_, rest)| rest.trim().parse::<u64>().ok()).sum()
    };
    let stats = printed("perf", &["report", "--stats", "-i", path]);
    // What is lost at the very end, only the second can tell.
    let lost = sum(&lost, "PERF_RECORD_LOST lost").max(sum(&stats, "LOST_SAMPLES events:"));
    assert!(lost > 0, "nothing was lost: the test shows nothing");
    let json = printed(ROTA, &["view", path, "--as", "json", "--event", "lost"]);
    let told = json.lines().skip(1).map(|line| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["events"].as_u64().unwrap()
    });
    let told: u64 = told.sum();
    assert_eq!(told, lost);
}

#[test]
fn damage_leaves_what_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = ["perf", "bench", "sched", "pipe", "-l", "3000"];
    let file = record(folder.path(), "pipe.data", &["-o", "-"], &pipe);
    let whole = rows(&printed(ROTA, &["view", file.to_str().unwrap(), "--as", "timehist"])).len();
    let bytes = fs::read(&file).unwrap();
    let (damaged, cut) = (folder.path().join("damaged"), folder.path().join("cut"));
    let mut wrong = bytes.clone();
    let middle = bytes.len() / 16 * 8;
    wrong[middle..middle + 4096].fill(0);
    fs::write(&damaged, wrong).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2 + 3]).unwrap();
    for (path, least) in [(damaged, 1), (cut, whole / 8)] {
        let mut rota = Command::new(ROTA);
        let output =
            rota.args(["view", path.to_str().unwrap(), "--as", "timehist"]).output().unwrap();
        let (said, text) =
            (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(": byte "), "{said}");
        let found = rows(&text).len();
        assert!((least..whole).contains(&found), "{found} of {whole}: {said}");
    }
    let refused = |bytes: &[u8]| {
        let path = folder.path().join("no");
        fs::write(&path, bytes).unwrap();
        let output = Command::new(ROTA).args(["view", path.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&bytes[..16]);
    assert!(said.contains("no tracepoints"), "{said}");
    let said = refused(b"PERFILE2\x68\0\0\0\0\0\0\0");
    assert!(said.contains("ends before its data"), "{said}");
}
