// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota record` on this machine: as root, with perf.

use rota_events::{Event, Leaves, Reader, Tables, TaskRef, What};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn record(file: &Path, arguments: &[&str]) -> Output {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(["record", "-o"]).arg(file).args(arguments).stdin(Stdio::null());
    rota.output().unwrap()
}

/// What a file has; it must be whole.
fn read(file: &Path) -> (Tables, Vec<Event>) {
    let mut reader = Reader::open(BufReader::new(File::open(file).unwrap())).unwrap();
    let mut events = Vec::new();
    while let Some(more) = reader.next_events().unwrap() {
        events.extend(more);
    }
    assert_eq!(reader.problems().list(), [], "the file is damaged, or has no end");
    (reader.tables().clone(), events)
}

/// Who leaves a CPU is who came last, and each CPU's time goes forward. Says how many switches.
///
/// Some kernels in sandboxes hide what process 1 does, from perf as well: it comes onto CPUs and
/// never leaves one. Then a loss is told. It may be one of those that are not wanted, or have come onto
/// a CPU of which only was told that it was idle.
fn continuous(tables: &Tables, events: &[Event]) -> u64 {
    let filtered = tables.tasks().any(|(_, info)| info.pid == -1);
    let is_first = |task: TaskRef| match tables.task_of(task) {
        Some(info) => info.tgid == 1 || info.pid == -1,
        None => filtered && !task.is_some(),
    };
    let (mut running, mut last_ns, mut switches) = (BTreeMap::new(), BTreeMap::new(), 0);
    for event in events {
        let before = last_ns.insert(event.cpu, event.time_ns);
        assert!(before.is_none_or(|before| before <= event.time_ns), "{event:?}");
        match event.what() {
            What::Lost { .. } => {
                let hides = running.remove(&event.cpu).is_some_and(is_first);
                assert!(hides, "events are lost: {event:?}");
            }
            What::Switch { from, .. } => {
                let known = running.insert(event.cpu, event.task);
                assert!(known.is_none_or(|known| known == from), "{event:?} after {known:?}");
                switches += 1;
            }
            _ => (),
        }
    }
    switches
}

fn tasks(tables: &Tables, name: &str) -> Vec<TaskRef> {
    let all = tables.tasks().filter(|(_, task)| tables.text_of(task.name) == name);
    all.map(|(number, _)| number).collect()
}

/// How often a task left, asleep.
fn slept(events: &[Event], task: TaskRef) -> u64 {
    let sleeps = |event: &&Event| match event.what() {
        What::Switch { from, leaves } => {
            let over = matches!(leaves, Leaves::Dead | Leaves::Zombie);
            from == task && !leaves.is_runnable() && !over
        }
        _ => false,
    };
    events.iter().filter(sleeps).count() as u64
}

#[test]
fn nothing_is_missing_at_high_rates() {
    let folder = tempfile::tempdir().unwrap();
    for bench in [
        &["perf", "bench", "sched", "pipe", "-l", "20000"][..],
        &["perf", "bench", "sched", "messaging", "-g", "2", "-l", "200"],
    ] {
        let file = folder.path().join("file");
        let output = record(&file, &[&["--"], bench].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(", 0 lost, "), "{said}");
        let (tables, events) = read(&file);
        assert!(continuous(&tables, &events) > 1000, "{bench:?}");
        let named =
            tasks(&tables, if bench[3] == "pipe" { "sched-pipe" } else { "sched-messaging" });
        assert!(named.len() >= 2, "{bench:?}: {named:?}");
    }
}

/// The kernel counts too how often a task goes to sleep.
#[test]
fn as_many_sleeps_as_the_kernel_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.01; done; \
                  while read -r line; do echo \"$line\"; done < /proc/$$/status";
    let output = record(&file, &["--", "sh", "-c", script]);
    let status = String::from_utf8(output.stdout).unwrap();
    let number = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().parse().unwrap()
    };
    let (tables, events) = read(&file);
    let pid = number("Pid:") as i32;
    let (task, info) = tables.tasks().find(|(_, task)| task.pid == pid).unwrap();
    assert_eq!((tables.text_of(info.name), info.tgid), ("sh", pid));
    let (counted, seen) = (number("voluntary_ctxt_switches:"), slept(&events, task));
    // Its end may still have to wait for something.
    assert!(counted >= 8 && (counted..=counted + 2).contains(&seen), "{counted} {seen}");
    let forks = events.iter().filter(|e| e.what() == What::Fork { parent: task }).count();
    assert_eq!(forks, 8);
    let last = events.iter().filter(|event| event.task == task && event.what() == What::Exit);
    assert_eq!(last.count(), 1);
}

#[test]
fn ends_are_told_and_leave_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for (arguments, code) in [
        (&["--for", "50ms"][..], 0),
        (&["--", "sh", "-c", "exit 3"], 1),
        (&["--", "sh", "-c", "kill -KILL $$"], 1),
        // The command sends Ctrl-C to who records, and is then ended.
        (&["--", "sh", "-c", "kill -INT $PPID; exec sleep 1000"], 0),
    ] {
        let output = record(&file, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        let (tables, events) = read(&file);
        continuous(&tables, &events);
    }
    let output = record(&file, &["--for", "50ms", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["schema"], &told["lost_events"]), (&"rota-record/1".into(), &0.into()));
    assert_eq!(told["bytes"], fs::metadata(&file).unwrap().len());
    let (_, events) = read(&file);
    let happened = events.iter().filter(|event| !matches!(event.what(), What::Lost { .. }));
    assert_eq!(told["events"], happened.count());
    fs::remove_file(&file).unwrap();
    for (path, arguments) in [
        ("/proc/no/file", &["--for", "1ms"][..]),
        ("/dev/full", &["--for", "50ms"]),
        (file.to_str().unwrap(), &["--", "/no/such/program"]),
        (file.to_str().unwrap(), &["--buffer", "3MiB", "--for", "1ms"]),
    ] {
        let output = record(Path::new(path), arguments);
        assert_eq!(output.status.code(), Some(2), "{path} {arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}

/// What is chosen is all that is recorded, and the rest is "others".
#[test]
fn filters_choose() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let mut loud = Command::new("sh");
    loud.args(["-c", "while :; do sleep 0.001; done"]).stdin(Stdio::null());
    let mut loud = loud.spawn().unwrap();
    let pid = loud.id().to_string();
    let output = record(&file, &["--for", "500ms", "--pid", &pid]);
    loud.kill().unwrap();
    loud.wait().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let (tables, events) = read(&file);
    assert!(continuous(&tables, &events) > 20, "{said}");
    let is_other = |task| tables.task_of(task).is_some_and(|info| info.pid == -1);
    let is_loud = |task: TaskRef| {
        let info = tables.task_of(task);
        info.is_some_and(|info| ["sh", "sleep"].contains(&tables.text_of(info.name)))
    };
    let mut started = 0;
    for event in &events {
        match event.what() {
            What::Switch { from, .. } => {
                let of = [from, event.task];
                assert!(of.into_iter().any(is_loud), "{event:?}");
                let known = |task: TaskRef| !task.is_some() || is_loud(task) || is_other(task);
                assert!(of.into_iter().all(known), "{event:?}");
            }
            What::Fork { parent } => started += u64::from(is_loud(parent)),
            What::Waking { .. } | What::Wakeup { .. } => assert!(is_loud(event.task), "{event:?}"),
            _ => (),
        }
    }
    assert!(started > 10, "{started} were started");

    let output = record(&file, &["--cpus", "0", "--", "taskset", "-c", "0", "sleep", "0.05"]);
    assert_eq!(output.status.code(), Some(0));
    let (_, events) = read(&file);
    assert!(!events.is_empty() && events.iter().all(|event| event.cpu.0 == 0));

    let output = record(&file, &["--for", "50ms", "--cgroup", "/no/such/cgroup"]);
    assert_eq!(output.status.code(), Some(2));
}

/// The wakings in a file that `rota view` reads: of each thread in their order, whether a task does it.
fn wakings(file: &Path) -> BTreeMap<(i64, String), Vec<bool>> {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    let output = rota.args(["view", "--as", "json"]).arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mut wakings = BTreeMap::<_, Vec<_>>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "waking" {
            let task = &event["task"];
            let task = (task["pid"].as_i64().unwrap(), task["comm"].as_str().unwrap().to_owned());
            wakings.entry(task).or_default().push(!event["waker"].is_null());
        }
    }
    wakings
}

/// What an interrupt does is not done by the task that it interrupts: perf, which is told by the
/// kernel, says the same of each waking.
#[test]
fn interrupts_are_not_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let script = "while :; do :; done & hog=$!
                  i=0; while [ $i -lt 50 ]; do sleep 0.002; i=$((i + 1)); done
                  perf bench sched pipe -l 2000; kill $hog";
    for attach in ["tp-btf", "raw-tp"] {
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
        let mut perf = Command::new("perf");
        perf.args(["record", "-q", "-a", "-m", "8M", "-e", "sched:sched_waking", "-o"])
            .arg(&theirs);
        perf.arg("--").arg(env!("CARGO_BIN_EXE_rota")).args(["record", "--attach", attach, "-o"]);
        perf.arg(&ours).args(["--", "taskset", "-c", "0", "sh", "-c", script]);
        let output = perf.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(", 0 lost, "), "{said}");
        let (ours, theirs) = (wakings(&ours), wakings(&theirs));
        let (mut timers, mut pipes) = (Vec::new(), Vec::new());
        for (task, by_tasks) in &ours {
            match task.1.as_str() {
                "sleep" => timers.extend(by_tasks),
                "sched-pipe" => pipes.extend(by_tasks),
                _ => continue,
            }
            assert_eq!(theirs.get(task), Some(by_tasks), "{task:?}");
        }
        let share =
            |list: &[bool]| list.iter().filter(|by| **by).count() as f64 / list.len() as f64;
        // A timer may go off before who set it sleeps.
        assert!(timers.len() >= 30 && share(&timers) < 0.1, "{timers:?}");
        assert!(pipes.len() > 1000 && share(&pipes) > 0.95, "{}", share(&pipes));
    }
}

/// Both ways to be called see the same.
/// What went through each channel, in bytes, and how many messages were sent.
fn messages(events: &[Event]) -> (BTreeMap<u64, (u64, u64)>, usize) {
    let (mut bytes, mut sent) = (BTreeMap::<u64, (u64, u64)>::new(), 0);
    for event in events {
        match event.what() {
            What::Send { channel, bytes: more } => {
                bytes.entry(channel).or_default().0 += u64::from(more);
                sent += 1;
            }
            What::Receive { channel, bytes: more } => {
                bytes.entry(channel).or_default().1 += u64::from(more);
            }
            _ => (),
        }
    }
    (bytes, sent)
}

#[test]
fn every_message_is_told_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    for attach in ["tp-btf", "raw-tp"] {
        let file = folder.path().join(attach);
        // 20 senders write to each of 20 receivers 20 times, 100 bytes.
        let bench = ["--", "perf", "bench", "sched", "messaging", "-g", "1", "-l", "20"];
        let output = record(&file, &[&["--attach", attach, "--messages"], &bench[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (tables, events) = read(&file);
        continuous(&tables, &events);
        let (bytes, sent) = messages(&events);
        let whole = bytes.values().filter(|(sent, received)| sent == received && *sent == 40_000);
        assert_eq!(whole.count(), 20, "{bytes:?}");
        assert!((8000..8200).contains(&sent), "{sent}");

        let line = ["sim", "eevdf", "--format", "json", "--replay"];
        let output = Command::new(env!("CARGO_BIN_EXE_rota")).args(line).arg(&file).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let replay = &json["replay"];
        assert!(replay["messages"].as_u64().unwrap() > 5000, "{replay}");
        assert!(replay["share"].as_f64().unwrap() >= 0.95, "{replay}");
        // Nobody waits in vain.
        let run = |side: &str| replay[side]["run_time"].as_f64().unwrap();
        assert!(run("replayed") > 0.8 * run("recorded"), "{replay}");
    }
    let file = folder.path().join("without");
    let bench = ["--", "perf", "bench", "sched", "messaging", "-g", "1", "-l", "1"];
    assert!(record(&file, &bench).status.success());
    assert_eq!(messages(&read(&file).1).1, 0, "nobody has asked for them");
}

#[test]
fn raw_tracepoints_see_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let bench = ["--", "taskset", "-c", "0", "perf", "bench", "sched", "pipe", "-l", "5000"];
    let counts = ["tp-btf", "raw-tp"].map(|attach| {
        let output = record(&file, &[&["--attach", attach], &bench[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(said.contains("by raw tracepoints"), attach == "raw-tp", "{said}");
        let (tables, events) = read(&file);
        continuous(&tables, &events);
        let pipes = tasks(&tables, "sched-pipe");
        let of = |kind| {
            events.iter().filter(|e| e.kind == kind && pipes.contains(&e.task)).count() as u64
        };
        (of(rota_events::Kind::Switch), of(rota_events::Kind::Waking))
    });
    // Two switches an operation, and at least one of them needs somebody to be woken up.
    for (switches, wakings) in counts {
        assert!((9_900..12_000).contains(&switches), "{counts:?}");
        assert!((4_900..11_000).contains(&wakings), "{counts:?}");
    }
}

#[test]
fn a_condition_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let script = "while :; do sleep 0.01; done";
    let until = ["--until", "offcpu[sh]>2ms", "--format", "json"];
    let long = ["--for", "20s", "--", "sh", "-c", script];
    let output = record(&file, &[&until, &long[..]].concat());
    assert_eq!(output.status.code(), Some(0));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["met"].as_str().unwrap().starts_with("offcpu of sh["), "{told}");
    assert!(told["duration_ns"].as_u64().unwrap() < 20_000_000_000);
    read(&file);

    // Only the end is kept.
    let ring = ["--ring", "100ms", "--for", "600ms", "--format", "json", "--", "sh", "-c", script];
    let output = record(&file, &ring);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (_, events) = read(&file);
    let long_ns = events.last().unwrap().time_ns - events[0].time_ns;
    assert!(long_ns <= 100_000_000, "{long_ns}");
    assert_eq!(told["kept_events"], events.len());
    assert!(told["kept_events"].as_u64() < told["events"].as_u64());
}

#[test]
fn histograms_without_a_file() {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(["hist", "--live", "oncpu", "--for", "300ms", "--format", "json"]);
    let output = rota.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["kind"], "oncpu");
    assert!(told["rows"][0]["count"].as_u64().unwrap() > 0, "{told}");
    let mut both = Command::new(env!("CARGO_BIN_EXE_rota"));
    let both = both.args(["hist", "file", "runq", "--live", "runq"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2));
}
