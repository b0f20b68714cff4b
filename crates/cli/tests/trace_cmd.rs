// SPDX-License-Identifier: GPL-2.0-or-later
//! Recordings of trace-cmd, against what its own report says: `cargo xtask test host`, as root.
//!
//! The kernel records into a buffer of its own, which trace-cmd takes out, so that who else is
//! tracing is not disturbed.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROTA: &str = env!("CARGO_BIN_EXE_rota");
const TRACING: &str = "/sys/kernel/tracing";
const EVENTS: [&str; 6] = [
    "sched_switch",
    "sched_waking",
    "sched_wakeup_new",
    "sched_migrate_task",
    "sched_process_fork",
    "sched_process_exit",
];

/// What a program prints.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A buffer of the kernel, until it is dropped.
struct Buffer(String);

impl Buffer {
    fn new(kind: &str, kib: u32) -> Self {
        if !Path::new(TRACING).join("instances").is_dir() {
            printed("mount", &["-t", "tracefs", "tracefs", TRACING]);
        }
        let buffer = Self(format!("rota-{kind}-{}", std::process::id()));
        fs::create_dir(buffer.path("")).unwrap();
        buffer.set("buffer_size_kb", &kib.to_string());
        EVENTS.iter().for_each(|event| buffer.set(&format!("events/sched/{event}/enable"), "1"));
        buffer
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(TRACING).join("instances").join(&self.0).join(name)
    }

    fn set(&self, name: &str, value: &str) {
        fs::write(self.path(name), value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Records what a command does.
    fn record(&self, command: &str, file: &Path) {
        printed("sh", &["-c", command]);
        self.set("tracing_on", "0");
        printed("trace-cmd", &["extract", "-B", &self.0, "-o", file.to_str().unwrap()]);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Nothing can be done about it here, and a failed test has said so already.
        let _ = fs::remove_dir(self.path(""));
    }
}

/// What trace-cmd prints of a file, without its own tables of states, and with the flags that tell
/// interrupts.
fn report(file: &Path) -> String {
    printed("trace-cmd", &["report", "-N", "-t", "-l", file.to_str().unwrap()])
}

/// What trace-cmd says of each event, and how many events it says are missing.
fn said(text: &str) -> (Vec<String>, u64) {
    let (mut all, mut lost) = (Vec::new(), 0);
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once(" EVENTS DROPPED]").and(line.split_once(" [")) {
            lost += rest.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
        // Of these nobody knows how many; one at least.
        lost += u64::from(line.contains("[EVENTS DROPPED]"));
        let Some((head, event)) = line.split_once(": sched_") else { continue };
        let (event, fields) = event.split_once(':').unwrap();
        let mut words = head.split_whitespace().rev();
        let (time, flags) = (words.next().unwrap(), words.next().unwrap());
        let current = words.next().unwrap().rsplit_once('-').unwrap().1;
        let digits = flags.find(|c: char| !c.is_ascii_digit()).unwrap();
        let (cpu, flags) = flags.split_at(digits);
        let interrupt = matches!(flags.as_bytes()[2], b'h' | b'H' | b'z' | b'Z');
        let waker = if interrupt { "0" } else { current };
        let field = |name: &str| {
            let rest =
                fields.rsplit_once(&format!("{name}=")).unwrap_or_else(|| panic!("{line}")).1;
            rest.split_whitespace().next().unwrap()
        };
        let number = |name: &str| field(name).parse::<u32>().unwrap();
        let what = match event {
            "switch" => {
                let state = field("prev_state").split('|').next().unwrap();
                // The idle task is none, and leaves in no state.
                let state = if field("prev_pid") == "0" { "R" } else { state };
                format!("switch {} {state} {}", field("prev_pid"), field("next_pid"))
            }
            "waking" => format!("waking {} {waker}", field(" pid")),
            "wakeup_new" => format!("wakeup {} {waker} {}", field(" pid"), number("target_cpu")),
            "migrate_task" => {
                format!("migrate {} {} {}", field(" pid"), number("orig_cpu"), number("dest_cpu"))
            }
            "process_fork" => format!("fork {} {}", field("child_pid"), field(" pid")),
            "process_exit" => format!("exit {}", field(" pid")),
            other => panic!("{other}"),
        };
        all.push(format!("{} {cpu} {what}", time.replace('.', "")));
    }
    (all, lost)
}

/// The same from Rota's JSON.
fn told(text: &str) -> (Vec<String>, u64) {
    let (mut all, mut lost) = (Vec::new(), 0);
    for line in text.lines().skip(1) {
        let event: Value = serde_json::from_str(line).unwrap();
        let pid = |name: &str| event[name]["pid"].as_u64().unwrap_or(0);
        let (task, number) = (pid("task"), |name: &str| event[name].as_u64().unwrap());
        let what = match event["event"].as_str().unwrap() {
            "switch" => {
                let state = event["state"].as_str();
                // Only what says more than that stands there.
                let state = state.unwrap_or(if event["runnable"] == true { "R" } else { "S" });
                format!("switch {} {state} {task}", pid("from"))
            }
            "waking" => format!("waking {task} {}", pid("waker")),
            "wakeup" => format!("wakeup {task} {} {}", pid("waker"), number("on_cpu")),
            "migrate" => format!("migrate {task} {} {}", number("from_cpu"), number("to_cpu")),
            "fork" => format!("fork {task} {}", pid("parent")),
            "exit" => format!("exit {task}"),
            "lost" => {
                lost += number("events");
                continue;
            }
            other => panic!("{other}"),
        };
        all.push(format!("{} {} {what}", event["time_ns"], event["cpu"]));
    }
    (all, lost)
}

fn same(file: &Path) -> u64 {
    let text = report(file);
    let shown =
        |file: &Path| told(&printed(ROTA, &["view", file.to_str().unwrap(), "--as", "json"]));
    let ((said, dropped), (told, lost)) = (said(&text), shown(file));
    // The text itself is read as well. A line that tells a loss has no time.
    let as_text = file.with_extension("txt");
    fs::write(&as_text, text).unwrap();
    assert!(
        shown(&as_text) == (told.clone(), lost),
        "{}: the text is read otherwise",
        file.display()
    );
    let first = said.iter().zip(&told).position(|(said, told)| said != told);
    if let Some(first) = first {
        panic!("{}: {:?} is read as {:?}", file.display(), said[first], told[first]);
    }
    assert_eq!((said.len(), dropped), (told.len(), lost), "{}", file.display());
    assert!(said.len() > 100);
    // What is rare may be among what is lost.
    for kind in ["switch", "waking", "fork", "exit"].into_iter().take(if lost > 0 { 1 } else { 4 })
    {
        assert!(said.iter().any(|line| line.contains(kind)), "no {kind}");
    }
    lost
}

#[test]
fn what_trace_cmd_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let buffer = Buffer::new("whole", 8192);
    buffer.record("perf bench sched messaging -g 1 -l 50", &file("seven.dat"));
    assert_eq!(same(&file("seven.dat")), 0);
    // Its own conversions: another version, and without compression.
    let convert = |options: [&str; 2], to: &str| {
        let (from, to) = (file("seven.dat"), file(to));
        let paths = ["-i", from.to_str().unwrap(), "-o", to.to_str().unwrap()];
        printed("trace-cmd", &[&["convert"], &options[..], &paths].concat());
        assert_eq!(same(&to), 0);
    };
    convert(["--file-version", "6"], "six.dat");
    convert(["--compression", "none"], "plain.dat");
    // Through a pipe.
    let piped = format!("cat {} | {ROTA} view - --as json", file("seven.dat").display());
    let whole = printed(ROTA, &["view", file("seven.dat").to_str().unwrap(), "--as", "json"]);
    assert!(printed("sh", &["-c", &piped]) == whole, "a pipe gives something else");
}

#[test]
fn what_was_lost_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lost.dat");
    let buffer = Buffer::new("small", 16);
    buffer.record("perf bench sched messaging -g 2 -l 100", &file);
    assert!(same(&file) > 0, "nothing was lost, so nothing was tested");
}
