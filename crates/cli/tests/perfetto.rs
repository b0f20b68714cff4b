// SPDX-License-Identifier: GPL-2.0-or-later
//! Traces for Perfetto, decoded again by Perfetto's own messages in Python, of simulations and of
//! this machine: `cargo xtask test host`, which has the Python that it needs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn rota(folder: &Path, line: &str) {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    let output = rota.output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a script with the Python that has Perfetto's messages.
fn python(folder: &Path, script: &str, arguments: &[&str]) -> Output {
    let python = std::env::var_os("ROTA_PYTHON");
    let python = python.expect("ROTA_PYTHON is not set: run this test by cargo xtask test host");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python");
    let mut command = Command::new(python);
    command.arg(scripts.canonicalize().unwrap().join(script)).args(arguments);
    command.current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// What the decoder counted in a recording's trace, all of it as in the recording.
fn decoded(folder: &Path, file: &str, options: &str) -> serde_json::Value {
    rota(folder, &format!("view {file} --as json --output events.jsonl"));
    rota(folder, &format!("view {file} --as perfetto {options} --output trace.pftrace"));
    let files = ["trace.pftrace", "events.jsonl"];
    let arguments: Vec<&str> = files.into_iter().chain(options.split_whitespace()).collect();
    let output = python(folder, "perfetto_trace.py", &arguments);
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn simulations_track_by_track() {
    let folder = tempfile::tempdir().unwrap();
    for scheduler in ["simple", "domains", "eevdf"] {
        let sim = "--machine 2l:4c --workload messaging+batch --for 200ms --trace a.rota";
        rota(folder.path(), &format!("sim {scheduler} {sim}"));
        let counted = decoded(folder.path(), "a.rota", "--arrows --callbacks");
        for kind in ["switch", "waking", "slices", "arrows", "names"] {
            assert!(counted[kind].as_u64() > Some(10), "{scheduler}: {counted}");
        }
        for kind in ["queues", "stays", "calls"] {
            let any = counted[kind].as_u64() > Some(0);
            assert_eq!(any, scheduler != "eevdf", "{scheduler}: {kind} of {counted}");
        }
    }
}

#[test]
fn a_recording_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    rota(folder.path(), "record -o a.rota -- perf bench sched messaging -g 2 -l 1000");
    let counted = decoded(folder.path(), "a.rota", "--arrows");
    for kind in ["switch", "waking", "slices", "arrows", "fork", "exit"] {
        assert!(counted[kind].as_u64() > Some(10), "{counted}");
    }
    // Without arrows, it takes few bytes.
    decoded(folder.path(), "a.rota", "");
    let bytes = fs::metadata(folder.path().join("trace.pftrace")).unwrap().len();
    let lines = fs::read_to_string(folder.path().join("events.jsonl")).unwrap().lines().count();
    assert!(bytes <= 10 * lines as u64, "{bytes} bytes for {lines} events");
}

/// Text of ftrace has what Rota's own recordings do not: here each CPU changes its frequency.
#[test]
fn frequencies_that_another_tool_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "# tracer: nop\n".to_owned();
    for ms in 0..100 {
        let (cpu, other) = (ms % 2, (ms + 1) % 2);
        let (from, to) = (10 + ms % 4, 10 + (ms + 2) % 4);
        text += &format!(
            "t{from}-{from} [00{cpu}] d..2. 5.{ms:03}000: sched_switch: prev_comm=t{from} prev_pid={from} \
             prev_prio=120 prev_state=S ==> next_comm=t{to} next_pid={to} next_prio=120\n\
             t{to}-{to} [00{cpu}] d..2. 5.{ms:03}500: cpu_frequency: state={} cpu_id={other}\n",
            1_000_000 + ms * 1000
        );
    }
    fs::write(folder.path().join("a.txt"), text).unwrap();
    let counted = decoded(folder.path(), "a.txt", "");
    assert_eq!(
        (&counted["frequency"], &counted["switch"]),
        (&100.into(), &100.into()),
        "{counted}"
    );
}

/// A program that does not outlive its test, whose port the next one needs.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A browser, for which a page of the tests has the origin of Perfetto's, fetches the trace; a page of
/// another origin can't.
#[test]
fn the_page_of_perfetto_gets_the_trace_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rota(folder, "sim simple --machine 2c --workload pipe --for 50ms --trace a.rota");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args("view a.rota --as perfetto --open --no-browser --output t.pftrace".split(' '));
    command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut serving = Serving(command.spawn().unwrap());
    let mut said = BufReader::new(serving.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = said.next().unwrap();
    let url = first.strip_prefix("open ").unwrap_or_else(|| panic!("{first}"));
    // The port is taken.
    let second = command.stderr(Stdio::piped()).output().unwrap();
    let refused = String::from_utf8(second.stderr).unwrap();
    assert!(
        second.status.code() == Some(2) && refused.contains("port 9001 is in use"),
        "{refused}"
    );
    let page = |arguments: &[&str]| {
        let output = python(folder, "perfetto_page.py", arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // Nothing else is there.
    let other = url.replace("trace.pftrace", "other");
    let (before, secret) = url.split_once(":9001/").unwrap();
    let guessed = format!("{before}:9001/{}", secret.split_once('/').unwrap().1);
    for stranger in [&[other.as_str()][..], &[guessed.as_str()], &[url, "https://example.com"]] {
        assert_eq!(page(stranger), "failed TypeError: Failed to fetch\n");
    }
    let sum = Command::new("sha256sum").arg(folder.join("t.pftrace")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let bytes = fs::metadata(folder.join("t.pftrace")).unwrap().len();
    let expected = format!("fetched 200 {bytes} {}\n", &sum[..64]);
    assert_eq!(page(&[url]), expected);
    assert!(serving.0.wait().unwrap().success());
    assert_eq!(said.last().unwrap(), "the page has the trace");
}
