// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota record` on this machine: as root, with perf.

use rota_events::{Event, Kind, Leaves, Reader, Tables, TaskRef, What, load_weight, nice_load};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
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
/// never leaves one. Then that is told. It may be one of those that are not wanted, or have come onto
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
            What::Lost { .. } => panic!("events are lost: {event:?}"),
            What::Hidden => {
                let before = running.remove(&event.cpu);
                assert_eq!(before, Some(event.task), "{event:?}");
                assert!(before.is_some_and(is_first), "switches are missing: {event:?}");
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
    let forks = events.iter().filter(|event| is_fork_of(event, task)).count();
    assert_eq!(forks, 8);
    let last = events.iter().filter(|event| event.task == task && event.what() == What::Exit);
    assert_eq!(last.count(), 1);
}

fn is_fork_of(event: &Event, task: TaskRef) -> bool {
    matches!(event.what(), What::Fork { parent, .. } if parent == task)
}

/// The nice values of tasks, as they are told.
fn nices(events: &[Event], of: &[TaskRef]) -> Vec<i32> {
    let weights = events.iter().filter(|event| of.contains(&event.task));
    let nice = weights.filter_map(|event| match event.what() {
        What::Weight { nice, weight } => Some((nice, weight)),
        _ => None,
    });
    let wrong = |(nice, weight): &(i32, u32)| *weight != load_weight(nice_load(*nice));
    let nice: Vec<_> = nice.collect();
    assert!(!nice.iter().any(wrong), "{nice:?}");
    nice.into_iter().map(|(nice, _)| nice).collect()
}

#[test]
fn nice_values_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for attach in ["tp-btf", "raw-tp"] {
        // The shell is made less nice from outside while it runs, and sleeps in between.
        let script = "chrt -f 10 cksum /dev/null >/dev/null; sleep 0.03; renice -n 9 -p $$ >/dev/null; sleep 0.03; exec md5sum /dev/null";
        let bench = ["nice", "-n", "7", "sh", "-c", script];
        let output = record(&file, &[&["--attach", attach, "--"], &bench[..]].concat());
        assert_eq!(output.status.code(), Some(0));
        let (tables, events) = read(&file);
        let [shell] = tasks(&tables, "md5sum")[..] else { panic!("{attach}: who is it?") };
        let own = nices(&events, &[shell]);
        assert_eq!(own[1..], [own[0] + 7, 9], "{attach}: {own:?}");
        let is_child = |task: &TaskRef| {
            events.iter().any(|event| event.task == *task && is_fork_of(event, shell))
        };
        let sleeps: Vec<_> = tasks(&tables, "sleep").into_iter().filter(is_child).collect();
        assert_eq!(nices(&events, &sleeps), own[1..], "{attach}");
        let realtime = tables.tasks().filter(|(_, info)| {
            let name = tables.text_of(info.name);
            name.starts_with("migration/")
        });
        let realtime: Vec<_> = realtime.map(|(task, _)| task).collect();
        for event in events.iter().filter(|event| realtime.contains(&event.task)) {
            let What::Weight { nice, weight } = event.what() else { continue };
            assert_eq!((nice, weight), (-120, 0), "{attach}");
        }
        // Of the real-time priority 10, which is 89 in the kernel.
        let [first] = tasks(&tables, "cksum")[..] else { panic!("{attach}: who is it?") };
        let told = events.iter().filter(|event| event.task == first).map(Event::what);
        let last = told.filter(|what| matches!(what, What::Weight { .. })).last();
        assert_eq!(last, Some(What::Weight { nice: -31, weight: 0 }), "{attach}");
    }
}

#[test]
fn cpus_are_told_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    // The shell is bound while it sleeps, and may use all again before its end.
    let script =
        "sleep 0.03; taskset -p 1 $$; sleep 0.03; taskset -cp 0-1 $$; exec sha1sum /dev/null";
    for attach in ["tp-btf", "raw-tp"] {
        let output = record(&file, &["--attach", attach, "--", "sh", "-c", script]);
        assert_eq!(output.status.code(), Some(0));
        let (tables, events) = read(&file);
        let told = |task| {
            let own = events.iter().filter(move |event| event.task == task);
            let cpus = own.filter_map(|event| match event.what() {
                What::Affinity { cpus, first } => Some((cpus, first)),
                _ => None,
            });
            cpus.collect::<Vec<_>>()
        };
        let [shell] = tasks(&tables, "sha1sum")[..] else { panic!("{attach}: who is it?") };
        assert_eq!(told(shell), [(1, 1), (2, 3)], "{attach}");
        let is_child = |task: &TaskRef| {
            events.iter().any(|event| event.task == *task && is_fork_of(event, shell))
        };
        let sleeps = tasks(&tables, "sleep").into_iter().filter(is_child).map(told);
        assert_eq!(sleeps.collect::<Vec<_>>(), [vec![], vec![(1, 1)]], "{attach}");
    }
    // Two hogs on CPU 1: in the replay they stay there, though CPU 0 is idle.
    let script =
        "for hog in 1 2; do taskset -c 1 timeout 0.5 sh -c 'while :; do :; done' & done; wait";
    assert!(record(&file, &["--", "sh", "-c", script]).status.success());
    let trace = folder.path().join("trace");
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(["sim", "eevdf", "--replay"]).arg(&file).arg("--trace").arg(&trace);
    assert!(rota.output().unwrap().status.success());
    let (tables, events) = read(&trace);
    let (mut since_ns, mut ran_ns) = (BTreeMap::new(), BTreeMap::<_, u64>::new());
    for event in events {
        let What::Switch { from, .. } = event.what() else { continue };
        let since = since_ns.insert(event.cpu, event.time_ns).unwrap_or(event.time_ns);
        if tables.task_of(from).is_some_and(|info| tables.text_of(info.name).starts_with("sh/")) {
            *ran_ns.entry(event.cpu).or_default() += event.time_ns - since;
        }
    }
    let (all, most) = (ran_ns.values().sum::<u64>(), ran_ns.values().max().copied());
    assert!(most.is_some_and(|most| 10 * most > 9 * all), "{ran_ns:?}");
}

#[test]
fn names_that_change_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let script = "echo 'a name of many letters' >/proc/$$/comm";
    for attach in ["tp-btf", "raw-tp"] {
        let output = record(&file, &["--attach", attach, "--", "sh", "-c", script]);
        assert_eq!(output.status.code(), Some(0));
        let (tables, _) = read(&file);
        assert_eq!(tasks(&tables, "a name of many ").len(), 1, "{attach}");
    }
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
    let happened = events.iter().filter(|event| !matches!(event.kind, Kind::Lost | Kind::Hidden));
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
            What::Fork { parent, .. } => started += u64::from(is_loud(parent)),
            What::Waking { .. } | What::Wakeup { .. } => assert!(is_loud(event.task), "{event:?}"),
            _ => (),
        }
    }
    assert!(started > 10, "{started} were started");

    let output = record(&file, &["--cpus", "0", "--", "taskset", "-c", "0", "sleep", "0.05"]);
    assert_eq!(output.status.code(), Some(0));
    let (_, events) = read(&file);
    assert!(!events.is_empty() && events.iter().all(|event| event.cpu.0 == 0));

    for (choice, value, words) in [
        ("--cgroup", "/no/such/cgroup", "/no/such/cgroup"),
        ("--cpus", "0-8191", "this machine has no CPU"),
        ("--pid", "999999999", "there is no process or thread 999999999"),
    ] {
        let output = record(&file, &["--for", "50ms", choice, value]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{choice}: {said}");
    }
    let output = record(Path::new("-"), &["--for", "50ms"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("./- is one"), "{said}");
    let output = record(&file, &["--for", "50ms", "--until", "latency[nobody]>1s"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("nothing met"), "{said}");
}

/// What is there stays, and nothing new comes, if the command can't be started.
#[test]
fn no_command_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    fs::write(&old, "something").unwrap();
    for file in [&old, &new] {
        let output = record(file, &["--", "/no/such/command"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("/no/such/command"), "{said}");
    }
    assert_eq!(fs::read_to_string(&old).unwrap(), "something");
    assert!(!new.exists());
    // A longer file is written over as a whole.
    fs::write(&old, [b'x'; 1 << 20]).unwrap();
    assert!(record(&old, &["--", "true"]).status.success());
    assert!(fs::metadata(&old).unwrap().len() < 1 << 20);
    read(&old);
}

/// Who records gets a CPU before others, the command does not.
#[test]
fn who_records_gets_a_cpu_first() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let script =
        format!("sleep 0.3; cut -d ' ' -f 19 /proc/$$/stat /proc/$PPID/stat >{}", told.display());
    let output = record(&folder.path().join("file"), &["--", "sh", "-c", &script]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = fs::read_to_string(told).unwrap();
    assert_eq!(told.lines().collect::<Vec<_>>(), ["0", "-20"]);
}

/// A cgroup of version 2 with one in it, as long as this lives.
struct Group(PathBuf);

impl Group {
    fn new() -> Self {
        let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = places.into_iter().find(|place| place.join("cgroup.controllers").is_file());
        let group = Self(root.unwrap().join(format!("rota-test-{}", std::process::id())));
        fs::create_dir_all(group.0.join("inner")).unwrap();
        group
    }

    fn root(&self) -> &Path {
        self.0.parent().unwrap()
    }

    fn name(&self) -> String {
        format!("/{}", self.0.file_name().unwrap().to_str().unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who has just ended may still be in it for a moment.
        for place in [self.0.join("inner"), self.0.clone()] {
            let gone = (0..100).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                fs::remove_dir(&place).is_ok()
            });
            assert!(gone || std::thread::panicking(), "{} is in use", place.display());
        }
    }
}

/// Of a cgroup and those below, what tasks do while they are in it is recorded, and no more.
#[test]
fn cgroups_choose() {
    let folder = tempfile::tempdir().unwrap();
    let (file, group) = (folder.path().join("file"), Group::new());
    let (root, inner) = (group.root().display(), group.0.join("inner"));
    let turns = "i=0; while [ $i -lt 10 ]; do sleep 0.002; i=$((i + 1)); done";
    let script = format!(
        "sleep 0.01; echo $$ >{}/cgroup.procs; {turns}; ls / >/dev/null
         echo $$ >{root}/cgroup.procs; {turns}; exec md5sum /dev/null",
        inner.display()
    );
    for attach in ["tp-btf", "raw-tp"] {
        let start = ["--attach", attach, "--cgroup", &group.name(), "--", "sh", "-c", &script];
        let output = record(&file, &start);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let (tables, events) = read(&file);
        assert!(continuous(&tables, &events) > 20, "{said}");
        let path = format!("{}/inner", group.name());
        // Others have a name and a nice value here too, if they wake somebody.
        let named = |name| {
            let runs = |event: &Event, task| event.task == task && event.kind == Kind::Switch;
            let recorded = |task: &TaskRef| events.iter().any(|event| runs(event, *task));
            tasks(&tables, name).into_iter().filter(recorded).collect::<Vec<_>>()
        };
        let names = ["sh", "sleep", "ls", "md5sum"].map(named);
        // Not those from before it came and after it went.
        assert_eq!(names.each_ref().map(Vec::len), [1, 10, 1, 0]);
        let [sh, sleep, ..] = names;
        for task in sh.iter().chain(&sleep).copied() {
            let info = tables.task_of(task).unwrap();
            assert_eq!(tables.text_of(info.group), path);
        }
        let comes = events.iter().filter(|event| match event.what() {
            What::Group { group, .. } => event.task == sh[0] && tables.text_of(group) == path,
            _ => false,
        });
        assert_eq!(comes.count(), 1);
        let forks = events.iter().filter(|event| is_fork_of(event, sh[0]));
        assert_eq!(forks.count(), 11);
    }
    // In none of the two, so in neither.
    let both = ["--cgroup", &group.name(), "--cpus", "0", "--", "sh", "-c", turns];
    let output = record(&file, &both);
    assert_eq!(output.status.code(), Some(0));
    let (_, events) = read(&file);
    assert!(!events.iter().any(|event| event.kind == Kind::Switch));
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

/// The ids of a process and of all that it and its children start.
fn descendants(file: &Path, pid: i32) -> BTreeSet<i64> {
    let (tables, events) = read(file);
    let pid_of = |task| i64::from(tables.task_of(task).unwrap().pid);
    let mut own = BTreeSet::from([pid.into()]);
    for event in events {
        if matches!(event.what(), What::Fork { parent, .. } if own.contains(&pid_of(parent))) {
            own.insert(pid_of(event.task));
        }
    }
    own
}

/// What an interrupt does is not done by the task that it interrupts: perf, which is told by the
/// kernel, says the same of each waking.
#[test]
fn interrupts_are_not_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $$; while :; do :; done & hog=$!
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
        let shell = String::from_utf8(output.stdout).unwrap();
        let own = descendants(&ours, shell.lines().next().unwrap().parse().unwrap());
        let (ours, theirs) = (wakings(&ours), wakings(&theirs));
        let (mut timers, mut pipes) = (Vec::new(), Vec::new());
        for (task, by_tasks) in ours.iter().filter(|(task, _)| own.contains(&task.0)) {
            match task.1.as_str() {
                "sleep" => timers.extend(by_tasks),
                "sched-pipe" => pipes.extend(by_tasks),
                _ => continue,
            }
            let theirs = theirs.get(task).map_or(&[][..], |list| list);
            let differs = by_tasks.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
            let counts = (by_tasks.len(), theirs.len());
            assert!(
                by_tasks == theirs,
                "{task:?}: {counts:?} wakings, the first other: {differs:?}"
            );
        }
        let share =
            |list: &[bool]| list.iter().filter(|by| **by).count() as f64 / list.len() as f64;
        // A timer may go off before who set it sleeps.
        assert!(timers.len() >= 30 && share(&timers) < 0.1, "{timers:?}");
        assert!(pipes.len() > 1000 && share(&pipes) > 0.95, "{}", share(&pipes));
    }
}

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
        // A message has woken its receiver, or is one of those that did not. How many those are
        // is a matter of what else runs.
        let count = |what: &str| replay[what].as_u64().unwrap();
        assert!(count("messages") + count("dependencies") >= 8000, "{replay}");
        assert!(count("messages") > 500, "{replay}");
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
fn changes_of_partner_are_told() {
    let folder = tempfile::tempdir().unwrap();
    // The shell wakes two others in turn, 23 changes, and makes a task then.
    let script = "cd \"$1\"; mkfifo a b; cat a >/dev/null & cat b >/dev/null & exec 3>a 4>b; \
                  for i in $(seq 12); do echo >&3; sleep 0.002; echo >&4; sleep 0.002; done; \
                  true | md5sum; echo $$";
    for attach in ["tp-btf", "raw-tp"] {
        let file = folder.path().join(attach);
        let pipes = folder.path().join(format!("{attach}-pipes"));
        fs::create_dir(&pipes).unwrap();
        let line = ["--attach", attach, "--", "sh", "-c", script, "sh", pipes.to_str().unwrap()];
        let output = record(&file, &line);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let shell: i32 = said.lines().last().unwrap().parse().unwrap();
        let (tables, events) = read(&file);
        let partners = |event: &Event| match event.what() {
            What::Fork { parent, partners } => {
                (tables.task_of(parent)?.pid == shell).then_some(partners)
            }
            _ => None,
        };
        let partners: Vec<_> = events.iter().filter_map(partners).collect();
        // They are halved each second, on a busy machine maybe twice meanwhile.
        assert!(partners.last().is_some_and(|last| *last >= 5), "{partners:?}");
    }
}

/// Both ways to be called see the same.
#[test]
fn raw_tracepoints_see_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let script = "echo $$; perf bench sched pipe -l 5000";
    let bench = ["--", "taskset", "-c", "0", "sh", "-c", script];
    let counts = ["tp-btf", "raw-tp"].map(|attach| {
        let output = record(&file, &[&["--attach", attach], &bench[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(said.contains("by raw tracepoints"), attach == "raw-tp", "{said}");
        let (tables, events) = read(&file);
        continuous(&tables, &events);
        let shell = String::from_utf8(output.stdout).unwrap();
        let own = descendants(&file, shell.lines().next().unwrap().parse().unwrap());
        let is_own = |task: &TaskRef| own.contains(&tables.task_of(*task).unwrap().pid.into());
        let pipes: Vec<_> = tasks(&tables, "sched-pipe").into_iter().filter(is_own).collect();
        let of = |kind| {
            events.iter().filter(|e| e.kind == kind && pipes.contains(&e.task)).count() as u64
        };
        (of(Kind::Switch), of(Kind::Waking))
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
